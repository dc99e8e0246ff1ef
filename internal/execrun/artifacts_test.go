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
