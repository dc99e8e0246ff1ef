package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// rest is where a Sandbox stands whose remote is as the spec asks.
func (r *SandboxReconciler) rest(view *sandboxView) standing {
	view.sandbox.Status.LastHandledWakeAt = wakeOf(view.sandbox)
	view.sandbox.Status.OperatingMode = view.observed.mode
	r.troubles.forget(view.sandbox.UID)
	switch {
	case view.observed.remote == remoteRunning:
		return settled(v1alpha1.ReasonRunning, "the sandbox runs").atTheLatest(view.pingLater)
	case view.observed.mode == v1alpha1.OperatingModePaused:
		return settled(v1alpha1.ReasonPaused, "the sandbox is paused, as declared")
	default:
		return settled(v1alpha1.ReasonIdlePaused, "the sandbox was paused by its idle timeout")
	}
}

// lost is where a Sandbox stands whose remote is gone and is not to be replaced.
func lost(view *sandboxView) standing {
	return stalled(v1alpha1.ReasonLost, "the remote sandbox is "+string(view.remote.Status)+
		": set spec.recoveryPolicy to Recreate for a fresh one, or delete this Sandbox")
}

// awaitCall leaves the status as it is, but for a destruction that takes its time. One that is tried again goes on
// telling what has held it.
func (r *SandboxReconciler) awaitCall(view *sandboxView) standing {
	if !view.observed.deleting || holder(view.sandbox, view.sandbox.Status.Conditions) != "" {
		return unchanged()
	}
	if wait := time.Until(view.sandbox.DeletionTimestamp.Add(r.Timing.ShowAfter)); wait > 0 {
		return unchanged().after(wait)
	}
	return r.troubles.during(view.sandbox, working(v1alpha1.ReasonDeleting, "the remote sandbox is being destroyed"))
}

// awaitState is for states that pass by themselves.
func (r *SandboxReconciler) awaitState(view *sandboxView) standing {
	view.team.Await(view.sandbox.Status.SandboxID)
	switch view.observed.remote {
	case remoteMissing:
		return working(v1alpha1.ReasonHostMissing, "Wrenn has lost touch with the host of the sandbox")
	case remotePending:
		return working(v1alpha1.ReasonCreating, "the sandbox is being made")
	default:
		return working(v1alpha1.ReasonServiceError, "Wrenn reports the state "+string(view.remote.Status)+", which this version does not know")
	}
}

// awaitList leaves the status of a Sandbox that is well as it is: after a start of the operator the list is a moment
// away. One whose connection is gone is told so.
func (r *SandboxReconciler) awaitList(view *sandboxView) standing {
	ready := isReady(view.sandbox.Status.Conditions)
	switch {
	case view.team == nil && (view.unavailable.Reason != v1alpha1.ReasonConnectionNotReady || !ready):
		return working(view.unavailable.Reason, view.unavailable.Message)
	case view.team == nil || ready:
		return unchanged()
	}
	if s, waits := view.disconnected(); waits {
		return s
	}
	return unchanged().after(soon)
}

// describe writes what is known into the status.
func (r *SandboxReconciler) describe(view *sandboxView, s standing) {
	sandbox, status := view.sandbox, &view.sandbox.Status
	if view.observed.deleting {
		s = s.ofDeleted()
	}
	s.write(&status.Conditions, sandbox.Generation)
	running := view.observed.remote == remoteRunning && s.ready == metav1.ConditionTrue
	s.setCondition(&status.Conditions, v1alpha1.ConditionRunning, running, sandbox.Generation)
	status.ObservedGeneration = sandbox.Generation
	status.ExpirationTime = endOfLife(sandbox)
	if view.team != nil && status.SandboxID != "" {
		status.Connection = &v1alpha1.BoundConnection{Kind: view.key.Kind, Name: view.key.Name, Fingerprint: view.team.Fingerprint}
		status.Endpoints = endpoints(view)
	}
	if view.remote == nil {
		return
	}
	tellRemote(status, view.remote)
	if !equality.Semantic.DeepEqual(status, &view.before.Status) {
		// Never the reason for a write, but welcome along with one.
		status.LastActiveTime = timeOf(view.remote.LastActiveAt)
	}
}

// endpoints returns the URL of each port of the spec.
func endpoints(view *sandboxView) []v1alpha1.SandboxEndpoint {
	handle := view.team.Client.Sandbox(view.sandbox.Status.SandboxID)
	var found []v1alpha1.SandboxEndpoint
	for _, port := range view.sandbox.Spec.Ports {
		if url, err := handle.URL(int(port.Port)); err == nil {
			found = append(found, v1alpha1.SandboxEndpoint{Name: port.Name, URL: url})
		}
	}
	return found
}

// editMetadata writes a change of the Sandbox's metadata, conflict-checked.
func (r *SandboxReconciler) editMetadata(ctx context.Context, view *sandboxView, edit func(*v1alpha1.Sandbox) error) error {
	unchanged, status := view.sandbox.DeepCopy(), view.sandbox.Status.DeepCopy()
	if err := edit(view.sandbox); err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(unchanged.ObjectMeta, view.sandbox.ObjectMeta) {
		return nil
	}
	if err := patchMetadata(ctx, r.Client, view.sandbox, unchanged); err != nil {
		return err
	}
	view.before = view.sandbox.DeepCopy()
	view.sandbox.Status = *status
	return nil
}

func isReady(conditions []metav1.Condition) bool {
	return meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady)
}

func setAnnotation(obj client.Object, key, value string) {
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	obj.SetAnnotations(annotations)
}
