package wrenndev

import (
	"math"
	"net/http"
	"time"
)

// Operations on the figures of a team.
const (
	OpStats = "stats"
	OpUsage = "usage"
)

// statsRanges are how far back a range goes and how wide its buckets are.
var statsRanges = map[string]struct{ window, bucket time.Duration }{
	"5m":  {5 * time.Minute, 3 * time.Second},
	"1h":  {time.Hour, 30 * time.Second},
	"6h":  {6 * time.Hour, 3 * time.Minute},
	"24h": {24 * time.Hour, 12 * time.Minute},
	"30d": {keepFigures, 6 * time.Hour},
}

// statsRoutes come before those with an id in the same place of the path.
func (s *Server) statsRoutes(base string, gen generation) []route {
	routes := []route{{OpStats, http.MethodGet, base + "/stats", gen, accessData, s.stats}}
	if gen == genC {
		routes = append(routes, route{OpUsage, http.MethodGet, base + "/usage", gen, accessData, s.usage})
	}
	return routes
}

// sampleTeams takes samples until the server ends.
func (s *Server) sampleTeams() {
	tick := time.NewTicker(s.cfg.StatsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.meter.sample()
		case <-s.life.Done():
			return
		}
	}
}

type statsAnswer struct {
	Range   string       `json:"range"`
	Current statsCurrent `json:"current"`
	Peaks   statsPeaks   `json:"peaks"`
	Series  statsSeries  `json:"series"`
}

type statsCurrent struct {
	RunningCount     int32 `json:"running_count"`
	VCPUsReserved    int32 `json:"vcpus_reserved"`
	MemoryMBReserved int32 `json:"memory_mb_reserved"`
}

type statsPeaks struct {
	RunningCount int32 `json:"running_count"`
	VCPUs        int32 `json:"vcpus"`
	MemoryMB     int32 `json:"memory_mb"`
}

// statsSeries has one entry of each list for each bucket with a sample in it.
type statsSeries struct {
	Labels   []string `json:"labels"`
	Running  []int32  `json:"running"`
	VCPUs    []int32  `json:"vcpus"`
	MemoryMB []int32  `json:"memory_mb"`
}

// stats shows what the team ran at the samples. The peaks are those of all samples,
// whatever the range.
func (s *Server) stats(c *call) error {
	name := c.r.URL.Query().Get("range")
	if name == "" {
		name = "1h"
	}
	span, ok := statsRanges[name]
	if !ok {
		return invalidRequest("range must be 5m, 1h, 6h, 24h or 30d")
	}
	current, peak, series := s.meter.figuresOf(c.team, time.Now().Add(-span.window), span.bucket)
	a := statsAnswer{
		Range:   name,
		Current: statsCurrent{clamp(current.sandboxes), clamp(current.vcpus), clamp(current.memoryMB)},
		Peaks:   statsPeaks{clamp(peak.sandboxes), clamp(peak.vcpus), clamp(peak.memoryMB)},
		Series:  statsSeries{[]string{}, []int32{}, []int32{}, []int32{}},
	}
	for _, p := range series {
		a.Series.Labels = append(a.Series.Labels, stamp(p.at))
		a.Series.Running = append(a.Series.Running, clamp(p.sandboxes))
		a.Series.VCPUs = append(a.Series.VCPUs, clamp(p.vcpus))
		a.Series.MemoryMB = append(a.Series.MemoryMB, clamp(p.memoryMB))
	}
	writeJSON(c.w, http.StatusOK, a)
	return nil
}

// clamp fits a sum into what the contract has for it: nobody checks what a create asks for.
func clamp(n int64) int32 { return int32(min(n, math.MaxInt32)) } //nolint:gosec // of sums of what is positive

// maxUsageDays is how far apart the days of a usage request may be.
const maxUsageDays = 92

type usageAnswer struct {
	From   string       `json:"from"`
	To     string       `json:"to"`
	Points []usagePoint `json:"points"`
}

type usagePoint struct {
	Date         string  `json:"date"`
	CPUMinutes   float64 `json:"cpu_minutes"`
	RAMMBMinutes float64 `json:"ram_mb_minutes"`
}

// usage shows what the team's sandboxes reserved while they ran, up to this moment.
func (s *Server) usage(c *call) error {
	now := time.Now().UTC()
	from, err := c.day("from", now.AddDate(0, 0, -29))
	if err != nil {
		return err
	}
	to, err := c.day("to", now)
	if err != nil {
		return err
	}
	switch {
	case from.After(to):
		return invalidRequest("from must not be after to")
	case to.Sub(from) > maxUsageDays*24*time.Hour:
		return invalidRequest("range cannot exceed %d days", maxUsageDays)
	}
	a := usageAnswer{From: from.Format(time.DateOnly), To: to.Format(time.DateOnly), Points: []usagePoint{}}
	for _, d := range s.meter.days(c.team, a.From, a.To) {
		a.Points = append(a.Points, usagePoint{d.Day, d.CPUMinutes, d.MemoryMBMinutes})
	}
	writeJSON(c.w, http.StatusOK, a)
	return nil
}

// day reads a day of the query.
func (c *call) day(name string, otherwise time.Time) (time.Time, error) {
	text := c.r.URL.Query().Get(name)
	if text == "" {
		text = otherwise.Format(time.DateOnly)
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, invalidRequest("%s must be YYYY-MM-DD", name)
	}
	return day, nil
}
