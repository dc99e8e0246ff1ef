package controller

import (
	"slices"
	"testing"
	"time"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

const foreignTeam = "other"

// loseCreate has the answer to the create of a Sandbox be lost, and the operator end before it has found out what came of it.
func (w *world) loseCreate(sandbox *v1alpha1.Sandbox) {
	w.t.Helper()
	before := len(w.alive())
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultHang, Op: wrenndev.OpCreate, Times: 1})
	w.create(sandbox)
	eventually(w, "the create has arrived", func() error {
		if len(w.alive()) == before {
			return errNotYet
		}
		return nil
	})
	w.stop()
}

// newRotatedWorld starts one with two teams and a Connection to the first, by a key of its own that revoke ends.
func newRotatedWorld(t *testing.T, ownership v1alpha1.Ownership) (w *world, at *v1alpha1.Connection, key string, revoke func()) {
	t.Helper()
	w = newWorld(t, wrenndev.Config{Teams: []wrenndev.Team{{Name: "dev"}, {Name: foreignTeam}}})
	w.startOperator()
	key, revoke = w.newKey()
	w.secret("wrenn", "apiKey", key)
	at = w.connection(w.wrenn.URL())
	at.Spec.Ownership = ownership
	w.create(at)
	awaitReason(w, at, v1alpha1.ReasonConnected)
	return w, at, key, revoke
}

// idlingSandbox is one with an idle timeout, so that no token tells its remote.
func idlingSandbox(w *world, name string) *v1alpha1.Sandbox {
	sandbox := w.sandbox(name)
	sandbox.Spec.IdleTimeoutSeconds = ptr.To[int32](3600)
	return sandbox
}

// A key of another team is not used where all that is known of the team is a create that was not answered: what came of it
// is neither made a second time nor left behind.
func TestKeyOfAnotherTeamWithACreateUnanswered(t *testing.T) {
	t.Parallel()
	for name, deleted := range map[string]bool{"kept": false, "deleted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, at, key, _ := newRotatedWorld(t, v1alpha1.OwnershipShared)
			fingerprint := at.Status.Fingerprint
			box := w.sandbox("box")
			w.loseCreate(box)
			w.rotate(w.wrenn.APIKeyOf(foreignTeam))
			w.startOperator()
			awaitReason(w, at, v1alpha1.ReasonTeamMismatch)
			if deleted {
				w.remove(box)
				awaitReason(w, box, v1alpha1.ReasonTeamMismatch)
			} else {
				awaitReason(w, box, v1alpha1.ReasonConnectionNotReady)
			}
			if at.Status.Fingerprint != fingerprint {
				t.Error("the fingerprint is that of the refused key")
			}
			w.rotate(key)
			if deleted {
				awaitNothing(w, box)
			} else {
				awaitOne(w, box)
			}
			if n := w.calls(wrenndev.OpCreate); n != 1 {
				t.Errorf("%d creates", n)
			}
		})
	}
}

// A person who decides that there is nothing to look for lets the connection go to another team.
func TestKeyOfAnotherTeamByDecision(t *testing.T) {
	t.Parallel()
	w, at, _, _ := newRotatedWorld(t, v1alpha1.OwnershipShared)
	fingerprint := at.Status.Fingerprint
	box := w.sandbox("box")
	w.loseCreate(box)
	w.rotate(w.wrenn.APIKeyOf(foreignTeam))
	w.startOperator()
	awaitReason(w, at, v1alpha1.ReasonTeamMismatch)
	w.decide(box, outcomeRetry)
	awaitSwitched(w, at, fingerprint)
	awaitReason(w, box, v1alpha1.ReasonRunning)
	awaitDecided(w, box)
	if n := w.calls(wrenndev.OpCreate); n != 2 {
		t.Errorf("%d creates", n)
	}
}

