package controller

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// snapshot is one of the Sandbox named source.
func (w *world) snapshot(name string) *v1alpha1.Snapshot {
	return &v1alpha1.Snapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.SnapshotSpec{SandboxRef: v1alpha1.SandboxReference{Name: "source"}},
	}
}

// awaitUntroubled waits until nothing of the taking of a snapshot is left.
func awaitUntroubled(w *world, snapshot *v1alpha1.Snapshot) {
	w.t.Helper()
	eventually(w, snapshot.Name+" has no open intent", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(snapshot), snapshot); err != nil {
			return err
		}
		if text, ok := snapshot.Annotations[v1alpha1.AnnotationSnapshotIntent]; ok {
			return fmt.Errorf("intent: %s", text)
		}
		return nil
	})
}

// remoteSnapshots are the names of the team's snapshots.
func (w *world) remoteSnapshots() []string {
	w.t.Helper()
	list, err := w.client().Snapshots.List(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, each := range list {
		if !each.Platform {
			names = append(names, each.Name)
		}
	}
	return names
}

func TestSnapshotIsTakenAndStartedFrom(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	source := w.sandbox("source")
	w.create(source)
	awaitReason(w, source, v1alpha1.ReasonRunning)
	if err := w.handle(source).Upload(w.ctx, "kept.txt", []byte("kept")); err != nil {
		t.Fatal(err)
	}

	copied := w.sandbox("copied")
	copied.Spec.SnapshotRef = &v1alpha1.SnapshotReference{Name: "golden"}
	w.create(copied)
	awaitReason(w, copied, v1alpha1.ReasonSnapshotNotFound)

	golden := w.snapshot("golden")
	w.create(golden)
	awaitReason(w, golden, v1alpha1.ReasonTaken)
	awaitReason(w, copied, v1alpha1.ReasonRunning)
	content, err := w.handle(copied).Download(w.ctx, "kept.txt", 1024)
	if err != nil || string(content) != "kept" {
		t.Errorf("the copy has %q, %v", content, err)
	}
	awaitReason(w, source, v1alpha1.ReasonRunning)
	if n := w.calls(wrenndev.OpSnapshotCreate); n != 1 {
		t.Errorf("%d snapshots were asked for", n)
	}
	if names := w.remoteSnapshots(); !slices.Equal(names, []string{golden.Status.SnapshotName}) {
		t.Errorf("Wrenn has %v, status says %q", names, golden.Status.SnapshotName)
	}

	for _, obj := range []client.Object{golden, source, copied} {
		if err := w.api.Delete(w.ctx, obj); err != nil {
			t.Fatal(err)
		}
		awaitGone(w, obj)
	}
	if names := w.remoteSnapshots(); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// Whatever goes wrong, one snapshot is taken and the source runs again.
func TestSnapshotFaults(t *testing.T) {
	t.Parallel()
	for _, op := range []string{wrenndev.OpSnapshotCreate, wrenndev.OpResume, wrenndev.OpSnapshotDelete} {
		for _, kind := range []wrenndev.FaultKind{
			wrenndev.FaultFailBefore, wrenndev.FaultFailAfter, wrenndev.FaultDrop, wrenndev.FaultAbort, wrenndev.FaultAgentFail,
		} {
			t.Run(op+" "+string(kind), func(t *testing.T) {
				t.Parallel()
				w := newOperatedWorld(t, wrenndev.Config{})
				w.wrenn.Faults().Add(wrenndev.Fault{Kind: kind, Op: op, Times: 1})
				source, golden := w.sandbox("source"), w.snapshot("golden")
				idle := int32(3600) // so that nothing but the Snapshot puts it back
				source.Spec.IdleTimeoutSeconds = &idle
				w.create(source)
				w.create(golden)
				awaitReason(w, golden, v1alpha1.ReasonTaken)
				awaitUntroubled(w, golden)
				awaitReason(w, source, v1alpha1.ReasonRunning)
				if names := w.remoteSnapshots(); !slices.Equal(names, []string{golden.Status.SnapshotName}) {
					t.Errorf("Wrenn has %v, status says %q", names, golden.Status.SnapshotName)
				}
				if err := w.api.Delete(w.ctx, golden); err != nil {
					t.Fatal(err)
				}
				awaitGone(w, golden)
				if names := w.remoteSnapshots(); len(names) != 0 {
					t.Errorf("left behind: %v", names)
				}
			})
		}
	}
}

// An operator that ends while a snapshot is taken leaves enough behind for the next one to see it to its end.
func TestSnapshotSurvivesTheOperator(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	source, golden := w.sandbox("source"), w.snapshot("golden")
	idle := int32(3600)
	source.Spec.IdleTimeoutSeconds = &idle
	w.create(source)
	awaitReason(w, source, v1alpha1.ReasonRunning)
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultHang, Op: wrenndev.OpSnapshotCreate, Times: 1})
	w.create(golden)
	eventually(w, "the snapshot is there", func() error {
		if names := w.remoteSnapshots(); len(names) != 1 {
			return fmt.Errorf("Wrenn has %v", names)
		}
		return nil
	})
	w.stop()
	w.startOperator()
	awaitReason(w, golden, v1alpha1.ReasonTaken)
	awaitUntroubled(w, golden)
	awaitReason(w, source, v1alpha1.ReasonRunning)
	if names := w.remoteSnapshots(); len(names) != 1 {
		t.Errorf("Wrenn has %v", names)
	}
}

