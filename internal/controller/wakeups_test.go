package controller

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// What is woken before the controller starts is not lost, and what can wait comes after what cannot, whichever came first.
func TestWakeups(t *testing.T) {
	t.Parallel()
	queue := priorityqueue.New[reconcile.Request](t.Name())
	defer queue.ShutDown()
	var w wakeups
	w.wake(types.NamespacedName{Name: "early"})
	w.wakeLater(types.NamespacedName{Name: "early, and not urgent"})
	if err := w.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	names := func(count int) (got []string) {
		for range count {
			request, _ := queue.Get()
			queue.Done(request)
			got = append(got, request.Name)
		}
		return got
	}
	if diff := cmp.Diff([]string{"early", "early, and not urgent"}, names(2)); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"a difference", "both", "another difference"} {
		w.wakeLater(types.NamespacedName{Name: name})
	}
	w.wake(types.NamespacedName{Name: "news"})
	w.wake(types.NamespacedName{Name: "both"})
	got := names(4)
	if diff := cmp.Diff([]string{"news", "both", "a difference", "another difference"}, got); diff != "" {
		t.Error(diff)
	}
}
