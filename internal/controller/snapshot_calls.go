package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// source finds the remote that the snapshot is to be taken of, or says what is waited for.
func (r *SnapshotReconciler) source(ctx context.Context, view *snapshotView) (*snapshotIntent, *standing, error) {
	name := view.snapshot.Spec.SandboxRef.Name
	wait := func(reason, format string, args ...any) (*snapshotIntent, *standing, error) {
		s := working(reason, fmt.Sprintf(format, args...))
		return nil, &s, nil
	}
	var sandbox v1alpha1.Sandbox
	if err := r.Get(ctx, client.ObjectKey{Namespace: view.snapshot.Namespace, Name: name}, &sandbox); err != nil {
		if apierrors.IsNotFound(err) {
			return wait(v1alpha1.ReasonSandboxNotFound, "waiting for Sandbox %q: create it", name)
		}
		return nil, nil, err
	}
	if !isReady(sandbox.Status.Conditions) || sandbox.Status.SandboxID == "" || sandbox.Status.Connection == nil ||
		!sandbox.DeletionTimestamp.IsZero() {
		return wait(v1alpha1.ReasonSandboxNotReady, "waiting for Sandbox %q to be Ready", name)
	}
	bound := *sandbox.Status.Connection
	view.key = connection.KeyOf(view.snapshot.Namespace, bound.Kind, bound.Name)
	var err error
	view.team, err = r.Resolver.Bound(ctx, view.snapshot.Namespace, &bound)
	switch unavailable := (*connection.UnavailableError)(nil); {
	case errors.As(err, &unavailable):
		return wait(unavailable.Reason, "%s", unavailable.Message)
	case err != nil:
		return nil, nil, err
	}
	return &snapshotIntent{
		Time:       time.Now().UTC().Truncate(time.Millisecond),
		SandboxID:  sandbox.Status.SandboxID,
		Name:       remoteName(view.snapshot),
		Resume:     sandbox.Spec.OperatingMode == v1alpha1.OperatingModeRunning && sandbox.Status.State == v1alpha1.SandboxState(wrenn.StatusRunning),
		Connection: bound,
	}, nil, nil
}

// blocked tells why no call may be made now.
func (r *SnapshotReconciler) blocked(view *snapshotView) (standing, bool) {
	cause := view.unavailable
	if view.team != nil {
		cause = notConnected(view.key, view.team, view.observed.deleting)
	}
	if cause != nil {
		return waitFor(cause, view.observed.deleting), true
	}
	return r.troubles.of(view.snapshot)
}

// checkName looks whether somebody has the name that the user chose, before this object may claim it.
func (r *SnapshotReconciler) checkName(ctx context.Context, view *snapshotView) (standing, error) {
	intent, wait, err := r.source(ctx, view)
	if err != nil || wait != nil {
		return deref(wait), err
	}
	if s, blocked := r.blocked(view); blocked {
		return s, nil
	}
	team := view.team
	r.launch(view, purposeCheckName, r.Timing.Call, func(ctx context.Context) (snapshotOutcome, error) {
		return findSnapshot(ctx, team, intent.Name)
	})
	return unchanged(), nil
}

// begin writes the intent, with the finalizer, and takes the snapshot.
func (r *SnapshotReconciler) begin(ctx context.Context, view *snapshotView) (standing, error) {
	intent, wait, err := r.source(ctx, view)
	if err != nil || wait != nil {
		return deref(wait), err
	}
	if s, blocked := r.blocked(view); blocked {
		return s, nil
	}
	text, err := json.Marshal(intent)
	if err != nil {
		return standing{}, err
	}
	bound, wait, err := bindTo(ctx, r.Resolver, view.key, view.snapshot, view.snapshot.Spec.DeletionPolicy)
	if err != nil || wait != nil {
		return deref(wait), err
	}
	defer bound()
	r.Holds.Hold(view.snapshot.UID, intent.SandboxID)
	err = r.editMetadata(ctx, view, func(snapshot *v1alpha1.Snapshot) {
		controllerutil.AddFinalizer(snapshot, v1alpha1.Finalizer)
		setAnnotation(snapshot, v1alpha1.AnnotationSnapshotIntent, string(text))
	})
	if err != nil {
		r.Holds.Release(view.snapshot.UID)
		return standing{}, err
	}
	view.intent = intent
	r.take(view, time.Time{})
	return working(v1alpha1.ReasonTaking, "the snapshot is being taken"), nil
}

