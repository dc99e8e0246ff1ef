package wrenndev

import (
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func (c *client) stats(query string) statsAnswer {
	c.t.Helper()
	var got statsAnswer
	c.want(http.StatusOK, "", http.MethodGet, c.base+"/stats"+query, nil).json(c.t, &got)
	return got
}

// usage is what a team used today.
func (c *client) usage() (used usagePoint) {
	c.t.Helper()
	var got usageAnswer
	c.want(http.StatusOK, "", http.MethodGet, pathC+"/usage", nil).json(c.t, &got)
	for _, p := range got.Points { // two when midnight has just passed
		used.CPUMinutes += p.CPUMinutes
		used.RAMMBMinutes += p.RAMMBMinutes
	}
	return used
}

func TestStatsShowWhatTheTeamRuns(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			s := start(t, Config{StatsEvery: 20 * time.Millisecond, Teams: []Team{{Name: "a"}, {Name: "b"}}})
			c, other := s.client(t, f.base), s.client(t, f.base)
			other.key = s.APIKeyOf("b")
			if got := c.stats(""); got.Range != "1h" || got.Current != (statsCurrent{}) || got.Peaks != (statsPeaks{}) || got.Series.Labels == nil {
				t.Errorf("at first: %+v", got)
			}
			one := c.create(`{"vcpus":2,"memory_mb":100}`)
			// As much as a create takes; with the other it can be more than the figures can tell.
			most := map[string]int64{"S": math.MaxInt32, "C": largestHostMB}[f.name]
			both := int32(min(most+100, math.MaxInt32)) //nolint:gosec // It fits.
			paused := c.create(fmt.Sprintf(`{"vcpus":5,"memory_mb":%d}`, most))
			wait(t, "both are counted", func() bool {
				return c.stats("?range=5m").Current == statsCurrent{2, 7, both}
			})
			c.want(http.StatusOK, "", http.MethodPost, f.base+"/"+paused+"/pause", nil)
			wait(t, "one is counted", func() bool { return c.stats("").Current == statsCurrent{1, 2, 100} })
			c.want(http.StatusNoContent, "", http.MethodDelete, f.base+"/"+one, nil)
			wait(t, "none is counted", func() bool { return c.stats("").Current == statsCurrent{} })
			for _, r := range []string{"5m", "1h", "6h", "24h", "30d"} {
				got := c.stats("?range=" + r)
				n := len(got.Series.Labels)
				if got.Range != r || n == 0 || len(got.Series.Running) != n || len(got.Series.VCPUs) != n || len(got.Series.MemoryMB) != n {
					t.Fatalf("%+v", got)
				}
				if got.Peaks != (statsPeaks{2, 7, both}) {
					t.Errorf("peaks of %s: %+v", r, got.Peaks)
				}
				if _, err := time.Parse(time.RFC3339, got.Series.Labels[0]); err != nil {
					t.Error(err)
				}
				// A bucket shows its peak, wherever the borders fall.
				var peak int32
				for _, running := range got.Series.Running {
					peak = max(peak, running)
				}
				if peak != 2 {
					t.Errorf("series of %s: %+v", r, got.Series)
				}
			}
			if got := other.stats("?range=5m"); got.Peaks != (statsPeaks{}) || len(got.Series.Labels) == 0 {
				t.Errorf("the other team: %+v", got)
			}
			c.want(http.StatusBadRequest, "invalid_request", http.MethodGet, f.base+"/stats?range=10m", nil)
			c.key = ""
			c.want(http.StatusUnauthorized, "unauthorized", http.MethodGet, f.base+"/stats", nil)
		})
	}
}

func TestStatsLagBehind(t *testing.T) {
	c := start(t, Config{StatsEvery: time.Hour}).client(t, pathS)
	c.create()
	if got := c.stats("?range=5m"); got.Current != (statsCurrent{}) {
		t.Errorf("%+v", got)
	}
}

