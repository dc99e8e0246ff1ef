package controller

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// theSecret is the one that the tests' connections read.
func (w *world) theSecret() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "wrenn"}}
}

// awaitHeld waits until an object is held for those who use it, or is not.
func awaitHeld(w *world, obj client.Object, want bool) {
	w.t.Helper()
	eventually(w, fmt.Sprintf("%T %s is held: %v", obj, obj.GetName(), want), func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		if isHeld(obj) != want {
			return fmt.Errorf("finalizers %v", obj.GetFinalizers())
		}
		return nil
	})
}

// remove deletes an object, and does not wait for it to go.
func (w *world) remove(objs ...client.Object) {
	w.t.Helper()
	for _, obj := range objs {
		if err := w.api.Delete(w.ctx, obj); err != nil {
			w.t.Fatal(err)
		}
	}
}

// awaitNothing waits until Sandboxes and their remotes are gone.
func awaitNothing(w *world, sandboxes ...*v1alpha1.Sandbox) {
	w.t.Helper()
	for _, sandbox := range sandboxes {
		awaitGone(w, sandbox)
	}
	if alive := w.alive(); len(alive) != 0 {
		w.t.Errorf("left behind: %+v", alive)
	}
}

// A key that is deleted before what was made with it stays until that is destroyed.
func TestConnectionOutlivesItsUsers(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	connection, secret := w.connection(""), w.theSecret()
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	awaitHeld(w, connection, false)
	awaitHeld(w, secret, false)
	source, golden := w.sandbox("source"), w.snapshot("golden")
	w.create(source)
	awaitOne(w, source)
	awaitHeld(w, connection, true)
	awaitHeld(w, secret, true)
	if connection.Status.SecretName != secret.Name {
		t.Errorf("the status names the Secret %q", connection.Status.SecretName)
	}
	w.create(golden)
	awaitReason(w, golden, v1alpha1.ReasonTaken)
	awaitUntroubled(w, golden)

	w.remove(secret)
	awaitReason(w, connection, v1alpha1.ReasonInUse)
	w.remove(connection)
	awaitReason(w, connection, v1alpha1.ReasonInUse)
	// It works as before, also for an operator that knows only what is stored.
	w.stop()
	w.startOperator()
	edit(w, source, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, source, v1alpha1.ReasonPaused)

	w.remove(source)
	awaitNothing(w, source)
	awaitHeld(w, connection, true) // for the Snapshot
	w.remove(golden)
	awaitGone(w, golden)
	awaitGone(w, connection)
	awaitGone(w, secret)
	if names := w.remoteSnapshots(); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// What nobody needs goes at once, and what was needed is free when the last user is gone.
func TestConnectionIsFreeWithoutUsers(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	connection, secret := w.connection(""), w.theSecret()
	for range 2 {
		sandbox := w.sandbox("box")
		w.create(sandbox)
		awaitOne(w, sandbox)
		awaitHeld(w, secret, true)
		w.remove(sandbox)
		awaitNothing(w, sandbox)
		awaitHeld(w, secret, false)
		awaitHeld(w, connection, false)
	}
	w.remove(connection, secret)
	awaitGone(w, connection)
	awaitGone(w, secret)
}

// A Sandbox that would leave its remote needs no key to do so.
func TestOrphansHoldNoConnection(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	connection, secret := w.connection(""), w.theSecret()
	kept, turned := w.sandbox("kept"), w.sandbox("turned")
	kept.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	w.create(kept)
	awaitReason(w, kept, v1alpha1.ReasonRunning)
	awaitHeld(w, connection, false)
	w.create(turned)
	awaitReason(w, turned, v1alpha1.ReasonRunning)
	awaitHeld(w, connection, true)
	w.remove(connection, secret)
	awaitReason(w, connection, v1alpha1.ReasonInUse)
	edit(w, turned, func(s *v1alpha1.Sandbox) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
	awaitGone(w, connection)
	awaitGone(w, secret)
	if n := len(w.alive()); n != 2 {
		t.Errorf("%d remotes are left, want 2", n)
	}
}

// A connection that is being deleted takes nobody new, and does not stay for who waits.
func TestConnectionBeingDeletedTakesNobody(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	connection, secret := w.connection(""), w.theSecret()
	old := w.sandbox("old")
	w.create(old)
	awaitOne(w, old)
	w.remove(connection)
	awaitReason(w, connection, v1alpha1.ReasonInUse)
	late, lateOrphan, adopter, snapshot := w.sandbox("late"), w.sandbox("late-orphan"), w.sandbox("adopter"), w.snapshot("late")
	lateOrphan.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	adopter.Spec.AdoptID = w.remote()
	snapshot.Spec.SandboxRef.Name = "old"
	for _, obj := range []client.Object{late, lateOrphan, adopter, snapshot} {
		w.create(obj)
		awaitReason(w, obj, v1alpha1.ReasonConnectionNotReady)
		if len(obj.GetFinalizers()) != 0 {
			t.Errorf("%s has begun: %v", obj.GetName(), obj.GetFinalizers())
		}
	}
	w.remove(old)
	awaitGone(w, old)
	awaitGone(w, connection)
	awaitReason(w, late, v1alpha1.ReasonConnectionNotFound)
	w.create(w.connection(w.wrenn.URL()))
	for _, obj := range []client.Object{late, lateOrphan, adopter} {
		awaitReason(w, obj, v1alpha1.ReasonRunning)
	}
	awaitHeld(w, secret, true)
}

// A Secret is free when no connection that reads it is needed, and when they read another.
func TestConnectionsShareASecret(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	secret := w.theSecret()
	second := w.connection(w.wrenn.URL())
	second.Name = "second"
	w.create(second)
	one, two := w.sandbox("one"), w.sandbox("two")
	two.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindNamespaced, Name: "second"}
	for _, sandbox := range []*v1alpha1.Sandbox{one, two} {
		w.create(sandbox)
		awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	}
	awaitHeld(w, second, true)
	awaitHeld(w, secret, true)
	held := secret.GetResourceVersion()
	w.remove(one)
	awaitGone(w, one)
	awaitHeld(w, w.connection(""), false)
	awaitHeld(w, secret, true)
	if secret.GetResourceVersion() != held {
		t.Error("the Secret was let go in between")
	}

	other := secret.DeepCopy()
	other.ObjectMeta = metav1.ObjectMeta{Namespace: w.namespace, Name: "other"}
	w.create(other)
	edit(w, second, func(c *v1alpha1.Connection) { c.Spec.APIKeySecretRef.Name = "other" })
	awaitHeld(w, other, true)
	awaitHeld(w, secret, false)
	w.remove(second, other)
	awaitReason(w, second, v1alpha1.ReasonInUse)
	w.remove(two)
	awaitNothing(w, two)
	awaitGone(w, second)
	awaitGone(w, other)
}

// The Secret of a ClusterConnection is held where the operator is.
func TestClusterConnectionHoldsItsSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	lent := w.lend(&metav1.LabelSelector{})
	secret, sandbox := w.theSecret(), w.sandbox("box")
	sandbox.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: lent.Name}
	w.create(sandbox)
	awaitOne(w, sandbox)
	awaitHeld(w, secret, true)
	w.remove(secret, lent)
	awaitReason(w, lent, v1alpha1.ReasonInUse)
	w.remove(sandbox)
	awaitNothing(w, sandbox)
	awaitGone(w, lent)
	awaitGone(w, secret)
}

