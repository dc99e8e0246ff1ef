package wrenndev

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"
)

// snapshotTime bounds a snapshot. It runs on when its client goes away.
const snapshotTime = 5 * time.Minute

type snapshotAnswer struct {
	Name      string            `json:"name"`
	Type      string            `json:"type"`
	VCPUs     int32             `json:"vcpus,omitempty"`
	MemoryMB  int32             `json:"memory_mb,omitempty"`
	SizeBytes int64             `json:"size_bytes"`
	CreatedAt string            `json:"created_at"`
	Platform  bool              `json:"platform"`
	Metadata  map[string]string `json:"metadata,omitempty"`
}

func (c *call) snapshotAnswer(row snapshotRow) snapshotAnswer {
	a := snapshotAnswer{
		Name: row.Name, Type: typeSnapshot, VCPUs: row.VCPUs, MemoryMB: row.MemoryMB,
		SizeBytes: row.SizeBytes, CreatedAt: stamp(row.Created),
	}
	if c.gen == genC {
		a.Metadata = serverMetadata
	}
	return a
}

func (c *call) templateAnswer(t templateRow) snapshotAnswer {
	a := snapshotAnswer{
		Name: t.Name, Type: t.Type, VCPUs: t.VCPUs, MemoryMB: t.MemoryMB, SizeBytes: t.SizeBytes, CreatedAt: stamp(t.Created), Platform: true,
	}
	if c.gen == genC && t.Dir != "" {
		a.Metadata = serverMetadata
	}
	return a
}

func (s *Server) snapshotDir(row snapshotRow) string { return s.templateDir(row.Dir) }

// createSnapshot checks in the service's order: sandbox id, name, clash of names,
// and only then whether there is such a sandbox.
func (s *Server) createSnapshot(c *call) error {
	var req struct {
		SandboxID string `json:"sandbox_id"`
		Name      string `json:"name"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if !validID(req.SandboxID) {
		return invalidRequest("invalid sandbox ID")
	}
	c.entry.sandbox(req.SandboxID)
	if req.Name == "" {
		req.Name = "template-" + randomHex(4)
	}
	if err := s.claimName(c, req.Name); err != nil {
		return err
	}
	c.params = map[string]string{"id": req.SandboxID}
	row, err := s.ownRow(c)
	if err != nil {
		return err
	}
	if row.Status != StatusRunning && row.Status != StatusPaused {
		return invalidState("sandbox must be running or paused (status: %s)", row.Status)
	}
	if s.hostGone(row) {
		return refuse(http.StatusServiceUnavailable, "host_unavailable", "the sandbox's host is not available")
	}
	snap, err := s.takeSnapshot(c, row, req.Name)
	if err != nil {
		return err
	}
	s.record(c.caller, "snapshot", snap.Name, "create", nil)
	writeJSON(c.w, http.StatusCreated, c.snapshotAnswer(snap))
	return nil
}

// claimName refuses a name that is not to be had. S paths replace a snapshot when
// asked to: the old one is gone before the new one is there.
func (s *Server) claimName(c *call, name string) error {
	if !nameForm.MatchString(name) {
		return invalidRequest("invalid snapshot name")
	}
	if _, platform := s.platformTemplate(name); platform {
		return refuse(http.StatusConflict, "name_reserved", "template name is reserved")
	}
	if _, taken := s.rows.snapshot(c.team, name); !taken {
		return nil
	}
	if c.gen == genC {
		return refuse(http.StatusConflict, "template_name_taken", "template name is taken")
	}
	if c.r.URL.Query().Get("overwrite") != "true" {
		return refuse(http.StatusConflict, "already_exists", "snapshot %q already exists", name)
	}
	return s.dropSnapshot(c.team, name)
}

// takeSnapshot pauses the source, which stays paused, and copies its files.
func (s *Server) takeSnapshot(c *call, row sandboxRow, name string) (snapshotRow, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx()), snapshotTime)
	defer cancel()
	wasRunning := row.Status == StatusRunning
	if wasRunning {
		if now, ok := s.rows.move(row.ID, StatusPaused, nil, StatusRunning); !ok {
			return snapshotRow{}, invalidState("sandbox must be running or paused (status: %s)", now.Status)
		}
	}
	snap := snapshotRow{
		Team: c.team, Name: name, VCPUs: row.VCPUs, MemoryMB: row.MemoryMB, Created: time.Now(), Dir: newID("snap-"),
		Boot: row.Boot,
	}
	err := c.agentFails()
	if err == nil {
		err = sleep(ctx, c.agentDelay())
	}
	var m *machine
	if err == nil {
		m, err = s.agent.machine(row.ID)
	}
	if err == nil {
		snap.SizeBytes, err = m.snapshot(ctx, s.snapshotDir(snap))
	}
	if err != nil {
		if wasRunning {
			s.rows.move(row.ID, StatusRunning, nil, StatusPaused)
		}
		return snap, agentAnswer(err, row.ID)
	}
	snap, ok := s.rows.addSnapshot(snap)
	if !ok {
		_ = removeTree(s.snapshotDir(snap))
		code := "already_exists"
		if c.gen == genC {
			code = "template_name_taken"
		}
		return snap, refuse(http.StatusConflict, code, "snapshot %q already exists", name)
	}
	return snap, nil
}

// dropSnapshot removes a snapshot, whoever was started from it.
func (s *Server) dropSnapshot(team, name string) error {
	row, ok := s.rows.removeSnapshot(team, name)
	if !ok {
		return notFound("template")
	}
	if err := removeTree(s.snapshotDir(row)); err != nil {
		return agentError("delete snapshot: %v", err)
	}
	return nil
}

func (s *Server) listSnapshots(c *call) error {
	kind := c.r.URL.Query().Get("type")
	answers := []snapshotAnswer{}
	if kind == "" || kind == typeSnapshot {
		for _, row := range s.rows.listSnapshots(c.team) {
			answers = append(answers, c.snapshotAnswer(row))
		}
	}
	for _, t := range s.platformTemplates() {
		if kind == "" || kind == t.Type {
			answers = append(answers, c.templateAnswer(t))
		}
	}
	writeJSON(c.w, http.StatusOK, answers)
	return nil
}

func (s *Server) deleteSnapshot(c *call) error {
	name := c.params["name"]
	if !nameForm.MatchString(name) {
		return invalidRequest("invalid snapshot name")
	}
	_, platform := s.platformTemplate(name)
	if _, own := s.rows.snapshot(c.team, name); platform && !own {
		return refuse(http.StatusForbidden, "forbidden", "platform templates cannot be deleted")
	}
	if err := s.dropSnapshot(c.team, name); err != nil {
		return err
	}
	s.record(c.caller, "snapshot", name, "delete", nil)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// dropHalfSnapshots removes what a server that was killed left of a snapshot or a
// template that it was taking or deleting.
func (s *Server) dropHalfSnapshots() error {
	dir := filepath.Join(s.dir, "snapshots")
	names, err := readNames(dir)
	if err != nil {
		return fmt.Errorf("snapshots: %w", err)
	}
	whole := s.rows.snapshotDirs()
	for _, t := range s.templates.list(nil) {
		whole[t.Dir] = true
	}
	for _, name := range names {
		if !whole[name] {
			if err := removeTree(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