// Another key of the same team is used as soon as anything shows that it is: what came of the create, by its token or by a
// person's word, or what another Sandbox has.
func TestKeyOfTheSameTeamWithACreateUnanswered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ownership v1alpha1.Ownership
		box       func(*world) *v1alpha1.Sandbox
		// beside makes another Sandbox first, and decides has a person name the remote.
		beside, decides bool
	}{
		"by its token": {ownership: v1alpha1.OwnershipShared, box: func(w *world) *v1alpha1.Sandbox { return w.sandbox("box") }},
		"by another Sandbox": {
			ownership: v1alpha1.OwnershipExclusive, beside: true, box: func(w *world) *v1alpha1.Sandbox { return idlingSandbox(w, "box") },
		},
		"by a person's word": {
			ownership: v1alpha1.OwnershipShared, decides: true, box: func(w *world) *v1alpha1.Sandbox { return idlingSandbox(w, "box") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, at, _, revoke := newRotatedWorld(t, test.ownership)
			fingerprint := at.Status.Fingerprint
			if test.beside {
				beside := w.sandbox("beside")
				w.create(beside)
				awaitReason(w, beside, v1alpha1.ReasonRunning)
			}
			remotes := w.alive()
			box := test.box(w)
			w.loseCreate(box)
			lost := slices.DeleteFunc(w.alive(), func(s wrenndev.SandboxInfo) bool {
				return slices.ContainsFunc(remotes, func(known wrenndev.SandboxInfo) bool { return known.ID == s.ID })
			})
			w.rotate(w.wrenn.APIKey())
			revoke()
			w.startOperator()
			if test.decides {
				awaitReason(w, at, v1alpha1.ReasonTeamMismatch)
				w.decide(box, outcomeAdopt+lost[0].ID)
			}
			awaitSwitched(w, at, fingerprint)
			awaitReason(w, box, v1alpha1.ReasonRunning)
			if n := len(w.wrenn.Sandboxes()); n != len(remotes)+1 || box.Status.SandboxID != lost[0].ID {
				t.Errorf("%d remotes were made; it has %s", n, box.Status.SandboxID)
			}
		})
	}
}

// As long as the key before it is good, that is used to find out what came of a create, and nobody notices.
func TestKeyRotationDuringTheOnlyCreate(t *testing.T) {
	t.Parallel()
	for name, foreign := range map[string]bool{"to the same team": false, "to another team": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, at, _, _ := newRotatedWorld(t, v1alpha1.OwnershipExclusive)
			fingerprint := at.Status.Fingerprint
			key, after := w.wrenn.APIKey(), v1alpha1.ReasonConnected
			if foreign {
				key, after = w.wrenn.APIKeyOf(foreignTeam), v1alpha1.ReasonTeamMismatch
			}
			connections := w.reasons(&v1alpha1.ConnectionList{})
			w.wrenn.Faults().Add(wrenndev.Fault{
				Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(2 * time.Second),
			})
			w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultDrop, Op: wrenndev.OpCreate, Times: 1})
			box := idlingSandbox(w, "box")
			w.create(box)
			awaitArrival(w)
			w.rotate(key)
			awaitOne(w, box)
			if foreign {
				awaitReason(w, at, after)
			} else {
				awaitSwitched(w, at, fingerprint)
			}
			for _, reason := range connections() {
				if !slices.Contains([]string{"default " + v1alpha1.ReasonConnected, "default " + after}, reason) {
					t.Errorf("the connection said %q", reason)
				}
			}
			if n := w.calls(wrenndev.OpCreate); n != 1 {
				t.Errorf("%d creates", n)
			}
		})
	}
}

// An intent that somebody has written in a namespace that may not use the connection does not keep its key from being
// rotated.
func TestForgedIntentHoldsUpNoRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.others = []string{w.newNamespace()}
	w.startOperator()
	lent := w.lend(to(w.namespace))
	awaitReason(w, lent, v1alpha1.ReasonConnected)
	forger := w.sandbox("forger")
	forger.Namespace = w.others[0]
	forged := createIntent{
		ID: "forged", Time: time.Now(), Template: defaultTemplate,
		Connection: v1alpha1.BoundConnection{Kind: v1alpha1.ConnectionKindCluster, Name: lent.Name, Fingerprint: "forged"},
	}
	if err := forged.writeTo(forger); err != nil {
		t.Fatal(err)
	}
	w.create(forger)
	awaitReason(w, forger, v1alpha1.ReasonConnectionNotFound)
	before := lent.Status.Fingerprint
	key, _ := w.newKey()
	w.rotate(key)
	eventually(w, "the other key is in use", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(lent), lent); err != nil || lent.Status.Fingerprint == before {
			return errNotYet
		}
		return nil
	})
}

