package execrun

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// forge makes a ConfigMap that says that it is a part of the job's output.
func (w *world) forge(name string, said map[string]string, out []byte) *corev1.ConfigMap {
	w.t.Helper()
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: name, Annotations: map[string]string{annotationAttempt: "1"},
			Labels:          map[string]string{v1alpha1.LabelExecJob: LabelValue(w.job.Name)},
			OwnerReferences: []metav1.OwnerReference{w.job.ownerReference()},
		},
		Immutable: ptr.To(true), BinaryData: map[string][]byte{"stdout": out},
	}
	maps.Copy(cm.Annotations, said)
	if err := w.api.Create(w.t.Context(), cm); err != nil {
		w.t.Fatal(err)
	}
	return cm
}

// saying is what the annotations of a part say: the number, the offsets, and the head where there is one.
func saying(number, out, errs int64, head ...int64) map[string]string {
	said := map[string]string{
		annotationNumber: fmt.Sprint(number), annotationStdoutOffset: fmt.Sprint(out), annotationStderrOffset: fmt.Sprint(errs),
	}
	if len(head) > 0 {
		said[annotationStdoutHead], said[annotationStderrHead] = fmt.Sprint(head[0]), fmt.Sprint(head[1])
	}
	return said
}

// Whoever may write ConfigMaps can make some that say anything of themselves. What cannot be the job's is not.
func TestOutputBesideForgedParts(t *testing.T) {
	t.Parallel()
	const far = 1 << 62
	for name, tc := range map[string]struct {
		name string
		said map[string]string
		// in says that it has the name of a part that is wanted, and is in the way.
		in bool
	}{
		"a great number":             {"job-output-20000000", saying(20_000_000, 20_000_000*partBytes, 0), false},
		"a number beyond the limit":  {"job-output-249", saying(249, 249*partBytes, 0), false},
		"more before it than fits":   {"job-output-1", saying(1, partBytes+1, 0), false},
		"offsets that overflow":      {"job-output-3", saying(3, far-1, far-1), false},
		"a far head":                 {"job-output-3", saying(3, 0, 0, far, far), false},
		"a head beyond the limit":    {"job-output-3", saying(3, 0, 0, 8<<20, 1), false},
		"another name":               {"another", saying(5, 5*partBytes, 0), false},
		"a far offset, in the way":   {"job-output-0", saying(0, far, far), true},
		"no number, in the way":      {"job-output-0", map[string]string{}, true},
		"another number, in the way": {"job-output-0", saying(3, 0, 0), true},
		"an artifact, in the way":    {"job-output-0", map[string]string{annotationArtifact: "x"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			cm := w.forge(tc.name, tc.said, []byte("forged"))
			a := w.attempt(Command{Script: "echo a"})
			if tc.in {
				w.runner.Ensure(a, Follow)
				w.await("refusal", func(p Progress) bool {
					return p.Reason == v1alpha1.ReasonOutputBlocked && strings.Contains(p.Message, "delete ConfigMap job-output-0")
				})
				if err := w.api.Delete(t.Context(), cm); err != nil {
					t.Fatal(err)
				}
			}
			w.wantStored(w.run(a), []byte("a\n"), nil)
		})
	}
}

// What somebody has made of the job's own ConfigMaps may be in the way, and is no reason to wait for ever.
func TestOutputBesideForgedNeighbors(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(*world){
		"one that begins before the one before it ends": func(w *world) {
			w.forge("job-output-0", saying(0, 0, 0), []byte("0123456789"))
			w.forge("job-output-3", saying(3, 2, 0), []byte("2345"))
		},
		"one with nothing before it": func(w *world) { w.forge("job-output-7", saying(7, 0, 0), nil) },
		"one that begins after all that there is": func(w *world) {
			w.forge("job-output-2", saying(2, 2*partBytes, 0), []byte("forged"))
		},
		"of the end, in the place of the beginning": func(w *world) { w.forge("job-output-0", saying(0, 0, 0, partBytes, 0), nil) },
		"of the end, with a beginning that ends before it does": func(w *world) {
			w.forge("job-output-0", saying(0, 0, 0), bytes.Repeat([]byte("x"), partBytes))
			w.forge("job-output-1", saying(1, partBytes, 0), []byte("0123"))
			w.forge("job-output-3", saying(3, 0, 0, 5, 0), []byte("0123"))
		},
		"of the end, after nothing": func(w *world) { w.forge("job-output-3", saying(3, 0, 0, 0, 0), []byte("0123")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			forge(w)
			if p := w.run(w.attempt(Command{Script: "printf 0123456789"})); p.Exit.Code != 0 {
				t.Errorf("exit %+v", p.Exit)
			}
		})
	}
}

