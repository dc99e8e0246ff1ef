package wrenndev

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

type started struct {
	SandboxID string `json:"sandbox_id"`
	Cmd       string
	Pid       int
	Tag       string
}

// background starts a script in the background.
func (c *client) background(id, tag, script string) (got started) {
	c.t.Helper()
	c.want(http.StatusAccepted, "", http.MethodPost, c.base+"/"+id+"/exec", map[string]any{
		"cmd": "/bin/sh", "args": []string{"-c", script}, "background": true, "tag": tag,
	}).json(c.t, &got)
	return got
}

func (c *client) processes(id string) []processAnswer {
	c.t.Helper()
	var got struct{ Processes []processAnswer }
	c.want(http.StatusOK, "", http.MethodGet, c.base+"/"+id+"/processes", nil).json(c.t, &got)
	slices.SortFunc(got.Processes, func(a, b processAnswer) int { return a.Pid - b.Pid })
	return got.Processes
}

// alive tells whether a process of the sandbox runs, its child or not.
func (c *client) alive(id, pid string) bool {
	c.t.Helper()
	return c.sh(id, "kill -0 "+pid).ExitCode == 0
}

func TestBackgroundExec(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	id := c.create()
	var got started
	a := c.want(http.StatusAccepted, "", http.MethodPost, pathC+"/"+id+"/exec",
		`{"cmd":"sh","args":["-c","pwd > ~/out; echo $A $HOME >> ~/out; mv ~/out ~/done"],"background":true,"timeout_sec":1,"envs":{"A":"b c","HOME":"/root"},"cwd":"/usr"}`)
	a.json(t, &got)
	if got.SandboxID != id || got.Cmd != "sh" || got.Pid <= 1 || !regexp.MustCompile(`^proc-[0-9a-f]{8}$`).MatchString(got.Tag) {
		t.Errorf("%s", a.body)
	}
	wait(t, "it ended", func() bool { return c.sh(id, "test -e ~/done").ExitCode == 0 })
	if c.s.Isolation() == Namespaces {
		if out := c.sh(id, "cat ~/done").Stdout; out != "/usr\nb c /root\n" {
			t.Errorf("it wrote %q", out)
		}
	}
	// A directory below the home, and one that is missing.
	c.sh(id, "mkdir -p sub")
	c.want(http.StatusAccepted, "", http.MethodPost, pathC+"/"+id+"/exec", `{"cmd":"touch","args":["here"],"background":true,"cwd":"sub"}`)
	wait(t, "it ran there", func() bool { return c.sh(id, "test -e sub/here").ExitCode == 0 })
	c.want(http.StatusBadGateway, "agent_error", http.MethodPost, pathC+"/"+id+"/exec", `{"cmd":"true","background":true,"cwd":"/none"}`)
	c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, pathC+"/"+id+"/exec", `{"background":true}`)
	c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, pathC+"/"+id+"/exec", `{"cmd":"true","background":1}`)
	// A missing command starts, and dies.
	c.want(http.StatusAccepted, "", http.MethodPost, pathC+"/"+id+"/exec", `{"cmd":"nothing of this name","background":true}`)
	wait(t, "nothing runs", func() bool { return len(c.processes(id)) == 0 })
	// S knows of none of this.
	var run execAnswer
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/exec", `{"cmd":"echo","args":["hi"],"background":true,"envs":5}`).json(t, &run)
	if run.Stdout != "hi\n" {
		t.Errorf("%+v", run)
	}
	if a := c.do(http.MethodGet, pathS+"/"+id+"/processes", nil); a.status != http.StatusNotFound || a.code() != "" {
		t.Errorf("processes on S: %d %s", a.status, a.body)
	}
}

