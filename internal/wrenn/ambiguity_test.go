package wrenn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// rawServer answers every connection's first request with bytes of the test's choice and closes the connection.
func rawServer(t *testing.T, respond func(net.Conn)) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				respond(conn)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return "http://" + listener.Addr().String()
}

func write(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// closedPort returns a base URL where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return "http://" + listener.Addr().String()
}

// effects are the calls that change something; reads are those that do not.
var effects, reads = map[string]func(context.Context, *Client) error{}, map[string]func(context.Context, *Client) error{}

func init() {
	for _, op := range operations {
		call := func(ctx context.Context, c *Client) error { _, err := op.call(ctx, c); return err }
		if op.method == http.MethodGet || strings.Contains(op.path, "/read") {
			reads[op.name] = call
		} else {
			effects[op.name] = call
		}
	}
	effects["upload"] = func(ctx context.Context, c *Client) error { return c.Sandbox(testID).Upload(ctx, "a", []byte("b")) }
	effects["stream upload"] = func(ctx context.Context, c *Client) error {
		return c.Sandbox(testID).StreamUpload(ctx, "a", strings.NewReader("b"))
	}
}

func TestAmbiguityOfTransportFailures(t *testing.T) {
	self := httptest.NewUnstartedServer(http.NotFoundHandler())
	self.Config.ErrorLog = log.New(io.Discard, "", 0)
	self.StartTLS()
	t.Cleanup(self.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, tc := range map[string]struct {
		url       string
		message   string
		ambiguous bool
	}{
		"refused":       {closedPort(t), "connection refused", false},
		"untrusted":     {self.URL, "certificate not trusted", false},
		"no TLS":        {strings.Replace(plain.URL, "http:", "https:", 1), "the server does not speak TLS", false},
		"closed":        {rawServer(t, write("")), "connection closed before the answer was complete", true},
		"reset":         {rawServer(t, reset), "connection reset", true},
		"half a header": {rawServer(t, write("HTTP/1.1 201 Cre")), "connection closed before the answer was complete", true},
		"not HTTP":      {rawServer(t, write("SSH-2.0-x\r\n\r\n")), "no valid answer", true},
	} {
		t.Run(name, func(t *testing.T) {
			for op, call := range effects {
				e := asError(t, call(t.Context(), newTestClient(t, tc.url, WithGeneration(GenerationSandboxes))))
				if e.Ambiguous != tc.ambiguous || !IsTransport(e) || IsRefusal(e) || e.Message != tc.message {
					t.Errorf("%s: %+v", op, e)
				}
			}
			for op, call := range reads {
				e := asError(t, call(t.Context(), newTestClient(t, tc.url, WithGeneration(GenerationSandboxes))))
				if e.Ambiguous || !IsTransport(e) {
					t.Errorf("%s: %+v", op, e)
				}
			}
		})
	}
}

func TestTransportTextsAreStable(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 45678}
	op := func(kind string, err error) error {
		return &url.Error{Op: "Post", URL: "http://10.1.2.3:45678/v1/sandboxes/" + testID, Err: &net.OpError{Op: kind, Net: "tcp", Addr: addr, Err: err}}
	}
	for want, err := range map[string]error{
		"host name not found":         op("dial", &net.DNSError{Err: "no such host", Name: "x", Server: "10.0.0.2:53", IsNotFound: true}),
		"host name resolution failed": op("dial", &net.DNSError{Err: "server misbehaving", Name: "x", Server: "10.0.0.2:53"}),
		"host unreachable":            op("dial", os.NewSyscallError("connect", syscall.EHOSTUNREACH)),
		"connection failed":           op("dial", errors.New("10.1.2.3 says no")),
		"connection reset":            op("write", os.NewSyscallError("write", syscall.EPIPE)),
		"timeout":                     op("dial", os.ErrDeadlineExceeded),
		"TLS handshake failed":        &url.Error{Op: "Post", Err: tls.AlertError(40)},
		"no valid answer":             errors.New("10.1.2.3 says no"),
	} {
		e := transportFailure(t.Context(), "op", err)
		if e.Message != want || !IsTransport(e) || errors.Is(e, ErrTimeout) != (want == "timeout") {
			t.Errorf("%v: message %q, want %q", err, e.Message, want)
		}
		if shown := fmt.Sprintf("%v %+v", e, *e); strings.Contains(shown, "10.") {
			t.Errorf("the error shows an address: %s", shown)
		}
	}
}

