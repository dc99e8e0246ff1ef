package wrenn

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// Audit is the record of what was done in the token's team. It takes a client with a JWT; any other is ErrUnauthenticated.
type Audit struct{ c *Client }

const (
	auditPath = "/v1/audit-logs"
	// maxAuditPage is the most entries that the service puts on a page.
	maxAuditPage = 200
	// lowestAuditID comes before every id: a cursor with it holds nothing of its own second.
	lowestAuditID = "log-0000000000000000000000000"
)

// AuditEntry is one thing that was done.
type AuditEntry struct {
	// ID is "log-" and 25 lowercase base36 digits.
	ID string
	// ActorType is "user", "api_key" or "system"; an idle pause is the system's.
	ActorType string
	// ActorID and ActorName are empty for the system.
	ActorID, ActorName string
	// ResourceType is a word like "sandbox"; ResourceID may be empty.
	ResourceType, ResourceID string
	// Action is a word like "create", "pause", "resume" or "destroy".
	Action string
	// Scope is "team", or "admin" for what only owners and admins see.
	Scope string
	// Status is the service's word for how it went.
	Status string
	// Metadata depends on the action.
	Metadata map[string]any
	// CreatedAt is UTC, in whole seconds.
	CreatedAt time.Time
}

// AuditQuery says which entries to list. The zero value lists all of them.
type AuditQuery struct {
	// ResourceTypes and Actions are the ones listed; none means all.
	ResourceTypes, Actions []string
	// Before, with BeforeID where it is known, is where to begin: what is older is listed. Zero means the newest.
	Before   time.Time
	BeforeID string
	// PageSize is how many entries are asked for at a time, up to 200; 0 means the service's 50.
	PageSize int
}

// AuditPage is a part of the record.
type AuditPage struct {
	// Entries are in order, the newest first.
	Entries []AuditEntry
	// NextBefore and NextBeforeID are the cursor of the next page, zero after an empty one. The service rounds it down to
	// whole seconds and can leave entries of that second out; List does not.
	NextBefore   time.Time
	NextBeforeID string
}

// Page returns one page, exactly as the service cuts it.
func (a *Audit) Page(ctx context.Context, q AuditQuery) (*AuditPage, error) {
	const op = "audit.list"
	if err := checkAuditQuery(op, q); err != nil {
		return nil, err
	}
	query := url.Values{}
	for _, t := range q.ResourceTypes {
		query.Add("resource_type", t)
	}
	for _, action := range q.Actions {
		query.Add("action", action)
	}
	if !q.Before.IsZero() {
		query.Set("before", q.Before.UTC().Format(time.RFC3339))
	}
	if q.BeforeID != "" {
		query.Set("before_id", q.BeforeID)
	}
	if q.PageSize > 0 {
		query.Set("limit", strconv.Itoa(q.PageSize))
	}
	return managedFetch(ctx, a.c, call{
		op: op, method: http.MethodGet, path: auditPath, query: query, want: http.StatusOK, limit: a.c.settings.limits.ListBytes,
	}, auditPageOf)
}

func checkAuditQuery(op string, q AuditQuery) error {
	if q.PageSize < 0 || q.PageSize > maxAuditPage {
		return invalidArgument(op, "the page size must be 0 to %d", maxAuditPage)
	}
	if q.BeforeID == "" {
		return nil
	}
	if q.Before.IsZero() {
		return invalidArgument(op, "an id to begin before needs its time too")
	}
	return prefixAudit.check(op, q.BeforeID)
}

// List yields the entries, the newest first, each once. Pages are asked for as they are needed. It ends after the oldest
// one, or with an error.
//
// A cursor of the service has whole seconds and would lose entries of the second that a page ends in, so pages overlap.
// Only where more than 200 entries share one second some of them may be out of reach: then the last thing yielded, after
// all that can be had, is ErrIncomplete.
func (a *Audit) List(ctx context.Context, q AuditQuery) iter.Seq2[AuditEntry, error] {
	return func(yield func(AuditEntry, error) bool) {
		walk := auditWalk{audit: a, query: q, seen: map[string]bool{}}
		if err := walk.all(ctx, yield); err != nil {
			yield(AuditEntry{}, err)
		}
	}
}

