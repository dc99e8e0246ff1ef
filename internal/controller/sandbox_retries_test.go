package controller

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// awaitCalls waits until Wrenn has got so many requests for an operation.
func awaitCalls(w *world, op string, count int) {
	w.t.Helper()
	eventually(w, fmt.Sprintf("%d times %s", count, op), func() error {
		if n := w.calls(op); n < count {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
}

// A call that fails again and again is told of once: its message is the same each time.
func TestSandboxRetriesAreSilent(t *testing.T) {
	t.Parallel()
	for op, provoke := range map[string]func(*world, *v1alpha1.Sandbox){
		wrenndev.OpPause: func(w *world, sandbox *v1alpha1.Sandbox) {
			edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
		},
		wrenndev.OpDestroy: func(w *world, sandbox *v1alpha1.Sandbox) {
			if err := w.api.Delete(w.ctx, sandbox); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{})
			sandbox := w.sandbox("failing")
			w.create(sandbox)
			awaitAtRest(w, sandbox)
			remove := w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultAgentFail, Op: op})
			provoke(w, sandbox)
			awaitCalls(w, op, 2)
			awaitReason(w, sandbox, v1alpha1.ReasonServiceError)
			before := w.writes.count.Load()
			awaitCalls(w, op, w.calls(op)+3)
			if n := w.writes.count.Load() - before; n != 0 {
				t.Errorf("%d writes for three retries", n)
			}
			remove()
			if op == wrenndev.OpDestroy {
				awaitGone(w, sandbox)
				return
			}
			awaitReason(w, sandbox, v1alpha1.ReasonPaused)
		})
	}
}

// awaitAtRest waits until a Sandbox runs and nothing about it is left to be written.
func awaitAtRest(w *world, sandbox *v1alpha1.Sandbox) {
	w.t.Helper()
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	eventually(w, sandbox.Name+" is at rest", func() error { return w.allAtRest(1) })
}

// A service that asks to be left alone for a while is left alone, and a person's request overrules that.
func TestSandboxLeavesTheServiceAloneWhenAsked(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("asked")
	w.create(sandbox)
	awaitAtRest(w, sandbox)
	remove := w.wrenn.Faults().Add(wrenndev.Fault{
		Kind: wrenndev.FaultFailBefore, Op: wrenndev.OpPause, Status: http.StatusTooManyRequests, Code: "rate_limited",
		RetryAfter: int(time.Hour / time.Second),
	})
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, sandbox, v1alpha1.ReasonServiceError)
	remove()
	asked, lists := w.calls(wrenndev.OpPause), w.calls(wrenndev.OpList)
	awaitCalls(w, wrenndev.OpList, lists+20)
	if n := w.calls(wrenndev.OpPause); n != asked {
		t.Errorf("%d pauses within the hour", n-asked)
	}
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { setAnnotation(s, v1alpha1.AnnotationReconcileRequestedAt, "now") })
	awaitReason(w, sandbox, v1alpha1.ReasonPaused)
}

// What somebody does to the remote by hand shows with the next list, and is answered as the spec says.
func TestSandboxDrift(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	running, paused := w.sandbox("running"), w.sandbox("paused")
	paused.Spec.OperatingMode = v1alpha1.OperatingModePaused
	w.create(running)
	w.create(paused)
	awaitReason(w, running, v1alpha1.ReasonRunning)
	awaitReason(w, paused, v1alpha1.ReasonPaused)
	resumes, pauses := w.calls(wrenndev.OpResume), w.calls(wrenndev.OpPause)
	if _, err := w.handle(running).Pause(w.ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.handle(paused).Resume(w.ctx); err != nil {
		t.Fatal(err)
	}
	awaitCalls(w, wrenndev.OpResume, resumes+2)
	awaitCalls(w, wrenndev.OpPause, pauses+2)
	awaitReason(w, running, v1alpha1.ReasonRunning)
	awaitReason(w, paused, v1alpha1.ReasonPaused)
	w.use(running)
	if err := w.handle(running).Destroy(w.ctx); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, running, v1alpha1.ReasonLost)
}
