package wrenn

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// heartbeat is how a silent stream is told from a dead one: the server sends no pings.
type heartbeat struct {
	// every is the silence after which a ping is sent; within is the time for its pong.
	every, within time.Duration
}

var defaultBeat = heartbeat{every: 30 * time.Second, within: 20 * time.Second}

var (
	errBadFrame   = errors.New("a message breaks the protocol")
	errErrorEvent = errors.New("error event")
)

// socket is a WebSocket of the service, on which JSON goes both ways in text frames. Nothing is read ahead.
type socket struct {
	// ctx is the context that the stream was opened with: it governs the stream, not one call.
	ctx  context.Context
	op   string
	conn *websocket.Conn
	beat heartbeat
	// effect: what the stream is about may have happened when it fails.
	effect bool

	// frames counts what was read, for the heartbeat.
	frames   atomic.Int64
	consumed atomic.Bool
	// unwatch ends the watch over ctx.
	unwatch func() bool
	close   sync.Once
}

// openSocket upgrades a route of the sandbox. startCtx governs the upgrade, ctx all that follows.
func (h *SandboxHandle) openSocket(ctx, startCtx context.Context, k call) (*socket, error) {
	k.method, k.path = http.MethodGet, "/"+h.id+k.path
	effect := k.effect
	k.effect = false // Nothing happens before the first message.
	k, err := h.c.sandboxCall(startCtx, k)
	if err != nil {
		return nil, err
	}
	conn, err := h.c.dial(startCtx, k)
	if err != nil {
		h.c.learn(err)
		return nil, err
	}
	return newSocket(ctx, k.op, conn, h.c.beat, effect), nil
}

// newSocket closes the connection when ctx ends, which it may have by now.
func newSocket(ctx context.Context, op string, conn *websocket.Conn, beat heartbeat, effect bool) *socket {
	return &socket{
		ctx: ctx, op: op, conn: conn, beat: beat, effect: effect,
		unwatch: context.AfterFunc(ctx, func() { _ = conn.CloseNow() }),
	}
}

// starting bounds the start of a stream by the client's own time limit too.
func (c *Client) starting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.settings.requestTimeout, errBudget)
}

// frame reads the next message.
func (s *socket) frame(ctx context.Context) ([]byte, error) {
	kind, frame, err := s.conn.Read(ctx)
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return nil, ErrResponseTooLarge
	case err != nil:
		return nil, err
	case kind != websocket.MessageText:
		return nil, errBadFrame
	}
	s.frames.Add(1)
	return frame, nil
}

// watch starts a heartbeat that lasts until a frame comes or the function returned is called.
func (s *socket) watch() (stop func() bool) {
	seen := s.frames.Load()
	return time.AfterFunc(s.beat.every, func() { s.probe(seen) }).Stop
}

// probe asks a silent server for a sign of life, from time to time until a frame comes, and closes the connection when
// there is none. A pong can wait behind output that nobody takes: then the frames before it are the sign.
func (s *socket) probe(seen int64) {
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

// send sends a message.
func (s *socket) send(ctx context.Context, message any) error {
	if err := s.conn.Write(ctx, websocket.MessageText, jsonBody(message)); err != nil {
		return s.lost(ctx, err)
	}
	return nil
}

func (s *socket) shut() {
	s.close.Do(func() {
		s.unwatch()
		_ = s.conn.CloseNow()
	})
}

// readTwice is the error of a second reading of the events.
func (s *socket) readTwice() *Error {
	return &Error{Op: s.op, Message: "the events were read before", Ambiguous: s.effect, Err: ErrStreamLost}
}

// lost is the error of a stream that ended without an exit event: what became of the command is unknown.
func (s *socket) lost(ctx context.Context, err error) *Error {
	e := &Error{Op: s.op, Message: ErrStreamLost.Error(), Ambiguous: s.effect, Err: ErrStreamLost}
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

// closedSilently reports that the server ended the connection and the client's side is well.
func closedSilently(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !errors.Is(err, errBadFrame) && !errors.Is(err, ErrResponseTooLarge)
}
