package wrenndev

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// proxied requests a port of a sandbox; header replaces the API key where it is not nil.
func (c *client) proxied(id string, port int, path string, header http.Header) answer {
	c.t.Helper()
	return c.hosted(fmt.Sprintf("%d-%s.localhost:8080", port, id), path, header)
}

func (c *client) hosted(host, path string, header http.Header) answer {
	c.t.Helper()
	a, err := c.tryHosted(host, path, header)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func (c *client) tryHosted(host, path string, header http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.s.URL()+path, nil)
	if err != nil {
		return answer{}, err
	}
	req.Host = host
	if header == nil {
		header = http.Header{"X-Api-Key": {c.key}}
	}
	req.Header = header
	// The first answer counts, not what a redirect leads to.
	once := &http.Client{Transport: c.http.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return (&client{t: c.t, s: c.s, http: once}).send(req)
}

// seen requests a path of the web server of a sandbox on port 8888 and returns what
// that saw.
func (c *client) seen(id, path string, header http.Header) (got seen) {
	c.t.Helper()
	a := c.proxied(id, 8888, path, header)
	if a.status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", path, a.status, a.body)
	}
	a.json(c.t, &got)
	return got
}

// refused checks an answer of the proxy itself.
func (a answer) refused(t *testing.T, status int, text string) {
	t.Helper()
	if a.status != status || !strings.HasPrefix(string(a.body), text) || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %q %q, want %d %q", a.status, a.header.Get("Content-Type"), a.body, status, text)
	}
}

