package wrenndev

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
)

// Operations of the platform's administrators.
const (
	OpBuildCreate         = "build-create"
	OpBuildList           = "build-list"
	OpBuildGet            = "build-get"
	OpBuildCancel         = "build-cancel"
	OpAdminTemplateList   = "admin-template-list"
	OpAdminTemplateDelete = "admin-template-delete"
)

// maxArchive bounds the archive of a build.
const maxArchive = 100 << 20

// buildRoutes are the platform's templates and how they are made.
func (s *Server) buildRoutes(gen generation) []route {
	const base, one = "/v1/admin/builds", "/v1/admin/builds/{id}"
	return []route{
		{OpBuildCreate, http.MethodPost, base, gen, accessAdmin, s.createBuild},
		{OpBuildList, http.MethodGet, base, gen, accessAdmin, s.listBuilds},
		{OpBuildGet, http.MethodGet, one, gen, accessAdmin, s.getBuild},
		{OpBuildCancel, http.MethodPost, one + "/cancel", gen, accessAdmin, s.cancelBuild},
		{OpAdminTemplateList, http.MethodGet, "/v1/admin/templates", gen, accessAdmin, s.listAllTemplates},
		{
			OpAdminTemplateDelete, http.MethodDelete, "/v1/admin/templates/{name}", gen, accessAdmin,
			s.deletePlatformTemplate,
		},
	}
}

// buildAnswer is a build as the API shows it.
type buildAnswer struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	BaseTemplate string            `json:"base_template"`
	Recipe       []string          `json:"recipe"`
	Healthcheck  string            `json:"healthcheck,omitempty"`
	VCPUs        int32             `json:"vcpus"`
	MemoryMB     int32             `json:"memory_mb"`
	Status       string            `json:"status"`
	CurrentStep  int               `json:"current_step"`
	TotalSteps   int               `json:"total_steps"`
	Logs         []buildLog        `json:"logs"`
	Error        string            `json:"error,omitempty"`
	SandboxID    string            `json:"sandbox_id,omitempty"`
	DefaultUser  string            `json:"default_user,omitempty"`
	DefaultEnv   map[string]string `json:"default_env,omitempty"`
	CreatedAt    string            `json:"created_at"`
	StartedAt    string            `json:"started_at,omitempty"`
	CompletedAt  string            `json:"completed_at,omitempty"`
}

func (c *call) buildAnswer(b buildRow) buildAnswer {
	a := buildAnswer{
		ID: b.ID, Name: b.Name, BaseTemplate: b.BaseTemplate, Recipe: b.Recipe, Healthcheck: b.Healthcheck, VCPUs: b.VCPUs,
		MemoryMB: b.MemoryMB, Status: b.Status, CurrentStep: b.CurrentStep, TotalSteps: b.TotalSteps, Logs: b.Logs,
		Error: b.Error, SandboxID: b.SandboxID, CreatedAt: stamp(b.Created),
	}
	if c.gen == genC {
		a.DefaultUser, a.DefaultEnv = b.DefaultUser, b.DefaultEnv
	}
	if b.Started != nil {
		a.StartedAt = stamp(*b.Started)
	}
	if b.Completed != nil {
		a.CompletedAt = stamp(*b.Completed)
	}
	return a
}

// createBuild answers at once. Only C takes an archive; a server of both generations
// takes it for a build of C.
func (s *Server) createBuild(c *call) error {
	var want TemplateBuild
	var archive []byte
	gen := c.gen
	kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if kind == "multipart/form-data" && s.cfg.Generations != Sandboxes {
		gen = genC
		var err error
		if want, archive, err = readBuildForm(c); err != nil {
			return err
		}
	} else if err := readJSON(c.w, c.r, &want); err != nil {
		return err
	}
	row, _, err := s.startBuild(want, gen, archive)
	if err != nil {
		return err
	}
	s.record(c.caller, "build", row.ID, "create", map[string]any{"name": row.Name})
	writeJSON(c.w, http.StatusCreated, c.buildAnswer(row))
	return nil
}

func readBuildForm(c *call) (want TemplateBuild, archive []byte, err error) {
	const around = 1 << 20
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxArchive+around)
	if err := c.r.ParseMultipartForm(formMemory); err != nil {
		return want, nil, invalidRequest("expected a multipart form of at most %d bytes", maxArchive)
	}
	defer func() { _ = c.r.MultipartForm.RemoveAll() }()
	if err := json.Unmarshal([]byte(c.r.FormValue("config")), &want); err != nil {
		return want, nil, invalidRequest("config is no JSON")
	}
	file, header, err := c.r.FormFile("archive")
	if errors.Is(err, http.ErrMissingFile) {
		return want, nil, nil
	}
	if err != nil {
		return want, nil, invalidRequest("archive is not readable")
	}
	defer func() { _ = file.Close() }()
	if header.Size > maxArchive {
		return want, nil, invalidRequest("archive is larger than %d bytes", maxArchive)
	}
	archive, err = io.ReadAll(file)
	return want, archive, err
}

func (s *Server) listBuilds(c *call) error {
	answers := []buildAnswer{}
	for _, b := range slices.Backward(s.builds.list(nil)) {
		answers = append(answers, c.buildAnswer(b))
	}
	writeJSON(c.w, http.StatusOK, answers)
	return nil
}

// buildID is the build of the path, checked.
func (c *call) buildID() (string, error) {
	id := c.params["id"]
	if !hasIDForm(id, buildPrefix) {
		return "", invalidRequest("invalid build ID")
	}
	return id, nil
}

func (s *Server) getBuild(c *call) error {
	id, err := c.buildID()
	if err != nil {
		return err
	}
	b, ok := s.builds.get(id)
	if !ok {
		return refuse(http.StatusNotFound, "not_found", "build not found")
	}
	writeJSON(c.w, http.StatusOK, c.buildAnswer(b))
	return nil
}

func (s *Server) cancelBuild(c *call) error {
	id, err := c.buildID()
	if err != nil {
		return err
	}
	if err := s.stopBuild(id); err != nil {
		return err
	}
	s.record(c.caller, "build", id, "cancel", nil)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
