package controller

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Holds are the remote sandboxes that Snapshots are being taken of in this process. The Sandbox controller leaves their
// pausing and resuming alone. It is safe for concurrent use.
type Holds struct {
	mu sync.Mutex
	by map[types.UID]string
}

// NewHolds returns an empty set.
func NewHolds() *Holds { return &Holds{by: map[types.UID]string{}} }

// Hold has a Snapshot hold a remote sandbox.
func (h *Holds) Hold(snapshot types.UID, sandboxID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.by[snapshot] = sandboxID
}

// Release ends what a Snapshot holds, if anything.
func (h *Holds) Release(snapshot types.UID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.by, snapshot)
}

// Held tells whether any Snapshot holds a remote sandbox.
func (h *Holds) Held(sandboxID string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, held := range h.by {
		if held == sandboxID {
			return true
		}
	}
	return false
}
