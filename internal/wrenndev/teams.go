package wrenndev

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// teamNameForm is the form of the names that users give to teams.
var teamNameForm = regexp.MustCompile(`^[A-Za-z0-9 _]{1,128}$`)

// teamAnswer is a team as the API shows it.
type teamAnswer struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Slug      string `json:"slug"`
	IsBYOC    bool   `json:"is_byoc"`
	CreatedAt string `json:"created_at"`
	// Role is the user's, in lists and at the creation.
	Role string `json:"role,omitempty"`
}

func answerOfTeam(t teamRecord, role string) teamAnswer {
	return teamAnswer{ID: t.ID, Name: t.Name, Slug: t.Slug, IsBYOC: t.BYOC, CreatedAt: stamp(t.Created), Role: role}
}

func readTeamName(c *call) (string, error) {
	var req struct {
		Name string `json:"name"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return "", err
	}
	name := strings.TrimSpace(req.Name)
	if !teamNameForm.MatchString(name) {
		return "", invalidArgument("team name must have 1 to 128 letters, digits, spaces and underscores")
	}
	return name, nil
}

// ownTeam is the team of the path, which must be the one of the token: switch-team makes
// a token for another.
func (s *Server) ownTeam(c *call) (teamRecord, error) {
	id := c.params["team"]
	if !hasIDForm(id, teamPrefix) {
		return teamRecord{}, invalidRequest("invalid team ID")
	}
	if id != c.team {
		return teamRecord{}, forbidden("the token is for another team")
	}
	t, ok := s.people.team(id)
	if !ok {
		return t, notFound("team")
	}
	return t, nil
}

// needRole refuses who has none of the roles in the team of the token. The token's own
// word for the role may be out of date.
func (s *Server) needRole(c *call, roles ...string) error {
	m, ok := s.people.membership(c.team, c.caller.id)
	if !ok {
		return forbidden("not a member of this team")
	}
	if !slices.Contains(roles, m.Role) {
		return forbidden("the role " + m.Role + " does not allow it")
	}
	return nil
}

func (s *Server) listTeams(c *call) error {
	answers := []teamAnswer{}
	for _, m := range s.people.membershipsOf(c.caller.id) {
		if t, ok := s.people.team(m.Team); ok {
			answers = append(answers, answerOfTeam(t, m.Role))
		}
	}
	writeJSON(c.w, http.StatusOK, answers)
	return nil
}

func (s *Server) createTeam(c *call) error {
	name, err := readTeamName(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusCreated, answerOfTeam(s.people.addTeam(name, c.caller.id, false), roleOwner))
	return nil
}

func (s *Server) getTeam(c *call) error {
	t, err := s.ownTeam(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"team": answerOfTeam(t, ""), "members": s.memberAnswers(t.ID)})
	return nil
}

func (s *Server) renameTeam(c *call) error {
	t, err := s.ownTeam(c)
	if err != nil {
		return err
	}
	name, err := readTeamName(c)
	if err != nil {
		return err
	}
	if err := s.needRole(c, roleOwner, roleAdmin); err != nil {
		return err
	}
	s.people.teams.update(t.ID, func(t *teamRecord) { t.Name = name })
	s.record(c.caller, "team", t.ID, "rename", map[string]any{"old_name": t.Name, "new_name": name})
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) deleteTeam(c *call) error {
	t, err := s.ownTeam(c)
	if err != nil {
		return err
	}
	if err := s.needRole(c, roleOwner); err != nil {
		return err
	}
	if err := s.dropTeam(t.ID); err != nil {
		return err
	}
	s.record(c.caller, "team", t.ID, "delete", nil)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// dropTeam deletes a team with all that it has. The keys go first, so that nothing new
// comes up behind it.
func (s *Server) dropTeam(team string) error {
	s.people.removeKeys(func(r keyRecord) bool { return r.Team == team })
	for _, row := range s.rows.list(team) {
		if row.Status == StatusStopped || row.Status == StatusError {
			continue
		}
		if err := s.agent.destroy(row.ID); err != nil {
			return fmt.Errorf("destroy %s: %w", row.ID, err)
		}
		s.rows.move(row.ID, StatusStopped, nil)
	}
	for _, snap := range s.rows.listSnapshots(team) {
		if err := s.dropSnapshot(team, snap.Name); err != nil {
			return err
		}
	}
	s.people.teams.update(team, func(t *teamRecord) { t.Deleted = true })
	return nil
}

// leaveTeam is for everybody but the owner.
func (s *Server) leaveTeam(c *call) error {
	t, err := s.ownTeam(c)
	if err != nil {
		return err
	}
	if err := s.needRole(c, roleAdmin, roleMember); err != nil {
		return err
	}
	s.people.members.remove(memberRecord{Team: t.ID, User: c.caller.id}.key())
	s.record(c.caller, "member", c.caller.id, "leave", nil)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// setTeamBYOC is for administrators, who need not be members.
func (s *Server) setTeamBYOC(c *call) error {
	id := c.params["team"]
	if !hasIDForm(id, teamPrefix) {
		return invalidRequest("invalid team ID")
	}
	var req struct {
		Enabled bool `json:"enabled"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if _, ok := s.people.team(id); !ok {
		return notFound("team")
	}
	s.people.teams.update(id, func(t *teamRecord) { t.BYOC = req.Enabled })
	who := c.caller
	who.team = id // whose log it is for
	s.record(who, "team", id, "set_byoc", map[string]any{"enabled": req.Enabled})
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
