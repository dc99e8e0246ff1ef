package controller

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// requests is the work queue of a controller.
type requests = workqueue.TypedRateLimitingInterface[reconcile.Request]

// wakeups is a source of reconcile requests that come from this process and not from the API server.
type wakeups struct {
	mu    sync.Mutex
	queue requests
	early []reconcile.Request
}

// Start gives the source its queue. It is called by the controller.
func (w *wakeups) Start(_ context.Context, queue requests) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = queue
	for _, request := range w.early {
		queue.Add(request)
	}
	w.early = nil
	return nil
}

// wake has an object reconciled.
func (w *wakeups) wake(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	request := reconcile.Request{NamespacedName: name}
	if w.queue == nil {
		w.early = append(w.early, request)
		return
	}
	w.queue.Add(request)
}

// wakeLater has an object reconciled after whatever is more urgent.
func (w *wakeups) wakeLater(name types.NamespacedName) {
	w.mu.Lock()
	queue, ok := w.queue.(priorityqueue.PriorityQueue[reconcile.Request])
	w.mu.Unlock()
	if !ok {
		w.wake(name)
		return
	}
	low := handler.LowPriority
	queue.AddWithOpts(priorityqueue.AddOpts{Priority: &low}, reconcile.Request{NamespacedName: name})
}
