package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var execChecks = []check{
	{name: "execSandbox", run: execSandbox},
	{name: "exec-is-no-shell", run: execIsNoShell},
	{name: "exec-environment", run: execEnvironment},
	{name: "exec-exit-codes", run: execExitCodes},
	{name: "exec-binary-output", run: execBinary},
	{name: "exec-large-output", run: execLarge},
	{name: "exec-waits-for-its-output", run: execWaits},
	{name: "exec-timeout", run: execTimeout},
	{name: "exec-state-before-body", run: execStateFirst},
	{name: "exec-cut-by-pause", run: func(p *probe) { execCut(p, pause) }},
	{name: "exec-cut-by-destroy", run: func(p *probe) { execCut(p, (*wrenn.SandboxHandle).Destroy) }},
	{name: "exec-foreground-ignores-env-and-dir", only: wrenn.GenerationCapsules, run: execForeground},
	{name: "exec-45-second-limit", only: wrenn.GenerationCapsules, slow: "takes a minute", run: execLimit},
	{name: "exec-beyond-45-seconds", only: wrenn.GenerationSandboxes, slow: "takes a minute", run: execLong},
}

func execSandbox(p *probe) {
	h := p.sandbox()
	got := p.exec(h, "/bin/sh", "-c", `echo "out $1"; echo err >&2; exit 3`, "sh", "a b")
	p.want(string(got.Stdout) == "out a b\n" && string(got.Stderr) == "err\n" && got.ExitCode == 3, "got %+v", got)
	_, err := p.c.Sandbox("cl-"+absent).Exec(p.ctx, wrenn.ExecRequest{Cmd: "true"})
	p.refused(err, "a command in an unknown sandbox", wrenn.CodeNotFound)
	p.turnedAway(p.send("POST", p.sandboxes(h.ID(), "exec"), `{"args":["a"]}`), "no command", 400, wrenn.CodeInvalidRequest)
	p.turnedAway(p.send("POST", p.sandboxes(h.ID(), "exec"), `{"cmd":`), "half a body", 400, wrenn.CodeInvalidRequest)
}

// execIsNoShell: the command is an executable, and one that is not there is no failure of the call.
func execIsNoShell(p *probe) {
	h := p.sandbox()
	for _, cmd := range []string{"echo hello", "no-such-command"} {
		got := p.exec(h, cmd)
		p.want(got.ExitCode == 127 && len(got.Stdout) == 0 && len(got.Stderr) > 0, "%q: %+v", cmd, got)
	}
	got := p.exec(h, "echo", "$HOME", ";", "exit 1")
	p.want(string(got.Stdout) == "$HOME ; exit 1\n", "the arguments came as %q", got.Stdout)
}

func execEnvironment(p *probe) {
	h := p.sandbox()
	env := strings.Split(p.sh(h, "env"), "\n")
	for _, name := range []string{"PATH", "HOME", "USER", "LOGNAME", "WRENN_SANDBOX", "WRENN_SANDBOX_ID", "WRENN_TEMPLATE_ID"} {
		p.want(slices.ContainsFunc(env, func(line string) bool { return strings.HasPrefix(line, name+"=") }), "%s is not set", name)
	}
	p.want(slices.Contains(env, "WRENN_SANDBOX_ID="+h.ID()), "WRENN_SANDBOX_ID is not the id")
	p.want(p.sh(h, `[ "$(pwd -P)" = "$(cd && pwd -P)" ] && echo home`) == "home\n", "the working directory is not the home")
	got := p.exec(h, "cat")
	p.want(got.ExitCode == 0 && len(got.Stdout) == 0, "the standard input is not empty: %+v", got)
}

func execExitCodes(p *probe) {
	h := p.sandbox()
	for script, want := range map[string]int{"exit 0": 0, "exit 255": 255, "exit 300": 44, "kill -9 $$": -1, "kill -15 $$": -1} {
		got := p.exec(h, "/bin/sh", "-c", script)
		p.want(got.ExitCode == want, "%q exits with %d, want %d", script, got.ExitCode, want)
	}
}

// execBinary: both outputs are encoded when one has to be, and a character that is cut is one that is no text.
func execBinary(p *probe) {
	h := p.sandbox()
	for script, want := range map[string][2]string{
		`printf '\377\000\200'; echo text >&2`:        {"\xff\x00\x80", "text\n"},
		`printf '\303\244'; printf '\342\202' >&2`:    {"ä", "\xe2\x82"},
		`printf '\342\202'; sleep 0.2; printf '\254'`: {"€", ""},
	} {
		got := p.exec(h, "/bin/sh", "-c", script)
		p.want(string(got.Stdout) == want[0] && string(got.Stderr) == want[1], "%q: %q, %q", script, got.Stdout, got.Stderr)
	}
}

