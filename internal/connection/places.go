package connection

import (
	"context"
	"slices"
	"sync"
)

// places bound how many of something are under way at a time. Those under way count against another bound too: after it was
// lowered, nobody gets in before enough of them have left. Who waits longest is next.
type places struct {
	mu      sync.Mutex
	most    int
	taken   int
	waiting []chan struct{}
}

// resize sets another bound.
func (p *places) resize(most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = most
	p.admit()
}

// acquire waits for a place. The returned function must be called when it is not needed any more.
func (p *places) acquire(ctx context.Context) (leave func(), err error) {
	admitted := make(chan struct{})
	p.mu.Lock()
	p.waiting = append(p.waiting, admitted)
	p.admit()
	p.mu.Unlock()
	select {
	case <-admitted:
		return p.leave, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, admitted)
	if i < 0 { // admitted just now
		return p.leave, nil
	}
	p.waiting = slices.Delete(p.waiting, i, i+1)
	return nil, ctx.Err()
}

func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	p.admit()
}

// admit lets in who waits as long as there are places.
func (p *places) admit() {
	for p.taken < p.most && len(p.waiting) > 0 {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
		p.taken++
	}
}
