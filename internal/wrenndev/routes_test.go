package wrenndev

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const unknownID = "cl-0000000000000000000000000"

func TestErrorsOfTheRoutes(t *testing.T) {
	s := start(t, Config{})
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "{base}/nonsense", 400, "invalid_request"},
		{"GET", "{base}/cl-TOOSHORT", 400, "invalid_request"},
		{"GET", "{base}/cl-zzzzzzzzzzzzzzzzzzzzzzzzz", 400, "invalid_request"}, // more than 128 bits
		{"GET", "{base}/" + unknownID, 404, "not_found"},
		{"DELETE", "{base}/" + unknownID, 404, "not_found"},
		{"DELETE", "{base}/x", 400, "invalid_request"},
		{"POST", "{base}/" + unknownID + "/pause", 404, "not_found"},
		{"POST", "{base}/" + unknownID + "/exec", 404, "not_found"},
		{"POST", "{base}/" + unknownID + "/files/read", 404, "not_found"},
		{"GET", "{base}/" + unknownID + "/metrics", 404, "not_found"},
		{"GET", "{base}/x/exec/stream", 400, "invalid_request"},
	} {
		for _, f := range families {
			t.Run(f.name+" "+tt.method+" "+tt.path, func(t *testing.T) {
				s.client(t, f.base).want(tt.status, tt.code, tt.method, strings.ReplaceAll(tt.path, "{base}", f.base), nil)
			})
		}
	}
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	for _, path := range []string{"/", "/v1", "/v1/nothing", pathS + "/" + unknownID + "/", pathS + "//", pathS + "/" + unknownID + "/exec/nothing"} {
		a := c.do(http.MethodGet, path, nil)
		if a.status != 404 || string(a.body) != "404 page not found\n" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %d %q", path, a.status, a.body)
		}
	}
	for _, path := range []string{pathS, "/v1/snapshots/x", pathS + "/" + unknownID + "/exec"} {
		if a := c.do(http.MethodPatch, path, nil); a.status != 405 || len(a.body) != 0 {
			t.Errorf("%s: %d %q", path, a.status, a.body)
		}
	}
}

func TestGenerationsServeTheirPaths(t *testing.T) {
	for _, tt := range []struct {
		name                string
		served              Generations
		sandboxes, capsules int
		health              int
	}{
		{"both", Both, 200, 200, 200},
		{"S", Sandboxes, 200, 404, 404},
		{"C", Capsules, 404, 200, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, Config{Generations: tt.served}).client(t, "")
			for path, want := range map[string]int{pathS: tt.sandboxes, pathC: tt.capsules, "/health": tt.health, "/v1/snapshots": 200} {
				if a := c.do(http.MethodGet, path, nil); a.status != want {
					t.Errorf("%s: %d, want %d", path, a.status, want)
				}
			}
		})
	}
}

func TestMessagesAreDetailedOnSAndGenericOnC(t *testing.T) {
	s := start(t, Config{})
	for base, want := range map[string]string{
		pathS: `{"error":{"code":"not_found","message":"template \"nosuch\" not found: no rows in result set"}}`,
		pathC: `{"error":{"code":"not_found","message":"resource not found"}}`,
	} {
		a := s.client(t, base).do(http.MethodPost, base, `{"template":"nosuch"}`)
		if got := strings.TrimSpace(string(a.body)); got != want {
			t.Errorf("%s: %s", base, got)
		}
	}
}

func TestAuthentication(t *testing.T) {
	s := start(t, Config{Teams: []Team{{Name: "a"}, {Name: "b"}}})
	good := s.Token()
	for _, tt := range []struct {
		name, key, authorization string
		want                     int
	}{
		{"key", s.APIKey(), "", 200},
		{"token", "", "Bearer " + good, 200},
		{"key wins over a bad token", s.APIKey(), "Bearer x", 200},
		{"a bad key is not made good by a token", "wrn_" + strings.Repeat("0", 32), "Bearer " + good, 401},
		{"nothing", "", "", 401},
		{"no scheme", "", good, 401},
		{"scheme in lower case", "", "bearer " + good, 401},
		{"expired token", "", "Bearer " + s.TokenFor(-time.Minute), 401},
		{"token of nobody", "", "Bearer " + good + "x", 401},
	} {
		for _, f := range families {
			t.Run(f.name+" "+tt.name, func(t *testing.T) {
				c := s.client(t, f.base)
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+f.base, nil)
				if err != nil {
					t.Fatal(err)
				}
				if tt.key != "" {
					req.Header.Set("X-API-Key", tt.key)
				}
				if tt.authorization != "" {
					req.Header.Set("Authorization", tt.authorization)
				}
				a, err := c.send(req)
				if err != nil {
					t.Fatal(err)
				}
				if a.status != tt.want || tt.want == 401 && a.code() != "unauthorized" {
					t.Errorf("%d %s", a.status, a.body)
				}
			})
		}
	}
}

func TestOtherTeamsSandboxesAndSnapshotsAreNotThere(t *testing.T) {
	s := start(t, Config{Teams: []Team{{Name: "a"}, {Name: "b"}}})
	mine, other := s.client(t, pathS), s.client(t, pathS)
	other.key = s.APIKeyOf("b")
	id := mine.create()
	mine.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", `{"sandbox_id":"`+id+`","name":"snap"}`)
	for _, op := range []struct{ method, path string }{
		{"GET", ""}, {"DELETE", ""}, {"POST", "/pause"}, {"POST", "/resume"}, {"POST", "/exec"}, {"POST", "/ping"}, {"GET", "/exec/stream"},
	} {
		other.want(http.StatusNotFound, "not_found", op.method, pathS+"/"+id+op.path, nil)
	}
	other.want(http.StatusNotFound, "not_found", http.MethodPost, pathS, `{"template":"snap"}`)
	other.want(http.StatusNotFound, "not_found", http.MethodDelete, "/v1/snapshots/snap", nil)
	if got := other.list(); len(got) != 0 {
		t.Errorf("list: %v", got)
	}
}

func TestLogin(t *testing.T) {
	s := start(t, Config{User: User{Email: "a@b.c", Password: "secret-word"}})
	c := s.client(t, pathS)
	c.key = ""
	var got struct{ Token string }
	c.want(http.StatusOK, "", http.MethodPost, "/v1/auth/login", `{"email":"a@b.c","password":"secret-word"}`).json(t, &got)
	c.want(http.StatusUnauthorized, "unauthorized", http.MethodPost, "/v1/auth/login", `{"email":"a@b.c","password":"wrong"}`)
	if who, err := s.auth.byToken(got.Token); err != nil || who.team != s.secrets.Teams[0].ID {
		t.Errorf("token is for %q: %v", who.team, err)
	}
}
