package controller

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// stockTimeout bounds the reading of the cache, which waits until the cache is there.
const stockTimeout = 5 * time.Second

// stock are the metrics that are counted from the objects as they are.
type stock struct {
	sandboxes, held *prometheus.Desc
	// cache is read, once elected is closed: the replicas that wait would tell the same once more.
	cache   client.Reader
	elected <-chan struct{}
}

func newStock() stock {
	return stock{
		sandboxes: prometheus.NewDesc("wrenn_sandboxes", "Sandboxes, by the state of their remotes.", []string{"state"}, nil),
		held:      prometheus.NewDesc("wrenn_held_deletions", "Deleted objects that are still there, by what holds them.", []string{"kind", "cause"}, nil),
	}
}

// Watch has the objects of a manager counted.
func (s *stock) Watch(mgr ctrl.Manager) {
	s.cache, s.elected = mgr.GetClient(), mgr.Elected()
}

func (s *stock) describe(into chan<- *prometheus.Desc) {
	into <- s.sandboxes
	into <- s.held
}

// collect counts. What cannot be read is left out, so that the other metrics are not lost with it.
func (s *stock) collect(into chan<- prometheus.Metric) {
	select {
	case <-s.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stockTimeout)
	defer cancel()
	var sandboxes v1alpha1.SandboxList
	var snapshots v1alpha1.SnapshotList
	for _, list := range []client.ObjectList{&sandboxes, &snapshots} {
		if err := s.cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			logf.Log.WithName("metrics").Error(err, "could not count the objects")
			return
		}
	}
	states, held := map[string]int{}, map[heldKind]int{}
	for i := range sandboxes.Items {
		sandbox := &sandboxes.Items[i]
		states[countedState(sandbox.Status.State)]++
		held[heldKind{"Sandbox", holder(sandbox, sandbox.Status.Conditions)}]++
	}
	for i := range snapshots.Items {
		held[heldKind{"Snapshot", holder(&snapshots.Items[i], snapshots.Items[i].Status.Conditions)}]++
	}
	for state, n := range states {
		into <- prometheus.MustNewConstMetric(s.sandboxes, prometheus.GaugeValue, float64(n), state)
	}
	for key, n := range held {
		if key.cause != "" {
			into <- prometheus.MustNewConstMetric(s.held, prometheus.GaugeValue, float64(n), key.kind, key.cause)
		}
	}
}

// heldKind is a kind of object, and what holds it.
type heldKind struct{ kind, cause string }

// countedState keeps the words of a service that this version does not know out of the labels.
func countedState(state v1alpha1.SandboxState) string {
	switch {
	case state == "":
		return "none"
	case stateOfRemote(wrenn.Status(state)) == remoteOdd:
		return "other"
	default:
		return string(state)
	}
}

// readyReason returns the reason of the Ready condition, "" where there is none.
func readyReason(conditions []metav1.Condition) string {
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}
