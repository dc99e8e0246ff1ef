package wrenn

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// finishes is a kernel at which every cell succeeds at once.
func finishes(ctx context.Context, k *kernelEnd) {
	k.say(ctx, busy, idle, replied)
	k.stay(ctx)
}

const otherKernel = "663cb988-33e8-4c35-89d9-0d512ff00ea9"

func TestKernelIsFoundOrMade(t *testing.T) {
	model := func(id, spec, state string) string {
		return `{"id":"` + id + `","name":"` + spec + `","execution_state":"` + state + `"}`
	}
	const none = "00000000-0000-0000-0000-000000000000"
	for name, tc := range map[string]struct {
		list  string
		specs string
		made  string
		asked []string
		kind  error
	}{
		"the first of its language": {
			list:  "[" + model(none, "ir", "idle") + "," + model(none, "python3", "dead") + "," + model(scriptedKernel, "python3", "busy") + "," + model(none, "python3", "idle") + "]",
			asked: nil,
		},
		"a new one": {
			list: "[" + model(none, "ir", "idle") + "]", made: model(scriptedKernel, "python3", "starting"),
			asked: []string{"GET /api/kernelspecs", "POST /api/kernels"},
		},
		"an unknown language": {list: "[]", specs: `{"kernelspecs":{"ir":{}}}`, asked: []string{"GET /api/kernelspecs"}, kind: ErrUnknownLanguage},
		"an id of no form":    {list: "[" + model("../x", "python3", "idle") + "]", made: model("../x", "python3", "idle"), asked: []string{"GET /api/kernelspecs", "POST /api/kernels"}, kind: ErrInvalidResponse},
		"no list":             {list: "<html>", kind: ErrInvalidResponse},
		"a list too large":    {list: `["` + strings.Repeat("x", 1<<20) + `"]`, kind: ErrResponseTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			h, g := scripted(t, finishes)
			g.routes["GET /api/kernels"] = func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, tc.list) }
			g.routes["POST /api/kernels"] = func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); string(body) != `{"name":"python3"}` || err != nil || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("asks for %q, %v, %v", body, err, r.Header)
				}
				answer(w, 201, tc.made)
			}
			if tc.specs != "" {
				g.routes["GET /api/kernelspecs"] = func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, tc.specs) }
			}
			r, err := h.RunCode(t.Context(), "x")
			switch {
			case tc.kind == nil && (err != nil || r == nil):
				t.Fatal(err)
			case tc.kind != nil:
				if e := asError(t, err); !errors.Is(e, tc.kind) || e.Ambiguous || r != nil {
					t.Fatalf("%+v, error is %+v", r, e)
				}
			}
			if asked := g.requests(); !slices.Equal(asked, tc.asked) {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

// listings counts how often the list of kernels was asked for.
func (g *gateway) listings() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, route := range g.seen {
		if route == "GET /api/kernels" {
			n++
		}
	}
	return n
}

func TestKernelIsRemembered(t *testing.T) {
	h, g := scripted(t, finishes)
	g.routes["GET /api/kernels"] = func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, `[{"id":"`+scriptedKernel+`","name":"python3"},{"id":"`+scriptedKernel+`","name":"ir"}]`)
	}
	run := func(want int, opts ...CodeOption) {
		t.Helper()
		if _, err := h.c.Sandbox(testID).RunCode(t.Context(), "x", opts...); err != nil {
			t.Fatal(err)
		}
		if n := g.listings(); n != want {
			t.Fatalf("the list was asked for %d times, want %d", n, want)
		}
	}
	run(1)
	run(1)
	run(2, WithLanguage("ir"))
	run(2, WithLanguage("ir"))
	run(2)
	// These fail, and may have had their effect all the same.
	_, _ = h.Resume(t.Context())
	run(3)
	_ = h.Destroy(t.Context())
	run(4)
}

func TestKernelThatIsGone(t *testing.T) {
	h, g := scripted(t, finishes)
	if _, err := h.RunCode(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	channels := func(id string) string { return "GET /api/kernels/" + id + "/channels" }
	g.change(func() {
		g.routes[channels(scriptedKernel)] = func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 404, `{"message":"Kernel does not exist"}`)
		}
		g.routes["GET /api/kernels"] = func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 200, `[{"id":"`+otherKernel+`","name":"python3"}]`)
		}
		g.routes[channels(otherKernel)] = func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, otherKernel, scriptedKernel, 1)
			(&gateway{t: t, script: finishes}).ServeHTTP(w, r)
		}
	})
	if _, err := h.RunCode(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if n := g.listings(); n != 2 {
		t.Fatalf("the list was asked for %d times", n)
	}
}

