package localkube

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a process may take to end after SIGTERM. Nothing here is worth a longer wait: the data is
// written without fsync to begin with.
const stopGrace = 10 * time.Second

// process is a running child whose output goes to a file.
type process struct {
	name    string
	logPath string
	cmd     *exec.Cmd
	done    chan struct{} // closed once the process is gone and reaped
	err     error         // how it ended; set before done is closed
}

// startProcess starts a program in a process group of its own, so that a Ctrl-C at the terminal reaches only the
// process that owns the control plane, which then stops the children in order.
func startProcess(name, path string, args []string, dir string) (*process, error) {
	if err := checkExecutable(path); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	logPath := filepath.Join(dir, name+".log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600) //nolint:gosec // G304: inside the data directory
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = log.Close() }()

	// Not CommandContext: processes are stopped in an order, and with grace.
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // G204: a path of Assets with flags of this package
	cmd.Args[0] = path
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	p := &process{name: name, logPath: logPath, cmd: cmd, done: make(chan struct{})}

	started := make(chan error)
	go p.keep(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// keep starts the process and stays with it to its end. On Linux the kernel ends a child with the parent's
// *thread*, so the thread must live as long as the child does: it is this goroutine's alone until then.
func (p *process) keep(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// stop ends the process and waits until it is gone: SIGTERM first, SIGKILL when that has no effect in time.
func (p *process) stop(grace time.Duration) error {
	if p.ended() {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it ended meanwhile
	timeout := time.NewTimer(grace)
	defer timeout.Stop()
	select {
	case <-p.done:
		return nil
	case <-timeout.C:
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("%s did not end within %s of SIGTERM and was killed; its log: %s", p.name, grace, p.logPath)
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// exitError tells how a process that ought to run has ended, with the last that it logged.
func (p *process) exitError() error {
	<-p.done
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended unexpectedly (%s); the end of its log %s:\n%s", p.name, how, p.logPath, p.logTail())
}

// logTail is the last few lines of the log.
func (p *process) logTail() string {
	const lines, limit = 15, 16 << 10
	content, err := readEnd(p.logPath, limit)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(content, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// readEnd returns at most the last limit bytes of a file.
func readEnd(path string, limit int64) (string, error) {
	file, err := os.Open(path) //nolint:gosec // G304: a log of ours
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	content := make([]byte, min(limit, info.Size()))
	n, err := file.ReadAt(content, info.Size()-int64(len(content)))
	if err != nil && n < len(content) {
		return "", err
	}
	return string(content), nil
}
