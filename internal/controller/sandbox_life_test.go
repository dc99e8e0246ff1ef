package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func TestEndOfLife(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) *metav1.Time { return ptr.To(metav1.NewTime(made.Add(d))) }
	for name, tc := range map[string]struct {
		ttl      int32
		shutdown *metav1.Time
		want     *metav1.Time
	}{
		"never":              {},
		"by its age":         {ttl: 60, want: at(time.Minute)},
		"at a time":          {shutdown: at(time.Hour), want: at(time.Hour)},
		"at the earlier":     {ttl: 60, shutdown: at(time.Hour), want: at(time.Minute)},
		"at the other":       {ttl: 7200, shutdown: at(time.Hour), want: at(time.Hour)},
		"before it was made": {shutdown: at(-time.Hour), want: at(-time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sandbox := &v1alpha1.Sandbox{
				ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(made)},
				Spec:       v1alpha1.SandboxSpec{TTLSeconds: tc.ttl, ShutdownTime: tc.shutdown},
			}
			if got := endOfLife(sandbox); !got.Equal(tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// At the end of its life the remote is destroyed and the object stays, until the end is put off.
func TestSandboxExpires(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("expiring")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	first := sandbox.Status.SandboxID
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.ShutdownTime = ptr.To(metav1.NewTime(time.Now().Add(time.Second))) })
	awaitReason(w, sandbox, v1alpha1.ReasonExpired)
	if !isReady(sandbox.Status.Conditions) || sandbox.Status.SandboxID != "" || sandbox.Status.ExpirationTime == nil {
		t.Errorf("status is %+v", sandbox.Status)
	}
	if info, _ := w.wrenn.Sandbox(first); info.Status != wrenndev.StatusStopped {
		t.Errorf("the remote is %q", info.Status)
	}
	if n := w.wrenn.LiveProcesses(); n != 0 {
		t.Errorf("%d processes left behind", n)
	}
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.ShutdownTime = nil })
	awaitOne(w, sandbox)
	if sandbox.Status.SandboxID == first || sandbox.Status.ExpirationTime != nil {
		t.Errorf("status is %+v", sandbox.Status)
	}
}

// One that is expired before it has begun never asks for a remote, and one that is to be deleted takes its remote along.
func TestSandboxExpiryDeletesTheObject(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	late := w.sandbox("late")
	late.Spec.ShutdownTime = ptr.To(metav1.NewTime(time.Now().Add(-time.Hour)))
	w.create(late)
	awaitReason(w, late, v1alpha1.ReasonExpired)
	if n := w.calls(wrenndev.OpCreate); n != 0 {
		t.Fatalf("%d creates", n)
	}
	sandbox := w.sandbox("brief")
	sandbox.Spec.ShutdownPolicy = v1alpha1.ShutdownPolicyDelete
	// Leaving the remote is for those who delete the object themselves.
	sandbox.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.TTLSeconds = 1 })
	awaitGone(w, sandbox)
	if alive := w.alive(); len(alive) != 0 {
		t.Errorf("left behind: %+v", alive)
	}
}

// An idle sandbox stays paused until somebody asks for it.
func TestSandboxWakes(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("sleeper")
	sandbox.Spec.IdleTimeoutSeconds = ptr.To(int32(2))
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonIdlePaused)
	for i := range 2 {
		// Longer than the status can hold, and cut in the middle of a letter.
		wake := fmt.Sprint("wake-", i) + strings.Repeat("ü", 400)
		edit(w, sandbox, func(s *v1alpha1.Sandbox) { setAnnotation(s, v1alpha1.AnnotationWakeRequestedAt, wake) })
		eventually(w, "the wake is followed", func() error {
			if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
				return err
			}
			if handled := sandbox.Status.LastHandledWakeAt; handled == "" || !strings.HasPrefix(wake, handled) {
				return fmt.Errorf("status is %+v", sandbox.Status)
			}
			return nil
		})
		if n := w.calls(wrenndev.OpResume); n != i+1 {
			t.Errorf("%d resumes after %d wakes", n, i+1)
		}
		// One wake is for one time.
		awaitReason(w, sandbox, v1alpha1.ReasonIdlePaused)
	}
}

// A wake is no way around a declared pause, and is not kept for later.
func TestSandboxWakeRespectsADeclaredPause(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("declared")
	sandbox.Spec.OperatingMode = v1alpha1.OperatingModePaused
	sandbox.Spec.IdleTimeoutSeconds = ptr.To(int32(3600))
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonPaused)
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { setAnnotation(s, v1alpha1.AnnotationWakeRequestedAt, "now") })
	eventually(w, "the wake is noted", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
			return err
		}
		if sandbox.Status.LastHandledWakeAt != "now" {
			return fmt.Errorf("status is %+v", sandbox.Status)
		}
		return nil
	})
	if n := w.calls(wrenndev.OpResume); n != 0 {
		t.Errorf("%d resumes", n)
	}
}

// A sandbox that is to keep running is pinged before it idles, and resumed where it did all the same.
func TestSandboxKeepsRunning(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("awake")
	sandbox.Spec.IdleTimeoutSeconds = ptr.To(int32(3))
	sandbox.Spec.IdlePolicy = v1alpha1.IdlePolicyKeepRunning
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	writes := w.writes.count.Load()
	eventually(w, "several idle times pass", func() error {
		if n := w.calls(wrenndev.OpPing); n < 6 {
			return fmt.Errorf("%d pings", n)
		}
		return nil
	})
	if n := w.calls(wrenndev.OpResume); n != 0 {
		t.Errorf("it idled: %d resumes", n)
	}
	// The annotation that is written after the first Ready may be among them.
	if n := w.writes.count.Load() - writes; n > 1 {
		t.Errorf("%d writes for pings", n)
	}
	id := sandbox.Status.SandboxID
	if _, err := w.handle(sandbox).Pause(w.ctx); err != nil {
		t.Fatal(err)
	}
	eventually(w, "it is resumed", func() error {
		if n := w.calls(wrenndev.OpResume); n != 1 {
			return fmt.Errorf("%d resumes", n)
		}
		return nil
	})
	awaitOne(w, sandbox)
	if sandbox.Status.SandboxID != id {
		t.Error("the remote was replaced")
	}
}

// Editing the object back before its end comes leaves it alone.
func TestSandboxLifeCanBeProlonged(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("prolonged")
	sandbox.Spec.TTLSeconds = 3600
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	if want := sandbox.CreationTimestamp.Add(time.Hour); !sandbox.Status.ExpirationTime.Time.Equal(want) {
		t.Errorf("it ends at %v, want %v", sandbox.Status.ExpirationTime, want)
	}
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.TTLSeconds = 7200 })
	eventually(w, "the end is put off", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
			return err
		}
		if want := sandbox.CreationTimestamp.Add(2 * time.Hour); !sandbox.Status.ExpirationTime.Time.Equal(want) {
			return fmt.Errorf("it ends at %v", sandbox.Status.ExpirationTime)
		}
		return nil
	})
	if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); apierrors.IsNotFound(err) {
		t.Error("it is gone")
	}
}
