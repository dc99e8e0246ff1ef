package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// dialTimeout bounds a connection to the sandbox's own loopback, where only a full
// queue of the listener takes time.
const dialTimeout = 10 * time.Second

// dial connects to a port of the sandbox. The server could not: the network may not
// be its own.
func (s *supervisor) dial(spec *DialSpec) (*os.File, error) {
	if s.halted() {
		return nil, &kindError{KindFrozen, errFrozen}
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(spec.Port))))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // File makes another descriptor of it
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("connection is a %T", conn)
	}
	return tcp.File()
}

// Dial connects to a TCP port of the sandbox's loopback. A failure that the guest
// reports, such as that nobody listens there, is an [*Error].
func (g *Guest) Dial(ctx context.Context, port uint16) (*net.TCPConn, error) {
	a, err := g.call(ctx, &Request{Op: opDial, Dial: &DialSpec{Port: port}})
	if err != nil {
		return nil, err
	}
	if len(a.fds) != 1 {
		closeAll(a.fds)
		return nil, errors.New("guest sent no connection")
	}
	f := os.NewFile(uintptr(a.fds[0]), "guest-port")
	defer func() { _ = f.Close() }() // FileConn makes another descriptor of it
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("connection of the guest: %w", err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("guest sent a %T", conn), conn.Close())
	}
	return tcp, nil
}
