package wrenndev

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// oauthProviders are the OAuth providers that users can connect. This server plays them: who
// goes to the URL of a connection has agreed.
var oauthProviders = []string{"github"}

// linkLife is how long a user has to go to the provider.
const linkLife = 10 * time.Minute

// providerLinks are the connections that users have begun, by the state in their URLs.
// They do not survive a restart.
type providerLinks struct {
	mu    sync.Mutex
	begun map[string]providerLink
}

type providerLink struct {
	user, provider string
	at             time.Time
}

func (l *providerLinks) begin(user, provider string) (state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun == nil {
		l.begun = map[string]providerLink{}
	}
	state = randomHex(16)
	l.begun[state] = providerLink{user, provider, time.Now()}
	return state
}

// end returns a connection that was begun, once.
func (l *providerLinks) end(provider, state string) (providerLink, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	link, ok := l.begun[state]
	if !ok || link.provider != provider {
		return link, false
	}
	delete(l.begun, state)
	return link, time.Since(link.at) < linkLife
}

func (s *Server) connectProvider(c *call) error {
	provider := c.params["provider"]
	if !slices.Contains(oauthProviders, provider) {
		return refuse(http.StatusNotFound, "provider_not_found", "unknown provider")
	}
	query := url.Values{"state": {s.people.links.begin(c.caller.id, provider)}}
	writeJSON(c.w, http.StatusOK, map[string]string{"auth_url": s.URL() + adminPrefix + "oauth/" + provider + "?" + query.Encode()})
	return nil
}

// disconnectProvider leaves a user a way to log in. That comes first, whatever provider
// is meant.
func (s *Server) disconnectProvider(c *call) error {
	provider := c.params["provider"]
	_, _, err := s.people.users.change(c.caller.id, func(u *userRecord) error {
		if u.Password == "" && len(u.Providers) <= 1 {
			return refuse(http.StatusBadRequest, "last_login_method", "this is the only way to log in")
		}
		if !slices.Contains(u.Providers, provider) {
			return refuse(http.StatusNotFound, "not_found", "the provider is not connected")
		}
		u.Providers = without(u.Providers, provider)
		return nil
	})
	if err == nil {
		c.w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

func (p *people) connect(user, provider string) {
	p.users.update(user, func(u *userRecord) { u.Providers = append(without(u.Providers, provider), provider) })
}
