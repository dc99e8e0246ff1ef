package wrenndev

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// keepFigures is how far back the figures of teams reach.
const keepFigures = 30 * 24 * time.Hour

// meter measures what teams run: figures of now and then, and the use day by day.
// It learns of every change of a row that matters, so the use is exact; the figures
// are samples and lag behind.
type meter struct {
	mu      sync.Mutex
	running map[string]metered // by sandbox
	used    *table[usageDay]
	samples []figures // oldest first; since the server's start
}

// metered is a running sandbox that is charged up to a time.
type metered struct {
	team            string
	vcpus, memoryMB int32
	until           time.Time
}

// usageDay is what a team used on a day.
type usageDay struct {
	Team            string  `json:"team"`
	Day             string  `json:"day"` // YYYY-MM-DD in UTC
	CPUMinutes      float64 `json:"cpu_minutes"`
	MemoryMBMinutes float64 `json:"memory_mb_minutes"`
}

// figures are what ran at one time. A team that is missing ran nothing.
type figures struct {
	at    time.Time
	teams map[string]load
}

// load is what a team runs.
type load struct{ sandboxes, vcpus, memoryMB int64 }

func (l load) plus(m metered) load {
	return load{l.sandboxes + 1, l.vcpus + int64(m.vcpus), l.memoryMB + int64(m.memoryMB)}
}

func (l load) peak(other load) load {
	return load{max(l.sandboxes, other.sandboxes), max(l.vcpus, other.vcpus), max(l.memoryMB, other.memoryMB)}
}

func openMeter(dir string) (*meter, error) {
	used, err := openTable[usageDay](filepath.Join(dir, "usage.jsonl"))
	if err != nil {
		return nil, err
	}
	return &meter{running: map[string]metered{}, used: used}, nil
}

// moved learns the status of a row. What a row said before the start of the server
// does not count: nothing runs then.
func (m *meter) moved(row sandboxRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	was, metering := m.running[row.ID]
	switch runs := row.Status == StatusRunning; {
	case runs && !metering:
		m.running[row.ID] = metered{row.Team, row.VCPUs, row.MemoryMB, now}
	case !runs && metering:
		delete(m.running, row.ID)
		m.charge(map[string]metered{row.ID: was}, now)
	}
}

// charge adds what sandboxes used to the days.
func (m *meter) charge(sandboxes map[string]metered, now time.Time) {
	days := map[string]usageDay{}
	for _, s := range sandboxes {
		for from := s.until.UTC(); from.Before(now); {
			year, month, day := from.Date()
			to := time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
			if now.Before(to) {
				to = now.UTC()
			}
			minutes := to.Sub(from).Minutes()
			d := usageDay{Team: s.team, Day: from.Format(time.DateOnly)}
			have := days[d.id()]
			d.CPUMinutes = have.CPUMinutes + minutes*float64(s.vcpus)
			d.MemoryMBMinutes = have.MemoryMBMinutes + minutes*float64(s.memoryMB)
			days[d.id()] = d
			from = to
		}
	}
	for id, d := range days {
		if m.used.add(id, d, nil) {
			continue
		}
		_, _, _ = m.used.change(id, func(have *usageDay) error {
			have.CPUMinutes += d.CPUMinutes
			have.MemoryMBMinutes += d.MemoryMBMinutes
			return nil
		})
	}
}

func (d usageDay) id() string { return d.Team + "/" + d.Day }

// settle charges what runs up to now.
func (m *meter) settle(now time.Time) {
	m.charge(m.running, now)
	for id, s := range m.running {
		s.until = now
		m.running[id] = s
	}
}

// sample takes down what runs. It charges too, so that a server that is killed loses
// no more than the time since the last sample.
func (m *meter) sample() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.settle(now)
	teams := map[string]load{}
	for _, s := range m.running {
		teams[s.team] = teams[s.team].plus(s)
	}
	if n := len(m.samples); n > 0 && maps.Equal(m.samples[n-1].teams, teams) {
		teams = m.samples[n-1].teams // most of the time nothing changes
	}
	old := slices.IndexFunc(m.samples, func(f figures) bool { return now.Sub(f.at) < keepFigures })
	m.samples = append(slices.Delete(m.samples, 0, max(0, old)), figures{now, teams})
}

// figuresOf is the latest sample of a team, the peak of all of them, and those since a
// time, of which each bucket shows the peak.
func (m *meter) figuresOf(team string, since time.Time, bucket time.Duration) (current, peak load, series []point) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.samples {
		current = f.teams[team]
		peak = peak.peak(current)
		if f.at.Before(since) {
			continue
		}
		at := f.at.Truncate(bucket)
		if n := len(series); n > 0 && series[n-1].at.Equal(at) {
			series[n-1].load = series[n-1].peak(current)
		} else {
			series = append(series, point{at, current})
		}
	}
	return current, peak, series
}

// point is what ran in a bucket of time.
type point struct {
	at time.Time
	load
}

// days are what a team used from one day to another, both included, in their order.
func (m *meter) days(team, from, to string) []usageDay {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle(time.Now())
	days := m.used.list(func(d usageDay) bool { return d.Team == team && from <= d.Day && d.Day <= to })
	slices.SortFunc(days, func(a, b usageDay) int { return cmp.Compare(a.Day, b.Day) })
	return days
}

func (m *meter) close() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle(time.Now())
	return m.used.close()
}
