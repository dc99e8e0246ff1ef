package controller

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// A write of the status may have its effect and yet fail. A create whose outcome is stored all the same must not keep its
// place: the next call of the object would never be launched.
func TestSandboxCreateThatIsStoredIsDoneWith(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stored, replaces string
		err              error
		done             bool
	}{
		"made and stored":                 {stored: "new", done: true},
		"made and not stored":             {},
		"made in place of what is stored": {stored: "old", replaces: "old"},
		"unknown and nothing stored":      {err: &wrenn.Error{Ambiguous: true}},
		"unknown and the old one stored":  {stored: "old", replaces: "old", err: &wrenn.Error{Ambiguous: true}},
		"found and stored":                {stored: "new", replaces: "old", err: &wrenn.Error{Ambiguous: true}, done: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &SandboxReconciler{flights: newFlights[wrenn.Sandbox](func(types.NamespacedName) {}), troubles: newTroubles(time.Second, time.Second)}
			sandbox := &v1alpha1.Sandbox{ObjectMeta: metav1.ObjectMeta{UID: "uid"}, Status: v1alpha1.SandboxStatus{SandboxID: test.stored}}
			r.flights.launch("uid", types.NamespacedName{}, purposeCreate, time.Minute, func(context.Context) (wrenn.Sandbox, error) {
				return wrenn.Sandbox{ID: "new"}, test.err
			})
			r.flights.group.Wait()
			view := &sandboxView{sandbox: sandbox, before: sandbox.DeepCopy(), intent: &createIntent{Replaces: test.replaces}}
			r.takeIn(view)
			if _, stays := r.flights.of("uid"); stays == test.done || (view.landed == nil) != test.done {
				t.Errorf("the flight stays: %t, want it done with: %t", stays, test.done)
			}
		})
	}
}
