package controller

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// firstRecord has something befall the first write that records an attempt.
type firstRecord struct {
	client.Client

	befall func(job *v1alpha1.ExecJob, change client.Patch, write func() error) error
	done   atomic.Bool
}

func (c *firstRecord) Status() client.SubResourceWriter {
	return &firstRecordStatus{SubResourceWriter: c.Client.Status(), of: c}
}

type firstRecordStatus struct {
	client.SubResourceWriter

	of *firstRecord
}

func (s *firstRecordStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	write := func() error { return s.SubResourceWriter.Patch(ctx, obj, patch, options...) }
	job, ok := obj.(*v1alpha1.ExecJob)
	if !ok || job.Status.Attempts != 1 || !s.of.done.CompareAndSwap(false, true) {
		return write()
	}
	return s.of.befall(job, patch, write)
}

// An attached command that another operator may have started is not started: where that has recorded the attempt, or
// where this one cannot tell who has.
func TestExecJobAttachedThatAnotherMayHaveStarted(t *testing.T) {
	t.Parallel()
	for name, befall := range map[string]func(*world, *v1alpha1.ExecJob, client.Patch, func() error) error{
		"another operator records it": func(w *world, job *v1alpha1.ExecJob, change client.Patch, write func() error) error {
			if err := w.api.Status().Patch(w.ctx, job.DeepCopy(), change); err != nil {
				w.t.Error(err)
			}
			return write()
		},
		"the answer is lost": func(_ *world, _ *v1alpha1.ExecJob, _ client.Patch, write func() error) error {
			return errors.Join(write(), errors.New("the answer is lost"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			w.jobsCache = func(cached client.Client) client.Client {
				return &firstRecord{Client: cached, befall: func(job *v1alpha1.ExecJob, change client.Patch, write func() error) error {
					return befall(w, job, change, write)
				}}
			}
			w.startOperator()
			w.connect()
			sandbox := w.box()
			job := w.job("taken", "")
			job.Spec.Command, job.Spec.Attachment = []string{"sh", "-c", "echo ran >>runs"}, v1alpha1.ExecAttachmentAttached
			w.create(job)
			awaitReason(w, job, v1alpha1.ReasonStreamLost)
			if runs := w.guest(sandbox, "cat runs 2>/dev/null; true"); runs != "" || job.Status.Attempts != 1 {
				t.Errorf("%d attempts, it was run: %q", job.Status.Attempts, runs)
			}
		})
	}
}
