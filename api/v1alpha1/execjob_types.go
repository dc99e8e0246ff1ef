package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ExecEnvVar is one environment variable of the command.
//
// +kubebuilder:validation:XValidation:rule="[has(self.value), has(self.secretKeyRef), has(self.configMapKeyRef)].exists_one(x, x)",message="set exactly one of value, secretKeyRef and configMapKeyRef"
type ExecEnvVar struct {
	// name of the variable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",message="the name of a variable must be a letter or underscore, then letters, digits or underscores"
	Name string `json:"name,omitempty"`

	// value of the variable, taken as it is. May be empty.
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=32768
	Value *string `json:"value,omitempty"`

	// secretKeyRef takes the value from a Secret in the namespace. It is read when the command is started.
	// +optional
	SecretKeyRef *SecretKeyReference `json:"secretKeyRef,omitempty"`

	// configMapKeyRef takes the value from a ConfigMap in the namespace. It is read when the command is started.
	// +optional
	ConfigMapKeyRef *ConfigMapKeyReference `json:"configMapKeyRef,omitempty"`
}

// SandboxTemplate is what the Sandbox of one job is made from.
//
// +kubebuilder:validation:XValidation:rule="!has(self.spec.adoptID)",message="set no adoptID in sandboxTemplate.spec: the sandbox is made for the job. To run in one that is there, take it over with a Sandbox and name that in sandboxRef"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.operatingMode) || self.spec.operatingMode == 'Running'",message="leave operatingMode of sandboxTemplate.spec at Running: use suspend to hold the job"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.deletionPolicy) || self.spec.deletionPolicy == 'Delete'",message="leave deletionPolicy of sandboxTemplate.spec at Delete: the sandbox is destroyed with the job. To keep it, use a Sandbox and sandboxRef"
type SandboxTemplate struct {
	// spec of the Sandbox. All of it is as in a Sandbox, but that it cannot be changed.
	// +optional
	// +default={}
	Spec SandboxSpec `json:"spec,omitzero"`
}

// WakePolicy says what a job does about a Sandbox that its idle timeout has paused.
//
// +kubebuilder:validation:Enum=Resume;Wait;Fail
type WakePolicy string

const (
	// WakePolicyResume has it resumed.
	WakePolicyResume WakePolicy = "Resume"
	// WakePolicyWait waits until something else has it resumed.
	WakePolicyWait WakePolicy = "Wait"
	// WakePolicyFail fails the job.
	WakePolicyFail WakePolicy = "Fail"
)

// ExecOutput says what is kept of the command's output.
type ExecOutput struct {
	// configMaps says whether the output is stored in ConfigMaps: Always, OnFailure or Never. Default Always.
	// +optional
	// +default="Always"
	ConfigMaps OutputConfigMaps `json:"configMaps,omitempty"`

	// limitBytes is how much of the output, both streams together, is stored in ConfigMaps. Past it the
	// beginning and the end are kept, and status.truncated counts what is missing between. Default 8388608 (8 MiB).
	// +optional
	// +default=8388608
	// +kubebuilder:validation:Minimum=65536
	// +kubebuilder:validation:Maximum=67108864
	LimitBytes int32 `json:"limitBytes,omitempty"`

	// tailBytes is how much of the end of each stream is shown in status. Default 4096.
	// +optional
	// +default=4096
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16384
	TailBytes int32 `json:"tailBytes,omitempty"`
}

