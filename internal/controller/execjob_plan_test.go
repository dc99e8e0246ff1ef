package controller

import (
	"testing"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

var (
	allJobSandboxes = []jobSandbox{jobSandboxAbsent, jobSandboxPaused, jobSandboxIdle, jobSandboxWaiting, jobSandboxUsable}
	allJobEndings   = []jobEnding{jobUnderWay, jobSucceeded, jobFailed, jobWithdrawn, jobOverran, jobRemoteGone}
	allWakes        = []v1alpha1.WakePolicy{v1alpha1.WakePolicyResume, v1alpha1.WakePolicyWait, v1alpha1.WakePolicyFail}

	usable    = []jobSandbox{jobSandboxUsable}
	notUsable = []jobSandbox{jobSandboxAbsent, jobSandboxPaused, jobSandboxIdle, jobSandboxWaiting}
	idle      = []jobSandbox{jobSandboxIdle}
	notIdle   = []jobSandbox{jobSandboxAbsent, jobSandboxPaused, jobSandboxWaiting, jobSandboxUsable}
	neither   = []jobSandbox{jobSandboxAbsent, jobSandboxPaused, jobSandboxWaiting}
	yes, no   = []bool{true}, []bool{false}

	there     = []jobOwnSandbox{jobOwnThere}
	unmade    = []jobOwnSandbox{jobOwnUnmade}
	notThere  = []jobOwnSandbox{jobOwnNone, jobOwnUnmade}
	notUnmade = []jobOwnSandbox{jobOwnNone, jobOwnThere}

	waits     = []v1alpha1.WakePolicy{v1alpha1.WakePolicyWait}
	wakes     = []v1alpha1.WakePolicy{v1alpha1.WakePolicyResume}
	wakesOrNo = []v1alpha1.WakePolicy{v1alpha1.WakePolicyResume, v1alpha1.WakePolicyFail}
	fails     = []v1alpha1.WakePolicy{v1alpha1.WakePolicyFail}
)

// jobRule says what is to be done in some situations. What it leaves empty does not matter.
type jobRule struct {
	deleting, held, finished, active, left, retries, suspended, overdue, due, resolved, expired []bool

	sandbox []jobSandbox
	own     []jobOwnSandbox
	wake    []v1alpha1.WakePolicy
	ending  []jobEnding
	want    jobAction
}

func (r jobRule) covers(o jobObserved) bool {
	return among(o.deleting, r.deleting) && among(o.held, r.held) && among(o.finished, r.finished) && among(o.active, r.active) &&
		among(o.left, r.left) && among(o.retries, r.retries) && among(o.suspended, r.suspended) && among(o.overdue, r.overdue) &&
		among(o.due, r.due) && among(o.own, r.own) && among(o.wake, r.wake) && among(o.resolved, r.resolved) && among(o.expired, r.expired) &&
		among(o.sandbox, r.sandbox) && among(o.ending, r.ending)
}

// jobRules are the specification. Each situation is covered by exactly one of them.
var jobRules = []jobRule{
	// Deletion: no process may outlive the object, nor its own Sandbox. What an attempt that is over has left is files only.
	{deleting: yes, own: there, want: jobEndSandbox},
	{deleting: yes, own: notThere, left: no, want: jobLetGo},
	{deleting: yes, own: notThere, left: yes, active: no, sandbox: notUsable, want: jobLetGo},
	{deleting: yes, own: notThere, left: yes, active: no, sandbox: usable, want: jobDiscard},
	{deleting: yes, own: notThere, left: yes, active: yes, sandbox: notIdle, want: jobDiscard},
	{deleting: yes, own: notThere, left: yes, active: yes, sandbox: idle, wake: waits, want: jobDiscard},
	{deleting: yes, own: notThere, left: yes, active: yes, sandbox: idle, wake: wakesOrNo, want: jobWake},

	// A finished job is cleaned up after, kept for its time, and never runs again: whatever else holds.
	{deleting: no, finished: yes, own: there, want: jobEndSandbox},
	{deleting: no, finished: yes, own: notThere, held: yes, left: no, want: jobLetGo},
	{deleting: no, finished: yes, own: notThere, held: yes, left: yes, sandbox: usable, want: jobClean},
	{deleting: no, finished: yes, own: notThere, held: yes, left: yes, sandbox: notUsable, expired: yes, want: jobDelete},
	{deleting: no, finished: yes, own: notThere, held: yes, left: yes, sandbox: notUsable, expired: no, want: jobRest},
	{deleting: no, finished: yes, own: notThere, held: no, expired: yes, want: jobDelete},
	{deleting: no, finished: yes, own: notThere, held: no, expired: no, want: jobRest},

	// An attempt that is over: what is known of its end outweighs what the spec wants by now.
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobSucceeded, jobOverran}, want: jobConclude},
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobWithdrawn}, want: jobWithdraw},
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobFailed, jobRemoteGone}, retries: yes, want: jobRetry},
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobFailed}, retries: no, want: jobConclude},
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobRemoteGone}, retries: no, want: jobConcludeLost},

	// An attempt under way. It never fails for an idle Sandbox.
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobUnderWay}, sandbox: idle, wake: wakesOrNo, want: jobWake},
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobUnderWay}, sandbox: notIdle, suspended: no, overdue: no, want: jobFollow},
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobUnderWay}, sandbox: notIdle, suspended: yes, want: jobStop},
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobUnderWay}, sandbox: notIdle, suspended: no, overdue: yes, want: jobStop},
	{
		deleting: no, finished: no, active: yes, ending: []jobEnding{jobUnderWay}, sandbox: idle, wake: waits,
		suspended: no, overdue: no, want: jobFollow,
	},
	{deleting: no, finished: no, active: yes, ending: []jobEnding{jobUnderWay}, sandbox: idle, wake: waits, suspended: yes, want: jobStop},
	{
		deleting: no, finished: no, active: yes, ending: []jobEnding{jobUnderWay}, sandbox: idle, wake: waits,
		suspended: no, overdue: yes, want: jobStop,
	},

	// Between attempts: nothing of the last may be left when the next begins.
	{deleting: no, finished: no, active: no, left: yes, sandbox: usable, want: jobClean},
	{deleting: no, finished: no, active: no, left: no, sandbox: usable, suspended: yes, want: jobHold},
	{deleting: no, finished: no, active: no, sandbox: notUsable, suspended: yes, want: jobHold},
	{deleting: no, finished: no, active: no, left: no, sandbox: usable, suspended: no, overdue: yes, want: jobConcludeOverdue},
	{deleting: no, finished: no, active: no, sandbox: notUsable, suspended: no, overdue: yes, want: jobConcludeOverdue},
	{deleting: no, finished: no, active: no, left: no, sandbox: usable, suspended: no, overdue: no, due: no, want: jobAwaitTime},
	{deleting: no, finished: no, active: no, sandbox: notUsable, suspended: no, overdue: no, due: no, want: jobAwaitTime},

	// The Sandbox of the next attempt is made, woken or waited for. Nothing is made before the finalizer is on.
	{
		deleting: no, finished: no, active: no, left: no, sandbox: usable, suspended: no, overdue: no, due: yes,
		own: unmade, held: no, want: jobClaim,
	},
	{
		deleting: no, finished: no, active: no, left: no, sandbox: usable, suspended: no, overdue: no, due: yes,
		own: unmade, held: yes, want: jobMakeSandbox,
	},
	{deleting: no, finished: no, active: no, sandbox: notUsable, suspended: no, overdue: no, due: yes, own: unmade, held: no, want: jobClaim},
	{deleting: no, finished: no, active: no, sandbox: notUsable, suspended: no, overdue: no, due: yes, own: unmade, held: yes, want: jobMakeSandbox},
	{deleting: no, finished: no, active: no, sandbox: idle, suspended: no, overdue: no, due: yes, own: notUnmade, wake: fails, want: jobConcludeAsleep},
	{deleting: no, finished: no, active: no, sandbox: idle, suspended: no, overdue: no, due: yes, own: notUnmade, wake: wakes, want: jobWake},
	{deleting: no, finished: no, active: no, sandbox: idle, suspended: no, overdue: no, due: yes, own: notUnmade, wake: waits, want: jobAwaitSandbox},
	{deleting: no, finished: no, active: no, sandbox: neither, suspended: no, overdue: no, due: yes, own: notUnmade, want: jobAwaitSandbox},
	{
		deleting: no, finished: no, active: no, left: no, sandbox: usable, suspended: no, overdue: no, due: yes, own: notUnmade,
		resolved: no, want: jobAwaitEnv,
	},
	{
		deleting: no, finished: no, active: no, left: no, sandbox: usable, suspended: no, overdue: no, due: yes, own: notUnmade,
		resolved: yes, held: no, want: jobClaim,
	},
	{
		deleting: no, finished: no, active: no, left: no, sandbox: usable, suspended: no, overdue: no, due: yes, own: notUnmade,
		resolved: yes, held: yes, want: jobRecord,
	},
}

