package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SandboxPort is a port of the sandbox that is published.
type SandboxPort struct {
	// name of the port, unique within the Sandbox.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// port that a program in the sandbox listens on.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// SandboxSpec is what a Sandbox is asked to be.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.template) && has(self.snapshotRef))",message="set template or snapshotRef, not both: a sandbox starts from one of them"
// +kubebuilder:validation:XValidation:rule="has(self.template) == has(oldSelf.template) && (!has(self.template) || self.template == oldSelf.template)",message="template is immutable: create another Sandbox to start from another template"
// +kubebuilder:validation:XValidation:rule="has(self.snapshotRef) == has(oldSelf.snapshotRef) && (!has(self.snapshotRef) || self.snapshotRef == oldSelf.snapshotRef)",message="snapshotRef is immutable: create another Sandbox to start from another Snapshot"
// +kubebuilder:validation:XValidation:rule="has(self.adoptID) == has(oldSelf.adoptID) && (!has(self.adoptID) || self.adoptID == oldSelf.adoptID)",message="adoptID is immutable: create another Sandbox to take over another remote"
// +kubebuilder:validation:XValidation:rule="!has(self.adoptID) || (!has(self.template) && !has(self.snapshotRef))",message="set neither template nor snapshotRef with adoptID: the remote is there already"
// +kubebuilder:validation:XValidation:rule="!has(self.adoptID) || self.recoveryPolicy != 'Recreate'",message="set recoveryPolicy to None with adoptID: the operator cannot make again what it has not made"
type SandboxSpec struct {
	// template is the Wrenn template that the sandbox starts from. At most one of template and snapshotRef is
	// set; with neither it is the template "minimal". Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$')",message="template must be a Wrenn template name: a letter or digit, then up to 63 letters, digits, dots, underscores or hyphens"
	Template string `json:"template,omitempty"`

	// snapshotRef names a Snapshot in the namespace that the sandbox starts from, once that is Ready. Wrenn takes
	// the size of such a sandbox from the snapshot and ignores vcpus and memoryMiB. Immutable.
	// +optional
	SnapshotRef *SnapshotReference `json:"snapshotRef,omitempty"`

	// vcpus is the number of virtual processors. Default 1. Immutable.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="vcpus is immutable: create another Sandbox of the wanted size"
	VCPUs int32 `json:"vcpus,omitempty"`

	// memoryMiB is the memory in MiB. Default 512. Immutable.
	// +optional
	// +default=512
	// +kubebuilder:validation:Minimum=128
	// +kubebuilder:validation:Maximum=1048576
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="memoryMiB is immutable: create another Sandbox of the wanted size"
	MemoryMiB int32 `json:"memoryMiB,omitempty"`

	// operatingMode is Running (the default) or Paused. Changing it pauses and resumes the sandbox.
	// +optional
	// +default="Running"
	OperatingMode OperatingMode `json:"operatingMode,omitempty"`

	// idleTimeoutSeconds is how long the sandbox may go without activity before Wrenn pauses it. 0 (the default):
	// never. Commands that are started count as activity; commands that are still running, file transfers and
	// traffic to its ports do not. Immutable, since Wrenn takes it at creation only.
	// +optional
	// +default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="idleTimeoutSeconds is immutable: Wrenn takes it at creation only"
	IdleTimeoutSeconds *int32 `json:"idleTimeoutSeconds,omitempty"`

	// idlePolicy says what becomes of a sandbox, declared Running, that is idle for idleTimeoutSeconds: StayPaused
	// (the default) leaves it paused until something wakes it, KeepRunning has the operator keep it awake, and
	// resume it if it was paused all the same. Without an idle timeout it says nothing.
	// +optional
	// +default="StayPaused"
	IdlePolicy IdlePolicy `json:"idlePolicy,omitempty"`

	// ttlSeconds is how long the sandbox lives, from the creation of this object. At its end the remote is
	// destroyed, whatever it does. Absent: for ever. Together with shutdownTime the earlier end counts. An end that
	// is put off after it has come gets the Sandbox a fresh remote.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=315360000
	TTLSeconds int32 `json:"ttlSeconds,omitempty"`

	// shutdownTime is when the sandbox's life ends, by the operator's clock. Absent: never.
	// +optional
	ShutdownTime *metav1.Time `json:"shutdownTime,omitempty"`

	// shutdownPolicy says what becomes of this object at the end of the sandbox's life: Retain (the default) keeps
	// it, with reason Expired, Delete deletes it.
	// +optional
	// +default="Retain"
	ShutdownPolicy ShutdownPolicy `json:"shutdownPolicy,omitempty"`

	// recoveryPolicy says what to do when the remote sandbox is gone or has failed: None (the default) reports it
	// and stops, Recreate starts a fresh one. A sandbox that Wrenn loses within moments of its creation is
	// replaced whatever this says, since nothing has run in it yet.
	// +optional
	// +default="None"
	RecoveryPolicy RecoveryPolicy `json:"recoveryPolicy,omitempty"`

	// deletionPolicy says what becomes of the remote sandbox when this object is deleted: Delete (the default)
	// destroys it, Orphan leaves it.
	// +optional
	// +default="Delete"
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// adoptID is the id of an existing remote sandbox to take over instead of creating one. template, snapshotRef,
	// vcpus, memoryMiB and idleTimeoutSeconds then say nothing: the remote is as it is. One that another Sandbox has
	// is refused. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=28
	// +kubebuilder:validation:MaxLength=28
	// +kubebuilder:validation:XValidation:rule="self.matches('^cl-[0-9a-z]{25}$')",message="adoptID must be a Wrenn sandbox id: cl- and 25 lower-case letters and digits"
	AdoptID string `json:"adoptID,omitempty"`

	// files are written into every new remote, once, before the Sandbox is Ready. Those of an adopted remote are
	// written too. Later changes of this list, and of what it refers to, are for the next remote.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=64
	Files []SandboxFile `json:"files,omitempty"`

	// ports are the ports that status.endpoints gives URLs for.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Ports []SandboxPort `json:"ports,omitempty"`

	// connectionRef names the connection to use. Absent: the Connection "default" of the namespace, and where
	// there is none the ClusterConnection "default". Immutable once the Sandbox is bound to one.
	// +optional
	ConnectionRef *ConnectionReference `json:"connectionRef,omitempty"`
}

// SandboxEndpoint is where a published port is reached.
type SandboxEndpoint struct {
	// name of the port, as in spec.ports.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// url of Wrenn's proxy for the port.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url,omitempty"`
}

// SandboxStatus is what the operator knows of the remote sandbox.
type SandboxStatus struct {
	// conditions are Ready, Running, and Reconciling or Stalled while either holds.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the metadata.generation that this status speaks of, -1 before the first visit.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// sandboxID is Wrenn's id of the remote sandbox.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	SandboxID string `json:"sandboxID,omitempty"`

	// state is Wrenn's own word for the state of the remote sandbox.
	// +optional
	State SandboxState `json:"state,omitempty"`

	// operatingMode is the spec.operatingMode that the sandbox was last brought to; Paused as soon as a pause is begun. It
	// tells a pause that was declared, which a change of the spec ends, from one by the idle timeout.
	// +optional
	OperatingMode OperatingMode `json:"operatingMode,omitempty"`

	// template that the remote sandbox was started from, as Wrenn tells.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Template string `json:"template,omitempty"`

	// vcpus is the real number of virtual processors.
	// +optional
	// +kubebuilder:validation:Minimum=1
	VCPUs int32 `json:"vcpus,omitempty"`

	// memoryMiB is the real memory in MiB.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MemoryMiB int32 `json:"memoryMiB,omitempty"`

	// idleTimeoutSeconds is the real idle timeout, which an adopted sandbox brings along. Absent: it never idles.
	// +optional
	// +kubebuilder:validation:Minimum=1
	IdleTimeoutSeconds int32 `json:"idleTimeoutSeconds,omitempty"`

	// hostIP is the address of the host that the sandbox runs on. It changes with every resume.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	HostIP string `json:"hostIP,omitempty"`

	// guestIP is the address of the sandbox on its host, where Wrenn tells it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	GuestIP string `json:"guestIP,omitempty"`

	// createTime is when the remote sandbox was created.
	// +optional
	CreateTime *metav1.Time `json:"createTime,omitempty"`

	// startTime is when the remote sandbox was last started or resumed.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// lastActiveTime is when Wrenn last saw activity. It is brought up to date only along with something else.
	// +optional
	LastActiveTime *metav1.Time `json:"lastActiveTime,omitempty"`

	// endpoints gives the URL of each port of spec.ports.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Endpoints []SandboxEndpoint `json:"endpoints,omitempty"`

	// filesWritten is the id of the remote sandbox that spec.files were written into.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	FilesWritten string `json:"filesWritten,omitempty"`

	// expirationTime is when the sandbox's life ends, from spec.ttlSeconds and spec.shutdownTime. Absent: never.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// lastHandledWakeAt is the value of the annotation wrenn.dev/wake-requested-at that was last followed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	LastHandledWakeAt string `json:"lastHandledWakeAt,omitempty"`

	// connection that the Sandbox is bound to.
	// +optional
	Connection *BoundConnection `json:"connection,omitempty"`

	// recreations is how many times the remote sandbox was replaced by a fresh one.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Recreations int32 `json:"recreations,omitempty"`
}

// Sandbox is one microVM sandbox at Wrenn.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=wsb,categories=wrenn
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.operatingMode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Template",type=string,JSONPath=`.status.template`
// +kubebuilder:printcolumn:name="Sandbox ID",type=string,JSONPath=`.status.sandboxID`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.connection) || (has(self.spec.connectionRef) == has(oldSelf.spec.connectionRef) && (!has(self.spec.connectionRef) || self.spec.connectionRef == oldSelf.spec.connectionRef))",message="spec.connectionRef is immutable once the Sandbox is bound: create another Sandbox to use another connection"
type Sandbox struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the sandbox is asked to be.
	// +optional
	// +default={}
	Spec SandboxSpec `json:"spec,omitzero"`

	// status is what the operator knows of the remote sandbox.
	// +optional
	// +default={"observedGeneration": -1}
	Status SandboxStatus `json:"status,omitzero"`
}

// SandboxList is a list of Sandboxes.
//
// +kubebuilder:object:root=true
type SandboxList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Sandboxes.
	Items []Sandbox `json:"items"`
}