func TestProcessesAreThoseThatWereStarted(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	id := c.create()
	if got := c.do(http.MethodGet, pathC+"/"+id+"/processes", nil); strings.TrimSpace(string(got.body)) != `{"processes":[]}` {
		t.Errorf("%s", got.body)
	}
	first, second := c.background(id, "twin", "sleep 1000 & wait"), c.background(id, "twin", "exec sleep 1001")
	c.stream(id, "exec sleep 1002")
	c.socket("/"+id+"/pty", map[string]any{"type": "start", "cmd": "sleep", "args": []string{"1003"}})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	go func() { _, _ = c.try(ctx, http.MethodPost, pathC+"/"+id+"/exec", `{"cmd":"sleep","args":["1004"]}`) }()
	var all []processAnswer
	wait(t, "all are there", func() bool { all = c.processes(id); return len(all) == 5 })
	for i, p := range all {
		switch last := p.Args[len(p.Args)-1]; {
		case p.Pid == first.Pid || p.Pid == second.Pid:
			if p.Tag != "twin" || p.Cmd != "/bin/sh" {
				t.Errorf("%+v", p)
			}
		case last == "1003":
			if !strings.HasPrefix(p.Tag, "pty-") {
				t.Errorf("%+v", p)
			}
		case p.Tag != "" || last != "exec sleep 1002" && last != "1004":
			t.Errorf("%d: %+v", i, p)
		}
	}
	// They live on over a pause, which refuses to tell.
	c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+id+"/pause", nil)
	c.want(http.StatusConflict, "invalid_state", http.MethodGet, pathC+"/"+id+"/processes", nil)
	c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+id+"/resume", nil)
	if diff := cmp.Diff(all, c.processes(id)); diff != "" {
		t.Error(diff)
	}
}

func TestKillProcess(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	id := c.create()
	base := pathC + "/" + id + "/processes/"
	const trap = `trap 'echo term >> ended; exit 0' TERM; touch trapped; while :; do sleep 0.01; done`
	ended := func(p started) {
		t.Helper()
		wait(t, "it ended", func() bool {
			return !slices.ContainsFunc(c.processes(id), func(q processAnswer) bool { return q.Pid == p.Pid })
		})
	}
	for _, tt := range []struct {
		query string
		terms bool // it got the chance to say so
	}{{"", false}, {"?signal=SIGKILL", false}, {"?signal=SIGINT", false}, {"?signal=SIGTERM", true}, {"?signal=sigterm", false}} {
		for _, selector := range []string{"pid", "tag"} {
			c.sh(id, "rm -f ended trapped")
			p := c.background(id, "trap", trap)
			wait(t, "the trap is set", func() bool { return c.sh(id, "test -e trapped").ExitCode == 0 })
			name := map[string]string{"pid": strconv.Itoa(p.Pid), "tag": p.Tag}[selector]
			c.want(http.StatusNoContent, "", http.MethodDelete, base+name+tt.query, nil)
			ended(p)
			if got := c.sh(id, "test -e ended").ExitCode == 0; got != tt.terms {
				t.Errorf("%q by %s: it said so: %v", tt.query, selector, got)
			}
			c.want(http.StatusNotFound, "not_found", http.MethodDelete, base+name, nil)
		}
	}
	// The one process, not its children; and those cannot be named.
	parent := c.background(id, "parent", "sleep 1000 & echo $! > child; wait")
	var child string
	wait(t, "it has a child", func() bool { child = strings.TrimSpace(c.sh(id, "cat child").Stdout); return child != "" })
	c.want(http.StatusNotFound, "not_found", http.MethodDelete, base+child, nil)
	c.want(http.StatusNoContent, "", http.MethodDelete, base+"parent", nil)
	ended(parent)
	if !c.alive(id, child) {
		t.Error("the child was ended too")
	}
	// Digits are a pid, whatever the tags are.
	c.background(id, "123456", "sleep 1000")
	for _, selector := range []string{"123456", "1", "0", "none", "99999999999999999999"} {
		c.want(http.StatusNotFound, "not_found", http.MethodDelete, base+selector, nil)
	}
}

