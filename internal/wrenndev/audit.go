package wrenndev

import (
	"slices"
	"sync"
	"time"
)

// keepAuditEntries bounds the audit log: the newest ones are kept.
const keepAuditEntries = 100_000

// bySystem is the caller of what the server does in a team by itself.
func bySystem(team string) caller { return caller{kind: callerSystem, team: team} }

// The scopes of audit entries.
const (
	scopeTeam  = "team"  // for every member
	scopeAdmin = "admin" // for owners and admins
)

// deed is something that is done to a kind of resource.
type deed struct{ resource, action string }

// deedTraits is how a deed shows. Without a scope it is for every member; without an
// event the team's channels do not hear of it.
type deedTraits struct{ status, scope, event string }

// deeds are all that the audit log has a status of its own for.
var deeds = map[deed]deedTraits{
	{"sandbox", "create"}:  {"success", scopeTeam, eventSandboxCreated},
	{"sandbox", "pause"}:   {"success", scopeTeam, eventSandboxPaused},
	{"sandbox", "resume"}:  {"success", scopeTeam, eventSandboxRunning},
	{"sandbox", "destroy"}: {"warning", scopeTeam, eventSandboxDestroyed},

	{"snapshot", "create"}: {"success", scopeTeam, eventSnapshotCreated},
	{"snapshot", "delete"}: {"warning", scopeTeam, eventSnapshotDeleted},

	{"api_key", "create"}: {"success", scopeTeam, ""},
	{"api_key", "revoke"}: {"warning", scopeTeam, ""},

	{"channel", "create"}:        {"success", scopeTeam, ""},
	{"channel", "update"}:        {"info", scopeTeam, ""},
	{"channel", "rotate_config"}: {"info", scopeTeam, ""},
	{"channel", "delete"}:        {"warning", scopeTeam, ""},

	{"team", "rename"}:   {"info", scopeTeam, ""},
	{"team", "delete"}:   {"warning", scopeAdmin, ""},
	{"team", "set_byoc"}: {"info", scopeAdmin, ""},

	{"member", "add"}:         {"success", scopeAdmin, ""},
	{"member", "remove"}:      {"warning", scopeAdmin, ""},
	{"member", "leave"}:       {"info", scopeAdmin, ""},
	{"member", "role_update"}: {"info", scopeAdmin, ""},

	{"host", "create"}:      {"success", scopeAdmin, ""},
	{"host", "delete"}:      {"warning", scopeAdmin, ""},
	{"host", "marked_up"}:   {"success", scopeAdmin, eventHostUp},
	{"host", "marked_down"}: {"error", scopeAdmin, eventHostDown},

	{"template", "delete"}: {"warning", scopeAdmin, ""},
	{"build", "create"}:    {"success", scopeAdmin, ""},
	{"build", "cancel"}:    {"warning", scopeAdmin, ""},
}

// record writes down what was done in the caller's team, and lets the team's channels
// know. A deed that is not among deeds is a success that every member sees. metadata
// may be nil; it is kept as it is.
func (s *Server) record(who caller, resource, id, action string, metadata map[string]any) {
	traits, known := deeds[deed{resource, action}]
	if !known {
		traits = deedTraits{"success", scopeTeam, ""}
	}
	if who.kind == callerSystem && (deed{resource, action}) == (deed{"sandbox", "pause"}) {
		traits.status = "info" // nobody asked for an idle pause
	}
	entry := s.audit.add(auditEntry{
		Team: who.team, ActorType: who.kind, ActorID: who.id, ActorName: who.name,
		ResourceType: resource, ResourceID: id, Action: action,
		Scope: traits.scope, Status: traits.status, Metadata: metadata,
	})
	if traits.event != "" {
		s.publish(who.team, channelEvent{
			Event: traits.event, Timestamp: stamp(entry.At), TeamID: who.team,
			Actor:    eventActor{Type: who.kind, ID: who.id, Name: who.name},
			Resource: eventResource{ID: id, Type: resource},
		})
	}
}

// auditEntry is one thing that was done.
type auditEntry struct {
	ID           string         `json:"id"`
	Team         string         `json:"team"`
	At           time.Time      `json:"at"`
	ActorType    string         `json:"actor_type"`
	ActorID      string         `json:"actor_id,omitempty"`
	ActorName    string         `json:"actor_name,omitempty"`
	ResourceType string         `json:"resource_type"`
	ResourceID   string         `json:"resource_id,omitempty"`
	Action       string         `json:"action"`
	Scope        string         `json:"scope"`
	Status       string         `json:"status"`
	Metadata     map[string]any `json:"metadata,omitempty"`
}

// auditLog keeps the newest entries of all teams, the oldest first. No two of them
// have the same time, so that their order is that of their times.
type auditLog struct {
	mu      sync.Mutex
	journal *journal[auditEntry]
	entries []auditEntry
}

func openAuditLog(path string) (*auditLog, error) {
	l := &auditLog{}
	var err error
	if l.journal, err = openJournal(path, l.keep); err != nil {
		return nil, err
	}
	return l, l.journal.compact(l.entries)
}

// keep appends an entry, and lets go of the oldest ones when there are too many.
func (l *auditLog) keep(e auditEntry) {
	if len(l.entries) == keepAuditEntries {
		l.entries = slices.Delete(l.entries, 0, keepAuditEntries/10)
	}
	l.entries = append(l.entries, e)
}

// add gives an entry its id and its time.
func (l *auditLog) add(e auditEntry) auditEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.ID = newID(auditPrefix)
	e.At = time.Now().UTC().Truncate(time.Microsecond)
	if n := len(l.entries); n > 0 && !e.At.After(l.entries[n-1].At) {
		e.At = l.entries[n-1].At.Add(time.Microsecond)
	}
	l.keep(e)
	l.journal.add(e)
	return e
}

// auditQuery says which entries of a team to list.
type auditQuery struct {
	team string
	// all lists those of scope admin too.
	all bool
	// types and actions are the ones listed; none means all.
	types, actions []string
	// before and beforeID are where to begin, unless before is zero.
	before   time.Time
	beforeID string
	limit    int
}

// page returns the newest entries before the cursor, the newest first.
//
// The service keeps microseconds, tells whole seconds, and compares what it is asked
// with what it keeps. So does this: the cursor of a page leaves out what else there is
// of the second in which the page ended.
func (l *auditLog) page(q auditQuery) []auditEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := len(l.entries)
	if !q.before.IsZero() {
		var exact bool
		end, exact = slices.BinarySearchFunc(l.entries, q.before, func(e auditEntry, t time.Time) int { return e.At.Compare(t) })
		if exact && l.entries[end].ID < q.beforeID {
			end++
		}
	}
	page := []auditEntry{}
	for i := end - 1; i >= 0 && len(page) < q.limit; i-- {
		if q.wants(&l.entries[i]) {
			page = append(page, l.entries[i])
		}
	}
	return page
}

func (q *auditQuery) wants(e *auditEntry) bool {
	return e.Team == q.team && (q.all || e.Scope == scopeTeam) &&
		(len(q.types) == 0 || slices.Contains(q.types, e.ResourceType)) &&
		(len(q.actions) == 0 || slices.Contains(q.actions, e.Action))
}

func (l *auditLog) close() error {
	if l == nil {
		return nil
	}
	return l.journal.close()
}
