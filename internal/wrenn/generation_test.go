package wrenn

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// speaks answers as a server of one generation does, counting what it is asked.
func speaks(g *atomic.Value, count *atomic.Int32) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		switch {
		case !strings.HasPrefix(r.URL.Path, g.Load().(Generation).prefix()):
			unknown(w)
		case strings.HasSuffix(r.URL.Path, probeID):
			refuse(w, http.StatusNotFound, CodeNotFound)
		default:
			answer(w, http.StatusOK, sandboxJSON)
		}
	}
}

func detecting(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	return serve(t, handler, WithGeneration(""))
}

func TestDetection(t *testing.T) {
	for _, want := range generations {
		t.Run(string(want), func(t *testing.T) {
			var g atomic.Value
			var asked atomic.Int32
			g.Store(want)
			c := detecting(t, speaks(&g, &asked))
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					if got, err := c.Generation(t.Context()); got != want || err != nil {
						t.Errorf("Generation() = %q, %v", got, err)
					}
				})
			}
			wg.Wait()
			if n := asked.Load(); n > 2 {
				t.Errorf("asked %d times", n)
			}
			if _, err := c.Sandbox(testID).Get(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDetectionFollowsAnUpdateOfTheServer(t *testing.T) {
	var g atomic.Value
	var asked atomic.Int32
	g.Store(GenerationSandboxes)
	c := detecting(t, speaks(&g, &asked))
	if _, err := c.Sandbox(testID).Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.Store(GenerationCapsules)
	_, err := c.Sandbox(testID).Get(t.Context())
	if e := asError(t, err); !errors.Is(e, ErrWrongGeneration) || IsNotFound(e) || IsRefusal(e) {
		t.Fatalf("error is %+v", e)
	}
	if _, err := c.Sandbox(testID).Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Generation(t.Context()); got != GenerationCapsules || err != nil {
		t.Fatalf("Generation() = %q, %v", got, err)
	}
}

func TestAForcedGenerationIsKept(t *testing.T) {
	var g atomic.Value
	var asked atomic.Int32
	g.Store(GenerationSandboxes)
	c := serve(t, speaks(&g, &asked), WithGeneration(GenerationCapsules))
	for range 2 {
		_, err := c.Sandboxes.Create(t.Context(), CreateSandboxRequest{})
		if e := asError(t, err); !errors.Is(e, ErrWrongGeneration) || e.Ambiguous {
			t.Fatalf("error is %+v", e)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Fatalf("asked %d times", n)
	}
}

func TestDetectionSettlesOnTheServiceOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    Generation
		kind    error
	}{
		"a refused key":    {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, CodeUnauthorized) }, GenerationSandboxes, nil},
		"neither":          {func(w http.ResponseWriter, _ *http.Request) { unknown(w) }, "", ErrWrongGeneration},
		"an HTML page":     {func(w http.ResponseWriter, _ *http.Request) { answer(w, 404, "<html>") }, "", ErrInvalidResponse},
		"any JSON":         {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "{}") }, "", ErrInvalidResponse},
		"a failing server": {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 500, CodeInternalError) }, "", nil},
		"a rate limit":     {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 429, "slow") }, "", nil},
		"nobody":           {drop, "", ErrTransport},
	} {
		t.Run(name, func(t *testing.T) {
			c := detecting(t, tc.handler)
			got, err := c.Generation(t.Context())
			if got != tc.want || (err == nil) != (tc.want != "") || !errors.Is(err, tc.kind) && tc.kind != nil {
				t.Fatalf("Generation() = %q, %v", got, err)
			}
			if tc.want != "" {
				return
			}
			_, err = c.Sandboxes.Create(t.Context(), CreateSandboxRequest{})
			if e := asError(t, err); e.Op != "sandboxes.create" || e.Ambiguous || IsRefusal(e) {
				t.Fatalf("error is %+v", e)
			}
		})
	}
}

func TestDetectionRecovers(t *testing.T) {
	var healthy atomic.Bool
	c := detecting(t, func(w http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			refuse(w, 500, CodeInternalError)
			return
		}
		refuse(w, 404, CodeNotFound)
	})
	if _, err := c.Generation(t.Context()); err == nil {
		t.Fatal("detected a generation of a failing server")
	}
	healthy.Store(true)
	if got, err := c.Generation(t.Context()); got != GenerationSandboxes || err != nil {
		t.Fatalf("Generation() = %q, %v", got, err)
	}
}

func TestDetectionWaitsNoLongerThanItsContext(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	c := detecting(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		refuse(w, 404, CodeNotFound)
	})
	first := make(chan error, 1)
	go func() { _, err := c.Generation(t.Context()); first <- err }()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Generation(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
}