// A connection goes to no other team while a Sandbox is just about to ask its own for something.
func TestConnectionWaitsForWhoIsBeingBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{Teams: []wrenndev.Team{{Name: "dev"}, {Name: foreignTeam}}})
	pool := connection.NewPool(connection.DefaultPace, "test")
	t.Cleanup(pool.Close)
	r := &ConnectionReconciler{Client: w.api, Pool: pool}
	r.flights, r.troubles = newFlights[verification](nil), newTroubles(firstVerification, slowestVerification)
	obj := w.connection(w.wrenn.URL())
	w.create(obj)
	view := &connectionView{obj: obj, spec: &obj.Spec, status: &obj.Status, key: connection.KeyOf(w.namespace, v1alpha1.ConnectionKindNamespaced, "default")}
	accept := func(key string) string {
		t.Helper()
		settings, wait := settingsOf(&obj.Spec, w.namespace, map[string][]byte{"apiKey": []byte(key)}, true)
		if wait != nil {
			t.Fatal(wait.message)
		}
		if _, err := r.accept(w.ctx, view, settings); err != nil {
			t.Fatal(err)
		}
		team, _ := pool.Get(view.key)
		return team.Fingerprint
	}
	first := accept(w.wrenn.APIKey())
	pool.Open(view.key)
	bound, ok := pool.Bind(view.key)
	if !ok {
		t.Fatal("the door is shut")
	}
	if accept(w.wrenn.APIKeyOf(foreignTeam)) != first {
		t.Error("it leads elsewhere while somebody is being bound")
	}
	bound()
	if accept(w.wrenn.APIKeyOf(foreignTeam)) == first {
		t.Error("it does not lead elsewhere although nobody has anything through it")
	}
}

// A Sandbox that has looked up its team before the connection went to another asks neither of them for anything.
func TestSandboxIsNotBoundByATeamOfBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{Teams: []wrenndev.Team{{Name: "dev"}, {Name: foreignTeam}}})
	pool := connection.NewPool(connection.DefaultPace, "test")
	t.Cleanup(pool.Close)
	r := &SandboxReconciler{Resolver: &connection.Resolver{Reader: w.api, Pool: pool}}
	view := &sandboxView{sandbox: w.sandbox("box"), key: connection.KeyOf(w.namespace, v1alpha1.ConnectionKindNamespaced, "default")}
	lead := func(key string) *connection.Team {
		t.Helper()
		settings, wait := settingsOf(&w.connection(w.wrenn.URL()).Spec, w.namespace, map[string][]byte{"apiKey": []byte(key)}, true)
		if wait != nil {
			t.Fatal(wait.message)
		}
		settings.RequestsPerSecond, settings.ConcurrentCreates = 1, 1
		team, err := pool.Set(view.key, settings)
		if err != nil {
			t.Fatal(err)
		}
		return team
	}
	mayBegin := func() bool {
		t.Helper()
		done, wait, err := r.bind(w.ctx, view)
		if err != nil {
			t.Fatal(err)
		}
		if wait == nil {
			done()
		}
		return wait == nil
	}
	view.team = lead(w.wrenn.APIKey())
	pool.Open(view.key)
	if !mayBegin() {
		t.Error("it is not bound")
	}
	now := lead(w.wrenn.APIKeyOf(foreignTeam))
	if mayBegin() || !pool.Shut(view.key) {
		t.Error("it is bound to a team that the connection does not lead to any more")
	}
	pool.Open(view.key)
	if view.team = now; !mayBegin() {
		t.Error("it is not bound to the team that the connection leads to")
	}
}
