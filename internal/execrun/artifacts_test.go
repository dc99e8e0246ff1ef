package execrun

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// artifact is what the ConfigMaps of an artifact hold.
func (w *world) artifact(a v1alpha1.ExecArtifact) []byte {
	w.t.Helper()
	var all []byte
	for _, name := range a.ConfigMaps {
		var cm corev1.ConfigMap
		if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, &cm); err != nil {
			w.t.Fatal(err)
		}
		if !w.job.owns(&cm) || !ptr.Deref(cm.Immutable, false) || cm.Annotations[annotationArtifactOffset] != fmt.Sprint(len(all)) {
			w.t.Errorf("%s: not owned, sealed and in its place: %+v", name, cm.ObjectMeta)
		}
		all = append(all, cm.BinaryData[a.Name]...)
	}
	return all
}

// Files are fetched byte for byte when the command has ended, by whichever operator is there then. One that cannot be had
// is told.
func TestArtifacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	content := noise(41, 1_300_000)
	w.upload("/tmp/art/big", content)
	a := w.attempt(Command{Script: `cd /tmp/art; : >empty; printf x >"it's a file"; head -c 17000000 /dev/zero >huge
		until [ -e go ]; do sleep 0.05; done; printf ' more' >>big; exit 3`})
	a.Artifacts = []Artifact{
		{"big", "/tmp/art/big"},
		{"empty", "/tmp/art/empty"},
		{"quoted", "/tmp/art/it's a file"},
		{"none", "/tmp/art/none"},
		{"directory", "/tmp/art"},
		{"huge", "/tmp/art/huge"},
	}
	w.runner.Ensure(a, Follow)
	w.await("start", func(p Progress) bool { return p.PID != 0 })
	w.stop()
	w.upload("/tmp/art/go", nil)
	w.startRunner(w.api)
	p := w.run(a)
	size := func(n int64) *int64 { return &n }
	want := []v1alpha1.ExecArtifact{
		{Name: "big", SizeBytes: size(1_300_005), ConfigMaps: []string{"job-artifact-big-0", "job-artifact-big-1", "job-artifact-big-2"}},
		{Name: "empty", SizeBytes: size(0), ConfigMaps: []string{"job-artifact-empty-0"}},
		{Name: "quoted", SizeBytes: size(1), ConfigMaps: []string{"job-artifact-quoted-0"}},
		{Name: "none", Reason: v1alpha1.ArtifactNotFound},
		{Name: "directory", Reason: v1alpha1.ArtifactNotAFile},
		{Name: "huge", Reason: v1alpha1.ArtifactTooLarge},
	}
	if diff := cmp.Diff(want, p.Artifacts); diff != "" || p.Exit.Code != 3 {
		t.Fatalf("exit %+v, artifacts (-want +got):\n%s", p.Exit, diff)
	}
	if got := w.artifact(p.Artifacts[0]); !bytes.Equal(got, append(content, " more"...)) {
		t.Errorf("%d bytes are stored, not those of the file", len(got))
	}
	// One more operator finds them there, whatever has become of the file meanwhile.
	w.stop()
	w.upload("/tmp/art/big", []byte("changed"))
	w.startRunner(w.api)
	if diff := cmp.Diff(want, w.run(a).Artifacts); diff != "" {
		t.Errorf("artifacts (-want +got):\n%s", diff)
	}
}

// The guest is told the limit, and does not decide on it: whoever is in the sandbox can have put a copy there before.
func TestArtifactsBeyondTheirLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	a := w.attempt(Command{Script: "echo x >/tmp/file; cd .wrenn/exec/$WRENN_EXEC_ID; truncate -s 8G artifact-0; truncate -s 16M artifact-2"})
	a.Artifacts = []Artifact{{"huge", "/tmp/file"}, {"small", "/tmp/file"}, {"large", "/tmp/file"}, {"last", "/tmp/file"}}
	size := int64(2)
	want := []v1alpha1.ExecArtifact{
		{Name: "huge", Reason: v1alpha1.ArtifactTooLarge},
		{Name: "small", SizeBytes: &size, ConfigMaps: []string{"job-artifact-small-0"}},
		{Name: "large", Reason: v1alpha1.ArtifactTooLarge},
		{Name: "last", SizeBytes: &size, ConfigMaps: []string{"job-artifact-last-0"}},
	}
	if diff := cmp.Diff(want, w.run(a).Artifacts); diff != "" {
		t.Errorf("artifacts (-want +got):\n%s", diff)
	}
}

