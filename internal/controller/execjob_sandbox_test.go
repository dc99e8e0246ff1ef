package controller

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// templateJob has a Sandbox of its own.
func (w *world) templateJob(name, script string) *v1alpha1.ExecJob {
	job := w.job(name, script)
	job.Spec.SandboxRef = nil
	job.Spec.SandboxTemplate = &v1alpha1.SandboxTemplate{}
	return job
}

// sandboxes are those of the namespace.
func (w *world) sandboxes() []v1alpha1.Sandbox {
	w.t.Helper()
	var all v1alpha1.SandboxList
	if err := w.api.List(w.ctx, &all, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	return all.Items
}

// A job's own Sandbox is made once, serves all attempts, and is gone when the job is let go, with all of its output kept.
func TestExecJobHasASandboxOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	job := w.templateJob("sole", `echo run >>runs; cat runs; [ $(wc -l <runs) -eq 2 ]`)
	job.Spec.BackoffLimit = ptr.To(int32(3))
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if job.Status.SandboxName != sandboxNameOf(job) {
		t.Errorf("status: %+v", job.Status)
	}
	awaitReleased(w, job)
	if got := w.output(job); got != ran(2) {
		t.Errorf("stored %q", got)
	}
	if left := w.sandboxes(); len(left) != 0 || len(w.alive()) != 0 || len(w.wrenn.Sandboxes()) != 1 {
		t.Errorf("%d Sandboxes and %d remotes are left of %d", len(left), len(w.alive()), len(w.wrenn.Sandboxes()))
	}
}

func TestExecJobTakesItsOwnSandboxAlong(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	job := w.templateJob("deleted", "sleep 1000")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	own := w.sandboxes()
	if len(own) != 1 || !metav1.IsControlledBy(&own[0], job) || !*own[0].OwnerReferences[0].BlockOwnerDeletion {
		t.Fatalf("Sandboxes: %+v", own)
	}
	// Suspended, it keeps the Sandbox.
	edit(w, job, func(j *v1alpha1.ExecJob) { j.Spec.Suspend = ptr.To(true) })
	awaitReason(w, job, v1alpha1.ReasonSuspended)
	if len(w.alive()) != 1 {
		t.Errorf("%d remotes are alive", len(w.alive()))
	}
	if err := w.api.Delete(w.ctx, job); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, job)
	if left := w.sandboxes(); len(left) != 0 || len(w.alive()) != 0 {
		t.Errorf("%d Sandboxes and %d remotes are left", len(left), len(w.alive()))
	}
}

// A Sandbox of the same name that is not the job's is neither used nor destroyed.
func TestExecJobRefusesTheSandboxOfAnother(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	job := w.templateJob("robbed", "true")
	job.Spec.Suspend = ptr.To(true)
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonSuspended)
	other := w.sandbox(sandboxNameOf(job))
	w.create(other)
	awaitReason(w, other, v1alpha1.ReasonRunning)
	edit(w, job, func(j *v1alpha1.ExecJob) { j.Spec.Suspend = ptr.To(false) })
	awaitReason(w, job, v1alpha1.ReasonSandboxNameTaken)
	if err := w.api.Delete(w.ctx, other); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
}

func TestSandboxNameOf(t *testing.T) {
	t.Parallel()
	long := &v1alpha1.ExecJob{ObjectMeta: metav1.ObjectMeta{Name: "a.very-long-name-of-a-job-that-goes-on-and-on-and-on.-and-on", UID: "1"}}
	next := long.DeepCopy()
	next.UID = "2"
	if a, b := sandboxNameOf(long), sandboxNameOf(next); a == b || len(a) > 63 || a != sandboxNameOf(long) {
		t.Errorf("%q and %q", a, b)
	}
}

// idleTimeoutSeconds is far more than a busy machine needs from one ping to the next.
const idleTimeoutSeconds int32 = 15

// asleepBox makes a Sandbox that its idle timeout has paused.
func (w *world) asleepBox() *v1alpha1.Sandbox {
	w.t.Helper()
	sandbox := w.sandbox("box")
	sandbox.Spec.IdleTimeoutSeconds = ptr.To(idleTimeoutSeconds)
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonIdlePaused)
	return sandbox
}

func TestExecJobWakesItsSandbox(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.asleepBox()
	failing, waiting, waking := w.job("failing", "true"), w.job("waiting", "true"), w.job("waking", "sleep 20")
	failing.Spec.WakePolicy, waiting.Spec.WakePolicy = v1alpha1.WakePolicyFail, v1alpha1.WakePolicyWait
	w.create(failing)
	awaitReason(w, failing, v1alpha1.ReasonSandboxAsleep)
	if !meta.IsStatusConditionTrue(failing.Status.Conditions, v1alpha1.ConditionFailed) || failing.Status.Attempts != 0 {
		t.Errorf("status: %+v", failing.Status)
	}
	w.create(waiting)
	awaitReason(w, waiting, v1alpha1.ReasonSandboxIdle)
	w.create(waking)
	awaitReason(w, waking, v1alpha1.ReasonSucceeded)
	awaitReason(w, waiting, v1alpha1.ReasonSucceeded)
	if n := w.calls(wrenndev.OpResume); n != 1 {
		t.Errorf("it was resumed %d times", n)
	}
}

// An adopted remote brings its idle timeout along, which the spec does not tell.
func TestExecJobKeepsAnAdoptedSandboxAwake(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	remote, err := w.client().Sandboxes.Create(w.ctx, wrenn.CreateSandboxRequest{TimeoutSec: 2})
	if err != nil {
		t.Fatal(err)
	}
	sandbox := w.sandbox("box")
	sandbox.Spec = v1alpha1.SandboxSpec{AdoptID: remote.ID}
	w.create(sandbox)
	job := w.job("long", "sleep 6")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if *job.Status.DurationMillis > 15_000 || w.calls(wrenndev.OpPing) == 0 {
		t.Errorf("it took %s with %d pings", time.Duration(*job.Status.DurationMillis)*time.Millisecond, w.calls(wrenndev.OpPing))
	}
	if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil || sandbox.Status.IdleTimeoutSeconds != 2 {
		t.Errorf("status %+v, error %v", sandbox.Status, err)
	}
}

// A command that was frozen with its Sandbox while the operator was away goes on, whatever the policy.
func TestExecJobWakesWhatItRunsIn(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("box")
	sandbox.Spec.IdleTimeoutSeconds = ptr.To(int32(2))
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	job := w.job("frozen", "echo run >>runs; until [ -e go ]; do sleep 0.05; done")
	job.Spec.WakePolicy = v1alpha1.WakePolicyFail
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	w.stop()
	awaitRemote(w, wrenndev.StatusPaused)
	w.startOperator()
	awaitRemote(w, wrenndev.StatusRunning)
	w.guest(sandbox, "touch go")
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if runs := w.guest(sandbox, "cat runs"); runs != ran(1) {
		t.Errorf("it was run: %q", runs)
	}
}

// awaitRemote waits until the one remote is in a state.
func awaitRemote(w *world, status string) {
	w.t.Helper()
	eventually(w, "the remote is "+status, func() error {
		if found := w.alive(); found[0].Status != status {
			return fmt.Errorf("it is %s", found[0].Status)
		}
		return nil
	})
}