// takeAgain takes the snapshot once more under the intent that is there.
func (r *SnapshotReconciler) takeAgain(view *snapshotView) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	r.flights.clear(view.snapshot.UID)
	r.Holds.Hold(view.snapshot.UID, view.intent.SandboxID)
	r.take(view, time.Now())
	return working(v1alpha1.ReasonTaking, "the snapshot is being taken")
}

// take starts the flight that takes the snapshot and resumes the source. Looked is set when this is not the first
// attempt under the intent.
func (r *SnapshotReconciler) take(view *snapshotView, looked time.Time) {
	team, intent, resume := view.team, *view.intent, view.intent.Resume && view.snapshot.Spec.SourcePolicy == v1alpha1.SourcePolicyResume
	r.launch(view, purposeTake, r.Timing.Take, func(ctx context.Context) (snapshotOutcome, error) {
		remote, err := team.Client.Snapshots.Create(ctx, wrenn.CreateSnapshotRequest{SandboxID: intent.SandboxID, Name: intent.Name})
		if err != nil {
			return snapshotOutcome{looked: looked}, err
		}
		if !resume {
			observeSource(ctx, team, intent.SandboxID)
			return snapshotOutcome{remote: remote}, nil
		}
		err = resumeSource(ctx, team, intent.SandboxID)
		return snapshotOutcome{remote: remote, restored: err == nil}, err
	})
}

// look looks in the list for what came of an attempt.
func (r *SnapshotReconciler) look(view *snapshotView) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	unconfirmed := working(v1alpha1.ReasonTakeUnconfirmed, "taking the snapshot was not answered; looking for what came of it")
	r.Holds.Hold(view.snapshot.UID, view.intent.SandboxID)
	if wait := lookInterval - time.Since(view.looked); wait > 0 {
		return unconfirmed.after(wait)
	}
	r.flights.clear(view.snapshot.UID)
	team, name := view.team, view.intent.Name
	r.launch(view, purposeLook, r.Timing.Call, func(ctx context.Context) (snapshotOutcome, error) {
		return findSnapshot(ctx, team, name)
	})
	return unconfirmed
}

// restore resumes the source.
func (r *SnapshotReconciler) restore(view *snapshotView) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	taken, _ := r.flights.of(view.snapshot.UID)
	r.flights.clear(view.snapshot.UID)
	team, id := view.team, view.intent.SandboxID
	r.launch(view, purposeRestore, r.Timing.Take, func(ctx context.Context) (snapshotOutcome, error) {
		err := resumeSource(ctx, team, id)
		return snapshotOutcome{remote: taken.result.remote, restored: err == nil}, err
	})
	return r.troubles.during(view.snapshot, working(v1alpha1.ReasonRestoringSource, "the snapshot is taken; its source is being resumed"))
}

// delete deletes the remote snapshot and sees that it is gone. That nobody knows it proves so only to the credential that it
// was taken with: another one may be that of another team.
func (r *SnapshotReconciler) delete(view *snapshotView) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	team, name := view.team, view.snapshot.Status.SnapshotName
	sameCredential := view.snapshot.Status.Connection.Fingerprint == team.Fingerprint
	r.launch(view, purposeDelete, r.Timing.Call, func(ctx context.Context) (snapshotOutcome, error) {
		err := team.Client.Snapshots.Delete(ctx, name)
		left, findErr := findSnapshot(ctx, team, name)
		switch {
		case findErr == nil && left.remote == nil && (err == nil || wrenn.IsNotFound(err) && sameCredential):
			return left, nil
		case err != nil:
			return left, err
		case findErr != nil:
			return left, findErr
		default:
			return left, errSnapshotStillThere
		}
	})
	return unchanged()
}

