package controller

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// cause is something that holds deletions until it is repaired.
type cause struct {
	reason string
	// brake brings it about and returns how it is repaired. The operator may be stopped and started for it.
	brake func(w *world) (repair func())
	// tries tells that it is tried again and again meanwhile.
	tries bool
}

func fault(faults ...wrenndev.Fault) func(w *world) func() {
	return func(w *world) func() {
		var removals []func()
		for _, each := range faults {
			removals = append(removals, w.wrenn.Faults().Add(each))
		}
		return func() {
			for _, remove := range removals {
				remove()
			}
		}
	}
}

// remade takes an object away while no operator looks, and the operator's memory with it.
func remade(obj func(w *world) client.Object) func(w *world) func() {
	return func(w *world) func() {
		w.t.Helper()
		w.stop()
		found := obj(w)
		eventually(w, "take away "+found.GetName(), func() error {
			if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(found), found); err != nil {
				return err
			}
			found.SetFinalizers(nil)
			return w.api.Update(w.ctx, found)
		})
		if err := client.IgnoreNotFound(w.api.Delete(w.ctx, found)); err != nil {
			w.t.Fatal(err)
		}
		awaitGone(w, obj(w))
		w.startOperator()
		return func() {
			found.SetResourceVersion("")
			found.SetUID("")
			found.SetDeletionTimestamp(nil)
			w.create(found)
		}
	}
}

func theSecret(w *world) client.Object {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "wrenn"}}
}

// withKey puts another key into the Secret while no operator looks.
func withKey(w *world, key string) {
	w.t.Helper()
	w.stop()
	edit(w, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "wrenn"}}, func(s *corev1.Secret) {
		s.StringData = map[string]string{"apiKey": key}
	})
	w.startOperator()
}

var causes = map[string]cause{
	"the key is refused": {
		reason: v1alpha1.ReasonUnauthorized, tries: true,
		brake: fault(wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Status: 401, Code: "unauthorized"}),
	},
	"the endpoint is out of reach": {
		reason: v1alpha1.ReasonEndpointUnreachable, tries: true, brake: fault(wrenndev.Fault{Kind: wrenndev.FaultAbort}),
	},
	"the service fails": {
		reason: v1alpha1.ReasonServiceError, tries: true,
		brake: fault(
			wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Op: wrenndev.OpDestroy},
			wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Op: wrenndev.OpSnapshotDelete},
		),
	},
	"the service does not know it": {
		reason: v1alpha1.ReasonRemoteUnconfirmed, tries: true,
		brake: fault(unknown(wrenndev.OpDestroy), unknown(wrenndev.OpGet), unknown(wrenndev.OpSnapshotDelete)),
	},
	"the Secret is gone":     {reason: v1alpha1.ReasonSecretNotFound, brake: remade(theSecret)},
	"the connection is gone": {reason: v1alpha1.ReasonConnectionNotFound, brake: remade(func(w *world) client.Object { return w.connection("") })},
	"the key is of no form": {
		reason: v1alpha1.ReasonInvalidCredential, brake: func(w *world) func() {
			withKey(w, "nonsense")
			return func() { withKey(w, w.wrenn.APIKey()) }
		},
	},
	"the key is another team's": {
		reason: v1alpha1.ReasonTeamMismatch, brake: func(w *world) func() {
			withKey(w, w.wrenn.APIKeyOf(otherTeam))
			return func() { withKey(w, w.wrenn.APIKey()) }
		},
	},
}

const otherTeam = "other"

// unknown has an operation answer as it does for what the team does not have.
func unknown(op string) wrenndev.Fault {
	return wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Op: op, Status: http.StatusNotFound, Code: "not_found"}
}

