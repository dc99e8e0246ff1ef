package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// load makes jobs and judges what they come to.
type load struct {
	world   *world
	options options
	random  *rand.Rand

	made, finished int
	// tasks are those of the jobs that are there, by name.
	tasks map[string]*task
	// wrong is what jobs came to that must not be.
	wrong []error
}

func newLoad(w *world, o options) *load {
	return &load{
		world: w, options: o, tasks: map[string]*task{},
		random: rand.New(rand.NewPCG(o.seed, 1)), //nolint:gosec // dice to be thrown again are no secret
	}
}

// catchUp makes the jobs that are due, after so long under load.
func (l *load) catchUp(ctx context.Context, long time.Duration) error {
	due := int(long.Seconds() * l.options.rate)
	// A slow machine does less. What it cannot do is not put off until it is faster.
	l.made = max(l.made, due-int(math.Ceil(l.options.rate)))
	for ; l.made < due && l.unfinished() < l.options.atATime; l.made++ {
		job, t := newTask(l.random, l.options, l.made)
		if err := l.world.api.Create(ctx, job); err != nil {
			return fmt.Errorf("make %s: %w", job.Name, err)
		}
		l.tasks[job.Name] = t
	}
	return nil
}

func (l *load) unfinished() int {
	n := 0
	for _, t := range l.tasks {
		if !t.judged {
			n++
		}
	}
	return n
}

// look judges the jobs that have finished, and forgets those that are gone.
func (l *load) look(ctx context.Context) error {
	var jobs v1alpha1.ExecJobList
	if err := l.world.api.List(ctx, &jobs, client.InNamespace(namespace)); err != nil {
		return err
	}
	there := map[string]bool{}
	for _, job := range jobs.Items {
		there[job.Name] = true
		t := l.tasks[job.Name]
		switch {
		case t.judged:
		case isFinished(&job):
			l.fails(&job, t, l.judge(ctx, &job, t))
			if err := l.letGo(ctx, &job); err != nil {
				return err
			}
			l.finished++
		case time.Since(t.made) > patience:
			l.fails(&job, t, fmt.Errorf("stuck: %v", job.Status.Conditions))
		}
	}
	for name, t := range l.tasks {
		if there[name] {
			continue
		}
		if !t.judged {
			l.wrong = append(l.wrong, fmt.Errorf("%s went before it was judged", name))
		}
		delete(l.tasks, name)
	}
	return nil
}

func isFinished(job *v1alpha1.ExecJob) bool {
	return meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionComplete) ||
		meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionFailed)
}

// judge compares a job that has finished with what it must have come to.
func (l *load) judge(ctx context.Context, job *v1alpha1.ExecJob, t *task) error {
	if !meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionComplete) {
		return fmt.Errorf("failed: %v", job.Status.Conditions)
	}
	var stdout, stderr []byte
	for _, name := range job.Status.OutputConfigMaps {
		var part corev1.ConfigMap
		if err := l.world.api.Get(ctx, client.ObjectKey{Namespace: job.Namespace, Name: name}, &part); err != nil {
			return err
		}
		stdout = append(stdout, part.BinaryData["stdout"]...)
		stderr = append(stderr, part.BinaryData["stderr"]...)
	}
	return errors.Join(differs("stdout", stdout, t.stdout), differs("stderr", stderr, t.stderr))
}

// letGo has a job deleted by its time to live, which it had none of while it was to be judged.
func (l *load) letGo(ctx context.Context, job *v1alpha1.ExecJob) error {
	before := job.DeepCopy()
	job.Spec.TTLSecondsAfterFinished = ptr.To[int32](1)
	return l.world.api.Patch(ctx, job, client.MergeFrom(before))
}

// fails notes what is wrong with a job, which is nothing where err is nil.
func (l *load) fails(job *v1alpha1.ExecJob, t *task, err error) {
	t.judged = true
	if err != nil {
		l.wrong = append(l.wrong, fmt.Errorf("%s: %w", job.Name, err))
	}
}

// drained says what is left of the load.
func (l *load) drained(ctx context.Context) error {
	if err := l.look(ctx); err != nil {
		return err
	}
	var parts corev1.ConfigMapList
	if err := l.world.api.List(ctx, &parts, client.InNamespace(namespace), client.HasLabels{v1alpha1.LabelExecJob}); err != nil {
		return err
	}
	var boxes v1alpha1.SandboxList
	if err := l.world.api.List(ctx, &boxes, client.InNamespace(namespace)); err != nil {
		return err
	}
	if jobs, own := len(l.tasks), len(boxes.Items)-l.options.sandboxes; jobs+len(parts.Items)+own > 0 {
		return fmt.Errorf("%d jobs, %d ConfigMaps of output and %d Sandboxes of jobs do not go", jobs, len(parts.Items), own)
	}
	return nil
}
