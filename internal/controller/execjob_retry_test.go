package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/execrun"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 6 * time.Minute}
	for i, delay := range want {
		if got := DefaultExecJobTiming.retryAfter(int32(i) + 1); got != delay {
			t.Errorf("after %d: %s, want %s", i+1, got, delay)
		}
	}
	if got := DefaultExecJobTiming.retryAfter(100); got != 6*time.Minute {
		t.Errorf("after 100: %s", got)
	}
}

func TestEndingOf(t *testing.T) {
	t.Parallel()
	exit := func(kind execrun.ExitKind, code int32, stopped bool) execrun.Progress {
		return execrun.Progress{Phase: execrun.Finished, Exit: &execrun.Exit{Kind: kind, Code: code, Stopped: stopped}}
	}
	for name, tc := range map[string]struct {
		progress           execrun.Progress
		suspended, overdue bool
		want               jobEnding
	}{
		"runs":                            {execrun.Progress{Phase: execrun.Following}, true, true, jobUnderWay},
		"not known":                       {execrun.Progress{}, false, false, jobUnderWay},
		"success":                         {exit(execrun.Exited, 0, false), false, false, jobSucceeded},
		"success too late to be stopped":  {exit(execrun.Exited, 0, false), false, true, jobSucceeded},
		"success although suspended":      {exit(execrun.Exited, 0, true), true, false, jobSucceeded},
		"success when told to end":        {exit(execrun.Exited, 0, true), false, true, jobOverran},
		"failure":                         {exit(execrun.Exited, 3, false), false, false, jobFailed},
		"failure just before the suspend": {exit(execrun.Exited, 3, false), true, false, jobFailed},
		"signal":                          {exit(execrun.Signaled, 9, false), false, false, jobFailed},
		"suspended":                       {exit(execrun.Signaled, 15, true), true, false, jobWithdrawn},
		"suspended past its deadline":     {exit(execrun.Signaled, 15, true), true, true, jobWithdrawn},
		"suspended for a moment":          {exit(execrun.Signaled, 15, true), false, false, jobWithdrawn},
		"stopped before it began":         {exit(execrun.Unstarted, 0, true), true, false, jobWithdrawn},
		"deadline":                        {exit(execrun.Signaled, 15, true), false, true, jobOverran},
		"unknown":                         {exit(execrun.Unknown, 0, false), false, false, jobFailed},
		"not started":                     {execrun.Progress{Phase: execrun.StartFailed}, true, true, jobFailed},
		"remote gone":                     {execrun.Progress{Phase: execrun.Lost}, true, true, jobRemoteGone},
	} {
		if got := endingOf(tc.progress, tc.suspended, tc.overdue); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// ran is what a script has written that tells of each of its runs.
func ran(times int) string { return strings.Repeat("run\n", times) }

// Each attempt is one run. The output of the last is kept, and nothing else.
func TestExecJobIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	job := w.job("persistent", `echo run >>runs; n=$(wc -l <runs); echo "attempt $n"; [ $n -eq 3 ]`)
	job.Spec.BackoffLimit = ptr.To(int32(5))
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if s := job.Status; s.Attempts != 3 || s.Failed != 2 || s.Active != 0 || s.NextAttemptTime != nil || *s.ExitCode != 0 {
		t.Errorf("status: %+v", s)
	}
	if got := w.output(job); got != "attempt 3\n" {
		t.Errorf("stored %q", got)
	}
	var stored corev1.ConfigMapList
	if err := w.api.List(w.ctx, &stored, client.InNamespace(w.namespace), client.HasLabels{v1alpha1.LabelExecJob}); err != nil || len(stored.Items) != 1 {
		t.Errorf("%d ConfigMaps are there, error %v", len(stored.Items), err)
	}
	awaitReleased(w, job)
	if left := w.guest(sandbox, "cat runs; ls -A .wrenn/exec"); left != ran(3) {
		t.Errorf("in the guest: %q", left)
	}
}

func TestExecJobFailsAfterItsLastAttempt(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	job := w.job("hopeless", "echo run >>runs; exit 7")
	job.Spec.BackoffLimit = ptr.To(int32(1))
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonNonZeroExit)
	if s := job.Status; s.Attempts != 2 || s.Failed != 2 || *s.ExitCode != 7 {
		t.Errorf("status: %+v", s)
	}
	// Whatever is done to a finished job, it does not run again.
	awaitReleased(w, job)
	edit(w, job, func(j *v1alpha1.ExecJob) { j.Spec.BackoffLimit, j.Spec.Suspend = ptr.To(int32(9)), ptr.To(true) })
	awaitReason(w, job, v1alpha1.ReasonNonZeroExit)
	edit(w, job, func(j *v1alpha1.ExecJob) { j.Spec.Suspend, j.Annotations, j.Finalizers = ptr.To(false), nil, nil })
	awaitReason(w, job, v1alpha1.ReasonNonZeroExit)
	w.stop()
	w.startOperator()
	edit(w, job, func(j *v1alpha1.ExecJob) { j.Spec.ActiveDeadlineSeconds = 3 })
	awaitReason(w, job, v1alpha1.ReasonNonZeroExit)
	if runs := w.guest(sandbox, "cat runs"); runs != ran(2) || job.Status.Attempts != 2 {
		t.Errorf("it was run: %q, status %+v", runs, job.Status)
	}
}

