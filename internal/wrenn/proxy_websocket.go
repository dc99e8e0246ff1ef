package wrenn

import (
	"context"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// WebSocketRequest says where DialWebSocket connects to.
type WebSocketRequest struct {
	// Port is the TCP port in the guest, 1 to 65535.
	Port int
	// Path has the query too, like "/live?from=7"; empty means "/".
	Path string
	// Header is sent along with the upgrade. The API key goes into it by itself where the server wants it.
	Header http.Header
	// Subprotocols are offered to the server in the guest, in the order of preference.
	Subprotocols []string
}

// DialWebSocket opens a WebSocket to a port of the guest, through the service's proxy. The context governs the upgrade
// only, which WithRequestTimeout bounds too; after it the caller has the connection, and closes it. A message of more than
// 1 MiB ends the connection unless SetReadLimit says otherwise. As with HTTPClient, servers of generation Sandboxes pass
// the team's API key on INTO THE GUEST, a client without one is ErrUnauthenticated there, and nothing that is sent counts
// as activity.
//
// A refused upgrade is ErrProxyNotFound, ErrProxyNotRunning, ErrNothingListens, ErrProxyUnavailable, ErrProxyUnauthorized
// or ErrRedirected, and ErrInvalidResponse with the status when it is the guest that refuses.
func (h *SandboxHandle) DialWebSocket(ctx context.Context, req WebSocketRequest) (*websocket.Conn, error) {
	const op = "sandboxes.dial_websocket"
	startCtx, cancel := h.c.starting(ctx)
	defer cancel()
	t, err := h.portTransport(startCtx, op, req.Port)
	if err != nil {
		return nil, err
	}
	ref, err := url.Parse(req.Path)
	if err != nil {
		return nil, invalidArgument(op, "the path cannot be parsed")
	}
	return t.dial(startCtx, ref, &websocket.DialOptions{HTTPHeader: req.Header, Subprotocols: req.Subprotocols})
}

// dial upgrades by way of the proxy.
func (t *portTransport) dial(ctx context.Context, ref *url.URL, opts *websocket.DialOptions) (*websocket.Conn, error) {
	u, err := t.resolve(ref)
	if err != nil {
		return nil, err
	}
	conn, e := t.c.shakeHands(ctx, t.op, t, *u, opts, func(resp *http.Response) *Error { return t.c.proxyRefusal(t.op, resp) })
	if e != nil {
		return nil, e
	}
	return conn, nil
}
