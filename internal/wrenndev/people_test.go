package wrenndev

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	unknownTeam = "team-0000000000000000000000000"
	unknownUser = "usr-0000000000000000000000000"
	unknownKey  = "key-0000000000000000000000000"
)

// manners are the two ways in which the routes without a family answer.
var manners = []struct {
	name   string
	served Generations
}{{"S", Sandboxes}, {"C", Capsules}}

// withToken adds a token to every request.
type withToken struct {
	token string
	http.RoundTripper
}

func (w withToken) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+w.token)
	return w.RoundTripper.RoundTrip(req)
}

// bearing is a client with a token instead of a key; without one, it has neither.
func (s *Server) bearing(t *testing.T, token string) *client {
	base := pathS
	if s.cfg.Generations == Capsules {
		base = pathC
	}
	c := s.client(t, base)
	c.key = ""
	if token != "" {
		c.http.Transport = withToken{token, c.http.Transport}
	}
	return c
}

func signupBody(email string) string {
	return `{"email":"` + email + `","name":"Some One","password":"long enough"}`
}

// newUser signs somebody up, and activates the account where that is needed.
func (s *Server) newUser(t *testing.T, email string) loginAnswer {
	t.Helper()
	c := s.bearing(t, "")
	var got loginAnswer
	answer := c.want(http.StatusCreated, "", http.MethodPost, "/v1/auth/signup", signupBody(email))
	if s.cfg.Generations == Capsules {
		answer = c.want(http.StatusOK, "", http.MethodPost, "/v1/auth/activate", `{"token":"`+s.mailTo(t, email)+`"}`)
	}
	answer.json(t, &got)
	return got
}

// mailTo is the token of the last mail to an address.
func (s *Server) mailTo(t *testing.T, email string) string {
	t.Helper()
	for _, m := range slices.Backward(s.Mails()) {
		if m.To == email {
			return m.Token
		}
	}
	t.Fatalf("no mail to %s", email)
	return ""
}

// request is a request and what is to come back.
type request struct {
	name, method, path, body string
	status                   int
	code                     string
}

// wantAll does requests one after the other, each as a test of its own.
func (c *client) wantAll(requests []request) {
	t := c.t
	for _, r := range requests {
		t.Run(r.name, func(t *testing.T) {
			mine := *c
			mine.t = t
			mine.want(r.status, r.code, r.method, r.path, r.body)
		})
	}
}

func TestRoutesOfPeopleNeedAToken(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			s := start(t, Config{Generations: m.served})
			nobody, byKey := s.bearing(t, ""), s.client(t, "")
			for _, r := range s.peopleRoutes(genS) {
				if r.access == accessNone {
					continue
				}
				path := strings.NewReplacer("{team}", unknownTeam, "{user}", unknownUser, "{key}", unknownKey, "{provider}", "github").Replace(r.path)
				nobody.want(http.StatusUnauthorized, "unauthorized", r.method, path, "{}")
				byKey.want(http.StatusUnauthorized, "unauthorized", r.method, path, "{}")
			}
		})
	}
}

func TestAccountRoutesAreOfGenerationCOnly(t *testing.T) {
	for served, want := range map[Generations]int{Sandboxes: http.StatusNotFound, Both: http.StatusOK, Capsules: http.StatusOK} {
		s := start(t, Config{Generations: served})
		a := s.bearing(t, s.Token()).do(http.MethodGet, "/v1/me", nil)
		if a.status != want || want == http.StatusNotFound && string(a.body) != "404 page not found\n" {
			t.Errorf("%d: %d %q", served, a.status, a.body)
		}
		a = s.bearing(t, "").do(http.MethodPost, "/v1/auth/activate", `{"token":"x"}`)
		if (a.status == http.StatusNotFound) != (served == Sandboxes) {
			t.Errorf("%d: activate: %d", served, a.status)
		}
	}
}

