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
	unknown, refused := &wrenn.Error{Ambiguous: true}, &wrenn.Error{StatusCode: 400}
	for name, test := range map[string]struct {
		stored string
		intent *createIntent
		err    error
		done   bool
	}{
		"made and stored":                 {stored: "new", intent: &createIntent{}, done: true},
		"made and not stored":             {intent: &createIntent{}},
		"made in place of what is stored": {stored: "old", intent: &createIntent{Replaces: "old"}},
		"unknown":                         {intent: &createIntent{}, err: unknown},
		"unknown, in place of an old one": {stored: "old", intent: &createIntent{Replaces: "old"}, err: unknown},
		"unknown, found, and stored":      {stored: "new", intent: &createIntent{Replaces: "old"}, err: unknown, done: true},
		"unknown, not found, and closed":  {err: unknown, done: true},
		"refused":                         {intent: &createIntent{}, err: refused},
		"refused and closed":              {err: refused, done: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &SandboxReconciler{flights: newFlights[wrenn.Sandbox](func(types.NamespacedName) {}), troubles: newTroubles(time.Second, time.Second)}
			sandbox := &v1alpha1.Sandbox{ObjectMeta: metav1.ObjectMeta{UID: "uid"}, Status: v1alpha1.SandboxStatus{SandboxID: test.stored}}
			r.flights.launch("uid", types.NamespacedName{}, purposeCreate, time.Minute, func(context.Context) (wrenn.Sandbox, error) {
				return wrenn.Sandbox{ID: "new"}, test.err
			})
			r.flights.group.Wait()
			view := &sandboxView{sandbox: sandbox, before: sandbox.DeepCopy(), intent: test.intent}
			r.takeIn(view)
			if _, stays := r.flights.of("uid"); stays == test.done || (view.landed == nil) != test.done {
				t.Errorf("the flight stays: %t, want it done with: %t", stays, test.done)
			}
		})
	}
}
