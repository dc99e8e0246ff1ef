package controller

import "github.com/wrennhq/wrenn-operator/api/v1alpha1"

// remoteState is what is known of the remote that a Sandbox has.
type remoteState string

const (
	// remoteUnseen: no list has been read since the operator started.
	remoteUnseen remoteState = "unseen"
	// remoteAbsent: the latest list lacks it. That proves nothing.
	remoteAbsent remoteState = "absent"
	// remotePending: being made, or left half made.
	remotePending remoteState = "pending"
	// remoteRunning: runs, as far as the service has noticed.
	remoteRunning remoteState = "running"
	// remotePaused: paused, by whomever.
	remotePaused remoteState = "paused"
	// remoteMissing: its host is out of touch.
	remoteMissing remoteState = "missing"
	// remoteEnded: the service itself says that it is stopped or failed, for good.
	remoteEnded remoteState = "ended"
	// remoteOdd: in a state that this version does not know.
	remoteOdd remoteState = "odd"
)

// intentState is how far an attempt to make a remote has come.
type intentState string

const (
	// intentNone: there is no attempt.
	intentNone intentState = "none"
	// intentFlying: the create is under way in this process.
	intentFlying intentState = "flying"
	// intentRefused: the service has clearly said no; nothing came of it.
	intentRefused intentState = "refused"
	// intentOpen: the outcome is not known.
	intentOpen intentState = "open"
)

// sandboxObserved is all that the plan of a Sandbox depends on.
type sandboxObserved struct {
	deleting bool
	mode     v1alpha1.OperatingMode
	recovery v1alpha1.RecoveryPolicy
	deletion v1alpha1.DeletionPolicy
	// idles tells that the sandbox has an idle timeout, so that a pause may be none of anybody's doing.
	idles bool
	// declaredPause tells that the last pause was asked for by the spec, so that a change of the spec ends it.
	declaredPause bool
	// bound tells that the Sandbox has a remote; remote is then what is known of it.
	bound  bool
	remote remoteState
	// claimed tells that the remote, which only an annotation names, is another Sandbox's.
	claimed bool
	// unsaved tells that the status does not name the remote yet.
	unsaved bool
	// unused tells of an ended remote that it ended within moments of its creation, before anything ran in it.
	unused bool
	intent intentState
	// flying tells that a call for the Sandbox, other than a create, is under way.
	flying bool
	// destroyed tells that the remote was just destroyed and seen to be stopped.
	destroyed bool
	// held tells that a Snapshot is being taken, which must not be disturbed.
	held bool
	// recorded tells that the annotations are up to date with the status.
	recorded bool
	// expired tells that the end of the sandbox's life has come; shutdown is what becomes of the object then.
	expired  bool
	shutdown v1alpha1.ShutdownPolicy
	// adopts tells that the spec names a remote to take over, and found that the service has just told of it.
	adopts, found bool
	// filesDue tells that the files of the spec have not been written into the remote.
	filesDue bool
	// keepsRunning tells that the sandbox is not to stay paused for being idle.
	keepsRunning bool
	// woken tells that somebody has asked for the sandbox to be woken, and that was not done yet.
	woken bool
	// pingDue tells that the service is to be told that the remote is in use, and pinged that it just was.
	pingDue, pinged bool
}

// sandboxAction is the one thing to do next for a Sandbox.
type sandboxAction string

const (
	// sandboxLetGo removes the finalizer.
	sandboxLetGo sandboxAction = "LetGo"
	// sandboxDestroy destroys the remote and sees that it is stopped.
	sandboxDestroy sandboxAction = "Destroy"
	// sandboxBegin writes an intent and asks for a remote.
	sandboxBegin sandboxAction = "Begin"
	// sandboxFind asks about the remote that is to be taken over.
	sandboxFind sandboxAction = "Find"
	// sandboxClaim takes it over.
	sandboxClaim sandboxAction = "Claim"
	// sandboxAwaitCreate waits for the create under way.
	sandboxAwaitCreate sandboxAction = "AwaitCreate"
	// sandboxSave writes the id of a new remote into the status, before anything else is done.
	sandboxSave sandboxAction = "Save"
	// sandboxCloseIntent ends an attempt that the service refused.
	sandboxCloseIntent sandboxAction = "CloseIntent"
	// sandboxResolveIntent finds out from a list what came of an attempt.
	sandboxResolveIntent sandboxAction = "ResolveIntent"
	// sandboxAwaitCall waits for another call under way.
	sandboxAwaitCall sandboxAction = "AwaitCall"
	// sandboxAwaitSnapshot waits until a snapshot has been taken.
	sandboxAwaitSnapshot sandboxAction = "AwaitSnapshot"
	// sandboxAwaitList waits for the first list after a start, and leaves everything as it is.
	sandboxAwaitList sandboxAction = "AwaitList"
	// sandboxAwaitState waits for a state that the operator can do nothing about to change.
	sandboxAwaitState sandboxAction = "AwaitState"
	// sandboxConfirm asks the service about a remote that its list lacks.
	sandboxConfirm sandboxAction = "Confirm"
	// sandboxPause pauses the remote.
	sandboxPause sandboxAction = "Pause"
	// sandboxResume resumes the remote.
	sandboxResume sandboxAction = "Resume"
	// sandboxWriteFiles writes the files of the spec into the remote.
	sandboxWriteFiles sandboxAction = "WriteFiles"
	// sandboxPing tells the service that the remote is in use.
	sandboxPing sandboxAction = "Ping"
	// sandboxExpire forgets the remote, which was destroyed at the end of its life.
	sandboxExpire sandboxAction = "Expire"
	// sandboxDelete deletes the object at the end of its life.
	sandboxDelete sandboxAction = "Delete"
	// sandboxRestExpired: nothing is to be done any more.
	sandboxRestExpired sandboxAction = "RestExpired"
	// sandboxReplace destroys an ended remote, to begin anew.
	sandboxReplace sandboxAction = "Replace"
	// sandboxReportLost reports a remote that is gone and not to be replaced.
	sandboxReportLost sandboxAction = "ReportLost"
	// sandboxReportClaimed reports that the remote is another Sandbox's.
	sandboxReportClaimed sandboxAction = "ReportClaimed"
	// sandboxRecord brings the annotations up to date.
	sandboxRecord sandboxAction = "Record"
	// sandboxRest: all is as the spec asks.
	sandboxRest sandboxAction = "Rest"
)

