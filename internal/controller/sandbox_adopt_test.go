package controller

import (
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

var errNotYet = errors.New("not yet")

func TestGoesBefore(t *testing.T) {
	t.Parallel()
	const id = "cl-0a1b2c3d4e5f6g7h8i9j0k1l2"
	object := func(uid string, age int64, has string) *v1alpha1.Sandbox {
		return &v1alpha1.Sandbox{
			ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), CreationTimestamp: metav1.Unix(1000-age, 0)},
			Status:     v1alpha1.SandboxStatus{SandboxID: has},
		}
	}
	for name, tc := range map[string]struct {
		other, sandbox *v1alpha1.Sandbox
		want           bool
	}{
		"a younger that has it":     {object("b", 1, id), object("a", 2, ""), true},
		"an older that wants it":    {object("b", 2, ""), object("a", 1, ""), true},
		"a younger that wants it":   {object("b", 1, ""), object("a", 2, ""), false},
		"both have it, the older":   {object("b", 2, id), object("a", 1, id), true},
		"both have it, the younger": {object("b", 1, id), object("a", 2, id), false},
		"of one age, by uid":        {object("a", 1, ""), object("b", 1, ""), true},
		"of one age, by uid, not":   {object("b", 1, ""), object("a", 1, ""), false},
		"another remote counts not": {object("b", 1, "cl-x"), object("a", 2, ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := goesBefore(tc.other, tc.sandbox, id); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
			if tc.want == goesBefore(tc.sandbox, tc.other, id) {
				t.Error("both go first, or neither does")
			}
		})
	}
}

// A sandbox moves from one cluster to another while what runs in it goes on.
func TestSandboxMovesBetweenClusters(t *testing.T) {
	t.Parallel()
	old := newOperatedWorld(t, wrenndev.Config{})
	sandbox := old.sandbox("moving")
	sandbox.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	old.create(sandbox)
	awaitReason(old, sandbox, v1alpha1.ReasonRunning)
	if _, err := old.handle(sandbox).Exec(old.ctx, wrenn.ExecRequest{
		Cmd: "sh", Args: []string{"-c", "sleep 600 >/dev/null 2>&1 & echo $! > /srv/pid"}, Timeout: 10 * time.Second,
	}); err != nil {
		t.Fatal(err)
	}
	id := sandbox.Status.SandboxID
	if err := old.api.Delete(old.ctx, sandbox); err != nil {
		t.Fatal(err)
	}
	awaitGone(old, sandbox)

	// Another namespace with an operator of its own stands for the other cluster.
	other := newWorld(t, wrenndev.Config{})
	other.startOperator()
	other.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: other.namespace, Name: "wrenn"}, StringData: map[string]string{"apiKey": old.wrenn.APIKey()},
	})
	other.create(other.connection(old.wrenn.URL()))
	adopted := other.sandbox("moved")
	adopted.Spec.AdoptID = id
	other.create(adopted)
	awaitReason(other, adopted, v1alpha1.ReasonRunning)
	if adopted.Status.SandboxID != id {
		t.Fatalf("status is %+v", adopted.Status)
	}
	if got := old.guest(adopted, "kill -0 $(cat /srv/pid) && echo alive"); got != "alive\n" {
		t.Errorf("what ran does not any more: %q", got)
	}
	if n := old.calls(wrenndev.OpCreate); n != 1 {
		t.Errorf("%d creates", n)
	}
	if err := other.api.Delete(other.ctx, adopted); err != nil {
		t.Fatal(err)
	}
	awaitGone(other, adopted)
	if info, _ := old.wrenn.Sandbox(id); info.Status != wrenndev.StatusStopped {
		t.Errorf("the remote is %q", info.Status)
	}
}

// Of two that want one remote the second stalls, touches nothing, and has it when the first lets go.
func TestSandboxAdoptedOnce(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	owner := w.sandbox("owner")
	owner.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	w.create(owner)
	awaitReason(w, owner, v1alpha1.ReasonRunning)
	id := owner.Status.SandboxID
	var second []*v1alpha1.Sandbox
	for i := range 3 {
		sandbox := w.sandbox(fmt.Sprint("second-", i))
		sandbox.Spec.AdoptID = id
		w.create(sandbox)
		second = append(second, sandbox)
	}
	for _, sandbox := range second {
		awaitReason(w, sandbox, v1alpha1.ReasonSandboxClaimed)
	}
	if err := w.api.Delete(w.ctx, second[2]); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, second[2])
	if err := w.api.Delete(w.ctx, owner); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, owner)
	for _, sandbox := range second[:2] {
		edit(w, sandbox, func(s *v1alpha1.Sandbox) { setAnnotation(s, v1alpha1.AnnotationReconcileRequestedAt, "now") })
	}
	awaitOneOf(w, second[:2], id)
	if info, _ := w.wrenn.Sandbox(id); info.Status != wrenndev.StatusRunning {
		t.Errorf("the remote is %q", info.Status)
	}
}

// Two that are made at the same moment do not both get it.
func TestSandboxAdoptionRace(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	orphan := w.sandbox("orphan")
	orphan.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	w.create(orphan)
	awaitReason(w, orphan, v1alpha1.ReasonRunning)
	id := orphan.Status.SandboxID
	if err := w.api.Delete(w.ctx, orphan); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, orphan)
	var rivals []*v1alpha1.Sandbox
	for i := range 5 {
		sandbox := w.sandbox(fmt.Sprint("rival-", i))
		sandbox.Spec.AdoptID = id
		rivals = append(rivals, sandbox)
		w.create(sandbox)
	}
	awaitOneOf(w, rivals, id)
}

// awaitOneOf waits until one of the Sandboxes has a remote and the others say that it is not theirs.
func awaitOneOf(w *world, rivals []*v1alpha1.Sandbox, id string) {
	w.t.Helper()
	eventually(w, "one has it and the others say so", func() error {
		having, refused := 0, 0
		for _, sandbox := range rivals {
			if err := w.api.Get(w.ctx, types.NamespacedName{Namespace: w.namespace, Name: sandbox.Name}, sandbox); err != nil {
				return err
			}
			switch ready := readyOf(sandbox); {
			case ready == v1alpha1.ReasonSandboxClaimed && sandbox.Status.SandboxID == "":
				refused++
			case ready == v1alpha1.ReasonRunning && sandbox.Status.SandboxID == id:
				having++
			}
		}
		if having != 1 || refused != len(rivals)-1 {
			return fmt.Errorf("%d have it, %d are refused", having, refused)
		}
		return nil
	})
}

func readyOf(obj client.Object) string {
	conditions, _ := v1alpha1.ConditionsOf(obj)
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

// One that names nothing of the team's says so, and is deleted like any other.
func TestSandboxAdoptsNothing(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("nothing")
	sandbox.Spec.AdoptID = "cl-0a1b2c3d4e5f6g7h8i9j0k1l2"
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonAdoptedNotFound)
	if hasFinalizer(sandbox) {
		t.Error("it holds what it does not have")
	}
	if err := w.api.Delete(w.ctx, sandbox); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, sandbox)
	if creates, destroys := w.calls(wrenndev.OpCreate), w.calls(wrenndev.OpDestroy); creates+destroys != 0 {
		t.Errorf("%d creates and %d destroys", creates, destroys)
	}
}
