package wrenn

import "time"

// Status is the service's own word for the state of a sandbox. Words that this package does not name are kept.
type Status string

// The statuses that the service writes.
const (
	// StatusPending: being created, or left behind by a create whose client went away.
	StatusPending Status = "pending"
	// StatusStarting is mentioned by the service's queries but never seen.
	StatusStarting Status = "starting"
	// StatusRunning also holds for up to 30 s after an idle pause that the control plane has not learned of.
	StatusRunning Status = "running"
	// StatusPaused: memory and processes are kept; Resume continues them.
	StatusPaused Status = "paused"
	// StatusHibernated is mentioned by the service's queries but never seen.
	StatusHibernated Status = "hibernated"
	// StatusStopped is final. GET answers it for ever, LIST leaves it out.
	StatusStopped Status = "stopped"
	// StatusError is final: the create failed. GET answers it for ever, LIST leaves it out.
	StatusError Status = "error"
	// StatusMissing: the host is out of reach. It becomes running or stopped when the host returns.
	StatusMissing Status = "missing"
)

// Final reports whether the status never changes again.
func (s Status) Final() bool { return s == StatusStopped || s == StatusError }

// Sandbox is a sandbox as the service describes it. Times are UTC with whole seconds; a zero time was absent.
type Sandbox struct {
	// ID is "cl-" and 25 lowercase base36 digits.
	ID string
	// Status is the service's own word.
	Status Status
	// Template is the name of the template or snapshot that it started from.
	Template string
	// VCPUs is the number of virtual CPUs; a snapshot's replaces the one asked for.
	VCPUs int32
	// MemoryMB is the memory in MiB; a snapshot's replaces the one asked for.
	MemoryMB int32
	// TimeoutSec is the idle time in seconds after which the service pauses the sandbox, exactly as it was sent. Zero and
	// every negative value mean never.
	TimeoutSec int32
	// GuestIP is documented by the service but was never seen.
	GuestIP string
	// HostIP is empty until the sandbox runs, and changes with each resume.
	HostIP string
	// CreatedAt never changes.
	CreatedAt time.Time
	// StartedAt is zero until the sandbox runs, and changes with each resume.
	StartedAt time.Time
	// LastActiveAt is zero until the sandbox runs.
	LastActiveAt time.Time
	// LastUpdatedAt is the last change of the record.
	LastUpdatedAt time.Time
	// Metadata is version information that servers of generation Capsules write. Clients cannot.
	Metadata map[string]string
}

// CreateSandboxRequest says what to create. Zero values ask for the service's defaults.
type CreateSandboxRequest struct {
	// Template is a template or snapshot name; empty means "minimal".
	Template string
	// VCPUs, 0 meaning 1. A snapshot's own size replaces it.
	VCPUs int32
	// MemoryMB in MiB, 0 meaning 512. A snapshot's own size replaces it.
	MemoryMB int32
	// TimeoutSec is the idle time in seconds after which the service pauses the sandbox. Zero and negative mean never; the
	// value comes back unchanged from every call.
	TimeoutSec int32
}
