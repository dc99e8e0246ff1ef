package controller

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// Whatever goes wrong with a create, one Sandbox ends with one remote.
func TestSandboxCreateFaults(t *testing.T) {
	t.Parallel()
	short := wrenndev.Millis(300 * time.Millisecond)
	for name, fault := range map[string]wrenndev.Fault{
		"fails before the effect":      {Kind: wrenndev.FaultFailBefore},
		"fails after the effect":       {Kind: wrenndev.FaultFailAfter},
		"answer lost":                  {Kind: wrenndev.FaultDrop},
		"never answered":               {Kind: wrenndev.FaultHang},
		"cut off before":               {Kind: wrenndev.FaultAbort},
		"agent down":                   {Kind: wrenndev.FaultAgentFail},
		"slow":                         {Kind: wrenndev.FaultAgentDelay, Latency: short},
		"slower than the limit":        {Kind: wrenndev.FaultAgentDelay, Latency: wrenndev.Millis(time.Hour)},
		"stopped as soon as it runs":   {Kind: wrenndev.FaultFlap, SetStatus: wrenndev.StatusStopped},
		"missing for a while":          {Kind: wrenndev.FaultFlap, SetStatus: wrenndev.StatusMissing, For: short},
		"asked to wait":                {Kind: wrenndev.FaultFailBefore, Status: 429, Code: "rate_limited"},
		"answered with half an object": {Kind: wrenndev.FaultCut, Bytes: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault.Op, fault.Times = wrenndev.OpCreate, 1
			createUnder(t, fault)
		})
	}
	t.Run("negative timeouts refused", func(t *testing.T) {
		t.Parallel()
		createUnder(t, wrenndev.Fault{Kind: wrenndev.FaultRejectNegative, Op: wrenndev.OpCreate})
	})
}

// createUnder creates and deletes a Sandbox while a fault holds.
func createUnder(t *testing.T, fault wrenndev.Fault) {
	t.Helper()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.wrenn.Faults().Add(fault)
	sandbox := w.sandbox("faulty")
	w.create(sandbox)
	awaitOne(w, sandbox)
	if err := w.api.Delete(w.ctx, sandbox); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, sandbox)
	if alive := w.alive(); len(alive) != 0 {
		t.Errorf("left behind: %+v", alive)
	}
	if n := w.wrenn.LiveProcesses(); n != 0 {
		t.Errorf("%d processes left behind", n)
	}
}

// awaitOne waits until the Sandbox is Ready on the one remote that is alive.
func awaitOne(w *world, sandbox *v1alpha1.Sandbox) {
	w.t.Helper()
	eventually(w, "one remote", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
			return err
		}
		alive := w.alive()
		if len(alive) != 1 || alive[0].ID != sandbox.Status.SandboxID || alive[0].Status != wrenndev.StatusRunning {
			return fmt.Errorf("alive: %+v, status: %+v", alive, sandbox.Status)
		}
		if !isReady(sandbox.Status.Conditions) {
			return fmt.Errorf("conditions: %+v", sandbox.Status.Conditions)
		}
		return nil
	})
}

// awaitArrival waits until the first create has arrived at the service.
func awaitArrival(w *world) {
	w.t.Helper()
	eventually(w, "the create has arrived", func() error {
		if len(w.wrenn.Sandboxes()) == 0 {
			return fmt.Errorf("requests: %+v", w.wrenn.Requests())
		}
		return nil
	})
}

// A call that fails, or whose answer is lost, does not matter to a pause, a resume or a destroy.
func TestSandboxCallFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range []wrenndev.FaultKind{
		wrenndev.FaultFailBefore, wrenndev.FaultFailAfter, wrenndev.FaultDrop, wrenndev.FaultAbort, wrenndev.FaultAgentFail,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{})
			for _, op := range []string{wrenndev.OpPause, wrenndev.OpResume, wrenndev.OpDestroy} {
				w.wrenn.Faults().Add(wrenndev.Fault{Kind: kind, Op: op, Times: 1})
			}
			sandbox := w.sandbox("faulty")
			w.create(sandbox)
			awaitReason(w, sandbox, v1alpha1.ReasonRunning)
			edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
			awaitReason(w, sandbox, v1alpha1.ReasonPaused)
			edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModeRunning })
			awaitOne(w, sandbox)
			if err := w.api.Delete(w.ctx, sandbox); err != nil {
				t.Fatal(err)
			}
			awaitGone(w, sandbox)
			if alive := w.alive(); len(alive) != 0 {
				t.Errorf("left behind: %+v", alive)
			}
		})
	}
}

// An operator that ends at any moment of a create leaves enough behind for the next one to find the remote.
func TestSandboxSurvivesTheOperator(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]wrenndev.Fault{
		"after an answer that was lost": {Kind: wrenndev.FaultHang, Op: wrenndev.OpCreate, Times: 1},
		"while it waits for the answer": {Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{})
			w.wrenn.Faults().Add(fault)
			sandbox := w.sandbox("survivor")
			w.create(sandbox)
			awaitArrival(w)
			w.stop()
			w.startOperator()
			awaitOne(w, sandbox)
			if n := len(w.wrenn.Sandboxes()); n != 1 {
				t.Errorf("%d remotes were made, want 1: %+v", n, w.wrenn.Sandboxes())
			}
		})
	}
}

