package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// SnapshotTiming is how long a SnapshotReconciler waits for what.
type SnapshotTiming struct {
	// Take bounds the taking of a snapshot and the resuming of its source. The service gives itself five minutes for
	// the former.
	Take time.Duration
	// Call bounds any other call.
	Call time.Duration
	// Settle is how long after a snapshot was asked for in vain a list is trusted to show it.
	Settle time.Duration
	// FirstRetry and SlowestRetry bound the backoff of an object.
	FirstRetry, SlowestRetry time.Duration
}

// DefaultSnapshotTiming is for the real service.
var DefaultSnapshotTiming = SnapshotTiming{
	Take:         10 * time.Minute,
	Call:         time.Minute,
	Settle:       15 * time.Second,
	FirstRetry:   time.Second,
	SlowestRetry: 5 * time.Minute,
}

// nameInterval is how often it is looked whether a name that somebody else had is free.
const nameInterval = time.Minute

// lookInterval is how often a snapshot is looked for that may have been taken.
const lookInterval = time.Second

// SnapshotReconciler takes one remote snapshot for each Snapshot, puts the source back to what its Sandbox declares, and
// deletes the remote snapshot with the object.
type SnapshotReconciler struct {
	client.Client
	// Direct reads the API server itself, before a source is given up on the word of the cache.
	Direct client.Reader
	// Resolver finds the team of a Snapshot.
	Resolver *connection.Resolver
	// Recorder records events.
	Recorder events.EventRecorder
	// Holds keep the Sandbox controller from disturbing a source.
	Holds *Holds
	// Timing is DefaultSnapshotTiming where zero.
	Timing SnapshotTiming

	term     term
	flights  *flights[snapshotOutcome]
	troubles *troubles
	wakeups  *wakeups
}

// +kubebuilder:rbac:groups=wrenn.dev,resources=snapshots,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=wrenn.dev,resources=snapshots/status,verbs=patch

// SetupWithManager adds the controller to a manager. The indexes must be there.
func (r *SnapshotReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Timing == (SnapshotTiming{}) {
		r.Timing = DefaultSnapshotTiming
	}
	r.wakeups = &wakeups{}
	r.flights = newFlights[snapshotOutcome](r.wakeups.wake)
	r.troubles = newTroubles(r.Timing.FirstRetry, r.Timing.SlowestRetry)
	if err := hear(mgr, r.Resolver.Pool, r.teamChanged); err != nil {
		return err
	}
	if err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		r.flights.drain()
		return nil
	})); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("snapshot").
		For(&v1alpha1.Snapshot{}, builder.WithPredicates(specOrMetadataChanged())).
		WatchesRawSource(r.wakeups).
		Watches(&v1alpha1.Sandbox{}, handler.EnqueueRequestsFromMapFunc(r.snapshotsOfSandbox)).
		Complete(r)
}

// teamChanged wakes the Snapshots that may wait for a team that has become usable.
func (r *SnapshotReconciler) teamChanged(ctx context.Context, change connection.Change) {
	var all v1alpha1.SnapshotList
	if !change.Health || r.List(ctx, &all) != nil {
		return
	}
	for i := range all.Items {
		if !isReady(all.Items[i].Status.Conditions) {
			r.wakeups.wakeLater(client.ObjectKeyFromObject(&all.Items[i]))
		}
	}
}

// Reconcile takes a Snapshot one step towards its spec.
func (r *SnapshotReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var snapshot v1alpha1.Snapshot
	if err := r.Get(ctx, req.NamespacedName, &snapshot); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !snapshot.DeletionTimestamp.IsZero() && !hasFinalizer(&snapshot) {
		return ctrl.Result{}, nil
	}
	view, err := r.observe(ctx, &snapshot)
	if err != nil {
		return ctrl.Result{}, err
	}
	stands, err := r.perform(ctx, view, planSnapshot(view.observed))
	if err != nil {
		return retryConflict(err)
	}
	if stands.quiet {
		return stands.result(), nil
	}
	r.describe(view, stands)
	if err := writeStatus(ctx, r.Client, &snapshot, view.before); err != nil {
		return retryConflict(err)
	}
	announce(r.Recorder, &snapshot, view.before.Status.Conditions, snapshot.Status.Conditions)
	return stands.result(), nil
}

// perform does what the plan says and returns where the Snapshot stands then.
func (r *SnapshotReconciler) perform(ctx context.Context, view *snapshotView, action snapshotAction) (standing, error) {
	switch action {
	case snapshotAwaitCall:
		return unchanged(), nil
	case snapshotCheckName:
		return r.checkName(ctx, view)
	case snapshotReportTaken:
		return nameTaken(view), nil
	case snapshotBegin:
		return r.begin(ctx, view)
	case snapshotTakeAgain:
		return r.takeAgain(view), nil
	case snapshotLook:
		return r.look(view), nil
	case snapshotRestore:
		return r.restore(view), nil
	case snapshotCloseIntent:
		return r.closeIntent(ctx, view)
	case snapshotAwaitUse:
		return working(v1alpha1.ReasonSnapshotInUse, "a Sandbox is still to be started from this snapshot"), nil
	case snapshotDelete:
		return r.delete(view), nil
	case snapshotLetGo:
		return r.letGo(ctx, view)
	case snapshotSave:
		return settled(v1alpha1.ReasonTaken, "the snapshot is there").after(soon), nil
	default:
		return settled(v1alpha1.ReasonTaken, "the snapshot is there"), nil
	}
}

// snapshotsOfSandbox are those that are taken of a Sandbox, and the one that it starts from.
func (r *SnapshotReconciler) snapshotsOfSandbox(ctx context.Context, obj client.Object) []reconcile.Request {
	sandbox, ok := obj.(*v1alpha1.Sandbox)
	if !ok {
		return nil
	}
	var found []reconcile.Request
	if ref := sandbox.Spec.SnapshotRef; ref != nil {
		found = append(found, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: sandbox.Namespace, Name: ref.Name}})
	}
	var snapshots v1alpha1.SnapshotList
	if err := r.List(ctx, &snapshots, client.InNamespace(sandbox.Namespace), client.MatchingFields{indexSnapshotSource: sandbox.Name}); err != nil {
		return found
	}
	for i := range snapshots.Items {
		if !isReady(snapshots.Items[i].Status.Conditions) {
			found = append(found, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&snapshots.Items[i])})
		}
	}
	return found
}
