package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

var _ = Describe("The main job", func() {
	It("goes from objects to sandboxes, and back to nothing", func(ctx context.Context) {
		startManager(ctx)
		namespace := newNamespace(ctx)
		source := newSandbox(namespace, "source")

		By("creating a sandbox and running a command in it")
		Expect(api.Create(ctx, source)).To(Succeed())
		awaitReason(ctx, source, v1alpha1.ReasonRunning)
		job := newScript(namespace, "write", "source", "echo kept >kept.txt; echo done")
		Expect(api.Create(ctx, job)).To(Succeed())
		awaitReason(ctx, job, v1alpha1.ReasonSucceeded)
		Expect(job.Status.StdoutTail).To(Equal("done\n"))
		Expect(storedOutput(ctx, job)).To(Equal("done\n"))

		By("pausing and resuming it")
		id := source.Status.SandboxID
		setMode(ctx, source, v1alpha1.OperatingModePaused)
		awaitReason(ctx, source, v1alpha1.ReasonPaused)
		info, _ := site.Wrenn.Sandbox(id)
		Expect(info.Status).To(Equal(wrenndev.StatusPaused))
		setMode(ctx, source, v1alpha1.OperatingModeRunning)
		awaitReason(ctx, source, v1alpha1.ReasonRunning)
		Expect(source.Status.SandboxID).To(Equal(id))

		By("taking a snapshot and starting another sandbox from it")
		copied := newSandbox(namespace, "copied")
		copied.Spec.SnapshotRef = &v1alpha1.SnapshotReference{Name: "golden"}
		Expect(api.Create(ctx, copied)).To(Succeed())
		awaitReason(ctx, copied, v1alpha1.ReasonSnapshotNotFound)
		golden := newSnapshot(namespace, "golden", "source")
		Expect(api.Create(ctx, golden)).To(Succeed())
		awaitReason(ctx, golden, v1alpha1.ReasonTaken)
		awaitReason(ctx, copied, v1alpha1.ReasonRunning)
		Expect(guest(ctx, copied, "cat kept.txt")).To(Equal("kept\n"))
		awaitReason(ctx, source, v1alpha1.ReasonRunning)

		By("deleting everything")
		deleteAll(ctx, namespace)
		Eventually(func(g Gomega) {
			var parts corev1.ConfigMapList
			g.Expect(api.List(ctx, &parts, client.InNamespace(namespace), client.HasLabels{v1alpha1.LabelExecJob})).To(Succeed())
			g.Expect(parts.Items).To(BeEmpty(), "output outlives its job")
		}).Should(Succeed())

		By("looking for the key where it must not be")
		var events eventsv1.EventList
		Expect(api.List(ctx, &events, client.InNamespace(namespace))).To(Succeed())
		Expect(events.Items).NotTo(BeEmpty())
		for _, event := range events.Items {
			Expect(event.Note).NotTo(ContainSubstring(site.Wrenn.APIKey()))
		}
	})

	It("waits, when it is stopped, for what is under way", func(ctx context.Context) {
		startManager(ctx)
		namespace := newNamespace(ctx)
		site.Wrenn.Faults().Add(wrenndev.Fault{
			Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(seconds(3)),
		})
		sandbox := newSandbox(namespace, "slow")
		Expect(api.Create(ctx, sandbox)).To(Succeed())
		Eventually(alive).Should(HaveLen(1))
		stopManager(ctx)
		remote := alive()
		Expect(remote).To(HaveLen(1))
		Expect(remote[0].Status).To(Equal(wrenndev.StatusRunning), "the create was cut short")
		Expect(api.Get(ctx, client.ObjectKeyFromObject(sandbox), sandbox)).To(Succeed())
		Expect(sandbox.Status.SandboxID).To(Equal(remote[0].ID), "the id was not stored")
		startManager(ctx)
		awaitReason(ctx, sandbox, v1alpha1.ReasonRunning)
		Expect(alive()).To(HaveLen(1))
	})
})
