package controller

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// SetupWithManager adds the controller to a manager. The indexes must be there.
func (r *SandboxReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Timing == (SandboxTiming{}) {
		r.Timing = DefaultSandboxTiming
	}
	if r.Metrics == nil {
		r.Metrics = NewMetrics()
	}
	r.wakeups = &wakeups{}
	r.flights = newFlights[wrenn.Sandbox](r.wakeups.wake)
	r.troubles = newTroubles(r.Timing.FirstRetry, r.Timing.SlowestRetry)
	r.pings = newPings()
	r.endings = newEndings(r.Timing.FirstRetry, r.Timing.SlowestRetry)
	if err := hear(mgr, r.Resolver.Pool, r.teamChanged); err != nil {
		return err
	}
	if err := mgr.Add(manager.RunnableFunc(r.outliveFlights)); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("sandbox").
		For(&v1alpha1.Sandbox{}, builder.WithPredicates(specOrMetadataChanged())).
		WatchesRawSource(r.wakeups).
		Watches(&v1alpha1.Snapshot{}, handler.EnqueueRequestsFromMapFunc(r.sandboxesOfSnapshot)).
		Watches(&v1alpha1.Connection{}, handler.EnqueueRequestsFromMapFunc(r.sandboxesWaitingForConnection)).
		Watches(&v1alpha1.ClusterConnection{}, handler.EnqueueRequestsFromMapFunc(r.sandboxesWaitingForConnection)).
		Watches(&v1alpha1.Connection{}, handler.EnqueueRequestsFromMapFunc(r.sandboxesOfConnection), builder.WithPredicates(respecified())).
		Watches(&v1alpha1.ClusterConnection{}, handler.EnqueueRequestsFromMapFunc(r.sandboxesOfConnection), builder.WithPredicates(respecified())).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.sandboxesLentTo), builder.WithPredicates(relabeled())).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8}).
		Complete(r)
}

// outliveFlights keeps the process from ending while calls are under way, and stores the ids of remotes that were made
// too late for a reconcile to do so.
func (r *SandboxReconciler) outliveFlights(ctx context.Context) error {
	<-ctx.Done()
	left := r.flights.drain()
	// The cache may never come to show what was last written.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Timing.Call)
	defer cancel()
	for uid, landed := range left {
		if landed.purpose != purposeCreate || landed.err != nil {
			continue
		}
		if err := r.storeID(ctx, uid, landed); err != nil {
			// The intent is still open: the next process finds the remote from it.
			logf.FromContext(ctx).Error(err, "could not store the id of a new sandbox", "sandbox", landed.name)
		}
	}
	return nil
}

func (r *SandboxReconciler) storeID(ctx context.Context, uid types.UID, landed flight[wrenn.Sandbox]) error {
	var sandbox v1alpha1.Sandbox
	if err := r.Get(ctx, landed.name, &sandbox); err != nil {
		return err
	}
	if sandbox.UID != uid || sandbox.Status.SandboxID == landed.result.ID {
		return nil
	}
	before := sandbox.DeepCopy()
	sandbox.Status.SandboxID = landed.result.ID
	return r.Status().Patch(ctx, &sandbox, client.MergeFrom(before))
}

// teamChanged wakes the Sandboxes that news about a team concern.
func (r *SandboxReconciler) teamChanged(ctx context.Context, change connection.Change) {
	for _, id := range change.SandboxIDs {
		var having v1alpha1.SandboxList
		if err := r.List(ctx, &having, client.MatchingFields{indexSandboxID: id}); err == nil {
			for i := range having.Items {
				r.wakeups.wakeLater(client.ObjectKeyFromObject(&having.Items[i]))
			}
		}
	}
	if !change.Health {
		return
	}
	var all v1alpha1.SandboxList
	if err := r.List(ctx, &all); err != nil {
		return
	}
	for i := range all.Items {
		if sandbox := &all.Items[i]; slices.ContainsFunc(change.Keys, func(key connection.Key) bool { return mayUse(sandbox, key) }) {
			r.wakeups.wakeLater(client.ObjectKeyFromObject(sandbox))
		}
	}
}

