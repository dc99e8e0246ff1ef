package controller

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// blocked tells why no call may be made now: the last one failed and its backoff runs, or the connection is not usable.
func (r *SandboxReconciler) blocked(view *sandboxView) (standing, bool) {
	if s, waits := view.disconnected(); waits {
		return s, true
	}
	return r.troubles.of(view.sandbox)
}

// disconnected tells why the connection cannot be used now.
func (v *sandboxView) disconnected() (standing, bool) {
	cause := v.unavailable
	if v.team != nil {
		cause = notConnected(v.key, v.team, v.observed.deleting)
	}
	if cause == nil {
		return standing{}, false
	}
	return waitFor(cause, v.observed.deleting), true
}

// pause pauses the remote. That it is about to is written first: an idle pause must never be taken for this one, nor
// this one for an idle pause.
func (r *SandboxReconciler) pause(view *sandboxView) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	pausing := working(v1alpha1.ReasonPausing, "the sandbox is being paused")
	if status := &view.sandbox.Status; status.OperatingMode != v1alpha1.OperatingModePaused {
		status.OperatingMode = v1alpha1.OperatingModePaused
		return pausing.after(soon)
	}
	team, handle := view.team, view.team.Client.Sandbox(view.sandbox.Status.SandboxID)
	r.launch(view, purposePause, r.Timing.Call, func(ctx context.Context) (wrenn.Sandbox, error) {
		paused, err := handle.Pause(ctx)
		return reach(ctx, team, handle, wrenn.StatusPaused, paused, err)
	})
	return r.troubles.during(view.sandbox, pausing)
}

// resume resumes the remote.
func (r *SandboxReconciler) resume(view *sandboxView) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	team, handle := view.team, view.team.Client.Sandbox(view.sandbox.Status.SandboxID)
	r.launch(view, purposeResume, r.Timing.Call, func(ctx context.Context) (wrenn.Sandbox, error) {
		resumed, err := handle.Resume(ctx)
		return reach(ctx, team, handle, wrenn.StatusRunning, resumed, err)
	})
	return r.troubles.during(view.sandbox, working(v1alpha1.ReasonResuming, "the sandbox is being resumed"))
}

// reach ends a call that changes the state. A failure is compared with what the service says afterwards: the answer may
// be all that was lost, or someone else may have been faster.
func reach(ctx context.Context, team *connection.Team, handle *wrenn.SandboxHandle, wanted wrenn.Status, changed *wrenn.Sandbox, err error) (wrenn.Sandbox, error) {
	if err == nil {
		team.Observe(*changed)
		return *changed, nil
	}
	now, getErr := handle.Get(ctx)
	if getErr != nil {
		return wrenn.Sandbox{}, err
	}
	team.Observe(*now)
	if now.Status == wanted || now.Status.Final() {
		return *now, nil
	}
	return *now, err
}

// confirm asks about a remote that the list lacks.
func (r *SandboxReconciler) confirm(view *sandboxView) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	team, handle := view.team, view.team.Client.Sandbox(view.sandbox.Status.SandboxID)
	r.launch(view, purposeConfirm, r.Timing.Call, func(ctx context.Context) (wrenn.Sandbox, error) {
		now, err := handle.Get(ctx)
		if err != nil {
			return wrenn.Sandbox{}, err
		}
		team.Observe(*now)
		return *now, nil
	})
	return unchanged()
}

// destroy destroys the remote and sees that it is stopped.
func (r *SandboxReconciler) destroy(ctx context.Context, view *sandboxView) (standing, error) {
	if s, blocked := r.blocked(view); blocked {
		return s, nil
	}
	if outdated, err := r.outdated(ctx, view.sandbox); outdated || err != nil {
		return unchanged().after(time.Second), err
	}
	team, id := view.team, view.sandbox.Status.SandboxID
	r.launch(view, purposeDestroy, r.Timing.Call, func(ctx context.Context) (wrenn.Sandbox, error) {
		return destroyRemote(ctx, team, id)
	})
	switch {
	case view.observed.deleting:
		return unchanged().after(r.Timing.ShowAfter), nil
	case view.observed.expired:
		return r.troubles.during(view.sandbox, working(v1alpha1.ReasonExpiring,
			"the end of the sandbox's life has come: the remote is being destroyed")), nil
	}
	return r.troubles.during(view.sandbox, replacing()), nil
}

