package controller

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// The purposes of a Sandbox's flights.
const (
	purposeCreate  = "create"
	purposePause   = "pause"
	purposeResume  = "resume"
	purposeConfirm = "confirm"
	purposeDestroy = "destroy"
	purposeSweep   = "sweep"
	purposeFind    = "find"
	purposeFiles   = "files"
	purposePing    = "ping"
	purposeReclaim = "reclaim"
)

// unusedWithin is how soon after its creation a remote must have ended for it to be certain that nothing had run in it.
const unusedWithin = 30 * time.Second

// bootsWithin is how soon after its creation a remote must have started for that to be its boot. A later start is a
// resume, and something may have run before it.
const bootsWithin = 10 * time.Second

// sandboxView is a Sandbox as one reconcile sees it.
type sandboxView struct {
	sandbox *v1alpha1.Sandbox
	// before is the Sandbox as it is stored.
	before   *v1alpha1.Sandbox
	observed sandboxObserved
	// intent is the attempt that the Sandbox carries, open or fulfilled; nil where there is none.
	intent *createIntent
	// remote is the remote as it was last seen, nil where it was not.
	remote *wrenn.Sandbox
	// key and team are the connection; where team is nil, unavailable says why.
	key         connection.Key
	team        *connection.Team
	unavailable *connection.UnavailableError
	// landed is the create that this reconcile takes in.
	landed *flight[wrenn.Sandbox]
	// outcome is what became of a lost create, where this reconcile has found it out.
	outcome string
	// lifeLeft is how long the sandbox has to live; zero where its life does not end, or has.
	lifeLeft time.Duration
	// pingLater is how long the next ping can wait; zero where none is needed.
	pingLater time.Duration
}

// observe gathers what the plan needs. It takes in the result of a flight that has landed, and asks nobody but the
// caches.
func (r *SandboxReconciler) observe(ctx context.Context, sandbox *v1alpha1.Sandbox) (*sandboxView, error) {
	view := &sandboxView{sandbox: sandbox, before: sandbox.DeepCopy()}
	restoreStatus(sandbox)
	var err error
	if view.intent, err = openIntent(sandbox); err != nil {
		return nil, err
	}
	if err := r.connect(ctx, view); err != nil {
		return nil, err
	}
	r.takeIn(view)
	o := &view.observed
	r.observeSpec(view)
	id := sandbox.Status.SandboxID
	o.bound = id != ""
	if o.claimed, err = r.claimed(ctx, view.before, cmp.Or(id, sandbox.Spec.AdoptID)); err != nil {
		return nil, err
	}
	if view.intent != nil && (id == "" || id == view.intent.Replaces) && o.intent == "" {
		o.intent = intentOpen
	}
	if o.intent == "" {
		o.intent = intentNone
	}
	o.recorded = view.intent == nil && hasFinalizer(sandbox) && sandbox.Annotations[v1alpha1.AnnotationSandboxID] == id &&
		sandbox.Annotations[v1alpha1.AnnotationFilesWritten] == sandbox.Status.FilesWritten
	if o.bound {
		r.observeRemote(view)
		r.observeUse(view)
		if o.held, err = r.snapshotting(ctx, view); err != nil {
			return nil, err
		}
	}
	return view, nil
}

// restoreStatus takes from the annotations what cannot be found out anew where the status lacks it.
func restoreStatus(sandbox *v1alpha1.Sandbox) {
	status := &sandbox.Status
	status.SandboxID = cmp.Or(status.SandboxID, sandbox.Annotations[v1alpha1.AnnotationSandboxID])
	status.FilesWritten = cmp.Or(status.FilesWritten, sandbox.Annotations[v1alpha1.AnnotationFilesWritten])
}

// observeSpec fills in what the spec asks for.
func (r *SandboxReconciler) observeSpec(view *sandboxView) {
	sandbox, o := view.sandbox, &view.observed
	o.deleting = !sandbox.DeletionTimestamp.IsZero()
	o.mode = sandbox.Spec.OperatingMode
	o.recovery = sandbox.Spec.RecoveryPolicy
	o.deletion = sandbox.Spec.DeletionPolicy
	o.shutdown = sandbox.Spec.ShutdownPolicy
	o.adopts = sandbox.Spec.AdoptID != ""
	o.idles = idleTimeout(sandbox) > 0
	o.keepsRunning = sandbox.Spec.IdlePolicy == v1alpha1.IdlePolicyKeepRunning
	o.declaredPause = pausedByDeclaration(sandbox)
	if end := endOfLife(sandbox); end != nil {
		view.lifeLeft = max(0, time.Until(end.Time))
		o.expired = view.lifeLeft == 0
	}
}

