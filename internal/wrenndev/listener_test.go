package wrenndev

import (
	"encoding/binary"
	"testing"
)

// number makes pieces that can be told apart, and that cannot be joined.
func number(i int) piece {
	return piece{[]string{"stdout", "stderr"}[i%2], binary.BigEndian.AppendUint32(nil, uint32(i))} //nolint:gosec // small
}

func TestASlowReaderLosesTheOldest(t *testing.T) {
	const sent = backlog + 1000
	l := &lossyListener{listener: newListener(t.Context()), ready: make(chan struct{}, 1)}
	for i := range sent {
		l.hear(number(i))
	}
	l.end(7, true)
	go l.run()
	var got []int
	for p := range l.pieces {
		got = append(got, int(binary.BigEndian.Uint32(p.data)))
	}
	if len(got) != backlog || got[0] != sent-backlog || got[len(got)-1] != sent-1 {
		t.Errorf("%d pieces from %d to %d", len(got), got[0], got[len(got)-1])
	}
	if l.code == nil || *l.code != 7 {
		t.Errorf("exit code %v", l.code)
	}
}

func TestSmallPiecesOfASlowReaderAreJoined(t *testing.T) {
	l := &lossyListener{listener: newListener(t.Context()), ready: make(chan struct{}, 1)}
	const size, sent = 5, 10 * backlog
	for range sent {
		l.hear(piece{"stdout", make([]byte, size)})
	}
	l.end(0, false)
	go l.run()
	total := 0
	for p := range l.pieces {
		total += len(p.data)
		if len(p.data) > streamChunk {
			t.Errorf("a piece of %d bytes", len(p.data))
		}
	}
	if total != size*sent || l.code != nil {
		t.Errorf("%d of %d bytes, exit code %v", total, size*sent, l.code)
	}
}
