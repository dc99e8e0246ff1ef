package wrenndev

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// The statuses of a user. Only an active one can log in. S servers know of none.
const (
	userActive   = "active"
	userInactive = "inactive" // waits for the token of the mail
	userDisabled = "disabled" // by an administrator
	userDeleted  = "deleted"  // by the user
)

// The roles of a member. A team has one owner.
const (
	roleOwner  = "owner"
	roleAdmin  = "admin"
	roleMember = "member"
)

// The prefixes of the ids.
const (
	userPrefix   = "usr-"
	teamPrefix   = "team-"
	apiKeyPrefix = "key-"
)

// userRecord is a user. It stays when the user is deleted: tokens, keys and logs go on
// naming it.
type userRecord struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"` // in lower case
	Name      string    `json:"name"`
	Password  string    `json:"password,omitempty"` // see hashPassword; empty without one
	Status    string    `json:"status"`
	Admin     bool      `json:"admin,omitempty"` // administrator of the platform
	Providers []string  `json:"providers,omitempty"`
	Created   time.Time `json:"created"`
}

// teamRecord is a team. It stays when the team is deleted.
type teamRecord struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Slug    string    `json:"slug"`
	BYOC    bool      `json:"byoc,omitempty"`
	Created time.Time `json:"created"`
	Deleted bool      `json:"deleted,omitempty"`
}

// memberRecord is a user's membership of a team, by both ids.
type memberRecord struct {
	Team string `json:"team"`
	User string `json:"user"`
	Role string `json:"role"`
	// Default is the team that a login is for, where there are several.
	Default bool      `json:"default,omitempty"`
	Joined  time.Time `json:"joined"`
}

func (m memberRecord) key() string { return m.Team + " " + m.User }

// keyRecord is an API key, by the hash of the key: the key itself is not kept.
type keyRecord struct {
	Hash       string     `json:"hash"`
	ID         string     `json:"id"`
	Team       string     `json:"team"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"`
	CreatedBy  string     `json:"created_by"`
	Created    time.Time  `json:"created"`
	LastUsed   *time.Time `json:"last_used,omitempty"`
	Configured bool       `json:"configured,omitempty"` // worthless once no configuration names it
}

// people is what the control plane knows of users and teams.
type people struct {
	users   *table[userRecord]
	teams   *table[teamRecord]
	members *table[memberRecord]
	keys    *table[keyRecord]
	mails   *table[mailRecord]
	links   providerLinks

	// changing is held by what changes several records that must fit together.
	changing sync.Mutex
}

// openPeople opens the tables. What it opened before it failed can be closed.
func openPeople(dir string) (*people, error) {
	p := &people{}
	return p, errors.Join(
		openInto(&p.users, dir, "users.jsonl"),
		openInto(&p.teams, dir, "teams.jsonl"),
		openInto(&p.members, dir, "members.jsonl"),
		openInto(&p.keys, dir, "api-keys.jsonl"),
		openInto(&p.mails, dir, "mails.jsonl"),
	)
}

func openInto[Record any](t **table[Record], dir, name string) error {
	opened, err := openTable[Record](filepath.Join(dir, name))
	if err == nil {
		*t = opened
	}
	return err
}

func (p *people) close() error {
	if p == nil {
		return nil
	}
	return errors.Join(p.users.close(), p.teams.close(), p.members.close(), p.keys.close(), p.mails.close())
}

// normalEmail is the form in which addresses are kept and compared.
func normalEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// userBy finds the user of an address, also a deleted one: an address is not free
// again.
func (p *people) userBy(email string) (userRecord, bool) {
	return first(p.users.list(func(u userRecord) bool { return u.Email == email }))
}

// liveUser finds a user who is not deleted by the address.
func (p *people) liveUser(email string) (userRecord, bool) {
	u, ok := p.userBy(email)
	return u, ok && u.Status != userDeleted
}

// activeUsers counts the users who can log in.
func (p *people) activeUsers() int {
	return len(p.users.list(func(u userRecord) bool { return u.Status == userActive }))
}

// team finds a team that is not deleted.
func (p *people) team(teamID string) (teamRecord, bool) {
	t, ok := p.teams.get(teamID)
	return t, ok && !t.Deleted
}

// addTeam makes a team and its owner.
func (p *people) addTeam(name, owner string, isDefault bool) teamRecord {
	t := teamRecord{ID: newID(teamPrefix), Name: name, Slug: newSlug(), Created: time.Now()}
	p.teams.add(t.ID, t, nil)
	p.addMember(memberRecord{Team: t.ID, User: owner, Role: roleOwner, Default: isDefault, Joined: t.Created})
	return t
}

// addMember reports false when the user is a member already.
func (p *people) addMember(m memberRecord) bool { return p.members.add(m.key(), m, nil) }

func newSlug() string { return randomHex(3) + "-" + randomHex(3) }

func (p *people) membership(team, user string) (memberRecord, bool) {
	return p.members.get(memberRecord{Team: team, User: user}.key())
}

// membersOf are the memberships of a team, the oldest first.
func (p *people) membersOf(team string) []memberRecord {
	return p.members.list(func(m memberRecord) bool { return m.Team == team })
}

// membershipsOf are a user's memberships of teams that are not deleted, the oldest
// first.
func (p *people) membershipsOf(user string) []memberRecord {
	all := p.members.list(func(m memberRecord) bool { return m.User == user })
	return slices.DeleteFunc(all, func(m memberRecord) bool {
		_, there := p.team(m.Team)
		return !there
	})
}

// home is the membership that a login is for.
func (p *people) home(user string) (memberRecord, bool) {
	all := p.membershipsOf(user)
	if i := slices.IndexFunc(all, func(m memberRecord) bool { return m.Default }); i >= 0 {
		return all[i], true
	}
	return first(all)
}

func first[T any](all []T) (T, bool) {
	if len(all) == 0 {
		var none T
		return none, false
	}
	return all[0], true
}
