package wrenndev

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// inputQueue is how many pieces of input wait for a terminal; more are dropped.
const inputQueue = 64

// ptyMessage is what the client of a terminal sends.
type ptyMessage struct {
	Type string            `json:"type"`
	Cmd  string            `json:"cmd"`
	Args []string          `json:"args"`
	Envs map[string]string `json:"envs"`
	Cwd  string            `json:"cwd"`
	Cols int32             `json:"cols"`
	Rows int32             `json:"rows"`
	Tag  string            `json:"tag"`
	Data string            `json:"data"`
}

// size is that of the terminal, with the given default.
func (m ptyMessage) size(cols, rows uint16) guest.TtySize {
	or := func(n int32, def uint16) uint16 {
		if n <= 0 {
			return def
		}
		return uint16(min(n, math.MaxUint16))
	}
	return guest.TtySize{Cols: or(m.Cols, cols), Rows: or(m.Rows, rows)}
}

func (s *Server) pty(c *call) error { return s.overSocket(c, (*stream).pty) }

// pty starts a program in a terminal, or shows one that runs.
func (st *stream) pty(ctx context.Context) error {
	st.fatal = true
	first, err := message[ptyMessage](ctx, st)
	if err != nil {
		return err
	}
	switch first.Type {
	case "start":
		return st.startPty(ctx, first)
	case "connect":
		return st.connectPty(ctx, first.Tag)
	}
	return invalidRequest(`first message must be type "start" or "connect"`)
}

func (st *stream) startPty(ctx context.Context, first ptyMessage) error {
	if err := sleep(ctx, st.call.agentDelay()); err != nil {
		return err
	}
	if first.Cmd == "" {
		first.Cmd = "/bin/bash"
	}
	id, size := st.call.params["id"], first.size(80, 24)
	heard, l := st.listen(ctx)
	p, session, err := st.server.launch(ctx, id, command{
		cmd: first.Cmd, args: first.Args, tag: "pty-" + randomHex(4), env: first.Envs, dir: first.Cwd, tty: &size,
	}, heard)
	var reported *guest.Error
	switch {
	case errors.As(err, &reported):
		return nil // a directory that is not there gets no word
	case err != nil:
		return agentAnswer(err, id)
	}
	defer p.detach(heard)
	st.server.rows.touch(id)
	ping := time.NewTicker(st.server.cfg.PtyPing)
	defer ping.Stop()
	return st.follow(session, l, view{
		first: &streamEvent{Type: "started", Tag: p.tag, Pid: p.Pid}, show: asOutput, stays: true, pings: ping.C,
		client: func(ctx context.Context) { st.control(ctx, p) },
	})
}

// connectPty shows a terminal from now on. Nothing is read from the client before the
// terminal has printed something, and one that prints nothing is given up.
func (st *stream) connectPty(ctx context.Context, tag string) error {
	p, session, err := st.running(ctx, tag)
	if p == nil {
		return err
	}
	heard, l := st.listen(ctx)
	if !p.attach(heard) {
		return nil
	}
	defer p.detach(heard)
	quiet := time.NewTimer(st.server.cfg.ExecLimit)
	defer quiet.Stop()
	ping := time.NewTicker(st.server.cfg.PtyPing)
	defer ping.Stop()
	printed := make(chan struct{})
	return st.follow(session, l, view{
		show: asOutput, stays: true, pings: ping.C, quiet: quiet.C, begun: func() { close(printed) },
		client: func(ctx context.Context) {
			select {
			case <-printed:
				st.control(ctx, p)
			case <-ctx.Done():
			}
		},
	})
}

// asOutput shows output byte for byte.
func asOutput(p piece) streamEvent {
	text := base64.StdEncoding.EncodeToString(p.data)
	return streamEvent{Type: "output", Data: &text}
}

// control does what the client of a terminal says, until it goes away.
func (st *stream) control(ctx context.Context, p *process) {
	for {
		var msg ptyMessage
		select {
		case data, ok := <-st.messages:
			if !ok {
				return
			}
			msg = decoded[ptyMessage](data)
		case <-ctx.Done():
			return
		}
		switch msg.Type {
		case "input":
			if data, err := base64.StdEncoding.DecodeString(msg.Data); err == nil {
				st.server.touchMachine(st.call.params["id"])
				p.typeIn(data)
			}
		case "resize":
			if msg.Cols > 0 && msg.Rows > 0 {
				_ = p.Resize(msg.size(0, 0)) // one that has ended has no size
			}
		case "kill":
			kill(ctx, p)
		}
	}
}

// touchMachine counts as activity, where there is anything to be active.
func (s *Server) touchMachine(id string) {
	if m, err := s.agent.machine(id); err == nil {
		_ = m.touch()
	}
}

// typeIn queues input for the terminal, and drops it where the queue is full.
func (p *process) typeIn(data []byte) {
	select {
	case p.input <- data:
	default:
	}
}

// feed types what is queued. A terminal that takes nothing holds it up until its end.
func (p *process) feed() {
	for {
		select {
		case data := <-p.input:
			if _, err := p.Tty.Write(data); err != nil {
				return
			}
		case <-p.Done():
			return
		}
	}
}
