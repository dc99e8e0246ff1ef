package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var processChecks = []check{
	{name: "exec-background", only: wrenn.GenerationCapsules, run: execBackground},
	{name: "exec-background-refusals", only: wrenn.GenerationCapsules, run: execBackgroundRefusals},
	{name: "listCapsuleProcesses", only: wrenn.GenerationCapsules, run: listProcesses},
	{name: "killCapsuleProcess", only: wrenn.GenerationCapsules, run: killProcess},
	{name: "kill-names-what-the-daemon-started", only: wrenn.GenerationCapsules, run: killUnknown},
	{name: "tags-are-not-unique", only: wrenn.GenerationCapsules, run: sameTag},
	{name: "streamCapsuleProcess", only: wrenn.GenerationCapsules, run: streamProcess},
	{name: "process-stream-repeats-nothing", only: wrenn.GenerationCapsules, run: streamProcessLive},
	{name: "process-stream-of-nothing", only: wrenn.GenerationCapsules, run: streamNoProcess},
	{name: "what-generation-sandboxes-lacks", only: wrenn.GenerationSandboxes, run: lacks},
}

func (p *probe) background(h *wrenn.SandboxHandle, req wrenn.BackgroundRequest) *wrenn.BackgroundProcess {
	got, err := h.ExecBackground(p.ctx, req)
	p.ok(err)
	p.want(got.PID > 0 && got.Tag != "", "the answer is %+v", got)
	return got
}

// loop is a command that goes on until it is ended.
func loop() wrenn.BackgroundRequest {
	return wrenn.BackgroundRequest{Cmd: "/bin/sh", Args: []string{"-c", "while :; do echo tick; sleep 0.1; done"}, Tag: "job"}
}

func (p *probe) processes(h *wrenn.SandboxHandle) []wrenn.Process {
	listed, err := h.Processes(p.ctx)
	p.ok(err)
	return listed
}

func (p *probe) lives(h *wrenn.SandboxHandle, pid int) bool {
	return slices.ContainsFunc(p.processes(h), func(process wrenn.Process) bool { return process.PID == pid })
}

func execBackground(p *probe) {
	h := p.sandbox()
	got := p.background(h, wrenn.BackgroundRequest{
		Cmd: "/bin/sh", Args: []string{"-c", `echo "$CONFORMANCE in $PWD" > "$HOME/told"; sleep 60`}, Tag: "job",
		Env: map[string]string{"CONFORMANCE": "set"}, Dir: "/tmp",
	})
	p.want(got.Tag == "job", "the tag is %q", got.Tag)
	p.eventually(waitFor, "the command tells where it is", func() bool { return p.sh(h, "cat told 2>/dev/null || true") == "set in /tmp\n" })
	got = p.background(h, wrenn.BackgroundRequest{Cmd: "sleep", Args: []string{"60"}})
	p.want(strings.HasPrefix(got.Tag, "proc-"), "without a tag it is %q", got.Tag)
	// A command that is not there is started all the same.
	p.background(h, wrenn.BackgroundRequest{Cmd: "no-such-command"})
}

func execBackgroundRefusals(p *probe) {
	h := p.sandbox()
	_, err := h.ExecBackground(p.ctx, wrenn.BackgroundRequest{Cmd: "true", Dir: "/no/such/directory"})
	p.refused(err, "a directory that is not there", wrenn.CodeAgentError)
	p.turnedAway(p.send("POST", p.sandboxes(h.ID(), "exec"), `{"background":true}`), "no command", 400, wrenn.CodeInvalidRequest)
	_, err = p.c.Sandbox("cl-"+absent).ExecBackground(p.ctx, wrenn.BackgroundRequest{Cmd: "true"})
	p.refused(err, "an unknown sandbox", wrenn.CodeNotFound)
	p.ok(h.Destroy(p.ctx))
	_, err = h.ExecBackground(p.ctx, wrenn.BackgroundRequest{Cmd: "true"})
	p.refused(err, "a destroyed sandbox", wrenn.CodeInvalidState)
}

