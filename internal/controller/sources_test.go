package controller

import (
	"testing"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// Who may make objects and not read Secrets does not come by the key of a Connection through them.
func TestCredentialIsWithheldFromSandboxes(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.box()
	credential := &v1alpha1.SecretKeyReference{Name: "wrenn", Key: "apiKey"}
	job, filed, sandbox := w.job("env", "env"), w.job("file", "cat /key"), w.sandbox("filed")
	job.Spec.Env = []v1alpha1.ExecEnvVar{{Name: "KEY", SecretKeyRef: credential}}
	filed.Spec.Files = []v1alpha1.SandboxFile{{Path: "/key", SecretKeyRef: credential}}
	sandbox.Spec.Files = []v1alpha1.SandboxFile{{Path: "/key", SecretKeyRef: credential}}
	w.create(job)
	w.create(filed)
	w.create(sandbox)
	awaitReason(w, job, v1alpha1.ReasonCredentialWithheld)
	awaitReason(w, filed, v1alpha1.ReasonCredentialWithheld)
	awaitReason(w, sandbox, v1alpha1.ReasonCredentialWithheld)
	if n := w.calls(wrenndev.OpUpload); n != 0 {
		t.Errorf("%d files were written", n)
	}
}
