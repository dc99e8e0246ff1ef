package wrenndev

import (
	"net/http"
	"testing"
	"time"
)

func TestAutoPauseGap(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour})
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			c := s.client(t, f.base)
			id := c.create(`{"timeout_sec":1}`)
			one := f.base + "/" + id
			c.sh(id, counter)
			sock := c.stream(id, "while :; do echo; sleep 0.05; done")
			got := read(t, sock) // a running stream keeps nobody awake
			got.abrupt(t)
			if got.exit != nil || got.failure != "" {
				t.Errorf("%+v", got)
			}
			m, err := s.agent.machine(id)
			if err != nil {
				t.Fatal(err)
			}
			wait(t, "it is paused", func() bool { return !m.running() })

			if got := c.status(id); got != StatusRunning {
				t.Errorf("GET says %s", got)
			}
			c.want(http.StatusBadGateway, "agent_error", http.MethodPost, one+"/exec", `{"cmd":"true"}`)
			c.want(http.StatusNotFound, "not_found", http.MethodPost, one+"/ping", nil)
			for _, path := range []string{"/files/read", "/files/stream/read"} {
				c.want(http.StatusNotFound, "not_found", http.MethodPost, one+path, `{"path":"count"}`)
			}
			if a := c.form(one+"/files/write", part{"path", "f"}, part{"file", "x"}); a.status != 404 {
				t.Errorf("write: %d %s", a.status, a.body)
			}
			c.want(http.StatusConflict, "invalid_state", http.MethodPost, one+"/resume", nil)
			c.want(http.StatusBadGateway, "agent_error", http.MethodPost, one+"/pause", nil)
			if got := c.status(id); got != StatusRunning {
				t.Errorf("after the failed pause GET says %s", got)
			}

			s.reconcile()
			if got := c.status(id); got != StatusPaused {
				t.Errorf("after the reconcile GET says %s", got)
			}
			c.want(http.StatusOK, "", http.MethodPost, one+"/resume", nil)
			c.sh(id, "true")
		})
	}
}

func TestActivityKeepsASandboxAwake(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	// The one to be kept awake comes last, and has time: on a slow machine a create takes a while, and so can a ping.
	never, asleep, awake := c.create(`{"timeout_sec":-1}`), c.create(`{"timeout_sec":1}`), c.create(`{"timeout_sec":4}`)
	wait(t, "the one without activity is paused", func() bool {
		c.want(http.StatusNoContent, "", http.MethodPost, pathS+"/"+awake+"/ping", nil)
		c.do(http.MethodPost, pathS+"/"+asleep+"/files/stream/read", `{"path":"x"}`) // files are no activity
		return c.status(asleep) == StatusPaused
	})
	for _, id := range []string{awake, never} {
		if got := c.status(id); got != StatusRunning {
			t.Errorf("status %s", got)
		}
	}
}

func TestLostAndDeadMachines(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour})
	c := s.client(t, pathS)
	lost, dead, missing := c.create(), c.create(), c.create()
	if err := s.Lose(lost); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(dead); err != nil {
		t.Fatal(err)
	}
	if err := s.SetStatus(missing, StatusMissing); err != nil {
		t.Fatal(err)
	}
	s.reconcile()
	for id, want := range map[string]string{lost: StatusStopped, dead: StatusRunning, missing: StatusMissing} {
		if got := c.status(id); got != want {
			t.Errorf("status %s, want %s", got, want)
		}
	}
	c.want(http.StatusBadGateway, "agent_error", http.MethodPost, pathS+"/"+dead+"/exec", `{"cmd":"true"}`)
	if info, _ := s.Sandbox(lost); !info.Files {
		t.Error("the files of a lost sandbox are gone before it is destroyed")
	}
	for _, id := range []string{lost, dead, missing} {
		c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
		if info, _ := s.Sandbox(id); info.Files || info.Machine {
			t.Errorf("%+v", info)
		}
	}
	for _, err := range []error{s.Lose(unknownID), s.Kill(unknownID), s.SetStatus(unknownID, StatusError), s.SetStatus(lost, "odd")} {
		if err == nil {
			t.Error("no error")
		}
	}
}
