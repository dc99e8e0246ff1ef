package guest

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func executable() string { return "/proc/self/exe" }

const cloneFlags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS

// sysProcAttr puts a supervisor into namespaces of its own. The user namespace is
// there for root too: what is root in a sandbox has no power over the host.
func sysProcAttr(spec *BootSpec) *syscall.SysProcAttr {
	if !spec.Namespaces {
		return &syscall.SysProcAttr{Setsid: true}
	}
	attr := &syscall.SysProcAttr{Setsid: true, Cloneflags: cloneFlags}
	if spec.PrivateNetwork {
		attr.Cloneflags |= syscall.CLONE_NEWNET
	}
	if os.Geteuid() == 0 {
		attr.UidMappings = sameIDs("/proc/self/uid_map")
		attr.GidMappings = sameIDs("/proc/self/gid_map")
		attr.GidMappingsEnableSetgroups = true
	} else {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

func namespaced(attr *syscall.SysProcAttr) bool { return attr.Cloneflags&syscall.CLONE_NEWPID != 0 }

// sameIDs maps every id that exists here to itself.
func sameIDs(path string) []syscall.SysProcIDMap {
	text, err := os.ReadFile(path) //nolint:gosec // one of two fixed names
	if err != nil {
		return nil
	}
	var ids []syscall.SysProcIDMap
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f := bytes.Fields(lines.Bytes())
		if len(f) != 3 {
			continue
		}
		first, err1 := strconv.Atoi(string(f[0]))
		size, err2 := strconv.Atoi(string(f[2]))
		if err1 == nil && err2 == nil {
			ids = append(ids, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: size})
		}
	}
	return ids
}

func cloexecPipe(fds *[2]int) error { return unix.Pipe2(fds[:], unix.O_CLOEXEC) }
