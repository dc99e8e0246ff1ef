package controller

import "github.com/wrennhq/wrenn-operator/internal/execrun"

// jobSandbox is what an ExecJob's Sandbox is good for.
type jobSandbox string

const (
	// jobSandboxAbsent: there is none, or it is being deleted.
	jobSandboxAbsent jobSandbox = "absent"
	// jobSandboxLost: the remote that the command was started in is not the Sandbox's any more.
	jobSandboxLost jobSandbox = "lost"
	// jobSandboxPaused: it is declared Paused.
	jobSandboxPaused jobSandbox = "paused"
	// jobSandboxWaiting: it cannot be used yet, or just now.
	jobSandboxWaiting jobSandbox = "waiting"
	// jobSandboxUsable: it can be used.
	jobSandboxUsable jobSandbox = "usable"
)

// jobObserved is all that the plan of an ExecJob depends on.
type jobObserved struct {
	deleting bool
	// held tells that the object has the finalizer.
	held bool
	// finished tells that it is Complete or Failed. It never runs again.
	finished bool
	// recorded tells that an attempt is recorded: the command may have been started.
	recorded bool
	sandbox  jobSandbox
	// resolved tells that every variable of the environment has its value.
	resolved bool
	// phase is where the attempt stands, empty where the runner was not told of it.
	phase execrun.Phase
	// overdue tells that the command has run past its deadline.
	overdue bool
}

// jobAction is the one thing to do next for an ExecJob.
type jobAction string

const (
	// jobAwaitSandbox waits for a Sandbox that can be used.
	jobAwaitSandbox jobAction = "AwaitSandbox"
	// jobAwaitEnv waits for a Secret or ConfigMap.
	jobAwaitEnv jobAction = "AwaitEnv"
	// jobClaim puts the finalizer on.
	jobClaim jobAction = "Claim"
	// jobRecord records the attempt, before anything runs.
	jobRecord jobAction = "Record"
	// jobFollow starts the command unless that was done, and follows it.
	jobFollow jobAction = "Follow"
	// jobStop ends the processes of the command.
	jobStop jobAction = "Stop"
	// jobConclude writes the outcome.
	jobConclude jobAction = "Conclude"
	// jobConcludeLost writes that the sandbox was lost.
	jobConcludeLost jobAction = "ConcludeLost"
	// jobClean removes the launcher's files from the guest.
	jobClean jobAction = "Clean"
	// jobDiscard ends the processes and removes the files.
	jobDiscard jobAction = "Discard"
	// jobLetGo removes the finalizer.
	jobLetGo jobAction = "LetGo"
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
	case o.recorded:
		return planExecJobRun(o)
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

// planExecJobRun sees a command to its end.
func planExecJobRun(o jobObserved) jobAction {
	switch {
	case o.phase == execrun.Finished, o.phase == execrun.StartFailed, o.phase == execrun.Lost:
		return jobConclude
	case o.sandbox == jobSandboxAbsent, o.sandbox == jobSandboxLost:
		return jobConcludeLost
	case o.overdue:
		return jobStop
	default:
		return jobFollow
	}
}

// planExecJobCleanup leaves nothing of a finished job in the guest. A sandbox that does not run is waited for.
func planExecJobCleanup(o jobObserved) jobAction {
	switch {
	case !o.held:
		return jobRest
	case o.gone():
		return jobLetGo
	case o.sandbox == jobSandboxUsable:
		return jobClean
	default:
		return jobRest
	}
}

// planExecJobDeletion lets go of the object when none of its processes can be left. What a finished job has left in a
// sandbox that does not run is a few files, which are not worth holding the object for.
func planExecJobDeletion(o jobObserved) jobAction {
	switch {
	case !o.recorded, o.gone():
		return jobLetGo
	case o.finished && o.sandbox != jobSandboxUsable:
		return jobLetGo
	default:
		return jobDiscard
	}
}

// gone tells that nothing of the job is in any guest.
func (o jobObserved) gone() bool {
	return o.phase == execrun.Cleaned || o.phase == execrun.Lost || o.sandbox == jobSandboxAbsent || o.sandbox == jobSandboxLost
}
