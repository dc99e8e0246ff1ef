package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var streamChecks = []check{
	{name: "streamExecSandbox", run: streamExec},
	{name: "stream-refusals", only: wrenn.GenerationSandboxes, run: streamRefusedInHTTP},
	{name: "stream-refusals", only: wrenn.GenerationCapsules, run: streamRefusedInEvents},
	{name: "stream-first-message", run: streamFirstMessage},
	{name: "stream-auth-message", only: wrenn.GenerationCapsules, token: true, run: streamAuthMessage},
	{name: "stream-has-no-close-frame", run: streamNoCloseFrame},
	{name: "stream-replaces-bytes", run: streamReplacesBytes},
	{name: "stream-ignores-timeout-and-env", run: streamIgnores},
	{name: "stream-stop-kills-nothing", run: func(p *probe) { streamLeft(p, func(s *wrenn.ExecStream) { p.ok(s.Stop(p.ctx)) }) }},
	{name: "stream-close-kills-nothing", run: func(p *probe) { streamLeft(p, func(s *wrenn.ExecStream) { p.ok(s.Close()) }) }},
	{name: "stream-cut-by-pause", run: func(p *probe) { streamCut(p, pause) }},
	{name: "stream-cut-by-destroy", run: func(p *probe) { streamCut(p, (*wrenn.SandboxHandle).Destroy) }},
	{name: "stream-10-minute-limit", slow: "takes ten minutes", limit: 12 * time.Minute, run: streamLimit},
}

// settle begins scripts whose first bytes count: the newest guest daemon can lose those of a command that has them at once.
const settle = "sleep 0.3; "

// followed is all that a stream told.
type followed struct {
	stdout, stderr string
	code           int
	// events are all in order; err is what ended them if it was no exit.
	events []wrenn.StreamEvent
	err    error
}

func (p *probe) stream(h *wrenn.SandboxHandle, cmd string, args ...string) *wrenn.ExecStream {
	s, err := h.ExecStream(p.ctx, wrenn.ExecStreamRequest{Cmd: cmd, Args: args})
	p.ok(err)
	p.later(func(context.Context) error { return s.Close() })
	return s
}

func follow(s *wrenn.ExecStream) followed {
	var f followed
	for event, err := range s.Events() {
		if err != nil {
			f.err = err
			break
		}
		f.events = append(f.events, event)
		switch event.Type {
		case wrenn.StreamStdout:
			f.stdout += event.Data
		case wrenn.StreamStderr:
			f.stderr += event.Data
		case wrenn.StreamExit:
			f.code = event.ExitCode
		}
	}
	return f
}

func streamExec(p *probe) {
	h := p.sandbox()
	s := p.stream(h, "/bin/sh", "-c", settle+`echo "out $1"; echo err >&2; exit 3`, "sh", "a b")
	p.want(s.PID() > 0, "the pid is %d", s.PID())
	got := follow(s)
	p.ok(got.err)
	p.want(got.stdout == "out a b\n" && got.stderr == "err\n" && got.code == 3, "got %+v", got)
	p.want(got.events[0].Type == wrenn.StreamStart && got.events[len(got.events)-1].Type == wrenn.StreamExit, "the events are %+v", got.events)
	got = follow(p.stream(h, "no-such-command"))
	p.ok(got.err)
	p.want(got.code == 127, "a missing command exits with %d", got.code)
	got = follow(p.stream(h, "/bin/sh", "-c", "kill -9 $$"))
	p.ok(got.err)
	p.want(got.code == -1, "a killed command exits with %d", got.code)
	got = follow(p.stream(h, "head", "-c", "1000000", "/dev/zero"))
	p.ok(got.err)
	p.want(len(got.stdout) == 1000000, "%d bytes came of 1000000", len(got.stdout))
}

