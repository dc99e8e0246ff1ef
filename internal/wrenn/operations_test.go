package wrenn

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/contract"
)

var wantSandbox = &Sandbox{
	ID: testID, Status: StatusRunning, Template: "minimal", VCPUs: 1, MemoryMB: 512, TimeoutSec: -7,
	CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	LastUpdatedAt: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
}

var wantSnapshot = &Snapshot{
	Name: "snap-1", Type: "snapshot", VCPUs: 2, MemoryMB: 1024, SizeBytes: 12345678901,
	CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
}

// operation is one call, what it must send, and what it must make of the answer.
type operation struct {
	name   string
	call   func(context.Context, *Client) (any, error)
	method string
	// path is below the generation's prefix, unless it starts with /v1.
	path   string
	body   string
	status int
	answer string
	want   any
	// jwt operations take a token, anonymous ones nothing, all others an API key.
	jwt, anonymous bool
	// only is the one generation that has it.
	only Generation
	// media is the answer's type, if it is not JSON.
	media string
	// beyond: the answer is beyond the contract on purpose.
	beyond bool
}

func none(err error) (any, error) { return nil, err }

var operations = []operation{
	{
		name: "create", method: "POST", status: 201, answer: sandboxJSON, want: wantSandbox,
		body: `{"memory_mb":512,"template":"minimal","timeout_sec":-7,"vcpus":1}`,
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.Sandboxes.Create(ctx, CreateSandboxRequest{Template: "minimal", VCPUs: 1, MemoryMB: 512, TimeoutSec: -7})
		},
	},
	{
		name: "create with defaults", method: "POST", status: 201, answer: sandboxJSON, want: wantSandbox, body: `{}`,
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.Sandboxes.Create(ctx, CreateSandboxRequest{})
		},
	},
	{
		name: "get", method: "GET", path: "/" + testID, status: 200, answer: sandboxJSON, want: wantSandbox,
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandbox(testID).Get(ctx) },
	},
	{
		name: "get a status of the future", beyond: true, method: "GET", path: "/" + testID, status: 200,
		answer: `{"id":"` + testID + `","status":"dreaming","metadata":{"kernel_version":"6.1"},"later":[1]}`,
		want:   &Sandbox{ID: testID, Status: "dreaming", Metadata: map[string]string{"kernel_version": "6.1"}},
		call:   func(ctx context.Context, c *Client) (any, error) { return c.Sandbox(testID).Get(ctx) },
	},
	{
		name: "list", method: "GET", status: 200, answer: "[" + sandboxJSON + "]", want: []Sandbox{*wantSandbox},
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandboxes.List(ctx) },
	},
	{
		name: "empty list", method: "GET", status: 200, answer: "[]", want: []Sandbox{},
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandboxes.List(ctx) },
	},
	{
		name: "destroy", method: "DELETE", path: "/" + testID, status: 204,
		call: func(ctx context.Context, c *Client) (any, error) { return none(c.Sandbox(testID).Destroy(ctx)) },
	},
	{
		name: "pause", method: "POST", path: "/" + testID + "/pause", status: 200, answer: sandboxJSON, want: wantSandbox,
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandbox(testID).Pause(ctx) },
	},
	{
		name: "resume", method: "POST", path: "/" + testID + "/resume", status: 200, answer: sandboxJSON, want: wantSandbox,
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandbox(testID).Resume(ctx) },
	},
	{
		name: "ping", method: "POST", path: "/" + testID + "/ping", status: 204,
		call: func(ctx context.Context, c *Client) (any, error) { return none(c.Sandbox(testID).Ping(ctx)) },
	},
	{
		name: "exec", method: "POST", path: "/" + testID + "/exec", status: 200,
		body: `{"args":["-c","x"],"cmd":"sh","timeout_sec":2}`,
		answer: `{"sandbox_id":"` + testID + `","cmd":"sh","stdout":"out\n","stderr":"é","exit_code":-1,"duration_ms":1500,` +
			`"encoding":"utf-8"}`,
		want: &ExecResult{Stdout: []byte("out\n"), Stderr: []byte("é"), ExitCode: -1, Duration: 1500 * time.Millisecond},
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.Sandbox(testID).Exec(ctx, ExecRequest{Cmd: "sh", Args: []string{"-c", "x"}, Timeout: 1001 * time.Millisecond})
		},
	},
	{
		name: "exec with binary output", method: "POST", path: "/" + testID + "/exec", status: 200, body: `{"cmd":"true"}`,
		answer: `{"sandbox_id":"` + testID + `","cmd":"true","stdout":"/wA=","stderr":"","exit_code":127,"duration_ms":0,` +
			`"encoding":"base64"}`,
		want: &ExecResult{Stdout: []byte{0xff, 0}, Stderr: []byte{}, ExitCode: 127},
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.Sandbox(testID).Exec(ctx, ExecRequest{Cmd: "true"})
		},
	},
	{
		name: "download", method: "POST", path: "/" + testID + "/files/read", body: `{"path":"/a b"}`, status: 200,
		media: "application/octet-stream", answer: "\x00\xff", want: []byte{0, 0xff},
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandbox(testID).Download(ctx, "/a b", 2) },
	},
	{
		name: "stream download", method: "POST", path: "/" + testID + "/files/stream/read", body: `{"path":"x"}`, status: 200,
		media: "application/octet-stream", answer: "abc", want: []byte("abc"),
		call: func(ctx context.Context, c *Client) (any, error) {
			r, err := c.Sandbox(testID).StreamDownload(ctx, "x")
			if err != nil {
				return nil, err
			}
			defer func() { _ = r.Close() }()
			return io.ReadAll(r)
		},
	},
	{
		name: "metrics", method: "GET", path: "/" + testID + "/metrics?range=1h", status: 200,
		answer: `{"sandbox_id":"` + testID + `","range":"1h","points":[{"timestamp_unix":60,"cpu_pct":1.5,"mem_bytes":3,"disk_bytes":4}]}`,
		want: &Metrics{Range: Range1h, Points: []MetricPoint{
			{Time: time.Unix(60, 0).UTC(), CPUPercent: 1.5, MemoryBytes: 3, DiskBytes: 4},
		}},
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandbox(testID).Metrics(ctx, Range1h) },
	},
	{
		name: "stats", method: "GET", path: "/stats?range=1h", status: 200,
		answer: `{"range":"1h","current":{"running_count":1,"vcpus_reserved":2,"memory_mb_reserved":3},` +
			`"peaks":{"running_count":4,"vcpus":5,"memory_mb":6},"series":{"labels":["2026-01-02T03:04:05Z"],"running":[7],"vcpus":[8],"memory_mb":[9]}}`,
		want: &Stats{
			Range: Stats1h, Current: StatsSample{Running: 1, VCPUs: 2, MemoryMB: 3}, Peaks: StatsSample{Running: 4, VCPUs: 5, MemoryMB: 6},
			Series: []StatsSample{{Time: at, Running: 7, VCPUs: 8, MemoryMB: 9}},
		},
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandboxes.Stats(ctx, "") },
	},
	{
		name: "create snapshot", method: "POST", path: "/v1/snapshots", status: 201, answer: snapshotJSON, want: wantSnapshot,
		body: `{"name":"snap-1","sandbox_id":"` + testID + `"}`,
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.Snapshots.Create(ctx, CreateSnapshotRequest{SandboxID: testID, Name: "snap-1"})
		},
	},
	{
		name: "list snapshots", method: "GET", path: "/v1/snapshots", status: 200, answer: "[" + snapshotJSON + "]",
		want: []Snapshot{*wantSnapshot},
		call: func(ctx context.Context, c *Client) (any, error) { return c.Snapshots.List(ctx) },
	},
	{
		name: "delete snapshot", method: "DELETE", path: "/v1/snapshots/snap-1", status: 204,
		call: func(ctx context.Context, c *Client) (any, error) { return none(c.Snapshots.Delete(ctx, "snap-1")) },
	},
}

