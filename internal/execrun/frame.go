package execrun

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// The two streams of a command, as indexes.
const (
	stdout = iota
	stderr
)

// maxLine bounds a frame: a block of the launcher, in base64 or hexadecimal, and its head.
const maxLine = 160 << 10

// The largest exit code and number of a signal that there are.
const (
	maxExitCode = 255
	maxSignal   = 127
)

// errFrame says that what came is not what the launcher sends: something was lost, repeated or changed on the way. It is
// cured by another look from the stored offset.
var errFrame = errors.New("malformed frame")

type frameKind byte

// The kinds of frames, as launch.sh describes them.
const (
	framePID        frameKind = 'p'
	frameStdout     frameKind = 'o'
	frameStderr     frameKind = 'e'
	frameHeartbeat  frameKind = 'h'
	frameExit       frameKind = 'x'
	frameGone       frameKind = 'g'
	frameIncomplete frameKind = 'r'
)

// frame is one line of the launcher.
type frame struct {
	kind   frameKind
	offset int64
	data   []byte
	pid    int32
	age    time.Duration
	exit   Exit
	sizes  [2]int64
}

// stream is the stream that a frame has a piece of.
func (f frame) stream() int {
	if f.kind == frameStderr {
		return stderr
	}
	return stdout
}

// lines cuts what the stream carries into lines.
type lines struct{ rest []byte }

// feed calls yield for each line that data completes. The line is valid until yield returns.
func (l *lines) feed(data string, yield func([]byte) error) error {
	l.rest = append(l.rest, data...)
	done := 0
	for {
		n := bytes.IndexByte(l.rest[done:], '\n')
		if n < 0 {
			break
		}
		if err := yield(l.rest[done : done+n]); err != nil {
			return err
		}
		done += n + 1
	}
	l.rest = l.rest[:copy(l.rest, l.rest[done:])]
	if len(l.rest) > maxLine {
		return fmt.Errorf("%w: a line without end", errFrame)
	}
	return nil
}

// parseFrame reads a line of the launcher. Of a malformed one it returns no more than what kind it would be.
func parseFrame(line []byte) (frame, error) {
	fields := bytes.Split(line, []byte(" "))
	if len(fields[0]) != 1 {
		return frame{}, errFrame
	}
	f := frame{kind: frameKind(fields[0][0])}
	args := fields[1:]
	var ok bool
	switch f.kind {
	case frameStdout, frameStderr:
		ok = f.parseData(args)
	case framePID:
		ok = f.parsePID(args)
	case frameExit:
		ok = f.parseExit(args)
	case frameHeartbeat, frameGone, frameIncomplete:
		ok = len(args) == 0
	}
	if !ok {
		return frame{kind: f.kind}, errFrame
	}
	return f, nil
}

func (f *frame) parseData(args [][]byte) bool {
	if len(args) != 4 || len(args[1]) != 1 {
		return false
	}
	offsets, err := numbers([][]byte{args[0], args[3]}, 2)
	if err != nil {
		return false
	}
	f.offset = offsets[0]
	switch args[1][0] {
	case 'b':
		f.data = make([]byte, base64.StdEncoding.DecodedLen(len(args[2])))
		n, decodeErr := base64.StdEncoding.Decode(f.data, args[2])
		f.data, err = f.data[:n], decodeErr
	case 'h':
		f.data = make([]byte, hex.DecodedLen(len(args[2])))
		_, err = hex.Decode(f.data, args[2])
	default:
		return false
	}
	return err == nil && len(f.data) > 0 && f.offset+int64(len(f.data)) == offsets[1]
}

func (f *frame) parsePID(args [][]byte) bool {
	n, err := numbers(args, 2)
	if err != nil || n[0] == 0 || n[0] > 1<<31-1 {
		return false
	}
	f.pid, f.age = int32(n[0]), millis(n[1]) //nolint:gosec // just compared
	return true
}

func (f *frame) parseExit(args [][]byte) bool {
	if len(args) != 6 {
		return false
	}
	kind := ExitKind(args[0])
	n, err := numbers(args[1:], 5)
	if err != nil || n[0] > maxExitCode || n[2] > 1 {
		return false
	}
	switch kind {
	case Exited, Signaled, Unstarted, Unknown:
	default:
		return false
	}
	if kind == Signaled && n[0] > maxSignal {
		// There is no such signal: whoever is in the sandbox has written this.
		kind = Unknown
	}
	f.exit = Exit{
		Kind: kind, Code: int32(n[0]), //nolint:gosec // at most 255
		Duration: millis(n[1]), Stopped: n[2] == 1,
	}
	f.sizes = [2]int64{n[3], n[4]}
	return true
}

// millis is a time that the guest tells. One that is too long for any clock is cut short.
func millis(n int64) time.Duration {
	return time.Duration(min(n, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

func numbers(args [][]byte, want int) ([]int64, error) {
	if len(args) != want {
		return nil, errFrame
	}
	ns := make([]int64, want)
	for i, arg := range args {
		n, err := number(arg)
		if err != nil {
			return nil, err
		}
		ns[i] = n
	}
	return ns, nil
}

// number takes plain digits only. A sign or a byte that was replaced on the way is an error.
func number(b []byte) (int64, error) {
	n, err := strconv.ParseUint(string(b), 10, 62)
	if err != nil {
		return 0, errFrame
	}
	return int64(n), nil
}
