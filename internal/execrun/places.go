package execrun

import (
	"sync"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// places bounds the streams that are open at a time, for each connection.
type places struct {
	mu  sync.Mutex // taken after an attempt's
	by  map[string]*queue[*attempt]
	has func(*attempt) // is called for each that gets a place after a wait. It must not block.
}

// enter takes a place for an attempt, or puts it into the line.
func (p *places) enter(a *attempt) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.by[a.spec.Connection]
	if q == nil {
		q = &queue[*attempt]{}
		p.by[a.spec.Connection] = q
	}
	a.line = q
	if a.spec.Streams > 0 {
		q.limit = a.spec.Streams
	}
	q.limit = max(1, q.limit)
	got := q.enter(a.sandbox(), a)
	p.give(q)
	return got
}

// leave frees the place of an attempt.
func (p *places) leave(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.line.leave()
	p.give(a.line)
	p.tidy()
}

// drop takes an attempt out of the line.
func (p *places) drop(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.line.drop(a.sandbox(), a)
	p.tidy()
}

// wanted tells whether somebody waits for the place that an attempt has.
func (p *places) wanted(a *attempt) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(a.line.turns) > 0
}

func (p *places) give(q *queue[*attempt]) {
	for next, ok := q.give(); ok; next, ok = q.give() {
		p.has(next)
	}
}

// tidy forgets the connections that nobody uses.
func (p *places) tidy() {
	for connection, q := range p.by {
		if q.empty() {
			delete(p.by, connection)
		}
	}
}

// place is what an attempt has of the bounded number of streams.
type place int

const (
	placeNone place = iota
	placeAwaited
	placeTaken
)

// admitted tells whether the work may start now. It may not while others have all of the streams. Ending and cleaning up
// is never put off: it takes a moment, and frees places.
func (a *attempt) admitted() bool {
	switch {
	case a.goal != Follow:
		if a.place == placeAwaited {
			a.runner.places.drop(a)
			a.place = placeNone
		}
		return true
	case a.place == placeTaken:
		return true
	case a.place == placeNone && a.runner.places.enter(a):
		a.place = placeTaken
		return true
	}
	a.place = placeAwaited
	if a.progress.PID == 0 && !a.spec.Started {
		a.progress.Reason = v1alpha1.ReasonQueued
		a.progress.Message = "as many commands are followed as the connection's limits.concurrentStreams allows; this one waits for its turn"
		a.news.tell(a, false)
	}
	return false
}

// granted starts the work of an attempt that has waited for its place.
func (a *attempt) granted() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.place != placeAwaited {
		// It does not need the place any more.
		a.runner.places.leave(a)
		return
	}
	a.place = placeTaken
	if a.progress.Reason == v1alpha1.ReasonQueued {
		a.progress.Reason, a.progress.Message = "", ""
	}
	a.startLocked()
}

// leavePlace is called with the attempt locked.
func (a *attempt) leavePlace() {
	switch a.place {
	case placeTaken:
		a.runner.places.leave(a)
	case placeAwaited:
		a.runner.places.drop(a)
	case placeNone:
	}
	a.place = placeNone
}

// isToYield tells that others wait for the stream, and that it has shown this command for long enough. The command itself
// goes on. What it took to open the stream does not count, or a slow service would have everyone yield before he has seen
// anything.
func (a *attempt) isToYield(since time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.place == placeTaken && a.goal == Follow && a.progress.PID != 0 && time.Since(since) >= a.runner.Pace.Turn &&
		a.runner.places.wanted(a)
}

// sandbox is what an attempt takes turns as.
func (a *attempt) sandbox() string { return a.spec.SandboxID }
