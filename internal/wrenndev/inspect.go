package wrenndev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// URL is the base URL, without a trailing slash.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// APIKey is an API key of the first team.
func (s *Server) APIKey() string { return s.secrets.Teams[0].Keys[0] }

// APIKeyOf is an API key of the named team, or "" when there is no such team.
func (s *Server) APIKeyOf(team string) string {
	for _, t := range s.secrets.Teams {
		if t.Name == team {
			return t.Keys[0]
		}
	}
	return ""
}

// Token is a fresh token of the user, good for six hours.
func (s *Server) Token() string { return s.TokenFor(tokenLife) }

// TokenFor is a token that expires after life; it is expired already when life is
// negative.
func (s *Server) TokenFor(life time.Duration) string { return s.tokenOf(s.secrets.Teams[0], life) }

// TokenOf is a fresh token of the user for the named team, or "" when there is no such
// team.
func (s *Server) TokenOf(team string) string {
	for _, t := range s.secrets.Teams {
		if t.Name == team {
			return s.tokenOf(t, tokenLife)
		}
	}
	return ""
}

func (s *Server) tokenOf(team teamIdentity, life time.Duration) string {
	u, _ := s.people.users.get(s.secrets.UserID)
	token, err := s.auth.sign(u, memberRecord{Team: team.ID, Role: roleOwner}, life)
	if err != nil {
		return "" // signing with a byte slice does not fail
	}
	return token
}

// User is who can log in, with the password as it was at the start.
func (s *Server) User() User { return User{Email: s.cfg.User.Email, Password: s.secrets.Password} }

// AdminToken is what the /_dev routes ask for.
func (s *Server) AdminToken() string { return s.secrets.AdminToken }

// Isolation is how sandboxes are kept apart here: Namespaces or Directory.
func (s *Server) Isolation() Isolation {
	if s.agent.host.namespaces {
		return Namespaces
	}
	return Directory
}

// Network is what sandboxes reach over the network here.
func (s *Server) Network() Network { return s.agent.host.network }

// DataDir is where the state is.
func (s *Server) DataDir() string { return s.dir }

// Faults scripts misbehavior.
func (s *Server) Faults() *Faults { return s.faults }

// Requests returns the log of requests, oldest first; the newest 100,000 are kept.
func (s *Server) Requests() []Request { return s.log.all() }

// ResetRequests empties the log. Requests under way are no longer in it.
func (s *Server) ResetRequests() { s.log.reset() }

// SandboxInfo is the truth about a sandbox: its row, and what is really there.
type SandboxInfo struct {
	ID         string    `json:"id"`
	Team       string    `json:"team"`
	Status     string    `json:"status"`
	Template   string    `json:"template"`
	TimeoutSec int32     `json:"timeout_sec"`
	Created    time.Time `json:"created"`
	// Machine tells whether the agent has a machine for it, running or paused.
	Machine bool `json:"machine"`
	// Processes are those of commands, alive or stopped; without the supervisor.
	Processes int `json:"processes"`
	// Files tells whether anything of it is on disk.
	Files bool `json:"files"`
}

// Sandboxes tells of every sandbox there ever was, newest first.
func (s *Server) Sandboxes() []SandboxInfo {
	listed := s.rows.list("")
	infos := make([]SandboxInfo, 0, len(listed))
	for _, row := range listed {
		infos = append(infos, s.info(row))
	}
	return infos
}

// Sandbox tells of one sandbox.
func (s *Server) Sandbox(id string) (SandboxInfo, bool) {
	row, ok := s.rows.get(id)
	if !ok {
		return SandboxInfo{}, false
	}
	return s.info(row), true
}

func (s *Server) info(row sandboxRow) SandboxInfo {
	info := SandboxInfo{
		ID: row.ID, Team: row.Team, Status: row.Status, Template: row.Template,
		TimeoutSec: row.TimeoutSec, Created: row.Created,
	}
	if m, err := s.agent.machine(row.ID); err == nil {
		info.Machine = true
		info.Processes = len(m.processes(s.life))
	}
	_, err := os.Lstat(s.agent.machineDir(row.ID))
	info.Files = err == nil
	return info
}

func (m *machine) processes(ctx context.Context) []guest.Process {
	g := m.currentGuest()
	if g == nil {
		return nil
	}
	procs, err := g.Processes(ctx)
	if err != nil {
		return nil // it is gone
	}
	return procs
}

// errNoSandbox is the answer to an id that no create made.
var errNoSandbox = errors.New("no such sandbox")

// SetStatus writes a row's status, whatever the machine does. A row that is said to
// run without a machine is stopped by the next reconcile.
func (s *Server) SetStatus(id, status string) error {
	if !slices.Contains([]string{StatusPending, StatusRunning, StatusPaused, StatusStopped, StatusError, StatusMissing}, status) {
		return fmt.Errorf("unknown status %q", status)
	}
	if _, ok := s.rows.move(id, status, nil); !ok {
		return errNoSandbox
	}
	return nil
}

// Kill ends the processes of a sandbox without the agent's noticing: the row says
// running for ever, and every exec fails.
func (s *Server) Kill(id string) error {
	m, err := s.agent.machine(id)
	if err != nil {
		return errNoSandbox
	}
	m.kill()
	return nil
}

// Lose makes the agent lose a sandbox, as when it is restarted: what ran is stopped
// after the next reconcile.
func (s *Server) Lose(id string) error {
	if _, ok := s.rows.get(id); !ok {
		return errNoSandbox
	}
	s.agent.lose(id)
	return nil
}

// LiveProcesses counts the processes of all sandboxes on this host, supervisors
// included: what must be 0 when everything is destroyed.
// It is -1 when the host does not tell.
func (s *Server) LiveProcesses() int {
	mine := func(id string) bool {
		_, ok := s.rows.get(id)
		return ok
	}
	n, err := guest.Count(s.agent.supervisors(), mine)
	if err != nil {
		return -1
	}
	return n
}
