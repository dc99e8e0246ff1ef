package wrenn

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// dial upgrades to WebSocket. The context governs the handshake only.
func (c *Client) dial(ctx context.Context, k call) (*websocket.Conn, error) {
	began := time.Now()
	conn, e := c.upgrade(ctx, k)
	c.told(ctx, k, began, e)
	if e != nil {
		return nil, e
	}
	return conn, nil
}

func (c *Client) upgrade(ctx context.Context, k call) (*websocket.Conn, *Error) {
	if ctx.Err() != nil {
		return nil, transportFailure(ctx, k.op, ctx.Err())
	}
	u := *c.base
	u.Path += k.path
	header := http.Header{"User-Agent": {c.settings.userAgent}}
	c.cred.authorize(header)
	return c.shakeHands(ctx, k.op, c.streams.Transport, u, &websocket.DialOptions{HTTPHeader: header},
		func(resp *http.Response) *Error { return c.refusal(ctx, k, resp) })
}

// shakeHands opens a WebSocket by way of a transport. An answer that is no upgrade becomes an error by judge.
func (c *Client) shakeHands(
	ctx context.Context, op string, rt http.RoundTripper, u url.URL, opts *websocket.DialOptions, judge func(*http.Response) *Error,
) (*websocket.Conn, *Error) {
	shake := &handshake{base: rt, limit: c.settings.limits.ErrorBytes}
	opts.HTTPClient = refuseRedirects(shake)
	// The response's body is that of the connection, or was taken by the handshake.
	conn, _, err := websocket.Dial(ctx, wsURL(u), opts) //nolint:bodyclose // See above.
	switch {
	case err == nil:
		conn.SetReadLimit(c.settings.limits.FrameBytes)
		return conn, nil
	case shake.refused != nil:
		return nil, judge(shake.refused)
	case shake.upgraded:
		return nil, &Error{Op: op, StatusCode: http.StatusSwitchingProtocols, Message: "the upgrade is not valid", Err: ErrInvalidResponse}
	}
	return nil, ownError(ctx, op, err)
}

func wsURL(u url.URL) string {
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	return u.String()
}

// handshake keeps the answer of a server that does not upgrade, of which the WebSocket library shows only the beginning.
type handshake struct {
	base     http.RoundTripper
	limit    int64
	refused  *http.Response
	upgraded bool
}

func (s *handshake) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		s.upgraded = true
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, s.limit+1))
	_ = resp.Body.Close()
	kept := *resp
	kept.Body = io.NopCloser(&replay{body: body, err: err})
	s.refused = &kept
	resp.Body = http.NoBody
	return resp, nil
}

// replay yields what was read of a body and then the error that ended the reading.
type replay struct {
	body []byte
	err  error
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.body) > 0 {
		n := copy(p, r.body)
		r.body = r.body[n:]
		return n, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	return 0, io.EOF
}

// next reads the next event. Events of kinds that came after this was written are skipped.
func (s *ExecStream) next(ctx context.Context) (StreamEvent, error) {
	for {
		frame, err := s.frame(ctx)
		if err != nil {
			return StreamEvent{}, err
		}
		event, known, err := parseFrame(frame)
		if err != nil || known {
			return event, err
		}
	}
}

// parseFrame reads one message of the server and reports whether its kind is known. A start without its
// pid and an exit without its code are refused, since zero is not what they meant; a piece of output without data is an
// empty one.
func parseFrame(frame []byte) (event StreamEvent, known bool, err error) {
	var wire *api.ExecStreamEvent
	if err := json.Unmarshal(frame, &wire); err != nil || wire == nil || wire.Type == "" {
		return StreamEvent{}, false, errBadFrame
	}
	event.Type = StreamEventType(wire.Type)
	complete := true
	switch event.Type {
	case StreamStart:
		complete = value(wire.Pid) > 0
		event.PID = int(value(wire.Pid))
	case StreamStdout, StreamStderr, StreamError:
		event.Data = value(wire.Data)
	case StreamExit:
		complete = wire.ExitCode != nil
		event.ExitCode = int(value(wire.ExitCode))
	default:
		return StreamEvent{}, false, nil
	}
	if !complete {
		return StreamEvent{}, false, errBadFrame
	}
	return event, true, nil
}
