package execrun

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// Past the limit the beginning is kept, the tail is of the end, and what is missing is counted, also by a new operator.
func TestOutputPastItsLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	content := noise(21, 4_000_000)
	copy(content[len(content)-3:], "end")
	w.upload("out", content)
	a := w.attempt(Command{Script: "cat out; until [ -e go ]; do sleep 0.05; done; printf ' more'"})
	a.LimitBytes = 700_000
	w.runner.Ensure(a, Follow)
	seen := func(p Progress) bool { return strings.HasSuffix(p.Stdout.Tail, "end") }
	w.await("the end of the output", seen)
	w.stop()
	w.startRunner(w.api)
	w.runner.Ensure(a, Follow)
	w.await("the end of the output again", seen)
	w.upload("go", nil)
	p := w.run(a)
	total := int64(len(content) + len(" more"))
	if p.Stdout.Bytes != total || p.Truncated != total-a.LimitBytes || !strings.HasSuffix(p.Stdout.Tail, "end more") {
		t.Errorf("%d bytes, %d truncated, tail %q", p.Stdout.Bytes, p.Truncated, p.Stdout.Tail)
	}
	all := append(content, " more"...)
	w.wantStored(p, append(all[:350_000:350_000], all[len(all)-350_000:]...), nil)
	if names := strings.Join(p.ConfigMaps, " "); names != "job-output-0 job-output-1" {
		t.Errorf("ConfigMaps %s", names)
	}
}

// Both streams share the limit, and the last piece is cut to the byte.
func TestOutputUpToItsLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	for size, truncated := range map[int]int64{99_999: 0, 100_000: 0, 100_001: 1} {
		w.job.Name, w.job.UID = fmt.Sprint("job-", size), types.UID(fmt.Sprint("uid-", size))
		content := noise(22, size-1000)
		w.upload("out", content)
		a := w.attempt(Command{Script: "head -c 1000 /dev/zero >&2; sleep 0.3; cat out"})
		a.LimitBytes = 100_000
		p := w.run(a)
		if p.Truncated != truncated {
			t.Errorf("%d bytes: %d truncated", size, p.Truncated)
		}
		kept := content
		if truncated > 0 {
			kept = append(content[:49_000:49_000], content[49_001:]...)
		}
		w.wantStored(p, kept, make([]byte, 1000))
	}
}

// A quota holds the job up, visibly, and loses nothing.
func TestOutputThatAQuotaRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	none := corev1.ResourceList{"count/configmaps": resource.MustParse("0")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none},
	}
	if err := w.api.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	// The controller that does this does not run here.
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	if err := w.api.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	content := noise(23, 1_300_000)
	w.upload("out", content)
	a := w.attempt(Command{Script: "cat out; echo ran >>count; exit 3"})
	w.runner.Ensure(a, Follow)
	p := w.await("refusal", func(p Progress) bool { return p.Reason == v1alpha1.ReasonOutputBlocked })
	if !strings.Contains(p.Message, "exceeded quota: none") || p.Phase == Finished {
		t.Errorf("progress %+v", p)
	}
	if err := w.api.Delete(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	p = w.run(a)
	if p.Reason != "" || p.Exit.Code != 3 {
		t.Errorf("progress %+v, exit %+v", p, p.Exit)
	}
	w.wantStored(p, content, nil)
	if got := w.runs(); got != "ran\n" {
		t.Errorf("the command was run: %q", got)
	}
}

// While a little output is refused the command is followed on, to its exit code.
func TestOutputThatIsRefusedDoesNotHideTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "job-output-0"}}
	if err := w.api.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	a := w.attempt(Command{Script: "echo a; sleep 2; echo b; exit 3"})
	w.runner.Ensure(a, Follow)
	p := w.await("exit code", func(p Progress) bool { return p.Exit != nil && p.Reason == v1alpha1.ReasonOutputBlocked })
	if p.Stdout.Tail != "a\nb\n" || !strings.Contains(p.Message, "is not this job's") {
		t.Errorf("progress %+v", p)
	}
	if err := w.api.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	w.wantStored(w.run(a), []byte("a\nb\n"), nil)
}

// Somebody else writes to the ConfigMap that is being filled.
func TestOutputThatIsChangedByOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	a := w.attempt(Command{Script: "echo a; until [ -e go ]; do sleep 0.05; done; echo b"})
	w.runner.Ensure(a, Follow)
	p := w.await("first ConfigMap", func(p Progress) bool { return len(p.ConfigMaps) == 1 })
	key := client.ObjectKey{Namespace: w.namespace, Name: p.ConfigMaps[0]}
	var cm corev1.ConfigMap
	if err := w.api.Get(t.Context(), key, &cm); err != nil {
		t.Fatal(err)
	}
	cm.Labels["somebody"] = "else"
	if err := w.api.Update(t.Context(), &cm); err != nil {
		t.Fatal(err)
	}
	w.upload("go", nil)
	w.wantStored(w.run(a), []byte("a\nb\n"), nil)
}