// What counts is in the status, so that an operator that knows nothing else goes on from there.
func TestExecJobCountsOverRestarts(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	job := w.job("counted", "echo run >>runs; until [ -e go ]; do sleep 0.05; done; rm go; exit 1")
	job.Spec.BackoffLimit = ptr.To(int32(2))
	w.create(job)
	for attempt := range 3 {
		eventually(w, "attempt runs", func() error {
			err := w.api.Get(w.ctx, client.ObjectKeyFromObject(job), job)
			if err == nil && (job.Status.Attempts != int32(attempt)+1 || job.Status.PID == 0) { //nolint:gosec // few
				err = fmt.Errorf("status: %+v", job.Status)
			}
			return err
		})
		w.stop()
		w.guest(sandbox, "touch go")
		w.startOperator()
	}
	awaitReason(w, job, v1alpha1.ReasonNonZeroExit)
	if runs := w.guest(sandbox, "cat runs"); runs != ran(3) || job.Status.Failed != 3 {
		t.Errorf("it was run: %q, status %+v", runs, job.Status)
	}
}

// A job that is suspended ends its processes, all of them, and runs anew afterwards. That does not count.
func TestExecJobIsSuspended(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	job := w.job("held", "echo run >>runs; (setsid sleep 4322 &); echo on; until [ -e go ]; do sleep 0.05; done")
	job.Spec.Suspend = ptr.To(true)
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonSuspended)
	if !meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionSuspended) || job.Status.Attempts != 0 {
		t.Errorf("status: %+v", job.Status)
	}
	edit(w, job, func(j *v1alpha1.ExecJob) { j.Spec.Suspend = ptr.To(false) })
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	eventually(w, "its processes are there", func() error {
		if n := w.processes(sandbox, "4322"); n != "1" {
			return fmt.Errorf("%s processes", n)
		}
		return nil
	})
	edit(w, job, func(j *v1alpha1.ExecJob) { j.Spec.Suspend = ptr.To(true) })
	awaitReason(w, job, v1alpha1.ReasonSuspended)
	if n := w.processes(sandbox, "4322"); n != "0" || job.Status.StartTime != nil || job.Status.Active != 0 {
		t.Errorf("%s processes are left, status %+v", n, job.Status)
	}
	w.guest(sandbox, "touch go")
	edit(w, job, func(j *v1alpha1.ExecJob) { j.Spec.Suspend = ptr.To(false) })
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if s := job.Status; s.Attempts != 2 || s.Failed != 0 || meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionSuspended) != nil {
		t.Errorf("status: %+v", s)
	}
	if runs := w.guest(sandbox, "cat runs"); runs != ran(2) {
		t.Errorf("it was run: %q", runs)
	}
	if got := w.output(job); got != "on\n" {
		t.Errorf("stored %q", got)
	}
}

// A finished job is deleted when its time has come, its finalizer being gone or not.
func TestExecJobIsDeletedAfterItsTime(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.box()
	for name, ttl := range map[string]int32{"at-once": 0, "later": 1} {
		job := w.job(name, "true")
		job.Spec.TTLSecondsAfterFinished = ptr.To(ttl)
		w.create(job)
		awaitGone(w, job)
	}
	kept := w.job("kept", "false")
	w.create(kept)
	awaitReason(w, kept, v1alpha1.ReasonNonZeroExit)
	edit(w, kept, func(j *v1alpha1.ExecJob) { j.Spec.TTLSecondsAfterFinished = ptr.To(int32(0)) })
	awaitGone(w, kept)
}

// A lost remote counts as a failure. Where the Sandbox gets another, the next attempt is made there.
func TestExecJobFollowsItsSandboxToAnotherRemote(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("box")
	sandbox.Spec.RecoveryPolicy = v1alpha1.RecoveryPolicyRecreate
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	first := sandbox.Status.SandboxID
	job := w.job("follower", "until [ -e go ]; do sleep 0.05; done")
	job.Spec.BackoffLimit = ptr.To(int32(3))
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	if err := w.handle(sandbox).Destroy(w.ctx); err != nil {
		t.Fatal(err)
	}
	eventually(w, "the next attempt runs", func() error {
		err := w.api.Get(w.ctx, client.ObjectKeyFromObject(job), job)
		if err == nil && (job.Status.Attempts != 2 || job.Status.PID == 0 || job.Status.SandboxID == first) {
			err = fmt.Errorf("status: %+v", job.Status)
		}
		return err
	})
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	w.guest(sandbox, "touch go")
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if job.Status.Failed != 1 {
		t.Errorf("status: %+v", job.Status)
	}
}

func TestExecJobDeadlineCoversItsAttempts(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.box()
	job := w.job("hurried", `echo run >>runs; [ $(wc -l <runs) -eq 1 ] && exit 1; sleep 1000`)
	job.Spec.BackoffLimit, job.Spec.ActiveDeadlineSeconds = ptr.To(int32(100)), 10
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonDeadlineExceeded)
	if s := job.Status; s.Attempts != 2 || s.Failed != 2 || !meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionFailed) {
		t.Errorf("status: %+v", s)
	}
}

