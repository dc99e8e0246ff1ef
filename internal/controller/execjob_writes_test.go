package controller

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// watchedJobs counts how often the controller looks at an ExecJob, and writes the status of one.
type watchedJobs struct {
	client.Client

	looks, writes atomic.Int64
}

func (c *watchedJobs) Get(ctx context.Context, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
	if _, ok := obj.(*v1alpha1.ExecJob); ok {
		c.looks.Add(1)
	}
	return c.Client.Get(ctx, key, obj, options...)
}

func (c *watchedJobs) Status() client.SubResourceWriter {
	return &watchedStatus{SubResourceWriter: c.Client.Status(), of: c}
}

type watchedStatus struct {
	client.SubResourceWriter

	of *watchedJobs
}

func (s *watchedStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	if _, ok := obj.(*v1alpha1.ExecJob); ok {
		s.of.writes.Add(1)
	}
	return s.SubResourceWriter.Patch(ctx, obj, patch, options...)
}

// The status of a job that writes without end is written once a second, and that of one that writes nothing not at all.
func TestExecJobWriteBudget(t *testing.T) {
	t.Parallel()
	w, jobs := newWorld(t, wrenndev.Config{}), &watchedJobs{}
	w.jobsCache = func(cached client.Client) client.Client {
		jobs.Client = cached
		return jobs
	}
	w.startOperator()
	w.connect()
	sandbox := w.box()
	job := w.job("talkative", "until [ -e hush ]; do echo line; sleep 0.02; done; until [ -e end ]; do sleep 0.05; done")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	const news = 5
	began, before := time.Now(), jobs.writes.Load()
	eventually(w, "its news are written", func() error {
		if n := jobs.writes.Load() - before; n < news {
			return fmt.Errorf("%d writes", n)
		}
		return nil
	})
	// The first may be due at once, and the last have been put off before.
	if took := time.Since(began); took < (news-2)*time.Second {
		t.Errorf("%d writes within %s", news, took)
	}
	w.guest(sandbox, "touch hush")
	eventually(w, "all is told", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(job), job); err != nil {
			return err
		}
		size := strings.TrimSpace(w.guest(sandbox, "cat .wrenn/exec/*/stdout | wc -c"))
		if n := job.Status.StdoutBytes; n == nil || fmt.Sprint(*n) != size {
			return fmt.Errorf("%s bytes, status: %+v", size, job.Status)
		}
		return nil
	})
	before = jobs.writes.Load()
	for i := range 3 {
		looks := jobs.looks.Load()
		edit(w, job, func(j *v1alpha1.ExecJob) { setAnnotation(j, v1alpha1.AnnotationReconcileRequestedAt, fmt.Sprint(i)) })
		eventually(w, "it is looked at", func() error {
			if jobs.looks.Load() == looks {
				return fmt.Errorf("%d looks", looks)
			}
			return nil
		})
	}
	if n := jobs.writes.Load() - before; n != 0 {
		t.Errorf("%d writes without news", n)
	}
	w.guest(sandbox, "touch end")
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
}
