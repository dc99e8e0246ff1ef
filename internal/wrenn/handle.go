package wrenn

import (
	"context"
	"net/http"
)

// SandboxHandle has the operations on one sandbox. It holds no state of the sandbox and is safe for concurrent use.
type SandboxHandle struct {
	c  *Client
	id string
}

// ID returns the id that the handle was made with.
func (h *SandboxHandle) ID() string { return h.id }

// Get is Sandboxes.Get.
func (h *SandboxHandle) Get(ctx context.Context) (*Sandbox, error) {
	return h.c.Sandboxes.Get(ctx, h.id)
}

// Destroy is Sandboxes.Destroy.
func (h *SandboxHandle) Destroy(ctx context.Context) error { return h.c.Sandboxes.Destroy(ctx, h.id) }

// Pause pauses a running sandbox and returns when it is paused. It can take a minute and more for an old sandbox.
// Abandoning it can leave a sandbox that is called paused and runs. A sandbox that is not running is IsInvalidState.
func (h *SandboxHandle) Pause(ctx context.Context) (*Sandbox, error) {
	return h.turn(ctx, "sandboxes.pause", "/pause")
}

// Resume continues a paused sandbox and returns when it runs. HostIP and StartedAt change, open TCP connections of the
// guest are dead. A sandbox that is not paused is IsInvalidState.
func (h *SandboxHandle) Resume(ctx context.Context) (*Sandbox, error) {
	return h.turn(ctx, "sandboxes.resume", "/resume")
}

func (h *SandboxHandle) turn(ctx context.Context, op, route string) (*Sandbox, error) {
	if err := checkID(op, h.id); err != nil {
		return nil, err
	}
	return sandboxFetch(ctx, h.c, call{
		op: op, method: http.MethodPost, path: "/" + h.id + route, want: http.StatusOK, limit: h.c.settings.limits.ObjectBytes,
		budget: slowCallTimeout, effect: true,
	}, sandboxNamed(h.id))
}

// Ping counts as activity, so that the sandbox is not paused for idleness. A sandbox that idleness paused a moment ago is
// IsNotFound until the control plane learns of it: ask Get.
func (h *SandboxHandle) Ping(ctx context.Context) error {
	const op = "sandboxes.ping"
	if err := checkID(op, h.id); err != nil {
		return err
	}
	return sandboxDo(ctx, h.c, call{
		op: op, method: http.MethodPost, path: "/" + h.id + "/ping", want: http.StatusNoContent, limit: h.c.settings.limits.ObjectBytes,
		budget: h.c.settings.requestTimeout, effect: true,
	})
}
