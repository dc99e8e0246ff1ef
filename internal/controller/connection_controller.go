package controller

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"

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
// conditions whether Wrenn can be reached and accepts the credential. It holds connections and their Secrets as long as
// anything needs them.
type ConnectionReconciler struct {
	client.Client
	// Secrets reads and patches Secrets at the API server itself.
	Secrets client.Client
	// Pool holds the teams.
	Pool *connection.Pool
	// Recorder records events.
	Recorder events.EventRecorder
	// OperatorNamespace is where the Secrets of ClusterConnections are.
	OperatorNamespace string
	// Refresh is DefaultSecretRefresh where zero.
	Refresh SecretRefresh

	namespaced, cluster wakeups
	// holding keeps apart who begins to hold a Secret and who ceases to.
	holding  sync.Mutex
	flights  *flights[verification]
	troubles *troubles
}

// +kubebuilder:rbac:groups=wrenn.dev,resources=connections;clusterconnections,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=wrenn.dev,resources=connections/status;clusterconnections/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch

// SetupWithManager adds the controllers of both kinds to a manager. The indexes must be there.
func (r *ConnectionReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Refresh == (SecretRefresh{}) {
		r.Refresh = DefaultSecretRefresh
	}
	r.flights = newFlights[verification](func(name types.NamespacedName) {
		kind := v1alpha1.ConnectionKindNamespaced
		if name.Namespace == "" {
			kind = v1alpha1.ConnectionKindCluster
		}
		r.wake(connection.KeyOf(name.Namespace, kind, name.Name))
	})
	r.troubles = newTroubles(firstVerification, slowestVerification)
	r.Pool.Subscribe(r.teamChanged)
	if err := mgr.Add(manager.RunnableFunc(r.endVerifications)); err != nil {
		return err
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("connection").
		For(&v1alpha1.Connection{}, builder.WithPredicates(specOrMetadataChanged())).
		WatchesRawSource(&r.namespaced).
		Watches(&v1alpha1.Sandbox{}, r.wakeConnections()).
		Watches(&v1alpha1.Snapshot{}, r.wakeConnections()).
		Complete(reconcileFunc(r.reconcileConnection))
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("clusterconnection").
		For(&v1alpha1.ClusterConnection{}, builder.WithPredicates(specOrMetadataChanged())).
		WatchesRawSource(&r.cluster).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.allClusterConnections),
			builder.WithPredicates(relabeled())).
		Complete(reconcileFunc(r.reconcileClusterConnection))
}

// teamChanged wakes the connections whose team has become usable or has ceased to be.
func (r *ConnectionReconciler) teamChanged(change connection.Change) {
	if !change.Health {
		return
	}
	for _, key := range change.Keys {
		r.wake(key)
	}
}

// connectionView is a Connection or ClusterConnection as one reconcile sees it.
type connectionView struct {
	// obj is the connection, and before as it is stored. Spec and status are those of obj.
	obj, before client.Object
	spec        *v1alpha1.ConnectionSpec
	status      *v1alpha1.ConnectionStatus
	key         connection.Key
	// secretNamespace is where its Secret is; secret is nil where that is not there.
	secretNamespace string
	secret          *corev1.Secret
	// former is the Secret that was used before the spec named another.
	former string
	// needed tells that Sandboxes or Snapshots need the connection, and passing that one may be about to.
	needed, passing bool
	// linked tells that the credential in the Secret is the one in use, and verifying that it may soon be.
	linked, verifying bool
}

func (v *connectionView) deleting() bool { return !v.obj.GetDeletionTimestamp().IsZero() }

func (r *ConnectionReconciler) reconcileConnection(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	key := connection.KeyOf(req.Namespace, v1alpha1.ConnectionKindNamespaced, req.Name)
	var found v1alpha1.Connection
	if err := r.Get(ctx, req.NamespacedName, &found); err != nil {
		return r.gone(key, err)
	}
	return r.reconcile(ctx, &connectionView{
		obj: &found, before: found.DeepCopy(), spec: &found.Spec, status: &found.Status, key: key, secretNamespace: found.Namespace,
	})
}

func (r *ConnectionReconciler) reconcileClusterConnection(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	key := connection.KeyOf("", v1alpha1.ConnectionKindCluster, req.Name)
	var found v1alpha1.ClusterConnection
	if err := r.Get(ctx, req.NamespacedName, &found); err != nil {
		return r.gone(key, err)
	}
	return r.reconcile(ctx, &connectionView{
		obj: &found, before: found.DeepCopy(), spec: &found.Spec.ConnectionSpec, status: &found.Status, key: key,
		secretNamespace: r.OperatorNamespace,
	})
}

