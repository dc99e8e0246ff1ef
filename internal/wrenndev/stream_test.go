package wrenndev

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// dial opens a stream; header replaces the API key where it is not nil.
func (c *client) dial(id string, header http.Header) (*websocket.Conn, *http.Response, error) {
	c.t.Helper()
	return c.upgrade("/"+id+"/exec/stream", header)
}

func (c *client) upgrade(path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	c.t.Helper()
	if header == nil {
		header = http.Header{"X-Api-Key": {c.key}}
	}
	sock, resp, err := websocket.Dial(c.t.Context(), c.s.URL()+c.base+path,
		&websocket.DialOptions{HTTPClient: c.http, HTTPHeader: header})
	if err != nil {
		return nil, resp, err
	}
	sock.SetReadLimit(-1)
	c.t.Cleanup(func() { _ = sock.CloseNow() })
	return sock, resp, nil
}

// socket upgrades a route, with the messages that it begins with.
func (c *client) socket(path string, messages ...any) *websocket.Conn {
	c.t.Helper()
	sock, _, err := c.upgrade(path, nil) //nolint:bodyclose // there is none after an upgrade
	if err != nil {
		c.t.Fatal(err)
	}
	for _, msg := range messages {
		c.send1(sock, msg)
	}
	return sock
}

// stream opens a stream and starts a script on it.
func (c *client) stream(id, script string) *websocket.Conn {
	c.t.Helper()
	return c.socket("/"+id+"/exec/stream", map[string]any{"type": "start", "cmd": "/bin/sh", "args": []string{"-c", script}})
}

func (c *client) send1(sock *websocket.Conn, msg any) {
	c.t.Helper()
	text, err := json.Marshal(msg)
	if err == nil {
		err = sock.Write(c.t.Context(), websocket.MessageText, text)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

type event struct {
	Type     string
	Tag      string
	Pid      int
	Data     string
	Fatal    bool
	ExitCode *int `json:"exit_code"`
}

// next reads one event; the error is how the socket ended.
func next(ctx context.Context, t *testing.T, sock *websocket.Conn) (event, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	kind, text, err := sock.Read(ctx)
	if err != nil {
		return event{}, err
	}
	if kind != websocket.MessageText {
		t.Errorf("frame of type %v", kind)
	}
	var ev event
	if err := json.Unmarshal(text, &ev); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return ev, nil
}

// transcript is a whole stream.
type transcript struct {
	types          []string // without repeats of stdout and stderr
	stdout, stderr string
	exit           *int
	failure        string
	chunk          int // the largest
	end            error
}

func read(t *testing.T, sock *websocket.Conn) transcript {
	t.Helper()
	var got transcript
	for {
		ev, err := next(t.Context(), t, sock)
		if err != nil {
			got.end = err
			_ = sock.CloseNow() // the library leaves that to its user
			return got
		}
		if len(got.types) == 0 || got.types[len(got.types)-1] != ev.Type {
			got.types = append(got.types, ev.Type)
		}
		switch ev.Type {
		case "stdout":
			got.stdout += ev.Data
			got.chunk = max(got.chunk, len(ev.Data))
		case "stderr":
			got.stderr += ev.Data
		case "exit":
			got.exit = ev.ExitCode
		case "error":
			got.failure = ev.Data
		case "start":
			if ev.Pid <= 0 {
				t.Errorf("pid %d", ev.Pid)
			}
		}
	}
}

// abrupt fails unless the TCP connection ended without a close frame.
func (got transcript) abrupt(t *testing.T) {
	t.Helper()
	if status := websocket.CloseStatus(got.end); status != -1 || !errors.Is(got.end, io.EOF) {
		t.Errorf("the stream ended with %v (close frame %d)", got.end, status)
	}
}

func TestStreamRunsToItsExit(t *testing.T) {
	s := start(t, Config{})
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			c := s.client(t, f.base)
			id := c.create()
			for script, want := range map[string]struct {
				types          []string
				stdout, stderr string
				exit           int
			}{
				"echo a; exit 7":           {[]string{"start", "stdout", "exit"}, "a\n", "", 7},
				"echo b >&2":               {[]string{"start", "stderr", "exit"}, "", "b\n", 0},
				"true":                     {[]string{"start", "exit"}, "", "", 0},
				"kill -9 $$":               {[]string{"start", "exit"}, "", "", -1},
				"(sleep 0.2; echo late) &": {[]string{"start", "stdout", "exit"}, "late\n", "", 0},
				"head -c 300000 /dev/zero": {[]string{"start", "stdout", "exit"}, strings.Repeat("\x00", 300000), "", 0},
				`printf '<&>\342\202\254'`: {[]string{"start", "stdout", "exit"}, "<&>€", "", 0},
				`printf 'a\377b'`:          {[]string{"start", "stdout", "exit"}, "a\ufffdb", "", 0},
				`printf '\342\202'; sleep 0.2; printf '\254'`: {[]string{"start", "stdout", "exit"}, "\ufffd\ufffd\ufffd", "", 0},
			} {
				got := read(t, c.stream(id, script))
				got.abrupt(t)
				if got.exit == nil || *got.exit != want.exit || got.stdout != want.stdout || got.stderr != want.stderr {
					t.Errorf("%s: exit %v stdout %.80q stderr %q", script, got.exit, got.stdout, got.stderr)
				}
				if diff := cmp.Diff(want.types, got.types); diff != "" {
					t.Errorf("%s: %s", script, diff)
				}
				if got.chunk > streamChunk {
					t.Errorf("%s: chunk of %d bytes", script, got.chunk)
				}
			}
		})
	}
}

