package wrenn

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// Users are the users of the service. They take a client with a JWT; any other is ErrUnauthenticated.
type Users struct{ c *Client }

// User is a user as others see them.
type User struct {
	// ID is "usr-" and 25 lowercase base36 digits.
	ID string
	// Email is the whole address.
	Email string
}

// Search finds users by the beginning of their address: at least three characters with an "@" among them.
func (u *Users) Search(ctx context.Context, emailPrefix string) ([]User, error) {
	const op = "users.search"
	if len(emailPrefix) < 3 || !strings.Contains(emailPrefix, "@") {
		return nil, invalidArgument(op, `the beginning must have at least three characters with an "@" among them`)
	}
	return managedFetch(ctx, u.c, call{
		op: op, method: http.MethodGet, path: "/v1/users/search", query: url.Values{"email": {emailPrefix}}, want: http.StatusOK,
	}, listOf(func(w *api.UserSummary) (*User, error) {
		if !prefixUser.valid(w.UserID) {
			return nil, errNoID
		}
		return &User{ID: w.UserID, Email: w.Email}, nil
	}))
}
