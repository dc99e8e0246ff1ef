package wrenndev

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// faulty is a server with one sandbox and a client for it.
func faulty(t *testing.T) (*Server, *client, string) {
	t.Helper()
	s := start(t, Config{Reconcile: time.Hour})
	c := s.client(t, pathS)
	return s, c, c.create()
}

func TestFaultsBeforeTheEffect(t *testing.T) {
	s, c, _ := faulty(t)
	s.Faults().Add(Fault{Kind: FaultFailBefore, Op: OpCreate, Times: 1, Status: 503, Code: "no_hosts_available"})
	s.Faults().Add(Fault{Kind: FaultAbort, Op: OpCreate, Times: 1, Skip: 1})
	c.want(http.StatusServiceUnavailable, "no_hosts_available", http.MethodPost, pathS, "{}")
	if a, err := c.try(t.Context(), http.MethodPost, pathS, "{}"); err == nil {
		t.Errorf("answered %d", a.status)
	}
	if n := len(s.Sandboxes()); n != 1 {
		t.Errorf("%d sandboxes, want the first only", n)
	}
	c.create()
	if n := s.Faults().Left(); n != 0 {
		t.Errorf("%d faults left", n)
	}
}

func TestFaultsAfterTheEffect(t *testing.T) {
	for _, tt := range []struct {
		kind FaultKind
		lost string
	}{{FaultFailAfter, ""}, {FaultDrop, "dropped"}, {FaultHang, "hung"}} {
		t.Run(string(tt.kind), func(t *testing.T) {
			s, c, id := faulty(t)
			for op, do := range map[string]struct{ method, path, body string }{
				OpCreate:  {http.MethodPost, pathS, "{}"},
				OpPause:   {http.MethodPost, pathS + "/" + id + "/pause", ""},
				OpDestroy: {http.MethodDelete, pathS + "/" + id, ""},
			} {
				s.ResetRequests()
				s.Faults().Add(Fault{Kind: tt.kind, Op: op, Times: 1})
				ctx, giveUp := context.WithCancel(t.Context())
				var a answer
				var err error
				over := make(chan struct{})
				go func() {
					defer close(over)
					a, err = c.try(ctx, do.method, do.path, do.body)
				}()
				if tt.kind == FaultHang {
					wait(t, "the request hangs", func() bool { r := s.Requests(); return len(r) > 0 && r[0].Lost == tt.lost })
					giveUp()
				}
				<-over
				giveUp()
				if answered := err == nil; answered != (tt.kind == FaultFailAfter) || answered && a.status != 500 {
					t.Errorf("%s: %d, %v", op, a.status, err)
				}
				wait(t, "the request is over", func() bool { return s.Requests()[0].Done })
				if r := s.Requests()[0]; r.Op != op || r.Lost != tt.lost || (tt.lost == "") != (r.Status == 500) {
					t.Errorf("log: %+v", r)
				}
			}
			if got := c.status(id); got != StatusStopped {
				t.Errorf("the sandbox is %s: nothing was done", got)
			}
			if n := len(s.Sandboxes()); n != 2 {
				t.Errorf("%d sandboxes: nothing was created", n)
			}
		})
	}
}

func TestDelays(t *testing.T) {
	s, c, id := faulty(t)
	remove := s.Faults().Add(Fault{Kind: FaultDelay, Op: OpGet, Sandbox: id, Latency: Millis(150 * time.Millisecond)})
	begun := time.Now()
	c.status(id)
	if took := time.Since(begun); took < 150*time.Millisecond {
		t.Errorf("get took %v", took)
	}
	remove()
	other := c.create()
	s.Faults().Add(Fault{Kind: FaultDelay, Op: OpDestroy, Sandbox: other, Latency: Millis(time.Hour)})
	c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil) // another sandbox
	ctx, giveUp := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer giveUp()
	if _, err := c.try(ctx, http.MethodDelete, pathS+"/"+other, nil); err == nil {
		t.Error("answered")
	}
	if got := c.status(other); got != StatusRunning {
		t.Errorf("the client gave up before anything happened, but it is %s", got)
	}
}

func TestAgentFailures(t *testing.T) {
	s := start(t, Config{})
	for base, want := range map[string]struct {
		status int
		code   string
	}{pathS: {502, "agent_error"}, pathC: {503, "no_hosts_available"}} {
		c := s.client(t, base)
		id := c.create()
		one := base + "/" + id
		s.Faults().Add(Fault{Kind: FaultAgentFail})
		for _, op := range []struct{ method, path, body string }{
			{http.MethodPost, base, "{}"},
			{http.MethodPost, one + "/pause", ""},
			{http.MethodPost, one + "/ping", ""},
			{http.MethodPost, one + "/exec", `{"cmd":"true"}`},
			{http.MethodPost, one + "/files/read", `{"path":"x"}`},
			{http.MethodGet, one + "/metrics", ""},
			{http.MethodDelete, one, ""},
		} {
			c.want(want.status, want.code, op.method, op.path, op.body)
		}
		if got := c.status(id); got != StatusRunning {
			t.Errorf("status %s", got)
		}
		s.Faults().Clear()
		// The refused create left a row that no list shows.
		if row := s.Sandboxes()[0]; row.Status != StatusError || len(c.list()) != 1 || c.status(row.ID) != StatusError {
			t.Errorf("%+v", row)
		}
		c.want(http.StatusOK, "", http.MethodPost, one+"/pause", nil)
		s.Faults().Add(Fault{Kind: FaultAgentFail, Op: OpResume, Times: 1})
		c.want(want.status, want.code, http.MethodPost, one+"/resume", nil)
		if got := c.status(id); got != StatusPaused {
			t.Errorf("after a failed resume: %s", got)
		}
		c.want(http.StatusNoContent, "", http.MethodDelete, one, nil)
	}
}

