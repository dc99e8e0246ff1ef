package controller

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// What a create makes for a Sandbox that has gone in the meantime, whatever its finalizer said, is destroyed.
func TestSandboxThatIsGoneLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		again bool
		fault wrenndev.Fault
	}{
		"gone":                            {},
		"gone, and another of its name":   {again: true},
		"gone, and not destroyed at once": {fault: wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Op: wrenndev.OpDestroy, Times: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{})
			w.wrenn.Faults().Add(wrenndev.Fault{
				Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(time.Second),
			})
			if test.fault.Kind != "" {
				w.wrenn.Faults().Add(test.fault)
			}
			sandbox := w.sandbox("fleeting")
			w.create(sandbox)
			awaitArrival(w)
			edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Finalizers = nil })
			if err := w.api.Delete(w.ctx, sandbox); err != nil {
				t.Fatal(err)
			}
			awaitGone(w, sandbox)
			left := 0
			if test.again {
				next := w.sandbox("fleeting")
				w.create(next)
				awaitReason(w, next, v1alpha1.ReasonRunning)
				left = 1
			}
			eventually(w, "what was made is destroyed", func() error {
				if alive := w.alive(); len(alive) != left {
					return fmt.Errorf("alive: %+v", alive)
				}
				return nil
			})
			if n := w.wrenn.LiveProcesses(); left == 0 && n != 0 {
				t.Errorf("%d processes left behind", n)
			}
		})
	}
}

// What a Sandbox claims is not taken back, whoever it was made for.
func TestSandboxThatIsGoneTakesNothingFromAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	adopted, nobodys := "cl-"+strings.Repeat("a", 25), "cl-"+strings.Repeat("b", 25)
	adopter := w.sandbox("adopter")
	adopter.Spec.AdoptID = adopted
	w.create(adopter)
	var undone []string
	r := &SandboxReconciler{Direct: w.api}
	for _, id := range []string{adopted, nobodys} {
		left, err := r.takeBack(w.ctx, flight[wrenn.Sandbox]{result: wrenn.Sandbox{ID: id}, undo: func(_ context.Context, made wrenn.Sandbox) error {
			undone = append(undone, made.ID)
			return nil
		}})
		if err != nil || left.ID != "" {
			t.Errorf("%s: left %q, %v", id, left.ID, err)
		}
	}
	if diff := cmp.Diff([]string{nobodys}, undone); diff != "" {
		t.Error(diff)
	}
}
