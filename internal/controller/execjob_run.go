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

// claim puts the finalizer on, so that no process and no Sandbox can outlive the object, and goes on.
func (r *ExecJobReconciler) claim(ctx context.Context, view *jobView) (standing, error) {
	original := view.job.DeepCopy()
	controllerutil.AddFinalizer(view.job, v1alpha1.Finalizer)
	if err := patchMetadata(ctx, r.Client, view.job, original); err != nil {
		return standing{}, err
	}
	view.before = view.job.DeepCopy()
	view.observed.held = true
	return r.perform(ctx, view, planExecJob(view.observed))
}

// record binds the job to the remote that it is about to run in. The command is not started before this is
// written: from then on the job has had this attempt. What the status says of the attempt before goes.
func (r *ExecJobReconciler) record(view *jobView) standing {
	last := view.job.Status
	view.progress = execrun.Progress{}
	view.job.Status = v1alpha1.ExecJobStatus{
		Conditions: last.Conditions,
		StartTime:  last.StartTime, PausedSince: last.PausedSince, PausedSeconds: last.PausedSeconds,
		Attempts: last.Attempts + 1, Active: 1, Failed: last.Failed,
		SandboxName: view.sandbox.Name, SandboxID: view.sandbox.Status.SandboxID, EnvVersion: view.secrets,
	}
	if last.StartTime == nil {
		view.job.Status.StartTime = &metav1.Time{Time: time.Now()}
	}
	view.records = true
	return working(v1alpha1.ReasonStarting, "the command is being started").after(time.Millisecond)
}

// follow has the runner start the command, unless that was done, and tells how far it is.
func (r *ExecJobReconciler) follow(view *jobView) standing {
	if view.missing != nil && view.job.Status.PID == 0 {
		return working(view.missing.Reason, view.missing.Message).after(envInterval)
	}
	r.runner.Ensure(view.attempt(r), execrun.Follow)
	if view.missing != nil {
		return underWay(view).atTheLatest(envInterval) // with it, the tails can be shown again
	}
	return underWay(view)
}

// stop has the runner end the processes of a command that is overdue, or suspended.
func (r *ExecJobReconciler) stop(view *jobView) standing {
	r.runner.Ensure(view.attempt(r), execrun.Stop)
	return underWay(view)
}

// discard has the runner end the processes of a job that is deleted, and remove its files.
func (r *ExecJobReconciler) discard(view *jobView) standing {
	r.runner.Ensure(view.attempt(r), execrun.Discard)
	if view.progress.Phase == "" {
		return working(v1alpha1.ReasonStopping, "the processes of the command are being ended")
	}
	return underWay(view)
}

// hold is where a suspended job stands of which nothing runs.
func hold(view *jobView) standing {
	resetClock(&view.job.Status)
	return working(v1alpha1.ReasonSuspended, "spec.suspend is true: set it to false to have the command run")
}

// withdraw ends an attempt that does not count.
func (r *ExecJobReconciler) withdraw(view *jobView) standing {
	r.endAttempt(view)
	if view.observed.suspended {
		return hold(view)
	}
	return working(v1alpha1.ReasonStarting, "the command was ended and is being started anew").after(soon)
}

// retry ends an attempt that failed, and says when the next one is due.
func (r *ExecJobReconciler) retry(view *jobView) standing {
	r.endAttempt(view)
	status := &view.job.Status
	status.Failed++
	delay := r.Timing.retryAfter(status.Failed)
	status.NextAttemptTime = &metav1.Time{Time: time.Now().Add(delay)}
	return working(v1alpha1.ReasonBackingOff, fmt.Sprintf("attempt %d failed: %s; another one follows", status.Attempts, outcome(view).message)).
		after(delay)
}

