package wrenn

import (
	"context"
	"errors"
	"net/http"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// All of these exist in generation Capsules only.

const mePath = "/v1/me"

// Account is the user of the client's token.
type Account struct {
	// Name and Email are the user's.
	Name, Email string
	// HasPassword is false for a user who logs in with a provider only.
	HasPassword bool
	// Providers are the OAuth providers that are connected.
	Providers []string
}

// PasswordChange is a new password.
type PasswordChange struct {
	// Current is required of a user who has a password; a wrong one is IsWrongPassword.
	Current string
	// New has 8 characters or more. A change ends the user's other sessions.
	New string
}

// Me returns the user of the client's token.
func (a *Auth) Me(ctx context.Context) (*Account, error) {
	return managedFetch(ctx, a.c, call{
		op: "auth.me", method: http.MethodGet, path: mePath, want: http.StatusOK, only: GenerationCapsules,
	}, func(w *api.Me) (*Account, error) {
		if w.Email == "" {
			return nil, errors.New("the answer has no address")
		}
		return &Account{Name: w.Name, Email: w.Email, HasPassword: w.HasPassword, Providers: orEmpty(w.Providers)}, nil
	})
}

// UpdateName changes the user's name, of 1 to 100 characters. Tokens that are there keep the old one. Some servers answer
// with a new token, which is not taken here.
func (a *Auth) UpdateName(ctx context.Context, name string) error {
	const op = "auth.update_name"
	if name == "" {
		return invalidArgument(op, "the name is empty")
	}
	return a.c.managedDo(ctx, call{
		op: op, method: http.MethodPatch, path: mePath, only: GenerationCapsules, also: http.StatusOK, body: jsonBody(api.UpdateMeRequest{Name: name}),
	})
}

// DeleteAccount deletes the user's account. confirmation is the user's address. The owner of a team with other members is
// IsConflict.
func (a *Auth) DeleteAccount(ctx context.Context, confirmation string) error {
	return a.c.managedDo(ctx, call{
		op: "auth.delete_account", method: http.MethodDelete, path: mePath, only: GenerationCapsules,
		body: jsonBody(api.DeleteMeRequest{Confirmation: confirmation}),
	})
}

// ChangePassword changes the user's password, or sets the first one.
func (a *Auth) ChangePassword(ctx context.Context, change PasswordChange) error {
	const op = "auth.change_password"
	if err := checkPassword(op, change.New); err != nil {
		return err
	}
	// A first password must be confirmed; the confirmation of another one is ignored.
	return a.c.managedDo(ctx, call{
		op: op, method: http.MethodPost, path: mePath + "/password", only: GenerationCapsules,
		hide: []string{change.Current, change.New}, body: jsonBody(api.ChangePasswordRequest{
			CurrentPassword: optional(change.Current), NewPassword: change.New, ConfirmPassword: &change.New,
		}),
	})
}

// RequestPasswordReset has a mail sent to the user with an address. It succeeds whether or not there is one.
func (a *Auth) RequestPasswordReset(ctx context.Context, email string) error {
	return a.c.managedDo(ctx, call{
		op: "auth.request_password_reset", method: http.MethodPost, path: mePath + "/password/reset", anonymous: true,
		only: GenerationCapsules, body: jsonBody(api.PasswordResetRequest{Email: email}),
	})
}

// ConfirmPasswordReset sets a password with the token of the mail. A token that is unknown or expired is IsInvalidToken.
func (a *Auth) ConfirmPasswordReset(ctx context.Context, mailToken, password string) error {
	const op = "auth.confirm_password_reset"
	if mailToken == "" {
		return invalidArgument(op, "the token is empty")
	}
	if err := checkPassword(op, password); err != nil {
		return err
	}
	return a.c.managedDo(ctx, call{
		op: op, method: http.MethodPost, path: mePath + "/password/reset/confirm", anonymous: true, only: GenerationCapsules,
		hide: []string{mailToken, password}, body: jsonBody(api.ConfirmPasswordResetRequest{Token: mailToken, NewPassword: password}),
	})
}

// ConnectProvider begins to connect an OAuth provider and returns the URL that the user's browser goes to next.
func (a *Auth) ConnectProvider(ctx context.Context, provider string) (string, error) {
	const op = "auth.connect_provider"
	if err := checkSegment(op, "provider", provider); err != nil {
		return "", err
	}
	return managedFetch(ctx, a.c, call{
		op: op, method: http.MethodGet, path: mePath + "/providers/" + provider + "/connect", want: http.StatusOK,
		only: GenerationCapsules,
	}, func(w *api.ProviderConnection) (string, error) {
		if w.AuthURL == "" {
			return "", errors.New("the answer has no URL")
		}
		return w.AuthURL, nil
	})
}

// DisconnectProvider disconnects an OAuth provider. The only way to log in cannot be taken away.
func (a *Auth) DisconnectProvider(ctx context.Context, provider string) error {
	const op = "auth.disconnect_provider"
	if err := checkSegment(op, "provider", provider); err != nil {
		return err
	}
	return a.c.managedDo(ctx, call{
		op: op, method: http.MethodDelete, path: mePath + "/providers/" + provider, only: GenerationCapsules,
	})
}
