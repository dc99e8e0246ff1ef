package wrenndev

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMembers(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			s := start(t, Config{Generations: m.served})
			owner, u, v := s.bearing(t, s.Token()), s.newUser(t, "a@b.example"), s.newUser(t, "b@b.example")
			team := s.secrets.Teams[0].ID
			members := "/v1/teams/" + team + "/members"
			var added memberAnswer
			owner.want(http.StatusCreated, "", http.MethodPost, members, `{"email":" A@b.example "}`).json(t, &added)
			want := memberAnswer{UserID: u.UserID, Name: "Some One", Email: "a@b.example", Role: "member", JoinedAt: "0001-01-01T00:00:00Z"}
			if diff := cmp.Diff(want, added); diff != "" {
				t.Errorf("added (-want +got):\n%s", diff)
			}
			var listed []memberAnswer
			owner.want(http.StatusOK, "", http.MethodGet, members, nil).json(t, &listed)
			if len(listed) != 2 || listed[1].UserID != u.UserID || listed[1].JoinedAt <= "2000" {
				t.Errorf("members are %+v", listed)
			}

			var there loginAnswer
			s.bearing(t, u.Token).want(http.StatusOK, "", http.MethodPost, switchPath, `{"team_id":"`+team+`"}`).json(t, &there)
			member, one, self := s.bearing(t, there.Token), members+"/"+u.UserID, members+"/"+s.secrets.UserID
			member.wantAll([]request{
				{"members see members", "GET", members, "", 200, ""},
				{"members add nobody", "POST", members, `{"email":"b@b.example"}`, 403, "forbidden"},
				{"members change no roles", "PATCH", one, `{"role":"admin"}`, 403, "forbidden"},
				{"members remove nobody", "DELETE", one, "", 403, "forbidden"},
				{"members do not rename", "PATCH", "/v1/teams/" + team, `{"name":"x"}`, 403, "forbidden"},
				{"members do not delete", "DELETE", "/v1/teams/" + team, "", 403, "forbidden"},
			})
			owner.wantAll([]request{
				{"twice", "POST", members, `{"email":"a@b.example"}`, 409, "conflict"},
				{"nobody", "POST", members, `{"email":"x@b.example"}`, 404, "not_found"},
				{"no address", "POST", members, `{}`, 400, "invalid_request"},
				{"no JSON", "POST", members, `x`, 400, "invalid_request"},
				{"another team", "POST", "/v1/teams/" + u.TeamID + "/members", `{"email":"b@b.example"}`, 403, "forbidden"},
				{"role", "PATCH", one, `{"role":"admin"}`, 204, ""},
				{"role of owner", "PATCH", one, `{"role":"owner"}`, 400, "invalid_request"},
				{"no role", "PATCH", one, `{}`, 400, "invalid_request"},
				{"role without JSON", "PATCH", one, ``, 400, "invalid_request"},
				{"role of the owner", "PATCH", self, `{"role":"member"}`, 403, "forbidden"},
				{"role of no member", "PATCH", members + "/" + v.UserID, `{"role":"member"}`, 404, "not_found"},
				{"role of a bad id", "PATCH", members + "/x", `{"role":"member"}`, 400, "invalid_request"},
				{"remove the owner", "DELETE", self, "", 403, "forbidden"},
				{"remove no member", "DELETE", members + "/" + v.UserID, "", 404, "not_found"},
				{"remove a bad id", "DELETE", members + "/x", "", 400, "invalid_request"},
			})
			// The role that counts is the one of now, not the token's.
			member.wantAll([]request{
				{"admins add", "POST", members, `{"email":"b@b.example"}`, 201, ""},
				{"admins remove", "DELETE", members + "/" + v.UserID, "", 204, ""},
				{"admins rename", "PATCH", "/v1/teams/" + team, `{"name":"x"}`, 204, ""},
				{"admins do not delete", "DELETE", "/v1/teams/" + team, "", 403, "forbidden"},
				{"admins leave", "POST", "/v1/teams/" + team + "/leave", "", 204, ""},
				{"who left cannot leave", "POST", "/v1/teams/" + team + "/leave", "", 403, "forbidden"},
				{"who left adds nobody", "POST", members, `{"email":"b@b.example"}`, 403, "forbidden"},
				{"who left cannot come back", "POST", switchPath, `{"team_id":"` + team + `"}`, 403, "forbidden"},
			})
		})
	}
}

func TestUserSearch(t *testing.T) {
	s := start(t, Config{})
	c := s.bearing(t, s.Token())
	for i := range 12 {
		s.newUser(t, fmt.Sprintf("u@%02d.example", 11-i))
	}
	search := func(prefix string) []string {
		var got []struct {
			UserID string `json:"user_id"`
			Email  string
		}
		c.want(http.StatusOK, "", http.MethodGet, "/v1/users/search?email="+prefix, nil).json(t, &got)
		found := []string{}
		for _, u := range got {
			if !hasIDForm(u.UserID, userPrefix) {
				t.Errorf("user %+v", u)
			}
			found = append(found, u.Email)
		}
		return found
	}
	if diff := cmp.Diff([]string{"u@10.example", "u@11.example"}, search("u@1")); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if got := search("u@0"); len(got) != 10 || got[0] != "u@00.example" {
		t.Errorf("found %v", got)
	}
	if got := search("U@1"); len(got) != 0 {
		t.Errorf("upper case finds %v", got)
	}
	for _, query := range []string{"", "?email=u@", "?email=abc", "?email="} {
		c.want(http.StatusBadRequest, "invalid_request", http.MethodGet, "/v1/users/search"+query, nil)
	}
}