func TestCutAnswers(t *testing.T) {
	s, c, id := faulty(t)
	s.Faults().Add(Fault{Kind: FaultCut, Op: OpStreamDownload, Bytes: 10, Times: 1})
	c.sh(id, "head -c 100 /dev/zero > f")
	a, err := c.try(t.Context(), http.MethodPost, pathS+"/"+id+"/files/stream/read", `{"path":"f"}`)
	if err == nil || a.status != 200 || len(a.body) != 10 {
		t.Errorf("%d, %d bytes, %v", a.status, len(a.body), err)
	}
}

func TestCutStreams(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  Fault
		types  []string
		stdout string
	}{
		"after bytes":        {Fault{Kind: FaultCut, Bytes: 5}, []string{"start", "stdout"}, "01234"},
		"after a time":       {Fault{Kind: FaultCut, For: Millis(300 * time.Millisecond)}, []string{"start", "stdout"}, "0123456789"},
		"before any event":   {Fault{Kind: FaultDrop}, nil, ""},
		"longer than output": {Fault{Kind: FaultCut, Bytes: 1000}, []string{"start", "stdout", "exit"}, "0123456789"},
		"of another sandbox": {Fault{Kind: FaultCut, Sandbox: unknownID}, []string{"start", "stdout", "exit"}, "0123456789"},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, id := faulty(t)
			tt.fault.Op = OpExecStream
			s.Faults().Add(tt.fault)
			script := "printf 0123456789; touch finished"
			if tt.fault.For > 0 {
				script = "printf 0123456789; sleep 1; touch finished"
			}
			got := read(t, c.stream(id, script))
			got.abrupt(t)
			if diff := cmp.Diff(tt.types, got.types); diff != "" || got.stdout != tt.stdout {
				t.Errorf("%s %q", diff, got.stdout)
			}
			wait(t, "the command finished all the same", func() bool { return c.sh(id, "test -e finished").ExitCode == 0 })
		})
	}
}

func TestStaleList(t *testing.T) {
	s, c, id := faulty(t)
	s.Faults().Add(Fault{Kind: FaultStale, Op: OpList, Times: 1})
	later := c.create()
	c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
	if got := c.list(); len(got) != 1 || got[0].ID != id || got[0].Status != StatusRunning {
		t.Errorf("stale list: %+v", got)
	}
	if got := c.list(); len(got) != 1 || got[0].ID != later {
		t.Errorf("list: %+v", got)
	}
}

func TestFlaps(t *testing.T) {
	s, c, _ := faulty(t)
	s.Faults().Add(Fault{Kind: FaultFlap, Op: OpCreate, Times: 1, SetStatus: StatusMissing, For: Millis(200 * time.Millisecond)})
	id := c.create() // which answers running
	if got := c.status(id); got != StatusMissing {
		t.Errorf("status %s", got)
	}
	c.want(http.StatusConflict, "invalid_state", http.MethodPost, pathS+"/"+id+"/exec", `{"cmd":"true"}`)
	wait(t, "it comes back", func() bool { return c.status(id) == StatusRunning })

	s.Faults().Add(Fault{Kind: FaultFlap, Op: OpCreate, Times: 1, SetStatus: StatusStopped})
	id = c.create()
	if got := c.status(id); got != StatusStopped {
		t.Errorf("status %s", got)
	}
	if info, _ := s.Sandbox(id); !info.Machine {
		t.Error("the machine did not live on")
	}
	c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
	if info, _ := s.Sandbox(id); info.Machine {
		t.Error("the machine survived its destruction")
	}
}

func TestRejectNegativeTimeout(t *testing.T) {
	s, c, _ := faulty(t)
	s.Faults().Add(Fault{Kind: FaultRejectNegative, Op: OpCreate})
	c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, pathS, `{"timeout_sec":-1}`)
	c.create(`{"timeout_sec":0}`)
}

func TestUnknownFaultIsRefused(t *testing.T) {
	s, _, _ := faulty(t)
	defer func() {
		if recover() == nil {
			t.Error("Add took it")
		}
	}()
	s.Faults().Add(Fault{Kind: "nonsense"})
}
