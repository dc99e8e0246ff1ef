package wrenndev

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	loginPath    = "/v1/auth/login"
	signupPath   = "/v1/auth/signup"
	activatePath = "/v1/auth/activate"
	switchPath   = "/v1/auth/switch-team"
)

func loginBody(email, password string) string {
	return `{"email":"` + email + `","password":"` + password + `"}`
}

func TestLoginRefusals(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			s := start(t, Config{Generations: m.served, User: User{Email: "a@b.c", Password: "secret-word"}})
			s.bearing(t, "").wantAll([]request{
				{"right", "POST", loginPath, loginBody("a@b.c", "secret-word"), 200, ""},
				{"other case and spaces", "POST", loginPath, loginBody(" A@B.c ", "secret-word"), 200, ""},
				{"wrong password", "POST", loginPath, loginBody("a@b.c", "secret-wore"), 401, "unauthorized"},
				{"unknown address", "POST", loginPath, loginBody("x@b.c", "secret-word"), 401, "unauthorized"},
				{"no password", "POST", loginPath, loginBody("a@b.c", ""), 400, "invalid_request"},
				{"no address", "POST", loginPath, loginBody("", "secret-word"), 400, "invalid_request"},
				{"null", "POST", loginPath, "null", 400, "invalid_request"},
				{"nothing", "POST", loginPath, "", 400, "invalid_request"},
				{"a list", "POST", loginPath, "[]", 400, "invalid_request"},
			})
		})
	}
}

// TestLoginOfUsersWhoAreNotActive: only C tells why.
func TestLoginOfUsersWhoAreNotActive(t *testing.T) {
	for _, tt := range []struct {
		served       Generations
		status, code string
		want         int
	}{
		{Capsules, "inactive", "account_not_activated", http.StatusForbidden},
		{Capsules, "disabled", "account_disabled", http.StatusForbidden},
		{Sandboxes, "inactive", "unauthorized", http.StatusUnauthorized},
		{Sandboxes, "disabled", "unauthorized", http.StatusUnauthorized},
	} {
		s := start(t, Config{Generations: tt.served})
		s.newUser(t, "a@b.example")
		if err := s.SetUserStatus("a@b.example", tt.status); err != nil {
			t.Fatal(err)
		}
		c := s.bearing(t, "")
		c.want(tt.want, tt.code, http.MethodPost, loginPath, loginBody("a@b.example", "long enough"))
		c.want(http.StatusUnauthorized, "unauthorized", http.MethodPost, loginPath, loginBody("a@b.example", "not the word"))
	}
}

// TestLoginOfAUserInNoTeam: S refuses, C makes a team.
func TestLoginOfAUserInNoTeam(t *testing.T) {
	for _, m := range manners {
		s := start(t, Config{Generations: m.served})
		u := s.newUser(t, "a@b.example")
		s.bearing(t, u.Token).want(http.StatusNoContent, "", http.MethodDelete, "/v1/teams/"+u.TeamID, nil)
		c := s.bearing(t, "")
		if m.served == Sandboxes {
			c.want(http.StatusForbidden, "no_team", http.MethodPost, loginPath, loginBody("a@b.example", "long enough"))
			continue
		}
		var got loginAnswer
		c.want(http.StatusOK, "", http.MethodPost, loginPath, loginBody("a@b.example", "long enough")).json(t, &got)
		if got.TeamID == u.TeamID || !hasIDForm(got.TeamID, teamPrefix) {
			t.Errorf("login is for team %q", got.TeamID)
		}
	}
}

