package localkube

import "syscall"

// childAttributes has the kernel kill the child when its parent dies in whatever way, even by SIGKILL.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
