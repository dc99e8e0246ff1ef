package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// choreBegin notes each start of a chore in a file that all chores of a Sandbox share. What a chore writes it also keeps in
// files, so that the guest itself tells what the output must be.
const choreBegin = `echo "$JOB $$ $(date +%s%N)" >>runs
: >"$JOB.stdout" >"$JOB.stderr"
out() { printf "$1"; printf "$1" >>"$JOB.stdout"; }
err() { printf "$1" >&2; printf "$1" >>"$JOB.stderr"; }
bytes() { head -c "$1" /dev/urandom >piece.$$; cat piece.$$; cat piece.$$ >>"$JOB.$2"; }
`

// chores write all kinds of output. Most take long enough to be met by a kill.
var chores = []string{
	// At once.
	`out 'done\n'`,
	// Bytes that are no text, on both streams, in pieces.
	`bytes 50000 stdout; bytes 700 stderr >&2; sleep 3; bytes 50000 stdout`,
	// Lines on both streams in turns.
	`for i in 1 2 3 4; do out "out $i\n"; err "err $i\n"; sleep 1; done`,
	// A character that is cut in two, a NUL, and no end of line; silence.
	`sleep 1; out 'caf\303'; sleep 3; out '\251\000end'`,
	// More than one ConfigMap holds.
	`bytes 400000 stdout; sleep 2; bytes 200000 stdout`,
}

// newChore is the job of a number, in one of the Sandboxes.
func newChore(namespace string, number, sandboxes int) *v1alpha1.ExecJob {
	name := fmt.Sprint("chore-", number)
	script := chores[number/sandboxes%len(chores)] // each Sandbox gets all of them
	job := newScript(namespace, name, fmt.Sprint("box-", number%sandboxes), choreBegin+script)
	job.Spec.Env = []v1alpha1.ExecEnvVar{{Name: "JOB", Value: &name}}
	return job
}

// choresOf are the jobs of a namespace.
func choresOf(ctx context.Context, g Gomega, namespace string) []v1alpha1.ExecJob {
	var jobs v1alpha1.ExecJobList
	g.Expect(api.List(ctx, &jobs, client.InNamespace(namespace))).To(Succeed())
	return jobs.Items
}

// awaitChores waits until all have finished, and returns them by the name of their Sandbox.
func awaitChores(ctx context.Context, namespace string) map[string][]v1alpha1.ExecJob {
	GinkgoHelper()
	bySandbox := map[string][]v1alpha1.ExecJob{}
	Eventually(func(g Gomega) {
		clear(bySandbox)
		for _, job := range choresOf(ctx, g, namespace) {
			failed := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionFailed)
			if failed != nil {
				StopTrying(fmt.Sprintf("%s failed: %s: %s", job.Name, failed.Reason, failed.Message)).Now()
			}
			g.Expect(meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionComplete)).To(BeTrue(), job.Name)
			bySandbox[job.Spec.SandboxRef.Name] = append(bySandbox[job.Spec.SandboxRef.Name], job)
		}
	}).WithTimeout(2 * patience).WithPolling(seconds(0.5)).Should(Succeed())
	return bySandbox
}

// judge compares the chores of a Sandbox with what the guest tells.
func judge(ctx context.Context, sandbox *v1alpha1.Sandbox, jobs []v1alpha1.ExecJob) {
	GinkgoHelper()
	var ran []string
	for line := range strings.Lines(guest(ctx, sandbox, "cat runs")) {
		name, _, _ := strings.Cut(line, " ")
		ran = append(ran, name)
	}
	var names []string
	for _, job := range jobs {
		names = append(names, job.Name)
		Expect(job.Status.ExitCode).To(HaveValue(BeZero()), job.Name)
		Expect(job.Status.Attempts).To(BeEquivalentTo(1), job.Name)
		for stream, stored := range storedStreams(ctx, &job) {
			wrote := guest(ctx, sandbox, "cat "+job.Name+"."+stream)
			if stored != wrote { // Expect would print all of either
				Fail(fmt.Sprintf("%s wrote %d bytes to %s, and %d that are not the same are stored",
					job.Name, len(wrote), stream, len(stored)))
			}
		}
	}
	Expect(ran).To(ConsistOf(names), "what was run in "+sandbox.Name)
	Expect(guest(ctx, sandbox, "ls .wrenn/exec")).To(BeEmpty(), "what the operator has left in "+sandbox.Name)
}
