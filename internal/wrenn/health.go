package wrenn

import (
	"context"
	"errors"
	"net/http"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// Health is what a server tells of itself.
type Health struct {
	// Status is "ok".
	Status string
	// Version is the server's.
	Version string
}

// Health asks the server whether it lives. It needs no credential. Servers of generation Sandboxes do not have it:
// ErrUnsupported.
func (c *Client) Health(ctx context.Context) (*Health, error) {
	return managedFetch(ctx, c, call{
		op: "health", method: http.MethodGet, path: "/health", want: http.StatusOK, anonymous: true, only: GenerationCapsules,
	}, func(w *api.Health) (*Health, error) {
		if w.Status == "" {
			return nil, errors.New("the answer has no status")
		}
		return &Health{Status: w.Status, Version: value(w.Version)}, nil
	})
}
