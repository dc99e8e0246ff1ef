package main

import (
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var auditChecks = []check{
	{name: "listAuditLogs", token: true, run: listAuditLogs},
	{name: "audit-filters", token: true, run: auditFilters},
	{name: "audit-cursor", token: true, run: auditCursor},
	{name: "audit-limits", token: true, run: auditLimits},
	{name: "audit-of-an-api-key", token: true, run: auditOfKey},
	{name: "audit-of-an-idle-pause", token: true, run: auditOfIdlePause},
	{name: "audit-of-repeated-destroys", token: true, run: auditOfDestroys},
}

// entries are those of a sandbox, the newest first.
func (p *probe) entries(c *crew, sandbox string, q wrenn.AuditQuery) []wrenn.AuditEntry {
	var found []wrenn.AuditEntry
	for entry, err := range c.Audit.List(p.ctx, q) {
		p.ok(err)
		if entry.ResourceID == sandbox {
			found = append(found, entry)
		}
	}
	return found
}

func actions(entries []wrenn.AuditEntry) []string {
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Action)
	}
	return all
}

// lived makes a sandbox of a team that is paused, resumed and destroyed, and waits until all of that is on record.
func (p *probe) lived(c *crew) string {
	h := c.Sandbox(p.create(c.Client, wrenn.CreateSandboxRequest{}).ID)
	_, err := h.Pause(p.ctx)
	p.ok(err)
	_, err = h.Resume(p.ctx)
	p.ok(err)
	p.ok(h.Destroy(p.ctx))
	want := []string{"create", "destroy", "pause", "resume"}
	p.eventually(waitFor, "create, pause, resume and destroy are on record", func() bool {
		return slices.Equal(slices.Sorted(slices.Values(actions(p.entries(c, h.ID(), wrenn.AuditQuery{})))), want)
	})
	return h.ID()
}

func listAuditLogs(p *probe) {
	c := p.newCrew()
	id := p.lived(c)
	entries := p.entries(c, id, wrenn.AuditQuery{})
	for i, entry := range entries {
		p.want(entry.ResourceType == "sandbox" && entry.ActorType == "user" && entry.ActorID == c.session.UserID, "an entry is %+v", entry)
		p.want(entry.Scope != "" && entry.Status != "", "an entry is %+v", entry)
		p.want(i == 0 || !entry.CreatedAt.After(entries[i-1].CreatedAt), "the entries are not in order of time")
	}
	other := p.newCrew()
	p.want(len(p.entries(other, id, wrenn.AuditQuery{})) == 0, "another team sees the entries")
}

func auditFilters(p *probe) {
	c := p.newCrew()
	id := p.lived(c)
	got := actions(p.entries(c, id, wrenn.AuditQuery{ResourceTypes: []string{"sandbox"}, Actions: []string{"pause", "resume"}}))
	p.want(slices.Equal(slices.Sorted(slices.Values(got)), []string{"pause", "resume"}), "the actions are %v", got)
	got = actions(p.entries(c, id, wrenn.AuditQuery{ResourceTypes: []string{"no-such-type"}}))
	p.want(len(got) == 0, "of an unknown type there are %v", got)
	a := p.byHand(c, "GET", "/v1/audit-logs?action=pause,resume", "")
	p.want(a.status == 200, "a list with a comma: HTTP %d %s", a.status, a.code())
}

