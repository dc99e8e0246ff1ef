package controller

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// announce records an event when the reason of the Ready condition has changed, or holds a deletion from now on: a Warning
// where a person or another system has to act, Normal otherwise.
func announce(recorder events.EventRecorder, obj client.Object, before, after []metav1.Condition) {
	if !isNews(before, after) {
		return
	}
	severity, ready := corev1.EventTypeNormal, meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	if meta.IsStatusConditionTrue(after, v1alpha1.ConditionStalled) || troubling[ready.Reason] || holder(obj, after) != "" {
		severity = corev1.EventTypeWarning
	}
	recorder.Eventf(obj, nil, severity, ready.Reason, "Reconcile", "%s", ready.Message)
}

// isNews tells whether a change of the conditions is worth an event.
func isNews(before, after []metav1.Condition) bool {
	was, is := meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	if is == nil || was == nil {
		return is != nil
	}
	return was.Reason != is.Reason || !tellsOfHolding(was) && tellsOfHolding(is)
}

// troubling are the reasons that are worth a Warning although the operator goes on by itself.
var troubling = map[string]bool{
	v1alpha1.ReasonUnauthorized:        true,
	v1alpha1.ReasonEndpointUnreachable: true,
	v1alpha1.ReasonServiceError:        true,
	v1alpha1.ReasonHostMissing:         true,
	v1alpha1.ReasonRemoteUnconfirmed:   true,
	v1alpha1.ReasonBackingOff:          true,
	v1alpha1.ReasonSandboxRefused:      true,
}

// specOrMetadataChanged passes over the controller's own status writes.
func specOrMetadataChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			!e.ObjectNew.GetDeletionTimestamp().IsZero() ||
			!maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()) ||
			e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion()
	}}
}

// respecified passes over changes of the status and the metadata.
func respecified() predicate.Predicate { return predicate.GenerationChangedPredicate{} }

// relabeled passes only changes of labels.
func relabeled() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return !maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels())
		},
	}
}

// deref returns the standing, or an empty one that goes with an error.
func deref(s *standing) standing {
	if s == nil {
		return standing{}
	}
	return *s
}
