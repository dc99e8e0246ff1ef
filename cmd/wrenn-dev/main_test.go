package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asCommand makes the test binary be the command.
const asCommand = "WRENN_DEV_TEST_AS_COMMAND"

const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// command is a running wrenn-dev.
type command struct {
	*exec.Cmd
	out    *bufio.Reader
	stderr *bytes.Buffer
	url    string
}

func launch(t *testing.T, args ...string) *command {
	t.Helper()
	c := &command{Cmd: exec.CommandContext(t.Context(), os.Args[0], args...), stderr: &bytes.Buffer{}}
	c.Env = append(os.Environ(), asCommand+"=1")
	c.Stderr = c.stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	})
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("no line: %v, stderr %s", err, c.stderr)
	}
	fields := strings.Fields(line)
	if len(fields) < 3 || !strings.HasPrefix(fields[2], "http://127.0.0.1:") {
		t.Fatalf("first line %q", line)
	}
	c.url = fields[2]
	return c
}

func (c *command) post(t *testing.T, key, path, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", key)
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("%s: %d %s %v", path, resp.StatusCode, text, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// alive tells whether a process of the host has the word in its environment or
// is the supervisor of the server.
func alive(t *testing.T, word string) bool {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range dirs {
		env, err := os.ReadFile(path)
		if err == nil && bytes.Contains(env, []byte(word)) {
			return true
		}
	}
	return false
}

// busySandbox makes a sandbox in which a process runs for ever.
func busySandbox(t *testing.T, c *command, key string) (id string) {
	t.Helper()
	var made struct{ ID string }
	c.post(t, key, "/v1/sandboxes", "{}", &made)
	var run struct {
		ExitCode int `json:"exit_code"`
	}
	c.post(t, key, "/v1/sandboxes/"+made.ID+"/exec", `{"cmd":"sh","args":["-c","sleep 1000 >/dev/null 2>&1 &"]}`, &run)
	if !alive(t, "WRENN_SANDBOX_ID="+made.ID) {
		t.Fatal("nothing runs")
	}
	return made.ID
}

func TestServesUntilASignalAndLeavesNothing(t *testing.T) {
	for _, isolation := range []string{"auto", "directory"} {
		for name, end := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": os.Interrupt, "SIGKILL": os.Kill} {
			t.Run(isolation+" "+name, func(t *testing.T) {
				keyFile := filepath.Join(t.TempDir(), "key")
				data := filepath.Join(t.TempDir(), "data")
				c := launch(t, "-addr", "127.0.0.1:0", "-api-key-file", keyFile, "-data-dir", data, "-isolation", isolation)
				info, err := os.Stat(keyFile)
				if err != nil || info.Mode().Perm() != 0o600 {
					t.Fatalf("%v, %v", info, err)
				}
				key, err := os.ReadFile(keyFile)
				if err != nil {
					t.Fatal(err)
				}
				id := busySandbox(t, c, strings.TrimSpace(string(key)))
				if err := c.Process.Signal(end); err != nil {
					t.Fatal(err)
				}
				rest, _ := io.ReadAll(c.out)
				err = c.Wait()
				if killed := end == os.Kill; (err != nil) != killed {
					t.Errorf("it ended with %v, stderr %s", err, c.stderr)
				}
				if bytes.Contains(append(rest, c.stderr.Bytes()...), bytes.TrimSpace(key)) {
					t.Error("the key was printed")
				}
				deadline := time.Now().Add(patience)
				for alive(t, "WRENN_SANDBOX_ID="+id) {
					if time.Now().After(deadline) {
						t.Fatal("a process of the sandbox lives on")
					}
				}
			})
		}
	}
}

func TestABusyPortIsAReadableError(t *testing.T) {
	c := launch(t, "-addr", "127.0.0.1:0", "-data-dir", t.TempDir())
	addr := strings.TrimPrefix(c.url, "http://")
	var out, errs bytes.Buffer
	err := run(t.Context(), []string{"-addr", addr}, func(string) string { return "" }, &out, &errs)
	if err == nil || !strings.Contains(err.Error(), "cannot listen on "+addr) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
	second := exec.CommandContext(t.Context(), os.Args[0], "-addr", addr)
	second.Env = append(os.Environ(), asCommand+"=1")
	if err := second.Run(); err == nil || second.ProcessState.ExitCode() != 1 {
		t.Errorf("exit: %v", second.ProcessState)
	}
}

func TestKeySources(t *testing.T) {
	flagKey, envKey := "wrn_"+strings.Repeat("a", 32), "wrn_"+strings.Repeat("b", 32)
	env := func(name string) string { return map[string]string{keyVariable: envKey}[name] }
	for name, tt := range map[string]struct {
		args []string
		want string
	}{"flag": {[]string{"-api-key", flagKey}, flagKey}, "environment": {nil, envKey}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, w := io.Pipe()
			done := make(chan error, 1)
			go func() {
				done <- run(ctx, append([]string{"-addr", "127.0.0.1:0", "-print-api-key", "-print-token"}, tt.args...), env, w, io.Discard)
			}()
			out := bufio.NewReader(r)
			for _, want := range []string{"wrenn-dev: serving http://127.0.0.1:", "WRENN_API_KEY=" + tt.want + "\n", "WRENN_TOKEN=ey"} {
				if line, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
					t.Errorf("%q, %v", line, err)
				}
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCommandLinesThatAreRefused(t *testing.T) {
	for i, args := range [][]string{
		{"-generation", "D"},
		{"-isolation", "none"},
		{"-network", "none"},
		{"-addr", "0.0.0.0:0"},
		{"-api-key", "short"},
		{"-nonsense"},
		{"argument"},
		{"-addr", "127.0.0.1:0", "-isolation", "directory", "-code-runner"},
	} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			if err := run(t.Context(), args, func(string) string { return "" }, io.Discard, io.Discard); err == nil {
				t.Errorf("%v was accepted", args)
			}
		})
	}
}
