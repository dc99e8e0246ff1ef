package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/execrun"
)

// jobView is an ExecJob as one reconcile sees it.
type jobView struct {
	job *v1alpha1.ExecJob
	// before is the ExecJob as it is stored.
	before   *v1alpha1.ExecJob
	observed jobObserved
	// sandbox is the referenced Sandbox, nil where there is none.
	sandbox *v1alpha1.Sandbox
	// command is what to run; missing says why some of its environment is not known.
	command execrun.Command
	missing *execrun.ConditionError
	// progress is how far the attempt is, where the runner knows of it.
	progress execrun.Progress
	// left is how long the command may still run; zero where there is no deadline or it has not begun.
	left time.Duration
}

// observe gathers what the plan needs.
func (r *ExecJobReconciler) observe(ctx context.Context, job *v1alpha1.ExecJob) (*jobView, error) {
	view := &jobView{job: job, before: job.DeepCopy()}
	o := &view.observed
	o.deleting = !job.DeletionTimestamp.IsZero()
	o.held = hasFinalizer(job)
	o.finished = isFinished(job)
	o.recorded = job.Status.Attempts > 0
	var err error
	if view.sandbox, err = r.sandboxOf(ctx, job); err != nil {
		return nil, err
	}
	o.sandbox = usefulness(view.sandbox, job)
	if progress, known := r.runner.Progress(job.UID); known {
		view.progress, o.phase = progress, progress.Phase
	}
	if !o.finished && !o.deleting && (o.recorded || o.sandbox == jobSandboxUsable) {
		if err := r.resolve(ctx, view); err != nil {
			return nil, err
		}
	}
	if deadline := job.Spec.ActiveDeadlineSeconds; deadline > 0 && !view.progress.StartedAt.IsZero() {
		view.left = time.Until(view.progress.StartedAt.Add(time.Duration(deadline) * time.Second))
		o.overdue = view.left <= 0
	}
	return view, nil
}

// sandboxOf returns the Sandbox that a job refers to, nil where there is none.
func (r *ExecJobReconciler) sandboxOf(ctx context.Context, job *v1alpha1.ExecJob) (*v1alpha1.Sandbox, error) {
	var sandbox v1alpha1.Sandbox
	err := r.Get(ctx, client.ObjectKey{Namespace: job.Namespace, Name: job.Spec.SandboxRef.Name}, &sandbox)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // there being none is an answer
	}
	return &sandbox, err
}

// usefulness tells what a Sandbox is good for. A job that has begun is bound to the remote that it began in.
func usefulness(sandbox *v1alpha1.Sandbox, job *v1alpha1.ExecJob) jobSandbox {
	if sandbox == nil || !sandbox.DeletionTimestamp.IsZero() {
		return jobSandboxAbsent
	}
	if bound := job.Status.SandboxID; bound != "" {
		ready := meta.FindStatusCondition(sandbox.Status.Conditions, v1alpha1.ConditionReady)
		if sandbox.Status.SandboxID != "" && sandbox.Status.SandboxID != bound {
			return jobSandboxLost
		}
		if ready != nil && (ready.Reason == v1alpha1.ReasonLost || ready.Reason == v1alpha1.ReasonExpired) {
			return jobSandboxLost
		}
	}
	switch {
	case sandbox.Spec.OperatingMode == v1alpha1.OperatingModePaused:
		return jobSandboxPaused
	case meta.IsStatusConditionTrue(sandbox.Status.Conditions, v1alpha1.ConditionRunning) && sandbox.Status.SandboxID != "":
		return jobSandboxUsable
	default:
		return jobSandboxWaiting
	}
}

// resolve finds the value of every variable, once.
func (r *ExecJobReconciler) resolve(ctx context.Context, view *jobView) error {
	uid := view.job.UID
	if known, ok := r.commands.Load(uid); ok {
		view.command, view.observed.resolved = known.(execrun.Command), true //nolint:forcetypeassert // nothing else is stored
		return nil
	}
	command := execrun.Command{
		Args: view.job.Spec.Command, Script: view.job.Spec.Script, Dir: view.job.Spec.WorkingDir,
	}
	view.command = command
	for i := range view.job.Spec.Env {
		variable := &view.job.Spec.Env[i]
		value, err := r.valueOf(ctx, view.job.Namespace, variable)
		if errors.As(err, &view.missing) {
			return nil
		}
		if err != nil {
			return err
		}
		command.Env = append(command.Env, execrun.EnvVar{Name: variable.Name, Value: value, Secret: variable.SecretKeyRef != nil})
	}
	view.command, view.observed.resolved = command, true
	r.commands.Store(uid, command)
	return nil
}

// valueOf reads the value of one variable. The error is an *execrun.ConditionError where what it refers to is not there.
func (r *ExecJobReconciler) valueOf(ctx context.Context, namespace string, variable *v1alpha1.ExecEnvVar) (string, error) {
	if variable.Value != nil {
		return *variable.Value, nil
	}
	value, err := readSource(ctx, r.Direct, namespace, variable.SecretKeyRef, variable.ConfigMapKeyRef)
	var absent *absentSourceError
	if errors.As(err, &absent) {
		return "", &execrun.ConditionError{Reason: v1alpha1.ReasonEnvNotFound, Message: fmt.Sprintf(
			"waiting for %s, which the variable %s refers to: create it", absent, variable.Name)}
	}
	return string(value), err
}

func isFinished(job *v1alpha1.ExecJob) bool {
	return meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionComplete) ||
		meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionFailed)
}
