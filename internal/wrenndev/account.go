package wrenndev

import (
	"net/http"
	"slices"
)

// What a user does to the own account: generation C only.

type meAnswer struct {
	Name        string   `json:"name"`
	Email       string   `json:"email"`
	HasPassword bool     `json:"has_password"`
	Providers   []string `json:"providers"`
}

// me is the user of the token, whose account is there and active: the route's access
// saw to it.
func (s *Server) me(c *call) userRecord {
	u, _ := s.people.users.get(c.caller.id)
	return u
}

func (s *Server) getMe(c *call) error {
	u := s.me(c)
	writeJSON(c.w, http.StatusOK, meAnswer{
		Name: u.Name, Email: u.Email, HasPassword: u.Password != "", Providers: append([]string{}, u.Providers...),
	})
	return nil
}

func (s *Server) updateMe(c *call) error {
	var req struct {
		Name string `json:"name"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	name, err := checkUserName(req.Name)
	if err != nil {
		return err
	}
	s.people.users.update(c.caller.id, func(u *userRecord) { u.Name = name })
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteMe deletes the account, the teams that are the user's alone, and the API keys
// that the user made. The address does not become free.
func (s *Server) deleteMe(c *call) error {
	var req struct {
		Confirmation string `json:"confirmation"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	u := s.me(c)
	if normalEmail(req.Confirmation) != u.Email {
		return invalidRequest("confirmation is not the email of the account")
	}
	s.people.changing.Lock()
	defer s.people.changing.Unlock()
	memberships := s.people.membershipsOf(u.ID)
	owned := slices.DeleteFunc(slices.Clone(memberships), func(m memberRecord) bool { return m.Role != roleOwner })
	for _, m := range owned {
		if len(s.people.membersOf(m.Team)) > 1 {
			return refuse(http.StatusConflict, "owns_team_with_members", "the user owns a team with other members")
		}
	}
	for _, m := range owned {
		if err := s.dropTeam(m.Team); err != nil {
			return err
		}
	}
	for _, m := range memberships {
		s.people.members.remove(m.key())
	}
	s.people.removeKeys(func(r keyRecord) bool { return r.CreatedBy == u.ID })
	s.people.users.update(u.ID, func(u *userRecord) { u.Status = userDeleted })
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// changePassword wants the current password of who has one, and the new one twice of who
// has none.
func (s *Server) changePassword(c *call) error {
	var req struct {
		Current string `json:"current_password"`
		New     string `json:"new_password"`
		Confirm string `json:"confirm_password"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	u := s.me(c)
	switch {
	case u.Password == "" && req.New != req.Confirm:
		return invalidRequest("confirm_password must be the new password")
	case u.Password != "" && req.Current == "":
		return invalidRequest("current_password is required")
	case u.Password != "" && !passwordMatches(u.Password, req.Current):
		return refuse(http.StatusUnauthorized, "wrong_password", "current_password is not the current password")
	}
	if err := checkPassword(req.New); err != nil {
		return err
	}
	return s.answerNewPassword(c, u.ID, req.New)
}

func (s *Server) answerNewPassword(c *call, userID, password string) error {
	hash, err := hashPassword(password)
	if err != nil {
		return err
	}
	s.people.users.update(userID, func(u *userRecord) { u.Password = hash })
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// requestPasswordReset answers the same to everybody, whatever was asked: who has an
// account is nobody's business.
func (s *Server) requestPasswordReset(c *call) error {
	var req struct {
		Email string `json:"email"`
	}
	if readJSON(c.w, c.r, &req) == nil {
		if u, ok := s.people.userBy(normalEmail(req.Email)); ok && u.Status == userActive {
			s.people.send(MailPasswordReset, u)
		}
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) confirmPasswordReset(c *call) error {
	var req struct {
		Token string `json:"token"`
		New   string `json:"new_password"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if req.Token == "" {
		return invalidRequest("token is required")
	}
	if err := checkPassword(req.New); err != nil {
		return err
	}
	userID, ok := s.people.redeem(MailPasswordReset, req.Token)
	if u, there := s.people.users.get(userID); !ok || !there || u.Status == userDeleted {
		return invalidToken()
	}
	return s.answerNewPassword(c, userID, req.New)
}
