package wrenn

import (
	"context"
	"errors"
	"net/http"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// Auth makes accounts and tokens. Login, Signup, Activate and the resets of a password need no credential and send none;
// the rest takes a client with a JWT, and any other is ErrUnauthenticated. What only generation Capsules has is
// ErrUnsupported on a server of the other. No password shows in an error.
type Auth struct{ c *Client }

// Session is a user's token and whose it is.
type Session struct {
	// Token is a JWT for one team. It lives for six hours.
	Token Secret
	// UserID, Email and Name are the user's.
	UserID, Email, Name string
	// TeamID is the team that the token is for.
	TeamID string
}

// Credential is that of the session's token.
func (s *Session) Credential() (Credential, error) { return JWT(s.Token.Reveal()) }

// SignupRequest says what account to make.
type SignupRequest struct {
	// Email is the address, Name has 1 to 100 characters.
	Email, Name string
	// Password has 8 characters or more.
	Password string
}

// Signup is a new account.
type Signup struct {
	// Session is there at servers of generation Sandboxes, whose accounts work at once.
	Session *Session
	// Message is what servers of generation Capsules answer, for people: the account waits for Activate.
	Message string
}

const minPassword = 8

func checkPassword(op, password string) error {
	if len(password) < minPassword {
		return invalidArgument(op, "the password has fewer than %d characters", minPassword)
	}
	return nil
}

// Login returns a token for a user. Wrong words are IsUnauthorized, an account that waits for its mail is IsNotActivated.
func (a *Auth) Login(ctx context.Context, email, password string) (*Session, error) {
	const op = "auth.login"
	if email == "" || password == "" {
		return nil, invalidArgument(op, "the address or the password is empty")
	}
	return managedFetch(ctx, a.c, call{
		op: op, method: http.MethodPost, path: "/v1/auth/login", want: http.StatusOK, anonymous: true, hide: []string{password},
		body: jsonBody(api.LoginRequest{Email: email, Password: password}),
	}, sessionOf)
}

// Signup makes an account. An address that is taken is IsEmailTaken.
func (a *Auth) Signup(ctx context.Context, req SignupRequest) (*Signup, error) {
	const op = "auth.signup"
	if req.Email == "" || req.Name == "" {
		return nil, invalidArgument(op, "the address or the name is empty")
	}
	if err := checkPassword(op, req.Password); err != nil {
		return nil, err
	}
	return managedFetch(ctx, a.c, call{
		op: op, method: http.MethodPost, path: "/v1/auth/signup", want: http.StatusCreated, anonymous: true,
		hide: []string{req.Password}, body: jsonBody(api.SignupRequest{Email: req.Email, Name: req.Name, Password: req.Password}),
	}, func(w *api.Signup) (*Signup, error) {
		if w.Token == nil {
			return &Signup{Message: value(w.Message)}, nil
		}
		session, err := sessionOf(&api.Login{
			Token: *w.Token, UserID: value(w.UserID), TeamID: value(w.TeamID), Email: value(w.Email), Name: value(w.Name),
		})
		return &Signup{Session: session, Message: value(w.Message)}, err
	})
}

// Activate activates an account with the token of the mail that Signup had sent, and returns a token for its user. A token
// that is unknown or expired is IsInvalidToken. Generation Capsules only.
func (a *Auth) Activate(ctx context.Context, mailToken string) (*Session, error) {
	const op = "auth.activate"
	if mailToken == "" {
		return nil, invalidArgument(op, "the token is empty")
	}
	return managedFetch(ctx, a.c, call{
		op: op, method: http.MethodPost, path: "/v1/auth/activate", want: http.StatusOK, anonymous: true,
		only: GenerationCapsules, hide: []string{mailToken}, body: jsonBody(api.ActivateRequest{Token: mailToken}),
	}, sessionOf)
}

// SwitchTeam returns a token for another team of the user. A team that the user is not in is IsForbidden.
func (a *Auth) SwitchTeam(ctx context.Context, teamID string) (*Session, error) {
	const op = "auth.switch_team"
	if err := prefixTeam.check(op, teamID); err != nil {
		return nil, err
	}
	return managedFetch(ctx, a.c, call{
		op: op, method: http.MethodPost, path: "/v1/auth/switch-team", want: http.StatusOK,
		body: jsonBody(api.SwitchTeamRequest{TeamID: teamID}),
	}, sessionOf)
}

func sessionOf(w *api.Login) (*Session, error) {
	if _, err := JWT(w.Token); err != nil {
		return nil, errors.New("the answer has no valid token")
	}
	return &Session{Token: secretOf(w.Token), UserID: w.UserID, TeamID: w.TeamID, Email: w.Email, Name: w.Name}, nil
}
