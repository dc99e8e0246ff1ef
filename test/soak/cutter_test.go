package main

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
)

// pipeEnd is a stream that is only read.
type pipeEnd struct{ io.Reader }

func (pipeEnd) Write(p []byte) (int, error) { return len(p), nil }
func (pipeEnd) Close() error                { return nil }

func TestCutStream(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		left, cuts int
		want       string
		err        error
	}{
		{0, 1, "", io.ErrUnexpectedEOF},
		{3, 1, "str", io.ErrUnexpectedEOF},
		{6, 1, "stream", io.ErrUnexpectedEOF},
		{7, 0, "stream", nil},
	} {
		var cuts atomic.Int64
		s := &cutStream{ReadWriteCloser: pipeEnd{strings.NewReader("stream")}, left: tc.left, cuts: &cuts}
		got, err := io.ReadAll(s)
		if string(got) != tc.want || !errors.Is(err, tc.err) || int(cuts.Load()) != tc.cuts {
			t.Errorf("with %d left: %q, %v, %d cuts", tc.left, got, err, cuts.Load())
		}
	}
}
