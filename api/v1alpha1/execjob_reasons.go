package v1alpha1

// Reasons of an ExecJob's conditions while it has not finished. Reconciling is True with each.
const (
	// ReasonStarting says that the command is being started.
	ReasonStarting = "Starting"
	// ReasonExecuting says that the command runs.
	ReasonExecuting = "Executing"
	// ReasonReattaching says that the stream of a running command was lost and is being taken up again.
	ReasonReattaching = "Reattaching"
	// ReasonSandboxPaused says that the Sandbox is declared Paused: the job waits, or is frozen with it.
	ReasonSandboxPaused = "SandboxPaused"
	// ReasonStopping says that the processes of the command are being ended.
	ReasonStopping = "Stopping"
	// ReasonSandboxCreating says that the Sandbox of spec.sandboxTemplate has been made and does not run yet.
	ReasonSandboxCreating = "SandboxCreating"
	// ReasonSandboxRefused says that the API server does not let the Sandbox of spec.sandboxTemplate be made, for a quota
	// for instance. It is tried again.
	ReasonSandboxRefused = "SandboxRefused"
	// ReasonSandboxNameTaken says that the Sandbox of spec.sandboxTemplate cannot be made, because there is one of its name
	// that is not the job's. Stalled until that is deleted.
	ReasonSandboxNameTaken = "SandboxNameTaken"
	// ReasonSandboxResuming says that the Sandbox was paused by its idle timeout and is being resumed for the job.
	ReasonSandboxResuming = "SandboxResuming"
	// ReasonSandboxIdle says that the Sandbox was paused by its idle timeout, and that spec.wakePolicy waits until something
	// else resumes it.
	ReasonSandboxIdle = "SandboxIdle"
	// ReasonQueued says that the command waits to be started, because as many are followed as the connection's
	// limits.concurrentStreams allows.
	ReasonQueued = "Queued"
	// ReasonSuspended says that spec.suspend holds the job: no command runs, and none is started. The condition Suspended
	// is True.
	ReasonSuspended = "Suspended"
	// ReasonBackingOff says that an attempt has failed, and that the next one waits for its time.
	ReasonBackingOff = "BackingOff"
	// ReasonEnvNotFound says that a Secret or ConfigMap that spec.env refers to, or the key in it, is not there.
	// Waiting.
	ReasonEnvNotFound = "EnvNotFound"
	// ReasonOutputBlocked says that the API server refuses the output ConfigMap, for a quota for instance. The
	// command goes on; its output is stored when the refusal ends.
	ReasonOutputBlocked = "OutputBlocked"
)

// Reasons of a finished ExecJob's conditions. They never change again.
const (
	// ReasonSucceeded says that the command ended with exit code 0. Complete and Ready are True.
	ReasonSucceeded = "Succeeded"
	// ReasonNonZeroExit says that the last attempt's command ended with another exit code. Failed is True.
	ReasonNonZeroExit = "NonZeroExit"
	// ReasonCodeError says that the cell ended with an error, which status.result tells. Failed is True.
	ReasonCodeError = "CodeError"
	// ReasonSignaled says that a signal ended the last attempt's command. Failed is True.
	ReasonSignaled = "Signaled"
	// ReasonDeadlineExceeded says that the job was not over after activeDeadlineSeconds. A command that ran was
	// ended. Failed is True.
	ReasonDeadlineExceeded = "DeadlineExceeded"
	// ReasonSandboxLost says that the remote sandbox was gone before the command's end was known. Failed is True.
	ReasonSandboxLost = "SandboxLost"
	// ReasonSandboxAsleep says that the Sandbox was paused by its idle timeout, and that spec.wakePolicy is Fail. Failed is
	// True.
	ReasonSandboxAsleep = "SandboxAsleep"
	// ReasonExitUnknown says that the command does not run any more and has left no exit code: it, or somebody, has
	// removed the operator's files from the sandbox or ended its supervisor. Failed is True.
	ReasonExitUnknown = "ExitUnknown"
	// ReasonStreamLost says that the stream of a command with attachment Attached was lost: how it ended, and whether
	// it has, cannot be known. Failed is True.
	ReasonStreamLost = "StreamLost"
	// ReasonStartFailed says that the sandbox cannot run the command at all, for want of a tool or of a kernel.
	// Failed is True.
	ReasonStartFailed = "StartFailed"
)