func TestAmbiguityOfAnswers(t *testing.T) {
	truncated := "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + sandboxJSON
	for name, tc := range map[string]struct {
		respond   func(net.Conn)
		kind      error
		ambiguous bool
	}{
		"refusal":             {raw("400 Bad Request", `{"error":{"code":"invalid_request","message":""}}`), nil, false},
		"refusal for now":     {raw("429 Too Many", `{"error":{"code":"slow","message":""}}`), nil, false},
		"given up":            {raw("408 Timeout", `{"error":{"code":"timeout","message":""}}`), nil, true},
		"service error":       {raw("500 Oops", `{"error":{"code":"internal_error","message":""}}`), nil, true},
		"agent error":         {raw("502 Bad", `{"error":{"code":"agent_error","message":""}}`), nil, true},
		"no hosts":            {raw("503 No", `{"error":{"code":"no_hosts_available","message":""}}`), nil, true},
		"proxy refuses":       {raw("403 Forbidden", `<html>`), ErrInvalidResponse, true},
		"proxy fails":         {raw("502 Bad Gateway", `<html>`), ErrInvalidResponse, true},
		"redirect":            {raw("307 Elsewhere\r\nLocation: /", ``), ErrRedirected, true},
		"success of no kind":  {raw("200 OK", sandboxJSON), ErrInvalidResponse, true},
		"success cut short":   {write(truncated), ErrTransport, true},
		"success in HTML":     {raw("201 Created", `<html>`), ErrInvalidResponse, true},
		"success of nothing":  {raw("201 Created", ``), ErrInvalidResponse, true},
		"success of null":     {raw("201 Created", `null`), ErrInvalidResponse, true},
		"success in an array": {raw("201 Created", `[`+sandboxJSON+`]`), ErrInvalidResponse, true},
		"success and more":    {raw("201 Created", sandboxJSON+"x"), ErrInvalidResponse, true},
		"no id":               {raw("201 Created", `{"status":"running"}`), ErrInvalidResponse, true},
		"malformed id":        {raw("201 Created", strings.Replace(sandboxJSON, testID, "cl-x", 1)), ErrInvalidResponse, true},
		"an error as success": {raw("201 Created", `{"error":{"code":"not_found","message":""}}`), ErrInvalidResponse, true},
		"too large":           {raw("201 Created", `{"template":"`+strings.Repeat("x", 1<<20)+`"}`), ErrResponseTooLarge, true},
	} {
		t.Run(name, func(t *testing.T) {
			var posts atomic.Int32
			c := newTestClient(t, rawServer(t, func(conn net.Conn) { posts.Add(1); tc.respond(conn) }), WithGeneration(GenerationCapsules))
			_, err := c.Sandboxes.Create(t.Context(), CreateSandboxRequest{})
			e := asError(t, err)
			if e.Ambiguous != tc.ambiguous || !errors.Is(e, tc.kind) && tc.kind != nil || tc.kind == nil && e.Err != nil {
				t.Errorf("error is %+v", e)
			}
			if n := posts.Load(); n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

func raw(status, body string) func(net.Conn) {
	return write("HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body)
}

func TestEndOfTheContext(t *testing.T) {
	arrived := make(chan struct{}, 8)
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	}
	t.Run("canceled under way", func(t *testing.T) {
		c := serve(t, hang)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		_, err := c.Sandboxes.Create(ctx, CreateSandboxRequest{})
		if e := asError(t, err); !e.Ambiguous || !errors.Is(e, context.Canceled) || e.Message != "context canceled" {
			t.Fatalf("error is %+v", e)
		}
	})
	t.Run("canceled before", func(t *testing.T) {
		c := serve(t, hang)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Sandboxes.Create(ctx, CreateSandboxRequest{})
		if e := asError(t, err); e.Ambiguous || !errors.Is(e, context.Canceled) {
			t.Fatalf("error is %+v", e)
		}
	})
	t.Run("deadline of the caller", func(t *testing.T) {
		c := serve(t, hang)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := c.Sandboxes.Create(ctx, CreateSandboxRequest{})
		if e := asError(t, err); !e.Ambiguous || !errors.Is(e, context.DeadlineExceeded) || errors.Is(e, ErrTimeout) {
			t.Fatalf("error is %+v", e)
		}
	})
	t.Run("time limit of the client", func(t *testing.T) {
		c := serve(t, hang, WithRequestTimeout(20*time.Millisecond))
		err := c.Sandbox(testID).Destroy(t.Context())
		if e := asError(t, err); !e.Ambiguous || !errors.Is(e, ErrTimeout) || errors.Is(e, context.DeadlineExceeded) || e.Message != "timeout" {
			t.Fatalf("error is %+v", e)
		}
	})
}

// opaque is a transport that tells nothing of its connections.
type opaque struct{ err error }

func (o opaque) RoundTrip(*http.Request) (*http.Response, error) { return nil, o.err }

func TestAForeignTransportIsNotTrustedToHaveSentNothing(t *testing.T) {
	c, err := New("http://wrenn.example", testCredential(t), WithGeneration(GenerationSandboxes),
		WithHTTPClient(&http.Client{Transport: opaque{errors.New("dial tcp 10.1.2.3:4567: secret detail")}}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Sandboxes.Create(t.Context(), CreateSandboxRequest{})
	if e := asError(t, err); !e.Ambiguous || strings.Contains(e.Error(), "10.1.2.3") || strings.Contains(e.Error(), "secret") {
		t.Fatalf("error is %+v", e)
	}
}
