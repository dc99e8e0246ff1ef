package wrenndev

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const passwordPath = "/v1/me/password"

func TestMe(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	c := s.bearing(t, s.newUser(t, "a@b.example").Token)
	var got meAnswer
	c.want(http.StatusOK, "", http.MethodGet, "/v1/me", nil).json(t, &got)
	if diff := cmp.Diff(meAnswer{Name: "Some One", Email: "a@b.example", HasPassword: true, Providers: []string{}}, got); diff != "" {
		t.Errorf("me (-want +got):\n%s", diff)
	}
	c.wantAll([]request{
		{"name", "PATCH", "/v1/me", `{"name":" New Name "}`, 204, ""},
		{"no name", "PATCH", "/v1/me", `{"name":" "}`, 400, "invalid_request"},
		{"long name", "PATCH", "/v1/me", `{"name":"` + strings.Repeat("a", 101) + `"}`, 400, "invalid_request"},
		{"no JSON", "PATCH", "/v1/me", `x`, 400, "invalid_request"},
	})
	c.want(http.StatusOK, "", http.MethodGet, "/v1/me", nil).json(t, &got)
	if got.Name != "New Name" {
		t.Errorf("name is %q", got.Name)
	}
}

func TestPasswordChange(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	c, nobody := s.bearing(t, s.newUser(t, "a@b.example").Token), s.bearing(t, "")
	c.wantAll([]request{
		{"wrong", "POST", passwordPath, `{"current_password":"not the word","new_password":"another word"}`, 401, "wrong_password"},
		{"none given", "POST", passwordPath, `{"new_password":"another word","confirm_password":"another word"}`, 400, "invalid_request"},
		{"short", "POST", passwordPath, `{"current_password":"long enough","new_password":"1234567"}`, 400, "invalid_request"},
		{"no JSON", "POST", passwordPath, `[]`, 400, "invalid_request"},
		{"right", "POST", passwordPath, `{"current_password":"long enough","new_password":"another word"}`, 204, ""},
	})
	nobody.want(http.StatusUnauthorized, "unauthorized", http.MethodPost, loginPath, loginBody("a@b.example", "long enough"))
	nobody.want(http.StatusOK, "", http.MethodPost, loginPath, loginBody("a@b.example", "another word"))
}

func TestPasswordReset(t *testing.T) {
	const confirmPath = passwordPath + "/reset/confirm"
	s := start(t, Config{Generations: Capsules})
	u, c := s.newUser(t, "a@b.example"), s.bearing(t, "")
	mails := len(s.Mails())
	for _, body := range []string{`{"email":"nobody@b.example"}`, `{}`, `x`, ``} {
		c.want(http.StatusNoContent, "", http.MethodPost, passwordPath+"/reset", body)
	}
	if got := s.Mails()[mails:]; len(got) != 0 {
		t.Errorf("mails to nobody: %+v", got)
	}
	c.want(http.StatusNoContent, "", http.MethodPost, passwordPath+"/reset", `{"email":" A@b.example"}`)
	got := s.Mails()[mails:]
	if len(got) != 1 || got[0].To != "a@b.example" || got[0].Kind != MailPasswordReset {
		t.Fatalf("mails %+v", got)
	}
	token := got[0].Token
	c.wantAll([]request{
		{"no token", "POST", confirmPath, `{"new_password":"reset word"}`, 400, "invalid_request"},
		{"short", "POST", confirmPath, `{"token":"` + token + `","new_password":"1234567"}`, 400, "invalid_request"},
		{"no JSON", "POST", confirmPath, `x`, 400, "invalid_request"},
		{"unknown", "POST", confirmPath, `{"token":"x","new_password":"reset word"}`, 400, "invalid_token"},
		{"not for an activation", "POST", activatePath, `{"token":"` + token + `"}`, 400, "invalid_token"},
		{"right", "POST", confirmPath, `{"token":"` + token + `","new_password":"reset word"}`, 204, ""},
		{"again", "POST", confirmPath, `{"token":"` + token + `","new_password":"third word"}`, 400, "invalid_token"},
		{"login", "POST", loginPath, loginBody("a@b.example", "reset word"), 200, ""},
	})

	c.want(http.StatusNoContent, "", http.MethodPost, passwordPath+"/reset", `{"email":"a@b.example"}`)
	s.bearing(t, u.Token).want(http.StatusNoContent, "", http.MethodDelete, "/v1/me", `{"confirmation":"a@b.example"}`)
	c.want(http.StatusBadRequest, "invalid_token", http.MethodPost, confirmPath,
		`{"token":"`+s.mailTo(t, "a@b.example")+`","new_password":"third word"}`)
}

func TestProviders(t *testing.T) {
	const connectPath, onePath = "/v1/me/providers/github/connect", "/v1/me/providers/github"
	s := start(t, Config{Generations: Capsules})
	c := s.bearing(t, s.newUser(t, "a@b.example").Token)
	c.want(http.StatusNotFound, "provider_not_found", http.MethodGet, "/v1/me/providers/nosuch/connect", nil)
	c.want(http.StatusNotFound, "not_found", http.MethodDelete, onePath, nil)
	var begun struct {
		AuthURL string `json:"auth_url"`
	}
	c.want(http.StatusOK, "", http.MethodGet, connectPath, nil).json(t, &begun)
	path, ours := strings.CutPrefix(begun.AuthURL, s.URL())
	if !ours {
		t.Fatalf("auth_url is %q", begun.AuthURL)
	}
	browser := s.bearing(t, "")
	for _, status := range []int{http.StatusOK, http.StatusBadRequest} {
		if a := browser.do(http.MethodGet, path, nil); a.status != status {
			t.Errorf("the provider: %d %s, want %d", a.status, a.body, status)
		}
	}
	if a := browser.do(http.MethodGet, "/_dev/oauth/github?state=x", nil); a.status != http.StatusBadRequest {
		t.Errorf("an unknown state: %d %s", a.status, a.body)
	}
	var me meAnswer
	c.want(http.StatusOK, "", http.MethodGet, "/v1/me", nil).json(t, &me)
	if diff := cmp.Diff([]string{"github"}, me.Providers); diff != "" {
		t.Errorf("providers (-want +got):\n%s", diff)
	}
	c.want(http.StatusNoContent, "", http.MethodDelete, onePath, nil)
	c.want(http.StatusNotFound, "not_found", http.MethodDelete, onePath, nil)
}

