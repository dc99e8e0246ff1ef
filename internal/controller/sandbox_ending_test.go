package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// To destroy a remote that ended unused changes the very times that told so. It is replaced all the same, however late.
func TestEndingIsRememberedOverTheDestruction(t *testing.T) {
	t.Parallel()
	e := newEndings(time.Second, time.Minute)
	sandbox := &v1alpha1.Sandbox{}
	sandbox.UID, sandbox.Status.SandboxID = "some-uid", "cl-first"
	look := func(state remoteState, ended time.Duration) sandboxObserved {
		view := &sandboxView{sandbox: sandbox, remote: &wrenn.Sandbox{
			Status: wrenn.StatusStopped, CreatedAt: began, StartedAt: began, LastActiveAt: began, LastUpdatedAt: began.Add(ended),
		}}
		view.observed.remote = state
		e.observe(view)
		return view.observed
	}
	if o := look(remoteEnded, time.Second); !o.unused || o.destroyed {
		t.Errorf("ended at once: %+v", o)
	}
	e.destroyed(sandbox)
	if o := look(remoteEnded, time.Hour); !o.unused || !o.destroyed {
		t.Errorf("destroyed later: %+v", o)
	}
	if o := look(remoteRunning, time.Hour); o.unused || o.destroyed {
		t.Errorf("it runs after all: %+v", o)
	}
	if o := look(remoteEnded, time.Hour); o.unused || o.destroyed {
		t.Errorf("and ended then: %+v", o)
	}
	e.destroyed(sandbox)
	if sandbox.Status.SandboxID = "cl-second"; look(remoteEnded, time.Hour).destroyed {
		t.Error("another remote is taken for the one that was destroyed")
	}
	if e.forget(sandbox.UID); len(e.byUID) != 0 {
		t.Errorf("left: %v", e.byUID)
	}
}

// The first remote is replaced at once, and those that do not last ever later.
func TestEndingsPauseBetweenRemotesThatDoNotLast(t *testing.T) {
	t.Parallel()
	e := newEndings(time.Hour, 3*time.Hour)
	sandbox := &v1alpha1.Sandbox{}
	sandbox.UID = "some-uid"
	if wait := e.wait(sandbox); wait != 0 {
		t.Errorf("the first waits %s", wait)
	}
	for i, want := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour, 3 * time.Hour} {
		e.replaced(sandbox)
		if wait := e.wait(sandbox).Round(time.Minute); wait != want {
			t.Errorf("after replacement %d it waits %s, want %s", i+1, wait, want)
		}
	}
	e.of(sandbox).next = time.Now().Add(-4 * time.Hour)
	if e.replaced(sandbox); e.wait(sandbox) > time.Hour {
		t.Errorf("after one that has lasted it waits %s", e.wait(sandbox))
	}
}

// A lost remote whose place is taken is destroyed once, and the Sandbox waits for a place without a word more.
func TestSandboxIsReplacedWhenThereIsAPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	connection := w.connection(w.wrenn.URL())
	connection.Spec.Limits.MaxSandboxes = 1
	w.create(connection)
	sandbox, rival := w.sandbox("lost"), w.sandbox("rival")
	sandbox.Spec.RecoveryPolicy = v1alpha1.RecoveryPolicyRecreate
	w.create(sandbox)
	awaitAtRest(w, sandbox)
	w.create(rival)
	awaitReason(w, rival, v1alpha1.ReasonLimitReached)
	// Its own replacement cannot be begun before the rival has taken the place.
	remove := w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Op: wrenndev.OpDestroy})
	if err := w.wrenn.Lose(sandbox.Status.SandboxID); err != nil {
		t.Fatal(err)
	}
	edit(w, rival, func(s *v1alpha1.Sandbox) { setAnnotation(s, v1alpha1.AnnotationReconcileRequestedAt, "now") })
	awaitReason(w, rival, v1alpha1.ReasonRunning)
	remove()
	awaitReason(w, sandbox, v1alpha1.ReasonLimitReached)
	destroys, lists := w.calls(wrenndev.OpDestroy), w.calls(wrenndev.OpList)
	for i := range 5 {
		edit(w, sandbox, func(s *v1alpha1.Sandbox) { setAnnotation(s, v1alpha1.AnnotationReconcileRequestedAt, fmt.Sprint(i)) })
		lists += 3
		awaitCalls(w, wrenndev.OpList, lists)
	}
	if n := w.calls(wrenndev.OpDestroy) - destroys; n != 0 || readyOf(sandbox) != v1alpha1.ReasonLimitReached {
		t.Errorf("destroyed %d times more, and is %s", n, readyOf(sandbox))
	}
	if err := w.api.Delete(w.ctx, rival); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
}
