package controller

import (
	"testing"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// No more jobs are followed at a time than the connection allows. Who waits says so, and runs when it is its turn.
func TestExecJobsQueueForStreams(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	edit(w, w.connection(""), func(c *v1alpha1.Connection) {
		c.Spec.Limits.ConcurrentStreams = 1
	})
	sandbox := w.box()
	first := w.job("first", "until [ -e go-on ]; do sleep 0.1; done; echo first >>order")
	w.create(first)
	awaitReason(w, first, v1alpha1.ReasonExecuting)
	second := w.job("second", "echo second >>order")
	w.create(second)
	awaitReason(w, second, v1alpha1.ReasonQueued)
	w.guest(sandbox, "touch go-on")
	for _, job := range []*v1alpha1.ExecJob{first, second} {
		awaitReason(w, job, v1alpha1.ReasonSucceeded)
	}
	if got := w.guest(sandbox, "cat order"); got != "first\nsecond\n" {
		t.Errorf("they ran in the order %q", got)
	}
}
