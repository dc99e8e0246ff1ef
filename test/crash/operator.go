package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/controller"
)

// errKilled is what every request of an operator fails with that was killed.
var errKilled = errors.New("this operator was killed")

// operator is one process of the operator, as far as anybody can tell from outside: real controllers with a memory of
// their own, which can be killed at any moment.
type operator struct {
	world *world
	name  string
	// life ends when the operator is killed. From then on nothing of it reaches the API server or Wrenn.
	life context.Context //nolint:containedctx // it is a lifetime, not a call's
	kill func()
	// withheld is until when it hears of no change, in nanoseconds since 1970.
	withheld atomic.Int64
	// watches are those that are open.
	watches watches
	// lists answer the first list of each kind in place of the API server.
	lists *oldLists
	// ended is closed when everything of it has ended.
	ended chan struct{}
}

// start starts an operator. Lists, where given, are what it begins with.
func (w *world) start(name string, lists *oldLists) (*operator, error) {
	o := &operator{world: w, name: name, lists: lists, ended: make(chan struct{})}
	life, end := context.WithCancel(context.Background())
	o.life, o.kill = life, func() { w.history.kills(); end() }
	if lists != nil {
		o.withhold()
	}
	w.addOperator(o)
	pool := connection.NewPool(pace, o.name)
	mgr, err := o.newManager(pool)
	if err != nil {
		o.kill()
		pool.Close()
		close(o.ended)
		return nil, err
	}
	go func() {
		defer close(o.ended)
		// A killed process ends in no particular way. Here it must, to leave nothing behind.
		_ = mgr.Start(o.life)
		pool.Close()
	}()
	return o, nil
}

// withhold keeps the operator from hearing of changes for a while.
func (o *operator) withhold() { o.withheld.Store(time.Now().Add(staleFor).UnixNano()) }

func (o *operator) killed() bool { return o.life.Err() != nil }

func (o *operator) newManager(pool *connection.Pool) (manager.Manager, error) {
	mgr, err := ctrl.NewManager(o.kubeConfig(), ctrl.Options{
		Scheme:                  o.world.site.scheme,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Controller:              config.Controller{SkipNameValidation: ptr.To(true)},
		GracefulShutdownTimeout: ptr.To(patience),
		NewClient:               controller.NewClient(catchUp, o.world.namespace),
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{o.world.namespace: {}}},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			return o.world.site.mapper, nil
		},
	})
	if err != nil {
		return nil, err
	}
	if err := controller.AddIndexes(o.life, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	controllers, err := o.controllers(mgr, pool)
	if err != nil {
		return nil, err
	}
	for _, each := range controllers {
		if err := each.SetupWithManager(mgr); err != nil {
			return nil, fmt.Errorf("set up a controller: %w", err)
		}
	}
	return mgr, nil
}

// part is a controller.
type part interface {
	SetupWithManager(mgr ctrl.Manager) error
}

// controllers are those of the real manager, in a hurry.
func (o *operator) controllers(mgr manager.Manager, pool *connection.Pool) ([]part, error) {
	direct, err := client.New(mgr.GetConfig(), client.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
	})
	if err != nil {
		return nil, err
	}
	recorder := mgr.GetEventRecorder("crash")
	resolver := &connection.Resolver{Reader: mgr.GetClient(), Pool: pool}
	holds := controller.NewHolds()
	return []part{
		&controller.ConnectionReconciler{
			Client: mgr.GetClient(), Secrets: direct, Pool: pool, Recorder: recorder,
			OperatorNamespace: o.world.namespace, Refresh: secretRefresh,
		},
		&controller.SandboxReconciler{
			Client: mgr.GetClient(), Direct: direct, Resolver: resolver, Recorder: recorder, Holds: holds, ClusterUID: "crash",
			OperatorNamespace: o.world.namespace, Timing: sandboxTiming,
		},
		&controller.SnapshotReconciler{
			Client: mgr.GetClient(), Direct: direct, Resolver: resolver, Recorder: recorder, Holds: holds, Timing: snapshotTiming,
		},
		&controller.ExecJobReconciler{
			Client: mgr.GetClient(), Direct: direct, Resolver: resolver, Recorder: recorder,
			OperatorNamespace: o.world.namespace, Pace: execPace, Timing: execTiming,
		},
	}, nil
}
