package wrenn

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

var (
	// errSettled is the cause of a reading that ended since the time for stopping the cell was up.
	errSettled = errors.New("the time to stop was up")
	// errHalf is the cause of a reading that ended since only one of the two last messages came.
	errHalf = errors.New("the kernel told only half of the end")
)

// cell is one cell on its way through the kernel.
//
// Its end is told twice. The reply, on the shell channel, says how it ended; the status idle, on the channel of all output,
// says that no output follows. They have ways of their own, so that either can come first, and the cell has ended, its
// output is complete, and what became of it is known only with both.
type cell struct {
	j      *jupyter
	kernel string
	out    *cellOutput
	sock   *socket
	// stale: the kernel has to be looked for anew.
	stale bool

	// begun, ended and interrupted tell the watch over the time how far the cell is, and back.
	begun, ended, interrupted atomic.Bool
	// half ends the reading when the second of the last messages does not come. It is nil before the first has come.
	half *time.Timer
}

// run sends the cell, reads to its end, and closes the connection.
func (x *cell) run(ctx context.Context, conn *websocket.Conn, message []byte, timeout time.Duration) (*CodeResult, error) {
	timed, cancel := limited(ctx, timeout)
	defer cancel()
	// The reading outlasts the time by as long as stopping the cell takes.
	live, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	x.sock = newSocket(live, x.j.op, conn, x.j.c.beat, true)
	defer x.sock.shut()

	watched := make(chan struct{})
	unwatch := context.AfterFunc(timed, func() {
		defer close(watched)
		x.overtime(live, end)
	})
	intime := false
	err := func() error {
		// A callback may panic: nothing stays behind then either.
		defer func() {
			if intime = unwatch(); !intime {
				end(nil)
				<-watched
			}
			if x.half != nil {
				x.half.Stop()
			}
		}()
		return x.follow(live, end, message)
	}()
	result := x.out.collected()
	if e := x.verdict(timed, live, intime, err); e != nil {
		return result, e
	}
	return result, nil
}

// follow sends the request and reads until the cell has ended.
func (x *cell) follow(live context.Context, end context.CancelCauseFunc, message []byte) error {
	if err := x.sock.conn.Write(live, websocket.MessageText, message); err != nil {
		return err
	}
	for !x.complete() {
		frame, isBinary, err := x.message(live)
		if err != nil {
			return err
		}
		if frame == nil {
			x.out.result.Truncated = true
			continue
		}
		m, err := parseKernelMessage(frame, isBinary)
		if err != nil {
			return err
		}
		if m.isDeath() {
			return ErrKernelDied
		}
		if err := x.out.take(m); err != nil {
			return err
		}
		x.note(end)
	}
	return nil
}

// complete reports that the end has come. A kernel that is interrupted at the wrong moment forgets the reply.
func (x *cell) complete() bool {
	return x.out.idle && (x.out.replied || x.interrupted.Load())
}

// note tells the watch how far the cell is, and waits for the second of the last messages no longer than it may take.
func (x *cell) note(end context.CancelCauseFunc) {
	if x.out.begun {
		x.begun.Store(true)
	}
	if x.out.idle == x.out.replied {
		return
	}
	x.ended.Store(true)
	if x.half == nil {
		x.half = time.AfterFunc(x.j.c.code.half, func() { end(errHalf) })
	}
}

// overtime stops the cell when its time is up. A cell that has not begun is left alone, since what the kernel runs is
// somebody else's; one that has ended only has to be heard out.
func (x *cell) overtime(live context.Context, end context.CancelCauseFunc) {
	if !x.begun.Load() {
		end(errSettled)
		return
	}
	ctx, cancel := context.WithTimeout(live, x.j.c.code.settle)
	defer cancel()
	if !x.ended.Load() {
		x.interrupted.Store(true)
		// Whether it had an effect shows in whether the cell ends.
		_ = x.j.interrupt(ctx, x.kernel)
	}
	<-ctx.Done()
	end(errSettled)
}

// verdict is the error of the cell, nil when it came to its end in time.
func (x *cell) verdict(timed, live context.Context, intime bool, err error) error {
	e := &Error{Op: x.j.op, Ambiguous: true}
	disturbed := x.interrupted.Load()
	switch {
	case err == nil && x.out.aborted:
		e.Ambiguous, e.Err = false, ErrCellAborted
	case err == nil && (intime || !disturbed):
		return nil
	case errors.Is(err, ErrKernelDied):
		x.stale = true
		e.Err = ErrKernelDied
		if !intime {
			// Some do of being interrupted.
			e.Err = errors.Join(ErrKernelDied, endOf(timed))
		}
	case !intime:
		// Only the end of the context counts, not what it did to the connection.
		e.Message, e.Err = x.timeIsUp(timed, err)
		x.stale = !x.out.begun
	case errors.Is(context.Cause(live), errHalf):
		e.Message, e.Err = errHalf.Error(), ErrIncomplete
	case errors.Is(err, errBadFrame):
		e.Message, e.Err = "a message of the kernel breaks the protocol", errors.Join(ErrStreamLost, ErrInvalidResponse)
	default:
		e.Message, e.Err = "the connection to the kernel was lost", ErrStreamLost
	}
	return e
}

// timeIsUp tells what became of a cell whose time is up.
func (x *cell) timeIsUp(timed context.Context, err error) (string, error) {
	ended := endOf(timed)
	switch {
	case err == nil:
		return "the cell was stopped: " + ended.Error(), ended
	case x.out.idle || x.out.replied:
		return "the cell has ended, not all of its output came: " + ended.Error(), errors.Join(ended, ErrIncomplete)
	case !x.out.begun:
		return "the cell waits behind another one: " + ended.Error(), errors.Join(ended, ErrNotStopped)
	}
	return "the cell goes on: " + ended.Error(), errors.Join(ended, ErrNotStopped)
}

// message reads the next message, nil for one that is too large: whose that was cannot be told, and the next one can be
// read all the same. Each piece that comes is a sign of life.
func (x *cell) message(ctx context.Context) (frame []byte, isBinary bool, err error) {
	stop := x.sock.watch() //nolint:contextcheck // The watch goes by the context of the socket.
	kind, r, err := x.sock.conn.Reader(ctx)
	stop()
	if err != nil {
		return nil, false, err
	}
	pieces := &pieceReader{x: x, r: r}
	// A text that is as long as the limit needs some more around it.
	frame, err = readLimited(pieces, int64(x.out.limit)+x.j.c.settings.limits.FrameBytes)
	if errors.Is(err, ErrResponseTooLarge) {
		_, err = io.Copy(io.Discard, pieces)
		return nil, false, err
	}
	return frame, kind == websocket.MessageBinary, err
}

// pieceReader reads a message with a heartbeat.
type pieceReader struct {
	x *cell
	r io.Reader
}

func (p *pieceReader) Read(b []byte) (int, error) {
	stop := p.x.sock.watch()
	n, err := p.r.Read(b)
	stop()
	p.x.sock.frames.Add(1)
	if p.x.half != nil {
		p.x.half.Reset(p.x.j.c.code.half)
	}
	return n, err
}