func TestStreamRefusalsBeforeTheUpgradeOnS(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour})
	c := s.client(t, pathS)
	id, paused := c.create(), c.create()
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+paused+"/pause", nil)
	for _, tt := range []struct {
		name, id string
		header   http.Header
		status   int
	}{
		{"no credentials", id, http.Header{}, 401},
		{"unknown", unknownID, nil, 404},
		{"malformed", "x", nil, 400},
		{"paused", paused, nil, 409},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, resp, err := s.client(t, pathS).dial(tt.id, tt.header)
			if err == nil || resp == nil || resp.StatusCode != tt.status {
				t.Fatalf("%v, %v", resp, err)
			}
			_ = resp.Body.Close()
		})
	}
}

func TestStreamRefusalsAfterTheUpgradeOnC(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour, AuthWait: 200 * time.Millisecond})
	c := s.client(t, pathC)
	id, paused := c.create(), c.create()
	c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+paused+"/pause", nil)
	for _, tt := range []struct {
		name, id string
		header   http.Header
		first    map[string]any
		want     string
	}{
		{"nothing within the wait", id, http.Header{}, nil, "authentication failed"},
		{"a bad key falls into the wait", id, http.Header{"X-Api-Key": {"wrn_bad"}}, nil, "authentication failed"},
		{"an API key is no token", id, http.Header{}, map[string]any{"type": "auth", "token": s.APIKey()}, "authentication failed"},
		{"start instead of auth", id, http.Header{}, map[string]any{"type": "start", "cmd": "true"}, "authentication failed"},
		{"unknown", unknownID, nil, nil, "sandbox not found"},
		{"paused", paused, nil, nil, "sandbox is not running (status: paused)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.client(t, pathC)
			sock, _, err := c.dial(tt.id, tt.header) //nolint:bodyclose // there is none after an upgrade
			if err != nil {
				t.Fatal(err)
			}
			if tt.first != nil {
				c.send1(sock, tt.first)
			}
			got := read(t, sock)
			got.abrupt(t)
			if diff := cmp.Diff([]string{"error"}, got.types); diff != "" || got.failure != tt.want {
				t.Errorf("%s %q", diff, got.failure)
			}
		})
	}
}

func TestStreamByAuthMessageOnC(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathC)
	sock, _, err := c.dial(c.create(), http.Header{}) //nolint:bodyclose // there is none after an upgrade
	if err != nil {
		t.Fatal(err)
	}
	c.send1(sock, map[string]any{"type": "auth", "token": s.Token()})
	c.send1(sock, map[string]any{"type": "start", "cmd": "echo", "args": []string{"hi"}})
	if got := read(t, sock); got.stdout != "hi\n" || got.exit == nil {
		t.Errorf("%+v", got)
	}
}

