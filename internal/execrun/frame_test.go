package execrun

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseFrame(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		line string
		want frame
	}{
		{"p 12 340", frame{kind: framePID, pid: 12, age: 340 * time.Millisecond}},
		{"o 0 b YWI= 2", frame{kind: frameStdout, data: []byte("ab")}},
		{"e 7 h 00ff 9", frame{kind: frameStderr, offset: 7, data: []byte{0, 255}}},
		{"h", frame{kind: frameHeartbeat}},
		{"g", frame{kind: frameGone}},
		{"r", frame{kind: frameIncomplete}},
		{"x exit 3 1500 0 10 20", frame{
			kind: frameExit, exit: Exit{Kind: Exited, Code: 3, Duration: 1500 * time.Millisecond}, sizes: [2]int64{10, 20},
		}},
		{"x signal 15 1 1 0 0", frame{
			kind: frameExit, exit: Exit{Kind: Signaled, Code: 15, Duration: time.Millisecond, Stopped: true},
		}},
		{"x signal 127 0 0 0 0", frame{kind: frameExit, exit: Exit{Kind: Signaled, Code: 127}}},
		// What no launcher says, and no status can hold.
		{"x signal 128 0 0 0 0", frame{kind: frameExit, exit: Exit{Kind: Unknown, Code: 128}}},
		{"x exit 0 4611686018427387903 0 0 0", frame{kind: frameExit, exit: Exit{Kind: Exited, Duration: 9223372036*time.Second + 854*time.Millisecond}}},
		{"p 1 4611686018427387903", frame{kind: framePID, pid: 1, age: 9223372036*time.Second + 854*time.Millisecond}},
	} {
		t.Run(tc.line, func(t *testing.T) {
			t.Parallel()
			got, err := parseFrame([]byte(tc.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(frame{})); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseFrameRefusesWhatTheLauncherDoesNotSend(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"", " ", "z", "oo 0 b YWI= 0", "o", "o 0 b YWI=", "o 0 b YWI= 1", "o 0 b YWI= 3", "o -1 b YWI= 1", "o +1 b YWI= 3", "o 0 b YW 1",
		"o 0 b  0", "o 0 c YWI= 2", "o 0 h abc 1", "o 0 b YW\ufffd 2", "o 99999999999999999999 b YWI= 99999999999999999999",
		"p 1", "p 0 1", "p 1 x", "p 4294967296 1", "h 1", "x", "x exit 256 0 0 0 0", "x exit 1 0 2 0 0", "x maybe 1 0 0 0 0", "x exit 1 0 0 0",
	} {
		if got, err := parseFrame([]byte(line)); !errors.Is(err, errFrame) {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
}

// Whatever the stream does to what the launcher sends, a byte at the wrong place is never taken.
func TestNothingWrongIsTakenFromAStreamThatLosesAndRepeats(t *testing.T) {
	t.Parallel()
	content := noise(11, 40_000)
	var sent strings.Builder
	for from := 0; from < len(content); {
		to := min(len(content), from+777)
		fmt.Fprintf(&sent, "o %d b %s %d\n", from, base64.StdEncoding.EncodeToString(content[from:to]), to)
		from = to
	}
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test
	for round := range 500 {
		var got []byte
		var input lines
		take := func(line []byte) error {
			f, err := parseFrame(line)
			if err != nil {
				return err
			}
			if f.offset != int64(len(got)) {
				return errFrame
			}
			got = append(got, f.data...)
			return nil
		}
		for _, chunk := range damaged(random, sent.String()) {
			if err := input.feed(chunk, take); err != nil {
				if !errors.Is(err, errFrame) {
					t.Fatal(err)
				}
				break
			}
		}
		if !bytes.HasPrefix(content, got) {
			t.Fatalf("round %d: the %d bytes that were taken are not what was sent", round, len(got))
		}
	}
}

// damaged cuts what was sent into chunks and loses, repeats or changes one of them.
func damaged(random *rand.Rand, sent string) []string {
	size := []int{64, 777, 1038, 1048, 4096}[random.IntN(5)]
	var chunks []string
	for len(sent) > 0 {
		n := min(size, len(sent))
		chunks, sent = append(chunks, sent[:n]), sent[n:]
	}
	at := random.IntN(len(chunks))
	switch random.IntN(3) {
	case 0:
		return append(chunks[:at], chunks[at+1:]...)
	case 1:
		return append(chunks[:at], append([]string{chunks[at]}, chunks[at:]...)...)
	default:
		chunks[at] = "\ufffd" + chunks[at][1:]
		return chunks
	}
}

func TestALineWithoutEndIsRefused(t *testing.T) {
	t.Parallel()
	var input lines
	never := func([]byte) error { return errors.New("there is no line") }
	err := input.feed(strings.Repeat("o", maxLine), never)
	if err == nil {
		err = input.feed("o", never)
	}
	if !errors.Is(err, errFrame) {
		t.Errorf("got %v", err)
	}
}
