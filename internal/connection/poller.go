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
	// AwaitFor is how long a sandbox in transition is hurried for at most: its host may be gone for hours.
	AwaitFor time.Duration
	// Slowest is the longest interval that repeated errors lead to.
	Slowest time.Duration
	// Timeout bounds one list.
	Timeout time.Duration
}

// maxAsked is the longest that a service may ask to be left alone for. Nobody could tell otherwise that it is well again.
const maxAsked = time.Hour

// DefaultPace reads the list every ten seconds, and every second while something is in transition.
var DefaultPace = Pace{
	Calm:     10 * time.Second,
	Hurried:  time.Second,
	HurryFor: 5 * time.Second,
	AwaitFor: time.Minute,
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
	awaited      awaited
}

func startPoller(ctx context.Context, team *Team, pace Pace, news func(ids []string, health bool)) *poller {
	ctx, stop := context.WithCancel(ctx)
	p := &poller{
		team: team, pace: pace, news: news, wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{}), awaited: awaited{},
	}
	go p.run(ctx)
	return p
}

func (p *poller) run(ctx context.Context) {
	defer close(p.done)
	for failures := 0; ctx.Err() == nil; {
		err := p.poll(ctx)
		if err == nil {
			failures = 0
		} else {
			failures++
		}
		p.pause(ctx, failures, askedToWait(err))
	}
}

// poll reads the list once and returns why it was not answered.
func (p *poller) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.pace.Timeout)
	defer cancel()
	changed, health := p.team.look(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	news := p.team.setHealth(health)
	if news || len(changed) > 0 {
		p.news(changed, news)
	}
	if health.State != StateConnected {
		return health.Err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaited.settle(p.team.Lookup)
	return nil
}

// askedToWait returns how long the service asked to be left alone.
func askedToWait(err error) time.Duration {
	var e *wrenn.Error
	if errors.As(err, &e) {
		return min(e.RetryAfter, maxAsked)
	}
	return 0
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
func (p *poller) pause(ctx context.Context, failures int, asked time.Duration) {
	for began := time.Now(); ; {
		wait := max(jittered(p.pace.interval(failures, p.hurried())), asked)
		timer := time.NewTimer(time.Until(began.Add(wait)))
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

// interval returns how long to wait after so many failures in a row, or after a list.
func (p Pace) interval(failures int, hurried bool) time.Duration {
	switch {
	case failures > 0:
		return min(p.Hurried<<min(failures-1, 16), p.Slowest)
	case hurried:
		return p.Hurried
	default:
		return p.Calm
	}
}

// jittered changes an interval by a tenth either way, which keeps the pollers of many teams and operators from marching in step.
func jittered(interval time.Duration) time.Duration {
	return interval - interval/10 + rand.N(interval/5+1) //nolint:gosec // jitter is no secret
}

// await makes the poller look often until a sandbox is in transition no more, or has been for too long.
func (p *poller) await(id string) {
	p.mu.Lock()
	p.awaited.add(id, time.Now())
	p.mu.Unlock()
	p.hurry()
}

// hurry makes the poller look often for a while. The interval under way is reckoned anew.
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
	now := time.Now()
	return now.Before(p.hurriedUntil) || p.awaited.any(now, p.pace.AwaitFor)
}