// awaitTime is where a job stands whose next attempt is not due yet.
func awaitTime(view *jobView) standing {
	ready := meta.FindStatusCondition(view.job.Status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && ready.Reason == v1alpha1.ReasonBackingOff {
		return working(ready.Reason, ready.Message)
	}
	return working(v1alpha1.ReasonBackingOff, "the last attempt failed; another one follows")
}

// endAttempt writes how the attempt under way ended. What the environment of the next one refers to is read anew.
func (r *ExecJobReconciler) endAttempt(view *jobView) {
	r.commands.Delete(view.job.UID)
	view.job.Status.Active = 0
	describeOutcome(&view.job.Status, view.progress)
}

// deleteObject deletes the object itself, unless it has changed since it was looked at.
func (r *ExecJobReconciler) deleteObject(ctx context.Context, view *jobView) (standing, error) {
	uid, version := view.job.UID, view.job.ResourceVersion
	err := r.Delete(ctx, view.job, client.Preconditions{UID: &uid, ResourceVersion: &version})
	return unchanged(), client.IgnoreNotFound(err)
}

// letGo removes the finalizer.
func (r *ExecJobReconciler) letGo(ctx context.Context, view *jobView) (standing, error) {
	original := view.job.DeepCopy()
	controllerutil.RemoveFinalizer(view.job, v1alpha1.Finalizer)
	if err := patchMetadata(ctx, r.Client, view.job, original); err != nil {
		return standing{}, err
	}
	r.forget(view.job.UID)
	return unchanged().after(soon), nil
}

// attempt is the job's attempt, as the runner needs to know it.
func (v *jobView) attempt(r *ExecJobReconciler) execrun.Attempt {
	attempt := execrun.Attempt{
		Job:        execrun.Job{NamespacedName: client.ObjectKeyFromObject(v.job), UID: v.job.UID},
		Number:     v.job.Status.Attempts,
		SandboxID:  v.job.Status.SandboxID,
		Sandbox:    r.access(client.ObjectKey{Namespace: v.job.Namespace, Name: v.job.Status.SandboxName}, v.job.Status.SandboxID),
		Command:    v.command,
		Attached:   v.job.Spec.Attachment == v1alpha1.ExecAttachmentAttached,
		Started:    v.job.Status.PID != 0,
		HideTails:  !v.secretsKnown(),
		ConfigMaps: v.job.Spec.Output.ConfigMaps,
		LimitBytes: int64(v.job.Spec.Output.LimitBytes),
		TailBytes:  int(v.job.Spec.Output.TailBytes),
	}
	if files := v.job.Spec.Files; len(files) > 0 {
		attempt.Files = func(ctx context.Context) ([]execrun.File, error) { return r.files(ctx, attempt.Job.Namespace, files) }
	}
	if v.sandbox != nil && v.sandbox.Status.Connection != nil {
		bound := v.sandbox.Status.Connection
		attempt.Connection = bound.Fingerprint
		if team, err := r.Resolver.Release(v.job.Namespace, bound); err == nil {
			attempt.Streams = team.Streams()
		}
	}
	if number, known := r.recorded.Load(v.job.UID); !known || number != v.job.Status.Attempts {
		attempt.Resumed = true
	}
	for _, artifact := range v.job.Spec.Artifacts {
		attempt.Artifacts = append(attempt.Artifacts, execrun.Artifact{Name: artifact.Name, Path: artifact.Path})
	}
	if v.sandbox != nil {
		attempt.SandboxVersion, attempt.Asleep = v.sandbox.ResourceVersion, usefulness(v.sandbox) != jobSandboxUsable
		if idle := v.sandbox.Status.IdleTimeoutSeconds; idle > 0 {
			attempt.PingInterval = pingInterval(idle)
		}
	}
	return attempt
}

// files reads those that are to be written before the command is started.
func (r *ExecJobReconciler) files(ctx context.Context, namespace string, specs []v1alpha1.SandboxFile) ([]execrun.File, error) {
	read, err := r.sources().files(ctx, namespace, specs)
	if unread := (*unreadFileError)(nil); errors.As(err, &unread) {
		return nil, &execrun.ConditionError{Reason: unread.reason(v1alpha1.ReasonFileSourceNotFound), Message: unread.Error()}
	}
	if err != nil {
		return nil, &execrun.ConditionError{Reason: v1alpha1.ReasonFileSourceNotFound, Message: "what spec.files refers to cannot be read; trying again"}
	}
	files := make([]execrun.File, len(read))
	for i, file := range read {
		files[i] = execrun.File{Path: file.path, Content: file.content}
	}
	return files, nil
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
	s := phaseStandings[view.progress.Phase]
	switch {
	case view.observed.sandbox == jobSandboxPaused:
		return working(v1alpha1.ReasonSandboxPaused, "the Sandbox is declared Paused, and the command with it")
	case view.progress.Reason != "":
		return working(view.progress.Reason, view.progress.Message)
	case view.progress.Phase == "" && view.job.Status.PID != 0:
		// After a start of the operator, until the runner has taken the command up again.
		if ready := meta.FindStatusCondition(view.job.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			return working(ready.Reason, ready.Message)
		}
	}
	return s
}