func TestProxyReachesThePortOfItsSandbox(t *testing.T) {
	s := start(t, Config{})
	if s.Network() != PrivateNetwork {
		t.Skip("sandboxes share the host's ports here")
	}
	c := s.client(t, pathS)
	ids := []string{c.create(), c.create()}
	for _, id := range ids {
		c.runWeb(id, 8888) // both on the same port
	}
	var hosts []string
	for _, id := range ids {
		row, _ := s.rows.get(id)
		got := c.seen(id, "/v1/sandboxes/x?q=%zz&a", http.Header{
			"X-Api-Key": {c.key}, "Authorization": {"Bearer mine"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"},
		})
		want := seen{Sandbox: id, Host: row.HostIP + ":8888", URI: "/v1/sandboxes/x?q=%zz&a", Header: http.Header{
			"X-Api-Key": {c.key}, "Authorization": {"Bearer mine"}, "X-Forwarded-For": {"192.0.2.1, 127.0.0.1"}, "X-Forwarded-Proto": {"https"},
			"Accept-Encoding": {"gzip"}, "User-Agent": {"Go-http-client/1.1"},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		hosts = append(hosts, got.Host)
		// Everything goes there, the server's own pages included.
		if got := c.seen(id, "/_dev/faults", nil); got.URI != "/_dev/faults" {
			t.Errorf("%+v", got)
		}
	}
	if hosts[0] == hosts[1] {
		t.Errorf("both sandboxes have the address %s", hosts[0])
	}
	ops := map[string]string{}
	for _, r := range s.Requests() {
		ops[r.Op] = r.Sandbox
	}
	if ops[OpProxy] != ids[1] {
		t.Errorf("the log has %v", ops)
	}
}

func TestProxyPassesWebSockets(t *testing.T) {
	for _, generations := range []Generations{Sandboxes, Capsules} {
		s := start(t, Config{Generations: generations})
		c := s.client(t, map[Generations]string{Sandboxes: pathS, Capsules: pathC}[generations])
		id := c.create()
		c.runWeb(id, 9001)
		dial := func() *websocket.Conn {
			sock, _, err := websocket.Dial(t.Context(), s.URL()+"/echo", &websocket.DialOptions{ //nolint:bodyclose // there is none after an upgrade
				HTTPClient: c.http, HTTPHeader: http.Header{"X-Api-Key": {c.key}}, Host: "9001-" + id + ".localhost",
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sock.CloseNow() })
			return sock
		}
		say := func(sock *websocket.Conn, text string) (string, error) {
			if err := sock.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
				return "", err
			}
			_, got, err := sock.Read(t.Context())
			return string(got), err
		}
		first, second := dial(), dial()
		for _, text := range []string{"a", strings.Repeat("b", 20000)} {
			if got, err := say(first, text); err != nil || got != id+" "+text {
				t.Errorf("%.50q %v", got, err)
			}
		}
		if err := first.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Errorf("close: %v", err)
		}
		if got, err := say(second, "c"); err != nil || got != id+" c" {
			t.Errorf("%q %v", got, err)
		}
		// A fault cuts it within a frame.
		s.Faults().Add(Fault{Kind: FaultCut, Op: OpProxy, Bytes: 10, Times: 1})
		if got, err := say(dial(), "d"); err == nil {
			t.Errorf("%q came through the cut", got)
		}
		// Nor does a connection outlive its sandbox.
		c.want(http.StatusOK, "", http.MethodPost, c.base+"/"+id+"/pause", nil)
		if got, err := say(second, "e"); err == nil {
			t.Errorf("%q from a paused sandbox", got)
		}
	}
}

func TestProxyRefusals(t *testing.T) {
	s := start(t, Config{Generations: Sandboxes, Reconcile: time.Hour, Teams: []Team{{Name: "a"}, {Name: "b"}}})
	c := s.client(t, pathS)
	id, paused, lost := c.create(), c.create(), c.create()
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+paused+"/pause", nil)
	if err := s.Lose(lost); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, host string
		header     http.Header
		status     int
		text       string
	}{
		{"port 0", "0-" + id + ".localhost", nil, 400, "invalid port\n"},
		{"port above all", "65536-" + id + ".localhost", nil, 400, "invalid port\n"},
		{"a very long port", strings.Repeat("9", 40) + "-" + id + ".localhost", nil, 400, "invalid port\n"},
		{"bad id", "80-cl-x.localhost", nil, 400, "invalid sandbox ID\n"},
		{"unknown", "80-" + unknownID + ".localhost", nil, 404, "sandbox not found\n"},
		{"of another team", "80-" + id + ".localhost", http.Header{"X-Api-Key": {s.APIKeyOf("b")}}, 404, "sandbox not found\n"},
		{"paused", "80-" + paused + ".localhost", nil, 409, "sandbox is not running (status: paused)\n"},
		{"not on the agent", "80-" + lost + ".localhost", nil, 503, "sandbox is not available\n"},
		{"nothing listens", "81-" + id + ".example.com", nil, 502, "proxy error: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.hosted(tt.host, "/", tt.header).refused(t, tt.status, tt.text)
		})
	}
	for name, header := range map[string]http.Header{
		"no key":       {},
		"bad key":      {"X-Api-Key": {"wrn_bad"}},
		"only a token": {"Authorization": {"Bearer " + s.Token()}},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.proxied(id, 80, "/", header)
			if a.status != http.StatusUnauthorized || a.code() != "unauthorized" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	for _, host := range []string{"8000-" + id, "x-" + id + ".localhost", "80-team-x.localhost", "80." + id + ".localhost"} {
		if a := c.hosted(host, "/v1/sandboxes", nil); a.status != http.StatusOK {
			t.Errorf("%s is taken for a port: %d %s", host, a.status, a.body)
		}
	}
}

