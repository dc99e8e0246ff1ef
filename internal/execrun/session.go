package execrun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// skipAfter is how far past what is stored a stream is still taken as it comes. After that the launcher is asked for the end
// of each stream only.
const skipAfter = 1 << 20

// session is one look at the command: it is started unless that was done, and followed from what is stored until the end
// or until something gets in the way. Nil means that the attempt is over.
func (a *attempt) session(ctx context.Context, g guest, spec Attempt, goal Goal) error {
	if err := a.openOutput(ctx, &spec); err != nil {
		return err
	}
	if a.final != nil {
		return a.conclude(ctx, g, &spec)
	}
	started := spec.Started || a.snapshot().PID != 0
	found, err := g.prepare(ctx, started || (goal == Stop && !a.launched))
	a.unpassed, a.launched = found.unpassed, a.launched || found.started
	switch {
	case err != nil:
		return a.examine(ctx, g.sandbox, err)
	case found.gone && (started || a.launched):
		return a.end(frame{kind: frameGone, exit: Exit{Kind: Unknown}, sizes: a.offsets})
	case found.gone, goal == Stop && !started && !found.started:
		return a.end(frame{exit: Exit{Kind: Unstarted, Stopped: true}})
	}
	var p *payload
	if !found.started {
		if written, err := a.writeFiles(ctx, g, &spec); !written {
			return err
		}
		if p, err = newPayload(spec.Command); err != nil {
			a.failStart(err)
			return nil
		}
	}
	if err := a.upload(ctx, g, found, p); err != nil {
		return a.examine(ctx, g.sandbox, err)
	}
	a.keepAwake()
	if found.started {
		// Files that are not there any more are the business of following.
		if err := a.restore(ctx, g); err != nil && !errors.Is(err, errNoFiles) {
			return err
		}
	}
	return a.follow(ctx, g, p)
}

// writeFiles writes the files of the spec. It is done again where it is not certain that it was done: the command has not
// been started, so it has not changed them. Where it is false without an error, the attempt is over.
func (a *attempt) writeFiles(ctx context.Context, g guest, spec *Attempt) (bool, error) {
	if spec.Files == nil {
		return true, nil
	}
	files, err := spec.Files(ctx)
	if err != nil {
		return false, err
	}
	for _, file := range files {
		err := g.sandbox.Upload(ctx, file.Path, file.Content)
		switch {
		case err == nil:
			continue
		case wrenn.IsTooLarge(err):
			a.failStart(fmt.Errorf("the file %s is larger than Wrenn takes", file.Path))
			return false, nil
		}
		if err = a.examine(ctx, g.sandbox, err); wrenn.IsAgentError(err) {
			err = fmt.Errorf("%w: the file %s cannot be written", errGuest, file.Path)
		}
		return false, err
	}
	return true, nil
}

func (a *attempt) upload(ctx context.Context, g guest, found prepared, p *payload) error {
	if !found.launcher || a.reupload {
		if err := g.upload(ctx, launcherName, launchScript); err != nil {
			return err
		}
	}
	if p == nil {
		return nil
	}
	for _, file := range p.files {
		if err := g.upload(ctx, file.name, file.content); err != nil {
			return err
		}
	}
	return nil
}

// follow reads one stream of the launcher.
func (a *attempt) follow(ctx context.Context, g guest, p *payload) error {
	keep := a.keep()
	a.launched = a.launched || p != nil
	stream, err := g.follow(ctx, a.offsets, keep, p)
	if err != nil {
		return a.examine(ctx, g.sandbox, err)
	}
	read := &reader{attempt: a, ctx: ctx, keep: keep}
	err = a.read(stream, read.line)
	// The launcher ends after the end of the command, which was not among what came.
	a.reupload = a.reupload || (errors.Is(err, errEnded) && !read.any)
	return err
}