func TestSnapshotLeavesItsSourcePaused(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	source, golden := w.sandbox("source"), w.snapshot("golden")
	idle := int32(3600)
	source.Spec.IdleTimeoutSeconds = &idle
	golden.Spec.SourcePolicy = v1alpha1.SourcePolicyLeavePaused
	w.create(source)
	w.create(golden)
	awaitReason(w, golden, v1alpha1.ReasonTaken)
	awaitReason(w, source, v1alpha1.ReasonIdlePaused)
	if n := w.calls(wrenndev.OpResume); n != 0 {
		t.Errorf("%d resumes", n)
	}
}

func TestSnapshotOfAPausedSandbox(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	source, golden := w.sandbox("source"), w.snapshot("golden")
	source.Spec.OperatingMode = v1alpha1.OperatingModePaused
	w.create(source)
	w.create(golden)
	awaitReason(w, golden, v1alpha1.ReasonTaken)
	awaitReason(w, source, v1alpha1.ReasonPaused)
	if n := w.calls(wrenndev.OpResume); n != 0 {
		t.Errorf("%d resumes", n)
	}
}

// A name that the user chose may be somebody else's: then that snapshot is neither taken for this object's nor deleted
// with it.
func TestSnapshotNameOfSomebodyElse(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	source := w.sandbox("source")
	w.create(source)
	first, second := w.snapshot("first"), w.snapshot("second")
	first.Spec.SnapshotName, second.Spec.SnapshotName = "shared", "shared"
	w.create(first)
	awaitReason(w, first, v1alpha1.ReasonTaken)
	w.create(second)
	awaitReason(w, second, v1alpha1.ReasonNameTaken)
	if err := w.api.Delete(w.ctx, second); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, second)
	if names := w.remoteSnapshots(); !slices.Equal(names, []string{"shared"}) {
		t.Errorf("Wrenn has %v", names)
	}
}

// A snapshot that a Sandbox still waits for is not deleted under it.
func TestSnapshotIsKeptForWhoWaits(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	source, golden := w.sandbox("source"), w.snapshot("golden")
	w.create(source)
	w.create(golden)
	awaitReason(w, golden, v1alpha1.ReasonTaken)
	awaitUntroubled(w, golden)
	awaitReason(w, source, v1alpha1.ReasonRunning)
	slow := w.wrenn.Faults().Add(wrenndev.Fault{
		Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Latency: wrenndev.Millis(2 * time.Second),
	})
	defer slow()
	copied := w.sandbox("copied")
	copied.Spec.SnapshotRef = &v1alpha1.SnapshotReference{Name: "golden"}
	w.create(copied)
	if err := w.api.Delete(w.ctx, golden); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, golden, v1alpha1.ReasonSnapshotInUse)
	awaitReason(w, copied, v1alpha1.ReasonRunning)
	awaitGone(w, golden)
}

// A source that could not be resumed is resumed by the next process, which knows of the snapshot from the status only,
// and whose cache may be behind.
func TestSnapshotSourceIsRestoredByTheNextOperator(t *testing.T) {
	t.Parallel()
	w, cache := newWorld(t, wrenndev.Config{}), &behindCache{}
	w.snapshotsCache = func(cached client.Client) client.Client {
		cache.Client = cached
		return cache
	}
	w.startOperator()
	w.connect()
	source, golden := w.sandbox("source"), w.snapshot("golden")
	source.Spec.IdleTimeoutSeconds = ptr.To[int32](3600) // so that nothing but the Snapshot puts it back
	w.create(source)
	awaitReason(w, source, v1alpha1.ReasonRunning)
	remove := w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultAgentFail, Op: wrenndev.OpResume})
	w.create(golden)
	eventually(w, "the snapshot is in the status", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(golden), golden); err != nil {
			return err
		}
		if golden.Status.CreateTime == nil {
			return fmt.Errorf("status: %+v", golden.Status)
		}
		return nil
	})
	w.stop()
	remove()
	cache.behind.Store(true)
	w.startOperator()
	awaitReason(w, golden, v1alpha1.ReasonTaken)
	awaitUntroubled(w, golden)
	awaitReason(w, source, v1alpha1.ReasonRunning)
	if cache.times.Load() == 0 {
		t.Error("the cache was not asked")
	}
}
