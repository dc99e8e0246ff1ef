package wrenn

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

const buildsPath = "/v1/admin/builds"

// Builds make templates of the platform, which every team sees. They are for the platform's administrators: any other
// user is IsForbidden. They take a client with a JWT; any other is ErrUnauthenticated.
type Builds struct{ c *Client }

// BuildStatus is the service's own word for the state of a build. Words that this package does not name are kept.
type BuildStatus string

// The statuses of a build.
const (
	BuildPending   BuildStatus = "pending"
	BuildRunning   BuildStatus = "running"
	BuildSucceeded BuildStatus = "success"
	BuildFailed    BuildStatus = "failed"
	BuildCancelled BuildStatus = "cancelled" //nolint:misspell // The service's word.
)

// Final reports whether the status never changes again.
func (s BuildStatus) Final() bool {
	return s == BuildSucceeded || s == BuildFailed || s == BuildCancelled
}

// Build is the making of a template.
type Build struct {
	// ID is "bld-" and 25 lowercase base36 digits.
	ID string
	// Name is that of the template.
	Name string
	// BaseTemplate is the one that it starts from.
	BaseTemplate string
	// Recipe is its instructions.
	Recipe []string
	// Healthcheck is empty for a template without a memory image.
	Healthcheck string
	// VCPUs and MemoryMB, in MiB, are the size of the sandbox that it is built in.
	VCPUs, MemoryMB int32
	// Status is the service's own word.
	Status BuildStatus
	// CurrentStep of TotalSteps, the service's own steps included.
	CurrentStep, TotalSteps int32
	// Logs has an entry for each step that was taken.
	Logs []BuildLogEntry
	// Error says, to people, why it failed.
	Error string
	// SandboxID and HostID are where it is built, empty before it runs.
	SandboxID, HostID string
	// DefaultUser and DefaultEnv are told by servers of generation Capsules.
	DefaultUser string
	// DefaultEnv is the environment of commands in sandboxes started from the template.
	DefaultEnv map[string]string
	// CreatedAt, StartedAt and CompletedAt are UTC, in whole seconds, and zero for what has not happened.
	CreatedAt, StartedAt, CompletedAt time.Time
}

// BuildLogEntry is one step of a build.
type BuildLogEntry struct {
	// Step counts from the build's first one.
	Step int32
	// Phase is "pre-build", "recipe" or "post-build".
	Phase string
	// Cmd is what was run.
	Cmd string
	// Stdout and Stderr are what it wrote.
	Stdout, Stderr string
	// ExitCode is its exit code, OK whether the build went on.
	ExitCode int32
	OK       bool
	// Elapsed has milliseconds' resolution.
	Elapsed time.Duration
}

// CreateBuildRequest says what to build.
type CreateBuildRequest struct {
	// Name is that of the template. A build with the name of one that is there succeeds and replaces nothing.
	Name string
	// BaseTemplate is the one to start from; empty means "minimal".
	BaseTemplate string
	// Recipe has RUN, START, ENV, WORKDIR, USER and COPY instructions, at least one. A bad one fails the build, not the
	// request. Servers of generation Sandboxes lose what ENV sets.
	Recipe []string
	// Healthcheck is a command; with one the template has a memory image.
	Healthcheck string
	// VCPUs, 0 meaning 1, and MemoryMB in MiB, 0 meaning 512.
	VCPUs, MemoryMB int32
	// SkipPrePost leaves out the service's own steps before and after.
	SkipPrePost bool
	// Archive holds the files that COPY takes from, at most 100 MB; servers of generation Sandboxes take none
	// (ErrUnsupported).
	Archive io.Reader
	// ArchiveName tells its format; empty means "archive.tar.gz".
	ArchiveName string
}

