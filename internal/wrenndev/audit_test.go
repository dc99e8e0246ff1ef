package wrenndev

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// fill gives a team entries at these times, the oldest first, and returns their ids,
// the newest first.
func (l *auditLog) fill(team string, times []time.Time) (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range times {
		e := auditEntry{ID: newID(auditPrefix), Team: team, At: at, ActorType: "user", ResourceType: "sandbox", Action: "create", Scope: scopeTeam, Status: "success"}
		l.keep(e)
		ids = append(ids, e.ID)
	}
	slices.Reverse(ids)
	return ids
}

// crowd is n times, so many of them in each second.
func crowd(n, each int) []time.Time {
	first := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	times := make([]time.Time, n)
	for i := range times {
		times[i] = first.Add(time.Duration(i/each)*time.Second + time.Duration(i%each+1)*time.Millisecond)
	}
	return times
}

// walk asks for page after page, each as next says, until one brings nothing new, and
// returns the ids in the order they came.
func (c *client) walk(limit int, next func(auditPageAnswer) url.Values) (ids []string) {
	c.t.Helper()
	seen := map[string]bool{}
	for query := (url.Values{}); ; {
		query.Set("limit", strconv.Itoa(limit))
		page := c.audit(query.Encode())
		before := len(ids)
		for _, e := range page.Items {
			if !seen[e.ID] {
				ids = append(ids, e.ID)
			}
			seen[e.ID] = true
		}
		if len(ids) == before {
			return ids
		}
		query = next(page)
	}
}

// exactly is the cursor that a page has.
func exactly(page auditPageAnswer) url.Values {
	return url.Values{"before": {page.NextBefore}, "before_id": {page.NextBeforeID}}
}

// overlapping begins again with the whole second that a page ended in.
func overlapping(page auditPageAnswer) url.Values {
	at, _ := time.Parse(time.RFC3339, page.NextBefore)
	return url.Values{"before": {stamp(at.Add(time.Second))}}
}

func TestAuditCursors(t *testing.T) {
	s := start(t, Config{})
	for name, tt := range map[string]struct {
		times []time.Time
		limit int
		next  func(auditPageAnswer) url.Values
		want  func(ids []string) []string
	}{
		"one a second":                 {crowd(120, 1), 7, exactly, slices.Clone[[]string]},
		"pages that end with a second": {crowd(120, 40), 40, exactly, slices.Clone[[]string]},
		// What the service does: its cursor means a whole second, and what is left of it is lost.
		"pages that end in a second": {crowd(120, 60), 50, exactly, func(ids []string) []string {
			return slices.Concat(ids[:50], ids[60:110])
		}},
		"one second, longer than a page": {crowd(450, 450), 200, exactly, func(ids []string) []string { return ids[:200] }},
		"pages that overlap":             {crowd(450, 150), 200, overlapping, slices.Clone[[]string]},
	} {
		t.Run(name, func(t *testing.T) {
			s.audit.mu.Lock()
			s.audit.entries = nil
			s.audit.mu.Unlock()
			want := tt.want(s.audit.fill(s.secrets.Teams[0].ID, tt.times))
			if diff := cmp.Diff(want, s.user(t).walk(tt.limit, tt.next)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAuditCursorsBetweenSeconds(t *testing.T) {
	s := start(t, Config{})
	times := crowd(5, 5)
	times[0] = times[0].Truncate(time.Second) // the oldest has a time that a cursor can tell exactly
	ids := s.audit.fill(s.secrets.Teams[0].ID, times)
	least, most := "log-"+strings.Repeat("0", 25), "log-f5lxx1zz5pnorynqglhzmsp33"
	for _, tt := range []struct {
		before, id string
		want       []string
	}{
		{times[3].Format(time.RFC3339Nano), "", ids[2:]},
		{times[3].Format(time.RFC3339Nano), most, ids[1:]},
		{times[3].Add(time.Microsecond).Format(time.RFC3339Nano), least, ids[1:]},
		{stamp(times[0]), "", []string{}},
		{stamp(times[0]), ids[4], []string{}},
		{stamp(times[0]), least, []string{}},
		{stamp(times[0]), most, ids[4:]},
		{stamp(times[0].Add(time.Second)), least, ids},
		{"2026-01-02T05:04:06+02:00", least, ids},
		{"", ids[2], ids}, // an id alone is no cursor
	} {
		var got []string
		for _, e := range s.user(t).audit(url.Values{"before": {tt.before}, "before_id": {tt.id}}.Encode()).Items {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("before %s %s: %v, want %v", tt.before, tt.id, got, tt.want)
		}
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
		c := &call{w: w, r: httptest.NewRequest(http.MethodGet, "/v1/audit-logs", nil), caller: caller{kind: "user", team: tt.team, role: tt.role}}
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