// planSandbox decides what to do next. It knows nothing of how, and nothing of whether it can be done just now.
func planSandbox(o sandboxObserved) sandboxAction {
	switch {
	case o.intent == intentFlying:
		return sandboxAwaitCreate
	case o.flying && !o.isToBeLeft():
		return sandboxAwaitCall
	case o.unsaved:
		return sandboxSave
	case o.deleting:
		return planSandboxDeletion(o)
	case o.claimed:
		return sandboxReportClaimed
	case o.intent == intentRefused:
		return sandboxCloseIntent
	case o.intent == intentOpen:
		return sandboxResolveIntent
	case o.held:
		return sandboxAwaitSnapshot
	case o.expired:
		return planSandboxExpiry(o)
	case !o.bound:
		return planSandboxBirth(o)
	default:
		return planSandboxRemote(o)
	}
}

// planSandboxBirth gets a Sandbox its remote.
func planSandboxBirth(o sandboxObserved) sandboxAction {
	switch {
	case !o.adopts:
		return sandboxBegin
	case !o.found:
		return sandboxFind
	default:
		return sandboxClaim
	}
}

// planSandboxExpiry ends a sandbox whose time has come.
func planSandboxExpiry(o sandboxObserved) sandboxAction {
	switch {
	case o.bound && !o.destroyed:
		return sandboxDestroy
	case o.bound:
		return sandboxExpire
	case o.shutdown == v1alpha1.ShutdownPolicyDelete:
		return sandboxDelete
	default:
		return sandboxRestExpired
	}
}

// planSandboxDeletion lets go of the object when nothing remote can be left behind.
func planSandboxDeletion(o sandboxObserved) sandboxAction {
	switch {
	case o.isToBeLeft(), o.claimed:
		return sandboxLetGo
	case o.intent == intentOpen:
		return sandboxResolveIntent
	case !o.bound, o.destroyed:
		return sandboxLetGo
	default:
		return sandboxDestroy
	}
}

// isToBeLeft tells whether the object is to go without its remote. No call is waited for then, other than a create.
func (o sandboxObserved) isToBeLeft() bool {
	return o.deleting && o.deletion == v1alpha1.DeletionPolicyOrphan
}

// planSandboxRemote brings the remote to what the spec asks.
func planSandboxRemote(o sandboxObserved) sandboxAction {
	switch o.remote {
	case remoteUnseen:
		return sandboxAwaitList
	case remoteAbsent:
		return sandboxConfirm
	case remoteEnded:
		return planSandboxLoss(o)
	case remoteRunning:
		switch {
		case o.filesDue:
			return sandboxWriteFiles
		case o.mode == v1alpha1.OperatingModePaused:
			return sandboxPause
		case o.pingDue:
			return sandboxPing
		}
	case remotePaused:
		if o.mode == v1alpha1.OperatingModeRunning && o.isToRun() {
			return sandboxResume
		}
	default:
		return sandboxAwaitState
	}
	if !o.recorded {
		return sandboxRecord
	}
	return sandboxRest
}

// isToRun tells whether a sandbox that is declared Running and is paused is to be resumed. One that its idle timeout has
// paused is where it should be, but for what needs it to run.
func (o sandboxObserved) isToRun() bool {
	return !o.idles || o.declaredPause || o.keepsRunning || o.woken || o.filesDue
}

// planSandboxLoss replaces what was lost where the spec asks for that, or where nothing had run in it. Only what the
// operator made can it make again.
func planSandboxLoss(o sandboxObserved) sandboxAction {
	switch {
	case o.recovery != v1alpha1.RecoveryPolicyRecreate && (!o.unused || o.adopts):
		return sandboxReportLost
	case o.destroyed:
		return sandboxBegin
	default:
		return sandboxReplace
	}
}
