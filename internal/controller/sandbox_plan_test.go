package controller

import (
	"testing"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

var (
	allRemoteStates = []remoteState{
		remoteUnseen, remoteAbsent, remotePending, remoteRunning, remotePaused, remoteMissing, remoteEnded, remoteOdd,
	}
	allModes      = []v1alpha1.OperatingMode{v1alpha1.OperatingModeRunning, v1alpha1.OperatingModePaused}
	allRecoveries = []v1alpha1.RecoveryPolicy{v1alpha1.RecoveryPolicyNone, v1alpha1.RecoveryPolicyRecreate}
	allDeletions  = []v1alpha1.DeletionPolicy{v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyOrphan}
	bools         = []bool{false, true}
)

// What must come before everything else does, whatever the rest looks like.
func TestPlanSandboxPrecedence(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		set  func(*sandboxObserved)
		want sandboxAction
	}{
		"a create under way is waited for":      {func(o *sandboxObserved) { o.intent = intentFlying }, sandboxAwaitCreate},
		"a call under way is waited for":        {func(o *sandboxObserved) { o.flying = true }, sandboxAwaitCall},
		"a new id is saved before it is used":   {func(o *sandboxObserved) { o.unsaved = true }, sandboxSave},
		"an unknown outcome is looked into":     {func(o *sandboxObserved) { o.deleting, o.intent = false, intentOpen }, sandboxResolveIntent},
		"another's remote is not touched":       {func(o *sandboxObserved) { o.deleting, o.claimed = false, true }, sandboxReportClaimed},
		"another's remote is not destroyed":     {func(o *sandboxObserved) { o.deleting, o.claimed = true, true }, sandboxLetGo},
		"a refusal ends the attempt":            {func(o *sandboxObserved) { o.deleting, o.intent = false, intentRefused }, sandboxCloseIntent},
		"a snapshot being taken is not touched": {func(o *sandboxObserved) { o.deleting, o.held, o.bound = false, true, true }, sandboxAwaitSnapshot},
		"without a remote one is asked for":     {func(o *sandboxObserved) { o.deleting, o.bound = false, false }, sandboxBegin},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, remote := range allRemoteStates {
				for _, mode := range allModes {
					for _, deleting := range bools {
						observed := sandboxObserved{deleting: deleting, remote: remote, mode: mode, bound: true, intent: intentNone}
						tc.set(&observed)
						if got := planSandbox(observed); got != tc.want {
							t.Errorf("%+v: %s, want %s", observed, got, tc.want)
						}
					}
				}
			}
		})
	}
}

// combinations returns every combination of n truth values.
func combinations(n int) [][]bool {
	all := [][]bool{{}}
	for range n {
		var longer [][]bool
		for _, one := range all {
			for _, value := range bools {
				longer = append(longer, append(append([]bool{}, one...), value))
			}
		}
		all = longer
	}
	return all
}
