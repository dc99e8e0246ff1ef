package wrenndev

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// proxyHost is the host of a request to a port of a sandbox: the port, the sandbox,
// and any domain.
var proxyHost = regexp.MustCompile(`^([0-9]+)-(cl-[0-9a-z]+)\.`)

// proxyTargetLife is how long the control plane believes in a target that it found.
const proxyTargetLife = 120 * time.Second

// findProxy is the route of a request whose host names a port of a sandbox, whatever
// its path. A server of both generations is one of S here: what has no path family
// answers as S does.
func (s *Server) findProxy(r *http.Request) (*route, map[string]string, int) {
	m := proxyHost.FindStringSubmatch(r.Host)
	if m == nil {
		return nil, nil, http.StatusNotFound
	}
	return &route{op: OpProxy, gen: s.sharedGen(), handler: s.proxyPort}, map[string]string{"port": m[1], "id": m[2]}, 0
}

// proxyPort passes a request on to a port of a sandbox. Unlike everywhere else,
// refusals are plain text, but for that of a bad key. It does not count as activity.
func (s *Server) proxyPort(c *call) error {
	port, ok := portNumber(c.params["port"])
	if !ok {
		http.Error(c.w, "invalid port", http.StatusBadRequest)
		return nil
	}
	if c.gen == genS {
		// Only an API key opens it. On C nothing is asked for, and a bad key is no matter.
		if c.r.Header.Get("X-API-Key") == "" {
			return unauthorized("X-API-Key header required")
		}
		var err error
		if c.caller, err = s.auth.byHeaders(c.r.Header, accessData); err != nil {
			return err
		}
	}
	row, status, text := s.proxyTarget(c)
	if status != 0 {
		http.Error(c.w, text, status)
		return nil
	}
	if err := sleep(c.ctx(), c.agentDelay()); err != nil {
		return err
	}
	switch {
	case c.fault.agentFail:
		http.Error(c.w, "proxy error: connection refused", http.StatusBadGateway)
	case !s.agent.runs(row.ID):
		http.Error(c.w, "sandbox is not available", http.StatusServiceUnavailable)
	default:
		s.pass(c, row, strconv.Itoa(int(port)))
	}
	return nil
}

// portNumber reads a port. Anything but 1 to 65535 is none.
func portNumber(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && n > 0
}

// proxyTarget finds the sandbox of a request. What was found running is taken for
// running for a while, so that after a pause it is the agent that refuses.
func (s *Server) proxyTarget(c *call) (row sandboxRow, status int, text string) {
	id := c.params["id"]
	row, ok := s.rows.get(id)
	switch {
	case !validID(id):
		return row, http.StatusBadRequest, "invalid sandbox ID"
	case !ok, c.gen == genS && row.Team != c.team:
		return row, http.StatusNotFound, "sandbox not found"
	case row.Status == StatusRunning:
		s.proxy.targets.add(id, time.Now())
	case !s.proxy.targets.has(id, time.Now()):
		return row, http.StatusConflict, fmt.Sprintf("sandbox is not running (status: %s)", row.Status)
	}
	return row, 0, ""
}

// pass hands the request to whatever listens in the sandbox.
func (s *Server) pass(c *call, row sandboxRow, port string) {
	target := net.JoinHostPort(row.HostIP, port)
	r := c.r
	if cut := c.fault.cut; cut != nil && cut.after > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), cut.after)
		defer cancel()
		r = r.WithContext(ctx)
	}
	(&httputil.ReverseProxy{
		Transport: s.proxy.transport,
		ErrorLog:  s.http.ErrorLog,
		Rewrite: func(p *httputil.ProxyRequest) {
			// The transport finds the sandbox by its id; the guest sees an address.
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", net.JoinHostPort(row.ID, port), target
			p.Out.URL.RawQuery = p.In.URL.RawQuery
			if c.gen == genS {
				p.Out.URL.Path, p.Out.URL.RawPath = path.Clean("/"+p.In.URL.Path), ""
			}
			forwardedFor(p)
		},
		ModifyResponse: func(resp *http.Response) error {
			if c.gen == genC {
				fixLocation(resp.Header, target)
			}
			if conn, ok := resp.Body.(io.ReadWriteCloser); ok && c.fault.cut != nil && resp.StatusCode == http.StatusSwitchingProtocols {
				resp.Body = &cutConn{conn, c.fault.cut}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil { // the client is gone, or a fault ends the answer
				c.entry.lost("client gone")
				panic(http.ErrAbortHandler)
			}
			http.Error(w, "proxy error: "+err.Error(), http.StatusBadGateway)
		},
	}).ServeHTTP(c.w, r)
}

// forwardedFor adds the client to those that the request came through. What a client
// says of itself in the other forwarding headers is passed on like any header.
func forwardedFor(p *httputil.ProxyRequest) {
	for _, name := range []string{"Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if given, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = given
		}
	}
	through := slices.Clone(p.In.Header["X-Forwarded-For"])
	if ip, _, err := net.SplitHostPort(p.In.RemoteAddr); err == nil {
		through = append(through, ip)
	}
	p.Out.Header.Set("X-Forwarded-For", strings.Join(through, ", "))
}

// fixLocation makes a redirect to the address that only the proxy knows one to the
// same path of the host that the client asked.
func fixLocation(h http.Header, target string) {
	to, err := url.Parse(h.Get("Location"))
	if err == nil && to.Host == target {
		to.Scheme, to.Host = "", ""
		h.Set("Location", to.String())
	}
}

// cutConn ends an upgraded connection where a fault says so.
type cutConn struct {
	io.ReadWriteCloser
	cut *cut
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.ReadWriteCloser.Read(p)
	keep, over := c.cut.take(n)
	if over {
		err = io.EOF
	}
	return keep, err
}

// portProxy is what the proxy keeps from one request to the next.
type portProxy struct {
	transport *http.Transport
	targets   proxyTargets
}

func newPortProxy(a *agent) *portProxy {
	return &portProxy{transport: &http.Transport{
		DialContext: a.dialPort, DisableCompression: true, MaxIdleConnsPerHost: 20, IdleConnTimeout: 2 * time.Minute,
	}}
}

// dialPort connects to an address made of a sandbox's id and a port. The connection
// does not survive the machine's session: a paused sandbox answers nobody.
func (a *agent) dialPort(ctx context.Context, _, addr string) (net.Conn, error) {
	id, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	number, _ := portNumber(port) // it was one before it became part of the address
	m, err := a.machine(id)
	if err != nil {
		return nil, err
	}
	g, session, err := m.use(false)
	if err != nil {
		return nil, err
	}
	conn, err := g.Dial(ctx, number)
	if err != nil {
		return nil, err
	}
	return &sessionConn{conn, context.AfterFunc(session, func() { _ = conn.Close() })}, nil
}

// sessionConn is a connection that ends with a session.
type sessionConn struct {
	*net.TCPConn
	forget func() bool
}

// Close implements net.Conn.
func (c *sessionConn) Close() error {
	c.forget()
	return c.TCPConn.Close()
}

// proxyTargets are the sandboxes that were found running, with the end of the belief
// in that.
type proxyTargets struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (t *proxyTargets) add(id string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.until == nil {
		t.until = map[string]time.Time{}
	}
	if t.until[id].After(now) {
		return // it was looked up, and is not looked up again before its end
	}
	for other, until := range t.until {
		if !until.After(now) {
			delete(t.until, other)
		}
	}
	t.until[id] = now.Add(proxyTargetLife)
}

func (t *proxyTargets) has(id string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.until[id].After(now)
}
