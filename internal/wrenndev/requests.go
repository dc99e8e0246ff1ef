package wrenndev

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// keepRequests bounds the request log.
const keepRequests = 100_000

// Request is one entry of the request log.
type Request struct {
	// Seq counts all requests since the start, from 1.
	Seq int64 `json:"seq"`
	// Op is the operation, "" for an unknown route.
	Op     string `json:"op"`
	Method string `json:"method"`
	Path   string `json:"path"`
	// Sandbox is the sandbox of the path, or the one that a create made.
	Sandbox string `json:"sandbox,omitempty"`
	// Status is what was answered: 0 while the request is under way, and when it got
	// no answer.
	Status int `json:"status"`
	// Lost says why there was no answer: "aborted" before the effect, "dropped" or
	// "hung" after it, or "client gone".
	Lost string `json:"lost,omitempty"`
	// Done is true once the request is over.
	Done     bool          `json:"done"`
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration_ns"`
}

// requestLog keeps the newest requests.
type requestLog struct {
	mu      sync.Mutex
	seq     int64
	entries []*requestEntry
}

type requestEntry struct {
	log *requestLog
	Request
}

func (l *requestLog) begin(r *http.Request, op, sandbox string) *requestEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	e := &requestEntry{log: l, Request: Request{
		Seq: l.seq, Op: op, Method: r.Method, Path: r.URL.Path, Sandbox: sandbox, Start: time.Now(),
	}}
	if len(l.entries) == keepRequests {
		l.entries = slices.Delete(l.entries, 0, keepRequests/10)
	}
	l.entries = append(l.entries, e)
	return e
}

func (l *requestLog) all() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Request, len(l.entries))
	for i, e := range l.entries {
		all[i] = e.Request
	}
	return all
}

func (l *requestLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

// answered notes the status; the first one counts.
func (e *requestEntry) answered(status int) {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	if e.Status == 0 {
		e.Status = status
	}
}

func (e *requestEntry) lost(how string) {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	e.Lost, e.Status = how, 0
}

func (e *requestEntry) sandbox(id string) {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	e.Sandbox = id
}

func (e *requestEntry) end() {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	e.Done, e.Duration = true, time.Since(e.Start)
}
