package controller

import "github.com/wrennhq/wrenn-operator/api/v1alpha1"

// jobSandbox is what an ExecJob's Sandbox is good for.
type jobSandbox string

const (
	// jobSandboxAbsent: there is none, or it is being deleted.
	jobSandboxAbsent jobSandbox = "absent"
	// jobSandboxPaused: it is declared Paused.
	jobSandboxPaused jobSandbox = "paused"
	// jobSandboxIdle: its idle timeout has paused it.
	jobSandboxIdle jobSandbox = "idle"
	// jobSandboxWaiting: it cannot be used yet, or just now.
	jobSandboxWaiting jobSandbox = "waiting"
	// jobSandboxUsable: it can be used.
	jobSandboxUsable jobSandbox = "usable"
)

// jobOwnSandbox is what there is of a Sandbox that is made for an ExecJob.
type jobOwnSandbox string

const (
	// jobOwnNone: there is to be none, or none can be made.
	jobOwnNone jobOwnSandbox = ""
	// jobOwnUnmade: there is none yet, or none any more.
	jobOwnUnmade jobOwnSandbox = "unmade"
	// jobOwnThere: it is there. It may be on its way out.
	jobOwnThere jobOwnSandbox = "there"
)

// jobEnding is how an attempt ended.
type jobEnding string

const (
	// jobUnderWay: it has not, as far as is known.
	jobUnderWay jobEnding = ""
	// jobSucceeded: with exit code 0.
	jobSucceeded jobEnding = "succeeded"
	// jobFailed: by itself, in any other way.
	jobFailed jobEnding = "failed"
	// jobWithdrawn: it was ended, and neither succeeded nor failed.
	jobWithdrawn jobEnding = "withdrawn"
	// jobOverran: it was ended because of the deadline.
	jobOverran jobEnding = "overran"
	// jobRemoteGone: it is not known, and the remote is gone.
	jobRemoteGone jobEnding = "gone"
)

// jobObserved is all that the plan of an ExecJob depends on.
type jobObserved struct {
	deleting bool
	// held tells that the object has the finalizer.
	held bool
	// finished tells that it is Complete or Failed. It never runs again.
	finished bool
	// active tells that an attempt is under way: the command may have been started, and how it ended is not written yet.
	active bool
	// left tells that something of the last attempt may be in the guest.
	left    bool
	sandbox jobSandbox
	// wake is what to do about one that idles.
	wake v1alpha1.WakePolicy
	// own is what there is of a Sandbox of its own.
	own jobOwnSandbox
	// ending is how the attempt under way ended.
	ending jobEnding
	// retries tells that another attempt follows if this one has failed.
	retries bool
	// suspended tells that the spec holds the job.
	suspended bool
	// overdue tells that the job was active for longer than it may be.
	overdue bool
	// due tells that the time for the next attempt has come.
	due bool
	// resolved tells that every variable of the environment has its value.
	resolved bool
	// expired tells that a finished job was kept for as long as it is to be.
	expired bool
}

// jobAction is the one thing to do next for an ExecJob.
type jobAction string

const (
	// jobAwaitSandbox waits for a Sandbox that can be used.
	jobAwaitSandbox jobAction = "AwaitSandbox"
	// jobMakeSandbox makes the job's own Sandbox.
	jobMakeSandbox jobAction = "MakeSandbox"
	// jobWake has the Sandbox resumed.
	jobWake jobAction = "Wake"
	// jobAwaitEnv waits for a Secret or ConfigMap.
	jobAwaitEnv jobAction = "AwaitEnv"
	// jobAwaitTime waits for the time of the next attempt.
	jobAwaitTime jobAction = "AwaitTime"
	// jobHold waits until the job is not suspended any more.
	jobHold jobAction = "Hold"
	// jobClaim puts the finalizer on.
	jobClaim jobAction = "Claim"
	// jobRecord records an attempt, before anything runs.
	jobRecord jobAction = "Record"
	// jobFollow starts the command unless that was done, and follows it.
	jobFollow jobAction = "Follow"
	// jobStop ends the processes of the command.
	jobStop jobAction = "Stop"
	// jobWithdraw writes that an attempt is over that does not count.
	jobWithdraw jobAction = "Withdraw"
	// jobRetry writes that an attempt has failed, and when the next one is due.
	jobRetry jobAction = "Retry"
	// jobConclude writes the outcome of the last attempt as that of the job.
	jobConclude jobAction = "Conclude"
	// jobConcludeLost writes that the sandbox was lost.
	jobConcludeLost jobAction = "ConcludeLost"
	// jobConcludeOverdue writes that the job took too long, where no command runs.
	jobConcludeOverdue jobAction = "ConcludeOverdue"
	// jobConcludeAsleep writes that the Sandbox was not awake.
	jobConcludeAsleep jobAction = "ConcludeAsleep"
	// jobEndSandbox deletes the job's own Sandbox, and waits until it is gone.
	jobEndSandbox jobAction = "EndSandbox"
	// jobClean removes the launcher's files from the guest.
	jobClean jobAction = "Clean"
	// jobDiscard ends the processes and removes the files.
	jobDiscard jobAction = "Discard"
	// jobLetGo removes the finalizer.
	jobLetGo jobAction = "LetGo"
	// jobDelete deletes the object, which was kept long enough.
	jobDelete jobAction = "Delete"
	// jobRest: there is nothing to do.
	jobRest jobAction = "Rest"
)

