package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// patience is for what takes many steps.
const patience = 3 * time.Minute

var _ = Describe("A namespace that is deleted", func() {
	It("goes with everything in it, and leaves nothing at Wrenn", func(ctx context.Context) {
		const many = 50
		startManager(ctx)
		namespace := newNamespace(ctx)
		By("filling it")
		for i := range many {
			Expect(api.Create(ctx, newSandbox(namespace, fmt.Sprint("box-", i)))).To(Succeed())
		}
		Eventually(func(g Gomega) {
			var sandboxes v1alpha1.SandboxList
			g.Expect(api.List(ctx, &sandboxes, client.InNamespace(namespace))).To(Succeed())
			for _, sandbox := range sandboxes.Items {
				g.Expect(sandbox.Status.SandboxID).NotTo(BeEmpty(), sandbox.Name)
			}
		}).WithTimeout(patience).Should(Succeed())
		Expect(alive()).To(HaveLen(many))
		golden := newSnapshot(namespace, "golden", "box-0")
		Expect(api.Create(ctx, golden)).To(Succeed())
		awaitReason(ctx, golden, v1alpha1.ReasonTaken)
		By("adding what is still being made")
		for i := range 5 {
			Expect(api.Create(ctx, newSandbox(namespace, fmt.Sprint("late-", i)))).To(Succeed())
		}

		By("deleting it")
		gone := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		Expect(api.Delete(ctx, gone)).To(Succeed())
		Eventually(func(g Gomega) {
			err := api.Get(ctx, client.ObjectKeyFromObject(gone), gone)
			g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v: %+v", err, gone.Status.Conditions)
		}).WithTimeout(patience).Should(Succeed())
		Expect(alive()).To(BeEmpty())
	})
})
