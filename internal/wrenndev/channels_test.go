package wrenndev

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const unknownChannel = "ch-0000000000000000000000000"

func TestChannelsAreMadeChangedAndDeleted(t *testing.T) {
	s := start(t, Config{})
	c := s.user(t)
	if a := c.do(http.MethodGet, "/v1/channels/", nil); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("no channels are %s", a.body)
	}
	made := c.webhook(" Build Alerts ", "http://127.0.0.1:1/x", "capsule.created", "host.down")
	want := channelAnswer{
		ID: made.ID, TeamID: s.secrets.Teams[0].ID, Name: "build-alerts", Provider: "webhook",
		Events: []string{"capsule.created", "host.down"}, CreatedAt: made.CreatedAt, UpdatedAt: made.UpdatedAt, Secret: made.Secret,
	}
	if diff := cmp.Diff(want, made); diff != "" || !hasIDForm(made.ID, "ch-") || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(made.Secret) {
		t.Errorf("made %+v: %s", made, diff)
	}
	want.Secret = "" // told at the creation only
	one := "/v1/channels/" + made.ID
	get := func(method, path string, body any) channelAnswer {
		t.Helper()
		var got channelAnswer
		a := c.want(http.StatusOK, "", method, path, body)
		a.json(t, &got)
		if strings.Contains(string(a.body), "127.0.0.1") || strings.Contains(string(a.body), "secret") {
			t.Errorf("%s %s tells the configuration: %s", method, path, a.body)
		}
		got.UpdatedAt = want.UpdatedAt
		return got
	}
	if diff := cmp.Diff(want, get(http.MethodGet, one, nil)); diff != "" {
		t.Error(diff)
	}
	second := c.webhook("second", "http://[::1]:1")
	var listed []channelAnswer
	c.want(http.StatusOK, "", http.MethodGet, "/v1/channels", nil).json(t, &listed)
	if len(listed) != 2 || listed[0].ID != second.ID || listed[1].ID != made.ID || listed[0].Secret != "" {
		t.Errorf("listed %+v", listed)
	}

	want.Name, want.Events = "renamed", []string{"host.up"}
	if diff := cmp.Diff(want, get(http.MethodPatch, one, `{"name":"Renamed","events":["host.up"]}`)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, get(http.MethodPatch, one, `{"name":"renamed","events":["host.up"]}`)); diff != "" {
		t.Errorf("its own name is in the way: %s", diff)
	}
	c.want(http.StatusConflict, "conflict", http.MethodPatch, one, `{"name":"second","events":["host.up"]}`)
	if diff := cmp.Diff(want, get(http.MethodPut, one+"/config", `{"config":{"url":"http://localhost:1"}}`)); diff != "" {
		t.Error(diff)
	}
	if row, _ := s.channels.get(made.ID); row.Config["url"] != "http://localhost:1" || row.Config["secret"] == made.Secret {
		t.Error("the configuration is not replaced")
	}

	for range 2 { // it need not be there
		c.want(http.StatusNoContent, "", http.MethodDelete, one, nil)
	}
	c.want(http.StatusNotFound, "not_found", http.MethodGet, one, nil)
	c.webhook("renamed", "http://127.0.0.1:1") // the name is free again
}

func TestAGivenSecretIsKept(t *testing.T) {
	s := start(t, Config{})
	r := receive(t, nil)
	c := s.user(t)
	body := fmt.Sprintf(`{"name":"x","provider":"webhook","config":{"url":%q,"secret":"one"},"events":["capsule.created"]}`, r.URL)
	var made channelAnswer
	if c.want(http.StatusCreated, "", http.MethodPost, "/v1/channels", body).json(t, &made); made.Secret != "one" {
		t.Errorf("told %q", made.Secret)
	}
	c.create()
	if d := r.next(t); d.header.Get("X-Wrenn-Signature") != signed(d, "one") {
		t.Error("not signed with the given secret")
	}
	c.want(http.StatusOK, "", http.MethodPut, "/v1/channels/"+made.ID+"/config", fmt.Sprintf(`{"config":{"url":%q,"secret":"two"}}`, r.URL))
	c.create()
	if d := r.next(t); d.header.Get("X-Wrenn-Signature") != signed(d, "two") {
		t.Error("not signed with the new secret")
	}
}

