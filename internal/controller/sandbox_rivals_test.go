package controller

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// An intent that somebody has written in a namespace that may not use the connection is dealt nothing of what the creates
// of others have brought.
func TestForgedIntentIsNoRival(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.others = []string{w.newNamespace()}
	w.startOperator()
	lent := w.lend(to(w.namespace))
	edit(w, lent, func(c *v1alpha1.ClusterConnection) { c.Spec.Ownership = v1alpha1.OwnershipExclusive })
	awaitReason(w, lent, v1alpha1.ReasonConnected)
	through := v1alpha1.BoundConnection{Kind: v1alpha1.ConnectionKindCluster, Name: lent.Name, Fingerprint: lent.Status.Fingerprint}

	forger := &v1alpha1.Sandbox{ObjectMeta: metav1.ObjectMeta{Namespace: w.others[0], Name: "forger"}}
	forger.Spec.IdleTimeoutSeconds = ptr.To[int32](3600)
	forged := createIntent{ID: "forged", Time: time.Now().Add(-time.Second), Template: defaultTemplate, Connection: through}
	if err := forged.writeTo(forger); err != nil {
		t.Fatal(err)
	}
	w.create(forger)
	awaitReason(w, forger, v1alpha1.ReasonConnectionNotFound)

	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultDrop, Op: wrenndev.OpCreate, Times: 1})
	victim := w.sandbox("victim")
	victim.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: lent.Name}
	victim.Spec.IdleTimeoutSeconds = ptr.To[int32](3600)
	w.create(victim)
	awaitReason(w, victim, v1alpha1.ReasonRunning)
	if n := w.calls(wrenndev.OpCreate); n != 1 || len(w.alive()) != 1 {
		t.Errorf("%d creates, alive: %+v", n, w.alive())
	}
}