// The operator ended when it had begun to store the end. Another one goes on there, also where there would be room before it:
// the last ConfigMap of the beginning had been deleted when the command had ended.
func TestOutputOfWhichTheEndIsBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	content := noise(63, 700_000)
	w.upload("out", content)
	w.forge("job-output-0", saying(0, 0, 0), content[:partBytes])
	w.forge("job-output-1", saying(1, partBytes, 0, partBytes, 0), content[partBytes:])
	p := w.run(w.attempt(Command{Script: "cat out"}))
	w.wantStored(p, content, nil)
	if p.Truncated != 0 {
		t.Errorf("%d truncated", p.Truncated)
	}
}

// The ConfigMap that is being filled is made larger than any of ours, behind the operator's back.
func TestOutputThatIsMadeTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	content := noise(62, 1_000_000)
	w.upload("out", content)
	a := w.attempt(Command{Script: "printf a; until [ -e go ]; do sleep 0.05; done; cat out"})
	w.runner.Ensure(a, Follow)
	w.await("first ConfigMap", func(p Progress) bool { return len(p.ConfigMaps) == 1 })
	var cm corev1.ConfigMap
	if err := w.api.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "job-output-0"}, &cm); err != nil {
		t.Fatal(err)
	}
	cm.BinaryData["stdout"] = bytes.Repeat([]byte("x"), 600<<10)
	if err := w.api.Update(t.Context(), &cm); err != nil {
		t.Fatal(err)
	}
	w.upload("go", nil)
	w.await("refusal", func(p Progress) bool {
		return p.Reason == v1alpha1.ReasonOutputBlocked && strings.Contains(p.Message, "delete ConfigMap job-output-0")
	})
	if err := w.api.Delete(t.Context(), &cm); err != nil {
		t.Fatal(err)
	}
	w.wantStored(w.run(a), append([]byte("a"), content...), nil)
}

func TestFits(t *testing.T) {
	t.Parallel()
	const half = 4 << 20
	head := func(out, errs int64) *[2]int64 { return &[2]int64{out, errs} }
	for name, tc := range map[string]struct {
		keep v1alpha1.OutputConfigMaps
		p    part
		want bool
	}{
		"the first":                   {v1alpha1.OutputConfigMapsAlways, part{}, true},
		"the second":                  {v1alpha1.OutputConfigMapsAlways, part{number: 1, base: [2]int64{partBytes - 5, 5}}, true},
		"more than fits before it":    {v1alpha1.OutputConfigMapsAlways, part{number: 1, base: [2]int64{partBytes - 5, 6}}, false},
		"the last":                    {v1alpha1.OutputConfigMapsAlways, part{number: 8, base: [2]int64{half}}, true},
		"more than is stored live":    {v1alpha1.OutputConfigMapsAlways, part{number: 9, base: [2]int64{half, 1}}, false},
		"a great number":              {v1alpha1.OutputConfigMapsAlways, part{number: maxParts}, false},
		"a part of the end":           {v1alpha1.OutputConfigMapsAlways, part{number: 9, base: [2]int64{1 << 40}, head: head(half, 0)}, true},
		"a head beyond the limit":     {v1alpha1.OutputConfigMapsAlways, part{number: 9, head: head(2*half, 1)}, false},
		"a great number of the end":   {v1alpha1.OutputConfigMapsAlways, part{number: maxParts, head: head(half, 0)}, false},
		"live, where nothing is":      {v1alpha1.OutputConfigMapsOnFailure, part{}, false},
		"at the end, where only that": {v1alpha1.OutputConfigMapsOnFailure, part{head: head(10, 0)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutput(nil, nil, &Attempt{Job: Job{}, Number: 1, ConfigMaps: tc.keep, LimitBytes: 2 * half})
			tc.p.name = o.nameOf(tc.p.number)
			if got := o.fits(&tc.p); got != tc.want {
				t.Errorf("%v", got)
			}
		})
	}
}

// Whatever there is of parts, gaps are as many as the parts that are missing, and no name is told twice.
func TestLeaveOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		gap          span
		first, after int
		gaps, holes  int
	}{
		"fits":           {span{[2]int64{partBytes, 0}, [2]int64{2 * partBytes, partBytes}}, 1, 3, 2, 0},
		"too much":       {span{[2]int64{0, 0}, [2]int64{3 * partBytes, 0}}, 1, 3, 0, 2},
		"too little":     {span{[2]int64{0, 0}, [2]int64{5, 0}}, 1, 3, 0, 2},
		"backward":       {span{[2]int64{1000, 0}, [2]int64{500, 0}}, 1, 2, 0, 1},
		"one is, of two": {span{[2]int64{0, 1000}, [2]int64{partBytes + 500, 500}}, 1, 2, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &output{full: 4, end: [2]int64{4 * partBytes, 0}}
			o.leaveOut(tc.gap, tc.first, tc.after)
			names := o.names()
			if len(o.gaps) != tc.gaps || len(o.holes) != tc.holes || len(names) != o.full-(tc.after-tc.first) {
				t.Errorf("gaps %v, holes %v, names %q", o.gaps, o.holes, names)
			}
			if slices.Sort(names); len(slices.Compact(names)) != len(names) {
				t.Errorf("names %q", names)
			}
		})
	}
}
