package localkube

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	pollInterval = 50 * time.Millisecond
	// startTimeout bounds each step of a start. An idle machine needs about two seconds for the longest; a busy one
	// has been seen to need thirty.
	startTimeout = 3 * time.Minute
)

// waitFor repeats check until it succeeds. It gives up when a server that was started has ended, when ctx is done,
// or after startTimeout.
func (cp *ControlPlane) waitFor(ctx context.Context, what string, check func(context.Context) error) error {
	ctx, cancelTimeout := context.WithTimeoutCause(ctx, startTimeout, errors.New("no success within "+startTimeout.String()))
	defer cancelTimeout()
	// An end must interrupt a check too: one that speaks to a foreign server on our port could wait long.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, p := range cp.processes() {
		go func() {
			select {
			case <-p.done:
				cancel(p.exitError())
			case <-ctx.Done():
			}
		}()
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (the last try: %w)", what, context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
