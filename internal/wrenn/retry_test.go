package wrenn

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// sequence answers each request with the next handler, and the last one again and again.
func sequence(t *testing.T, handlers ...http.HandlerFunc) (*Client, *atomic.Int32) {
	t.Helper()
	count := &atomic.Int32{}
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := int(count.Add(1))
		handlers[min(n, len(handlers))-1](w, r)
	}), count
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { refuse(w, code, "some_code") }
}

func gone(w http.ResponseWriter, _ *http.Request)    { w.WriteHeader(http.StatusNoContent) }
func present(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, sandboxJSON) }

// drop closes the connection instead of answering.
func drop(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestRetries(t *testing.T) {
	get := func(ctx context.Context, c *Client) error { _, err := c.Sandbox(testID).Get(ctx); return err }
	destroy := func(ctx context.Context, c *Client) error { return c.Sandbox(testID).Destroy(ctx) }
	ping := func(ctx context.Context, c *Client) error { return c.Sandbox(testID).Ping(ctx) }
	for name, tc := range map[string]struct {
		call      func(context.Context, *Client) error
		answers   []http.HandlerFunc
		sent      int32
		status    int
		ambiguous bool
	}{
		"get after 503":              {get, []http.HandlerFunc{status(503), present}, 2, 0, false},
		"get after a lost answer":    {get, []http.HandlerFunc{drop, drop, present}, 3, 0, false},
		"get gives up":               {get, []http.HandlerFunc{status(502)}, 3, 502, false},
		"get of a refusal":           {get, []http.HandlerFunc{status(404)}, 1, 404, false},
		"get of an error":            {get, []http.HandlerFunc{status(500)}, 1, 500, false},
		"get after 429":              {get, []http.HandlerFunc{status(429), present}, 2, 0, false},
		"destroy after 502":          {destroy, []http.HandlerFunc{status(502), gone}, 2, 0, false},
		"destroy gives up":           {destroy, []http.HandlerFunc{status(503)}, 3, 503, true},
		"destroy refused at once":    {destroy, []http.HandlerFunc{status(404)}, 1, 404, false},
		"destroy refused after lost": {destroy, []http.HandlerFunc{drop, status(404)}, 2, 404, true},
		"post":                       {ping, []http.HandlerFunc{status(503)}, 1, 503, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, sent := sequence(t, tc.answers...)
			err := tc.call(t.Context(), c)
			if n := sent.Load(); n != tc.sent {
				t.Errorf("sent %d times, want %d", n, tc.sent)
			}
			if tc.status == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if e := asError(t, err); e.StatusCode != tc.status || e.Ambiguous != tc.ambiguous {
				t.Errorf("error is %+v", e)
			}
		})
	}
}

func TestEffectsAreSentOnce(t *testing.T) {
	for op, call := range effects {
		if op == "destroy" || op == "delete snapshot" {
			continue
		}
		for name, handler := range map[string]http.HandlerFunc{"503": status(503), "lost answer": drop} {
			t.Run(op+"/"+name, func(t *testing.T) {
				c, sent := sequence(t, handler)
				e := asError(t, call(t.Context(), c))
				if n := sent.Load(); n != 1 || !e.Ambiguous {
					t.Fatalf("sent %d times, error %+v", n, e)
				}
			})
		}
	}
}

func TestRetryAfter(t *testing.T) {
	later := func(value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			refuse(w, http.StatusServiceUnavailable, CodeNoHostsAvailable)
		}
	}
	t.Run("honored", func(t *testing.T) {
		c, sent := sequence(t, later("1"), present)
		began := time.Now()
		if _, err := c.Sandbox(testID).Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited < time.Second || sent.Load() != 2 {
			t.Fatalf("waited %v, sent %d times", waited, sent.Load())
		}
	})
	t.Run("too long to wait", func(t *testing.T) {
		c, sent := sequence(t, later("3600"))
		_, err := c.Sandbox(testID).Get(t.Context())
		if e := asError(t, err); e.RetryAfter != time.Hour || sent.Load() != 1 {
			t.Fatalf("sent %d times, error %+v", sent.Load(), e)
		}
	})
	t.Run("as a date", func(t *testing.T) {
		c, _ := sequence(t, later(time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)))
		_, err := c.Sandbox(testID).Get(t.Context())
		if e := asError(t, err); e.RetryAfter < 59*time.Minute || e.RetryAfter > time.Hour {
			t.Fatalf("error is %+v", e)
		}
	})
	t.Run("not beyond the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c, _ := sequence(t, func(w http.ResponseWriter, r *http.Request) { later("5")(w, r); cancel() })
		_, err := c.Sandbox(testID).Get(ctx)
		if e := asError(t, err); !errors.Is(e, context.Canceled) {
			t.Fatalf("error is %+v", e)
		}
	})
}

type limiter struct {
	waits atomic.Int32
	err   error
}

func (l *limiter) Wait(context.Context) error { l.waits.Add(1); return l.err }

func TestRateLimit(t *testing.T) {
	t.Run("each request", func(t *testing.T) {
		l := &limiter{}
		c, _ := sequence(t, status(503), present)
		c.settings.limiter = l
		if _, err := c.Sandbox(testID).Get(t.Context()); err != nil || l.waits.Load() != 2 {
			t.Fatalf("%d waits, %v", l.waits.Load(), err)
		}
	})
	t.Run("held back", func(t *testing.T) {
		c, sent := sequence(t, present)
		c.settings.limiter = &limiter{err: context.DeadlineExceeded}
		_, err := c.Sandboxes.Create(t.Context(), CreateSandboxRequest{})
		if e := asError(t, err); e.Ambiguous || !errors.Is(e, context.DeadlineExceeded) || sent.Load() != 0 {
			t.Fatalf("sent %d times, error %+v", sent.Load(), e)
		}
	})
}

func TestRedirectsAreRefused(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a request arrived elsewhere, with key %q", r.Header.Get("X-API-Key"))
	}))
	t.Cleanup(thief.Close)
	calls := map[string]func(context.Context, *Client) error{
		"stream": func(ctx context.Context, c *Client) error {
			_, err := c.Sandbox(testID).ExecStream(ctx, ExecStreamRequest{Cmd: "a"})
			return err
		},
		"generation": func(ctx context.Context, c *Client) error {
			c.generation.forced = ""
			_, err := c.Generation(ctx)
			return err
		},
	}
	for _, group := range []map[string]func(context.Context, *Client) error{effects, reads} {
		for name, call := range group {
			calls[name] = call
		}
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		for name, call := range calls {
			c, sent := sequence(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", thief.URL)
				w.WriteHeader(code)
			})
			e := asError(t, call(t.Context(), c))
			if !errors.Is(e, ErrRedirected) || e.StatusCode != code || IsRefusal(e) || sent.Load() != 1 {
				t.Errorf("%s: %d: sent %d times, error %+v", name, code, sent.Load(), e)
			}
		}
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			refuse(w, http.StatusConflict, CodeInvalidState)
			return
		}
		present(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := newTestClient(t, server.URL, WithGeneration(GenerationSandboxes))
	for range 5 {
		if _, err := c.Sandbox(testID).Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Sandbox(testID).Ping(t.Context()); !IsInvalidState(err) {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Fatalf("opened %d connections", n)
	}
}
