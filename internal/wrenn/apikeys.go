package wrenn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

const apiKeysPath = "/v1/api-keys" //nolint:gosec // G101: a route

// APIKeys are the API keys of the token's team. They take a client with a JWT; any other is ErrUnauthenticated.
type APIKeys struct{ c *Client }

// APIKeyInfo is what the service tells of an API key.
type APIKeyInfo struct {
	// ID is "key-" and 25 lowercase base36 digits.
	ID string
	// TeamID is the team whose sandboxes and snapshots the key opens.
	TeamID string
	// Name is not unique.
	Name string
	// KeyPrefix is the beginning of the key, to recognize it by.
	KeyPrefix string
	// CreatedBy is the id of the user who made it, CreatorEmail the address, which only lists tell.
	CreatedBy, CreatorEmail string
	// CreatedAt is UTC, in whole seconds.
	CreatedAt time.Time
	// LastUsed is zero for a key that was never used.
	LastUsed time.Time
	// Key is the key itself, in the result of Create only: the service keeps no more than a hash.
	Key Secret
}

// Create makes an API key, which never expires. An empty name is "Unnamed API Key".
func (a *APIKeys) Create(ctx context.Context, name string) (*APIKeyInfo, error) {
	return managedFetch(ctx, a.c, call{
		op: "api_keys.create", method: http.MethodPost, path: apiKeysPath, want: http.StatusCreated,
		body: jsonBody(api.CreateAPIKeyRequest{Name: optional(name)}),
	}, func(w *api.APIKey) (*APIKeyInfo, error) {
		if !apiKeyForm.MatchString(value(w.Key)) {
			return nil, errors.New("the answer has no valid API key")
		}
		return apiKeyOf(w)
	})
}

// List returns the team's API keys, without the keys themselves.
func (a *APIKeys) List(ctx context.Context) ([]APIKeyInfo, error) {
	return managedFetch(ctx, a.c, call{
		op: "api_keys.list", method: http.MethodGet, path: apiKeysPath, want: http.StatusOK, limit: a.c.settings.limits.ListBytes,
	}, listOf(apiKeyOf))
}

// Delete makes a key worthless. Doing it again succeeds again.
func (a *APIKeys) Delete(ctx context.Context, id string) error {
	const op = "api_keys.delete"
	if err := prefixAPIKey.check(op, id); err != nil {
		return err
	}
	return a.c.managedDo(ctx, call{op: op, method: http.MethodDelete, path: apiKeysPath + "/" + id})
}

func apiKeyOf(w *api.APIKey) (*APIKeyInfo, error) {
	if !prefixAPIKey.valid(w.ID) {
		return nil, errNoID
	}
	return &APIKeyInfo{
		ID: w.ID, TeamID: w.TeamID, Name: w.Name, KeyPrefix: w.KeyPrefix, CreatedBy: w.CreatedBy,
		CreatorEmail: value(w.CreatorEmail), CreatedAt: w.CreatedAt.UTC(), LastUsed: value(w.LastUsed).UTC(),
		Key: secretOf(value(w.Key)),
	}, nil
}