// read gives the lines of a stream of the launcher to take, until that says that it is over.
func (a *attempt) read(stream *wrenn.ExecStream, take func(line []byte) error) error {
	defer func() { _ = stream.Close() }()
	if gauge := a.runner.Streams; gauge != nil {
		gauge.Inc()
		defer gauge.Dec()
	}
	stalled := time.AfterFunc(a.runner.Pace.Stall, func() { _ = stream.Close() })
	defer stalled.Stop()
	var input lines
	var since time.Time // of the first that came
	for event, err := range stream.Events() {
		if err != nil {
			return fmt.Errorf("%w: %w", errLook, err)
		}
		switch event.Type {
		case wrenn.StreamStdout:
			err = input.feed(event.Data, take)
		case wrenn.StreamExit:
			return errEnded
		}
		switch {
		case errors.Is(err, errOver):
			return nil
		case err != nil:
			return err
		}
		if since.IsZero() {
			since = time.Now()
		}
		if a.isToYield(since) {
			return errYield
		}
		stalled.Reset(a.runner.Pace.Stall)
	}
	return errLook
}

// keep is how much of the end of each stream is of interest, once nothing more can be stored; 0 before.
func (a *attempt) keep() int {
	if a.out.room() > 0 {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.tails[stdout].window, a.tails[stderr].window)
}

var (
	// errLook says that this look at the command is over and the next is due.
	errLook = errors.New("the stream was lost")
	// errYield says that the stream is left to somebody else for now.
	errYield = errors.New("others wait for the stream")
	// errEnded says the same: the launcher ended it.
	errEnded = fmt.Errorf("%w: the launcher ended", errLook)
	// errOver says that the attempt is over.
	errOver = errors.New("the attempt is over")
)

// reader takes the frames of one stream.
type reader struct {
	attempt *attempt
	ctx     context.Context //nolint:containedctx // the reader lives within one call
	keep    int
	any     bool
}

func (r *reader) line(line []byte) error {
	a := r.attempt
	f, err := parseFrame(line)
	if err != nil && f.kind == frameExit {
		f, err = a.unreadableEnd()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errLook, err)
	}
	r.any = true
	a.reupload = false
	switch f.kind {
	case framePID:
		a.began(f)
	case frameStdout, frameStderr:
		return r.data(f)
	case frameHeartbeat:
		a.failures = 0
		return a.store(r.ctx)
	case frameExit:
		return r.over(f)
	case frameGone:
		if a.snapshot().PID != 0 || a.current().Started {
			return r.over(frame{kind: frameGone, exit: Exit{Kind: Unknown}, sizes: a.offsets})
		}
		return fmt.Errorf("%w: the launcher found nothing to do", errLook)
	case frameIncomplete:
		a.reupload = true
		return fmt.Errorf("%w: an upload was cut short", errLook)
	}
	return nil
}

// data takes a piece of output. Only what is dropped anyway may be left out.
func (r *reader) data(f frame) error {
	a, stream := r.attempt, f.stream()
	switch next := a.offsets[stream]; {
	case f.offset == next:
	case r.keep > 0 && f.offset > next:
		a.mu.Lock()
		a.tails[stream].skip()
		a.mu.Unlock()
	default:
		return fmt.Errorf("%w: %w: not the next byte", errLook, errFrame)
	}
	a.failures, a.refusals, a.shorts = 0, 0, 0
	taken, err := len(f.data), error(nil)
	if r.keep == 0 {
		taken, err = a.out.append(r.ctx, stream, f.data)
	}
	a.offsets[stream] = f.offset + int64(taken)
	a.mu.Lock()
	a.tails[stream].write(f.data[:taken])
	a.mu.Unlock()
	a.publish()
	switch {
	case err != nil:
		return a.settle(err)
	case r.keep == 0 && sum(a.offsets)-sum(a.out.end) > skipAfter:
		return fmt.Errorf("%w: nothing more is stored", errLook)
	}
	return a.store(r.ctx)
}

func (r *reader) over(f frame) error {
	if err := r.attempt.end(f); err != nil {
		return err
	}
	return errOver
}
