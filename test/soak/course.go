package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// soak is one run.
type soak struct {
	options
	world *world
	load  *load
	out   io.Writer
	// under is how long the operator was under load.
	under time.Duration
	// told is how much of what is wrong was printed, lined when a line was that says how it goes.
	told  int
	lined time.Time
}

// beat is how often jobs are made and looked at.
const beat = 200 * time.Millisecond

// run runs the whole course.
func (s *soak) run(ctx context.Context) (clean bool, err error) {
	first, err := s.leg(ctx, s.warmUp)
	if err != nil {
		return false, err
	}
	fmt.Fprintf(s.out, "after the warm-up: %s\n", first)
	before := s.load.finished
	last, err := s.leg(ctx, s.long)
	if err != nil {
		return false, err
	}
	failed := len(s.load.wrong)
	fmt.Fprintf(s.out, "soak: jobs=%d cuts=%d failed=%d heap_mib=%.1f→%.1f goroutines=%d→%d sockets=%d→%d\n",
		s.load.finished, s.world.cutter.cuts.Load(), failed, mib(first.heap), mib(last.heap),
		first.goroutines, last.goroutines, first.sockets, last.sockets)
	recent := min(s.load.finished-before, int(s.rate*eventsFor.Seconds()))
	if err := s.allowed.exceeded(first, last, recent); err != nil {
		return false, err
	}
	return failed == 0, nil
}

// leg puts the operator under load until it was for so long in all, waits until every job is gone, and measures.
func (s *soak) leg(ctx context.Context, until time.Duration) (held, error) {
	defer s.tellWrong()
	for s.under < until {
		began := time.Now()
		if err := s.load.catchUp(ctx, s.under); err != nil {
			return held{}, err
		}
		if err := s.load.look(ctx); err != nil {
			return held{}, err
		}
		s.tellWrong()
		if err := s.tell(ctx); err != nil {
			return held{}, err
		}
		select {
		case <-time.After(beat):
		case <-ctx.Done():
			return held{}, ctx.Err()
		}
		s.under += time.Since(began)
	}
	if err := eventually(ctx, func() error { return s.load.drained(ctx) }); err != nil {
		return held{}, err
	}
	return s.world.least(ctx, s.watch)
}

// tellWrong prints what is wrong that was not printed.
func (s *soak) tellWrong() {
	for ; s.told < len(s.load.wrong); s.told++ {
		fmt.Fprintln(s.out, s.load.wrong[s.told])
	}
}

// tell prints now and then how it goes.
func (s *soak) tell(ctx context.Context) error {
	if time.Since(s.lined) < s.every {
		return nil
	}
	s.lined = time.Now()
	now, err := s.world.measure(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%4.0fs: jobs=%d running=%d cuts=%d %s\n",
		s.under.Seconds(), s.load.finished, s.load.unfinished(), s.world.cutter.cuts.Load(), now)
	return nil
}

// String tells it in a line.
func (h held) String() string {
	return fmt.Sprintf("heap_mib=%.1f goroutines=%d sockets=%d", mib(h.heap), h.goroutines, h.sockets)
}
