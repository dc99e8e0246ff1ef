package wrenn

import (
	"context"
	"time"
)

// Snapshots are the templates that the credential's team can start sandboxes from.
type Snapshots struct{ c *Client }

// Snapshot is a template that sandboxes can start from.
type Snapshot struct {
	// Name is its key.
	Name string
	// Type is "snapshot", or "base" for a template of the platform without a memory image.
	Type string
	// VCPUs and MemoryMB are the size that every sandbox started from it gets.
	VCPUs, MemoryMB int32
	// SizeBytes is its size on the host.
	SizeBytes int64
	// CreatedAt is when it was taken, UTC, in whole seconds.
	CreatedAt time.Time
	// Platform is true for a template of the platform, which the team cannot delete.
	Platform bool
	// Metadata is version information that servers of generation Capsules write.
	Metadata map[string]string
}

// CreateSnapshotRequest says what to take a snapshot of.
type CreateSnapshotRequest struct {
	// SandboxID is a running or paused sandbox.
	SandboxID string
	// Name is the snapshot's name; empty lets the service make one up.
	Name string
}

// Create takes a snapshot of a sandbox and returns when it is taken. It leaves the sandbox paused. It is sent once; the
// service finishes it even when ctx ends. A name that cannot be had is IsNameTaken.
func (s *Snapshots) Create(ctx context.Context, req CreateSnapshotRequest) (*Snapshot, error) {
	return nil, errNotYet
}

// List returns the team's snapshots and the platform's templates.
func (s *Snapshots) List(ctx context.Context) ([]Snapshot, error) { return nil, errNotYet }

// Delete deletes a snapshot. Sandboxes that were started from it go on, although a later resume of one may need it. A
// template of the platform is IsForbidden; one that is not there is IsNotFound.
func (s *Snapshots) Delete(ctx context.Context, name string) error { return errNotYet }
