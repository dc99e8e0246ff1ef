package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// keepTrouble is how long a trouble is remembered after its object could have been tried again. Who is not tried for so long is gone,
// or waits for something else.
const keepTrouble = time.Hour

// troubles remember, for each object, what last went wrong and when to try again. They are memory only: after a restart
// everything is tried once more, which is right.
type troubles struct {
	mu      sync.Mutex
	byUID   map[types.UID]trouble
	limiter workqueue.TypedRateLimiter[types.UID]
}

type trouble struct {
	standing standing
	until    time.Time
	// generation and requested are what a person can change to have it tried again at once.
	generation int64
	requested  string
}

// newTroubles waits first at the least and at the longest between two tries.
func newTroubles(first, longest time.Duration) *troubles {
	return &troubles{
		byUID:   map[types.UID]trouble{},
		limiter: workqueue.NewTypedItemExponentialFailureRateLimiter[types.UID](first, longest),
	}
}

// note records what went wrong with an object. At least is how long the service asked to be left alone.
func (t *troubles) note(obj client.Object, s standing, atLeast time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetOld(time.Now())
	t.byUID[obj.GetUID()] = trouble{
		standing:   s,
		until:      time.Now().Add(max(t.limiter.When(obj.GetUID()), atLeast)),
		generation: obj.GetGeneration(),
		requested:  obj.GetAnnotations()[v1alpha1.AnnotationReconcileRequestedAt],
	}
}

// of returns the trouble that still holds an object back, as a standing that asks to be looked at when its time is up.
func (t *troubles) of(obj client.Object) (standing, bool) {
	known, ok := t.last(obj)
	wait := time.Until(known.until)
	if !ok || wait <= 0 {
		return standing{}, false
	}
	return known.standing.after(wait), true
}

// during returns what to tell while a call is under way: what it does, or where it is tried again, what went wrong. A
// status that told of each try would be written twice for each.
func (t *troubles) during(obj client.Object, s standing) standing {
	if known, ok := t.last(obj); ok {
		return known.standing
	}
	return s
}

// last returns what last went wrong with an object, unless a person has changed something since.
func (t *troubles) last(obj client.Object) (trouble, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.byUID[obj.GetUID()]
	return known, ok && known.generation == obj.GetGeneration() &&
		known.requested == obj.GetAnnotations()[v1alpha1.AnnotationReconcileRequestedAt]
}

// forgetOld is for objects that went without anybody's telling.
func (t *troubles) forgetOld(now time.Time) {
	for uid, known := range t.byUID {
		if now.Sub(known.until) > keepTrouble {
			delete(t.byUID, uid)
			t.limiter.Forget(uid)
		}
	}
}

// forget is for an object that is well, or gone.
func (t *troubles) forget(uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byUID, uid)
	t.limiter.Forget(uid)
}
