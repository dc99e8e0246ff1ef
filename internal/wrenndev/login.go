package wrenndev

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// signupCooldown is when an account that nobody activated gives its address free.
const signupCooldown = 30 * time.Minute

// loginAnswer is a token and whose it is.
type loginAnswer struct {
	Token  string `json:"token"`
	UserID string `json:"user_id"`
	TeamID string `json:"team_id"`
	Email  string `json:"email"`
	Name   string `json:"name"`
}

// session makes a token of a user for a team.
func (s *Server) session(u userRecord, m memberRecord) (loginAnswer, error) {
	token, err := s.auth.sign(u, m, tokenLife)
	return loginAnswer{Token: token, UserID: u.ID, TeamID: m.Team, Email: u.Email, Name: u.Name}, err
}

// answerSession answers with a token of a user for a team.
func (s *Server) answerSession(c *call, status int, u userRecord, m memberRecord) error {
	answer, err := s.session(u, m)
	if err == nil {
		writeJSON(c.w, status, answer)
	}
	return err
}

func (s *Server) login(c *call) error {
	var req struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	email := normalEmail(req.Email)
	if email == "" || req.Password == "" {
		return invalidRequest("email and password are required")
	}
	u, ok := s.people.liveUser(email)
	if !ok || !passwordMatches(u.Password, req.Password) {
		return unauthorized("invalid email or password")
	}
	if err := mayLogIn(c.gen, u); err != nil {
		return err
	}
	home, err := s.homeOf(c.gen, u)
	if err != nil {
		return err
	}
	return s.answerSession(c, http.StatusOK, u, home)
}

// mayLogIn refuses who is not active. Only C servers tell why.
func mayLogIn(gen generation, u userRecord) error {
	switch {
	case u.Status == userActive:
		return nil
	case gen == genS:
		return unauthorized("invalid email or password")
	case u.Status == userInactive:
		return refuse(http.StatusForbidden, "account_not_activated", "this account waits for its activation")
	default:
		return refuse(http.StatusForbidden, "account_disabled", "this account is disabled")
	}
}

// homeOf is the membership that a login is for. C servers make a team for a user who has
// none.
func (s *Server) homeOf(gen generation, u userRecord) (memberRecord, error) {
	s.people.changing.Lock()
	defer s.people.changing.Unlock()
	home, ok := s.people.home(u.ID)
	if !ok && gen == genS {
		return home, refuse(http.StatusForbidden, "no_team", "the user is in no team")
	}
	if !ok {
		home = s.people.addHome(u)
	}
	return home, nil
}

// addHome makes a user's own team.
func (p *people) addHome(u userRecord) memberRecord {
	t := p.addTeam(u.Name+"'s team", u.ID, true)
	home, _ := p.membership(t.ID, u.ID)
	return home
}

type signupRequest struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Password string `json:"password"`
}

func readSignup(c *call) (signupRequest, error) {
	var req signupRequest
	if err := readJSON(c.w, c.r, &req); err != nil {
		return req, err
	}
	req.Email = normalEmail(req.Email)
	if before, after, ok := strings.Cut(req.Email, "@"); !ok || before == "" || after == "" {
		return req, invalidRequest("a valid email is required")
	}
	if err := checkPassword(req.Password); err != nil {
		return req, err
	}
	var err error
	req.Name, err = checkUserName(req.Name)
	return req, err
}

// checkUserName returns the name without the spaces around it.
func checkUserName(name string) (string, error) {
	const longest = 100
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > longest {
		return "", invalidRequest("name must have 1 to %d characters", longest)
	}
	return name, nil
}

// signup makes an account: one that works at once (S), or one that waits for the token
// of its mail (C).
func (s *Server) signup(c *call) error {
	req, err := readSignup(c)
	if err != nil {
		return err
	}
	hash, err := hashPassword(req.Password)
	if err != nil {
		return err
	}
	u := userRecord{
		ID: newID(userPrefix), Email: req.Email, Name: req.Name, Password: hash, Status: userActive, Created: time.Now(),
	}
	s.people.changing.Lock()
	defer s.people.changing.Unlock()
	if err := s.people.claimEmail(c.gen, u.Email); err != nil {
		return err
	}
	if c.gen == genC {
		u.Status = userInactive
		s.people.users.add(u.ID, u, nil)
		s.people.send(MailActivation, u)
		writeJSON(c.w, http.StatusCreated, map[string]string{"message": "Account created. Activate it with the mail that was sent."})
		return nil
	}
	home := s.people.addHome(u)
	s.people.users.add(u.ID, u, nil)
	return s.answerSession(c, http.StatusCreated, u, home)
}

// claimEmail refuses an address that is not to be had. One whose account was never
// activated is to be had again after a time, and the account is gone then.
func (p *people) claimEmail(gen generation, email string) error {
	old, taken := p.userBy(email)
	switch {
	case !taken:
		return nil
	case gen == genS || old.Status != userInactive:
		return refuse(http.StatusConflict, "email_taken", "there is an account with this email")
	case time.Since(old.Created) < signupCooldown:
		return refuse(http.StatusConflict, "signup_cooldown", "an account with this email waits for its activation")
	}
	p.users.remove(old.ID)
	return nil
}

// activate makes an account active that waits for it, gives it a team, and logs in. The
// first user of a platform is its administrator.
func (s *Server) activate(c *call) error {
	var req struct {
		Token string `json:"token"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if req.Token == "" {
		return invalidRequest("token is required")
	}
	s.people.changing.Lock()
	defer s.people.changing.Unlock()
	userID, ok := s.people.redeem(MailActivation, req.Token)
	u, there := s.people.users.get(userID)
	if !ok || !there {
		return invalidToken()
	}
	if u.Status != userInactive {
		return refuse(http.StatusBadRequest, "already_activated", "this account is activated")
	}
	isFirst := s.people.activeUsers() == 0
	u, _ = s.people.users.update(u.ID, func(u *userRecord) {
		u.Status, u.Admin = userActive, u.Admin || isFirst
	})
	return s.answerSession(c, http.StatusOK, u, s.people.addHome(u))
}

func invalidToken() error {
	return refuse(http.StatusBadRequest, "invalid_token", "the token is invalid or expired")
}

// switchTeam makes a token for another team of the user.
func (s *Server) switchTeam(c *call) error {
	var req struct {
		TeamID string `json:"team_id"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if !hasIDForm(req.TeamID, teamPrefix) {
		return invalidRequest("invalid team ID")
	}
	if _, ok := s.people.team(req.TeamID); !ok {
		return notFound("team")
	}
	m, ok := s.people.membership(req.TeamID, c.caller.id)
	u, there := s.people.users.get(c.caller.id)
	if !ok || !there {
		return forbidden("not a member of this team")
	}
	return s.answerSession(c, http.StatusOK, u, m)
}
