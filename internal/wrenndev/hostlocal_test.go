package wrenndev

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAHostWithSandboxesIsNotDeleted(t *testing.T) {
	for _, generations := range []Generations{Sandboxes, Capsules} {
		t.Run(fmt.Sprint(generations), func(t *testing.T) {
			s := start(t, Config{Generations: generations, Reconcile: time.Hour, Teams: []Team{{Name: "a"}, {Name: "b"}}})
			base := map[Generations]string{Sandboxes: pathS, Capsules: pathC}[generations]
			mine, others, u := s.client(t, base), s.client(t, base), s.user(t)
			others.key = s.APIKeyOf("b")
			var want []string
			for _, status := range []string{StatusRunning, StatusPending, StatusMissing, StatusPaused, StatusStopped, StatusError} {
				id := mine.create()
				if err := s.SetStatus(id, status); err != nil {
					t.Fatal(err)
				}
				if status == StatusRunning || status == StatusPending || status == StatusMissing {
					want = append(want, id)
				}
			}
			want = append(want, others.create()) // they all live here
			host := "/v1/hosts/" + s.local.id
			var preview struct {
				SandboxIDs []string `json:"sandbox_ids"`
			}
			u.want(http.StatusOK, "", http.MethodGet, host+"/delete-preview", nil).json(t, &preview)
			var refusal struct {
				Error struct {
					SandboxIDs []string `json:"sandbox_ids"`
				}
			}
			for _, query := range []string{"", "?force=false", "?force=1"} {
				u.want(http.StatusConflict, "has_active_sandboxes", http.MethodDelete, host+query, nil).json(t, &refusal)
			}
			for what, got := range map[string][]string{"preview": preview.SandboxIDs, "refusal": refusal.Error.SandboxIDs} {
				slices.Sort(got)
				slices.Sort(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s", what, diff)
				}
			}
			if u.machine().ID != s.local.id {
				t.Error("the host is gone")
			}
		})
	}
}

// TestForceTakesTheMachineAway deletes the machine with all that is on it.
func TestForceTakesTheMachineAway(t *testing.T) {
	for _, tt := range []struct {
		generations Generations
		base        string
		status      int
		code        string
	}{
		{Sandboxes, pathS, 500, "internal_error"},
		{Capsules, pathC, 503, "no_hosts_available"},
	} {
		t.Run(tt.base, func(t *testing.T) {
			cfg := Config{Generations: tt.generations, DataDir: filepath.Join(t.TempDir(), "data")}
			s := start(t, cfg)
			c, u := s.client(t, tt.base), s.user(t)
			running, paused := c.create(), c.create()
			c.sh(running, counter)
			c.sh(paused, counter)
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(paused, "snap")) // which pauses it
			host := "/v1/hosts/" + s.local.id
			u.want(http.StatusNoContent, "", http.MethodDelete, host+"?force=true", nil)
			u.want(http.StatusNotFound, "not_found", http.MethodDelete, host+"?force=true", nil)
			if got := u.hosts(); len(got) != 0 {
				t.Errorf("hosts %+v", got)
			}
			check := func(s *Server, c *client) {
				t.Helper()
				for id, want := range map[string]string{running: StatusStopped, paused: StatusPaused} {
					if got := c.status(id); got != want {
						t.Errorf("status %s, want %s", got, want)
					}
					if info, _ := s.Sandbox(id); info.Machine || info.Files || info.Processes != 0 {
						t.Errorf("something is left: %+v", info)
					}
					c.want(http.StatusNotFound, "not_found", http.MethodDelete, tt.base+"/"+id, nil)
				}
				c.want(http.StatusNotFound, "not_found", http.MethodPost, tt.base+"/"+paused+"/resume", nil)
				c.want(http.StatusServiceUnavailable, "host_unavailable", http.MethodPost, "/v1/snapshots", snapshotBody(paused, "other"))
			}
			check(s, c)
			if n := s.LiveProcesses(); n != 0 {
				t.Errorf("%d processes live on", n)
			}
			before := len(s.Sandboxes())
			c.want(tt.status, tt.code, http.MethodPost, tt.base, `{}`)
			c.want(http.StatusNotFound, "not_found", http.MethodPost, tt.base, `{"template":"nosuch"}`)
			if after := len(s.Sandboxes()); after != before {
				t.Error("a create without a host left a row")
			}
			if got := deedsOf(u.audit(""))[0]; got != "user host delete warning admin" {
				t.Errorf("newest entry is %s", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}

			again := start(t, cfg)
			if got := again.user(t).machine(); got.Status != hostOnline || strings.HasSuffix(host, got.ID) {
				t.Errorf("after a restart: %+v", got)
			}
			c = again.client(t, tt.base)
			check(again, c)
			c.create(`{"template":"snap"}`)
		})
	}
}

