package main

import (
	"context"
	"fmt"

	"k8s.io/utils/ptr"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// jobNames of a random case.
var jobNames = []string{"x", "y"}

// jobOperation is one thing that people do with an ExecJob.
func (d dice) jobOperation() step {
	name := jobNames[d.IntN(len(jobNames))]
	switch roll := d.IntN(8); {
	case roll < 5:
		return job(name, d.script(), d.jobSpec)
	case roll < 7:
		return suspends(name, d.IntN(2) == 0)
	default:
		return removes(named[v1alpha1.ExecJob](name))
	}
}

// script draws one that ends by itself.
func (d dice) script() string {
	return []string{
		talks, pours, overflows, fails,
		"echo on | out\nsleep 1000 & echo \"$WRENN_EXEC_ID $!\" >>\"$LEDGER/processes\"\n" +
			fmt.Sprintf("sleep 0.%d\nkill $!\necho off | err\n", d.IntN(10)),
		// It fails the first time.
		talks + "[ \"${WRENN_EXEC_ID##*-}\" -gt 1 ]\n",
	}[d.IntN(6)]
}

// jobSpec draws the rest of a job.
func (d dice) jobSpec(j *v1alpha1.ExecJob) {
	least(j)
	j.Spec.SandboxRef.Name = names[d.IntN(len(names))]
	if d.IntN(4) == 0 {
		j.Spec.SandboxRef, j.Spec.SandboxTemplate = nil, &v1alpha1.SandboxTemplate{}
	}
	j.Spec.BackoffLimit = ptr.To(d.Int32N(3))
	if d.IntN(6) == 0 {
		j.Spec.Suspend = ptr.To(true)
	}
}

// removeJobs deletes every ExecJob.
func (w *world) removeJobs(ctx context.Context) error {
	for _, name := range jobNames {
		if err := tolerated(removes(named[v1alpha1.ExecJob](name))(ctx, w)); err != nil {
			return err
		}
	}
	return nil
}
