package wrenn

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// These tests run cells in a real Jupyter server with real Python kernels, which each of them starts for itself and ends.
// A reverse proxy stands for the port proxy of the service.

// secondSpec is another name for Python: a second language, as far as Jupyter knows.
const secondSpec = "second"

// jupyterServer starts Debian's Jupyter server on a free port of the loopback, and returns its address when it answers.
func jupyterServer(t *testing.T) *url.URL {
	t.Helper()
	python := pythonWithJupyter(t)
	home := t.TempDir()
	spec := filepath.Join(home, "data", "kernels", secondSpec)
	if err := os.MkdirAll(spec, 0o750); err != nil {
		t.Fatal(err)
	}
	kernelJSON, err := json.Marshal(map[string]any{
		"argv": []string{python, "-m", "ipykernel_launcher", "-f", "{connection_file}"}, "display_name": "Second", "language": "python",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(spec, "kernel.json"), kernelJSON, 0o644); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	// It is ended by the cleanup, which the test's own context does not reach.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), python, "-m", "jupyter_server", "--allow-root", "--no-browser", "--ServerApp.ip=127.0.0.1",
		"--ServerApp.port="+port, "--ServerApp.port_retries=0", "--ServerApp.token=", "--ServerApp.password=",
		"--ServerApp.disable_check_xsrf=True", "--ServerApp.root_dir="+home)
	cmd.Env = append(os.Environ(), "HOME="+home, "JUPYTER_DATA_DIR="+filepath.Join(home, "data"),
		"JUPYTER_CONFIG_DIR="+filepath.Join(home, "config"), "JUPYTER_RUNTIME_DIR="+filepath.Join(home, "runtime"),
		"JUPYTER_NO_CONFIG=1", "IPYTHONDIR="+filepath.Join(home, "ipython"))
	cmd.Dir = home
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		// It ends its kernels before itself.
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
			t.Error("the Jupyter server had to be killed")
		}
		if t.Failed() {
			t.Logf("the Jupyter server said:\n%s", log.String())
		}
	})
	return &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", port)}
}

// pythonWithJupyter finds an interpreter that has what the tests need. Debian's is tried first: the one on the PATH may be
// anybody's.
func pythonWithJupyter(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.CommandContext(t.Context(), path, "-c", "import jupyter_server, ipykernel, jupyter_client").Run() == nil {
			return path
		}
	}
	t.Skip("no Python with Jupyter: install jupyter-server, python3-ipykernel and python3-jupyter-client")
	return ""
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// interpreter returns a sandbox whose port 8888 is the server at an address, behind a port proxy like that of generation
// Sandboxes.
func interpreter(t *testing.T, target *url.URL) *SandboxHandle {
	t.Helper()
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "proxy error: connection refused", http.StatusBadGateway)
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "8888-"+testID+".localhost:") {
			unknown(w)
			return
		}
		if r.Header.Get("X-API-Key") != testKey {
			refuse(w, http.StatusUnauthorized, CodeUnauthorized)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return newTestClient(t, server.URL, WithGeneration(GenerationSandboxes)).Sandbox(testID)
}

// cellResult runs a cell that must succeed.
func cellResult(t *testing.T, h *SandboxHandle, source string, opts ...CodeOption) *CodeResult {
	t.Helper()
	// A busy machine takes its time, most of all to start a server.
	r, err := h.RunCode(t.Context(), source, append([]CodeOption{WithStartTimeout(2 * time.Minute), WithCodeTimeout(2 * time.Minute)}, opts...)...)
	if err != nil {
		t.Fatalf("%q: %v, with %+v", source, err, r)
	}
	return r
}