func TestProcessStream(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	id := c.create()
	const replayed = 200_000 // more than a pipe holds of what was written before
	p := c.background(id, "talks", `head -c 300000 /dev/zero; touch said; while ! [ -e heard ]; do sleep 0.01; done; echo late; echo wrong >&2; while ! [ -e go ]; do sleep 0.01; done; exit 3`)
	wait(t, "the first output is read", func() bool { return c.sh(id, "test -e said").ExitCode == 0 })
	var socks []*websocket.Conn
	for _, selector := range []string{"talks", strconv.Itoa(p.Pid)} {
		sock := c.socket("/"+id+"/processes/"+selector+"/stream", map[string]any{"type": "stop"}, "anything")
		if ev, err := next(t.Context(), t, sock); err != nil || ev.Type != "start" || ev.Pid != p.Pid {
			t.Fatalf("%+v %v", ev, err)
		}
		socks = append(socks, sock)
	}
	gone := c.socket("/" + id + "/processes/talks/stream")
	if _, err := next(t.Context(), t, gone); err != nil {
		t.Fatal(err)
	}
	_ = gone.CloseNow() // which ends nothing but this view
	c.sh(id, "touch heard go")
	for _, sock := range socks {
		got := read(t, sock)
		got.abrupt(t)
		if !strings.HasSuffix(got.stdout, "late\n") || len(got.stdout) > replayed || got.stderr != "wrong\n" || got.exit == nil || *got.exit != 3 {
			t.Errorf("%+v", got)
		}
	}
	for _, selector := range []string{"talks", strconv.Itoa(p.Pid), "none", "1"} {
		got := read(t, c.socket("/"+id+"/processes/"+selector+"/stream"))
		got.abrupt(t)
		if len(got.types) > 0 {
			t.Errorf("%s: %v", selector, got.types)
		}
	}
}

func TestProcessStreamEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end   func(c *client, id string)
		limit time.Duration
		types []string
		exit  int
	}{
		"kill": {func(c *client, id string) {
			c.want(204, "", http.MethodDelete, pathC+"/"+id+"/processes/p", nil)
		}, 0, []string{"exit"}, -1},
		"pause": {func(c *client, id string) { c.want(200, "", http.MethodPost, pathC+"/"+id+"/pause", nil) }, 0, nil, 0},
		"limit": {func(*client, string) {}, 500 * time.Millisecond, []string{"error"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, Config{StreamLimit: tt.limit}).client(t, pathC)
			id := c.create()
			c.background(id, "p", "exec sleep 1000")
			sock := c.socket("/" + id + "/processes/p/stream")
			if ev, err := next(t.Context(), t, sock); err != nil || ev.Type != "start" {
				t.Fatal(ev, err)
			}
			tt.end(c, id)
			got := read(t, sock)
			got.abrupt(t)
			if diff := cmp.Diff(tt.types, got.types); diff != "" || got.exit != nil && *got.exit != tt.exit {
				t.Errorf("%s %v", diff, got.exit)
			}
		})
	}
}

func TestProcessStreamFollowsWhatOthersStarted(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	id := c.create()
	run := make(chan answer, 1)
	go func() {
		a, _ := c.try(t.Context(), http.MethodPost, pathC+"/"+id+"/exec", `{"cmd":"sh","args":["-c","while ! [ -e go ]; do sleep 0.01; done; echo both"]}`)
		run <- a
	}()
	var procs []processAnswer
	wait(t, "it runs", func() bool { procs = c.processes(id); return len(procs) == 1 })
	sock := c.socket(fmt.Sprintf("/%s/processes/%d/stream", id, procs[0].Pid))
	if _, err := next(t.Context(), t, sock); err != nil {
		t.Fatal(err)
	}
	c.sh(id, "touch go")
	var whole execAnswer
	(<-run).json(t, &whole)
	if got := read(t, sock); got.stdout != "both\n" || whole.Stdout != "both\n" || got.exit == nil {
		t.Errorf("the stream %+v, the answer %+v", got, whole)
	}
}

