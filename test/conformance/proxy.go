package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var proxyChecks = []check{
	{name: "port-url", run: portURL},
	{name: "port-http-client", run: portHTTPClient},
	{name: "port-websocket", run: portWebSocket},
	{name: "port-credentials", only: wrenn.GenerationSandboxes, run: portWantsKey},
	{name: "port-credentials", only: wrenn.GenerationCapsules, run: portWantsNothing},
	{name: "port-without-a-key", only: wrenn.GenerationSandboxes, token: true, run: portByToken},
	{name: "port-passes-credentials-on", run: portPassesOn},
	{name: "port-refusals", run: portRefusals},
	{name: "port-of-a-paused-sandbox", run: portPaused},
	{name: "port-path", run: portPath},
	{name: "port-intercepts-every-path", run: portIntercepts},
	{name: "port-needs-a-domain", run: portNeedsDomain},
}

//go:embed web.py
var webServer []byte

// webPort is a port for the web server in the sandbox, another one each time: not every sandbox has a network of its own.
func webPort() int {
	n, _ := rand.Int(rand.Reader, big.NewInt(20000)) // never fails
	return 20000 + int(n.Int64())
}

// told is what the web server says that it was asked.
type told struct {
	Method, URI, Body string
	Header            map[string]string
}

func (t told) header(name string) string {
	for n, value := range t.Header {
		if strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}

// direct is a client with connections of its own: what goes to a guest is nothing of the contract.
func (p *probe) direct(text string, credential func(string) (wrenn.Credential, error)) *wrenn.Client {
	cred, err := credential(text)
	p.ok(err)
	c, err := wrenn.New(p.baseURL, cred, wrenn.WithGeneration(p.generation), wrenn.WithProxyDomain(p.proxyDomain))
	p.ok(err)
	p.later(func(context.Context) error {
		c.CloseIdleConnections()
		return nil
	})
	return c
}

// web is a sandbox with the web server in it.
type web struct {
	*wrenn.SandboxHandle

	port int
	// client is the sandbox's for the port, and host the name of it.
	client *http.Client
	host   string
}

// web makes a sandbox with the web server in it.
func (p *probe) web() *web {
	id, port := p.sandbox().ID(), webPort()
	p.serve(p.c.Sandbox(id), port)
	h := p.direct(p.key, wrenn.APIKey).Sandbox(id)
	client, err := h.HTTPClient(p.ctx, port)
	p.ok(err)
	p.eventually(waitFor, "the web server answers", func() bool {
		resp, err := p.get(client, "/")
		if err != nil {
			p.skip("the port proxy is out of reach, set WRENN_PROXY_DOMAIN: %v", err)
		}
		return resp.status == http.StatusOK
	})
	return &web{SandboxHandle: h, port: port, client: client, host: p.hostOf(id, fmt.Sprint(port))}
}

func (p *probe) serve(h *wrenn.SandboxHandle, port int) {
	if p.exec(h, "/bin/sh", "-c", "command -v python3").ExitCode != 0 {
		p.skip("the guest has no python3 to serve anything with")
	}
	p.ok(h.Upload(p.ctx, "web.py", webServer))
	p.sh(h, fmt.Sprintf("python3 web.py %d >web.log 2>&1 & ", port))
}

func (p *probe) get(client *http.Client, ref string) (answer, error) {
	req, err := http.NewRequestWithContext(p.ctx, http.MethodGet, ref, nil)
	p.ok(err)
	return p.fetch(client, req)
}

func (p *probe) fetch(client *http.Client, req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p.ok(err)
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// asked is what the web server was asked, by an answer.
func (p *probe) asked(a answer, err error) told {
	p.ok(err)
	var t told
	p.want(json.Unmarshal(a.body, &t) == nil, "HTTP %d %.200q", a.status, a.body)
	return t
}

// proxied sends a GET with a Host header by hand. Below a loopback address no name resolves, so it goes to the address.
func (p *probe) proxied(host, path string, header http.Header) answer {
	u := url.URL{Scheme: p.base.Scheme, Host: host}
	if p.isLocal() {
		u.Host = p.base.Host
	}
	req, err := http.NewRequestWithContext(p.ctx, http.MethodGet, u.String()+path, nil)
	p.ok(err)
	req.Host = host
	if header != nil {
		req.Header = header
	}
	transport := newTransport()
	defer transport.CloseIdleConnections()
	// The first answer counts, not where it leads to.
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := p.fetch(client, req)
	var dns *net.DNSError
	if errors.As(err, &dns) {
		p.skip("the port proxy is out of reach, set WRENN_PROXY_DOMAIN: %v", err)
	}
	p.ok(err)
	return a
}

// hostOf is the name of a port of a sandbox.
func (p *probe) hostOf(id, port string) string {
	u, err := url.Parse(p.portOf("cl-"+absent, 1))
	p.ok(err)
	_, domain, _ := strings.Cut(u.Host, ".")
	return port + "-" + id + "." + domain
}

func (p *probe) portOf(id string, port int) string {
	u, err := p.c.Sandbox(id).URL(port)
	if err != nil {
		p.skip("there is no name for the port proxy, set WRENN_PROXY_DOMAIN: %v", err)
	}
	return u
}

func portURL(p *probe) {
	id := "cl-" + absent
	u, err := url.Parse(p.portOf(id, 8080))
	p.ok(err)
	p.want(u.Scheme == p.base.Scheme && strings.HasPrefix(u.Host, "8080-"+id+".") && u.Path == "", "the URL is %s", u)
	_, err = p.c.Sandbox(id).URL(65536)
	p.caused(err, wrenn.ErrInvalidArgument)
}

func portHTTPClient(p *probe) {
	h := p.web()
	got := p.asked(p.get(h.client, "/a/path?q=1&q=2"))
	p.want(got.Method == http.MethodGet && got.URI == "/a/path?q=1&q=2" && got.header("X-Forwarded-For") != "", "the guest sees %+v", got)
	a, err := p.get(h.client, p.portOf(h.ID(), h.port)+"/teapot")
	p.ok(err)
	p.want(a.status == http.StatusTeapot, "HTTP %d in place of the guest's 418", a.status)
	req, err := http.NewRequestWithContext(p.ctx, http.MethodPost, "/post", strings.NewReader("content"))
	p.ok(err)
	got = p.asked(p.fetch(h.client, req))
	p.want(got.Method == http.MethodPost && got.Body == "content", "the guest sees %+v", got)
	_, err = p.get(h.client, "http://example.com/")
	p.caused(err, wrenn.ErrInvalidArgument)
}

func portWebSocket(p *probe) {
	h := p.web()
	conn, err := h.DialWebSocket(p.ctx, wrenn.WebSocketRequest{Port: h.port, Path: "/echo"})
	p.ok(err)
	defer func() { _ = conn.CloseNow() }()
	p.ok(conn.Write(p.ctx, websocket.MessageText, []byte("hello")))
	_, text, err := conn.Read(p.ctx)
	p.ok(err)
	p.want(string(text) == "hello", "the echo is %q", text)
	_, err = h.DialWebSocket(p.ctx, wrenn.WebSocketRequest{Port: 1})
	p.caused(err, wrenn.ErrNothingListens)
}

// portWantsKey: generation Sandboxes takes the team's key and nothing else.
func portWantsKey(p *probe) {
	h := p.web()
	p.want(p.proxied(h.host, "/", p.withKey()).status == 200, "the key does not open the port")
	p.turnedAway(p.proxied(h.host, "/", nil), "no key", 401, wrenn.CodeUnauthorized)
	p.turnedAway(p.proxied(h.host, "/", http.Header{"X-Api-Key": {"wrn_" + strings.Repeat("0", 32)}}), "an unknown key", 401, wrenn.CodeUnauthorized)
	if p.token != "" {
		p.turnedAway(p.proxied(h.host, "/", p.withBearer()), "a token", 401, wrenn.CodeUnauthorized)
	}
}

// portWantsNothing: generation Capsules lets in whoever knows the name.
func portWantsNothing(p *probe) {
	h := p.web()
	p.want(p.proxied(h.host, "/", nil).status == 200, "it wants a credential")
	p.want(p.proxied(h.host, "/", http.Header{"X-Api-Key": {"wrn_" + strings.Repeat("0", 32)}}).status == 200, "a wrong key counts")
}

func portByToken(p *probe) {
	_, err := p.direct(p.token, wrenn.JWT).Sandbox("cl-"+absent).HTTPClient(p.ctx, webPort())
	p.caused(err, wrenn.ErrUnauthenticated)
}

// portPassesOn: what a caller sends to the proxy reaches the guest. The client sends no more than it must.
func portPassesOn(p *probe) {
	h := p.web()
	header := p.withKey()
	header.Set("Authorization", "Bearer conformance")
	got := p.asked(p.proxied(h.host, "/", header), nil)
	p.want(got.header("X-Api-Key") == p.key && got.header("Authorization") == "Bearer conformance", "the credentials do not reach the guest")
	got = p.asked(p.get(h.client, "/"))
	if p.generation == wrenn.GenerationSandboxes {
		p.want(got.header("X-Api-Key") == p.key, "the key does not reach the guest")
		return
	}
	p.want(got.header("X-Api-Key") == "" && got.header("Authorization") == "", "the client sends a credential that is not asked for")
}

// portRefusals: the proxy's own answers are plain text.
func portRefusals(p *probe) {
	h := p.sandbox()
	gone := p.sandbox()
	p.ok(gone.Destroy(p.ctx))
	for what, tc := range map[string]struct {
		host   string
		status int
	}{
		"nothing listens":     {p.hostOf(h.ID(), "9"), 502},
		"the port 0":          {p.hostOf(h.ID(), "0"), 400},
		"a port too high":     {p.hostOf(h.ID(), "65536"), 400},
		"an unknown sandbox":  {p.hostOf("cl-"+absent, "80"), 404},
		"a destroyed sandbox": {p.hostOf(gone.ID(), "80"), 409},
	} {
		a := p.proxied(tc.host, "/", p.withKey())
		p.want(a.status == tc.status && strings.HasPrefix(a.header.Get("Content-Type"), "text/plain"),
			"%s: HTTP %d of type %q, want %d and plain text", what, a.status, a.header.Get("Content-Type"), tc.status)
	}
}

// portPaused: for two minutes the proxy remembers where the sandbox was, and after a resume it finds it at once.
func portPaused(p *probe) {
	h := p.web()
	_, err := p.c.Sandbox(h.ID()).Pause(p.ctx)
	p.ok(err)
	a, err := p.get(h.client, "/")
	p.ok(err)
	p.want(a.status == 503 || a.status == 409, "paused: HTTP %d", a.status)
	_, err = p.c.Sandbox(h.ID()).Resume(p.ctx)
	p.ok(err)
	a, err = p.get(h.client, "/")
	p.ok(err)
	p.want(a.status == 200, "resumed: HTTP %d", a.status)
}

// portPath: generation Sandboxes cleans paths on their way, generation Capsules keeps them, and has redirects lead to where
// they were meant to.
func portPath(p *probe) {
	h := p.web()
	a := p.proxied(h.host, "/moved", p.withKey())
	p.want(a.status == 302 && strings.HasSuffix(a.header.Get("Location"), "/elsewhere"), "a redirect: HTTP %d to %q", a.status, a.header.Get("Location"))
	want := "/a/b"
	if p.generation == wrenn.GenerationCapsules {
		want = "/a//b/"
	}
	got := p.asked(p.proxied(h.host, "/a//b/", p.withKey()), nil)
	p.want(got.URI == want, "/a//b/ reaches the guest as %s, want %s", got.URI, want)
}

// portIntercepts: no path at such a host is one of the API.
func portIntercepts(p *probe) {
	h := p.web()
	for _, path := range []string{p.sandboxes(), "/v1/snapshots", "/health"} {
		got := p.asked(p.proxied(h.host, path, p.withKey()), nil)
		p.want(got.URI == path, "%s reaches the guest as %s", path, got.URI)
	}
}

// portNeedsDomain: a host without a dot is none of the proxy's.
func portNeedsDomain(p *probe) {
	if !p.isLocal() {
		p.skip("takes a server that is reached by whatever name: the base URL is not of a loopback address")
	}
	a := p.proxied("80-cl-"+absent, p.sandboxes(), p.withKey())
	p.want(a.status == 200 && strings.HasPrefix(a.header.Get("Content-Type"), "application/json"), "HTTP %d of type %q", a.status, a.header.Get("Content-Type"))
}
