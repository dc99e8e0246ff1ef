package execrun

import (
	"fmt"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
)

// A guest that cannot run commands fails the start only where the command cannot run in it already.
func TestStartFailsOnlyBeforeTheStart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		known  func(*attempt)
		starts bool // it may have been started
	}{
		"nothing is known of it":                     {func(*attempt) {}, false},
		"it has a process":                           {func(a *attempt) { a.progress.PID = 7 }, true},
		"the status says so":                         {func(a *attempt) { a.spec.Started = true }, true},
		"it was asked for":                           {func(a *attempt) { a.launched = true }, true},
		"it was asked for, and seen unstarted after": {func(a *attempt) { a.launched, a.unpassed = true, true }, true},
		"another may have":                           {func(a *attempt) { a.spec.Resumed = true }, true},
		"another may have, but the guest says no":    {func(a *attempt) { a.spec.Resumed, a.unpassed = true, true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runner := NewRunner(Config{Log: logr.Discard(), Notify: func(types.NamespacedName) {}})
			t.Cleanup(runner.cancel)
			a := newAttempt(runner, Attempt{Number: 1}, Follow)
			t.Cleanup(a.quiet)
			tc.known(a)
			for range maxRefusals {
				a.mu.Lock()
				a.note(fmt.Errorf("%w: its shell ended with code 2", errGuest))
				a.mu.Unlock()
			}
			if got := a.snapshot(); (got.Phase != StartFailed) != tc.starts {
				t.Errorf("progress %+v", got)
			}
		})
	}
}
