package controller

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// flights are the calls to Wrenn that are under way or have landed, at most one for each object. A flight has a
// context and a time limit of its own: no reconcile, lost lease or shutdown cancels it. What it brings stays here until
// the object's reconcile has taken it in, so that the result of a create outlives a failed write.
type flights[R any] struct {
	mu    sync.Mutex
	byUID map[types.UID]*flight[R]
	group sync.WaitGroup
	// closed tells that the process is about to end: nothing is launched any more.
	closed bool
	// landed is called when a flight has landed, to wake its object.
	landed func(types.NamespacedName)
}

// flight is one call, or a few that belong together.
type flight[R any] struct {
	name    types.NamespacedName
	purpose string
	// undo takes back what it has brought, should its object be gone; nil where there is nothing to take back.
	undo func(context.Context, R) error
	// find looks for what it has brought although the answer was lost; nil where that cannot be known again.
	find func(context.Context) (R, error)
	done bool
	// landedAt, result and err are there when done.
	landedAt time.Time
	result   R
	err      error
}

func newFlights[R any](landed func(types.NamespacedName)) *flights[R] {
	return &flights[R]{byUID: map[types.UID]*flight[R]{}, landed: landed}
}

// launch starts a flight for an object that has none, unless the process is about to end, and reports whether it did.
func (f *flights[R]) launch(uid types.UID, name types.NamespacedName, purpose string, limit time.Duration, call func(context.Context) (R, error)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.byUID[uid] != nil {
		return false
	}
	started := &flight[R]{name: name, purpose: purpose}
	f.byUID[uid] = started
	f.group.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		result, err := call(ctx)
		f.mu.Lock()
		started.done, started.landedAt, started.result, started.err = true, time.Now(), result, err
		f.mu.Unlock()
		f.landed(name)
	})
	return true
}

// undoable says how to take back what an object's flight brings, or has brought, and how to find it where the answer is lost.
func (f *flights[R]) undoable(uid types.UID, undo func(context.Context, R) error, find func(context.Context) (R, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if found := f.byUID[uid]; found != nil {
		found.undo, found.find = undo, find
	}
}

// strays returns the flights of objects of a name that have landed, but for those of one of these objects.
func (f *flights[R]) strays(name types.NamespacedName, but types.UID) map[types.UID]flight[R] {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := map[types.UID]flight[R]{}
	for uid, each := range f.byUID {
		if each.done && each.name == name && uid != but {
			found[uid] = *each
		}
	}
	return found
}

// of returns an object's flight.
func (f *flights[R]) of(uid types.UID) (flight[R], bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if found := f.byUID[uid]; found != nil {
		return *found, true
	}
	return flight[R]{}, false
}

// all returns every flight.
func (f *flights[R]) all() []flight[R] {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := make([]flight[R], 0, len(f.byUID))
	for _, each := range f.byUID {
		found = append(found, *each)
	}
	return found
}

// clear drops a flight that has landed and been taken in.
func (f *flights[R]) clear(uid types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if found := f.byUID[uid]; found != nil && found.done {
		delete(f.byUID, uid)
	}
}

// abandon drops a flight of an object that is gone, landed or not.
func (f *flights[R]) abandon(uid types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byUID, uid)
}

// drain waits until every flight has landed and returns those that were not taken in.
func (f *flights[R]) drain() map[types.UID]flight[R] {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.group.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	left := make(map[types.UID]flight[R], len(f.byUID))
	for uid, landed := range f.byUID {
		left[uid] = *landed
	}
	return left
}