// replacing is where a Sandbox stands that gets another remote.
func replacing() standing {
	return working(v1alpha1.ReasonRecreating, "the lost sandbox is being replaced")
}

// outdated tells whether the API server has a newer spec than the cache. A destruction cannot be taken back, so that it is
// not done on the word of a cache that is behind: somebody may have put off the end, or want the remote kept.
func (r *SandboxReconciler) outdated(ctx context.Context, sandbox *v1alpha1.Sandbox) (bool, error) {
	var stored v1alpha1.Sandbox
	err := r.Direct.Get(ctx, client.ObjectKeyFromObject(sandbox), &stored)
	return err == nil && stored.UID == sandbox.UID && stored.Generation != sandbox.Generation, client.IgnoreNotFound(err)
}

// destroyRemote sends DELETE, also to a sandbox that is said to be stopped, since that frees a microVM which the service
// has lost track of. It succeeds only when the service then says that the sandbox is stopped.
func destroyRemote(ctx context.Context, team *connection.Team, id string) (wrenn.Sandbox, error) {
	handle := team.Client.Sandbox(id)
	err := handle.Destroy(ctx)
	now, getErr := handle.Get(ctx)
	switch {
	case getErr != nil && err != nil:
		return wrenn.Sandbox{}, err
	case getErr != nil:
		return wrenn.Sandbox{}, getErr
	}
	team.Observe(*now)
	switch {
	case now.Status.Final() && (err == nil || wrenn.IsNotFound(err)):
		return *now, nil
	case err != nil:
		return *now, err
	default:
		return *now, errStillThere
	}
}

// letGo removes the finalizer.
func (r *SandboxReconciler) letGo(ctx context.Context, view *sandboxView) (standing, error) {
	err := r.editMetadata(ctx, view, func(sandbox *v1alpha1.Sandbox) error {
		controllerutil.RemoveFinalizer(sandbox, v1alpha1.Finalizer)
		return nil
	})
	if err != nil {
		return standing{}, err
	}
	r.flights.abandon(view.sandbox.UID)
	r.troubles.forget(view.sandbox.UID)
	r.pings.forget(view.sandbox.UID)
	r.endings.forget(view.sandbox.UID)
	if view.team != nil && !view.observed.claimed {
		view.team.Forget(view.sandbox.Status.SandboxID)
	}
	return unchanged(), nil
}

// note remembers a failed call, for its backoff and for the status.
func (r *SandboxReconciler) note(view *sandboxView, purpose string, err error) {
	s := problemOf(err)
	switch {
	case purpose == purposeFiles:
		s = filesProblem(err)
	case wrenn.IsNotFound(err) && purpose == purposeCreate:
		s = stalled(v1alpha1.ReasonTemplateNotFound, "Wrenn has no such template: build it, or create another Sandbox with another template")
	case wrenn.IsNotFound(err) && purpose == purposeFind:
		s = stalled(v1alpha1.ReasonAdoptedNotFound, "Wrenn knows no sandbox of the id in spec.adoptID, or none of this team: "+
			"see that the connection's credential belongs to the team that has it, or create another Sandbox")
	case wrenn.IsNotFound(err):
		s = working(v1alpha1.ReasonRemoteUnconfirmed, "Wrenn does not know the sandbox, but does not say that it is gone either: "+
			"see that the connection's credential belongs to the team that has it").unknown()
	}
	r.troubles.note(view.sandbox, s, askedToWait(err))
}
