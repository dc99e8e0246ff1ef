package execrun

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// An attached command runs on a stream of the service, without anything of ours in the guest. The stream is then all there
// is to know of it: once lost, it cannot be had again, and the command is not started again.

// piece is some output of an attached command that is not taken by the stored output yet.
type piece struct {
	stream int
	data   []byte
}

// attached takes one step of an attached command.
func (a *attempt) attached(ctx context.Context, spec *Attempt, sandbox *wrenn.SandboxHandle, goal Goal) error {
	if a.out == nil {
		if err := a.openOutput(ctx, spec); err != nil {
			return err
		}
	}
	switch {
	case a.final != nil && goal >= Clean:
		a.update(func(p *Progress) { p.Phase, p.Reason, p.Message = Cleaned, "", "" })
		return nil
	case a.final != nil:
		return a.concludeAttached(ctx, spec)
	case a.launched || spec.Resumed:
		a.endAttached(Exit{Kind: StreamLost})
		return nil
	case goal != Follow:
		a.endAttached(Exit{Kind: Unstarted, Stopped: true})
		return nil
	}
	return a.launchAttached(ctx, spec, sandbox)
}

// launchAttached starts the command, once, and follows it to the end of the stream.
func (a *attempt) launchAttached(ctx context.Context, spec *Attempt, sandbox *wrenn.SandboxHandle) error {
	// Where the sandbox does not run, some servers say so in a way that leaves open whether the command was started.
	remote, err := sandbox.Get(ctx)
	if err == nil && remote.Status != wrenn.StatusRunning {
		err = errAsleep
	}
	if err != nil {
		return a.examine(ctx, sandbox, err)
	}
	stream, err := sandbox.ExecStream(ctx, wrenn.ExecStreamRequest{Cmd: spec.Command.Args[0], Args: spec.Command.Args[1:]})
	if err != nil && !wrenn.IsAmbiguous(err) {
		return a.examine(ctx, sandbox, err)
	}
	a.launched = true
	exit := Exit{Kind: StreamLost}
	if err == nil {
		exit = a.followAttached(ctx, stream)
	}
	a.endAttached(exit)
	return nil
}

