package wrenndev

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const unknownHost = "host-0000000000000000000000000"

// announce adds a host.
func (c *client) announce(body string) hostRegistrationAnswer {
	c.t.Helper()
	var got hostRegistrationAnswer
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/hosts", body).json(c.t, &got)
	return got
}

// byoc lets a team bring hosts.
func (c *client) byoc(team string, enabled bool) {
	c.t.Helper()
	c.want(http.StatusNoContent, "", http.MethodPut, "/v1/admin/teams/"+team+"/byoc", map[string]bool{"enabled": enabled})
}

func (c *client) hosts() []hostAnswer {
	c.t.Helper()
	var got []hostAnswer
	c.want(http.StatusOK, "", http.MethodGet, "/v1/hosts", nil).json(c.t, &got)
	return got
}

// machine is this machine as a host.
func (c *client) machine() hostAnswer {
	c.t.Helper()
	all := c.hosts()
	i := slices.IndexFunc(all, func(h hostAnswer) bool { return h.Status != hostPending })
	if i < 0 {
		c.t.Fatalf("no machine among %+v", all)
	}
	return all[i]
}

func TestThisMachineIsAHost(t *testing.T) {
	s := start(t, Config{})
	c := s.user(t)
	got := c.machine()
	var one hostAnswer
	c.want(http.StatusOK, "", http.MethodGet, "/v1/hosts/"+got.ID, nil).json(t, &one)
	want := hostAnswer{
		ID: got.ID, Type: "byoc", Status: "online", TeamID: s.secrets.Teams[0].ID, TeamName: "dev",
		Provider: "embedded", AvailabilityZone: "local", Arch: runtime.GOARCH, CPUCores: got.CPUCores,
		MemoryMB: got.MemoryMB, DiskGB: got.DiskGB, Address: strings.TrimPrefix(s.URL(), "http://"), LastHeartbeatAt: got.LastHeartbeatAt,
		CreatedBy: s.secrets.UserID, CreatedAt: got.CreatedAt, UpdatedAt: got.UpdatedAt,
	}
	if diff := cmp.Diff(want, got); diff != "" || !hasIDForm(got.ID, "host-") || runtime.GOOS == "linux" && got.MemoryMB < 64 || int(got.CPUCores) != runtime.NumCPU() || got.DiskGB < 1 {
		t.Errorf("%+v: %s", got, diff)
	}
	want.TeamName, want.LastHeartbeatAt = "", one.LastHeartbeatAt // the name is for lists
	if diff := cmp.Diff(want, one); diff != "" {
		t.Error(diff)
	}
	beat, err := time.Parse(time.RFC3339, got.LastHeartbeatAt)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "its heart beats", func() bool {
		now, err := time.Parse(time.RFC3339, c.machine().LastHeartbeatAt)
		return err == nil && now.After(beat)
	})
}

func TestAnnouncedHostsStayPending(t *testing.T) {
	s := start(t, Config{})
	c := s.user(t)
	token := regexp.MustCompile(`^[0-9a-f]{64}$`)
	team := s.secrets.Teams[0].ID
	c.byoc(team, true)
	made := c.announce(`{"type":"byoc","team_id":"` + team + `","provider":"metal","availability_zone":"z1"}`)
	want := hostAnswer{
		ID: made.Host.ID, Type: "byoc", Status: "pending", TeamID: team, Provider: "metal", AvailabilityZone: "z1",
		CreatedBy: s.secrets.UserID, CreatedAt: made.Host.CreatedAt, UpdatedAt: made.Host.UpdatedAt,
	}
	if diff := cmp.Diff(want, made.Host); diff != "" || !token.MatchString(made.RegistrationToken) {
		t.Errorf("%+v: %s", made, diff)
	}
	regular := c.announce(`{"type":"regular"}`)
	var ids []string
	for _, h := range c.hosts() {
		ids = append(ids, h.ID)
	}
	if diff := cmp.Diff([]string{regular.Host.ID, made.Host.ID, s.local.id}, ids); diff != "" {
		t.Errorf("listed: %s", diff)
	}
	one := "/v1/hosts/" + made.Host.ID
	var again hostRegistrationAnswer
	c.want(http.StatusCreated, "", http.MethodPost, one+"/token", nil).json(t, &again)
	if !token.MatchString(again.RegistrationToken) || again.RegistrationToken == made.RegistrationToken || again.Host != made.Host {
		t.Errorf("%+v", again)
	}
	var preview struct {
		Host       hostAnswer `json:"host"`
		SandboxIDs []string   `json:"sandbox_ids"`
	}
	c.want(http.StatusOK, "", http.MethodGet, one+"/delete-preview", nil).json(t, &preview)
	if preview.Host.ID != made.Host.ID || preview.SandboxIDs == nil || len(preview.SandboxIDs) != 0 {
		t.Errorf("%+v", preview)
	}
	c.want(http.StatusNoContent, "", http.MethodDelete, one, nil)
	for _, op := range []struct{ method, path string }{{"GET", ""}, {"DELETE", ""}, {"DELETE", "?force=true"}, {"GET", "/delete-preview"}, {"POST", "/token"}, {"GET", "/tags"}, {"DELETE", "/tags/x"}} {
		c.want(http.StatusNotFound, "not_found", op.method, one+op.path, nil)
	}
}