func TestUsageIsWhatRan(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	first := start(t, cfg)
	c := first.client(t, pathC)
	if got := c.usage(); got != (usagePoint{}) {
		t.Errorf("before anything ran: %+v", got)
	}
	begun := time.Now()
	id := c.create(`{"vcpus":2,"memory_mb":100}`)
	var running usagePoint
	wait(t, "it used something", func() bool {
		running = c.usage()
		return running.CPUMinutes > 0
	})
	c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+id+"/pause", nil)
	paused := c.usage()
	if most := 2 * time.Since(begun).Minutes(); paused.CPUMinutes <= running.CPUMinutes || paused.CPUMinutes > most {
		t.Errorf("%v, then %v of at most %v", running, paused, most)
	}
	about := cmpopts.EquateApprox(1e-9, 0)
	if diff := cmp.Diff(paused.CPUMinutes*50, paused.RAMMBMinutes, about); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(paused, c.usage()); diff != "" {
		t.Errorf("a paused sandbox uses something: %s", diff)
	}
	c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+id+"/resume", nil)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, cfg)
	c = second.client(t, pathC)
	kept := c.usage()
	if most := 2 * time.Since(begun).Minutes(); kept.CPUMinutes <= paused.CPUMinutes || kept.CPUMinutes > most {
		t.Errorf("after a restart %v", kept)
	}
	wait(t, "what ran is stopped", func() bool { return c.status(id) == StatusStopped })
	if diff := cmp.Diff(kept, c.usage()); diff != "" {
		t.Errorf("a stopped sandbox uses something: %s", diff)
	}
}

func TestUsageDays(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	c.create()
	for query, want := range map[string]usageAnswer{
		"?from=2020-01-01&to=2020-01-01": {From: "2020-01-01", To: "2020-01-01"},
		"?from=2020-01-01&to=2020-04-02": {From: "2020-01-01", To: "2020-04-02"},
	} {
		want.Points = []usagePoint{}
		var got usageAnswer
		c.want(http.StatusOK, "", http.MethodGet, pathC+"/usage"+query, nil).json(t, &got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, query := range []string{
		"?from=2020-01-01&to=2020-04-03", "?from=2020-01-01", "?from=2020-01-02&to=2020-01-01", "?from=x", "?to=2020-1-1", "?from=2999-01-01",
	} {
		c.want(http.StatusBadRequest, "invalid_request", http.MethodGet, pathC+"/usage"+query, nil)
	}
	var got usageAnswer
	c.want(http.StatusOK, "", http.MethodGet, pathC+"/usage", nil).json(t, &got)
	from, _ := time.Parse(time.DateOnly, got.From)
	to, err := time.Parse(time.DateOnly, got.To)
	if err != nil || to.Sub(from) != 29*24*time.Hour || len(got.Points) == 0 {
		t.Errorf("%+v", got)
	}
	c.want(http.StatusBadRequest, "invalid_request", http.MethodGet, pathS+"/usage", nil) // an id that is none
}

func TestUseIsChargedToItsDays(t *testing.T) {
	m, err := openMeter(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.In(time.FixedZone("", 5*3600)) // days are those of UTC
	}
	m.charge(map[string]metered{
		"1": {"a", 2, 10, at("2024-02-28 23:30:00")},
		"2": {"a", 1, 100, at("2024-03-01 00:00:00")},
		"3": {"b", 1, 1, at("2024-03-01 00:01:00")},
	}, at("2024-03-01 00:02:00"))
	m.charge(map[string]metered{"1": {"a", 2, 10, at("2024-03-01 00:02:00")}}, at("2024-03-01 00:03:00"))
	want := []usageDay{
		{"a", "2024-02-28", 60, 300},
		{"a", "2024-02-29", 2 * 1440, 10 * 1440},
		{"a", "2024-03-01", 4 + 2 + 2, 20 + 200 + 10},
	}
	if diff := cmp.Diff(want, m.days("a", "2024-01-01", "2024-12-31")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]usageDay{{"b", "2024-03-01", 1, 1}}, m.days("b", "2024-03-01", "2024-03-01")); diff != "" {
		t.Error(diff)
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
}
