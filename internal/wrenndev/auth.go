package wrenndev

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenLife is how long a token is good for.
const tokenLife = 6 * time.Hour

// claims is what a token says.
type claims struct {
	TeamID string `json:"team_id"`
	Role   string `json:"role"`
	Email  string `json:"email"`
	Name   string `json:"name"`
	jwt.RegisteredClaims
}

// authenticator tells whose a request is.
type authenticator struct {
	people *people
	secret []byte
}

// What a caller is.
const (
	callerUser   = "user"
	callerAPIKey = "api_key"
	callerSystem = "system" // nobody
)

// caller is whose a request is.
type caller struct {
	// kind is the audit log's word: user, api_key or system.
	kind string
	// id and name are those of the user or the key.
	id, name string
	// team is the one that the request is made in.
	team string
	// role is the user's in the team as the token says it: owner, admin or member.
	role string
	// admin is an administrator of the platform.
	admin bool
	// active is false for a user whom C servers do not let in. S servers do not ask.
	active bool
}

// byHeaders identifies the caller. An API key that is given and bad is the end: the
// token is not tried.
func (a *authenticator) byHeaders(h http.Header, want access) (caller, error) {
	if key := h.Get("X-API-Key"); key != "" {
		r, ok := a.people.useKey(key)
		if !ok {
			return caller{}, unauthorized("invalid API key")
		}
		if want != accessData {
			return caller{}, unauthorized("this route takes no API key")
		}
		return caller{kind: callerAPIKey, id: r.ID, name: r.Name, team: r.Team, active: true}, nil
	}
	token, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	if !ok {
		return caller{}, unauthorized("X-API-Key or Authorization: Bearer <token> required")
	}
	return a.byToken(token)
}

// byToken believes what the token says of the user and the team, which may both be gone
// by now.
func (a *authenticator) byToken(token string) (caller, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c,
		func(*jwt.Token) (any, error) { return a.secret, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired())
	if err != nil || c.Subject == "" || c.TeamID == "" {
		return caller{}, unauthorized("invalid or expired token")
	}
	who := caller{kind: callerUser, id: c.Subject, name: c.Name, team: c.TeamID, role: c.Role}
	if u, ok := a.people.users.get(c.Subject); ok {
		who.active, who.admin = u.Status == userActive, u.Admin
	}
	return who, nil
}

// sign makes a token of a user for a team.
func (a *authenticator) sign(u userRecord, m memberRecord, life time.Duration) (string, error) {
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		TeamID: m.Team, Role: m.Role, Email: u.Email, Name: u.Name,
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: u.ID, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
	}).SignedString(a.secret)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// authorize finds out who calls, and refuses who may not.
func (s *Server) authorize(c *call, want access) error {
	if want == accessNone {
		return nil
	}
	var err error
	c.caller, err = s.auth.byHeaders(c.r.Header, want)
	switch {
	case err != nil:
		return err
	case c.gen == genC && !c.active:
		return refuse(http.StatusForbidden, "account_deactivated", "this account is not active")
	case want == accessAdmin && !c.admin:
		return forbidden("administrators only")
	}
	return nil
}

func (s *Server) health(c *call) error {
	writeJSON(c.w, http.StatusOK, map[string]string{"status": "ok", "version": "dev"})
	return nil
}