// Whenever a connection is deleted while Sandboxes come and go, it goes with the last that it took, and nothing remote is left.
func TestConnectionDeletedAtAnyMoment(t *testing.T) {
	t.Parallel()
	for i := range 6 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{BootDelay: 20 * time.Millisecond})
			connection, secret := w.connection(""), w.theSecret()
			awaitReason(w, connection, v1alpha1.ReasonConnected)
			var sandboxes []*v1alpha1.Sandbox
			for n := range 8 {
				if n == i {
					w.remove(secret, connection)
				}
				sandboxes = append(sandboxes, w.sandbox(fmt.Sprint("box-", n)))
				w.create(sandboxes[n])
			}
			for _, sandbox := range slices.Backward(sandboxes) {
				w.remove(sandbox)
			}
			awaitNothing(w, sandboxes...)
			awaitGone(w, connection)
			awaitGone(w, secret)
		})
	}
}

// A Secret that is not there when a first user comes cannot be held, and is as soon as it is there.
func TestConnectionWithoutItsSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	connection, sandbox := w.connection(w.wrenn.URL()), w.sandbox("box")
	w.create(connection)
	w.create(sandbox)
	awaitReason(w, connection, v1alpha1.ReasonSecretNotFound)
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotReady)
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	awaitOne(w, sandbox)
	awaitHeld(w, w.theSecret(), true)
}

// The message says the same from one look to the next: a connection that waits to go costs no writes.
func TestConnectionInUseIsQuiet(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	connection, sandbox := w.connection(""), w.sandbox("box")
	w.create(sandbox)
	awaitOne(w, sandbox)
	w.remove(connection)
	awaitReason(w, connection, v1alpha1.ReasonInUse)
	awaitUnchanging(w, connection)
	w.remove(sandbox)
	awaitNothing(w, sandbox)
}

// awaitUnchanging sees an object through a few looks of the operator and fails if it is written meanwhile.
func awaitUnchanging(w *world, obj client.Object) {
	w.t.Helper()
	version, lists := obj.GetResourceVersion(), w.calls(wrenndev.OpList)
	eventually(w, "the operator looks again and again", func() error {
		if n := w.calls(wrenndev.OpList) - lists; n < 5 {
			return fmt.Errorf("%d lists", n)
		}
		return nil
	})
	if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		w.t.Fatal(err)
	}
	if obj.GetResourceVersion() != version {
		conditions, _ := v1alpha1.ConditionsOf(obj)
		w.t.Errorf("%s was written: %+v", obj.GetName(), meta.FindStatusCondition(conditions, v1alpha1.ConditionReady))
	}
}

// remote makes a remote sandbox without an object.
func (w *world) remote() string {
	w.t.Helper()
	made, err := w.client().Sandboxes.Create(w.ctx, wrenn.CreateSandboxRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	return made.ID
}

// labels mark the ClusterConnections of a test.
func (w *world) labels() map[string]string { return map[string]string{"test": w.namespace} }

// lend makes a ClusterConnection named like the namespace, with its Secret.
func (w *world) lend(selector *metav1.LabelSelector) *v1alpha1.ClusterConnection {
	w.t.Helper()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	return w.lendAs(w.namespace, "wrenn", selector)
}

// lendAs makes a ClusterConnection, until the end of the test, that the test's operator alone sees.
func (w *world) lendAs(name, secret string, selector *metav1.LabelSelector) *v1alpha1.ClusterConnection {
	w.t.Helper()
	lent := &v1alpha1.ClusterConnection{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: w.labels()},
		Spec:       v1alpha1.ClusterConnectionSpec{ConnectionSpec: w.connection(w.wrenn.URL()).Spec, NamespaceSelector: selector},
	}
	lent.Spec.APIKeySecretRef = &v1alpha1.SecretKeyReference{Name: secret, Key: "apiKey"}
	w.create(lent)
	w.t.Cleanup(func() {
		if err := client.IgnoreNotFound(w.api.Delete(context.Background(), lent)); err != nil {
			w.t.Error(err)
		}
	})
	return lent
}
