//go:build !linux

package guest

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

func sysProcAttr(*BootSpec) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func namespaced(*syscall.SysProcAttr) bool { return false }

func cloexecPipe(fds *[2]int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(fds[:]); err != nil {
		return err
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return nil
}
