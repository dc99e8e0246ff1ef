package wrenndev

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

// The statuses of a build.
const (
	buildPending   = "pending"
	buildRunning   = "running"
	buildSucceeded = "success"
	buildFailed    = "failed"
	buildCancelled = "cancelled" //nolint:misspell // the service's word
)

const buildPrefix = "bld-"

// buildsAtOnce is how many builds run at the same time; the others are pending.
const buildsAtOnce = 2

// TemplateBuild says how a template of the platform is made.
type TemplateBuild struct {
	// Name is that of the template. A build with the name of one that is there
	// succeeds and replaces nothing.
	Name string `json:"name"`
	// BaseTemplate is the platform template to start from, by default "minimal".
	BaseTemplate string `json:"base_template"`
	// Recipe has RUN, START, ENV, WORKDIR, USER and COPY instructions, at least one.
	Recipe []string `json:"recipe"`
	// Healthcheck is a command that is run until it succeeds. With one the template is
	// of type "snapshot": what START started runs in each sandbox made from it.
	Healthcheck string `json:"healthcheck"`
	// VCPUs, by default 1, and MemoryMB in MiB, by default 512.
	VCPUs    int32 `json:"vcpus"`
	MemoryMB int32 `json:"memory_mb"`
	// SkipPrePost leaves out the server's own steps.
	SkipPrePost bool `json:"skip_pre_post"`
}

// buildRow is what the control plane knows of a build.
type buildRow struct {
	TemplateBuild
	ID          string            `json:"id"`
	Status      string            `json:"status"`
	CurrentStep int               `json:"current_step"`
	TotalSteps  int               `json:"total_steps"`
	Logs        []buildLog        `json:"logs"`
	Error       string            `json:"error,omitempty"`
	SandboxID   string            `json:"sandbox_id,omitempty"`
	DefaultUser string            `json:"default_user,omitempty"`
	DefaultEnv  map[string]string `json:"default_env,omitempty"`
	Created     time.Time         `json:"created"`
	Started     *time.Time        `json:"started,omitempty"`
	Completed   *time.Time        `json:"completed,omitempty"`
}

// buildLog tells of one step.
type buildLog struct {
	Step      int    `json:"step"`
	Phase     string `json:"phase"`
	Cmd       string `json:"cmd"`
	Stdout    string `json:"stdout"`
	Stderr    string `json:"stderr"`
	Exit      int    `json:"exit"`
	ElapsedMS int64  `json:"elapsed_ms"`
	OK        bool   `json:"ok"`
}

func (b buildRow) over() bool { return b.Status != buildPending && b.Status != buildRunning }

// builds are all builds there ever were, and those that are under way.
type builds struct {
	*table[buildRow]
	slots chan struct{}

	mu   sync.Mutex
	live map[string]*liveBuild
}

// liveBuild is a build that is not over yet.
type liveBuild struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it is over and nothing of it is left
}

// openBuilds opens the builds. Those that a server before this one did not finish
// have failed with it.
func (s *Server) openBuilds() error {
	rows, err := openTable[buildRow](filepath.Join(s.dir, "builds.jsonl"))
	if err != nil {
		return err
	}
	s.builds = builds{table: rows, slots: make(chan struct{}, buildsAtOnce), live: map[string]*liveBuild{}}
	for _, b := range rows.list(func(b buildRow) bool { return !b.over() }) {
		if _, _, err := rows.change(b.ID, func(b *buildRow) error {
			b.end(buildFailed, "the server was stopped during the build")
			return nil
		}); err != nil {
			return err
		}
		if b.SandboxID == "" {
			continue
		}
		if err := removeTree(filepath.Join(s.dir, "sandboxes", b.SandboxID)); err != nil {
			return err
		}
	}
	return nil
}

func (b *buildRow) end(status, reason string) {
	now := time.Now()
	b.Status, b.Error, b.Completed = status, reason, &now
}

// Build makes a template of the platform and returns when it is there. When ctx ends
// first, the build is canceled.
func (s *Server) Build(ctx context.Context, want TemplateBuild) error {
	if !s.enter() {
		return errClosing
	}
	defer s.busy.Done()
	row, live, err := s.startBuild(want, s.sharedGen(), nil) //nolint:contextcheck // a build lives as long as the server
	if err != nil {
		return fmt.Errorf("build %s: %w", want.Name, err)
	}
	select {
	case <-live.done:
	case <-ctx.Done():
		_ = s.stopBuild(row.ID) // it may have ended just now
		<-live.done
		return fmt.Errorf("build %s: %w", want.Name, ctx.Err())
	}
	if row, _ = s.builds.get(row.ID); row.Status != buildSucceeded {
		return fmt.Errorf("build %s: %s: %s", want.Name, row.Status, row.Error)
	}
	return nil
}

// startBuild checks what is wanted and starts it in the background.
func (s *Server) startBuild(want TemplateBuild, gen generation, archive []byte) (buildRow, *liveBuild, error) {
	if want.BaseTemplate == "" {
		want.BaseTemplate = minimalTemplate
	}
	if want.VCPUs <= 0 {
		want.VCPUs = 1
	}
	if want.MemoryMB <= 0 {
		want.MemoryMB = 512
	}
	switch {
	case want.Name == "":
		return buildRow{}, nil, invalidRequest("name is required")
	case !nameForm.MatchString(want.Name), !nameForm.MatchString(want.BaseTemplate):
		return buildRow{}, nil, invalidRequest("invalid template name")
	case len(want.Recipe) == 0:
		return buildRow{}, nil, invalidRequest("recipe must contain at least one command")
	}
	row := buildRow{
		TemplateBuild: want, ID: newID(buildPrefix), Status: buildPending, Logs: []buildLog{}, Created: time.Now(),
		TotalSteps: len(want.Recipe),
	}
	if !want.SkipPrePost {
		row.TotalSteps += len(preBuild) + len(postBuild)
	}
	ctx, cancel := context.WithCancel(s.life)
	live := &liveBuild{cancel: cancel, done: make(chan struct{})}
	s.builds.mu.Lock()
	s.builds.live[row.ID] = live
	s.builds.mu.Unlock()
	s.builds.add(row.ID, row, nil)
	s.background.Go(func() {
		defer cancel()
		s.runBuild(ctx, row.ID, gen, archive)
		s.builds.mu.Lock()
		delete(s.builds.live, row.ID)
		s.builds.mu.Unlock()
		close(live.done)
	})
	return row, live, nil
}

// stopBuild cancels a build that is not over.
func (s *Server) stopBuild(id string) error {
	_, ok, err := s.builds.change(id, func(b *buildRow) error {
		if b.over() {
			return invalidRequest("build is already %s", b.Status)
		}
		b.end(buildCancelled, "")
		return nil
	})
	switch {
	case !ok:
		// Not the 404 of every other route: this is how the service has it.
		return invalidRequest("get build: no rows in result set")
	case err != nil:
		return err
	}
	s.builds.mu.Lock()
	defer s.builds.mu.Unlock()
	if live := s.builds.live[id]; live != nil {
		live.cancel()
	}
	return nil
}
