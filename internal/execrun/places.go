package execrun

import "sync"

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
