package wrenn

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Client talks to one Wrenn server as one team or user. It is safe for concurrent use. Make one per credential and keep
// it: it holds the connection pools.
type Client struct {
	// Sandboxes creates, lists and destroys sandboxes.
	Sandboxes *Sandboxes
	// Snapshots creates, lists and deletes the templates that sandboxes start from.
	Snapshots *Snapshots
	// APIKeys creates, lists and deletes the team's API keys. It takes a JWT, as does all that follows.
	APIKeys *APIKeys
	// Hosts announces, lists, tags and deletes machines that sandboxes run on.
	Hosts *Hosts
	// Teams has the user's teams and their members.
	Teams *Teams
	// Audit lists what was done in the team.
	Audit *Audit
	// Builds makes templates of the platform.
	Builds *Builds
	// Admin has operations of the platform's administrators.
	Admin *Admin
	// Channels delivers the team's events elsewhere.
	Channels *Channels
	// Users finds users.
	Users *Users
	// Auth makes accounts and tokens; some of it needs no credential at all.
	Auth *Auth

	base     *url.URL
	cred     Credential
	settings settings
	pace     pace
	beat     heartbeat
	code     codePace
	rest     *http.Client
	streams  *http.Client
	ports    *http.Client

	generation *generation
	kernels    *kernels
}

// New returns a client of the server at baseURL, an http or https URL whose path, like /api, is kept in front of every
// route. Nothing is sent. The zero Credential makes a client without authentication.
func New(baseURL string, cred Credential, opts ...Option) (*Client, error) {
	base, err := parseBaseURL(baseURL)
	if err != nil {
		return nil, err
	}
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base: base, cred: cred, settings: s, pace: defaultPace, beat: defaultBeat, code: defaultCodePace,
		kernels:    &kernels{known: map[kernelKey]*kernel{}},
		generation: newGeneration(s.generation),
	}
	c.rest, c.streams = newHTTPClients(s)
	c.ports = refuseRedirects(forPorts(c.streams.Transport, base))
	c.Sandboxes = &Sandboxes{c: c}
	c.Snapshots = &Snapshots{c: c}
	c.APIKeys, c.Hosts, c.Teams, c.Audit = &APIKeys{c: c}, &Hosts{c: c}, &Teams{c: c}, &Audit{c: c}
	c.Builds, c.Admin, c.Channels = &Builds{c: c}, &Admin{c: c}, &Channels{c: c}
	c.Users, c.Auth = &Users{c: c}, &Auth{c: c}
	return c, nil
}

// Sandbox returns the operations on one sandbox. Nothing is sent; an id of the wrong form fails at the first call.
func (c *Client) Sandbox(id string) *SandboxHandle { return &SandboxHandle{c: c, id: id} }

// CloseIdleConnections closes the connections that no call is using, of a client that is not needed any more or whose
// credential was replaced. The client stays usable. Transports given by an option are left alone.
func (c *Client) CloseIdleConnections() {
	if c.settings.transport == nil {
		c.rest.CloseIdleConnections()
	}
	// A transport that could not be copied is the caller's, also here.
	if _, copied := c.streams.Transport.(*http.Transport); copied && c.settings.streamTransport == nil {
		c.streams.CloseIdleConnections()
	}
	if _, copied := c.ports.Transport.(*http.Transport); copied {
		c.ports.CloseIdleConnections()
	}
}

func parseBaseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's error quotes the URL, which may hold a password.
		return nil, errors.New("wrenn: base URL cannot be parsed")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("wrenn: base URL must start with http:// or https://")
	case u.User != nil:
		return nil, errors.New("wrenn: base URL must not hold a user name or password")
	case u.Hostname() == "" || !validAuthority(u.Host):
		return nil, errors.New("wrenn: base URL must name a host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("wrenn: base URL must not hold a query or a fragment")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// validAuthority accepts host and host:port as they may stand in a URL.
func validAuthority(authority string) bool {
	u, err := url.Parse("http://" + authority)
	return err == nil && u.Host == authority && u.User == nil && u.Hostname() != "" && !strings.ContainsAny(authority, " /?#@")
}
