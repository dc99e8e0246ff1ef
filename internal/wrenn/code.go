package wrenn

import (
	"context"
	"time"
)

const opRunCode = "sandboxes.run_code"

// RunCode runs a cell of code in a kernel of the sandbox and returns what it left, when it has ended. Variables, imports
// and definitions stay for the next cell, also of other clients: the kernel is the first of its language that the Jupyter
// server in the guest has, or one that is made. The template must bring that server, as "code-runner-beta" does. An
// exception of the code is no error of the call: it is the result's Error. The source is sent once. Input cannot be asked
// for.
//
// The kernel runs one cell after the other. Cells of this client wait here for their turn, those of others wait in the
// kernel; both count towards WithCodeTimeout. When the time is up, or the context ends, the kernel is interrupted and the
// error says so: ErrTimeout or the context's error, with ErrNotStopped when the cell goes on in spite of it, or has not
// begun behind somebody else's, which is not interrupted, and is still to run. The call then takes up to 5 s longer.
//
// A result that is not nil has what there was when the call failed:
//   - ErrStreamLost: the connection broke. The cell goes on, and the next one waits behind it.
//   - ErrKernelDied: the kernel ended under the cell, and all state is lost. The next call has a new kernel.
//   - ErrIncomplete: the cell has ended, but the kernel did not say how, or not that this is all of its output.
//   - ErrCellAborted: the cell was not begun, since one before it failed and its client wanted that.
//
// Without a result nothing was run: ErrUnknownLanguage, what DialWebSocket says of a port that cannot be reached, with
// ErrTimeout when it stayed like that for the time of WithStartTimeout, and time that is up before the turn came.
// Ambiguous is true once the cell was sent, but for ErrCellAborted.
//
// All of this goes through the port proxy. See HTTPClient for what that means: servers of generation Sandboxes give the
// team's API key to the server in the guest, and a sandbox with an idle timeout is paused under a running cell unless Ping
// is called.
func (h *SandboxHandle) RunCode(ctx context.Context, source string, opts ...CodeOption) (*CodeResult, error) {
	s := codeSettingsOf(opts)
	session := randomID()
	request := newExecuteRequest(session, source)
	message, err := checkCode(opRunCode, s, request)
	if err != nil {
		return nil, err
	}
	j, err := h.jupyter(ctx, opRunCode, s.port)
	if err != nil {
		return nil, err
	}
	k, release := h.c.kernels.lease(kernelKey{sandbox: h.id, port: s.port, language: s.language})
	defer release()
	waiting := time.Now()
	done, err := waitTurn(ctx, k, s.timeout)
	if err != nil {
		return nil, err
	}
	defer done()
	if s.timeout > 0 {
		s.timeout = max(time.Millisecond, s.timeout-time.Since(waiting))
	}
	conn, id, err := j.connect(ctx, k, s, session)
	if err != nil {
		return nil, err
	}
	x := &cell{j: j, kernel: id, out: &cellOutput{
		request: request.Header.ID, session: session, limit: s.limit, callbacks: s.callbacks,
	}}
	result, err := x.run(ctx, conn, message, s.timeout)
	if x.stale {
		h.c.kernels.setID(k, "")
	}
	return result, err
}

func waitTurn(ctx context.Context, k *kernel, timeout time.Duration) (done func(), err error) {
	ctx, cancel := limited(ctx, timeout)
	defer cancel()
	return k.wait(ctx, opRunCode)
}

// limited bounds a context by a time limit of the client's own, if there is one.
func limited(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, timeout, errBudget)
}
