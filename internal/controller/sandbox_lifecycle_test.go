package controller

import (
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func (w *world) sandbox(name string) *v1alpha1.Sandbox {
	return &v1alpha1.Sandbox{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
}

// awaitGone waits until an object is no longer there.
func awaitGone(w *world, obj client.Object) {
	w.t.Helper()
	eventually(w, obj.GetName()+" is gone", func() error {
		err := w.api.Get(w.ctx, client.ObjectKeyFromObject(obj), obj)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w, finalizers %v", err, obj.GetFinalizers())
	})
}

func TestSandboxLivesAsDeclared(t *testing.T) {
	for _, generation := range []wrenndev.Generations{wrenndev.Sandboxes, wrenndev.Capsules} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{Generations: generation})
			sandbox := w.sandbox("life")
			sandbox.Spec.Ports = []v1alpha1.SandboxPort{{Name: "web", Port: 8080}}
			w.create(sandbox)
			awaitReason(w, sandbox, v1alpha1.ReasonRunning)
			id := sandbox.Status.SandboxID
			if info, _ := w.wrenn.Sandbox(id); info.Status != wrenndev.StatusRunning {
				t.Fatalf("the remote is %q", info.Status)
			}
			if len(sandbox.Status.Endpoints) != 1 {
				t.Errorf("endpoints: %+v", sandbox.Status.Endpoints)
			}

			edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
			awaitReason(w, sandbox, v1alpha1.ReasonPaused)
			if info, _ := w.wrenn.Sandbox(id); info.Status != wrenndev.StatusPaused {
				t.Fatalf("the remote is %q", info.Status)
			}
			edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModeRunning })
			awaitReason(w, sandbox, v1alpha1.ReasonRunning)
			if sandbox.Status.SandboxID != id {
				t.Errorf("the remote changed from %s to %s", id, sandbox.Status.SandboxID)
			}

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
			if n := w.calls(wrenndev.OpCreate); n != 1 {
				t.Errorf("%d creates", n)
			}
		})
	}
}

// A new Sandbox costs two writes until it is Ready, a third later, and one to let it go. The first user of a connection
// costs two more: the finalizers of the connection and its Secret.
func TestSandboxWriteBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.showAfter = patience // One that takes its time costs a write more, to show it.
	w.startOperator()
	w.connect()
	awaitReason(w, w.connection(""), v1alpha1.ReasonConnected)
	for _, each := range []struct {
		name string
		want int64
	}{{"first", 5}, {"second", 3}, {"third", 3}} {
		before := w.writes.count.Load()
		w.wrenn.ResetRequests()
		sandbox := w.sandbox(each.name)
		w.create(sandbox)
		eventually(w, "the annotations are up to date", func() error {
			if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
				return err
			}
			if sandbox.Annotations[v1alpha1.AnnotationSandboxID] == "" || sandbox.Annotations[v1alpha1.AnnotationCreateIntent] != "" {
				return fmt.Errorf("annotations: %v", sandbox.Annotations)
			}
			return nil
		})
		if !isReady(sandbox.Status.Conditions) {
			t.Errorf("%s: the id was recorded before the Sandbox was Ready: %+v", each.name, sandbox.Status)
		}
		if n := w.writes.count.Load() - before; n != each.want {
			t.Errorf("%s: %d writes, want %d", each.name, n, each.want)
		}
		if creates, gets := w.calls(wrenndev.OpCreate), w.calls(wrenndev.OpGet); creates != 1 || gets != 0 {
			t.Errorf("%s: %d creates and %d gets, want 1 and 0", each.name, creates, gets)
		}
	}
	before, last := w.writes.count.Load(), w.sandbox("third")
	if err := w.api.Delete(w.ctx, last); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, last)
	if n := w.writes.count.Load() - before; n != 1 {
		t.Errorf("%d writes to let one go, want 1", n)
	}
}
