package wrenndev

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// streamChunk is the most output that one event carries.
const streamChunk = 32 << 10

// streamMessage is what a client sends.
type streamMessage struct {
	Type  string   `json:"type"`
	Token string   `json:"token"`
	Cmd   string   `json:"cmd"`
	Args  []string `json:"args"`
}

// streamEvent is what the server sends. Data is text: bytes that are no UTF-8 are
// replaced when it is written, each chunk for itself.
type streamEvent struct {
	Type     string  `json:"type"`
	Pid      int     `json:"pid,omitempty"`
	Data     *string `json:"data,omitempty"`
	ExitCode *int    `json:"exit_code,omitempty"`
}

func errorEvent(text string) streamEvent { return streamEvent{Type: "error", Data: &text} }

// execStream runs a command and streams its output. The stream is only a view:
// whatever ends it, the command goes on. No close frame is ever sent; only an exit
// or error event tells that the end was one.
func (s *Server) execStream(c *call) error {
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
	st := &stream{server: s, call: c, sock: sock, messages: make(chan streamMessage)}
	s.background.Go(func() { st.receive(ctx) })
	if err := st.serve(ctx); err != nil {
		var known *apiError
		if errors.As(err, &known) {
			_ = st.send(ctx, errorEvent(known.detail))
		}
	}
	return nil
}

// stream is one WebSocket.
type stream struct {
	server   *Server
	call     *call
	sock     *websocket.Conn
	messages chan streamMessage // closed when the client is gone
}

// receive reads what the client sends for as long as it is there; that also answers
// its close and ping frames. A message that is no JSON is as good as an unknown type.
func (st *stream) receive(ctx context.Context) {
	defer close(st.messages)
	for {
		_, data, err := st.sock.Read(ctx)
		if err != nil {
			return
		}
		var msg streamMessage
		if json.Unmarshal(data, &msg) != nil {
			msg = streamMessage{}
		}
		select {
		case st.messages <- msg:
		case <-ctx.Done():
			return
		}
	}
}

// serve returns an apiError for what the client is to be told.
func (st *stream) serve(ctx context.Context) error {
	if st.call.gen == genC {
		if err := st.admit(ctx); err != nil {
			return err
		}
	}
	var first streamMessage
	select {
	case first = <-st.messages:
	case <-ctx.Done():
		return ctx.Err()
	}
	if first.Type != "start" || first.Cmd == "" {
		return invalidRequest(`first message must be type "start" with cmd`)
	}
	if err := sleep(ctx, st.call.agentDelay()); err != nil {
		return err
	}
	id := st.call.params["id"]
	cmd, session, err := st.server.launch(ctx, id, append([]string{first.Cmd}, first.Args...))
	if err != nil {
		return agentAnswer(err, id)
	}
	st.server.rows.touch(id)
	return st.follow(session, cmd)
}

// admit does on C paths what S does before the upgrade.
func (st *stream) admit(ctx context.Context) error {
	s, c := st.server, st.call
	who, err := s.auth.byHeaders(c.r.Header, accessData)
	if err != nil {
		wait, cancel := context.WithTimeout(ctx, s.cfg.AuthWait)
		defer cancel()
		select {
		case msg := <-st.messages:
			if msg.Type == "auth" {
				who, err = s.auth.byToken(msg.Token)
			}
		case <-wait.Done():
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
		return notFoundOnStream()
	}
	if row.Status != StatusRunning {
		return invalidState("sandbox is not running (status: %s)", row.Status)
	}
	return c.agentFails()
}

func notFoundOnStream() error { return &apiError{detail: "sandbox not found"} }

func (st *stream) send(ctx context.Context, ev streamEvent) error {
	data, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	return st.sock.Write(ctx, websocket.MessageText, data)
}

// follow sends the command's events until its end or the stream's.
func (st *stream) follow(session context.Context, cmd *guest.Command) error {
	ctx, detach := context.WithCancel(session)
	events := st.server.pump(ctx, cmd)
	// Detaching leaves the pumps running: they drain the output for the command's sake.
	defer detach()
	st.server.background.Go(func() { st.watchClient(ctx, detach) })

	cut := st.call.fault.cut
	if cut != nil && cut.after == 0 && cut.left == 0 {
		return nil
	}
	if cut != nil && cut.after > 0 {
		t := time.AfterFunc(cut.after, detach)
		defer t.Stop()
	}
	limit := time.NewTimer(st.server.cfg.StreamLimit)
	defer limit.Stop()
	if err := st.send(ctx, streamEvent{Type: "start", Pid: cmd.Pid}); err != nil {
		return nil // the stream is over, and nobody is there to be told
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-limit.C:
			return agentError("stream: deadline exceeded (Client.Timeout while reading body)")
		case ev, ok := <-events:
			if !ok {
				return nil
			}
			over := false
			if ev.Data != nil {
				var keep int
				keep, over = cut.take(len(*ev.Data))
				*ev.Data = (*ev.Data)[:keep]
			}
			if err := st.send(ctx, ev); err != nil || over || ev.Type == "exit" {
				return nil
			}
		}
	}
}

// watchClient ends the stream when the client says stop or goes away.
func (st *stream) watchClient(ctx context.Context, detach context.CancelFunc) {
	defer detach()
	for {
		select {
		case msg, ok := <-st.messages:
			if !ok || msg.Type == "stop" {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// pump turns a command's output and end into events for as long as ctx lives, and
// drains the output after that. The channel is closed after the exit event, or
// without one when the guest is gone.
func (s *Server) pump(ctx context.Context, cmd *guest.Command) <-chan streamEvent {
	events := make(chan streamEvent)
	s.background.Go(func() {
		defer close(events)
		var wg sync.WaitGroup
		wg.Go(func() { pumpOutput(ctx, "stdout", cmd.Stdout, events) })
		wg.Go(func() { pumpOutput(ctx, "stderr", cmd.Stderr, events) })
		wg.Wait()
		code, ok := <-cmd.Exit()
		cmd.Close()
		if ok {
			emit(ctx, events, streamEvent{Type: "exit", ExitCode: &code})
		}
	})
	return events
}

func pumpOutput(ctx context.Context, kind string, out *os.File, events chan<- streamEvent) {
	buf := make([]byte, streamChunk)
	for {
		n, err := out.Read(buf)
		if n > 0 {
			data := string(buf[:n])
			if !emit(ctx, events, streamEvent{Type: kind, Data: &data}) {
				_, _ = io.Copy(io.Discard, out)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func emit(ctx context.Context, events chan<- streamEvent, ev streamEvent) bool {
	select {
	case events <- ev:
		return true
	case <-ctx.Done():
		return false
	}
}
