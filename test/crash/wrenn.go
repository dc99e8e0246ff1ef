package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
)

// The operations of Wrenn that are treated in a way of their own.
const (
	opCreate  = "wrenn.create"
	opList    = "wrenn.list"
	opPing    = "wrenn.ping"
	opDestroy = "wrenn.destroy"
	opStream  = "wrenn.exec-stream"
)

// wrennOp names a call.
func wrennOp(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) > 1 && parts[1] == "snapshots" {
		return "wrenn.snapshot-" + map[string]string{http.MethodPost: "create", http.MethodGet: "list", http.MethodDelete: "delete"}[r.Method]
	}
	switch {
	case len(parts) <= 2:
		return map[string]string{http.MethodPost: opCreate, http.MethodGet: opList}[r.Method]
	case len(parts) == 3:
		return map[string]string{http.MethodGet: "wrenn.get", http.MethodDelete: opDestroy}[r.Method]
	default:
		return "wrenn." + strings.Join(parts[3:], "-")
	}
}

// idOf is the id of the sandbox that a call is about.
func idOf(r *http.Request) string {
	for part := range strings.SplitSeq(r.URL.Path, "/") {
		if strings.HasPrefix(part, "cl-") {
			return part
		}
	}
	return ""
}

// ServeHTTP carries the calls of the operators to Wrenn. The agent names the operator.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	o := w.operatorNamed(r.UserAgent())
	if o == nil || o.killed() || w.down.Load() {
		panic(http.ErrAbortHandler)
	}
	effect, m := w.wire.meet(wrennOp(r))
	if m == failsBefore {
		fail(rw)
		return
	}
	o.disturb(m)
	if r.Header.Get("Upgrade") != "" {
		w.stream(rw, r, o, effect, m)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answered := make(chan *wrennAnswer, 1)
	w.calls.Go(func() { answered <- w.call(r, body, o) })
	select {
	case a := <-answered:
		w.answer(rw, a, o, m)
	case <-o.life.Done():
		panic(http.ErrAbortHandler)
	}
}

// answer tells the operator what Wrenn has answered, or what befalls it instead.
func (w *world) answer(rw http.ResponseWriter, a *wrennAnswer, o *operator, m mishap) {
	switch {
	case m == killed, m == behind:
		o.die(m)
		panic(http.ErrAbortHandler)
	case a == nil, m == answerLost:
		panic(http.ErrAbortHandler)
	case m == failsAfter:
		fail(rw)
	default:
		for name, values := range a.header {
			rw.Header()[name] = values
		}
		rw.WriteHeader(a.status)
		_, _ = rw.Write(a.body) // the operator may be gone
	}
}

// fail answers as Wrenn does when something broke in it.
func fail(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(rw, `{"error":{"code":"internal_error","message":"a mishap"}}`)
}

type wrennAnswer struct {
	status int
	header http.Header
	body   []byte
}

// call calls Wrenn and returns nil where that has not answered. A call whose operator gives up is given up; that of an
// operator that was killed goes on, or not, as the case has it: it was sent.
func (w *world) call(r *http.Request, body []byte, o *operator) *wrennAnswer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	unlink := context.AfterFunc(r.Context(), func() {
		if !o.killed() || !w.sentGoesOn {
			cancel()
		}
	})
	defer unlink()
	req, err := http.NewRequestWithContext(ctx, r.Method, w.wrenn.URL()+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // to a server of our own
	if err != nil {
		return nil
	}
	req.Header = r.Header.Clone()
	if wrennOp(r) == opDestroy {
		remote, there := w.wrenn.Sandbox(idOf(r))
		if w.letsGo(ctx) != nil {
			return nil // given up before it was sent
		}
		if there {
			w.history.destroys(remote)
		}
	}
	resp, err := w.upstream.RoundTrip(req)
	if err != nil {
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil
	}
	if wrennOp(r) == opDestroy && resp.StatusCode == http.StatusNoContent {
		w.history.ended(idOf(r))
	}
	return &wrennAnswer{status: resp.StatusCode, header: resp.Header, body: text}
}
