package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// history is what was seen of a world from its beginning: every version of every object, and what became of the remotes.
type history struct {
	mu sync.Mutex
	// owners tell for which Sandboxes a remote may have been made, by the idle timeout that it carries: a token, or that of
	// the spec, of which no two Sandboxes that are there at a time may have the same. The oldest is the first.
	owners map[int32][]types.UID
	// begun is when somebody was about to make a Sandbox.
	begun map[types.UID]time.Time
	// names of the Sandboxes.
	names map[types.UID]string
	// had are the Sandboxes whose status has named a remote.
	had map[string]types.UID
	// ends are when remotes ended, and byHand what somebody did to them past the operator.
	ends   map[string]time.Time
	byHand map[string]fate
	// letGo are the Sandboxes that somebody has deleted, or whose life may end.
	letGo map[types.UID]bool
	// orphaned are those that are to leave their remotes behind.
	orphaned map[types.UID]bool
	// vanished is when Sandboxes were gone that had a finalizer and were not being deleted, killed when operators were.
	vanished map[types.UID]time.Time
	killed   []time.Time
	// jobs are the ExecJobs.
	jobs map[types.UID]jobHistory
	// took are the remotes that an operator has destroyed although nobody had asked for that.
	took []string
	// broken are versions of objects that contradict the rules of their conditions.
	broken []string
}

// fate is what was done to a remote past the operator.
type fate struct {
	// ended: it was destroyed. paused: it was paused.
	ended, paused bool
}

func newHistory() *history {
	return &history{
		owners: map[int32][]types.UID{}, begun: map[types.UID]time.Time{}, names: map[types.UID]string{}, had: map[string]types.UID{}, ends: map[string]time.Time{},
		byHand: map[string]fate{}, letGo: map[types.UID]bool{}, orphaned: map[types.UID]bool{},
		vanished: map[types.UID]time.Time{}, jobs: map[types.UID]jobHistory{},
	}
}

// follow watches all objects of a namespace until the context ends.
func (h *history) follow(ctx context.Context, group *sync.WaitGroup, api client.WithWatch, namespace string) error {
	for _, list := range []client.ObjectList{
		&v1alpha1.SandboxList{}, &v1alpha1.SnapshotList{}, &v1alpha1.ConnectionList{}, &v1alpha1.ExecJobList{},
	} {
		changes, err := api.Watch(ctx, list, client.InNamespace(namespace))
		if err != nil {
			return err
		}
		group.Go(func() {
			defer changes.Stop()
			for change := range changes.ResultChan() {
				switch obj, ok := change.Object.(client.Object); {
				case !ok:
				case change.Type == watch.Deleted:
					h.seesGone(obj)
				default:
					h.sees(obj)
				}
			}
		})
	}
	return nil
}

// sees takes in one version of an object.
func (h *history) sees(obj client.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, wrong := range contradictions(obj) {
		h.broken = append(h.broken, fmt.Sprintf("%T %s, version %s: %s", obj, obj.GetName(), obj.GetResourceVersion(), wrong))
	}
	if job, ok := obj.(*v1alpha1.ExecJob); ok {
		h.seesJob(job)
	}
	sandbox, ok := obj.(*v1alpha1.Sandbox)
	if !ok {
		return
	}
	h.names[sandbox.UID] = sandbox.Name
	var intent struct {
		Token int32 `json:"token"`
	}
	if json.Unmarshal([]byte(sandbox.Annotations[v1alpha1.AnnotationCreateIntent]), &intent) == nil && intent.Token != 0 {
		h.owns(sandbox.UID, -intent.Token)
	}
	if idle := sandbox.Spec.IdleTimeoutSeconds; idle != nil && *idle > 0 {
		h.owns(sandbox.UID, *idle)
	}
	if id := sandbox.Status.SandboxID; id != "" {
		h.had[id] = sandbox.UID
	}
	if !sandbox.DeletionTimestamp.IsZero() { // somebody may change his mind while it is held
		h.orphaned[sandbox.UID] = sandbox.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan
	}
	if ttl := sandbox.Spec.TTLSeconds; ttl > 0 && ttl <= shortLife || sandbox.Spec.ShutdownTime != nil {
		h.letGo[sandbox.UID] = true
	}
}