// Whatever holds a deletion is named, leaves the remote where it is, and lets go when it is repaired.
func TestDeletionIsHeld(t *testing.T) {
	t.Parallel()
	for name, held := range causes {
		for _, kind := range []string{"Sandbox", "Snapshot"} {
			t.Run(kind+": "+name, func(t *testing.T) {
				t.Parallel()
				w := newOperatedWorld(t, wrenndev.Config{Teams: []wrenndev.Team{{Name: "dev"}, {Name: otherTeam}}})
				obj, left := w.deletable(kind)
				repair := held.brake(w)
				if err := w.api.Delete(w.ctx, obj); err != nil {
					t.Fatal(err)
				}
				awaitReason(w, obj, held.reason)
				awaitWarning(w, obj, held.reason)
				if held.tries {
					expectCalm(w, obj)
				}
				if left() != 1 {
					t.Error("the remote is gone")
				}
				repair()
				awaitGone(w, obj)
				if left() != 0 {
					t.Error("the remote is left behind")
				}
			})
		}
	}
}

// deletable makes an object with a remote, and returns how many remotes are left of it.
func (w *world) deletable(kind string) (client.Object, func() int) {
	w.t.Helper()
	source := w.sandbox("source")
	w.create(source)
	awaitReason(w, source, v1alpha1.ReasonRunning)
	if kind == "Sandbox" {
		return source, func() int { return len(w.alive()) }
	}
	snapshot := w.snapshot("held")
	w.create(snapshot)
	awaitReason(w, snapshot, v1alpha1.ReasonTaken)
	awaitUntroubled(w, snapshot)
	return snapshot, func() int {
		if slices.ContainsFunc(w.wrenn.Requests(), func(r wrenndev.Request) bool {
			return r.Op == wrenndev.OpSnapshotDelete && r.Status == http.StatusNoContent
		}) {
			return 0
		}
		return 1
	}
}

// awaitWarning waits for an event of an object that warns.
func awaitWarning(w *world, obj client.Object, reason string) {
	w.t.Helper()
	eventually(w, "a warning of "+reason, func() error {
		var list eventsv1.EventList
		if err := w.api.List(w.ctx, &list, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		if !slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool {
			return e.Regarding.UID == obj.GetUID() && e.Reason == reason && e.Type == corev1.EventTypeWarning &&
				strings.HasPrefix(e.Note, "the deletion is held: ")
		}) {
			return fmt.Errorf("none among %d", len(list.Items))
		}
		return nil
	})
}

// expectCalm sees that an object is not written from one try to the next. The first tries may differ: a call that fails
// tells less than the connection, which learns of it later.
func expectCalm(w *world, obj client.Object) {
	w.t.Helper()
	tries := func(more int) {
		from := len(w.wrenn.Requests())
		eventually(w, "more tries", func() error {
			if n := len(w.wrenn.Requests()) - from; n < more {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
	}
	tries(10)
	if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		w.t.Fatal(err)
	}
	before := obj.GetResourceVersion()
	tries(20)
	if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		w.t.Fatal(err)
	}
	if obj.GetResourceVersion() != before {
		conditions, _ := v1alpha1.ConditionsOf(obj)
		w.t.Errorf("it was written: %+v", meta.FindStatusCondition(conditions, v1alpha1.ConditionReady))
	}
}

// That a deletion is held is an event of its own, also where the object said before what holds it.
func TestHeldDeletionWarnsOfWhatWasKnown(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	obj, left := w.deletable("Sandbox")
	repair := causes["the connection is gone"].brake(w)
	awaitReason(w, obj, v1alpha1.ReasonConnectionNotFound)
	w.remove(obj)
	awaitWarning(w, obj, v1alpha1.ReasonConnectionNotFound)
	repair()
	awaitGone(w, obj)
	if left() != 0 {
		t.Error("the remote is left behind")
	}
}

// A deletion that is held lets go at once when its remote is to be left.
func TestHeldDeletionLetsGoByOrphan(t *testing.T) {
	t.Parallel()
	for name, held := range causes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{Teams: []wrenndev.Team{{Name: "dev"}, {Name: otherTeam}}})
			obj, left := w.deletable("Sandbox")
			held.brake(w)
			if err := w.api.Delete(w.ctx, obj); err != nil {
				t.Fatal(err)
			}
			awaitReason(w, obj, held.reason)
			edit(w, w.sandbox(obj.GetName()), func(s *v1alpha1.Sandbox) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
			awaitGone(w, obj)
			if left() != 1 {
				t.Error("the remote is gone")
			}
		})
	}
}