func TestKernelThatDiedIsLookedForAnew(t *testing.T) {
	for name, script := range map[string]func(context.Context, *kernelEnd){
		"it died": func(ctx context.Context, k *kernelEnd) {
			k.raise(ctx, "", k.session, [2]string{kindStatus, `{"execution_state":"restarting"}`})
			k.stay(ctx)
		},
		// It may be dead too.
		"it did not begin": func(ctx context.Context, k *kernelEnd) { k.stay(ctx) },
	} {
		h, g := scripted(t, script)
		if _, err := h.RunCode(t.Context(), "x", WithCodeTimeout(brief)); err == nil {
			t.Errorf("%s: no error", name)
		}
		g.change(func() { g.script = finishes })
		if _, err := h.RunCode(t.Context(), "x"); err != nil || g.listings() != 2 {
			t.Errorf("%s: the list was asked for %d times, %v", name, g.listings(), err)
		}
	}
}

// text answers in plain text, as the port proxy does.
func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, body, status) }
}

func TestRunCodeWaitsForTheServer(t *testing.T) {
	const channels = "GET /api/kernels/" + scriptedKernel + "/channels"
	for name, early := range map[string]http.HandlerFunc{
		"nothing listens": text(502, "proxy error: connection refused"), "unavailable": text(503, "sandbox is not available"),
		"failing": func(w http.ResponseWriter, _ *http.Request) { answer(w, 500, "{}") }, "broken": drop,
	} {
		for _, route := range []string{"GET /api/kernels", channels} {
			h, g := scripted(t, finishes)
			var n atomic.Int32
			inner := &gateway{t: t, script: finishes}
			g.routes[route] = func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) < 4 {
					early(w, r)
					return
				}
				inner.ServeHTTP(w, r)
			}
			// A transport repeats a GET by itself when a connection that was used before breaks.
			if _, err := h.RunCode(t.Context(), "x"); err != nil || n.Load() < 4 {
				t.Errorf("%s at %s: %d requests, %v", name, route, n.Load(), err)
			}
		}
	}
}

func TestRunCodeDoesNotWaitForEver(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		start   time.Duration
		kinds   []error
	}{
		"nothing listens": {text(502, "x"), brief, []error{ErrNothingListens, ErrTimeout}},
		"unavailable":     {text(503, "x"), brief, []error{ErrProxyUnavailable, ErrTimeout}},
		"broken":          {drop, brief, []error{ErrTransport, ErrTimeout}},
		"silent":          {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, brief, []error{ErrTransport, ErrTimeout}},
		"not running":     {text(409, "sandbox is not running"), time.Hour, []error{ErrProxyNotRunning}},
		"unknown":         {text(404, "sandbox not found"), time.Hour, []error{ErrProxyNotFound}},
		"malformed":       {text(400, "bad port"), time.Hour, []error{ErrInvalidResponse}},
		"no Jupyter":      {func(w http.ResponseWriter, _ *http.Request) { answer(w, 404, "<html>") }, time.Hour, []error{ErrInvalidResponse}},
		"forbidden":       {func(w http.ResponseWriter, _ *http.Request) { answer(w, 403, `{"message":"Forbidden"}`) }, time.Hour, []error{ErrInvalidResponse}},
		"refused key":     {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, CodeUnauthorized) }, time.Hour, []error{ErrProxyUnauthorized}},
		"elsewhere": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://example.com/")
			w.WriteHeader(http.StatusFound)
		}, time.Hour, []error{ErrRedirected}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // They wait more than they work.
			h, g := scripted(t, finishes)
			g.routes["GET /api/kernels"] = tc.handler
			r, err := h.RunCode(t.Context(), "x", WithStartTimeout(tc.start))
			e := asError(t, err)
			for _, kind := range tc.kinds {
				if !errors.Is(e, kind) {
					t.Errorf("error is %+v, want %v", e, kind)
				}
			}
			if e.Ambiguous || IsRefusal(e) || r != nil || strings.Contains(e.Error(), "sandbox not found") {
				t.Errorf("%+v, error is %+v", r, e)
			}
		})
	}
	t.Run("the context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h, g := scripted(t, finishes)
		g.routes["GET /api/kernels"] = func(w http.ResponseWriter, r *http.Request) {
			text(502, "x")(w, r)
			cancel()
		}
		_, err := h.RunCode(ctx, "x")
		if e := asError(t, err); !errors.Is(e, context.Canceled) || errors.Is(e, ErrTimeout) || e.Ambiguous {
			t.Fatalf("error is %+v", e)
		}
	})
}

