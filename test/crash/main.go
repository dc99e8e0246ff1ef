// Command crash sweeps the operator with mishaps: every effect it has on the API server and on Wrenn fails before it, fails after it,
// loses its answer, or is the last of the process; and random people and mishaps besides. Everything is real: an
// API server, the embedded Wrenn, the controllers of the manager. Afterwards no remote sandbox may be leaked, doubled or lost,
// nothing be stuck, and everything be as if nothing had happened.
//
//	go run ./test/crash
//	go run ./test/crash -point create/wrenn.create.1/killed
//	go run ./test/crash -seed 123
//
// It prints what is wrong, with the command that replays it, and closes with
//
//	crash: scenarios=… points=… seeds=… leaked=0 doubled=0 lost=0 stuck=0 diverged=0 reruns=0 outputs_differ=0
//
// The exit code is 1 when any of these is not 0, or a case could not be carried through.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	clean, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
	}
	if err != nil || !clean {
		os.Exit(1)
	}
}

// options say what of the sweep to run.
type options struct {
	scenario, mishap string
	point            string
	seed, from       uint64
	seedsOnly        bool
	seeds            int
	stride           int
	times            int
	parallel         int
	crds             string
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	flags.StringVar(&o.scenario, "scenario", "", "run the points of these scenarios only, with commas between and * for any name, and no seeds")
	flags.StringVar(&o.mishap, "mishap", "", "run the points with this mishap only, and no seeds")
	flags.StringVar(&o.point, "point", "", "run this point only: <scenario>/<effect>/<mishap>")
	flags.Uint64Var(&o.seed, "seed", 0, "run this seed only")
	flags.Uint64Var(&o.from, "from", 1, "the first of the seeds to run")
	flags.BoolVar(&o.seedsOnly, "seeds-only", false, "run seeds and no points")
	flags.IntVar(&o.seeds, "seeds", 500, "how many seeds to run")
	flags.IntVar(&o.stride, "stride", 1, "run every so manieth point only")
	flags.IntVar(&o.times, "times", 1, "run what -point or -seed names so many times")
	flags.IntVar(&o.parallel, "parallel", 12, "how many cases to run at a time")
	flags.StringVar(&o.crds, "crds", "config/crd/bases", "where the CRDs are")
	return o, flags.Parse(args)
}

// run runs the sweep and tells whether it found nothing.
func run(ctx context.Context, args []string, out, progress io.Writer) (clean bool, err error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	shared, err := newSite(ctx, o.crds, nil)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, shared.close()) }()
	s := &sweep{
		site: shared, parallel: o.parallel, out: out, progress: progress,
		tells: o.point != "" || o.seed != 0, report: report{counts: map[class]int{}},
	}
	if err := s.run(ctx, o); err != nil {
		return false, err
	}
	for _, name := range s.report.unmet {
		fmt.Fprintf(out, "not come to: %s\n", name)
	}
	fmt.Fprintln(out, &s.report)
	return s.report.clean(), ctx.Err()
}

// run runs what the options name.
func (s *sweep) run(ctx context.Context, o options) error {
	all := scenarios()
	only := func(list string) error {
		wanted := strings.Split(list, ",")
		matches := func(sc scenario, pattern string) bool {
			is, err := path.Match(pattern, sc.name)
			return err == nil && is
		}
		for _, pattern := range wanted {
			if !slices.ContainsFunc(all, func(sc scenario) bool { return matches(sc, pattern) }) {
				return fmt.Errorf("%q is no scenario", pattern)
			}
		}
		all = slices.DeleteFunc(all, func(sc scenario) bool {
			return !slices.ContainsFunc(wanted, func(pattern string) bool { return matches(sc, pattern) })
		})
		return nil
	}
	switch {
	case o.point != "":
		p, err := parsePoint(o.point)
		if err != nil {
			return err
		}
		if err := only(p.scenario); err != nil {
			return err
		}
		s.one(ctx, all[0], p, o.times)
	case o.seed != 0:
		for range o.times {
			s.seeds(ctx, o.seed, 1)
		}
	case o.scenario != "" || o.mishap != "":
		if err := only(cmp.Or(o.scenario, "*")); err != nil {
			return err
		}
		if o.mishap != "" && !slices.Contains(mishaps, mishap(o.mishap)) {
			return fmt.Errorf("%q is no mishap: %v", o.mishap, mishaps)
		}
		s.points(ctx, all, mishap(o.mishap), o.stride)
	default:
		if !o.seedsOnly {
			s.points(ctx, all, none, o.stride)
		}
		s.seeds(ctx, o.from, o.seeds)
	}
	return nil
}

// one runs one point.
func (s *sweep) one(ctx context.Context, sc scenario, p point, times int) {
	r, ok := s.references(ctx, []scenario{sc})[sc.name]
	if !ok {
		return
	}
	s.report.scenarios = 1
	for range times {
		s.report.points++
		s.takes(disturbed(ctx, s.site, sc, p, r))
	}
}
