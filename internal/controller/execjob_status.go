package controller

import (
	"fmt"
	"math"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/execrun"
)

// conclude is where a job stands whose attempt is over.
func conclude(view *jobView) standing {
	progress := view.progress
	switch {
	case progress.Phase == execrun.Lost:
		return concludeLost(view)
	case progress.Phase == execrun.StartFailed:
		return failed(v1alpha1.ReasonStartFailed, progress.Message)
	case progress.Exit == nil:
		return failed(v1alpha1.ReasonExitUnknown, "the command has left no exit code")
	case progress.Exit.Stopped && view.observed.overdue:
		return failed(v1alpha1.ReasonDeadlineExceeded, fmt.Sprintf("the command ran longer than %d s and was ended", view.job.Spec.ActiveDeadlineSeconds))
	}
	switch exit := progress.Exit; {
	case exit.Kind == execrun.Exited && exit.Code == 0:
		return settled(v1alpha1.ReasonSucceeded, "the command ended with exit code 0").after(soon)
	case exit.Kind == execrun.Exited:
		return failed(v1alpha1.ReasonNonZeroExit, fmt.Sprintf("the command ended with exit code %d", exit.Code))
	case exit.Kind == execrun.Signaled:
		return failed(v1alpha1.ReasonSignaled, fmt.Sprintf("the command was ended by signal %d", exit.Code))
	default:
		return failed(v1alpha1.ReasonExitUnknown, "the command does not run any more and has left no exit code")
	}
}

// concludeLost is where a job stands whose remote sandbox went before its command's end was known.
func concludeLost(view *jobView) standing {
	return failed(v1alpha1.ReasonSandboxLost, fmt.Sprintf("the remote sandbox of Sandbox %q was gone before the end of the command was known",
		view.job.Status.SandboxName))
}

// failed is where a finished job stands that did not succeed. A person is needed only in that no retry comes by itself.
func failed(reason, message string) standing { return stalled(reason, message).after(soon) }

// finishedReasons are those that a finished job has, and no other.
var finishedReasons = map[string]string{
	v1alpha1.ReasonSucceeded:        v1alpha1.ConditionComplete,
	v1alpha1.ReasonNonZeroExit:      v1alpha1.ConditionFailed,
	v1alpha1.ReasonSignaled:         v1alpha1.ConditionFailed,
	v1alpha1.ReasonDeadlineExceeded: v1alpha1.ConditionFailed,
	v1alpha1.ReasonSandboxLost:      v1alpha1.ConditionFailed,
	v1alpha1.ReasonStartFailed:      v1alpha1.ConditionFailed,
	v1alpha1.ReasonExitUnknown:      v1alpha1.ConditionFailed,
}

// describeJob writes where the ExecJob stands, and how far its command is, into the status.
func describeJob(view *jobView, s standing) {
	job, status := view.job, &view.job.Status
	s.write(&status.Conditions, job.Generation)
	status.ObservedGeneration = job.Generation
	describeProgress(status, view.progress)
	condition, finished := finishedReasons[s.reason]
	if !finished || view.observed.deleting {
		return
	}
	s.setCondition(&status.Conditions, condition, true, job.Generation)
	now := metav1.Now()
	status.CompletionTime = &now
	if exit := view.progress.Exit; exit != nil {
		describeExit(status, exit)
	}
}

func describeProgress(status *v1alpha1.ExecJobStatus, progress execrun.Progress) {
	if progress.Phase == "" {
		return
	}
	if progress.PID != 0 {
		status.PID = progress.PID
	}
	if len(progress.ConfigMaps) == 0 && progress.Stdout.Bytes == 0 && progress.Stderr.Bytes == 0 && progress.Exit == nil {
		return // the runner has not looked at what is stored yet
	}
	status.StdoutTail, status.StderrTail = progress.Stdout.Tail, progress.Stderr.Tail
	out, errs := progress.Stdout.Bytes, progress.Stderr.Bytes
	status.StdoutBytes, status.StderrBytes = &out, &errs
	status.Truncated = progress.Truncated
	status.OutputConfigMaps = progress.ConfigMaps
}

func describeExit(status *v1alpha1.ExecJobStatus, exit *execrun.Exit) {
	switch exit.Kind {
	case execrun.Exited:
		code := exit.Code
		status.ExitCode = &code
	case execrun.Signaled:
		status.Signal = exit.Code
	case execrun.Unstarted, execrun.Unknown:
		return
	}
	millis := min(exit.Duration.Milliseconds(), math.MaxInt64)
	status.DurationMillis = &millis
}
