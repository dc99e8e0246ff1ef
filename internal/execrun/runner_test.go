package execrun

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func TestRunToTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	p := w.run(w.attempt(Command{Script: "echo out; echo err >&2; exit 4"}))
	want := Progress{
		Phase: Finished, Stdout: StreamProgress{4, "out\n"}, Stderr: StreamProgress{4, "err\n"},
		ConfigMaps: []string{"job-output-0"}, Exit: &Exit{Kind: Exited, Code: 4},
	}
	if diff := cmp.Diff(want, p, cmpopts.IgnoreFields(Progress{}, "PID", "StartedAt"), cmpopts.IgnoreFields(Exit{}, "Duration")); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if p.PID == 0 || time.Since(p.StartedAt) > patience {
		t.Errorf("pid %d, started %s", p.PID, p.StartedAt)
	}
	w.wantStored(p, []byte("out\n"), []byte("err\n"))
	w.clean()
}

// clean has the launcher's files removed.
func (w *world) clean() {
	w.t.Helper()
	w.runner.Ensure(w.attempt(Command{}), Clean)
	w.awaitPhase(Cleaned)
	if left := strings.TrimSpace(w.exec("ls", "-A", guestRoot)); left != "" {
		w.t.Errorf("the guest has %q", left)
	}
}

func (w *world) exec(cmd string, args ...string) string {
	w.t.Helper()
	res, err := w.sandbox.Exec(w.t.Context(), wrenn.ExecRequest{Cmd: cmd, Args: args})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(res.Stdout)
}

func TestRunWithoutOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	p := w.run(w.attempt(Command{Args: []string{"true"}}))
	if p.ConfigMaps != nil || p.Exit.Code != 0 {
		t.Errorf("progress %+v", p)
	}
}

// The stream is cut again and again, at whatever byte.
func TestRunOverAStreamThatIsCut(t *testing.T) {
	t.Parallel()
	for _, generations := range []wrenndev.Generations{wrenndev.Sandboxes, wrenndev.Capsules} {
		t.Run(map[wrenndev.Generations]string{wrenndev.Sandboxes: "S", wrenndev.Capsules: "C"}[generations], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{Generations: generations})
			out, errs := noise(1, 1_500_000), noise(2, 100_000)
			w.upload("out", out)
			w.upload("err", errs)
			for i, cut := range []int{0, 1, 7, 30, 125_000, 5, 200_001, 400_000, 3, 77_777} {
				w.server.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultCut, Op: wrenndev.OpExecStream, Skip: i, Times: 1, Bytes: cut})
			}
			p := w.run(w.attempt(Command{Script: "echo ran >>count; cat out; cat err >&2"}))
			w.wantStored(p, out, errs)
			if got := w.runs(); got != "ran\n" {
				t.Errorf("the command was run: %q", got)
			}
			if left := w.server.Faults().Left(); left != 0 {
				t.Errorf("%d streams were not cut", left)
			}
		})
	}
}

// Every call fails once before and once after its effect, and its answer is lost once.
func TestRunOverCallsThatFail(t *testing.T) {
	t.Parallel()
	for _, op := range []string{wrenndev.OpExec, wrenndev.OpExecStream, wrenndev.OpUpload} {
		for _, kind := range []wrenndev.FaultKind{wrenndev.FaultFailBefore, wrenndev.FaultFailAfter, wrenndev.FaultDrop, wrenndev.FaultAbort} {
			t.Run(op+" "+string(kind), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, wrenndev.Config{})
				for skip := range 2 {
					w.server.Faults().Add(wrenndev.Fault{Kind: kind, Op: op, Skip: skip * 2, Times: 1})
				}
				p := w.run(w.attempt(Command{Script: "echo ran >>count; echo out"}))
				w.wantStored(p, []byte("out\n"), nil)
				w.clean()
				if got := w.runs(); got != "ran\n" {
					t.Errorf("the command was run: %q", got)
				}
			})
		}
	}
}