func TestOneOfManyGetsAName(t *testing.T) {
	s := start(t, Config{})
	ids := []string{s.user(t).webhook("a", "http://127.0.0.1:1").ID, s.user(t).webhook("b", "http://127.0.0.1:1").ID}
	var wg sync.WaitGroup
	var got, refused atomic.Int32
	for i := range 8 {
		c := s.user(t)
		wg.Go(func() {
			method, path := http.MethodPost, "/v1/channels"
			if i < len(ids) {
				method, path = http.MethodPatch, "/v1/channels/"+ids[i]
			}
			a, err := c.try(t.Context(), method, path, `{"name":"x","provider":"webhook","config":{"url":"http://127.0.0.1:1"},"events":["host.up"]}`)
			switch {
			case err != nil:
				t.Error(err)
			case a.status/100 == 2:
				got.Add(1)
			case a.code() == "conflict":
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d got the name, %d were refused", got.Load(), refused.Load())
	}
}

func TestErrorsOfChannels(t *testing.T) {
	for _, generations := range []Generations{Sandboxes, Capsules} {
		t.Run(fmt.Sprint(generations), func(t *testing.T) {
			s := start(t, Config{Generations: generations})
			c := s.user(t)
			stranger, _ := s.stranger(t)
			mine := "/v1/channels/" + c.webhook("taken", "http://127.0.0.1:1").ID
			others := "/v1/channels/" + stranger.webhook("other", "http://127.0.0.1:1").ID
			const ok, events = `"provider":"webhook","config":{"url":"http://127.0.0.1:1"}`, `"events":["host.up"]`
			for _, tt := range []struct {
				method, path, body string
				status             int
				code               string
			}{
				{"POST", "/v1/channels", ``, 400, "invalid_request"},
				{"POST", "/v1/channels", `[]`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":"n","provider":"webhook","config":{"url":1},` + events + `}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":"",` + ok + `,` + events + `}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":"a/b",` + ok + `,` + events + `}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":"` + strings.Repeat("a", 65) + `",` + ok + `,` + events + `}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":"n",` + ok + `}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":"n",` + ok + `,"events":[]}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":"n",` + ok + `,"events":["sandbox.created"]}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":"n","provider":"pager","config":{},` + events + `}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":"n","provider":"webhook",` + events + `}`, 400, "invalid_request"},
				{"POST", "/v1/channels", `{"name":" TAKEN ",` + ok + `,` + events + `}`, 409, "conflict"},
				{"GET", "/v1/channels/x", ``, 400, "invalid_request"},
				{"GET", "/v1/channels/" + unknownID, ``, 400, "invalid_request"},
				{"GET", "/v1/channels/" + unknownChannel, ``, 404, "not_found"},
				{"GET", others, ``, 404, "not_found"},
				{"PATCH", "/v1/channels/x", `{"name":"n",` + events + `}`, 400, "invalid_request"},
				{"PATCH", mine, ``, 400, "invalid_request"},
				{"PATCH", mine, `{"name":"n"}`, 400, "invalid_request"},
				{"PATCH", mine, `{` + events + `}`, 400, "invalid_request"},
				{"PATCH", mine, `{"name":"n","events":["x"]}`, 400, "invalid_request"},
				{"PATCH", "/v1/channels/" + unknownChannel, `{"name":"n",` + events + `}`, 404, "not_found"},
				{"PATCH", others, `{"name":"n",` + events + `}`, 404, "not_found"},
				{"PUT", "/v1/channels/x/config", `{"config":{}}`, 400, "invalid_request"},
				{"PUT", mine + "/config", ``, 400, "invalid_request"},
				{"PUT", mine + "/config", `{}`, 400, "invalid_request"},
				{"PUT", mine + "/config", `{"config":{"url":"http://192.0.2.1"}}`, 400, "invalid_request"},
				{"PUT", "/v1/channels/" + unknownChannel + "/config", `{"config":{"url":"http://127.0.0.1:1"}}`, 404, "not_found"},
				{"PUT", others + "/config", `{"config":{"url":"http://127.0.0.1:1"}}`, 404, "not_found"},
				{"DELETE", "/v1/channels/x", ``, 400, "invalid_request"},
				{"DELETE", others, ``, 204, ""},
				{"POST", "/v1/channels/test", ``, 400, "invalid_request"},
				{"POST", "/v1/channels/test", `{"provider":"pager"}`, 400, "invalid_request"},
				{"POST", "/v1/channels/test", `{"provider":"webhook"}`, 400, "invalid_request"},
				{"PUT", mine, `{}`, 405, ""},
			} {
				c.want(tt.status, tt.code, tt.method, tt.path, tt.body)
			}
			c.want(http.StatusOK, "", http.MethodGet, mine, nil)
			stranger.want(http.StatusOK, "", http.MethodGet, others, nil)
		})
	}
}

