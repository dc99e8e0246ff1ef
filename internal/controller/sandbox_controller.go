package controller

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// SandboxTiming is how long a SandboxReconciler waits for what.
type SandboxTiming struct {
	// Create bounds one create, the wait for a free place among the creates under way included.
	Create time.Duration
	// Call bounds any other call. Pausing an old sandbox is slow, and giving up on it is harmful.
	Call time.Duration
	// Settle is how long after a create was lost a list is trusted to show what came of it.
	Settle time.Duration
	// ShowAfter is how long a create may take before it is shown in the status.
	ShowAfter time.Duration
	// FirstRetry and SlowestRetry bound the backoff of an object.
	FirstRetry, SlowestRetry time.Duration
}

// DefaultSandboxTiming is for the real service.
var DefaultSandboxTiming = SandboxTiming{
	Create:       5 * time.Minute,
	Call:         5 * time.Minute,
	Settle:       15 * time.Second,
	ShowAfter:    2 * time.Second,
	FirstRetry:   time.Second,
	SlowestRetry: 5 * time.Minute,
}

// SandboxReconciler makes one remote sandbox for each Sandbox, keeps it in the state that the spec asks for, and
// destroys it with the object.
type SandboxReconciler struct {
	client.Client
	// Resolver finds the team of a Sandbox.
	Resolver *connection.Resolver
	// Recorder records events.
	Recorder events.EventRecorder
	// Direct reads Secrets, ConfigMaps, and what is to be certain, from the API server itself.
	Direct client.Reader
	// Holds are the remotes that Snapshots are being taken of.
	Holds *Holds
	// ClusterUID is the identity of this cluster, which marks its remotes: the UID of the namespace kube-system.
	ClusterUID string
	// OperatorNamespace is where the Secrets of ClusterConnections are.
	OperatorNamespace string
	// Metrics counts what is done; nil has nobody see it.
	Metrics *Metrics
	// Timing is DefaultSandboxTiming where zero.
	Timing SandboxTiming

	term     term
	flights  *flights[wrenn.Sandbox]
	troubles *troubles
	wakeups  *wakeups
	pings    *pings
	endings  *endings
}

// +kubebuilder:rbac:groups=wrenn.dev,resources=sandboxes,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups=wrenn.dev,resources=sandboxes/status,verbs=patch
// +kubebuilder:rbac:groups=wrenn.dev,resources=snapshots,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile takes a Sandbox one step towards its spec.
func (r *SandboxReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var sandbox v1alpha1.Sandbox
	if err := r.Get(ctx, req.NamespacedName, &sandbox); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{RequeueAfter: r.reclaim(ctx, req.NamespacedName, "")}, nil
	}
	unreclaimed := r.reclaim(ctx, req.NamespacedName, sandbox.UID)
	if !sandbox.DeletionTimestamp.IsZero() && !hasFinalizer(&sandbox) {
		return ctrl.Result{}, nil
	}
	view, err := r.observe(ctx, &sandbox)
	if err != nil {
		return ctrl.Result{}, err
	}
	stands, err := r.perform(ctx, view, planSandbox(view.observed))
	if err != nil {
		return retryConflict(err)
	}
	stands = stands.atTheLatest(view.lifeLeft).atTheLatest(unreclaimed)
	if !stands.quiet {
		r.describe(view, stands)
	} else if sandbox.Status.FilesWritten == view.before.Status.FilesWritten { // else they would be written again
		return stands.result(), nil
	}
	if err := writeStatus(ctx, r.Client, &sandbox, view.before); err != nil {
		return retryConflict(err)
	}
	announce(r.Recorder, &sandbox, view.before.Status.Conditions, sandbox.Status.Conditions)
	r.takenIn(view)
	return stands.result(), nil
}

// perform does what the plan says and returns where the Sandbox stands then.
func (r *SandboxReconciler) perform(ctx context.Context, view *sandboxView, action sandboxAction) (standing, error) {
	switch action {
	case sandboxLetGo:
		return r.letGo(ctx, view)
	case sandboxBegin:
		return r.begin(ctx, view)
	case sandboxFind:
		return r.find(view), nil
	case sandboxClaim:
		return r.claim(ctx, view)
	case sandboxAwaitCreate:
		return r.awaitCreate(view), nil
	case sandboxSave:
		return r.save(view), nil
	case sandboxCloseIntent:
		return r.closeIntent(ctx, view)
	case sandboxResolveIntent:
		return r.resolveIntent(ctx, view)
	case sandboxAwaitCall:
		return r.awaitCall(view), nil
	case sandboxAwaitSnapshot:
		return working(v1alpha1.ReasonSnapshotting, "a snapshot of the sandbox is being taken"), nil
	case sandboxAwaitList:
		return r.awaitList(view), nil
	case sandboxAwaitState:
		return r.awaitState(view), nil
	case sandboxConfirm:
		return r.confirm(view), nil
	case sandboxPause:
		return r.pause(view), nil
	case sandboxResume:
		return r.resume(view), nil
	case sandboxWriteFiles:
		return r.writeFiles(ctx, view)
	case sandboxPing:
		return r.ping(view), nil
	case sandboxExpire:
		return r.expire(ctx, view)
	case sandboxDelete:
		return r.deleteObject(ctx, view)
	case sandboxRestExpired:
		return expired(), nil
	case sandboxDestroy, sandboxReplace:
		return r.destroy(ctx, view)
	case sandboxReportClaimed:
		return claimedByAnother(view), nil
	case sandboxReportLost:
		return lost(view), nil
	case sandboxRecord:
		return r.record(ctx, view)
	default:
		return r.rest(view), nil
	}
}
