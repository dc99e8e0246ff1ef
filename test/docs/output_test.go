package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// TestOutputIsReadByKubectl runs the line of docs/spec/execjob.md that reads the output of a job. It must give the exact bytes,
// whatever they are and however many ConfigMaps hold them.
func TestOutputIsReadByKubectl(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	job := &v1alpha1.ExecJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "hello"},
		Spec:       v1alpha1.ExecJobSpec{SandboxRef: &v1alpha1.SandboxReference{Name: "box"}, Script: "true"},
	}
	if err := server.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i := range 12 {
		part := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: job.Namespace, Name: fmt.Sprint("hello-output-", i)},
			BinaryData: map[string][]byte{"stdout": {0, 0xff, byte(i), '\n', 0xc3}, "stderr": []byte("else")},
		}
		if i == 7 {
			delete(part.BinaryData, "stdout")
		}
		want = append(want, part.BinaryData["stdout"]...)
		if err := server.Create(t.Context(), part); err != nil {
			t.Fatal(err)
		}
		job.Status.OutputConfigMaps = append(job.Status.OutputConfigMaps, part.Name)
	}
	if err := server.Status().Update(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if got := server.shell(t, outputCommand(t)); got != string(want) {
		t.Errorf("it gives %q, want %q", got, want)
	}
}

// TestKubectlTellsOfAJob sees what people see who ask for a job: in one line what became of it, and its output line by line.
func TestKubectlTellsOfAJob(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	job := &v1alpha1.ExecJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "told"},
		Spec:       v1alpha1.ExecJobSpec{SandboxRef: &v1alpha1.SandboxReference{Name: "box"}, Script: "make"},
	}
	if err := server.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	job.Status = v1alpha1.ExecJobStatus{
		Conditions: []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNonZeroExit, LastTransitionTime: metav1.Now(),
		}},
		ExitCode: ptr.To(int32(2)), DurationMillis: ptr.To(int64(12_345)), Duration: "12.3s", SandboxName: "box",
		StdoutTail: "compiling a\ncompiling b\n", StderrTail: "b.c:3: error: \"x\" is not declared\n",
	}
	if err := server.Status().Update(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(server.shell(t, "kubectl get xj told")), "\n")
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	if got, want := strings.Fields(lines[0]), []string{"NAME", "STATE", "EXIT", "DURATION", "SANDBOX", "AGE"}; !slices.Equal(got, want) {
		t.Errorf("columns: %q, want %q", got, want)
	}
	if got, want := strings.Fields(lines[1])[:5], []string{"told", "NonZeroExit", "2", "12.3s", "box"}; !slices.Equal(got, want) {
		t.Errorf("row: %q, want %q", got, want)
	}
	described := server.shell(t, "kubectl describe xj told")
	for _, want := range []string{"compiling a\n", "compiling b\n", "b.c:3: error: \"x\" is not declared\n"} {
		if !strings.Contains(described, want) {
			t.Errorf("it lacks %q:\n%s", want, described)
		}
	}
}

// shell runs a line of shell with kubectl at hand, and returns what it prints.
func (s *server) shell(t *testing.T, line string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", line)
	command.Env = append(os.Environ(), "KUBECONFIG="+s.cluster.KubeconfigPath(),
		"PATH="+filepath.Dir(s.cluster.KubectlPath())+string(os.PathListSeparator)+os.Getenv("PATH"))
	command.Stderr = t.Output()
	printed, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return string(printed)
}

// outputCommand is the one line of the page that reads outputConfigMaps.
func outputCommand(t *testing.T) string {
	t.Helper()
	for _, block := range readPage(t, "docs/spec/execjob.md").blocks {
		if block.language == "sh" && strings.Contains(block.text, ".status.outputConfigMaps") {
			if n := strings.Count(strings.TrimSpace(block.text), "\n"); n != 0 {
				t.Errorf("it is %d lines more than one", n)
			}
			return block.text
		}
	}
	t.Fatal("docs/spec/execjob.md does not say how to read the output")
	return ""
}