func TestProxyTrapsOfTheGenerations(t *testing.T) {
	for name, tt := range map[string]struct {
		generations Generations
		base        string
		path        string // of "/a//b/"
		location    string // of a redirect to the address that the guest knows
		open        bool   // for those without a key
	}{
		"S":                     {Sandboxes, pathS, "/a/b", "http://HOST/there?a=b", false},
		"C":                     {Capsules, pathC, "/a//b/", "/there?a=b", true},
		"both are as S is here": {Both, pathC, "/a/b", "http://HOST/there?a=b", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{Generations: tt.generations})
			c := s.client(t, tt.base)
			id := c.create()
			c.runWeb(id, 8888)
			got := c.seen(id, "/a//b/?x=1", nil)
			if got.URI != tt.path+"?x=1" {
				t.Errorf("the path arrives as %s", got.URI)
			}
			location := c.proxied(id, 8888, "/absolute", nil).header.Get("Location")
			if location != strings.ReplaceAll(tt.location, "HOST", got.Host) {
				t.Errorf("Location %s", location)
			}
			for _, to := range []string{"/path", "relative", "https://example.com/x"} {
				if got := c.proxied(id, 8888, "/redirect?to="+to, nil).header.Get("Location"); got != to {
					t.Errorf("Location %q became %q", to, got)
				}
			}
			for _, header := range []http.Header{{}, {"X-Api-Key": {"wrn_bad"}}} {
				if a := c.proxied(id, 8888, "/seen", header); (a.status == http.StatusOK) != tt.open {
					t.Errorf("with %v: %d %s", header, a.status, a.body)
				}
			}
		})
	}
}

func TestProxyTargetIsRemembered(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour})
	c := s.client(t, pathS)
	id := c.create()
	one := pathS + "/" + id
	c.runWeb(id, 8888)
	c.want(http.StatusOK, "", http.MethodPost, one+"/pause", nil)
	c.proxied(id, 8888, "/seen", nil).refused(t, http.StatusServiceUnavailable, "sandbox is not available\n")
	c.want(http.StatusOK, "", http.MethodPost, one+"/resume", nil)
	if got := c.seen(id, "/seen", nil); got.Sandbox != id {
		t.Errorf("%+v", got)
	}
	c.want(http.StatusNoContent, "", http.MethodDelete, one, nil)
	c.proxied(id, 8888, "/seen", nil).refused(t, http.StatusServiceUnavailable, "sandbox is not available\n")

	var targets proxyTargets
	begin := time.Now()
	targets.add(id, begin)
	targets.add(id, begin.Add(time.Minute)) // does not prolong it
	for after, want := range map[time.Duration]bool{0: true, proxyTargetLife - 1: true, proxyTargetLife: false} {
		if got := targets.has(id, begin.Add(after)); got != want {
			t.Errorf("after %v: %v", after, got)
		}
	}
	targets.add(unknownID, begin.Add(proxyTargetLife))
	if len(targets.until) != 1 {
		t.Errorf("%d targets are kept", len(targets.until))
	}
}

func TestProxyIsNoActivityAndEndsWithTheSandbox(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	id := c.create()
	c.runWeb(id, 8888)
	before := s.lastActive(t, id)
	var answers sync.WaitGroup
	for range 8 {
		answers.Go(func() {
			// The answer has no end of its own: it is cut when the sandbox stops.
			if a, err := c.tryHosted("8888-"+id+".localhost", "/ticks", nil); err == nil || len(a.body) == 0 {
				t.Errorf("%d %.20s %v", a.status, a.body, err)
			}
		})
	}
	wait(t, "all are answered", func() bool {
		asked := slices.DeleteFunc(s.Requests(), func(r Request) bool { return r.Path != "/ticks" || r.Status == 0 })
		return len(asked) == 8
	})
	if after := s.lastActive(t, id); !after.Equal(before) {
		t.Error("the proxy counts as activity")
	}
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/pause", nil)
	answers.Wait()
}

func TestNetworkOfASandbox(t *testing.T) {
	for network, reached := range map[Network]bool{PrivateNetwork: false, HostNetwork: true} {
		t.Run(network.String(), func(t *testing.T) {
			s := start(t, Config{Network: network})
			if s.Network() != network {
				t.Skip("the network is the host's here")
			}
			c := s.client(t, pathS)
			id := c.create()
			run := c.sh(id, s.guestProgram("reach", strings.TrimPrefix(s.URL(), "http://")))
			if run.ExitCode == 0 != reached {
				t.Errorf("the host's loopback: %+v", run)
			}
			c.runWeb(id, 8889)
			if run := c.sh(id, s.guestProgram("reach", "127.0.0.1:8889")); run.ExitCode != 0 {
				t.Errorf("its own loopback: %+v", run)
			}
		})
	}
}