// auditWalk is one way through the record.
type auditWalk struct {
	audit *Audit
	query AuditQuery
	// at is the second of the oldest entry so far, last its id, and seen are the ids of that second.
	at   time.Time
	last string
	seen map[string]bool
	// exact asks with the service's own cursor, where a page that overlaps brings nothing new.
	exact bool
	// skipped and precise are what such cursors showed.
	skipped, precise bool
}

func (w *auditWalk) all(ctx context.Context, yield func(AuditEntry, error) bool) error {
	for {
		page, err := w.audit.Page(ctx, w.next())
		if err != nil {
			return err
		}
		before, fresh := w.at, 0
		for _, entry := range page.Entries {
			if !w.take(entry) {
				continue
			}
			if fresh++; w.exact && fresh == 1 {
				w.judge(entry.CreatedAt.Before(before))
			}
			if !yield(entry, nil) {
				return nil
			}
		}
		switch {
		case len(page.Entries) == 0:
			return w.end()
		case fresh > 0:
			w.exact = len(w.seen) >= maxAuditPage
		case w.exact:
			return &Error{Op: "audit.list", StatusCode: http.StatusOK, Message: "the cursor does not advance", Err: ErrInvalidResponse}
		default:
			w.exact = true
		}
	}
}

// judge looks at the first entry that the service's own cursor brought. One of an older second may mean that the rest of
// the cursor's second was left out; one of the same second shows that the service leaves out nothing.
func (w *auditWalk) judge(older bool) {
	w.skipped = w.skipped || older
	w.precise = w.precise || !older
}

func (w *auditWalk) end() error {
	if w.skipped && !w.precise {
		return &Error{Op: "audit.list", Message: "more entries share one second than a page holds", Err: ErrIncomplete}
	}
	return nil
}

// next is the query of the next page.
func (w *auditWalk) next() AuditQuery {
	q := w.query
	switch {
	case w.at.IsZero():
	case w.exact:
		q.Before, q.BeforeID = w.at, w.last
	default:
		// Everything of the second once more, and room for as much again.
		q.Before, q.BeforeID = w.at.Add(time.Second), lowestAuditID
		size := q.PageSize
		if size == 0 {
			size = 50
		}
		q.PageSize = min(size+len(w.seen), maxAuditPage)
	}
	return q
}

// take reports whether an entry is new. Those newer than the last one were taken before, or came since.
func (w *auditWalk) take(entry AuditEntry) bool {
	second := entry.CreatedAt.Truncate(time.Second)
	switch {
	case w.at.IsZero() || second.Before(w.at):
		w.at = second
		clear(w.seen)
	case second.After(w.at) || w.seen[entry.ID]:
		return false
	}
	w.seen[entry.ID] = true
	w.last = entry.ID
	return true
}

func auditPageOf(w *api.AuditLogPage) (*AuditPage, error) {
	entries, err := listOf(auditEntryOf)(&w.Items)
	return &AuditPage{Entries: entries, NextBefore: value(w.NextBefore).UTC(), NextBeforeID: value(w.NextBeforeID)}, err
}

func auditEntryOf(w *api.AuditLogEntry) (*AuditEntry, error) {
	if !prefixAudit.valid(w.ID) || w.CreatedAt.IsZero() {
		return nil, errNoID
	}
	return &AuditEntry{
		ID: w.ID, ActorType: w.ActorType, ActorID: value(w.ActorID), ActorName: value(w.ActorName),
		ResourceType: w.ResourceType, ResourceID: value(w.ResourceID), Action: w.Action, Scope: w.Scope, Status: w.Status,
		Metadata: w.Metadata, CreatedAt: w.CreatedAt.UTC(),
	}, nil
}
