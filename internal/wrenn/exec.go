package wrenn

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// defaultExecTimeout is the service's, for a command without one.
const defaultExecTimeout = 30 * time.Second

// ExecRequest is a command that is run to its end in one request.
type ExecRequest struct {
	// Cmd is an executable, found on the guest's PATH: not a shell line.
	Cmd string
	// Args are its arguments.
	Args []string
	// Timeout is rounded up to whole seconds; 0 means the service's default of 30 s. Servers of generation Capsules end
	// every such command after 45 s whatever is asked here, and the command goes on in the guest.
	Timeout time.Duration
}

// ExecResult is what a command left.
type ExecResult struct {
	// Stdout and Stderr are the bytes that the command wrote.
	Stdout, Stderr []byte
	// ExitCode is 0 to 255, or -1 for a command that a signal ended. A missing executable is 127.
	ExitCode int
	// Duration is the running time in the guest, in milliseconds' resolution.
	Duration time.Duration
}

// Exec runs a command to its end. It is sent once. The service answers when stdout and stderr are closed, also by
// whatever the command left in the background. A command that outlives its timeout is IsAgentError, like a failure of
// the agent, and leaves neither output nor exit code.
func (h *SandboxHandle) Exec(ctx context.Context, req ExecRequest) (*ExecResult, error) {
	const op = "sandboxes.exec"
	if err := checkID(op, h.id); err != nil {
		return nil, err
	}
	if req.Cmd == "" {
		return nil, invalidArgument(op, "the command is empty")
	}
	seconds := req.Timeout / time.Second
	if req.Timeout%time.Second > 0 {
		seconds++
	}
	if req.Timeout < 0 || seconds > math.MaxInt32 {
		return nil, invalidArgument(op, "the timeout is out of range")
	}
	allowed := defaultExecTimeout
	if seconds > 0 {
		allowed = seconds * time.Second
	}
	body := jsonBody(api.ExecRequest{Cmd: req.Cmd, Args: req.Args, TimeoutSec: optional(int32(seconds))})
	return sandboxFetch(ctx, h.c, call{
		op: op, method: http.MethodPost, path: "/" + h.id + "/exec", body: body, want: http.StatusOK,
		limit: h.c.settings.limits.ExecBytes, budget: allowed + h.c.settings.requestTimeout, effect: true,
	}, execResultOf(h.id))
}

func execResultOf(id string) func(*api.ExecResult) (*ExecResult, error) {
	return func(w *api.ExecResult) (*ExecResult, error) {
		if w.SandboxID != id {
			return nil, errors.New("the answer is about another sandbox")
		}
		result := &ExecResult{ExitCode: int(w.ExitCode), Duration: time.Duration(w.DurationMs) * time.Millisecond}
		switch w.Encoding {
		case api.UTF8:
			result.Stdout, result.Stderr = []byte(w.Stdout), []byte(w.Stderr)
			return result, nil
		case api.Base64:
			var outErr, errErr error
			result.Stdout, outErr = base64.StdEncoding.DecodeString(w.Stdout)
			result.Stderr, errErr = base64.StdEncoding.DecodeString(w.Stderr)
			if outErr != nil || errErr != nil {
				return nil, errors.New("the output is not valid base64")
			}
			return result, nil
		}
		return nil, errors.New("the output has an unknown encoding")
	}
}
