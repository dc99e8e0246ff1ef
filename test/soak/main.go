// Command soak runs the operator for long under a steady load and watches what it holds on to. The manager is a process of
// its own, with a real API server and an embedded Wrenn that cuts its streams at random bytes. Jobs come and go: each is
// held to its output and exit code, and then given a time to live, by which it is deleted. Heap, goroutines and sockets are measured
// after the first minute and at the end, both times when every job is gone, and must be the same.
//
//	go run ./test/soak
//	go run ./test/soak -for 1h -rate 5
//
// It prints a line every half minute, what is wrong as it shows, and closes with
//
//	soak: jobs=… cuts=… failed=0 heap_mib=…→… goroutines=…→… sockets=…→…
//
// The exit code is 1 when a job failed or an output differs, when more is held at the end than is tolerated, or the soak
// could not be carried through.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	clean, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	if err != nil || !clean {
		os.Exit(1)
	}
}

// options say how to soak.
type options struct {
	long      time.Duration
	warmUp    time.Duration
	every     time.Duration
	rate      float64
	atATime   int
	sandboxes int
	watch     time.Duration
	seed      uint64
	allowed   tolerance
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.DurationVar(&o.long, "for", 10*time.Minute, "how long jobs are made")
	flags.DurationVar(&o.warmUp, "warm-up", time.Minute, "how long they are made before the first measurement")
	flags.DurationVar(&o.every, "every", 30*time.Second, "how often a line is printed")
	flags.Float64Var(&o.rate, "rate", 3, "how many jobs are made a second")
	flags.IntVar(&o.atATime, "at-a-time", 40, "how many jobs may be unfinished: while that many are, none is made")
	flags.IntVar(&o.sandboxes, "sandboxes", 8, "how many Sandboxes the jobs share")
	flags.DurationVar(&o.watch, "watch", 10*time.Second, "how long the least is looked for that the operator holds, once every job is gone")
	flags.Uint64Var(&o.seed, "seed", 1, "what the dice begin with")
	flags.IntVar(&o.allowed.goroutines, "more-goroutines", 10, "how many more goroutines there may be at the end")
	flags.IntVar(&o.allowed.sockets, "more-sockets", 5, "how many more sockets may be open at the end")
	flags.Float64Var(&o.allowed.heapShare, "more-heap", 0.2, "by what share the live heap may have grown at the end")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.warmUp >= o.long || o.rate <= 0 || o.atATime < 1 || o.sandboxes < 1 {
		return o, errors.New("-for must be longer than -warm-up; -rate, -at-a-time and -sandboxes must be above 0")
	}
	return o, nil
}

// run soaks the operator and tells whether it found nothing.
func run(ctx context.Context, args []string, out io.Writer) (clean bool, err error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	logf.SetLogger(logr.Discard())
	w, err := newWorld(ctx, o)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	s := &soak{options: o, world: w, out: out, load: newLoad(w, o)}
	return s.run(ctx)
}