// closeIntent removes the intent and lets the source be.
func (r *SnapshotReconciler) closeIntent(ctx context.Context, view *snapshotView) (standing, error) {
	// From here on the intent alone holds the source: its removal is an event that the Sandbox controller sees.
	r.Holds.Release(view.snapshot.UID)
	err := r.editMetadata(ctx, view, func(snapshot *v1alpha1.Snapshot) {
		delete(snapshot.Annotations, v1alpha1.AnnotationSnapshotIntent)
	})
	if err != nil {
		return standing{}, err
	}
	r.flights.clear(view.snapshot.UID)
	switch {
	case view.foreign:
		return nameTaken(view), nil
	case view.refusal != nil:
		return r.refused(view), nil //nolint:nilerr // the standing tells of the refusal
	case view.observed.take == takeDone:
		return settled(v1alpha1.ReasonTaken, "the snapshot is there").after(soon), nil
	default:
		return unchanged().after(soon), nil
	}
}

// refused is where a Snapshot stands that the service would not take.
func (r *SnapshotReconciler) refused(view *snapshotView) standing {
	if wrenn.IsNameTaken(view.refusal) {
		return nameTaken(view)
	}
	r.troubles.note(view.snapshot, refusalStanding(view.refusal), askedToWait(view.refusal))
	s, _ := r.troubles.of(view.snapshot)
	return s
}

// letGo removes the finalizer.
func (r *SnapshotReconciler) letGo(ctx context.Context, view *snapshotView) (standing, error) {
	err := r.editMetadata(ctx, view, func(snapshot *v1alpha1.Snapshot) {
		controllerutil.RemoveFinalizer(snapshot, v1alpha1.Finalizer)
	})
	if err != nil {
		return standing{}, err
	}
	r.Holds.Release(view.snapshot.UID)
	r.troubles.forget(view.snapshot.UID)
	r.flights.clear(view.snapshot.UID)
	return unchanged(), nil
}

func (r *SnapshotReconciler) launch(view *snapshotView, purpose string, limit time.Duration, call func(context.Context) (snapshotOutcome, error)) {
	r.flights.launch(view.snapshot.UID, client.ObjectKeyFromObject(view.snapshot), purpose, limit, call)
}

// editMetadata writes a change of the Snapshot's metadata, conflict-checked.
func (r *SnapshotReconciler) editMetadata(ctx context.Context, view *snapshotView, edit func(*v1alpha1.Snapshot)) error {
	unchanged, status := view.snapshot.DeepCopy(), view.snapshot.Status.DeepCopy()
	edit(view.snapshot)
	if equality.Semantic.DeepEqual(unchanged.ObjectMeta, view.snapshot.ObjectMeta) {
		return nil
	}
	if err := patchMetadata(ctx, r.Client, view.snapshot, unchanged); err != nil {
		return err
	}
	view.before = view.snapshot.DeepCopy()
	view.snapshot.Status = *status
	return nil
}

// findSnapshot looks for a snapshot in the team's list.
func findSnapshot(ctx context.Context, team *connection.Team, name string) (snapshotOutcome, error) {
	looked := time.Now()
	list, err := team.Client.Snapshots.List(ctx)
	for i := range list {
		if list[i].Name == name {
			return snapshotOutcome{remote: &list[i], looked: looked}, err
		}
	}
	return snapshotOutcome{looked: looked}, err
}

// resumeSource resumes a sandbox that a snapshot has left paused. One that is not paused needs no resuming, and one that
// has ended cannot be helped.
func resumeSource(ctx context.Context, team *connection.Team, id string) error {
	handle := team.Client.Sandbox(id)
	now, err := handle.Get(ctx)
	if err != nil {
		return err
	}
	if now.Status != wrenn.StatusPaused {
		team.Observe(*now)
		return nil
	}
	resumed, err := handle.Resume(ctx)
	_, err = reach(ctx, team, handle, wrenn.StatusRunning, resumed, err)
	return err
}

// observeSource lets the inventory know at once that the source is paused. Where that fails, the next list will.
func observeSource(ctx context.Context, team *connection.Team, id string) {
	if now, err := team.Client.Sandbox(id).Get(ctx); err == nil {
		team.Observe(*now)
	}
}

// setTaken writes what is known of the remote snapshot into the status.
func setTaken(view *snapshotView, remote *wrenn.Snapshot) {
	tellSnapshot(&view.snapshot.Status, remote, view.intent.Time)
	bound := view.intent.Connection
	view.snapshot.Status.Connection = &bound
}