// mayUse tells whether a Sandbox uses a connection, or might once it is there.
func mayUse(sandbox *v1alpha1.Sandbox, key connection.Key) bool {
	if bound := sandbox.Status.Connection; bound != nil {
		return connection.KeyOf(sandbox.Namespace, bound.Kind, bound.Name) == key
	}
	if ref := sandbox.Spec.ConnectionRef; ref != nil {
		return connection.KeyOf(sandbox.Namespace, ref.Kind, ref.Name) == key
	}
	return key.Name == connection.DefaultName && (key.Namespace == "" || key.Namespace == sandbox.Namespace)
}

// sandboxesOfSnapshot are those that a Snapshot is taken of, and those that start from it.
func (r *SandboxReconciler) sandboxesOfSnapshot(ctx context.Context, obj client.Object) []reconcile.Request {
	snapshot, ok := obj.(*v1alpha1.Snapshot)
	if !ok {
		return nil
	}
	found := []reconcile.Request{{NamespacedName: types.NamespacedName{
		Namespace: snapshot.Namespace, Name: snapshot.Spec.SandboxRef.Name,
	}}}
	var starting v1alpha1.SandboxList
	if err := r.List(ctx, &starting, client.InNamespace(snapshot.Namespace), client.MatchingFields{indexSandboxSnapshot: snapshot.Name}); err != nil {
		return found
	}
	return append(found, waiting(starting.Items)...)
}

// sandboxesWaitingForConnection are those that are not Ready and might use the connection.
func (r *SandboxReconciler) sandboxesWaitingForConnection(ctx context.Context, obj client.Object) []reconcile.Request {
	return waiting(r.usersOf(ctx, obj))
}

// sandboxesOfConnection are those that might use the connection, and have to be told when they no longer may.
func (r *SandboxReconciler) sandboxesOfConnection(ctx context.Context, obj client.Object) []reconcile.Request {
	return requestsFor(r.usersOf(ctx, obj))
}

// usersOf returns the Sandboxes that use a connection, or might.
func (r *SandboxReconciler) usersOf(ctx context.Context, obj client.Object) []v1alpha1.Sandbox {
	kind := v1alpha1.ConnectionKindNamespaced
	if obj.GetNamespace() == "" {
		kind = v1alpha1.ConnectionKindCluster
	}
	key := connection.KeyOf(obj.GetNamespace(), kind, obj.GetName())
	var all v1alpha1.SandboxList
	if err := r.List(ctx, &all, client.InNamespace(obj.GetNamespace())); err != nil {
		return nil
	}
	return slices.DeleteFunc(all.Items, func(sandbox v1alpha1.Sandbox) bool { return !mayUse(&sandbox, key) })
}

// sandboxesLentTo are those that a ClusterConnection may have been lent to by the namespace's labels, or is lent to no more.
func (r *SandboxReconciler) sandboxesLentTo(ctx context.Context, namespace client.Object) []reconcile.Request {
	var all v1alpha1.SandboxList
	if err := r.List(ctx, &all, client.InNamespace(namespace.GetName())); err != nil {
		return nil
	}
	return requestsFor(slices.DeleteFunc(all.Items, func(sandbox v1alpha1.Sandbox) bool {
		bound := sandbox.Status.Connection
		return bound != nil && bound.Kind != v1alpha1.ConnectionKindCluster
	}))
}

// waiting are the Sandboxes that are not Ready.
func waiting(sandboxes []v1alpha1.Sandbox) []reconcile.Request {
	return requestsFor(slices.DeleteFunc(sandboxes, func(sandbox v1alpha1.Sandbox) bool { return isReady(sandbox.Status.Conditions) }))
}

func requestsFor(sandboxes []v1alpha1.Sandbox) []reconcile.Request {
	found := make([]reconcile.Request, 0, len(sandboxes))
	for i := range sandboxes {
		found = append(found, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&sandboxes[i])})
	}
	return found
}