// The clock stands while the Sandbox is declared Paused, and what is known of that is in the status.
func TestActiveTime(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Unix(1_000_000+int64(s), 0) }
	stored := func(s int) *metav1.Time { return &metav1.Time{Time: at(s)} }
	view := &jobView{job: &v1alpha1.ExecJob{Status: v1alpha1.ExecJobStatus{StartTime: stored(0), Active: 1}}}
	view.job.Spec.ActiveDeadlineSeconds = 30
	step := func(now int, sandbox jobSandbox, overdue bool, left int) {
		t.Helper()
		view.observed, view.again = jobObserved{active: true, sandbox: sandbox}, 0
		view.observeTimes(at(now))
		if view.observed.overdue != overdue || view.again != time.Duration(left)*time.Second {
			t.Errorf("at %d: overdue is %t, %s are left", now, view.observed.overdue, view.again)
		}
		view.keepTime(at(now))
	}
	step(10, jobSandboxUsable, false, 21)
	step(12, jobSandboxPaused, false, 19)
	step(100, jobSandboxPaused, false, 0)
	step(110, jobSandboxWaiting, false, 0) // it is being resumed
	step(112, jobSandboxUsable, false, 0)
	if view.job.Status.PausedSeconds != 100 || view.job.Status.PausedSince != nil {
		t.Errorf("status: %+v", view.job.Status)
	}
	step(113, jobSandboxUsable, false, 18)
	step(131, jobSandboxUsable, true, 0)
}

// What is run cannot be changed, and what can be is said.
func TestExecJobIsImmutable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	job := w.job("fixed", "true")
	w.create(job)
	for name, change := range map[string]func(*v1alpha1.ExecJobSpec){
		"script":     func(s *v1alpha1.ExecJobSpec) { s.Script = "false" },
		"command":    func(s *v1alpha1.ExecJobSpec) { s.Script, s.Command = "", []string{"true"} },
		"sandbox":    func(s *v1alpha1.ExecJobSpec) { s.SandboxRef = &v1alpha1.SandboxReference{Name: "other"} },
		"env":        func(s *v1alpha1.ExecJobSpec) { s.Env = []v1alpha1.ExecEnvVar{{Name: "A", Value: ptr.To("b")}} },
		"workingDir": func(s *v1alpha1.ExecJobSpec) { s.WorkingDir = "/" },
		"output":     func(s *v1alpha1.ExecJobSpec) { s.Output.TailBytes = 17 },
		"wakePolicy": func(s *v1alpha1.ExecJobSpec) { s.WakePolicy = v1alpha1.WakePolicyWait },
		"stdin":      func(s *v1alpha1.ExecJobSpec) { s.Stdin = "input" },
		"files":      func(s *v1alpha1.ExecJobSpec) { s.Files = []v1alpha1.SandboxFile{{Path: "/a", Content: ptr.To("b")}} },
		"artifacts":  func(s *v1alpha1.ExecJobSpec) { s.Artifacts = []v1alpha1.ExecArtifactPath{{Name: "a", Path: "/a"}} },
	} {
		changed := job.DeepCopy()
		change(&changed.Spec)
		if err := w.api.Update(w.ctx, changed); !apierrors.IsInvalid(err) {
			t.Errorf("a change of %s: %v", name, err)
		}
	}
	for name, tc := range map[string]struct{ before, change func(*v1alpha1.ExecJobSpec) }{
		"attachment": {
			func(s *v1alpha1.ExecJobSpec) { s.Script, s.Command = "", []string{"true"} },
			func(s *v1alpha1.ExecJobSpec) { s.Attachment = v1alpha1.ExecAttachmentAttached },
		},
		"code": {
			func(s *v1alpha1.ExecJobSpec) { s.Script, s.Code = "", &v1alpha1.ExecCode{Source: "1"} },
			func(s *v1alpha1.ExecJobSpec) { s.Code.Source = "2" },
		},
		"sandboxtemplate": {
			func(s *v1alpha1.ExecJobSpec) { s.SandboxRef, s.SandboxTemplate = nil, &v1alpha1.SandboxTemplate{} },
			func(s *v1alpha1.ExecJobSpec) { s.SandboxTemplate.Spec.RecoveryPolicy = v1alpha1.RecoveryPolicyRecreate },
		},
	} {
		other := w.job("fixed-"+name, "true")
		tc.before(&other.Spec)
		w.create(other)
		tc.change(&other.Spec)
		if err := w.api.Update(w.ctx, other); !apierrors.IsInvalid(err) {
			t.Errorf("a change of %s: %v", name, err)
		}
	}
	edit(w, job, func(j *v1alpha1.ExecJob) {
		j.Spec.Suspend, j.Spec.BackoffLimit, j.Spec.ActiveDeadlineSeconds = ptr.To(true), ptr.To(int32(3)), 5
		j.Spec.TTLSecondsAfterFinished = ptr.To(int32(6))
	})
}
