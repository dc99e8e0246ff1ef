package localrun

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// BuildManager builds the manager into dir, with the race detector where asked for, and returns the program's path.
func BuildManager(ctx context.Context, dir string, race bool) (string, error) {
	root, err := checkout()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "manager")
	args := []string{"build", "-o", program}
	if race {
		args = append(args, "-race")
	}
	build := exec.CommandContext(ctx, "go", append(args, "./cmd/manager")...) //nolint:gosec // G204: no input
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the manager: %w\n%s", err, output)
	}
	return program, nil
}

// Manager is a running manager.
type Manager struct {
	// LogPath is the file that it logs to.
	LogPath string
	// ProbeURL is where it serves /healthz and /readyz, MetricsURL its metrics.
	ProbeURL, MetricsURL string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
	err  error         // how it ended; set before done is closed
}

// StartManager starts the program as the operator's ServiceAccount, with leader election on and on loopback only, and
// returns when it is ready, whether or not it leads. InstallRBAC must have been run. Further arguments override what is
// set here. The log is appended to manager.log of the site's directory.
func (s *Site) StartManager(ctx context.Context, program string, args ...string) (*Manager, error) {
	kubeconfig, err := s.operatorKubeconfig(ctx)
	if err != nil {
		return nil, err
	}
	probe, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	metrics, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	m := &Manager{
		LogPath:    filepath.Join(s.Dir, "manager.log"),
		ProbeURL:   "http://" + probe,
		MetricsURL: "https://" + metrics + "/metrics",
		done:       make(chan struct{}),
	}
	flags := []string{
		"--namespace=" + OperatorNamespace, "--leader-elect",
		"--health-probe-bind-address=" + probe, "--metrics-bind-address=" + metrics,
	}
	// Not CommandContext: a manager is told to stop, and given time to.
	m.cmd = exec.Command(program, append(flags, args...)...) //nolint:gosec,noctx // G204: built by BuildManager
	m.cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	// A group of its own, so that a Ctrl-C at the terminal reaches only the process that owns the site. Should that be
	// killed, the manager goes too: it ends itself when it cannot renew its lease.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := m.start(ctx); err != nil {
		return nil, fmt.Errorf("start the manager: %w", err)
	}
	return m, nil
}

func (m *Manager) start(ctx context.Context) error {
	log, err := os.OpenFile(m.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	m.cmd.Stdout, m.cmd.Stderr = log, log
	if err := m.cmd.Start(); err != nil {
		return err
	}
	go func() {
		m.err = m.cmd.Wait()
		close(m.done)
	}()
	if err := m.awaitReady(ctx); err != nil {
		return errors.Join(err, m.Kill())
	}
	return nil
}

// awaitReady waits for /readyz, or for the end of the process.
func (m *Manager) awaitReady(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		if m.Ended() {
			return false, fmt.Errorf("it has ended: %w; its log ends with:\n%s", m.err, m.LogTail(10))
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.ProbeURL+"/readyz", nil)
		if err != nil {
			return false, err
		}
		request.Close = true // leaves no connection behind
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("wait for it to be ready: %w", err)
	}
	return nil
}

// PID is the id of the process.
func (m *Manager) PID() int { return m.cmd.Process.Pid }

// Ended reports whether the process is gone.
func (m *Manager) Ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// Done is closed when the process is gone.
func (m *Manager) Done() <-chan struct{} { return m.done }

// Kill ends the process with SIGKILL, as a crash would, and returns when it is gone.
func (m *Manager) Kill() error {
	if err := m.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-m.done
	return nil
}

// Freeze halts the process where it is, as a machine that swaps or migrates does. Thaw lets it go on: it knows nothing of
// what has happened since.
func (m *Manager) Freeze() error { return m.signal(syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (m *Manager) Thaw() error { return m.signal(syscall.SIGCONT) }

// Terminate sends SIGTERM, as a cluster does to a Pod, and does not wait.
func (m *Manager) Terminate() error { return m.signal(syscall.SIGTERM) }

// signal sends a signal to the process, unless that has ended.
func (m *Manager) signal(s syscall.Signal) error {
	if err := m.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Stop sends SIGTERM and waits for the end, before which the manager finishes its calls to Wrenn. One that has not ended
// when the context is done is killed. Any end but exit status 0 is an error.
func (m *Manager) Stop(ctx context.Context) error {
	if err := m.Terminate(); err != nil {
		return err
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("the manager did not stop: %w", context.Cause(ctx)), m.Kill())
	}
	if m.err != nil {
		return fmt.Errorf("the manager ended with: %w", m.err)
	}
	return nil
}

// LogTail returns the last lines of the log.
func (m *Manager) LogTail(lines int) string {
	content, err := os.ReadFile(m.LogPath)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// freeAddress is an address on loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
