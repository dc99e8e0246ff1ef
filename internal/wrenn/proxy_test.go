package wrenn

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// guest serves the port proxy for port 80 of the sandbox, and fails the test when asked for anything else.
func guest(t *testing.T, handler http.HandlerFunc, opts ...Option) *SandboxHandle {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "80-"+testID+".localhost:") {
			t.Errorf("asked for %s of %s", r.URL, r.Host)
		}
		handler(w, r)
	}, opts...).Sandbox(testID)
}

func portClient(t *testing.T, h *SandboxHandle) *http.Client {
	t.Helper()
	hc, err := h.HTTPClient(t.Context(), 80)
	if err != nil {
		t.Fatal(err)
	}
	return hc
}

// reply is an answer, read to its end.
type reply struct {
	status  int
	body    string
	header  http.Header
	request *http.Request
}

func get(t *testing.T, hc *http.Client, address string) (reply, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, hc, req)
}

func send(t *testing.T, hc *http.Client, req *http.Request) (reply, error) {
	t.Helper()
	resp, err := hc.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, string(body), resp.Header, resp.Request}, nil
}

func TestHTTPClientSendsWhatTheGenerationDemands(t *testing.T) {
	token := testToken(t)
	for name, tc := range map[string]struct {
		generation Generation
		cred       Credential
		key        string
		refused    bool
	}{
		"a key to Sandboxes":    {GenerationSandboxes, testCredential(t), testKey, false},
		"a token to Sandboxes":  {GenerationSandboxes, token, "", true},
		"nothing to Sandboxes":  {GenerationSandboxes, Credential{}, "", true},
		"not a key to Capsules": {GenerationCapsules, testCredential(t), "", false},
		"no token to Capsules":  {GenerationCapsules, token, "", false},
		"nothing to Capsules":   {GenerationCapsules, Credential{}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := guest(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-API-Key") != tc.key || r.Header.Get("Authorization") != "" || tc.refused {
					t.Errorf("sent %v", r.Header)
				}
				w.WriteHeader(http.StatusNoContent)
			}, WithGeneration(tc.generation))
			h.c.cred = tc.cred
			hc, err := h.HTTPClient(t.Context(), 80)
			_, socketErr := h.DialWebSocket(t.Context(), WebSocketRequest{Port: 80})
			_, codeErr := h.RunCode(t.Context(), "x", WithInterpreterPort(80), WithStartTimeout(1))
			if tc.refused {
				for _, err := range []error{err, socketErr, codeErr} {
					if e := asError(t, err); !errors.Is(e, ErrUnauthenticated) || e.Ambiguous {
						t.Errorf("error is %+v", e)
					}
				}
				return
			}
			if err != nil || errors.Is(socketErr, ErrUnauthenticated) || errors.Is(codeErr, ErrUnauthenticated) {
				t.Fatal(err, socketErr, codeErr)
			}
			resp, err := get(t, hc, "/")
			if err != nil || resp.status != http.StatusNoContent {
				t.Fatalf("%v, %v", resp, err)
			}
			if shown := resp.request.Header.Get("X-API-Key"); shown != "" {
				t.Errorf("the response shows the key")
			}
		})
	}
}

// A server that was updated since must not be sent the key any more.
func TestHTTPClientNoticesAnotherGeneration(t *testing.T) {
	keys := make(chan string, 2)
	h := guest(t, func(_ http.ResponseWriter, r *http.Request) { keys <- r.Header.Get("X-API-Key") }, WithGeneration(""))
	hc := http.DefaultClient
	for _, g := range generations {
		h.c.generation.detected.Store(&g)
		if g == GenerationSandboxes {
			hc = portClient(t, h)
		}
		if _, err := get(t, hc, "/"); err != nil {
			t.Fatal(err)
		}
	}
	if first, second := <-keys, <-keys; first != testKey || second != "" {
		t.Fatalf("sent %q and %q", first, second)
	}
}

