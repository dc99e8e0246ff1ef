package controller

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// Nobody tells of an object that goes without a finalizer. It is remembered as long as it may be there.
func TestTroublesAreNotRememberedForEver(t *testing.T) {
	t.Parallel()
	known := newTroubles(time.Second, time.Minute)
	object := func(uid types.UID) *v1alpha1.Sandbox {
		sandbox := &v1alpha1.Sandbox{}
		sandbox.UID = uid
		return sandbox
	}
	for _, uid := range []types.UID{"gone", "failing"} {
		known.note(object(uid), working("Reason", ""), 0)
	}
	old := known.byUID["gone"]
	old.until = time.Now().Add(-2 * keepTrouble)
	known.byUID["gone"] = old
	known.note(object("another"), working("Reason", ""), 0)
	if _, ok := known.last(object("gone")); ok || known.limiter.NumRequeues("gone") != 0 {
		t.Error("an object that is gone is remembered")
	}
	if _, ok := known.last(object("failing")); !ok || known.limiter.NumRequeues("failing") != 1 {
		t.Error("an object that is there is forgotten")
	}
}
