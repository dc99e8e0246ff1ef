package wrenn

import (
	"context"
	"time"
)

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
	return nil, errNotYet
}
