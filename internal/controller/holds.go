package controller

import "sync"

// Holds are the remote sandboxes that a Snapshot is being taken of in this process. The Sandbox controller leaves their
// pausing and resuming alone. It is safe for concurrent use.
type Holds struct {
	mu   sync.Mutex
	held map[string]int
}

// NewHolds returns an empty set.
func NewHolds() *Holds { return &Holds{held: map[string]int{}} }

// Hold adds a remote sandbox, once more where it is held already.
func (h *Holds) Hold(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[id]++
}

// Release takes back one Hold.
func (h *Holds) Release(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[id]--; h.held[id] <= 0 {
		delete(h.held, id)
	}
}

// Held tells whether a remote sandbox is held.
func (h *Holds) Held(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held[id] > 0
}