// A new operator knows nothing but what is stored.
func TestRunOverRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	script := "echo ran >>count; i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; echo end >&2"
	for range 8 {
		w.runner.Ensure(w.attempt(Command{Script: script}), Follow)
		w.await("new output", func(p Progress) bool { return p.PID != 0 && p.Stdout.Bytes > 0 })
		w.stop()
		w.startRunner(w.api)
	}
	p := w.run(w.attempt(Command{Script: script}))
	var want strings.Builder
	for i := range 60 {
		want.WriteString("line " + strconv.Itoa(i) + "\n")
	}
	w.wantStored(p, []byte(want.String()), []byte("end\n"))
	if got := w.runs(); got != "ran\n" {
		t.Errorf("the command was run: %q", got)
	}
	if p.Stdout.Tail != want.String() {
		t.Errorf("tail %q", p.Stdout.Tail)
	}
}

// A sandbox that does not run is waited for; one that is gone is not.
func TestRunInASandboxThatIsPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	a := w.attempt(Command{Script: "echo a; until [ -e go ]; do sleep 0.05; done; echo b"})
	w.runner.Ensure(a, Follow)
	w.await("output", func(p Progress) bool { return p.Stdout.Bytes == 2 })
	if _, err := w.sandbox.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.awaitPhase(Waiting)
	if _, err := w.sandbox.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.upload("go", nil)
	a.SandboxVersion = "resumed"
	w.wantStored(w.run(a), []byte("a\nb\n"), nil)
}

// A sandbox that is known to be paused is let be until it is known to run.
func TestRunLeavesASandboxThatIsAsleep(t *testing.T) {
	t.Parallel()
	for name, goal := range map[string]Goal{"followed": Follow, "to be stopped": Stop, "to be discarded": Discard} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			a := w.attempt(Command{Script: "echo a; until [ -e go ]; do sleep 0.05; done"})
			w.runner.Ensure(a, Follow)
			w.await("output", func(p Progress) bool { return p.Stdout.Bytes == 2 })
			if _, err := w.sandbox.Pause(t.Context()); err != nil {
				t.Fatal(err)
			}
			a.SandboxVersion, a.Asleep = "paused", true
			w.runner.Ensure(a, goal)
			w.awaitPhase(Waiting)
			calls := w.callsTo(w.sandbox)
			for range 100 {
				w.runner.Ensure(a, goal)
			}
			w.awaitLooks()
			if more := w.callsTo(w.sandbox) - calls; more > 0 {
				t.Errorf("%d calls", more)
			}
			if _, err := w.sandbox.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.upload("go", nil)
			a.SandboxVersion, a.Asleep = "resumed", false
			w.runner.Ensure(a, goal)
			w.await("the end", func(p Progress) bool { return p.Phase == Finished || p.Phase == Cleaned })
		})
	}
}

// callsTo counts the calls to a sandbox.
func (w *world) callsTo(sandbox *wrenn.SandboxHandle) (n int) {
	for _, request := range w.server.Requests() {
		if request.Sandbox == sandbox.ID() {
			n++
		}
	}
	return n
}

// awaitLooks waits until the runner has looked again and again at a sandbox that is paused, and not known to be.
func (w *world) awaitLooks() {
	w.t.Helper()
	other, spec := w.newSandbox(0), w.attempt(Command{Script: "true"})
	if _, err := other.Pause(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	spec.Job.UID = "another"
	spec.Sandbox = func(context.Context) (*wrenn.SandboxHandle, error) { return other, nil }
	w.runner.Ensure(spec, Follow)
	eventually(w.t, func() error {
		if n := w.callsTo(other); n < 10 {
			return fmt.Errorf("%d calls", n)
		}
		return nil
	})
}

func TestRunInASandboxThatIsDestroyed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.runner.Ensure(w.attempt(Command{Script: "echo a; sleep 1000"}), Follow)
	w.await("output", func(p Progress) bool { return p.Stdout.Bytes == 2 })
	if err := w.sandbox.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.awaitPhase(Lost)
}

