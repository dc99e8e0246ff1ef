package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// shortGrace is the grace time of these tests.
const shortGrace = time.Second

// newSweptWorld starts one whose sweeper is in a hurry, with a Sandbox that shows the objects to be there.
func newSweptWorld(t *testing.T, policy v1alpha1.OrphanPolicy, ownership v1alpha1.Ownership) *world {
	t.Helper()
	w := newUnkeptWorld(t, policy, ownership)
	keeper := w.sandbox("keeper")
	w.create(keeper)
	awaitReason(w, keeper, v1alpha1.ReasonRunning)
	return w
}

// newUnkeptWorld starts one without a Sandbox.
func newUnkeptWorld(t *testing.T, policy v1alpha1.OrphanPolicy, ownership v1alpha1.Ownership) *world {
	t.Helper()
	w := newWorld(t, wrenndev.Config{})
	w.orphans.Grace = shortGrace
	w.startOperator()
	w.connectTo(policy, ownership)
	return w
}

// connectTo makes the connection of these tests.
func (w *world) connectTo(policy v1alpha1.OrphanPolicy, ownership v1alpha1.Ownership) {
	w.t.Helper()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	connection := w.connection(w.wrenn.URL())
	connection.Spec.OrphanPolicy, connection.Spec.Ownership = policy, ownership
	w.create(connection)
	awaitReason(w, connection, v1alpha1.ReasonConnected)
}

// leak makes a remote that belongs to nobody. Where the sweeper is faster than the service, the remote is destroyed before
// it runs, and another one is made.
func (w *world) leak(timeout int32) (id string) {
	w.t.Helper()
	c := w.client()
	eventually(w, "a remote of nobody's", func() error {
		made, err := c.Sandboxes.Create(w.ctx, wrenn.CreateSandboxRequest{TimeoutSec: timeout})
		if err == nil {
			id = made.ID
		}
		return err
	})
	return id
}

// ownTimeout is the idle timeout of a remote that the operators of these tests have made.
func ownTimeout(attempt byte) int32 {
	return -correlator(clusterBits(clusterUID), [8]byte{1, 2, attempt})
}

// awaitDestroyed waits until a remote is stopped by a DELETE, and returns when that came.
func (w *world) awaitDestroyed(id string) (at time.Time) {
	w.t.Helper()
	eventually(w, id+" is destroyed", func() error {
		if info, _ := w.wrenn.Sandbox(id); info.Status != wrenndev.StatusStopped {
			return fmt.Errorf("it is %s", info.Status)
		}
		deletes := w.deletesOf(id)
		if len(deletes) == 0 {
			return errors.New("there was no DELETE")
		}
		at = deletes[0].Start
		return nil
	})
	return at
}

func (w *world) deletesOf(id string) []wrenndev.Request {
	return slices.DeleteFunc(w.wrenn.Requests(), func(r wrenndev.Request) bool { return r.Op != wrenndev.OpDestroy || r.Sandbox != id })
}

// expectLeft fails where anybody has tried to destroy a remote.
func (w *world) expectLeft(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		if info, _ := w.wrenn.Sandbox(id); info.Status != wrenndev.StatusRunning || len(w.deletesOf(id)) > 0 {
			w.t.Errorf("%s was not left alone: it is %s", id, info.Status)
		}
	}
}

// letSweep waits until the sweeper has destroyed remotes that were made later than anything that it is to leave.
func (w *world) letSweep() {
	w.t.Helper()
	for attempt := range byte(2) {
		w.awaitDestroyed(w.leak(ownTimeout(100 + attempt)))
	}
}

