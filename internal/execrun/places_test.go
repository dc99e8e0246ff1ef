package execrun

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// another is an attempt of another job.
func (w *world) another(name string, c Command) Attempt {
	a := w.attempt(c)
	a.Job = Job{NamespacedName: types.NamespacedName{Namespace: w.namespace, Name: name}, UID: uuid.NewUUID()}
	return a
}

func (w *world) awaitJob(a Attempt, what string, wanted func(Progress) bool) Progress {
	w.t.Helper()
	w.job = a.Job
	return w.await(what, wanted)
}

func finished(p Progress) bool { return p.Phase == Finished }

// With one stream for all, a job whose command never ends keeps no other from being run, and loses nothing itself.
func TestCommandsTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	long := w.another("long", Command{Script: "i=0; until [ -e go ]; do echo $i; i=$((i+1)); sleep 0.02; done; echo $i >last"})
	w.runner.Ensure(long, Follow)
	w.awaitJob(long, "start", func(p Progress) bool { return p.PID != 0 })
	for i := range 3 {
		short := w.another(fmt.Sprint("short-", i), Command{Script: "echo done"})
		w.runner.Ensure(short, Follow)
		if p, _ := w.runner.Progress(short.Job.UID, 1); i == 0 && p.Phase != Finished && p.PID == 0 && p.Reason != "" && p.Reason != v1alpha1.ReasonQueued {
			t.Errorf("progress %+v", p)
		}
		w.awaitJob(short, "end", finished)
	}
	w.upload("go", nil)
	p := w.awaitJob(long, "end", finished)
	var want []byte
	for i := range atoi(t, w.exec("cat", "last")) {
		want = fmt.Appendln(want, i)
	}
	w.wantStored(p, want, nil)
}

