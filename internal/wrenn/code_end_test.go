package wrenn

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// The ends of a cell that are no good ones. That nothing stays behind is checked by TestMain.

func TestRunCodeThatIsLost(t *testing.T) {
	raw := func(kind websocket.MessageType, frame string) func(context.Context, *kernelEnd) {
		return func(ctx context.Context, k *kernelEnd) {
			_ = k.conn.Write(ctx, kind, []byte(frame))
			k.stay(ctx)
		}
	}
	say := func(messages ...[2]string) func(context.Context, *kernelEnd) {
		return func(ctx context.Context, k *kernelEnd) {
			k.say(ctx, messages...)
			k.stay(ctx)
		}
	}
	death := func(m [2]string) func(context.Context, *kernelEnd) {
		return func(ctx context.Context, k *kernelEnd) {
			k.raise(ctx, "", k.session, m)
			k.stay(ctx)
		}
	}
	for name, tc := range map[string]struct {
		end       func(context.Context, *kernelEnd)
		kinds     []error
		ambiguous bool
	}{
		"the connection breaks": {func(context.Context, *kernelEnd) {}, []error{ErrStreamLost}, true},
		"it is closed":          {func(_ context.Context, k *kernelEnd) { _ = k.conn.Close(websocket.StatusGoingAway, "") }, []error{ErrStreamLost}, true},
		"no JSON":               {raw(websocket.MessageText, "{"), []error{ErrStreamLost, ErrInvalidResponse}, true},
		"null":                  {raw(websocket.MessageText, "null"), []error{ErrStreamLost, ErrInvalidResponse}, true},
		"no kind":               {raw(websocket.MessageText, "{}"), []error{ErrStreamLost, ErrInvalidResponse}, true},
		"no count of parts":     {raw(websocket.MessageBinary, "\x00"), []error{ErrStreamLost, ErrInvalidResponse}, true},
		"parts beyond it":       {raw(websocket.MessageBinary, "\x00\x00\x00\x01\xff\xff\xff\xff{}"), []error{ErrStreamLost, ErrInvalidResponse}, true},
		"another content":       {say([2]string{kindStream, `[]`}), []error{ErrStreamLost, ErrInvalidResponse}, true},
		"the kernel dies":       {death([2]string{kindStatus, `{"execution_state":"restarting"}`}), []error{ErrKernelDied}, true},
		"it died for good":      {death([2]string{kindStatus, `{"execution_state":"dead"}`}), []error{ErrKernelDied}, true},
		"it is shut down":       {death([2]string{kindShutdown, `{"restart":false}`}), []error{ErrKernelDied}, true},
		"no reply":              {say(idle), []error{ErrIncomplete}, true},
		"no idle":               {say(replied), []error{ErrIncomplete}, true},
		"it is dropped":         {say(aborted, idle), []error{ErrCellAborted}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // They wait more than they work.
			h, g := scripted(t, func(ctx context.Context, k *kernelEnd) {
				k.say(ctx, busy, out("a"))
				tc.end(ctx, k)
			})
			r, err := h.RunCode(t.Context(), "x")
			e := asError(t, err)
			for _, kind := range tc.kinds {
				if !errors.Is(e, kind) {
					t.Errorf("error is %+v, want %v", e, kind)
				}
			}
			if e.Ambiguous != tc.ambiguous || IsRefusal(e) || r == nil || r.Stdout != "a" {
				t.Errorf("error is %+v, with %+v", e, r)
			}
			if requests := g.requests(); requests != nil {
				t.Errorf("asked for %q", requests)
			}
		})
	}
}

