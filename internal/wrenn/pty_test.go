package wrenn

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

const ptyStarted = `{"type":"started","tag":"pty-0a1b2c3d","pid":42}`

// terminal is a server's script that keeps the first message and then says its frames and stays, as the service does,
// until the client leaves.
func terminal(heard chan<- string, frames ...string) func(context.Context, *websocket.Conn) {
	return func(ctx context.Context, conn *websocket.Conn) {
		_, first, err := conn.Read(ctx)
		if err != nil {
			close(heard)
			return
		}
		heard <- string(first)
		sayAndListen(heard, frames...)(ctx, conn)
	}
}

func ptyEvents(p *Pty) (events []PtyEvent, err error) {
	for event, e := range p.Events() {
		if e != nil {
			return events, e
		}
		events = append(events, event)
	}
	return events, nil
}

func TestPty(t *testing.T) {
	heard := make(chan string, 16)
	h := upgrading(t, "/pty", terminal(heard, ptyStarted, `{"type":"ping"}`, `{"type":"output","data":"4oLi"}`,
		`{"type":"error","data":"a warning"}`, `{"type":"exit","exit_code":-1}`))
	p, err := h.OpenPty(t.Context(), PtyRequest{Cmd: "sh", Args: []string{"-i"}, Cols: 100, Rows: 30, Env: map[string]string{"A": "b"}, Dir: "/tmp"})
	if err != nil {
		t.Fatal(err)
	}
	if p.PID() != 42 || p.Tag() != "pty-0a1b2c3d" {
		t.Errorf("pid %d, tag %q", p.PID(), p.Tag())
	}
	ctx := t.Context()
	for _, err := range []error{p.Input(ctx, []byte("ls\n")), p.Resize(ctx, 80, 24), p.Kill(ctx)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	events, err := ptyEvents(p)
	want := []PtyEvent{
		{Type: PtyStarted, PID: 42, Tag: "pty-0a1b2c3d"},
		{Type: PtyOutput, Data: []byte("\xe2\x82\xe2")},
		{Type: PtyError, Text: "a warning"},
		{Type: PtyExit, ExitCode: -1},
	}
	if diff := cmp.Diff(want, events); diff != "" || err != nil {
		t.Errorf("ended with %v, events differ (-want +got):\n%s", err, diff)
	}
	// The server waits for the client to leave: this ends only since it does.
	if diff := cmp.Diff([]string{
		`{"args":["-i"],"cmd":"sh","cols":100,"cwd":"/tmp","envs":{"A":"b"},"rows":30,"type":"start"}`,
		`{"data":"bHMK","type":"input"}`, `{"cols":80,"rows":24,"type":"resize"}`, `{"type":"kill"}`,
	}, slices.Collect(drain(heard))); diff != "" {
		t.Errorf("messages differ (-want +got):\n%s", diff)
	}
	if _, err := ptyEvents(p); !errors.Is(err, ErrStreamLost) {
		t.Errorf("a second reading ends with %v", err)
	}
}

func drain(messages <-chan string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for message := range messages {
			if !yield(message) {
				return
			}
		}
	}
}

