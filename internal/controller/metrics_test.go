package controller

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/ptr"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// gathered returns the values of a metric by its label values, joined by a slash: of a histogram the number of observations.
func (w *world) gathered(name string) map[string]float64 {
	w.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(w.metrics); err != nil {
		w.t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			values[strings.Join(labels, "/")] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() +
				float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// awaitMetric waits until a metric has just these values, zeros left out.
func awaitMetric(w *world, name string, want map[string]float64) {
	w.t.Helper()
	eventually(w, fmt.Sprintf("%s is %v", name, want), func() error {
		got := w.gathered(name)
		maps.DeleteFunc(got, func(_ string, value float64) bool { return value == 0 })
		if !maps.Equal(got, want) {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
}

// What comes of creates is counted once, however often an object is looked at.
func TestMetricsOfCreates(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault wrenndev.Fault
		idle  int32
		want  map[string]float64
	}{
		"made":    {want: map[string]float64{createMade: 1}},
		"refused": {fault: wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Status: 403, Code: "forbidden"}, want: map[string]float64{createRefused: 1, createMade: 1}},
		"found again": {
			fault: wrenndev.Fault{Kind: wrenndev.FaultDrop}, want: map[string]float64{createUnanswered: 1, createFound: 1},
		},
		"came to nothing": {
			fault: wrenndev.Fault{Kind: wrenndev.FaultFailBefore}, want: map[string]float64{createUnanswered: 1, createNothing: 1, createMade: 1},
		},
		"abandoned": {
			fault: wrenndev.Fault{Kind: wrenndev.FaultAgentDelay, Latency: wrenndev.Millis(1 << 40)},
			want:  map[string]float64{createUnanswered: 1, createAbandoned: 1, createNothing: 1, createMade: 1},
		},
		"unknown": {fault: wrenndev.Fault{Kind: wrenndev.FaultDrop}, idle: 3600, want: map[string]float64{createUnanswered: 1, createUnknown: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{})
			if tc.fault.Kind != "" {
				tc.fault.Op, tc.fault.Times = wrenndev.OpCreate, 1
				w.wrenn.Faults().Add(tc.fault)
			}
			sandbox := w.sandbox("counted")
			sandbox.Spec.IdleTimeoutSeconds = &tc.idle
			w.create(sandbox)
			awaitMetric(w, "wrenn_creates_total", tc.want)
		})
	}
}

// What holds deletions is counted from the objects: it is right after a restart, and when it is repaired.
func TestMetricsOfHeldDeletions(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	snapshot, _ := w.deletable("Snapshot")
	awaitReason(w, w.sandbox("source"), v1alpha1.ReasonRunning)
	awaitMetric(w, "wrenn_sandboxes", map[string]float64{"running": 1})
	awaitMetric(w, "wrenn_held_deletions", map[string]float64{})
	repair := causes["the service fails"].brake(w)
	if err := w.api.Delete(w.ctx, snapshot); err != nil {
		t.Fatal(err)
	}
	if err := w.api.Delete(w.ctx, w.sandbox("source")); err != nil {
		t.Fatal(err)
	}
	held := map[string]float64{v1alpha1.ReasonServiceError + "/Sandbox": 1, v1alpha1.ReasonServiceError + "/Snapshot": 1}
	awaitMetric(w, "wrenn_held_deletions", held)
	w.stop()
	w.startOperator()
	awaitMetric(w, "wrenn_held_deletions", held)
	repair()
	awaitMetric(w, "wrenn_held_deletions", map[string]float64{})
	awaitMetric(w, "wrenn_sandboxes", map[string]float64{})
}

func TestMetricsOfOrphans(t *testing.T) {
	t.Parallel()
	w := newSweptWorld(t, "", "")
	w.leak(ownTimeout(1))
	w.leak(0)
	awaitMetric(w, "wrenn_orphans", map[string]float64{"own": 1, "none": 1})
	edit(w, w.connection(""), func(c *v1alpha1.Connection) { c.Spec.OrphanPolicy = v1alpha1.OrphanPolicyDelete })
	awaitMetric(w, "wrenn_orphans", map[string]float64{"none": 1})
	awaitMetric(w, "wrenn_orphans_destroyed_total", map[string]float64{"": 1})
}

// Calls, streams and jobs are counted where they are made.
func TestMetricsOfAJob(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.create(w.sandbox("box"))
	job := w.job("job", "until test -e /tmp/end; do sleep 0.1; done; exit 3")
	job.Spec.BackoffLimit = ptr.To[int32](1)
	w.create(job)
	awaitMetric(w, "wrenn_streams_open", map[string]float64{"": 1})
	box := w.sandbox("box")
	awaitReason(w, box, v1alpha1.ReasonRunning)
	if err := w.handle(box).Upload(w.ctx, "/tmp/end", nil); err != nil {
		t.Fatal(err)
	}
	awaitMetric(w, "wrenn_execjob_attempts_total", map[string]float64{v1alpha1.ReasonNonZeroExit: 2})
	awaitMetric(w, "wrenn_streams_open", map[string]float64{})
	calls := w.gathered("wrenn_call_duration_seconds")
	for _, want := range []string{"sandboxes.create/ok", "sandboxes.list/ok"} {
		if calls[want] == 0 {
			t.Errorf("no calls of %s among %v", want, slices.Sorted(maps.Keys(calls)))
		}
	}
}

func TestCallOutcome(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"ok":             nil,
		"unauthorized":   &wrenn.Error{StatusCode: http.StatusUnauthorized, Code: wrenn.CodeUnauthorized},
		"not_found":      &wrenn.Error{StatusCode: http.StatusNotFound, Code: wrenn.CodeNotFound},
		"rate_limited":   &wrenn.Error{StatusCode: http.StatusTooManyRequests},
		"refused":        &wrenn.Error{StatusCode: http.StatusConflict, Code: wrenn.CodeConflict},
		"failed":         &wrenn.Error{StatusCode: http.StatusBadGateway, Code: wrenn.CodeAgentError},
		"unanswered":     &wrenn.Error{Err: wrenn.ErrTransport},
		"not_understood": &wrenn.Error{StatusCode: http.StatusOK, Err: wrenn.ErrInvalidResponse},
		"not_sent":       errors.New("held back"),
	} {
		if got := callOutcome(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
