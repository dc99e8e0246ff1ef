package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/controller"
)

// leaseName is the name of the lease that replicas compete for.
const leaseName = "wrenn-operator"

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=wrenn-system,resources=leases,verbs=get;create;update;patch
// +kubebuilder:rbac:groups="",namespace=wrenn-system,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// run runs the manager until the context ends and every call to Wrenn has come back.
func run(ctx context.Context, opts options) error {
	if opts.namespace == "" {
		return errors.New("the operator's own namespace is not known: set --namespace or POD_NAMESPACE")
	}
	if opts.lease.duration%time.Second != 0 {
		// A lease tells its duration in seconds: others would take it earlier than its holder lets go of it.
		return errors.New("--leader-elect-lease-duration must be in whole seconds")
	}
	mgr, err := newManager(opts)
	if err != nil {
		return err
	}
	pool := connection.NewPool(opts.pace, "wrenn-operator")
	defer pool.Close()
	counted := controller.NewMetrics()
	counted.Watch(mgr)
	pool.Observe(counted.Call)
	if err := metrics.Registry.Register(counted); err != nil {
		return err
	}
	if err := addControllers(ctx, mgr, pool, counted, opts); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("readyz", healthz.Ping); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func newManager(opts options) (manager.Manager, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	return ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsOptions(opts),
		HealthProbeBindAddress:        opts.probeAddress,
		LeaderElection:                opts.leaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       opts.namespace,
		LeaseDuration:                 &opts.lease.duration,
		RenewDeadline:                 &opts.lease.renewDeadline,
		RetryPeriod:                   &opts.lease.retryPeriod,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &opts.grace,
		NewClient:                     controller.NewClient(controller.CatchUp),
	})
}

func metricsOptions(opts options) metricsserver.Options {
	if opts.metricsInsecure {
		return metricsserver.Options{BindAddress: opts.metricsAddress}
	}
	return metricsserver.Options{
		BindAddress:    opts.metricsAddress,
		SecureServing:  true,
		FilterProvider: filters.WithAuthenticationAndAuthorization,
		TLSOpts:        []func(*tls.Config){func(c *tls.Config) { c.MinVersion = tls.VersionTLS12 }},
	}
}

func addControllers(ctx context.Context, mgr manager.Manager, pool *connection.Pool, counted *controller.Metrics, opts options) error {
	clusterUID, err := clusterUID(ctx, mgr.GetAPIReader())
	if err != nil {
		return err
	}
	if err := controller.AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	direct, err := client.New(mgr.GetConfig(), client.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
	})
	if err != nil {
		return err
	}
	recorder := mgr.GetEventRecorder("wrenn-operator")
	resolver := &connection.Resolver{Reader: mgr.GetClient(), Pool: pool}
	holds := controller.NewHolds()
	sandboxes := &controller.SandboxReconciler{
		Client: mgr.GetClient(), Direct: direct, Resolver: resolver, Recorder: recorder, Holds: holds,
		ClusterUID: clusterUID, OperatorNamespace: opts.namespace, Metrics: counted, Timing: opts.sandboxes,
	}
	for _, each := range []interface{ SetupWithManager(ctrl.Manager) error }{
		&controller.ConnectionReconciler{
			Client: mgr.GetClient(), Secrets: direct, Pool: pool, Recorder: recorder,
			OperatorNamespace: opts.namespace, Refresh: opts.secrets,
		},
		sandboxes,
		&controller.SnapshotReconciler{
			Client: mgr.GetClient(), Direct: direct, Resolver: resolver, Recorder: recorder, Holds: holds, Timing: opts.snapshots,
		},
		&controller.ExecJobReconciler{
			Client: mgr.GetClient(), Direct: direct, Resolver: resolver, Recorder: recorder,
			OperatorNamespace: opts.namespace, Metrics: counted,
		},
		&controller.OrphanSweeper{
			Client: mgr.GetClient(), Direct: direct, Pool: pool, Sandboxes: sandboxes, Recorder: recorder,
			ClusterUID: clusterUID, Metrics: counted, Timing: opts.orphans,
		},
	} {
		if err := each.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	return nil
}

// clusterUID returns the identity of the cluster: the UID of the one namespace that every cluster has and none can
// delete.
func clusterUID(ctx context.Context, reader client.Reader) (string, error) {
	var namespace corev1.Namespace
	if err := reader.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, &namespace); err != nil {
		return "", fmt.Errorf("read the identity of the cluster: %w", err)
	}
	return string(namespace.UID), nil
}