// awaitEvent waits for an event on the connection and returns its text.
func awaitEvent(w *world, reason string) (note string) {
	w.t.Helper()
	eventually(w, "event "+reason, func() error {
		var list eventsv1.EventList
		if err := w.api.List(w.ctx, &list, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		for _, event := range list.Items {
			if event.Reason == reason && strings.HasSuffix(event.Regarding.Kind, "Connection") {
				note = event.Note
				return nil
			}
		}
		return fmt.Errorf("none among %d", len(list.Items))
	})
	return note
}

// By default an orphan is told of and left. It is destroyed as soon as the connection says so.
func TestOrphanIsReported(t *testing.T) {
	t.Parallel()
	w := newSweptWorld(t, "", "")
	orphan, foreign := w.leak(ownTimeout(1)), w.leak(0)
	note := awaitEvent(w, v1alpha1.ReasonOrphansFound)
	if !strings.Contains(note, orphan) && !strings.Contains(note, foreign) {
		t.Errorf("the event names none of them: %s", note)
	}
	w.expectLeft(orphan, foreign)
	edit(w, w.connection(""), func(c *v1alpha1.Connection) { c.Spec.OrphanPolicy = v1alpha1.OrphanPolicyDelete })
	w.awaitDestroyed(orphan)
	if note := awaitEvent(w, v1alpha1.ReasonOrphanDestroyed); !strings.Contains(note, orphan) {
		t.Errorf("the event does not name it: %s", note)
	}
	w.expectLeft(foreign)
}

// Only what carries the mark of this cluster is destroyed, and not before its time.
func TestOrphanOfThisClusterIsDestroyed(t *testing.T) {
	t.Parallel()
	w := newSweptWorld(t, v1alpha1.OrphanPolicyDelete, v1alpha1.OwnershipShared)
	left := []string{
		w.leak(0), w.leak(3600), w.leak(-1),
		w.leak(-correlator(clusterBits(clusterUID)+1, [8]byte{1, 2, 3})),
	}
	before := time.Now()
	orphan := w.leak(ownTimeout(1))
	if waited := w.awaitDestroyed(orphan).Sub(before); waited < shortGrace {
		t.Errorf("it was destroyed after %s", waited)
	}
	w.letSweep()
	w.expectLeft(left...)
	if n := len(w.deletesOf(orphan)); n != 1 {
		t.Errorf("%d DELETEs", n)
	}
}

// In a team that is the operator's alone, whatever belongs to no object is destroyed. What is not destroyed at the first
// try is tried again.
func TestOrphansOfAnExclusiveTeamAreDestroyed(t *testing.T) {
	t.Parallel()
	w := newSweptWorld(t, v1alpha1.OrphanPolicyDelete, v1alpha1.OwnershipExclusive)
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Op: wrenndev.OpDestroy, Times: 2})
	for range orphansDestroyedAtOnce + 2 {
		w.leak(0)
	}
	eventually(w, "only the keeper's is left", func() error {
		if alive := w.alive(); len(alive) != 1 {
			return fmt.Errorf("alive: %+v", alive)
		}
		return nil
	})
	awaitReason(w, w.sandbox("keeper"), v1alpha1.ReasonRunning)
}

// An object saves what it claims, also where only the API server knows of it.
func TestOrphanIsSavedByAClaim(t *testing.T) {
	t.Parallel()
	w := newSweptWorld(t, v1alpha1.OrphanPolicyReport, v1alpha1.OwnershipShared)
	elsewhere := newWorld(t, wrenndev.Config{})
	known, unknown := w.leak(ownTimeout(1)), w.leak(ownTimeout(2))
	adopter, stranger := w.sandbox("adopter"), elsewhere.sandbox("stranger")
	adopter.Spec.AdoptID, stranger.Spec.AdoptID = known, unknown
	w.create(adopter)
	elsewhere.create(stranger)
	edit(w, w.connection(""), func(c *v1alpha1.Connection) { c.Spec.OrphanPolicy = v1alpha1.OrphanPolicyDelete })
	awaitReason(w, adopter, v1alpha1.ReasonRunning)
	w.letSweep()
	w.expectLeft(known, unknown)
	if err := elsewhere.api.Delete(w.ctx, stranger); err != nil {
		t.Fatal(err)
	}
	w.awaitDestroyed(unknown)
	w.expectLeft(known)
}

// What a create that is not answered yet has made is never taken for an orphan, with a token or without.
func TestOrphanIsNotWhatACreateHasMade(t *testing.T) {
	t.Parallel()
	for _, idle := range []int32{0, 1234} {
		t.Run(fmt.Sprint("idle timeout ", idle), func(t *testing.T) {
			t.Parallel()
			w := newSweptWorld(t, v1alpha1.OrphanPolicyDelete, v1alpha1.OwnershipExclusive)
			w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultHang, Op: wrenndev.OpCreate, Times: 1})
			sandbox := w.sandbox("hanging")
			sandbox.Spec.IdleTimeoutSeconds = &idle
			w.create(sandbox)
			eventually(w, "the create has arrived", func() error {
				if n := len(w.alive()); n != 2 {
					return fmt.Errorf("%d remotes", n)
				}
				return nil
			})
			w.letSweep()
			awaitReason(w, sandbox, v1alpha1.ReasonRunning)
			w.expectLeft(sandbox.Status.SandboxID)
			if n := w.calls(wrenndev.OpCreate); n != 4 {
				t.Errorf("%d creates, want those of the two Sandboxes and of two orphans", n)
			}
		})
	}
}

// A restart begins anew.
func TestOrphanOutlivesARestart(t *testing.T) {
	t.Parallel()
	w := newSweptWorld(t, "", "")
	orphan := w.leak(ownTimeout(1))
	awaitEvent(w, v1alpha1.ReasonOrphansFound)
	w.stop()
	edit(w, w.connection(""), func(c *v1alpha1.Connection) { c.Spec.OrphanPolicy = v1alpha1.OrphanPolicyDelete })
	before := time.Now()
	w.startOperator()
	if waited := w.awaitDestroyed(orphan).Sub(before); waited < shortGrace {
		t.Errorf("it was destroyed %s after the start", waited)
	}
}

