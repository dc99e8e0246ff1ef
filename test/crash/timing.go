package main

import (
	"time"

	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/controller"
	"github.com/wrennhq/wrenn-operator/internal/execrun"
)

// patience bounds every wait. Whatever takes longer is stuck.
const patience = time.Minute

const (
	// shortLife is the longest ttlSeconds, and shortIdle the longest idle timeout, that may run out in a case.
	shortLife, shortIdle = 60, 60
	// staleFor is how long an operator hears of no change when it is to be stale.
	staleFor = 700 * time.Millisecond
	// catchUp is how long an operator waits for its caches: longer than for any that are only stale.
	catchUp = 2 * time.Second
	// usedAfter is how long after its start a remote must be used for Wrenn's times, which are whole seconds, to show it.
	usedAfter = time.Second
	// streamFor is how long a stream lasts that is cut.
	streamFor = 150 * time.Millisecond
	// reclaimedWithin is how soon an operator that is let be destroys what it made for a Sandbox that has vanished.
	reclaimedWithin = 10 * time.Second
	// collectedWithin is how much time the garbage collector has: there is one for all cases, of the whole sweep.
	collectedWithin = 5 * time.Minute
	// quietFor is how long nothing may happen before all is taken to be quiet: longer than any interval below at which
	// an operator takes up again what it has put off.
	quietFor = 1200 * time.Millisecond
)

// The operators are in a hurry, so that a case takes seconds.
var (
	pace = connection.Pace{
		Calm: 250 * time.Millisecond, Hurried: 60 * time.Millisecond, HurryFor: 2 * time.Second,
		Slowest: 500 * time.Millisecond, Timeout: 5 * time.Second,
	}
	secretRefresh = controller.SecretRefresh{Found: 5 * time.Second, Missing: 100 * time.Millisecond}
	sandboxTiming = controller.SandboxTiming{
		Create: 10 * time.Second, Call: 10 * time.Second, Settle: 700 * time.Millisecond, ShowAfter: 300 * time.Millisecond,
		FirstRetry: 50 * time.Millisecond, SlowestRetry: time.Second,
	}
	snapshotTiming = controller.SnapshotTiming{
		Take: 10 * time.Second, Call: 10 * time.Second, Settle: 700 * time.Millisecond,
		FirstRetry: 50 * time.Millisecond, SlowestRetry: time.Second,
	}
	execPace = execrun.Pace{
		FirstRetry: 20 * time.Millisecond, SlowestRetry: 500 * time.Millisecond, Look: 500 * time.Millisecond,
		Stall: 20 * time.Second, Turn: time.Second, Check: 500 * time.Millisecond, News: 100 * time.Millisecond,
	}
	execTiming = controller.ExecJobTiming{FirstRetry: 100 * time.Millisecond, SlowestRetry: 300 * time.Millisecond}
)
