package wrenn

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// MetricsRange is how far back metrics reach.
type MetricsRange string

// The ranges that the service has. Steps are 0.5 s up to ten minutes, 30 s up to two hours, five minutes beyond.
const (
	Range5m  MetricsRange = "5m"
	Range10m MetricsRange = "10m"
	Range1h  MetricsRange = "1h"
	Range2h  MetricsRange = "2h"
	Range6h  MetricsRange = "6h"
	Range12h MetricsRange = "12h"
	Range24h MetricsRange = "24h"
)

// Metrics are the measurements of one sandbox.
type Metrics struct {
	// Range is the one asked for.
	Range MetricsRange
	// Points are in order of time and can be none.
	Points []MetricPoint
}

// MetricPoint is one measurement.
type MetricPoint struct {
	// Time of the measurement, in whole seconds.
	Time time.Time
	// CPUPercent of one CPU.
	CPUPercent float64
	// MemoryBytes in use.
	MemoryBytes int64
	// DiskBytes in use.
	DiskBytes int64
}

// Metrics returns the measurements of a running or paused sandbox, an empty range meaning ten minutes. In any other
// status it is IsNotFound.
func (h *SandboxHandle) Metrics(ctx context.Context, r MetricsRange) (*Metrics, error) {
	const op = "sandboxes.metrics"
	if err := checkID(op, h.id); err != nil {
		return nil, err
	}
	if r == "" {
		r = Range10m
	}
	return sandboxFetch(ctx, h.c, call{
		op: op, method: http.MethodGet, path: "/" + h.id + "/metrics", query: url.Values{"range": {string(r)}},
		want: http.StatusOK, limit: h.c.settings.limits.ObjectBytes, budget: h.c.settings.requestTimeout,
	}, metricsOf(h.id, r))
}
