package wrenndev

import (
	"context"
	"errors"
	"net/http"
	"syscall"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// runningMachine is the machine of a sandbox whose row says that it runs. Where the
// agent knows better, it does not find the sandbox.
func (s *Server) runningMachine(c *call) (*machine, *guest.Guest, error) {
	row, err := s.runningRow(c)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(c.agentFails(), sleep(c.ctx(), c.agentDelay())); err != nil {
		return nil, nil, err
	}
	m, err := s.agent.machine(row.ID)
	if err != nil {
		return nil, nil, agentHasNot(row.ID)
	}
	g, _, err := m.use(false)
	if err != nil {
		return nil, nil, agentHasNot(row.ID)
	}
	return m, g, nil
}

// execBackground answers when the command has started. What becomes of it shows only
// to those who follow it.
func (s *Server) execBackground(c *call, id string, req capsuleExecRequest) error {
	if req.Tag == "" {
		req.Tag = "proc-" + randomHex(4)
	}
	p, _, err := s.launch(c.ctx(), id, command{
		cmd: req.Cmd, args: req.Args, tag: req.Tag, env: req.Envs, dir: req.Cwd,
	}, nil)
	if err != nil {
		return agentAnswer(err, id)
	}
	s.rows.touch(id)
	writeJSON(c.w, http.StatusAccepted, map[string]any{"sandbox_id": id, "cmd": req.Cmd, "pid": p.Pid, "tag": req.Tag})
	return nil
}

// processAnswer is a process as the API shows it.
type processAnswer struct {
	Pid  int      `json:"pid"`
	Tag  string   `json:"tag,omitempty"`
	Cmd  string   `json:"cmd"`
	Args []string `json:"args,omitempty"`
}

func (s *Server) listProcesses(c *call) error {
	m, g, err := s.runningMachine(c)
	if err != nil {
		return err
	}
	if g.Dead() {
		return agentAnswer(guest.ErrGone, m.id)
	}
	answers := []processAnswer{}
	for _, p := range m.procs.list() {
		answers = append(answers, processAnswer{p.Pid, p.tag, p.cmd, p.args})
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"processes": answers})
	return nil
}

// killProcess signals one process and not its children. Whatever is not SIGTERM is
// SIGKILL.
func (s *Server) killProcess(c *call) error {
	m, _, err := s.runningMachine(c)
	if err != nil {
		return err
	}
	unknown := refuse(http.StatusNotFound, "not_found", "process not found: %s", c.params["selector"])
	p := m.procs.find(c.params["selector"])
	if p == nil {
		return unknown
	}
	sig := syscall.SIGKILL
	if c.r.URL.Query().Get("signal") == "SIGTERM" {
		sig = syscall.SIGTERM
	}
	err = p.Signal(c.ctx(), sig)
	var reported *guest.Error
	switch {
	case errors.As(err, &reported) && reported.Kind == guest.KindNotFound:
		return unknown // it has just ended
	case err != nil:
		return agentAnswer(err, m.id)
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) processStream(c *call) error { return s.overSocket(c, (*stream).process) }

// process shows a process from now on. One that is not there gets no word.
func (st *stream) process(ctx context.Context) error {
	p, session, err := st.running(ctx, st.call.params["selector"])
	if p == nil {
		return err
	}
	heard, l := st.listen(ctx)
	if !p.attach(heard) {
		return nil
	}
	defer p.detach(heard)
	return st.follow(session, l, view{
		first: &streamEvent{Type: "start", Pid: p.Pid}, show: asText,
		client: func(ctx context.Context) { st.untilClient(ctx, "") },
	})
}

// running finds a process to connect to, which counts as activity; nil when there is
// none.
func (st *stream) running(ctx context.Context, selector string) (*process, context.Context, error) {
	if err := sleep(ctx, st.call.agentDelay()); err != nil {
		return nil, nil, err
	}
	id := st.call.params["id"]
	m, err := st.server.agent.machine(id)
	if err != nil {
		return nil, nil, agentAnswer(err, id)
	}
	_, session, err := m.use(true)
	if err != nil {
		return nil, nil, agentAnswer(err, id)
	}
	st.server.rows.touch(id)
	return m.procs.find(selector), session, nil
}