func TestOperations(t *testing.T) {
	terms, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range generations {
		for _, op := range slices.Concat(operations, capsuleOnly, managed) {
			if op.only != "" && op.only != g {
				continue
			}
			t.Run(string(g)+"/"+op.name, func(t *testing.T) {
				checked := terms.NewTransport(http.DefaultTransport, "/prefix", func(err error) {
					if !op.beyond {
						t.Error(err)
					}
				})
				op.run(t, g, WithHTTPClient(&http.Client{Transport: checked}))
			})
		}
	}
}

// run does an operation once against a server with a canned answer.
func (op operation) run(t *testing.T, g Generation, opts ...Option) {
	t.Helper()
	path := op.path
	if !strings.HasPrefix(path, "/v1") && path != "/health" {
		path = g.prefix() + path
	}
	var sent []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		sent = append(sent, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		op.checkHeader(t, r.Header)
		if op.media != "" {
			w.Header().Set("Content-Type", op.media)
			w.WriteHeader(op.status)
			_, _ = io.WriteString(w, op.answer)
			return
		}
		answer(w, op.status, op.answer)
	}, append(opts, WithGeneration(g), WithUserAgent("tester"))...)
	c.base.Path = "/prefix"
	if op.jwt {
		c.cred = testToken(t)
	}
	got, err := op.call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(op.want, got); diff != "" {
		t.Errorf("result differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{op.method + " /prefix" + path + " " + op.body}, sent); diff != "" {
		t.Errorf("requests differ (-want +got):\n%s", diff)
	}
}