// Create starts a build and returns at once. Get tells how it goes.
func (b *Builds) Create(ctx context.Context, req CreateBuildRequest) (*Build, error) {
	const op = "builds.create"
	switch {
	case !ValidTemplateName(req.Name), req.BaseTemplate != "" && !ValidTemplateName(req.BaseTemplate):
		return nil, invalidArgument(op, "the template name is malformed")
	case len(req.Recipe) == 0:
		return nil, invalidArgument(op, "the recipe is empty")
	}
	config := jsonBody(api.CreateBuildRequest{
		Name: req.Name, BaseTemplate: optional(req.BaseTemplate), Recipe: req.Recipe, Healthcheck: optional(req.Healthcheck),
		Vcpus: optional(req.VCPUs), MemoryMb: optional(req.MemoryMB), SkipPrePost: optional(req.SkipPrePost),
	})
	k := call{op: op, method: http.MethodPost, path: buildsPath, want: http.StatusCreated, body: config}
	if req.Archive != nil {
		name := req.ArchiveName
		if name == "" {
			name = "archive.tar.gz"
		}
		k.body, k.form = nil, newForm(formField{"config", string(config)}, formFile{"archive", name, req.Archive})
		k.only, k.transfer, k.budget = GenerationCapsules, true, slowCallTimeout
		defer k.form.stop()
	}
	return managedFetch(ctx, b.c, k, buildOf)
}

// List returns the builds.
func (b *Builds) List(ctx context.Context) ([]Build, error) {
	return managedFetch(ctx, b.c, call{
		op: "builds.list", method: http.MethodGet, path: buildsPath, want: http.StatusOK, limit: b.c.settings.limits.ListBytes,
	}, listOf(buildOf))
}

// Get returns a build with its log.
func (b *Builds) Get(ctx context.Context, id string) (*Build, error) {
	const op = "builds.get"
	if err := prefixBuild.check(op, id); err != nil {
		return nil, err
	}
	return managedFetch(ctx, b.c, call{
		op: op, method: http.MethodGet, path: buildsPath + "/" + id, want: http.StatusOK, limit: b.c.settings.limits.ListBytes,
	}, named(id, func(b *Build) string { return b.ID }, buildOf))
}

// Cancel cancels a build. One that has ended is IsInvalidRequest.
func (b *Builds) Cancel(ctx context.Context, id string) error {
	const op = "builds.cancel"
	if err := prefixBuild.check(op, id); err != nil {
		return err
	}
	return b.c.managedDo(ctx, call{op: op, method: http.MethodPost, path: buildsPath + "/" + id + "/cancel"})
}

func buildOf(w *api.Build) (*Build, error) {
	if !prefixBuild.valid(w.ID) || w.Status == "" {
		return nil, errors.New("the answer has no valid id or no status")
	}
	logs := make([]BuildLogEntry, 0, len(w.Logs))
	for _, l := range w.Logs {
		logs = append(logs, BuildLogEntry{
			Step: l.Step, Phase: l.Phase, Cmd: l.Cmd, Stdout: l.Stdout, Stderr: l.Stderr, ExitCode: l.Exit, OK: l.Ok,
			Elapsed: time.Duration(l.ElapsedMs) * time.Millisecond,
		})
	}
	return &Build{
		ID: w.ID, Name: w.Name, BaseTemplate: w.BaseTemplate, Recipe: orEmpty(w.Recipe), Healthcheck: value(w.Healthcheck),
		VCPUs: w.Vcpus, MemoryMB: w.MemoryMb, Status: BuildStatus(w.Status), CurrentStep: w.CurrentStep,
		TotalSteps: w.TotalSteps, Logs: logs, Error: value(w.Error), SandboxID: value(w.SandboxID), HostID: value(w.HostID),
		DefaultUser: value(w.DefaultUser), DefaultEnv: w.DefaultEnv, CreatedAt: w.CreatedAt.UTC(),
		StartedAt: value(w.StartedAt).UTC(), CompletedAt: value(w.CompletedAt).UTC(),
	}, nil
}
