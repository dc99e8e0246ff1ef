package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// What surprises in the life of a sandbox.
var trapChecks = []check{
	{name: "create-echoes-any-timeout", run: echoesTimeout},
	{name: "create-defaults", run: createDefaults},
	{name: "create-from-unknown-template", run: unknownTemplate},
	{name: "create-beyond-every-host", only: wrenn.GenerationCapsules, run: beyondHosts},
	{name: "create-abandoned", run: abandonedCreate},
	{name: "idle-pause", limit: 8 * time.Minute, run: idlePause},
	{name: "ping-prevents-idle-pause", run: pingPrevents},
}

// echoesTimeout: every number comes back as it was sent, from every call.
func echoesTimeout(p *probe) {
	const odd = -1987654321
	sandbox := p.create(p.c, wrenn.CreateSandboxRequest{TimeoutSec: odd})
	h := p.c.Sandbox(sandbox.ID)
	got, err := h.Get(p.ctx)
	p.ok(err)
	paused, err := h.Pause(p.ctx)
	p.ok(err)
	resumed, err := h.Resume(p.ctx)
	p.ok(err)
	listed, err := p.c.Sandboxes.List(p.ctx)
	p.ok(err)
	at := slices.IndexFunc(listed, func(s wrenn.Sandbox) bool { return s.ID == sandbox.ID })
	p.want(at >= 0, "the sandbox is not in the list")
	for what, one := range map[string]wrenn.Sandbox{"create": *sandbox, "get": *got, "pause": *paused, "resume": *resumed, "list": listed[at]} {
		p.want(one.TimeoutSec == odd, "%s tells a timeout of %d", what, one.TimeoutSec)
	}
	large := p.create(p.c, wrenn.CreateSandboxRequest{TimeoutSec: math.MaxInt32})
	p.want(large.TimeoutSec == math.MaxInt32, "the largest timeout comes back as %d", large.TimeoutSec)
}

func createDefaults(p *probe) {
	got := p.create(p.c, wrenn.CreateSandboxRequest{VCPUs: -1, MemoryMB: -1})
	p.want(got.Template == "minimal" && got.VCPUs == 1 && got.MemoryMB == 512, "the defaults are %+v", got)
	got = p.create(p.c, wrenn.CreateSandboxRequest{VCPUs: 2, MemoryMB: 1024})
	p.want(got.VCPUs == 2 && got.MemoryMB == 1024, "the size is %+v", got)
}

// unknownTemplate: a template that is not there makes no row.
func unknownTemplate(p *probe) {
	mark := p.mark()
	_, err := p.c.Sandboxes.Create(p.ctx, wrenn.CreateSandboxRequest{Template: p.name(), TimeoutSec: mark})
	p.refused(err, "an unknown template", wrenn.CodeNotFound)
	p.want(!wrenn.IsAmbiguous(err), "the refusal is called ambiguous")
	_, found := p.find(mark)
	p.want(!found, "there is a sandbox all the same")
}

// find looks for the sandbox with a mark.
func (p *probe) find(mark int32) (wrenn.Sandbox, bool) {
	listed, err := p.c.Sandboxes.List(p.ctx)
	p.ok(err)
	at := slices.IndexFunc(listed, func(s wrenn.Sandbox) bool { return s.TimeoutSec == mark })
	if at < 0 {
		return wrenn.Sandbox{}, false
	}
	return listed[at], true
}

// beyondHosts: memory that no host has is refused for want of a host.
func beyondHosts(p *probe) {
	ctx, cancel := p.steady()
	defer cancel()
	_, err := p.c.Sandboxes.Create(ctx, wrenn.CreateSandboxRequest{MemoryMB: math.MaxInt32, TimeoutSec: p.mark()})
	p.refused(err, "2 PiB of memory", wrenn.CodeNoHostsAvailable)
	p.want(wrenn.IsUnavailable(err), "the client does not see that no host can serve it")
}

// abandonedCreate: a client that goes away during a create leaves whatever it leaves: a row that stays pending, a sandbox
// that runs, or nothing. What there is shows in the list, and can be destroyed.
func abandonedCreate(p *probe) {
	left := map[wrenn.Status]int{}
	for _, patience := range []time.Duration{time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond} {
		mark := p.mark()
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		sandbox, err := p.c.Sandboxes.Create(ctx, wrenn.CreateSandboxRequest{TimeoutSec: mark})
		cancel()
		if err == nil {
			p.ok(p.c.Sandboxes.Destroy(p.ctx, sandbox.ID))
			continue
		}
		p.caused(err, context.DeadlineExceeded)
		found, ok := p.find(mark)
		if !ok {
			continue
		}
		p.want(wrenn.IsAmbiguous(err), "there is a sandbox, and the failure is not called ambiguous")
		p.want(found.Status == wrenn.StatusPending || found.Status == wrenn.StatusRunning, "it is %s", found.Status)
		left[found.Status]++
		p.ok(p.c.Sandboxes.Destroy(p.ctx, found.ID))
		p.is(p.c.Sandbox(found.ID), wrenn.StatusStopped)
	}
	p.note("left %d pending and %d running", left[wrenn.StatusPending], left[wrenn.StatusRunning])
}

// idlePause: neither an open stream nor the reading of files is activity. Until the control plane learns of the pause the
// answers disagree. Then the sandbox can be resumed.
func idlePause(p *probe) {
	sandbox := p.create(p.c, wrenn.CreateSandboxRequest{TimeoutSec: 8})
	h := p.c.Sandbox(sandbox.ID)
	s := p.stream(h, "/bin/sh", "-c", "while :; do echo; sleep 0.5; done")
	ended := make(chan followed, 1)
	go func() { ended <- follow(s) }()
	var last followed
	p.eventually(waitFor, "the stream ends", func() bool {
		p.inTheGap(h)
		select {
		case last = <-ended:
			return true
		default:
			return false
		}
	})
	p.caused(last.err, wrenn.ErrStreamLost)
	p.want(last.events[len(last.events)-1].Type == wrenn.StreamStdout, "the stream ends with %+v", last.events[len(last.events)-1])
	p.eventually(waitFor, "the sandbox is called paused", func() bool {
		p.inTheGap(h)
		return p.status(h) == wrenn.StatusPaused
	})
	_, err := h.Resume(p.ctx)
	p.ok(err)
	p.sh(h, "true")
}

// inTheGap asks what does not count as activity, and takes every answer that a pause can bring, noticed or not.
func (p *probe) inTheGap(h *wrenn.SandboxHandle) {
	_, err := h.Download(p.ctx, "/etc/hostname", 0)
	var e *wrenn.Error
	if errors.As(err, &e) && e.Code != "" {
		p.refused(err, "a download", wrenn.CodeNotFound, wrenn.CodeInvalidState, wrenn.CodeAgentError, wrenn.CodeNoHostsAvailable)
	}
	now := p.status(h)
	p.want(now == wrenn.StatusRunning || now == wrenn.StatusPaused, "the sandbox is %s", now)
}

// pingPrevents keeps a sandbox that nobody uses awake for several times its timeout.
func pingPrevents(p *probe) {
	sandbox := p.create(p.c, wrenn.CreateSandboxRequest{TimeoutSec: 5})
	h := p.c.Sandbox(sandbox.ID)
	end := time.Now().Add(12 * time.Second)
	p.eventually(waitFor, "the time passes", func() bool {
		p.ok(h.Ping(p.ctx))
		return time.Now().After(end)
	})
	p.is(h, wrenn.StatusRunning)
	p.sh(h, "true")
}
