package wrenn

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// streaming returns a client of a server that upgrades, takes the start message and then does what the script says. Like
// the service it ends without a close frame.
func streaming(t *testing.T, script func(context.Context, *websocket.Conn)) *SandboxHandle {
	t.Helper()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/sandboxes/"+testID+"/exec/stream" || r.Header.Get("X-API-Key") != testKey {
			t.Errorf("request %s with %v", r.URL, r.Header)
		}
		accept(t, w, r, func(ctx context.Context, conn *websocket.Conn) {
			_, start, err := conn.Read(ctx)
			if want := `{"args":["-c","x"],"cmd":"sh","type":"start"}`; err != nil || string(start) != want {
				t.Errorf("start message is %s, %v", start, err)
			}
			script(ctx, conn)
		})
	})
	return c.Sandbox(testID)
}

// accept upgrades, does what the script says, and ends without a close frame.
func accept(t *testing.T, w http.ResponseWriter, r *http.Request, script func(context.Context, *websocket.Conn)) {
	t.Helper()
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.CloseNow() }()
	// The request's context lives as long as the test server lets it; a stuck script must not outlive the test.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 20*time.Second)
	defer cancel()
	script(ctx, conn)
}

// say sends frames and leaves.
func say(frames ...string) func(context.Context, *websocket.Conn) {
	return func(ctx context.Context, conn *websocket.Conn) {
		for _, frame := range frames {
			_ = conn.Write(ctx, websocket.MessageText, []byte(frame))
		}
	}
}

// sayAndListen sends frames and stays until the client leaves, answering pings.
func sayAndListen(heard chan<- string, frames ...string) func(context.Context, *websocket.Conn) {
	return func(ctx context.Context, conn *websocket.Conn) {
		say(frames...)(ctx, conn)
		for {
			_, message, err := conn.Read(ctx)
			if err != nil {
				close(heard)
				return
			}
			heard <- string(message)
		}
	}
}

var shX = ExecStreamRequest{Cmd: "sh", Args: []string{"-c", "x"}}

func collect(s *ExecStream) (events []StreamEvent, err error) {
	for event, e := range s.Events() {
		if e != nil {
			return events, e
		}
		events = append(events, event)
	}
	return events, nil
}

const (
	started = `{"type":"start","pid":42}`
	exited  = `{"type":"exit","exit_code":0}`
)

