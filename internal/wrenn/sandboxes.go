package wrenn

import (
	"context"
	"net/http"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// Sandboxes are the sandboxes of the credential's team.
type Sandboxes struct{ c *Client }

// Create creates a sandbox and returns when it runs. It is sent exactly once and has no time limit but that of ctx, whose
// end leaves a sandbox in status pending behind: give it minutes, and a context that nothing else cancels. An answer
// without a valid id is an ambiguous error, since a sandbox may exist. Where anything else of the answer cannot be understood,
// the sandbox has its id alone, and is StatusPending until it is looked at again.
//
// A fresh sandbox can turn stopped within about a second, by a race of the service. Read the status again.
func (s *Sandboxes) Create(ctx context.Context, req CreateSandboxRequest) (*Sandbox, error) {
	const op = "sandboxes.create"
	if req.Template != "" && !ValidTemplateName(req.Template) {
		return nil, invalidArgument(op, "the template name is malformed")
	}
	body := jsonBody(api.CreateSandboxRequest{
		Template: optional(req.Template), Vcpus: optional(req.VCPUs), MemoryMb: optional(req.MemoryMB),
		TimeoutSec: optional(req.TimeoutSec),
	})
	return sandboxFetch(ctx, s.c, call{
		op: op, method: http.MethodPost, body: body, want: http.StatusCreated, limit: s.c.settings.limits.ObjectBytes, effect: true,
	}, createdOf)
}

// Get returns a sandbox in whatever status, stopped and error included: the service never forgets one.
func (s *Sandboxes) Get(ctx context.Context, id string) (*Sandbox, error) {
	const op = "sandboxes.get"
	if err := checkID(op, id); err != nil {
		return nil, err
	}
	return sandboxFetch(ctx, s.c, call{
		op: op, method: http.MethodGet, path: "/" + id, want: http.StatusOK, limit: s.c.settings.limits.ObjectBytes,
		budget: s.c.settings.requestTimeout,
	}, sandboxNamed(id))
}

// List returns the sandboxes of the whole team, newest first, but for those that are stopped or in error. An absence from
// the list is no proof that a sandbox is gone. One entry that cannot be understood fails the whole list, since a list
// with a hole would be taken for an absence.
func (s *Sandboxes) List(ctx context.Context) ([]Sandbox, error) {
	return sandboxFetch(ctx, s.c, call{
		op: "sandboxes.list", method: http.MethodGet, want: http.StatusOK, limit: s.c.settings.limits.ListBytes,
		budget: s.c.settings.requestTimeout,
	}, sandboxesOf)
}

// Destroy destroys a sandbox from any status. Doing it again succeeds again. The sandbox is stopped afterwards and Get
// still answers.
func (s *Sandboxes) Destroy(ctx context.Context, id string) error {
	const op = "sandboxes.destroy"
	if err := checkID(op, id); err != nil {
		return err
	}
	s.c.kernels.forget(id)
	return sandboxDo(ctx, s.c, call{
		op: op, method: http.MethodDelete, path: "/" + id, want: http.StatusNoContent, limit: s.c.settings.limits.ObjectBytes,
		budget: s.c.settings.requestTimeout, effect: true,
	})
}

// sandboxFetch does a call of a generation's route and converts what comes back.
func sandboxFetch[Wire, T any](ctx context.Context, c *Client, k call, convert func(*Wire) (T, error)) (T, error) {
	k, err := c.sandboxCall(ctx, k)
	if err != nil {
		var none T
		return none, err
	}
	v, err := fetch(ctx, c, k, convert)
	c.learn(err)
	return v, err
}

// sandboxDo does a call of a generation's route that answers with nothing.
func sandboxDo(ctx context.Context, c *Client, k call) error {
	k, err := c.sandboxCall(ctx, k)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, k)
	c.learn(err)
	return err
}

// checkID keeps a malformed id off the wire, where it would be part of a path.
func checkID(op, id string) error {
	if !ValidSandboxID(id) {
		return invalidArgument(op, "the sandbox id is malformed")
	}
	return nil
}
