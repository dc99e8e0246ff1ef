package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// endings remember of each Sandbox what was found out about the end of its remote, and how soon it may have another.
// What told that an ended remote was unused is changed by destroying it; and one that was destroyed need not be destroyed
// again while the Sandbox waits for another. They are memory only: after a restart a remote is destroyed once more, which
// does no harm.
type endings struct {
	mu    sync.Mutex
	byUID map[types.UID]*ending
	// first and slowest bound the time between two remotes of a Sandbox that do not last.
	first, slowest time.Duration
}

type ending struct {
	// id is the remote that ended; unused and destroyed are what is known of it.
	id                string
	unused, destroyed bool
	// next is when the remote that was made last may be replaced, and pause how long after its creation that is.
	next  time.Time
	pause time.Duration
}

func newEndings(first, slowest time.Duration) *endings {
	return &endings{byUID: map[types.UID]*ending{}, first: first, slowest: slowest}
}

// observe fills in what is known of the end of a Sandbox's remote.
func (e *endings) observe(view *sandboxView) {
	o := &view.observed
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.remote != remoteEnded {
		if known := e.byUID[view.sandbox.UID]; known != nil {
			known.unused, known.destroyed = false, false
		}
		return
	}
	known := e.of(view.sandbox)
	known.unused = known.unused || unused(*view.remote)
	o.unused, o.destroyed = known.unused, o.destroyed || known.destroyed
}

// destroyed notes that the remote of a Sandbox was destroyed and seen to be stopped.
func (e *endings) destroyed(sandbox *v1alpha1.Sandbox) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.of(sandbox).destroyed = true
}

// wait tells how long the remote of a Sandbox is not to be replaced yet, since the one before it did not last either.
func (e *endings) wait(sandbox *v1alpha1.Sandbox) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(0, time.Until(e.of(sandbox).next))
}

// replaced notes that another remote is being made for a Sandbox. One that lasts has the next one wait no longer than
// the first.
func (e *endings) replaced(sandbox *v1alpha1.Sandbox) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := e.of(sandbox)
	if time.Since(known.next) > e.slowest {
		known.pause = 0
	}
	known.pause = min(max(2*known.pause, e.first), e.slowest)
	known.next = time.Now().Add(known.pause)
}

func (e *endings) forget(uid types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.byUID, uid)
}

// of returns what is known about the remote that a Sandbox has.
func (e *endings) of(sandbox *v1alpha1.Sandbox) *ending {
	known := e.byUID[sandbox.UID]
	if known == nil {
		known = &ending{}
		e.byUID[sandbox.UID] = known
	}
	if id := sandbox.Status.SandboxID; known.id != id {
		known.id, known.unused, known.destroyed = id, false, false
	}
	return known
}
