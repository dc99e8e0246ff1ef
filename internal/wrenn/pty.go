package wrenn

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"iter"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// Terminals exist in generation Capsules only: on a server of the other they are ErrUnsupported.

const opPty = "sandboxes.pty"

// maxPtyInput bounds a piece of input in bytes, below what the server reads at once.
const maxPtyInput = 16 << 10

// PtyRequest is a program to run in a terminal.
type PtyRequest struct {
	// Cmd is an executable; empty means /bin/bash.
	Cmd string
	// Args are its arguments.
	Args []string
	// Cols and Rows are the size; 0 means 80 and 24.
	Cols, Rows uint16
	// Env is added to the environment.
	Env map[string]string
	// Dir is the working directory; empty means the default user's home. One that is not there ends the terminal before it
	// starts, without a reason: ErrStreamLost.
	Dir string
}

// PtyEventType is the kind of a PtyEvent.
type PtyEventType string

// The kinds of events of a terminal.
const (
	PtyStarted PtyEventType = "started" // first, of OpenPty only, with PID and Tag
	PtyOutput  PtyEventType = "output"  // with Data
	PtyExit    PtyEventType = "exit"    // last, with ExitCode
	PtyError   PtyEventType = "error"   // with Text; the terminal may go on after one that is not Fatal
)

// PtyEvent is one event of a terminal.
type PtyEvent struct {
	// Type tells which of the other fields are set.
	Type PtyEventType
	// PID is the process id in the guest, and Tag what ConnectPty takes.
	PID int
	Tag string
	// Data is a piece of output, byte for byte.
	Data []byte
	// ExitCode is 0 to 255, or -1 for a program that a signal ended.
	ExitCode int
	// Text is meant for people.
	Text string
	// Fatal is true for an error after which nothing comes.
	Fatal bool
}

// Pty is a view of a terminal in the guest. Losing and closing it leave its program running: Kill ends that. Use Events
// from one goroutine; everything else may be called from any.
type Pty struct {
	*socket

	started *PtyEvent
	// silent: it was connected to, and has shown nothing yet.
	silent bool
}

// OpenPty starts a program in a terminal and returns when it has started; Events then begins with the started event. The
// context governs the whole stream; starting is bounded by WithRequestTimeout too. The service ends every stream after
// 600 s, and at pause, idle pause and destroy.
func (h *SandboxHandle) OpenPty(ctx context.Context, req PtyRequest) (*Pty, error) {
	if err := checkID(opPty, h.id); err != nil {
		return nil, err
	}
	startCtx, cancel := h.c.starting(ctx)
	defer cancel()
	p, err := h.ptySocket(ctx, startCtx, api.PtyStart{
		Type: api.PtyStartTypeStart, Cmd: optional(req.Cmd), Args: req.Args, Cols: optional(int32(req.Cols)),
		Rows: optional(int32(req.Rows)), Envs: req.Env, Cwd: optional(req.Dir),
	})
	if err != nil {
		return nil, err
	}
	event, err := p.next(startCtx)
	switch {
	case err != nil:
		err = p.lost(startCtx, err)
	case event.Type == PtyStarted:
		p.started = &event
		return p, nil
	case event.Type == PtyError:
		err = &Error{Op: opPty, Ambiguous: true, Err: ErrStreamRefused}
	default:
		err = p.lost(startCtx, errBadFrame)
	}
	p.shut()
	return nil, err
}

// ConnectPty goes back to a terminal whose stream was lost or closed. The service answers nothing: whether there is such a
// terminal shows with the first event. Input reaches a terminal that is connected to only once it has printed something;
// one that prints nothing for 45 s is lost again, with an error event before that.
func (h *SandboxHandle) ConnectPty(ctx context.Context, tag string) (*Pty, error) {
	if err := checkID(opPty, h.id); err != nil {
		return nil, err
	}
	if tag == "" {
		return nil, invalidArgument(opPty, "the tag is empty")
	}
	startCtx, cancel := h.c.starting(ctx)
	defer cancel()
	p, err := h.ptySocket(ctx, startCtx, api.PtyConnect{Type: api.Connect, Tag: tag})
	if err != nil {
		return nil, err
	}
	p.silent = true
	return p, nil
}

func (h *SandboxHandle) ptySocket(ctx, startCtx context.Context, first any) (*Pty, error) {
	conn, err := h.openSocket(ctx, startCtx, call{op: opPty, path: "/pty", effect: true, only: GenerationCapsules})
	if err != nil {
		return nil, err
	}
	p := &Pty{socket: conn}
	if err := p.send(startCtx, first); err != nil {
		p.shut()
		return nil, err
	}
	return p, nil
}

