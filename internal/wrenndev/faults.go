package wrenndev

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// FaultKind is what a fault does.
type FaultKind string

// The kinds of faults.
const (
	// FaultDelay waits Latency before the operation begins. A client that gives up
	// meanwhile has changed nothing.
	FaultDelay FaultKind = "delay"
	// FaultAgentDelay waits Latency while the agent works: a create's row is pending
	// then, a pause's row says paused already. A client that gives up meanwhile
	// leaves them so.
	FaultAgentDelay FaultKind = "agent-delay"
	// FaultAgentFail makes the agent refuse, as when it is down: 502 agent_error on S
	// paths, 503 no_hosts_available on C paths. A create leaves a row in status error.
	FaultAgentFail FaultKind = "agent-fail"
	// FaultFailBefore answers Status, Code and Message and does nothing else.
	FaultFailBefore FaultKind = "fail-before"
	// FaultFailAfter does the operation, then answers Status, Code and Message.
	FaultFailAfter FaultKind = "fail-after"
	// FaultAbort cuts the connection before the operation.
	FaultAbort FaultKind = "abort"
	// FaultDrop does the operation, then cuts the connection without an answer.
	FaultDrop FaultKind = "drop"
	// FaultHang does the operation, then answers nothing until the client gives up.
	FaultHang FaultKind = "hang"
	// FaultCut cuts an answer or a stream after Bytes of content, or after For where
	// that is given. A stream's content is what the command wrote.
	FaultCut FaultKind = "cut"
	// FaultStale answers a list with the rows as they were when the fault was added.
	FaultStale FaultKind = "stale"
	// FaultFlap gives the row SetStatus right after a create or resume was
	// answered; after For, where that is given, it goes back to what it was. A
	// SetStatus of "stopped" without For is the service's race on fresh sandboxes: the
	// machine lives on until it is destroyed.
	FaultFlap FaultKind = "flap"
	// FaultRejectNegative answers a create with a negative timeout_sec with 400.
	FaultRejectNegative FaultKind = "reject-negative-timeout"
)

// Fault is one scripted misbehavior. It applies to every request that matches,
// after the first Skip ones and at most Times times; there is no chance in it.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// Op names the operation, such as [OpCreate]; "" matches all.
	Op string `json:"op,omitempty"`
	// Sandbox matches requests for one sandbox; "" matches all.
	Sandbox string `json:"sandbox,omitempty"`
	// Skip lets this many matching requests pass first.
	Skip int `json:"skip,omitempty"`
	// Times is how often the fault applies; 0 is until it is removed.
	Times int `json:"times,omitempty"`

	Latency Millis `json:"latency_ms,omitempty"`
	// Status, Code and Message are the answer of FaultFailBefore and FaultFailAfter;
	// by default 500 internal_error.
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// RetryAfter is how many seconds that answer asks to be left alone; 0 does not ask.
	RetryAfter int `json:"retry_after,omitempty"`
	// Bytes and For limit FaultCut; For also FaultFlap.
	Bytes int    `json:"bytes,omitempty"`
	For   Millis `json:"for_ms,omitempty"`
	// SetStatus is the status of FaultFlap.
	SetStatus string `json:"set_status,omitempty"`
}

// answer writes what the fault says in place of what the operation would have.
func (f Fault) answer(w http.ResponseWriter, gen generation) int {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	return writeError(w, gen, refuse(f.Status, f.Code, "%s", f.Message))
}

// Millis is a duration that is written as a number of milliseconds in JSON.
type Millis time.Duration

// MarshalJSON implements json.Marshaler.
func (m Millis) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d", time.Duration(m).Milliseconds()), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Millis) UnmarshalJSON(text []byte) error {
	var n int64
	if _, err := fmt.Sscan(string(text), &n); err != nil {
		return errors.New("milliseconds must be a whole number")
	}
	*m = Millis(time.Duration(n) * time.Millisecond)
	return nil
}

