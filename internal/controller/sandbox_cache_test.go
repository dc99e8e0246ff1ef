package controller

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// frozenCache is a cache that may have stood still at an old version of a Sandbox.
type frozenCache struct {
	client.Client

	mu  sync.Mutex
	old *v1alpha1.Sandbox
	// expired is how many times it has told of the old version after the end of its life.
	expired int
}

func (c *frozenCache) Get(ctx context.Context, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sandbox, ok := obj.(*v1alpha1.Sandbox); ok && c.old != nil && client.ObjectKeyFromObject(c.old) == key {
		c.old.DeepCopyInto(sandbox)
		if end := endOfLife(sandbox); end != nil && end.Time.Before(time.Now()) {
			c.expired++
		}
		return nil
	}
	return c.Client.Get(ctx, key, obj, options...)
}

// standStill has it tell of a version from now on, nil for the latest.
func (c *frozenCache) standStill(at *v1alpha1.Sandbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.old = at.DeepCopy()
}

func (c *frozenCache) toldOfTheEnd() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.expired
}

// A Sandbox whose end was put off lives, also where the cache has not heard of that.
func TestSandboxWhoseEndIsPutOffLives(t *testing.T) {
	t.Parallel()
	w, cache := newWorld(t, wrenndev.Config{}), &frozenCache{}
	w.sandboxesCache = func(cached client.Client) client.Client {
		cache.Client = cached
		return cache
	}
	w.startOperator()
	w.connect()
	sandbox := w.sandbox("prolonged")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	id := sandbox.Status.SandboxID
	cache.standStill(sandbox)
	end := metav1.NewTime(time.Now().Add(time.Second))
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.ShutdownTime = &end })
	old := sandbox.DeepCopy()
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.ShutdownTime = nil })
	cache.standStill(old)
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { setAnnotation(s, v1alpha1.AnnotationReconcileRequestedAt, "now") })
	eventually(w, "the end of the old version has come", func() error {
		if n := cache.toldOfTheEnd(); n < 2 {
			return fmt.Errorf("told of %d times", n)
		}
		return nil
	})
	cache.standStill(nil)
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, sandbox, v1alpha1.ReasonPaused)
	if n := w.calls(wrenndev.OpDestroy); n != 0 || sandbox.Status.SandboxID != id {
		t.Errorf("%d destroys, and it has %s of %s", n, sandbox.Status.SandboxID, id)
	}
}