func (op operation) checkHeader(t *testing.T, h http.Header) {
	t.Helper()
	key, token := testKey, ""
	switch {
	case op.anonymous:
		key = ""
	case op.jwt:
		key, token = "", "Bearer "+testJWT
	}
	if h.Get("X-API-Key") != key || h.Get("Authorization") != token || h.Get("User-Agent") != "tester" {
		t.Errorf("headers are %v", h)
	}
	if h.Get("Idempotency-Key") != "" {
		t.Error("an Idempotency-Key lets the transport send a POST twice")
	}
}

func TestInvalidArgumentsAreNotSent(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s %s", r.Method, r.URL) })
	for name, call := range map[string]func(context.Context) error{
		"get":     func(ctx context.Context) error { _, err := c.Sandboxes.Get(ctx, "../x"); return err },
		"destroy": func(ctx context.Context) error { return c.Sandboxes.Destroy(ctx, "") },
		"template": func(ctx context.Context) error {
			_, err := c.Sandboxes.Create(ctx, CreateSandboxRequest{Template: "/"})
			return err
		},
		"pause":        func(ctx context.Context) error { _, err := c.Sandbox("x").Pause(ctx); return err },
		"ping":         func(ctx context.Context) error { return c.Sandbox("x").Ping(ctx) },
		"exec id":      func(ctx context.Context) error { _, err := c.Sandbox("x").Exec(ctx, ExecRequest{Cmd: "a"}); return err },
		"exec nothing": func(ctx context.Context) error { _, err := c.Sandbox(testID).Exec(ctx, ExecRequest{}); return err },
		"exec negative": func(ctx context.Context) error {
			_, err := c.Sandbox(testID).Exec(ctx, ExecRequest{Cmd: "a", Timeout: -1})
			return err
		},
		"exec for ever": func(ctx context.Context) error {
			_, err := c.Sandbox(testID).Exec(ctx, ExecRequest{Cmd: "a", Timeout: 1<<63 - 1})
			return err
		},
		"stream id": func(ctx context.Context) error {
			_, err := c.Sandbox("x").ExecStream(ctx, ExecStreamRequest{Cmd: "a"})
			return err
		},
		"stream nothing": func(ctx context.Context) error {
			_, err := c.Sandbox(testID).ExecStream(ctx, ExecStreamRequest{})
			return err
		},
		"upload no path": func(ctx context.Context) error { return c.Sandbox(testID).Upload(ctx, "", nil) },
		"upload NUL":     func(ctx context.Context) error { return c.Sandbox(testID).Upload(ctx, "a\x00", nil) },
		"upload too much": func(ctx context.Context) error {
			return c.Sandbox(testID).Upload(ctx, "a", make([]byte, MaxUploadBytes+1))
		},
		"download":        func(ctx context.Context) error { _, err := c.Sandbox("x").Download(ctx, "a", 0); return err },
		"stream download": func(ctx context.Context) error { _, err := c.Sandbox(testID).StreamDownload(ctx, ""); return err },
		"metrics":         func(ctx context.Context) error { _, err := c.Sandbox("x").Metrics(ctx, ""); return err },
		"snapshot of": func(ctx context.Context) error {
			_, err := c.Snapshots.Create(ctx, CreateSnapshotRequest{})
			return err
		},
		"snapshot name": func(ctx context.Context) error {
			_, err := c.Snapshots.Create(ctx, CreateSnapshotRequest{SandboxID: testID, Name: "a/b"})
			return err
		},
		"snapshot delete": func(ctx context.Context) error { return c.Snapshots.Delete(ctx, "..") },
	} {
		t.Run(name, func(t *testing.T) {
			e := asError(t, call(t.Context()))
			if !errors.Is(e, ErrInvalidArgument) || e.Ambiguous || IsRefusal(e) {
				t.Fatalf("error is %+v", e)
			}
		})
	}
}
