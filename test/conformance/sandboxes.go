package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var sandboxChecks = []check{
	{name: "createSandbox", run: createSandbox},
	{name: "listSandboxes", run: listSandboxes},
	{name: "getSandbox", run: getSandbox},
	{name: "destroySandbox", run: destroySandbox},
	{name: "pauseSandbox", run: pauseSandbox},
	{name: "resumeSandbox", run: resumeSandbox},
	{name: "pingSandbox", run: pingSandbox},
	{name: "getSandboxMetrics", run: sandboxMetrics},
	{name: "getSandboxStats", run: sandboxStats},
	{name: "getCapsuleUsage", only: wrenn.GenerationCapsules, run: sandboxUsage},
	{name: "wait-ready", run: waitReady},
	{name: "with-sandbox", run: withSandbox},
}

func createSandbox(p *probe) {
	mark := p.mark()
	got := p.create(p.c, wrenn.CreateSandboxRequest{Template: "minimal", VCPUs: 1, MemoryMB: 512, TimeoutSec: mark})
	p.want(wrenn.ValidSandboxID(got.ID), "the id is %q", got.ID)
	p.want(got.Status == wrenn.StatusRunning, "the answer comes with status %s", got.Status)
	p.want(got.Template == "minimal" && got.VCPUs == 1 && got.MemoryMB == 512 && got.TimeoutSec == mark, "not as asked for: %+v", got)
	p.want(!got.CreatedAt.IsZero() && !got.StartedAt.IsZero() && !got.LastUpdatedAt.IsZero(), "a time is missing: %+v", got)
	p.want(!got.StartedAt.Before(got.CreatedAt), "it started at %s and was created at %s", got.StartedAt, got.CreatedAt)
}

func listSandboxes(p *probe) {
	first, second := p.sandbox(), p.sandbox()
	listed, err := p.c.Sandboxes.List(p.ctx)
	p.ok(err)
	at := func(id string) int {
		return slices.IndexFunc(listed, func(s wrenn.Sandbox) bool { return s.ID == id })
	}
	p.want(at(first.ID()) >= 0 && at(second.ID()) >= 0, "a sandbox is not in the list")
	p.want(at(second.ID()) < at(first.ID()), "the older sandbox comes first")
	p.ok(first.Destroy(p.ctx))
	listed, err = p.c.Sandboxes.List(p.ctx)
	p.ok(err)
	p.want(at(first.ID()) < 0, "a destroyed sandbox is in the list")
}

func getSandbox(p *probe) {
	made := p.create(p.c, wrenn.CreateSandboxRequest{})
	got, err := p.c.Sandboxes.Get(p.ctx, made.ID)
	p.ok(err)
	p.want(got.ID == made.ID && got.Template == made.Template && got.VCPUs == made.VCPUs && got.MemoryMB == made.MemoryMB &&
		got.TimeoutSec == made.TimeoutSec && got.CreatedAt.Equal(made.CreatedAt), "got %+v, created %+v", got, made)
	_, err = p.c.Sandboxes.Get(p.ctx, "cl-"+absent)
	p.refused(err, "getting an unknown sandbox", wrenn.CodeNotFound)
}

func destroySandbox(p *probe) {
	h := p.sandbox()
	for range 3 {
		p.ok(h.Destroy(p.ctx))
		p.is(h, wrenn.StatusStopped)
	}
	paused := p.sandbox()
	_, err := paused.Pause(p.ctx)
	p.ok(err)
	p.ok(paused.Destroy(p.ctx))
	p.is(paused, wrenn.StatusStopped)
	p.refused(p.c.Sandboxes.Destroy(p.ctx, "cl-"+absent), "destroying an unknown sandbox", wrenn.CodeNotFound)
	p.note("from running, paused and stopped")
}

func pauseSandbox(p *probe) {
	h := p.sandbox()
	got, err := h.Pause(p.ctx)
	p.ok(err)
	p.want(got.Status == wrenn.StatusPaused, "the answer comes with status %s", got.Status)
	p.is(h, wrenn.StatusPaused)
	listed, err := p.c.Sandboxes.List(p.ctx)
	p.ok(err)
	p.want(slices.ContainsFunc(listed, func(s wrenn.Sandbox) bool { return s.ID == h.ID() }), "a paused sandbox is not in the list")
	_, err = h.Pause(p.ctx)
	p.refused(err, "pausing a paused sandbox", wrenn.CodeInvalidState)
	_, err = h.Exec(p.ctx, wrenn.ExecRequest{Cmd: "true"})
	p.refused(err, "a command in a paused sandbox", wrenn.CodeInvalidState)
	p.refused(h.Ping(p.ctx), "pinging a paused sandbox", wrenn.CodeInvalidState)
	_, err = h.Download(p.ctx, "/etc/passwd", 0)
	p.refused(err, "reading a file of a paused sandbox", wrenn.CodeInvalidState)
}

// resumeSandbox looks whether what ran goes on.
func resumeSandbox(p *probe) {
	made := p.create(p.c, wrenn.CreateSandboxRequest{})
	h := p.c.Sandbox(made.ID)
	p.sh(h, `echo kept > kept; (while :; do echo >> ticks; sleep 0.1; done) >/dev/null 2>&1 & echo $! > pid`)
	_, err := h.Resume(p.ctx)
	p.refused(err, "resuming a running sandbox", wrenn.CodeInvalidState)
	_, err = h.Pause(p.ctx)
	p.ok(err)
	got, err := h.Resume(p.ctx)
	p.ok(err)
	p.want(got.Status == wrenn.StatusRunning, "the answer comes with status %s", got.Status)
	p.want(got.CreatedAt.Equal(made.CreatedAt), "created_at has changed")
	p.want(!got.StartedAt.Before(made.StartedAt), "started_at has gone back")
	p.is(h, wrenn.StatusRunning)
	p.want(p.sh(h, "cat kept") == "kept\n", "the file is not as it was")
	p.sh(h, "kill -0 $(cat pid)")
	count := func() string { return p.sh(h, "wc -l < ticks") }
	begin := count()
	p.eventually(waitFor, "the process goes on", func() bool { return count() != begin })
}

