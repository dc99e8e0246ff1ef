package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// SecretRefresh is how often the Secrets of connections are read. They are neither listed nor watched, so that the
// operator needs no more of them than get.
type SecretRefresh struct {
	// Found is the interval for a Secret that is in use, Missing for one that is not there or not usable.
	Found, Missing time.Duration
}

// DefaultSecretRefresh finds a rotated key within half a minute, and a missing one within seconds.
var DefaultSecretRefresh = SecretRefresh{Found: 30 * time.Second, Missing: 3 * time.Second}

// ConnectionReconciler keeps the pool's teams as the Connections and ClusterConnections say, and tells in their
// conditions whether Wrenn can be reached and accepts the credential.
type ConnectionReconciler struct {
	client.Client
	// Secrets reads Secrets from the API server itself.
	Secrets client.Reader
	// Pool holds the teams.
	Pool *connection.Pool
	// Recorder records events.
	Recorder events.EventRecorder
	// OperatorNamespace is where the Secrets of ClusterConnections are.
	OperatorNamespace string
	// Refresh is DefaultSecretRefresh where zero.
	Refresh SecretRefresh

	namespaced, cluster wakeups
}

// +kubebuilder:rbac:groups=wrenn.dev,resources=connections;clusterconnections,verbs=get;list;watch
// +kubebuilder:rbac:groups=wrenn.dev,resources=connections/status;clusterconnections/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch

// SetupWithManager adds the controllers of both kinds to a manager.
func (r *ConnectionReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Refresh == (SecretRefresh{}) {
		r.Refresh = DefaultSecretRefresh
	}
	r.Pool.Subscribe(r.teamChanged)
	err := ctrl.NewControllerManagedBy(mgr).
		Named("connection").
		For(&v1alpha1.Connection{}, builder.WithPredicates(specOrMetadataChanged())).
		WatchesRawSource(&r.namespaced).
		Complete(reconcileFunc(r.reconcileConnection))
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("clusterconnection").
		For(&v1alpha1.ClusterConnection{}, builder.WithPredicates(specOrMetadataChanged())).
		WatchesRawSource(&r.cluster).
		Complete(reconcileFunc(r.reconcileClusterConnection))
}

// teamChanged wakes the connections whose team has become usable or has ceased to be.
func (r *ConnectionReconciler) teamChanged(change connection.Change) {
	if !change.Health {
		return
	}
	for _, key := range change.Keys {
		name := client.ObjectKey{Namespace: key.Namespace, Name: key.Name}
		if key.Kind == v1alpha1.ConnectionKindCluster {
			r.cluster.wake(name)
		} else {
			r.namespaced.wake(name)
		}
	}
}

func (r *ConnectionReconciler) reconcileConnection(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	key := connection.KeyOf(req.Namespace, v1alpha1.ConnectionKindNamespaced, req.Name)
	var found v1alpha1.Connection
	if err := r.Get(ctx, req.NamespacedName, &found); err != nil {
		return r.gone(key, err)
	}
	before := found.DeepCopy()
	stands, err := r.link(ctx, key, &found.Spec, found.Namespace, &found.Status, found.Generation)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := writeStatus(ctx, r.Client, &found, before); err != nil {
		return retryConflict(err)
	}
	announce(r.Recorder, &found, before.Status.Conditions, found.Status.Conditions)
	return stands.result(), nil
}

func (r *ConnectionReconciler) reconcileClusterConnection(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	key := connection.KeyOf("", v1alpha1.ConnectionKindCluster, req.Name)
	var found v1alpha1.ClusterConnection
	if err := r.Get(ctx, req.NamespacedName, &found); err != nil {
		return r.gone(key, err)
	}
	before := found.DeepCopy()
	stands, err := r.link(ctx, key, &found.Spec.ConnectionSpec, r.OperatorNamespace, &found.Status, found.Generation)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := writeStatus(ctx, r.Client, &found, before); err != nil {
		return retryConflict(err)
	}
	announce(r.Recorder, &found, before.Status.Conditions, found.Status.Conditions)
	return stands.result(), nil
}

// gone drops the team of a connection that is no longer there.
func (r *ConnectionReconciler) gone(key connection.Key, err error) (ctrl.Result, error) {
	if apierrors.IsNotFound(err) {
		r.Pool.Remove(key)
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// link leads the connection to the team of its spec and Secret, and writes what is known of that team into the status.
func (r *ConnectionReconciler) link(ctx context.Context, key connection.Key, spec *v1alpha1.ConnectionSpec, secretNamespace string,
	status *v1alpha1.ConnectionStatus, generation int64,
) (standing, error) {
	ref := secretRef(spec)
	var secret corev1.Secret
	err := r.Secrets.Get(ctx, client.ObjectKey{Namespace: secretNamespace, Name: ref.Name}, &secret)
	if client.IgnoreNotFound(err) != nil {
		return standing{}, err
	}
	settings, s := settingsOf(spec, secretNamespace, secret.Data, err == nil)
	if s != nil {
		s.again = r.Refresh.Missing
	} else {
		s = r.set(key, settings, status)
		s.again = r.Refresh.Found
	}
	s.write(&status.Conditions, generation)
	status.ObservedGeneration = generation
	return *s, nil
}

// set leads the connection to its team and returns where that stands.
func (r *ConnectionReconciler) set(key connection.Key, settings connection.Settings, status *v1alpha1.ConnectionStatus) *standing {
	team, err := r.Pool.Set(key, settings)
	if err != nil {
		// The client's errors about its settings say what is wrong with them and hold no secret.
		s := stalled(v1alpha1.ReasonInvalidRequest, err.Error())
		return &s
	}
	health := team.Health()
	status.Fingerprint = team.Fingerprint
	status.Generation = v1alpha1.Generation(health.Generation)
	s := healthStanding(health)
	return &s
}

// reconcileFunc is a reconciler that is a function.
type reconcileFunc func(context.Context, ctrl.Request) (ctrl.Result, error)

// Reconcile calls the function.
func (f reconcileFunc) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return f(ctx, req)
}
