package controller

import (
	"testing"

	"github.com/wrennhq/wrenn-operator/internal/execrun"
)

var (
	allJobSandboxes = []jobSandbox{jobSandboxAbsent, jobSandboxLost, jobSandboxPaused, jobSandboxWaiting, jobSandboxUsable}
	allPhases       = []execrun.Phase{
		"", execrun.Starting, execrun.Following, execrun.Reattaching, execrun.Waiting, execrun.Stopping, execrun.Cleaning,
		execrun.Finished, execrun.StartFailed, execrun.Lost, execrun.Cleaned,
	}
)

// wantsJob says in the words of the specification what is to be done.
func wantsJob(o jobObserved) jobAction {
	remoteGone := o.sandbox == jobSandboxAbsent || o.sandbox == jobSandboxLost || o.phase == execrun.Lost
	nothingLeft := remoteGone || o.phase == execrun.Cleaned
	usable := o.sandbox == jobSandboxUsable
	if o.deleting {
		// Nothing to end, or nothing left of it; a finished job has no processes, only files.
		if !o.recorded || nothingLeft || (o.finished && !usable) {
			return jobLetGo
		}
		return jobDiscard
	}
	if o.finished {
		switch {
		case o.held && nothingLeft:
			return jobLetGo
		case o.held && usable:
			return jobClean
		}
		return jobRest
	}
	if !o.recorded {
		switch {
		case !usable:
			return jobAwaitSandbox
		case !o.resolved:
			return jobAwaitEnv
		case !o.held:
			return jobClaim
		}
		return jobRecord
	}
	switch {
	case o.phase == execrun.Finished, o.phase == execrun.StartFailed, o.phase == execrun.Lost:
		return jobConclude // what is known outweighs that the sandbox is gone
	case remoteGone:
		return jobConcludeLost
	case o.overdue:
		return jobStop
	}
	return jobFollow
}

func TestPlanExecJobCoversEveryState(t *testing.T) {
	t.Parallel()
	for _, sandbox := range allJobSandboxes {
		for _, phase := range allPhases {
			for _, f := range combinations(6) {
				o := jobObserved{
					sandbox: sandbox, phase: phase, deleting: f[0], held: f[1], finished: f[2], recorded: f[3], resolved: f[4], overdue: f[5],
				}
				if got, want := planExecJob(o), wantsJob(o); got != want {
					t.Errorf("%+v: %s, want %s", o, got, want)
				}
			}
		}
	}
}

// Nothing that was finished is ever run again, and nothing is run before its attempt is recorded.
func TestPlanExecJobNeverRunsTwice(t *testing.T) {
	t.Parallel()
	for _, sandbox := range allJobSandboxes {
		for _, phase := range allPhases {
			for _, f := range combinations(6) {
				o := jobObserved{
					sandbox: sandbox, phase: phase, deleting: f[0], held: f[1], finished: f[2], recorded: f[3], resolved: f[4], overdue: f[5],
				}
				if action := planExecJob(o); action == jobFollow && (o.finished || !o.recorded || o.deleting) {
					t.Errorf("%+v: %s", o, action)
				}
			}
		}
	}
}
