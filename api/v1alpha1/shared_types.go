package v1alpha1

// Names that the operator writes into the metadata of objects.
const (
	// Finalizer holds an object until what it stands for at Wrenn is gone: the remote sandbox of a Sandbox, the
	// remote snapshot of a Snapshot, the processes of an ExecJob.
	Finalizer = "wrenn.dev/destroy"

	// FinalizerInUse holds a Connection, a ClusterConnection and the Secret that it reads while a Sandbox or Snapshot
	// needs them: without the key, nothing remote can be destroyed.
	FinalizerInUse = "wrenn.dev/in-use"

	// AnnotationSandboxID repeats status.sandboxID of a Sandbox, because status does not survive a backup and
	// restore.
	AnnotationSandboxID = "wrenn.dev/sandbox-id"

	// AnnotationFilesWritten repeats status.filesWritten of a Sandbox, for the same reason: what was written once is
	// not written over what has become of it.
	AnnotationFilesWritten = "wrenn.dev/files-written"

	// AnnotationCreateIntent is written before a remote sandbox is asked for and removed when its outcome is
	// known. The operator alone writes it.
	AnnotationCreateIntent = "wrenn.dev/create-intent"

	// AnnotationCreateOutcome is a person's decision on a Sandbox with reason CreateOutcomeUnknown: "retry" to make
	// another remote sandbox, or "adopt=<sandbox id>" to take that one.
	AnnotationCreateOutcome = "wrenn.dev/create-outcome"

	// AnnotationSnapshotIntent is written to a Snapshot before its remote snapshot is asked for. The operator
	// alone writes it.
	AnnotationSnapshotIntent = "wrenn.dev/snapshot-intent"

	// AnnotationWakeRequestedAt asks the operator to resume a Sandbox that its idle timeout has paused. Any new value
	// will do; a time is customary.
	AnnotationWakeRequestedAt = "wrenn.dev/wake-requested-at"

	// AnnotationReconcileRequestedAt asks the operator for one more try of a stalled object. Any new value will
	// do; a time is customary.
	AnnotationReconcileRequestedAt = "wrenn.dev/reconcile-requested-at"

	// LabelExecJob names, on an output ConfigMap and on a Sandbox that was made for an ExecJob, that ExecJob.
	LabelExecJob = "wrenn.dev/execjob"
)

// DeletionPolicy says what becomes of the remote thing when its object is deleted.
//
// +kubebuilder:validation:Enum=Delete;Orphan
type DeletionPolicy string

const (
	// DeletionPolicyDelete destroys the remote thing before the object goes.
	DeletionPolicyDelete DeletionPolicy = "Delete"
	// DeletionPolicyOrphan leaves the remote thing as it is and lets the object go at once.
	DeletionPolicyOrphan DeletionPolicy = "Orphan"
)

// SandboxReference names a Sandbox in the namespace of the object that holds the reference.
type SandboxReference struct {
	// name of the Sandbox.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// SnapshotReference names a Snapshot in the namespace of the object that holds the reference.
type SnapshotReference struct {
	// name of the Snapshot.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// SecretKeyReference names one key of a Secret.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key within the Secret's data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// ConfigMapKeyReference names one key of a ConfigMap.
type ConfigMapKeyReference struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key within the ConfigMap's data or binaryData.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// ConnectionKind is the kind that a ConnectionReference refers to.
//
// +kubebuilder:validation:Enum=Connection;ClusterConnection
type ConnectionKind string

const (
	// ConnectionKindNamespaced is a Connection in the namespace of the object that refers to it.
	ConnectionKindNamespaced ConnectionKind = "Connection"
	// ConnectionKindCluster is a ClusterConnection that is lent to the namespace.
	ConnectionKindCluster ConnectionKind = "ClusterConnection"
)

// ConnectionReference names the Connection or ClusterConnection to use.
type ConnectionReference struct {
	// kind is Connection (the default) or ClusterConnection.
	// +optional
	// +default="Connection"
	Kind ConnectionKind `json:"kind,omitempty"`

	// name of the connection.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// BoundConnection records the connection that an object was bound to when it first reached Wrenn. The operator
// writes it once.
type BoundConnection struct {
	// kind of the connection.
	// +required
	Kind ConnectionKind `json:"kind,omitempty"`

	// name of the connection.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// fingerprint identifies the endpoint and credential that were used, without revealing either.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`
}
