package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/execrun"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

const (
	// envInterval is how often a missing Secret or ConfigMap is looked for: neither is watched.
	envInterval = 3 * time.Second
	// slowestPing is the longest interval of the pings that keep a sandbox awake.
	slowestPing = 30 * time.Second
)

// awaitSandbox says what about the Sandbox is waited for.
func awaitSandbox(view *jobView) standing {
	name := view.job.Spec.SandboxRef.Name
	switch {
	case view.sandbox == nil:
		return working(v1alpha1.ReasonSandboxNotFound, fmt.Sprintf("waiting for Sandbox %q: create it", name))
	case view.observed.sandbox == jobSandboxPaused:
		return working(v1alpha1.ReasonSandboxPaused, fmt.Sprintf("Sandbox %q is declared Paused: set its spec.operatingMode to Running", name))
	default:
		return working(v1alpha1.ReasonSandboxNotReady, fmt.Sprintf("waiting for Sandbox %q to run", name))
	}
}

// claim puts the finalizer on, so that no process can outlive the object.
func (r *ExecJobReconciler) claim(ctx context.Context, view *jobView) (standing, error) {
	original := view.job.DeepCopy()
	controllerutil.AddFinalizer(view.job, v1alpha1.Finalizer)
	if err := patchMetadata(ctx, r.Client, view.job, original); err != nil {
		return standing{}, err
	}
	view.before = view.job.DeepCopy()
	return recordAttempt(view), nil
}

// recordAttempt binds the job to the remote that it is about to run in. The command is not started before this is
// written: from then on the job has had its attempt.
func recordAttempt(view *jobView) standing {
	now := metav1.Now()
	status := &view.job.Status
	status.Attempts = 1
	status.StartTime = &now
	status.SandboxName = view.sandbox.Name
	status.SandboxID = view.sandbox.Status.SandboxID
	return working(v1alpha1.ReasonStarting, "the command is being started").after(time.Millisecond)
}

// follow has the runner start the command, unless that was done, and tells how far it is.
func (r *ExecJobReconciler) follow(view *jobView) standing {
	if view.missing != nil && view.job.Status.PID == 0 {
		return working(v1alpha1.ReasonEnvNotFound, view.missing.Message).after(envInterval)
	}
	r.runner.Ensure(view.attempt(r), execrun.Follow)
	return underWay(view).after(max(0, view.left))
}

// stop has the runner end the processes of a command that is overdue.
func (r *ExecJobReconciler) stop(view *jobView) standing {
	r.runner.Ensure(view.attempt(r), execrun.Stop)
	return underWay(view)
}

// discard has the runner end the processes of a job that is deleted, and remove its files.
func (r *ExecJobReconciler) discard(view *jobView) standing {
	r.runner.Ensure(view.attempt(r), execrun.Discard)
	if view.observed.phase == "" {
		return working(v1alpha1.ReasonStopping, "the processes of the command are being ended")
	}
	return underWay(view)
}

// letGo removes the finalizer.
func (r *ExecJobReconciler) letGo(ctx context.Context, view *jobView) (standing, error) {
	original := view.job.DeepCopy()
	controllerutil.RemoveFinalizer(view.job, v1alpha1.Finalizer)
	if err := patchMetadata(ctx, r.Client, view.job, original); err != nil {
		return standing{}, err
	}
	r.forget(view.job.UID)
	return unchanged(), nil
}

// attempt is the job's attempt, as the runner needs to know it.
func (v *jobView) attempt(r *ExecJobReconciler) execrun.Attempt {
	attempt := execrun.Attempt{
		Job:        execrun.Job{NamespacedName: client.ObjectKeyFromObject(v.job), UID: v.job.UID},
		Number:     v.job.Status.Attempts,
		Sandbox:    r.access(client.ObjectKey{Namespace: v.job.Namespace, Name: v.job.Status.SandboxName}, v.job.Status.SandboxID),
		Command:    v.command,
		Started:    v.job.Status.PID != 0,
		HideTails:  v.missing != nil,
		LimitBytes: int64(v.job.Spec.Output.LimitBytes),
		TailBytes:  int(v.job.Spec.Output.TailBytes),
	}
	if v.sandbox != nil {
		attempt.SandboxVersion = v.sandbox.ResourceVersion
		if idle := time.Duration(idleTimeout(v.sandbox)) * time.Second; idle > 0 {
			attempt.PingInterval = min(idle/3, slowestPing)
		}
	}
	return attempt
}

// access returns a function that finds a remote sandbox each time anew: its connection's key may have been replaced.
func (r *ExecJobReconciler) access(name client.ObjectKey, id string) func(context.Context) (*wrenn.SandboxHandle, error) {
	return func(ctx context.Context) (*wrenn.SandboxHandle, error) {
		var sandbox v1alpha1.Sandbox
		if err := r.Get(ctx, name, &sandbox); err != nil {
			return nil, &execrun.ConditionError{Reason: v1alpha1.ReasonSandboxNotFound, Message: "the Sandbox cannot be read"}
		}
		if sandbox.Status.SandboxID != id {
			return nil, &execrun.ConditionError{Reason: v1alpha1.ReasonSandboxNotReady, Message: "the Sandbox has another remote sandbox"}
		}
		handle, err := r.Resolver.Sandbox(ctx, &sandbox)
		if unavailable := (*connection.UnavailableError)(nil); errors.As(err, &unavailable) {
			return nil, &execrun.ConditionError{Reason: unavailable.Reason, Message: unavailable.Message}
		}
		return handle, err
	}
}

// phaseStandings are where a job stands whose attempt has nothing more to say than its phase.
var phaseStandings = map[execrun.Phase]standing{
	"":                  working(v1alpha1.ReasonStarting, "the command is being started"),
	execrun.Starting:    working(v1alpha1.ReasonStarting, "the command is being started"),
	execrun.Following:   working(v1alpha1.ReasonExecuting, "the command runs"),
	execrun.Reattaching: working(v1alpha1.ReasonReattaching, "the stream of the command was lost and is being taken up again"),
	execrun.Waiting:     working(v1alpha1.ReasonSandboxNotReady, "the sandbox does not run"),
	execrun.Stopping:    working(v1alpha1.ReasonStopping, "the processes of the command are being ended"),
	execrun.Cleaning:    working(v1alpha1.ReasonStopping, "the command's files are being removed from the sandbox"),
	execrun.Finished:    working(v1alpha1.ReasonStopping, "the command has ended"),
	execrun.StartFailed: working(v1alpha1.ReasonStopping, "the command was not started"),
}

// underWay is where a job stands whose command is being started, runs or is being ended.
func underWay(view *jobView) standing {
	s := phaseStandings[view.observed.phase]
	switch {
	case view.observed.sandbox == jobSandboxPaused:
		return working(v1alpha1.ReasonSandboxPaused, "the Sandbox is declared Paused, and the command with it")
	case view.progress.Reason != "":
		return working(view.progress.Reason, view.progress.Message)
	case view.observed.phase == "" && view.job.Status.PID != 0:
		// After a start of the operator, until the runner has taken the command up again.
		if ready := meta.FindStatusCondition(view.job.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			return working(ready.Reason, ready.Message)
		}
	}
	return s
}
