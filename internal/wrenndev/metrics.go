package wrenndev

import (
	"net/http"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// metricRange is how far back a range goes and how far its points are apart.
type metricRange struct{ window, step time.Duration }

var metricRanges = map[string]metricRange{
	"5m":  {5 * time.Minute, 500 * time.Millisecond},
	"10m": {10 * time.Minute, 500 * time.Millisecond},
	"1h":  {time.Hour, 30 * time.Second},
	"2h":  {2 * time.Hour, 30 * time.Second},
	"6h":  {6 * time.Hour, 5 * time.Minute},
	"12h": {12 * time.Hour, 5 * time.Minute},
	"24h": {24 * time.Hour, 5 * time.Minute},
}

type metricPoint struct {
	TimestampUnix int64   `json:"timestamp_unix"`
	CPUPercent    float64 `json:"cpu_pct"`
	MemBytes      int64   `json:"mem_bytes"`
	DiskBytes     int64   `json:"disk_bytes"`
}

// metrics shows what the sandbox's processes used: of a running one up to now, of a
// paused one up to the pause.
func (s *Server) metrics(c *call) error {
	row, err := s.ownRow(c)
	if err != nil {
		return err
	}
	name := c.r.URL.Query().Get("range")
	if name == "" {
		name = "10m"
	}
	span, ok := metricRanges[name]
	if !ok {
		return invalidRequest("invalid range")
	}
	if row.Status != StatusRunning && row.Status != StatusPaused {
		return notFound("metrics")
	}
	if err := c.agentFails(); err != nil {
		return err
	}
	m, err := s.agent.machine(row.ID)
	if err != nil {
		return agentHasNot(row.ID)
	}
	points, err := m.metrics(c, row.Status == StatusPaused, span)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"sandbox_id": row.ID, "range": name, "points": points})
	return nil
}

func (m *machine) metrics(c *call, paused bool, span metricRange) ([]metricPoint, error) {
	m.mu.Lock()
	kept := guest.Stats{Samples: m.samples, DiskBytes: m.diskBytes}
	since, pausedAt := m.booted, m.pausedAt
	m.mu.Unlock()
	if paused && since.IsZero() {
		return []metricPoint{}, nil // from before a restart of the server
	}
	if paused {
		return points(kept, since, pausedAt, span), nil
	}
	g, _, err := m.use(false)
	if err != nil {
		return nil, agentHasNot(m.id)
	}
	stats, err := g.Stats(c.ctx())
	if err != nil {
		return nil, agentAnswer(err, m.id)
	}
	return points(*stats, since, time.Now(), span), nil
}

// points lays samples on the range's steps. A step without a sample is one in which
// there was no process.
func points(stats guest.Stats, since, until time.Time, span metricRange) []metricPoint {
	if first := time.Now().Add(-span.window); since.Before(first) {
		since = first
	}
	list := []metricPoint{}
	next := 0
	for at := since.Add(span.step); !at.After(until); at = at.Add(span.step) {
		p := metricPoint{TimestampUnix: at.Unix(), DiskBytes: stats.DiskBytes}
		n := 0
		for ; next < len(stats.Samples) && stats.Samples[next].UnixMilli <= at.UnixMilli(); next++ {
			sample := stats.Samples[next]
			if sample.UnixMilli <= at.Add(-span.step).UnixMilli() {
				continue
			}
			p.CPUPercent += sample.CPU
			p.MemBytes = max(p.MemBytes, sample.MemBytes)
			n++
		}
		if n > 1 {
			p.CPUPercent /= float64(n)
		}
		list = append(list, p)
	}
	return list
}
