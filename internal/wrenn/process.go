package wrenn

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// Everything here exists in generation Capsules only: on a server of the other it is ErrUnsupported.

// BackgroundRequest is a command that is started and left to itself.
type BackgroundRequest struct {
	// Cmd is an executable, found on the guest's PATH: not a shell line.
	Cmd string
	// Args are its arguments.
	Args []string
	// Tag names the process; empty lets the service make one up. It is not unique, and cannot consist of digits: those
	// would always be taken for a pid.
	Tag string
	// Env is added to the environment.
	Env map[string]string
	// Dir is the working directory; empty means the default user's home. One that is not there is IsAgentError.
	Dir string
}

// BackgroundProcess is a command that was started.
type BackgroundProcess struct {
	// PID is the process id in the guest.
	PID int
	// Tag is its name.
	Tag string
}

// Process is a process that the guest daemon started.
type Process struct {
	// PID is the process id in the guest.
	PID int
	// Cmd and Args are what was started.
	Cmd  string
	Args []string
	// Tag is its name, if it has one.
	Tag string
}

// ProcessSelector says which process is meant. Only one that the guest daemon started itself can be: not its children.
type ProcessSelector struct{ pid, tag string }

// ByPID selects a process by its id in the guest.
func ByPID(pid int) ProcessSelector { return ProcessSelector{pid: strconv.Itoa(pid)} }

// ByTag selects a process by its tag; with several of the same tag, one of them. A tag of digits only is an invalid
// argument of the call, since the service would take it for a pid.
func ByTag(tag string) ProcessSelector { return ProcessSelector{tag: tag} }

func (s ProcessSelector) segment(op string) (string, error) {
	if s.pid != "" {
		if strings.HasPrefix(s.pid, "-") || s.pid == "0" {
			return "", invalidArgument(op, "the pid must be positive")
		}
		return s.pid, nil
	}
	return s.tag, checkTag(op, s.tag)
}

func checkTag(op, tag string) error {
	if err := checkSegment(op, "tag", tag); err != nil {
		return err
	}
	if strings.Trim(tag, "0123456789") == "" {
		return invalidArgument(op, "a tag of digits is taken for a pid")
	}
	return nil
}

// Signal is what a process can be sent.
type Signal string

// The signals that the service knows.
const (
	// SIGKILL ends the process at once. It is the default.
	SIGKILL Signal = "SIGKILL"
	// SIGTERM asks it to end.
	SIGTERM Signal = "SIGTERM"
)

// ExecBackground starts a command and returns when it has started. It is sent once. A missing executable starts too, and
// ends with 127. Nothing tells the exit code later but a ProcessStream that was there.
func (h *SandboxHandle) ExecBackground(ctx context.Context, req BackgroundRequest) (*BackgroundProcess, error) {
	const op = "sandboxes.exec_background"
	if err := checkID(op, h.id); err != nil {
		return nil, err
	}
	if req.Cmd == "" {
		return nil, invalidArgument(op, "the command is empty")
	}
	if req.Tag != "" {
		if err := checkTag(op, req.Tag); err != nil {
			return nil, err
		}
	}
	background := true
	return sandboxFetch(ctx, h.c, call{
		op: op, method: http.MethodPost, path: "/" + h.id + "/exec", want: http.StatusAccepted, limit: h.c.settings.limits.ObjectBytes,
		budget: slowCallTimeout, effect: true, only: GenerationCapsules,
		body: jsonBody(api.CapsuleExecRequest{
			Cmd: req.Cmd, Args: req.Args, Background: &background, Tag: optional(req.Tag), Envs: req.Env, Cwd: optional(req.Dir),
		}),
	}, func(w *api.BackgroundProcess) (*BackgroundProcess, error) {
		if w.SandboxID != h.id || w.Pid <= 0 {
			return nil, errors.New("the answer is about another sandbox or has no pid")
		}
		return &BackgroundProcess{PID: int(w.Pid), Tag: w.Tag}, nil
	})
}

// Processes returns what the guest daemon started and still runs, in no order: commands in the background and in the
// foreground, streams and terminals.
func (h *SandboxHandle) Processes(ctx context.Context) ([]Process, error) {
	const op = "sandboxes.processes"
	if err := checkID(op, h.id); err != nil {
		return nil, err
	}
	return sandboxFetch(ctx, h.c, call{
		op: op, method: http.MethodGet, path: "/" + h.id + "/processes", want: http.StatusOK, limit: h.c.settings.limits.ListBytes,
		budget: h.c.settings.requestTimeout, only: GenerationCapsules,
	}, func(w *api.ProcessList) ([]Process, error) {
		out := make([]Process, 0, len(w.Processes))
		for _, p := range w.Processes {
			out = append(out, Process{PID: int(p.Pid), Cmd: p.Cmd, Args: p.Args, Tag: value(p.Tag)})
		}
		return out, nil
	})
}

// KillProcess sends a signal, an empty one meaning SIGKILL, to one process and not to its children. One that is not there
// any more is IsNotFound.
func (h *SandboxHandle) KillProcess(ctx context.Context, which ProcessSelector, signal Signal) error {
	const op = "sandboxes.kill_process"
	if err := checkID(op, h.id); err != nil {
		return err
	}
	segment, err := which.segment(op)
	if err != nil {
		return err
	}
	// The service takes whatever it does not know for SIGKILL.
	if signal != "" && signal != SIGKILL && signal != SIGTERM {
		return invalidArgument(op, "the signal must be %s or %s", SIGKILL, SIGTERM)
	}
	k := call{
		op: op, method: http.MethodDelete, path: "/" + h.id + "/processes/" + segment, want: http.StatusNoContent,
		limit: h.c.settings.limits.ObjectBytes, budget: h.c.settings.requestTimeout, effect: true, only: GenerationCapsules,
	}
	if signal != "" {
		k.query = url.Values{"signal": {string(signal)}}
	}
	return sandboxDo(ctx, h.c, k)
}

// ProcessStream follows the output of a process from this moment on: what it wrote before is not repeated, and what it
// writes while nobody listens is lost. Several may listen. A process that is unknown or has ended is ErrProcessNotFound.
// Otherwise the stream is as that of ExecStream, but that nothing is ambiguous and Stop has no effect.
func (h *SandboxHandle) ProcessStream(ctx context.Context, which ProcessSelector) (*ExecStream, error) {
	const op = "sandboxes.process_stream"
	if err := checkID(op, h.id); err != nil {
		return nil, err
	}
	segment, err := which.segment(op)
	if err != nil {
		return nil, err
	}
	startCtx, cancel := h.c.starting(ctx)
	defer cancel()
	conn, err := h.openSocket(ctx, startCtx, call{op: op, path: "/processes/" + segment + "/stream", only: GenerationCapsules})
	if err != nil {
		return nil, err
	}
	s := &ExecStream{socket: conn}
	event, err := s.next(startCtx)
	switch {
	case err != nil && closedSilently(startCtx, err):
		err = &Error{Op: op, Message: "the server closed the stream without a word", Err: errors.Join(ErrProcessNotFound, ErrStreamLost)}
	case err != nil:
		err = s.lost(startCtx, err)
	case event.Type == StreamStart:
		s.start = event
		return s, nil
	case event.Type == StreamError:
		err = &Error{Op: op, Err: ErrStreamRefused}
	default:
		err = s.lost(startCtx, errBadFrame)
	}
	s.shut()
	return nil, err
}
