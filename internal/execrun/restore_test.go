package execrun

import (
	"bytes"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func (w *world) deleteParts(numbers ...int) {
	w.t.Helper()
	for _, number := range numbers {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: partName(w.job.Name, 1, number)}}
		if err := w.api.Delete(w.t.Context(), cm); err != nil {
			w.t.Fatal(err)
		}
	}
}

// What somebody deletes while the command runs is read from the guest once more. What is deleted later stays deleted.
func TestOutputThatIsDeletedIsRestored(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stdout, stderr int
		delete         []int
	}{
		"the first":            {1_800_000, 0, []int{0}},
		"two in the middle":    {2_500_000, 0, []int{1, 2}},
		"the one being filled": {1_200_000, 0, []int{2}},
		"all":                  {1_200_000, 0, []int{0, 1, 2}},
		"of two streams":       {1_500_000, 700_000, []int{0, 2}},
		"with nothing after":   {3 * partBytes, 0, []int{2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			out, errs := noise(31, tc.stdout), noise(32, tc.stderr)
			w.upload("out", out)
			w.upload("err", errs)
			a := w.attempt(Command{Script: "cat out & cat err >&2; wait; until [ -e go ]; do sleep 0.05; done; printf end"})
			w.runner.Ensure(a, Follow)
			all := (tc.stdout + tc.stderr + partBytes - 1) / partBytes
			stored := func(p Progress) bool {
				return len(p.ConfigMaps) == all && p.Stdout.Bytes+p.Stderr.Bytes == int64(tc.stdout+tc.stderr)
			}
			w.await("all output", stored)
			w.deleteParts(tc.delete...)
			w.await("its restoration", func(p Progress) bool {
				return stored(p) && w.count() == all
			})
			w.upload("go", nil)
			p := w.run(a)
			w.wantStored(p, append(out, "end"...), errs)
			w.deleteParts(0)
			w.runner.Ensure(a, Clean)
			w.awaitPhase(Cleaned)
			if n := w.count(); n != len(p.ConfigMaps)-1 {
				t.Errorf("%d ConfigMaps are there, of %d", n, len(p.ConfigMaps))
			}
		})
	}
}

// count is how many ConfigMaps of the job there are.
func (w *world) count() int {
	a := w.attempt(Command{})
	parts, err := newOutput(w.api, w.api, &a).list(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return len(parts)
}

// A new operator restores what was deleted while there was none, on both sides of what is missing.
func TestOutputPastItsLimitIsRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	content := noise(33, 6_000_000)
	w.upload("out", content)
	a := w.attempt(Command{Script: "cat out"})
	a.LimitBytes = 3 << 20
	p := w.run(a)
	want := append(content[:3<<19:3<<19], content[len(content)-3<<19:]...)
	w.wantStored(p, want, nil)
	for _, numbers := range [][]int{{0, 4}, {2, 3}, {5}, {0, 1, 2, 3, 4, 5}} {
		w.stop()
		w.deleteParts(numbers...)
		w.startRunner(w.api)
		w.wantStored(w.run(a), want, nil)
	}
}

func TestOutputIsStoredAsToldTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	content := noise(34, 1_300_000)
	copy(content[len(content)-3:], "end")
	w.upload("out", content)
	for i, tc := range []struct {
		keep  v1alpha1.OutputConfigMaps
		code  int32
		limit int64
		want  []byte
	}{
		{v1alpha1.OutputConfigMapsNever, 3, 1 << 20, nil},
		{v1alpha1.OutputConfigMapsOnFailure, 0, 1 << 20, nil},
		{v1alpha1.OutputConfigMapsOnFailure, 3, 8 << 20, content},
		{v1alpha1.OutputConfigMapsOnFailure, 3, 1 << 20, append(content[:1<<19:1<<19], content[len(content)-1<<19:]...)},
	} {
		w.job.Name, w.job.UID = fmt.Sprint("job-", i), types.UID(fmt.Sprint("uid-", i))
		a := w.attempt(Command{Script: fmt.Sprint("cat out; exit ", tc.code)})
		a.ConfigMaps, a.LimitBytes = tc.keep, tc.limit
		p := w.run(a)
		w.wantStored(p, tc.want, nil)
		missing := int64(0)
		if tc.want != nil {
			missing = int64(len(content) - len(tc.want))
		}
		if !bytes.HasSuffix([]byte(p.Stdout.Tail), []byte("end")) || p.Stdout.Bytes != int64(len(content)) || p.Truncated != missing {
			t.Errorf("%+v: %d bytes, %d truncated, tail of %d", tc, p.Stdout.Bytes, p.Truncated, len(p.Stdout.Tail))
		}
	}
}

func TestRest(t *testing.T) {
	t.Parallel()
	const k = 1 << 10
	for name, tc := range map[string]struct {
		keep    v1alpha1.OutputConfigMaps
		failed  bool
		limit   int64
		end     [2]int64
		sizes   [2]int64
		numbers string
		spans   string
	}{
		"nothing more":   {v1alpha1.OutputConfigMapsAlways, false, 100, [2]int64{30, 20}, [2]int64{30, 20}, "", ""},
		"all the rest":   {v1alpha1.OutputConfigMapsAlways, false, 100, [2]int64{30, 20}, [2]int64{70, 30}, "1", "30-70 20-30"},
		"one stream":     {v1alpha1.OutputConfigMapsAlways, false, 100, [2]int64{30, 20}, [2]int64{900, 20}, "1", "850-900 20-20"},
		"both":           {v1alpha1.OutputConfigMapsAlways, false, 100, [2]int64{30, 20}, [2]int64{900, 900}, "1", "875-900 875-900"},
		"a short one":    {v1alpha1.OutputConfigMapsAlways, false, 100, [2]int64{50, 0}, [2]int64{900, 10}, "1", "860-900 0-10"},
		"never":          {v1alpha1.OutputConfigMapsNever, true, 100, [2]int64{}, [2]int64{900, 10}, "", ""},
		"it succeeded":   {v1alpha1.OutputConfigMapsOnFailure, false, 100, [2]int64{}, [2]int64{900, 10}, "", ""},
		"it failed":      {v1alpha1.OutputConfigMapsOnFailure, true, 100, [2]int64{}, [2]int64{60, 40}, "0", "0-60 0-40"},
		"it failed long": {v1alpha1.OutputConfigMapsOnFailure, true, 100, [2]int64{}, [2]int64{900, 10}, "0 1", "0-40 0-10, 850-900 10-10"},
		"several parts": {
			v1alpha1.OutputConfigMapsOnFailure, true, 8192 * k,
			[2]int64{},
			[2]int64{600 * k, 500 * k},
			"0 1 2",
			"0-524288 0-0, 524288-614400 0-434176, 614400-614400 434176-512000",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &output{keep: tc.keep, limit: tc.limit, end: tc.end, full: 1}
			if tc.keep != v1alpha1.OutputConfigMapsAlways {
				o.full = 0
			}
			numbers, spans := "", ""
			for i, s := range o.rest(tc.sizes, tc.failed) {
				if i > 0 {
					numbers, spans = numbers+" ", spans+", "
				}
				numbers += fmt.Sprint(s.number)
				spans += fmt.Sprintf("%d-%d %d-%d", s.from[stdout], s.to[stdout], s.from[stderr], s.to[stderr])
			}
			if numbers != tc.numbers || spans != tc.spans {
				t.Errorf("got %q %q", numbers, spans)
			}
		})
	}
}
