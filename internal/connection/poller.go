package connection

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// Pace is how often a Team's list is read.
type Pace struct {
	// Calm is the interval when nothing is in transition.
	Calm time.Duration
	// Hurried is the interval while something is.
	Hurried time.Duration
	// HurryFor is how long one call of Hurry lasts.
	HurryFor time.Duration
	// Slowest is the longest interval that repeated errors lead to.
	Slowest time.Duration
	// Timeout bounds one list.
	Timeout time.Duration
}

// DefaultPace reads the list every ten seconds, and every second while something is in transition.
var DefaultPace = Pace{
	Calm:     10 * time.Second,
	Hurried:  time.Second,
	HurryFor: 5 * time.Second,
	Slowest:  time.Minute,
	Timeout:  30 * time.Second,
}

// poller reads the list of one team again and again. It never has more than one list under way.
type poller struct {
	team *Team
	pace Pace
	news func(ids []string, health bool)
	wake chan struct{}
	stop context.CancelFunc
	done chan struct{}

	mu           sync.Mutex
	hurriedUntil time.Time
}

func startPoller(ctx context.Context, team *Team, pace Pace, news func(ids []string, health bool)) *poller {
	ctx, stop := context.WithCancel(ctx)
	p := &poller{team: team, pace: pace, news: news, wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{})}
	go p.run(ctx)
	return p
}

func (p *poller) run(ctx context.Context) {
	defer close(p.done)
	for failures := 0; ctx.Err() == nil; {
		if p.poll(ctx) {
			failures = 0
		} else {
			failures++
		}
		p.pause(ctx, failures)
	}
}

// poll reads the list once and reports whether it was answered.
func (p *poller) poll(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, p.pace.Timeout)
	defer cancel()
	changed, health := p.team.look(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return true
	}
	news := p.team.setHealth(health)
	if news || len(changed) > 0 {
		p.news(changed, news)
	}
	return health.State == StateConnected
}

// look reads the list into the inventory. It returns the ids of the sandboxes that it shows in another state than was known.
func (t *Team) look(ctx context.Context) (changed []string, health Health) {
	start := time.Now()
	list, err := t.Client.Sandboxes.List(ctx)
	if err != nil {
		return nil, Health{State: stateOf(err), Err: err}
	}
	// The list was answered, so the generation is known by now and asking for it sends nothing.
	generation, err := t.Client.Generation(ctx)
	return t.inventory.replace(list, start), Health{State: StateConnected, Generation: generation, Err: err}
}

// stateOf tells the answers that mean something from those that mean nothing.
func stateOf(err error) State {
	switch {
	case wrenn.IsUnauthorized(err), wrenn.IsForbidden(err):
		return StateUnauthorized
	case errors.Is(err, wrenn.ErrWrongGeneration):
		return StateMismatched
	default:
		return StateUnreachable
	}
}

// pause waits until the list is due. A hurry cuts a calm interval short, but not the backoff after errors.
func (p *poller) pause(ctx context.Context, failures int) {
	for began := time.Now(); ; {
		timer := time.NewTimer(time.Until(began.Add(p.interval(failures))))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.wake:
			timer.Stop()
			continue
		}
		timer.Stop()
		return
	}
}

func (p *poller) interval(failures int) time.Duration {
	interval := p.pace.Calm
	if failures > 0 {
		interval = min(p.pace.Hurried<<min(failures-1, 16), p.pace.Slowest)
	} else if p.hurried() {
		interval = p.pace.Hurried
	}
	// A tenth either way keeps the pollers of many teams and operators from marching in step.
	return interval - interval/10 + rand.N(interval/5+1) //nolint:gosec // jitter is no secret
}

func (p *poller) hurry() {
	p.mu.Lock()
	p.hurriedUntil = time.Now().Add(p.pace.HurryFor)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *poller) hurried() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.hurriedUntil)
}
