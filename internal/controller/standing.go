package controller

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// standing is where an object stands: what its conditions say, and when it is worth another look. Messages must be the
// same from one retry to the next, or each retry would be a write that wakes the next.
type standing struct {
	ready   metav1.ConditionStatus
	phase   phase
	reason  string
	message string
	// again is when to look again without any event; zero for never.
	again time.Duration
	// quiet leaves the status as it is.
	quiet bool
}

// unchanged leaves the status as it is.
func unchanged() standing { return standing{quiet: true} }

// phase is which of Reconciling and Stalled holds.
type phase int

const (
	phaseSettled phase = iota
	phaseReconciling
	phaseStalled
)

// settled is the standing of an object that is as its spec asks.
func settled(reason, message string) standing {
	return standing{ready: metav1.ConditionTrue, phase: phaseSettled, reason: reason, message: message}
}

// working is the standing of an object that will get there without a person's help.
func working(reason, message string) standing {
	return standing{ready: metav1.ConditionFalse, phase: phaseReconciling, reason: reason, message: message}
}

// stalled is the standing of an object that only a person can help.
func stalled(reason, message string) standing {
	return standing{ready: metav1.ConditionFalse, phase: phaseStalled, reason: reason, message: message}
}

// after asks for another look.
func (s standing) after(d time.Duration) standing {
	s.again = d
	return s
}

// atTheLatest asks for another look no later than after d; zero is never.
func (s standing) atTheLatest(d time.Duration) standing {
	if d > 0 && (s.again == 0 || d < s.again) {
		s.again = d
	}
	return s
}

// unknown says that the operator cannot tell whether the object is ready.
func (s standing) unknown() standing {
	s.ready = metav1.ConditionUnknown
	return s
}

// write sets Ready, Reconciling and Stalled.
func (s standing) write(conditions *[]metav1.Condition, generation int64) {
	set := func(conditionType string, status metav1.ConditionStatus) {
		meta.SetStatusCondition(conditions, metav1.Condition{
			Type: conditionType, Status: status, Reason: s.reason, Message: s.message, ObservedGeneration: generation,
		})
	}
	set(v1alpha1.ConditionReady, s.ready)
	for conditionType, holds := range map[string]bool{
		v1alpha1.ConditionReconciling: s.phase == phaseReconciling,
		v1alpha1.ConditionStalled:     s.phase == phaseStalled,
	} {
		if holds {
			set(conditionType, metav1.ConditionTrue)
		} else {
			meta.RemoveStatusCondition(conditions, conditionType)
		}
	}
}

// result is what Reconcile returns for the standing.
func (s standing) result() ctrl.Result { return ctrl.Result{RequeueAfter: s.again} }

// setCondition sets one more condition, with the reason and message of the standing.
func (s standing) setCondition(conditions *[]metav1.Condition, conditionType string, holds bool, generation int64) {
	status := metav1.ConditionFalse
	if holds {
		status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: s.reason, Message: s.message, ObservedGeneration: generation,
	})
}
