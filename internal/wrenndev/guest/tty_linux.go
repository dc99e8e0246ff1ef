package guest

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// openTty makes a terminal: its outer end, and the inner one for a command.
func openTty(size *TtySize) (outer, inner *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	outer = os.NewFile(uintptr(fd), "terminal")
	if inner, err = openInner(fd); err == nil {
		err = resize(outer, size)
	}
	if err != nil {
		if inner != nil {
			_ = inner.Close()
		}
		return nil, nil, errors.Join(err, outer.Close())
	}
	return outer, inner, nil
}

func openInner(outer int) (*os.File, error) {
	if err := unix.IoctlSetPointerInt(outer, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	n, err := unix.IoctlGetInt(outer, unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	// Not by os.OpenFile, which makes it non-blocking: a shell does not expect that.
	fd, err := unix.Open("/dev/pts/"+strconv.Itoa(n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "terminal"), nil
}
