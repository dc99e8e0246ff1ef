package controller

import (
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// find asks about the remote that the spec names, before anything is claimed of it: an object that names nothing of its
// team must not be held by a finalizer.
func (r *SandboxReconciler) find(view *sandboxView) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	team, handle := view.team, view.team.Client.Sandbox(view.sandbox.Spec.AdoptID)
	r.launch(view, purposeFind, r.Timing.Call, func(ctx context.Context) (wrenn.Sandbox, error) {
		found, err := handle.Get(ctx)
		if err != nil {
			return wrenn.Sandbox{}, err
		}
		team.Observe(*found)
		return *found, nil
	})
	return r.troubles.during(view.sandbox, working(v1alpha1.ReasonAdopting, "the remote sandbox that spec.adoptID names is being looked at"))
}

// claim takes over the remote that the spec names. The annotation is the claim; it is written with the finalizer, before
// the status.
func (r *SandboxReconciler) claim(ctx context.Context, view *sandboxView) (standing, error) {
	bound, wait, err := r.bind(ctx, view)
	if err != nil || wait != nil {
		return deref(wait), err
	}
	defer bound()
	id := view.sandbox.Spec.AdoptID
	err = r.editMetadata(ctx, view, func(sandbox *v1alpha1.Sandbox) error {
		controllerutil.AddFinalizer(sandbox, v1alpha1.Finalizer)
		setAnnotation(sandbox, v1alpha1.AnnotationSandboxID, id)
		return nil
	})
	if err != nil {
		return standing{}, err
	}
	return r.adopt(view, id), nil
}

// claimed tells whether the remote with an id is another Sandbox's. Anybody who may edit a Sandbox may write the
// annotation and the field that claim a remote; the status is the operator's own.
func (r *SandboxReconciler) claimed(ctx context.Context, sandbox *v1alpha1.Sandbox, id string) (bool, error) {
	if id == "" {
		return false, nil
	}
	var claiming v1alpha1.SandboxList
	err := r.List(ctx, &claiming, client.MatchingFields{indexSandboxID: id})
	return slices.ContainsFunc(claiming.Items, func(other v1alpha1.Sandbox) bool {
		return other.UID != sandbox.UID && goesBefore(&other, sandbox, id)
	}), err
}

// goesBefore tells which of two Sandboxes has a remote that both claim: the one whose status names it, or else the older
// one. Every replica, and every look, comes to the same answer.
func goesBefore(other, sandbox *v1alpha1.Sandbox, id string) bool {
	if had, has := other.Status.SandboxID == id, sandbox.Status.SandboxID == id; had != has {
		return had
	}
	if !other.CreationTimestamp.Equal(&sandbox.CreationTimestamp) {
		return other.CreationTimestamp.Before(&sandbox.CreationTimestamp)
	}
	return other.UID < sandbox.UID
}

// claimsOf are the ids of the remotes that a Sandbox claims, in whatever way.
func claimsOf(sandbox *v1alpha1.Sandbox) []string {
	ids := slices.Concat(present(sandbox.Status.SandboxID), present(sandbox.Annotations[v1alpha1.AnnotationSandboxID]), present(sandbox.Spec.AdoptID))
	slices.Sort(ids)
	return slices.Compact(ids)
}

// claimedByAnother is where a Sandbox stands that names a remote which it may not have.
func claimedByAnother(view *sandboxView) standing {
	view.sandbox.Status.SandboxID, view.remote = "", nil
	return stalled(v1alpha1.ReasonSandboxClaimed, "the remote sandbox that spec.adoptID or the annotation "+
		v1alpha1.AnnotationSandboxID+" names is another Sandbox's: remove the annotation for one of its own, or delete this Sandbox").
		after(outcomeInterval)
}
