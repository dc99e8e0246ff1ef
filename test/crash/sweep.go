package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
)

// sweep runs cases, several at a time, and counts what is wrong.
type sweep struct {
	site     *site
	parallel int
	out      io.Writer
	// tells has the effects of each case be told.
	tells bool
	// progress is told now and then how far the sweep has come; nil for silence.
	progress io.Writer

	mu     sync.Mutex
	report report
}

// report is what a sweep has found.
type report struct {
	scenarios, points, seeds int
	counts                   map[class]int
	// unmet are points that were not come to, broken are cases that could not be carried through.
	unmet, broken []string
}

// String returns the closing line.
func (r *report) String() string {
	line := fmt.Sprintf("crash: scenarios=%d points=%d seeds=%d", r.scenarios, r.points, r.seeds)
	for _, c := range classes {
		line += fmt.Sprintf(" %s=%d", c, r.counts[c])
	}
	return line
}

// clean tells whether nothing is wrong.
func (r *report) clean() bool {
	for _, n := range r.counts {
		if n > 0 {
			return false
		}
	}
	return len(r.broken) == 0
}

// takes counts an outcome. A case counts once in each class that it was found wrong in.
func (s *sweep) takes(o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tells {
		fmt.Fprintf(s.out, "%s: %s\n", o.name, strings.Join(o.effects, " "))
	}
	classes := map[class]bool{}
	for _, f := range o.found {
		fmt.Fprintf(s.out, "make crash ARGS='%s': %s\n", o.name, f)
		classes[f.class] = true
	}
	for c := range classes {
		s.report.counts[c]++
	}
	if o.unmet && len(o.found) == 0 && o.err == nil {
		s.report.unmet = append(s.report.unmet, o.name)
	}
	if o.err != nil {
		fmt.Fprintf(s.out, "make crash ARGS='%s': could not be carried through: %v\n", o.name, o.err)
		s.report.broken = append(s.report.broken, o.name)
	}
}

// toldEvery is after how many cases the progress is told.
const toldEvery = 100

// each runs jobs, as many at a time as the sweep allows.
func (s *sweep) each(ctx context.Context, jobs []func(context.Context) outcome) {
	queue := make(chan func(context.Context) outcome)
	var workers sync.WaitGroup
	for range s.parallel {
		workers.Go(func() {
			for job := range queue {
				s.takes(job(ctx))
			}
		})
	}
	for i, job := range jobs {
		if ctx.Err() != nil {
			break
		}
		if s.progress != nil && i > 0 && i%toldEvery == 0 {
			fmt.Fprintf(s.progress, "crash: %d of %d cases begun\n", i, len(jobs))
		}
		queue <- job
	}
	close(queue)
	workers.Wait()
}

// references runs every scenario undisturbed.
func (s *sweep) references(ctx context.Context, all []scenario) map[string]reference {
	var mu sync.Mutex
	found := map[string]reference{}
	var jobs []func(context.Context) outcome
	for _, sc := range all {
		jobs = append(jobs, func(ctx context.Context) outcome {
			r, err := undisturbed(ctx, s.site, sc)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				found[sc.name] = r
			}
			return outcome{name: "-scenario " + sc.name, err: err}
		})
	}
	s.each(ctx, jobs)
	return found
}

// points runs the points of scenarios, those of one mishap if there is one: every stride-th of each, in such a way that over the
// scenarios every kind of mishap has its turn.
func (s *sweep) points(ctx context.Context, all []scenario, only mishap, stride int) {
	known := s.references(ctx, all)
	var jobs []func(context.Context) outcome
	for n, sc := range all {
		r, ok := known[sc.name]
		if !ok {
			continue
		}
		s.report.scenarios++
		for i, p := range r.points(sc) {
			if (i+n)%stride == 0 && (only == none || only == p.mishap) {
				jobs = append(jobs, func(ctx context.Context) outcome { return disturbed(ctx, s.site, sc, p, r) })
			}
		}
	}
	s.report.points += len(jobs)
	s.each(ctx, jobs)
}

// seeds runs random cases, from a first seed on.
func (s *sweep) seeds(ctx context.Context, first uint64, count int) {
	var jobs []func(context.Context) outcome
	for i := range count {
		jobs = append(jobs, func(ctx context.Context) outcome { return random(ctx, s.site, first+uint64(i)) }) //nolint:gosec // counted up from 0
	}
	s.report.seeds += len(jobs)
	s.each(ctx, jobs)
}
