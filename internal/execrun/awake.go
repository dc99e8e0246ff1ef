package execrun

import (
	"context"
	"time"
)

// pingTimeout bounds one ping. The next one is not far.
const pingTimeout = 10 * time.Second

// keepAwake tells the service from time to time that the sandbox is in use, for as long as the command runs. The service
// pauses idle sandboxes even while a stream is open. It goes on while a stream is lost, and while the command waits for its
// turn to be followed: the command does too.
func (a *attempt) keepAwake() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keepAwakeLocked()
}

func (a *attempt) keepAwakeLocked() {
	if a.spec.PingInterval <= 0 || a.pings != nil || a.ended {
		return
	}
	delay := a.spec.PingInterval
	if a.spec.Started && !a.pinged {
		delay = 0 // whoever followed it before may have gone long ago
	}
	a.pinged = true
	a.pings = time.AfterFunc(delay, func() { a.runner.spawn(a.ping) })
}

func (a *attempt) ping(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	a.mu.Lock()
	asleep := a.progress.Phase == Waiting && a.place != placeAwaited
	needed := !a.ended && !a.done() && a.goal < Clean && !asleep
	a.pings = nil
	spec := a.spec
	a.mu.Unlock()
	if !needed {
		return
	}
	sandbox, err := spec.Sandbox(ctx)
	if err == nil {
		err = sandbox.Ping(ctx)
	}
	if err != nil {
		// Whatever is wrong shows in the stream, which is looked after.
		a.log.V(1).Info("ping failed", "why", err.Error())
	}
	a.keepAwake()
}
