package wrenn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// snapshotsPath is the same in both generations.
const snapshotsPath = "/v1/snapshots"

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
	const op = "snapshots.create"
	if err := checkID(op, req.SandboxID); err != nil {
		return nil, err
	}
	if req.Name != "" && !ValidTemplateName(req.Name) {
		return nil, invalidArgument(op, "the snapshot name is malformed")
	}
	return fetch(ctx, s.c, call{
		op: op, method: http.MethodPost, path: snapshotsPath, want: http.StatusCreated, limit: s.c.settings.limits.ObjectBytes,
		body:   jsonBody(api.CreateSnapshotRequest{SandboxID: req.SandboxID, Name: optional(req.Name)}),
		budget: slowCallTimeout, effect: true,
	}, func(w *api.Snapshot) (*Snapshot, error) {
		if req.Name != "" && w.Name != req.Name {
			return nil, errors.New("the answer is about another snapshot")
		}
		return snapshotOf(w)
	})
}

// List returns the team's snapshots and the platform's templates.
func (s *Snapshots) List(ctx context.Context) ([]Snapshot, error) {
	return fetch(ctx, s.c, call{
		op: "snapshots.list", method: http.MethodGet, path: snapshotsPath, want: http.StatusOK, limit: s.c.settings.limits.ListBytes,
		budget: s.c.settings.requestTimeout,
	}, snapshotsOf)
}

// Delete deletes a snapshot. Sandboxes that were started from it go on, although a later resume of one may need it. A
// template of the platform is IsForbidden; one that is not there is IsNotFound.
func (s *Snapshots) Delete(ctx context.Context, name string) error {
	const op = "snapshots.delete"
	if !ValidTemplateName(name) {
		return invalidArgument(op, "the snapshot name is malformed")
	}
	_, err := s.c.do(ctx, call{
		op: op, method: http.MethodDelete, path: snapshotsPath + "/" + name, want: http.StatusNoContent,
		limit: s.c.settings.limits.ObjectBytes, budget: s.c.settings.requestTimeout, effect: true,
	})
	return err
}
