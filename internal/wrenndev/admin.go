package wrenndev

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// adminPrefix is where a server's own routes are. They are no part of the API.
const adminPrefix = "/_dev/"

// AdminHeader carries [Server.AdminToken] to the /_dev routes.
const AdminHeader = "X-Wrenn-Dev-Token"

// serveAdmin answers the routes that script and inspect the server:
//
//	GET    /_dev/faults              the number of faults that can still apply
//	POST   /_dev/faults              arm a Fault; answers its id
//	DELETE /_dev/faults[/{id}]       remove all of them, or one
//	GET    /_dev/requests            the request log
//	DELETE /_dev/requests            empty it
//	GET    /_dev/sandboxes           the truth about every sandbox
//	PUT    /_dev/sandboxes/{id}/status  {"status": …}
//	POST   /_dev/sandboxes/{id}/kill    its processes die
//	POST   /_dev/sandboxes/{id}/lose    the agent loses it
//	PUT    /_dev/host                {"online": …}: an outage of the machine, or its end
//	GET    /_dev/mails               the mails to users, with their tokens
//	PUT    /_dev/users/{email}/status   {"status": active, inactive or disabled}
//	POST   /_dev/oauth/{provider}    {"email": …, "name": …} signs in with a provider; answers as a login
//	GET    /_dev/oauth/{provider}    where auth_url leads: connects the provider, and takes no token
func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	token := []byte(r.Header.Get(AdminHeader))
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, adminPrefix), "/")
	// A user's browser has the state in the URL instead of the token.
	isBrowser := parts[0] == "oauth" && len(parts) == 2 && r.Method == http.MethodGet
	if err != nil || ip == nil || !ip.IsLoopback() ||
		!isBrowser && subtle.ConstantTimeCompare(token, []byte(s.secrets.AdminToken)) != 1 {
		writeError(w, genS, unauthorized(AdminHeader+" required"))
		return
	}
	if isBrowser {
		s.serveProvider(w, r, parts[1])
		return
	}
	var answer any
	switch {
	case parts[0] == "faults":
		answer, err = s.adminFaults(r, parts[1:])
	case parts[0] == "requests" && r.Method == http.MethodGet:
		answer = s.Requests()
	case parts[0] == "requests" && r.Method == http.MethodDelete:
		s.ResetRequests()
	case parts[0] == "sandboxes" && len(parts) == 1:
		answer = s.Sandboxes()
	case parts[0] == "host" && len(parts) == 1 && r.Method == http.MethodPut:
		err = s.adminHost(r)
	case parts[0] == "sandboxes" && len(parts) == 3:
		err = s.adminSandbox(r, parts[1], parts[2])
	case slices.Contains([]string{"mails", "users", "oauth"}, parts[0]):
		answer, err = s.adminPeople(r, parts)
	default:
		err = refuse(http.StatusNotFound, "not_found", "no such route")
	}
	switch {
	case errors.Is(err, errNoSandbox), errors.Is(err, errNoUser):
		writeError(w, genS, refuse(http.StatusNotFound, "not_found", "%v", err))
	case err != nil:
		writeError(w, genS, err)
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, http.StatusOK, answer)
	}
}

func (s *Server) adminFaults(r *http.Request, rest []string) (any, error) {
	switch {
	case r.Method == http.MethodGet:
		return map[string]int{"left": s.faults.Left()}, nil
	case r.Method == http.MethodPost:
		var f Fault
		if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
			return nil, invalidRequest("fault: %v", err)
		}
		id, err := s.faults.add(f)
		if err != nil {
			return nil, invalidRequest("fault: %v", err)
		}
		return map[string]int{"id": id}, nil
	case r.Method == http.MethodDelete && len(rest) == 0:
		s.faults.Clear()
		return nil, nil
	case r.Method == http.MethodDelete && len(rest) == 1:
		if id, err := strconv.Atoi(rest[0]); err != nil || !s.faults.remove(id) {
			return nil, refuse(http.StatusNotFound, "not_found", "no such fault")
		}
		return nil, nil
	}
	return nil, refuse(http.StatusNotFound, "not_found", "no such route")
}

func (s *Server) adminHost(r *http.Request) error {
	var body struct {
		Online *bool `json:"online"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Online == nil {
		return invalidRequest("online must be true or false")
	}
	s.SetHostOnline(*body.Online)
	return nil
}

func (s *Server) adminSandbox(r *http.Request, id, action string) error {
	switch {
	case action == "status" && r.Method == http.MethodPut:
		var body struct {
			Status string `json:"status"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return invalidRequest("status: %v", err)
		}
		if err := s.SetStatus(id, body.Status); err != nil && !errors.Is(err, errNoSandbox) {
			return invalidRequest("%v", err)
		} else if err != nil {
			return err
		}
		return nil
	case action == "kill" && r.Method == http.MethodPost:
		return s.Kill(id)
	case action == "lose" && r.Method == http.MethodPost:
		return s.Lose(id)
	}
	return refuse(http.StatusNotFound, "not_found", "no such route")
}
