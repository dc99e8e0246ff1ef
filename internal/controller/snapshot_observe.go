package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// snapshotIntent is written to a Snapshot before its remote snapshot is asked for. While it is there, the source may be
// paused on its behalf.
type snapshotIntent struct {
	// Time of the attempt, by the operator's clock.
	Time time.Time `json:"time"`
	// SandboxID is the remote that the snapshot is taken of.
	SandboxID string `json:"sandboxID"`
	// Name of the remote snapshot.
	Name string `json:"name"`
	// Resume tells that the source ran and is to run again.
	Resume bool `json:"resume,omitempty"`
	// Connection that is asked.
	Connection v1alpha1.BoundConnection `json:"connection"`
}

// snapshotOutcome is what a flight of a Snapshot brings.
type snapshotOutcome struct {
	// remote is the remote snapshot, nil where there is none of the name.
	remote *wrenn.Snapshot
	// looked is when a list was asked for that remote was looked for in.
	looked time.Time
	// restored tells that the source is as it was, or cannot be any more.
	restored bool
}

// openSnapshotIntent returns the intent that a Snapshot carries, nil where there is none. One for another name than the
// Snapshot's is not its own.
func openSnapshotIntent(snapshot *v1alpha1.Snapshot) (*snapshotIntent, error) {
	text, ok := snapshot.Annotations[v1alpha1.AnnotationSnapshotIntent]
	if !ok {
		return nil, nil //nolint:nilnil // no intent is the usual case, not a failure
	}
	var intent snapshotIntent
	if err := json.Unmarshal([]byte(text), &intent); err != nil {
		return nil, fmt.Errorf("annotation %s is damaged: %w", v1alpha1.AnnotationSnapshotIntent, err)
	}
	if intent.Name != remoteName(snapshot) {
		return nil, nil //nolint:nilnil // as above
	}
	return &intent, nil
}

// The purposes of a Snapshot's flights.
const (
	purposeCheckName = "check-name"
	purposeTake      = "take"
	purposeLook      = "look"
	purposeRestore   = "restore"
	purposeDelete    = "delete"
)

// snapshotView is a Snapshot as one reconcile sees it.
type snapshotView struct {
	snapshot *v1alpha1.Snapshot
	// before is the Snapshot as it is stored.
	before   *v1alpha1.Snapshot
	observed snapshotObserved
	intent   *snapshotIntent
	// key and team are the connection; where team is nil, unavailable says why.
	key         connection.Key
	team        *connection.Team
	unavailable *connection.UnavailableError
	// looked is when a list was asked for that lacks the remote; zero where none was.
	looked time.Time
	// refusal is why the service refused to take the snapshot.
	refusal error
	// foreign tells that what has the name is somebody else's.
	foreign bool
}

// observe gathers what the plan needs. It takes in the result of a flight that has landed, and asks nobody but the
// caches.
func (r *SnapshotReconciler) observe(ctx context.Context, snapshot *v1alpha1.Snapshot) (*snapshotView, error) {
	view := &snapshotView{snapshot: snapshot, before: snapshot.DeepCopy()}
	var err error
	if view.intent, err = openSnapshotIntent(snapshot); err != nil {
		return nil, err
	}
	if err := r.connect(ctx, view); err != nil {
		return nil, err
	}
	o := &view.observed
	o.deleting = !snapshot.DeletionTimestamp.IsZero()
	o.deletion = snapshot.Spec.DeletionPolicy
	o.chosen = snapshot.Spec.SnapshotName != ""
	o.take = storedTake(view)
	if o.sourced, err = r.sourced(ctx, view); err != nil {
		return nil, err
	}
	o.restore = o.sourced && view.intent.Resume && snapshot.Spec.SourcePolicy == v1alpha1.SourcePolicyResume
	if err := r.takeIn(ctx, view); err != nil {
		return nil, err
	}
	if o.deleting {
		if o.awaited, err = r.awaited(ctx, snapshot); err != nil {
			return nil, err
		}
	}
	return view, nil
}

