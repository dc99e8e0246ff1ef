package wrenndev

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// What the service does by mail, in a browser or in its database: for tests, and at the
// /_dev routes.

// Mails returns every mail there ever was, oldest first. They are not sent: who waits for
// one finds it here.
func (s *Server) Mails() []Mail {
	mails := []Mail{}
	for _, r := range s.people.mails.list(nil) {
		mails = append(mails, r.Mail)
	}
	return mails
}

// errNoUser is the answer to an address that no account has.
var errNoUser = errors.New("no such user")

// SetUserStatus makes the user of an address "active", "inactive" (as before the
// activation) or "disabled" (as by an administrator).
func (s *Server) SetUserStatus(email, status string) error {
	if !slices.Contains([]string{userActive, userInactive, userDisabled}, status) {
		return fmt.Errorf("unknown status %q", status)
	}
	u, ok := s.people.liveUser(normalEmail(email))
	if !ok {
		return errNoUser
	}
	s.people.users.update(u.ID, func(u *userRecord) { u.Status = status })
	return nil
}

// SignInWith signs in the user of an address with an OAuth provider, "github", and
// returns a token. It makes the account, one without a password, where there is none. In
// the service this happens in a browser.
func (s *Server) SignInWith(provider, email, name string) (token string, err error) {
	answer, err := s.signInWith(provider, email, name)
	return answer.Token, err
}

func (s *Server) signInWith(provider, email, name string) (loginAnswer, error) {
	email = normalEmail(email)
	if !slices.Contains(oauthProviders, provider) || email == "" {
		return loginAnswer{}, fmt.Errorf("%q cannot sign in with %q", email, provider)
	}
	s.people.changing.Lock()
	defer s.people.changing.Unlock()
	u, known := s.people.userBy(email)
	if !known {
		u = userRecord{ID: newID(userPrefix), Email: email, Name: name, Status: userActive, Created: time.Now()}
		s.people.users.add(u.ID, u, nil)
	}
	if u.Status != userActive || known && !slices.Contains(u.Providers, provider) {
		return loginAnswer{}, fmt.Errorf("%q has an account that cannot sign in with %q", email, provider)
	}
	s.people.connect(u.ID, provider)
	home, ok := s.people.home(u.ID)
	if !ok {
		home = s.people.addHome(u)
	}
	return s.session(u, home)
}

// serveProvider is the provider's side: the user comes here with the URL of a connection,
// agrees, and is connected.
func (s *Server) serveProvider(w http.ResponseWriter, r *http.Request, provider string) {
	link, ok := s.people.links.end(provider, r.URL.Query().Get("state"))
	if ok {
		s.people.connect(link.user, provider)
		fmt.Fprintln(w, "connected")
		return
	}
	http.Error(w, "unknown or expired state", http.StatusBadRequest)
}

// adminPeople answers the /_dev routes of users.
func (s *Server) adminPeople(r *http.Request, parts []string) (any, error) {
	var body struct {
		Status string `json:"status"`
		Email  string `json:"email"`
		Name   string `json:"name"`
	}
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return nil, invalidRequest("%v", err)
		}
	}
	switch {
	case parts[0] == "mails" && len(parts) == 1 && r.Method == http.MethodGet:
		return s.Mails(), nil
	case parts[0] == "users" && len(parts) == 3 && parts[2] == "status" && r.Method == http.MethodPut:
		err := s.SetUserStatus(parts[1], body.Status)
		if err != nil && !errors.Is(err, errNoUser) {
			err = invalidRequest("%v", err)
		}
		return nil, err
	case parts[0] == "oauth" && len(parts) == 2 && r.Method == http.MethodPost:
		answer, err := s.signInWith(parts[1], body.Email, body.Name)
		if err != nil {
			return nil, invalidRequest("%v", err)
		}
		return answer, nil
	}
	return nil, refuse(http.StatusNotFound, "not_found", "no such route")
}
