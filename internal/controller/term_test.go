package controller

import (
	"testing"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// What another process has begun is left time to settle from when this one looks at it first, however long it has been
// there and however old the intent is.
func TestTermBeginsWithTheFirstLook(t *testing.T) {
	t.Parallel()
	r := &SandboxReconciler{Timing: SandboxTiming{Settle: time.Minute}, flights: newFlights[wrenn.Sandbox](nil)}
	before := time.Now()
	first := r.attempt(&v1alpha1.Sandbox{}, createIntent{Time: began})
	if first.settled.Before(before.Add(time.Minute)) {
		t.Errorf("it is settled at %s, looked at since %s", first.settled, before)
	}
	if again := r.attempt(&v1alpha1.Sandbox{}, createIntent{Time: began}); again.settled != first.settled {
		t.Errorf("settled at %s, and then at %s", first.settled, again.settled)
	}
}
