package wrenndev

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// defaultExecTimeout applies when timeout_sec is not given, 0 or negative.
const defaultExecTimeout = 30 * time.Second

type execRequest struct {
	Cmd        string   `json:"cmd"`
	Args       []string `json:"args"`
	TimeoutSec int32    `json:"timeout_sec"`
}

type execAnswer struct {
	SandboxID  string `json:"sandbox_id"`
	Cmd        string `json:"cmd"`
	Stdout     string `json:"stdout"`
	Stderr     string `json:"stderr"`
	ExitCode   int    `json:"exit_code"`
	DurationMS int64  `json:"duration_ms"`
	Encoding   string `json:"encoding"`
}

// launch starts a command in a running machine. The client's going away does not
// stop it.
func (s *Server) launch(ctx context.Context, id string, spec guest.ExecSpec) (*guest.Command, context.Context, error) {
	m, err := s.agent.machine(id)
	if err != nil {
		return nil, nil, err
	}
	g, session, err := m.use(true)
	if err != nil {
		return nil, nil, err
	}
	cmd, err := g.Exec(context.WithoutCancel(ctx), spec)
	return cmd, session, err
}

// exec runs a command and answers when its output is closed. A passed timeout and
// a pause, a destroy or a death in between are all 502 agent_error.
func (s *Server) exec(c *call) error {
	row, err := s.runningRow(c)
	if err != nil {
		return err
	}
	var req execRequest
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if req.Cmd == "" {
		return invalidRequest("cmd is required")
	}
	if err := c.agentFails(); err != nil {
		return err
	}
	if err := sleep(c.ctx(), c.agentDelay()); err != nil {
		return err
	}
	begun := time.Now()
	cmd, session, err := s.launch(c.ctx(), row.ID, guest.ExecSpec{Argv: append([]string{req.Cmd}, req.Args...)})
	if err != nil {
		return agentAnswer(err, row.ID)
	}
	run := s.collect(cmd)
	deadline := time.NewTimer(s.execLimit(c.gen, req.TimeoutSec))
	defer deadline.Stop()
	select {
	case <-run.done:
	case <-deadline.C:
		run.abandon(s.life, c.gen == genS)
		return agentError("agent rpc failed: deadline_exceeded: context deadline exceeded")
	case <-session.Done():
		select {
		case <-run.done: // it was over just before
		default:
			run.abandon(s.life, false)
			return agentError("agent rpc failed: unavailable: unexpected EOF")
		}
	case <-c.ctx().Done():
		s.abandonLater(run, begun.Add(s.execLimit(c.gen, req.TimeoutSec)), c.gen == genS)
		return c.ctx().Err()
	}
	if run.lost {
		return agentError("agent rpc failed: unavailable: unexpected EOF")
	}
	s.rows.touch(row.ID)
	writeJSON(c.w, http.StatusOK, run.answer(row.ID, req.Cmd, time.Since(begun)))
	return nil
}

// execLimit is the timeout of a synchronous exec, capped by the control plane's own
// patience with the agent.
func (s *Server) execLimit(gen generation, timeoutSec int32) time.Duration {
	limit := defaultExecTimeout
	if timeoutSec > 0 {
		limit = time.Duration(timeoutSec) * time.Second
	}
	if gen == genC {
		return min(limit, s.cfg.ExecLimit)
	}
	return min(limit, s.cfg.StreamLimit)
}

// collected is a command whose output is being gathered.
type collected struct {
	cmd            *guest.Command
	stdout, stderr gatherer
	done           chan struct{}
	// Valid once done is closed:
	code int
	lost bool // the guest went away first
}

func (s *Server) collect(cmd *guest.Command) *collected {
	run := &collected{cmd: cmd, done: make(chan struct{})}
	s.background.Go(func() {
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(&run.stdout, cmd.Stdout) })
		wg.Go(func() { _, _ = io.Copy(&run.stderr, cmd.Stderr) })
		wg.Wait()
		code, ok := <-cmd.Exit()
		cmd.Close()
		run.code, run.lost = code, !ok
		close(run.done)
	})
	return run
}

// abandon goes on reading the output, so that the command goes on, but keeps none.
func (run *collected) abandon(ctx context.Context, kill bool) {
	run.stdout.discard()
	run.stderr.discard()
	if kill {
		// One that has just ended needs no signal, and one that is gone gets none.
		_ = run.cmd.Signal(ctx, syscall.SIGKILL)
	}
}

// abandonLater is for a client that went away: the command is killed only when its
// timeout passes.
func (s *Server) abandonLater(run *collected, at time.Time, kill bool) {
	run.abandon(s.life, false)
	if !kill {
		return
	}
	s.background.Go(func() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		select {
		case <-run.done:
		case <-t.C:
			run.abandon(s.life, true)
		case <-s.life.Done():
		}
	})
}

func (run *collected) answer(id, cmd string, took time.Duration) execAnswer {
	a := execAnswer{SandboxID: id, Cmd: cmd, ExitCode: run.code, DurationMS: took.Milliseconds(), Encoding: "utf-8"}
	stdout, stderr := run.stdout.bytes(), run.stderr.bytes()
	if utf8.Valid(stdout) && utf8.Valid(stderr) {
		a.Stdout, a.Stderr = string(stdout), string(stderr)
		return a
	}
	a.Encoding = "base64"
	a.Stdout, a.Stderr = base64.StdEncoding.EncodeToString(stdout), base64.StdEncoding.EncodeToString(stderr)
	return a
}

// gatherer keeps what is written to it until it is told not to.
type gatherer struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	useless bool
}

func (g *gatherer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.useless {
		return len(p), nil
	}
	return g.buf.Write(p)
}

func (g *gatherer) discard() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.useless, g.buf = true, bytes.Buffer{}
}

func (g *gatherer) bytes() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.Bytes()
}