func TestJupyter(t *testing.T) {
	server := jupyterServer(t)
	h := interpreter(t, server)
	h.c.code.settle = 3 * time.Second
	t.Run("finds the server when it is up, and keeps state", func(t *testing.T) {
		if r := cellResult(t, h, "x = 41"); r.Text != "" || r.Results != nil || r.ExecutionCount != 1 {
			t.Errorf("an assignment leaves %+v", r)
		}
		if r := cellResult(t, h, "x + 1"); r.Text != "42" || r.ExecutionCount != 2 || len(r.Results) != 1 || !r.Results[0].IsMain {
			t.Errorf("an expression leaves %+v", r)
		}
	})
	t.Run("output", func(t *testing.T) { testJupyterOutput(t, h) })
	t.Run("displays", func(t *testing.T) { testJupyterDisplays(t, h) })
	t.Run("exceptions", func(t *testing.T) { testJupyterExceptions(t, h) })
	t.Run("time", func(t *testing.T) { testJupyterTime(t, h) })
	t.Run("languages", func(t *testing.T) { testJupyterLanguages(t, h) })
	t.Run("others", func(t *testing.T) { testJupyterOthers(t, h, interpreter(t, server)) })
	t.Run("a flood", func(t *testing.T) {
		// A server drops what comes faster than it likes, but for the end of the cell.
		r := cellResult(t, h, "import sys\nfor _ in range(300):\n  sys.stdout.write('x' * 100000)\n7")
		if !r.Truncated || strings.Trim(r.Stdout, "x") != "" || r.Stderr != "" || r.Error != nil {
			t.Errorf("truncated %v, %d bytes, stderr %q, %+v", r.Truncated, len(r.Stdout), r.Stderr, r.Error)
		}
	})
	t.Run("death", func(t *testing.T) { testJupyterDeath(t, h) })
}

func testJupyterOutput(t *testing.T, h *SandboxHandle) {
	var heard, last string
	hear := func(stream string) func(string) {
		return func(text string) {
			if stream != last {
				heard += "|" + stream + ":"
			}
			heard, last = heard+text, stream
		}
	}
	r := cellResult(t, h, "import sys, time\nprint('one')\nsys.stdout.flush()\ntime.sleep(0.3)\nprint('två \\u20ac', file=sys.stderr)\n'three'",
		OnStdout(hear("out")), OnStderr(hear("err")), OnResult(func(o CodeOutput) { hear("result")(o.Text()) }))
	want := &CodeResult{
		Text: "'three'", Stdout: "one\n", Stderr: "två €\n", ExecutionCount: 3,
		Results: []CodeOutput{{IsMain: true, Data: map[string][]byte{"text/plain": []byte("'three'")}}},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("result differs (-want +got):\n%s", diff)
	}
	if heard != "|out:one\n|err:två €\n|result:'three'" {
		t.Errorf("heard %q", heard)
	}
}

// pixel is a PNG of one pixel.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