// auditCursor walks in pages of one, by the service's own cursor and by the client's walk.
func auditCursor(p *probe) {
	c := p.newCrew()
	p.lived(c)
	whole, err := c.Audit.Page(p.ctx, wrenn.AuditQuery{PageSize: 200})
	p.ok(err)
	var walked []string
	for entry, err := range c.Audit.List(p.ctx, wrenn.AuditQuery{PageSize: 1}) {
		p.ok(err)
		walked = append(walked, entry.ID)
	}
	var ids []string
	for _, entry := range whole.Entries {
		ids = append(ids, entry.ID)
	}
	p.want(slices.Equal(slices.Sorted(slices.Values(walked)), slices.Sorted(slices.Values(ids))), "a walk finds %d entries, a page has %d", len(walked), len(ids))
	first, err := c.Audit.Page(p.ctx, wrenn.AuditQuery{PageSize: 1})
	p.ok(err)
	p.want(len(first.Entries) == 1 && !first.NextBefore.IsZero() && first.NextBeforeID == first.Entries[0].ID, "the first page is %+v", first)
	next, err := c.Audit.Page(p.ctx, wrenn.AuditQuery{PageSize: 1, Before: first.NextBefore, BeforeID: first.NextBeforeID})
	p.ok(err)
	p.want(len(next.Entries) == 0 || next.Entries[0].ID != first.Entries[0].ID, "the second page is the first")
	empty, err := c.Audit.Page(p.ctx, wrenn.AuditQuery{Before: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)})
	p.ok(err)
	p.want(len(empty.Entries) == 0 && empty.NextBefore.IsZero() && empty.NextBeforeID == "", "the page before all is %+v", empty)
}

// auditLimits: a limit that asks for nothing is refused by generation Sandboxes only, and one that asks for too much by none.
func auditLimits(p *probe) {
	c := p.newCrew()
	for _, limit := range []string{"0", "-1"} {
		a := p.byHand(c, "GET", "/v1/audit-logs?limit="+limit, "")
		if p.generation == wrenn.GenerationSandboxes {
			p.turnedAway(a, "a limit of "+limit, 400, wrenn.CodeInvalidRequest)
		} else {
			p.want(a.status == 200, "a limit of %s: HTTP %d %s", limit, a.status, a.code())
		}
	}
	a := p.byHand(c, "GET", "/v1/audit-logs?limit=1000", "")
	p.want(a.status == 200, "a limit of 1000: HTTP %d %s", a.status, a.code())
	p.turnedAway(p.byHand(c, "GET", "/v1/audit-logs?before=yesterday", ""), "a time that is none", 400, wrenn.CodeInvalidRequest)
}

func auditOfKey(p *probe) {
	c := p.newCrew()
	info, client := p.newKey(c, p.name())
	sandbox := p.create(client, wrenn.CreateSandboxRequest{})
	p.eventually(waitFor, "the create is on record", func() bool { return len(p.entries(c, sandbox.ID, wrenn.AuditQuery{})) > 0 })
	entry := p.entries(c, sandbox.ID, wrenn.AuditQuery{})[0]
	p.want(entry.ActorType == "api_key" && entry.ActorID == info.ID, "the actor is %s %s, want api_key %s", entry.ActorType, entry.ActorID, info.ID)
}

// auditOfIdlePause: what idleness does is the system's.
func auditOfIdlePause(p *probe) {
	c := p.newCrew()
	sandbox := p.create(c.Client, wrenn.CreateSandboxRequest{TimeoutSec: 2})
	q := wrenn.AuditQuery{Actions: []string{"pause"}}
	p.eventually(waitFor, "the pause is on record", func() bool { return len(p.entries(c, sandbox.ID, q)) > 0 })
	entry := p.entries(c, sandbox.ID, q)[0]
	p.want(entry.ActorType == "system" && entry.ActorID == "", "the actor is %s %s", entry.ActorType, entry.ActorID)
}

// auditOfDestroys: each DELETE of a sandbox is one more entry.
func auditOfDestroys(p *probe) {
	c := p.newCrew()
	h := c.Sandbox(p.create(c.Client, wrenn.CreateSandboxRequest{}).ID)
	for range 2 {
		p.ok(h.Destroy(p.ctx))
	}
	q := wrenn.AuditQuery{Actions: []string{"destroy"}}
	p.eventually(waitFor, "both are on record", func() bool { return len(p.entries(c, h.ID(), q)) == 2 })
}
