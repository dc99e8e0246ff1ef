package v1alpha1

// ExecCode is a cell for the code interpreter.
type ExecCode struct {
	// language of the cell: the name of a kernel of the sandbox's Jupyter server, or the language of one. Default
	// python.
	// +optional
	// +default="python"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Language string `json:"language,omitempty"`

	// source of the cell.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	Source string `json:"source,omitempty"`
}

// ExecAttachment says how a command is held on to.
//
// +kubebuilder:validation:Enum=Detached;Attached
type ExecAttachment string

const (
	// ExecAttachmentDetached has the command run by a small launcher in the sandbox, in sh, which keeps its output and
	// its end: it survives the loss of the stream and of the operator.
	ExecAttachmentDetached ExecAttachment = "Detached"
	// ExecAttachmentAttached has the service run the command on a stream, with nothing else in the sandbox. When the
	// stream is lost the job fails with StreamLost.
	ExecAttachmentAttached ExecAttachment = "Attached"
)

// ExecArtifactPath is a file that is fetched when the command has ended.
type ExecArtifactPath struct {
	// name of the artifact, unique in the job.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]+([-.][a-z0-9]+)*$') && !self.startsWith('cell-')",message="the name of an artifact must be lower case letters and digits, with single dots and dashes between them, and not begin with cell-"
	Name string `json:"name,omitempty"`

	// path of the file in the sandbox, absolute.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/') && !self.endsWith('/')",message="path must be absolute and name a file, such as /tmp/report.xml"
	Path string `json:"path,omitempty"`
}

// ArtifactReason says why an artifact is not stored.
//
// +kubebuilder:validation:Enum=NotFound;NotAFile;TooLarge;Unreadable
type ArtifactReason string

const (
	// ArtifactNotFound says that there was no such file when the command had ended.
	ArtifactNotFound ArtifactReason = "NotFound"
	// ArtifactNotAFile says that there was something else, such as a directory.
	ArtifactNotAFile ArtifactReason = "NotAFile"
	// ArtifactTooLarge says that the artifacts of a job would have been larger than 16 MiB together.
	ArtifactTooLarge ArtifactReason = "TooLarge"
	// ArtifactUnreadable says that the file could not be read or copied in the sandbox, or that the sandbox was lost.
	ArtifactUnreadable ArtifactReason = "Unreadable"
)

// ExecArtifact is what became of an artifact.
type ExecArtifact struct {
	// name of the artifact, as in spec.artifacts, or cell-<number>.<extension> for what a cell displayed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name,omitempty"`

	// mimeType of what a cell displayed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	MIMEType string `json:"mimeType,omitempty"`

	// sizeBytes is the size of the file, where it is stored.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SizeBytes *int64 `json:"sizeBytes,omitempty"`

	// configMaps are the ConfigMaps that hold it, in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	ConfigMaps []string `json:"configMaps,omitempty"`

	// reason says why it is not stored: NotFound, NotAFile, TooLarge or Unreadable. Absent where it is stored.
	// +optional
	Reason ArtifactReason `json:"reason,omitempty"`
}

// ExecError is the error that ended a cell.
type ExecError struct {
	// name of the error, such as ZeroDivisionError.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`

	// value is its text, up to 1024 characters of it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Value string `json:"value,omitempty"`

	// traceback is for people: the last 8192 characters of it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	Traceback string `json:"traceback,omitempty"`
}

// ExecResult is what a cell came to.
type ExecResult struct {
	// text is the value of the cell's last expression, as plain text: the first 16384 characters of it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Text string `json:"text,omitempty"`

	// executionCount is the number of the cell among all that the kernel ran, from 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ExecutionCount int32 `json:"executionCount,omitempty"`

	// mimeTypes are those of the value and of all that the cell displayed. What is not plain text is in
	// status.artifacts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	MIMETypes []string `json:"mimeTypes,omitempty"`

	// error is the error that ended the cell, absent where none did.
	// +optional
	Error *ExecError `json:"error,omitempty"`
}

// OutputConfigMaps says whether the output is stored in ConfigMaps.
//
// +kubebuilder:validation:Enum=Always;OnFailure;Never
type OutputConfigMaps string

const (
	// OutputConfigMapsAlways stores it: the first half of what is kept as it comes, the rest when the command has
	// ended.
	OutputConfigMapsAlways OutputConfigMaps = "Always"
	// OutputConfigMapsOnFailure stores it when the command has ended other than with exit code 0.
	OutputConfigMapsOnFailure OutputConfigMaps = "OnFailure"
	// OutputConfigMapsNever stores nothing: the tails in the status are all that is kept.
	OutputConfigMapsNever OutputConfigMaps = "Never"
)