// What a cell displayed counts together, and with the artifacts after it.
func TestFilesOfACellBeyondTheirLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	spec := w.attempt(Command{Language: "python"})
	w.upload(spec.dir()+"/cell-0.txt", []byte("abc"))
	w.upload(spec.dir()+"/cell-3.txt", []byte("de"))
	a := newAttempt(w.runner, spec, Follow)
	a.out = newOutput(w.api, w.api, &spec)
	a.final = &ending{exit: Exit{Kind: Exited}, result: &CellResult{Files: []cellFile{
		{"cell-0.txt", "text/plain", 3},
		{"cell-1.txt", "text/plain", artifactsLimit - 2},
		{"cell-2.txt", "text/plain", 1 << 62},
		{"cell-3.txt", "text/plain", 2},
		{"cell-4.txt", "text/plain", -1},
	}}}
	if err := a.storeArtifacts(t.Context(), guest{sandbox: w.sandbox, dir: spec.dir()}, &spec); err != nil {
		t.Fatal(err)
	}
	a.quiet()
	three, two := int64(3), int64(2)
	want := []v1alpha1.ExecArtifact{
		{Name: "cell-0.txt", MIMEType: "text/plain", SizeBytes: &three, ConfigMaps: []string{"job-artifact-cell-0.txt-0"}},
		{Name: "cell-1.txt", MIMEType: "text/plain", Reason: v1alpha1.ArtifactTooLarge},
		{Name: "cell-2.txt", MIMEType: "text/plain", Reason: v1alpha1.ArtifactTooLarge},
		{Name: "cell-3.txt", MIMEType: "text/plain", SizeBytes: &two, ConfigMaps: []string{"job-artifact-cell-3.txt-0"}},
		{Name: "cell-4.txt", MIMEType: "text/plain", Reason: v1alpha1.ArtifactUnreadable},
	}
	if diff := cmp.Diff(want, a.final.artifacts); diff != "" {
		t.Errorf("artifacts (-want +got):\n%s", diff)
	}
}

// Each call that fetches fails before and after its effect, and loses its answer.
func TestArtifactsOverCallsThatFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.upload("/tmp/file", noise(42, 600_000))
	a := w.attempt(Command{Args: []string{"true"}})
	a.Artifacts = []Artifact{{"file", "/tmp/file"}}
	for skip, kind := range []wrenndev.FaultKind{wrenndev.FaultFailBefore, wrenndev.FaultFailAfter, wrenndev.FaultDrop, wrenndev.FaultAbort} {
		w.server.Faults().Add(wrenndev.Fault{Kind: kind, Op: wrenndev.OpExec, Skip: 1 + skip, Times: 1})
	}
	p := w.run(a)
	if got := w.artifact(p.Artifacts[0]); !bytes.Equal(got, noise(42, 600_000)) {
		t.Errorf("%d bytes are stored", len(got))
	}
	if left := w.server.Faults().Left(); left != 0 {
		t.Errorf("%d calls did not fail", left)
	}
}

func TestKeepAndPieceInEachShell(t *testing.T) {
	t.Parallel()
	for _, lacks := range [][]string{nil, {"base64"}} {
		t.Run(strings.Join(lacks, " "), func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, h *home) {
				h.lacks(lacks...)
				content := noise(43, 524_289)
				h.put("file", content)
				h.control("prepare", h.dir, "launch", launcherName)
				if got := h.control("keep", h.dir, "copy", h.path+"/file", "524289"); got[0] != "size 524289" {
					t.Fatalf("keep: %q", got)
				}
				h.put("file", nil)
				var all []byte
				for number := range 2 {
					data, size, err := parsePiece(h.control("piece", h.dir, "copy", fmt.Sprint(number)))
					if err != nil || size != int64(len(content)) {
						t.Fatalf("piece: size %d, %v", size, err)
					}
					all = append(all, data...)
				}
				if !bytes.Equal(all, content) {
					t.Errorf("%d bytes were shown", len(all))
				}
				for name, want := range map[string]string{h.path: "other", "/no/such": "absent", h.path + "/file": "size 0"} {
					if got := h.control("keep", h.dir, "of-"+strings.Fields(want)[0], name, "10"); got[0] != want {
						t.Errorf("%s: %q, want %s", name, got, want)
					}
				}
				h.put("large", make([]byte, 11))
				if got := h.control("keep", h.dir, "y", h.path+"/large", "10"); got[0] != "large 11" {
					t.Errorf("large: %q", got)
				}
			})
		})
	}
}