func testJupyterDisplays(t *testing.T, h *SandboxHandle) {
	png, err := base64.StdEncoding.DecodeString(pixel)
	if err != nil {
		t.Fatal(err)
	}
	r := cellResult(t, h, `import base64
from IPython.display import *
display(Image(data=base64.b64decode("`+pixel+`")))
display(HTML("<b>x</b>"), metadata={"text/html": {"isolated": True}})
display({"text/markdown": "*x*", "text/latex": "$x$", "image/svg+xml": "<svg/>", "application/javascript": "x()",
    "application/json": {"x": [1]}, "application/vnd.plotly.v1+json": {"data": []}, "text/x-own": "own"}, raw=True)
h = display(HTML("old"), display_id="d")
h.update(HTML("new"))`)
	if len(r.Results) != 4 {
		t.Fatalf("results are %+v", r.Results)
	}
	if got := r.Results[0]; !bytes.Equal(got.PNG(), png) || got.IsMain {
		t.Errorf("picture is %+v", got)
	}
	rich := r.Results[2]
	for what, pair := range map[string][2]string{
		"HTML": {r.Results[1].HTML(), "<b>x</b>"}, "Markdown": {rich.Markdown(), "*x*"}, "LaTeX": {rich.LaTeX(), "$x$"},
		"SVG": {rich.SVG(), "<svg/>"}, "JavaScript": {rich.JavaScript(), "x()"}, "own": {string(rich.Data["text/x-own"]), "own"},
		"plotly":  {string(rich.Data["application/vnd.plotly.v1+json"]), `{"data": []}`},
		"JSON":    {string(rich.JSON()), `{"x": [1]}`},
		"updated": {r.Results[3].HTML(), "new"}, "its id": {r.Results[3].DisplayID, "d"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	r = cellResult(t, h, "for i in range(50):\n  clear_output(wait=True)\n  print(i)\n  display(i)")
	if r.Stdout != "49\n" || len(r.Results) != 1 || r.Results[0].Text() != "49" {
		t.Errorf("what is left is %+v", r)
	}
}

func testJupyterExceptions(t *testing.T, h *SandboxHandle) {
	for source, want := range map[string]CodeError{
		"print('before')\n1/0":          {Name: "ZeroDivisionError", Value: "division by zero"},
		"print('before');raise OSError": {Name: "OSError"},
		"print('before')\ninput('?')":   {Name: "StdinNotImplementedError", Value: "raw_input was called, but this frontend does not support input requests."},
	} {
		var told []CodeError
		r := cellResult(t, h, source, OnError(func(e CodeError) { told = append(told, e) }))
		if r.Error == nil || r.Error.Name != want.Name || r.Error.Value != want.Value || r.Stdout != "before\n" {
			t.Errorf("%q leaves %+v, %+v", source, r, r.Error)
			continue
		}
		if trace := strings.Join(r.Error.Traceback, "\n"); !strings.Contains(trace, want.Name) {
			t.Errorf("%q has the traceback %q", source, trace)
		}
		if len(told) != 1 || told[0].Name != want.Name {
			t.Errorf("%q told %+v", source, told)
		}
	}
	if r := cellResult(t, h, "def"); r.Error == nil || r.Error.Name != "SyntaxError" {
		t.Errorf("bad syntax leaves %+v", r)
	}
}

func testJupyterTime(t *testing.T, h *SandboxHandle) {
	const long = "import time\nprint('begun', flush=True)\ntime.sleep(100)"
	r, err := h.RunCode(t.Context(), long, WithCodeTimeout(5*time.Second))
	if e := asError(t, err); !errors.Is(e, ErrTimeout) || errors.Is(e, ErrNotStopped) || !e.Ambiguous {
		t.Fatalf("error is %+v", e)
	}
	if r == nil || r.Stdout != "begun\n" || r.Error == nil || r.Error.Name != "KeyboardInterrupt" {
		t.Fatalf("the partial result is %+v", r)
	}
	if _, err = whenBegun(t, h, long); errors.Is(err, ErrNotStopped) {
		t.Fatalf("error is %v", err)
	}
	if r := cellResult(t, h, "x"); r.Text != "41" {
		t.Fatalf("afterwards x is %+v", r)
	}
	// One that will not be stopped goes on, and the next waits for it.
	r, err = whenBegun(t, h, `end = time.monotonic() + 8
while time.monotonic() < end:
  try:
    print("begun", flush=True)
    time.sleep(10)
  except KeyboardInterrupt:
    print("no", flush=True)
    time.sleep(max(0, end - time.monotonic()))
x = 43`)
	if !errors.Is(err, ErrNotStopped) || r.Stdout != "begun\nno\n" {
		t.Fatalf("error is %v, with %+v", err, r)
	}
	if r := cellResult(t, h, "x"); r.Text != "43" {
		t.Fatalf("afterwards x is %+v", r)
	}
}

// whenBegun runs a cell and gives it up when it has begun.
func whenBegun(t *testing.T, h *SandboxHandle, source string) (*CodeResult, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := h.RunCode(ctx, source, OnStdout(func(string) { cancel() }), WithCodeTimeout(0))
	if e := asError(t, err); !errors.Is(e, context.Canceled) || !e.Ambiguous || r == nil {
		t.Fatalf("error is %+v, with %+v", e, r)
	}
	return r, err
}

func testJupyterLanguages(t *testing.T, h *SandboxHandle) {
	if r := cellResult(t, h, "'x' in globals()", WithLanguage(secondSpec)); r.Text != "False" || r.ExecutionCount != 1 {
		t.Errorf("the second kernel says %+v", r)
	}
	cellResult(t, h, "x = 'second'", WithLanguage(secondSpec))
	if r := cellResult(t, h, "x"); r.Text != "43" {
		t.Errorf("the first kernel says %+v", r)
	}
	_, err := h.RunCode(t.Context(), "1", WithLanguage("third"))
	if e := asError(t, err); !errors.Is(e, ErrUnknownLanguage) || e.Ambiguous {
		t.Errorf("error is %+v", e)
	}
}

// testJupyterOthers has cells meet each other at the kernel: of one client, and of another one.
func testJupyterOthers(t *testing.T, h, other *SandboxHandle) {
	if r := cellResult(t, other, "n = 0\nx"); r.Text != "43" {
		t.Fatalf("another client sees %+v", r)
	}
	var wg sync.WaitGroup
	for range 4 {
		for _, h := range []*SandboxHandle{h, other} {
			wg.Go(func() {
				if r, err := h.RunCode(t.Context(), "m = n; time.sleep(0.01); n = m + 1"); err != nil || r.Error != nil {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
	}
	wg.Wait()
	if r := cellResult(t, h, "n"); r.Text != "8" {
		t.Errorf("eight cells counted to %s", r.Text)
	}
	testJupyterQueue(t, h, other)
}

// testJupyterQueue has a cell wait behind that of another client for longer than it may.
func testJupyterQueue(t *testing.T, h, other *SandboxHandle) {
	begun, release := make(chan struct{}), filepath.Join(t.TempDir(), "release")
	var wg sync.WaitGroup
	wg.Go(func() {
		r, err := other.RunCode(t.Context(), fmt.Sprintf("import os\nprint('begun', flush=True)\nwhile not os.path.exists(%q): time.sleep(0.01)\nprint('ended')", release),
			WithCodeTimeout(time.Minute), OnStdout(func(text string) {
				if strings.HasPrefix(text, "begun") {
					close(begun)
				}
			}))
		if err != nil || r.Error != nil || r.Stdout != "begun\nended\n" {
			t.Errorf("the cell of the other client was disturbed: %+v, %v", r, err)
		}
	})
	<-begun
	r, err := h.RunCode(t.Context(), "n = 100", WithCodeTimeout(time.Second))
	if e := asError(t, err); !errors.Is(e, ErrTimeout) || !errors.Is(e, ErrNotStopped) || !e.Ambiguous || r == nil {
		t.Errorf("error is %+v, with %+v", e, r)
	}
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if r := cellResult(t, h, "n"); r.Text != "100" {
		t.Errorf("the cell that waited left %s", r.Text)
	}
}

func testJupyterDeath(t *testing.T, h *SandboxHandle) {
	r, err := h.RunCode(t.Context(), "import os; os._exit(3)")
	if e := asError(t, err); !errors.Is(e, ErrKernelDied) || !e.Ambiguous || r == nil {
		t.Fatalf("error is %+v, with %+v", e, r)
	}
	if r := cellResult(t, h, "'x' in globals()"); r.Text != "False" {
		t.Errorf("the new kernel says %+v", r)
	}
	// One that was taken away is found to be gone before anything runs.
	hc, err := h.HTTPClient(t.Context(), interpreterPort)
	if err != nil {
		t.Fatal(err)
	}
	id := h.c.kernels.idOf(h.c.kernels.known[kernelKey{h.id, interpreterPort, defaultLanguage}])
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "/api/kernels/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("DELETE of the kernel answers %s", resp.Status)
	}
	if r := cellResult(t, h, "'x' in globals()"); r.Text != "False" || r.ExecutionCount != 1 {
		t.Errorf("the new kernel says %+v", r)
	}
}