// listProcesses has what lives, however it was started, and forgets what has ended.
func listProcesses(p *probe) {
	h := p.sandbox()
	job := p.background(h, loop())
	s := p.stream(h, "sleep", "60")
	listed := p.processes(h)
	at := slices.IndexFunc(listed, func(process wrenn.Process) bool { return process.PID == job.PID })
	p.want(at >= 0 && listed[at].Tag == "job" && listed[at].Cmd != "", "the job is not in %+v", listed)
	p.want(p.lives(h, s.PID()), "the stream's command is not in %+v", listed)
	short := p.background(h, wrenn.BackgroundRequest{Cmd: "true"})
	p.eventually(waitFor, "an ended process is forgotten", func() bool { return !p.lives(h, short.PID) })
	_, err := p.c.Sandbox("cl-" + absent).Processes(p.ctx)
	p.refused(err, "the processes of an unknown sandbox", wrenn.CodeNotFound)
	p.ok(h.Destroy(p.ctx))
	_, err = h.Processes(p.ctx)
	p.refused(err, "the processes of a destroyed sandbox", wrenn.CodeInvalidState)
}

func killProcess(p *probe) {
	h := p.sandbox()
	trap := wrenn.BackgroundRequest{Cmd: "/bin/sh", Args: []string{"-c", `trap "touch asked; exit 0" TERM; touch armed; while :; do sleep 0.1; done`}, Tag: "job"}
	job := p.background(h, trap)
	p.eventually(waitFor, "the trap is set", func() bool { return p.exec(h, "test", "-e", "armed").ExitCode == 0 })
	p.ok(h.KillProcess(p.ctx, wrenn.ByTag("job"), wrenn.SIGTERM))
	p.eventually(waitFor, "SIGTERM ends the process", func() bool { return !p.lives(h, job.PID) })
	p.sh(h, "test -e asked && rm asked")
	for _, signal := range []wrenn.Signal{"", wrenn.SIGKILL} {
		job = p.background(h, trap)
		p.ok(h.KillProcess(p.ctx, wrenn.ByPID(job.PID), signal))
		p.eventually(waitFor, "SIGKILL ends the process", func() bool { return !p.lives(h, job.PID) })
		p.sh(h, "test ! -e asked")
	}
	// Whatever else is asked for is SIGKILL.
	job = p.background(h, trap)
	a := p.send(http.MethodDelete, p.sandboxes(h.ID(), "processes", job.Tag)+"?signal=SIGUSR1", "")
	p.want(a.status == 204, "an unknown signal: HTTP %d %s", a.status, a.code())
	p.eventually(waitFor, "an unknown signal ends the process", func() bool { return !p.lives(h, job.PID) })
}

func killUnknown(p *probe) {
	h := p.sandbox()
	p.refused(h.KillProcess(p.ctx, wrenn.ByTag("no-such-tag"), ""), "an unknown tag", wrenn.CodeNotFound)
	p.refused(h.KillProcess(p.ctx, wrenn.ByPID(1), ""), "the pid 1", wrenn.CodeNotFound)
	p.background(h, wrenn.BackgroundRequest{Cmd: "/bin/sh", Args: []string{"-c", "sleep 60 & echo $! > child; wait"}})
	p.eventually(waitFor, "the child runs", func() bool { return p.exec(h, "test", "-s", "child").ExitCode == 0 })
	child := strings.TrimSpace(p.sh(h, "cat child"))
	a := p.send(http.MethodDelete, p.sandboxes(h.ID(), "processes", child), "")
	p.turnedAway(a, "a child", 404, wrenn.CodeNotFound)
	p.sh(h, "kill -0 "+child)
	// A tag of digits is taken for a pid.
	a = p.send("POST", p.sandboxes(h.ID(), "exec"), `{"cmd":"sleep","args":["60"],"background":true,"tag":"4000000"}`)
	p.want(a.status == 202, "a tag of digits: HTTP %d %s", a.status, a.code())
	p.turnedAway(p.send(http.MethodDelete, p.sandboxes(h.ID(), "processes", "4000000"), ""), "a tag of digits", 404, wrenn.CodeNotFound)
	p.caused(h.KillProcess(p.ctx, wrenn.ByTag("4000000"), ""), wrenn.ErrInvalidArgument)
}

func sameTag(p *probe) {
	h := p.sandbox()
	first, second := p.background(h, loop()), p.background(h, loop())
	p.want(first.PID != second.PID, "both have pid %d", first.PID)
	p.want(p.lives(h, first.PID) && p.lives(h, second.PID), "one of two with the same tag is gone")
	p.ok(h.KillProcess(p.ctx, wrenn.ByTag("job"), ""))
	p.eventually(waitFor, "one of the two is ended", func() bool { return p.lives(h, first.PID) != p.lives(h, second.PID) })
}

