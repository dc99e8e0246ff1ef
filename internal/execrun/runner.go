package execrun

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// Goal is what is wanted of an attempt. A goal is never taken back: each one includes that those before it are not
// wanted any more.
type Goal int

// The goals, in the order in which one can follow another.
const (
	// Follow starts the command unless that was done, and follows it to its end.
	Follow Goal = iota
	// Stop ends the processes of the command and follows it to its end, which is near.
	Stop
	// Clean removes the launcher's files of a command that has ended. What it left running goes on.
	Clean
	// Discard ends the processes of the command and removes the launcher's files. Its output is not wanted.
	Discard
)

// Attempt is one attempt of a job to run its command.
type Attempt struct {
	Job Job
	// Number counts the attempts of a job from 1. Each has a once-guard of its own.
	Number int32
	// Connection stands for the connection that the sandbox is reached by, and Streams is how many streams may be open over
	// it at a time; 0 where that is not known.
	Connection string
	Streams    int
	// SandboxID tells sandboxes apart that wait for the same connection.
	SandboxID string
	// Sandbox gives access to the sandbox, each time anew: the credential may have been replaced.
	Sandbox func(context.Context) (*wrenn.SandboxHandle, error)
	// SandboxVersion changes with whatever is known of the sandbox. A waiting attempt tries again when it does, unless
	// Asleep says that the sandbox is known not to run: then it waits, without a look of its own, until that changes.
	SandboxVersion string
	Asleep         bool
	// Command is what to run.
	Command Command
	// Files reads what is written into the sandbox before the command is started; nil for nothing.
	Files func(context.Context) ([]File, error)
	// Attached runs the argv of the command on the service's stream itself, with nothing in the guest to fall back on.
	Attached bool
	// Resumed says that another process may have started the command.
	Resumed bool
	// Started says that the command is known to have been started, whatever the guest has to say.
	Started bool
	// HideTails keeps the tails empty, for want of the secrets to look for in them.
	HideTails bool
	// ConfigMaps says whether the output is stored.
	ConfigMaps v1alpha1.OutputConfigMaps
	// LimitBytes is how much of both streams is stored.
	LimitBytes int64
	// TailBytes is how much of each stream is in its tail.
	TailBytes int
	// Artifacts are the files to fetch when the command has ended.
	Artifacts []Artifact
	// PingInterval is how often to tell the service that the sandbox is in use; 0 for never.
	PingInterval time.Duration
}

// File is one to write into the sandbox.
type File struct {
	// Path is absolute.
	Path    string
	Content []byte
}

// Pace is how fast a Runner does things.
type Pace struct {
	// FirstRetry and SlowestRetry bound the backoff after a failure.
	FirstRetry, SlowestRetry time.Duration
	// Look is how often to look whether a sandbox that did not run does, where it is not known to be asleep.
	Look time.Duration
	// Stall is how long a stream may be silent before it is taken for lost. The launcher says something every 5 s, or
	// 25 s where sleep takes whole seconds only.
	Stall time.Duration
	// Turn is how long a command is followed while others wait for the stream. Then it goes on unseen until it is its turn
	// again.
	Turn time.Duration
	// Check is how often to look whether what is stored of a running command's output is still there.
	Check time.Duration
	// News is the least time between two notifications of the same attempt.
	News time.Duration
}

// DefaultPace is for the real service.
var DefaultPace = Pace{
	FirstRetry:   50 * time.Millisecond,
	SlowestRetry: 30 * time.Second,
	Look:         30 * time.Second,
	Stall:        time.Minute,
	Turn:         30 * time.Second,
	Check:        time.Minute,
	News:         time.Second,
}

// Config is what a Runner needs.
type Config struct {
	// Client writes ConfigMaps.
	Client client.Client
	// Reader reads them from the API server itself and not from a cache.
	Reader client.Reader
	// Notify is called when there is news of a job. It must not block.
	Notify func(types.NamespacedName)
	// Log is for people who look for the reason of something.
	Log logr.Logger
	// Pace is DefaultPace where zero.
	Pace Pace
	// Streams counts the streams that are open; nil to count none.
	Streams Gauge
}

// Gauge is a number that goes up and down. That of Prometheus is one.
type Gauge interface {
	Inc()
	Dec()
}

// Runner runs the attempts of one operator. Its methods do not block and can be called from any goroutine.
type Runner struct {
	Config

	ctx    context.Context //nolint:containedctx // it is the life of the Runner, which no call has
	cancel context.CancelFunc
	wg     sync.WaitGroup

	places places

	mu       sync.Mutex // taken after an attempt's
	attempts map[types.UID]*attempt
}

// NewRunner returns a Runner that runs until Start returns.
func NewRunner(cfg Config) *Runner {
	if cfg.Pace == (Pace{}) {
		cfg.Pace = DefaultPace
	}
	r := &Runner{Config: cfg, attempts: map[types.UID]*attempt{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.places.by = map[string]*queue[*attempt]{}
	r.places.has = func(a *attempt) { r.spawn(func(context.Context) { a.granted() }) }
	return r
}

// Start waits for the end of ctx, leaves every attempt as it is in its sandbox, and returns when nothing is under way any
// more. It makes a Runner one of a manager's runnables.
func (r *Runner) Start(ctx context.Context) error {
	<-ctx.Done()
	r.mu.Lock()
	r.cancel()
	attempts := slices.Collect(maps.Values(r.attempts))
	r.mu.Unlock()
	for _, a := range attempts {
		a.quiet()
	}
	r.wg.Wait()
	return nil
}

// NeedLeaderElection says that two operators must not run the same attempts.
func (*Runner) NeedLeaderElection() bool { return true }

// Ensure has the Runner work towards a goal for an attempt. Doing it again changes nothing but what is newer. A job has one
// attempt at a time: with the next one, the one before is left as it is, and one before that is passed over.
func (r *Runner) Ensure(spec Attempt, goal Goal) {
	r.mu.Lock()
	if r.ctx.Err() != nil {
		r.mu.Unlock()
		return
	}
	a, known := r.attempts[spec.Job.UID]
	var last *attempt
	switch {
	case known && a.number > spec.Number:
		r.mu.Unlock()
		return
	case known && a.number < spec.Number:
		last, known = a, false
	}
	if !known {
		a = newAttempt(r, spec, goal)
		r.attempts[spec.Job.UID] = a
	}
	r.mu.Unlock()
	if last != nil {
		last.quiet()
	}
	a.want(spec, goal)
}

// Progress tells how far an attempt of a job is. It is false for one that Ensure was not called for.
func (r *Runner) Progress(job types.UID, number int32) (Progress, bool) {
	r.mu.Lock()
	a, known := r.attempts[job]
	r.mu.Unlock()
	if !known || a.number != number {
		return Progress{}, false
	}
	return a.snapshot(), true
}

// Forget drops what is known of an attempt, and leaves it as it is in its sandbox.
func (r *Runner) Forget(job types.UID) {
	r.mu.Lock()
	a := r.attempts[job]
	delete(r.attempts, job)
	r.mu.Unlock()
	if a != nil {
		a.quiet()
	}
}

// spawn runs work unless the Runner is at its end.
func (r *Runner) spawn(work func(context.Context)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return false
	}
	r.wg.Go(func() { work(r.ctx) })
	return true
}