func TestSignup(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			s := start(t, Config{Generations: m.served})
			c := s.bearing(t, "")
			c.wantAll([]request{
				{"no @", "POST", signupPath, `{"email":"ab","name":"A","password":"long enough"}`, 400, "invalid_request"},
				{"nothing before @", "POST", signupPath, `{"email":"@b","name":"A","password":"long enough"}`, 400, "invalid_request"},
				{"seven characters", "POST", signupPath, `{"email":"a@b","name":"A","password":"1234567"}`, 400, "invalid_request"},
				{"no name", "POST", signupPath, `{"email":"a@b","name":" ","password":"12345678"}`, 400, "invalid_request"},
				{"long name", "POST", signupPath, `{"email":"a@b","name":"` + strings.Repeat("é", 101) + `","password":"12345678"}`, 400, "invalid_request"},
				{"longest name", "POST", signupPath, `{"email":"long@b","name":"` + strings.Repeat("é", 100) + `","password":"12345678"}`, 201, ""},
				{"no JSON", "POST", signupPath, `{`, 400, "invalid_request"},
				{"taken by the configured user", "POST", signupPath, signupBody("DEV@wrenn.local"), 409, "email_taken"},
			})
			u := s.newUser(t, "new@b.example")
			c.want(http.StatusConflict, "email_taken", http.MethodPost, signupPath, signupBody("New@b.example"))
			if u.Email != "new@b.example" || u.Name != "Some One" || !hasIDForm(u.UserID, userPrefix) || !hasIDForm(u.TeamID, teamPrefix) {
				t.Errorf("signed up as %+v", u)
			}
			var got loginAnswer
			c.want(http.StatusOK, "", http.MethodPost, loginPath, loginBody("new@b.example", "long enough")).json(t, &got)
			got.Token, u.Token = "", ""
			if diff := cmp.Diff(u, got); diff != "" {
				t.Errorf("login and signup differ (-signup +login):\n%s", diff)
			}
		})
	}
}

func TestSignupOfGenerationCWaitsForItsMail(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	c := s.bearing(t, "")
	var got map[string]string
	c.want(http.StatusCreated, "", http.MethodPost, signupPath, signupBody("a@b.example")).json(t, &got)
	if len(got) != 1 || got["message"] == "" {
		t.Errorf("answer is %v", got)
	}
	c.want(http.StatusForbidden, "account_not_activated", http.MethodPost, loginPath, loginBody("a@b.example", "long enough"))
	c.want(http.StatusConflict, "signup_cooldown", http.MethodPost, signupPath, signupBody("a@b.example"))
	token := s.mailTo(t, "a@b.example")
	c.wantAll([]request{
		{"no token", "POST", activatePath, `{}`, 400, "invalid_request"},
		{"unknown token", "POST", activatePath, `{"token":"` + strings.Repeat("0", 32) + `"}`, 400, "invalid_token"},
		{"not for a reset", "POST", "/v1/me/password/reset/confirm", `{"token":"` + token + `","new_password":"long enough"}`, 400, "invalid_token"},
		{"right", "POST", activatePath, `{"token":"` + token + `"}`, 200, ""},
		{"again", "POST", activatePath, `{"token":"` + token + `"}`, 400, "invalid_token"},
		{"login", "POST", loginPath, loginBody("a@b.example", "long enough"), 200, ""},
	})

	c.want(http.StatusCreated, "", http.MethodPost, signupPath, signupBody("b@b.example"))
	if err := s.SetUserStatus("b@b.example", "active"); err != nil {
		t.Fatal(err)
	}
	c.want(http.StatusBadRequest, "already_activated", http.MethodPost, activatePath, `{"token":"`+s.mailTo(t, "b@b.example")+`"}`)
}

// TestSignupAgainAfterTheCooldown makes time pass in the records.
func TestSignupAgainAfterTheCooldown(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	c := s.bearing(t, "")
	c.want(http.StatusCreated, "", http.MethodPost, signupPath, signupBody("a@b.example"))
	old, _ := s.people.userBy("a@b.example")
	stale := s.mailTo(t, "a@b.example")
	s.people.users.update(old.ID, func(u *userRecord) { u.Created = u.Created.Add(-signupCooldown) })
	c.want(http.StatusCreated, "", http.MethodPost, signupPath, `{"email":"a@b.example","name":"Another","password":"another word"}`)
	c.want(http.StatusBadRequest, "invalid_token", http.MethodPost, activatePath, `{"token":"`+stale+`"}`)
	fresh := s.mailTo(t, "a@b.example")
	s.people.mails.update(fresh, func(m *mailRecord) { m.Sent = m.Sent.Add(-31 * time.Minute) })
	c.want(http.StatusBadRequest, "invalid_token", http.MethodPost, activatePath, `{"token":"`+fresh+`"}`)
	s.people.mails.update(fresh, func(m *mailRecord) { m.Sent = m.Sent.Add(2 * time.Minute) })
	var got loginAnswer
	c.want(http.StatusOK, "", http.MethodPost, activatePath, `{"token":"`+fresh+`"}`).json(t, &got)
	if got.UserID == old.ID || got.Name != "Another" {
		t.Errorf("activated %+v", got)
	}
}

