package wrenndev

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// apiKeyAnswer is an API key as the API shows it.
type apiKeyAnswer struct {
	ID           string `json:"id"`
	TeamID       string `json:"team_id"`
	Name         string `json:"name"`
	KeyPrefix    string `json:"key_prefix"`
	CreatedBy    string `json:"created_by"`
	CreatorEmail string `json:"creator_email,omitempty"`
	CreatedAt    string `json:"created_at"`
	LastUsed     string `json:"last_used,omitempty"`
	// Key is in the answer to its creation, and never again.
	Key string `json:"key,omitempty"`
}

func answerOfKey(r keyRecord) apiKeyAnswer {
	a := apiKeyAnswer{
		ID: r.ID, TeamID: r.Team, Name: r.Name, KeyPrefix: r.Prefix, CreatedBy: r.CreatedBy, CreatedAt: stamp(r.Created),
	}
	if r.LastUsed != nil {
		a.LastUsed = stamp(*r.LastUsed)
	}
	return a
}

func (s *Server) createAPIKey(c *call) error {
	var req struct {
		Name string `json:"name"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	name := strings.TrimSpace(req.Name)
	if name == "" {
		name = "Unnamed API Key"
	}
	key := newAPIKey()
	answer := answerOfKey(s.people.addKey(key, keyRecord{Team: c.team, Name: name, CreatedBy: c.caller.id}))
	s.record(c.caller, "api_key", answer.ID, "create", map[string]any{"name": name})
	answer.Key = key
	writeJSON(c.w, http.StatusCreated, answer)
	return nil
}

// listAPIKeys lists the newest first.
func (s *Server) listAPIKeys(c *call) error {
	keys := s.people.keys.list(func(r keyRecord) bool { return r.Team == c.team })
	answers := make([]apiKeyAnswer, 0, len(keys))
	for _, r := range slices.Backward(keys) {
		answer := answerOfKey(r)
		if creator, ok := s.people.users.get(r.CreatedBy); ok {
			answer.CreatorEmail = creator.Email
		}
		answers = append(answers, answer)
	}
	writeJSON(c.w, http.StatusOK, answers)
	return nil
}

// deleteAPIKey does not tell a key that was deleted, or is another team's, from one
// that is deleted now.
func (s *Server) deleteAPIKey(c *call) error {
	id := c.params["key"]
	if !hasIDForm(id, apiKeyPrefix) {
		return invalidRequest("invalid API key ID")
	}
	s.people.removeKeys(func(r keyRecord) bool { return r.ID == id && r.Team == c.team })
	s.record(c.caller, "api_key", id, "revoke", nil)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func newAPIKey() string { return "wrn_" + randomHex(16) }

func hashAPIKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// shownOfKey is how much of an API key can be seen later, to recognize it by.
const shownOfKey = len("wrn_") + 6

// addKey keeps a new API key with what r says of it.
func (p *people) addKey(key string, r keyRecord) keyRecord {
	r.Hash, r.ID, r.Prefix, r.Created = hashAPIKey(key), newID(apiKeyPrefix), key[:shownOfKey], time.Now()
	p.keys.add(r.Hash, r, nil)
	return r
}

// useKey finds an API key that is being used.
func (p *people) useKey(key string) (keyRecord, bool) {
	hash, now := hashAPIKey(key), time.Now()
	r, ok := p.keys.get(hash)
	if !ok {
		return r, false
	}
	use := func(r *keyRecord) { r.LastUsed = &now }
	if r.LastUsed != nil {
		return r, p.keys.touch(hash, use)
	}
	// That a key was used at all is worth a line in the journal.
	_, ok = p.keys.update(hash, use)
	return r, ok
}

// removeKeys makes the API keys worthless that doomed accepts.
func (p *people) removeKeys(doomed func(keyRecord) bool) {
	for _, r := range p.keys.list(doomed) {
		p.keys.remove(r.Hash)
	}
}
