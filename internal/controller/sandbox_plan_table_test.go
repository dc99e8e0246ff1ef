package controller

import (
	"slices"
	"testing"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// remoteNone stands in the table for a Sandbox without a remote.
const remoteNone remoteState = "none"

// cell is one of the situations that a Sandbox can be in.
type cell struct {
	deleting bool
	intent   intentState
	remote   remoteState
	mode     v1alpha1.OperatingMode
	idle     v1alpha1.IdlePolicy
	recovery v1alpha1.RecoveryPolicy
	deletion v1alpha1.DeletionPolicy
}

// rule says what is to be done in some cells. What it leaves empty does not matter.
type rule struct {
	deleting []bool
	intent   []intentState
	remote   []remoteState
	mode     v1alpha1.OperatingMode
	idle     v1alpha1.IdlePolicy
	recovery v1alpha1.RecoveryPolicy
	deletion v1alpha1.DeletionPolicy
	want     sandboxAction
}

func (r rule) covers(c cell) bool {
	return among(c.deleting, r.deleting) && among(c.intent, r.intent) && among(c.remote, r.remote) &&
		among(c.mode, only(r.mode)) && among(c.idle, only(r.idle)) &&
		among(c.recovery, only(r.recovery)) && among(c.deletion, only(r.deletion))
}

func among[T comparable](value T, of []T) bool { return len(of) == 0 || slices.Contains(of, value) }

func only[T ~string](value T) []T {
	if value == "" {
		return nil
	}
	return []T{value}
}

var (
	lives    = []bool{false}
	deleted  = []bool{true}
	atRest   = []intentState{intentNone}
	vague    = []remoteState{remotePending, remoteMissing, remoteOdd}
	anywhere = slices.Concat(allRemoteStates, []remoteState{remoteNone})
)

// sandboxRules are the specification. Each cell is covered by exactly one of them.
var sandboxRules = []rule{
	// Nothing is done while a create is under way.
	{intent: []intentState{intentFlying}, want: sandboxAwaitCreate},

	// Deletion: what may exist is found and destroyed, or left.
	{deleting: deleted, intent: []intentState{intentNone, intentOpen, intentRefused}, deletion: v1alpha1.DeletionPolicyOrphan, want: sandboxLetGo},
	{deleting: deleted, intent: []intentState{intentOpen}, deletion: v1alpha1.DeletionPolicyDelete, want: sandboxResolveIntent},
	{
		deleting: deleted, intent: []intentState{intentNone, intentRefused}, remote: []remoteState{remoteNone},
		deletion: v1alpha1.DeletionPolicyDelete, want: sandboxLetGo,
	},
	{
		deleting: deleted, intent: []intentState{intentNone, intentRefused}, remote: allRemoteStates,
		deletion: v1alpha1.DeletionPolicyDelete, want: sandboxDestroy,
	},

	// An attempt comes to its end before anything else is begun.
	{deleting: lives, intent: []intentState{intentOpen}, want: sandboxResolveIntent},
	{deleting: lives, intent: []intentState{intentRefused}, want: sandboxCloseIntent},
	{deleting: lives, intent: atRest, remote: []remoteState{remoteNone}, want: sandboxBegin},

	// What is not known is looked at, and what passes by itself is waited for.
	{deleting: lives, intent: atRest, remote: []remoteState{remoteUnseen}, want: sandboxAwaitList},
	{deleting: lives, intent: atRest, remote: []remoteState{remoteAbsent}, want: sandboxConfirm},
	{deleting: lives, intent: atRest, remote: vague, want: sandboxAwaitState},

	// The rest is as declared, or made so. This sandbox has an idle timeout: a pause may be its doing.
	{deleting: lives, intent: atRest, remote: []remoteState{remoteRunning}, mode: v1alpha1.OperatingModeRunning, want: sandboxRest},
	{deleting: lives, intent: atRest, remote: []remoteState{remoteRunning}, mode: v1alpha1.OperatingModePaused, want: sandboxPause},
	{deleting: lives, intent: atRest, remote: []remoteState{remotePaused}, mode: v1alpha1.OperatingModePaused, want: sandboxRest},
	{
		deleting: lives, intent: atRest, remote: []remoteState{remotePaused}, mode: v1alpha1.OperatingModeRunning,
		idle: v1alpha1.IdlePolicyStayPaused, want: sandboxRest,
	},
	{
		deleting: lives, intent: atRest, remote: []remoteState{remotePaused}, mode: v1alpha1.OperatingModeRunning,
		idle: v1alpha1.IdlePolicyKeepRunning, want: sandboxResume,
	},

	// What has ended is told of, or replaced.
	{deleting: lives, intent: atRest, remote: []remoteState{remoteEnded}, recovery: v1alpha1.RecoveryPolicyNone, want: sandboxReportLost},
	{deleting: lives, intent: atRest, remote: []remoteState{remoteEnded}, recovery: v1alpha1.RecoveryPolicyRecreate, want: sandboxReplace},
}

func everyCell() []cell {
	var all []cell
	for _, deleting := range bools {
		for _, intent := range []intentState{intentNone, intentFlying, intentRefused, intentOpen} {
			for _, remote := range anywhere {
				for _, mode := range allModes {
					for _, idle := range []v1alpha1.IdlePolicy{v1alpha1.IdlePolicyStayPaused, v1alpha1.IdlePolicyKeepRunning} {
						for _, recovery := range allRecoveries {
							for _, deletion := range allDeletions {
								all = append(all, cell{deleting, intent, remote, mode, idle, recovery, deletion})
							}
						}
					}
				}
			}
		}
	}
	return all
}

func (c cell) observed() sandboxObserved {
	o := sandboxObserved{
		deleting: c.deleting, intent: c.intent, remote: c.remote, mode: c.mode, recovery: c.recovery, deletion: c.deletion,
		keepsRunning: c.idle == v1alpha1.IdlePolicyKeepRunning, idles: true, bound: true, recorded: true,
	}
	if c.remote == remoteNone {
		o.bound, o.remote = false, ""
	}
	return o
}

// TestSandboxRulesCoverEveryCell proves that the specification leaves out nothing and says nothing twice, and that the
// plan keeps it.
func TestSandboxRulesCoverEveryCell(t *testing.T) {
	t.Parallel()
	used := make([]int, len(sandboxRules))
	for _, c := range everyCell() {
		var covering []int
		for i, r := range sandboxRules {
			if r.covers(c) {
				covering = append(covering, i)
				used[i]++
			}
		}
		if len(covering) != 1 {
			t.Errorf("%+v is covered by the rules %v", c, covering)
			continue
		}
		if got, want := planSandbox(c.observed()), sandboxRules[covering[0]].want; got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
	for i, n := range used {
		if n == 0 {
			t.Errorf("rule %d, %+v, is about nothing", i, sandboxRules[i])
		}
	}
	if got, want := len(everyCell()), 2*4*(len(allRemoteStates)+1)*2*2*2*2; got != want {
		t.Errorf("%d cells, want %d", got, want)
	}
}

// What else decides, one thing at a time, for a bound Sandbox that is otherwise as declared.
func TestPlanSandboxNeeds(t *testing.T) {
	t.Parallel()
	running := sandboxObserved{
		bound: true, recorded: true, intent: intentNone, remote: remoteRunning, mode: v1alpha1.OperatingModeRunning, idles: true,
	}
	paused := running
	paused.remote = remotePaused
	for name, tc := range map[string]struct {
		from sandboxObserved
		set  func(*sandboxObserved)
		want sandboxAction
	}{
		"files are written":                     {running, func(o *sandboxObserved) { o.filesDue = true }, sandboxWriteFiles},
		"files are written before a pause":      {running, func(o *sandboxObserved) { o.filesDue, o.mode = true, v1alpha1.OperatingModePaused }, sandboxWriteFiles},
		"files need it to run":                  {paused, func(o *sandboxObserved) { o.filesDue = true }, sandboxResume},
		"files do not undo a declared pause":    {paused, func(o *sandboxObserved) { o.filesDue, o.mode = true, v1alpha1.OperatingModePaused }, sandboxRest},
		"a ping is sent when it is due":         {running, func(o *sandboxObserved) { o.pingDue = true }, sandboxPing},
		"a pause comes before a ping":           {running, func(o *sandboxObserved) { o.pingDue, o.mode = true, v1alpha1.OperatingModePaused }, sandboxPause},
		"a wake resumes":                        {paused, func(o *sandboxObserved) { o.woken = true }, sandboxResume},
		"a wake does not undo a declared pause": {paused, func(o *sandboxObserved) { o.woken, o.mode = true, v1alpha1.OperatingModePaused }, sandboxRest},
		"a pause that was declared ends":        {paused, func(o *sandboxObserved) { o.declaredPause = true }, sandboxResume},
		"without a timeout nobody's pause":      {paused, func(o *sandboxObserved) { o.idles = false }, sandboxResume},
		"the end of life destroys":              {running, func(o *sandboxObserved) { o.expired = true }, sandboxDestroy},
		"and then forgets":                      {running, func(o *sandboxObserved) { o.expired, o.destroyed = true, true }, sandboxExpire},
		"and rests":                             {running, func(o *sandboxObserved) { o.expired, o.bound = true, false }, sandboxRestExpired},
		"or deletes the object": {running, func(o *sandboxObserved) {
			o.expired, o.bound, o.shutdown = true, false, v1alpha1.ShutdownPolicyDelete
		}, sandboxDelete},
		"a snapshot is finished before":       {running, func(o *sandboxObserved) { o.expired, o.held = true, true }, sandboxAwaitSnapshot},
		"an unknown outcome is found before":  {running, func(o *sandboxObserved) { o.expired, o.intent = true, intentOpen }, sandboxResolveIntent},
		"one to take over is looked at":       {running, func(o *sandboxObserved) { o.adopts, o.bound = true, false }, sandboxFind},
		"and claimed":                         {running, func(o *sandboxObserved) { o.adopts, o.found, o.bound = true, true, false }, sandboxClaim},
		"one taken over is never made again":  {running, func(o *sandboxObserved) { o.adopts, o.unused, o.remote = true, true, remoteEnded }, sandboxReportLost},
		"one lost at once is made again":      {running, func(o *sandboxObserved) { o.unused, o.remote = true, remoteEnded }, sandboxReplace},
		"and begun again when it is gone":     {running, func(o *sandboxObserved) { o.unused, o.destroyed, o.remote = true, true, remoteEnded }, sandboxBegin},
		"records are the last thing":          {running, func(o *sandboxObserved) { o.recorded = false }, sandboxRecord},
		"a claim of another's is only told":   {running, func(o *sandboxObserved) { o.claimed, o.expired = true, true }, sandboxReportClaimed},
		"what was destroyed is let go":        {running, func(o *sandboxObserved) { o.deleting, o.destroyed = true, true }, sandboxLetGo},
		"another's remote is left alone":      {running, func(o *sandboxObserved) { o.deleting, o.claimed = true, true }, sandboxLetGo},
		"a call under way is waited for":      {running, func(o *sandboxObserved) { o.flying, o.expired, o.deleting = true, true, true }, sandboxAwaitCall},
		"a new id is saved before it is used": {running, func(o *sandboxObserved) { o.unsaved, o.expired, o.deleting = true, true, true }, sandboxSave},
		"one to be left waits for no call": {running, func(o *sandboxObserved) {
			o.flying, o.deleting, o.deletion = true, true, v1alpha1.DeletionPolicyOrphan
		}, sandboxLetGo},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			observed := tc.from
			tc.set(&observed)
			if got := planSandbox(observed); got != tc.want {
				t.Errorf("%+v: %s, want %s", observed, got, tc.want)
			}
		})
	}
}
