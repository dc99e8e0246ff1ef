package execrun

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// attempt is an Attempt that is being worked on. At most one goroutine works at a time; in between there is a timer, or
// nothing but the caller to start it again.
type attempt struct {
	runner *Runner
	number int32 // of the job's attempts
	log    logr.Logger

	mu       sync.Mutex
	spec     Attempt
	goal     Goal
	progress Progress
	tails    [2]*tail
	working  bool
	again    bool               // the goal or the sandbox changed while working
	stop     context.CancelFunc // of the work
	place    place
	line     *queue[*attempt] // that it has a place in, or waits in; guarded by the places
	retry    *time.Timer
	ended    bool
	news     news
	pings    *time.Timer
	pinged   bool
	killing  bool // an attached command is being ended
	killed   bool

	// The rest belongs to the goroutine that works.
	out      *output
	offsets  [2]int64 // of the next byte of each stream: what is stored or buffered, and what was dropped
	failures int
	refusals int
	shorts   int // times in a row that the guest told of the end before all of the output had come
	reupload bool
	launched bool      // the command may have been started, by this process or as the guest says
	unpassed bool      // the guest's last word is that the once-guard was not passed
	queue    []piece   // output of an attached command that waits to be stored
	final    *ending   // once the end of the command is known
	blocked  bool      // the last try to store something failed
	nextTry  time.Time // to store something, while blocked
}

func newAttempt(r *Runner, spec Attempt, goal Goal) *attempt {
	return &attempt{
		runner: r, number: spec.Number, spec: spec, goal: goal,
		log:      r.Log.WithValues("execJob", spec.Job.NamespacedName, "attempt", spec.Number),
		progress: Progress{Phase: Starting},
	}
}

// want takes over what is newer, and starts work where there is reason to.
func (a *attempt) want(spec Attempt, goal Goal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	moved := spec.SandboxVersion != a.spec.SandboxVersion
	spec.Started = spec.Started || a.spec.Started
	if a.spec.HideTails && !spec.HideTails {
		a.news.tell(a, false)
	}
	a.spec = spec
	raised := goal > a.goal
	a.goal = max(goal, a.goal)
	waits := a.progress.Phase == Waiting
	switch {
	case a.working:
		switch {
		case !raised:
		case a.spec.Attached && a.progress.PID != 0:
			// The stream is the only view of the command: it is ended from beside.
			if !a.killing {
				a.killing = a.runner.spawn(a.killAttached)
			}
		default:
			a.again = true
			a.stop()
		}
	case a.place == placeAwaited && !raised:
	case raised:
		a.startLocked()
	case waits && spec.Asleep:
	case waits && moved, a.retry == nil && !a.done():
		a.startLocked()
	}
	if a.spec.Started && !a.done() {
		a.keepAwakeLocked()
	}
}

// done tells whether there is nothing left to do for the goal.
func (a *attempt) done() bool {
	switch a.progress.Phase {
	case Lost, Cleaned:
		return true
	case Finished, StartFailed:
		return a.goal <= Stop
	default:
		return false
	}
}

func (a *attempt) start() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.retry = nil
	if !a.working && !a.done() {
		a.startLocked()
	}
}

func (a *attempt) startLocked() {
	if a.ended {
		return
	}
	if a.retry != nil {
		a.retry.Stop()
		a.retry = nil
	}
	if !a.admitted() {
		return
	}
	a.working = a.runner.spawn(a.work)
}

// quiet ends the work and leaves everything as it is.
func (a *attempt) quiet() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if a.stop != nil {
		a.stop()
	}
	if !a.working {
		a.leavePlace()
	}
	for _, timer := range []*time.Timer{a.retry, a.pings, a.news.timer} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// work does the next thing for the goal until there is nothing left to do, or a reason to wait.
func (a *attempt) work(ctx context.Context) {
	for {
		step, cancel := context.WithCancel(ctx)
		a.mu.Lock()
		a.again, a.stop = false, cancel
		goal := a.goal
		if a.ended {
			cancel()
		}
		a.mu.Unlock()
		err := a.toward(step, goal)
		cancel()
		if !a.rest(err) {
			return
		}
	}
}

// rest decides what comes after a step. It returns true when the next one is due at once.
func (a *attempt) rest(err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.ended:
	case a.again:
		a.failures = 0
		return true
	case a.done():
		a.news.tell(a, true)
	case err == nil:
		return true
	case errors.Is(err, errYield):
		a.working = false
		a.leavePlace()
		a.startLocked()
		return false
	default:
		a.laterLocked(a.note(err))
	}
	a.working = false
	if a.ended || a.done() || !errors.Is(err, errLook) || a.failures > quickLooks {
		a.leavePlace() // whoever has to wait for longer does not keep others from it
	}
	return false
}

