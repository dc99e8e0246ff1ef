package controller

import (
	"context"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// news are what a pool tells, on their way to a controller. To find whom they concern, the cache is asked, and waited for
// where it is behind the operator's own writes. The pool cannot wait for that: its pollers would stand still meanwhile, and
// never end where the cache has ended before them.
type news struct {
	mu      sync.Mutex
	changes []connection.Change
	arrived chan struct{}
}

// hear has a controller told what a pool tells, for as long as the manager runs.
func hear(mgr manager.Manager, pool *connection.Pool, to func(context.Context, connection.Change)) error {
	n := newNews()
	pool.Subscribe(n.add)
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return n.tell(ctx, to) }))
}

func newNews() *news { return &news{arrived: make(chan struct{}, 1)} }

// add takes in a change. It never blocks.
func (n *news) add(change connection.Change) {
	n.mu.Lock()
	n.changes = append(n.changes, change)
	n.mu.Unlock()
	select {
	case n.arrived <- struct{}{}:
	default:
	}
}

// tell passes on every change until the context ends.
func (n *news) tell(ctx context.Context, to func(context.Context, connection.Change)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.arrived:
		}
		n.mu.Lock()
		changes := n.changes
		n.changes = nil
		n.mu.Unlock()
		for _, change := range changes {
			to(ctx, change)
		}
	}
}