func TestCellsTakeTurns(t *testing.T) {
	var running atomic.Int32
	h, g := scripted(t, func(ctx context.Context, k *kernelEnd) {
		if n := running.Add(1); n != 1 {
			t.Errorf("%d cells are at the kernel", n)
		}
		k.say(ctx, busy, out(k.request.Content.Code), idle)
		running.Add(-1)
		k.say(ctx, replied)
		k.stay(ctx)
	})
	g.routes["GET /api/kernels"] = func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "[]") }
	var made atomic.Int32
	g.routes["POST /api/kernels"] = func(w http.ResponseWriter, _ *http.Request) {
		made.Add(1)
		answer(w, 201, `{"id":"`+scriptedKernel+`","name":"python3"}`)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r, err := h.c.Sandbox(testID).RunCode(t.Context(), strconv.Itoa(i))
			if err != nil || r.Stdout != strconv.Itoa(i) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d kernels", made.Load())
	}
}

func TestACellWaitsNoLongerThanItMay(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	h, _ := scripted(t, func(ctx context.Context, k *kernelEnd) {
		k.say(ctx, busy)
		close(begun)
		<-release
		k.say(ctx, idle, replied)
		k.stay(ctx)
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := h.RunCode(t.Context(), "x"); err != nil {
			t.Error(err)
		}
	})
	<-begun
	// Nothing of this one is sent: the kernel would close begun again.
	_, err := h.RunCode(t.Context(), "x", WithCodeTimeout(20*time.Millisecond))
	if e := asError(t, err); !errors.Is(e, ErrTimeout) || errors.Is(e, ErrNotStopped) || e.Ambiguous {
		t.Errorf("error is %+v", e)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = h.RunCode(ctx, "x", WithCodeTimeout(0))
	if e := asError(t, err); !errors.Is(e, context.DeadlineExceeded) || e.Ambiguous {
		t.Errorf("error is %+v", e)
	}
	close(release)
	wg.Wait()
}

func TestKernelsAreBounded(t *testing.T) {
	ks := &kernels{known: map[kernelKey]*kernel{}}
	key := func(i int) kernelKey { return kernelKey{sandbox: strconv.Itoa(i)} }
	inUse, release := ks.lease(key(-1))
	for i := range 3 * maxKernels {
		k, done := ks.lease(key(i))
		ks.setID(k, "x")
		done()
	}
	if len(ks.known) != maxKernels {
		t.Errorf("remembers %d", len(ks.known))
	}
	if again, done := ks.lease(key(-1)); again != inUse {
		t.Error("one that is in use was forgotten")
	} else {
		done()
	}
	for i := 2*maxKernels + 1; i < 3*maxKernels; i++ {
		if k := ks.known[key(i)]; k == nil || ks.idOf(k) != "x" {
			t.Fatalf("number %d was forgotten", i)
		}
	}
	// The next to go is the one that was not used for the longest time.
	oldest, next := key(2*maxKernels+1), key(2*maxKernels+2)
	_, done := ks.lease(oldest)
	done()
	_, done = ks.lease(key(3 * maxKernels))
	done()
	if ks.known[oldest] == nil || ks.known[next] != nil {
		t.Error("another one was forgotten")
	}
	ks.forget(key(-1).sandbox)
	if ks.known[key(-1)] != inUse {
		t.Error("one that is in use is not there any more for the next user")
	}
	release()
	ks.forget(key(-1).sandbox)
	if ks.known[key(-1)] != nil {
		t.Error("one that nobody uses is still there")
	}
}
