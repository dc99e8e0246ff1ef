package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Condition types that every kind of this API has.
const (
	// ConditionReady is True when the object is what its spec asks for, False when it is not, and Unknown when
	// the operator cannot tell. It is always present once the operator has visited the object. A Sandbox that is
	// declared Paused and is paused is Ready; so is one that its own idle timeout has paused. An ExecJob is Ready
	// when it has succeeded.
	ConditionReady = "Ready"

	// ConditionReconciling is present, and True, while the operator is working towards the spec or waiting for
	// something that will come without a person's help. It is absent otherwise, and never beside Stalled.
	ConditionReconciling = "Reconciling"

	// ConditionStalled is present, and True, when only a person can help: a changed spec, another credential, or
	// a request for one more try. It is absent otherwise, and never beside Reconciling.
	ConditionStalled = "Stalled"
)

// Condition types that some kinds have besides.
const (
	// ConditionRunning is True on a Sandbox that can be used at this moment, and False on any other. It is what a
	// script waits for before it runs something.
	ConditionRunning = "Running"

	// ConditionComplete is True on an ExecJob whose command ended with exit code 0. It is absent until then.
	ConditionComplete = "Complete"

	// ConditionSuspended is True on an ExecJob that spec.suspend holds. It is absent otherwise.
	ConditionSuspended = "Suspended"

	// ConditionFailed is True on an ExecJob that will not run again and did not succeed. It is absent otherwise.
	ConditionFailed = "Failed"
)

// Reasons that conditions of more than one kind give.
const (
	// ReasonConnectionNotFound says that no Connection or ClusterConnection of the wanted name can be used here:
	// there is none, or the ClusterConnection is not lent to this namespace. Waiting: it is used as soon as there
	// is one.
	ReasonConnectionNotFound = "ConnectionNotFound"

	// ReasonConnectionNotReady says that the Connection is there but cannot be used yet; its own Ready condition
	// says why. Waiting.
	ReasonConnectionNotReady = "ConnectionNotReady"

	// ReasonUnauthorized says that Wrenn refuses the credential. On a Connection it stalls until the Secret holds
	// another key; everything that uses the Connection waits.
	ReasonUnauthorized = "Unauthorized"

	// ReasonEndpointUnreachable says that no answer came from the endpoint, or none that Wrenn would give.
	// Retried with backoff.
	ReasonEndpointUnreachable = "EndpointUnreachable"

	// ReasonServiceError says that Wrenn failed to do what it was asked. Retried with backoff.
	ReasonServiceError = "ServiceError"

	// ReasonInvalidRequest says that Wrenn refuses what the spec asks for. Stalled until the spec changes.
	ReasonInvalidRequest = "InvalidRequest"

	// ReasonSandboxNotFound says that there is no Sandbox of the referenced name in the namespace. Waiting.
	ReasonSandboxNotFound = "SandboxNotFound"

	// ReasonSandboxNotReady says that the referenced Sandbox is there but cannot be used yet. Waiting.
	ReasonSandboxNotReady = "SandboxNotReady"

	// ReasonDeleting says that the object is being deleted and what it stands for is being ended.
	ReasonDeleting = "Deleting"
)

// ConditionsOf returns the conditions of an object of this API, whatever its kind, and the generation that they speak of:
// what a tool needs that waits for objects. It returns nothing for an object of another API.
func ConditionsOf(obj runtime.Object) (conditions []metav1.Condition, observedGeneration int64) {
	switch o := obj.(type) {
	case *Sandbox:
		return o.Status.Conditions, o.Status.ObservedGeneration
	case *Snapshot:
		return o.Status.Conditions, o.Status.ObservedGeneration
	case *ExecJob:
		return o.Status.Conditions, o.Status.ObservedGeneration
	case *Connection:
		return o.Status.Conditions, o.Status.ObservedGeneration
	case *ClusterConnection:
		return o.Status.Conditions, o.Status.ObservedGeneration
	}
	return nil, 0
}
