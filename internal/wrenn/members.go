package wrenn

import (
	"context"
	"net/http"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// ListMembers returns the members of a team.
func (t *Teams) ListMembers(ctx context.Context, teamID string) ([]TeamMember, error) {
	const op = "teams.list_members"
	if err := prefixTeam.check(op, teamID); err != nil {
		return nil, err
	}
	return managedFetch(ctx, t.c, call{
		op: op, method: http.MethodGet, path: membersPath(teamID), want: http.StatusOK, limit: t.c.settings.limits.ListBytes,
	}, listOf(teamMemberOf))
}

// AddMember makes the user with an address a member of a team. Owners and admins may. An address that no user has is
// IsNotFound.
func (t *Teams) AddMember(ctx context.Context, teamID, email string) (*TeamMember, error) {
	const op = "teams.add_member"
	if err := prefixTeam.check(op, teamID); err != nil {
		return nil, err
	}
	if email == "" {
		return nil, invalidArgument(op, "the address is empty")
	}
	return managedFetch(ctx, t.c, call{
		op: op, method: http.MethodPost, path: membersPath(teamID), want: http.StatusCreated,
		body: jsonBody(api.AddTeamMemberRequest{Email: email}),
	}, teamMemberOf)
}

// UpdateMemberRole gives a member the role of an admin or of a member. Owners and admins may.
func (t *Teams) UpdateMemberRole(ctx context.Context, teamID, userID string, role Role) error {
	const op = "teams.update_member_role"
	if err := checkMember(op, teamID, userID); err != nil {
		return err
	}
	if role != RoleAdmin && role != RoleMember {
		return invalidArgument(op, "the role must be %q or %q", RoleAdmin, RoleMember)
	}
	return t.c.managedDo(ctx, call{
		op: op, method: http.MethodPatch, path: membersPath(teamID) + "/" + userID,
		body: jsonBody(api.UpdateTeamMemberRequest{Role: api.UpdateTeamMemberRequestRole(role)}),
	})
}

// RemoveMember ends a user's membership. Owners and admins may; the owner cannot be removed.
func (t *Teams) RemoveMember(ctx context.Context, teamID, userID string) error {
	const op = "teams.remove_member"
	if err := checkMember(op, teamID, userID); err != nil {
		return err
	}
	return t.c.managedDo(ctx, call{op: op, method: http.MethodDelete, path: membersPath(teamID) + "/" + userID})
}

func membersPath(teamID string) string { return teamsPath + "/" + teamID + "/members" }

func checkMember(op, teamID, userID string) error {
	if err := prefixTeam.check(op, teamID); err != nil {
		return err
	}
	return prefixUser.check(op, userID)
}

func teamMemberOf(w *api.TeamMember) (*TeamMember, error) {
	if !prefixUser.valid(w.UserID) {
		return nil, errNoID
	}
	return &TeamMember{
		UserID: w.UserID, Name: value(w.Name), Email: w.Email, Role: Role(w.Role), JoinedAt: value(w.JoinedAt).UTC(),
	}, nil
}
