package controller

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// rotate puts another key into the Secret.
func (w *world) rotate(key string) {
	w.t.Helper()
	edit(w, w.theSecret(), func(s *corev1.Secret) { s.Data = map[string][]byte{"apiKey": []byte(key)} })
}

// newKey makes another API key of the team. Revoke ends it.
func (w *world) newKey() (key string, revoke func()) {
	w.t.Helper()
	token, err := wrenn.JWT(w.wrenn.Token())
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := wrenn.New(w.wrenn.URL(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.CloseIdleConnections)
	made, err := c.APIKeys.Create(w.ctx, "another")
	if err != nil {
		w.t.Fatal(err)
	}
	return made.Key.Reveal(), func() {
		if err := c.APIKeys.Delete(w.ctx, made.ID); err != nil {
			w.t.Fatal(err)
		}
	}
}

// reasons follows the objects of a kind and collects each reason that the Ready condition of any of them gives.
func (w *world) reasons(list client.ObjectList) (seen func() []string) {
	w.t.Helper()
	api, err := client.NewWithWatch(cluster.RESTConfig(), client.Options{Scheme: scheme})
	if err != nil {
		w.t.Fatal(err)
	}
	follow, err := api.Watch(w.ctx, list, client.InNamespace(w.namespace))
	if err != nil {
		w.t.Fatal(err)
	}
	var mu sync.Mutex
	var all []string
	var group sync.WaitGroup
	group.Go(func() {
		for event := range follow.ResultChan() {
			obj, ok := event.Object.(client.Object)
			if !ok || event.Type == watch.Deleted {
				continue
			}
			mu.Lock()
			if reason := obj.GetName() + " " + readyOf(obj); !slices.Contains(all, reason) {
				all = append(all, reason)
			}
			mu.Unlock()
		}
	})
	w.t.Cleanup(func() {
		follow.Stop()
		group.Wait()
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// awaitSwitched waits until the connection uses another credential than that of the fingerprint, and is well.
func awaitSwitched(w *world, connection *v1alpha1.Connection, from string) {
	w.t.Helper()
	eventually(w, "another credential is in use", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(connection), connection); err != nil {
			return err
		}
		if connection.Status.Fingerprint == from || !isReady(connection.Status.Conditions) {
			return fmt.Errorf("status: %+v", connection.Status)
		}
		return nil
	})
}

// Who uses a connection does not notice that its key is rotated, not even in the middle of a create.
func TestKeyRotationIsNotNoticed(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	connection, box, slow := w.connection(""), w.sandbox("box"), w.sandbox("slow")
	w.create(box)
	awaitOne(w, box)
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	before := connection.Status.Fingerprint
	connections, sandboxes := w.reasons(&v1alpha1.ConnectionList{}), w.reasons(&v1alpha1.SandboxList{})
	w.wrenn.Faults().Add(wrenndev.Fault{
		Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(2 * time.Second),
	})
	w.create(slow)
	eventually(w, "the create has arrived", func() error {
		if n := len(w.alive()); n != 2 {
			return fmt.Errorf("%d remotes", n)
		}
		return nil
	})
	key, _ := w.newKey()
	w.rotate(key)
	awaitSwitched(w, connection, before)
	awaitReason(w, slow, v1alpha1.ReasonRunning)
	edit(w, box, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, box, v1alpha1.ReasonPaused)
	if box.Status.Connection.Fingerprint != connection.Status.Fingerprint {
		t.Errorf("the Sandbox is bound to %+v", box.Status.Connection)
	}
	if seen := connections(); !slices.Equal(seen, []string{"default Connected"}) {
		t.Errorf("the connection said %v", seen)
	}
	for _, reason := range sandboxes() {
		switch reason {
		case "box Running", "box Pausing", "box Paused", "slow ", "slow Creating", "slow Running":
		default:
			t.Errorf("a Sandbox said %q", reason)
		}
	}
	if n := len(w.wrenn.Sandboxes()); n != 2 {
		t.Errorf("%d remotes were made", n)
	}
}

// A key of another team is not used, and nothing is let go for it, whether the operator still has the right one or not.
func TestKeyOfAnotherTeamIsRefused(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{Teams: []wrenndev.Team{{Name: "dev"}, {Name: "other"}}})
	connection, box, late := w.connection(""), w.sandbox("box"), w.sandbox("late")
	box.Spec.RecoveryPolicy = v1alpha1.RecoveryPolicyRecreate
	w.create(box)
	awaitOne(w, box)
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	fingerprint := connection.Status.Fingerprint

	w.rotate(w.wrenn.APIKeyOf("other"))
	awaitReason(w, connection, v1alpha1.ReasonTeamMismatch)
	if connection.Status.Fingerprint != fingerprint {
		t.Error("the fingerprint is that of the refused key")
	}
	awaitUnchanging(w, connection)
	edit(w, box, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, box, v1alpha1.ReasonPaused)
	w.create(late)
	awaitReason(w, late, v1alpha1.ReasonConnectionNotReady)

	sandboxes := w.reasons(&v1alpha1.SandboxList{})
	w.stop()
	w.startOperator()
	eventually(w, "the next operator has asked for the sandbox", func() error {
		if w.refusedGets() < 2 {
			return errNotYet
		}
		return nil
	})
	awaitReason(w, connection, v1alpha1.ReasonTeamMismatch)
	awaitReason(w, box, v1alpha1.ReasonPaused)
	w.rotate(w.wrenn.APIKey())
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	awaitReason(w, late, v1alpha1.ReasonRunning)
	for _, reason := range sandboxes() {
		if reason != "box Paused" && !slices.Contains([]string{"late ConnectionNotReady", "late Creating", "late Running"}, reason) {
			t.Errorf("a Sandbox said %q", reason)
		}
	}
	if n := w.calls(wrenndev.OpDestroy); n != 0 || len(w.alive()) != 2 {
		t.Errorf("%d destroys, alive: %+v", n, w.alive())
	}

	// Without Sandboxes there is no team to be faithful to.
	w.rotate(w.wrenn.APIKeyOf("other"))
	awaitReason(w, connection, v1alpha1.ReasonTeamMismatch)
	w.remove(box, late)
	awaitNothing(w, box, late)
	awaitSwitched(w, connection, fingerprint)
}

// refusedGets counts how often Wrenn was asked for a sandbox that the asker's team does not have.
func (w *world) refusedGets() int {
	count := 0
	for _, request := range w.wrenn.Requests() {
		if request.Op == wrenndev.OpGet && request.Status == 404 {
			count++
		}
	}
	return count
}

// A key that is revoked before the next one is there interrupts, and ends nothing.
func TestKeyRevokedTooEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	first, revoke := w.newKey()
	w.secret("wrenn", "apiKey", first)
	connection, box := w.connection(w.wrenn.URL()), w.sandbox("box")
	w.create(connection)
	w.create(box)
	awaitOne(w, box)
	revoke()
	awaitReason(w, connection, v1alpha1.ReasonUnauthorized)
	w.rotate("wrn_00000000000000000000000000000000")
	eventually(w, "the wrong key was tried", func() error {
		if w.calls(wrenndev.OpGet) == 0 {
			return errNotYet
		}
		return nil
	})
	awaitReason(w, connection, v1alpha1.ReasonUnauthorized)
	w.rotate(w.wrenn.APIKey())
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	edit(w, box, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, box, v1alpha1.ReasonPaused)
	if n := len(w.wrenn.Sandboxes()); n != 1 {
		t.Errorf("%d remotes were made", n)
	}
}

