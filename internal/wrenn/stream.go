package wrenn

import (
	"context"
	"iter"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

const opExecStream = "sandboxes.exec_stream"

// ExecStreamRequest is a command whose output is streamed. It has no timeout, environment or working directory: the
// service ignores them here.
type ExecStreamRequest struct {
	// Cmd is an executable, found on the guest's PATH: not a shell line.
	Cmd string
	// Args are its arguments.
	Args []string
}

// StreamEventType is the kind of a StreamEvent.
type StreamEventType string

// The kinds of events, in the order in which they come.
const (
	StreamStart  StreamEventType = "start"  // first, with PID
	StreamStdout StreamEventType = "stdout" // with Data
	StreamStderr StreamEventType = "stderr" // with Data; the order relative to stdout is not kept
	StreamExit   StreamEventType = "exit"   // last, with ExitCode
	StreamError  StreamEventType = "error"  // with Data, a text for people; the stream is lost after it
)

// StreamEvent is one event of a running command.
type StreamEvent struct {
	// Type tells which of the other fields are set.
	Type StreamEventType
	// PID is the process id in the guest.
	PID int
	// Data is a piece of output. The service replaces bytes that are not UTF-8 by U+FFFD, even those of a character that
	// it cut in two: for exact bytes, encode them in the guest.
	Data string
	// ExitCode is 0 to 255, or -1 for a command that a signal ended.
	ExitCode int
}

// ExecStream is a view of a running command. Losing it, stopping it and closing it leave the command running: to end it,
// KillProcess where the generation has it, and else another command. Use Events from one goroutine; Stop and Close may be
// called from any.
type ExecStream struct {
	*socket

	start StreamEvent
}

// ExecStream starts a command and returns when it has started; Events then begins with the start event. The context
// governs the whole stream; starting is bounded by WithRequestTimeout too. The service ends every stream after 600 s, and
// at pause, idle pause and destroy, without an exit event.
//
// Servers of generation Sandboxes refuse with a status and a code. Those of generation Capsules accept and then send an
// error event without a code, which is ErrStreamRefused. A failure after the connection was made is ambiguous.
func (h *SandboxHandle) ExecStream(ctx context.Context, req ExecStreamRequest) (*ExecStream, error) {
	if err := checkID(opExecStream, h.id); err != nil {
		return nil, err
	}
	if req.Cmd == "" {
		return nil, invalidArgument(opExecStream, "the command is empty")
	}
	startCtx, cancel := h.c.starting(ctx)
	defer cancel()
	conn, err := h.openSocket(ctx, startCtx, call{op: opExecStream, path: "/exec/stream", effect: true})
	if err != nil {
		return nil, err
	}
	s := &ExecStream{socket: conn}
	message := api.ExecStreamStart{Type: api.ExecStreamStartTypeStart, Cmd: req.Cmd, Args: req.Args}
	if err := s.send(startCtx, message); err != nil {
		s.shut()
		return nil, err
	}
	if err := s.begin(startCtx); err != nil {
		s.shut()
		return nil, err
	}
	return s, nil
}

// begin takes the first event, which tells whether the command runs.
func (s *ExecStream) begin(ctx context.Context) error {
	event, err := s.next(ctx)
	switch {
	case err != nil:
		return s.lost(ctx, err)
	case event.Type == StreamStart:
		s.start = event
		return nil
	case event.Type == StreamError:
		return &Error{Op: s.op, Ambiguous: s.effect, Err: ErrStreamRefused}
	}
	return s.lost(ctx, errBadFrame)
}

// PID is the process id in the guest.
func (s *ExecStream) PID() int { return s.start.PID }

// Events yields the events, once. It ends after the exit event; every other end yields an error last, ErrStreamLost
// among its causes, with the context's error where that was the reason. An error event of the server is yielded as an
// event before that. Leaving the loop closes the stream. Nothing is read ahead: a slow reader slows the sender, although
// a server of generation Capsules drops output that a very slow reader leaves lying.
func (s *ExecStream) Events() iter.Seq2[StreamEvent, error] {
	return func(yield func(StreamEvent, error) bool) {
		if s.consumed.Swap(true) {
			yield(StreamEvent{}, s.readTwice())
			return
		}
		defer s.shut()
		if !yield(s.start, nil) {
			return
		}
		for {
			event, err := s.nextWatched()
			if err == nil && event.Type == StreamStart {
				err = errBadFrame
			}
			if err != nil {
				yield(StreamEvent{}, s.lost(s.ctx, err))
				return
			}
			if !yield(event, nil) || event.Type == StreamExit {
				return
			}
			if event.Type == StreamError {
				yield(StreamEvent{}, s.lost(s.ctx, errErrorEvent))
				return
			}
		}
	}
}

// nextWatched is next with a heartbeat for as long as nothing comes.
func (s *ExecStream) nextWatched() (StreamEvent, error) {
	stop := s.watch()
	defer stop()
	return s.next(s.ctx)
}

// Stop asks the server to end the stream. It does not end the command, and no exit event follows: Events ends with
// ErrStreamLost.
func (s *ExecStream) Stop(ctx context.Context) error {
	return s.send(ctx, api.ExecStreamStop{Type: api.Stop})
}

// Close releases the connection at once and can be called at any time, from any goroutine, and again. It does not end
// the command.
func (s *ExecStream) Close() error {
	s.shut()
	return nil
}