// seesGone takes in the last version of an object. The API server removes one at times in the moment in which it gets its
// first finalizer (kubernetes/kubernetes#77988).
func (h *history) seesGone(obj client.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(obj.GetFinalizers()) > 0 && obj.GetDeletionTimestamp().IsZero() {
		h.vanished[obj.GetUID()] = time.Now()
	}
}

// kills notes that an operator is killed.
func (h *history) kills() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.killed = append(h.killed, time.Now())
}

// forgotten tells that nobody can know of what was made for a Sandbox: it vanished, and so did the operator, before it can
// have destroyed that. What is left is an orphan, which the sweeper tells of. It is called with the history locked.
func (h *history) forgotten(sandbox types.UID) bool {
	at, vanished := h.vanished[sandbox]
	return vanished && slices.ContainsFunc(h.killed, func(killed time.Time) bool { return killed.Sub(at).Abs() < reclaimedWithin })
}

// owns notes that a Sandbox may have remotes made that carry an idle timeout.
func (h *history) owns(uid types.UID, timeout int32) {
	if !slices.Contains(h.owners[timeout], uid) {
		h.owners[timeout] = append(h.owners[timeout], uid)
	}
}

// begins notes that a Sandbox was made by somebody who began at a time.
func (h *history) begins(uid types.UID, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun[uid] = at
}

// maker is the Sandbox that a remote was made for: the latest of those that may be which was there before it.
func (h *history) maker(remote wrenndev.SandboxInfo) (maker types.UID, ok bool) {
	for _, uid := range h.owners[remote.TimeoutSec] {
		if !ok || !remote.Created.Before(h.begun[uid]) {
			maker, ok = uid, true
		}
	}
	return maker, ok
}

// deletes notes that somebody is about to delete a Sandbox.
func (h *history) deletes(sandbox *v1alpha1.Sandbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.letGo[sandbox.UID] = true
	h.orphaned[sandbox.UID] = sandbox.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan
}

// suffers notes what somebody is about to do to a remote.
func (h *history) suffers(id string, does fate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.byHand[id]
	h.byHand[id] = fate{ended: f.ended || does.ended, paused: f.paused || does.paused}
}

// destroys notes that an operator is about to destroy a remote.
func (h *history) destroys(remote wrenndev.SandboxInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	uid, owned := h.had[remote.ID]
	live := remote.Status == wrenndev.StatusRunning || remote.Status == wrenndev.StatusPaused || remote.Status == wrenndev.StatusMissing
	if live && owned && !h.letGo[uid] && !h.byHand[remote.ID].ended {
		h.took = append(h.took, fmt.Sprintf("%s of Sandbox %s was destroyed while it was %s", remote.ID, h.names[uid], remote.Status))
	}
}

// ended notes that a remote has ended.
func (h *history) ended(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.ends[id]; !known {
		h.ends[id] = time.Now()
	}
}

// fateOf is what was done to a remote.
func (h *history) fateOf(id string) fate {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byHand[id]
}

// contradictions are the rules of the conditions that a version of an object breaks.
func contradictions(obj client.Object) []string {
	conditions, observed := v1alpha1.ConditionsOf(obj)
	var wrong []string
	holds := func(conditionType string) bool { return meta.IsStatusConditionTrue(conditions, conditionType) }
	reconciling, stalled := holds(v1alpha1.ConditionReconciling), holds(v1alpha1.ConditionStalled)
	if holds(v1alpha1.ConditionReady) && (reconciling || stalled) {
		wrong = append(wrong, "Ready and Reconciling or Stalled at once")
	}
	if reconciling && stalled {
		wrong = append(wrong, "Reconciling and Stalled at once")
	}
	if observed > obj.GetGeneration() {
		wrong = append(wrong, fmt.Sprintf("observedGeneration %d of generation %d", observed, obj.GetGeneration()))
	}
	if len(conditions) == 0 && observed != -1 {
		wrong = append(wrong, fmt.Sprintf("observedGeneration %d before the first visit", observed))
	}
	return wrong
}
