package main

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// wanted is the reference model: where a Sandbox comes to rest, by its spec and by what was done to its remote past the
// operator. It says nothing of how it gets there.
func wanted(sandbox *v1alpha1.Sandbox, suffered fate) want {
	spec := sandbox.Spec
	idles := spec.IdleTimeoutSeconds != nil && *spec.IdleTimeoutSeconds > 0
	switch {
	case hasExpired(sandbox):
		return want{reasons: []string{v1alpha1.ReasonExpired}}
	case suffered.ended && spec.RecoveryPolicy != v1alpha1.RecoveryPolicyRecreate:
		// One in which nothing has run is replaced all the same, and then it is not the one that the Sandbox has.
		return want{reasons: []string{v1alpha1.ReasonLost}}
	case spec.OperatingMode == v1alpha1.OperatingModePaused:
		return want{reasons: []string{v1alpha1.ReasonPaused}, state: wrenndev.StatusPaused}
	case idles && spec.IdlePolicy != v1alpha1.IdlePolicyKeepRunning && *spec.IdleTimeoutSeconds <= shortIdle:
		return want{reasons: []string{v1alpha1.ReasonIdlePaused}, state: wrenndev.StatusPaused}
	case suffered.paused && !suffered.ended && idles && spec.IdlePolicy != v1alpha1.IdlePolicyKeepRunning && sandbox.Status.State == v1alpha1.SandboxState(wrenndev.StatusPaused):
		// A pause that nobody declared is an idle pause, wherever there can be one.
		return want{reasons: []string{v1alpha1.ReasonIdlePaused}, state: wrenndev.StatusPaused}
	default:
		return want{reasons: []string{v1alpha1.ReasonRunning}, state: wrenndev.StatusRunning}
	}
}

// hasExpired tells whether the end of a Sandbox's life has come.
func hasExpired(sandbox *v1alpha1.Sandbox) bool {
	spec := sandbox.Spec
	born := sandbox.CreationTimestamp.Time
	return spec.TTLSeconds > 0 && time.Since(born) > time.Duration(spec.TTLSeconds)*time.Second ||
		spec.ShutdownTime != nil && time.Now().After(spec.ShutdownTime.Time)
}

// wantedJob is where an ExecJob comes to rest, by its spec and the Sandbox that it is to run in, nil where that is not
// there, and whether it does so as it is now.
func wantedJob(job *v1alpha1.ExecJob, sandbox *v1alpha1.Sandbox) (want, bool) {
	there := sandbox != nil && sandbox.DeletionTimestamp.IsZero()
	runs := there && meta.IsStatusConditionTrue(sandbox.Status.Conditions, v1alpha1.ConditionRunning)
	ready := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case isFinished(job):
		return want{}, len(job.Finalizers) == 0 || job.Spec.SandboxTemplate == nil && !runs
	case ready == nil:
		return want{}, false
	case job.Spec.Suspend != nil && *job.Spec.Suspend:
		return want{reasons: []string{v1alpha1.ReasonSuspended}}, ready.Reason == v1alpha1.ReasonSuspended
	case job.Spec.SandboxTemplate != nil || runs:
		return want{}, false // it has all it needs to be finished
	case !there:
		return want{reasons: []string{v1alpha1.ReasonSandboxNotFound}}, true
	default:
		return want{reasons: []string{v1alpha1.ReasonSandboxPaused, v1alpha1.ReasonSandboxNotReady, v1alpha1.ReasonSandboxIdle}}, true
	}
}