// streamProcess: several may listen, and each hears the end.
func streamProcess(p *probe) {
	h := p.sandbox()
	job := p.background(h, loop())
	var readers []*wrenn.ExecStream
	for _, which := range []wrenn.ProcessSelector{wrenn.ByTag("job"), wrenn.ByPID(job.PID)} {
		s, err := h.ProcessStream(p.ctx, which)
		p.ok(err)
		p.later(func(context.Context) error { return s.Close() })
		p.want(s.PID() == job.PID, "the stream is of pid %d, want %d", s.PID(), job.PID)
		readers = append(readers, s)
	}
	heard := make(chan followed, len(readers))
	ticked := make(chan bool, len(readers))
	for _, s := range readers {
		go func() { heard <- followUntil(s, ticked) }()
	}
	for range readers {
		select {
		case <-ticked:
		case <-p.ctx.Done():
			p.fail("a listener hears nothing")
		}
	}
	p.ok(h.KillProcess(p.ctx, wrenn.ByTag("job"), ""))
	for range readers {
		got := <-heard
		p.ok(got.err)
		p.want(got.code == -1 && strings.HasPrefix(got.stdout, "tick\n"), "a listener hears %q and code %d", got.stdout, got.code)
	}
}

// followUntil is follow, and tells of the first output.
func followUntil(s *wrenn.ExecStream, ticked chan<- bool) followed {
	var f followed
	for event, err := range s.Events() {
		switch {
		case err != nil:
			f.err = err
		case event.Type == wrenn.StreamStdout:
			if f.stdout == "" {
				ticked <- true
			}
			f.stdout += event.Data
		case event.Type == wrenn.StreamExit:
			f.code = event.ExitCode
		}
	}
	return f
}

func streamProcessLive(p *probe) {
	h := p.sandbox()
	p.background(h, wrenn.BackgroundRequest{
		Cmd: "/bin/sh", Args: []string{"-c", "echo early; touch told; while [ ! -e go ]; do sleep 0.1; done; echo late"}, Tag: "job",
	})
	p.eventually(waitFor, "the process has told something", func() bool { return p.exec(h, "test", "-e", "told").ExitCode == 0 })
	s, err := h.ProcessStream(p.ctx, wrenn.ByTag("job"))
	p.ok(err)
	p.sh(h, "touch go")
	got := follow(s)
	p.ok(got.err)
	p.want(got.stdout == "late\n" && got.code == 0, "a late listener hears %q and code %d", got.stdout, got.code)
}

// streamNoProcess: a process that is not there is told of by saying nothing.
func streamNoProcess(p *probe) {
	h := p.sandbox()
	for _, selector := range []string{"no-such-tag", "4000000"} {
		conn := p.dial(p.sandboxes(h.ID(), "processes", selector, "stream"), p.withKey())
		said, _ := p.hear(conn)
		_ = conn.CloseNow()
		p.ok(p.ctx.Err())
		p.want(len(said) == 0, "%s is answered with %+v", selector, said)
	}
	_, err := h.ProcessStream(p.ctx, wrenn.ByTag("no-such-tag"))
	p.caused(err, wrenn.ErrProcessNotFound)
	begun := time.Now()
	job := p.background(h, wrenn.BackgroundRequest{Cmd: "true"})
	p.eventually(waitFor, "the process ends", func() bool { return !p.lives(h, job.PID) })
	_, err = h.ProcessStream(p.ctx, wrenn.ByPID(job.PID))
	p.caused(err, wrenn.ErrProcessNotFound)
	p.note("within %s", time.Since(begun).Round(time.Second))
	p.turnedAway(p.send("GET", p.sandboxes("cl-x", "processes", "1", "stream"), ""), "a malformed id", 400, wrenn.CodeInvalidRequest)
}

// lacks: what only generation Capsules has is refused by the client, and the server has no such route.
func lacks(p *probe) {
	h := p.c.Sandbox("cl-" + absent)
	_, err := h.ExecBackground(p.ctx, wrenn.BackgroundRequest{Cmd: "true"})
	p.caused(err, wrenn.ErrUnsupported)
	_, err = h.Processes(p.ctx)
	p.caused(err, wrenn.ErrUnsupported)
	_, err = h.OpenPty(p.ctx, wrenn.PtyRequest{})
	p.caused(err, wrenn.ErrUnsupported)
	_, err = h.ListFiles(p.ctx, "/", 1)
	p.caused(err, wrenn.ErrUnsupported)
	_, err = p.c.Sandboxes.Usage(p.ctx, time.Time{}, time.Time{})
	p.caused(err, wrenn.ErrUnsupported)
	a := p.send("GET", p.sandboxes("cl-"+absent, "processes"), "")
	p.want(a.status == 404 && a.code() == "", "the route of the processes: HTTP %d %s", a.status, a.code())
}
