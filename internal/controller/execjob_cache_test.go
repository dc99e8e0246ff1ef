package controller

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// behindCache is a cache that has not heard of any Sandbox for as long as it is told to.
type behindCache struct {
	client.Client

	behind atomic.Bool
	times  atomic.Int32
	// atTheEnd has it be behind from when it hears that a job is finished.
	atTheEnd atomic.Bool
}

func (c *behindCache) Get(ctx context.Context, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
	if _, ok := obj.(*v1alpha1.Sandbox); ok && c.behind.Load() {
		c.times.Add(1)
		return apierrors.NewNotFound(schema.GroupResource{Resource: "sandboxes"}, key.Name)
	}
	err := c.Client.Get(ctx, key, obj, options...)
	if job, ok := obj.(*v1alpha1.ExecJob); ok && c.atTheEnd.Load() && isFinished(job) {
		c.behind.Store(true)
	}
	return err
}

// newBehindWorld starts one whose cache can be behind as far as ExecJobs look at it.
func newBehindWorld(t *testing.T) (*world, *behindCache) {
	t.Helper()
	w, cache := newWorld(t, wrenndev.Config{}), &behindCache{}
	w.jobsCache = func(cached client.Client) client.Client {
		cache.Client = cached
		return cache
	}
	w.startOperator()
	w.connect()
	return w, cache
}

// awaitMisses waits until the cache has not found what is there.
func awaitMisses(w *world, cache *behindCache) {
	w.t.Helper()
	eventually(w, "the cache was asked", func() error {
		if n := cache.times.Load(); n < 2 {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
}

// A Sandbox that the cache has not heard of yet is not taken for one that is gone.
func TestExecJobOutlastsACacheThatIsBehind(t *testing.T) {
	t.Parallel()
	w, cache := newBehindWorld(t)
	sandbox := w.box()
	job := w.job("steady", "while [ ! -e go ]; do sleep 0.1; done; echo went")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	cache.behind.Store(true)
	for i := range 2 {
		edit(w, job, func(j *v1alpha1.ExecJob) { setAnnotation(j, v1alpha1.AnnotationReconcileRequestedAt, fmt.Sprint(i)) })
	}
	awaitMisses(w, cache)
	cache.behind.Store(false)
	w.guest(sandbox, "touch go")
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if job.Status.Attempts != 1 {
		t.Errorf("%d attempts", job.Status.Attempts)
	}
}

// A job whose cache is behind when it is finished still ends its own Sandbox.
func TestExecJobEndsASandboxThatTheCacheLacks(t *testing.T) {
	t.Parallel()
	w, cache := newBehindWorld(t)
	cache.atTheEnd.Store(true)
	job := w.templateJob("tidy", "true")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	awaitReleased(w, job)
	awaitMisses(w, cache)
	if left := w.sandboxes(); len(left) != 0 || len(w.alive()) != 0 {
		t.Errorf("%d Sandboxes and %d remotes are left", len(left), len(w.alive()))
	}
}

// A job's own Sandbox that comes up when the job is finished already is ended all the same.
func TestExecJobEndsASandboxThatComesTooLate(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	job := w.templateJob("over", "true")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	awaitReleased(w, job)
	next := w.templateJob("next", "true") // by its end no visit of the first is due any more
	w.create(next)
	awaitReason(w, next, v1alpha1.ReasonSucceeded)
	awaitReleased(w, next)
	late := w.sandbox(sandboxNameOf(job))
	late.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, v1alpha1.GroupVersion.WithKind("ExecJob"))}
	w.create(late)
	awaitGone(w, late)
	if alive := w.alive(); len(alive) != 0 {
		t.Errorf("alive: %+v", alive)
	}
}