func TestFaultsOfTheDataPlane(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathC)
	id := c.create()
	one := pathC + "/" + id
	for _, tt := range []struct {
		op, method, path string
		body             any
	}{
		{OpExec, http.MethodPost, "/exec", `{"cmd":"true","background":true}`},
		{OpProcesses, http.MethodGet, "/processes", nil},
		{OpProcessKill, http.MethodDelete, "/processes/x", nil},
		{OpFilesList, http.MethodPost, "/files/list", `{"path":"/"}`},
		{OpFilesMkdir, http.MethodPost, "/files/mkdir", `{"path":"/new"}`},
		{OpFilesRemove, http.MethodPost, "/files/remove", `{"path":"/tmp"}`},
	} {
		s.Faults().Add(Fault{Kind: FaultAgentFail, Op: tt.op, Times: 1})
		c.want(http.StatusServiceUnavailable, "no_hosts_available", tt.method, one+tt.path, tt.body)
	}
	c.background(id, "talks", `while :; do echo tick; sleep 0.01; done`)
	for op, path := range map[string]string{OpProcessStream: "/processes/talks/stream", OpPty: "/pty"} {
		for _, fault := range []Fault{{Kind: FaultCut, Bytes: 8}, {Kind: FaultCut, For: Millis(500 * time.Millisecond)}, {Kind: FaultDrop}, {Kind: FaultAgentFail}} {
			fault.Op, fault.Times = op, 1
			s.Faults().Add(fault)
			sock := c.socket("/" + id + path)
			if op == OpPty && fault.Kind != FaultAgentFail { // which does not wait for a message
				c.send1(sock, map[string]any{"type": "start", "cmd": "yes"})
			}
			got := read(t, sock)
			got.abrupt(t)
			text, _ := json.Marshal(got.types)
			switch {
			case got.exit != nil:
				t.Errorf("%s %s: exit", op, fault.Kind)
			case fault.Kind == FaultDrop && len(got.types) > 0, fault.Kind == FaultCut && len(got.types) == 0, fault.Kind == FaultAgentFail && string(text) != `["error"]`:
				t.Errorf("%s %s: %s", op, fault.Kind, text)
			case fault.Bytes > 0 && op == OpProcessStream && len(got.stdout) != fault.Bytes:
				t.Errorf("%s: %d bytes before the cut", op, len(got.stdout))
			}
		}
	}
}

// lastActive is when the agent last saw activity of a sandbox.
func (s *Server) lastActive(t *testing.T, id string) time.Time {
	t.Helper()
	m, err := s.agent.machine(id)
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lastActive
}

func TestWhatCountsAsActivity(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathC)
	id := c.create()
	active := func() time.Time { return s.lastActive(t, id) }
	c.background(id, "p", "while :; do echo tick; sleep 0.01; done")
	pty := c.socket("/"+id+"/pty", map[string]any{"type": "start", "cmd": "cat"})
	begun, err := next(t.Context(), t, pty)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		want bool
		do   func()
	}{
		"background":     {true, func() { c.background(id, "", "true") }},
		"process stream": {true, func() { _, _ = next(t.Context(), t, c.socket("/"+id+"/processes/p/stream")) }},
		"pty start": {true, func() {
			_, _ = next(t.Context(), t, c.socket("/"+id+"/pty", map[string]any{"type": "start", "cmd": "true"}))
		}},
		"pty input": {true, func() {
			c.send1(pty, map[string]any{"type": "input", "data": "YQo="})
			_, _ = next(t.Context(), t, pty) // the echo
		}},
		"list":      {false, func() { c.processes(id) }},
		"kill":      {false, func() { c.do(http.MethodDelete, pathC+"/"+id+"/processes/none", nil) }},
		"directory": {false, func() { c.want(200, "", http.MethodPost, pathC+"/"+id+"/files/list", `{"path":"."}`) }},
		"make":      {false, func() { c.do(http.MethodPost, pathC+"/"+id+"/files/mkdir", `{"path":"x"}`) }},
		"remove":    {false, func() { c.do(http.MethodPost, pathC+"/"+id+"/files/remove", `{"path":"x"}`) }},
	} {
		before := active()
		if tt.do(); active().After(before) != tt.want {
			t.Errorf("%s: activity is to be %v", name, tt.want)
		}
	}
	before := active()
	c.socket("/"+id+"/pty", map[string]any{"type": "connect", "tag": begun.Tag})
	wait(t, "the connection counts", func() bool { return active().After(before) })
}
