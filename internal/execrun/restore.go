package execrun

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// check tells, with errStale, whether somebody has deleted a part.
func (o *output) check(ctx context.Context) error {
	o.lastCheck = time.Now()
	names := o.names()
	if len(names) == 0 {
		return nil
	}
	parts, err := o.list(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, p := range parts {
		there[p.name] = true
	}
	for _, name := range names {
		if !there[name] {
			return errStale
		}
	}
	return nil
}

// findGaps finds the full parts that are not among those that are there, and what was in them.
func (o *output) findGaps(ctx context.Context, there []*part) error {
	known := map[int]*part{}
	for _, p := range there {
		known[p.number] = p
	}
	absent := func(number int) bool { return number < o.full && known[number] == nil && !o.late[number] }
	for number := 0; number < o.full; number++ {
		if !absent(number) {
			continue
		}
		first := number
		gap := span{to: o.end}
		if before := known[first-1]; before != nil {
			if err := loadPart(ctx, o.reader, o.job, before); err != nil {
				return err
			}
			gap.from = [2]int64{before.end(stdout), before.end(stderr)}
		}
		for absent(number + 1) {
			number++
		}
		if after := known[number+1]; after != nil {
			gap.to = after.base
		}
		o.leaveOut(gap, first, number+1)
	}
	return nil
}

// leaveOut notes the parts that are missing, and what was in them. What is beside them may have been tampered with, and not
// fit any more. It is not made worse then.
func (o *output) leaveOut(gap span, first, after int) {
	if !gap.forward() {
		gap = span{}
	}
	if pieces := gap.cut(first, nil); len(pieces) == after-first {
		o.gaps = append(o.gaps, pieces...)
		return
	}
	for number := first; number < after; number++ {
		o.holes = append(o.holes, segment{span: gap, number: number})
		gap = span{}
	}
}

// add stores a segment.
func (o *output) add(ctx context.Context, s segment, data [2][]byte) error {
	p := o.part(s.number, s.from)
	p.head, p.data, p.sealed = s.head, data, true
	if err := o.put(ctx, p); err != nil {
		return err
	}
	if s.head != nil {
		o.late[s.number] = true
	}
	return nil
}

// restore stores what is missing of the full parts, read from the guest.
func (a *attempt) restore(ctx context.Context, g guest) error {
	for len(a.out.gaps) > 0 {
		gap := a.out.gaps[0]
		data, err := a.fetch(ctx, g, gap.span)
		switch {
		case err == nil:
			err = a.settle(a.out.add(ctx, gap, data))
		case errors.Is(err, errShort):
			a.out.holes, err = append(a.out.holes, gap), nil
		}
		if err != nil {
			return err
		}
		a.out.gaps = a.out.gaps[1:]
		a.publish()
	}
	return nil
}

// nowhere is an offset that no stream reaches.
const nowhere = 1 << 61

var (
	errNoFiles = errors.New("the command's files are not in the sandbox any more")
	// errShort says that the files in the sandbox do not have what is wanted of them.
	errShort = errors.New("the command's files are shorter than they should be")
)

// fetch reads a span of the streams from the files in the guest.
func (a *attempt) fetch(ctx context.Context, g guest, s span) ([2][]byte, error) {
	var data [2][]byte
	from := s.from
	for stream := range from {
		if s.to[stream] == s.from[stream] {
			from[stream] = nowhere
		}
	}
	stream, err := g.follow(ctx, from, 0, nil)
	if err != nil {
		return data, a.explain(ctx, g.sandbox, err)
	}
	left := s.len()
	err = a.read(stream, func(line []byte) error {
		f, err := parseFrame(line)
		switch {
		case f.kind == frameExit:
			return a.endedEarly()
		case err != nil:
			return fmt.Errorf("%w: %w", errLook, err)
		case f.kind == frameGone:
			return errNoFiles
		case f.kind != frameStdout && f.kind != frameStderr:
			return nil
		}
		of := f.stream()
		if f.offset != s.from[of]+int64(len(data[of])) {
			if f.offset >= s.to[of] {
				return nil // past what is wanted, while the other stream is not there yet
			}
			return fmt.Errorf("%w: %w: not the next byte", errLook, errFrame)
		}
		n := min(int64(len(f.data)), s.to[of]-f.offset)
		data[of] = append(data[of], f.data[:n]...)
		if left -= n; left == 0 {
			a.shorts = 0
			return errOver
		}
		return nil
	})
	return data, err
}
