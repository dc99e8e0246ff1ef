package wrenndev

import (
	"net/http"
	"testing"
	"time"
)

type metricsAnswer struct {
	SandboxID string `json:"sandbox_id"`
	Range     string
	Points    []metricPoint
}

func TestMetricsShowWhatProcessesUse(t *testing.T) {
	s := start(t, Config{SampleEvery: 50 * time.Millisecond})
	c := s.client(t, pathS)
	id := c.create()
	one := pathS + "/" + id
	c.sh(id, `( while :; do :; done ) > /dev/null 2>&1 & head -c 5000000 /dev/zero > big`)
	var got metricsAnswer
	wait(t, "a point shows a busy process", func() bool {
		c.want(http.StatusOK, "", http.MethodGet, one+"/metrics?range=5m", nil).json(t, &got)
		for _, p := range got.Points {
			if p.CPUPercent > 5 && p.MemBytes > 100_000 && p.DiskBytes >= 5_000_000 {
				return true
			}
		}
		return false
	})
	if got.SandboxID != id || got.Range != "5m" {
		t.Errorf("%+v", got)
	}
	c.want(http.StatusOK, "", http.MethodPost, one+"/pause", nil)
	var paused metricsAnswer
	c.want(http.StatusOK, "", http.MethodGet, one+"/metrics", nil).json(t, &paused)
	if len(paused.Points) == 0 || paused.Range != "10m" {
		t.Errorf("paused: %+v", paused)
	}
}

func TestMetricsRefusals(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour})
	c := s.client(t, pathC)
	id := c.create()
	one := pathC + "/" + id
	for _, r := range []string{"1m", "3h", "x"} {
		c.want(http.StatusBadRequest, "invalid_request", http.MethodGet, one+"/metrics?range="+r, nil)
	}
	var got metricsAnswer
	c.want(http.StatusOK, "", http.MethodGet, one+"/metrics?range=24h", nil).json(t, &got)
	if got.Points == nil || len(got.Points) != 0 {
		t.Errorf("%+v", got)
	}
	c.want(http.StatusNoContent, "", http.MethodDelete, one, nil)
	c.want(http.StatusNotFound, "not_found", http.MethodGet, one+"/metrics", nil)
}