// observeUse fills in what is still to be done for those who use the remote.
func (r *SandboxReconciler) observeUse(view *sandboxView) {
	sandbox, o := view.sandbox, &view.observed
	o.filesDue = len(sandbox.Spec.Files) > 0 && sandbox.Status.FilesWritten != sandbox.Status.SandboxID
	wake := wakeOf(sandbox)
	o.woken = wake != "" && wake != sandbox.Status.LastHandledWakeAt
	idle := idleTimeout(sandbox)
	if o.adopts && view.remote != nil {
		idle = max(0, view.remote.TimeoutSec)
		o.idles = idle > 0
	}
	if !o.idles {
		return
	}
	due := o.woken
	if o.keepsRunning {
		view.pingLater = max(r.pings.dueIn(sandbox.UID, pingInterval(idle)), soon)
		due = due || view.pingLater == soon
	}
	o.pingDue = due && !o.pinged
}

// connect finds the team: that of the open intent, of the binding, or of the spec. Only a binding, which nobody else can
// write, is still good for letting go when the connection is no longer lent to the namespace.
func (r *SandboxReconciler) connect(ctx context.Context, view *sandboxView) error {
	sandbox := view.sandbox
	bound := sandbox.Status.Connection
	if view.intent != nil {
		bound = &view.intent.Connection
	}
	var err error
	switch {
	case bound == nil:
		view.key, view.team, err = r.Resolver.Resolve(ctx, sandbox.Namespace, sandbox.Spec.ConnectionRef)
	case !sandbox.DeletionTimestamp.IsZero() && sameConnection(bound, sandbox.Status.Connection):
		view.key = connection.KeyOf(sandbox.Namespace, bound.Kind, bound.Name)
		view.team, err = r.Resolver.Release(sandbox.Namespace, bound)
	default:
		view.key = connection.KeyOf(sandbox.Namespace, bound.Kind, bound.Name)
		view.team, err = r.Resolver.Bound(ctx, sandbox.Namespace, bound)
	}
	if !errors.As(err, &view.unavailable) {
		return err
	}
	view.unavailable, err = explain(ctx, r.Client, view.key, view.unavailable, !sandbox.DeletionTimestamp.IsZero())
	return err
}

func sameConnection(a, b *v1alpha1.BoundConnection) bool {
	return a != nil && b != nil && a.Kind == b.Kind && a.Name == b.Name
}

// takeIn takes in what the object's flight has brought, if it has landed. The flight of a create stays until its outcome
// is stored; an outcome that is not known stays for the time at which it was given up.
func (r *SandboxReconciler) takeIn(view *sandboxView) {
	uid := view.sandbox.UID
	found, ok := r.flights.of(uid)
	switch {
	case !ok:
	case !found.done && found.purpose == purposeCreate:
		view.observed.intent = intentFlying
	case !found.done:
		view.observed.flying = true
	case found.purpose == purposeCreate:
		view.landed = &found
		r.takeInCreate(view, found)
	case found.err != nil:
		r.flights.clear(uid)
		r.note(view, found.purpose, found.err)
	default:
		r.flights.clear(uid)
		r.troubles.forget(uid)
		r.takeInSuccess(view, found)
	}
}

func (r *SandboxReconciler) takeInSuccess(view *sandboxView, found flight[wrenn.Sandbox]) {
	switch found.purpose {
	case purposeDestroy:
		view.observed.destroyed = true
		r.endings.destroyed(view.sandbox)
	case purposeFind:
		view.observed.found = found.result.ID == view.sandbox.Spec.AdoptID
	case purposeFiles:
		view.sandbox.Status.FilesWritten = found.result.ID
	case purposePing:
		view.observed.pinged = true
	}
}

