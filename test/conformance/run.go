package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

const (
	// parallel is how many checks are under way at a time: few, since each may have sandboxes.
	parallel = 2
	// usualLimit bounds a check, and undoLimit each step of clearing up after it.
	usualLimit = 5 * time.Minute
	undoLimit  = 2 * time.Minute
)

// check is one thing that holds at every server.
type check struct {
	// name is an operation of the contract, of generation Sandboxes where both have it, or a name of its own.
	name string
	// only is the one generation that has it, if it is one: at a server of the other there is no such check.
	only wrenn.Generation
	// It needs a token, one of an administrator of the platform, another user, the password of the user.
	token, admin, second, login bool
	// It makes an account, and one that is used: in generation Capsules that takes a mail.
	disposable, account bool
	// slow is why it is skipped unless slow checks are wanted.
	slow string
	// limit replaces the usual one.
	limit time.Duration
	run   func(*probe)
}

// named is the name of the check at a server of a generation: operations are called after the prefix of their path.
func (c check) named(g wrenn.Generation) string {
	if g != wrenn.GenerationCapsules {
		return c.name
	}
	return strings.NewReplacer("Sandboxes", "Capsules", "Sandbox", "Capsule").Replace(c.name)
}

// outcome is how a check ended.
type outcome string

const (
	passed  outcome = "pass"
	failed  outcome = "fail"
	skipped outcome = "skip"
)

// result is a line of the report.
type result struct {
	outcome outcome
	name    string
	note    string
}

// tally counts the lines.
type tally struct{ passed, failed, skipped int }

func (t *tally) add(o outcome) {
	switch o {
	case passed:
		t.passed++
	case skipped:
		t.skipped++
	default:
		t.failed++
	}
}

// line reports a check.
func (t *tally) line(out io.Writer, r result) {
	t.add(r.outcome)
	fmt.Fprintln(out, strings.TrimSpace(fmt.Sprintf("%s  %s  %s", r.outcome, r.name, oneLine(r.note))))
}

// close ends the report.
func (t *tally) close(out io.Writer) {
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
}