// sourced tells whether the Sandbox that the spec names has the remote that the intent is about. Anybody who may edit the
// Snapshot may write an intent: it is no reason to touch the remote of another Sandbox. That it has not is believed of
// the API server only: a source that a cache has not heard of would stay paused.
func (r *SnapshotReconciler) sourced(ctx context.Context, view *snapshotView) (bool, error) {
	if view.intent == nil {
		return false, nil
	}
	if has, err := hasSource(ctx, r, view); has || err != nil {
		return has, err
	}
	return hasSource(ctx, r.Direct, view)
}

// hasSource tells whether a reader knows the Sandbox that the spec names to have the remote that the intent is about.
func hasSource(ctx context.Context, reader client.Reader, view *snapshotView) (bool, error) {
	var sandbox v1alpha1.Sandbox
	key := client.ObjectKey{Namespace: view.snapshot.Namespace, Name: view.snapshot.Spec.SandboxRef.Name}
	err := reader.Get(ctx, key, &sandbox)
	return err == nil && sandbox.Status.SandboxID == view.intent.SandboxID, client.IgnoreNotFound(err)
}

// connect finds the team that the Snapshot was or is being taken through.
func (r *SnapshotReconciler) connect(ctx context.Context, view *snapshotView) error {
	bound := view.snapshot.Status.Connection
	if view.intent != nil {
		bound = &view.intent.Connection
	}
	if bound == nil {
		return nil
	}
	view.key = connection.KeyOf(view.snapshot.Namespace, bound.Kind, bound.Name)
	var err error
	if !view.snapshot.DeletionTimestamp.IsZero() && sameConnection(bound, view.snapshot.Status.Connection) {
		view.team, err = r.Resolver.Release(view.snapshot.Namespace, bound)
	} else {
		view.team, err = r.Resolver.Bound(ctx, view.snapshot.Namespace, bound)
	}
	if !errors.As(err, &view.unavailable) {
		return err
	}
	view.unavailable, err = explain(ctx, r.Client, view.key, view.unavailable, !view.snapshot.DeletionTimestamp.IsZero())
	return err
}

// storedTake is how far the stored object says that the taking has come.
func storedTake(view *snapshotView) takeState {
	switch {
	case view.snapshot.Status.CreateTime != nil && view.intent != nil:
		return takeDone
	case view.snapshot.Status.CreateTime != nil:
		return takeRecorded
	case view.intent != nil:
		return takeOpen
	default:
		return takeNone
	}
}

// takeIn takes in what the object's flight has brought, if it has landed. What tells of the remote snapshot stays until
// it is stored.
func (r *SnapshotReconciler) takeIn(ctx context.Context, view *snapshotView) error {
	o, uid := &view.observed, view.snapshot.UID
	found, ok := r.flights.of(uid)
	switch {
	case !ok:
		return nil
	case !found.done:
		o.flying = true
		return nil
	case view.intent != nil && found.purpose == purposeLook && found.result.remote != nil:
		return r.takeInFound(ctx, view, found)
	case view.intent != nil && found.purpose != purposeCheckName && (found.result.remote != nil || found.result.restored):
		r.takeInRemote(view, found)
		return nil
	case found.purpose == purposeTake && clearlyNot(found):
		o.take, view.refusal = takeRefused, found.err
		return nil
	case found.purpose == purposeLook && found.err == nil:
		view.looked = found.result.looked
		if view.looked.After(r.settledFrom(view)) {
			o.take = takeAbsent
		}
		return nil
	}
	r.flights.clear(uid)
	if found.err != nil {
		r.note(view, found.purpose, found.err)
		return nil //nolint:nilerr // the standing tells of it
	}
	o.deleted = found.purpose == purposeDelete
	o.free = found.purpose == purposeCheckName && found.result.remote == nil
	o.taken = found.purpose == purposeCheckName && found.result.remote != nil
	return nil
}

// takeInFound takes in a remote snapshot that was found under the name, if it can be what came of the attempt.
func (r *SnapshotReconciler) takeInFound(ctx context.Context, view *snapshotView, found flight[snapshotOutcome]) error {
	foreign, err := r.foreign(ctx, view, found.result.remote)
	if err != nil {
		return err
	}
	if foreign {
		view.observed.take, view.foreign = takeRefused, true
		return nil
	}
	r.takeInRemote(view, found)
	return nil
}

