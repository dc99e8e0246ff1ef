package guest

// Operations a server asks of a supervisor.
const (
	opBoot   = "boot"
	opExec   = "exec"
	opSignal = "signal"
	opOpen   = "open"
	opPause  = "pause"
	opResume = "resume"
	opStats  = "stats"
	opList   = "list"
	opKill   = "kill-all"
	opDial   = "dial"
)

// Request is one message from the server to the supervisor.
type Request struct {
	Seq    uint64      `json:"seq"`
	Op     string      `json:"op"`
	Boot   *BootSpec   `json:"boot,omitempty"`
	Exec   *ExecSpec   `json:"exec,omitempty"`
	Signal *SignalSpec `json:"signal,omitempty"`
	Open   *OpenSpec   `json:"open,omitempty"`
	Dial   *DialSpec   `json:"dial,omitempty"`
}

// BootSpec says how the sandbox's root is made.
type BootSpec struct {
	// ID of the sandbox, which also is the name of its host.
	ID string `json:"id"`
	// Dir is the sandbox's directory on the host. It holds root (the private root
	// directory) and layers (one writable overlay layer for each system directory).
	Dir string `json:"dir"`
	// Namespaces is true when the supervisor was started in namespaces of its own
	// and is to build and enter a root; false when it only keeps a directory.
	Namespaces bool `json:"namespaces"`
	// PrivateNetwork is true when these include a network namespace, whose loopback
	// is to be brought up. Without one the network is the host's.
	PrivateNetwork bool `json:"private_network,omitempty"`
	// System lists the host directories that appear in the root, by absolute path.
	System []string `json:"system,omitempty"`
	// Env is the environment of every command.
	Env []string `json:"env"`
	// Home is the working directory of commands and the base of relative paths, as
	// seen from inside the sandbox.
	Home string `json:"home"`
	// SampleMillis is the distance of two metric samples in milliseconds.
	SampleMillis int `json:"sample_millis"`
}

// ExecSpec is a command to start. The request carries two descriptors, the write
// ends of its standard output and standard error.
type ExecSpec struct {
	ID   uint64   `json:"id"`
	Argv []string `json:"argv"`
	// Env is added to the sandbox's environment. Dir replaces the home directory.
	Env []string `json:"env,omitempty"`
	Dir string   `json:"dir,omitempty"`
}

// SignalSpec names a started command and the signal for it. A command that has
// ended is not signaled: its number may belong to another process by then.
type SignalSpec struct {
	Exec   uint64 `json:"exec"`
	Signal int    `json:"signal"`
}

// OpenSpec names a file to open. The reply carries its descriptor.
type OpenSpec struct {
	Path  string `json:"path"`
	Write bool   `json:"write,omitempty"`
}

// DialSpec is a TCP port of the sandbox's loopback to connect to. The reply carries
// the connection.
type DialSpec struct {
	Port uint16 `json:"port"`
}

// Reply is one message from the supervisor to the server: the answer to the
// request of the same Seq, or with Seq 0 an event.
type Reply struct {
	Seq   uint64    `json:"seq,omitempty"`
	Error string    `json:"error,omitempty"`
	Kind  ErrorKind `json:"kind,omitempty"`
	Pid   int       `json:"pid,omitempty"`
	Exit  *Exit     `json:"exit,omitempty"`
	Stats *Stats    `json:"stats,omitempty"`
	Procs []Process `json:"procs,omitempty"`
}

// ErrorKind sorts the failures that the server must tell apart.
type ErrorKind string

// The kinds of failure of an [OpenSpec] and an [ExecSpec].
const (
	KindNotFound ErrorKind = "not-found"
	KindInvalid  ErrorKind = "invalid"
	KindFrozen   ErrorKind = "frozen"
	KindInternal ErrorKind = "internal"
)

// Exit is the event that a command has ended. Code is -1 for one killed by a signal.
type Exit struct {
	Exec uint64 `json:"exec"`
	Code int    `json:"code"`
}

// Process is one process of the sandbox, under the number it has inside.
type Process struct {
	Pid   int    `json:"pid"`
	State string `json:"state"`
	Exec  uint64 `json:"exec,omitempty"`
}

// Stats are the resource samples of a sandbox, oldest first.
type Stats struct {
	Samples []Sample `json:"samples"`
	// DiskBytes is what the sandbox's own files occupy now.
	DiskBytes int64 `json:"disk_bytes"`
}

// Sample is what the sandbox's processes used over the sample distance that ends
// at UnixMilli. CPU is a percentage of one processor.
type Sample struct {
	UnixMilli int64   `json:"t"`
	CPU       float64 `json:"cpu"`
	MemBytes  int64   `json:"mem"`
}
