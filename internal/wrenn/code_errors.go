package wrenn

import "errors"

// Sentinels of RunCode.
var (
	// ErrUnknownLanguage: the server in the guest has no kernel spec of the name.
	ErrUnknownLanguage = errors.New("no such kernel spec in the sandbox")
	// ErrKernelDied: the kernel ended or was restarted under the cell. All state is lost; the next call finds a new kernel.
	ErrKernelDied = errors.New("the kernel died")
	// ErrCellAborted: the kernel dropped the cell without beginning it, since one before it failed.
	ErrCellAborted = errors.New("the kernel dropped the cell")
	// ErrNotStopped: the cell could not be stopped, or still waits behind another one, and can go on or begin yet. It comes
	// together with ErrTimeout or the context's error.
	ErrNotStopped = errors.New("the cell was not stopped")
)