func (a *attempt) laterLocked(delay time.Duration) {
	if delay <= 0 {
		return
	}
	a.retry = time.AfterFunc(delay, a.start)
}

// backoff is the next delay: short at first, and never the same for many attempts.
func (a *attempt) backoff() time.Duration {
	pace := a.runner.Pace
	delay := pace.SlowestRetry
	if a.failures < 20 {
		delay = min(delay, pace.FirstRetry<<a.failures)
	}
	a.failures++
	return delay/2 + rand.N(delay/2+1) //nolint:gosec // jitter
}

// toward takes one step.
func (a *attempt) toward(ctx context.Context, goal Goal) error {
	spec := a.current()
	sandbox, err := spec.Sandbox(ctx)
	if err != nil {
		return err
	}
	if spec.Attached {
		return a.attached(ctx, &spec, sandbox, goal)
	}
	g := guest{sandbox: sandbox, dir: spec.dir(), launched: a.launched}
	if goal == Stop || goal == Discard {
		err := a.stopProcesses(ctx, g)
		switch {
		case err == nil:
		case goal == Stop && a.final != nil:
			// How it ended is known, also where the sandbox is gone by now.
			if err = a.unreadable(ctx, g, err); !errors.Is(err, errNoFiles) {
				return err
			}
		default:
			return a.examine(ctx, sandbox, err)
		}
	}
	if goal == Clean || goal == Discard {
		a.update(func(p *Progress) { p.Phase, p.Reason, p.Message = Cleaning, "", "" })
		if err := g.clean(ctx); err != nil {
			return a.examine(ctx, sandbox, err)
		}
		a.update(func(p *Progress) { p.Phase, p.Reason, p.Message = Cleaned, "", "" })
		return nil
	}
	return a.session(ctx, g, spec, goal)
}

// stopProcesses ends the processes of the command, once.
func (a *attempt) stopProcesses(ctx context.Context, g guest) error {
	if a.snapshot().Stopped {
		return nil
	}
	a.update(func(p *Progress) { p.Phase, p.Reason, p.Message = Stopping, "", "" })
	grace := killGrace
	if a.current().Command.Language != "" {
		grace = cellGrace
	}
	if err := g.stop(ctx, grace); err != nil {
		return err
	}
	a.update(func(p *Progress) { p.Stopped = true })
	return nil
}

// dir is the attempt's directory in the guest. It is also the mark of its processes.
func (s Attempt) dir() string { return fmt.Sprintf("%s%s-%d", guestRoot, s.Job.UID, s.Number) }

func (a *attempt) current() Attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spec
}

// update changes the progress and tells of it.
func (a *attempt) update(change func(*Progress)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.progress)
	a.news.tell(a, false)
}

func (a *attempt) snapshot() Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.progress
	if a.tails[stdout] != nil && !a.spec.HideTails {
		a.hideSecrets()
		p.Stdout.Tail, p.Stderr.Tail = a.tails[stdout].text(), a.tails[stderr].text()
	}
	return p
}

// hideSecrets has the tails hide the secrets that are known now: when the tails were begun, they may not have been. What a
// tail has hidden it hides for good. The attempt is locked.
func (a *attempt) hideSecrets() {
	known := a.spec.Command.secrets()
	for stream, t := range a.tails {
		if !slices.ContainsFunc(known, func(secret string) bool { return !slices.Contains(t.secrets, secret) }) {
			continue
		}
		next := newTail(a.spec.TailBytes, longestFirst(slices.Concat(known, t.secrets)))
		next.write(t.data)
		next.more = next.more || t.more
		a.tails[stream] = next
	}
}

// news tells the caller that there is some, at most once in an interval unless it is urgent.
type news struct {
	last  time.Time
	timer *time.Timer
}

// tell is called with the attempt locked.
func (n *news) tell(a *attempt, urgent bool) {
	wait := time.Until(n.last.Add(a.runner.Pace.News))
	switch {
	case a.ended:
	case urgent || wait <= 0:
		n.last = time.Now()
		if n.timer != nil {
			n.timer.Stop()
			n.timer = nil
		}
		a.runner.Notify(a.spec.Job.NamespacedName)
	case n.timer == nil:
		n.timer = time.AfterFunc(wait, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			if n.timer != nil {
				n.timer = nil
				n.tell(a, true)
			}
		})
	}
}