// Nor is a call waited for that gets no answer.
func TestDeletionThatHangsLetsGoByOrphan(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	obj, left := w.deletable("Sandbox")
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpDestroy, Latency: wrenndev.Millis(1 << 40)})
	if err := w.api.Delete(w.ctx, obj); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, obj, v1alpha1.ReasonDeleting)
	edit(w, w.sandbox(obj.GetName()), func(s *v1alpha1.Sandbox) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
	awaitGone(w, obj)
	if left() != 1 {
		t.Error("the remote is gone")
	}
	if n := len(slices.DeleteFunc(w.wrenn.Requests(), func(r wrenndev.Request) bool { return r.Op != wrenndev.OpDestroy || r.Done })); n != 1 {
		t.Errorf("%d DELETEs are under way, want the one that was not waited for", n)
	}
}

// A Sandbox that is not deleted is told the cause too, in the message.
func TestSandboxIsToldWhyItsConnectionIsNotReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	w.create(w.connection(w.wrenn.URL()))
	awaitReason(w, w.connection(""), v1alpha1.ReasonSecretNotFound)
	sandbox := w.sandbox("box")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotReady)
	ready := meta.FindStatusCondition(sandbox.Status.Conditions, v1alpha1.ConditionReady)
	if !strings.Contains(ready.Message, v1alpha1.ReasonSecretNotFound) {
		t.Errorf("the message names no cause: %s", ready.Message)
	}
}

// DELETE is sent to a remote that has ended too, and the remote is read again: the service may have lost track of a
// microVM.
func TestDeletionIsSentToAnEndedRemote(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("ended")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	w.use(sandbox)
	id := sandbox.Status.SandboxID
	if err := w.wrenn.SetStatus(id, wrenndev.StatusStopped); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, sandbox, v1alpha1.ReasonLost)
	if err := w.api.Delete(w.ctx, sandbox); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, sandbox)
	deletes := w.deletesOf(id)
	if len(deletes) != 1 {
		t.Fatalf("%d DELETEs", len(deletes))
	}
	if !slices.ContainsFunc(w.wrenn.Requests(), func(r wrenndev.Request) bool {
		return r.Op == wrenndev.OpGet && r.Sandbox == id && r.Seq > deletes[0].Seq
	}) {
		t.Error("it was not read again")
	}
	if info, _ := w.wrenn.Sandbox(id); info.Machine {
		t.Error("its machine lives on")
	}
}

// What a create has left behind that was given up is found and destroyed before the object goes.
func TestDeletionEndsACreateUnderWay(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]wrenndev.Fault{
		"answer lost":           {Kind: wrenndev.FaultDrop},
		"slower than the limit": {Kind: wrenndev.FaultAgentDelay, Latency: wrenndev.Millis(1 << 40)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lost.Op, lost.Times = wrenndev.OpCreate, 1
			w := newOperatedWorld(t, wrenndev.Config{})
			w.wrenn.Faults().Add(lost)
			sandbox := w.sandbox("unborn")
			w.create(sandbox)
			eventually(w, "the create has arrived", func() error {
				if n := len(w.wrenn.Sandboxes()); n == 0 {
					return fmt.Errorf("%d remotes", n)
				}
				return nil
			})
			if err := w.api.Delete(w.ctx, sandbox); err != nil {
				t.Fatal(err)
			}
			awaitGone(w, sandbox)
			if alive := w.alive(); len(alive) != 0 {
				t.Errorf("left behind: %+v", alive)
			}
			if n := w.calls(wrenndev.OpCreate); n != 1 {
				t.Errorf("%d creates", n)
			}
		})
	}
}
