package controller

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// deafness has caches hear of nothing while it lasts: their watches are cut, and neither these nor lists are to be had again.
type deafness struct {
	mu      sync.Mutex
	lasts   bool
	watches []io.Closer
}

var errDeaf = errors.New("the watch is lost")

func (d *deafness) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		query := req.URL.Query()
		switch {
		case query.Has("watch"):
		case query.Has("resourceVersion") && d.isDeaf(): // as only caches ask
			return nil, errDeaf
		default:
			return next.RoundTrip(req)
		}
		resp, err := next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.lasts {
			_ = resp.Body.Close()
			return nil, errDeaf
		}
		d.watches = append(d.watches, resp.Body)
		return resp, nil
	})
}

func (d *deafness) isDeaf() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lasts
}

func (d *deafness) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lasts = true
	for _, watch := range d.watches {
		_ = watch.Close()
	}
	d.watches = nil
}

func (d *deafness) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lasts = false
}

// newDeafClient returns the client of a manager whose caches can be made deaf.
func newDeafClient(w *world, catchUp time.Duration) (client.Client, *deafness) {
	w.t.Helper()
	deaf := &deafness{}
	config := rest.CopyConfig(cluster.RESTConfig())
	config.Wrap(deaf.wrap)
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, NewClient: NewClient(catchUp, w.namespace),
		Cache:          cache.Options{DefaultNamespaces: map[string]cache.Config{w.namespace: {}}},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper, nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	return mgr.GetClient(), deaf
}

// namesOf are those of the Sandboxes that a list has.
func namesOf(ctx context.Context, t *testing.T, c client.Client, options ...client.ListOption) []string {
	t.Helper()
	var list v1alpha1.SandboxList
	if err := c.List(ctx, &list, options...); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

// What the caches do not show of what was written is read from the API server: all that they would have, and nothing else.
func TestReadWhileTheCachesAreDeaf(t *testing.T) {
	t.Parallel()
	w, elsewhere := newWorld(t, wrenndev.Config{}), newWorld(t, wrenndev.Config{})
	c, deaf := newDeafClient(w, 100*time.Millisecond)
	for _, name := range []string{"one", "two"} {
		sandbox := w.sandbox(name)
		sandbox.Spec.SnapshotRef = &v1alpha1.SnapshotReference{Name: name}
		w.create(sandbox)
	}
	foreign := elsewhere.sandbox("foreign")
	foreign.Spec.SnapshotRef = &v1alpha1.SnapshotReference{Name: "one"}
	elsewhere.create(foreign)
	var sandbox v1alpha1.Sandbox
	eventually(w, "the cache has it", func() error { return c.Get(w.ctx, client.ObjectKeyFromObject(w.sandbox("one")), &sandbox) })
	deaf.begin()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	original := sandbox.DeepCopy()
	setAnnotation(&sandbox, "written", "yes")
	if err := patchMetadata(w.ctx, c, &sandbox, original); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(original), &sandbox); err != nil || sandbox.Annotations["written"] != "yes" {
		t.Errorf("annotations %v, %v", sandbox.Annotations, err)
	}
	from := client.MatchingFields{indexSandboxSnapshot: "one"}
	for name, asked := range map[string]struct {
		options []client.ListOption
		want    []string
	}{
		"all":            {nil, []string{"one", "two"}},
		"by an index":    {[]client.ListOption{from}, []string{"one"}},
		"in a namespace": {[]client.ListOption{from, client.InNamespace(w.namespace)}, []string{"one"}},
	} {
		if diff := cmp.Diff(asked.want, namesOf(ctx, t, c, asked.options...)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What was removed while the caches heard of nothing they never show. No read waits for it.
func TestReadAfterWhatTheCachesMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	c, deaf := newDeafClient(w, 100*time.Millisecond)
	written, made := w.sandbox("written"), w.sandbox("made")
	w.create(written)
	eventually(w, "the cache has it", func() error { return c.Get(w.ctx, client.ObjectKeyFromObject(written), written) })
	deaf.begin()
	original := written.DeepCopy()
	setAnnotation(written, "written", "yes")
	if err := errors.Join(patchMetadata(w.ctx, c, written, original), c.Create(w.ctx, made)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.api.Delete(w.ctx, written), w.api.Delete(w.ctx, made)); err != nil {
		t.Fatal(err)
	}
	deaf.end()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	for range 3 {
		for _, gone := range []*v1alpha1.Sandbox{written, made} {
			if err := c.Get(ctx, client.ObjectKeyFromObject(gone), gone.DeepCopy()); !apierrors.IsNotFound(err) {
				t.Errorf("%s: %v", gone.Name, err)
			}
		}
		if names := namesOf(ctx, t, c); len(names) > 0 {
			t.Errorf("listed: %v", names)
		}
	}
}
