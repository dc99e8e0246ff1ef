package wrenn

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// StatsRange is how far back the team's figures reach.
type StatsRange string

// The ranges that the service has.
const (
	Stats5m  StatsRange = "5m"
	Stats1h  StatsRange = "1h"
	Stats6h  StatsRange = "6h"
	Stats24h StatsRange = "24h"
	Stats30d StatsRange = "30d"
)

// Stats are figures of all sandboxes of the team. They are sampled every ten seconds, so they lag behind.
type Stats struct {
	// Range is the one asked for.
	Range StatsRange
	// Current are the latest figures, Peaks the highest of the range, each for itself.
	Current, Peaks StatsSample
	// Series are in order of time and can be none.
	Series []StatsSample
}

// StatsSample is what ran at one time.
type StatsSample struct {
	// Time is zero in Current and Peaks.
	Time time.Time
	// Running is the number of running sandboxes.
	Running int32
	// VCPUs and MemoryMB, in MiB, are what they reserve.
	VCPUs, MemoryMB int32
}

// Stats returns figures of all sandboxes of the team, an empty range meaning one hour.
func (s *Sandboxes) Stats(ctx context.Context, r StatsRange) (*Stats, error) {
	if r == "" {
		r = Stats1h
	}
	return sandboxFetch(ctx, s.c, call{
		op: "sandboxes.stats", method: http.MethodGet, path: "/stats", query: url.Values{"range": {string(r)}},
		want: http.StatusOK, limit: s.c.settings.limits.ListBytes, budget: s.c.settings.requestTimeout,
	}, func(w *api.SandboxStats) (*Stats, error) {
		n := len(w.Series.Labels)
		switch {
		case w.Range != string(r):
			return nil, errors.New("the answer is about another range")
		case len(w.Series.Running) != n, len(w.Series.Vcpus) != n, len(w.Series.MemoryMb) != n:
			return nil, errors.New("the series have different lengths")
		}
		stats := &Stats{
			Range:   r,
			Current: StatsSample{Running: w.Current.RunningCount, VCPUs: w.Current.VcpusReserved, MemoryMB: w.Current.MemoryMbReserved},
			Peaks:   StatsSample{Running: w.Peaks.RunningCount, VCPUs: w.Peaks.Vcpus, MemoryMB: w.Peaks.MemoryMb},
			Series:  make([]StatsSample, n),
		}
		for i := range n {
			stats.Series[i] = StatsSample{
				Time: w.Series.Labels[i].UTC(), Running: w.Series.Running[i], VCPUs: w.Series.Vcpus[i], MemoryMB: w.Series.MemoryMb[i],
			}
		}
		return stats, nil
	})
}

// Usage is what the team used, day by day.
type Usage struct {
	// From and To are days, at 0:00 UTC.
	From, To time.Time
	// Points are in order of time; a day without use may have none.
	Points []UsagePoint
}

// UsagePoint is what the team used on one day.
type UsagePoint struct {
	// Day at 0:00 UTC.
	Day time.Time
	// CPUMinutes is virtual CPUs times minutes.
	CPUMinutes float64
	// MemoryMBMinutes is MiB times minutes.
	MemoryMBMinutes float64
}

// maxUsageDays is the longest span that the service tells the usage of.
const maxUsageDays = 92

// Usage returns what the team used on the days from one time to another, both included, at most 92 of them. Zero times
// mean the last 30 days. Servers of generation Sandboxes do not have it: ErrUnsupported.
func (s *Sandboxes) Usage(ctx context.Context, from, to time.Time) (*Usage, error) {
	const op = "sandboxes.usage"
	query := url.Values{}
	if !from.IsZero() {
		query.Set("from", from.UTC().Format(time.DateOnly))
	}
	if !to.IsZero() {
		query.Set("to", to.UTC().Format(time.DateOnly))
	}
	if !from.IsZero() && !to.IsZero() && (from.After(to) || to.Sub(from) > maxUsageDays*24*time.Hour) {
		return nil, invalidArgument(op, "the span must be 0 to %d days", maxUsageDays)
	}
	return sandboxFetch(ctx, s.c, call{
		op: op, method: http.MethodGet, path: "/usage", query: query, want: http.StatusOK, limit: s.c.settings.limits.ObjectBytes,
		budget: s.c.settings.requestTimeout, only: GenerationCapsules,
	}, usageOf)
}

func usageOf(w *api.Usage) (*Usage, error) {
	from, fromErr := time.Parse(time.DateOnly, w.From)
	to, toErr := time.Parse(time.DateOnly, w.To)
	if fromErr != nil || toErr != nil {
		return nil, errors.New("a day is not YYYY-MM-DD")
	}
	usage := &Usage{From: from, To: to, Points: make([]UsagePoint, 0, len(w.Points))}
	for _, p := range w.Points {
		day, err := time.Parse(time.DateOnly, p.Date)
		if err != nil {
			return nil, errors.New("a day is not YYYY-MM-DD")
		}
		usage.Points = append(usage.Points, UsagePoint{Day: day, CPUMinutes: p.CPUMinutes, MemoryMBMinutes: p.RAMMbMinutes})
	}
	return usage, nil
}