// foreign tells that a remote snapshot is not what came of the Snapshot, whatever its intent says: it was there before
// the object, or another object has it.
func (r *SnapshotReconciler) foreign(ctx context.Context, view *snapshotView, remote *wrenn.Snapshot) (bool, error) {
	if remote.CreatedAt.Before(view.snapshot.CreationTimestamp.Add(-clockSkew)) {
		return true, nil
	}
	var all v1alpha1.SnapshotList
	err := r.List(ctx, &all)
	return slices.ContainsFunc(all.Items, func(other v1alpha1.Snapshot) bool {
		if other.UID == view.snapshot.UID || other.Status.SnapshotName != remote.Name || other.Status.Connection == nil {
			return false
		}
		team, _ := r.Resolver.Release(other.Namespace, other.Status.Connection)
		return team == view.team
	}), err
}

// note remembers a failed call, for its backoff and for the status.
func (r *SnapshotReconciler) note(view *snapshotView, purpose string, err error) {
	s := problemOf(err)
	if purpose == purposeDelete && wrenn.IsNotFound(err) {
		s = working(v1alpha1.ReasonRemoteUnconfirmed, "Wrenn does not know the snapshot, but was asked with another credential than when it was taken: "+
			"see that this one belongs to the same team, or set spec.deletionPolicy to Orphan")
	}
	r.troubles.note(view.snapshot, s, askedToWait(err))
}

// takeInRemote takes in a remote snapshot that is there. Where only the resuming of its source has failed, that is
// tried again. A flight that only resumed the source, for a process before this one, brings no remote: the status has it.
func (r *SnapshotReconciler) takeInRemote(view *snapshotView, found flight[snapshotOutcome]) {
	o := &view.observed
	o.unsaved = o.take == takeOpen
	o.take = takeDone
	if found.result.restored {
		o.restore = false
	}
	if found.result.remote != nil {
		setTaken(view, found.result.remote)
	}
	if found.purpose == purposeRestore && found.err != nil {
		r.flights.clear(view.snapshot.UID)
		r.troubles.note(view.snapshot, problemOf(found.err), askedToWait(found.err))
	}
}

// clearlyNot tells that the service refused to take the snapshot. That the name is there already is a refusal only for
// the first attempt under an intent; later it may be the fruit of an earlier one.
func clearlyNot(found flight[snapshotOutcome]) bool {
	if wrenn.IsAlreadyExists(found.err) {
		return found.result.looked.IsZero()
	}
	return found.err != nil && !wrenn.IsAmbiguous(found.err)
}

// settledFrom returns from when on a list shows the snapshot, if it was taken.
func (r *SnapshotReconciler) settledFrom(view *snapshotView) time.Time {
	since := view.intent.Time
	if begun := r.term.begin(); begun.After(since) {
		since = begun
	}
	return since.Add(r.Timing.Settle)
}

// awaited tells whether a Sandbox is still to be started from the Snapshot.
func (r *SnapshotReconciler) awaited(ctx context.Context, snapshot *v1alpha1.Snapshot) (bool, error) {
	var sandboxes v1alpha1.SandboxList
	err := r.List(ctx, &sandboxes, client.InNamespace(snapshot.Namespace), client.MatchingFields{indexSandboxSnapshot: snapshot.Name})
	for i := range sandboxes.Items {
		if sandbox := &sandboxes.Items[i]; sandbox.Status.SandboxID == "" && sandbox.DeletionTimestamp.IsZero() {
			return true, err
		}
	}
	return false, err
}

// remoteName is the name of a Snapshot's remote: the chosen one, or one that no other object can have.
func remoteName(snapshot *v1alpha1.Snapshot) string {
	if snapshot.Spec.SnapshotName != "" {
		return snapshot.Spec.SnapshotName
	}
	sum := sha256.Sum256([]byte(snapshot.Namespace + "/" + snapshot.Name + "/" + string(snapshot.UID)))
	readable := strings.Trim(snapshot.Name[:min(len(snapshot.Name), 40)], ".-")
	return readable + "-" + hex.EncodeToString(sum[:8])
}
