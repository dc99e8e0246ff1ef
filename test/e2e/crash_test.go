package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// slowCalls is how long the calls take in which the manager is killed.
const slowCalls = 600 * time.Millisecond

// attempts is how many moments each spec tries.
const attempts = 3

// killAtRandom kills the manager at some moment of the next so many seconds. The moments follow from the suite's seed,
// which a failure prints.
func killAtRandom(ctx context.Context, random *rand.Rand, within time.Duration) {
	GinkgoHelper()
	moment := time.Duration(random.Int64N(int64(within)))
	AddReportEntry("killed after", moment.String())
	select {
	case <-time.After(moment):
	case <-ctx.Done():
	}
	killManager()
}

var _ = Describe("A manager that is killed", func() {
	var (
		namespace string
		random    *rand.Rand
	)
	// Without a lease, since the next manager would wait for that of a dead one to run out.
	restart := func(ctx context.Context) { startManager(ctx, "--leader-elect=false") }
	BeforeEach(func(ctx context.Context) {
		random = rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), 0)) //nolint:gosec // moments to be repeated are no secret
		restart(ctx)
		namespace = newNamespace(ctx)
	})

	It("during a create makes one remote sandbox", func(ctx context.Context) {
		for i := range attempts {
			site.Wrenn.Faults().Add(wrenndev.Fault{
				Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(slowCalls),
			})
			sandbox := newSandbox(namespace, fmt.Sprint("created-", i))
			Expect(api.Create(ctx, sandbox)).To(Succeed())
			killAtRandom(ctx, random, 2*slowCalls)
			site.Wrenn.Faults().Clear()
			restart(ctx)
			awaitReason(ctx, sandbox, v1alpha1.ReasonRunning)
			Eventually(alive).Should(HaveLen(i + 1))
			info, _ := site.Wrenn.Sandbox(sandbox.Status.SandboxID)
			Expect(info.Status).To(Equal(wrenndev.StatusRunning))
		}
	})

	It("during a pause leaves it paused", func(ctx context.Context) {
		sandbox := newSandbox(namespace, "paused")
		idle := int32(3600) // so that nothing but the spec can have it resumed
		sandbox.Spec.IdleTimeoutSeconds = &idle
		Expect(api.Create(ctx, sandbox)).To(Succeed())
		awaitReason(ctx, sandbox, v1alpha1.ReasonRunning)
		id := sandbox.Status.SandboxID
		for range attempts {
			site.Wrenn.Faults().Add(wrenndev.Fault{
				Kind: wrenndev.FaultDelay, Op: wrenndev.OpPause, Times: 1, Latency: wrenndev.Millis(slowCalls),
			})
			setMode(ctx, sandbox, v1alpha1.OperatingModePaused)
			killAtRandom(ctx, random, 2*slowCalls)
			site.Wrenn.Faults().Clear()
			restart(ctx)
			awaitReason(ctx, sandbox, v1alpha1.ReasonPaused)
			setMode(ctx, sandbox, v1alpha1.OperatingModeRunning)
			awaitReason(ctx, sandbox, v1alpha1.ReasonRunning)
			Expect(sandbox.Status.SandboxID).To(Equal(id))
			Expect(alive()).To(HaveLen(1))
		}
	})

	It("during an ExecJob has its command run once and its output whole", func(ctx context.Context) {
		sandbox := newSandbox(namespace, "box")
		Expect(api.Create(ctx, sandbox)).To(Succeed())
		awaitReason(ctx, sandbox, v1alpha1.ReasonRunning)
		var want strings.Builder
		for i := range 200 {
			fmt.Fprintf(&want, "line %d\n", i)
		}
		for i := range attempts {
			name := fmt.Sprint("job-", i)
			job := newScript(namespace, name, "box", "echo run >>"+name+"; i=0; "+
				"while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); sleep 0.01; done")
			Expect(api.Create(ctx, job)).To(Succeed())
			killAtRandom(ctx, random, 3*time.Second)
			restart(ctx)
			awaitReason(ctx, job, v1alpha1.ReasonSucceeded)
			Expect(guest(ctx, sandbox, "cat "+name)).To(Equal("run\n"))
			Expect(storedOutput(ctx, job)).To(Equal(want.String()))
			Expect(job.Status.Attempts).To(BeEquivalentTo(1))
		}
	})
})
