package guest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	headerBytes = 4
	// maxMessage bounds one message. An argument list is the largest thing in one,
	// and the kernel limits that to a quarter of the stack limit.
	maxMessage = 64 << 20
	maxFiles   = 4
)

// Conn is one end of the socket between server and supervisor. Send is safe for
// concurrent use; Receive has one caller.
type Conn struct {
	sock *net.UnixConn
	mu   sync.Mutex
}

// Pair makes a connected socket: one end for this process, the other as a file to
// hand to a child.
func Pair() (*Conn, *os.File, error) {
	fds, err := socketpair()
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "guest-socket")
	ours, err := newConn(os.NewFile(uintptr(fds[0]), "server-socket"))
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// newConn takes over f.
func newConn(f *os.File) (*Conn, error) {
	defer func() { _ = f.Close() }()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("guest socket: %w", err)
	}
	sock, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, errors.New("guest socket: not a unix socket")
	}
	return &Conn{sock: sock}, nil
}

// Send writes one message with the raw descriptors fds, which stay the caller's.
func (c *Conn) Send(v any, fds ...int) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("guest message: %w", err)
	}
	if len(body) > maxMessage {
		return fmt.Errorf("guest message: %w", syscall.E2BIG)
	}
	buf := make([]byte, headerBytes, headerBytes+len(body))
	binary.BigEndian.PutUint32(buf, uint32(len(body))) //nolint:gosec // bounded by maxMessage above
	buf = append(buf, body...)
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _, err := c.sock.WriteMsgUnix(buf, oob, nil)
	if err != nil {
		return fmt.Errorf("guest message: %w", err)
	}
	for n < len(buf) {
		m, err := c.sock.Write(buf[n:])
		if err != nil {
			return fmt.Errorf("guest message: %w", err)
		}
		n += m
	}
	return nil
}

// Receive reads one message into v and returns the descriptors that came with it.
// The end of the socket is [io.EOF].
func (c *Conn) Receive(v any) ([]int, error) {
	header := make([]byte, headerBytes)
	fds, err := c.readFull(header)
	if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header)
	if size > maxMessage {
		closeAll(fds)
		return nil, fmt.Errorf("guest message of %d bytes", size)
	}
	body := make([]byte, size)
	more, err := c.readFull(body)
	fds = append(fds, more...)
	if err == nil {
		err = json.Unmarshal(body, v)
	}
	if err != nil {
		closeAll(fds)
		return nil, fmt.Errorf("guest message: %w", err)
	}
	return fds, nil
}

// readFull fills p exactly, so that a read never reaches into the next message and
// descriptors are never taken for those of another one.
func (c *Conn) readFull(p []byte) ([]int, error) {
	var fds []int
	oob := make([]byte, unix.CmsgSpace(maxFiles*4))
	for done := 0; done < len(p); {
		n, oobn, _, _, err := c.sock.ReadMsgUnix(p[done:], oob)
		if err == nil && n == 0 {
			err = io.EOF
		}
		if err != nil {
			closeAll(fds)
			return nil, err
		}
		done += n
		got, err := parseRights(oob[:oobn])
		fds = append(fds, got...)
		if err != nil {
			closeAll(fds)
			return nil, err
		}
	}
	return fds, nil
}

func parseRights(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("control message: %w", err)
	}
	var fds []int
	for i := range msgs {
		got, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		for _, fd := range got {
			unix.CloseOnExec(fd)
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

// Close ends the socket; a supervisor at the other end exits.
func (c *Conn) Close() error { return c.sock.Close() }

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
