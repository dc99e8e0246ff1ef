package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

func runtimeItems(list client.ObjectList) ([]runtime.Object, error) { return meta.ExtractList(list) }

func newSandbox(namespace, name string) *v1alpha1.Sandbox {
	return &v1alpha1.Sandbox{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func newSnapshot(namespace, name, source string) *v1alpha1.Snapshot {
	return &v1alpha1.Snapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.SnapshotSpec{SandboxRef: v1alpha1.SandboxReference{Name: source}},
	}
}

func newScript(namespace, name, sandbox, script string) *v1alpha1.ExecJob {
	return &v1alpha1.ExecJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ExecJobSpec{SandboxRef: &v1alpha1.SandboxReference{Name: sandbox}, Script: script},
	}
}

// awaitReason waits until the Ready condition of an object gives a reason, and holds the object to the rules that tools
// which read conditions rely on.
func awaitReason(ctx context.Context, obj client.Object, reason string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(api.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
		conditions, observed := v1alpha1.ConditionsOf(obj)
		ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
		g.Expect(ready).NotTo(BeNil())
		g.Expect(ready.Reason).To(Equal(reason), ready.Message)
		g.Expect(observed).To(Equal(obj.GetGeneration()))
	}).Should(Succeed())
	conditions, _ := v1alpha1.ConditionsOf(obj)
	reconciling := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReconciling)
	stalled := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled)
	Expect(reconciling && stalled).To(BeFalse(), "both Reconciling and Stalled: %v", conditions)
	if meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
		Expect(reconciling || stalled).To(BeFalse(), "Ready, and yet: %v", conditions)
	} else {
		Expect(reconciling || stalled).To(BeTrue(), "not Ready, and neither Reconciling nor Stalled: %v", conditions)
	}
}

// setMode changes the operating mode of a Sandbox.
func setMode(ctx context.Context, sandbox *v1alpha1.Sandbox, mode v1alpha1.OperatingMode) {
	GinkgoHelper()
	before := sandbox.DeepCopy()
	sandbox.Spec.OperatingMode = mode
	Expect(api.Patch(ctx, sandbox, client.MergeFrom(before))).To(Succeed())
}

// guest runs a shell line in the remote of a Sandbox, as a person with the key does.
func guest(ctx context.Context, sandbox *v1alpha1.Sandbox, line string) string {
	GinkgoHelper()
	key, err := wrenn.APIKey(site.Wrenn.APIKey())
	Expect(err).NotTo(HaveOccurred())
	c, err := wrenn.New(site.Wrenn.URL(), key)
	Expect(err).NotTo(HaveOccurred())
	defer c.CloseIdleConnections()
	result, err := c.Sandbox(sandbox.Status.SandboxID).Exec(ctx, wrenn.ExecRequest{
		Cmd: "sh", Args: []string{"-c", line}, Timeout: 20 * time.Second,
	})
	Expect(err).NotTo(HaveOccurred())
	return string(result.Stdout)
}

// storedOutput is what the ConfigMaps of a job hold of stdout.
func storedOutput(ctx context.Context, job *v1alpha1.ExecJob) string {
	GinkgoHelper()
	return storedStreams(ctx, job)["stdout"]
}

// storedStreams are what the ConfigMaps of a job hold, by stream.
func storedStreams(ctx context.Context, job *v1alpha1.ExecJob) map[string]string {
	GinkgoHelper()
	all := map[string]string{"stdout": "", "stderr": ""}
	for _, name := range job.Status.OutputConfigMaps {
		var part corev1.ConfigMap
		Expect(api.Get(ctx, client.ObjectKey{Namespace: job.Namespace, Name: name}, &part)).To(Succeed())
		for stream := range all {
			all[stream] += string(part.BinaryData[stream])
		}
	}
	return all
}
