package wrenndev

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// audit asks for a page of the audit log.
func (c *client) audit(query string) auditPageAnswer {
	c.t.Helper()
	var page auditPageAnswer
	c.want(http.StatusOK, "", http.MethodGet, "/v1/audit-logs?"+query, nil).json(c.t, &page)
	return page
}

// deedsOf names what is on a page.
func deedsOf(page auditPageAnswer) []string {
	names := []string{}
	for _, e := range page.Items {
		names = append(names, e.ActorType+" "+e.ResourceType+" "+e.Action+" "+e.Status+" "+e.Scope)
	}
	return names
}

func TestTheAuditLogTellsWhatClientsDid(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			s := start(t, Config{})
			u, c := s.user(t), s.client(t, f.base)
			id := c.create()
			one := f.base + "/" + id
			c.want(http.StatusOK, "", http.MethodPost, one+"/pause", nil)
			c.want(http.StatusConflict, "invalid_state", http.MethodPost, one+"/pause", nil) // what failed is not logged
			u.want(http.StatusOK, "", http.MethodPost, one+"/resume", nil)
			c.want(http.StatusNoContent, "", http.MethodPost, one+"/ping", nil)
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(id, "snap"))
			c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/snapshots/snap", nil)
			for range 2 {
				c.want(http.StatusNoContent, "", http.MethodDelete, one, nil)
			}
			page := u.audit("")
			want := []string{
				"api_key sandbox destroy warning team",
				"api_key sandbox destroy warning team",
				"api_key snapshot delete warning team",
				"api_key snapshot create success team",
				"user sandbox resume success team",
				"api_key sandbox pause success team",
				"api_key sandbox create success team",
			}
			if diff := cmp.Diff(want, deedsOf(page)); diff != "" {
				t.Fatal(diff)
			}
			for i, e := range page.Items {
				resource := id
				if e.ResourceType == "snapshot" {
					resource = "snap"
				}
				if e.ResourceID != resource || !hasIDForm(e.ID, "log-") {
					t.Errorf("%+v", e)
				}
				if at, err := time.Parse(time.RFC3339, e.CreatedAt); err != nil || at.Nanosecond() != 0 || time.Since(at) > time.Minute {
					t.Errorf("created at %q: %v", e.CreatedAt, err)
				}
				if (e.Metadata["template"] == "minimal") != (i == 6) {
					t.Errorf("metadata %v of %s", e.Metadata, e.Action)
				}
			}
			if e := page.Items[4]; e.ActorID != s.secrets.UserID || e.ActorName != "dev" {
				t.Errorf("actor %+v", e)
			}
			if e, key := page.Items[0], s.people.keys.list(nil)[0]; e.ActorID != key.ID || e.ActorName != key.Name {
				t.Errorf("actor %+v", e)
			}
			last := page.Items[6]
			if page.NextBefore != last.CreatedAt || page.NextBeforeID != last.ID {
				t.Errorf("cursor %s %s", page.NextBefore, page.NextBeforeID)
			}
		})
	}
}

func TestTheAuditLogTellsOfChannelsAndHosts(t *testing.T) {
	s := start(t, Config{})
	c := s.user(t)
	ch := c.webhook("x", "http://127.0.0.1:1")
	c.want(http.StatusOK, "", http.MethodPatch, "/v1/channels/"+ch.ID, `{"name":"y","events":["host.up"]}`)
	c.want(http.StatusOK, "", http.MethodPut, "/v1/channels/"+ch.ID+"/config", `{"config":{"url":"http://127.0.0.1:1"}}`)
	c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/channels/"+ch.ID, nil)
	host := c.announce(`{"type":"regular"}`).Host
	c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/hosts/"+host.ID, nil)
	page := c.audit("")
	want := []string{
		"user host delete warning admin",
		"user host create success admin",
		"user channel delete warning team",
		"user channel rotate_config info team",
		"user channel update info team",
		"user channel create success team",
	}
	if diff := cmp.Diff(want, deedsOf(page)); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff(map[string]any{"name": "x", "provider": "webhook"}, page.Items[5].Metadata); diff != "" {
		t.Error(diff)
	}
	if page.Items[0].ResourceID != host.ID || page.Items[5].ResourceID != ch.ID {
		t.Errorf("%+v", page.Items)
	}
}