func TestStreamWithAWrongFirstMessage(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	id := c.create()
	for _, first := range []any{"text", map[string]any{"type": "stop"}, map[string]any{"type": "start"}} {
		sock, _, err := c.dial(id, nil) //nolint:bodyclose // there is none after an upgrade
		if err != nil {
			t.Fatal(err)
		}
		c.send1(sock, first)
		got := read(t, sock)
		got.abrupt(t)
		if diff := cmp.Diff([]string{"error"}, got.types); diff != "" {
			t.Error(diff)
		}
	}
}

func TestLeavingAStreamDoesNotEndTheCommand(t *testing.T) {
	s := start(t, Config{})
	for name, leave := range map[string]func(*client, *websocket.Conn){
		"stop": func(c *client, sock *websocket.Conn) {
			c.send1(sock, map[string]any{"type": "stop"})
			for {
				ev, err := next(c.t.Context(), c.t, sock)
				if err != nil {
					(transcript{end: err}).abrupt(c.t)
					return
				}
				if ev.Type == "exit" || ev.Type == "error" {
					c.t.Errorf("event %s after stop", ev.Type)
				}
			}
		},
		"close": func(c *client, sock *websocket.Conn) {
			// The server answers a close frame with the same code.
			if err := sock.Close(websocket.StatusNormalClosure, ""); err != nil {
				c.t.Errorf("close: %v", err)
			}
		},
		"abort": func(_ *client, sock *websocket.Conn) { _ = sock.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			c := s.client(t, pathS)
			id := c.create()
			sock := c.stream(id, `touch started; while ! [ -e go ]; do echo tick; sleep 0.01; done; yes | head -c 1000000; touch finished`)
			if _, err := next(t.Context(), t, sock); err != nil {
				t.Fatal(err)
			}
			leave(c, sock)
			c.sh(id, "touch go")
			wait(t, "the command finished", func() bool { return c.sh(id, "test -e finished").ExitCode == 0 })
		})
	}
}

func TestStreamEndsSilentlyWithTheSandbox(t *testing.T) {
	s := start(t, Config{})
	for name, end := range map[string]func(*client, string){
		"pause":   func(c *client, id string) { c.want(200, "", http.MethodPost, c.base+"/"+id+"/pause", nil) },
		"destroy": func(c *client, id string) { c.want(204, "", http.MethodDelete, c.base+"/"+id, nil) },
		"death": func(c *client, id string) {
			if err := c.s.Kill(id); err != nil {
				c.t.Error(err)
			}
		},
	} {
		for _, f := range families {
			t.Run(name+" "+f.name, func(t *testing.T) {
				c := s.client(t, f.base)
				id := c.create()
				sock := c.stream(id, "sleep 1000")
				if ev, err := next(t.Context(), t, sock); err != nil || ev.Type != "start" {
					t.Fatal(ev, err)
				}
				end(c, id)
				got := read(t, sock)
				got.abrupt(t)
				if len(got.types) > 0 {
					t.Errorf("events %v", got.types)
				}
			})
		}
	}
}

func TestCommandOfAPausedStreamGoesOnAfterResume(t *testing.T) {
	c := start(t, Config{}).client(t, pathS)
	id := c.create()
	sock := c.stream(id, `while ! [ -e go ]; do echo tick; sleep 0.01; done; touch finished`)
	if _, err := next(t.Context(), t, sock); err != nil {
		t.Fatal(err)
	}
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/pause", nil)
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/resume", nil)
	c.sh(id, "touch go")
	wait(t, "it finished", func() bool { return c.sh(id, "test -e finished").ExitCode == 0 })
}

func TestStreamIsCutAtItsLimit(t *testing.T) {
	s := start(t, Config{StreamLimit: 300 * time.Millisecond})
	c := s.client(t, pathS)
	id := c.create()
	got := read(t, c.stream(id, `echo a; while ! [ -e go ]; do sleep 0.01; done; touch finished`))
	got.abrupt(t)
	if diff := cmp.Diff([]string{"start", "stdout", "error"}, got.types); diff != "" {
		t.Error(diff)
	}
	c.sh(id, "touch go")
	wait(t, "the command finished", func() bool { return c.sh(id, "test -e finished").ExitCode == 0 })
}
