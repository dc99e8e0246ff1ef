package controller

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// Who may make objects and not read Secrets does not come by the key of a connection through them.
func TestCredentialIsWithheldFromSandboxes(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.box()
	w.secret("cluster", "apiKey", w.wrenn.APIKey())
	awaitReason(w, w.lendAs(w.namespace, "cluster", &metav1.LabelSelector{}), v1alpha1.ReasonConnected)
	for name, secret := range map[string]string{"connection": "wrenn", "cluster-connection": "cluster"} {
		credential := &v1alpha1.SecretKeyReference{Name: secret, Key: "apiKey"}
		job, filed, sandbox := w.job(name+"-env", "env"), w.job(name+"-file", "cat /key"), w.sandbox(name)
		job.Spec.Env = []v1alpha1.ExecEnvVar{{Name: "KEY", SecretKeyRef: credential}}
		filed.Spec.Files = []v1alpha1.SandboxFile{{Path: "/key", SecretKeyRef: credential}}
		sandbox.Spec.Files = []v1alpha1.SandboxFile{{Path: "/key", SecretKeyRef: credential}}
		for _, obj := range []client.Object{job, filed, sandbox} {
			w.create(obj)
			awaitReason(w, obj, v1alpha1.ReasonCredentialWithheld)
		}
	}
	if n := w.calls(wrenndev.OpUpload); n != 0 {
		t.Errorf("%d files were written", n)
	}
}
