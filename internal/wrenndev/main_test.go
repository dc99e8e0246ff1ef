package wrenndev

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

func TestMain(m *testing.M) {
	if beGuestProgram() {
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	pathS = "/v1/sandboxes"
	pathC = "/v1/capsules"
	// patience bounds every wait for a condition; passing tests never come near.
	patience = 20 * time.Second
)

// families are the path families with the manner of their generation.
var families = []struct{ name, base string }{{"S", pathS}, {"C", pathC}}

// complaints fails a test when the server logs an error.
type complaints struct{ t *testing.T }

func (c complaints) Write(p []byte) (int, error) {
	c.t.Errorf("server logged: %s", p)
	return len(p), nil
}

// start starts a server and checks at the end that it leaves nothing behind.
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(complaints{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := s.LiveProcesses(); n != 0 {
			t.Errorf("%d processes live on after Close", n)
		}
	})
	return s
}

// client talks to one path family with one key, or with a token.
type client struct {
	t     *testing.T
	s     *Server
	base  string
	key   string
	token string
	http  *http.Client
}

func (s *Server) client(t *testing.T, base string) *client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t: t, s: s, base: base, key: s.APIKey(), http: &http.Client{Transport: transport}}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// json decodes the body.
func (a answer) json(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
}

// code is the error code of the body, or "".
func (a answer) code() string {
	var e struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(a.body, &e) != nil {
		return ""
	}
	return e.Error.Code
}

// try sends a request; the error is the transport's.
func (c *client) try(ctx context.Context, method, path string, body any) (answer, error) {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			c.t.Error(err)
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.s.URL()+path, r)
	if err != nil {
		return answer{}, err
	}
	if c.key != "" {
		req.Header.Set("X-API-Key", c.key)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.send(req)
}

func (c *client) send(req *http.Request) (answer, error) {
	resp, err := c.http.Do(req) //nolint:gosec // to the server of the test
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, text}, err
}

func (c *client) do(method, path string, body any) answer {
	c.t.Helper()
	a, err := c.try(c.t.Context(), method, path, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// want sends a request and checks the status and, for errors, the code.
func (c *client) want(status int, code, method, path string, body any) answer {
	c.t.Helper()
	a := c.do(method, path, body)
	if a.status != status || a.code() != code {
		c.t.Fatalf("%s %s: %d %q, want %d %q; body %.300s", method, path, a.status, a.code(), status, code, a.body)
	}
	return a
}

// create makes a sandbox from a body, by default an empty one.
func (c *client) create(body ...string) string {
	c.t.Helper()
	text := "{}"
	if len(body) > 0 {
		text = body[0]
	}
	var got sandboxAnswer
	c.want(http.StatusCreated, "", http.MethodPost, c.base, text).json(c.t, &got)
	return got.ID
}

func (c *client) status(id string) string {
	c.t.Helper()
	var got sandboxAnswer
	c.want(http.StatusOK, "", http.MethodGet, c.base+"/"+id, nil).json(c.t, &got)
	return got.Status
}

func (c *client) list() []sandboxAnswer {
	c.t.Helper()
	var got []sandboxAnswer
	c.want(http.StatusOK, "", http.MethodGet, c.base, nil).json(c.t, &got)
	return got
}

// sh runs a script and returns the answer.
func (c *client) sh(id, script string) execAnswer {
	c.t.Helper()
	var got execAnswer
	c.want(http.StatusOK, "", http.MethodPost, c.base+"/"+id+"/exec",
		execRequest{Cmd: "/bin/sh", Args: []string{"-c", script}}).json(c.t, &got)
	return got
}

// wait waits until the condition holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still not: %s", what)
		}
	}
}

// counted is how far the counter in a sandbox has come, seen from outside.
func (s *Server) counted(id string) int64 {
	return size(filepath.Join(s.agent.machineDir(id), guest.RootDir, "root", "count"))
}

// size is the size of a file, 0 when there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// counter is a script that writes to $HOME/count for ever, on its own.
const counter = `( while :; do echo x >> $HOME/count; sleep 0.01; done ) > /dev/null 2>&1 &`
