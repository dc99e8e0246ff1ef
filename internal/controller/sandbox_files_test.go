package controller

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// allBytes is every byte there is, so that nothing on the way can take it for text.
func allBytes() []byte {
	content := make([]byte, 256)
	for i := range content {
		content[i] = byte(i)
	}
	return content
}

func (w *world) fileSources() {
	w.t.Helper()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "keys"}, Data: map[string][]byte{"key": allBytes()},
	})
	w.create(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "settings"},
		Data:       map[string]string{"text": "grün\n"}, BinaryData: map[string][]byte{"binary": allBytes()},
	})
}

func filesOfEverySource() []v1alpha1.SandboxFile {
	return []v1alpha1.SandboxFile{
		{Path: "/srv/a/content", Content: ptr.To("plain\n")},
		{Path: "/srv/empty", Content: ptr.To("")},
		{Path: "/srv/text", ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "settings", Key: "text"}},
		{Path: "/srv/binary", ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "settings", Key: "binary"}},
		{Path: "/root/.ssh/key", SecretKeyRef: &v1alpha1.SecretKeyReference{Name: "keys", Key: "key"}},
	}
}

func (w *world) checkFiles(sandbox *v1alpha1.Sandbox) {
	w.t.Helper()
	for path, want := range map[string][]byte{
		"/srv/a/content": []byte("plain\n"), "/srv/empty": {}, "/srv/text": []byte("grün\n"), "/srv/binary": allBytes(), "/root/.ssh/key": allBytes(),
	} {
		got, err := w.handle(sandbox).Download(w.ctx, path, 0)
		if err != nil || !bytes.Equal(got, want) {
			w.t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
		}
	}
}

// Files are there when the Sandbox is Ready for the first time, once for each remote, whatever becomes of their sources.
func TestSandboxFiles(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("with-files")
	sandbox.Spec.RecoveryPolicy = v1alpha1.RecoveryPolicyRecreate
	sandbox.Spec.Files = filesOfEverySource()
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonFileSourceNotFound)
	w.fileSources()
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	w.checkFiles(sandbox)

	// What has been written is the user's own: nothing writes it again.
	if err := w.handle(sandbox).Upload(w.ctx, "/srv/text", []byte("mine")); err != nil {
		t.Fatal(err)
	}
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, sandbox, v1alpha1.ReasonPaused)
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModeRunning })
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	if got, err := w.handle(sandbox).Download(w.ctx, "/srv/text", 0); err != nil || string(got) != "mine" {
		t.Errorf("the file holds %q, %v", got, err)
	}

	// Another remote gets them anew.
	w.use(sandbox)
	if err := w.wrenn.Lose(sandbox.Status.SandboxID); err != nil {
		t.Fatal(err)
	}
	first := sandbox.Status.SandboxID
	eventually(w, "the remote is replaced", func() error {
		awaitOne(w, sandbox)
		if sandbox.Status.SandboxID == first {
			return errNotYet
		}
		return nil
	})
	w.checkFiles(sandbox)
}

// A file that cannot be written holds the Sandbox, and goes in when it can.
func TestSandboxFilesUnderFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range []wrenndev.FaultKind{
		wrenndev.FaultFailBefore, wrenndev.FaultFailAfter, wrenndev.FaultDrop, wrenndev.FaultAbort, wrenndev.FaultAgentFail,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{})
			w.fileSources()
			w.wrenn.Faults().Add(wrenndev.Fault{Kind: kind, Op: wrenndev.OpUpload, Skip: 2, Times: 1})
			sandbox := w.sandbox("with-files")
			sandbox.Spec.OperatingMode = v1alpha1.OperatingModePaused
			sandbox.Spec.Files = filesOfEverySource()
			w.create(sandbox)
			awaitReason(w, sandbox, v1alpha1.ReasonPaused)
			edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModeRunning })
			awaitReason(w, sandbox, v1alpha1.ReasonRunning)
			w.checkFiles(sandbox)
		})
	}
}

// Files are written once for each remote, also where the sandbox is to be woken, or kept awake, in the same moment.
func TestSandboxFilesAreWrittenOnceWhereItIsPinged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*v1alpha1.Sandbox){
		"a wake is asked for":   func(s *v1alpha1.Sandbox) { setAnnotation(s, v1alpha1.AnnotationWakeRequestedAt, "now") },
		"it is to keep running": func(s *v1alpha1.Sandbox) { s.Spec.IdlePolicy = v1alpha1.IdlePolicyKeepRunning },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{})
			sandbox := w.sandbox("with-files")
			sandbox.Spec.IdleTimeoutSeconds = ptr.To(int32(3600))
			sandbox.Spec.Files = []v1alpha1.SandboxFile{{Path: "/srv/a", Content: ptr.To("a")}}
			change(sandbox)
			w.create(sandbox)
			awaitAtRest(w, sandbox)
			if n := w.calls(wrenndev.OpUpload); n != 1 {
				t.Errorf("written %d times", n)
			}
			if n := w.calls(wrenndev.OpPing); n != 1 {
				t.Errorf("%d pings", n)
			}
		})
	}
}
