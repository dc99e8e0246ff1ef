package v1alpha1

// OperatingMode is the state that a Sandbox is asked to be in.
//
// +kubebuilder:validation:Enum=Running;Paused
type OperatingMode string

const (
	// OperatingModeRunning asks for a sandbox that runs.
	OperatingModeRunning OperatingMode = "Running"
	// OperatingModePaused asks for a sandbox that is paused: its memory and files are kept, nothing runs.
	OperatingModePaused OperatingMode = "Paused"
)

// RecoveryPolicy says what to do about a remote sandbox that is gone or has failed.
//
// +kubebuilder:validation:Enum=None;Recreate
type RecoveryPolicy string

const (
	// RecoveryPolicyNone reports the loss and stops.
	RecoveryPolicyNone RecoveryPolicy = "None"
	// RecoveryPolicyRecreate starts a fresh sandbox from the same source.
	RecoveryPolicyRecreate RecoveryPolicy = "Recreate"
)

// IdlePolicy says what becomes of a Running sandbox that is idle.
//
// +kubebuilder:validation:Enum=StayPaused;KeepRunning
type IdlePolicy string

const (
	// IdlePolicyStayPaused leaves a sandbox that its idle timeout has paused as it is, until something wakes it.
	IdlePolicyStayPaused IdlePolicy = "StayPaused"
	// IdlePolicyKeepRunning keeps it from idling, and resumes it if it did.
	IdlePolicyKeepRunning IdlePolicy = "KeepRunning"
)

// ShutdownPolicy says what becomes of the object at the end of the sandbox's life.
//
// +kubebuilder:validation:Enum=Retain;Delete
type ShutdownPolicy string

const (
	// ShutdownPolicyRetain keeps the object, with reason Expired.
	ShutdownPolicyRetain ShutdownPolicy = "Retain"
	// ShutdownPolicyDelete deletes the object.
	ShutdownPolicyDelete ShutdownPolicy = "Delete"
)

// SandboxFile is a file that is written into the sandbox. Exactly one of content, configMapKeyRef and secretKeyRef is
// set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.content), has(self.configMapKeyRef), has(self.secretKeyRef)].exists_one(x, x)",message="set exactly one of content, configMapKeyRef and secretKeyRef"
type SandboxFile struct {
	// path in the sandbox, absolute. Its directories are made. What is there is replaced. The file belongs to root and
	// has mode 0644.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/') && !self.endsWith('/')",message="path must be absolute and name a file, such as /etc/app.conf"
	Path string `json:"path,omitempty"`

	// content of the file.
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=262144
	Content *string `json:"content,omitempty"`

	// configMapKeyRef names the key of a ConfigMap in the namespace, in its data or binaryData, that holds the
	// content.
	// +optional
	ConfigMapKeyRef *ConfigMapKeyReference `json:"configMapKeyRef,omitempty"`

	// secretKeyRef names the key of a Secret in the namespace that holds the content.
	// +optional
	SecretKeyRef *SecretKeyReference `json:"secretKeyRef,omitempty"`
}

// SandboxState is Wrenn's own word for the state of a sandbox: pending, running, paused, stopped, error, missing,
// or one that this version does not know.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=64
type SandboxState string
