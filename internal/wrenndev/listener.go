package wrenndev

import (
	"bytes"
	"context"
	"sync"
)

// backlog is how many pieces of output a reader on the C paths may be late.
const backlog = 4096

// listener is an ear that hands the output on in a channel, for as long as ctx lives.
type listener struct {
	ctx    context.Context //nolint:containedctx // the lifetime of the stream that listens
	pieces chan piece      // closed after the last one
	// Valid once pieces is closed: the exit code, nil when the guest is gone.
	code *int
}

func newListener(ctx context.Context) *listener {
	return &listener{ctx: ctx, pieces: make(chan piece)}
}

// hear implements ear. A reader that takes its time makes the process wait.
func (l *listener) hear(p piece) { l.send(piece{p.kind, bytes.Clone(p.data)}) }

func (l *listener) send(p piece) {
	select {
	case l.pieces <- p:
	case <-l.ctx.Done():
	}
}

// end implements ear.
func (l *listener) end(code int, ok bool) {
	if ok {
		l.code = &code
	}
	close(l.pieces)
}

// lossyListener is a listener for which no process waits: what a slow reader leaves
// lying is joined to larger pieces, and lost where it is more than a backlog of those.
type lossyListener struct {
	*listener

	mu    sync.Mutex
	queue []piece
	over  bool
	ready chan struct{} // holds one token while there may be something to take
}

// listen makes the listener that fits the generation: S makes a process wait for its
// stream, C does not.
func (st *stream) listen(ctx context.Context) (ear, *listener) {
	plain := newListener(ctx)
	if st.call.gen == genS {
		return plain, plain
	}
	l := &lossyListener{listener: plain, ready: make(chan struct{}, 1)}
	st.server.background.Go(l.run)
	return l, plain
}

// hear implements ear.
func (l *lossyListener) hear(p piece) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(p)
	l.wake()
}

func (l *lossyListener) put(p piece) {
	if n := len(l.queue); n > 0 && l.queue[n-1].kind == p.kind && len(l.queue[n-1].data)+len(p.data) <= streamChunk {
		l.queue[n-1].data = append(l.queue[n-1].data, p.data...)
		return
	}
	if len(l.queue) == backlog {
		l.queue[0] = piece{} // the oldest is what a broadcast loses
		l.queue = l.queue[1:]
	}
	l.queue = append(l.queue, piece{p.kind, bytes.Clone(p.data)})
}

// end implements ear.
func (l *lossyListener) end(code int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok {
		l.code = &code
	}
	l.over = true
	l.wake()
}

func (l *lossyListener) wake() {
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// run hands on what is in the queue until the end, or until nobody listens.
func (l *lossyListener) run() {
	for {
		p, some, over := l.take()
		switch {
		case some:
			l.send(p)
		case over:
			close(l.pieces)
			return
		default:
			select {
			case <-l.ready:
			case <-l.ctx.Done():
				return
			}
		}
		if l.ctx.Err() != nil {
			return
		}
	}
}

func (l *lossyListener) take() (p piece, some, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return p, false, l.over
	}
	p = l.queue[0]
	l.queue = l.queue[1:]
	return p, true, false
}
