package wrenndev

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// streamChunk is the most output that one event carries.
const streamChunk = 32 << 10

// streamEvent is what the server sends. Data is text: bytes that are no UTF-8 are
// replaced when it is written, each chunk for itself.
type streamEvent struct {
	Type     string  `json:"type"`
	Tag      string  `json:"tag,omitempty"`
	Pid      int     `json:"pid,omitempty"`
	Data     *string `json:"data,omitempty"`
	ExitCode *int    `json:"exit_code,omitempty"`
	Fatal    bool    `json:"fatal,omitempty"`
}

// stream is one WebSocket.
type stream struct {
	server   *Server
	call     *call
	sock     *websocket.Conn
	messages chan []byte // closed when the client is gone
	fatal    bool        // what the last error event says of itself
}

// overSocket upgrades a request and lets serve do the rest; an apiError that it
// returns is told in an event. The stream is only a view: whatever ends it, the
// process goes on. No close frame is ever sent; only an exit or error event tells
// that the end was one.
func (s *Server) overSocket(c *call, serve func(*stream, context.Context) error) error {
	if c.gen == genS {
		if _, err := s.runningRow(c); err != nil {
			return err
		}
		if err := c.agentFails(); err != nil {
			return err
		}
	} else if _, err := c.id(); err != nil {
		return err
	}
	sock, err := websocket.Accept(c.w, c.r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return nil // Accept has answered
	}
	defer func() { _ = sock.CloseNow() }()
	sock.SetReadLimit(-1)
	// The connection is no longer the HTTP server's: it ends with the server.
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	st := &stream{server: s, call: c, sock: sock, messages: make(chan []byte)}
	s.background.Go(func() { st.receive(ctx) })
	if c.gen == genC {
		err = st.admit(ctx)
	}
	if err == nil {
		err = serve(st, ctx)
	}
	var known *apiError
	if errors.As(err, &known) {
		_ = st.send(ctx, streamEvent{Type: "error", Data: &known.detail, Fatal: st.fatal})
	}
	return nil
}

// receive reads what the client sends for as long as it is there; that also answers
// its close and ping frames.
func (st *stream) receive(ctx context.Context) {
	defer close(st.messages)
	for {
		_, data, err := st.sock.Read(ctx)
		if err != nil {
			return
		}
		select {
		case st.messages <- data:
		case <-ctx.Done():
			return
		}
	}
}

// decoded reads a message. One that is no JSON, or has other types in it, is as good as
// one of an unknown type.
func decoded[T any](data []byte) (msg T) {
	if json.Unmarshal(data, &msg) != nil {
		var none T
		return none
	}
	return msg
}

// message waits for the client's next message.
func message[T any](ctx context.Context, st *stream) (msg T, err error) {
	select {
	case data := <-st.messages:
		return decoded[T](data), nil
	case <-ctx.Done():
		return msg, ctx.Err()
	}
}

// admit does on C paths what S does before the upgrade.
func (st *stream) admit(ctx context.Context) error {
	s, c := st.server, st.call
	who, err := s.auth.byHeaders(c.r.Header, accessData)
	if err != nil {
		wait, cancel := context.WithTimeout(ctx, s.cfg.AuthWait)
		defer cancel()
		msg, _ := message[struct{ Type, Token string }](wait, st)
		if msg.Type == "auth" {
			who, err = s.auth.byToken(msg.Token)
		}
		if err != nil {
			return unauthorized("authentication failed")
		}
	}
	if !who.active {
		return unauthorized("authentication failed")
	}
	c.caller = who
	row, err := s.ownRow(c)
	if err != nil {
		return refuse(http.StatusNotFound, "not_found", "sandbox not found")
	}
	if row.Status != StatusRunning {
		return invalidState("sandbox is not running (status: %s)", row.Status)
	}
	return c.agentFails()
}

func (st *stream) send(ctx context.Context, ev streamEvent) error {
	data, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	return st.sock.Write(ctx, websocket.MessageText, data)
}

func (s *Server) execStream(c *call) error { return s.overSocket(c, (*stream).exec) }

// exec runs a command and shows it.
func (st *stream) exec(ctx context.Context) error {
	first, err := message[struct {
		Type, Cmd string
		Args      []string
	}](ctx, st)
	if err != nil {
		return err
	}
	if first.Type != "start" || first.Cmd == "" {
		return invalidRequest(`first message must be type "start" with cmd`)
	}
	if err := sleep(ctx, st.call.agentDelay()); err != nil {
		return err
	}
	id := st.call.params["id"]
	heard, l := st.listen(ctx)
	p, session, err := st.server.launch(ctx, id, command{cmd: first.Cmd, args: first.Args}, heard)
	if err != nil {
		return agentAnswer(err, id)
	}
	defer p.detach(heard)
	st.server.rows.touch(id)
	return st.follow(session, l, view{
		first: &streamEvent{Type: "start", Pid: p.Pid}, show: asText,
		client: func(ctx context.Context) { st.untilClient(ctx, "stop") },
	})
}

// view is how a process is shown on a stream.
type view struct {
	// first is sent before everything else, if there is one.
	first *streamEvent
	show  func(piece) streamEvent
	// client deals with what the client sends. Its end is the stream's.
	client func(context.Context)

	// What only terminals have:
	pings <-chan time.Time
	quiet <-chan time.Time // ends a stream on which nothing came until then
	begun func()           // is called when something comes
	stays bool             // the exit event does not end the stream
}

// asText shows output as it is, that of a terminal as stdout.
func asText(p piece) streamEvent {
	if p.kind == "tty" {
		p.kind = "stdout"
	}
	text := string(p.data)
	return streamEvent{Type: p.kind, Data: &text}
}

// follow shows a process until its end or the stream's.
func (st *stream) follow(session context.Context, l *listener, v view) error {
	ctx, leave := context.WithCancel(session)
	defer leave()
	st.server.background.Go(func() {
		defer leave()
		v.client(ctx)
	})
	cut := st.call.fault.cut
	if cut != nil && cut.after == 0 && cut.left == 0 {
		return nil
	}
	if cut != nil && cut.after > 0 {
		t := time.AfterFunc(cut.after, leave)
		defer t.Stop()
	}
	limit := time.NewTimer(st.server.cfg.StreamLimit)
	defer limit.Stop()
	if v.first != nil && st.send(ctx, *v.first) != nil {
		return nil // the stream is over, and nobody is there to be told
	}
	pieces := l.pieces
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-limit.C:
			return agentError("stream: deadline exceeded (Client.Timeout while reading body)")
		case <-v.quiet:
			st.fatal = false
			return agentError("stream: timeout awaiting response headers")
		case <-v.pings:
			if st.send(ctx, streamEvent{Type: "ping"}) != nil {
				return nil
			}
		case p, more := <-pieces:
			if v.begun != nil {
				v.begun()
				v.begun, v.quiet = nil, nil
			}
			if more {
				keep, over := cut.take(len(p.data))
				p.data = p.data[:keep]
				if st.send(ctx, v.show(p)) != nil || over {
					return nil
				}
				continue
			}
			if l.code == nil || st.send(ctx, streamEvent{Type: "exit", ExitCode: l.code}) != nil || !v.stays {
				return nil
			}
			pieces = nil
			limit.Stop()
		}
	}
}

// untilClient waits until the client says the word, if there is one, or goes away.
func (st *stream) untilClient(ctx context.Context, word string) {
	for {
		select {
		case data, ok := <-st.messages:
			if !ok || word != "" && decoded[struct{ Type string }](data).Type == word {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
