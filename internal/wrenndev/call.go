package wrenndev

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// call is one request on its way through the server.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	op     string
	gen    generation
	params map[string]string
	caller
	entry *requestEntry
	fault scripted
}

func (c *call) ctx() context.Context { return c.r.Context() }

// id is the sandbox id of the path, checked.
func (c *call) id() (string, error) {
	id := c.params["id"]
	if !validID(id) {
		return "", invalidRequest("invalid sandbox ID")
	}
	return id, nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler) // closing: the connection ends without an answer
	}
	defer s.busy.Done()
	found, params, status := s.findProxy(r)
	if found == nil && strings.HasPrefix(r.URL.Path, adminPrefix) {
		s.serveAdmin(w, r)
		return
	}
	if found == nil {
		found, params, status = s.router.find(r.Method, r.URL.Path)
	}
	c := &call{w: w, r: r, params: params}
	if found != nil {
		c.op, c.gen = found.op, found.gen
	}
	c.entry = s.log.begin(r, c.op, params["id"])
	defer c.entry.end()
	if found == nil {
		c.entry.answered(status)
		if status == http.StatusNotFound {
			http.Error(w, "404 page not found", status)
			return
		}
		w.WriteHeader(status)
		return
	}
	s.serve(c, found)
}

// serve runs a handler under the faults that are scripted for it.
func (s *Server) serve(c *call, found *route) {
	c.fault = s.faults.take(c.op, c.params["id"])
	c.fault.agentFail = c.fault.agentFail || !s.local.reachable()
	if sleep(c.ctx(), c.fault.latency) != nil {
		c.entry.lost("aborted")
		panic(http.ErrAbortHandler)
	}
	if f := c.fault.before; f != nil {
		if f.Kind == FaultAbort {
			c.entry.lost("aborted")
			panic(http.ErrAbortHandler)
		}
		c.entry.answered(f.answer(c.w, c.gen))
		return
	}
	f := c.fault.after
	if f == nil {
		out := &countingWriter{ResponseWriter: c.w, entry: c.entry, cut: c.fault.cut}
		c.w = out
		s.handle(c, found)
		return
	}
	kept := c.w
	c.w = newDiscardedAnswer()
	s.handle(c, found)
	switch f.Kind {
	case FaultFailAfter:
		c.entry.answered(f.answer(kept, c.gen))
	case FaultHang:
		c.entry.lost("hung")
		<-c.ctx().Done()
		panic(http.ErrAbortHandler)
	default:
		c.entry.lost("dropped")
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) handle(c *call, found *route) {
	err := s.authorize(c, found.access)
	if err == nil {
		err = found.handler(c)
	}
	if err == nil {
		return
	}
	if c.ctx().Err() != nil && errors.Is(err, context.Canceled) {
		c.entry.lost("client gone")
		return
	}
	writeError(c.w, c.gen, err)
}

// countingWriter notes the status for the request log, and cuts an answer that is
// scripted to be cut.
type countingWriter struct {
	http.ResponseWriter
	entry *requestEntry
	cut   *cut
}

func (w *countingWriter) WriteHeader(status int) {
	w.entry.answered(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.entry.answered(http.StatusOK)
	keep, over := w.cut.take(len(p))
	n, err := w.ResponseWriter.Write(p[:keep])
	if over {
		// What came before the cut has to arrive.
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// Unwrap lets a WebSocket take over the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// discardedAnswer is where an answer goes that its client never gets.
type discardedAnswer struct{ header http.Header }

func newDiscardedAnswer() *discardedAnswer { return &discardedAnswer{header: http.Header{}} }

func (d *discardedAnswer) Header() http.Header         { return d.header }
func (d *discardedAnswer) WriteHeader(int)             {}
func (d *discardedAnswer) Write(p []byte) (int, error) { return io.Discard.Write(p) }

// agentDelay is the scripted time that the agent takes for this call.
func (c *call) agentDelay() time.Duration { return c.fault.agentLatency }