func pingSandbox(p *probe) {
	h := p.sandbox()
	before, err := h.Get(p.ctx)
	p.ok(err)
	p.ok(h.Ping(p.ctx))
	after, err := h.Get(p.ctx)
	p.ok(err)
	p.want(!after.LastActiveAt.Before(before.LastActiveAt), "last_active_at has gone back")
	p.ok(h.Destroy(p.ctx))
	p.refused(h.Ping(p.ctx), "pinging a destroyed sandbox", wrenn.CodeInvalidState)
	p.refused(p.c.Sandbox("cl-"+absent).Ping(p.ctx), "pinging an unknown sandbox", wrenn.CodeNotFound)
}

func sandboxMetrics(p *probe) {
	h := p.sandbox()
	p.exec(h, "true")
	ranges := []wrenn.MetricsRange{
		"", wrenn.Range5m, wrenn.Range10m, wrenn.Range1h, wrenn.Range2h, wrenn.Range6h, wrenn.Range12h, wrenn.Range24h,
	}
	for _, r := range ranges {
		_, err := h.Metrics(p.ctx, r)
		p.ok(err)
	}
	var last *wrenn.Metrics
	p.eventually(waitFor, "there is a measurement", func() bool {
		var err error
		last, err = h.Metrics(p.ctx, wrenn.Range5m)
		p.ok(err)
		return len(last.Points) > 0
	})
	for i, point := range last.Points {
		p.want(i == 0 || !point.Time.Before(last.Points[i-1].Time), "the points are not in order of time")
		p.want(point.CPUPercent >= 0 && point.MemoryBytes >= 0 && point.DiskBytes >= 0, "a point is %+v", point)
	}
	p.turnedAway(p.send("GET", p.sandboxes(h.ID(), "metrics")+"?range=7m", ""), "an unknown range", 400, wrenn.CodeInvalidRequest)
	_, err := h.Pause(p.ctx)
	p.ok(err)
	_, err = h.Metrics(p.ctx, "")
	p.ok(err)
	p.ok(h.Destroy(p.ctx))
	_, err = h.Metrics(p.ctx, "")
	p.refused(err, "metrics of a destroyed sandbox", wrenn.CodeNotFound)
}

func sandboxStats(p *probe) {
	for _, r := range []wrenn.StatsRange{"", wrenn.Stats5m, wrenn.Stats1h, wrenn.Stats6h, wrenn.Stats24h, wrenn.Stats30d} {
		got, err := p.c.Sandboxes.Stats(p.ctx, r)
		p.ok(err)
		for _, sample := range append([]wrenn.StatsSample{got.Current, got.Peaks}, got.Series...) {
			p.want(sample.Running >= 0 && sample.VCPUs >= 0 && sample.MemoryMB >= 0, "a sample is %+v", sample)
		}
	}
	p.turnedAway(p.send("GET", p.sandboxes("stats")+"?range=7m", ""), "an unknown range", 400, wrenn.CodeInvalidRequest)
}

func sandboxUsage(p *probe) {
	got, err := p.c.Sandboxes.Usage(p.ctx, time.Time{}, time.Time{})
	p.ok(err)
	days := got.To.Sub(got.From).Hours() / 24
	p.want(days >= 28 && days <= 31, "without a span it is that of %v days", days)
	to := got.To
	got, err = p.c.Sandboxes.Usage(p.ctx, to.AddDate(0, 0, -7), to)
	p.ok(err)
	p.want(got.From.Equal(to.AddDate(0, 0, -7)) && got.To.Equal(to), "asked for 7 days to %s, got %s to %s", to, got.From, got.To)
	for _, point := range got.Points {
		p.want(!point.Day.Before(got.From) && !point.Day.After(got.To), "a point of %s is outside", point.Day)
	}
	p.turnedAway(p.send("GET", p.sandboxes("usage")+"?from=2026-01-01&to=2026-12-31", ""), "a span of a year", 400, wrenn.CodeInvalidRequest)
}

func waitReady(p *probe) {
	h := p.sandbox()
	_, err := h.WaitReady(p.ctx)
	p.ok(err)
	_, err = h.Pause(p.ctx)
	p.ok(err)
	_, err = h.WaitReady(p.ctx)
	p.caused(err, wrenn.ErrPaused)
	p.ok(h.Destroy(p.ctx))
	_, err = h.WaitReady(p.ctx)
	p.caused(err, wrenn.ErrFinal)
}

func withSandbox(p *probe) {
	ctx, cancel := p.steady()
	defer cancel()
	errUse := errors.New("of the use")
	var used *wrenn.SandboxHandle
	err := p.c.WithSandbox(ctx, wrenn.CreateSandboxRequest{TimeoutSec: p.mark()}, func(ctx context.Context, h *wrenn.SandboxHandle) error {
		used = h
		_, err := h.Exec(ctx, wrenn.ExecRequest{Cmd: "true"})
		return errors.Join(errUse, err)
	})
	p.caused(err, errUse)
	p.want(used != nil, "there was no sandbox")
	p.is(used, wrenn.StatusStopped)
}
