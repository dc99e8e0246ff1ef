package wrenn

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

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

// ExecStream is a view of a running command. Losing it, stopping it and closing it leave the command running: the API
// has no means to end it but another command. Use Events from one goroutine; Stop and Close may be called from any.
type ExecStream struct {
	// ctx is the context that ExecStream was called with: it governs the stream, not one call.
	ctx   context.Context
	conn  *websocket.Conn
	beat  heartbeat
	start StreamEvent

	// frames counts what was read, for the heartbeat.
	frames   atomic.Int64
	consumed atomic.Bool
	// unwatch ends the watch over ctx.
	unwatch func() bool
	close   sync.Once
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
	k, err := h.c.sandboxCall(ctx, call{op: opExecStream, method: http.MethodGet, path: "/" + h.id + "/exec/stream"})
	if err != nil {
		return nil, err
	}
	startCtx, cancel := context.WithTimeoutCause(ctx, h.c.settings.requestTimeout, errBudget)
	defer cancel()
	conn, err := h.c.dial(startCtx, k)
	if err != nil {
		h.c.learn(err)
		return nil, err
	}
	s := &ExecStream{ctx: ctx, conn: conn, beat: h.c.beat}
	s.unwatch = context.AfterFunc(ctx, s.shut)
	if err := s.begin(startCtx, req); err != nil {
		s.shut()
		return nil, err
	}
	return s, nil
}

// begin sends the start message and takes the first event, which tells whether the command runs.
func (s *ExecStream) begin(ctx context.Context, req ExecStreamRequest) error {
	message := jsonBody(api.ExecStreamStart{Type: api.ExecStreamStartTypeStart, Cmd: req.Cmd, Args: req.Args})
	if err := s.conn.Write(ctx, websocket.MessageText, message); err != nil {
		return s.lost(ctx, err)
	}
	event, err := s.next(ctx)
	switch {
	case err != nil:
		return s.lost(ctx, err)
	case event.Type == StreamStart:
		s.start = event
		return nil
	case event.Type == StreamError:
		return &Error{Op: opExecStream, Ambiguous: true, Err: ErrStreamRefused}
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
			yield(StreamEvent{}, &Error{Op: opExecStream, Message: "the events were read before", Ambiguous: true, Err: ErrStreamLost})
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
	seen := s.frames.Load()
	timer := time.AfterFunc(s.beat.every, func() { s.probe(seen) })
	defer timer.Stop()
	return s.next(s.ctx)
}

// probe asks a silent server for a sign of life, from time to time until a frame comes, and closes the connection when
// there is none. A pong can wait behind output that nobody takes: then the frames before it are the sign.
func (s *ExecStream) probe(seen int64) {
	if s.frames.Load() != seen {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.beat.within)
	defer cancel()
	err := s.conn.Ping(ctx)
	switch {
	case s.frames.Load() != seen:
	case err != nil:
		_ = s.conn.CloseNow()
	default:
		time.AfterFunc(s.beat.every, func() { s.probe(seen) })
	}
}

// Stop asks the server to end the stream. It does not end the command, and no exit event follows: Events ends with
// ErrStreamLost.
func (s *ExecStream) Stop(ctx context.Context) error {
	message := jsonBody(api.ExecStreamStop{Type: api.Stop})
	if err := s.conn.Write(ctx, websocket.MessageText, message); err != nil {
		return s.lost(ctx, err)
	}
	return nil
}

// Close releases the connection at once and can be called at any time, from any goroutine, and again. It does not end
// the command.
func (s *ExecStream) Close() error {
	s.shut()
	return nil
}

func (s *ExecStream) shut() {
	s.close.Do(func() {
		s.unwatch()
		_ = s.conn.CloseNow()
	})
}

// lost is the error of a stream that ended without an exit event: what became of the command is unknown.
func (s *ExecStream) lost(ctx context.Context, err error) *Error {
	e := &Error{Op: opExecStream, Message: ErrStreamLost.Error(), Ambiguous: true, Err: ErrStreamLost}
	switch {
	case ctx.Err() != nil:
		ended := endOf(ctx)
		e.Message, e.Err = e.Message+": "+ended.Error(), errors.Join(ErrStreamLost, ended)
	case errors.Is(err, errBadFrame):
		e.Message, e.Err = e.Message+": "+errBadFrame.Error(), errors.Join(ErrStreamLost, ErrInvalidResponse)
	case errors.Is(err, ErrResponseTooLarge):
		e.Message, e.Err = e.Message+": a message is too large", errors.Join(ErrStreamLost, ErrResponseTooLarge)
	}
	return e
}
