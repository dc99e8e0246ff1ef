//go:build !linux

package localkube

import "syscall"

// childAttributes: there is no parent-death signal here, so a parent that is killed leaves its children behind.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