// TestUsersWhoAreNotActive tries every kind of route: C asks for the user at each, S never does.
func TestUsersWhoAreNotActive(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			s := start(t, Config{Generations: m.served})
			u := s.newUser(t, "a@b.example")
			c := s.bearing(t, u.Token)
			if err := s.SetUserStatus("A@b.example ", "disabled"); err != nil {
				t.Fatal(err)
			}
			want, code := http.StatusOK, ""
			if m.served == Capsules {
				want, code = http.StatusForbidden, "account_deactivated"
			}
			for _, path := range []string{c.base, "/v1/snapshots", "/v1/teams", "/v1/api-keys"} {
				c.want(want, code, http.MethodGet, path, nil)
			}
			if err := s.SetUserStatus("a@b.example", "active"); err != nil {
				t.Fatal(err)
			}
			c.want(http.StatusOK, "", http.MethodGet, "/v1/teams", nil)
		})
	}
}

func TestATokenOfAnInactiveUserOpensNoStream(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	id := s.client(t, pathC).create()
	if err := s.SetUserStatus(s.User().Email, "disabled"); err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]http.Header{"message": {}, "header": {"Authorization": {"Bearer " + s.Token()}}} {
		c := s.client(t, pathC)
		sock, _, err := c.dial(id, header) //nolint:bodyclose // there is none after an upgrade
		if err != nil {
			t.Fatal(err)
		}
		c.send1(sock, map[string]any{"type": "auth", "token": s.Token()})
		if got := read(t, sock); got.failure != "authentication failed" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPeopleSurviveARestart(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data"), Generations: Capsules, Teams: []Team{{Name: "a"}, {Name: "b"}}}
	first := start(t, cfg)
	u, owner := first.newUser(t, "a@b.example"), first.bearing(t, first.Token())
	c := first.bearing(t, u.Token)
	teamPath := "/v1/teams/" + first.secrets.Teams[0].ID
	owner.want(http.StatusCreated, "", http.MethodPost, teamPath+"/members", `{"email":"a@b.example"}`)
	owner.want(http.StatusNoContent, "", http.MethodPatch, teamPath+"/members/"+u.UserID, `{"role":"admin"}`)
	owner.want(http.StatusNoContent, "", http.MethodPatch, teamPath, `{"name":"Renamed"}`)
	owner.want(http.StatusNoContent, "", http.MethodPost, "/v1/me/password",
		`{"current_password":"`+first.User().Password+`","new_password":"another word"}`)
	var kept, deleted apiKeyAnswer
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/api-keys", `{"name":"kept"}`).json(t, &kept)
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/api-keys", `{"name":"deleted"}`).json(t, &deleted)
	c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/api-keys/"+deleted.ID, nil)
	c.want(http.StatusNoContent, "", http.MethodPost, "/v1/me/password/reset", `{"email":"a@b.example"}`)
	before := []string{}
	for _, path := range []string{"/v1/teams", "/v1/me", "/v1/api-keys"} {
		before = append(before, string(c.do(http.MethodGet, path, nil).body), string(owner.do(http.MethodGet, path, nil).body))
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, cfg)
	c, owner = second.bearing(t, u.Token), second.bearing(t, first.Token())
	after := []string{}
	for _, path := range []string{"/v1/teams", "/v1/me", "/v1/api-keys"} {
		after = append(after, string(c.do(http.MethodGet, path, nil).body), string(owner.do(http.MethodGet, path, nil).body))
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("before and after (-want +got):\n%s", diff)
	}
	byKey := second.client(t, pathC)
	for key, want := range map[string]int{kept.Key: 200, deleted.Key: 401} {
		byKey.key = key
		if a := byKey.do(http.MethodGet, pathC, nil); a.status != want {
			t.Errorf("key: %d, want %d", a.status, want)
		}
	}
	nobody := second.bearing(t, "")
	nobody.want(http.StatusOK, "", http.MethodPost, "/v1/auth/login", `{"email":"dev@wrenn.local","password":"another word"}`)
	nobody.want(http.StatusNoContent, "", http.MethodPost, "/v1/me/password/reset/confirm",
		`{"token":"`+second.mailTo(t, "a@b.example")+`","new_password":"after restart"}`)
	nobody.want(http.StatusOK, "", http.MethodPost, "/v1/auth/login", `{"email":"a@b.example","password":"after restart"}`)
}

// TestWhatIsConfiguredIsThereAtEveryStart deletes all that the configuration names.
func TestWhatIsConfiguredIsThereAtEveryStart(t *testing.T) {
	oldKey, key := "wrn_"+strings.Repeat("a", 32), "wrn_"+strings.Repeat("b", 32)
	cfg := Config{
		DataDir: filepath.Join(t.TempDir(), "data"), Generations: Capsules,
		Teams: []Team{{Name: "a", APIKeys: []string{oldKey, key}}}, User: User{Email: "Dev@B.example", Password: "the given word"},
	}
	first := start(t, cfg)
	c := first.bearing(t, first.Token())
	c.want(http.StatusNoContent, "", http.MethodPost, "/v1/me/password", `{"current_password":"the given word","new_password":"another word"}`)
	c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/me", `{"confirmation":"dev@b.example"}`)
	first.client(t, pathC).want(http.StatusUnauthorized, "unauthorized", http.MethodGet, pathC, nil)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	cfg.Teams[0].APIKeys = []string{key}
	second := start(t, cfg)
	second.client(t, pathC).want(http.StatusOK, "", http.MethodGet, pathC, nil)
	gone := second.client(t, pathC)
	gone.key = oldKey
	gone.want(http.StatusUnauthorized, "unauthorized", http.MethodGet, pathC, nil)
	var got loginAnswer
	second.bearing(t, "").want(http.StatusOK, "", http.MethodPost, "/v1/auth/login", `{"email":"dev@b.example","password":"the given word"}`).json(t, &got)
	var teams []teamAnswer
	second.bearing(t, got.Token).want(http.StatusOK, "", http.MethodGet, "/v1/teams", nil).json(t, &teams)
	if len(teams) != 1 || teams[0].Name != "a" || teams[0].Role != "owner" || teams[0].ID != got.TeamID {
		t.Errorf("teams are %+v", teams)
	}
}

// TestADataDirOfBefore has the credentials of a server that kept no people.
func TestADataDirOfBefore(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data"), Teams: []Team{{Name: "a"}, {Name: "b"}}}
	first := start(t, cfg)
	id := first.client(t, pathS).create()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"users", "teams", "members", "api-keys", "mails"} {
		if err := os.Remove(filepath.Join(cfg.DataDir, name+".jsonl")); err != nil {
			t.Fatal(err)
		}
	}
	second := start(t, cfg)
	second.client(t, pathS).want(http.StatusOK, "", http.MethodGet, pathS+"/"+id, nil)
	second.bearing(t, first.Token()).want(http.StatusOK, "", http.MethodGet, pathS+"/"+id, nil)
	second.bearing(t, first.Token()).want(http.StatusOK, "", http.MethodGet, "/v1/teams/"+first.secrets.Teams[0].ID, nil)
	second.bearing(t, "").want(http.StatusOK, "", http.MethodPost, loginPath, loginBody(first.User().Email, first.User().Password))
}