// A command that writes without a pause, far more than is stored, delays no other in its sandbox.
func TestChattyCommandDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	line := strings.Repeat("x", 1000)
	chatty := w.another("chatty", Command{Script: "until [ -e go ]; do echo " + line + "; done"})
	chatty.Streams, chatty.LimitBytes = 2, 1<<20
	w.runner.Ensure(chatty, Follow)
	w.awaitJob(chatty, "more than is stored", func(p Progress) bool { return p.Stdout.Bytes > chatty.LimitBytes })
	for i := range 3 {
		short := w.another(fmt.Sprint("short-", i), Command{Script: "echo done"})
		short.Streams = 2
		w.runner.Ensure(short, Follow)
		w.wantStored(w.awaitJob(short, "end", finished), []byte("done\n"), nil)
		if p, _ := w.runner.Progress(chatty.Job.UID, 1); p.Exit != nil {
			t.Errorf("the other has ended: %+v", p)
		}
	}
	w.upload("go", nil)
	p := w.awaitJob(chatty, "end", finished)
	got := w.stored(p.ConfigMaps)[stdout]
	if int64(len(got)) != chatty.LimitBytes || p.Truncated != p.Stdout.Bytes-chatty.LimitBytes {
		t.Errorf("%d bytes are stored of %d, without %d", len(got), p.Stdout.Bytes, p.Truncated)
	}
	if half := got[:chatty.LimitBytes/2]; !bytes.HasPrefix(bytes.Repeat([]byte(line+"\n"), len(half)/len(line)), half) {
		t.Error("the beginning is not what was written")
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// blockedAttempt has the only place, and keeps it until it is forgotten.
func (w *world) blockedAttempt() Attempt {
	w.t.Helper()
	blocked, entered := w.another("blocked", Command{Script: "true"}), make(chan struct{})
	blocked.Sandbox = func(ctx context.Context) (*wrenn.SandboxHandle, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	w.runner.Ensure(blocked, Follow)
	<-entered
	return blocked
}

// A job that waits for its turn says so, and is deleted without it.
func TestQueuedJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	blocked := w.blockedAttempt()
	queued := w.another("queued", Command{Script: "echo ran >>count"})
	w.runner.Ensure(queued, Follow)
	w.awaitJob(queued, "queue", func(p Progress) bool { return p.Reason == v1alpha1.ReasonQueued })
	w.runner.Ensure(queued, Discard)
	w.awaitJob(queued, "discard", func(p Progress) bool { return p.Phase == Cleaned })
	next := w.another("next", Command{Script: "echo next"})
	w.runner.Ensure(next, Follow)
	w.awaitJob(next, "queue", func(p Progress) bool { return p.Reason == v1alpha1.ReasonQueued })
	w.runner.Forget(blocked.Job.UID)
	w.awaitJob(next, "end", finished)
	if got := w.exec("ls"); got != "" {
		t.Errorf("what was discarded has run: %q", got)
	}
}

// A command that runs and waits for its turn to be followed, after a restart of the operator for instance, has its sandbox
// kept awake all the same.
func TestQueuedJobKeepsItsSandboxAwake(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.blockedAttempt()
	queued := w.another("queued", Command{Script: "true"})
	queued.Started, queued.PingInterval = true, 20*time.Millisecond
	w.runner.Ensure(queued, Follow)
	eventually(t, func() error {
		pings := 0
		for _, request := range w.server.Requests() {
			switch request.Op {
			case wrenndev.OpPing:
				pings++
			case wrenndev.OpExec, wrenndev.OpExecStream:
				t.Fatalf("it does not wait: %+v", request)
			}
		}
		if pings < 3 {
			return fmt.Errorf("%d pings", pings)
		}
		return nil
	})
}

// crowd starts a Runner, until the end of the test, that has many jobs and few streams: each stream has a job that keeps it.
func crowd(tb testing.TB, jobs, streams int) *Runner {
	tb.Helper()
	runner := NewRunner(Config{Notify: func(types.NamespacedName) {}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- runner.Start(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	for i := range jobs {
		runner.Ensure(Attempt{
			Job:    Job{UID: types.UID(fmt.Sprint(i)), NamespacedName: types.NamespacedName{Namespace: "default", Name: fmt.Sprint("job-", i)}},
			Number: 1, SandboxID: fmt.Sprint("sandbox-", i%100), Streams: streams, TailBytes: 4096,
			Sandbox: func(ctx context.Context) (*wrenn.SandboxHandle, error) { <-ctx.Done(); return nil, ctx.Err() },
		}, Follow)
	}
	return runner
}

// A job that only waits, for its turn or for its sandbox to run, has no goroutine.
func TestWaitingJobsHaveNoGoroutine(t *testing.T) { //nolint:paralleltest // it counts the goroutines of all tests that run
	const jobs, streams = 2000, 10
	before := runtime.NumGoroutine()
	runner := crowd(t, jobs, streams)
	for i := range jobs {
		runner.Ensure(Attempt{
			Job:    Job{UID: types.UID(fmt.Sprint("asleep-", i))},
			Number: 1, Connection: "other", Streams: streams, Asleep: true,
			Sandbox: func(context.Context) (*wrenn.SandboxHandle, error) { return nil, errAsleep },
		}, Follow)
	}
	eventually(t, func() error {
		waiting := 0
		for i := range jobs {
			queued, _ := runner.Progress(types.UID(fmt.Sprint(i)), 1)
			asleep, _ := runner.Progress(types.UID(fmt.Sprint("asleep-", i)), 1)
			if queued.Reason == v1alpha1.ReasonQueued && asleep.Phase == Waiting {
				waiting++
			}
		}
		if n := runtime.NumGoroutine() - before; waiting != jobs-streams || n > streams+1 {
			return fmt.Errorf("%d of each kind wait, with %d goroutines", waiting, n)
		}
		return nil
	})
}

// BenchmarkQueuedJobs tells what each job costs that waits for its turn.
func BenchmarkQueuedJobs(b *testing.B) {
	const jobs, streams = 5000, 100
	for b.Loop() {
		before, goroutines := heap(), runtime.NumGoroutine()
		crowd(b, jobs, streams)
		b.ReportMetric(float64(heap()-before)/jobs, "heap-B/job")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
