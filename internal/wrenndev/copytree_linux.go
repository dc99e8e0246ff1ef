package wrenndev

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"
)

// whiteout makes the mark by which an overlay hides a file of a lower layer.
func whiteout(path string) error { return unix.Mknod(path, unix.S_IFCHR, 0) }

func modTime(st *syscall.Stat_t) int64 { return st.Mtim.Nano() }

// copyXattrs copies the extended attributes that this user may set; an overlay
// keeps its own marks in them.
func copyXattrs(from, to string) {
	size, err := unix.Llistxattr(from, nil)
	if err != nil || size <= 0 {
		return
	}
	names := make([]byte, size)
	size, err = unix.Llistxattr(from, names)
	if err != nil {
		return
	}
	for name := range bytes.SplitSeq(names[:size], []byte{0}) {
		if len(name) == 0 {
			continue
		}
		n, err := unix.Lgetxattr(from, string(name), nil)
		if err != nil {
			continue
		}
		value := make([]byte, n)
		if n, err = unix.Lgetxattr(from, string(name), value); err == nil {
			_ = unix.Lsetxattr(to, string(name), value[:n], 0)
		}
	}
}
