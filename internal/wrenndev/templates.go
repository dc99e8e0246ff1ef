package wrenndev

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"time"
)

// The types of templates. A snapshot has a memory image: what ran when it was taken
// runs in each sandbox that is started from it.
const (
	typeBase     = "base"
	typeSnapshot = "snapshot"
)

// minimalTemplate is the platform template that every server has.
const minimalTemplate = "minimal"

// platformTeam has the platform's own templates, and the sandboxes that they are
// built in.
const platformTeam = "team-0000000000000000000000000"

// templateRow is a template of the platform.
type templateRow struct {
	Name      string     `json:"name"`
	Type      string     `json:"type"`
	VCPUs     int32      `json:"vcpus"`
	MemoryMB  int32      `json:"memory_mb"`
	SizeBytes int64      `json:"size_bytes"`
	Created   time.Time  `json:"created"`
	Dir       string     `json:"dir,omitempty"` // as that of a snapshotRow; none is an empty root
	Boot      bootRecipe `json:"boot,omitzero"`
	// Configured is for those of [Config]: they are there as long as it names them.
	Configured bool `json:"configured,omitempty"`
}

// openTemplates opens the platform's templates and brings in those of the configuration.
func (s *Server) openTemplates() error {
	var err error
	if s.templates, err = openTable[templateRow](filepath.Join(s.dir, "templates.jsonl")); err != nil {
		return err
	}
	for _, t := range s.templates.list(nil) {
		if t.Configured && !slices.Contains(s.cfg.Templates, t.Name) {
			s.templates.remove(t.Name)
		}
	}
	for _, name := range s.cfg.Templates {
		t := emptyTemplate(name, s.begun)
		t.Configured = true
		s.templates.add(name, t, nil) // unless there is one already
	}
	return nil
}

// emptyTemplate is one with an empty root, such as "minimal".
func emptyTemplate(name string, created time.Time) templateRow {
	return templateRow{Name: name, Type: typeBase, VCPUs: 1, MemoryMB: 512, Created: created}
}

func (s *Server) platformTemplates() []templateRow {
	return append([]templateRow{emptyTemplate(minimalTemplate, s.begun)}, s.templates.list(nil)...)
}

func (s *Server) platformTemplate(name string) (templateRow, bool) {
	if name == minimalTemplate {
		return emptyTemplate(name, s.begun), true
	}
	return s.templates.get(name)
}

// origin is what a sandbox starts from.
type origin struct {
	dir  string // its files; empty for an empty root
	boot bootRecipe
	// sized tells that the sandbox gets this size, whatever the create asks for.
	sized           bool
	vcpus, memoryMB int32
}

// origin finds a snapshot of the team, or a template of the platform: one that is built
// later does not take the place of a snapshot.
func (s *Server) origin(team, name string) (origin, bool) {
	if snap, ok := s.rows.snapshot(team, name); ok {
		return origin{boot: snap.Boot, dir: s.snapshotDir(snap), sized: true, vcpus: snap.VCPUs, memoryMB: snap.MemoryMB}, true
	}
	t, ok := s.platformTemplate(name)
	if !ok {
		return origin{}, false
	}
	o := origin{boot: t.Boot, sized: t.Type == typeSnapshot, vcpus: t.VCPUs, memoryMB: t.MemoryMB}
	if t.Dir != "" {
		o.dir = s.templateDir(t.Dir)
	}
	return o, true
}

// bootFor is the boot of a sandbox that is made in the manner of a generation: S
// loses the defaults of a template, though not what runs in its memory image.
func (o origin) bootFor(gen generation) bootRecipe {
	if gen == genS {
		return bootRecipe{Programs: o.boot.Programs}
	}
	return o.boot
}

// templateDir is where the files of a snapshot or a template are.
func (s *Server) templateDir(name string) string { return filepath.Join(s.dir, "snapshots", name) }

type adminTemplateAnswer struct {
	snapshotAnswer
	TeamID string `json:"team_id"`
}

// listAllTemplates shows the platform's templates and the snapshots of every team.
func (s *Server) listAllTemplates(c *call) error {
	answers := []adminTemplateAnswer{}
	for _, t := range s.platformTemplates() {
		answers = append(answers, adminTemplateAnswer{c.templateAnswer(t), platformTeam})
	}
	for _, snap := range s.rows.listSnapshots("") {
		answers = append(answers, adminTemplateAnswer{c.snapshotAnswer(snap), snap.Team})
	}
	writeJSON(c.w, http.StatusOK, answers)
	return nil
}

// deletePlatformTemplate removes a template, whoever was started from it.
func (s *Server) deletePlatformTemplate(c *call) error {
	name := c.params["name"]
	if !nameForm.MatchString(name) {
		return invalidRequest("invalid template name")
	}
	if name == minimalTemplate {
		return refuse(http.StatusForbidden, "forbidden", "the minimal template cannot be deleted")
	}
	t, ok := s.templates.remove(name)
	if !ok {
		return notFound("template")
	}
	if t.Dir != "" {
		if err := removeTree(s.templateDir(t.Dir)); err != nil {
			return fmt.Errorf("delete template: %w", err)
		}
	}
	s.record(c.caller, "template", name, "delete", nil)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