// A key that is rotated while no operator runs is verified by the next one.
func TestKeyRotatedWithoutOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	first, revoke := w.newKey()
	w.secret("wrenn", "apiKey", first)
	connection, box := w.connection(w.wrenn.URL()), w.sandbox("box")
	w.create(connection)
	w.create(box)
	awaitOne(w, box)
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	before := connection.Status.Fingerprint
	w.stop()
	revoke()
	w.rotate(w.wrenn.APIKey())
	sandboxes := w.reasons(&v1alpha1.SandboxList{})
	w.startOperator()
	awaitSwitched(w, connection, before)
	edit(w, box, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, box, v1alpha1.ReasonPaused)
	for _, reason := range sandboxes() {
		if !slices.Contains([]string{"box Running", "box Pausing", "box Paused"}, reason) {
			t.Errorf("the Sandbox said %q", reason)
		}
	}
}

// A key that cannot be verified, since the endpoint fails now and then, is verified when it answers; what is in use
// stays so meanwhile.
func TestKeyRotationWhileTheEndpointFlaps(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	connection, box := w.connection(""), w.sandbox("box")
	w.create(box)
	awaitOne(w, box)
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	before := connection.Status.Fingerprint
	stop := w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultAbort, Op: wrenndev.OpGet})
	w.wrenn.ResetRequests()
	key, _ := w.newKey()
	w.rotate(key)
	awaitReason(w, connection, v1alpha1.ReasonEndpointUnreachable)
	awaitUnchanging(w, connection)
	lists, gets := w.calls(wrenndev.OpList), w.calls(wrenndev.OpGet)
	if gets > lists {
		t.Errorf("%d gets in the time of %d lists", gets, lists)
	}
	edit(w, box, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, box, v1alpha1.ReasonPaused)
	stop()
	awaitSwitched(w, connection, before)
	edit(w, box, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModeRunning })
	awaitOne(w, box)
}
