package wrenn

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// kernelID is the kernel of the scripted server.
const scriptedKernel = "5f9db14b-5a5f-4093-99d1-1b42e37a719b"

// gateway is a Jupyter server behind a port proxy that does what a script says, for what a real one rarely does. A route
// that has no handler of the test's own is answered as by a server with one idle kernel.
type gateway struct {
	t *testing.T
	// script is what the kernel says to a request.
	script func(context.Context, *kernelEnd)
	// routes are by method and path.
	routes map[string]http.HandlerFunc

	mu   sync.Mutex
	seen []string
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		refuse(w, 500, CodeInternalError)
		return
	}
	if !strings.HasPrefix(r.Host, "8888-"+testID+".localhost:") || r.Header.Get("X-API-Key") != testKey {
		g.t.Errorf("request %s of %s with %v", r.URL, r.Host, r.Header)
	}
	route := r.Method + " " + r.URL.Path
	g.mu.Lock()
	g.seen = append(g.seen, route)
	handler, script := g.routes[route], g.script
	g.mu.Unlock()
	if handler != nil {
		handler(w, r)
		return
	}
	switch route {
	case "GET /api/kernels":
		answer(w, 200, `[{"id":"`+scriptedKernel+`","name":"python3","execution_state":"idle"}]`)
	case "GET /api/kernelspecs":
		answer(w, 200, `{"default":"python3","kernelspecs":{"python3":{"name":"python3"}}}`)
	case "POST /api/kernels/" + scriptedKernel + "/interrupt":
		w.WriteHeader(http.StatusNoContent)
	case "GET /api/kernels/" + scriptedKernel + "/channels":
		accept(g.t, w, r, func(ctx context.Context, conn *websocket.Conn) {
			script(ctx, kernelEndOf(g.t, ctx, conn, r.URL.Query().Get("session_id")))
		})
	default:
		answer(w, 404, `{"message": "Not Found"}`)
	}
}

// change changes a server that has been asked before.
func (g *gateway) change(how func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	how()
}

// requests returns the routes that were asked for, but for those of the kernel's list and its channels.
func (g *gateway) requests() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for _, route := range g.seen {
		if route != "GET /api/kernels" && !strings.HasSuffix(route, "/channels") {
			out = append(out, strings.ReplaceAll(route, scriptedKernel, "{id}"))
		}
	}
	return out
}

// scripted returns a sandbox with a scripted kernel, impatient.
func scripted(t *testing.T, script func(context.Context, *kernelEnd)) (*SandboxHandle, *gateway) {
	t.Helper()
	g := &gateway{t: t, script: script, routes: map[string]http.HandlerFunc{}}
	h := serve(t, g.ServeHTTP).Sandbox(testID)
	h.c.code = codePace{settle: brief, half: brief, longest: 2 * h.c.pace.base}
	return h, g
}

// kernelEnd is the kernel's end of a connection.
type kernelEnd struct {
	t       *testing.T
	conn    *websocket.Conn
	session string
	request executeRequest
	raw     string
}

func kernelEndOf(t *testing.T, ctx context.Context, conn *websocket.Conn, session string) *kernelEnd { //nolint:revive // t first, as everywhere.
	conn.SetReadLimit(maxCodeMessage)
	_, raw, err := conn.Read(ctx)
	k := &kernelEnd{t: t, conn: conn, session: session, raw: string(raw)}
	if err != nil || json.Unmarshal(raw, &k.request) != nil || k.request.Header.ID == "" || k.request.Header.Session != session {
		t.Errorf("request is %s, %v", raw, err)
	}
	return k
}

// say sends messages about the request, each a kind and its content.
func (k *kernelEnd) say(ctx context.Context, messages ...[2]string) {
	for _, m := range messages {
		k.raise(ctx, k.request.Header.ID, "kernel", m)
	}
}

// raise sends a message about any request, from the kernel's session or another.
func (k *kernelEnd) raise(ctx context.Context, parent, session string, m [2]string) {
	_ = k.conn.Write(ctx, websocket.MessageText, []byte(message(parent, session, m)))
}

// stay waits until the client leaves.
func (k *kernelEnd) stay(ctx context.Context) { _, _, _ = k.conn.Read(ctx) }

func message(parent, session string, m [2]string) string {
	channel := channelIOPub
	if m[0] == kindReply {
		channel = channelShell
	}
	return `{"header":{"msg_id":"1","session":"` + session + `","msg_type":"` + m[0] + `"},"parent_header":{"msg_id":"` + parent +
		`"},"channel":"` + channel + `","metadata":{},"buffers":[],"content":` + m[1] + `}`
}

// What a kernel says.
var (
	busy    = [2]string{kindStatus, `{"execution_state":"busy"}`}
	idle    = [2]string{kindStatus, `{"execution_state":"idle"}`}
	input   = [2]string{kindInput, `{"code":"x","execution_count":7}`}
	replied = [2]string{kindReply, `{"status":"ok","execution_count":7,"payload":[],"user_expressions":{}}`}
	aborted = [2]string{kindReply, `{"status":"aborted"}`}
)

func out(text string) [2]string {
	return [2]string{kindStream, `{"name":"stdout","text":"` + text + `"}`}
}
