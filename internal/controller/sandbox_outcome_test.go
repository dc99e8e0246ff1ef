package controller

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// undecided starts a world with a Sandbox whose create was lost in a team that others use, without a token to find its
// remote by, and returns that remote's id too.
func undecided(t *testing.T) (w *world, sandbox *v1alpha1.Sandbox, id string) {
	t.Helper()
	w = newOperatedWorld(t, wrenndev.Config{})
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultDrop, Op: wrenndev.OpCreate, Times: 1})
	sandbox = w.sandbox("undecided")
	sandbox.Spec.IdleTimeoutSeconds = ptr.To[int32](3600)
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonCreateOutcomeUnknown)
	made := w.wrenn.Sandboxes()
	if len(made) != 1 {
		t.Fatalf("remotes: %+v", made)
	}
	return w, sandbox, made[0].ID
}

func (w *world) decide(sandbox *v1alpha1.Sandbox, outcome string) {
	w.t.Helper()
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { setAnnotation(s, v1alpha1.AnnotationCreateOutcome, outcome) })
}

// awaitDecided waits until nothing is left of a create that a person has decided on.
func awaitDecided(w *world, sandbox *v1alpha1.Sandbox) {
	w.t.Helper()
	eventually(w, "the decision is carried out", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
			return err
		}
		for _, annotation := range []string{v1alpha1.AnnotationCreateIntent, v1alpha1.AnnotationCreateOutcome} {
			if value, ok := sandbox.Annotations[annotation]; ok {
				return fmt.Errorf("%s is %q", annotation, value)
			}
		}
		return nil
	})
}

func TestDecisionToRetry(t *testing.T) {
	t.Parallel()
	w, sandbox, lost := undecided(t)
	w.decide(sandbox, outcomeRetry)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	awaitDecided(w, sandbox)
	if sandbox.Status.SandboxID == lost {
		t.Error("it has the remote that was not to be looked for any more")
	}
	if n := w.calls(wrenndev.OpCreate); n != 2 || len(w.alive()) != 2 {
		t.Errorf("%d creates, alive: %+v", n, w.alive())
	}
}

func TestDecisionToAdopt(t *testing.T) {
	t.Parallel()
	w, sandbox, lost := undecided(t)
	w.decide(sandbox, outcomeAdopt+lost)
	awaitOne(w, sandbox)
	awaitDecided(w, sandbox)
	if n := w.calls(wrenndev.OpCreate); n != 1 {
		t.Errorf("%d creates", n)
	}
	w.remove(sandbox)
	awaitNothing(w, sandbox)
}

// An id that the team does not have is refused, and the decision can be corrected.
func TestDecisionWithASlipOfThePen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ deleted bool }{"kept": {}, "deleted": {deleted: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, sandbox, lost := undecided(t)
			if test.deleted {
				w.remove(sandbox)
			}
			other := map[bool]string{true: "a", false: "b"}[strings.HasSuffix(lost, "b")]
			w.decide(sandbox, outcomeAdopt+lost[:len(lost)-1]+other)
			eventually(w, "the person is told", func() error {
				if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
					return err
				}
				ready := meta.FindStatusCondition(sandbox.Status.Conditions, v1alpha1.ConditionReady)
				if ready.Reason != v1alpha1.ReasonCreateOutcomeUnknown || !strings.Contains(ready.Message, "does not exist in the team") {
					return fmt.Errorf("%s: %s", ready.Reason, ready.Message)
				}
				return nil
			})
			if sandbox.Status.SandboxID != "" {
				t.Errorf("it has taken %s", sandbox.Status.SandboxID)
			}
			w.decide(sandbox, outcomeAdopt+lost)
			if !test.deleted {
				awaitOne(w, sandbox)
				w.remove(sandbox)
			}
			awaitNothing(w, sandbox)
			if n := w.calls(wrenndev.OpCreate); n != 1 {
				t.Errorf("%d creates", n)
			}
		})
	}
}