func TestRunKeepsTheSandboxAwake(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.sandbox = w.newSandbox(5)
	a := w.attempt(Command{Script: "sleep 8"})
	a.PingInterval = time.Second
	// Nobody resumes the sandbox: were it paused, the command would never end.
	w.run(a)
	for _, request := range w.server.Requests() {
		if request.Op == wrenndev.OpResume {
			t.Error("the sandbox was resumed")
		}
	}
}

func TestStopAndDiscard(t *testing.T) {
	t.Parallel()
	for _, goal := range []Goal{Stop, Discard} {
		t.Run(map[Goal]string{Stop: "stop", Discard: "discard"}[goal], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			// What a shell says of the children that are ended is no part of this.
			a := w.attempt(Command{Script: "exec 2>/dev/null; (setsid sleep 1000 &) ; trap 'echo bye; exit 9' TERM; echo a; while :; do sleep 0.05; done"})
			w.runner.Ensure(a, Follow)
			w.await("output", func(p Progress) bool { return p.Stdout.Bytes == 2 })
			w.runner.Ensure(a, goal)
			if goal == Discard {
				w.awaitPhase(Cleaned)
				w.clean()
			} else {
				p := w.awaitPhase(Finished)
				if !p.Stopped || !p.Exit.Stopped || p.Exit.Code != 9 {
					t.Errorf("progress %+v, exit %+v", p, p.Exit)
				}
				w.wantStored(p, []byte("a\nbye\n"), nil)
			}
			if got := w.exec("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"); strings.Contains(got, "sleep 100") {
				t.Errorf("processes are left: %s", got)
			}
		})
	}
}

// A discard before the start leaves nothing that could start.
func TestDiscardBeforeTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.runner.Ensure(w.attempt(Command{Script: "echo ran >count"}), Discard)
	w.awaitPhase(Cleaned)
	w.clean()
}

func TestStartFailsWhereTheGuestCannot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.upload(".wrenn", []byte("in the way"))
	w.runner.Ensure(w.attempt(Command{Script: "echo ran"}), Follow)
	p := w.awaitPhase(StartFailed)
	if p.Exit != nil || !strings.Contains(p.Message, "directory") {
		t.Errorf("progress %+v", p)
	}
}

// A command that removes the launcher's files cannot make it start again.
func TestRunThatRemovesItsFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	p := w.run(w.attempt(Command{Script: "echo ran >>count; echo a; until [ -e go ]; do sleep 0.05; done; rm -rf .wrenn"}).after(w))
	if p.Exit.Kind != Unknown {
		t.Errorf("exit %+v", p.Exit)
	}
	if got := w.runs(); got != "ran\n" {
		t.Errorf("the command was run: %q", got)
	}
}

// Nor can one that is faster than the first look at it.
func TestRunThatRemovesItsFilesAtOnce(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]wrenndev.Fault{
		"undisturbed": nil,
		"unseen": {
			{Kind: wrenndev.FaultCut, Op: wrenndev.OpExecStream, Times: 1},
			{Kind: wrenndev.FaultDelay, Op: wrenndev.OpExec, Skip: 1, Times: 1, Latency: wrenndev.Millis(2 * time.Second)},
		},
		"the answer is lost": {
			{Kind: wrenndev.FaultDrop, Op: wrenndev.OpExecStream, Times: 1},
			{Kind: wrenndev.FaultDelay, Op: wrenndev.OpExec, Skip: 1, Times: 1, Latency: wrenndev.Millis(2 * time.Second)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			for _, fault := range faults {
				w.server.Faults().Add(fault)
			}
			p := w.run(w.attempt(Command{Script: "echo ran >>count; rm -rf .wrenn"}))
			if p.Exit.Kind != Unknown {
				t.Errorf("exit %+v", p.Exit)
			}
			if got := w.runs(); got != "ran\n" {
				t.Errorf("the command was run: %q", got)
			}
		})
	}
}

// after lets the command go on once it is known to have been started.
func (s Attempt) after(w *world) Attempt {
	w.runner.Ensure(s, Follow)
	w.await("start", func(p Progress) bool { return p.PID != 0 })
	w.upload("go", nil)
	return s
}
