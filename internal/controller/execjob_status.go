package controller

import (
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/execrun"
)

// endingOf tells how an attempt ended. A command that succeeds although it was told to end, because it had all but done
// so or sees to it, has succeeded: it is not to be run again. Only its deadline outweighs that.
func endingOf(progress execrun.Progress, suspended, overdue bool) jobEnding {
	exit := progress.Exit
	switch {
	case progress.Phase == execrun.Lost:
		return jobRemoteGone
	case progress.Phase == execrun.StartFailed:
		return jobFailed
	case progress.Phase != execrun.Finished:
		return jobUnderWay
	case exit == nil, exit.Kind == execrun.StreamLost:
		return jobFailed
	case exit.Stopped && overdue && !suspended:
		return jobOverran
	case exit.Kind == execrun.Exited && exit.Code == 0:
		return jobSucceeded
	case exit.Stopped:
		return jobWithdrawn
	default:
		return jobFailed
	}
}

// conclude is where a job stands whose last attempt is over.
func conclude(view *jobView) standing {
	if view.observed.ending == jobOverran {
		return overdue(view)
	}
	s := outcome(view)
	if failed := view.job.Status.Failed; failed > 0 && s.phase == phaseStalled {
		s.message += fmt.Sprintf(", and %d attempts before it failed", failed)
	}
	return s
}

// outcome is where a job stands that has this attempt only.
func outcome(view *jobView) standing {
	progress := view.progress
	switch {
	case view.observed.ending == jobRemoteGone:
		return concludeLost(view)
	case progress.Phase == execrun.StartFailed:
		return failed(v1alpha1.ReasonStartFailed, progress.Message)
	case progress.Exit == nil:
		return failed(v1alpha1.ReasonExitUnknown, "the command has left no exit code")
	}
	if view.job.Spec.Code != nil && !progress.Exit.Stopped {
		return concludeCell(progress)
	}
	return concludeCommand(progress.Exit)
}

// concludeCell is where a job stands whose cell has ended by itself.
func concludeCell(progress execrun.Progress) standing {
	const notPython = 127
	switch result, exit := progress.Result, progress.Exit; {
	case result == nil && exit.Kind == execrun.Exited && exit.Code == notPython:
		return failed(v1alpha1.ReasonStartFailed, "the sandbox has no python3, which code needs: start it from a template with a code interpreter, "+
			"such as code-runner-beta")
	case result != nil && result.Unavailable != "":
		return failed(v1alpha1.ReasonStartFailed, result.Unavailable)
	case result != nil && result.Error != nil:
		return failed(v1alpha1.ReasonCodeError, "the cell ended with "+result.Error.Name)
	default:
		return concludeCommand(exit)
	}
}

// concludeCommand is where a job stands whose command has ended.
func concludeCommand(exit *execrun.Exit) standing {
	switch {
	case exit.Kind == execrun.Exited && exit.Code == 0:
		return settled(v1alpha1.ReasonSucceeded, "the command ended with exit code 0").after(soon)
	case exit.Kind == execrun.Exited:
		return failed(v1alpha1.ReasonNonZeroExit, fmt.Sprintf("the command ended with exit code %d", exit.Code))
	case exit.Kind == execrun.StreamLost:
		return failed(v1alpha1.ReasonStreamLost, "the stream of the command was lost, and how it ended cannot be known: it is not started again")
	case exit.Kind == execrun.Signaled && exit.Code == 0:
		return failed(v1alpha1.ReasonSignaled, "the command was ended by a signal")
	case exit.Kind == execrun.Signaled:
		return failed(v1alpha1.ReasonSignaled, fmt.Sprintf("the command was ended by signal %d", exit.Code))
	default:
		return failed(v1alpha1.ReasonExitUnknown, "the command does not run any more and has left no exit code")
	}
}

// attemptWithdrawn is the outcome of an attempt that was ended before its time and does not count.
const attemptWithdrawn = "Withdrawn"

// endedAttempt tells how the attempt ended that the status, as it is written now, does not tell of as active any more: ""
// where there is none.
func endedAttempt(view *jobView) string {
	ready := readyReason(view.job.Status.Conditions)
	switch _, finished := finishedReasons[ready]; {
	case view.before.Status.Active == 0, view.job.Status.Active > 0:
		return ""
	case finished:
		return ready
	case ready == v1alpha1.ReasonBackingOff:
		return outcome(view).reason
	default:
		return attemptWithdrawn
	}
}

// overdue is where a job stands that was active for too long.
func overdue(view *jobView) standing {
	return failed(v1alpha1.ReasonDeadlineExceeded, fmt.Sprintf("the job was active for longer than %d s", view.job.Spec.ActiveDeadlineSeconds))
}

