package wrenndev

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// buildFiles is where the archive of a build is unpacked, for the shell of the sandbox.
const buildFiles = `"${TMPDIR:-/tmp}/build-files"`

// The server's own steps. They run in a sandbox that may be a mere directory of the
// host: they keep to its home and its temporary directory.
var (
	preBuild  = []string{`RUN test -w "$HOME"`, `RUN mkdir -p ` + buildFiles}
	postBuild = []string{`RUN rm -rf ` + buildFiles, `RUN rm -rf "$HOME/.cache"`}
)

// The phases of a build, and how long a step of each takes at most.
const (
	phasePre, phaseRecipe, phasePost = "pre-build", "recipe", "post-build"

	recipeStepLimit = 30 * time.Second
	ownStepLimit    = 10 * time.Minute
)

// errBuildOver keeps what has ended as it ended.
var errBuildOver = errors.New("build is over")

// build is a build that runs.
type build struct {
	s     *Server
	gen   generation
	row   buildRow
	from  origin
	id    string            // of the sandbox
	base  map[string]string // the environment of the sandbox
	step  int
	logs  []buildLog
	ran   conditions // of the recipe
	start []program  // what START started
}

// conditions are those that instructions make for the following ones.
type conditions struct {
	env       map[string]string
	dir, user string
}

func (c *conditions) command(argv []string) command {
	return command{cmd: argv[0], args: argv[1:], env: c.env, dir: c.dir, user: c.user}
}

// runBuild runs a build to its end. A build whose context ends was canceled, and says
// so already, or it ends with the server, and the next one says so.
func (s *Server) runBuild(ctx context.Context, id string, gen generation, archive []byte) {
	select {
	case s.builds.slots <- struct{}{}:
		defer func() { <-s.builds.slots }()
	case <-ctx.Done():
		return
	}
	row, _, err := s.builds.change(id, func(b *buildRow) error {
		if b.over() {
			return errBuildOver
		}
		now := time.Now()
		b.Status, b.Started = buildRunning, &now
		return nil
	})
	if err != nil {
		return
	}
	b := &build{s: s, gen: gen, row: row, logs: []buildLog{}, ran: conditions{env: map[string]string{}}}
	if err := b.make(ctx, archive); err != nil && ctx.Err() == nil {
		b.update(func(r *buildRow) { r.end(buildFailed, err.Error()) })
	}
}

// update changes the row unless the build is over, which is then its end.
func (b *build) update(change func(*buildRow)) {
	_, _, _ = b.s.builds.change(b.row.ID, func(r *buildRow) error {
		if r.over() {
			return errBuildOver
		}
		change(r)
		return nil
	})
}

// make makes the template.
func (b *build) make(ctx context.Context, archive []byte) error {
	recipe, err := parseRecipe(b.row.Recipe)
	if err != nil {
		return err
	}
	var health *healthcheck
	if b.row.Healthcheck != "" {
		h, err := parseHealthcheck(b.row.Healthcheck)
		if err != nil {
			return err
		}
		health = &h
	}
	template := templateRow{Name: b.row.Name, Type: typeBase, VCPUs: b.row.VCPUs, MemoryMB: b.row.MemoryMB, Dir: newID("tpl-")}
	template.SizeBytes, err = b.inSandbox(ctx, func() (int64, error) {
		if err := b.perform(ctx, recipe, health, archive); err != nil {
			return 0, err
		}
		return b.copyTo(ctx, template.Dir)
	})
	if err != nil {
		return err
	}
	template.Boot = bootRecipe{Env: b.ran.env, User: b.ran.user}
	if health != nil {
		template.Type, template.Boot.Programs = typeSnapshot, slices.Concat(b.from.boot.Programs, b.start)
	}
	return b.publish(template)
}

