package wrenndev

import (
	"net/http"
	"strings"
	"testing"
)

// admin sends a request to a /_dev route.
func (c *client) admin(token, method, path, body string) answer {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.s.URL()+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set(AdminHeader, token)
	a, err := c.send(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func TestAdminRoutesNeedTheirToken(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	for _, token := range []string{"", "wrong", s.APIKey()} {
		if a := c.admin(token, http.MethodGet, "/_dev/requests", ""); a.status != 401 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestAdminRoutes(t *testing.T) {
	s := start(t, Config{AdminToken: "word"})
	c := s.client(t, pathS)
	id := c.create()
	do := func(status int, method, path, body string) answer {
		t.Helper()
		a := c.admin("word", method, path, body)
		if a.status != status {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
		return a
	}
	var added struct{ ID int }
	do(200, http.MethodPost, "/_dev/faults", `{"kind":"fail-before","op":"get","status":418,"code":"teapot","latency_ms":5}`).json(t, &added)
	c.want(http.StatusTeapot, "teapot", http.MethodGet, pathS+"/"+id, nil)
	do(204, http.MethodDelete, "/_dev/faults/1", "")
	do(404, http.MethodDelete, "/_dev/faults/1", "")
	do(400, http.MethodPost, "/_dev/faults", `{"kind":"nonsense"}`)
	do(400, http.MethodPost, "/_dev/faults", `nonsense`)
	do(200, http.MethodPost, "/_dev/faults", `{"kind":"abort"}`)
	do(204, http.MethodDelete, "/_dev/faults", "")
	var left struct{ Left int }
	if do(200, http.MethodGet, "/_dev/faults", "").json(t, &left); left.Left != 0 || added.ID != 1 {
		t.Errorf("%d left, first id %d", left.Left, added.ID)
	}

	do(204, http.MethodPut, "/_dev/sandboxes/"+id+"/status", `{"status":"missing"}`)
	if got := c.status(id); got != StatusMissing {
		t.Errorf("status %s", got)
	}
	do(400, http.MethodPut, "/_dev/sandboxes/"+id+"/status", `{"status":"odd"}`)
	do(404, http.MethodPost, "/_dev/sandboxes/"+unknownID+"/kill", "")
	do(204, http.MethodPost, "/_dev/sandboxes/"+id+"/kill", "")
	do(204, http.MethodPost, "/_dev/sandboxes/"+id+"/lose", "")
	var infos []SandboxInfo
	if do(200, http.MethodGet, "/_dev/sandboxes", "").json(t, &infos); len(infos) != 1 || infos[0].ID != id || infos[0].Machine {
		t.Errorf("%+v", infos)
	}

	for online, want := range map[string]int{"false": 502, "true": 204} {
		do(204, http.MethodPut, "/_dev/host", `{"online":`+online+`}`)
		if a := c.do(http.MethodDelete, pathS+"/"+id, nil); a.status != want {
			t.Errorf("host online %s: %d %s", online, a.status, a.body)
		}
	}
	do(204, http.MethodPut, "/_dev/host", `{"online":true}`)
	do(400, http.MethodPut, "/_dev/host", `{}`)
	do(404, http.MethodGet, "/_dev/host", "")

	var requests []Request
	do(200, http.MethodGet, "/_dev/requests", "").json(t, &requests)
	if len(requests) == 0 || requests[0].Op != OpCreate || requests[0].Sandbox != id || requests[0].Status != 201 {
		t.Errorf("%+v", requests)
	}
	do(204, http.MethodDelete, "/_dev/requests", "")
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	do(404, http.MethodGet, "/_dev/nothing", "")
}

func TestAdminRoutesOfPeople(t *testing.T) {
	s := start(t, Config{AdminToken: "word", Generations: Capsules})
	c := s.client(t, pathC)
	do := func(status int, method, path, body string) answer {
		t.Helper()
		a := c.admin("word", method, path, body)
		if a.status != status {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
		return a
	}
	if a := do(200, http.MethodGet, "/_dev/mails", ""); string(a.body) != "[]\n" {
		t.Errorf("mails are %s", a.body)
	}
	s.bearing(t, "").want(http.StatusCreated, "", http.MethodPost, signupPath, signupBody("a@b.example"))
	var mails []Mail
	if do(200, http.MethodGet, "/_dev/mails", "").json(t, &mails); len(mails) != 1 || mails[0].To != "a@b.example" ||
		mails[0].Kind != MailActivation || mails[0].Token == "" || mails[0].Sent.IsZero() {
		t.Errorf("mails are %+v", mails)
	}
	do(204, http.MethodPut, "/_dev/users/a@b.example/status", `{"status":"active"}`)
	s.bearing(t, "").want(http.StatusOK, "", http.MethodPost, loginPath, loginBody("a@b.example", "long enough"))
	do(404, http.MethodPut, "/_dev/users/nobody@b.example/status", `{"status":"active"}`)
	do(400, http.MethodPut, "/_dev/users/a@b.example/status", `{"status":"odd"}`)
	do(400, http.MethodPut, "/_dev/users/a@b.example/status", `x`)
	do(404, http.MethodGet, "/_dev/users/a@b.example/status", "")
	var signedIn loginAnswer
	do(200, http.MethodPost, "/_dev/oauth/github", `{"email":"g@b.example","name":"Git"}`).json(t, &signedIn)
	s.bearing(t, signedIn.Token).want(http.StatusOK, "", http.MethodGet, "/v1/me", nil)
	do(400, http.MethodPost, "/_dev/oauth/nosuch", `{"email":"g@b.example","name":"Git"}`)
	for _, path := range []string{"/_dev/mails", "/_dev/users/a@b.example/status"} {
		if a := c.admin("wrong", http.MethodGet, path, ""); a.status != 401 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := c.admin("wrong", http.MethodPost, "/_dev/oauth/github", `{"email":"x@b.example"}`); a.status != 401 {
		t.Errorf("sign in: %d", a.status)
	}
}