func TestHTTPClientAddresses(t *testing.T) {
	h := guest(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-URI", r.RequestURI) })
	hc := portClient(t, h)
	own, err := h.URL(80)
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"/": "/", "": "/", "status": "/status", "/a%2Fb//c/?x=1&x=2": "/a%2Fb//c/?x=1&x=2", "a%2Fb": "/a%2Fb", "?x": "/?x", "/v1/sandboxes": "/v1/sandboxes",
		own: "/", own + "/a#b": "/a", strings.ToUpper(own[:7]) + strings.ToUpper(own[7:]) + "/A": "/A", strings.TrimPrefix(own, "http:") + "/a": "/a",
	} {
		resp, err := get(t, hc, address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if uri := resp.header.Get("X-URI"); uri != want {
			t.Errorf("%s reaches %q", address, uri)
		}
	}
	host := strings.TrimPrefix(own, "http://")
	for _, address := range []string{
		"http://example.com/", "//example.com/", h.c.base.String() + "/v1/sandboxes", "https://" + host + "/", strings.Replace(own, "80-", "81-", 1),
		own + "0/", "http:/path", "file:///etc/passwd", "http:opaque",
	} {
		_, err := get(t, hc, address)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(e, ErrInvalidArgument) || strings.Contains(e.Error(), testKey) {
			t.Errorf("%s: error is %v", address, err)
		}
	}
	t.Run("opaque", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, own, nil)
		if err != nil {
			t.Fatal(err)
		}
		// It would be sent as it is, and win over the Host header.
		req.URL.Opaque = strings.Replace("//"+host+"/", "80-", "81-", 1)
		if _, err := send(t, hc, req); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("Host header", func(t *testing.T) {
		body := &closeWatcher{}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = strings.Replace(host, "80-", "81-", 1)
		if _, err := send(t, hc, req); !errors.Is(err, ErrInvalidArgument) || !body.closed {
			t.Errorf("error is %v, body closed %v", err, body.closed)
		}
	})
}

type closeWatcher struct{ closed bool }

func (*closeWatcher) Read([]byte) (int, error) { return 0, io.EOF }

func (c *closeWatcher) Close() error {
	c.closed = true
	return nil
}

func TestHTTPClientHandsOnWhatIsAnswered(t *testing.T) {
	h := guest(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://example.com/", http.StatusFound)
		case "/none":
			text(502, "proxy error: connection refused")(w, r)
		case "/drop":
			drop(w, r)
		case "/echo":
			w.Header().Set("X-Agent", r.UserAgent())
			_, _ = io.Copy(w, r.Body)
		}
	}, WithUserAgent("mine"))
	hc := portClient(t, h)
	for path, want := range map[string]int{"/away": 302, "/none": 502} {
		if resp, err := get(t, hc, path); err != nil || resp.status != want {
			t.Errorf("%s: %v, %v", path, resp, err)
		}
	}
	if _, err := get(t, hc, "/drop"); !IsTransport(err) || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("a lost answer is %v", err)
	}
	for agent, want := range map[string]string{"": "mine", "other": "other"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "/echo", strings.NewReader("content"))
		if err != nil {
			t.Fatal(err)
		}
		if agent != "" {
			req.Header.Set("User-Agent", agent)
		}
		if resp, err := send(t, hc, req); err != nil || resp.body != "content" || resp.header.Get("X-Agent") != want {
			t.Errorf("echoed %+v, %v", resp, err)
		}
	}
}

