package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// jobFacts gathers what is known of every ExecJob there ever was.
func (w *world) jobFacts(ctx context.Context, here []v1alpha1.ExecJob, sandboxes []v1alpha1.Sandbox, remotes []remoteFacts) ([]jobFacts, error) {
	known := w.history.jobsSoFar()
	if len(known) == 0 {
		return nil, nil
	}
	runs, err := w.ledger.runs()
	if err != nil {
		return nil, err
	}
	var found []jobFacts
	for _, uid := range slices.Sorted(maps.Keys(known)) {
		past := known[uid]
		facts := jobFacts{name: "ExecJob/" + past.name, attempts: past.attempts}
		at := slices.IndexFunc(here, func(job v1alpha1.ExecJob) bool { return job.UID == uid })
		var job *v1alpha1.ExecJob
		if at >= 0 {
			job = &here[at]
			facts.attempts = max(facts.attempts, job.Status.Attempts)
			facts.ended = job.Status.ExitCode != nil
		}
		for _, r := range runs {
			if r.job == uid {
				facts.runs = append(facts.runs, r.attempt)
			}
		}
		if facts.left, err = w.leftOf(uid, job, past, remotes); err != nil {
			return nil, err
		}
		owned := ownedBy(uid, sandboxes)
		switch {
		case job == nil:
			facts.uncollected = owned
		case isOver(job) && len(owned) > 0:
			facts.left = append(facts.left, fmt.Sprintf("Sandboxes %v", owned))
		}
		if job != nil && past.finished {
			if facts.output, err = w.outputOf(ctx, job); err != nil {
				return nil, err
			}
		}
		found = append(found, facts)
	}
	return found, nil
}

// isOver tells that a job needs no Sandbox any more; nil is one that is gone.
func isOver(job *v1alpha1.ExecJob) bool {
	return job == nil || !job.DeletionTimestamp.IsZero() || isFinished(job)
}

// ownedBy are the names of a job's own Sandboxes that nobody has deleted.
func ownedBy(job types.UID, sandboxes []v1alpha1.Sandbox) (names []string) {
	for i := range sandboxes {
		if owner := metav1.GetControllerOf(&sandboxes[i]); owner != nil && owner.UID == job && sandboxes[i].DeletionTimestamp.IsZero() {
			names = append(names, sandboxes[i].Name)
		}
	}
	return names
}

// leftOf are the processes that are left of attempts that are over. Those in a remote that is left behind are left with it.
func (w *world) leftOf(uid types.UID, job *v1alpha1.ExecJob, past jobHistory, remotes []remoteFacts) ([]string, error) {
	return w.ledger.left(func(r commandRun) bool {
		over := job == nil || r.attempt < job.Status.Attempts || job.Status.Active == 0
		return r.job == uid && over && !slices.ContainsFunc(remotes, func(remote remoteFacts) bool {
			return remote.id == past.remotes[r.attempt] && remote.kept
		})
	})
}

// outputOf gathers what is stored of the output of a finished job, and what its command wrote. It is nil where the command
// was not seen to end.
func (w *world) outputOf(ctx context.Context, job *v1alpha1.ExecJob) (*outputFacts, error) {
	if job.Status.ExitCode == nil && job.Status.Signal == 0 {
		return nil, nil //nolint:nilnil // there being nothing to compare is an answer
	}
	output := &outputFacts{truncated: job.Status.Truncated, cut: job.Status.ExitCode == nil}
	for i, size := range []*int64{job.Status.StdoutBytes, job.Status.StderrBytes} {
		if size != nil {
			output.bytes[i] = *size
		}
	}
	var err error
	if output.written, err = w.ledger.written(job.UID, job.Status.Attempts); err != nil {
		return nil, err
	}
	there := &metav1.PartialObjectMetadataList{}
	there.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := w.list(ctx, there); err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for i := range there.Items {
		if cm := &there.Items[i]; metav1.IsControlledBy(cm, job) {
			versions[cm.Name] = cm.ResourceVersion
		}
	}
	for _, name := range job.Status.OutputConfigMaps {
		part, err := w.part(ctx, name, versions[name])
		if err != nil {
			return nil, err
		}
		output.parts = append(output.parts, part)
		delete(versions, name)
	}
	output.others = slices.Sorted(maps.Keys(versions))
	return output, nil
}

// part reads an output ConfigMap, once in each version; without one it is not there.
func (w *world) part(ctx context.Context, name, version string) (partFacts, error) {
	part := partFacts{name: name}
	if version == "" {
		return part, nil
	}
	if known, ok := w.parts[name+" "+version]; ok {
		return known, nil
	}
	var cm corev1.ConfigMap
	err := w.site.api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, &cm)
	if apierrors.IsNotFound(err) {
		return part, nil
	}
	if err != nil {
		return part, err
	}
	part.there = true
	for i, stream := range streams {
		offset, err := strconv.ParseInt(cm.Annotations["wrenn.dev/"+stream+"-offset"], 10, 64)
		if err != nil {
			return part, fmt.Errorf("ConfigMap %s: %w", name, err)
		}
		part.offsets[i], part.data[i] = offset, cm.BinaryData[stream]
	}
	w.parts[name+" "+cm.ResourceVersion] = part
	return part, nil
}
