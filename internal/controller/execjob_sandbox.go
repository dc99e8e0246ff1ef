package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/execrun"
)

// maxJobInName is how much of a job's name is in that of its Sandbox. With a dash and the hash it is still short enough for
// a label.
const maxJobInName = 52

// sandboxNameOf returns the name of the Sandbox that a job runs in. That of its own is made of its name and UID: the same
// each time, and another for a job of the same name that comes later.
func sandboxNameOf(job *v1alpha1.ExecJob) string {
	if job.Spec.SandboxRef != nil {
		return job.Spec.SandboxRef.Name
	}
	sum := sha256.Sum256([]byte(job.UID))
	name := strings.TrimRight(job.Name[:min(len(job.Name), maxJobInName)], ".-")
	return name + "-" + hex.EncodeToString(sum[:5])
}

// makeSandbox makes the job's own Sandbox.
func (r *ExecJobReconciler) makeSandbox(ctx context.Context, view *jobView) (standing, error) {
	job := view.job
	sandbox := &v1alpha1.Sandbox{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: sandboxNameOf(job),
			Labels:          map[string]string{v1alpha1.LabelExecJob: execrun.LabelValue(job.Name)},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, v1alpha1.GroupVersion.WithKind("ExecJob"))},
		},
		Spec: *job.Spec.SandboxTemplate.Spec.DeepCopy(),
	}
	err := r.Create(ctx, sandbox)
	switch {
	case apierrors.IsAlreadyExists(err):
		return unchanged().after(soon), nil // the cache is behind
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		return working(v1alpha1.ReasonSandboxRefused, "the Sandbox of spec.sandboxTemplate cannot be made: "+apiMessage(err)).after(envInterval), nil
	case err != nil:
		return standing{}, err
	}
	return working(v1alpha1.ReasonSandboxCreating, creating(sandbox.Name)), nil
}

// endSandbox deletes the job's own Sandbox. Nothing else is done until it is gone, with all that ran in it.
func (r *ExecJobReconciler) endSandbox(ctx context.Context, view *jobView) (standing, error) {
	r.runner.Forget(view.job.UID)
	if view.sandbox.DeletionTimestamp.IsZero() {
		err := r.Delete(ctx, view.sandbox, client.Preconditions{UID: &view.sandbox.UID})
		if client.IgnoreNotFound(err) != nil {
			return standing{}, err
		}
	}
	if view.observed.deleting {
		return working(v1alpha1.ReasonDeleting, fmt.Sprintf("Sandbox %q is being destroyed", view.sandbox.Name)), nil
	}
	return unchanged(), nil
}

// wake asks for the Sandbox to be resumed, once: what was asked for and is not done yet is waited for.
func (r *ExecJobReconciler) wake(ctx context.Context, view *jobView) (standing, error) {
	sandbox := view.sandbox
	if wakeOf(sandbox) == sandbox.Status.LastHandledWakeAt {
		original := sandbox.DeepCopy()
		setAnnotation(sandbox, v1alpha1.AnnotationWakeRequestedAt, time.Now().UTC().Format(time.RFC3339Nano))
		if err := patchMetadata(ctx, r.Client, sandbox, original); err != nil {
			return standing{}, err
		}
	}
	return working(v1alpha1.ReasonSandboxResuming, fmt.Sprintf("Sandbox %q was paused by its idle timeout and is being resumed", sandbox.Name)), nil
}

// awaitSandbox says what about the Sandbox is waited for.
func awaitSandbox(view *jobView) standing {
	name, own := sandboxNameOf(view.job), view.observed.own == jobOwnThere
	switch {
	case view.stranger:
		return stalled(v1alpha1.ReasonSandboxNameTaken, fmt.Sprintf("there is a Sandbox %q that is not this job's: delete it", name))
	case view.sandbox == nil:
		return working(v1alpha1.ReasonSandboxNotFound, fmt.Sprintf("waiting for Sandbox %q: create it", name))
	case view.observed.sandbox == jobSandboxAbsent:
		return working(v1alpha1.ReasonSandboxNotFound, fmt.Sprintf("Sandbox %q is being deleted: waiting for another of that name", name))
	case view.observed.sandbox == jobSandboxPaused:
		return working(v1alpha1.ReasonSandboxPaused, fmt.Sprintf("Sandbox %q is declared Paused: set its spec.operatingMode to Running", name))
	case view.observed.sandbox == jobSandboxIdle:
		return working(v1alpha1.ReasonSandboxIdle, fmt.Sprintf(
			"Sandbox %q was paused by its idle timeout: waiting for something to resume it, as spec.wakePolicy asks", name))
	case own && view.sandbox.Status.SandboxID == "":
		return working(v1alpha1.ReasonSandboxCreating, creating(name)+whyNotReady(view.sandbox))
	default:
		return working(v1alpha1.ReasonSandboxNotReady, fmt.Sprintf("waiting for Sandbox %q to run", name)+whyNotReady(view.sandbox))
	}
}

func creating(name string) string { return fmt.Sprintf("Sandbox %q is being made for the job", name) }

// whyNotReady is the reason that a Sandbox itself gives.
func whyNotReady(sandbox *v1alpha1.Sandbox) string {
	if reason := reasonOf(sandbox); reason != "" && !isReady(sandbox.Status.Conditions) {
		return " (" + reason + ")"
	}
	return ""
}

// asleep is where a job stands that fails because its Sandbox idles.
func asleep(view *jobView) standing {
	return failed(v1alpha1.ReasonSandboxAsleep, fmt.Sprintf("Sandbox %q was paused by its idle timeout, and spec.wakePolicy is Fail", view.sandbox.Name))
}

// apiMessage is what the API server says, of bounded length.
func apiMessage(err error) string {
	const limit = 512
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}