// planExecJob decides what to do next.
func planExecJob(o jobObserved) jobAction {
	switch {
	case o.deleting:
		return planExecJobDeletion(o)
	case o.finished:
		return planExecJobCleanup(o)
	case o.active:
		return planExecJobAttempt(o)
	default:
		return planExecJobInterval(o)
	}
}

// planExecJobInterval comes to the next attempt, or does not. A job that has not begun is in its first interval.
func planExecJobInterval(o jobObserved) jobAction {
	switch {
	case o.left && o.sandbox == jobSandboxUsable:
		return jobClean
	case o.suspended:
		return jobHold
	case o.overdue:
		return jobConcludeOverdue
	case !o.due:
		return jobAwaitTime
	case o.own == jobOwnUnmade && !o.held:
		return jobClaim
	case o.own == jobOwnUnmade:
		return jobMakeSandbox
	case o.sandbox == jobSandboxIdle && o.wake == v1alpha1.WakePolicyFail:
		return jobConcludeAsleep
	case o.sandbox == jobSandboxIdle && o.wake == v1alpha1.WakePolicyResume:
		return jobWake
	case o.sandbox != jobSandboxUsable:
		return jobAwaitSandbox
	case !o.resolved:
		return jobAwaitEnv
	case !o.held:
		return jobClaim
	default:
		return jobRecord
	}
}

// planExecJobAttempt sees an attempt to its end.
func planExecJobAttempt(o jobObserved) jobAction {
	switch {
	case o.ending == jobWithdrawn:
		return jobWithdraw
	case o.retries && (o.ending == jobFailed || o.ending == jobRemoteGone):
		return jobRetry
	case o.ending == jobRemoteGone:
		return jobConcludeLost
	case o.ending != jobUnderWay:
		return jobConclude
	case o.sandbox == jobSandboxIdle && o.wake != v1alpha1.WakePolicyWait:
		return jobWake
	case o.suspended, o.overdue:
		return jobStop
	default:
		return jobFollow
	}
}

// planExecJobCleanup leaves nothing of a finished job in the guest, nor a Sandbox of its own. A sandbox that does not run is
// waited for.
func planExecJobCleanup(o jobObserved) jobAction {
	switch {
	case o.own == jobOwnThere:
		return jobEndSandbox
	case o.held && !o.left:
		return jobLetGo
	case o.held && o.sandbox == jobSandboxUsable:
		return jobClean
	case o.expired:
		return jobDelete
	default:
		return jobRest
	}
}

// planExecJobDeletion lets go of the object when none of its processes can be left. What an attempt that is over has left
// in a sandbox that does not run is a few files, which are not worth holding the object for.
func planExecJobDeletion(o jobObserved) jobAction {
	switch {
	case o.own == jobOwnThere:
		return jobEndSandbox
	case !o.left:
		return jobLetGo
	case !o.active && o.sandbox != jobSandboxUsable:
		return jobLetGo
	case o.sandbox == jobSandboxIdle && o.wake != v1alpha1.WakePolicyWait:
		return jobWake
	default:
		return jobDiscard
	}
}
