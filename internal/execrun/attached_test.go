package execrun

import (
	"bytes"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// attachedTo is an attempt to run a shell line on the stream itself.
func (w *world) attachedTo(line string) Attempt {
	a := w.attempt(Command{Args: []string{"sh", "-c", line}})
	a.Attached = true
	return a
}

func TestAttached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	text := strings.Repeat("some text\n", 130_000)
	w.upload("out", []byte(text))
	p := w.run(w.attachedTo("echo ran >>count; cat out; echo err >&2; exit 3"))
	if p.Exit.Kind != Exited || p.Exit.Code != 3 || p.PID == 0 || p.Stdout.Bytes != int64(len(text)) {
		t.Errorf("progress %+v, exit %+v", p, p.Exit)
	}
	w.wantStored(p, []byte(text), []byte("err\n"))
	if got := w.runs(); got != "ran\n" {
		t.Errorf("the command was run: %q", got)
	}
	if left := w.exec("ls", "-A"); strings.Contains(left, ".wrenn") {
		t.Errorf("the guest has %q", left)
	}
	w.runner.Ensure(w.attachedTo("true"), Clean)
	w.awaitPhase(Cleaned)
}

// Past the limit the beginning is kept: the end cannot be read again.
func TestAttachedPastItsLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	a := w.attachedTo("head -c 300000 /dev/zero | tr '\\0' a; printf end")
	a.LimitBytes = 100_000
	p := w.run(a)
	w.wantStored(p, bytes.Repeat([]byte("a"), 100_000), nil)
	if p.Truncated != 200_003 || !strings.HasSuffix(p.Stdout.Tail, "aend") {
		t.Errorf("%d truncated, %d bytes, tail of %d", p.Truncated, p.Stdout.Bytes, len(p.Stdout.Tail))
	}
}

// Whatever ends the stream without an exit code, the job says that it does not know, and the command is not run again.
func TestAttachedLosesItsStream(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*world, Attempt){
		"cut": func(w *world, a Attempt) {
			w.server.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultCut, Op: wrenndev.OpExecStream, Times: 1, Bytes: 200})
			w.runner.Ensure(a, Follow)
		},
		"the answer is lost": func(w *world, a Attempt) {
			w.server.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultDrop, Op: wrenndev.OpExecStream, Times: 1})
			w.runner.Ensure(a, Follow)
		},
		"the sandbox is paused": func(w *world, a Attempt) {
			w.runner.Ensure(a, Follow)
			w.await("output", func(p Progress) bool { return p.Stdout.Bytes > 0 })
			if _, err := w.sandbox.Pause(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
			if _, err := w.sandbox.Resume(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		},
		"another operator": func(w *world, a Attempt) {
			w.runner.Ensure(a, Follow)
			w.await("stored output", func(p Progress) bool { return len(p.ConfigMaps) > 0 })
			w.stop()
			w.startRunner(w.api)
			a.Resumed = true
			w.runner.Ensure(a, Follow)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			a := w.attachedTo("echo ran >>count; while :; do echo line; sleep 0.1; done")
			lose(w, a)
			p := w.awaitPhase(Finished)
			if p.Exit.Kind != StreamLost {
				t.Errorf("exit %+v", p.Exit)
			}
			w.stored(p.ConfigMaps)
			if name == "the answer is lost" {
				return // it may not have been started
			}
			if got := w.runs(); got != "ran\n" {
				t.Errorf("the command was run: %q", got)
			}
		})
	}
}

// A start that is refused for certain is tried again.
func TestAttachedIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	if _, err := w.sandbox.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := w.attachedTo("echo a")
	w.runner.Ensure(a, Follow)
	w.awaitPhase(Waiting)
	if _, err := w.sandbox.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantStored(w.run(a), []byte("a\n"), nil)
}

func TestAttachedIsStopped(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]wrenndev.Config{"S": {Generations: wrenndev.Sandboxes}, "C": {Generations: wrenndev.Capsules}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, config)
			a := w.attachedTo("trap 'echo bye; exit 9' TERM; echo a; while :; do sleep 0.05; done")
			w.runner.Ensure(a, Follow)
			w.await("output", func(p Progress) bool { return p.Stdout.Bytes == 2 })
			w.runner.Ensure(a, Stop)
			p := w.awaitPhase(Finished)
			if !p.Exit.Stopped || p.Exit.Code != 9 {
				t.Errorf("exit %+v", p.Exit)
			}
			w.wantStored(p, []byte("a\nbye\n"), nil)
		})
	}
}

// The open ConfigMap is changed and deleted by others. What is in memory is stored all the same.
func TestAttachedOutputThatIsDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	a := w.attachedTo("echo a; until [ -e go ]; do sleep 0.05; done; echo b; sleep 1.5; until [ -e on ]; do sleep 0.05; done; echo c")
	w.runner.Ensure(a, Follow)
	w.await("first ConfigMap", func(p Progress) bool { return len(p.ConfigMaps) == 1 })
	w.deleteParts(0)
	w.upload("go", nil)
	w.await("more", func(p Progress) bool { return p.Stdout.Bytes == 4 })
	var cm corev1.ConfigMap
	if err := w.api.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "job-output-0"}, &cm); err == nil {
		cm.Labels["somebody"] = "else"
		if err := w.api.Update(t.Context(), &cm); err != nil {
			t.Logf("not changed: %v", err)
		}
	}
	w.upload("on", nil)
	w.wantStored(w.run(a), []byte("a\nb\nc\n"), nil)
}

func TestAttachedEndsWithASignal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	p := w.run(w.attachedTo("kill -9 $$"))
	if p.Exit.Kind != Signaled || p.Exit.Code != 0 || p.Exit.Duration > patience {
		t.Errorf("exit %+v", p.Exit)
	}
}

func TestExitOf(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]Exit{
		0: {Kind: Exited}, 255: {Kind: Exited, Code: 255}, -1: {Kind: Signaled}, 256: {Kind: Unknown}, 1 << 40: {Kind: Unknown},
	} {
		if got := exitOf(code); got != want {
			t.Errorf("%d: %+v", code, got)
		}
	}
}
