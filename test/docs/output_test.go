package docs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	command := exec.CommandContext(t.Context(), "sh", "-c", outputCommand(t))
	command.Env = append(os.Environ(), "KUBECONFIG="+server.cluster.KubeconfigPath(),
		"PATH="+filepath.Dir(server.cluster.KubectlPath())+string(os.PathListSeparator)+os.Getenv("PATH"))
	got, err := command.Output()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("it gives %q, want %q: %v", got, want, err)
	}
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
