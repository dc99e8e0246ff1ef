package controller

import (
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// A service that refuses a create of a Sandbox that has lost its connection meanwhile has still refused it.
func TestSandboxRefusedWithoutConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	lent := w.lend(to(w.namespace))
	awaitReason(w, lent, v1alpha1.ReasonConnected)
	sandbox := w.sandbox("refused")
	sandbox.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: lent.Name}
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(2 * time.Second)})
	w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultRejectNegative, Op: wrenndev.OpCreate})
	w.create(sandbox)
	eventually(w, "the create has arrived", func() error {
		if w.calls(wrenndev.OpCreate) == 0 {
			return errNotYet
		}
		return nil
	})
	edit(w, lent, func(c *v1alpha1.ClusterConnection) { c.Spec.NamespaceSelector = nil })
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotFound)
	awaitDecided(w, sandbox)
	refused := slices.ContainsFunc(w.wrenn.Requests(), func(r wrenndev.Request) bool { return r.Op == wrenndev.OpCreate && r.Status == 400 })
	if !refused {
		t.Error("the create was not refused")
	}
	edit(w, lent, func(c *v1alpha1.ClusterConnection) { c.Spec.NamespaceSelector = to(w.namespace) })
	awaitOne(w, sandbox)
	if n := panics(t); n != 0 {
		t.Errorf("%v reconciles have panicked", n)
	}
}

// panics counts the reconciles that have panicked in this process. That is recovered from, and not told otherwise.
func panics(t *testing.T) (count float64) {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_panics_total" {
			continue
		}
		for _, each := range family.GetMetric() {
			count += each.GetCounter().GetValue()
		}
	}
	return count
}