// everyJob calls do for each situation that an ExecJob can be in.
func everyJob(do func(jobObserved)) {
	flags := combinations(11)
	for _, own := range []jobOwnSandbox{jobOwnNone, jobOwnUnmade, jobOwnThere} {
		for _, sandbox := range allJobSandboxes {
			for _, ending := range allJobEndings {
				for _, wake := range allWakes {
					for _, f := range flags {
						do(jobObserved{
							own: own, sandbox: sandbox, ending: ending, wake: wake,
							deleting: f[0], held: f[1], finished: f[2], active: f[3], left: f[4], retries: f[5],
							suspended: f[6], overdue: f[7], due: f[8], resolved: f[9], expired: f[10],
						})
					}
				}
			}
		}
	}
}

// TestJobRulesCoverEverySituation proves that the specification leaves out nothing and says nothing twice, and that the
// plan keeps it.
func TestJobRulesCoverEverySituation(t *testing.T) {
	t.Parallel()
	used := make([]int, len(jobRules))
	everyJob(func(o jobObserved) {
		covering := -1
		for i, r := range jobRules {
			if !r.covers(o) {
				continue
			}
			if used[i]++; covering >= 0 {
				t.Fatalf("%+v is covered by the rules %d and %d", o, covering, i)
			}
			covering = i
		}
		if covering < 0 {
			t.Fatalf("%+v is covered by no rule", o)
		}
		if got := planExecJob(o); got != jobRules[covering].want {
			t.Errorf("%+v: %s, want %s", o, got, jobRules[covering].want)
		}
	})
	for i, n := range used {
		if n == 0 {
			t.Errorf("rule %d covers nothing", i)
		}
	}
}

// Nothing that was finished is ever run again, nothing is run before its attempt is recorded, and no attempt is recorded
// while something of another may run.
func TestPlanExecJobNeverRunsTwice(t *testing.T) {
	t.Parallel()
	everyJob(func(o jobObserved) {
		switch action := planExecJob(o); action {
		case jobFollow:
			if o.finished || o.deleting || o.suspended || !o.active {
				t.Errorf("%+v: %s", o, action)
			}
		case jobRecord:
			if o.finished || o.deleting || o.suspended || o.active || o.left || !o.held {
				t.Errorf("%+v: %s", o, action)
			}
		case jobMakeSandbox:
			if o.finished || o.deleting || o.suspended || o.active || o.own == jobOwnThere || !o.held {
				t.Errorf("%+v: %s", o, action)
			}
		}
	})
}
