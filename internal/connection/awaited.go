package connection

import (
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// awaited are the sandboxes whose transition somebody waits for, and since when.
type awaited map[string]time.Time

// add adds a sandbox. One that is awaited already has been so since it was first added.
func (a awaited) add(id string, now time.Time) {
	if _, ok := a[id]; !ok {
		a[id] = now
	}
}

// settle drops the sandboxes that are in transition no more, now that a list has been read. One that hangs in it stays, so that
// it is not taken for another transition.
func (a awaited) settle(lookup func(id string) Sighting) {
	for id := range a {
		if seen := lookup(id).Sandbox; seen == nil || !inTransition(seen.Status) {
			delete(a, id)
		}
	}
}

// any tells whether any of them is worth a hurry: it has not been awaited for longer than the limit.
func (a awaited) any(now time.Time, limit time.Duration) bool {
	for _, since := range a {
		if now.Before(since.Add(limit)) {
			return true
		}
	}
	return false
}

// inTransition tells whether a state is one that passes by itself. Of one that this version does not know it is hoped for.
func inTransition(status wrenn.Status) bool {
	switch status {
	case wrenn.StatusRunning, wrenn.StatusPaused, wrenn.StatusHibernated, wrenn.StatusStopped, wrenn.StatusError:
		return false
	default: // pending, starting, missing
		return true
	}
}
