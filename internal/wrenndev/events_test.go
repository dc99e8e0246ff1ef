package wrenndev

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// user is a client with a token of the configured user in the first team.
func (s *Server) user(t *testing.T) *client { return s.bearing(t, s.Token()) }

// stranger is a client with a token of somebody else, who owns a team of their own.
func (s *Server) stranger(t *testing.T) (c *client, team string) {
	t.Helper()
	got := s.newUser(t, "stranger@wrenn.local")
	return s.bearing(t, got.Token), got.TeamID
}

// delivered is one request that a receiver got.
type delivered struct {
	path   string
	header http.Header
	body   []byte
}

// event reads what a webhook was posted.
func (d delivered) event(t *testing.T) channelEvent {
	t.Helper()
	var e channelEvent
	if err := json.Unmarshal(d.body, &e); err != nil {
		t.Fatalf("%v in %q", err, d.body)
	}
	return e
}

// receiver is a server on this machine that gets events.
type receiver struct {
	*httptest.Server
	got chan delivered
}

// receive starts a receiver that answers as it is told, after it has taken note.
func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	r := &receiver{got: make(chan delivered, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Errorf("receiver: %v", err)
		}
		r.got <- delivered{req.Method + " " + req.URL.RequestURI(), req.Header, body}
		if answer != nil {
			answer(w, req)
		}
	}))
	t.Cleanup(func() {
		r.CloseClientConnections() // a receiver that is slow is not waited for
		r.Close()
	})
	return r
}

// next waits for a delivery.
func (r *receiver) next(t *testing.T) delivered {
	t.Helper()
	select {
	case d := <-r.got:
		return d
	case <-time.After(patience):
		t.Fatal("nothing is delivered")
		return delivered{}
	}
}

// events waits for so many events and names them.
func (r *receiver) events(t *testing.T, n int) []string {
	t.Helper()
	var names []string
	for range n {
		names = append(names, r.next(t).event(t).Event)
	}
	return names
}

// settled waits until every event has had its first attempt.
func (s *Server) settled(t *testing.T) {
	t.Helper()
	wait(t, "nothing waits to be delivered", func() bool {
		s.outbox.mu.Lock()
		defer s.outbox.mu.Unlock()
		return len(s.outbox.lanes) == 0
	})
}

// webhook makes a channel that delivers to a URL, for all events where none are given.
func (c *client) webhook(name, url string, events ...string) channelAnswer {
	c.t.Helper()
	if len(events) == 0 {
		events = eventNames
	}
	var got channelAnswer
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/channels", map[string]any{
		"name": name, "provider": "webhook", "config": map[string]string{"url": url}, "events": events,
	}).json(c.t, &got)
	return got
}

// signed computes the signature anew.
func signed(d delivered, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(d.header.Get("X-Wrenn-Timestamp") + "." + string(d.body)))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestAWebhookHearsOfEverySandboxAndSnapshot(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			s := start(t, Config{})
			r := receive(t, nil)
			ch := s.user(t).webhook("all", r.URL+"/hook?a=b")
			c := s.client(t, f.base)
			id := c.create()
			one := f.base + "/" + id
			c.want(http.StatusOK, "", http.MethodPost, one+"/pause", nil)
			c.want(http.StatusOK, "", http.MethodPost, one+"/resume", nil)
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(id, "snap"))
			c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/snapshots/snap", nil)
			c.want(http.StatusNoContent, "", http.MethodDelete, one, nil)
			c.want(http.StatusNoContent, "", http.MethodDelete, one, nil)
			team := s.secrets.Teams[0].ID
			key := s.people.keys.list(nil)[0]
			actor := eventActor{Type: "api_key", ID: key.ID, Name: key.Name}
			seen := map[string]bool{}
			for i, want := range []struct{ event, kind, id string }{
				{"capsule.created", "sandbox", id},
				{"capsule.paused", "sandbox", id},
				{"capsule.running", "sandbox", id},
				{"template.snapshot.created", "snapshot", "snap"},
				{"template.snapshot.deleted", "snapshot", "snap"},
				{"capsule.destroyed", "sandbox", id},
				{"capsule.destroyed", "sandbox", id},
			} {
				d := r.next(t)
				e := d.event(t)
				if diff := cmp.Diff(channelEvent{
					Event: want.event, Timestamp: e.Timestamp, TeamID: team,
					Actor: actor, Resource: eventResource{want.id, want.kind},
				}, e); diff != "" {
					t.Errorf("event %d: %s", i, diff)
				}
				if got, want := d.header.Get("X-WRENN-SIGNATURE"), signed(d, ch.Secret); got != want {
					t.Errorf("signature %s, want %s", got, want)
				}
				for _, text := range []string{e.Timestamp, d.header.Get("X-Wrenn-Timestamp")} {
					if at, err := time.Parse(time.RFC3339, text); err != nil || time.Since(at) > time.Minute {
						t.Errorf("time %q: %v", text, err)
					}
				}
				delivery := d.header.Get("X-Wrenn-Delivery")
				if seen[delivery] || len(delivery) != 36 {
					t.Errorf("delivery %q", delivery)
				}
				seen[delivery] = true
				if d.path != "POST /hook?a=b" || d.header.Get("Content-Type") != "application/json" || d.header.Get("X-Api-Key") != "" {
					t.Errorf("%s with %v", d.path, d.header)
				}
			}
		})
	}
}

