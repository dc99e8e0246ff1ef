package execrun

import (
	"context"
	"time"
)

// pingTimeout bounds one ping. The next one is not far.
const pingTimeout = 10 * time.Second

// keepAwake tells the service from time to time that the sandbox is in use, for as long as the command runs. The service
// pauses idle sandboxes even while a stream is open. It goes on while a stream is lost: the command does too.
func (a *attempt) keepAwake() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.spec.PingInterval > 0 && a.pings == nil && !a.ended {
		a.pings = time.AfterFunc(a.spec.PingInterval, func() { a.runner.spawn(a.ping) })
	}
}

func (a *attempt) ping(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	a.mu.Lock()
	needed := !a.ended && !a.done() && a.goal < Clean && a.progress.Phase != Waiting
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
