package main

import (
	"slices"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var teamChecks = []check{
	{name: "listTeams", token: true, run: listTeams},
	{name: "createTeam", token: true, run: createTeam},
	{name: "getTeam", token: true, run: getTeam},
	{name: "renameTeam", token: true, run: renameTeam},
	{name: "deleteTeam", token: true, run: deleteTeam},
	{name: "listTeamMembers", token: true, run: listTeamMembers},
	{name: "addTeamMember", token: true, second: true, run: addTeamMember},
	{name: "updateTeamMember", token: true, second: true, run: updateTeamMember},
	{name: "removeTeamMember", token: true, second: true, run: removeTeamMember},
	{name: "leaveTeam", token: true, second: true, run: leaveTeam},
	{name: "team-of-another-token", token: true, run: teamOfAnotherToken},
	{name: "owner-stays-owner", token: true, run: ownerStays},
	{name: "members-may-not-manage", token: true, second: true, run: membersMayNot},
	{name: "switchTeam", token: true, run: switchTeam},
	{name: "switch-to-a-foreign-team", token: true, second: true, run: switchForeign},
	{name: "searchUsers", token: true, run: searchUsers},
}

func (p *probe) teams(c *wrenn.Client) []wrenn.Team {
	listed, err := c.Teams.List(p.ctx)
	p.ok(err)
	return listed
}

func listTeams(p *probe) {
	c := p.newCrew()
	listed := p.teams(p.user)
	at := slices.IndexFunc(listed, func(t wrenn.Team) bool { return t.ID == c.id })
	p.want(at >= 0, "a new team is not in the list")
	p.want(listed[at].Role == wrenn.RoleOwner && listed[at].Name != "", "listed as %+v", listed[at])
}

func createTeam(p *probe) {
	c := p.newCrew()
	listed, err := c.Sandboxes.List(p.ctx)
	p.ok(err)
	p.want(len(listed) == 0, "a new team has %d sandboxes", len(listed))
	for _, name := range []string{"", "with-hyphen", "with/slash"} {
		p.turnedAway(p.byHand(c, "POST", "/v1/teams", `{"name":"`+name+`"}`), "the name "+name, 400, wrenn.CodeInvalidRequest)
	}
	_, err = p.user.Teams.Create(p.ctx, "with-hyphen")
	p.caused(err, wrenn.ErrInvalidArgument)
}

func getTeam(p *probe) {
	c := p.newCrew()
	got, err := c.Teams.Get(p.ctx, c.id)
	p.ok(err)
	p.want(got.ID == c.id && len(got.Members) == 1, "the team is %+v", got)
	p.want(got.Members[0].UserID == c.session.UserID && got.Members[0].Role == wrenn.RoleOwner, "its member is %+v", got.Members[0])
}

func renameTeam(p *probe) {
	c := p.newCrew()
	name := teamName(p.name())
	p.ok(c.Teams.Rename(p.ctx, c.id, name))
	got, err := c.Teams.Get(p.ctx, c.id)
	p.ok(err)
	p.want(got.Name == name, "the name is %q, want %q", got.Name, name)
	p.turnedAway(p.byHand(c, "PATCH", "/v1/teams/"+c.id, `{"name":"with-hyphen"}`), "a malformed name", 400, wrenn.CodeInvalidRequest)
}

// deleteTeam takes what is in the team along.
func deleteTeam(p *probe) {
	c := p.newCrew()
	ctx, cancel := p.steady()
	defer cancel()
	_, err := c.Sandboxes.Create(ctx, wrenn.CreateSandboxRequest{})
	p.ok(err)
	p.ok(c.Teams.Delete(ctx, c.id))
	p.want(!slices.ContainsFunc(p.teams(p.user), func(t wrenn.Team) bool { return t.ID == c.id }), "the team is in the list")
	_, err = p.user.Auth.SwitchTeam(p.ctx, c.id)
	p.refused(err, "switching to a deleted team", wrenn.CodeForbidden, wrenn.CodeNotFound)
}

func (p *probe) members(c *crew) []wrenn.TeamMember {
	listed, err := c.Teams.ListMembers(p.ctx, c.id)
	p.ok(err)
	return listed
}

// role is that of a user in the team, empty for one who is not in it.
func (p *probe) role(c *crew, user string) wrenn.Role {
	for _, member := range p.members(c) {
		if member.UserID == user {
			return member.Role
		}
	}
	return ""
}

func listTeamMembers(p *probe) {
	c := p.newCrew()
	listed := p.members(c)
	p.want(len(listed) == 1 && listed[0].UserID == c.session.UserID && listed[0].Email == c.session.Email &&
		listed[0].Role == wrenn.RoleOwner && !listed[0].JoinedAt.IsZero(), "the members are %+v", listed)
}

func (p *probe) join(c *crew, who *person) *wrenn.TeamMember {
	member, err := c.Teams.AddMember(p.ctx, c.id, who.email)
	p.ok(err)
	return member
}

// addTeamMember: the answer does not know when the member joined.
func addTeamMember(p *probe) {
	c, who := p.newCrew(), p.otherPerson()
	member := p.join(c, who)
	p.want(member.UserID == who.id && member.Email == who.email && member.Role == wrenn.RoleMember, "the member is %+v", member)
	p.want(member.JoinedAt.IsZero(), "joined at %s", member.JoinedAt)
	p.want(p.role(c, who.id) == wrenn.RoleMember, "the member is not in the list")
	_, err := c.Teams.AddMember(p.ctx, c.id, who.email)
	p.refused(err, "adding a member again", wrenn.CodeConflict, wrenn.CodeInvalidRequest)
	_, err = c.Teams.AddMember(p.ctx, c.id, p.name()+"@example.com")
	p.refused(err, "adding nobody", wrenn.CodeNotFound, wrenn.CodeInvalidRequest)
	p.turnedAway(p.byHand(c, "POST", "/v1/teams/"+c.id+"/members", `{}`), "no address", 400, wrenn.CodeInvalidRequest)
}

func updateTeamMember(p *probe) {
	c, who := p.newCrew(), p.otherPerson()
	p.join(c, who)
	for _, role := range []wrenn.Role{wrenn.RoleAdmin, wrenn.RoleMember} {
		p.ok(c.Teams.UpdateMemberRole(p.ctx, c.id, who.id, role))
		p.want(p.role(c, who.id) == role, "the role is %s, want %s", p.role(c, who.id), role)
	}
	path := "/v1/teams/" + c.id + "/members/" + who.id
	p.turnedAway(p.byHand(c, "PATCH", path, `{"role":"king"}`), "an unknown role", 400, wrenn.CodeInvalidRequest)
}

func removeTeamMember(p *probe) {
	c, who := p.newCrew(), p.otherPerson()
	p.join(c, who)
	p.ok(c.Teams.RemoveMember(p.ctx, c.id, who.id))
	p.want(p.role(c, who.id) == "", "the member is in the list")
	_, err := who.Auth.SwitchTeam(p.ctx, c.id)
	p.refused(err, "switching to a team that one was removed from", wrenn.CodeForbidden)
}

func leaveTeam(p *probe) {
	c, who := p.newCrew(), p.otherPerson()
	p.join(c, who)
	member := p.as(who.Client, c.id)
	p.ok(member.Teams.Leave(p.ctx, c.id))
	p.want(p.role(c, who.id) == "", "the member is in the list")
}

// teamOfAnotherToken: a token is for one team, and opens no other, also of the same user.
func teamOfAnotherToken(p *probe) {
	c, other := p.newCrew(), p.newCrew()
	_, err := c.Teams.Get(p.ctx, other.id)
	p.refused(err, "getting another team", wrenn.CodeForbidden)
	p.want(wrenn.IsForbidden(err), "the client does not see that it is forbidden")
	p.refused(c.Teams.Rename(p.ctx, other.id, "never"), "renaming another team", wrenn.CodeForbidden)
	p.refused(c.Teams.Delete(p.ctx, other.id), "deleting another team", wrenn.CodeForbidden)
	_, err = c.Teams.ListMembers(p.ctx, other.id)
	p.refused(err, "listing the members of another team", wrenn.CodeForbidden)
}

func ownerStays(p *probe) {
	c := p.newCrew()
	no := []wrenn.Code{wrenn.CodeForbidden, wrenn.CodeInvalidRequest}
	p.refused(c.Teams.UpdateMemberRole(p.ctx, c.id, c.session.UserID, wrenn.RoleMember), "taking the owner's role", no...)
	p.refused(c.Teams.RemoveMember(p.ctx, c.id, c.session.UserID), "removing the owner", no...)
	p.refused(c.Teams.Leave(p.ctx, c.id), "leaving as the owner", no...)
	p.want(p.role(c, c.session.UserID) == wrenn.RoleOwner, "the owner is not what it was")
}

func membersMayNot(p *probe) {
	c, who := p.newCrew(), p.otherPerson()
	p.join(c, who)
	member := p.as(who.Client, c.id)
	p.refused(member.Teams.Rename(p.ctx, c.id, "never"), "renaming as a member", wrenn.CodeForbidden)
	p.refused(member.Teams.Delete(p.ctx, c.id), "deleting as a member", wrenn.CodeForbidden)
	_, err := member.Teams.AddMember(p.ctx, c.id, c.session.Email)
	p.refused(err, "adding as a member", wrenn.CodeForbidden)
	got, err := member.Teams.Get(p.ctx, c.id)
	p.ok(err)
	p.want(len(got.Members) == 2, "a member sees %d members", len(got.Members))
}

func switchTeam(p *probe) {
	c := p.newCrew()
	s := c.session
	p.want(s.TeamID == c.id && s.UserID != "" && s.Email != "", "the answer is for team %s, user %s", s.TeamID, s.UserID)
	_, err := c.Teams.Get(p.ctx, c.id)
	p.ok(err)
	_, err = c.Auth.SwitchTeam(p.ctx, "team-"+absent)
	p.refused(err, "switching to an unknown team", wrenn.CodeNotFound, wrenn.CodeForbidden)
	p.turnedAway(p.byHand(c, "POST", "/v1/auth/switch-team", `{"team_id":"x"}`), "a malformed id", 400, wrenn.CodeInvalidRequest)
}

func switchForeign(p *probe) {
	c, who := p.newCrew(), p.otherPerson()
	_, err := who.Auth.SwitchTeam(p.ctx, c.id)
	p.refused(err, "switching to the team of others", wrenn.CodeForbidden)
}

func searchUsers(p *probe) {
	c := p.newCrew()
	found, err := c.Users.Search(p.ctx, c.session.Email)
	p.ok(err)
	for _, user := range found {
		p.want(user.Email == c.session.Email || len(user.Email) > len(c.session.Email), "a search for a whole address finds %s", user.ID)
	}
	p.want(slices.ContainsFunc(found, func(u wrenn.User) bool { return u.ID == c.session.UserID }), "the user does not find himself")
	for _, prefix := range []string{"a@", "abcd", ""} {
		p.turnedAway(p.byHand(c, "GET", "/v1/users/search?email="+prefix, ""), "a search for "+prefix, 400, wrenn.CodeInvalidRequest)
	}
	_, err = c.Users.Search(p.ctx, "abcd")
	p.caused(err, wrenn.ErrInvalidArgument)
}