func TestAnEventOfTheUserNamesTheUser(t *testing.T) {
	s := start(t, Config{})
	r := receive(t, nil)
	c := s.user(t)
	c.webhook("mine", r.URL, "capsule.created")
	c.create()
	want := eventActor{Type: "user", ID: s.secrets.UserID, Name: "dev"}
	if got := r.next(t).event(t).Actor; got != want {
		t.Errorf("actor %+v, want %+v", got, want)
	}
}

func TestAnIdlePauseIsAnEventAndALossIsNone(t *testing.T) {
	s := start(t, Config{})
	r := receive(t, nil)
	s.user(t).webhook("all", r.URL)
	c := s.client(t, pathS)
	lost := c.create()
	if err := s.Lose(lost); err != nil {
		t.Fatal(err)
	}
	wait(t, "it is stopped", func() bool { return c.status(lost) == StatusStopped })
	idle := c.create(`{"timeout_sec":1}`)
	var got []channelEvent
	for range 3 {
		got = append(got, r.next(t).event(t))
	}
	if got[0].Event != "capsule.created" || got[1].Event != "capsule.created" || got[2].Event != "capsule.paused" {
		t.Errorf("events %+v", got)
	}
	if got[2].Actor != (eventActor{Type: "system"}) || got[2].Resource.ID != idle {
		t.Errorf("pause: %+v", got[2])
	}
}

func TestAChannelHearsOnlyWhatItAskedForAndOnlyOfItsTeam(t *testing.T) {
	s := start(t, Config{})
	stranger, team := s.stranger(t)
	mine, others := receive(t, nil), receive(t, nil)
	ch := s.user(t).webhook("mine", mine.URL, "capsule.destroyed", "capsule.paused")
	stranger.webhook("mine", others.URL) // the name is another team's, so it is free
	c := s.client(t, pathS)
	id := c.create()
	c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
	if got := mine.next(t).event(t).Event; got != "capsule.destroyed" {
		t.Errorf("heard %s", got)
	}
	s.user(t).want(http.StatusOK, "", http.MethodPatch, "/v1/channels/"+ch.ID, `{"name":"mine","events":["capsule.created"]}`)
	id = c.create()
	c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
	if got := mine.next(t).event(t).Event; got != "capsule.created" {
		t.Errorf("heard %s", got)
	}
	s.user(t).want(http.StatusNoContent, "", http.MethodDelete, "/v1/channels/"+ch.ID, nil)
	c.create()
	stranger.create()
	if e := others.next(t).event(t); e.TeamID != team {
		t.Errorf("the other team heard %+v", e)
	}
	s.settled(t)
	if len(mine.got) != 0 {
		t.Error("a deleted channel, or one that did not ask, hears")
	}
}

func TestChatMessages(t *testing.T) {
	s := start(t, Config{})
	c := s.user(t)
	r := receive(t, nil)
	for _, tt := range []struct{ provider, config, path, member string }{
		{"discord", `{"webhook_url":"{url}/api/webhooks/1/t"}`, "POST /api/webhooks/1/t", "content"},
		{"slack", `{"webhook_url":"{url}/services/T/B/X"}`, "POST /services/T/B/X", "text"},
		{"teams", `{"webhook_url":"{url}/w"}`, "POST /w", "text"},
		{"googlechat", `{"webhook_url":"{url}/v1/spaces/S/messages?key=K"}`, "POST /v1/spaces/S/messages?key=K", "text"},
		{"matrix", `{"homeserver_url":"{url}","access_token":"tok","room_id":"!r:here/x"}`, "PUT /_matrix/client/v3/rooms/%21r:here%2Fx/send/m.room.message/", "body"},
	} {
		t.Run(tt.provider, func(t *testing.T) {
			config := strings.ReplaceAll(tt.config, "{url}", r.URL)
			var got map[string]string
			c.want(http.StatusOK, "", http.MethodPost, "/v1/channels/test", `{"provider":"`+tt.provider+`","config":`+config+`}`).json(t, &got)
			if got["status"] != "ok" {
				t.Errorf("answer %v", got)
			}
			d := r.next(t)
			var content map[string]string
			if err := json.Unmarshal(d.body, &content); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(d.path, tt.path) || !strings.HasPrefix(content[tt.member], "channel.test: channel test") {
				t.Errorf("%s %s", d.path, d.body)
			}
			if auth := d.header.Get("Authorization"); (tt.provider == "matrix") != (auth == "Bearer tok") || d.header.Get("X-Wrenn-Signature") != "" {
				t.Errorf("header %v", d.header)
			}
		})
	}
}