// run performs the checks, reports each of them in order, sees that nothing is left, and counts.
func (s *suite) run(ctx context.Context, all []check, out io.Writer) tally {
	var mine []check
	for _, c := range all {
		if c.only == "" || c.only == s.generation {
			mine = append(mine, c)
		}
	}
	results := make([]chan result, len(mine))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	var working errgroup.Group
	working.SetLimit(parallel)
	go func() {
		for i, c := range mine {
			working.Go(func() error {
				results[i] <- s.perform(ctx, c)
				return nil
			})
		}
	}()
	var total tally
	for _, r := range results {
		total.line(out, <-r)
	}
	total.line(out, s.perform(context.WithoutCancel(ctx), check{name: "nothing-is-left", run: sweep}))
	total.close(out)
	return total
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// perform runs one check and clears up after it.
func (s *suite) perform(ctx context.Context, c check) result {
	r := result{outcome: skipped, name: c.named(s.generation)}
	if r.note = s.missing(c); r.note != "" {
		return r
	}
	if ctx.Err() != nil {
		r.note = "interrupted"
		return r
	}
	limit := c.limit
	if limit == 0 {
		limit = usualLimit
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p := &probe{suite: s, ctx: within, outcome: passed}
	ended := make(chan struct{})
	// A goroutine of its own can be ended from within, as those of tests are.
	go func() {
		defer close(ended)
		defer p.caught()
		c.run(p)
	}()
	<-ended
	switch {
	case p.outcome == failed && ctx.Err() != nil:
		p.outcome, p.text = skipped, "interrupted"
	case p.outcome == failed && errors.Is(within.Err(), context.DeadlineExceeded):
		p.text = fmt.Sprintf("did not end within %s: %s", limit, p.text)
	}
	if err := p.clear(ctx); err != nil {
		p.text = strings.TrimPrefix(fmt.Sprintf("%s; clearing up: %v", p.text, err), "; ")
		p.outcome = failed
	}
	r.outcome, r.note = p.outcome, p.text
	return r
}

// missing is what a check needs and the suite has not.
func (s *suite) missing(c check) string {
	switch {
	case c.slow != "" && !s.slow:
		return c.slow + ": set WRENN_SLOW=1"
	case (c.token || c.admin || c.second) && s.user == nil:
		return "takes the token of a user: set WRENN_TOKEN"
	case c.admin && !s.isAdmin():
		return "the token's user is no administrator of the platform"
	case c.second && s.second == "" && !s.canEnlist():
		return "takes the token of another user: set WRENN_SECOND_TOKEN"
	case c.login && (s.email == "" || s.password == ""):
		return "takes the password of a user: set WRENN_EMAIL and WRENN_PASSWORD"
	case (c.account || c.disposable) && !s.disposable:
		return "makes an account, which not every server can delete: set WRENN_DISPOSABLE=1"
	case c.account && !s.canEnlist():
		return "takes the token of a mail, which cannot be read"
	}
	return ""
}

// probe is one check under way. Its methods that end the check are for the goroutine that it runs in.
type probe struct {
	*suite
	// ctx ends with the check's time, or with the suite.
	ctx     context.Context
	outcome outcome
	text    string
	undo    []func(context.Context) error
}

// fail ends the check.
func (p *probe) fail(format string, args ...any) {
	p.outcome, p.text = failed, fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// skip ends the check, with what kept it from being made.
func (p *probe) skip(format string, args ...any) {
	p.outcome, p.text = skipped, fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// note tells something of a check that passes.
func (p *probe) note(format string, args ...any) { p.text = fmt.Sprintf(format, args...) }

// ok fails the check unless a call succeeded.
func (p *probe) ok(err error) {
	if err != nil {
		p.fail("%v", err)
	}
}

// want fails the check unless something holds.
func (p *probe) want(holds bool, format string, args ...any) {
	if !holds {
		p.fail(format, args...)
	}
}

// refused fails the check unless the service refused a call with one of the codes.
func (p *probe) refused(err error, what string, codes ...wrenn.Code) {
	var e *wrenn.Error
	if !errors.As(err, &e) {
		p.fail("%s succeeds, and ought to be refused with %v", what, codes)
	}
	for _, code := range codes {
		if e.Code == code {
			return
		}
	}
	p.fail("%s: %v, and ought to be refused with %v", what, err, codes)
}

// caused fails the check unless a call failed for a reason that the client tells by itself.
func (p *probe) caused(err, reason error) {
	p.want(errors.Is(err, reason), "%v, want: %v", err, reason)
}

// eventually waits until something holds, and fails the check when it does not within a time.
func (p *probe) eventually(within time.Duration, what string, holds func() bool) {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for !holds() {
		select {
		case <-pace.C:
		case <-p.ctx.Done():
			p.fail("still not: %s", what)
		case <-deadline.C:
			p.fail("still not after %s: %s", within, what)
		}
	}
}

// caught makes a panic a failure of the check.
func (p *probe) caught() {
	if v := recover(); v != nil {
		p.outcome, p.text = failed, fmt.Sprintf("panic: %v", v)
	}
}

// later has something undone when the check is over, however it ends. What was made last goes first.
func (p *probe) later(undo func(context.Context) error) { p.undo = append(p.undo, undo) }

// clear undoes, also after the end of ctx.
func (p *probe) clear(ctx context.Context) error {
	var all []error
	for i := len(p.undo) - 1; i >= 0; i-- {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
		all = append(all, p.undo[i](ctx))
		cancel()
	}
	return errors.Join(all...)
}

// steady is a context for what makes something: it outlives an interruption, since a call that is abandoned leaves
// something behind that nobody knows of.
func (p *probe) steady() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(p.ctx), usualLimit)
}
