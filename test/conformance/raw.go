package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// What the client never sends is sent here by hand.

// absent is an id that has the right form, after the prefix, and that nothing has.
const absent = "0000000000000000000000000"

func httpClient(rt http.RoundTripper) *http.Client { return &http.Client{Transport: rt} }

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code is that of a refusal, empty for anything else.
func (a answer) code() wrenn.Code {
	var refusal struct {
		Error struct{ Code wrenn.Code }
	}
	if json.Unmarshal(a.body, &refusal) != nil {
		return ""
	}
	return refusal.Error.Code
}

// request is a request with nothing but what it says: no credential either.
type request struct {
	method, path string
	header       http.Header
	body         io.Reader
	// makes: it makes something, and is not to be abandoned.
	makes bool
}

// raw sends a request.
func (p *probe) raw(r request) answer {
	ctx := p.ctx
	if r.makes {
		var cancel context.CancelFunc
		ctx, cancel = p.steady()
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, strings.TrimRight(p.baseURL, "/")+r.path, r.body)
	p.ok(err)
	if r.header != nil {
		req.Header = r.header
	}
	if r.body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := httpClient(p.loose).Do(req)
	p.ok(err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	p.ok(err)
	return answer{resp.StatusCode, resp.Header, body}
}

// send sends a body of JSON with the API key; an empty one is none.
func (p *probe) send(method, path, body string) answer {
	r := request{method: method, path: path, header: p.withKey()}
	if body != "" {
		r.body = strings.NewReader(body)
	}
	return p.raw(r)
}

// turnedAway fails the check unless an answer is a refusal with a status and one of the codes.
func (p *probe) turnedAway(a answer, what string, status int, codes ...wrenn.Code) {
	for _, code := range codes {
		if a.status == status && a.code() == code {
			return
		}
	}
	p.fail("%s: HTTP %d %q, want %d %v", what, a.status, a.code(), status, codes)
}

func (s *suite) withKey() http.Header { return http.Header{"X-Api-Key": {s.key}} }

func (s *suite) withBearer() http.Header { return http.Header{"Authorization": {"Bearer " + s.token}} }

// sandboxes is the path of the sandboxes, and of what is below it.
func (s *suite) sandboxes(below ...string) string {
	path := "/v1/sandboxes"
	if s.generation == wrenn.GenerationCapsules {
		path = "/v1/capsules"
	}
	return strings.Join(append([]string{path}, below...), "/")
}

// field is a part of a form; file makes it one with a file name.
type field struct {
	name, value string
	file        bool
}

// form is a multipart form and its content type.
func form(fields ...field) (io.Reader, string) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range fields {
		// Writing to a buffer cannot fail.
		if f.file {
			part, _ := w.CreateFormFile(f.name, "file")
			_, _ = io.WriteString(part, f.value)
			continue
		}
		_ = w.WriteField(f.name, f.value)
	}
	_ = w.Close()
	return &body, w.FormDataContentType()
}

// post sends a form with the API key.
func (p *probe) post(path string, fields ...field) answer {
	body, kind := form(fields...)
	header := p.withKey()
	header.Set("Content-Type", kind)
	return p.raw(request{method: http.MethodPost, path: path, header: header, body: body})
}

// message is one of a WebSocket, of whichever kind.
type message struct {
	Type     string   `json:"type"`
	Token    string   `json:"token,omitempty"`
	Cmd      string   `json:"cmd,omitempty"`
	Args     []string `json:"args,omitempty"`
	Pid      int      `json:"pid,omitempty"`
	Data     string   `json:"data,omitempty"`
	ExitCode *int     `json:"exit_code,omitempty"`
}

// dial opens a WebSocket.
func (p *probe) dial(path string, header http.Header) *websocket.Conn {
	u := *p.base
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	u.Path = strings.TrimRight(u.Path, "/") + path
	conn, _, err := websocket.Dial(p.ctx, u.String(), &websocket.DialOptions{HTTPClient: httpClient(p.loose), HTTPHeader: header}) //nolint:bodyclose // It is the connection's.
	p.ok(err)
	conn.SetReadLimit(4 << 20)
	return conn
}

// say sends a text on a WebSocket.
func (p *probe) say(conn *websocket.Conn, text string) {
	p.ok(conn.Write(p.ctx, websocket.MessageText, []byte(text)))
}

// next returns the next message.
func next(ctx context.Context, conn *websocket.Conn) (message, error) {
	var m message
	_, text, err := conn.Read(ctx)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// hear returns the messages until the connection ends, and how it ended.
func (p *probe) hear(conn *websocket.Conn) ([]message, error) {
	var all []message
	for {
		m, err := next(p.ctx, conn)
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
}
