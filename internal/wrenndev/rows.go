package wrenndev

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// The statuses of a sandbox row.
const (
	StatusPending = "pending"
	StatusRunning = "running"
	StatusPaused  = "paused"
	StatusStopped = "stopped"
	StatusError   = "error"
	StatusMissing = "missing"
)

// sandboxRow is what the control plane knows of a sandbox. Rows are never deleted.
type sandboxRow struct {
	Seq         int64      `json:"seq"`
	ID          string     `json:"id"`
	Team        string     `json:"team"`
	Host        string     `json:"host,omitempty"`
	Status      string     `json:"status"`
	Template    string     `json:"template"`
	VCPUs       int32      `json:"vcpus"`
	MemoryMB    int32      `json:"memory_mb"`
	TimeoutSec  int32      `json:"timeout_sec"`
	HostIP      string     `json:"host_ip,omitempty"`
	Created     time.Time  `json:"created"`
	Started     *time.Time `json:"started,omitempty"`
	LastActive  *time.Time `json:"last_active,omitempty"`
	LastUpdated time.Time  `json:"last_updated"`
	Boot        bootRecipe `json:"boot,omitzero"`
}

// snapshotRow is a snapshot template of a team.
type snapshotRow struct {
	Seq       int64      `json:"seq"`
	Team      string     `json:"team"`
	Name      string     `json:"name"`
	VCPUs     int32      `json:"vcpus"`
	MemoryMB  int32      `json:"memory_mb"`
	SizeBytes int64      `json:"size_bytes"`
	Created   time.Time  `json:"created"`
	Dir       string     `json:"dir"` // below the data directory's snapshots
	Boot      bootRecipe `json:"boot,omitzero"`
	Deleted   bool       `json:"deleted,omitempty"`
}

type snapshotKey struct{ team, name string }

// journalEntry is one change of the rows: exactly one field is set.
type journalEntry struct {
	Sandbox  *sandboxRow  `json:"sandbox,omitempty"`
	Snapshot *snapshotRow `json:"snapshot,omitempty"`
}

// rows is what the control plane knows of sandboxes and snapshots.
type rows struct {
	mu        sync.Mutex
	journal   *journal[journalEntry]
	seq       int64
	sandboxes map[string]*sandboxRow
	snapshots map[snapshotKey]*snapshotRow
	moved     func(sandboxRow) // learns of every change of a status
}

func openRows(path string, moved func(sandboxRow)) (*rows, error) {
	r := &rows{sandboxes: map[string]*sandboxRow{}, snapshots: map[snapshotKey]*snapshotRow{}, moved: moved}
	var err error
	r.journal, err = openJournal(path, func(e journalEntry) {
		switch {
		case e.Sandbox != nil:
			r.sandboxes[e.Sandbox.ID] = e.Sandbox
			r.seq = max(r.seq, e.Sandbox.Seq)
		case e.Snapshot != nil:
			r.seq = max(r.seq, e.Snapshot.Seq)
			key := snapshotKey{e.Snapshot.Team, e.Snapshot.Name}
			if e.Snapshot.Deleted {
				delete(r.snapshots, key)
			} else {
				r.snapshots[key] = e.Snapshot
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return r, r.journal.compact(r.entries())
}

func (r *rows) entries() []journalEntry {
	var all []journalEntry
	for _, row := range r.sandboxes {
		all = append(all, journalEntry{Sandbox: row})
	}
	for _, row := range r.snapshots {
		all = append(all, journalEntry{Snapshot: row})
	}
	return all
}

func (r *rows) insert(row sandboxRow) sandboxRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	row.Seq = r.seq
	r.sandboxes[row.ID] = &row
	r.journal.add(journalEntry{Sandbox: &row})
	return row
}

// get returns a copy of a row.
func (r *rows) get(id string) (sandboxRow, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.sandboxes[id]
	if !ok {
		return sandboxRow{}, false
	}
	return *row, true
}

// move changes the status of a row if it is one of from (any, when from is empty),
// lets more change the rest, and returns the row as it is then.
func (r *rows) move(id, to string, more func(*sandboxRow), from ...string) (sandboxRow, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.sandboxes[id]
	if !ok {
		return sandboxRow{}, false
	}
	if len(from) > 0 && !slices.Contains(from, row.Status) {
		return *row, false
	}
	next := *row
	next.Status, next.LastUpdated = to, time.Now()
	if more != nil {
		more(&next)
	}
	r.sandboxes[id] = &next
	r.journal.add(journalEntry{Sandbox: &next})
	r.moved(next)
	return next, true
}

// touch records activity. It is coarse news, not worth a line in the journal.
func (r *rows) touch(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if row, ok := r.sandboxes[id]; ok {
		next, now := *row, time.Now()
		next.LastActive = &now
		r.sandboxes[id] = &next
	}
}

// list returns copies of a team's rows, newest first; of every team's for "".
func (r *rows) list(team string) []sandboxRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]sandboxRow, 0, len(r.sandboxes))
	for _, row := range r.sandboxes {
		if team == "" || row.Team == team {
			all = append(all, *row)
		}
	}
	slices.SortFunc(all, func(a, b sandboxRow) int { return cmp.Compare(b.Seq, a.Seq) })
	return all
}

func (r *rows) snapshot(team, name string) (snapshotRow, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.snapshots[snapshotKey{team, name}]
	if !ok {
		return snapshotRow{}, false
	}
	return *row, true
}

// addSnapshot reports false when the name was taken meanwhile.
func (r *rows) addSnapshot(row snapshotRow) (snapshotRow, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := snapshotKey{row.Team, row.Name}
	if _, taken := r.snapshots[key]; taken {
		return row, false
	}
	r.seq++
	row.Seq = r.seq
	r.snapshots[key] = &row
	r.journal.add(journalEntry{Snapshot: &row})
	return row, true
}

func (r *rows) removeSnapshot(team, name string) (snapshotRow, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := snapshotKey{team, name}
	row, ok := r.snapshots[key]
	if !ok {
		return snapshotRow{}, false
	}
	delete(r.snapshots, key)
	gone := *row
	gone.Deleted = true
	r.journal.add(journalEntry{Snapshot: &gone})
	return *row, true
}

// listSnapshots returns copies of a team's snapshots, newest first; of every team's
// for "".
func (r *rows) listSnapshots(team string) []snapshotRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []snapshotRow
	for _, row := range r.snapshots {
		if team == "" || row.Team == team {
			all = append(all, *row)
		}
	}
	slices.SortFunc(all, func(a, b snapshotRow) int { return cmp.Compare(b.Seq, a.Seq) })
	return all
}

// snapshotDirs are the directories that belong to a snapshot.
func (r *rows) snapshotDirs() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	dirs := map[string]bool{}
	for _, row := range r.snapshots {
		dirs[row.Dir] = true
	}
	return dirs
}
