package controller

import "github.com/wrennhq/wrenn-operator/api/v1alpha1"

// takeState is how far the taking of a remote snapshot has come.
type takeState string

const (
	// takeNone: it has not been asked for.
	takeNone takeState = "none"
	// takeRefused: the service has clearly said no.
	takeRefused takeState = "refused"
	// takeOpen: it was asked for, and the outcome is not known.
	takeOpen takeState = "open"
	// takeAbsent: it was asked for, and a list taken long enough afterwards lacks it.
	takeAbsent takeState = "absent"
	// takeDone: it is there, and the intent is still to be closed.
	takeDone takeState = "done"
	// takeRecorded: it is there, and nothing is left to do.
	takeRecorded takeState = "recorded"
)

// snapshotObserved is all that the plan of a Snapshot depends on.
type snapshotObserved struct {
	deleting bool
	deletion v1alpha1.DeletionPolicy
	// flying tells that a call for the Snapshot is under way.
	flying bool
	take   takeState
	// unsaved tells that the status does not tell of the remote snapshot yet.
	unsaved bool
	// chosen tells that the name was chosen by the user, so that somebody else's snapshot may have it.
	chosen bool
	// free tells that a list has just shown nobody to have the name.
	free bool
	// taken tells that a list has just shown somebody else to have the name.
	taken bool
	// sourced tells that the Sandbox named in the spec has the remote that the intent is about.
	sourced bool
	// restore tells that the source is to be resumed and has not been.
	restore bool
	// awaited tells that a Sandbox is still to be started from it.
	awaited bool
	// deleted tells that the remote snapshot was just deleted and seen to be gone.
	deleted bool
}

// snapshotAction is the one thing to do next for a Snapshot.
type snapshotAction string

const (
	// snapshotAwaitCall waits for the call under way.
	snapshotAwaitCall snapshotAction = "AwaitCall"
	// snapshotCheckName looks whether anybody has the name.
	snapshotCheckName snapshotAction = "CheckName"
	// snapshotReportTaken reports that somebody else has the name.
	snapshotReportTaken snapshotAction = "ReportTaken"
	// snapshotBegin writes an intent and takes the snapshot.
	snapshotBegin snapshotAction = "Begin"
	// snapshotTakeAgain takes the snapshot under the intent that is there: the name sees to it that there is but one.
	snapshotTakeAgain snapshotAction = "TakeAgain"
	// snapshotLook looks in the list for what came of an attempt.
	snapshotLook snapshotAction = "Look"
	// snapshotSave writes what was taken into the status.
	snapshotSave snapshotAction = "Save"
	// snapshotRestore resumes the source.
	snapshotRestore snapshotAction = "Restore"
	// snapshotCloseIntent removes the intent.
	snapshotCloseIntent snapshotAction = "CloseIntent"
	// snapshotAwaitUse waits until no Sandbox is to be started from it.
	snapshotAwaitUse snapshotAction = "AwaitUse"
	// snapshotDelete deletes the remote snapshot.
	snapshotDelete snapshotAction = "Delete"
	// snapshotLetGo removes the finalizer.
	snapshotLetGo snapshotAction = "LetGo"
	// snapshotRest: all is as the spec asks.
	snapshotRest snapshotAction = "Rest"
)

// planSnapshot decides what to do next. A snapshot that was begun is always seen to its end, since the source waits.
func planSnapshot(o snapshotObserved) snapshotAction {
	switch {
	case o.flying:
		return snapshotAwaitCall
	case o.take == takeRefused:
		return snapshotCloseIntent
	case o.take == takeOpen:
		return snapshotLook
	case o.take == takeAbsent && o.sourced && !o.deleting:
		return snapshotTakeAgain
	case o.take == takeAbsent:
		return snapshotCloseIntent
	case o.take == takeDone && o.restore:
		return snapshotRestore
	case o.unsaved:
		return snapshotSave
	case o.take == takeDone:
		return snapshotCloseIntent
	case o.deleting:
		return planSnapshotDeletion(o)
	case o.take == takeRecorded:
		return snapshotRest
	case o.taken:
		return snapshotReportTaken
	case o.chosen && !o.free:
		return snapshotCheckName
	default:
		return snapshotBegin
	}
}

// planSnapshotDeletion lets go of the object when nothing remote can be left behind.
func planSnapshotDeletion(o snapshotObserved) snapshotAction {
	switch {
	case o.take == takeNone, o.deleted, o.deletion == v1alpha1.DeletionPolicyOrphan:
		return snapshotLetGo
	case o.awaited:
		return snapshotAwaitUse
	default:
		return snapshotDelete
	}
}
