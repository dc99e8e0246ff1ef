package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func made(at time.Time) func(*wrenn.Sandbox) {
	return func(s *wrenn.Sandbox) { s.CreatedAt = at }
}

// What the team had before a create is known from what comes of it, wherever Wrenn's clock stands.
func TestEarlierRemotes(t *testing.T) {
	t.Parallel()
	other := func(s *wrenn.Sandbox) { s.Template = "other" }
	for name, tc := range map[string]struct {
		before []wrenn.Sandbox
		ids    []string
		not    []wrenn.Sandbox
		may    []wrenn.Sandbox
	}{
		"an empty team": {may: []wrenn.Sandbox{listed("own", idling)}},
		"one of the same shape": {
			before: []wrenn.Sandbox{listed("a", idling)}, ids: []string{"a"},
			not: []wrenn.Sandbox{listed("a", idling)}, may: []wrenn.Sandbox{listed("own", idling)},
		},
		"one of another shape": {
			before: []wrenn.Sandbox{listed("a", idling, other)},
			not:    []wrenn.Sandbox{listed("a", idling, other)}, may: []wrenn.Sandbox{listed("own", idling)},
		},
		"well before the latest": {
			before: []wrenn.Sandbox{listed("a", idling, made(began.Add(-time.Minute))), listed("b", other)},
			not:    []wrenn.Sandbox{listed("a", idling, made(began.Add(-time.Minute)))}, may: []wrenn.Sandbox{listed("own", idling)},
		},
		"Wrenn's clock went back": {
			before: []wrenn.Sandbox{listed("a", other, made(began.Add(clockStep)))},
			may:    []wrenn.Sandbox{listed("own", idling)},
		},
		"half made": {
			before: []wrenn.Sandbox{listed("a", idling, pending)}, ids: []string{"a"},
			not: []wrenn.Sandbox{listed("a", idling)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := attempt{
				intent:  createIntent{ID: "own", Time: began},
				request: wrenn.CreateSandboxRequest{Template: "minimal", VCPUs: 1, MemoryMB: 512, TimeoutSec: 60},
				sized:   true, limit: time.Minute,
			}
			begun.intent.Earlier = earlierThan(begun, tc.before)
			if earlier := begun.intent.Earlier; earlier != nil {
				if diff := cmp.Diff(tc.ids, earlier.IDs); diff != "" {
					t.Error(diff)
				}
			}
			for _, remote := range tc.not {
				if begun.mayBe(remote) {
					t.Errorf("%s is taken for what came of the create", remote.ID)
				}
			}
			for _, remote := range tc.may {
				if !begun.mayBe(remote) {
					t.Errorf("%s is not recognized", remote.ID)
				}
			}
		})
	}
}

// A Sandbox whose create is lost is never given what another of the same shape has left behind, with all that ran in it.
func TestSandboxIsNotGivenWhatAnotherLeft(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]wrenndev.Fault{
		"nothing came of its create": {Kind: wrenndev.FaultAbort},
		"the answer was lost":        {Kind: wrenndev.FaultDrop},
		"it was left half made":      {Kind: wrenndev.FaultAgentDelay, Latency: wrenndev.Millis(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{})
			edit(w, w.connection(""), func(c *v1alpha1.Connection) { c.Spec.Ownership = v1alpha1.OwnershipExclusive })
			idle := int32(3600)
			first, second := w.sandbox("first"), w.sandbox("second")
			first.Spec.IdleTimeoutSeconds, second.Spec.IdleTimeoutSeconds = &idle, &idle
			first.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
			w.create(first)
			awaitReason(w, first, v1alpha1.ReasonRunning)
			left := first.Status.SandboxID
			if err := w.api.Delete(w.ctx, first); err != nil {
				t.Fatal(err)
			}
			awaitGone(w, first)
			fault.Op, fault.Times = wrenndev.OpCreate, 1
			w.wrenn.Faults().Add(fault)
			w.create(second)
			awaitReason(w, second, v1alpha1.ReasonRunning)
			if second.Status.SandboxID == left {
				t.Error("it was given what the first one left behind")
			}
			eventually(w, "nothing else is left", func() error {
				if alive := w.alive(); len(alive) != 2 {
					return fmt.Errorf("alive: %+v", alive)
				}
				return nil
			})
		})
	}
}