// Somebody else writes to the ConfigMap that is being filled, or deletes it, between the last write that leaves room in it and
// the one that fills it.
func TestOutputThatIsChangedAsItGetsFull(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(context.Context, client.Client, *corev1.ConfigMap) error{
		"labeled": func(ctx context.Context, c client.Client, cm *corev1.ConfigMap) error {
			return c.Patch(ctx, cm, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"somebody":"else"}}}`)))
		},
		"deleted": func(ctx context.Context, c client.Client, cm *corev1.ConfigMap) error { return c.Delete(ctx, cm) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			w.stop()
			var changes atomic.Int64
			w.startRunner(interceptor.NewClient(w.api, interceptor.Funcs{
				Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
					if cm, ok := obj.(*corev1.ConfigMap); ok && cm.Immutable != nil && changes.Add(1) == 1 {
						other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: cm.Namespace, Name: cm.Name}}
						if err := change(ctx, w.api, other); err != nil {
							return err
						}
					}
					return c.Update(ctx, obj, opts...)
				},
			}))
			content := noise(26, 1_200_000)
			w.upload("out", content)
			a := w.attempt(Command{Script: "printf a; until [ -e go ]; do sleep 0.05; done; cat out"})
			w.runner.Ensure(a, Follow)
			w.await("first ConfigMap", func(p Progress) bool { return len(p.ConfigMaps) == 1 })
			w.upload("go", nil)
			w.wantStored(w.run(a), append([]byte("a"), content...), nil)
			if changes.Load() == 0 {
				t.Error("nothing was changed")
			}
		})
	}
}

// Writes fail before and after their effect. A write of which no answer says that it took effect neither loses nor doubles
// anything.
func TestOutputOverWritesThatFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.stop()
	var count atomic.Int64
	failing := func(write func() error) error {
		switch count.Add(1) % 3 {
		case 0:
			return write()
		case 1:
			return errors.New("failed before the effect")
		default:
			if err := write(); err != nil {
				return err
			}
			return errors.New("failed after the effect")
		}
	}
	w.startRunner(interceptor.NewClient(w.api, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			return failing(func() error { return c.Create(ctx, obj, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			return failing(func() error { return c.Update(ctx, obj, opts...) })
		},
	}))
	out, errs := noise(24, 1_200_000), noise(25, 300_000)
	w.upload("out", out)
	w.upload("err", errs)
	p := w.run(w.attempt(Command{Script: "head -c 500000 out; cat err >&2; sleep 1.5; tail -c +500001 out"}))
	w.wantStored(p, out, errs)
}

// Output that comes in small pieces is written about appendShare+1 times, whatever its size.
func TestOutputIsNotWrittenTooOften(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	var written int
	a := w.attempt(Command{})
	o := newOutput(interceptor.NewClient(w.api, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			written += sizeOf(obj)
			return c.Create(ctx, obj, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			written += sizeOf(obj)
			return c.Update(ctx, obj, opts...)
		},
	}), w.api, &a)
	const pieces, piece = 1500, 1 << 10
	for range pieces {
		if _, err := o.append(t.Context(), stdout, make([]byte, piece)); err != nil {
			t.Fatal(err)
		}
		o.lastWrite = time.Now().Add(-2 * appendInterval)
		if o.due() {
			if err := o.flush(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if most := (appendShare + 2) * pieces * piece; written > most {
		t.Errorf("%d bytes were written for %d, more than %d", written, pieces*piece, most)
	}
	if len(o.names()) != 3 {
		t.Errorf("ConfigMaps %q", o.names())
	}
}

func sizeOf(obj client.Object) int {
	cm, ok := obj.(*corev1.ConfigMap)
	if !ok {
		return 0
	}
	return len(cm.BinaryData["stdout"]) + len(cm.BinaryData["stderr"])
}

func TestOutputIsDue(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		stored, pending int
		since           time.Duration
		want            bool
	}{
		{0, 1, time.Hour, true},
		{0, 0, time.Hour, false},
		{0, 1, appendInterval / 2, false},
		{800, 99, 2 * appendInterval, false},
		{800, 100, 2 * appendInterval, true},
		{800, 100, appendInterval / 2, false},
		{800, 1, appendLatest, true},
	} {
		o := &output{open: &part{stored: tc.stored}, lastWrite: time.Now().Add(-tc.since)}
		o.open.data[stderr] = make([]byte, tc.stored+tc.pending)
		if got := o.due(); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

func TestNamesOfLongJobs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 253)
	other := strings.Repeat("a", 252) + "b"
	for _, shorten := range []func(string) string{LabelValue, func(job string) string { return partName(job, 1, 127) }} {
		if shorten(long) == shorten(other) {
			t.Error("two jobs share a name")
		}
	}
	if got := len(partName(long, 2147483647, 127)); got > maxName {
		t.Errorf("a name of %d", got)
	}
	if got := len(LabelValue(long)); got > maxLabel {
		t.Errorf("a label of %d", got)
	}
	if partName("job", 1, 3) != "job-output-3" || partName("job", 2, 3) != "job-output-2-3" || LabelValue("job") != "job" {
		t.Error("short names are changed")
	}
}