func TestExecStream(t *testing.T) {
	start := StreamEvent{Type: StreamStart, PID: 42}
	out := StreamEvent{Type: StreamStdout, Data: "a\uFFFDb\n"}
	large := strings.Repeat("x", 200<<10)
	for name, tc := range map[string]struct {
		script func(context.Context, *websocket.Conn)
		want   []StreamEvent
		kinds  []error
	}{
		"to the end": {
			say(started, `{"type":"stdout","data":"a\ufffdb\n"}`, `{"type":"stderr","data":""}`, `{"type":"exit","exit_code":-1}`),
			[]StreamEvent{start, out, {Type: StreamStderr}, {Type: StreamExit, ExitCode: -1}},
			nil,
		},
		"a large piece":        {say(started, `{"type":"stdout","data":"`+large+`"}`, exited), []StreamEvent{start, {Type: StreamStdout, Data: large}, {Type: StreamExit}}, nil},
		"an event of the time": {say(started, `{"type":"ping"}`, exited), []StreamEvent{start, {Type: StreamExit}}, nil},
		"no exit":              {say(started, `{"type":"stdout","data":"a\ufffdb\n"}`), []StreamEvent{start, out}, []error{ErrStreamLost}},
		"an error":             {say(started, `{"type":"error","data":"unexpected EOF"}`), []StreamEvent{start, {Type: StreamError, Data: "unexpected EOF"}}, []error{ErrStreamLost}},
		"no JSON":              {say(started, `hello`), []StreamEvent{start}, []error{ErrStreamLost, ErrInvalidResponse}},
		"null":                 {say(started, `null`), []StreamEvent{start}, []error{ErrStreamLost, ErrInvalidResponse}},
		"no type":              {say(started, `{}`), []StreamEvent{start}, []error{ErrStreamLost, ErrInvalidResponse}},
		"exit without a code":  {say(started, `{"type":"exit"}`), []StreamEvent{start}, []error{ErrStreamLost, ErrInvalidResponse}},
		"an empty piece":       {say(started, `{"type":"stdout"}`, exited), []StreamEvent{start, {Type: StreamStdout}, {Type: StreamExit}}, nil},
		"data of another type": {say(started, `{"type":"stdout","data":1}`), []StreamEvent{start}, []error{ErrStreamLost, ErrInvalidResponse}},
		"a second start":       {say(started, started), []StreamEvent{start}, []error{ErrStreamLost, ErrInvalidResponse}},
		"a message too large":  {say(started, `{"type":"stdout","data":"`+strings.Repeat("x", 1<<20)+`"}`), []StreamEvent{start}, []error{ErrStreamLost, ErrResponseTooLarge}},
		"a binary message": {func(ctx context.Context, c *websocket.Conn) {
			say(started)(ctx, c)
			_ = c.Write(ctx, websocket.MessageBinary, []byte(exited))
		}, []StreamEvent{start}, []error{ErrStreamLost, ErrInvalidResponse}},
		"a close frame instead": {func(ctx context.Context, c *websocket.Conn) {
			say(started)(ctx, c)
			_ = c.Close(websocket.StatusNormalClosure, "")
		}, []StreamEvent{start}, []error{ErrStreamLost}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := streaming(t, tc.script).ExecStream(t.Context(), shX)
			if err != nil {
				t.Fatal(err)
			}
			if s.PID() != 42 {
				t.Errorf("PID() = %d", s.PID())
			}
			events, err := collect(s)
			if diff := cmp.Diff(tc.want, events); diff != "" {
				t.Errorf("events differ (-want +got):\n%s", diff)
			}
			if (err == nil) != (len(tc.kinds) == 0) {
				t.Fatalf("error is %v", err)
			}
			for _, kind := range tc.kinds {
				if e := asError(t, err); !errors.Is(e, kind) || !e.Ambiguous {
					t.Errorf("error is %+v, want %v", e, kind)
				}
			}
			if _, err := collect(s); !errors.Is(err, ErrStreamLost) {
				t.Errorf("a second reading ends with %v", err)
			}
		})
	}
}

func TestExecStreamThatDoesNotStart(t *testing.T) {
	for name, tc := range map[string]struct {
		script func(context.Context, *websocket.Conn)
		kind   error
	}{
		"refused":      {say(`{"type":"error","data":"sandbox is not running (status: paused)"}`), ErrStreamRefused},
		"nothing":      {say(), ErrStreamLost},
		"output first": {say(`{"type":"stdout","data":"x"}`), ErrInvalidResponse},
		"garbage":      {say(`[]`), ErrInvalidResponse},
		"no pid":       {say(`{"type":"start"}`), ErrInvalidResponse},
		"pid 0":        {say(`{"type":"start","pid":0}`), ErrInvalidResponse},
		"negative pid": {say(`{"type":"start","pid":-1}`), ErrInvalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := streaming(t, tc.script).ExecStream(t.Context(), shX)
			if e := asError(t, err); !errors.Is(e, tc.kind) || !e.Ambiguous || IsRefusal(e) {
				t.Fatalf("error is %+v", e)
			}
		})
	}
	t.Run("silence", func(t *testing.T) {
		h := streaming(t, sayAndListen(make(chan string, 8)))
		h.c.settings.requestTimeout = 50 * time.Millisecond
		_, err := h.ExecStream(t.Context(), shX)
		if e := asError(t, err); !errors.Is(e, ErrTimeout) || !e.Ambiguous {
			t.Fatalf("error is %+v", e)
		}
	})
}

func TestExecStreamRefusedInHTTP(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		is      func(error) bool
	}{
		"not running": {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 409, CodeInvalidState) }, IsInvalidState},
		"unknown":     {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, CodeNotFound) }, IsNotFound},
		"long message": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 401, `{"error":{"code":"unauthorized","message":"`+strings.Repeat("x", 4096)+`"}}`)
		}, IsUnauthorized},
		"unknown route": {func(w http.ResponseWriter, _ *http.Request) { unknown(w) }, func(err error) bool { return errors.Is(err, ErrWrongGeneration) }},
		"HTML":          {func(w http.ResponseWriter, _ *http.Request) { answer(w, 404, "<html>") }, func(err error) bool { return errors.Is(err, ErrInvalidResponse) }},
		"no upgrade":    {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "{}") }, func(err error) bool { return errors.Is(err, ErrInvalidResponse) }},
		"half upgrade": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				_ = conn.Close()
			}
		}, func(err error) bool { return errors.Is(err, ErrInvalidResponse) }},
		"lost": {drop, IsTransport},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := serve(t, tc.handler).Sandbox(testID).ExecStream(t.Context(), shX)
			if e := asError(t, err); !tc.is(e) || e.Ambiguous {
				t.Fatalf("error is %+v", e)
			}
		})
	}
}

