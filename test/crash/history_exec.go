package main

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// jobHistory is what was seen of an ExecJob.
type jobHistory struct {
	name string
	// attempts is how many its status has told of at the most, and remotes are where each was made.
	attempts int32
	remotes  map[int32]string
	// finished tells that it was Complete or Failed at some time.
	finished bool
}

func isFinished(job *v1alpha1.ExecJob) bool {
	return meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionComplete) ||
		meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionFailed)
}

// seesJob takes in one version of an ExecJob. A finished one never runs again, whatever is done to it.
func (h *history) seesJob(job *v1alpha1.ExecJob) {
	past, known := h.jobs[job.UID]
	if !known {
		past = jobHistory{name: job.Name, remotes: map[int32]string{}}
	}
	if past.finished && (!isFinished(job) || job.Status.Attempts > past.attempts) {
		h.broken = append(h.broken, fmt.Sprintf("ExecJob %s was finished, and is at attempt %d", job.Name, job.Status.Attempts))
	}
	past.finished = past.finished || isFinished(job)
	past.attempts = max(past.attempts, job.Status.Attempts)
	if id := job.Status.SandboxID; id != "" {
		past.remotes[job.Status.Attempts] = id
	}
	h.jobs[job.UID] = past
}

// jobsSoFar are the ExecJobs that there were.
func (h *history) jobsSoFar() map[types.UID]jobHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := maps.Clone(h.jobs)
	for uid, past := range all {
		past.remotes = maps.Clone(past.remotes)
		all[uid] = past
	}
	return all
}

// letsGo notes which Sandboxes may be destroyed because the jobs that they were made for need them no more.
func (w *world) letsGo(ctx context.Context) error {
	var sandboxes v1alpha1.SandboxList
	var jobs v1alpha1.ExecJobList
	if err := errors.Join(w.list(ctx, &sandboxes), w.list(ctx, &jobs)); err != nil {
		return err
	}
	byUID := map[types.UID]*v1alpha1.ExecJob{}
	for i := range jobs.Items {
		byUID[jobs.Items[i].UID] = &jobs.Items[i]
	}
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	for i := range sandboxes.Items {
		sandbox := &sandboxes.Items[i]
		if owner := metav1.GetControllerOf(sandbox); owner != nil && isOver(byUID[owner.UID]) {
			w.history.letGo[sandbox.UID] = true
		}
	}
	return nil
}
