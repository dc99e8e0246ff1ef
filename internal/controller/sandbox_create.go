package controller

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// limitInterval is how often a team that has as many sandboxes as it may is looked at again.
const limitInterval = 5 * time.Second

// defaultTemplate is what a sandbox starts from where its spec names nothing.
const defaultTemplate = "minimal"

// begin writes the intent, with the finalizer, and asks for a remote. Only the holder of the latest view of the object
// gets past the write, so two views of one object never ask twice.
func (r *SandboxReconciler) begin(ctx context.Context, view *sandboxView) (standing, error) {
	if s, blocked := r.blocked(view); blocked {
		return s, nil
	}
	if view.observed.bound {
		if wait := r.endings.wait(view.sandbox); wait > 0 {
			return replacing().after(wait), nil
		}
	}
	request, wait, err := r.request(ctx, view)
	if err != nil || wait != nil {
		return deref(wait), err
	}
	bound, wait, err := r.bind(ctx, view)
	if err != nil || wait != nil {
		return deref(wait), err
	}
	defer bound()
	team := view.team
	leave, ok := team.Reserve()
	if !ok {
		return working(v1alpha1.ReasonLimitReached, fmt.Sprintf("the team of %s has as many sandboxes as its spec.limits.maxSandboxes allows: "+
			"delete others, or raise it", view.key)).after(limitInterval), nil
	}
	through := v1alpha1.BoundConnection{Kind: view.key.Kind, Name: view.key.Name, Fingerprint: team.Fingerprint}
	intent := newCreateIntent(clusterBits(r.ClusterUID), through, request, team.TakesTokens(), view.sandbox.Status.SandboxID)
	if intent.Token == 0 {
		list, _ := team.Sandboxes()
		intent.Earlier = earlierThan(r.attempt(view.sandbox, intent), list)
	}
	err = r.editMetadata(ctx, view, func(sandbox *v1alpha1.Sandbox) error {
		controllerutil.AddFinalizer(sandbox, v1alpha1.Finalizer)
		return intent.writeTo(sandbox)
	})
	if err != nil {
		leave()
		return standing{}, err
	}
	launched := r.launch(view, purposeCreate, r.Timing.Create, func(ctx context.Context) (wrenn.Sandbox, error) {
		defer leave()
		release, err := team.AcquireCreate(ctx)
		if err != nil {
			return wrenn.Sandbox{}, fmt.Errorf("wait for a free place among the creates: %w", err)
		}
		defer release()
		created, err := team.Client.Sandboxes.Create(ctx, intent.request(request))
		r.Metrics.created(err)
		if err != nil {
			return wrenn.Sandbox{}, err
		}
		team.Observe(*created)
		return *created, nil
	})
	if !launched {
		leave()
		return unchanged().after(r.Timing.ShowAfter), nil
	}
	if view.observed.bound {
		r.endings.replaced(view.sandbox)
	}
	r.flights.undoable(view.sandbox.UID, undoCreate(team), findCreated(team, intent))
	return unchanged().after(r.Timing.ShowAfter), nil
}

// request returns what to ask for, or why that is not known yet.
func (r *SandboxReconciler) request(ctx context.Context, view *sandboxView) (wrenn.CreateSandboxRequest, *standing, error) {
	spec, request := view.sandbox.Spec, requestOf(view.sandbox)
	if spec.SnapshotRef == nil {
		return request, nil, nil
	}
	var snapshot v1alpha1.Snapshot
	key := client.ObjectKey{Namespace: view.sandbox.Namespace, Name: spec.SnapshotRef.Name}
	switch err := r.Get(ctx, key, &snapshot); {
	case apierrors.IsNotFound(err):
		wait := working(v1alpha1.ReasonSnapshotNotFound, fmt.Sprintf("waiting for Snapshot %q: create it", key.Name))
		return request, &wait, nil
	case err != nil:
		return request, nil, err
	}
	if wait, ok := startable(&snapshot, view.key); !ok {
		return request, &wait, nil
	}
	request.Template = snapshot.Status.SnapshotName
	return request, nil, nil
}

// requestOf returns what the spec alone asks for.
func requestOf(sandbox *v1alpha1.Sandbox) wrenn.CreateSandboxRequest {
	request := wrenn.CreateSandboxRequest{
		Template: sandbox.Spec.Template, VCPUs: sandbox.Spec.VCPUs, MemoryMB: sandbox.Spec.MemoryMiB, TimeoutSec: idleTimeout(sandbox),
	}
	if request.Template == "" {
		request.Template = defaultTemplate
	}
	return request
}