func TestRunCodeWithoutASignOfLife(t *testing.T) {
	leave := make(chan struct{})
	defer close(leave)
	for name, script := range map[string]func(context.Context, *kernelEnd){
		"silence": func(ctx context.Context, k *kernelEnd) { k.say(ctx, busy); <-leave },
		"half a message": func(ctx context.Context, k *kernelEnd) {
			w, err := k.conn.Writer(ctx, websocket.MessageText)
			if err == nil {
				// What is not flushed is not sent: this is more than is held back.
				_, _ = w.Write(make([]byte, 64<<10))
			}
			<-leave
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := scripted(t, script)
			h.c.beat = heartbeat{every: 10 * time.Millisecond, within: 50 * time.Millisecond}
			_, err := h.RunCode(t.Context(), "x")
			if e := asError(t, err); !errors.Is(e, ErrStreamLost) || !e.Ambiguous {
				t.Fatalf("error is %+v", e)
			}
		})
	}
}

// A message that takes longer than the heartbeat is no silence.
func TestRunCodeWithASlowMessage(t *testing.T) {
	t.Parallel()
	h, _ := scripted(t, func(ctx context.Context, k *kernelEnd) {
		w, err := k.conn.Writer(ctx, websocket.MessageText)
		if err != nil {
			return
		}
		text := message(k.request.Header.ID, "kernel", out(strings.Repeat("x", 32*slowPiece)))
		tick := time.NewTicker(brief / 10)
		defer tick.Stop()
		for len(text) > 0 {
			n := min(len(text), slowPiece)
			_, _ = w.Write([]byte(text[:n]))
			text = text[n:]
			<-tick.C
		}
		_ = w.Close()
		k.say(ctx, idle, replied)
		k.stay(ctx)
	})
	h.c.beat = heartbeat{every: brief / 10, within: brief}
	r, err := h.RunCode(t.Context(), "x")
	if err != nil || len(r.Stdout) != 32*slowPiece {
		t.Fatalf("%d bytes, %v", len(r.Stdout), err)
	}
}

// slowPiece is more than a connection holds back.
const slowPiece = 8 << 10