// inSandbox starts the sandbox of the build, and destroys it after do.
func (b *build) inSandbox(ctx context.Context, do func() (int64, error)) (size int64, err error) {
	var ok bool
	if b.from, ok = b.s.origin(platformTeam, b.row.BaseTemplate); !ok {
		return 0, fmt.Errorf("base template %q not found", b.row.BaseTemplate)
	}
	boot := b.from.bootFor(b.gen)
	boot.User = "" // a recipe begins as root
	maps.Copy(b.ran.env, boot.Env)
	now := time.Now()
	row := b.s.rows.insert(sandboxRow{
		ID: newID(sandboxPrefix), Team: platformTeam, Status: StatusPending, Template: b.row.BaseTemplate, VCPUs: b.row.VCPUs,
		MemoryMB: b.row.MemoryMB, Created: now, LastUpdated: now, Boot: boot,
	})
	b.id = row.ID
	b.update(func(r *buildRow) { r.SandboxID = row.ID })
	defer func() {
		err = errors.Join(err, b.s.agent.destroy(row.ID))
		b.s.rows.move(row.ID, StatusStopped, nil, StatusPending, StatusRunning)
	}()
	if err := b.s.agent.create(ctx, row, b.from.dir, b.s.cfg.BootDelay); err != nil {
		b.s.rows.move(row.ID, StatusError, nil, StatusPending)
		return 0, fmt.Errorf("create sandbox failed: %w", err)
	}
	b.s.rows.move(row.ID, StatusRunning, b.s.started, StatusPending)
	b.base = b.s.agent.baseEnv(row)
	return do()
}

// perform performs the recipe, with the server's own steps around it.
func (b *build) perform(ctx context.Context, recipe []instruction, health *healthcheck, archive []byte) error {
	if len(archive) > 0 {
		if err := b.unpack(ctx, archive); err != nil {
			return fmt.Errorf("archive upload failed: %w", err)
		}
	}
	phases := []struct {
		name  string
		steps []instruction
		limit time.Duration
		under *conditions
	}{{phaseRecipe, recipe, recipeStepLimit, &b.ran}}
	if !b.row.SkipPrePost {
		pre, preErr := parseRecipe(preBuild)
		post, postErr := parseRecipe(postBuild)
		if err := errors.Join(preErr, postErr); err != nil {
			return err
		}
		own := phases[0]
		own.name, own.steps, own.limit, own.under = phasePre, pre, ownStepLimit, &conditions{}
		phases = slices.Insert(phases, 0, own)
		own.name, own.steps = phasePost, post
		phases = append(phases, own)
	}
	for _, p := range phases {
		if err := b.phase(ctx, p.name, p.steps, p.limit, p.under); err != nil {
			return err
		}
	}
	if health == nil {
		return nil
	}
	return b.waitHealthy(ctx, *health)
}

// waitHealthy runs the healthcheck until it succeeds. Without retries it has no end
// but that of the build.
func (b *build) waitHealthy(ctx context.Context, h healthcheck) error {
	begun := time.Now()
	for failures := 0; ; {
		out := b.exec(ctx, shellCommand(h.script), h.timeout)
		if out.ok || ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := b.guest(); err != nil {
			return fmt.Errorf("healthcheck failed: %w", err) // there is nothing to wait for
		}
		if time.Since(begun) >= h.startAfter {
			failures++
		}
		if h.retries > 0 && failures >= h.retries {
			return fmt.Errorf("healthcheck failed after %d retries: %s", failures, out.reason())
		}
		if err := sleep(ctx, h.interval); err != nil {
			return err
		}
	}
}

// guest is the guest of the build's sandbox, alive.
func (b *build) guest() (*guest.Guest, error) {
	m, err := b.s.agent.machine(b.id)
	if err != nil {
		return nil, err
	}
	g, _, err := m.use(true)
	if err == nil && g.Dead() {
		err = guest.ErrGone
	}
	return g, err
}

// copyTo copies what the sandbox has become. A template that has the name already
// stays, and nothing needs to be copied.
func (b *build) copyTo(ctx context.Context, dir string) (int64, error) {
	if _, taken := b.s.platformTemplate(b.row.Name); taken {
		return 0, nil
	}
	m, err := b.s.agent.machine(b.id)
	if err != nil {
		return 0, err
	}
	size, err := m.snapshot(ctx, b.s.templateDir(dir))
	if err != nil {
		return 0, fmt.Errorf("create template failed: %w", err)
	}
	return size, nil
}

// publish ends the build with success and makes the template visible, both at once,
// unless the build was canceled meanwhile. It replaces none that has the name.
func (b *build) publish(t templateRow) error {
	visible := false
	b.update(func(r *buildRow) {
		t.Created = time.Now()
		_, reserved := b.s.platformTemplate(t.Name)
		visible = !reserved && b.s.templates.add(t.Name, t, nil)
		r.end(buildSucceeded, "")
		r.DefaultUser, r.DefaultEnv = t.Boot.User, t.Boot.Env
		if r.DefaultUser == "" {
			r.DefaultUser = "root"
		}
	})
	if visible {
		return nil
	}
	return removeTree(b.s.templateDir(t.Dir))
}
