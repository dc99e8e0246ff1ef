package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

var (
	errFrozen = errors.New("sandbox is paused")
	errNoExec = errors.New("no such command")
)

// exec starts a command. The server's number for it is registered before its end
// can be reaped, so the exit event never gets lost.
func (s *supervisor) exec(spec *ExecSpec, out []int) (int, error) {
	if len(spec.Argv) == 0 {
		return 0, &kindError{KindInvalid, errors.New("empty command")}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen || s.null == nil {
		return 0, &kindError{KindFrozen, errFrozen}
	}
	argv := wrap(spec.Argv)
	dir := spec.Dir
	if dir == "" {
		dir = s.spec.Home
	}
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{ //nolint:gosec // running what the client says is the purpose
		Dir:   dir,
		Env:   slices.Concat(s.spec.Env, spec.Env),
		Files: []uintptr{s.null.Fd(), uintptr(out[0]), uintptr(out[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("start command: %w", err)
	}
	s.commands[spec.ID], s.pids[pid] = pid, spec.ID
	s.samples.wake()
	return pid, nil
}

// wrap makes the command line that the service's guest daemon makes: a shell that
// becomes nice, which becomes the command. So a missing command is exit code 127
// with a message on stderr, and a text file without "#!" is run by the shell.
func wrap(argv []string) []string {
	script := `exec "$@"`
	for _, nice := range []string{"/usr/bin/nice", "/bin/nice"} {
		if _, err := os.Stat(nice); err == nil {
			script = "exec " + nice + ` -n 0 "$@"`
			break
		}
	}
	return append([]string{"/bin/sh", "-c", script, "sh"}, argv...)
}

func (s *supervisor) signal(spec *SignalSpec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	pid, ok := s.commands[spec.Exec]
	if !ok {
		return &kindError{KindNotFound, errNoExec}
	}
	return syscall.Kill(pid, syscall.Signal(spec.Signal))
}

// reapForever collects every child that ends: commands, and orphans that came here.
func (s *supervisor) reapForever(children <-chan os.Signal) {
	for range children {
		s.reap()
	}
}

func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		// ForkExec itself waits for a child that failed to start, under the same lock.
		s.mu.Lock()
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			s.mu.Unlock()
			continue
		}
		if err != nil || pid <= 0 {
			s.mu.Unlock()
			return
		}
		id, ours := s.pids[pid]
		delete(s.pids, pid)
		delete(s.commands, id)
		s.mu.Unlock()
		if ours {
			_ = s.conn.Send(&Reply{Exit: &Exit{Exec: id, Code: exitCode(status)}})
		}
	}
}

func exitCode(status syscall.WaitStatus) int {
	if status.Exited() {
		return status.ExitStatus()
	}
	return -1
}

// resolve turns a path of the API into one to open.
func (s *supervisor) resolve(path string) (string, error) {
	switch {
	case path == "~":
		path = s.spec.Home
	case strings.HasPrefix(path, "~/"):
		path = filepath.Join(s.spec.Home, path[2:])
	case !filepath.IsAbs(path):
		path = filepath.Join(s.spec.Home, path)
	}
	path = filepath.Clean(path)
	if s.spec.Namespaces {
		return path, nil
	}
	// Without a root of its own a sandbox's absolute paths are the host's. Its files
	// would outlive it there, so it only gets those of its own directory.
	if path != s.spec.Dir && !strings.HasPrefix(path, s.spec.Dir+string(filepath.Separator)) {
		return "", &kindError{KindInvalid, fmt.Errorf("%s is outside of the sandbox's directory %s", path, s.spec.Dir)}
	}
	return path, nil
}

func (s *supervisor) open(spec *OpenSpec) (*os.File, error) {
	if s.halted() {
		return nil, &kindError{KindFrozen, errFrozen}
	}
	path, err := s.resolve(spec.Path)
	if err != nil {
		return nil, err
	}
	// O_NONBLOCK: opening a FIFO that nobody else has open must not hang.
	flags := os.O_RDONLY | syscall.O_NONBLOCK
	if spec.Write {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // the mode the service gives
			return nil, err
		}
		flags = os.O_WRONLY | os.O_CREATE | syscall.O_NONBLOCK
	}
	f, err := os.OpenFile(path, flags, 0o644) //nolint:gosec // the mode the service gives; any path of the sandbox is its own
	if err != nil {
		return nil, err
	}
	if err := onlyRegular(f, spec.Write); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func onlyRegular(f *os.File, truncate bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &kindError{KindInvalid, fmt.Errorf("%s is not a regular file", f.Name())}
	}
	if truncate {
		return f.Truncate(0)
	}
	return nil
}

// kindError gives an error a kind that does not follow from what it wraps.
type kindError struct {
	kind ErrorKind
	err  error
}

func (e *kindError) Error() string { return e.err.Error() }
func (e *kindError) Unwrap() error { return e.err }

func kindOf(err error) ErrorKind {
	var k *kindError
	switch {
	case errors.As(err, &k):
		return k.kind
	case errors.Is(err, os.ErrNotExist):
		return KindNotFound
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
		return KindInvalid
	}
	return KindInternal
}