func TestTheFirstActiveUserIsAdministrator(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	byoc := func(u loginAnswer) (method, path, body string) {
		return http.MethodPut, "/v1/admin/teams/" + u.TeamID + "/byoc", `{"enabled":true}`
	}
	second := s.newUser(t, "second@b.example")
	method, path, body := byoc(second)
	s.bearing(t, second.Token).want(http.StatusForbidden, "forbidden", method, path, body)
	for _, email := range []string{"second@b.example", s.User().Email} {
		if err := s.SetUserStatus(email, "disabled"); err != nil {
			t.Fatal(err)
		}
	}
	u := s.newUser(t, "first@b.example")
	method, path, body = byoc(u)
	s.bearing(t, u.Token).want(http.StatusNoContent, "", method, path, body)
}

func TestSwitchTeam(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			s := start(t, Config{Generations: m.served})
			mine, other := s.newUser(t, "a@b.example"), s.newUser(t, "b@b.example")
			c := s.bearing(t, mine.Token)
			var made teamAnswer
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/teams", `{"name":"Second"}`).json(t, &made)
			c.wantAll([]request{
				{"not a member", "POST", switchPath, `{"team_id":"` + other.TeamID + `"}`, 403, "forbidden"},
				{"unknown", "POST", switchPath, `{"team_id":"` + unknownTeam + `"}`, 404, "not_found"},
				{"bad form", "POST", switchPath, `{"team_id":"x"}`, 400, "invalid_request"},
				{"nothing", "POST", switchPath, `{}`, 400, "invalid_request"},
				{"no JSON", "POST", switchPath, ``, 400, "invalid_request"},
				{"token for the first team", "GET", "/v1/teams/" + made.ID, "", 403, "forbidden"},
			})
			var switched loginAnswer
			c.want(http.StatusOK, "", http.MethodPost, switchPath, `{"team_id":"`+made.ID+`"}`).json(t, &switched)
			if switched.TeamID != made.ID || switched.UserID != mine.UserID || switched.Email != "a@b.example" {
				t.Errorf("switched to %+v", switched)
			}
			there := s.bearing(t, switched.Token)
			there.want(http.StatusOK, "", http.MethodGet, "/v1/teams/"+made.ID, nil)
			there.want(http.StatusNoContent, "", http.MethodDelete, "/v1/teams/"+made.ID, nil)
			c.want(http.StatusNotFound, "not_found", http.MethodPost, switchPath, `{"team_id":"`+made.ID+`"}`)
		})
	}
}

func TestTokensOfTheConfiguredUser(t *testing.T) {
	s := start(t, Config{Teams: []Team{{Name: "a"}, {Name: "b"}}})
	c := s.client(t, pathS)
	c.key = s.APIKeyOf("b")
	id := c.create()
	s.bearing(t, s.TokenOf("b")).want(http.StatusOK, "", http.MethodGet, pathS+"/"+id, nil)
	s.bearing(t, s.TokenOf("a")).want(http.StatusNotFound, "not_found", http.MethodGet, pathS+"/"+id, nil)
	s.bearing(t, s.Token()).want(http.StatusOK, "", http.MethodPost, switchPath, `{"team_id":"`+s.secrets.Teams[1].ID+`"}`)
	if got := s.TokenOf("c"); got != "" {
		t.Errorf("a token of no team: %q", got)
	}
}
