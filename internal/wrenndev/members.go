package wrenndev

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// memberAnswer is a member as the API shows it.
type memberAnswer struct {
	UserID   string `json:"user_id"`
	Name     string `json:"name"`
	Email    string `json:"email"`
	Role     string `json:"role"`
	JoinedAt string `json:"joined_at"`
}

func answerOfMember(u userRecord, role string, joined time.Time) memberAnswer {
	return memberAnswer{UserID: u.ID, Name: u.Name, Email: u.Email, Role: role, JoinedAt: stamp(joined)}
}

func (s *Server) memberAnswers(team string) []memberAnswer {
	answers := []memberAnswer{}
	for _, m := range s.people.membersOf(team) {
		if u, ok := s.people.users.get(m.User); ok {
			answers = append(answers, answerOfMember(u, m.Role, m.Joined))
		}
	}
	return answers
}

func (s *Server) listMembers(c *call) error {
	t, err := s.ownTeam(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, s.memberAnswers(t.ID))
	return nil
}

// addTeamMember answers with the zero time where the time of joining should be, as the
// service does.
func (s *Server) addTeamMember(c *call) error {
	t, err := s.ownTeam(c)
	if err != nil {
		return err
	}
	var req struct {
		Email string `json:"email"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	email := normalEmail(req.Email)
	if email == "" {
		return invalidRequest("email is required")
	}
	if err := s.needRole(c, roleOwner, roleAdmin); err != nil {
		return err
	}
	s.people.changing.Lock()
	defer s.people.changing.Unlock()
	u, ok := s.people.liveUser(email)
	if !ok {
		return notFound("user")
	}
	if !s.people.addMember(memberRecord{Team: t.ID, User: u.ID, Role: roleMember, Joined: time.Now()}) {
		return refuse(http.StatusConflict, "conflict", "the user is a member of this team")
	}
	s.record(c.caller, "member", u.ID, "add", map[string]any{"email": u.Email, "role": roleMember})
	writeJSON(c.w, http.StatusCreated, answerOfMember(u, roleMember, time.Time{}))
	return nil
}

func (s *Server) updateTeamMember(c *call) error {
	t, err := s.ownTeam(c)
	if err != nil {
		return err
	}
	user, err := memberOfPath(c)
	if err != nil {
		return err
	}
	var req struct {
		Role string `json:"role"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if !slices.Contains([]string{roleAdmin, roleMember}, req.Role) {
		return invalidArgument("role must be admin or member")
	}
	if err := s.needRole(c, roleOwner, roleAdmin); err != nil {
		return err
	}
	_, there, err := s.people.members.change(memberRecord{Team: t.ID, User: user}.key(), func(m *memberRecord) error {
		if m.Role == roleOwner {
			return forbidden("the owner's role cannot be changed")
		}
		m.Role = req.Role
		return nil
	})
	if there && err == nil {
		s.record(c.caller, "member", user, "role_update", map[string]any{"new_role": req.Role})
	}
	return answerMemberChange(c, there, err)
}

func (s *Server) removeTeamMember(c *call) error {
	t, err := s.ownTeam(c)
	if err != nil {
		return err
	}
	user, err := memberOfPath(c)
	if err != nil {
		return err
	}
	if err := s.needRole(c, roleOwner, roleAdmin); err != nil {
		return err
	}
	m, there := s.people.membership(t.ID, user)
	if there && m.Role == roleOwner {
		return forbidden("the owner cannot be removed")
	}
	if there {
		s.people.members.remove(m.key())
		s.record(c.caller, "member", user, "remove", nil)
	}
	return answerMemberChange(c, there, nil)
}

func memberOfPath(c *call) (string, error) {
	user := c.params["user"]
	if !hasIDForm(user, userPrefix) {
		return "", invalidRequest("invalid user ID")
	}
	return user, nil
}

func answerMemberChange(c *call, there bool, err error) error {
	if err != nil {
		return err
	}
	if !there {
		return notFound("member")
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// searchUsers finds the first ten users, in alphabetical order, whose address begins as
// asked for. Upper case finds nobody.
func (s *Server) searchUsers(c *call) error {
	const most = 10
	prefix := strings.TrimSpace(c.r.URL.Query().Get("email"))
	if len(prefix) < 3 || !strings.Contains(prefix, "@") {
		return invalidRequest("email must have at least three characters with an @ among them")
	}
	found := s.people.users.list(func(u userRecord) bool {
		return u.Status != userDeleted && strings.HasPrefix(u.Email, prefix)
	})
	slices.SortFunc(found, func(a, b userRecord) int { return strings.Compare(a.Email, b.Email) })
	answers := []map[string]string{}
	for _, u := range found[:min(len(found), most)] {
		answers = append(answers, map[string]string{"user_id": u.ID, "email": u.Email})
	}
	writeJSON(c.w, http.StatusOK, answers)
	return nil
}