func execLarge(p *probe) {
	h := p.sandbox()
	const size = 4 << 20
	got := p.exec(h, "/bin/sh", "-c", fmt.Sprintf(`head -c %d /dev/zero | tr '\0' x`, size))
	p.want(bytes.Equal(got.Stdout, bytes.Repeat([]byte("x"), size)), "%d bytes came back of %d, or others", len(got.Stdout), size)
}

// execWaits: the answer comes when the output is closed, whoever holds it.
func execWaits(p *probe) {
	h := p.sandbox()
	begun := time.Now()
	got := p.exec(h, "/bin/sh", "-c", "sleep 2 & echo done")
	p.want(string(got.Stdout) == "done\n" && time.Since(begun) >= 2*time.Second, "answered after %s with %q", time.Since(begun), got.Stdout)
	begun = time.Now()
	p.sh(h, "sleep 30 >/dev/null 2>&1 & echo done")
	p.want(time.Since(begun) < 30*time.Second, "it waits for what does not hold its output")
}

// execTimeout: a timeout looks like a failure of the agent and leaves no output.
func execTimeout(p *probe) {
	h := p.sandbox()
	begun := time.Now()
	_, err := h.Exec(p.ctx, wrenn.ExecRequest{Cmd: "/bin/sh", Args: []string{"-c", "echo early; exec sleep 60"}, Timeout: time.Second})
	p.refused(err, "a command that outlives its timeout", wrenn.CodeAgentError)
	p.want(wrenn.IsAmbiguous(err), "the failure is not called ambiguous")
	p.want(time.Since(begun) < 30*time.Second, "a timeout of 1 s passed after %s", time.Since(begun))
	p.is(h, wrenn.StatusRunning)
	p.sh(h, "true")
}

// execStateFirst: a sandbox that does not run is told of before a body that is none.
func execStateFirst(p *probe) {
	h := p.sandbox()
	p.ok(h.Destroy(p.ctx))
	p.turnedAway(p.send("POST", p.sandboxes(h.ID(), "exec"), `{`), "half a body to a destroyed sandbox", 409, wrenn.CodeInvalidState)
}

// execCut: a command that is under way when its sandbox is paused or destroyed is a failure of the agent.
func execCut(p *probe, end func(*wrenn.SandboxHandle, context.Context) error) {
	h := p.sandbox()
	failed := make(chan error, 1)
	go func() {
		_, err := h.Exec(p.ctx, wrenn.ExecRequest{Cmd: "/bin/sh", Args: []string{"-c", "touch begun; sleep 60"}, Timeout: 90 * time.Second})
		failed <- err
	}()
	p.eventually(waitFor, "the command runs", func() bool {
		return p.exec(h, "test", "-e", "begun").ExitCode == 0
	})
	p.ok(end(h, p.ctx))
	err := <-failed
	p.refused(err, "the command", wrenn.CodeAgentError)
	p.want(wrenn.IsAmbiguous(err), "the failure is not called ambiguous")
}

func pause(h *wrenn.SandboxHandle, ctx context.Context) error { //nolint:revive // As the method expressions beside it.
	_, err := h.Pause(ctx)
	return err
}

// execForeground: environment and directory count in the background only.
func execForeground(p *probe) {
	h := p.sandbox()
	a := p.send("POST", p.sandboxes(h.ID(), "exec"), `{"cmd":"/bin/sh","args":["-c","echo $CONFORMANCE in $PWD."],"cwd":"/tmp","envs":{"CONFORMANCE":"set"}}`)
	p.want(a.status == 200, "HTTP %d", a.status)
	var got struct{ Stdout string }
	p.ok(json.Unmarshal(a.body, &got))
	p.want(strings.HasPrefix(got.Stdout, "in /") && got.Stdout != "in /tmp.\n", "they count: %q", got.Stdout)
}

// execLimit: no command is waited for longer than 45 s, and it goes on.
func execLimit(p *probe) {
	h := p.sandbox()
	begun := time.Now()
	_, err := h.Exec(p.ctx, wrenn.ExecRequest{Cmd: "/bin/sh", Args: []string{"-c", "sleep 55; touch ended"}, Timeout: 90 * time.Second})
	p.refused(err, "a command of 55 s", wrenn.CodeAgentError)
	p.want(time.Since(begun) > 40*time.Second && time.Since(begun) < 54*time.Second, "refused after %s", time.Since(begun))
	p.eventually(waitFor, "the command ends by itself", func() bool { return p.exec(h, "test", "-e", "ended").ExitCode == 0 })
}

func execLong(p *probe) {
	got, err := p.sandbox().Exec(p.ctx, wrenn.ExecRequest{Cmd: "/bin/sh", Args: []string{"-c", "sleep 50; echo done"}, Timeout: 90 * time.Second})
	p.ok(err)
	p.want(string(got.Stdout) == "done\n", "got %+v", got)
}