// The next tests leave a stream in each of the ways there are; that nothing stays behind is checked by TestMain, and that
// the server's side ends by waiting for it.

func open(t *testing.T, ctx context.Context) (*ExecStream, <-chan string) { //nolint:revive // t first, as everywhere.
	t.Helper()
	heard := make(chan string, 8)
	s, err := streaming(t, sayAndListen(heard, started, `{"type":"stdout","data":"x"}`)).ExecStream(ctx, shX)
	if err != nil {
		t.Fatal(err)
	}
	return s, heard
}

func TestLeavingTheLoopClosesTheStream(t *testing.T) {
	s, heard := open(t, t.Context())
	for event, err := range s.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if event.Type == StreamStdout {
			break
		}
	}
	if message, more := <-heard; more {
		t.Fatalf("heard %s", message)
	}
}

func TestCloseWithoutReading(t *testing.T) {
	s, heard := open(t, t.Context())
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	<-heard
	if _, err := collect(s); !errors.Is(err, ErrStreamLost) {
		t.Fatalf("error is %v", err)
	}
}

func TestCloseWhileReading(t *testing.T) {
	s, heard := open(t, t.Context())
	for event, err := range s.Events() {
		if event.Type == StreamStdout {
			go func() { _ = s.Close() }()
		}
		if err != nil && !errors.Is(err, ErrStreamLost) {
			t.Fatal(err)
		}
	}
	<-heard
}

func TestTheContextGovernsTheStream(t *testing.T) {
	for name, read := range map[string]bool{"while reading": true, "before reading": false} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, heard := open(t, ctx)
			if !read {
				cancel()
				<-heard
			}
			var err error
			for event, e := range s.Events() {
				if event.Type == StreamStdout {
					cancel()
				}
				err = e
			}
			if e := asError(t, err); !errors.Is(e, ErrStreamLost) || !errors.Is(e, context.Canceled) {
				t.Fatalf("error is %+v", e)
			}
		})
	}
}

func TestStop(t *testing.T) {
	s, heard := open(t, t.Context())
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != `{"type":"stop"}` {
		t.Fatalf("heard %s", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); !errors.Is(err, ErrStreamLost) {
		t.Fatalf("error is %v", err)
	}
}

func TestHeartbeat(t *testing.T) {
	t.Run("a dead server", func(t *testing.T) {
		leave := make(chan struct{})
		defer close(leave)
		// It never reads, so it answers no ping.
		h := streaming(t, func(ctx context.Context, conn *websocket.Conn) { say(started)(ctx, conn); <-leave })
		h.c.beat = heartbeat{every: 10 * time.Millisecond, within: 50 * time.Millisecond}
		s, err := h.ExecStream(t.Context(), shX)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := collect(s); !errors.Is(err, ErrStreamLost) {
			t.Fatalf("error is %v", err)
		}
	})
	t.Run("a silent server", func(t *testing.T) {
		pings := make(chan struct{}, 64)
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OnPingReceived: func(context.Context, []byte) bool {
				select {
				case pings <- struct{}{}:
				default:
				}
				return true
			}})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.CloseNow() }()
			if _, _, err := conn.Read(r.Context()); err != nil {
				t.Error(err)
			}
			ctx := conn.CloseRead(context.WithoutCancel(r.Context()))
			say(started)(ctx, conn)
			for range 3 {
				<-pings
			}
			say(exited)(ctx, conn)
		})
		c.beat = heartbeat{every: 10 * time.Millisecond, within: 10 * time.Second}
		s, err := c.Sandbox(testID).ExecStream(t.Context(), shX)
		if err != nil {
			t.Fatal(err)
		}
		if events, err := collect(s); err != nil || len(events) != 2 {
			t.Fatalf("%v, %v", events, err)
		}
	})
}
