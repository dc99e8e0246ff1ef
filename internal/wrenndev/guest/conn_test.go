package guest

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair makes both ends of a socket.
func pair(t *testing.T) (a, b *Conn) {
	t.Helper()
	a, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = newConn(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

func TestMessagesKeepTheirDescriptors(t *testing.T) {
	a, b := pair(t)
	const messages = 20
	sent := make(chan error, 1)
	go func() {
		sent <- func() error {
			for i := range messages {
				r, w, err := os.Pipe()
				if err != nil {
					return err
				}
				_, err = w.WriteString(strings.Repeat("x", i+1))
				err = errors.Join(err, w.Close())
				// Long ones do not fit the socket's buffer at once; every other has no descriptor.
				req := Request{Seq: uint64(i), Op: strings.Repeat("o", i*50_000)}
				if i%2 == 0 {
					err = errors.Join(err, a.Send(&req, int(r.Fd())))
				} else {
					err = errors.Join(err, a.Send(&req))
				}
				if err = errors.Join(err, r.Close()); err != nil {
					return err
				}
			}
			return a.Close()
		}()
	}()
	for i := range messages {
		var got Request
		fds, err := b.Receive(&got)
		if err != nil {
			t.Fatal(err)
		}
		if got.Seq != uint64(i) || len(got.Op) != i*50_000 || len(fds) != (i+1)%2 {
			t.Fatalf("message %d: seq %d, %d bytes, %d descriptors", i, got.Seq, len(got.Op), len(fds))
		}
		for _, fd := range fds {
			f := os.NewFile(uintptr(fd), "pipe")
			text, err := io.ReadAll(f)
			if err = errors.Join(err, f.Close()); err != nil || len(text) != i+1 {
				t.Errorf("message %d: descriptor holds %d bytes, %v", i, len(text), err)
			}
		}
	}
	if _, err := b.Receive(&Request{}); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v", err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestMalformedMessages(t *testing.T) {
	for name, raw := range map[string]string{
		"too long":  "\xff\xff\xff\xff",
		"no JSON":   "\x00\x00\x00\x03abc",
		"truncated": "\x00\x00\x00\x09{}",
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			if _, err := a.sock.Write([]byte(raw)); err != nil {
				t.Fatal(err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Receive(&Request{}); err == nil {
				t.Error("no error")
			}
		})
	}
}