// gone drops the team of a connection that is no longer there.
func (r *ConnectionReconciler) gone(key connection.Key, err error) (ctrl.Result, error) {
	if apierrors.IsNotFound(err) {
		r.Pool.Remove(key)
		r.forgetOthers(types.NamespacedName{Namespace: key.Namespace, Name: key.Name}, "")
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// forgetOthers forgets the verifications of other objects that have had the name.
func (r *ConnectionReconciler) forgetOthers(name types.NamespacedName, uid types.UID) {
	for former, landed := range r.flights.strays(name, uid) {
		landed.result.discard()
		r.flights.clear(former)
		r.troubles.forget(former)
	}
}

// reconcile links the connection to its team and holds what is needed. The status names the Secret before that is held:
// whoever comes after a crash knows which to let go.
func (r *ConnectionReconciler) reconcile(ctx context.Context, view *connectionView) (ctrl.Result, error) {
	r.forgetOthers(client.ObjectKeyFromObject(view.obj), view.obj.GetUID())
	conditions := slices.Clone(view.status.Conditions)
	if err := r.findUsers(ctx, view); err != nil {
		return ctrl.Result{}, err
	}
	if view.deleting() && !view.needed {
		return lookAgain(r.letGo(ctx, view))
	}
	stands, err := r.link(ctx, view)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.letGoOfFormer(ctx, view); err != nil {
		return lookAgain(err)
	}
	stands.write(&view.status.Conditions, view.obj.GetGeneration())
	view.status.ObservedGeneration = view.obj.GetGeneration()
	if err := writeStatus(ctx, r.Client, view.obj, view.before); err != nil {
		return retryConflict(err)
	}
	announce(r.Recorder, view.obj, conditions, view.status.Conditions)
	if err := r.hold(ctx, view); err != nil {
		return lookAgain(err)
	}
	return stands.result(), nil
}

// lookAgain turns a lost race for the connection or its Secret into another look at both.
func lookAgain(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ctrl.Result{RequeueAfter: soon}, nil
	}
	return ctrl.Result{}, err
}

// link leads the connection to the team of its spec and Secret, and returns where it stands then.
func (r *ConnectionReconciler) link(ctx context.Context, view *connectionView) (standing, error) {
	ref := secretRef(view.spec)
	var secret corev1.Secret
	err := r.Secrets.Get(ctx, client.ObjectKey{Namespace: view.secretNamespace, Name: ref.Name}, &secret)
	if client.IgnoreNotFound(err) != nil {
		return standing{}, err
	}
	if err == nil {
		view.secret = &secret
	}
	settings, wait := settingsOf(view.spec, view.secretNamespace, secret.Data, err == nil)
	if wait != nil {
		return wait.after(r.Refresh.Missing), nil
	}
	s, err := r.accept(ctx, view, settings)
	if err != nil {
		return standing{}, err
	}
	if s.reason == v1alpha1.ReasonConnected || s.reason == v1alpha1.ReasonConnecting {
		if inUse, ok := leaving(view); ok {
			s = inUse
		} else if useless, ok := unlendable(view.obj); ok {
			s = useless
		}
	}
	if view.passing {
		s = s.after(soon)
	}
	return s.atTheLatest(r.Refresh.Found), nil
}

// set leads the connection to the team of its settings and returns where that stands.
func (r *ConnectionReconciler) set(view *connectionView, settings connection.Settings) standing {
	team, err := r.Pool.Set(view.key, settings)
	if err != nil {
		return unusable(err)
	}
	return r.lead(view, team)
}

// lead writes what is known of the team that the connection leads to into the status.
func (r *ConnectionReconciler) lead(view *connectionView, team *connection.Team) standing {
	view.linked = true
	r.flights.clear(view.obj.GetUID())
	r.troubles.forget(view.obj.GetUID())
	if name := secretRef(view.spec).Name; view.status.SecretName != name {
		view.former, view.status.SecretName = view.status.SecretName, name
	}
	health := team.Health()
	view.status.Fingerprint = team.Fingerprint
	view.status.Generation = v1alpha1.Generation(health.Generation)
	return healthStanding(health)
}

// unusable is where a connection stands whose settings make no client. The client's errors about its settings say what is
// wrong with them and hold no secret.
func unusable(err error) standing { return stalled(v1alpha1.ReasonInvalidRequest, err.Error()) }

// reconcileFunc is a reconciler that is a function.
type reconcileFunc func(context.Context, ctrl.Request) (ctrl.Result, error)

// Reconcile calls the function.
func (f reconcileFunc) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return f(ctx, req)
}
