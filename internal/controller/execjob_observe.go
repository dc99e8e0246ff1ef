package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
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
	// sandbox is the Sandbox to run in, nil where there is none. One that has the name of the job's own, and is not, is
	// none; stranger tells of it.
	sandbox  *v1alpha1.Sandbox
	stranger bool
	// command is what to run; missing says why some of its environment is not known.
	command execrun.Command
	missing *execrun.ConditionError
	// secrets are the versions of the Secrets that the environment is taken from, as a hash.
	secrets string
	// progress is how far the last attempt is, where the runner knows of it.
	progress execrun.Progress
	// records tells that the status that is to be written records an attempt.
	records bool
	// again is when the next moment comes that the plan depends on; zero for never.
	again time.Duration
}

// observe gathers what the plan needs.
func (r *ExecJobReconciler) observe(ctx context.Context, job *v1alpha1.ExecJob) (*jobView, error) {
	view := &jobView{job: job, before: job.DeepCopy()}
	o := &view.observed
	o.deleting = !job.DeletionTimestamp.IsZero()
	o.held = hasFinalizer(job)
	o.finished = isFinished(job)
	o.active = job.Status.Active > 0
	o.suspended = ptr.Deref(job.Spec.Suspend, false)
	view.observeTimes(time.Now())
	var err error
	if view.sandbox, err = r.sandboxOf(ctx, job); err != nil {
		return nil, err
	}
	if job.Spec.SandboxTemplate != nil {
		switch {
		case view.sandbox == nil:
			o.own = jobOwnUnmade
		case metav1.IsControlledBy(view.sandbox, job):
			o.own = jobOwnThere
		default:
			view.sandbox, view.stranger = nil, true
		}
	}
	o.wake = job.Spec.WakePolicy
	if progress, known := r.runner.Progress(job.UID, job.Status.Attempts); known {
		view.progress = progress
	}
	view.observeSandbox()
	if !o.finished && !o.deleting && (o.active || (o.due && !o.suspended && o.sandbox == jobSandboxUsable)) {
		return view, r.resolve(ctx, view)
	}
	return view, nil
}

// sandboxOf returns the Sandbox of a job's name for it, nil where there is none. A cache that is behind the job's must
// neither have it fail nor have its own Sandbox forgotten: that the remote is gone is believed of the API server only.
func (r *ExecJobReconciler) sandboxOf(ctx context.Context, job *v1alpha1.ExecJob) (*v1alpha1.Sandbox, error) {
	sandbox, err := readSandbox(ctx, r, job)
	if err != nil || !hasFinalizer(job) || job.Status.Attempts == 0 || !remoteGone(sandbox, job.Status.SandboxID) {
		return sandbox, err
	}
	return readSandbox(ctx, r.Direct, job)
}

// readSandbox reads the Sandbox of a job's name for it, nil where there is none.
func readSandbox(ctx context.Context, reader client.Reader, job *v1alpha1.ExecJob) (*v1alpha1.Sandbox, error) {
	var sandbox v1alpha1.Sandbox
	err := reader.Get(ctx, client.ObjectKey{Namespace: job.Namespace, Name: sandboxNameOf(job)}, &sandbox)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // there being none is an answer
	}
	return &sandbox, err
}

// observeSandbox fills in what the Sandbox is good for, and what became of the last attempt in it.
func (v *jobView) observeSandbox() {
	o, status := &v.observed, &v.job.Status
	o.sandbox = usefulness(v.sandbox)
	gone := remoteGone(v.sandbox, status.SandboxID) || v.progress.Phase == execrun.Lost
	o.left = status.Attempts > 0 && !gone && v.progress.Phase != execrun.Cleaned
	if o.active {
		o.ending = endingOf(v.progress, o.suspended, o.overdue)
		if o.ending == jobUnderWay && gone {
			o.ending = jobRemoteGone
		}
	}
	o.retries = status.Failed < ptr.Deref(v.job.Spec.BackoffLimit, 0)
	if exit := v.progress.Exit; exit != nil && exit.Kind == execrun.StreamLost {
		o.retries = false // it may still run
	}
	if o.ending == jobRemoteGone {
		o.retries = o.retries && isReplaced(v.sandbox, status.SandboxID)
	}
	if v.progress.Phase == execrun.Lost && v.sandbox != nil && v.sandbox.Status.SandboxID == status.SandboxID && o.sandbox == jobSandboxUsable {
		o.sandbox = jobSandboxWaiting // its controller has yet to notice
	}
}

