package guest

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// takeTty makes the terminal of the reply the command's.
func (c *Command) takeTty(fds []int) error {
	if len(fds) != 1 {
		closeAll(fds)
		return errors.New("guest sent no terminal")
	}
	// Else a read could not be given up.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		closeAll(fds)
		return fmt.Errorf("terminal: %w", err)
	}
	c.Tty = os.NewFile(uintptr(fds[0]), "terminal")
	c.guest.keep(c.Tty)
	return nil
}

// Resize tells the command's terminal its new size.
func (c *Command) Resize(size TtySize) error {
	if c.Tty == nil {
		return errors.New("the command has no terminal")
	}
	return resize(c.Tty, &size)
}

// resize sets the size of a terminal, of whichever of its ends f is.
func resize(f *os.File, size *TtySize) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
	})
	return errors.Join(err, failed)
}
