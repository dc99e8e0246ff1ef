package controller

import (
	"fmt"
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

// wish is a cell of the table: what is to be done for a bound, undisturbed Sandbox.
type wish struct {
	remote   remoteState
	mode     v1alpha1.OperatingMode
	idles    bool
	declared bool
	recovery v1alpha1.RecoveryPolicy
	unused   bool
}

// wanted is the table itself, in the words of the specification rather than of the code.
func wanted(w wish) sandboxAction {
	byState := map[remoteState]sandboxAction{
		remoteUnseen:  sandboxAwaitList,
		remoteAbsent:  sandboxConfirm,
		remotePending: sandboxAwaitState,
		remoteMissing: sandboxAwaitState,
		remoteOdd:     sandboxAwaitState,
	}
	if action, ok := byState[w.remote]; ok {
		return action
	}
	switch fmt.Sprintf("%s, declared %s", w.remote, w.mode) {
	case "running, declared Running", "paused, declared Paused":
		return sandboxRest
	case "running, declared Paused":
		return sandboxPause
	case "paused, declared Running":
		// Nobody's timeout can have paused it, or it is known whose doing it was.
		if !w.idles || w.declared {
			return sandboxResume
		}
		return sandboxRest
	}
	// Ended: replaced where the policy says so, or where nothing was lost.
	if w.recovery == v1alpha1.RecoveryPolicyRecreate || w.unused {
		return sandboxReplace
	}
	return sandboxReportLost
}

func TestPlanSandboxCoversEveryState(t *testing.T) {
	t.Parallel()
	cells := 0
	for _, remote := range allRemoteStates {
		for _, mode := range allModes {
			for _, recovery := range allRecoveries {
				for _, flags := range combinations(3) {
					w := wish{remote: remote, mode: mode, recovery: recovery, idles: flags[0], declared: flags[1], unused: flags[2]}
					observed := sandboxObserved{
						bound: true, recorded: true, intent: intentNone, remote: remote, mode: mode, recovery: recovery,
						deletion: v1alpha1.DeletionPolicyDelete, idles: w.idles, declaredPause: w.declared, unused: w.unused,
					}
					if got := planSandbox(observed); got != wanted(w) {
						t.Errorf("%+v: %s, want %s", w, got, wanted(w))
					}
					cells++
				}
			}
		}
	}
	if want := len(allRemoteStates) * 2 * 2 * 8; cells != want {
		t.Errorf("%d cells, want %d", cells, want)
	}
}

func TestPlanSandboxDeletion(t *testing.T) {
	t.Parallel()
	for _, remote := range allRemoteStates {
		for _, mode := range allModes {
			for _, deletion := range allDeletions {
				for _, flags := range combinations(3) {
					bound, open, destroyed := flags[0], flags[1], flags[2]
					observed := sandboxObserved{
						deleting: true, bound: bound, remote: remote, mode: mode, deletion: deletion, intent: intentNone, destroyed: destroyed,
						recovery: v1alpha1.RecoveryPolicyRecreate, held: true,
					}
					if open {
						observed.intent = intentOpen
					}
					want := sandboxLetGo
					switch {
					case deletion == v1alpha1.DeletionPolicyOrphan:
					case open:
						want = sandboxResolveIntent
					case bound && !destroyed:
						want = sandboxDestroy
					}
					if got := planSandbox(observed); got != want {
						t.Errorf("%+v: %s, want %s", observed, got, want)
					}
				}
			}
		}
	}
}

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

func TestPlanSandboxReplacesInTwoSteps(t *testing.T) {
	t.Parallel()
	observed := sandboxObserved{bound: true, intent: intentNone, remote: remoteEnded, recovery: v1alpha1.RecoveryPolicyRecreate}
	if got := planSandbox(observed); got != sandboxReplace {
		t.Errorf("before the lost one is destroyed: %s, want %s", got, sandboxReplace)
	}
	observed.destroyed = true
	if got := planSandbox(observed); got != sandboxBegin {
		t.Errorf("after: %s, want %s", got, sandboxBegin)
	}
}

func TestPlanSandboxRecordsLast(t *testing.T) {
	t.Parallel()
	observed := sandboxObserved{bound: true, intent: intentNone, remote: remoteRunning, mode: v1alpha1.OperatingModeRunning}
	if got := planSandbox(observed); got != sandboxRecord {
		t.Errorf("%s, want %s", got, sandboxRecord)
	}
	observed.mode = v1alpha1.OperatingModePaused
	if got := planSandbox(observed); got != sandboxPause {
		t.Errorf("%s, want %s: the spec comes before the records", got, sandboxPause)
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
