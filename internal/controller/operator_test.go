package controller

import (
	"context"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// startOperator starts an operator for the namespace, until stopOperator or the end of the test.
func (w *world) startOperator() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	pool := connection.NewPool(w.pace, "test")
	done := make(chan error, 1)
	mgr := w.newManager(ctx, pool)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the manager ended with: %v", err)
		}
		pool.Close()
	}
	w.t.Cleanup(w.stop)
}

func (w *world) newManager(ctx context.Context, pool *connection.Pool) manager.Manager {
	w.t.Helper()
	counted := w.writes.wrap(cluster.RESTConfig())
	namespaces := map[string]cache.Config{w.namespace: {}}
	for _, other := range w.others {
		namespaces[other] = cache.Config{}
	}
	mgr, err := ctrl.NewManager(counted, ctrl.Options{
		Scheme:                  scheme,
		MapperProvider:          func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper, nil },
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Controller:              config.Controller{SkipNameValidation: ptr.To(true)},
		GracefulShutdownTimeout: ptr.To(patience),
		NewClient:               NewClient(patience, append([]string{w.namespace}, w.others...)...),
		Cache: cache.Options{
			DefaultNamespaces: namespaces,
			// The operators of other tests leave this one's ClusterConnections alone.
			ByObject: map[client.Object]cache.ByObject{
				&v1alpha1.ClusterConnection{}: {Label: labels.SelectorFromSet(w.labels())},
			},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		w.t.Fatal(err)
	}
	w.metrics = NewMetrics()
	w.metrics.Watch(mgr)
	pool.Observe(w.metrics.Call)
	for _, each := range w.controllers(mgr, pool) {
		if err := each.SetupWithManager(mgr); err != nil {
			w.t.Fatal(err)
		}
	}
	return mgr
}

// controllers are those of the manager, in a hurry.
func (w *world) controllers(mgr manager.Manager, pool *connection.Pool) []interface {
	SetupWithManager(mgr ctrl.Manager) error
} {
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		w.t.Fatal(err)
	}
	own := ownSandboxes{Reader: direct, test: w.t.Name()}
	recorder := mgr.GetEventRecorder("test")
	resolver := &connection.Resolver{Reader: mgr.GetClient(), Pool: pool}
	holds := NewHolds()
	sandboxes := &SandboxReconciler{
		Client: w.sandboxesCache(mgr.GetClient()), Direct: own, Resolver: resolver, Recorder: recorder, Holds: holds,
		ClusterUID: clusterUID, OperatorNamespace: w.namespace, Metrics: w.metrics,
		Timing: SandboxTiming{
			Create: 10 * time.Second, Call: 10 * time.Second, Settle: 500 * time.Millisecond, ShowAfter: w.showAfter,
			FirstRetry: 50 * time.Millisecond, SlowestRetry: time.Second,
		},
	}
	return []interface {
		SetupWithManager(mgr ctrl.Manager) error
	}{
		&ConnectionReconciler{
			Client: mgr.GetClient(), Secrets: direct, Pool: pool, Recorder: recorder, OperatorNamespace: w.namespace,
			Refresh: SecretRefresh{Found: 200 * time.Millisecond, Missing: 100 * time.Millisecond},
		},
		sandboxes,
		&SnapshotReconciler{
			Client: w.snapshotsCache(mgr.GetClient()), Direct: direct, Resolver: resolver, Recorder: recorder, Holds: holds,
			Timing: SnapshotTiming{
				Take: 10 * time.Second, Call: 10 * time.Second, Settle: 500 * time.Millisecond,
				FirstRetry: 50 * time.Millisecond, SlowestRetry: time.Second,
			},
		},
		&ExecJobReconciler{
			Client: w.jobsCache(mgr.GetClient()), Direct: direct, Resolver: resolver, Recorder: recorder,
			OperatorNamespace: w.namespace, Metrics: w.metrics,
			Timing: ExecJobTiming{FirstRetry: 100 * time.Millisecond, SlowestRetry: 300 * time.Millisecond},
		},
		&OrphanSweeper{
			Client: mgr.GetClient(), Direct: w.direct(own), Pool: pool, Sandboxes: sandboxes, Recorder: recorder,
			ClusterUID: clusterUID, Metrics: w.metrics, Timing: w.orphans,
		},
	}
}