// A list that still shows a create as half made is not believed where something is to be destroyed.
func TestSandboxThatIsMadeAfterAllIsNotDestroyed(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(time.Hour)})
	sandbox := w.sandbox("late")
	w.create(sandbox)
	awaitArrival(w)
	freshAgain := w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultStale, Op: wrenndev.OpList})
	made := w.wrenn.Sandboxes()[0]
	if made.Status != wrenndev.StatusPending {
		t.Fatalf("it is %s", made.Status)
	}
	if err := w.wrenn.SetStatus(made.ID, wrenndev.StatusPaused); err != nil {
		t.Fatal(err)
	}
	eventually(w, "the remote itself is asked about", func() error {
		requests := w.wrenn.Requests()
		if !slices.ContainsFunc(requests, func(r wrenndev.Request) bool { return r.Op == wrenndev.OpGet && r.Sandbox == made.ID }) {
			return fmt.Errorf("requests: %+v", requests)
		}
		return nil
	})
	freshAgain()
	eventually(w, "the Sandbox has it", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil || sandbox.Status.SandboxID != made.ID {
			return fmt.Errorf("status: %+v, error: %w", sandbox.Status, err)
		}
		return nil
	})
	if n := w.calls(wrenndev.OpDestroy); n != 0 {
		t.Errorf("%d destroys", n)
	}
}

// An annotation is anybody's to write: it gives no hold on the remote of another Sandbox.
func TestSandboxCannotTakeTheRemoteOfAnother(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	victim := w.sandbox("victim")
	w.create(victim)
	awaitReason(w, victim, v1alpha1.ReasonRunning)
	forger := w.sandbox("forger")
	forger.Annotations = map[string]string{v1alpha1.AnnotationSandboxID: victim.Status.SandboxID}
	w.create(forger)
	awaitReason(w, forger, v1alpha1.ReasonSandboxClaimed)
	if err := w.api.Delete(w.ctx, forger); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, forger)
	if n := w.calls(wrenndev.OpDestroy); n != 0 {
		t.Errorf("%d destroys", n)
	}
	awaitOne(w, victim)
}

// A resume that fails is tried again, also where the sandbox might have idled.
func TestSandboxResumeThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("idler")
	idle := int32(3600)
	sandbox.Spec.IdleTimeoutSeconds = &idle
	sandbox.Spec.OperatingMode = v1alpha1.OperatingModePaused
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonPaused)
	remove := w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultAgentFail, Op: wrenndev.OpResume})
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModeRunning })
	awaitReason(w, sandbox, v1alpha1.ReasonServiceError)
	remove()
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
}

// A create from a Snapshot whose answer is lost is found again although the Snapshot is gone by then.
func TestSandboxFromADeletedSnapshotIsFound(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	source, golden := w.sandbox("source"), w.snapshot("golden")
	w.create(source)
	w.create(golden)
	awaitReason(w, golden, v1alpha1.ReasonTaken)
	awaitUntroubled(w, golden)
	awaitReason(w, source, v1alpha1.ReasonRunning)
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultHang, Op: wrenndev.OpCreate, Times: 1})
	copied := w.sandbox("copied")
	copied.Spec.SnapshotRef = &v1alpha1.SnapshotReference{Name: "golden"}
	w.create(copied)
	eventually(w, "the create has arrived", func() error {
		if n := len(w.alive()); n != 2 {
			return fmt.Errorf("%d remotes", n)
		}
		return nil
	})
	for _, obj := range []client.Object{copied, golden} {
		if err := w.api.Delete(w.ctx, obj); err != nil {
			t.Fatal(err)
		}
	}
	awaitGone(w, copied)
	if alive := w.alive(); len(alive) != 1 || alive[0].ID != source.Status.SandboxID {
		t.Errorf("alive: %+v", alive)
	}
}

// An object that comes back from a backup without its status finds its remote again.
func TestSandboxWithoutStatusFindsItsRemote(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("restored")
	sandbox.Spec.Files = []v1alpha1.SandboxFile{{Path: "/srv/a", Content: ptr.To("as it was")}}
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	id := sandbox.Status.SandboxID
	eventually(w, "the id is recorded", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
			return err
		}
		if sandbox.Annotations[v1alpha1.AnnotationSandboxID] != id {
			return fmt.Errorf("annotations: %v", sandbox.Annotations)
		}
		return nil
	})
	if err := w.handle(sandbox).Upload(w.ctx, "/srv/a", []byte("as it is now")); err != nil {
		t.Fatal(err)
	}
	w.stop()
	sandbox.Status = v1alpha1.SandboxStatus{}
	if err := w.api.Status().Update(w.ctx, sandbox); err != nil {
		t.Fatal(err)
	}
	w.startOperator()
	awaitOne(w, sandbox)
	if sandbox.Status.SandboxID != id || len(w.wrenn.Sandboxes()) != 1 {
		t.Errorf("it has %s, and had %s; there are %d", sandbox.Status.SandboxID, id, len(w.wrenn.Sandboxes()))
	}
	if got, err := w.handle(sandbox).Download(w.ctx, "/srv/a", 0); err != nil || string(got) != "as it is now" {
		t.Errorf("the file holds %q, %v", got, err)
	}
}
