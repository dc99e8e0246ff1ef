package controller

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
		"gone, and the answer lost":       {fault: wrenndev.Fault{Kind: wrenndev.FaultDrop, Op: wrenndev.OpCreate, Times: 1}},
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

// countedReader counts the lists.
type countedReader struct {
	client.Reader
	lists atomic.Int64
}

func (c *countedReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	c.lists.Add(1)
	return c.Reader.List(ctx, list, options...)
}

// What was made for a Sandbox that is gone, and may be what the open intent of another one means, is looked at until that is
// decided, and not all the time.
func TestSandboxThatIsGoneIsNotForgottenForAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	const idle = 4242
	other := w.sandbox("other")
	other.Spec.IdleTimeoutSeconds = ptr.To[int32](idle)
	intent := createIntent{ID: "other", Time: time.Now(), Template: defaultTemplate}
	if err := intent.writeTo(other); err != nil {
		t.Fatal(err)
	}
	w.create(other)
	var undone atomic.Int64
	direct := &countedReader{Reader: ownSandboxes{Reader: w.api, test: t.Name()}}
	r := &SandboxReconciler{
		Direct: direct, Timing: SandboxTiming{Call: patience},
		flights: newFlights[wrenn.Sandbox](func(types.NamespacedName) {}), troubles: newTroubles(time.Hour, time.Hour),
	}
	gone := types.NamespacedName{Namespace: w.namespace, Name: "gone"}
	made := wrenn.Sandbox{ID: "cl-" + strings.Repeat("c", 25), Template: defaultTemplate, TimeoutSec: idle}
	r.flights.launch("gone", gone, purposeCreate, time.Second, func(context.Context) (wrenn.Sandbox, error) { return made, nil })
	r.flights.undoable("gone", func(_ context.Context, left wrenn.Sandbox) error {
		if left.ID != made.ID {
			t.Errorf("%s is destroyed", left.ID)
		}
		undone.Add(1)
		return nil
	}, nil)
	var after time.Duration
	reclaimed := func(enough func() bool) func() error {
		return func() error {
			if after = r.reclaim(w.ctx, gone, ""); !enough() {
				return fmt.Errorf("looked %d times, undone %d times, again in %s", direct.lists.Load(), undone.Load(), after)
			}
			return nil
		}
	}
	eventually(w, "it waits after a look", reclaimed(func() bool { return after > time.Minute }))
	if n := direct.lists.Load(); n != 1 {
		t.Errorf("looked %d times", n)
	}
	r.troubles = newTroubles(time.Millisecond, time.Millisecond)
	eventually(w, "it is looked at again and again", reclaimed(func() bool { return direct.lists.Load() >= 3 }))
	if undone.Load() != 0 {
		t.Error("what may be another's was destroyed")
	}
	edit(w, other, func(s *v1alpha1.Sandbox) { s.Annotations = nil })
	eventually(w, "it is destroyed", reclaimed(func() bool { return undone.Load() == 1 }))
	eventually(w, "it is forgotten", reclaimed(func() bool { return len(r.flights.all()) == 0 }))
	if n := undone.Load(); n != 1 {
		t.Errorf("destroyed %d times", n)
	}
}
