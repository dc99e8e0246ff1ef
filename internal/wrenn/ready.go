package wrenn

import (
	"context"
	"errors"
	"time"
)

// longestPoll is the longest time between two looks at a sandbox that is waited for.
const longestPoll = 2 * time.Second

// WaitReady returns the sandbox once it is running. It looks with growing pauses, and also past failures that may pass,
// until ctx ends. A sandbox that is stopped or in error never runs again: ErrFinal. A paused one is ErrPaused: it is not
// resumed here. The status is told with both. One that the service does not know is IsNotFound at once.
func (h *SandboxHandle) WaitReady(ctx context.Context) (*Sandbox, error) {
	const op = "sandboxes.wait_ready"
	wait := h.c.pace.base
	for {
		sandbox, err := h.Get(ctx)
		switch {
		case err != nil && (IsRefusal(err) || errors.Is(err, ErrInvalidArgument) || errors.Is(err, ErrWrongGeneration)):
			return nil, toldAs(op, err)
		case err != nil && ctx.Err() != nil:
			return nil, toldAs(op, err)
		case err != nil:
		case sandbox.Status == StatusRunning:
			return sandbox, nil
		case sandbox.Status.Final():
			return sandbox, &Error{Op: op, Message: "the sandbox is " + string(sandbox.Status), Err: ErrFinal}
		case sandbox.Status == StatusPaused:
			return sandbox, &Error{Op: op, Message: ErrPaused.Error(), Err: ErrPaused}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			e := &Error{Op: op, Message: "the sandbox does not run yet", Err: endOf(ctx)}
			if err != nil {
				e.Message, e.Err = "the sandbox could not be looked at", errors.Join(err, endOf(ctx))
			}
			return sandbox, e
		case <-timer.C:
		}
		wait = min(2*wait, longestPoll)
	}
}

// destroyTimeout bounds the destroying of a sandbox whose user is done.
const destroyTimeout = time.Minute

// WithSandbox creates a sandbox, waits until it runs, calls use, and destroys the sandbox whatever happens in between: an
// error, a panic, the end of ctx, which does not reach the destroying. It returns the errors of use and of the destroying.
//
// A create that fails ambiguously can leave a sandbox behind that nobody knows the id of.
func (c *Client) WithSandbox(ctx context.Context, req CreateSandboxRequest, use func(context.Context, *SandboxHandle) error) (err error) {
	sandbox, err := c.Sandboxes.Create(ctx, req)
	if err != nil {
		return err
	}
	handle := c.Sandbox(sandbox.ID)
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
		defer cancel()
		if e := handle.Destroy(last); e != nil {
			err = errors.Join(err, e)
		}
	}()
	if _, err := handle.WaitReady(ctx); err != nil {
		return err
	}
	return use(ctx, handle)
}
