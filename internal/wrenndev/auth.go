package wrenndev

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenLife is how long a token is good for.
const tokenLife = 6 * time.Hour

// credentials are the secrets of a server. They are kept in the data directory, so
// that clients go on working after a restart.
type credentials struct {
	Secret     string         `json:"jwt_secret"`
	AdminToken string         `json:"admin_token"`
	UserID     string         `json:"user_id"`
	Password   string         `json:"password"`
	Teams      []teamIdentity `json:"teams"`
}

type teamIdentity struct {
	ID   string   `json:"id"`
	Name string   `json:"name"`
	Keys []string `json:"api_keys"`
}

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
	keys   map[[sha256.Size]byte]string // hash of an API key to its team
	teams  map[string]bool
	secret []byte
}

func newAuthenticator(c credentials) *authenticator {
	a := &authenticator{keys: map[[sha256.Size]byte]string{}, teams: map[string]bool{}, secret: []byte(c.Secret)}
	for _, t := range c.Teams {
		a.teams[t.ID] = true
		for _, k := range t.Keys {
			a.keys[sha256.Sum256([]byte(k))] = t.ID
		}
	}
	return a
}

// caller is whose a request is.
type caller struct {
	// kind is the audit log's word: user, api_key or system.
	kind string
	// id and name are those of the user or the key.
	id, name string
	// team is the one that the request is made in.
	team string
	// role is the user's in the team: owner, admin or member.
	role string
}

// byHeaders identifies the caller. An API key that is given and bad is the end: the
// token is not tried.
func (a *authenticator) byHeaders(h http.Header, want access) (caller, error) {
	if key := h.Get("X-API-Key"); key != "" {
		team, ok := a.keys[sha256.Sum256([]byte(key))]
		if !ok {
			return caller{}, unauthorized("invalid API key")
		}
		if want == accessToken {
			return caller{}, unauthorized("this route takes no API key")
		}
		return caller{kind: "api_key", team: team}, nil
	}
	token, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	if !ok {
		return caller{}, unauthorized("X-API-Key or Authorization: Bearer <token> required")
	}
	return a.byToken(token)
}

func (a *authenticator) byToken(token string) (caller, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c,
		func(*jwt.Token) (any, error) { return a.secret, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired())
	if err != nil || !a.teams[c.TeamID] {
		return caller{}, unauthorized("invalid or expired token")
	}
	return caller{kind: "user", id: c.Subject, name: c.Name, team: c.TeamID, role: c.Role}, nil
}

func (a *authenticator) sign(userID, email, teamID string, life time.Duration) (string, error) {
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		TeamID: teamID, Role: "owner", Email: email, Name: "dev",
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: userID, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
	}).SignedString(a.secret)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

func (s *Server) authorize(c *call, want access) error {
	if want == accessNone {
		return nil
	}
	var err error
	c.caller, err = s.auth.byHeaders(c.r.Header, want)
	return err
}

func (s *Server) login(c *call) error {
	var req struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if req.Email == "" || req.Password == "" {
		return invalidRequest("email and password are required")
	}
	if req.Email != s.cfg.User.Email || subtle.ConstantTimeCompare([]byte(req.Password), []byte(s.secrets.Password)) != 1 {
		return unauthorized("invalid email or password")
	}
	token, err := s.auth.sign(s.secrets.UserID, req.Email, s.secrets.Teams[0].ID, tokenLife)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, map[string]string{
		"token": token, "user_id": s.secrets.UserID, "team_id": s.secrets.Teams[0].ID, "email": req.Email, "name": "dev",
	})
	return nil
}

func (s *Server) health(c *call) error {
	writeJSON(c.w, http.StatusOK, map[string]string{"status": "ok", "version": "dev"})
	return nil
}