// Tag is what ConnectPty takes, and PID the process id in the guest; both are empty after ConnectPty.
func (p *Pty) Tag() string {
	if p.started == nil {
		return ""
	}
	return p.started.Tag
}

// PID is the process id in the guest, 0 after ConnectPty.
func (p *Pty) PID() int {
	if p.started == nil {
		return 0
	}
	return p.started.PID
}

// Input types into the terminal. The service keeps 64 pieces of up to 16 KiB that the terminal has not taken and drops
// what is beyond without a sign: wait for output now and then.
func (p *Pty) Input(ctx context.Context, data []byte) error {
	for len(data) > 0 {
		n := min(len(data), maxPtyInput)
		message := api.PtyInput{Type: api.Input, Data: base64.StdEncoding.EncodeToString(data[:n])}
		if err := p.send(ctx, message); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// Resize tells the terminal its new size.
func (p *Pty) Resize(ctx context.Context, cols, rows uint16) error {
	if cols == 0 || rows == 0 {
		return invalidArgument(opPty, "the size must be positive")
	}
	return p.send(ctx, api.PtyResize{Type: api.Resize, Cols: int32(cols), Rows: int32(rows)})
}

// Kill ends the terminal's program with SIGKILL. The exit event follows.
func (p *Pty) Kill(ctx context.Context) error { return p.send(ctx, api.PtyKill{Type: api.Kill}) }

// Close releases the connection at once and can be called at any time, from any goroutine, and again. It does not end
// the program.
func (p *Pty) Close() error {
	p.shut()
	return nil
}

// Events yields the events, once. It ends after the exit event and closes the connection then, which the server leaves
// open. Every other end yields an error last, ErrStreamLost among its causes. Leaving the loop closes the connection.
func (p *Pty) Events() iter.Seq2[PtyEvent, error] {
	return func(yield func(PtyEvent, error) bool) {
		if p.consumed.Swap(true) {
			yield(PtyEvent{}, p.readTwice())
			return
		}
		defer p.shut()
		if p.started != nil && !yield(*p.started, nil) {
			return
		}
		for {
			event, err := p.nextWatched()
			if err != nil {
				yield(PtyEvent{}, p.lost(p.ctx, err))
				return
			}
			if !yield(event, nil) || event.Type == PtyExit {
				return
			}
			// An error in place of the first output of a terminal connected to is its end, although it is not called fatal.
			if event.Type == PtyError && (event.Fatal || p.silent) {
				yield(PtyEvent{}, p.lost(p.ctx, errErrorEvent))
				return
			}
			p.silent = false
		}
	}
}

func (p *Pty) nextWatched() (PtyEvent, error) {
	stop := p.watch()
	defer stop()
	return p.next(p.ctx)
}

// next reads the next event. The service's own pings, and kinds that came after this was written, are skipped.
func (p *Pty) next(ctx context.Context) (PtyEvent, error) {
	for {
		frame, err := p.frame(ctx)
		if err != nil {
			return PtyEvent{}, err
		}
		event, known, err := parsePtyFrame(frame)
		if err != nil || known {
			return event, err
		}
	}
}

// parsePtyFrame reads one message of the server and reports whether its kind is known.
func parsePtyFrame(frame []byte) (event PtyEvent, known bool, err error) {
	var wire *api.PtyEvent
	if err := json.Unmarshal(frame, &wire); err != nil || wire == nil || wire.Type == "" {
		return PtyEvent{}, false, errBadFrame
	}
	event.Type = PtyEventType(wire.Type)
	complete := true
	switch event.Type {
	case PtyStarted:
		complete = value(wire.Pid) > 0 && value(wire.Tag) != ""
		event.PID, event.Tag = int(value(wire.Pid)), value(wire.Tag)
	case PtyOutput:
		event.Data, err = base64.StdEncoding.DecodeString(value(wire.Data))
	case PtyExit:
		complete = wire.ExitCode != nil
		event.ExitCode = int(value(wire.ExitCode))
	case PtyError:
		event.Text, event.Fatal = value(wire.Data), value(wire.Fatal)
	default:
		return PtyEvent{}, false, nil
	}
	if !complete || err != nil {
		return PtyEvent{}, false, errors.Join(errBadFrame, err)
	}
	return event, true, nil
}
