package controller

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// What a job is given to read and what it leaves as files come and go byte for byte.
func TestExecJobInputAndArtifacts(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.box()
	job := w.job("copy", "cat | tr a-z A-Z >/tmp/copy; printf '\\0\\377' >>/tmp/copy; exit 2")
	job.Spec.Stdin = "it's input\n"
	job.Spec.Artifacts = []v1alpha1.ExecArtifactPath{{Name: "copy", Path: "/tmp/copy"}, {Name: "none", Path: "/tmp/none"}}
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonNonZeroExit)
	if len(job.Status.Artifacts) != 2 || job.Status.Artifacts[1].Reason != v1alpha1.ArtifactNotFound {
		t.Fatalf("artifacts %+v", job.Status.Artifacts)
	}
	copied := job.Status.Artifacts[0]
	var cm corev1.ConfigMap
	if err := w.api.Get(w.ctx, client.ObjectKey{Namespace: w.namespace, Name: copied.ConfigMaps[0]}, &cm); err != nil {
		t.Fatal(err)
	}
	if got := string(cm.BinaryData["copy"]); got != "IT'S INPUT\n\x00\xff" || *copied.SizeBytes != int64(len(got)) {
		t.Errorf("stored %q of %d bytes", got, *copied.SizeBytes)
	}
	awaitReleased(w, job)
}

func TestExecJobCode(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/bin/jupyter-server"); err != nil {
		t.Skip("no Jupyter server on this machine: Debian has it in jupyter-server, python3-ipykernel and python3-jupyter-client")
	}
	w := newOperatedWorld(t, wrenndev.Config{})
	if w.wrenn.Isolation() != wrenndev.Namespaces {
		t.Skip("sandboxes have no namespaces here")
	}
	if err := w.wrenn.BuildCodeRunner(t.Context()); err != nil {
		t.Fatal(err)
	}
	sandbox := w.sandbox("box")
	sandbox.Spec.Template = wrenndev.CodeRunnerTemplate
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	cell := func(name, source, reason string) *v1alpha1.ExecJob {
		t.Helper()
		job := w.job(name, "")
		job.Spec.Code = &v1alpha1.ExecCode{Source: source}
		job.Spec.ActiveDeadlineSeconds = 40
		if reason == v1alpha1.ReasonDeadlineExceeded {
			job.Spec.ActiveDeadlineSeconds = 1
		}
		w.create(job)
		awaitReason(w, job, reason)
		return job
	}
	cell("define", "x = 6", v1alpha1.ReasonSucceeded)
	if job := cell("use", "print('out')\nx * 7", v1alpha1.ReasonSucceeded); job.Status.Result.Text != "42" || w.output(job) != "out\n" {
		t.Errorf("result %+v", job.Status.Result)
	}
	failed := cell("fail", "1/0", v1alpha1.ReasonCodeError)
	if e := failed.Status.Result.Error; e == nil || e.Name != "ZeroDivisionError" || !strings.Contains(e.Traceback, "1/0") || *failed.Status.ExitCode != 1 {
		t.Errorf("status %+v", failed.Status)
	}
	cell("long", "import time; time.sleep(1000)", v1alpha1.ReasonDeadlineExceeded)
	if job := cell("after", "x", v1alpha1.ReasonSucceeded); job.Status.Result.Text != "6" {
		t.Errorf("the kernel lost what it had: %+v", job.Status.Result)
	}
	job := w.job("other", "")
	job.Spec.Code = &v1alpha1.ExecCode{Language: "cobol", Source: "1"}
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonStartFailed)
}

func TestExecJobAttached(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	attached := func(name, line string) *v1alpha1.ExecJob {
		job := w.job(name, "")
		job.Spec.Command, job.Spec.Attachment = []string{"sh", "-c", line}, v1alpha1.ExecAttachmentAttached
		return job
	}
	job := attached("short", "echo out; exit 3")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonNonZeroExit)
	if got := w.output(job); got != "out\n" {
		t.Errorf("stored %q", got)
	}
	awaitReleased(w, job)

	late := attached("late", "echo on; sleep 4711")
	late.Spec.ActiveDeadlineSeconds = 1
	w.create(late)
	awaitReason(w, late, v1alpha1.ReasonDeadlineExceeded)

	job = attached("lost", "echo ran >>runs; echo on; sleep 1000")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	w.stop()
	w.startOperator()
	awaitReason(w, job, v1alpha1.ReasonStreamLost)
	awaitReleased(w, job)
	if runs := w.guest(sandbox, "cat runs"); runs != "ran\n" {
		t.Errorf("it was run: %q", runs)
	}
}

// What cannot work together is refused, and the message says why.
func TestExecJobRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	for name, tc := range map[string]struct {
		change func(*v1alpha1.ExecJobSpec)
		want   string
	}{
		"two commands":    {func(s *v1alpha1.ExecJobSpec) { s.Command = []string{"true"} }, "set exactly one of command"},
		"nothing":         {func(s *v1alpha1.ExecJobSpec) { s.Script = "" }, "set exactly one of command"},
		"code with input": {func(s *v1alpha1.ExecJobSpec) { s.Script, s.Code, s.Stdin = "", &v1alpha1.ExecCode{Source: "1"}, "x" }, "code runs in a kernel"},
		"attached script": {func(s *v1alpha1.ExecJobSpec) { s.Attachment = v1alpha1.ExecAttachmentAttached }, "need attachment Detached"},
		"attached on failure": {func(s *v1alpha1.ExecJobSpec) {
			s.Script, s.Command, s.Attachment, s.Output.ConfigMaps = "", []string{"true"}, v1alpha1.ExecAttachmentAttached, v1alpha1.OutputConfigMapsOnFailure
		}, "OnFailure needs"},
		"artifact of a cell": {func(s *v1alpha1.ExecJobSpec) {
			s.Artifacts = []v1alpha1.ExecArtifactPath{{Name: "cell-0.png", Path: "/x"}}
		}, "not begin with cell-"},
		"artifact's name":      {func(s *v1alpha1.ExecJobSpec) { s.Artifacts = []v1alpha1.ExecArtifactPath{{Name: "a..b", Path: "/x"}} }, "single dots"},
		"artifact's directory": {func(s *v1alpha1.ExecJobSpec) { s.Artifacts = []v1alpha1.ExecArtifactPath{{Name: "a", Path: "/x/"}} }, "name a file"},
	} {
		job := w.job(strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "'", ""), "true")
		tc.change(&job.Spec)
		if err := w.api.Create(w.ctx, job); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