func TestAHostIsTheSameAfterARestart(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	s := start(t, cfg)
	u := s.user(t)
	u.want(http.StatusNoContent, "", http.MethodPost, "/v1/hosts/"+s.local.id+"/tags", `{"tag":"kept"}`)
	u.announce(`{"type":"regular"}`)
	before := u.hosts()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, cfg)
	after := again.user(t).hosts()
	for _, hosts := range [][]hostAnswer{before, after} {
		hosts[1].Address, hosts[1].LastHeartbeatAt, hosts[1].UpdatedAt = "", "", ""
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
	if a := again.user(t).do(http.MethodGet, "/v1/hosts/"+after[1].ID+"/tags", nil); string(a.body) != "[\"kept\"]\n" {
		t.Errorf("tags %s", a.body)
	}
}

func TestAHostOutage(t *testing.T) {
	for _, tt := range []struct {
		base               string
		create, agent      int
		createCode, agentC string
	}{
		{pathS, 500, 502, "internal_error", "agent_error"},
		{pathC, 503, 503, "no_hosts_available", "no_hosts_available"},
	} {
		t.Run(tt.base, func(t *testing.T) {
			s := start(t, Config{})
			c, u := s.client(t, tt.base), s.user(t)
			r := receive(t, nil)
			u.webhook("hosts", r.URL, "host.up", "host.down")
			running, lost, paused := c.create(), c.create(), c.create()
			c.want(http.StatusOK, "", http.MethodPost, tt.base+"/"+paused+"/pause", nil)
			c.sh(running, counter)

			s.SetHostOnline(false)
			s.SetHostOnline(false) // changes nothing
			if got := u.machine().Status; got != hostUnreachable {
				t.Errorf("status %s", got)
			}
			before := s.counted(running)
			wait(t, "what ran goes on", func() bool { return s.counted(running) > before })
			if err := s.Lose(lost); err != nil {
				t.Fatal(err)
			}
			s.reconcile()
			for id, want := range map[string]string{running: StatusMissing, lost: StatusMissing, paused: StatusPaused} {
				if got := c.status(id); got != want {
					t.Errorf("status %s, want %s", got, want)
				}
			}
			c.want(http.StatusConflict, "invalid_state", http.MethodPost, tt.base+"/"+running+"/exec", `{"cmd":"true"}`)
			c.want(tt.agent, tt.agentC, http.MethodDelete, tt.base+"/"+running, nil)
			c.want(tt.agent, tt.agentC, http.MethodPost, tt.base+"/"+paused+"/resume", nil)
			c.want(tt.create, tt.createCode, http.MethodPost, tt.base, `{}`)

			s.SetHostOnline(true)
			for id, want := range map[string]string{running: StatusRunning, lost: StatusStopped, paused: StatusPaused} {
				if got := c.status(id); got != want {
					t.Errorf("afterwards: status %s, want %s", got, want)
				}
			}
			c.sh(running, "true")
			c.want(http.StatusOK, "", http.MethodPost, tt.base+"/"+paused+"/resume", nil)
			if diff := cmp.Diff([]string{"host.down", "host.up"}, r.events(t, 2)); diff != "" {
				t.Error(diff)
			}
			want := []string{"system host marked_up success admin", "system host marked_down error admin"}
			if diff := cmp.Diff(want, deedsOf(u.audit("resource_type=host"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
