package controller

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
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
	id := sandbox.Status.SandboxID
	label("not")
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotFound)
	if meta.IsStatusConditionTrue(sandbox.Status.Conditions, v1alpha1.ConditionRunning) {
		t.Error("it says that it can be used")
	}
	w.create(late)
	awaitReason(w, late, v1alpha1.ReasonConnectionNotFound)
	label("use")
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	if sandbox.Status.SandboxID != id {
		t.Errorf("the remote changed from %s to %s", id, sandbox.Status.SandboxID)
	}
	awaitReason(w, late, v1alpha1.ReasonRunning)
	label("not")
	awaitReason(w, late, v1alpha1.ReasonConnectionNotFound)
	w.remove(sandbox, late)
	awaitNothing(w, sandbox, late)
}

// A Sandbox that is well is told when the connection that it is bound to ceases to be lent, or is gone.
func TestSandboxIsToldThatItsConnectionIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	lent := w.lend(&metav1.LabelSelector{})
	awaitReason(w, lent, v1alpha1.ReasonConnected)
	own := w.connection(w.wrenn.URL())
	w.create(own)
	awaitReason(w, own, v1alpha1.ReasonConnected)
	borrower, owner := w.sandbox("borrower"), w.sandbox("owner")
	borrower.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: lent.Name}
	owner.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan // so that it does not hold its connection
	w.create(borrower)
	w.create(owner)
	awaitReason(w, borrower, v1alpha1.ReasonRunning)
	awaitReason(w, owner, v1alpha1.ReasonRunning)

	edit(w, lent, func(c *v1alpha1.ClusterConnection) { c.Spec.NamespaceSelector = nil })
	awaitReason(w, borrower, v1alpha1.ReasonConnectionNotFound)
	w.remove(own)
	awaitGone(w, own)
	awaitReason(w, owner, v1alpha1.ReasonConnectionNotFound)

	edit(w, lent, func(c *v1alpha1.ClusterConnection) { c.Spec.NamespaceSelector = &metav1.LabelSelector{} })
	awaitReason(w, borrower, v1alpha1.ReasonRunning)
	w.create(w.connection(w.wrenn.URL()))
	awaitReason(w, owner, v1alpha1.ReasonRunning)
	w.remove(borrower)
	awaitGone(w, borrower)
}

// A selector that nothing can be made of is refused.
func TestClusterConnectionRefusesOddSelectors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	for name, requirement := range map[string]metav1.LabelSelectorRequirement{
		"unknown operator":   {Key: "a", Operator: "Is", Values: []string{"b"}},
		"In without values":  {Key: "a", Operator: metav1.LabelSelectorOpIn},
		"Exists with values": {Key: "a", Operator: metav1.LabelSelectorOpExists, Values: []string{"b"}},
	} {
		lent := &v1alpha1.ClusterConnection{
			ObjectMeta: metav1.ObjectMeta{Name: w.namespace, Labels: w.labels()},
			Spec: v1alpha1.ClusterConnectionSpec{
				ConnectionSpec:    w.connection(w.wrenn.URL()).Spec,
				NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement}},
			},
		}
		if err := w.api.Create(w.ctx, lent); err == nil || !strings.Contains(err.Error(), "operator of each of matchExpressions") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of one that is not refused and still makes no sense, both sides are told.
func TestInvalidSelectorIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	lent := w.lend(&metav1.LabelSelector{MatchLabels: map[string]string{"a": "no label!"}})
	awaitReason(w, lent, v1alpha1.ReasonInvalidRequest)
	sandbox := w.sandbox("box")
	sandbox.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: lent.Name}
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotFound)
	ready := meta.FindStatusCondition(sandbox.Status.Conditions, v1alpha1.ConditionReady)
	if want := "ClusterConnection/" + lent.Name + " is lent to no namespace, since its namespaceSelector is not valid"; !strings.Contains(ready.Message, want) {
		t.Errorf("the message is %q", ready.Message)
	}
	edit(w, lent, func(c *v1alpha1.ClusterConnection) { c.Spec.NamespaceSelector = &metav1.LabelSelector{} })
	awaitReason(w, lent, v1alpha1.ReasonConnected)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	w.remove(sandbox)
	awaitNothing(w, sandbox)
}