func TestTheAuditLogTellsOfKeysTeamsAndMembers(t *testing.T) {
	s := start(t, Config{})
	c := s.user(t)
	team := s.secrets.Teams[0].ID
	other := s.newUser(t, "other@wrenn.local")
	var key apiKeyAnswer
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/api-keys", `{"name":"k"}`).json(t, &key)
	c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/api-keys/"+key.ID, nil)
	one := "/v1/teams/" + team
	c.want(http.StatusNoContent, "", http.MethodPatch, one, `{"name":"new name"}`)
	c.mayBring(team)
	c.want(http.StatusCreated, "", http.MethodPost, one+"/members", `{"email":"other@wrenn.local"}`)
	c.want(http.StatusNoContent, "", http.MethodPatch, one+"/members/"+other.UserID, `{"role":"admin"}`)
	c.want(http.StatusNoContent, "", http.MethodDelete, one+"/members/"+other.UserID, nil)
	c.want(http.StatusNotFound, "not_found", http.MethodDelete, one+"/members/"+other.UserID, nil)
	c.want(http.StatusCreated, "", http.MethodPost, one+"/members", `{"email":"other@wrenn.local"}`)
	var switched loginAnswer
	s.bearing(t, other.Token).want(http.StatusOK, "", http.MethodPost, "/v1/auth/switch-team", `{"team_id":"`+team+`"}`).json(t, &switched)
	s.bearing(t, switched.Token).want(http.StatusNoContent, "", http.MethodPost, one+"/leave", nil)
	var got []string
	for _, e := range c.audit("").Items {
		text, err := json.Marshal(e.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Join([]string{e.ResourceType, e.Action, e.Status, e.Scope, e.ResourceID, string(text)}, " "))
	}
	want := []string{
		"member leave info admin " + other.UserID + " null",
		"member add success admin " + other.UserID + ` {"email":"other@wrenn.local","role":"member"}`,
		"member remove warning admin " + other.UserID + " null",
		"member role_update info admin " + other.UserID + ` {"new_role":"admin"}`,
		"member add success admin " + other.UserID + ` {"email":"other@wrenn.local","role":"member"}`,
		"team set_byoc info admin " + team + ` {"enabled":true}`,
		"team rename info team " + team + ` {"new_name":"new name","old_name":"dev"}`,
		"api_key revoke warning team " + key.ID + " null",
		"api_key create success team " + key.ID + ` {"name":"k"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnIdlePauseIsTheSystemsAndALossIsNotLogged(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	lost, idle := c.create(), c.create(`{"timeout_sec":1}`)
	if err := s.Lose(lost); err != nil {
		t.Fatal(err)
	}
	wait(t, "one is stopped and one is paused", func() bool {
		return c.status(lost) == StatusStopped && c.status(idle) == StatusPaused
	})
	var page auditPageAnswer
	wait(t, "the pause is logged", func() bool {
		page = s.user(t).audit("")
		return len(page.Items) > 2
	})
	want := []string{"system sandbox pause info team", "api_key sandbox create success team", "api_key sandbox create success team"}
	if diff := cmp.Diff(want, deedsOf(page)); diff != "" {
		t.Error(diff)
	}
	if e := page.Items[0]; e.ResourceID != idle || e.ActorID != "" || e.ActorName != "" {
		t.Errorf("%+v", e)
	}
}

func TestAuditFilters(t *testing.T) {
	s := start(t, Config{})
	team := bySystem(s.secrets.Teams[0].ID)
	for _, d := range []deed{{"sandbox", "create"}, {"snapshot", "create"}, {"snapshot", "delete"}, {"sandbox", "destroy"}, {"api_key", "revoke"}} {
		s.record(team, d.resource, "x", d.action, nil)
	}
	for query, want := range map[string][]string{
		"resource_type=sandbox":                           {"sandbox destroy", "sandbox create"},
		"resource_type=sandbox&resource_type=api_key":     {"api_key revoke", "sandbox destroy", "sandbox create"},
		"resource_type=sandbox,%20api_key":                {"api_key revoke", "sandbox destroy", "sandbox create"},
		"action=create,delete":                            {"snapshot delete", "snapshot create", "sandbox create"},
		"action=create&action=revoke&resource_type=":      {"api_key revoke", "snapshot create", "sandbox create"},
		"resource_type=snapshot&action=create":            {"snapshot create"},
		"resource_type=snapshot&action=destroy":           nil,
		"resource_type=nothing":                           nil,
		"resource_type=sandbox,snapshot&limit=3&action=,": {"sandbox destroy", "snapshot delete", "snapshot create"},
	} {
		var got []string
		for _, e := range s.user(t).audit(query).Items {
			got = append(got, e.ResourceType+" "+e.Action)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestAnEmptyAuditPageHasNoCursor(t *testing.T) {
	s := start(t, Config{})
	a := s.user(t).want(http.StatusOK, "", http.MethodGet, "/v1/audit-logs/", nil)
	if string(a.body) != "{\"items\":[]}\n" {
		t.Errorf("%s", a.body)
	}
}

func TestAuditLimits(t *testing.T) {
	servers := map[Generations]*Server{}
	for _, generations := range []Generations{Sandboxes, Capsules} {
		s := start(t, Config{Generations: generations})
		for range 250 {
			s.record(bySystem(s.secrets.Teams[0].ID), "sandbox", "x", "create", nil)
		}
		servers[generations] = s
	}
	for _, tt := range []struct {
		limit string
		s, c  int // entries, or 0 for 400 invalid_request
	}{
		{"", 50, 50},
		{"1", 1, 1},
		{"200", 200, 200},
		{"201", 200, 200},
		{"99999999999", 200, 200},
		{"0", 0, 50},
		{"-3", 0, 50},
		{"x", 0, 0},
		{"1.5", 0, 0},
		{"99999999999999999999999", 0, 0},
	} {
		for generations, want := range map[Generations]int{Sandboxes: tt.s, Capsules: tt.c} {
			t.Run(fmt.Sprint(tt.limit, " ", generations), func(t *testing.T) {
				c := servers[generations].user(t)
				if want == 0 {
					c.want(http.StatusBadRequest, "invalid_request", http.MethodGet, "/v1/audit-logs?limit="+tt.limit, nil)
				} else if got := len(c.audit("limit=" + tt.limit).Items); got != want {
					t.Errorf("%d entries", got)
				}
			})
		}
	}
}

func TestBadAuditCursors(t *testing.T) {
	s := start(t, Config{})
	for _, query := range []string{"before=yesterday", "before=2026-01-02", "before=1700000000", "before_id=x", "before_id=" + unknownID} {
		s.user(t).want(http.StatusBadRequest, "invalid_request", http.MethodGet, "/v1/audit-logs?"+query, nil)
	}
}

func TestEntriesOfOneMomentAreInOrder(t *testing.T) {
	s := start(t, Config{})
	var want []string
	for i := range 300 {
		id := fmt.Sprint(i)
		s.record(bySystem(s.secrets.Teams[0].ID), "sandbox", id, "create", nil)
		want = append([]string{id}, want...)
	}
	var got []string
	for _, e := range s.user(t).audit("limit=200").Items {
		got = append(got, e.ResourceID)
	}
	if diff := cmp.Diff(want[:200], got); diff != "" {
		t.Error(diff)
	}
}

func TestAuditEntriesAreForThoseTheyConcern(t *testing.T) {
	s := start(t, Config{Teams: []Team{{Name: "a"}, {Name: "b"}}})
	a, b := s.secrets.Teams[0].ID, s.secrets.Teams[1].ID
	s.record(bySystem(a), "sandbox", "1", "create", nil)
	s.record(bySystem(a), "member", "2", "add", nil)
	s.record(bySystem(b), "sandbox", "3", "create", nil)
	for _, tt := range []struct {
		team, role string
		want       []string
	}{
		{a, "owner", []string{"2", "1"}},
		{a, "admin", []string{"2", "1"}},
		{a, "member", []string{"1"}},
		{a, "", []string{"1"}},
		{b, "owner", []string{"3"}},
	} {
		w := httptest.NewRecorder()
		c := &call{w: w, r: httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/audit-logs", nil), caller: caller{kind: "user", team: tt.team, role: tt.role}}
		if err := s.listAudit(c); err != nil {
			t.Fatal(err)
		}
		var got []string
		var page auditPageAnswer
		answer{body: w.Body.Bytes()}.json(t, &page)
		for _, e := range page.Items {
			got = append(got, e.ResourceID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s of %s: %s", tt.role, tt.team, diff)
		}
	}
}

func TestTheAuditLogSurvivesARestart(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	first := start(t, cfg)
	c := first.user(t)
	for range 3 {
		c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+c.create(), nil)
	}
	before := c.audit("")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	after := start(t, cfg).user(t).audit("")
	// The machine is up again, which is the only news.
	if got := deedsOf(after)[0]; got != "system host marked_up success admin" {
		t.Errorf("newest is %s", got)
	}
	if diff := cmp.Diff(before.Items, after.Items[1:]); diff != "" {
		t.Error(diff)
	}
}

func TestTheAuditLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := &auditLog{}
	ids := l.fill("team", crowd(keepAuditEntries+1, 1000))
	if len(l.entries) != keepAuditEntries-keepAuditEntries/10+1 || l.entries[len(l.entries)-1].ID != ids[0] {
		t.Fatalf("%d entries are kept", len(l.entries))
	}
	// A log on disk that has grown too long is cut when it is opened.
	text, err := json.Marshal(l.entries[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat(append(text, '\n'), keepAuditEntries+1), 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := openAuditLog(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(opened.entries); n != keepAuditEntries-keepAuditEntries/10+1 {
		t.Errorf("%d entries were read", n)
	}
	if err := opened.close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > int64(len(text)+1)*keepAuditEntries {
		t.Errorf("%v, %v", info.Size(), err)
	}
}