func (a *attempt) followAttached(ctx context.Context, stream *wrenn.ExecStream) Exit {
	defer func() { _ = stream.Close() }()
	began := time.Now()
	a.began(frame{pid: int32(stream.PID())}) //nolint:gosec // the kernel's numbers are smaller
	a.keepAwake()
	for event, err := range stream.Events() {
		if err != nil {
			a.log.V(1).Info("the stream of an attached command is lost", "why", err.Error())
			break
		}
		switch event.Type {
		case wrenn.StreamStdout:
			a.takeAttached(ctx, stdout, event.Data)
		case wrenn.StreamStderr:
			a.takeAttached(ctx, stderr, event.Data)
		case wrenn.StreamExit:
			exit := exitOf(event.ExitCode)
			exit.Duration = time.Since(began)
			return exit
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.killed {
		return Exit{Kind: Signaled, Duration: time.Since(began)}
	}
	return Exit{Kind: StreamLost, Duration: time.Since(began)}
}

// exitOf is what the service's number for the end of a command says.
func exitOf(code int) Exit {
	switch {
	case code < 0:
		return Exit{Kind: Signaled} // which signal is not told
	case code > maxExitCode:
		return Exit{Kind: Unknown}
	default:
		return Exit{Kind: Exited, Code: int32(code)}
	}
}

// takeAttached takes a piece of output. What the API server does not take yet waits in memory, up to the limit.
func (a *attempt) takeAttached(ctx context.Context, stream int, data string) {
	a.mu.Lock()
	a.tails[stream].write([]byte(data))
	a.mu.Unlock()
	a.offsets[stream] += int64(len(data))
	waiting := int64(0)
	for _, p := range a.queue {
		waiting += int64(len(p.data))
	}
	if room := a.out.room() - waiting; room > 0 {
		a.queue = append(a.queue, piece{stream, []byte(data[:min(int64(len(data)), room)])})
	}
	a.publish()
	if time.Now().Before(a.nextTry) {
		return
	}
	err := a.drain(ctx)
	if err == nil && a.out.due() {
		err = a.overwrite(ctx, false)
	}
	switch {
	case err == nil:
		_ = a.settle(nil) // which cannot fail
	case ctx.Err() == nil:
		a.refused(err)
		a.nextTry = time.Now().Add(a.backoff())
	}
}

// drain gives what waits to the stored output.
func (a *attempt) drain(ctx context.Context) error {
	for len(a.queue) > 0 {
		first := &a.queue[0]
		n, err := a.out.append(ctx, first.stream, first.data)
		first.data = first.data[n:]
		if errors.Is(err, errStale) {
			err = a.overwrite(ctx, false)
		}
		if err != nil {
			return err
		}
		if len(first.data) == 0 {
			a.queue = a.queue[1:]
		}
	}
	return nil
}

// overwrite stores the open part, whatever somebody else has done to its ConfigMap: what is in memory is all there is.
func (a *attempt) overwrite(ctx context.Context, end bool) error {
	err := a.out.flush(ctx, end)
	if !errors.Is(err, errStale) {
		return err
	}
	p := a.out.open
	var cm corev1.ConfigMap
	switch err := a.out.reader.Get(ctx, client.ObjectKey{Namespace: a.out.job.Namespace, Name: p.name}, &cm); {
	case apierrors.IsNotFound(err):
		p.version = ""
	case err != nil:
		return fmt.Errorf("%w: %w", errBlocked, err)
	case ptr.Deref(cm.Immutable, false):
		// This was our own last write, of which the answer was lost.
		a.out.full++
		a.out.open = nil
		return nil
	default:
		p.version = cm.ResourceVersion
	}
	return a.out.flush(ctx, end)
}

func (a *attempt) endAttached(exit Exit) {
	exit.Stopped = a.snapshot().Stopped
	a.final = &ending{exit: exit, sizes: a.offsets, unread: true}
	a.update(func(p *Progress) { p.Exit = &exit })
}

func (a *attempt) concludeAttached(ctx context.Context, spec *Attempt) error {
	err := a.drain(ctx)
	if err == nil {
		err = a.overwrite(ctx, true)
	}
	switch {
	case errors.Is(err, errStale):
		return fmt.Errorf("%w: %w", errBlocked, err)
	case err != nil:
		return err
	}
	if a.out.keep == v1alpha1.OutputConfigMapsAlways {
		a.final.unstored = sum(a.final.sizes) - a.out.stored(nil)
	}
	return a.finish(ctx, guest{}, spec)
}

// killAttached ends the process of an attached command. The stream tells that it has ended, unless a child of it holds the
// stream open: then the stream is given up once the process has been killed.
func (a *attempt) killAttached(ctx context.Context) {
	for began, killed := time.Now(), false; ; {
		a.mu.Lock()
		pid, over := int(a.progress.PID), a.ended || a.progress.Exit != nil
		if killed && !over {
			a.killed = true
			a.stop()
		}
		a.mu.Unlock()
		if over || killed {
			return
		}
		a.update(func(p *Progress) { p.Phase, p.Reason, p.Message, p.Stopped = Stopping, "", "", true })
		signal := wrenn.SIGTERM
		if time.Since(began) > killGrace {
			signal = wrenn.SIGKILL
		}
		err := a.signal(ctx, pid, signal)
		if err != nil {
			a.log.V(1).Info("ending an attached command", "why", err.Error())
		}
		killed = err == nil && signal == wrenn.SIGKILL
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// signal sends a signal to a process of the guest. One that is not there any more is no error.
func (a *attempt) signal(ctx context.Context, pid int, signal wrenn.Signal) error {
	spec := a.current()
	sandbox, err := spec.Sandbox(ctx)
	if err != nil {
		return err
	}
	err = sandbox.KillProcess(ctx, wrenn.ByPID(pid), signal)
	switch {
	case wrenn.IsNotFound(err):
		return nil
	case !errors.Is(err, wrenn.ErrUnsupported):
		return err
	}
	name := "-" + strings.TrimPrefix(string(signal), "SIG")
	result, err := sandbox.Exec(ctx, wrenn.ExecRequest{Cmd: "kill", Args: []string{name, strconv.Itoa(pid)}, Timeout: prepareTimeout})
	if err == nil && result.ExitCode > 1 {
		err = fmt.Errorf("%w: its kill ended with code %d", errGuest, result.ExitCode)
	}
	return err
}
