package wrenn

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

const teamsPath = "/v1/teams"

// Teams are the teams of the token's user. They take a client with a JWT; any other is ErrUnauthenticated. A JWT is made
// for one team: the operations on any other are IsForbidden until Auth.SwitchTeam gives a token for it.
type Teams struct{ c *Client }

// Role is what a user may do in a team.
type Role string

// The roles. The owner's can be neither given nor taken.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
)

// Team is a tenant: its sandboxes, snapshots and keys are not there for other teams.
type Team struct {
	// ID is "team-" and 25 lowercase base36 digits.
	ID string
	// Name has 1 to 128 letters, digits, spaces and underscores.
	Name string
	// Slug is a short name that the service makes up; not every server tells it.
	Slug string
	// Role is the user's, told by Create and List only.
	Role Role
	// CreatedAt is UTC, in whole seconds.
	CreatedAt time.Time
}

// TeamDetail is a team with its members.
type TeamDetail struct {
	Team

	// Members are all of them.
	Members []TeamMember
}

// TeamMember is a user in a team.
type TeamMember struct {
	// UserID is "usr-" and 25 lowercase base36 digits.
	UserID string
	// Name and Email are the user's.
	Name, Email string
	// Role is what the user may do.
	Role Role
	// JoinedAt is UTC, in whole seconds, and zero in the result of AddMember.
	JoinedAt time.Time
}

var teamNameForm = regexp.MustCompile(`^[A-Za-z0-9 _]{1,128}$`)

func checkTeamName(op, name string) error {
	if !teamNameForm.MatchString(name) {
		return invalidArgument(op, "a team's name has 1 to 128 letters, digits, spaces and underscores")
	}
	return nil
}

// List returns the user's teams.
func (t *Teams) List(ctx context.Context) ([]Team, error) {
	return managedFetch(ctx, t.c, call{
		op: "teams.list", method: http.MethodGet, path: teamsPath, want: http.StatusOK, limit: t.c.settings.limits.ListBytes,
	}, listOf(teamOf))
}

// Create makes a team that the user owns. The client's token stays one of the team that it was made for.
func (t *Teams) Create(ctx context.Context, name string) (*Team, error) {
	const op = "teams.create"
	if err := checkTeamName(op, name); err != nil {
		return nil, err
	}
	return managedFetch(ctx, t.c, call{
		op: op, method: http.MethodPost, path: teamsPath, body: jsonBody(api.TeamNameRequest{Name: name}),
		want: http.StatusCreated,
	}, teamOf)
}

// Get returns a team and its members.
func (t *Teams) Get(ctx context.Context, id string) (*TeamDetail, error) {
	const op = "teams.get"
	if err := prefixTeam.check(op, id); err != nil {
		return nil, err
	}
	return managedFetch(ctx, t.c, call{op: op, method: http.MethodGet, path: teamsPath + "/" + id, want: http.StatusOK, limit: t.c.settings.limits.ListBytes},
		func(w *api.TeamDetail) (*TeamDetail, error) {
			team, err := teamOf(&w.Team)
			if err != nil || team.ID != id {
				return nil, errNoID
			}
			members, err := listOf(teamMemberOf)(&w.Members)
			return &TeamDetail{Team: *team, Members: members}, err
		})
}

// Rename renames a team. Owners and admins may.
func (t *Teams) Rename(ctx context.Context, id, name string) error {
	const op = "teams.rename"
	if err := prefixTeam.check(op, id); err != nil {
		return err
	}
	if err := checkTeamName(op, name); err != nil {
		return err
	}
	return t.c.managedDo(ctx, call{
		op: op, method: http.MethodPatch, path: teamsPath + "/" + id, body: jsonBody(api.TeamNameRequest{Name: name}),
	})
}

// Delete deletes a team and destroys its sandboxes. The owner may.
func (t *Teams) Delete(ctx context.Context, id string) error {
	const op = "teams.delete"
	if err := prefixTeam.check(op, id); err != nil {
		return err
	}
	return t.c.managedDo(ctx, call{op: op, method: http.MethodDelete, path: teamsPath + "/" + id, budget: slowCallTimeout})
}

// Leave ends the user's membership of a team. The owner cannot leave.
func (t *Teams) Leave(ctx context.Context, id string) error {
	const op = "teams.leave"
	if err := prefixTeam.check(op, id); err != nil {
		return err
	}
	return t.c.managedDo(ctx, call{op: op, method: http.MethodPost, path: teamsPath + "/" + id + "/leave"})
}

func teamOf(w *api.Team) (*Team, error) {
	if !prefixTeam.valid(w.ID) {
		return nil, errNoID
	}
	return &Team{ID: w.ID, Name: w.Name, Slug: value(w.Slug), Role: Role(value(w.Role)), CreatedAt: value(w.CreatedAt).UTC()}, nil
}
