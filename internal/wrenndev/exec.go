package wrenndev

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// defaultExecTimeout applies when timeout_sec is not given, 0 or negative.
const defaultExecTimeout = 30 * time.Second

type execRequest struct {
	Cmd        string   `json:"cmd"`
	Args       []string `json:"args"`
	TimeoutSec int32    `json:"timeout_sec"`
}

// capsuleExecRequest is what the C paths take. Only in the background do the
// environment and the directory count.
type capsuleExecRequest struct {
	execRequest
	Background bool              `json:"background"`
	Tag        string            `json:"tag"`
	Envs       map[string]string `json:"envs"`
	Cwd        string            `json:"cwd"`
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

// exec runs a command, and in the foreground answers when its output is closed.
func (s *Server) exec(c *call) error {
	row, err := s.runningRow(c)
	if err != nil {
		return err
	}
	var req capsuleExecRequest
	into := any(&req)
	if c.gen == genS {
		into = &req.execRequest
	}
	if err := readJSON(c.w, c.r, into); err != nil {
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
	if req.Background {
		return s.execBackground(c, row.ID, req)
	}
	return s.execForeground(c, row.ID, req.execRequest)
}

// execForeground waits for the command. A passed timeout and a pause, a destroy or a
// death in between are all 502 agent_error.
func (s *Server) execForeground(c *call, id string, req execRequest) error {
	begun := time.Now()
	run := &collected{done: make(chan struct{})}
	p, session, err := s.launch(c.ctx(), id, command{cmd: req.Cmd, args: req.Args}, run)
	if err != nil {
		return agentAnswer(err, id)
	}
	deadline := time.NewTimer(s.execLimit(c.gen, req.TimeoutSec))
	defer deadline.Stop()
	select {
	case <-run.done:
	case <-deadline.C:
		run.discard()
		if c.gen == genS {
			kill(s.life, p)
		}
		return agentError("agent rpc failed: deadline_exceeded: context deadline exceeded")
	case <-session.Done():
		select {
		case <-run.done: // it was over just before
		default:
			run.discard()
			return agentError("agent rpc failed: unavailable: unexpected EOF")
		}
	case <-c.ctx().Done():
		run.discard()
		if c.gen == genS {
			s.killLater(p, begun.Add(s.execLimit(c.gen, req.TimeoutSec)))
		}
		return c.ctx().Err()
	}
	if run.lost {
		return agentError("agent rpc failed: unavailable: unexpected EOF")
	}
	s.rows.touch(id)
	writeJSON(c.w, http.StatusOK, run.answer(id, req.Cmd, time.Since(begun)))
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

// kill ends the command itself. One that has just ended needs no signal, and one
// that is gone gets none.
func kill(ctx context.Context, p *process) { _ = p.Signal(ctx, syscall.SIGKILL) }

// killLater is for a client that went away: the command is killed only when its
// timeout passes.
func (s *Server) killLater(p *process, at time.Time) {
	s.background.Go(func() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		select {
		case <-p.Done():
		case <-t.C:
			kill(s.life, p)
		case <-s.life.Done():
		}
	})
}

// collected is an ear that gathers the output of a command.
type collected struct {
	stdout, stderr gatherer
	done           chan struct{}
	// Valid once done is closed:
	code int
	lost bool // the guest went away first
}

// hear implements ear.
func (run *collected) hear(p piece) {
	if p.kind == "stderr" {
		run.stderr.add(p.data)
		return
	}
	run.stdout.add(p.data)
}

// end implements ear.
func (run *collected) end(code int, ok bool) {
	run.code, run.lost = code, !ok
	close(run.done)
}

// discard keeps no output from now on. It goes on being read, so that the command
// goes on.
func (run *collected) discard() {
	run.stdout.discard()
	run.stderr.discard()
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

// gatherer keeps what it gets until it is told not to.
type gatherer struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	useless bool
}

func (g *gatherer) add(p []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.useless {
		g.buf.Write(p)
	}
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
