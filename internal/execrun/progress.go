package execrun

import (
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// Phase is where an attempt stands.
type Phase string

// The phases. Finished, Lost, StartFailed and Cleaned are final for the goal that the attempt has.
const (
	// Starting: the command is being started, or it is not known yet that it was.
	Starting Phase = "Starting"
	// Following: the command runs and its output is followed.
	Following Phase = "Following"
	// Reattaching: the command was started and the stream is lost.
	Reattaching Phase = "Reattaching"
	// Waiting: the sandbox does not run. Nothing is tried until Ensure tells of a change, but for a look now and then.
	Waiting Phase = "Waiting"
	// Stopping: the processes of the command are being ended.
	Stopping Phase = "Stopping"
	// Cleaning: the launcher's files are being removed.
	Cleaning Phase = "Cleaning"
	// Finished: Exit is known, and all of the output up to the limit is stored.
	Finished Phase = "Finished"
	// StartFailed: the command was not started and will not be.
	StartFailed Phase = "StartFailed"
	// Lost: the service says that the sandbox is gone for good.
	Lost Phase = "Lost"
	// Cleaned: nothing of the attempt is left in the guest.
	Cleaned Phase = "Cleaned"
)

// ExitKind says what is known of the end of a command.
type ExitKind string

// The ways in which a command ends.
const (
	// Exited by itself, with Code.
	Exited ExitKind = "exit"
	// Signaled: ended by the signal that Code names.
	Signaled ExitKind = "signal"
	// Unstarted: it never began, and never will.
	Unstarted ExitKind = "unstarted"
	// StreamLost: the stream of an attached command was lost, and with it all knowledge of its end.
	StreamLost ExitKind = "lost"
	// Unknown: it is not running any more and left no exit code, its launcher having been killed or its files removed.
	Unknown ExitKind = "unknown"
)

// Exit is how a command ended.
type Exit struct {
	Kind ExitKind
	// Code is the exit code or the number of the signal.
	Code int32
	// Duration is how long it ran by the guest's own clock, which stands still while the guest is paused.
	Duration time.Duration
	// Stopped says that it had been told to stop before it ended.
	Stopped bool
}

// StreamProgress is what is known of one stream.
type StreamProgress struct {
	// Bytes is how much of the stream was seen.
	Bytes int64
	// Tail is the end of it as text, without secrets.
	Tail string
}

// Progress is where an attempt stands. Messages have nothing in them that changes from one retry to the next.
type Progress struct {
	Phase Phase
	// Reason and Message are a condition's, and empty while there is nothing to say but the phase.
	Reason, Message string
	// PID is the process of the command, 0 until it is known to have been started.
	PID int32
	// StartedAt is when the command began, by this machine's clock.
	StartedAt      time.Time
	Stdout, Stderr StreamProgress
	// Truncated is how many bytes of both streams are not stored, because of the limit.
	Truncated int64
	// ConfigMaps hold the output, in order.
	ConfigMaps []string
	// Exit is set once the end is known. The output may not all be stored then: see Phase.
	Exit *Exit
	// Result is what was told of a cell, nil where nothing was. It is set with Finished.
	Result *CellResult
	// Artifacts are what became of the files that were to be fetched. It is set with Finished.
	Artifacts []v1alpha1.ExecArtifact
	// Stopped says that a look has found no process of the command left.
	Stopped bool
}
