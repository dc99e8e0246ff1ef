package wrenndev

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
