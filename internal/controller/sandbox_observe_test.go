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

// Whether something can have run in a remote does not depend on how long it took to boot.
func TestUnused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status                 wrenn.Status
		started, active, ended time.Duration
		unused                 bool
	}{
		"ended at once":               {status: wrenn.StatusStopped, unused: true},
		"ended after a while":         {status: wrenn.StatusStopped, ended: 30 * time.Second, unused: true},
		"ended long after":            {status: wrenn.StatusStopped, ended: 31 * time.Second},
		"after a slow boot":           {status: wrenn.StatusError, started: 4 * time.Second, active: 4 * time.Second, ended: 9 * time.Second, unused: true},
		"over a change of the second": {status: wrenn.StatusStopped, active: time.Second, ended: 2 * time.Second, unused: true},
		"used":                        {status: wrenn.StatusStopped, active: 2 * time.Second, ended: 3 * time.Second},
		"used after a slow boot":      {status: wrenn.StatusStopped, started: 4 * time.Second, active: 6 * time.Second, ended: 9 * time.Second},
		"resumed":                     {status: wrenn.StatusStopped, started: 11 * time.Second, active: 11 * time.Second, ended: 12 * time.Second},
		"running":                     {status: wrenn.StatusRunning},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote := wrenn.Sandbox{
				Status: test.status, CreatedAt: began, StartedAt: began.Add(test.started),
				LastActiveAt: began.Add(test.active), LastUpdatedAt: began.Add(test.ended),
			}
			if got := unused(remote); got != test.unused {
				t.Errorf("unused: %t", got)
			}
		})
	}
	if !unused(wrenn.Sandbox{Status: wrenn.StatusStopped, CreatedAt: began, LastUpdatedAt: began.Add(time.Second)}) {
		t.Error("one that never started was used")
	}
}