// ExecJobSpec is one command and where it runs. What may change is suspend, backoffLimit, activeDeadlineSeconds and
// ttlSecondsAfterFinished, as in a Job of batch/v1; all that says what is run is immutable.
//
// +kubebuilder:validation:XValidation:rule="[has(self.command), has(self.script), has(self.code)].exists_one(x, x)",message="set exactly one of command (an argv), script (a text for /bin/sh) and code (a cell for the code interpreter)"
// +kubebuilder:validation:XValidation:rule="!has(self.attachment) || self.attachment != 'Attached' || !(has(self.script) || has(self.code) || has(self.stdin) || has(self.artifacts) || has(self.files) || has(self.env) || has(self.workingDir))",message="attachment Attached runs a command and nothing else: script, code, stdin, artifacts, files, env and workingDir need attachment Detached"
// +kubebuilder:validation:XValidation:rule="!has(self.attachment) || self.attachment != 'Attached' || !has(self.output) || !has(self.output.configMaps) || self.output.configMaps != 'OnFailure'",message="output.configMaps OnFailure needs attachment Detached: what Attached shows cannot be read again later"
// +kubebuilder:validation:XValidation:rule="!has(self.code) || !(has(self.env) || has(self.workingDir) || has(self.stdin))",message="code runs in a kernel that was there before it: env, workingDir and stdin are for command and script. Have the source of the cell set what it needs"
// +kubebuilder:validation:XValidation:rule="has(self.sandboxRef) != has(self.sandboxTemplate)",message="set exactly one of sandboxRef (a Sandbox that is there) and sandboxTemplate (one that is made for the job)"
// +kubebuilder:validation:XValidation:rule="self.wakePolicy == oldSelf.wakePolicy && self.output == oldSelf.output",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.command) == has(oldSelf.command) && (!has(self.command) || self.command == oldSelf.command)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.script) == has(oldSelf.script) && (!has(self.script) || self.script == oldSelf.script)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.env) == has(oldSelf.env) && (!has(self.env) || self.env == oldSelf.env)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.workingDir) == has(oldSelf.workingDir) && (!has(self.workingDir) || self.workingDir == oldSelf.workingDir)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.sandboxRef) == has(oldSelf.sandboxRef) && (!has(self.sandboxRef) || self.sandboxRef == oldSelf.sandboxRef)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.sandboxTemplate) == has(oldSelf.sandboxTemplate) && (!has(self.sandboxTemplate) || self.sandboxTemplate == oldSelf.sandboxTemplate)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.files) == has(oldSelf.files) && (!has(self.files) || self.files == oldSelf.files)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.code) == has(oldSelf.code) && (!has(self.code) || self.code == oldSelf.code)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.stdin) == has(oldSelf.stdin) && (!has(self.stdin) || self.stdin == oldSelf.stdin)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.artifacts) == has(oldSelf.artifacts) && (!has(self.artifacts) || self.artifacts == oldSelf.artifacts)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
// +kubebuilder:validation:XValidation:rule="has(self.attachment) == has(oldSelf.attachment) && (!has(self.attachment) || self.attachment == oldSelf.attachment)",message="what an ExecJob runs is immutable: create another ExecJob. Only suspend, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished can be changed"
type ExecJobSpec struct {
	// sandboxRef names the Sandbox, in the same namespace, that the command runs in. Exactly one of sandboxRef and
	// sandboxTemplate is set.
	// +optional
	SandboxRef *SandboxReference `json:"sandboxRef,omitempty"`

	// sandboxTemplate has a Sandbox made for the job. It belongs to the job, all attempts are made in it, and it is
	// destroyed when the job has finished, or is deleted.
	// +optional
	SandboxTemplate *SandboxTemplate `json:"sandboxTemplate,omitempty"`

	// wakePolicy says what to do about a Sandbox that its idle timeout has paused: Resume it (the default), Wait until
	// something else does, or Fail the job. An attempt under way never fails by this: Fail then does as Resume. One that
	// is declared Paused is always waited for.
	// +optional
	// +default="Resume"
	WakePolicy WakePolicy `json:"wakePolicy,omitempty"`

	// command is the argv: a program and its arguments, not a shell line. Exactly one of command, script and code
	// is set.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=32768
	// +kubebuilder:validation:XValidation:rule="self[0] != ''",message="the first element of command is the program and must not be empty"
	Command []string `json:"command,omitempty"`

	// script is a text that /bin/sh runs.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	Script string `json:"script,omitempty"`

	// code is a cell that the code interpreter of the sandbox runs. Cells of one language share what they define.
	// +optional
	Code *ExecCode `json:"code,omitempty"`

	// attachment says how the command is held on to: Detached (the default) or Attached.
	// +optional
	// +default="Detached"
	Attachment ExecAttachment `json:"attachment,omitempty"`

	// stdin is what the command or script reads. Absent: there is nothing to read.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	Stdin string `json:"stdin,omitempty"`

	// artifacts are files that are fetched from the sandbox when the command has ended, however it did.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Artifacts []ExecArtifactPath `json:"artifacts,omitempty"`

	// env are variables added to the environment that the sandbox gives.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	Env []ExecEnvVar `json:"env,omitempty"`

	// workingDir is the directory that the command is started in. It must be there. Absent: the home directory of
	// the sandbox's user.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/')",message="workingDir must be an absolute path: start it with /"
	WorkingDir string `json:"workingDir,omitempty"`

	// files are written before each attempt, as those of a Sandbox are. What they refer to is read each time.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=64
	Files []SandboxFile `json:"files,omitempty"`

	// suspend holds the job while it is true: a command that runs is ended, with every process of it, and no command
	// is started. When it is false again, a new attempt is made, which does not count against backoffLimit. Mutable.
	// Default false.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// backoffLimit is how many failed attempts are followed by another one. 0 (the default): the first that fails is
	// the last. Attempts are 10 s apart, then 20 s, twice as long each time, up to 6 min. Mutable.
	// +optional
	// +default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// activeDeadlineSeconds is how long the job may be active, all attempts and the time between them together, from
	// status.startTime. Then what runs is ended and the job fails. The time in which the Sandbox is declared Paused
	// does not count, and being suspended starts it anew. Absent: for ever. Mutable.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	ActiveDeadlineSeconds int32 `json:"activeDeadlineSeconds,omitempty"`

	// ttlSecondsAfterFinished is how long the object is kept after the job has finished. Then it is deleted, its
	// output with it. 0: at once. Absent: it is kept. Mutable.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=315360000
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`

	// output says what is kept of the command's output.
	// +optional
	// +default={}
	Output ExecOutput `json:"output,omitzero"`
}

// ExecJobStatus is what the operator knows of the command.
type ExecJobStatus struct {
	// conditions are Ready, Reconciling or Stalled while either holds, Suspended while it is, and Complete or Failed
	// once finished.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the metadata.generation that this status speaks of, -1 before the first visit.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// startTime is when the operator set out to make the first attempt, or the first one since the job was suspended.
	// Absent while it is suspended.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when the job finished.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// attempts is how many times the command was set out to be started. Each attempt starts it at most once. What
	// follows here of a command is that of the last attempt.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Attempts int32 `json:"attempts,omitempty"`

	// active is 1 while an attempt is under way.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1
	Active int32 `json:"active,omitempty"`

	// failed is how many attempts have failed. It is compared with spec.backoffLimit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Failed int32 `json:"failed,omitempty"`

	// nextAttemptTime is before when no other attempt is made, after one has failed.
	// +optional
	NextAttemptTime *metav1.Time `json:"nextAttemptTime,omitempty"`

	// pausedSince is since when the Sandbox is declared Paused, and spec.activeDeadlineSeconds does not run.
	// +optional
	PausedSince *metav1.Time `json:"pausedSince,omitempty"`

	// pausedSeconds is how long, since startTime, spec.activeDeadlineSeconds did not run, apart from the time since
	// pausedSince.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PausedSeconds int64 `json:"pausedSeconds,omitempty"`

	// exitCode of the command, once it has ended by itself.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	ExitCode *int32 `json:"exitCode,omitempty"`

	// signal is the number of the signal that ended the command, where one did.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=127
	Signal int32 `json:"signal,omitempty"`

	// pid is the process id of the command in the sandbox.
	// +optional
	// +kubebuilder:validation:Minimum=1
	PID int32 `json:"pid,omitempty"`

	// stdoutTail is the end of what the command wrote to stdout. Bytes that are not UTF-8 are shown as U+FFFD,
	// values of secretKeyRef as ***. Absent where the Secrets have changed since, and the values are not known any more.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	StdoutTail string `json:"stdoutTail,omitempty"`

	// stderrTail is the same of stderr.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	StderrTail string `json:"stderrTail,omitempty"`

	// stdoutBytes is how many bytes the command wrote to stdout.
	// +optional
	// +kubebuilder:validation:Minimum=0
	StdoutBytes *int64 `json:"stdoutBytes,omitempty"`

	// stderrBytes is how many bytes the command wrote to stderr.
	// +optional
	// +kubebuilder:validation:Minimum=0
	StderrBytes *int64 `json:"stderrBytes,omitempty"`

	// truncated is how many bytes of both streams are not stored, because of spec.output.limitBytes or because the
	// sandbox was lost before they were.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Truncated int64 `json:"truncated,omitempty"`

	// outputConfigMaps are the ConfigMaps that hold the output, in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	OutputConfigMaps []string `json:"outputConfigMaps,omitempty"`

	// artifacts are what became of spec.artifacts, and what a cell displayed.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Artifacts []ExecArtifact `json:"artifacts,omitempty"`

	// result is what spec.code came to.
	// +optional
	Result *ExecResult `json:"result,omitempty"`

	// envVersion is a hash of the resource versions of the Secrets that spec.env was taken from, absent where there
	// are none. It tells nothing of their values.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	EnvVersion string `json:"envVersion,omitempty"`

	// sandboxName is the Sandbox that the job runs in, or is to: that of spec.sandboxRef, or the one that is made for it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SandboxName string `json:"sandboxName,omitempty"`

	// sandboxID is Wrenn's id of the sandbox that the command was started in.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	SandboxID string `json:"sandboxID,omitempty"`

	// durationMillis is how long the command ran, in milliseconds.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DurationMillis *int64 `json:"durationMillis,omitempty"`

	// duration is durationMillis for people to read, such as 850ms, 12.3s or 5m10s.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Duration string `json:"duration,omitempty"`
}

// ExecJob is one command run in a Sandbox to completion, with its output kept.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=xj,categories=wrenn
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Exit",type=integer,JSONPath=`.status.exitCode`
// +kubebuilder:printcolumn:name="Duration",type=string,JSONPath=`.status.duration`
// +kubebuilder:printcolumn:name="Sandbox",type=string,JSONPath=`.status.sandboxName`
// +kubebuilder:printcolumn:name="Attempts",type=integer,JSONPath=`.status.attempts`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ExecJob struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the command and where it runs.
	// +required
	Spec ExecJobSpec `json:"spec,omitzero"`

	// status is what the operator knows of the command.
	// +optional
	// +default={"observedGeneration": -1}
	Status ExecJobStatus `json:"status,omitzero"`
}

// ExecJobList is a list of ExecJobs.
//
// +kubebuilder:object:root=true
type ExecJobList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the ExecJobs.
	Items []ExecJob `json:"items"`
}