// usefulness tells what a Sandbox is good for.
func usefulness(sandbox *v1alpha1.Sandbox) jobSandbox {
	switch {
	case sandbox == nil || !sandbox.DeletionTimestamp.IsZero():
		return jobSandboxAbsent
	case sandbox.Spec.OperatingMode == v1alpha1.OperatingModePaused:
		return jobSandboxPaused
	case meta.IsStatusConditionTrue(sandbox.Status.Conditions, v1alpha1.ConditionRunning) && sandbox.Status.SandboxID != "":
		return jobSandboxUsable
	case reasonOf(sandbox) == v1alpha1.ReasonIdlePaused:
		return jobSandboxIdle
	default:
		return jobSandboxWaiting
	}
}

// reasonOf is that of a Sandbox's Ready condition, empty where it has none.
func reasonOf(sandbox *v1alpha1.Sandbox) string {
	if ready := meta.FindStatusCondition(sandbox.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

// remoteGone tells that a remote that was a Sandbox's is not any more. An attempt is bound to the one that it began in.
func remoteGone(sandbox *v1alpha1.Sandbox, id string) bool {
	if usefulness(sandbox) == jobSandboxAbsent || (sandbox.Status.SandboxID != "" && sandbox.Status.SandboxID != id) {
		return true
	}
	reason := reasonOf(sandbox)
	return reason == v1alpha1.ReasonLost || reason == v1alpha1.ReasonExpired
}

// isReplaced tells that a Sandbox has, or gets, another remote in the place of one that is gone.
func isReplaced(sandbox *v1alpha1.Sandbox, id string) bool {
	if usefulness(sandbox) == jobSandboxAbsent {
		return false
	}
	return (sandbox.Status.SandboxID != "" && sandbox.Status.SandboxID != id) ||
		sandbox.Spec.RecoveryPolicy == v1alpha1.RecoveryPolicyRecreate
}

// resolvedCommand is what a job runs, with the versions of the Secrets that are in it.
type resolvedCommand struct {
	command execrun.Command
	secrets string
}

// secretsKnown tells whether the command has the values of the Secrets that are in its environment. Others may be there
// after a start of the operator, when somebody has changed a Secret.
func (v *jobView) secretsKnown() bool {
	return v.missing == nil && v.secrets == v.job.Status.EnvVersion
}

// resolve finds the value of every variable, once.
func (r *ExecJobReconciler) resolve(ctx context.Context, view *jobView) error {
	uid := view.job.UID
	if known, ok := r.commands.Load(uid); ok {
		resolved := known.(resolvedCommand) //nolint:forcetypeassert // nothing else is stored
		view.command, view.secrets, view.observed.resolved = resolved.command, resolved.secrets, true
		return nil
	}
	command := execrun.Command{
		Args: view.job.Spec.Command, Script: view.job.Spec.Script, Dir: view.job.Spec.WorkingDir,
	}
	command.Stdin = view.job.Spec.Stdin
	if code := view.job.Spec.Code; code != nil {
		command.Script, command.Language = code.Source, code.Language
	}
	view.command = command
	versions := sha256.New()
	for i := range view.job.Spec.Env {
		variable := &view.job.Spec.Env[i]
		value, version, err := r.valueOf(ctx, view.job.Namespace, variable)
		if errors.As(err, &view.missing) {
			return nil
		}
		if err != nil {
			return err
		}
		command.Env = append(command.Env, execrun.EnvVar{Name: variable.Name, Value: value, Secret: variable.SecretKeyRef != nil})
		if variable.SecretKeyRef != nil {
			_, _ = fmt.Fprintln(versions, version) // a hash takes everything
			view.secrets = hex.EncodeToString(versions.Sum(nil)[:8])
		}
	}
	view.command, view.observed.resolved = command, true
	r.commands.Store(uid, resolvedCommand{command: command, secrets: view.secrets})
	return nil
}

// valueOf reads the value of one variable, and the version of what it is read from. The error is an
// *execrun.ConditionError where there is no value in what it refers to.
func (r *ExecJobReconciler) valueOf(ctx context.Context, namespace string, variable *v1alpha1.ExecEnvVar) (value, version string, err error) {
	if variable.Value != nil {
		return *variable.Value, "", nil
	}
	content, version, err := r.sources().read(ctx, namespace, variable.SecretKeyRef, variable.ConfigMapKeyRef)
	if without := (*sourceError)(nil); errors.As(err, &without) {
		return "", "", &execrun.ConditionError{
			Reason: without.reason(v1alpha1.ReasonEnvNotFound), Message: without.explain("which the variable " + variable.Name + " refers to"),
		}
	}
	return string(content), version, err
}

func (r *ExecJobReconciler) sources() sources {
	return sources{direct: r.Direct, cached: r, operatorNamespace: r.OperatorNamespace}
}

func isFinished(job *v1alpha1.ExecJob) bool {
	return meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionComplete) ||
		meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionFailed)
}
