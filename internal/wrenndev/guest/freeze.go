package guest

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// settle bounds how long stopping or ending the processes of a sandbox may take.
// One in an uninterruptible sleep stops only when it returns from it.
const settle = 5 * time.Second

// errUnsettled says that processes were still running when the time was over.
var errUnsettled = errors.New("processes did not settle")

// proc is one process as the system lists it.
type proc struct {
	pid, ppid int
	state     byte // as in /proc/<pid>/stat: R, S, D, T, t, Z, X, I
	ticks     uint64
	rss       int64
}

func (p proc) halted() bool { return p.state == 'T' || p.state == 't' }
func (p proc) dead() bool   { return p.state == 'Z' || p.state == 'X' }

// pause stops every process. It looks again until it has seen nothing but stopped
// ones, for a process may start another while its siblings are being stopped.
func (s *supervisor) pause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen {
		return nil
	}
	s.frozen = true
	s.stopped = map[int]bool{}
	signaled := map[int]bool{}
	err := settleOn(func() (bool, error) {
		procs, err := descendants()
		if err != nil {
			return false, err
		}
		quiet := true
		for _, p := range procs {
			switch {
			case p.dead():
			case p.halted():
				if !signaled[p.pid] {
					s.stopped[p.pid] = true
				}
			case p.state == 'D' && signaled[p.pid]:
				// In the kernel, with the signal waiting for it at the way out. It may stay
				// there: one that called vfork waits for its child, which is stopped.
			default:
				quiet = false
				signaled[p.pid] = true
				_ = syscall.Kill(p.pid, syscall.SIGSTOP)
			}
		}
		return quiet, nil
	})
	if err != nil {
		s.thaw()
		return fmt.Errorf("pause: %w", err)
	}
	return nil
}

// resume continues every process but those that were stopped before the pause.
func (s *supervisor) resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen {
		s.thaw()
		s.samples.wake()
	}
	return nil
}

func (s *supervisor) thaw() {
	procs, err := descendants()
	if err == nil {
		for _, p := range procs {
			if !s.stopped[p.pid] {
				_ = syscall.Kill(p.pid, syscall.SIGCONT)
			}
		}
	}
	s.frozen, s.stopped = false, nil
}

// endAll kills every process of the sandbox but the supervisor.
func (s *supervisor) endAll() error {
	err := settleOn(func() (bool, error) {
		procs, err := descendants()
		if err != nil {
			return false, err
		}
		quiet := true
		for _, p := range procs {
			if !p.dead() {
				quiet = false
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
			}
		}
		return quiet, nil
	})
	if err != nil {
		return fmt.Errorf("end processes: %w", err)
	}
	return nil
}

// settleOn repeats look until it is quiet.
func settleOn(look func() (quiet bool, err error)) error {
	wait := 200 * time.Microsecond
	for deadline := time.Now().Add(settle); ; {
		quiet, err := look()
		if err != nil || quiet {
			return err
		}
		if time.Now().After(deadline) {
			return errUnsettled
		}
		time.Sleep(wait)
		wait = min(2*wait, 20*time.Millisecond)
	}
}

// list names the processes of the sandbox, without the supervisor.
func (s *supervisor) list() ([]Process, error) {
	procs, err := descendants()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Process, 0, len(procs))
	for _, p := range procs {
		if !p.dead() {
			list = append(list, Process{Pid: p.pid, State: string(p.state), Exec: s.pids[p.pid]})
		}
	}
	return list, nil
}