func TestPortsBelowLocalhostNeedNoDNS(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Logf("no %s here: %v", address, err)
			continue
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		_ = server.Listener.Close()
		server.Listener = l
		server.Start()
		t.Cleanup(server.Close)
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		var dialed []string
		transport := &http.Transport{
			Proxy: func(req *http.Request) (*url.URL, error) {
				return nil, errors.New("a proxy was asked for " + req.URL.Host)
			},
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed = append(dialed, addr)
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		}
		for _, tc := range []struct{ base, domain string }{
			{server.URL, ""}, {"http://localhost:" + port, ""}, {"http://other.example", "localhost:" + port}, {"http://other.example", "box.LOCALHOST:" + port},
		} {
			c := newTestClient(t, tc.base, WithGeneration(GenerationSandboxes), WithProxyDomain(tc.domain), WithHTTPClient(&http.Client{Transport: transport}))
			dialed = nil
			resp, err := get(t, portClient(t, c.Sandbox(testID)), "/")
			if err != nil || resp.status != http.StatusNoContent {
				t.Errorf("%v: %v, dialed %q", tc, err, dialed)
			}
			if tc.base == server.URL && (len(dialed) != 1 || dialed[0] != l.Addr().String()) {
				t.Errorf("%v: dialed %q", tc, dialed)
			}
			// Nothing else is dialed in another way.
			c = newTestClient(t, "http://other.example", WithGeneration(GenerationSandboxes), WithHTTPClient(&http.Client{Transport: transport}))
			if _, err := get(t, portClient(t, c.Sandbox(testID)), "/"); !IsTransport(err) {
				t.Errorf("another domain: %v", err)
			}
		}
	}
}

func TestDialWebSocket(t *testing.T) {
	h := guest(t, func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI != "/live?from=7" || r.Header.Get("X-API-Key") != testKey || r.Header.Get("X-Mine") != "x" {
			t.Errorf("asked for %s with %v", r.RequestURI, r.Header)
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"b"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(1 << 20)
		kind, message, err := conn.Read(context.WithoutCancel(r.Context()))
		if err == nil {
			err = conn.Write(context.WithoutCancel(r.Context()), kind, message)
		}
		if err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := h.DialWebSocket(ctx, WebSocketRequest{
		Port: 80, Path: "live?from=7", Header: http.Header{"X-Mine": {"x"}}, Subprotocols: []string{"a", "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	cancel() // It was for the upgrade only.
	large := strings.Repeat("x", 100<<10)
	if err := conn.Write(t.Context(), websocket.MessageBinary, []byte(large)); err != nil {
		t.Fatal(err)
	}
	kind, echo, err := conn.Read(t.Context())
	if err != nil || kind != websocket.MessageBinary || string(echo) != large || conn.Subprotocol() != "b" {
		t.Fatalf("echoed %d bytes as %v, %v, over %q", len(echo), kind, err, conn.Subprotocol())
	}
}

func TestDialWebSocketRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		kind    error
	}{
		"unknown":         {text(404, "sandbox not found"), ErrProxyNotFound},
		"not running":     {text(409, "sandbox is not running"), ErrProxyNotRunning},
		"nothing listens": {text(502, "proxy error: dial tcp 10.0.0.1:80"), ErrNothingListens},
		"unavailable":     {text(503, "sandbox is not available"), ErrProxyUnavailable},
		"bad port":        {text(400, "invalid port"), ErrInvalidResponse},
		"the key":         {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, CodeUnauthorized) }, ErrProxyUnauthorized},
		"by the guest":    {func(w http.ResponseWriter, _ *http.Request) { answer(w, 401, `{"error":"password"}`) }, ErrInvalidResponse},
		"as the service":  {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, CodeNotFound) }, ErrInvalidResponse},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/", http.StatusTemporaryRedirect)
		}, ErrRedirected},
		"no upgrade": {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, testKey) }, ErrInvalidResponse},
		"lost":       {drop, ErrTransport},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := guest(t, tc.handler).DialWebSocket(t.Context(), WebSocketRequest{Port: 80})
			e := asError(t, err)
			if !errors.Is(e, tc.kind) || e.Ambiguous || e.Code != "" || IsRefusal(e) || IsNotFound(e) || strings.Contains(e.Error(), "10.0.0.1") {
				t.Fatalf("error is %+v", e)
			}
		})
	}
	h := guest(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	for _, req := range []WebSocketRequest{{}, {Port: 80, Path: "http://example.com/"}, {Port: 80, Path: "//example.com"}, {Port: 80, Path: "%zz"}} {
		_, err := h.DialWebSocket(t.Context(), req)
		if e := asError(t, err); !errors.Is(e, ErrInvalidArgument) {
			t.Errorf("%+v: error is %+v", req, e)
		}
	}
}
