package controller

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// blackHole accepts connections, and never says anything. It returns its URL and how many there were.
func blackHole(t *testing.T) (url string, accepted func() int) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all []net.Conn
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, conn)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
		for _, conn := range all {
			_ = conn.Close()
		}
	})
	return "http://" + listener.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(all)
	}
}

// An endpoint that never answers delays nothing of another: whole lives are lived beside it.
func TestBlackHoleDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	url, accepted := blackHole(t)
	hole := w.connection(url)
	hole.Name = "hole"
	w.create(hole)
	const each = 4
	var stuck []*v1alpha1.Sandbox
	for i := range each {
		stuck = append(stuck, w.sandbox(fmt.Sprint("stuck-", i)))
		stuck[i].Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindNamespaced, Name: "hole"}
		w.create(stuck[i])
	}
	eventually(w, "the black hole is asked", func() error {
		if accepted() == 0 {
			return errNotYet
		}
		return nil
	})
	for i := range each {
		sandbox := w.sandbox(fmt.Sprint("healthy-", i))
		w.create(sandbox)
		awaitReason(w, sandbox, v1alpha1.ReasonRunning)
		edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
		awaitReason(w, sandbox, v1alpha1.ReasonPaused)
		w.remove(sandbox)
		awaitGone(w, sandbox)
	}
	for _, sandbox := range stuck {
		awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotReady)
		if sandbox.Status.SandboxID != "" {
			t.Errorf("the black hole has answered: %+v", sandbox.Status)
		}
		w.remove(sandbox)
		awaitGone(w, sandbox)
	}
}

// What a Sandbox is bound to is recorded. Another default that appears later, or another reference, is for other Sandboxes.
func TestBoundConnectionStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	w.lendAs("default", "wrenn", &metav1.LabelSelector{})
	first, second := w.sandbox("first"), w.sandbox("second")
	w.create(first)
	awaitOne(w, first)
	w.create(w.connection(w.wrenn.URL()))
	awaitReason(w, w.connection(""), v1alpha1.ReasonConnected)
	edit(w, first, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, first, v1alpha1.ReasonPaused)
	if bound := first.Status.Connection; bound.Kind != v1alpha1.ConnectionKindCluster {
		t.Errorf("bound to %+v", bound)
	}
	w.create(second)
	awaitReason(w, second, v1alpha1.ReasonRunning)
	if bound := second.Status.Connection; bound.Kind != v1alpha1.ConnectionKindNamespaced {
		t.Errorf("the second is bound to %+v", bound)
	}
	first.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindNamespaced, Name: "default"}
	if err := w.api.Update(w.ctx, first); err == nil || !strings.Contains(err.Error(), "immutable once the Sandbox is bound") {
		t.Errorf("another reference: %v", err)
	}
	w.remove(first, second)
	awaitNothing(w, first, second)
}

// A namespace that gets the label later may use the connection from then on, and one that loses it may only let go.
func TestClusterConnectionFollowsLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	lent := w.lend(&metav1.LabelSelector{MatchLabels: map[string]string{"may": "use"}})
	awaitReason(w, lent, v1alpha1.ReasonConnected)
	sandbox, late := w.sandbox("box"), w.sandbox("late")
	for _, each := range []*v1alpha1.Sandbox{sandbox, late} {
		each.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: lent.Name}
	}
	label := func(value string) {
		edit(w, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, func(n *corev1.Namespace) { n.Labels["may"] = value })
	}
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotFound)
	label("use")
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	label("not")
	w.create(late)
	awaitReason(w, late, v1alpha1.ReasonConnectionNotFound)
	w.remove(sandbox, late)
	awaitNothing(w, sandbox, late)
}
