package wrenndev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/user"
	"path"
	"strings"
	"time"
)

// keptOutput is what a log keeps of each stream of a step: its end, where the reason of
// a failure is.
const keptOutput = 64 << 10

// The limits of steps that are the server's work.
const (
	workdirLimit = 10 * time.Second
	userLimit    = 30 * time.Second
	copyLimit    = time.Minute
	unpackLimit  = 2 * time.Minute
)

// stepResult is what became of a step. One that could not be run to its end has no
// exit code: it is 0 then, as in the service, and only ok tells.
type stepResult struct {
	stdout, stderr string
	exit           int
	ok             bool
}

func failedStep(format string, args ...any) stepResult {
	return stepResult{stderr: fmt.Sprintf(format, args...)}
}

func (r stepResult) reason() string {
	if r.stderr != "" {
		return strings.TrimSpace(r.stderr)
	}
	return fmt.Sprintf("exit code %d", r.exit)
}

// phase takes one step after the other until one fails.
func (b *build) phase(ctx context.Context, name string, steps []instruction, limit time.Duration, under *conditions) error {
	for _, in := range steps {
		b.step++
		begun := time.Now()
		out := b.take(ctx, in, limit, under)
		if err := ctx.Err(); err != nil {
			return err
		}
		b.logs = append(b.logs, buildLog{
			Step: b.step, Phase: name, Cmd: in.text, Stdout: out.stdout, Stderr: out.stderr, Exit: out.exit, OK: out.ok,
			ElapsedMS: time.Since(begun).Milliseconds(),
		})
		b.update(func(r *buildRow) { r.CurrentStep, r.Logs = b.step, b.logs[:len(b.logs):len(b.logs)] })
		if !out.ok {
			return fmt.Errorf("%s step %d failed: %s", name, b.step, out.reason())
		}
	}
	return nil
}

// take takes one step.
func (b *build) take(ctx context.Context, in instruction, limit time.Duration, under *conditions) stepResult {
	switch in.kind {
	case doRun:
		if in.limit > 0 {
			limit = in.limit
		}
		return b.exec(ctx, under.command(shell(in.script)), limit)
	case doStart:
		return b.startProgram(ctx, in.script, under)
	case doEnv:
		under.env[in.name] = expand(in.value, b.vars(under))
		return stepResult{ok: true}
	case doWorkdir:
		dir := in.value
		if !path.IsAbs(dir) {
			dir = path.Join(b.workdir(under), dir)
		}
		out := b.exec(ctx, shellCommand(`mkdir -p -- "$1"`, dir), workdirLimit)
		if out.ok {
			under.dir = dir
		}
		return out
	case doUser:
		return b.becomeUser(ctx, in.name, under)
	case doCopy:
		return b.copyFiles(ctx, in.copied, under)
	}
	return failedStep("unknown instruction %q", in.kind)
}

// vars are the variables as the next command finds them.
func (b *build) vars(under *conditions) map[string]string {
	vars := maps.Clone(b.base)
	maps.Copy(vars, under.env)
	return vars
}

func (b *build) workdir(under *conditions) string {
	if under.dir != "" {
		return under.dir
	}
	return b.base["HOME"]
}

// startProgram starts a program that the template remembers.
func (b *build) startProgram(ctx context.Context, script string, under *conditions) stepResult {
	p := program{Script: script, Env: environ(under.env), Dir: under.dir, User: under.user}
	g, err := b.guest()
	if err == nil {
		err = p.start(ctx, b.s.agent, g)
	}
	if err != nil {
		return failedStep("start error: %v", err)
	}
	b.start = append(b.start, p)
	return stepResult{ok: true}
}

// becomeUser makes the user where there is none. A sandbox that is a directory has no
// users of its own: what is made there is made on the host.
func (b *build) becomeUser(ctx context.Context, name string, under *conditions) stepResult {
	if !b.s.agent.host.namespaces {
		if own, err := user.Current(); err != nil || own.Username != name {
			return failedStep("a sandbox without namespaces has only the server's own user")
		}
		return stepResult{ok: true}
	}
	const script = `id -u "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/sh "$1"`
	out := b.exec(ctx, shellCommand(script, name), userLimit)
	if out.ok {
		under.user = name
	}
	return out
}

// copyFiles copies out of the unpacked archive, and gives the copy to the user.
func (b *build) copyFiles(ctx context.Context, copied []string, under *conditions) stepResult {
	args := []string{under.user, copied[len(copied)-1]}
	for _, source := range copied[:len(copied)-1] {
		source = path.Clean(source)
		if path.IsAbs(source) || source == ".." || strings.HasPrefix(source, "../") {
			return failedStep("COPY source must be a relative path within the archive: %q", source)
		}
		args = append(args, source)
	}
	const script = `
owner=$1 target=$2; shift 2
case $target in /*) ;; *) target=$PWD/$target ;; esac
cd ` + buildFiles + ` && cp -r -- "$@" "$target" && { [ -z "$owner" ] || chown -R -- "$owner:" "$target"; }`
	copying := shellCommand(script, args...)
	copying.dir = under.dir
	return b.exec(ctx, copying, copyLimit)
}

// unpack brings the archive into the sandbox. Only there it is unpacked: what its
// names point at is the sandbox's own.
func (b *build) unpack(ctx context.Context, archive []byte) error {
	const name = "build-files.tar"
	f, err := b.s.openFile(ctx, b.id, "~/"+name, true)
	if err != nil {
		return err
	}
	err = writeTar(f, archive)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	const script = `mkdir -p ` + buildFiles + ` && tar -xof ~/` + name + ` -C ` + buildFiles + ` && rm ~/` + name
	if out := b.exec(ctx, shellCommand(script), unpackLimit); !out.ok {
		return errors.New(out.reason())
	}
	return nil
}

// exec runs a command in the sandbox of the build. What outlives its limit is not
// killed here: it fails the build, and ends with the sandbox.
func (b *build) exec(ctx context.Context, what command, limit time.Duration) stepResult {
	if b.gen == genC {
		limit = min(limit, b.s.cfg.ExecLimit)
	}
	run := &collected{done: make(chan struct{})}
	p, session, err := b.s.launch(ctx, b.id, what, run)
	if err != nil {
		return failedStep("exec error: %v", err)
	}
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	select {
	case <-run.done:
	case <-deadline.C:
		run.discard()
		if b.gen == genS {
			kill(b.s.life, p)
		}
		return failedStep("exec error: deadline_exceeded: no end after %s", limit)
	case <-session.Done():
		run.discard()
		return failedStep("exec error: unavailable: unexpected EOF")
	case <-ctx.Done():
		run.discard()
		return failedStep("exec error: %v", ctx.Err())
	}
	if run.lost {
		return failedStep("exec error: unavailable: unexpected EOF")
	}
	return stepResult{tail(run.stdout.bytes()), tail(run.stderr.bytes()), run.code, run.code == 0}
}

func tail(out []byte) string {
	out = out[max(0, len(out)-keptOutput):]
	return string(bytes.ToValidUTF8(out, []byte("\uFFFD")))
}
