package execrun

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// loseAfter starts a runner whose sandbox is destroyed as soon as there is a ConfigMap that is as wanted.
func (w *world) loseAfter(wanted func(*corev1.ConfigMap) bool) {
	w.stop()
	destroy := sync.OnceValue(func() error { return w.sandbox.Destroy(w.t.Context()) })
	w.startRunner(interceptor.NewClient(w.api, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			err := c.Create(ctx, obj, opts...)
			if cm, ok := obj.(*corev1.ConfigMap); ok && err == nil && wanted(cm) {
				return destroy()
			}
			return err
		},
	}))
}

// The sandbox is lost while the end of the output is being stored. How the command ended is known, and what is missing is
// told.
func TestSandboxIsLostBeforeAllIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.loseAfter(func(cm *corev1.ConfigMap) bool { return cm.Annotations[annotationStdoutHead] != "" })
	content := noise(71, 3_700_000)
	w.upload("out", content)
	a := w.attempt(Command{Script: "cat out; exit 3"})
	a.LimitBytes = 4 << 20
	a.Artifacts = []Artifact{{"one", "/etc/hostname"}, {"two", "/etc/hosts"}}
	p := w.run(a)
	const kept = 5 * partBytes
	if p.Exit.Code != 3 || p.Stdout.Bytes != int64(len(content)) || p.Truncated != int64(len(content)-kept) || len(p.ConfigMaps) != 5 {
		t.Errorf("exit %+v, %d bytes, %d truncated, ConfigMaps %q", p.Exit, p.Stdout.Bytes, p.Truncated, p.ConfigMaps)
	}
	w.wantStored(p, content[:kept], nil)
	want := []v1alpha1.ExecArtifact{{Name: "one", Reason: v1alpha1.ArtifactUnreadable}, {Name: "two", Reason: v1alpha1.ArtifactUnreadable}}
	if diff := cmp.Diff(want, p.Artifacts); diff != "" {
		t.Errorf("artifacts (-want +got):\n%s", diff)
	}
	w.runner.Ensure(a, Clean)
	w.awaitPhase(Lost)
}

// It is lost while files are being fetched. What is there as a whole stays.
func TestSandboxIsLostBeforeAllIsFetched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.loseAfter(func(cm *corev1.ConfigMap) bool { return strings.HasSuffix(cm.Name, "artifact-big-0") })
	w.upload("/tmp/big", noise(72, 600_000))
	a := w.attempt(Command{Script: "echo a; echo small >/tmp/small; exit 3"})
	a.Artifacts = []Artifact{{"first", "/tmp/small"}, {"big", "/tmp/big"}, {"last", "/tmp/small"}}
	p := w.run(a)
	size := int64(6)
	want := []v1alpha1.ExecArtifact{
		{Name: "first", SizeBytes: &size, ConfigMaps: []string{"job-artifact-first-0"}},
		{Name: "big", Reason: v1alpha1.ArtifactUnreadable},
		{Name: "last", Reason: v1alpha1.ArtifactUnreadable},
	}
	if diff := cmp.Diff(want, p.Artifacts); diff != "" || p.Exit.Code != 3 || p.Truncated != 0 {
		t.Errorf("exit %+v, %d truncated, artifacts (-want +got):\n%s", p.Exit, p.Truncated, diff)
	}
	w.wantStored(p, []byte("a\n"), nil)
}

// It is lost while the end of the output is refused, and the deadline comes.
func TestSandboxIsLostBeforeItIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "job-output-0"}}
	if err := w.api.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	a := w.attempt(Command{Script: "echo a; exit 3"})
	w.runner.Ensure(a, Follow)
	w.await("exit code", func(p Progress) bool { return p.Exit != nil && p.Reason == v1alpha1.ReasonOutputBlocked })
	if err := w.sandbox.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.runner.Ensure(a, Stop)
	w.await("refusal", func(p Progress) bool { return p.Phase == Stopping && p.Reason == v1alpha1.ReasonOutputBlocked })
	if err := w.api.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	p := w.awaitPhase(Finished)
	if p.Exit.Code != 3 || p.Exit.Stopped || p.Truncated != 0 {
		t.Errorf("exit %+v, %d truncated", p.Exit, p.Truncated)
	}
	w.wantStored(p, []byte("a\n"), nil)
}