// TestAKeyThatIsConfiguredForAnotherTeam moves to it.
func TestAKeyThatIsConfiguredForAnotherTeam(t *testing.T) {
	key := "wrn_" + strings.Repeat("c", 32)
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data"), Teams: []Team{{Name: "a", APIKeys: []string{key}}, {Name: "b"}}}
	first := start(t, cfg)
	id := first.client(t, pathS).create()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Teams = []Team{{Name: "a"}, {Name: "b", APIKeys: []string{key}}}
	second := start(t, cfg)
	c := second.client(t, pathS)
	c.key = key
	c.want(http.StatusNotFound, "not_found", http.MethodGet, pathS+"/"+id, nil)
}

func TestAnotherUsersAddressCannotBeConfigured(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	first := start(t, cfg)
	first.newUser(t, "a@b.example")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.User.Email = "a@b.example"
	if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("%v", err)
	}
}

// TestNothingSecretIsKeptInClear looks for secrets in the files of the people.
func TestNothingSecretIsKeptInClear(t *testing.T) {
	s := start(t, Config{})
	u := s.newUser(t, "a@b.example")
	var made apiKeyAnswer
	s.bearing(t, u.Token).want(http.StatusCreated, "", http.MethodPost, "/v1/api-keys", `{}`).json(t, &made)
	for _, name := range []string{"users.jsonl", "api-keys.jsonl"} {
		for _, secret := range []string{"long enough", s.User().Password, made.Key, s.APIKey()} {
			text, err := os.ReadFile(filepath.Join(s.dir, name))
			if err != nil || strings.Contains(string(text), secret) {
				t.Errorf("%s has a secret, or %v", name, err)
			}
		}
	}
}
