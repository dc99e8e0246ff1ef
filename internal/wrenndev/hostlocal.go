package wrenndev

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// localHost is this machine as a host. It belongs to the first team, as a machine that
// a team brought, but serves every team: there is no other.
//
// It can be deleted like any host, with what that means: its sandboxes are destroyed
// along with their files, paused ones stay listed but answer 404, and nothing can be
// created any more. The next start of the server announces the machine anew, as
// another host.
type localHost struct {
	// mu is held by what puts sandboxes on the host (shared) or takes the host away.
	mu     sync.RWMutex
	id     string // "" once it was deleted
	online bool
	beat   time.Time
}

// reachable tells whether the control plane can reach the host's agent.
func (h *localHost) reachable() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.id != "" && h.online
}

// heard notes a heartbeat, and tells whether there can be one: not in an outage.
func (h *localHost) heard() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.id != "" && !h.online {
		return false
	}
	h.beat = time.Now()
	return true
}

func (h *localHost) heartbeat() time.Time {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.beat
}

// announceLocal makes this machine a host, or finds the host that it was before a
// restart, which is up again.
func (s *Server) announceLocal() {
	now := time.Now()
	describe := func(r *hostRow) {
		r.Type, r.Status, r.Team, r.Local = hostBYOC, hostOnline, s.secrets.Teams[0].ID, true
		r.Provider, r.Zone, r.Address = "embedded", "local", s.listener.Addr().String()
		r.Arch, r.CPUCores, r.MemoryMB, r.DiskGB = runtime.GOARCH, int32(runtime.NumCPU()), memoryMB(), diskGB(s.dir) //nolint:gosec // no machine has 2^31 cores
		r.CreatedBy, r.Updated = s.secrets.UserID, now
	}
	row := hostRow{ID: newID(hostPrefix), Created: now}
	known := s.hosts.list(func(r hostRow) bool { return r.Local })
	if len(known) > 0 {
		row, _ = s.hosts.update(known[0].ID, describe)
	} else {
		describe(&row)
		s.hosts.add(row.ID, row, nil)
	}
	s.local.id, s.local.online, s.local.beat = row.ID, true, now
	if len(known) > 0 {
		s.record(bySystem(row.Team), "host", row.ID, "marked_up", nil)
	}
}

// memoryMB is the memory of this machine, 0 where that is not told.
func memoryMB() int32 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int64
		if rest, ok := strings.CutPrefix(lines.Text(), "MemTotal:"); ok {
			_, _ = fmt.Sscan(rest, &kib)
			return int32(kib >> 10) //nolint:gosec // no machine has 2^31 MiB
		}
	}
	return 0
}

// diskGB is the size of the disk that a directory is on, 0 where that is not told.
func diskGB(dir string) int32 {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return 0
	}
	return int32(uint64(fs.Bsize) * fs.Blocks >> 30) //nolint:gosec // no machine has 2^31 GiB
}

// largestHostMB is memory that no host has. What this machine has does not count: the
// memory of sandboxes is recorded and not enforced.
const largestHostMB = 1 << 20

// place makes the row of a sandbox on this machine. C servers look whether a host has
// the memory; S servers leave it to the host to fail.
func (s *Server) place(row sandboxRow, gen generation) (sandboxRow, error) {
	s.local.mu.RLock()
	defer s.local.mu.RUnlock()
	if s.local.id == "" || !s.local.online {
		if gen == genC {
			return row, agentDown(gen)
		}
		return row, refuse(http.StatusInternalServerError, "internal_error", "no online hosts available")
	}
	if gen == genC && row.MemoryMB > largestHostMB {
		return row, agentDown(gen)
	}
	row.Host = s.local.id
	return s.rows.insert(row), nil
}

// hostGone tells whether the host of a sandbox was deleted.
func (s *Server) hostGone(row sandboxRow) bool {
	if row.Host == "" {
		return false
	}
	_, there := s.hosts.get(row.Host)
	return !there
}

// onHost refuses to act on a sandbox whose host was deleted.
func (s *Server) onHost(row sandboxRow) error {
	if s.hostGone(row) {
		return notFound("host")
	}
	return nil
}

// rowsOn are the rows of the sandboxes on a host: only this machine has any.
func (s *Server) rowsOn(host string) []sandboxRow {
	var on []sandboxRow
	for _, row := range s.rows.list("") {
		if row.Host == host {
			on = append(on, row)
		}
	}
	return on
}

// activeOn are the sandboxes that keep a host from being deleted. Paused ones do not.
func (s *Server) activeOn(host hostRow) []string {
	active := []string{}
	for _, row := range s.rowsOn(host.ID) {
		switch row.Status {
		case StatusPending, StatusRunning, StatusMissing:
			active = append(active, row.ID)
		}
	}
	return active
}

// deleteLocalHost takes this machine away, with all that is on it. What it destroys is
// neither written down nor an event, as at the service.
func (s *Server) deleteLocalHost(force bool) error {
	s.local.mu.Lock()
	defer s.local.mu.Unlock()
	row, there := s.hosts.get(s.local.id)
	if !there {
		return notFound("host")
	}
	if active := s.activeOn(row); len(active) > 0 && !force {
		return &apiError{
			status: http.StatusConflict, code: "has_active_sandboxes",
			detail:    "the host has active sandboxes: force=true destroys them",
			sandboxes: active,
		}
	}
	s.hosts.remove(row.ID)
	s.local.id, s.local.online = "", false
	for _, sandbox := range s.rowsOn(row.ID) {
		// Whatever its status says: a machine can outlive the row that told of it.
		if err := s.agent.destroy(sandbox.ID); err != nil {
			s.cfg.Logger.Warn("files of a deleted host are left", "sandbox", sandbox.ID, "error", err)
		}
		s.rows.move(sandbox.ID, StatusStopped, nil, StatusPending, StatusRunning, StatusMissing)
	}
	return nil
}

// SetHostOnline plays an outage of this machine as a host, as when its heartbeats stay
// away, and the end of it. While it is offline the control plane does not reach its
// agent: what runs is missing, and runs on. Afterwards what the agent still has is
// running again, the rest is stopped; paused sandboxes are not touched.
func (s *Server) SetHostOnline(online bool) {
	if !s.enter() {
		return
	}
	defer s.busy.Done()
	s.local.mu.Lock()
	defer s.local.mu.Unlock()
	if s.local.id == "" || s.local.online == online {
		return
	}
	s.local.online = online
	status, action := hostUnreachable, "marked_down"
	if online {
		status, action, s.local.beat = hostOnline, "marked_up", time.Now()
	}
	host, _ := s.hosts.update(s.local.id, func(r *hostRow) { r.Status, r.Updated = status, time.Now() })
	for _, row := range s.rowsOn(host.ID) {
		if !online {
			s.rows.move(row.ID, StatusMissing, nil, StatusRunning, StatusPending)
		} else if _, err := s.agent.machine(row.ID); err == nil {
			s.rows.move(row.ID, StatusRunning, nil, StatusMissing) // the next reconcile finds out whether it does
		} else {
			s.rows.move(row.ID, StatusStopped, nil, StatusMissing)
		}
	}
	s.record(bySystem(host.Team), "host", host.ID, action, nil)
}
