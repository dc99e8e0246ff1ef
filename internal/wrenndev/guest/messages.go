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

	opListDir = "list-dir"
	opMakeDir = "make-dir"
	opRemove  = "remove"
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
	Path   *PathSpec   `json:"path,omitempty"`
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
	// User is whose commands are, and whose home is Home then; empty is the
	// supervisor's own, root in namespaces. It counts in namespaces only.
	User string `json:"user,omitempty"`
	// SampleMillis is the distance of two metric samples in milliseconds.
	SampleMillis int `json:"sample_millis"`
}

// ExecSpec is a command to start. The request carries two descriptors, the write
// ends of its standard output and standard error; or, with a terminal, none, and the
// reply carries the terminal.
type ExecSpec struct {
	ID   uint64   `json:"id"`
	Argv []string `json:"argv"`
	// Env is put over the sandbox's environment. Dir replaces the home directory, and
	// User that of the sandbox.
	Env  []string `json:"env,omitempty"`
	Dir  string   `json:"dir,omitempty"`
	User string   `json:"user,omitempty"`
	// Tty is the size of the terminal to run in, if any.
	Tty *TtySize `json:"tty,omitempty"`
}

// TtySize is the size of a terminal in characters.
type TtySize struct {
	Cols uint16 `json:"cols"`
	Rows uint16 `json:"rows"`
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

// PathSpec names a path to list, to make a directory of or to remove. Depth is how far
// a list goes down, 1 being the directory alone.
type PathSpec struct {
	Path  string `json:"path"`
	Depth int    `json:"depth,omitempty"`
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
	Files []Entry   `json:"files,omitempty"`
}

// ErrorKind sorts the failures that the server must tell apart.
type ErrorKind string

// The kinds of failure of an [OpenSpec], a [PathSpec] and an [ExecSpec].
const (
	KindNotFound ErrorKind = "not-found"
	KindInvalid  ErrorKind = "invalid"
	KindExists   ErrorKind = "exists"
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

// Entry is a file of the sandbox, as the API shows it.
type Entry struct {
	Name string `json:"name"`
	Path string `json:"path"`
	// Type is file, directory or symlink.
	Type string `json:"type"`
	Size int64  `json:"size"`
	// Mode has the permission bits; Permissions shows type and bits as ls does.
	Mode        uint32 `json:"mode"`
	Permissions string `json:"permissions"`
	Owner       string `json:"owner"`
	Group       string `json:"group"`
	// ModifiedAt is in seconds since 1970.
	ModifiedAt    int64  `json:"modified_at"`
	SymlinkTarget string `json:"symlink_target,omitempty"`
}
