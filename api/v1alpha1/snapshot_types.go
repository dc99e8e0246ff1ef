package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Reasons that only the conditions of a Snapshot give.
const (
	// ReasonTaken says that the remote snapshot is there and Sandboxes can be started from it.
	ReasonTaken = "Taken"
	// ReasonTaking says that the remote snapshot has been asked for.
	ReasonTaking = "Taking"
	// ReasonTakeUnconfirmed says that taking the snapshot got no clear answer, and that the operator is looking
	// for its result before it does anything else.
	ReasonTakeUnconfirmed = "TakeUnconfirmed"
	// ReasonRestoringSource says that the snapshot is taken and the source sandbox is being put back to what its
	// Sandbox declares.
	ReasonRestoringSource = "RestoringSource"
	// ReasonNameTaken says that the team already has a template or snapshot of that name which is not this
	// object's. Stalled.
	ReasonNameTaken = "NameTaken"
	// ReasonSnapshotInUse says that the Snapshot is deleted while a Sandbox still waits to start from it. The
	// remote snapshot stays until that Sandbox has started or is gone.
	ReasonSnapshotInUse = "SnapshotInUse"
)

// SourcePolicy says what becomes of the source sandbox after a snapshot of it was taken.
//
// +kubebuilder:validation:Enum=Resume;LeavePaused
type SourcePolicy string

const (
	// SourcePolicyResume puts the source back to what its Sandbox declares.
	SourcePolicyResume SourcePolicy = "Resume"
	// SourcePolicyLeavePaused leaves the source paused, where its Sandbox has an idle timeout or is declared
	// Paused; a Sandbox that is declared Running and never idles is resumed by its own declaration.
	SourcePolicyLeavePaused SourcePolicy = "LeavePaused"
)

// SnapshotSpec is what a Snapshot is taken of and how.
//
// +kubebuilder:validation:XValidation:rule="has(self.snapshotName) == has(oldSelf.snapshotName) && (!has(self.snapshotName) || self.snapshotName == oldSelf.snapshotName)",message="snapshotName is immutable: create another Snapshot"
type SnapshotSpec struct {
	// sandboxRef names the Sandbox, in the same namespace, that the snapshot is taken of. Immutable.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="sandboxRef is immutable: create another Snapshot"
	SandboxRef SandboxReference `json:"sandboxRef,omitzero"`

	// snapshotName is the name of the remote snapshot, unique in the Wrenn team. Absent: a name made of the
	// object's name, namespace and UID. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$')",message="snapshotName must be a Wrenn template name: a letter or digit, then up to 63 letters, digits, dots, underscores or hyphens"
	SnapshotName string `json:"snapshotName,omitempty"`

	// sourcePolicy says what becomes of the source sandbox, which Wrenn pauses to take the snapshot: Resume (the
	// default) puts it back to what its Sandbox declares, LeavePaused leaves it paused.
	// +optional
	// +default="Resume"
	SourcePolicy SourcePolicy `json:"sourcePolicy,omitempty"`

	// deletionPolicy says what becomes of the remote snapshot when this object is deleted: Delete (the default)
	// deletes it, Orphan leaves it.
	// +optional
	// +default="Delete"
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// SnapshotStatus is what the operator knows of the remote snapshot.
type SnapshotStatus struct {
	// conditions are Ready, and Reconciling or Stalled while either holds.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the metadata.generation that this status speaks of, -1 before the first visit.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// snapshotName is the name of the remote snapshot.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	SnapshotName string `json:"snapshotName,omitempty"`

	// sizeBytes is the size of the remote snapshot in bytes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SizeBytes *int64 `json:"sizeBytes,omitempty"`

	// vcpus is the number of virtual processors that sandboxes started from it get.
	// +optional
	// +kubebuilder:validation:Minimum=1
	VCPUs int32 `json:"vcpus,omitempty"`

	// memoryMiB is the memory in MiB that sandboxes started from it get.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MemoryMiB int32 `json:"memoryMiB,omitempty"`

	// createTime is when the remote snapshot was taken.
	// +optional
	CreateTime *metav1.Time `json:"createTime,omitempty"`

	// connection that the snapshot was taken through: that of its source.
	// +optional
	Connection *BoundConnection `json:"connection,omitempty"`
}

// Snapshot is one snapshot at Wrenn, taken of a Sandbox. Sandboxes can be started from it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=wsnap,categories=wrenn
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.sandboxRef.name`
// +kubebuilder:printcolumn:name="Bytes",type=integer,JSONPath=`.status.sizeBytes`
// +kubebuilder:printcolumn:name="Snapshot Name",type=string,JSONPath=`.status.snapshotName`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Snapshot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the snapshot is taken of and how.
	// +required
	Spec SnapshotSpec `json:"spec,omitzero"`

	// status is what the operator knows of the remote snapshot.
	// +optional
	// +default={"observedGeneration": -1}
	Status SnapshotStatus `json:"status,omitzero"`
}

// SnapshotList is a list of Snapshots.
//
// +kubebuilder:object:root=true
type SnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Snapshots.
	Items []Snapshot `json:"items"`
}
