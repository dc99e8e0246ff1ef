package wrenndev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

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

// loadCredentials reads the secrets of the data directory, makes those that are
// missing, and puts the configured ones in their place.
func loadCredentials(path string, cfg Config) (credentials, error) {
	var c credentials
	text, err := os.ReadFile(path) //nolint:gosec // in the server's own data directory
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return c, fmt.Errorf("credentials: %w", err)
	default:
		if err := json.Unmarshal(text, &c); err != nil {
			return c, fmt.Errorf("credentials: %s is not readable", filepath.Base(path)) // the cause could quote a secret
		}
	}
	c.fill(cfg)
	text, err = json.Marshal(c) //nolint:gosec // the file is where they are kept, readable for its owner only
	if err != nil {
		return c, errors.New("credentials: not writable")
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return c, fmt.Errorf("credentials: %w", err)
	}
	return c, nil
}

func (c *credentials) fill(cfg Config) {
	def := func(s *string, configured string, generate func() string) {
		if configured != "" {
			*s = configured
		}
		if *s == "" {
			*s = generate()
		}
	}
	def(&c.Secret, "", func() string { return randomHex(32) })
	def(&c.AdminToken, cfg.AdminToken, func() string { return randomHex(16) })
	def(&c.UserID, "", func() string { return newID(userPrefix) })
	def(&c.Password, cfg.User.Password, func() string { return randomHex(12) })
	known := c.Teams
	c.Teams = nil
	for _, t := range cfg.Teams {
		id := teamIdentity{Name: t.Name}
		if i := slices.IndexFunc(known, func(k teamIdentity) bool { return k.Name == t.Name }); i >= 0 {
			id = known[i]
		}
		def(&id.ID, "", func() string { return newID(teamPrefix) })
		if len(t.APIKeys) > 0 {
			id.Keys = t.APIKeys
		}
		if len(id.Keys) == 0 {
			id.Keys = []string{newAPIKey()}
		}
		c.Teams = append(c.Teams, id)
	}
}
