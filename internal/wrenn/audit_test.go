package wrenn

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// record is a server's audit record, the newest entry first.
type record struct {
	entries []stamped
	// whole servers keep whole seconds, all others microseconds, whatever they tell.
	whole bool
	// most is the most entries on a page.
	most int
	// stuck servers ignore the cursor.
	stuck bool
	asked int
}

type stamped struct {
	id string
	at time.Time
}

// newRecord makes n entries, so many of them in each second.
func newRecord(n, each int) *record {
	r := &record{most: maxAuditPage}
	for i := range n {
		// Ids are random, so their order is not that of time.
		id := fmt.Sprintf("log-%025s", strconv.FormatInt(int64(i*7919%n)+1, 36))
		r.entries = append(r.entries, stamped{id, at.Add(-time.Duration(i/each)*time.Second + time.Duration(999-i%each)*time.Millisecond)})
	}
	return r
}

func (r *record) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.asked++
	entries := slices.Clone(r.entries)
	if r.whole {
		for i := range entries {
			entries[i].at = entries[i].at.Truncate(time.Second)
		}
	}
	slices.SortFunc(entries, func(a, b stamped) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(b.id, a.id)) })
	q := req.URL.Query()
	limit := 50
	if l, err := strconv.Atoi(q.Get("limit")); err == nil {
		limit = l
	}
	before, err := time.Parse(time.RFC3339, q.Get("before"))
	var items []string
	for _, e := range entries {
		under := err != nil || r.stuck || e.at.Before(before) || e.at.Equal(before) && e.id < q.Get("before_id")
		if !under || len(items) == min(limit, r.most) {
			continue
		}
		items = append(items, fmt.Sprintf(`{"id":%q,"actor_type":"user","resource_type":"sandbox","action":"create","scope":"team","status":"success","created_at":%q}`,
			e.id, e.at.Format(time.RFC3339)))
	}
	answer(w, 200, `{"items":[`+strings.Join(items, ",")+`]}`)
}

func TestAuditList(t *testing.T) {
	for name, tc := range map[string]struct {
		record *record
		size   int
		// err is the end, and all whether every entry must come before it.
		err error
		all bool
	}{
		"nothing":                       {newRecord(0, 1), 0, nil, true},
		"one page":                      {newRecord(3, 1), 0, nil, true},
		"one a second":                  {newRecord(170, 1), 0, nil, true},
		"pages that end in a second":    {newRecord(170, 7), 10, nil, true},
		"one at a time":                 {newRecord(40, 9), 1, nil, true},
		"a second longer than a page":   {newRecord(170, 85), 20, nil, true},
		"whole seconds":                 {&record{entries: newRecord(170, 7).entries, whole: true, most: maxAuditPage}, 10, nil, true},
		"a crowd, whole seconds":        {&record{entries: newRecord(700, 300).entries, whole: true, most: maxAuditPage}, 0, nil, true},
		"a crowd":                       {newRecord(700, 300), 0, ErrIncomplete, false},
		"a crowd and small pages":       {&record{entries: newRecord(120, 60).entries, most: 25}, 0, ErrIncomplete, false},
		"a server that goes nowhere":    {&record{entries: newRecord(300, 1).entries, most: maxAuditPage, stuck: true}, 0, ErrInvalidResponse, false},
		"a small one that goes nowhere": {&record{entries: newRecord(3, 1).entries, most: maxAuditPage, stuck: true}, 0, ErrInvalidResponse, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, tc.record.ServeHTTP)
			c.cred = testToken(t)
			seen := map[string]bool{}
			var last time.Time
			var err error
			for entry, e := range c.Audit.List(t.Context(), AuditQuery{PageSize: tc.size}) {
				if err != nil {
					t.Fatalf("goes on after %v", err)
				}
				if err = e; e != nil {
					continue
				}
				if seen[entry.ID] || !last.IsZero() && entry.CreatedAt.After(last) {
					t.Fatalf("%s comes again or late", entry.ID)
				}
				seen[entry.ID], last = true, entry.CreatedAt
			}
			if !errors.Is(err, tc.err) || err != nil && asError(t, err).Ambiguous {
				t.Fatalf("ends with %v, want %v", err, tc.err)
			}
			if tc.all && len(seen) != len(tc.record.entries) {
				t.Errorf("%d of %d entries", len(seen), len(tc.record.entries))
			}
		})
	}
}

func TestAuditListStops(t *testing.T) {
	r := newRecord(500, 3)
	c := serve(t, r.ServeHTTP)
	c.cred = testToken(t)
	n := 0
	for _, err := range c.Audit.List(t.Context(), AuditQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 60 {
			break
		}
	}
	if r.asked != 2 {
		t.Errorf("asked for %d pages to read 60 entries", r.asked)
	}
	for name, q := range map[string]AuditQuery{
		"page size": {PageSize: 201}, "negative": {PageSize: -1}, "id without a time": {BeforeID: auditID}, "id": {Before: at, BeforeID: "x"},
	} {
		for _, err := range c.Audit.List(t.Context(), q) {
			if !errors.Is(err, ErrInvalidArgument) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestAuditListFails(t *testing.T) {
	n := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n > 1 {
			refuse(w, 401, CodeUnauthorized)
			return
		}
		newRecord(50, 1).ServeHTTP(w, r)
	})
	c.cred = testToken(t)
	var err error
	entries := 0
	for _, e := range c.Audit.List(t.Context(), AuditQuery{}) {
		if err = e; e == nil {
			entries++
		}
	}
	if entries != 50 || !IsUnauthorized(err) {
		t.Fatalf("%d entries, %v", entries, err)
	}
}