func TestPtyInputIsCutIntoPieces(t *testing.T) {
	heard := make(chan string, 16)
	p, err := upgrading(t, "/pty", terminal(heard, ptyStarted)).OpenPty(t.Context(), PtyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Input(t.Context(), []byte(strings.Repeat("x", 2*maxPtyInput+1))); err != nil {
		t.Fatal(err)
	}
	if err := p.Resize(t.Context(), 0, 1); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("error is %v", err)
	}
	<-heard
	for range 3 {
		if message := <-heard; len(message) > 2*maxPtyInput {
			t.Errorf("a piece of %d bytes", len(message))
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if message, more := <-heard; more {
		t.Errorf("heard %s", message)
	}
}

func TestPtyThatDoesNotStart(t *testing.T) {
	for name, tc := range map[string]struct {
		frames []string
		kind   error
	}{
		"refused":      {[]string{`{"type":"error","data":"sandbox not found","fatal":true}`}, ErrStreamRefused},
		"output first": {[]string{`{"type":"output","data":""}`}, ErrInvalidResponse},
		"no tag":       {[]string{`{"type":"started","pid":1}`}, ErrInvalidResponse},
		"pid 0":        {[]string{`{"type":"started","tag":"t","pid":0}`}, ErrInvalidResponse},
		"garbage":      {[]string{`null`}, ErrInvalidResponse},
		"nothing":      {nil, ErrStreamLost}, // As for a working directory that is not there.
	} {
		t.Run(name, func(t *testing.T) {
			h := upgrading(t, "/pty", func(ctx context.Context, conn *websocket.Conn) {
				if _, _, err := conn.Read(ctx); err == nil {
					say(tc.frames...)(ctx, conn)
				}
			})
			_, err := h.OpenPty(t.Context(), PtyRequest{})
			if e := asError(t, err); !errors.Is(e, tc.kind) || !e.Ambiguous || IsRefusal(e) {
				t.Fatalf("error is %+v", e)
			}
		})
	}
}

func TestConnectPty(t *testing.T) {
	const idle = `{"type":"error","data":"timeout awaiting response headers"}`
	output := PtyEvent{Type: PtyOutput, Data: []byte("a")}
	for name, tc := range map[string]struct {
		frames []string
		want   []PtyEvent
		lost   bool
	}{
		"to the end":    {[]string{`{"type":"output","data":"YQ=="}`, `{"type":"exit","exit_code":0}`}, []PtyEvent{output, {Type: PtyExit}}, false},
		"an idle one":   {[]string{`{"type":"ping"}`, idle}, []PtyEvent{{Type: PtyError, Text: "timeout awaiting response headers"}}, true},
		"a later error": {[]string{`{"type":"output","data":"YQ=="}`, `{"type":"error"}`, `{"type":"exit","exit_code":3}`}, []PtyEvent{output, {Type: PtyError}, {Type: PtyExit, ExitCode: 3}}, false},
		"a fatal error": {[]string{`{"type":"output","data":"YQ=="}`, `{"type":"error","fatal":true}`}, []PtyEvent{output, {Type: PtyError, Fatal: true}}, true},
		"not base64":    {[]string{`{"type":"output","data":"%"}`}, nil, true},
		"no exit code":  {[]string{`{"type":"exit"}`}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan string, 16)
			p, err := upgrading(t, "/pty", terminal(heard, tc.frames...)).ConnectPty(t.Context(), "pty-0a1b2c3d")
			if err != nil {
				t.Fatal(err)
			}
			if p.Tag() != "" || p.PID() != 0 {
				t.Errorf("pid %d, tag %q", p.PID(), p.Tag())
			}
			events, err := ptyEvents(p)
			if diff := cmp.Diff(tc.want, events); diff != "" || errors.Is(err, ErrStreamLost) != tc.lost {
				t.Errorf("ended with %v, events differ (-want +got):\n%s", err, diff)
			}
			if got := <-heard; got != `{"tag":"pty-0a1b2c3d","type":"connect"}` {
				t.Errorf("heard %s", got)
			}
		})
	}
}

func TestPtyHeartbeat(t *testing.T) {
	leave := make(chan struct{})
	defer close(leave)
	h := upgrading(t, "/pty", func(ctx context.Context, conn *websocket.Conn) {
		_, _, _ = conn.Read(ctx)
		say(ptyStarted)(ctx, conn)
		<-leave
	})
	h.c.beat = heartbeat{every: 10 * time.Millisecond, within: 50 * time.Millisecond}
	p, err := h.OpenPty(t.Context(), PtyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ptyEvents(p); !errors.Is(err, ErrStreamLost) {
		t.Fatalf("error is %v", err)
	}
}
