package wrenn

import (
	"context"
	"iter"
)

// ExecStreamRequest is a command whose output is streamed. It has no timeout, environment or working directory: the
// service ignores them here.
type ExecStreamRequest struct {
	// Cmd is an executable, found on the guest's PATH: not a shell line.
	Cmd string
	// Args are its arguments.
	Args []string
}

// StreamEventType is the kind of a StreamEvent.
type StreamEventType string

// The kinds of events, in the order in which they come.
const (
	StreamStart  StreamEventType = "start"  // first, with PID
	StreamStdout StreamEventType = "stdout" // with Data
	StreamStderr StreamEventType = "stderr" // with Data; the order relative to stdout is not kept
	StreamExit   StreamEventType = "exit"   // last, with ExitCode
	StreamError  StreamEventType = "error"  // with Data, a text for people; the stream is lost after it
)

// StreamEvent is one event of a running command.
type StreamEvent struct {
	// Type tells which of the other fields are set.
	Type StreamEventType
	// PID is the process id in the guest.
	PID int
	// Data is a piece of output. The service replaces bytes that are not UTF-8 by U+FFFD, even those of a character that
	// it cut in two: for exact bytes, encode them in the guest.
	Data string
	// ExitCode is 0 to 255, or -1 for a command that a signal ended.
	ExitCode int
}

// ExecStream is a view of a running command. Losing it, stopping it and closing it leave the command running: the API
// has no means to end it but another command.
type ExecStream struct{}

// ExecStream starts a command and returns when it has started; Events then begins with the start event. The context
// governs the whole stream. The service ends every stream after 600 s, and at pause, idle pause and destroy, without an
// exit event.
func (h *SandboxHandle) ExecStream(ctx context.Context, req ExecStreamRequest) (*ExecStream, error) {
	return nil, errNotYet
}

// PID is the process id in the guest.
func (s *ExecStream) PID() int { return 0 }

// Events yields the events, once. It ends after the exit event; every other end yields an error last, ErrStreamLost
// among its causes. Leaving the loop closes the stream. Nothing is read ahead: a slow reader slows the sender.
func (s *ExecStream) Events() iter.Seq2[StreamEvent, error] { return nil }

// Stop asks the server to end the stream. It does not end the command, and no exit event follows.
func (s *ExecStream) Stop(ctx context.Context) error { return errNotYet }

// Close releases the connection at once and can be called at any time, from any goroutine, and again. It does not end
// the command.
func (s *ExecStream) Close() error { return nil }