// takeInCreate takes in a create that has landed. One whose outcome is stored is done with: all that was lost is the
// answer to that write, and nothing else could be launched while the flight stays.
func (r *SandboxReconciler) takeInCreate(view *sandboxView, create flight[wrenn.Sandbox]) {
	switch {
	case storedAlready(view, create):
		view.landed = nil
		r.flights.clear(view.sandbox.UID)
		r.troubles.forget(view.sandbox.UID)
	case create.err == nil:
		view.sandbox.Status.SandboxID = create.result.ID
		view.observed.unsaved = true
	case wrenn.IsAmbiguous(create.err):
		view.observed.intent = intentOpen
	default:
		view.observed.intent = intentRefused
	}
}

// storedAlready tells whether the outcome of a create is stored: the status names what was made, or was found later, or
// the intent was closed since nothing was made.
func storedAlready(view *sandboxView, create flight[wrenn.Sandbox]) bool {
	stored := view.before.Status.SandboxID
	switch {
	case create.err == nil:
		return stored == create.result.ID
	case view.intent == nil:
		return true
	default:
		return wrenn.IsAmbiguous(create.err) && stored != "" && stored != view.intent.Replaces
	}
}

// takenIn drops the flight of a create whose outcome has been stored, and counts what was found out of a lost one.
func (r *SandboxReconciler) takenIn(view *sandboxView) {
	if view.outcome != "" {
		r.Metrics.resolved(view.outcome)
	}
	if view.landed != nil && view.observed.intent == intentNone {
		r.flights.clear(view.sandbox.UID)
		r.troubles.forget(view.sandbox.UID)
	}
}

// observeRemote fills in what is known of the remote.
func (r *SandboxReconciler) observeRemote(view *sandboxView) {
	o := &view.observed
	o.remote = remoteUnseen
	if view.team == nil {
		return
	}
	sighting := view.team.Lookup(view.sandbox.Status.SandboxID)
	view.remote = sighting.Sandbox
	switch {
	case view.remote != nil:
		o.remote = stateOfRemote(view.remote.Status)
		r.endings.observe(view)
	case sighting.Listed:
		o.remote = remoteAbsent
	}
}

func stateOfRemote(status wrenn.Status) remoteState {
	switch status {
	case wrenn.StatusPending, wrenn.StatusStarting:
		return remotePending
	case wrenn.StatusRunning:
		return remoteRunning
	case wrenn.StatusPaused, wrenn.StatusHibernated:
		return remotePaused
	case wrenn.StatusMissing:
		return remoteMissing
	case wrenn.StatusStopped, wrenn.StatusError:
		return remoteEnded
	default:
		return remoteOdd
	}
}

// unused tells that a remote ended before anything can have run in it. It compares the service's times with each other
// only. To start counts as activity there; the times are whole seconds.
func unused(remote wrenn.Sandbox) bool {
	return remote.Status.Final() &&
		remote.LastUpdatedAt.Sub(remote.CreatedAt) <= unusedWithin &&
		remote.StartedAt.Sub(remote.CreatedAt) <= bootsWithin &&
		remote.LastActiveAt.Sub(remote.StartedAt) <= time.Second
}

// snapshotting tells whether a Snapshot of the Sandbox is being taken: by this process, or by one before it that has
// left its intent.
func (r *SandboxReconciler) snapshotting(ctx context.Context, view *sandboxView) (bool, error) {
	if r.Holds.Held(view.sandbox.Status.SandboxID) {
		return true, nil
	}
	var snapshots v1alpha1.SnapshotList
	err := r.List(ctx, &snapshots, client.InNamespace(view.sandbox.Namespace),
		client.MatchingFields{indexSnapshotSource: view.sandbox.Name})
	return slices.ContainsFunc(snapshots.Items, func(snapshot v1alpha1.Snapshot) bool {
		return snapshot.Annotations[v1alpha1.AnnotationSnapshotIntent] != ""
	}), err
}

// pausedByDeclaration tells whether a pause is, or may be, the operator's doing. What the conditions tell would not do:
// trouble with the connection replaces it. An adopted sandbox was never brought to what the spec declares.
func pausedByDeclaration(sandbox *v1alpha1.Sandbox) bool {
	mode := sandbox.Status.OperatingMode
	return mode == v1alpha1.OperatingModePaused || mode == "" && sandbox.Spec.AdoptID != ""
}

func idleTimeout(sandbox *v1alpha1.Sandbox) int32 {
	if sandbox.Spec.IdleTimeoutSeconds == nil {
		return 0
	}
	return *sandbox.Spec.IdleTimeoutSeconds
}
