package controller

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// Metrics are what an operator counts of its own work. No label holds a name, an id or a namespace. They are one collector,
// and those that tell how things are, rather than what was done, are read from the cache when they are asked for: so
// they are right after a restart.
type Metrics struct {
	stock

	creates   *prometheus.CounterVec
	orphans   *prometheus.GaugeVec
	destroyed prometheus.Counter
	calls     *prometheus.HistogramVec
	streams   prometheus.Gauge
	attempts  *prometheus.CounterVec
}

// What comes of a create.
const (
	createMade       = "created"
	createRefused    = "refused"
	createUnanswered = "unanswered"
	createFound      = "found"
	createAbandoned  = "abandoned"
	createNothing    = "nothing"
	createUnknown    = "unknown"
)

// callBuckets, in seconds, reach from a read to the pause of an old sandbox.
var callBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// NewMetrics returns metrics that are to be registered, and watched by a manager.
func NewMetrics() *Metrics {
	m := &Metrics{
		stock: newStock(),
		creates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wrenn_creates_total", Help: "What came of the creates that were sent. A lost one counts twice: as unanswered, and as what it turned out to be.",
		}, []string{"outcome"}),
		orphans: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "wrenn_orphans", Help: "Remote sandboxes that belong to no Sandbox of this cluster, by whether it has made them.",
		}, []string{"mark"}),
		destroyed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wrenn_orphans_destroyed_total", Help: "Remote sandboxes that belonged to no Sandbox and were destroyed.",
		}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wrenn_call_duration_seconds", Help: "Requests to Wrenn, by operation and outcome.", Buckets: callBuckets,
		}, []string{"operation", "outcome"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wrenn_streams_open", Help: "Streams of commands that are open.",
		}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wrenn_execjob_attempts_total", Help: "Attempts of ExecJobs that have ended, by how.",
		}, []string{"outcome"}),
	}
	// What can be counted is there from the start, so that the first one is an increase.
	for _, outcome := range []string{createMade, createRefused, createUnanswered, createFound, createAbandoned, createNothing, createUnknown} {
		m.creates.WithLabelValues(outcome)
	}
	m.attempts.WithLabelValues(attemptWithdrawn)
	for reason := range finishedReasons {
		m.attempts.WithLabelValues(reason)
	}
	return m
}

func (m *Metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.creates, m.orphans, m.destroyed, m.calls, m.streams, m.attempts}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(into chan<- *prometheus.Desc) {
	for _, part := range m.parts() {
		part.Describe(into)
	}
	m.describe(into)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(into chan<- prometheus.Metric) {
	for _, part := range m.parts() {
		part.Collect(into)
	}
	m.collect(into)
}

// Call counts a request to Wrenn. It is what a connection.Pool tells.
func (m *Metrics) Call(op string, took time.Duration, err error) {
	m.calls.WithLabelValues(op, callOutcome(err)).Observe(took.Seconds())
}

// callOutcome puts the failures of a request into a few classes.
func callOutcome(err error) string {
	var e *wrenn.Error
	switch {
	case err == nil:
		return "ok"
	case wrenn.IsUnauthorized(err), wrenn.IsForbidden(err):
		return "unauthorized"
	case wrenn.IsNotFound(err):
		return "not_found"
	case wrenn.IsRateLimited(err):
		return "rate_limited"
	case errors.Is(err, wrenn.ErrTransport):
		return "unanswered"
	case errors.Is(err, wrenn.ErrInvalidResponse):
		return "not_understood"
	case errors.As(err, &e) && e.StatusCode >= 500:
		return "failed"
	case errors.As(err, &e) && e.StatusCode >= 400:
		return "refused"
	default:
		return "not_sent"
	}
}

// created counts what a create was answered with.
func (m *Metrics) created(err error) {
	switch {
	case err == nil:
		m.creates.WithLabelValues(createMade).Inc()
	case wrenn.IsAmbiguous(err):
		m.creates.WithLabelValues(createUnanswered).Inc()
	default:
		m.creates.WithLabelValues(createRefused).Inc()
	}
}

// resolved counts what became of a create that was not answered.
func (m *Metrics) resolved(outcome string) { m.creates.WithLabelValues(outcome).Inc() }

// attempted counts an attempt of an ExecJob that has ended.
func (m *Metrics) attempted(outcome string) { m.attempts.WithLabelValues(outcome).Inc() }

// orphaned tells how many orphans there are, and how many of them carry this cluster's mark.
func (m *Metrics) orphaned(all, own int) {
	m.orphans.WithLabelValues("own").Set(float64(own))
	m.orphans.WithLabelValues("none").Set(float64(all - own))
}
