package wrenndev

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestExec(t *testing.T) {
	s := start(t, Config{})
	id := s.client(t, pathS).create()
	for _, tt := range []struct {
		name string
		req  execRequest
		want execAnswer
	}{
		{"argv", execRequest{Cmd: "printf", Args: []string{"%s|", "a b", "$c", ""}}, execAnswer{Stdout: "a b|$c||"}},
		{"no shell line", execRequest{Cmd: "ls -la /"}, execAnswer{Stderr: "/usr/bin/nice: 'ls -la /': No such file or directory\n", ExitCode: 127}},
		{"exit code", execRequest{Cmd: "sh", Args: []string{"-c", "echo out; echo err >&2; exit 3"}}, execAnswer{Stdout: "out\n", Stderr: "err\n", ExitCode: 3}},
		{"exit code modulo 256", execRequest{Cmd: "bash", Args: []string{"-c", "exit 300"}}, execAnswer{ExitCode: 44}},
		{"signal", execRequest{Cmd: "sh", Args: []string{"-c", "kill -9 $$"}}, execAnswer{ExitCode: -1}},
		{"home", execRequest{Cmd: "pwd"}, execAnswer{Stdout: "/root\n"}},
		{"stdin is empty", execRequest{Cmd: "wc", Args: []string{"-c"}}, execAnswer{Stdout: "0\n"}},
		{"script without interpreter", execRequest{Cmd: "sh", Args: []string{"-c", "echo 'echo hi' > s; chmod +x s; exec ./s"}}, execAnswer{Stdout: "hi\n"}},
		{"waits for inherited output", execRequest{Cmd: "sh", Args: []string{"-c", "(sleep 0.3; echo late) & echo now"}}, execAnswer{Stdout: "now\nlate\n"}},
		{"valid UTF-8", execRequest{Cmd: "printf", Args: []string{`\342\202\254`}}, execAnswer{Stdout: "€"}},
		{
			"base64 for both",
			execRequest{Cmd: "sh", Args: []string{"-c", `printf '\377'; echo ok >&2`}},
			execAnswer{Stdout: base64.StdEncoding.EncodeToString([]byte{0xff}), Stderr: base64.StdEncoding.EncodeToString([]byte("ok\n")), Encoding: "base64"},
		},
	} {
		for _, f := range families {
			t.Run(tt.name+" "+f.name, func(t *testing.T) {
				if s.Isolation() == Directory && tt.name == "home" {
					t.Skip("the home is elsewhere without namespaces")
				}
				var got execAnswer
				s.client(t, f.base).want(http.StatusOK, "", http.MethodPost, f.base+"/"+id+"/exec", tt.req).json(t, &got)
				tt.want.SandboxID, tt.want.Cmd = id, tt.req.Cmd
				if tt.want.Encoding == "" {
					tt.want.Encoding = "utf-8"
				}
				if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(execAnswer{}, "DurationMS")); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestExecEnvironment(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	id := c.create()
	// The service ignores envs and cwd of a foreground exec.
	var got execAnswer
	c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+id+"/exec", `{"cmd":"env","envs":{"A":"b"},"cwd":"/tmp"}`).json(t, &got)
	vars := map[string]bool{}
	for line := range strings.Lines(got.Stdout) {
		name, _, _ := strings.Cut(line, "=")
		vars[name] = true
	}
	for _, want := range []string{"PATH", "HOME", "USER", "LOGNAME", "WRENN_SANDBOX", "WRENN_SANDBOX_ID", "WRENN_TEMPLATE_ID"} {
		if !vars[want] {
			t.Errorf("%s is missing", want)
		}
		delete(vars, want)
	}
	delete(vars, "PWD")    // of the wrapping shell
	delete(vars, "TMPDIR") // without namespaces
	if len(vars) > 0 {
		t.Errorf("unexpected: %v", vars)
	}
}

func TestExecRefusals(t *testing.T) {
	c := start(t, Config{}).client(t, pathS)
	id := c.create()
	for _, body := range []string{"", "{}", `{"cmd":""}`, `{"cmd":1}`, `[]`, `{"cmd":"true","args":"x"}`, `{"cmd":"true","timeout_sec":0.5}`} {
		c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, pathS+"/"+id+"/exec", body)
	}
}

func TestExecTimeout(t *testing.T) {
	s := start(t, Config{ExecLimit: 300 * time.Millisecond})
	for _, tt := range []struct {
		name, base, body string
		killed           bool
	}{
		{"S kills the command itself, but not what it started", pathS, `{"cmd":"sh","args":["-c","sleep 1000 & exec sleep 2000"],"timeout_sec":1}`, true},
		{"C kills nothing", pathC, `{"cmd":"sh","args":["-c","sleep 1000 & exec sleep 2000"],"timeout_sec":1}`, false},
		{"C has a cap of its own", pathC, `{"cmd":"sh","args":["-c","sleep 1000 & exec sleep 2000"],"timeout_sec":1000}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.client(t, tt.base)
			id := c.create()
			a := c.want(http.StatusBadGateway, "agent_error", http.MethodPost, tt.base+"/"+id+"/exec", tt.body)
			if !strings.Contains(string(a.body), "deadline_exceeded") {
				t.Errorf("body %s", a.body)
			}
			want := map[bool]int{true: 1, false: 2}[tt.killed]
			wait(t, "the right processes live", func() bool {
				info, _ := s.Sandbox(id)
				return info.Processes == want
			})
		})
	}
}

func TestExecOfAClientThatGoesAwayGoesOn(t *testing.T) {
	s := start(t, Config{})
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			c := s.client(t, f.base)
			id := c.create()
			ctx, giveUp := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := c.try(ctx, http.MethodPost, f.base+"/"+id+"/exec",
					`{"cmd":"sh","args":["-c","touch started; while ! [ -e go ]; do sleep 0.01; done; yes | head -c 1000000; touch finished"]}`)
				done <- err
			}()
			wait(t, "it started", func() bool { return c.sh(id, "test -e started").ExitCode == 0 })
			giveUp()
			if err := <-done; err == nil {
				t.Fatal("it was answered")
			}
			c.sh(id, "touch go")
			wait(t, "it finished, a megabyte of output that nobody wants included", func() bool {
				return c.sh(id, "test -e finished").ExitCode == 0
			})
		})
	}
}

func TestExecEndsWithTheSandbox(t *testing.T) {
	s := start(t, Config{})
	for _, op := range []struct{ name, method, path string }{
		{"pause", http.MethodPost, "/pause"}, {"destroy", http.MethodDelete, ""},
	} {
		t.Run(op.name, func(t *testing.T) {
			c := s.client(t, pathS)
			id := c.create()
			type result struct {
				answer
				err error
			}
			done := make(chan result, 1)
			go func() {
				a, err := c.try(t.Context(), http.MethodPost, pathS+"/"+id+"/exec", `{"cmd":"sleep","args":["1000"]}`)
				done <- result{a, err}
			}()
			wait(t, "it runs", func() bool { info, _ := s.Sandbox(id); return info.Processes == 1 })
			if a := c.do(op.method, pathS+"/"+id+op.path, nil); a.status/100 != 2 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if got := <-done; got.err != nil || got.status != http.StatusBadGateway || got.code() != "agent_error" {
				t.Errorf("%v, %d %s", got.err, got.status, got.body)
			}
		})
	}
}

func TestExecOfThirtyMegabytes(t *testing.T) {
	c := start(t, Config{}).client(t, pathS)
	id := c.create()
	const want = 30 << 20
	if got := c.sh(id, "yes | head -c 31457280"); len(got.Stdout) != want {
		t.Errorf("%d bytes, want %d", len(got.Stdout), want)
	}
}

func TestExecOfALongArgument(t *testing.T) {
	c := start(t, Config{}).client(t, pathS)
	id := c.create()
	long := strings.Repeat("x", 100_000) // the kernel takes 128 KiB an argument
	var got execAnswer
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/exec", execRequest{Cmd: "echo", Args: []string{long, long, long}}).json(t, &got)
	if got.Stdout != long+" "+long+" "+long+"\n" {
		t.Errorf("%d bytes", len(got.Stdout))
	}
	tooLong := strings.Repeat("x", 200_000)
	c.want(http.StatusBadGateway, "agent_error", http.MethodPost, pathS+"/"+id+"/exec", execRequest{Cmd: "echo", Args: []string{tooLong}})
}
