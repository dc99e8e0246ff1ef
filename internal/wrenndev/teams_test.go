package wrenndev

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTeams(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			s := start(t, Config{Generations: m.served})
			c := s.bearing(t, s.Token())
			c.wantAll([]request{
				{"no name", "POST", "/v1/teams", `{}`, 400, "invalid_request"},
				{"sign in the name", "POST", "/v1/teams", `{"name":"a/b"}`, 400, "invalid_request"},
				{"long name", "POST", "/v1/teams", `{"name":"` + strings.Repeat("a", 129) + `"}`, 400, "invalid_request"},
				{"no JSON", "POST", "/v1/teams", ``, 400, "invalid_request"},
			})
			var made teamAnswer
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/teams", `{"name":"A team_1"}`).json(t, &made)
			if made.Name != "A team_1" || made.Role != "owner" || !hasIDForm(made.ID, teamPrefix) || made.CreatedAt == "" ||
				!regexp.MustCompile(`^[0-9a-f]{6}-[0-9a-f]{6}$`).MatchString(made.Slug) {
				t.Errorf("made %+v", made)
			}
			var listed []teamAnswer
			c.want(http.StatusOK, "", http.MethodGet, "/v1/teams", nil).json(t, &listed)
			if len(listed) != 2 || listed[0].Name != "dev" || listed[0].Role != "owner" {
				t.Fatalf("teams are %+v", listed)
			}
			if diff := cmp.Diff(made, listed[1]); diff != "" {
				t.Errorf("made and listed (-want +got):\n%s", diff)
			}

			mine := "/v1/teams/" + s.secrets.Teams[0].ID
			c.wantAll([]request{
				{"another team", "GET", "/v1/teams/" + made.ID, "", 403, "forbidden"},
				{"an unknown team", "GET", "/v1/teams/" + unknownTeam, "", 403, "forbidden"},
				{"a bad id", "GET", "/v1/teams/x", "", 400, "invalid_request"},
				{"rename", "PATCH", mine, `{"name":" New name "}`, 204, ""},
				{"rename badly", "PATCH", mine, `{"name":"ü"}`, 400, "invalid_request"},
				{"rename without JSON", "PATCH", mine, `x`, 400, "invalid_request"},
				{"rename another", "PATCH", "/v1/teams/" + made.ID, `{"name":"x"}`, 403, "forbidden"},
				{"delete another", "DELETE", "/v1/teams/" + made.ID, "", 403, "forbidden"},
				{"leave as the owner", "POST", mine + "/leave", "", 403, "forbidden"},
			})
			var got struct {
				Team    teamAnswer
				Members []memberAnswer
			}
			c.want(http.StatusOK, "", http.MethodGet, mine, nil).json(t, &got)
			if got.Team.Name != "New name" || got.Team.Role != "" || len(got.Members) != 1 ||
				got.Members[0].Email != s.User().Email || got.Members[0].Role != "owner" {
				t.Errorf("team is %+v", got)
			}
		})
	}
}

func TestDeletedTeams(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			s := start(t, Config{Generations: m.served, Teams: []Team{{Name: "a"}, {Name: "b"}}})
			u := s.newUser(t, "a@b.example")
			c, path := s.bearing(t, u.Token), "/v1/teams/"+u.TeamID
			var made apiKeyAnswer
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/api-keys", `{}`).json(t, &made)
			byKey := s.client(t, c.base)
			byKey.key = made.Key
			running, paused, others := byKey.create(), byKey.create(), s.client(t, c.base).create()
			byKey.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(paused, "snap"))
			c.want(http.StatusNoContent, "", http.MethodDelete, path, nil)
			for _, id := range []string{running, paused} {
				if info, _ := s.Sandbox(id); info.Status != StatusStopped || info.Machine || info.Files {
					t.Errorf("left: %+v", info)
				}
			}
			if info, _ := s.Sandbox(others); info.Status != StatusRunning {
				t.Errorf("another team's: %+v", info)
			}
			if left, err := readNames(s.dir + "/snapshots"); err != nil || len(left) != 0 {
				t.Errorf("snapshots are left: %v, %v", left, err)
			}
			byKey.want(http.StatusUnauthorized, "unauthorized", http.MethodGet, c.base, nil)
			c.wantAll([]request{
				{"get", "GET", path, "", 404, "not_found"},
				{"rename", "PATCH", path, `{"name":"x"}`, 404, "not_found"},
				{"delete", "DELETE", path, "", 404, "not_found"},
				{"leave", "POST", path + "/leave", "", 404, "not_found"},
				{"members", "GET", path + "/members", "", 404, "not_found"},
				{"add", "POST", path + "/members", `{"email":"x@b.example"}`, 404, "not_found"},
				{"role", "PATCH", path + "/members/" + u.UserID, `{"role":"admin"}`, 404, "not_found"},
				{"remove", "DELETE", path + "/members/" + u.UserID, "", 404, "not_found"},
			})
			if a := c.want(http.StatusOK, "", http.MethodGet, "/v1/teams", nil); string(a.body) != "[]\n" {
				t.Errorf("teams are %s", a.body)
			}
		})
	}
}

func TestBYOCIsForAdministrators(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			s := start(t, Config{Generations: m.served})
			u := s.newUser(t, "a@b.example")
			path := "/v1/admin/teams/" + u.TeamID + "/byoc"
			s.bearing(t, u.Token).want(http.StatusForbidden, "forbidden", http.MethodPut, path, `{"enabled":true}`)
			for _, want := range []bool{true, false} {
				body := map[string]bool{"enabled": want}
				s.bearing(t, s.Token()).want(http.StatusNoContent, "", http.MethodPut, path, body)
				var teams []teamAnswer
				s.bearing(t, u.Token).want(http.StatusOK, "", http.MethodGet, "/v1/teams", nil).json(t, &teams)
				if teams[0].IsBYOC != want {
					t.Errorf("is_byoc is %v", teams[0].IsBYOC)
				}
			}
			s.bearing(t, s.Token()).wantAll([]request{
				{"unknown team", "PUT", "/v1/admin/teams/" + unknownTeam + "/byoc", `{"enabled":true}`, 404, "not_found"},
				{"bad id", "PUT", "/v1/admin/teams/x/byoc", `{"enabled":true}`, 400, "invalid_request"},
				{"no JSON", "PUT", path, ``, 400, "invalid_request"},
			})
		})
	}
}