// streamRefusedInHTTP: generation Sandboxes looks at everything before it upgrades.
func streamRefusedInHTTP(p *probe) {
	h := p.sandbox()
	get := func(id string, header http.Header) answer {
		return p.raw(request{method: http.MethodGet, path: p.sandboxes(id, "exec", "stream"), header: header})
	}
	p.turnedAway(get(h.ID(), nil), "no credential", 401, wrenn.CodeUnauthorized)
	p.turnedAway(get("cl-x", p.withKey()), "a malformed id", 400, wrenn.CodeInvalidRequest)
	p.turnedAway(get("cl-"+absent, p.withKey()), "an unknown sandbox", 404, wrenn.CodeNotFound)
	_, err := p.c.Sandbox("cl-"+absent).ExecStream(p.ctx, wrenn.ExecStreamRequest{Cmd: "true"})
	p.refused(err, "a stream of an unknown sandbox", wrenn.CodeNotFound)
	p.ok(h.Destroy(p.ctx))
	_, err = h.ExecStream(p.ctx, wrenn.ExecStreamRequest{Cmd: "true"})
	p.refused(err, "a stream of a destroyed sandbox", wrenn.CodeInvalidState)
}

// streamRefusedInEvents: generation Capsules upgrades whatever has a sandbox's id, and then says no.
func streamRefusedInEvents(p *probe) {
	h := p.sandbox()
	p.turnedAway(p.send("GET", p.sandboxes("cl-x", "exec", "stream"), ""), "a malformed id", 400, wrenn.CodeInvalidRequest)
	bad := http.Header{"X-Api-Key": {"wrn_" + strings.Repeat("0", 32)}}
	for what, conn := range map[string]*websocket.Conn{
		"a bad key":          p.dial(p.sandboxes(h.ID(), "exec", "stream"), bad),
		"an unknown sandbox": p.dial(p.sandboxes("cl-"+absent, "exec", "stream"), p.withKey()),
	} {
		p.saysNo(conn, what)
	}
	_, err := p.c.Sandbox("cl-"+absent).ExecStream(p.ctx, wrenn.ExecStreamRequest{Cmd: "true"})
	p.caused(err, wrenn.ErrStreamRefused)
	p.ok(h.Destroy(p.ctx))
	_, err = h.ExecStream(p.ctx, wrenn.ExecStreamRequest{Cmd: "true"})
	p.caused(err, wrenn.ErrStreamRefused)
}

// saysNo fails the check unless a connection brings one error event and then ends.
func (p *probe) saysNo(conn *websocket.Conn, what string) {
	defer func() { _ = conn.CloseNow() }()
	said, _ := p.hear(conn)
	p.want(len(said) == 1 && said[0].Type == "error" && said[0].Data != "", "%s is answered with %+v", what, said)
}

func streamFirstMessage(p *probe) {
	h := p.sandbox()
	for _, text := range []string{`{"type":"begin","cmd":"true"}`, `{"type":"start"}`, `{"type":"stop"}`} {
		conn := p.dial(p.sandboxes(h.ID(), "exec", "stream"), p.withKey())
		p.say(conn, text)
		p.saysNo(conn, text)
	}
}

// streamAuthMessage: a token can come in the first message, and an API key cannot.
func streamAuthMessage(p *probe) {
	c := p.newCrew()
	h := c.Sandbox(p.create(c.Client, wrenn.CreateSandboxRequest{}).ID)
	conn := p.dial(p.sandboxes(h.ID(), "exec", "stream"), nil)
	defer func() { _ = conn.CloseNow() }()
	p.say(conn, `{"type":"auth","token":"`+c.session.Token.Reveal()+`"}`)
	p.say(conn, `{"type":"start","cmd":"/bin/sh","args":["-c","`+settle+`echo in"]}`)
	said, _ := p.hear(conn)
	p.want(len(said) == 3 && said[0].Type == "start" && said[1].Data == "in\n" && said[2].Type == "exit", "a token is answered with %+v", said)
	conn = p.dial(p.sandboxes(h.ID(), "exec", "stream"), nil)
	p.say(conn, `{"type":"auth","token":"`+p.key+`"}`)
	p.saysNo(conn, "an API key in place of a token")
}