func TestManagementTakesNoAPIKey(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	for _, r := range s.routes() {
		if strings.HasPrefix(r.path, "/v1/channels") || strings.HasPrefix(r.path, "/v1/hosts") || strings.HasPrefix(r.path, "/v1/audit-logs") {
			c.want(http.StatusUnauthorized, "unauthorized", r.method, r.path, `{}`)
		}
	}
}

func TestConfigurationsOfProviders(t *testing.T) {
	const complete = `"webhook_url":"http://127.0.0.1:1","url":"http://127.0.0.1:1","homeserver_url":"http://127.0.0.1:1","access_token":"t","room_id":"r"`
	s := start(t, Config{Generations: Capsules})
	c := s.user(t)
	for provider, fields := range map[string][]string{
		"discord": {"webhook_url"}, "slack": {"webhook_url"}, "teams": {"webhook_url"}, "googlechat": {"webhook_url"},
		"webhook": {"url"}, "matrix": {"homeserver_url", "access_token", "room_id"},
	} {
		body := func(config string) string {
			return fmt.Sprintf(`{"name":%q,"provider":%q,"config":{%s},"events":["host.up"]}`, provider, provider, config)
		}
		for _, field := range fields {
			for _, value := range []string{`""`, "null"} {
				c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, "/v1/channels", body(complete+`,"`+field+`":`+value))
			}
		}
		a := c.want(http.StatusCreated, "", http.MethodPost, "/v1/channels", body(complete))
		if told := strings.Contains(string(a.body), `"secret"`); told != (provider == "webhook") {
			t.Errorf("%s: %s", provider, a.body)
		}
	}
	c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, "/v1/channels/test", `{"provider":"telegram","config":{"bot_token":"t"}}`)
}

// TestNothingLeavesThisMachine tries every way to lead a delivery elsewhere.
func TestNothingLeavesThisMachine(t *testing.T) {
	for _, generations := range []Generations{Sandboxes, Capsules} {
		s := start(t, Config{Generations: generations})
		c := s.user(t)
		for _, url := range []string{
			"http://192.0.2.1/", "https://example.com/hook", "http://localhost.example.com", "http://127.0.0.1.example.com", "http://user:hunter2@192.0.2.1",
			"http://0.0.0.0:1", "http://[::]:1", "http://169.254.169.254/latest", "http://[fe80::1%25lo]:1", "http://2130706433/", "http://127.1",
			"//127.0.0.1", "127.0.0.1:1", "ftp://127.0.0.1", "file:///etc/passwd", "unix:///x", "http://", "http:// 127.0.0.1", "http://127.0.0.1:x",
		} {
			for path, body := range map[string]any{
				"/v1/channels":      map[string]any{"name": "n", "provider": "webhook", "config": map[string]string{"url": url}, "events": eventNames},
				"/v1/channels/test": map[string]any{"provider": "slack", "config": map[string]string{"webhook_url": url}},
			} {
				a := c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, path, body)
				if !strings.Contains(string(a.body), "this machine only") || strings.Contains(string(a.body), "hunter2") {
					t.Errorf("%s: %s", url, a.body)
				}
			}
		}
		a := c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, "/v1/channels/test", `{"provider":"telegram","config":{"bot_token":"hunter2","chat_id":"1"}}`)
		if !strings.Contains(string(a.body), "this machine only") || strings.Contains(string(a.body), "hunter2") {
			t.Errorf("telegram: %s", a.body)
		}
	}
	// Whatever gets past the checks is not dialed.
	for _, address := range []string{"192.0.2.1:80", "example.com:80", "[2001:db8::1]:80", "0.0.0.0:80"} {
		if conn, err := dialLoopback(t.Context(), "tcp", address); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
			t.Errorf("%s: %v, %v", address, conn, err)
		}
	}
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:3128")
	if transport, ok := courier.Transport.(*http.Transport); !ok || transport.Proxy != nil {
		t.Error("a proxy has a say")
	}
}
