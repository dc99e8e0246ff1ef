package main

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var ptyChecks = []check{
	{name: "openCapsulePty", only: wrenn.GenerationCapsules, run: openPty},
	{name: "pty-request", only: wrenn.GenerationCapsules, run: ptyRequest},
	{name: "pty-kill", only: wrenn.GenerationCapsules, run: ptyKill},
	{name: "pty-bad-directory", only: wrenn.GenerationCapsules, run: ptyBadDir},
	{name: "pty-outlives-its-socket", only: wrenn.GenerationCapsules, run: ptyReconnect},
	{name: "pty-stays-open-after-exit", only: wrenn.GenerationCapsules, run: ptyAfterExit},
	{name: "pty-refusals", only: wrenn.GenerationCapsules, run: ptyRefusals},
	{name: "pty-idle-reconnect-hangs", only: wrenn.GenerationCapsules, slow: "takes a minute", run: ptyIdle},
}

// terminal is a pty whose events are read as they come.
type terminal struct {
	*wrenn.Pty

	p      *probe
	events chan wrenn.PtyEvent
	// err is how it ended, once events is closed.
	err    error
	output bytes.Buffer
	code   int
	exited bool
}

func (p *probe) terminal(pty *wrenn.Pty, err error) *terminal {
	p.ok(err)
	t := &terminal{Pty: pty, p: p, events: make(chan wrenn.PtyEvent)}
	ctx, cancel := context.WithCancel(p.ctx)
	p.later(func(context.Context) error {
		cancel()
		return pty.Close()
	})
	go func() {
		defer close(t.events)
		for event, err := range pty.Events() { //nolint:contextcheck // The stream has the context that it was opened with.
			if err != nil {
				t.err = err
				return
			}
			select {
			case t.events <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	return t
}

// until reads until something holds, and fails the check when the terminal ends first.
func (t *terminal) until(what string, holds func() bool) {
	limit := time.NewTimer(waitFor)
	defer limit.Stop()
	for !holds() {
		select {
		case event, ok := <-t.events:
			t.p.want(ok, "the terminal ends, not yet: %s; it printed %q: %v", what, t.output.String(), t.err)
			switch event.Type {
			case wrenn.PtyOutput:
				t.output.Write(event.Data)
			case wrenn.PtyExit:
				t.code, t.exited = event.ExitCode, true
			}
		case <-limit.C:
			t.p.fail("still not: %s; the terminal printed %q", what, t.output.String())
		}
	}
}

func (t *terminal) prints(text string) {
	t.until("it prints "+text, func() bool { return strings.Contains(t.output.String(), text) })
}

func (t *terminal) exits() int {
	t.until("it exits", func() bool { return t.exited })
	return t.code
}

// typed types a line; what is echoed of it never equals what it prints.
func (t *terminal) typed(line string) { t.p.ok(t.Input(t.p.ctx, []byte(line+"\n"))) }

func shell() wrenn.PtyRequest { return wrenn.PtyRequest{Cmd: "/bin/sh"} }

func openPty(p *probe) {
	h := p.sandbox()
	t := p.terminal(h.OpenPty(p.ctx, shell()))
	p.want(strings.HasPrefix(t.Tag(), "pty-") && t.PID() > 0, "the terminal is %q, pid %d", t.Tag(), t.PID())
	p.want(p.lives(h, t.PID()), "the terminal is no process of the sandbox")
	t.typed("echo one$((1+1))three; tty && stty size")
	t.prints("one2three")
	t.prints("24 80")
	p.ok(t.Resize(p.ctx, 132, 43))
	p.eventually(waitFor, "the terminal has its new size", func() bool {
		t.output.Reset()
		t.typed("stty size; echo ask$((1+1))ed")
		t.prints("ask2ed")
		return strings.Contains(t.output.String(), "43 132")
	})
	t.typed("exit 7")
	p.want(t.exits() == 7, "the terminal exits with %d", t.code)
}

func ptyRequest(p *probe) {
	h := p.sandbox()
	t := p.terminal(h.OpenPty(p.ctx, wrenn.PtyRequest{
		Cmd: "/bin/sh", Args: []string{"-c", `stty size; echo "$CONFORMANCE in $PWD as $0" x`, "name"}, Cols: 100, Rows: 30,
		Env: map[string]string{"CONFORMANCE": "set"}, Dir: "/tmp",
	}))
	t.prints("30 100")
	t.prints("set in /tmp as name x")
	p.want(t.exits() == 0, "the terminal exits with %d", t.code)
	if p.exec(h, "test", "-x", "/bin/bash").ExitCode != 0 {
		p.note("but for the default program: the guest has no bash")
		return
	}
	t = p.terminal(h.OpenPty(p.ctx, wrenn.PtyRequest{}))
	t.typed("echo shell=${BASH##*/}")
	t.prints("shell=bash")
}

func ptyKill(p *probe) {
	h := p.sandbox()
	t := p.terminal(h.OpenPty(p.ctx, shell()))
	p.ok(t.Kill(p.ctx))
	p.want(t.exits() == -1, "the killed terminal exits with %d", t.code)
}

// ptyBadDir: a directory that is not there ends the connection without a word.
func ptyBadDir(p *probe) {
	_, err := p.sandbox().OpenPty(p.ctx, wrenn.PtyRequest{Cmd: "/bin/sh", Dir: "/no/such/directory"})
	p.caused(err, wrenn.ErrStreamLost)
	p.ok(p.ctx.Err())
}

// ptyReconnect goes back to a shell that prints all the time.
func ptyReconnect(p *probe) {
	h := p.sandbox()
	t := p.terminal(h.OpenPty(p.ctx, shell()))
	tag, pid := t.Tag(), t.PID()
	t.typed("(while :; do echo tick$((1+1))tock; sleep 0.2; done) & echo $! > ticker")
	t.prints("tick2tock")
	p.ok(t.Close())
	p.want(p.lives(h, pid), "the shell ends with its socket")
	t = p.terminal(h.ConnectPty(p.ctx, tag))
	t.prints("tick2tock")
	t.typed("echo back$((1+1))again; kill $(cat ticker); exit 5")
	t.prints("back2again")
	p.want(t.exits() == 5, "the terminal exits with %d", t.code)
}

// ptyAfterExit: the server leaves the connection open.
func ptyAfterExit(p *probe) {
	h := p.sandbox()
	conn := p.dial(p.sandboxes(h.ID(), "pty"), p.withKey())
	defer func() { _ = conn.CloseNow() }()
	p.say(conn, `{"type":"start","cmd":"true"}`)
	for {
		m, err := next(p.ctx, conn)
		p.ok(err)
		if m.Type == "exit" {
			break
		}
	}
	ctx, cancel := context.WithTimeout(p.ctx, 3*time.Second)
	defer cancel()
	m, err := next(ctx, conn)
	p.want(ctx.Err() != nil, "after the exit comes %+v, %v", m, err)
}

func ptyRefusals(p *probe) {
	h := p.sandbox()
	p.turnedAway(p.send("GET", p.sandboxes("cl-x", "pty"), ""), "a malformed id", 400, wrenn.CodeInvalidRequest)
	p.saysNo(p.dial(p.sandboxes("cl-"+absent, "pty"), p.withKey()), "an unknown sandbox")
	p.ok(h.Destroy(p.ctx))
	_, err := h.OpenPty(p.ctx, shell())
	p.caused(err, wrenn.ErrStreamRefused)
}

// ptyIdle: what is typed into a terminal that was gone back to and is silent is not read, and after 45 s an error comes.
func ptyIdle(p *probe) {
	h := p.sandbox()
	t := p.terminal(h.OpenPty(p.ctx, wrenn.PtyRequest{Cmd: "/bin/sh", Args: []string{"-c", "read line; echo $line > typed; sleep 60"}}))
	tag := t.Tag()
	p.ok(t.Close())
	t = p.terminal(h.ConnectPty(p.ctx, tag))
	t.typed("text")
	begun := time.Now()
	for range t.events {
	}
	p.caused(t.err, wrenn.ErrStreamLost)
	p.want(time.Since(begun) > 30*time.Second, "lost after %s", time.Since(begun))
	p.sh(h, "test ! -s typed")
}
