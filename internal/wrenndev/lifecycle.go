package wrenndev

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

// sandboxAnswer is a sandbox as the API shows it.
type sandboxAnswer struct {
	ID          string            `json:"id"`
	Status      string            `json:"status"`
	Template    string            `json:"template"`
	VCPUs       int32             `json:"vcpus"`
	MemoryMB    int32             `json:"memory_mb"`
	TimeoutSec  int32             `json:"timeout_sec"`
	HostIP      string            `json:"host_ip,omitempty"`
	CreatedAt   string            `json:"created_at"`
	StartedAt   string            `json:"started_at,omitempty"`
	LastActive  string            `json:"last_active_at,omitempty"`
	LastUpdated string            `json:"last_updated"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// serverMetadata is the version information that C servers write.
var serverMetadata = map[string]string{
	"kernel_version": "dev", "firecracker_version": "dev", "agent_version": "dev", "envd_version": "dev",
}

func (c *call) sandboxAnswer(row sandboxRow) sandboxAnswer {
	a := sandboxAnswer{
		ID: row.ID, Status: row.Status, Template: row.Template, VCPUs: row.VCPUs, MemoryMB: row.MemoryMB,
		TimeoutSec: row.TimeoutSec, HostIP: row.HostIP, CreatedAt: stamp(row.Created), LastUpdated: stamp(row.LastUpdated),
	}
	if row.Started != nil {
		a.StartedAt = stamp(*row.Started)
	}
	if row.LastActive != nil {
		a.LastActive = stamp(*row.LastActive)
	}
	if c.gen == genC && row.Started != nil {
		a.Metadata = serverMetadata
	}
	return a
}

// ownRow finds the sandbox of the path. Another team's is not there.
func (s *Server) ownRow(c *call) (sandboxRow, error) {
	id, err := c.id()
	if err != nil {
		return sandboxRow{}, err
	}
	row, ok := s.rows.get(id)
	if !ok || row.Team != c.team {
		return sandboxRow{}, notFound("sandbox")
	}
	return row, nil
}

// runningRow is ownRow for what needs a running sandbox.
func (s *Server) runningRow(c *call) (sandboxRow, error) {
	row, err := s.ownRow(c)
	if err == nil && row.Status != StatusRunning {
		err = invalidState("sandbox is not running (status: %s)", row.Status)
	}
	return row, err
}

type createRequest struct {
	Template   string `json:"template"`
	VCPUs      int32  `json:"vcpus"`
	MemoryMB   int32  `json:"memory_mb"`
	TimeoutSec int32  `json:"timeout_sec"`
}

// newRow checks a create and makes its row. from is the template's directory, if any.
func (s *Server) newRow(c *call) (row sandboxRow, from string, err error) {
	var req createRequest
	if err := readJSON(c.w, c.r, &req); err != nil {
		return row, "", err
	}
	if req.Template == "" {
		req.Template = minimalTemplate
	}
	if req.VCPUs <= 0 {
		req.VCPUs = 1
	}
	if req.MemoryMB <= 0 {
		req.MemoryMB = 512
	}
	if !nameForm.MatchString(req.Template) {
		return row, "", invalidRequest("invalid template name")
	}
	if c.fault.rejectNegative && req.TimeoutSec < 0 {
		return row, "", invalidRequest("timeout_sec must not be negative")
	}
	o, ok := s.origin(c.team, req.Template)
	if !ok {
		return row, "", notFound(`template "` + req.Template + `"`)
	}
	if o.sized {
		req.VCPUs, req.MemoryMB = o.vcpus, o.memoryMB
	}
	now := time.Now()
	row, err = s.place(sandboxRow{
		ID: newID(sandboxPrefix), Team: c.team, Status: StatusPending, Template: req.Template, VCPUs: req.VCPUs,
		MemoryMB: req.MemoryMB, TimeoutSec: req.TimeoutSec, Created: now, LastUpdated: now, Boot: o.bootFor(c.gen),
	}, c.gen)
	return row, o.dir, err
}

// createSandbox is synchronous and not idempotent. A client that gives up leaves
// its row pending for ever; a failing agent leaves one in status error that the
// answer does not name.
func (s *Server) createSandbox(c *call) error {
	row, from, err := s.newRow(c)
	if err != nil {
		return err
	}
	c.entry.sandbox(row.ID)
	err = c.agentFails()
	if err == nil {
		err = s.agent.create(c.ctx(), row, from, s.cfg.BootDelay+c.agentDelay())
	}
	if c.ctx().Err() != nil {
		// The machine may have come up just as the client went: it lives on.
		return c.ctx().Err()
	}
	if err != nil {
		s.rows.move(row.ID, StatusError, nil, StatusPending)
		return agentAnswer(err, row.ID)
	}
	row, ok := s.rows.move(row.ID, StatusRunning, s.started, StatusPending)
	if !ok {
		// Destroyed while it was starting.
		return errors.Join(agentError("sandbox was destroyed while it started"), s.agent.destroy(row.ID))
	}
	s.record(c.caller, "sandbox", row.ID, "create", map[string]any{"template": row.Template})
	s.flap(c.fault.flap, row)
	writeJSON(c.w, http.StatusCreated, c.sandboxAnswer(row))
	return nil
}

// started gives a row what only a started sandbox has.
func (s *Server) started(row *sandboxRow) {
	now := time.Now()
	row.HostIP, row.Started, row.LastActive = s.agent.nextHostIP(), &now, &now
}

// flap plays the scripted change of a status that nobody asked for.
func (s *Server) flap(f *Fault, row sandboxRow) {
	if f == nil {
		return
	}
	s.rows.move(row.ID, f.SetStatus, nil, row.Status)
	if f.For <= 0 {
		return
	}
	s.background.Go(func() {
		if sleep(s.life, time.Duration(f.For)) == nil {
			s.rows.move(row.ID, row.Status, nil, f.SetStatus)
		}
	})
}

func (s *Server) getSandbox(c *call) error {
	row, err := s.ownRow(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, c.sandboxAnswer(row))
	return nil
}

func (s *Server) listSandboxes(c *call) error {
	listed := s.rows.list(c.team)
	if c.fault.stale != nil {
		listed = slices.DeleteFunc(slices.Clone(c.fault.stale.rows), func(r sandboxRow) bool { return r.Team != c.team })
	}
	answers := make([]sandboxAnswer, 0, len(listed))
	for _, row := range listed {
		if row.Status != StatusStopped && row.Status != StatusError {
			answers = append(answers, c.sandboxAnswer(row))
		}
	}
	writeJSON(c.w, http.StatusOK, answers)
	return nil
}

// destroySandbox works from any status, again and again.
func (s *Server) destroySandbox(c *call) error {
	row, err := s.ownRow(c)
	if err != nil {
		return err
	}
	if err := s.onHost(row); err != nil {
		return err
	}
	if err := c.agentFails(); err != nil {
		return err
	}
	if err := sleep(c.ctx(), c.agentDelay()); err != nil {
		return err
	}
	if err := s.agent.destroy(row.ID); err != nil {
		return agentError("destroy: %v", err)
	}
	s.rows.move(row.ID, StatusStopped, nil)
	s.record(c.caller, "sandbox", row.ID, "destroy", nil)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// pauseSandbox writes the new status before it asks the agent, and takes it back
// when the agent refuses; but not when the client is gone by then.
func (s *Server) pauseSandbox(c *call) error {
	row, err := s.ownRow(c)
	if err != nil {
		return err
	}
	row, ok := s.rows.move(row.ID, StatusPaused, nil, StatusRunning)
	if !ok {
		return invalidState("sandbox is not running (status: %s)", row.Status)
	}
	err = c.agentFails()
	if err == nil {
		err = sleep(c.ctx(), c.agentDelay())
	}
	if err == nil {
		err = s.agent.pause(c.ctx(), row.ID)
	}
	if err != nil {
		if c.ctx().Err() != nil {
			return c.ctx().Err()
		}
		s.rows.move(row.ID, StatusRunning, nil, StatusPaused)
		return agentAnswer(err, row.ID)
	}
	s.record(c.caller, "sandbox", row.ID, "pause", nil)
	writeJSON(c.w, http.StatusOK, c.sandboxAnswer(row))
	return nil
}

func (s *Server) resumeSandbox(c *call) error {
	row, err := s.ownRow(c)
	if err != nil {
		return err
	}
	if row.Status != StatusPaused {
		return invalidState("sandbox is not paused (status: %s)", row.Status)
	}
	if err := s.onHost(row); err != nil {
		return err
	}
	if err := c.agentFails(); err != nil {
		return err
	}
	if err := sleep(c.ctx(), c.agentDelay()); err != nil {
		return err
	}
	if err := s.agent.resume(c.ctx(), row.ID); err != nil {
		return agentAnswer(err, row.ID)
	}
	row, ok := s.rows.move(row.ID, StatusRunning, s.started, StatusPaused)
	if !ok {
		return invalidState("sandbox is not paused (status: %s)", row.Status)
	}
	s.record(c.caller, "sandbox", row.ID, "resume", nil)
	s.flap(c.fault.flap, row)
	writeJSON(c.w, http.StatusOK, c.sandboxAnswer(row))
	return nil
}

func (s *Server) pingSandbox(c *call) error {
	row, err := s.runningRow(c)
	if err != nil {
		return err
	}
	if err := c.agentFails(); err != nil {
		return err
	}
	if err := s.agent.ping(row.ID); err != nil {
		return agentHasNot(row.ID)
	}
	s.rows.touch(row.ID)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// agentFails is the scripted refusal of the agent.
func (c *call) agentFails() error {
	if c.fault.agentFail {
		return agentDown(c.gen)
	}
	return nil
}

// agentAnswer maps a failure on the agent to an answer.
func agentAnswer(err error, id string) error {
	var known *apiError
	if errors.As(err, &known) {
		return err
	}
	return agentError("agent rpc failed: sandbox %s: %v", id, err)
}