var faultKinds = []FaultKind{
	FaultDelay, FaultAgentDelay, FaultAgentFail, FaultFailBefore, FaultFailAfter, FaultAbort, FaultDrop,
	FaultHang, FaultCut, FaultStale, FaultFlap, FaultRejectNegative,
}

// Faults are the faults of a server. Its methods are safe for concurrent use.
type Faults struct {
	rows *rows

	mu     sync.Mutex
	nextID int
	active []*activeFault
}

type activeFault struct {
	Fault
	id   int
	seen int
	rows []sandboxRow // for FaultStale
}

// Add arms a fault and returns a function that removes it again. Faults that match
// the same request add up; of those that decide the answer the first added wins. It
// panics on a fault without a known kind, which is a mistake in a test.
func (f *Faults) Add(fault Fault) (remove func()) {
	id, err := f.add(fault)
	if err != nil {
		panic(err)
	}
	return func() { f.remove(id) }
}

func (f *Faults) add(fault Fault) (int, error) {
	if !slices.Contains(faultKinds, fault.Kind) {
		return 0, fmt.Errorf("unknown kind of fault %q", fault.Kind)
	}
	if fault.Status == 0 {
		fault.Status = 500
	}
	if fault.Code == "" {
		fault.Code = "internal_error"
	}
	if fault.Message == "" {
		fault.Message = "scripted fault"
	}
	a := &activeFault{Fault: fault}
	if fault.Kind == FaultStale {
		a.rows = f.rows.list("")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nextID++
	a.id = f.nextID
	f.active = append(f.active, a)
	return a.id, nil
}

func (f *Faults) remove(id int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.active)
	f.active = slices.DeleteFunc(f.active, func(a *activeFault) bool { return a.id == id })
	return len(f.active) < before
}

// Clear removes every fault.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = nil
}

// Left counts the faults that can still apply.
func (f *Faults) Left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.active)
}

// scripted is what the faults want of one request.
type scripted struct {
	latency, agentLatency time.Duration
	before, after         *Fault
	agentFail             bool
	rejectNegative        bool
	flap                  *Fault
	stale                 *activeFault
	cut                   *cut
}

// take collects the faults of a request and counts them.
func (f *Faults) take(op, sandbox string) scripted {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s scripted
	f.active = slices.DeleteFunc(f.active, func(a *activeFault) bool {
		if a.Op != "" && a.Op != op || a.Sandbox != "" && a.Sandbox != sandbox {
			return false
		}
		a.seen++
		if a.seen <= a.Skip {
			return false
		}
		s.apply(a, op)
		return a.Times > 0 && a.seen >= a.Skip+a.Times
	})
	return s
}

func (s *scripted) apply(a *activeFault, op string) {
	first := func(slot **Fault) {
		if *slot == nil {
			*slot = &a.Fault
		}
	}
	switch a.Kind {
	case FaultDelay:
		s.latency += time.Duration(a.Latency)
	case FaultAgentDelay:
		s.agentLatency += time.Duration(a.Latency)
	case FaultAgentFail:
		s.agentFail = true
	case FaultFailBefore, FaultAbort:
		first(&s.before)
	case FaultFailAfter, FaultDrop, FaultHang:
		if op == OpExecStream || op == OpProcessStream || op == OpPty {
			// The effect of a stream is its command; what is lost is every event.
			s.cut = &cut{left: 0}
			return
		}
		first(&s.after)
	case FaultCut:
		s.cut = &cut{left: a.Bytes, after: time.Duration(a.For)}
	case FaultStale:
		s.stale = a
	case FaultFlap:
		first(&s.flap)
	case FaultRejectNegative:
		s.rejectNegative = true
	}
}

// cut is the point at which an answer ends. A nil cut never comes.
type cut struct {
	left  int
	after time.Duration // instead of left, where given
}

// take tells how many of n bytes still go out, and whether the cut is reached.
func (c *cut) take(n int) (keep int, over bool) {
	if c == nil || c.after > 0 {
		return n, false
	}
	keep = min(n, c.left)
	c.left -= keep
	return keep, c.left == 0 && (keep < n || n > 0)
}