// startable tells whether a sandbox can be started from a Snapshot through a connection, and if not, why.
func startable(snapshot *v1alpha1.Snapshot, through connection.Key) (standing, bool) {
	taken := snapshot.Status.Connection
	switch {
	case snapshot.Status.CreateTime == nil || (!isReady(snapshot.Status.Conditions) && snapshot.DeletionTimestamp.IsZero()):
		return working(v1alpha1.ReasonSnapshotNotReady, fmt.Sprintf("waiting for Snapshot %q to be Ready", snapshot.Name)), false
	case taken == nil || connection.KeyOf(snapshot.Namespace, taken.Kind, taken.Name) != through:
		return stalled(v1alpha1.ReasonInvalidRequest, fmt.Sprintf("Snapshot %q was taken through another connection: "+
			"name that connection in spec.connectionRef", snapshot.Name)), false
	default:
		return standing{}, true
	}
}

// awaitCreate shows a create that takes its time.
func (r *SandboxReconciler) awaitCreate(view *sandboxView) standing {
	if view.intent == nil {
		return unchanged()
	}
	if wait := time.Until(view.intent.Time.Add(r.Timing.ShowAfter)); wait > 0 {
		return unchanged().after(wait)
	}
	if view.intent.Replaces != "" {
		return working(v1alpha1.ReasonRecreating, "another sandbox is being made in place of the lost one")
	}
	return working(v1alpha1.ReasonCreating, "the sandbox is being made")
}

// save has the status name the new remote. The annotation that repeats it can wait.
func (r *SandboxReconciler) save(view *sandboxView) standing {
	if view.intent != nil && view.intent.Replaces != "" && view.intent.Replaces != view.sandbox.Status.SandboxID {
		view.sandbox.Status.Recreations++
	}
	r.wakeups.wakeLater(client.ObjectKeyFromObject(view.sandbox))
	r.observeUse(view)
	if view.observed.remote != remoteRunning || view.observed.mode != v1alpha1.OperatingModeRunning || view.observed.filesDue {
		return working(v1alpha1.ReasonCreating, "the sandbox has been made")
	}
	return r.rest(view)
}

// record brings the annotations up to date: what is to outlive a lost status, and no intent.
func (r *SandboxReconciler) record(ctx context.Context, view *sandboxView) (standing, error) {
	id := view.sandbox.Status.SandboxID
	err := r.editMetadata(ctx, view, func(sandbox *v1alpha1.Sandbox) error {
		controllerutil.AddFinalizer(sandbox, v1alpha1.Finalizer)
		delete(sandbox.Annotations, v1alpha1.AnnotationCreateIntent)
		delete(sandbox.Annotations, v1alpha1.AnnotationCreateOutcome)
		setAnnotation(sandbox, v1alpha1.AnnotationSandboxID, id)
		if written := view.sandbox.Status.FilesWritten; written != "" {
			setAnnotation(sandbox, v1alpha1.AnnotationFilesWritten, written)
		}
		return nil
	})
	return r.rest(view), err
}

// closeIntent ends an attempt that nothing came of.
func (r *SandboxReconciler) closeIntent(ctx context.Context, view *sandboxView) (standing, error) {
	err := r.editMetadata(ctx, view, func(sandbox *v1alpha1.Sandbox) error {
		delete(sandbox.Annotations, v1alpha1.AnnotationCreateIntent)
		delete(sandbox.Annotations, v1alpha1.AnnotationCreateOutcome)
		return nil
	})
	if err != nil {
		return standing{}, err
	}
	r.flights.clear(view.sandbox.UID)
	if view.landed == nil {
		return unchanged().after(soon), nil
	}
	if wrenn.IsInvalidRequest(view.landed.err) && idleTimeout(view.sandbox) == 0 {
		// It may be the token that is refused. An attempt without one shows: where that is refused too, it was not. A team
		// that cannot be used any more is asked anew once it can.
		if view.team != nil {
			view.team.RefuseTokens(view.intent.Token != 0)
		}
		if view.intent.Token != 0 {
			return unchanged().after(soon), nil
		}
	}
	r.note(view, purposeCreate, view.landed.err)
	s, _ := r.troubles.of(view.sandbox)
	return s, nil
}
