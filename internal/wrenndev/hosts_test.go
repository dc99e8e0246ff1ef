package wrenndev

import (
	"fmt"
	"net/http"
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

// mayBring lets a team bring hosts.
func (c *client) mayBring(team string) {
	c.t.Helper()
	c.want(http.StatusNoContent, "", http.MethodPut, "/v1/admin/teams/"+team+"/byoc", `{"enabled":true}`)
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
	c.mayBring(team)
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
			c.mayBring(b)
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
	s.user(t).mayBring(team)
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
