package controller

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// Files are written before each attempt, with what they refer to read anew, and waited for.
func TestExecJobWritesItsFiles(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	home := strings.TrimSpace(w.guest(sandbox, "pwd"))
	job := w.job("files", "cat a b; echo changed >a; [ -e again ] || { touch again; exit 1; }")
	job.Spec.BackoffLimit = ptr.To(int32(1))
	job.Spec.Files = []v1alpha1.SandboxFile{
		{Path: home + "/a", Content: ptr.To("plain\n")},
		{Path: home + "/b", ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "late", Key: "key"}},
	}
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonFileSourceNotFound)
	w.create(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "late"}, Data: map[string]string{"key": "late\n"},
	})
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if got := w.output(job); got != "plain\nlate\n" || job.Status.Attempts != 2 {
		t.Errorf("stored %q, status %+v", got, job.Status)
	}
}

func TestExecJobFailsWhereAFileCannotBe(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.box()
	job := w.job("blocked", "true")
	job.Spec.Files = []v1alpha1.SandboxFile{{Path: "/dev/null/file", Content: ptr.To("a")}}
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonStartFailed)
	if want := "the file /dev/null/file cannot be written"; !strings.Contains(conditionMessage(job), want) {
		t.Errorf("it says %q", conditionMessage(job))
	}
}

func conditionMessage(job *v1alpha1.ExecJob) string {
	for _, c := range job.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return c.Message
		}
	}
	return ""
}
