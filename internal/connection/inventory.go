package connection

import (
	"sync"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// Sighting is what is known of one remote sandbox.
type Sighting struct {
	// Sandbox is how it was last seen, nil when it was not.
	Sandbox *wrenn.Sandbox
	// Listed tells that a whole list has been read. Only then does a nil Sandbox mean that the list lacks it, which is
	// still no proof that the sandbox is gone.
	Listed bool
}

// keepEnded is how long a sandbox that has ended is known without anybody asking for it. Who asks later asks the service.
const keepEnded = time.Hour

// inventory is the latest known state of a team's sandboxes. A list is a look into the past: whatever was seen after
// the list was asked for outweighs it.
type inventory struct {
	mu        sync.Mutex
	seen      map[string]seenSandbox
	listStart time.Time
}

type seenSandbox struct {
	sandbox wrenn.Sandbox
	at      time.Time
	// asked is when somebody last asked for it, where it has ended.
	asked time.Time
}

// forgettable tells whether a sandbox has ended so long ago that nobody has it any more. Lists do not show it, so that it would be
// there for ever.
func (s seenSandbox) forgettable(now time.Time) bool {
	return s.sandbox.Status.Final() && now.Sub(s.at) > keepEnded && now.Sub(s.asked) > keepEnded
}

func newInventory() *inventory { return &inventory{seen: map[string]seenSandbox{}} }

// lookup returns what is known of one sandbox.
func (inv *inventory) lookup(id string) Sighting {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	s := Sighting{Listed: !inv.listStart.IsZero()}
	if seen, ok := inv.seen[id]; ok {
		s.Sandbox = &seen.sandbox
		if seen.sandbox.Status.Final() {
			seen.asked = time.Now()
			inv.seen[id] = seen
		}
	}
	return s
}

// observe records the answer of a single call.
func (inv *inventory) observe(sandbox wrenn.Sandbox, at time.Time) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.seen[sandbox.ID] = seenSandbox{sandbox: sandbox, at: at}
}

// forget drops a sandbox that has ended and that no object has any more. One that is alive goes when a list lacks it.
func (inv *inventory) forget(id string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.seen[id].sandbox.Status.Final() {
		delete(inv.seen, id)
	}
}

// replace takes in a whole list that was asked for at start, and returns the ids of the sandboxes that it shows in
// another state than was known: new, changed, or no longer listed. A sandbox that is known to have ended is kept:
// lists do not show those.
func (inv *inventory) replace(list []wrenn.Sandbox, start time.Time) (changed []string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	listed := make(map[string]bool, len(list))
	for _, sandbox := range list {
		listed[sandbox.ID] = true
		known, ok := inv.seen[sandbox.ID]
		if ok && known.at.After(start) {
			continue
		}
		inv.seen[sandbox.ID] = seenSandbox{sandbox: sandbox, at: start}
		if !ok || differs(known.sandbox, sandbox) {
			changed = append(changed, sandbox.ID)
		}
	}
	for id, known := range inv.seen {
		switch {
		case known.forgettable(start):
			delete(inv.seen, id)
		case !listed[id] && !known.at.After(start) && !known.sandbox.Status.Final():
			delete(inv.seen, id)
			changed = append(changed, id)
		}
	}
	inv.listStart = start
	return changed
}

// all returns the sandboxes that were last seen alive, and when the latest list was asked for.
func (inv *inventory) all() ([]wrenn.Sandbox, time.Time) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	sandboxes := make([]wrenn.Sandbox, 0, len(inv.seen))
	for _, known := range inv.seen {
		if !known.sandbox.Status.Final() {
			sandboxes = append(sandboxes, known.sandbox)
		}
	}
	return sandboxes, inv.listStart
}

// differs tells whether a change is worth waking the object for. The time of the last activity is not: it changes all
// the time and nothing is decided by it.
func differs(a, b wrenn.Sandbox) bool {
	return a.Status != b.Status || a.HostIP != b.HostIP || a.GuestIP != b.GuestIP || !a.StartedAt.Equal(b.StartedAt)
}