func TestRunCodeWhenTimeIsUp(t *testing.T) {
	const interrupt = "POST /api/kernels/{id}/interrupt"
	kinds := []error{ErrNotStopped, ErrIncomplete, ErrStreamLost}
	for name, tc := range map[string]struct {
		before [][2]string
		// after is said when the kernel is interrupted.
		after [][2]string
		// fails: the interruption does.
		fails    bool
		kind     error
		requests []string
	}{
		"it stops":            {[][2]string{busy, out("a")}, [][2]string{out("b"), replied, idle}, false, nil, []string{interrupt}},
		"without a reply":     {[][2]string{busy, out("a")}, [][2]string{out("b"), idle}, false, nil, []string{interrupt}},
		"it does not stop":    {[][2]string{busy, out("a")}, [][2]string{out("b")}, false, ErrNotStopped, []string{interrupt}},
		"it cannot be":        {[][2]string{busy, out("ab")}, nil, true, ErrNotStopped, []string{interrupt}},
		"it has not begun":    {nil, nil, false, ErrNotStopped, nil},
		"it has ended before": {[][2]string{busy, out("ab"), replied}, nil, false, ErrIncomplete, nil},
	} {
		for _, ending := range []string{"timeout", "canceled", "deadline"} {
			t.Run(name+", "+ending, func(t *testing.T) {
				t.Parallel()
				interrupted := make(chan struct{}, 1)
				h, g := scripted(t, func(ctx context.Context, k *kernelEnd) {
					k.say(ctx, tc.before...)
					if len(tc.after) > 0 {
						<-interrupted
						k.say(ctx, tc.after...)
					}
					k.stay(ctx)
				})
				h.c.code.half = time.Minute
				g.routes["POST /api/kernels/"+scriptedKernel+"/interrupt"] = func(w http.ResponseWriter, _ *http.Request) {
					if tc.fails {
						answer(w, 500, "{}")
						return
					}
					interrupted <- struct{}{}
					w.WriteHeader(http.StatusNoContent)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				timeout, end := time.Minute, ErrTimeout
				switch ending {
				case "timeout":
					timeout = brief
				case "canceled":
					end = context.Canceled
					time.AfterFunc(brief, cancel)
				case "deadline":
					end = context.DeadlineExceeded
					ctx, cancel = context.WithTimeout(ctx, brief)
					defer cancel()
				}
				r, err := h.RunCode(ctx, "x", WithCodeTimeout(timeout))
				e := asError(t, err)
				if !errors.Is(e, end) || !e.Ambiguous || r == nil {
					t.Fatalf("error is %+v, with %+v", e, r)
				}
				for _, kind := range kinds {
					if errors.Is(e, kind) != errors.Is(tc.kind, kind) {
						t.Errorf("error is %v, want %v", e, tc.kind)
					}
				}
				if want := "ab"; len(tc.before) > 0 && r.Stdout != want {
					t.Errorf("stdout is %q, want %q", r.Stdout, want)
				}
				if requests := g.requests(); !slices.Equal(requests, tc.requests) {
					t.Errorf("asked for %q", requests)
				}
			})
		}
	}
}

// A cell whose last message comes while it is heard out is complete after all.
func TestRunCodeThatEndsJustInTime(t *testing.T) {
	h, g := scripted(t, func(ctx context.Context, k *kernelEnd) {
		k.say(ctx, busy, replied)
		select {
		case <-ctx.Done():
		case <-time.After(2 * brief):
		}
		k.say(ctx, out("a"), idle)
		k.stay(ctx)
	})
	h.c.code.settle, h.c.code.half = time.Minute, time.Minute
	r, err := h.RunCode(t.Context(), "x", WithCodeTimeout(brief))
	if err != nil || r.Stdout != "a" || g.requests() != nil {
		t.Fatalf("%+v, %v, asked for %q", r, err, g.requests())
	}
}

func TestRunCodeAfterItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h, g := scripted(t, nil)
	r, err := h.RunCode(ctx, "x")
	if e := asError(t, err); !errors.Is(e, context.Canceled) || e.Ambiguous || r != nil || len(g.seen) > 0 {
		t.Fatalf("%+v, %+v, sent %q", r, e, g.seen)
	}
}

func TestRunCodeWithACallbackThatPanics(t *testing.T) {
	h, _ := scripted(t, func(ctx context.Context, k *kernelEnd) {
		k.say(ctx, busy, out("a"))
		k.stay(ctx)
	})
	func() {
		defer func() {
			if recover() != "mine" {
				t.Error("the panic is lost")
			}
		}()
		_, _ = h.RunCode(t.Context(), "x", OnStdout(func(string) { panic("mine") }))
	}()
	// Nobody has the kernel any more.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := h.RunCode(ctx, "x", OnStdout(func(string) { cancel() })); !errors.Is(err, context.Canceled) || !IsAmbiguous(err) {
		t.Fatalf("the next call is %v", err)
	}
}

// A kernel may die of being interrupted: both are told.
func TestRunCodeWhoseKernelDiesOfTheInterruption(t *testing.T) {
	interrupted := make(chan struct{})
	h, g := scripted(t, func(ctx context.Context, k *kernelEnd) {
		k.say(ctx, busy, out("a"))
		<-interrupted
		k.raise(ctx, "", k.session, [2]string{kindStatus, `{"execution_state":"restarting"}`})
		k.stay(ctx)
	})
	h.c.code.settle = time.Minute
	g.routes["POST /api/kernels/"+scriptedKernel+"/interrupt"] = func(w http.ResponseWriter, _ *http.Request) {
		close(interrupted)
		w.WriteHeader(http.StatusNoContent)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := h.RunCode(ctx, "x", OnStdout(func(string) { cancel() }))
	if e := asError(t, err); !errors.Is(e, ErrKernelDied) || !errors.Is(e, context.Canceled) || !e.Ambiguous {
		t.Fatalf("error is %+v", e)
	}
}
