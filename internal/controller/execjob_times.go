package controller

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// ExecJobTiming is how long an ExecJobReconciler waits for what.
type ExecJobTiming struct {
	// FirstRetry is the time between the first attempt that failed and the next. It doubles with each that fails, up to
	// SlowestRetry.
	FirstRetry, SlowestRetry time.Duration
}

// DefaultExecJobTiming is that of a Job of batch/v1.
var DefaultExecJobTiming = ExecJobTiming{FirstRetry: 10 * time.Second, SlowestRetry: 6 * time.Minute}

// retryAfter is how long the next attempt waits after so many have failed.
func (t ExecJobTiming) retryAfter(failed int32) time.Duration {
	delay := t.FirstRetry
	for range failed - 1 {
		if delay *= 2; delay >= t.SlowestRetry {
			return t.SlowestRetry
		}
	}
	return min(delay, t.SlowestRetry)
}

// observeTimes fills in which of the times that a job waits for have come, and when the next one does.
func (v *jobView) observeTimes(now time.Time) {
	o, spec, status := &v.observed, &v.job.Spec, &v.job.Status
	come := func(left time.Duration) bool {
		if left > 0 && (v.again == 0 || left < v.again) {
			v.again = left
		}
		return left <= 0
	}
	if o.finished {
		if ttl := spec.TTLSecondsAfterFinished; ttl != nil && status.CompletionTime != nil {
			o.expired = come(status.CompletionTime.Add(seconds(*ttl)).Sub(now))
		}
		return
	}
	o.due = o.active || o.suspended || status.NextAttemptTime == nil || come(status.NextAttemptTime.Sub(now))
	if spec.ActiveDeadlineSeconds == 0 || status.StartTime == nil {
		return
	}
	// The times of a status are whole seconds. The doubt is to the job's benefit.
	left := seconds(spec.ActiveDeadlineSeconds) + time.Second - activeTime(status, now)
	if status.PausedSince != nil {
		o.overdue = left <= 0
		return
	}
	o.overdue = come(left)
}

// activeTime is for how long a job was active: the time in which its Sandbox was declared Paused is left out.
func activeTime(status *v1alpha1.ExecJobStatus, now time.Time) time.Duration {
	if status.PausedSince != nil {
		now = status.PausedSince.Time
	}
	return now.Sub(status.StartTime.Time) - time.Duration(status.PausedSeconds)*time.Second
}

// keepTime stops the clock of a job while its Sandbox is declared Paused. It is written along with what the conditions say
// of that.
func (v *jobView) keepTime(now time.Time) {
	status := &v.job.Status
	switch {
	case status.StartTime == nil || v.observed.finished:
	case v.observed.sandbox == jobSandboxPaused && status.PausedSince == nil:
		status.PausedSince = &metav1.Time{Time: now}
	case v.observed.sandbox == jobSandboxUsable && status.PausedSince != nil:
		status.PausedSeconds += int64(now.Sub(status.PausedSince.Time).Seconds())
		status.PausedSince = nil
	}
}

// resetClock has a job's clock start anew with its next attempt.
func resetClock(status *v1alpha1.ExecJobStatus) {
	status.StartTime, status.PausedSince, status.PausedSeconds = nil, nil, 0
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
