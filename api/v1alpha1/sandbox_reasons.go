package v1alpha1

// Reasons of a Sandbox's Ready condition that say it is as its spec asks.
const (
	// ReasonRunning says that the sandbox runs, as declared. The Running condition is True.
	ReasonRunning = "Running"
	// ReasonPaused says that the sandbox is paused, as declared. The Running condition is False.
	ReasonPaused = "Paused"
	// ReasonIdlePaused says that the sandbox, declared Running, was paused by its idle timeout. Ready is True: an
	// idle timeout asks for just that. The Running condition is False.
	ReasonIdlePaused = "IdlePaused"
	// ReasonExpired says that the end of the sandbox's life has come and its remote was destroyed. Ready is True: that
	// is what spec.ttlSeconds and spec.shutdownTime ask for. The Running condition is False.
	ReasonExpired = "Expired"
)

// Reasons of a Sandbox's Ready condition while the operator works or waits. Reconciling is True with each.
const (
	// ReasonCreating says that the remote sandbox has been asked for.
	ReasonCreating = "Creating"
	// ReasonCreateUnconfirmed says that a create got no clear answer and the operator is looking for its result
	// before it does anything else.
	ReasonCreateUnconfirmed = "CreateUnconfirmed"
	// ReasonPausing says that the sandbox is being paused.
	ReasonPausing = "Pausing"
	// ReasonResuming says that the sandbox is being resumed.
	ReasonResuming = "Resuming"
	// ReasonSnapshotting says that a Snapshot of the sandbox is being taken, which pauses it for that time.
	ReasonSnapshotting = "Snapshotting"
	// ReasonRecreating says that the remote sandbox was lost and another is being made in its place.
	ReasonRecreating = "Recreating"
	// ReasonHostMissing says that Wrenn has lost touch with the host of the sandbox and does not know its state.
	// Waiting: it comes back, or is lost, when the host is heard from.
	ReasonHostMissing = "HostMissing"
	// ReasonRemoteUnconfirmed says that Wrenn neither lists the remote sandbox nor says that it is gone. Ready is
	// Unknown. Retried with backoff.
	ReasonRemoteUnconfirmed = "RemoteUnconfirmed"
	// ReasonSnapshotNotFound says that there is no Snapshot of the referenced name in the namespace. Waiting.
	ReasonSnapshotNotFound = "SnapshotNotFound"
	// ReasonSnapshotNotReady says that the referenced Snapshot is not Ready yet. Waiting.
	ReasonSnapshotNotReady = "SnapshotNotReady"
	// ReasonAdopting says that the remote sandbox which spec.adoptID names is being taken over.
	ReasonAdopting = "Adopting"
	// ReasonWritingFiles says that spec.files are being written. It comes before the first Ready.
	ReasonWritingFiles = "WritingFiles"
	// ReasonFileSourceNotFound says that a Secret or ConfigMap of spec.files, or the key of it, is not there. Waiting.
	ReasonFileSourceNotFound = "FileSourceNotFound"
	// ReasonCredentialWithheld says that spec.files or spec.env refer to the Secret's key that a Connection, or in the
	// operator's own namespace a ClusterConnection, has its credential in. No sandbox is given that. Waiting.
	ReasonCredentialWithheld = "CredentialWithheld" //nolint:gosec // the name of a reason
	// ReasonLimitReached says that the connection has as many sandboxes as its limits.maxSandboxes allows. Waiting.
	ReasonLimitReached = "LimitReached"
	// ReasonExpiring says that the end of the sandbox's life has come and its remote is being destroyed.
	ReasonExpiring = "Expiring"
)

// Reasons of a Sandbox's Ready condition that stall it.
const (
	// ReasonTemplateNotFound says that Wrenn has no template of the wanted name, or none that this team may use.
	// It is tried again from time to time, so that building the template repairs it.
	ReasonTemplateNotFound = "TemplateNotFound"
	// ReasonLost says that the remote sandbox was stopped or failed without the operator's doing, and that
	// spec.recoveryPolicy is None.
	ReasonLost = "Lost"
	// ReasonAdoptedNotFound says that Wrenn knows no sandbox of the id in spec.adoptID, or none of this team. It is
	// looked for again from time to time.
	ReasonAdoptedNotFound = "AdoptedNotFound"
	// ReasonFileRefused says that a file of spec.files cannot be written where it is to be, or is too large.
	ReasonFileRefused = "FileRefused"
	// ReasonSandboxClaimed says that the remote sandbox which spec.adoptID or the annotation wrenn.dev/sandbox-id
	// names is another Sandbox's.
	ReasonSandboxClaimed = "SandboxClaimed"
	// ReasonCreateOutcomeUnknown says that a create got no clear answer and that what Wrenn lists does not tell
	// which sandbox, if any, came of it. Ready is Unknown. A person decides.
	ReasonCreateOutcomeUnknown = "CreateOutcomeUnknown"
)
