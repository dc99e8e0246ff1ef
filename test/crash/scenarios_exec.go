package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// xj is the ExecJob that the scenarios are about.
var xj = named[v1alpha1.ExecJob]("job")

// job makes an ExecJob that runs a script in the box, which keeps the ledger.
func job(name, script string, changes ...func(*v1alpha1.ExecJob)) step {
	return creates(func(w *world) client.Object {
		made := named[v1alpha1.ExecJob](name)
		made.Spec.SandboxRef = &v1alpha1.SandboxReference{Name: "box"}
		made.Spec.Script = keepsLedger + script
		made.Spec.Env = []v1alpha1.ExecEnvVar{{Name: "LEDGER", Value: &w.ledger.dir}}
		for _, change := range changes {
			change(made)
		}
		return made
	})
}

// The scripts.
const (
	// talks writes some text to both streams.
	talks = `echo hello | out
echo oops | err
`
	// pours writes more than a ConfigMap is filled with while the command runs, whatever bytes, without a line end.
	pours = `head -c 40000 /dev/urandom | out
head -c 20000 /dev/urandom | err
head -c 5000 /dev/urandom | out
`
	// overflows writes more than is kept.
	overflows = `head -c 90000 /dev/urandom | out
head -c 50000 /dev/urandom | err
head -c 20000 /dev/urandom | out
`
	// fails tells of an attempt, and fails.
	fails = `echo "attempt ${WRENN_EXEC_ID##*-}" | out
exit 3
`
	// stays runs until it is allowed to end, or for ever, with processes at its side.
	stays = `echo on | out
sleep 1000 & echo "$WRENN_EXEC_ID $!" >>"$LEDGER/processes"
aside=$!
sleep 1000 & echo "$WRENN_EXEC_ID $!" >>"$LEDGER/processes"
until [ -e "$LEDGER/go" ]; do sleep 0.3; done
kill $aside $!
echo off | out
`
)

// least has as little of the output be kept as can be asked for, so that little of it makes several ConfigMaps.
func least(j *v1alpha1.ExecJob) { j.Spec.Output.LimitBytes = 65536 }

// isLetGo tells that nothing is left to be done about an ExecJob.
func isLetGo(obj client.Object) bool { return len(obj.GetFinalizers()) == 0 }

// runningJob begins with a job whose command runs.
func runningJob() []step {
	return append(readyBox(), job("job", stays), until(xj, v1alpha1.ReasonExecuting, func(obj client.Object) bool {
		job, ok := obj.(*v1alpha1.ExecJob)
		return ok && job.Status.PID != 0 && job.Status.StdoutTail != ""
	}), begun(1))
}

// execScenarios are about commands.
func execScenarios() []scenario {
	paused, running := mode(v1alpha1.OperatingModePaused), mode(v1alpha1.OperatingModeRunning)
	succeeds := until(xj, v1alpha1.ReasonSucceeded, isLetGo)
	all := []scenario{
		{
			name:   "exec-run",
			before: readyBox(),
			during: []step{job("job", talks), succeeds},
		},
		{
			name:   "exec-output",
			before: readyBox(),
			during: []step{job("job", pours, least), succeeds},
		},
		{
			name:   "exec-retry",
			before: readyBox(),
			during: []step{
				job("job", fails, func(j *v1alpha1.ExecJob) { j.Spec.BackoffLimit = ptr.To(int32(1)) }),
				until(xj, v1alpha1.ReasonNonZeroExit, isLetGo),
			},
		},
		{
			name:   "exec-suspend",
			before: runningJob(),
			during: []step{
				suspends("job", true), reason(xj, v1alpha1.ReasonSuspended),
				allowed(), suspends("job", false), succeeds,
			},
		},
		{
			name:   "exec-delete",
			before: runningJob(),
			during: []step{removes(xj), gone(xj)},
		},
		{
			name:   "exec-own",
			before: []step{connected()},
			during: []step{
				job("job", talks, func(j *v1alpha1.ExecJob) {
					j.Spec.SandboxRef, j.Spec.SandboxTemplate = nil, &v1alpha1.SandboxTemplate{}
				}),
				succeeds, noSandbox(),
			},
		},
		{
			name:   "exec-frozen",
			before: runningJob(),
			during: []step{
				edit("box", paused), reason(box, v1alpha1.ReasonPaused), reason(xj, v1alpha1.ReasonSandboxPaused),
				allowed(), edit("box", running), reason(box, v1alpha1.ReasonRunning), succeeds,
			},
		},
	}
	for i := range all {
		all[i].commands, all[i].check, all[i].spares = true, everyAttemptRan, isPoll
		switch all[i].name {
		case "exec-run": // all of them
		case "exec-output":
			all[i].mishaps = []mishap{failsBefore, failsAfter, answerLost, killed}
		default: // a failed answer is much like a lost one, and those two have each kind of effect
			all[i].mishaps = []mishap{failsBefore, answerLost, killed}
		}
	}
	return all
}

// isPoll tells of an effect that other scenarios are about.
func isPoll(effect string) bool { return strings.HasPrefix(effect, opList+".") }

// everyAttemptRan checks that each attempt of each job is one line of the ledger, and that nothing is left of it in a guest.
// More than one is found with any scenario.
func everyAttemptRan(ctx context.Context, w *world) ([]finding, error) {
	f, err := w.facts(ctx)
	if err != nil {
		return nil, err
	}
	var found []finding
	for _, job := range f.jobs {
		if missed := job.missed(); len(missed) > 0 {
			found = append(found, finding{class: lost, text: fmt.Sprintf("%s was not run in %v of %d attempts", job.name, missed, job.attempts)})
		}
	}
	runs, err := w.ledger.runs()
	for _, r := range runs {
		if r.hasFiles() {
			found = append(found, finding{class: leaked, text: fmt.Sprintf("attempt %d has left its files in the guest", r.attempt)})
		}
	}
	return found, err
}

// begun waits until an attempt of some job has begun to run.
func begun(attempt int32) step {
	return func(ctx context.Context, w *world) error {
		return eventually(ctx, func() error {
			runs, err := w.ledger.runs()
			if err == nil && !slices.ContainsFunc(runs, func(r commandRun) bool { return r.attempt == attempt }) {
				err = fmt.Errorf("attempt %d has not begun", attempt)
			}
			return err
		})
	}
}

// allowed has the command that waits for it go on.
func allowed() step {
	return func(_ context.Context, w *world) error { return w.ledger.allow() }
}

// noSandbox waits until there is no Sandbox.
func noSandbox() step {
	return func(ctx context.Context, w *world) error {
		return eventually(ctx, func() error {
			var all v1alpha1.SandboxList
			err := w.list(ctx, &all)
			if err == nil && len(all.Items) > 0 {
				err = errors.New("there is a Sandbox")
			}
			return err
		})
	}
}

// suspends has a job held, or not any more.
func suspends(name string, held bool) step {
	return editJob(name, func(j *v1alpha1.ExecJob) { j.Spec.Suspend = &held })
}