func TestHostTags(t *testing.T) {
	s := start(t, Config{})
	c := s.user(t)
	tags := "/v1/hosts/" + s.local.id + "/tags"
	check := func(want string) {
		t.Helper()
		if a := c.want(http.StatusOK, "", http.MethodGet, tags, nil); strings.TrimSpace(string(a.body)) != want {
			t.Errorf("tags are %s, want %s", a.body, want)
		}
	}
	check("null")
	for _, tag := range []string{"gpu", "a b", "gpu"} {
		c.want(http.StatusNoContent, "", http.MethodPost, tags, map[string]string{"tag": tag})
	}
	check(`["a b","gpu"]`)
	for range 2 {
		c.want(http.StatusNoContent, "", http.MethodDelete, tags+"/a%20b", nil)
	}
	check(`["gpu"]`)
	c.want(http.StatusNoContent, "", http.MethodDelete, tags+"/gpu", nil)
	check("null")
}

func TestErrorsOfHosts(t *testing.T) {
	for _, generations := range []Generations{Sandboxes, Capsules} {
		t.Run(fmt.Sprint(generations), func(t *testing.T) {
			s := start(t, Config{Generations: generations})
			c := s.user(t)
			other, b := s.stranger(t)
			a := s.secrets.Teams[0].ID
			c.byoc(b, true)
			local, regular := "/v1/hosts/"+s.local.id, "/v1/hosts/"+c.announce(`{"type":"regular"}`).Host.ID
			unknown := "/v1/hosts/" + unknownHost
			for _, tt := range []struct {
				who                *client
				method, path, body string
				status             int
				code               string
			}{
				{c, "POST", "/v1/hosts", ``, 400, "invalid_request"},
				{c, "POST", "/v1/hosts", `{}`, 400, "invalid_request"},
				{c, "POST", "/v1/hosts", `{"type":"rented"}`, 400, "invalid_request"},
				{c, "POST", "/v1/hosts", `{"type":"byoc"}`, 400, "invalid_request"},
				{c, "POST", "/v1/hosts", `{"type":"byoc","team_id":"x"}`, 400, "invalid_request"},
				{c, "POST", "/v1/hosts", `{"type":"byoc","team_id":"team-0000000000000000000000000"}`, 404, "not_found"},
				{other, "POST", "/v1/hosts", `{"type":"regular"}`, 403, "forbidden"},
				{other, "POST", "/v1/hosts", `{"type":"byoc","team_id":"` + a + `"}`, 403, "forbidden"},
				{other, "POST", "/v1/hosts", `{"type":"byoc","team_id":"` + b + `"}`, 201, ""},
				{c, "POST", "/v1/hosts", `{"type":"byoc","team_id":"` + b + `"}`, 201, ""},
				{c, "POST", "/v1/hosts", `{"type":"byoc","team_id":"` + a + `"}`, 403, "forbidden"},
				{c, "GET", "/v1/hosts/x", ``, 400, "invalid_request"},
				{c, "GET", unknown, ``, 404, "not_found"},
				{other, "GET", local, ``, 404, "not_found"},
				{other, "GET", regular, ``, 404, "not_found"},
				{c, "GET", "/v1/hosts/x/delete-preview", ``, 400, "invalid_request"},
				{c, "GET", unknown + "/delete-preview", ``, 404, "not_found"},
				{other, "GET", local + "/delete-preview", ``, 403, "forbidden"},
				{other, "GET", regular + "/delete-preview", ``, 403, "forbidden"},
				{c, "DELETE", "/v1/hosts/x", ``, 400, "invalid_request"},
				{c, "DELETE", unknown, ``, 404, "not_found"},
				{other, "DELETE", local + "?force=true", ``, 403, "forbidden"},
				{other, "DELETE", regular, ``, 403, "forbidden"},
				{c, "POST", "/v1/hosts/x/token", ``, 400, "invalid_request"},
				{c, "POST", unknown + "/token", ``, 404, "not_found"},
				{c, "POST", local + "/token", ``, 400, "invalid_request"},
				{other, "POST", regular + "/token", ``, 403, "forbidden"},
				{c, "GET", "/v1/hosts/x/tags", ``, 400, "invalid_request"},
				{c, "GET", unknown + "/tags", ``, 404, "not_found"},
				{other, "GET", local + "/tags", ``, 404, "not_found"},
				{c, "POST", "/v1/hosts/x/tags", `{"tag":"t"}`, 400, "invalid_request"},
				{c, "POST", local + "/tags", ``, 400, "invalid_request"},
				{c, "POST", local + "/tags", `{"tag":""}`, 400, "invalid_request"},
				{c, "POST", unknown + "/tags", `{"tag":"t"}`, 404, "not_found"},
				{other, "POST", local + "/tags", `{"tag":"t"}`, 404, "not_found"},
				{c, "DELETE", "/v1/hosts/x/tags/t", ``, 400, "invalid_request"},
				{c, "DELETE", unknown + "/tags/t", ``, 404, "not_found"},
				{other, "DELETE", local + "/tags/t", ``, 404, "not_found"},
			} {
				tt.who.want(tt.status, tt.code, tt.method, tt.path, tt.body)
			}
			if got := other.hosts(); len(got) != 2 || got[0].TeamID != b || got[0].TeamName != "" {
				t.Errorf("the other team sees %+v", got)
			}
		})
	}
}

