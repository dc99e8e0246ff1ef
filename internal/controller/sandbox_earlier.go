package controller

import (
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// clockStep is how far Wrenn's own clock may go back.
const clockStep = 10 * time.Second

// earlierRemotes tells which remotes were there before a create was begun. None of them can have come of it, however
// much one looks as if: it may have been left behind by a Sandbox of the same shape a moment before.
type earlierRemotes struct {
	// Time is when the latest of them was made, by Wrenn's clock, in whole seconds.
	Time time.Time `json:"time"`
	// IDs are those of the latest that look like what was asked for. The time alone tells of all others.
	IDs []string `json:"ids,omitempty"`
}

// earlierThan notes the remotes that a team has before an attempt; nil where it has none.
func earlierThan(begun attempt, list []wrenn.Sandbox) *earlierRemotes {
	if len(list) == 0 {
		return nil
	}
	latest := slices.MaxFunc(list, func(a, b wrenn.Sandbox) int { return a.CreatedAt.Compare(b.CreatedAt) })
	earlier := &earlierRemotes{Time: latest.CreatedAt}
	for _, remote := range list {
		if !earlier.have(remote) && begun.mayBe(remote) {
			earlier.IDs = append(earlier.IDs, remote.ID)
		}
	}
	slices.Sort(earlier.IDs)
	return earlier
}

// have tells whether a remote is one of them.
func (e *earlierRemotes) have(remote wrenn.Sandbox) bool {
	return e != nil && (remote.CreatedAt.Before(e.Time.Add(-clockStep)) || slices.Contains(e.IDs, remote.ID))
}