// concludeLost is where a job stands whose remote sandbox went before its command's end was known.
func concludeLost(view *jobView) standing {
	return failed(v1alpha1.ReasonSandboxLost, fmt.Sprintf("the remote sandbox of Sandbox %q was gone before the end of the command was known",
		view.job.Status.SandboxName))
}

// restFinished is where a finished job stands: where it stood, whatever its spec says by now.
func restFinished(view *jobView) standing {
	ready := meta.FindStatusCondition(view.job.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || view.job.Status.ObservedGeneration == view.job.Generation:
		return unchanged()
	case ready.Status == metav1.ConditionTrue:
		return settled(ready.Reason, ready.Message)
	default:
		return stalled(ready.Reason, ready.Message)
	}
}

// failed is where a finished job stands that did not succeed. A person is needed only in that no retry comes by itself.
func failed(reason, message string) standing { return stalled(reason, message).after(soon) }

// finishedReasons are those that a finished job has, and no other.
var finishedReasons = map[string]string{
	v1alpha1.ReasonSucceeded:        v1alpha1.ConditionComplete,
	v1alpha1.ReasonNonZeroExit:      v1alpha1.ConditionFailed,
	v1alpha1.ReasonCodeError:        v1alpha1.ConditionFailed,
	v1alpha1.ReasonSignaled:         v1alpha1.ConditionFailed,
	v1alpha1.ReasonDeadlineExceeded: v1alpha1.ConditionFailed,
	v1alpha1.ReasonSandboxLost:      v1alpha1.ConditionFailed,
	v1alpha1.ReasonStreamLost:       v1alpha1.ConditionFailed,
	v1alpha1.ReasonStartFailed:      v1alpha1.ConditionFailed,
	v1alpha1.ReasonExitUnknown:      v1alpha1.ConditionFailed,
	v1alpha1.ReasonSandboxAsleep:    v1alpha1.ConditionFailed,
}

// describeJob writes where the ExecJob stands, and how far its command is, into the status.
func describeJob(view *jobView, s standing) {
	job, status := view.job, &view.job.Status
	s.write(&status.Conditions, job.Generation)
	if s.reason == v1alpha1.ReasonSuspended {
		s.setCondition(&status.Conditions, v1alpha1.ConditionSuspended, true, job.Generation)
	} else {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionSuspended)
	}
	status.ObservedGeneration = job.Generation
	if !view.observed.finished && status.Active == 0 && !view.stranger {
		status.SandboxName = sandboxNameOf(job)
	}
	describeProgress(status, view.progress)
	view.keepTime(time.Now())
	if condition, finished := finishedReasons[s.reason]; finished && !view.observed.finished && !view.observed.deleting {
		describeEnd(view, s, condition)
	}
}

// describeEnd writes that the job is finished.
func describeEnd(view *jobView, s standing, condition string) {
	status := &view.job.Status
	s.setCondition(&status.Conditions, condition, true, view.job.Generation)
	status.CompletionTime = &metav1.Time{Time: time.Now()}
	status.NextAttemptTime = nil
	if condition == v1alpha1.ConditionFailed && status.Active > 0 {
		status.Failed++
	}
	status.Active = 0
	describeOutcome(status, view.progress)
}

// describeOutcome writes what the command of an attempt that is over came to.
func describeOutcome(status *v1alpha1.ExecJobStatus, progress execrun.Progress) {
	if progress.Exit != nil {
		describeExit(status, progress.Exit)
	}
	status.Artifacts = progress.Artifacts
	status.Result = resultOf(progress.Result)
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
	case execrun.Unstarted, execrun.Unknown, execrun.StreamLost:
		return
	}
	millis := min(exit.Duration.Milliseconds(), math.MaxInt64)
	status.DurationMillis, status.Duration = &millis, readable(exit.Duration)
}

// readable tells how long something took, as exactly as is of use to whoever reads it.
func readable(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Truncate(time.Millisecond).String()
	case d < time.Minute:
		return d.Truncate(100 * time.Millisecond).String()
	default:
		return duration.HumanDuration(d)
	}
}

// resultOf is what a cell came to, nil where it was not run.
func resultOf(result *execrun.CellResult) *v1alpha1.ExecResult {
	if result == nil || result.Unavailable != "" {
		return nil
	}
	r := &v1alpha1.ExecResult{Text: result.Text, ExecutionCount: result.Count, MIMETypes: result.MIMETypes}
	if e := result.Error; e != nil {
		r.Error = &v1alpha1.ExecError{Name: e.Name, Value: e.Value, Traceback: e.Traceback}
	}
	return r
}