// TestAUserWithoutAPassword keeps the only way to log in until there is another.
func TestAUserWithoutAPassword(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	token, err := s.SignInWith("github", "G@b.example", "Git")
	if err != nil {
		t.Fatal(err)
	}
	c, nobody := s.bearing(t, token), s.bearing(t, "")
	var me meAnswer
	c.want(http.StatusOK, "", http.MethodGet, "/v1/me", nil).json(t, &me)
	if diff := cmp.Diff(meAnswer{Name: "Git", Email: "g@b.example", Providers: []string{"github"}}, me); diff != "" {
		t.Errorf("me (-want +got):\n%s", diff)
	}
	nobody.want(http.StatusUnauthorized, "unauthorized", http.MethodPost, loginPath, loginBody("g@b.example", "long enough"))
	c.wantAll([]request{
		{"the only way", "DELETE", "/v1/me/providers/github", "", 400, "last_login_method"},
		{"one that is not connected", "DELETE", "/v1/me/providers/nosuch", "", 400, "last_login_method"},
		{"given once", "POST", passwordPath, `{"new_password":"long enough"}`, 400, "invalid_request"},
		{"given differently", "POST", passwordPath, `{"new_password":"long enough","confirm_password":"long enougH"}`, 400, "invalid_request"},
		{"short", "POST", passwordPath, `{"new_password":"1234567","confirm_password":"1234567"}`, 400, "invalid_request"},
		{"given twice", "POST", passwordPath, `{"new_password":"long enough","confirm_password":"long enough"}`, 204, ""},
		{"another way now", "DELETE", "/v1/me/providers/github", "", 204, ""},
	})
	nobody.want(http.StatusOK, "", http.MethodPost, loginPath, loginBody("g@b.example", "long enough"))
	for _, sign := range [][2]string{{"github", "g@b.example"}, {"nosuch", "h@b.example"}, {"github", " "}} {
		if _, err := s.SignInWith(sign[0], sign[1], "X"); err == nil {
			t.Errorf("%v signed in", sign)
		}
	}
}

func TestDeleteAccount(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	u, other := s.newUser(t, "a@b.example"), s.newUser(t, "b@b.example")
	c, c2 := s.bearing(t, u.Token), s.bearing(t, other.Token)
	// The user is in the other's team too, made a key there, and has a sandbox in the own one.
	c2.want(http.StatusCreated, "", http.MethodPost, "/v1/teams/"+other.TeamID+"/members", `{"email":"a@b.example"}`)
	var there loginAnswer
	c.want(http.StatusOK, "", http.MethodPost, switchPath, `{"team_id":"`+other.TeamID+`"}`).json(t, &there)
	var made apiKeyAnswer
	s.bearing(t, there.Token).want(http.StatusCreated, "", http.MethodPost, "/v1/api-keys", `{}`).json(t, &made)
	id := c.create()
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/teams/"+u.TeamID+"/members", `{"email":"b@b.example"}`)
	c.wantAll([]request{
		{"not confirmed", "DELETE", "/v1/me", `{"confirmation":"b@b.example"}`, 400, "invalid_request"},
		{"no JSON", "DELETE", "/v1/me", ``, 400, "invalid_request"},
		{"others are in the team", "DELETE", "/v1/me", `{"confirmation":"a@b.example"}`, 409, "owns_team_with_members"},
		{"without them", "DELETE", "/v1/teams/" + u.TeamID + "/members/" + other.UserID, "", 204, ""},
		{"confirmed", "DELETE", "/v1/me", `{"confirmation":" A@b.example"}`, 204, ""},
		{"gone", "GET", "/v1/me", "", 403, "account_deactivated"},
	})
	nobody := s.bearing(t, "")
	nobody.want(http.StatusUnauthorized, "unauthorized", http.MethodPost, loginPath, loginBody("a@b.example", "long enough"))
	nobody.want(http.StatusConflict, "email_taken", http.MethodPost, signupPath, signupBody("a@b.example"))
	if info, _ := s.Sandbox(id); info.Status != StatusStopped || info.Files {
		t.Errorf("the sandbox is %+v", info)
	}
	byKey := s.client(t, pathC)
	byKey.key = made.Key
	byKey.want(http.StatusUnauthorized, "unauthorized", http.MethodGet, pathC, nil)
	var members []memberAnswer
	c2.want(http.StatusOK, "", http.MethodGet, "/v1/teams/"+other.TeamID+"/members", nil).json(t, &members)
	if len(members) != 1 || members[0].UserID != other.UserID {
		t.Errorf("members are %+v", members)
	}
	c2.want(http.StatusNotFound, "not_found", http.MethodPost, "/v1/teams/"+other.TeamID+"/members", `{"email":"a@b.example"}`)
}