// Where several connections lead to a team, by one credential or by two, all have to ask for it.
func TestOrphanIsLeftWhereOneConnectionReports(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]func(*world, *v1alpha1.Connection){
		"one credential": func(*world, *v1alpha1.Connection) {},
		"two credentials": func(w *world, c *v1alpha1.Connection) {
			w.secret("user", "token", w.wrenn.Token())
			c.Spec.APIKeySecretRef, c.Spec.TokenSecretRef = nil, &v1alpha1.SecretKeyReference{Name: "user", Key: "token"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSweptWorld(t, v1alpha1.OrphanPolicyDelete, v1alpha1.OwnershipExclusive)
			second := w.connection(w.wrenn.URL())
			second.Name = "second"
			other(w, second)
			w.create(second)
			awaitReason(w, second, v1alpha1.ReasonConnected)
			orphan := w.leak(0)
			awaitEvent(w, v1alpha1.ReasonOrphansFound)
			w.expectLeft(orphan)
			edit(w, second, func(c *v1alpha1.Connection) { c.Spec.OrphanPolicy = v1alpha1.OrphanPolicyDelete })
			awaitReason(w, second, v1alpha1.ReasonConnected)
			w.expectLeft(orphan)
			edit(w, second, func(c *v1alpha1.Connection) { c.Spec.Ownership = v1alpha1.OwnershipExclusive })
			w.awaitDestroyed(orphan)
		})
	}
}

// Where no Sandbox of the team is known, the objects may be what is missing: nothing is destroyed.
func TestOrphanIsLeftWhereNoSandboxIsKnown(t *testing.T) {
	t.Parallel()
	w := newUnkeptWorld(t, v1alpha1.OrphanPolicyDelete, v1alpha1.OwnershipExclusive)
	orphan := w.leak(ownTimeout(1))
	awaitEvent(w, v1alpha1.ReasonOrphansFound)
	w.expectLeft(orphan)
	before := time.Now()
	w.create(w.sandbox("keeper"))
	if waited := w.awaitDestroyed(orphan).Sub(before); waited < shortGrace {
		t.Errorf("it was destroyed %s after the first Sandbox was there", waited)
	}
}

// misread has the API server's Sandboxes read otherwise for as long as it is told to.
type misread struct {
	client.Reader
	amiss atomic.Bool
	err   error
	times atomic.Int32
}

func (m *misread) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ok := list.(*v1alpha1.SandboxList); ok && m.amiss.Load() {
		m.times.Add(1)
		return m.err // a list that nothing was read into is empty
	}
	return m.Reader.List(ctx, list, options...)
}

// Nothing is done on the word of the cache alone.
func TestOrphanIsLeftOnTheWordOfTheCache(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"the API server is out of reach":  errors.New("the API server is out of reach"),
		"the API server has no Sandboxes": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			w.orphans.Grace = shortGrace
			reads := &misread{err: err}
			reads.amiss.Store(true)
			w.direct = func(server client.Reader) client.Reader {
				reads.Reader = server
				return reads
			}
			w.startOperator()
			w.connectTo(v1alpha1.OrphanPolicyDelete, "")
			w.create(w.sandbox("keeper"))
			orphan := w.leak(ownTimeout(1))
			eventually(w, "it has been read often", func() error {
				if n := reads.times.Load(); n < 5 {
					return fmt.Errorf("%d times", n)
				}
				return nil
			})
			w.expectLeft(orphan)
			reads.amiss.Store(false)
			w.awaitDestroyed(orphan)
		})
	}
}

// A list that shows what has long ended is not believed: the remote itself is asked about, once in a grace time.
func TestOrphanThatOnlyTheListHas(t *testing.T) {
	t.Parallel()
	w := newSweptWorld(t, v1alpha1.OrphanPolicyReport, "")
	ended := w.leak(ownTimeout(1))
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultStale, Op: wrenndev.OpList})
	if err := w.client().Sandboxes.Destroy(w.ctx, ended); err != nil {
		t.Fatal(err)
	}
	edit(w, w.connection(""), func(c *v1alpha1.Connection) { c.Spec.OrphanPolicy = v1alpha1.OrphanPolicyDelete })
	eventually(w, "it was asked about twice", func() error {
		asked := slices.DeleteFunc(w.wrenn.Requests(), func(r wrenndev.Request) bool { return r.Op != wrenndev.OpGet || r.Sandbox != ended })
		if len(asked) < 2 {
			return fmt.Errorf("asked %d times", len(asked))
		}
		if between := asked[1].Start.Sub(asked[0].Start); between < shortGrace {
			t.Fatalf("asked again after %s", between)
		}
		return nil
	})
	if n := len(w.deletesOf(ended)); n != 1 {
		t.Errorf("%d DELETEs, want the one of this test", n)
	}
}

// A ClusterConnection is told too, in the namespace where events about what is in none are.
func TestOrphanOfAClusterConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.orphans.Grace = shortGrace
	w.startOperator()
	lent := w.lend(nil)
	orphan := w.leak(ownTimeout(1))
	eventually(w, "event", func() error {
		var list eventsv1.EventList
		if err := w.api.List(w.ctx, &list, client.InNamespace(metav1.NamespaceDefault)); err != nil {
			return err
		}
		if !slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool {
			return e.Reason == v1alpha1.ReasonOrphansFound && e.Regarding.Name == lent.Name && strings.Contains(e.Note, orphan)
		}) {
			return fmt.Errorf("none among %d", len(list.Items))
		}
		return nil
	})
}
