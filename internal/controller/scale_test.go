package controller

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// Idle Sandboxes cost what one costs, however many there are: the LISTs. Thirty intervals are five minutes of the default
// pace. A thousand machines take minutes to make, so that without WRENN_SLOW there are a hundred.
func TestIdleSandboxesCostOnlyLists(t *testing.T) {
	const intervals = 30
	sandboxes := 100
	if os.Getenv("WRENN_SLOW") != "" {
		sandboxes = 1000
	}
	// The machines are the lightest there are: it is the operator that is looked at.
	w := newWorld(t, wrenndev.Config{
		Isolation: wrenndev.Directory, SampleEvery: time.Hour, IdleCheck: time.Minute, Reconcile: 15 * time.Second,
	})
	w.startOperator()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	connection := w.connection(w.wrenn.URL())
	connection.Spec.Limits = v1alpha1.ConnectionLimits{RequestsPerSecond: 1000, ConcurrentCreates: 16}
	w.create(connection)
	w.createMany(sandboxes)
	eventuallyWithin(w, 10*patience, time.Second, "all are at rest", func() error { return w.allAtRest(sandboxes) })
	// The last write is the annotation of the last one. What follows it is the pace's own.
	writes := w.writes.count.Load()
	w.wrenn.ResetRequests()
	eventually(w, "five minutes go by", func() error {
		if lists := w.calls(wrenndev.OpList); lists < intervals {
			return fmt.Errorf("%d lists", lists)
		}
		return nil
	})
	if n := w.writes.count.Load() - writes; n != 0 {
		t.Errorf("%d writes to the API server", n)
	}
	if all, lists := len(w.wrenn.Requests()), w.calls(wrenndev.OpList); all != lists {
		t.Errorf("%d requests, of which %d are lists", all, lists)
	}
}

// createMany makes Sandboxes as fast as the API server takes them.
func (w *world) createMany(count int) {
	w.t.Helper()
	names := make(chan string, count)
	for i := range count {
		names <- fmt.Sprintf("idle-%d", i)
	}
	close(names)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for name := range names {
				if err := w.api.Create(w.ctx, w.sandbox(name)); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	workers.Wait()
}

// allAtRest tells whether that many Sandboxes run and nothing about them is left to be written.
func (w *world) allAtRest(count int) error {
	var all v1alpha1.SandboxList
	if err := w.api.List(w.ctx, &all, client.InNamespace(w.namespace)); err != nil {
		return err
	}
	resting := 0
	for i := range all.Items {
		sandbox := &all.Items[i]
		if readyOf(sandbox) == v1alpha1.ReasonRunning && sandbox.Annotations[v1alpha1.AnnotationSandboxID] == sandbox.Status.SandboxID &&
			sandbox.Annotations[v1alpha1.AnnotationCreateIntent] == "" {
			resting++
		}
	}
	if resting != count {
		return fmt.Errorf("%d of %d", resting, count)
	}
	return nil
}
