package wrenn

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
)

// A server behind TLS speaks HTTP/2, over which a WebSocket cannot be opened as the service's are.
func TestStreamsOverTLS(t *testing.T) {
	protocols := make(chan string, 2)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocols <- r.Proto
		if r.Header.Get("Upgrade") == "" {
			present(w, r)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		ctx := context.WithoutCancel(r.Context())
		if _, _, err := conn.Read(ctx); err != nil {
			t.Error(err)
		}
		say(started, exited)(ctx, conn)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	hc := &http.Client{Transport: server.Client().Transport}
	c := newTestClient(t, server.URL, WithGeneration(GenerationSandboxes), WithHTTPClient(hc))
	if _, err := c.Sandbox(testID).Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := c.Sandbox(testID).ExecStream(t.Context(), shX)
	if err != nil {
		t.Fatal(err)
	}
	if events, err := collect(s); err != nil || len(events) != 2 {
		t.Fatalf("%v, %v", events, err)
	}
	if rest, stream := <-protocols, <-protocols; rest != "HTTP/2.0" || stream != "HTTP/1.1" {
		t.Fatalf("calls over %s, streams over %s", rest, stream)
	}
}

// watchedTransport is a transport of the caller's own kind.
type watchedTransport struct {
	http.RoundTripper
	closed bool
}

func (t *watchedTransport) CloseIdleConnections() { t.closed = true }

func TestCloseIdleConnectionsLeavesTheCallersTransportAlone(t *testing.T) {
	mine := &watchedTransport{RoundTripper: http.DefaultTransport}
	c := newTestClient(t, "http://localhost", WithHTTPClient(&http.Client{Transport: mine}))
	c.CloseIdleConnections()
	if mine.closed {
		t.Error("the connections of somebody else's transport were closed")
	}
}