// streamNoCloseFrame: the server only ends the connection.
func streamNoCloseFrame(p *probe) {
	h := p.sandbox()
	conn := p.dial(p.sandboxes(h.ID(), "exec", "stream"), p.withKey())
	defer func() { _ = conn.CloseNow() }()
	p.say(conn, `{"type":"start","cmd":"true"}`)
	said, err := p.hear(conn)
	p.want(len(said) == 2 && said[1].Type == "exit" && said[1].ExitCode != nil && *said[1].ExitCode == 0, "it tells %+v", said)
	p.ok(p.ctx.Err())
	var closed websocket.CloseError
	p.want(!errors.As(err, &closed), "a close frame comes: %v", err)
}

// streamReplacesBytes: output is text, piece by piece.
func streamReplacesBytes(p *probe) {
	h := p.sandbox()
	got := follow(p.stream(h, "/bin/sh", "-c", settle+`printf 'a\377b'`))
	p.ok(got.err)
	p.want(got.stdout == "a\uFFFDb", "a byte that is no text comes as %q", got.stdout)
	got = follow(p.stream(h, "/bin/sh", "-c", settle+`printf '\342\202'; sleep 1; printf '\254'`))
	p.ok(got.err)
	p.want(got.stdout == "\uFFFD\uFFFD\uFFFD", "a character in two pieces comes as %q", got.stdout)
	got = follow(p.stream(h, "/bin/sh", "-c", settle+`printf '\342\202\254'`))
	p.ok(got.err)
	p.want(got.stdout == "€", "a character in one piece comes as %q", got.stdout)
}

func streamIgnores(p *probe) {
	h := p.sandbox()
	conn := p.dial(p.sandboxes(h.ID(), "exec", "stream"), p.withKey())
	defer func() { _ = conn.CloseNow() }()
	p.say(conn, `{"type":"start","cmd":"/bin/sh","args":["-c","sleep 3; echo \"$CONFORMANCE in $PWD\""],`+
		`"timeout_sec":1,"envs":{"CONFORMANCE":"set"},"cwd":"/tmp"}`)
	said, _ := p.hear(conn)
	p.want(len(said) == 3 && said[2].ExitCode != nil && *said[2].ExitCode == 0, "it tells %+v", said)
	p.want(strings.HasPrefix(said[1].Data, " in /") && said[1].Data != " in /tmp\n", "the command sees %q", said[1].Data)
}

// streamLeft: the stream is a view, and the command goes on without it.
func streamLeft(p *probe, leave func(*wrenn.ExecStream)) {
	h := p.sandbox()
	s := p.stream(h, "/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.2; done; touch ended")
	leave(s)
	got := follow(s)
	p.caused(got.err, wrenn.ErrStreamLost)
	p.want(wrenn.IsAmbiguous(got.err), "the loss is not called ambiguous")
	p.eventually(waitFor, "the command ends by itself", func() bool { return p.exec(h, "test", "-e", "ended").ExitCode == 0 })
}

// streamCut: nothing tells of the end of a stream whose sandbox is taken away.
func streamCut(p *probe, end func(*wrenn.SandboxHandle, context.Context) error) {
	h := p.sandbox()
	s := p.stream(h, "/bin/sh", "-c", "echo begun; sleep 60")
	p.ok(end(h, p.ctx))
	got := follow(s)
	p.caused(got.err, wrenn.ErrStreamLost)
	p.ok(p.ctx.Err())
	last := got.events[len(got.events)-1].Type
	p.want(last != wrenn.StreamExit && last != wrenn.StreamError, "the last event is %s", last)
}

func streamLimit(p *probe) {
	h := p.sandbox()
	begun := time.Now()
	got := follow(p.stream(h, "/bin/sh", "-c", "while :; do echo; sleep 10; done"))
	p.caused(got.err, wrenn.ErrStreamLost)
	took := time.Since(begun)
	p.want(took > 590*time.Second && took < 630*time.Second, "cut after %s", took)
	p.want(got.events[len(got.events)-1].Type == wrenn.StreamError, "no error event comes")
}
