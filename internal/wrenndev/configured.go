package wrenndev

import (
	"fmt"
	"slices"
	"time"
)

// configuredUser is the name of the configured user.
const configuredUser = "dev"

// putConfigured makes what the configuration names: the user, who owns the teams, and
// the teams with their keys. All of it is there and works after every start, whatever
// was done to it meanwhile; only a password that is not configured stays as the user
// left it.
func (p *people) putConfigured(cfg Config, secrets credentials) error {
	if err := p.putUser(cfg.User, secrets); err != nil {
		return err
	}
	named := map[string]bool{}
	for i, t := range secrets.Teams {
		p.putTeam(t, secrets.UserID, i == 0)
		for _, key := range t.Keys {
			named[hashAPIKey(key)] = true
			p.putKey(key, t.ID, secrets.UserID)
		}
	}
	p.removeKeys(func(r keyRecord) bool { return r.Configured && !named[r.Hash] })
	return nil
}

func (p *people) putUser(configured User, secrets credentials) error {
	email := normalEmail(configured.Email)
	if u, ok := p.userBy(email); ok && u.ID != secrets.UserID {
		return fmt.Errorf("the configured user's address %s is that of another user", email)
	}
	u, known := p.users.get(secrets.UserID)
	if !known {
		u = userRecord{ID: secrets.UserID, Name: configuredUser, Created: time.Now()}
	}
	u.Email, u.Status, u.Admin = email, userActive, true
	if !known || configured.Password != "" && !passwordMatches(u.Password, configured.Password) {
		var err error
		if u.Password, err = hashPassword(secrets.Password); err != nil {
			return err
		}
	}
	putRecord(p.users, u.ID, u)
	return nil
}

func (p *people) putTeam(t teamIdentity, owner string, isDefault bool) {
	r, known := p.teams.get(t.ID)
	if !known {
		r = teamRecord{ID: t.ID, Name: t.Name, Slug: newSlug(), Created: time.Now()}
	}
	r.Deleted = false
	putRecord(p.teams, r.ID, r)
	hasOwner := slices.ContainsFunc(p.membersOf(t.ID), func(m memberRecord) bool { return m.Role == roleOwner })
	if !hasOwner {
		putRecord(p.members, memberRecord{Team: t.ID, User: owner}.key(),
			memberRecord{Team: t.ID, User: owner, Role: roleOwner, Default: isDefault, Joined: time.Now()})
	}
}

func (p *people) putKey(key, team, user string) {
	r, known := p.keys.get(hashAPIKey(key))
	switch {
	case !known:
		p.addKey(key, keyRecord{Team: team, Name: "Configured API Key", CreatedBy: user, Configured: true})
	case r.Team != team:
		p.keys.update(r.Hash, func(r *keyRecord) { r.Team = team })
	}
}

// putRecord makes a record, or replaces it.
func putRecord[Record any](t *table[Record], id string, r Record) {
	if !t.add(id, r, nil) {
		t.update(id, func(old *Record) { *old = r })
	}
}
