package wrenn

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

const hostsPath = "/v1/hosts"

// Hosts are the machines that sandboxes run on. They take a client with a JWT; any other is ErrUnauthenticated.
type Hosts struct{ c *Client }

// HostType says whom a host serves.
type HostType string

// The types of hosts.
const (
	// HostRegular serves every team. Only administrators of the platform make one.
	HostRegular HostType = "regular"
	// HostBYOC serves the one team that brought it.
	HostBYOC HostType = "byoc"
)

// HostStatus is the service's own word for the state of a host. Words that this package does not name are kept.
type HostStatus string

// The statuses of a host.
const (
	// HostPending: its agent has not registered yet.
	HostPending HostStatus = "pending"
	// HostOnline: its agent sends heartbeats.
	HostOnline HostStatus = "online"
	// HostUnreachable: no heartbeat for 90 s; its sandboxes are missing.
	HostUnreachable HostStatus = "unreachable"
)

// Host is a machine as the service describes it. What is not known, as before it registered, is zero.
type Host struct {
	// ID is "host-" and 25 lowercase base36 digits.
	ID string
	// Type says whom it serves.
	Type HostType
	// Status is the service's own word.
	Status HostStatus
	// TeamID and TeamName are the team of a HostBYOC; the name is told to administrators of the platform only.
	TeamID, TeamName string
	// Provider and AvailabilityZone are what its maker called them.
	Provider, AvailabilityZone string
	// Arch is the machine's architecture.
	Arch string
	// CPUCores is the number of cores, MemoryMB in MiB, DiskGB in GiB.
	CPUCores, MemoryMB, DiskGB int32
	// Address is where the control plane reaches its agent.
	Address string
	// LastHeartbeatAt is zero before the first one.
	LastHeartbeatAt time.Time
	// CreatedBy is the id of a user.
	CreatedBy string
	// CreatedAt and UpdatedAt are UTC, in whole seconds.
	CreatedAt, UpdatedAt time.Time
}

// CreateHostRequest says what host to announce.
type CreateHostRequest struct {
	// Type is required.
	Type HostType
	// TeamID is the team of a HostBYOC.
	TeamID string
	// Provider and AvailabilityZone are free text.
	Provider, AvailabilityZone string
}

// HostRegistration is a host that waits for its agent.
type HostRegistration struct {
	// Host is pending.
	Host Host
	// Token is what its agent registers with: 64 hexadecimal digits, told only here.
	Token Secret
}

// HostDeletePreview is what deleting a host would do.
type HostDeletePreview struct {
	// Host is the one asked for.
	Host Host
	// SandboxIDs are the sandboxes in the way. Paused ones are not among them: deleting the host orphans them.
	SandboxIDs []string
}

// Create announces a host and returns the token for its agent.
func (h *Hosts) Create(ctx context.Context, req CreateHostRequest) (*HostRegistration, error) {
	const op = "hosts.create"
	if req.Type != HostRegular && req.Type != HostBYOC {
		return nil, invalidArgument(op, "the type must be %q or %q", HostRegular, HostBYOC)
	}
	if req.TeamID != "" {
		if err := prefixTeam.check(op, req.TeamID); err != nil {
			return nil, err
		}
	}
	return managedFetch(ctx, h.c, call{
		op: op, method: http.MethodPost, path: hostsPath, want: http.StatusCreated,
		body: jsonBody(api.CreateHostRequest{
			Type: api.CreateHostRequestType(req.Type), TeamID: optional(req.TeamID), Provider: optional(req.Provider),
			AvailabilityZone: optional(req.AvailabilityZone),
		}),
	}, registrationOf)
}

// List returns the team's hosts, and to an administrator of the platform all hosts.
func (h *Hosts) List(ctx context.Context) ([]Host, error) {
	return managedFetch(ctx, h.c, call{
		op: "hosts.list", method: http.MethodGet, path: hostsPath, want: http.StatusOK, limit: h.c.settings.limits.ListBytes,
	}, listOf(hostOf))
}

// Get returns a host.
func (h *Hosts) Get(ctx context.Context, id string) (*Host, error) {
	const op = "hosts.get"
	if err := prefixHost.check(op, id); err != nil {
		return nil, err
	}
	return managedFetch(ctx, h.c, call{op: op, method: http.MethodGet, path: hostsPath + "/" + id, want: http.StatusOK},
		named(id, func(host *Host) string { return host.ID }, hostOf))
}

// Delete deletes a host. Sandboxes on it that are pending, starting, running or missing are in the way, which is
// HasActiveSandboxes and names them; force destroys them. Paused ones are orphaned either way.
func (h *Hosts) Delete(ctx context.Context, id string, force bool) error {
	const op = "hosts.delete"
	if err := prefixHost.check(op, id); err != nil {
		return err
	}
	k := call{op: op, method: http.MethodDelete, path: hostsPath + "/" + id}
	if force {
		k.query = url.Values{"force": {"true"}}
		k.budget = slowCallTimeout
	}
	return h.c.managedDo(ctx, k)
}

// DeletePreview tells what deleting a host would do.
func (h *Hosts) DeletePreview(ctx context.Context, id string) (*HostDeletePreview, error) {
	const op = "hosts.delete_preview"
	if err := prefixHost.check(op, id); err != nil {
		return nil, err
	}
	return managedFetch(ctx, h.c, call{
		op: op, method: http.MethodGet, path: hostsPath + "/" + id + "/delete-preview", want: http.StatusOK,
	}, func(w *api.HostDeletePreview) (*HostDeletePreview, error) {
		host, err := hostOf(&w.Host)
		if err != nil || host.ID != id {
			return nil, errNoID
		}
		return &HostDeletePreview{Host: *host, SandboxIDs: orEmpty(w.SandboxIds)}, nil
	})
}

// RegenerateToken voids the token of a pending host and returns a new one. A host that registered is IsInvalidRequest.
func (h *Hosts) RegenerateToken(ctx context.Context, id string) (*HostRegistration, error) {
	const op = "hosts.regenerate_token"
	if err := prefixHost.check(op, id); err != nil {
		return nil, err
	}
	return managedFetch(ctx, h.c, call{
		op: op, method: http.MethodPost, path: hostsPath + "/" + id + "/token", want: http.StatusCreated,
	}, named(id, func(r *HostRegistration) string { return r.Host.ID }, registrationOf))
}

func hostOf(w *api.Host) (*Host, error) {
	if !prefixHost.valid(w.ID) || w.Status == "" {
		return nil, errNoID
	}
	return &Host{
		ID: w.ID, Type: HostType(w.Type), Status: HostStatus(w.Status), TeamID: value(w.TeamID), TeamName: value(w.TeamName),
		Provider: value(w.Provider), AvailabilityZone: value(w.AvailabilityZone), Arch: value(w.Arch),
		CPUCores: value(w.CPUCores), MemoryMB: value(w.MemoryMb), DiskGB: value(w.DiskGb), Address: value(w.Address),
		LastHeartbeatAt: value(w.LastHeartbeatAt).UTC(), CreatedBy: w.CreatedBy, CreatedAt: w.CreatedAt.UTC(),
		UpdatedAt: w.UpdatedAt.UTC(),
	}, nil
}

func registrationOf(w *api.HostRegistration) (*HostRegistration, error) {
	host, err := hostOf(&w.Host)
	if err != nil {
		return nil, err
	}
	if w.RegistrationToken == "" {
		return nil, errors.New("the answer has no token")
	}
	return &HostRegistration{Host: *host, Token: secretOf(w.RegistrationToken)}, nil
}