func TestWhoManagesHosts(t *testing.T) {
	s := start(t, Config{})
	team := s.secrets.Teams[0].ID
	s.user(t).byoc(team, true)
	for _, role := range []string{roleAdmin, roleMember} {
		s.people.addMember(memberRecord{Team: team, User: role, Role: role})
	}
	owner := s.secrets.UserID
	byoc, regular := hostRow{Type: hostBYOC, Team: team}, hostRow{Type: hostRegular}
	for _, tt := range []struct {
		who                              caller
		announcesByoc, byocs, anyRegular bool
	}{
		{caller{id: "x", team: "another", admin: true}, true, true, true},
		{caller{id: owner, team: team}, true, true, false},
		{caller{id: roleAdmin, team: team}, true, true, false},
		{caller{id: roleAdmin, team: "another"}, true, false, false},               // a token for another team
		{caller{id: roleMember, team: team, role: roleOwner}, false, false, false}, // the token is out of date
		{caller{id: "x", team: team, role: roleOwner}, false, false, false},
	} {
		for what, check := range map[string]struct {
			err  error
			want bool
		}{
			"announces a host of the team": {s.mayAnnounce(tt.who, hostBYOC, team), tt.announcesByoc},
			"announces a regular host":     {s.mayAnnounce(tt.who, hostRegular, ""), tt.anyRegular},
			"manages a host of the team":   {s.mayManage(tt.who, byoc), tt.byocs},
			"manages a regular host":       {s.mayManage(tt.who, regular), tt.anyRegular},
		} {
			if (check.err == nil) != check.want {
				t.Errorf("%+v %s: %v", tt.who, what, check.err)
			}
		}
	}
}

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
