package wrenn

import "context"

// Sandboxes are the sandboxes of the credential's team.
type Sandboxes struct{ c *Client }

// Create creates a sandbox and returns when it runs. It is sent exactly once and has no time limit but that of ctx, whose
// end leaves a sandbox in status pending behind: give it minutes, and a context that nothing else cancels. An answer
// without a valid id is an ambiguous error, since a sandbox may exist.
//
// A fresh sandbox can turn stopped within about a second, by a race of the service. Read the status again.
func (s *Sandboxes) Create(ctx context.Context, req CreateSandboxRequest) (*Sandbox, error) {
	return nil, errNotYet
}

// Get returns a sandbox in whatever status, stopped and error included: the service never forgets one.
func (s *Sandboxes) Get(ctx context.Context, id string) (*Sandbox, error) { return nil, errNotYet }

// List returns the sandboxes of the whole team, newest first, but for those that are stopped or in error. An absence from
// the list is no proof that a sandbox is gone.
func (s *Sandboxes) List(ctx context.Context) ([]Sandbox, error) { return nil, errNotYet }

// Destroy destroys a sandbox from any status. Doing it again succeeds again. The sandbox is stopped afterwards and Get
// still answers.
func (s *Sandboxes) Destroy(ctx context.Context, id string) error { return errNotYet }
