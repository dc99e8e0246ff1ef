package execrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// ConditionError is an error that brings its condition along. Attempt.Sandbox returns it where there is no access to a sandbox.
type ConditionError struct {
	// Reason is a condition reason of the API.
	Reason string
	// Message says what to do. It has nothing in it that changes from one try to the next.
	Message string
}

// Error returns the message.
func (p *ConditionError) Error() string { return p.Message }

// errAsleep says that the sandbox is there and does not run.
var errAsleep = errors.New("the sandbox does not run")

// quickLooks is how many lost streams in a row are nothing to report.
const quickLooks = 2

// maxRefusals is how often the guest may say that it cannot run commands before that is believed.
const maxRefusals = 5

// maxShorts is how often in a row the guest may tell of the end of a command before all of its output has come until it is
// believed that there is no more. The stream alone loses less.
const maxShorts = 10

// goneError says that the sandbox is gone for good, and with it the command's files: it is an errNoFiles.
type goneError struct{ status wrenn.Status }

// Error says what the service says. A retry finds the same.
func (e *goneError) Error() string { return "the remote sandbox is " + string(e.status) }

// Is tells whether the error is what there is none of any more.
func (e *goneError) Is(target error) bool { return target == errNoFiles }

// examine finds out why a call failed. It returns nil where the sandbox is gone, and the attempt with it: how the command
// ended cannot be known any more. Where that is known, explain is the one to ask.
func (a *attempt) examine(ctx context.Context, sandbox *wrenn.SandboxHandle, err error) error {
	err = a.explain(ctx, sandbox, err)
	var gone *goneError
	if !errors.As(err, &gone) {
		return err
	}
	a.update(func(p *Progress) {
		p.Phase, p.Reason, p.Message = Lost, v1alpha1.ReasonSandboxLost, gone.Error()
	})
	return nil
}

// explain finds out why a call failed. Only the service's own word on the sandbox, as an answer to the question for it,
// can say that the sandbox is gone.
func (a *attempt) explain(ctx context.Context, sandbox *wrenn.SandboxHandle, err error) error {
	if ctx.Err() != nil || errors.Is(err, errGuest) || errors.Is(err, errStillThere) ||
		wrenn.IsTransport(err) || wrenn.IsUnauthorized(err) {
		return err
	}
	remote, getErr := sandbox.Get(ctx)
	switch {
	case getErr != nil:
		return err
	case remote.Status.Final():
		a.log.V(1).Info("the sandbox is gone", "status", remote.Status)
		return &goneError{remote.Status}
	case remote.Status != wrenn.StatusRunning:
		return fmt.Errorf("%w: it is %s", errAsleep, remote.Status)
	}
	return err
}

// began takes note of a running command.
func (a *attempt) began(f frame) {
	a.update(func(p *Progress) {
		p.PID, p.StartedAt = f.pid, time.Now().Add(-f.age)
		if a.goal == Follow {
			p.Phase = Following
		}
		if !a.blocked {
			p.Reason, p.Message = "", ""
		}
	})
}

// ending is a command that has ended, with what is still to be done about it.
type ending struct {
	exit  Exit
	sizes [2]int64
	// unread says that there is nothing more to be read from the guest.
	unread bool
	// unstored is how much of the output is not stored.
	unstored int64
	// result is what was told of a cell.
	result *CellResult
	// artifacts are those that are stored, with stored bytes in all.
	artifacts []v1alpha1.ExecArtifact
	stored    int64
}

// end takes note of the end of the command.
func (a *attempt) end(f frame) error {
	sizes := f.sizes
	if a.offsets != atLeast(a.offsets, sizes) {
		if err := a.endedEarly(); !errors.Is(err, errShort) {
			return err
		}
		sizes = a.offsets
	}
	exit := f.exit
	if exit.Kind == Unstarted && !exit.Stopped {
		a.failStart(errors.New("the launcher ended before it could start the command"))
		return nil
	}
	// A command that had ended before it was told to says so. One that left no word of its end may have been ended.
	exit.Stopped = exit.Stopped || (exit.Kind == Unknown && a.snapshot().Stopped)
	a.final = &ending{exit: exit, sizes: sizes, unread: f.kind == frameGone}
	a.update(func(p *Progress) { p.Exit = &exit })
	return nil
}

// endedEarly takes note of an end that came before all of the output. It returns errShort once there is no more to come.
func (a *attempt) endedEarly() error {
	if a.shorts++; a.shorts >= maxShorts {
		return errShort
	}
	return fmt.Errorf("%w: %w: it ended early", errLook, errFrame)
}

// unreadableEnd is the end of a command that left no sensible word of it. That may have been damaged on the way, so it is
// believed after some looks only, as an end that comes too early is.
func (a *attempt) unreadableEnd() (frame, error) {
	if err := a.endedEarly(); !errors.Is(err, errShort) {
		return frame{}, err
	}
	return frame{kind: frameExit, exit: Exit{Kind: Unknown}, sizes: a.offsets}, nil
}

// conclude stores what is not stored yet of a command that has ended. Where that is lost with the sandbox, the command has
// ended as it has all the same, and what is missing is counted.
func (a *attempt) conclude(ctx context.Context, g guest, spec *Attempt) error {
	err := a.out.flush(ctx, true)
	if err == nil {
		err = a.out.check(ctx)
	}
	if err := a.settle(err); err != nil {
		return err
	}
	// What is stored was written, also where the guest tells of less: what the command left running may have written it
	// after the end, and whoever is in the sandbox may tell anything.
	a.final.sizes = atLeast(a.final.sizes, a.out.end)
	a.offsets = a.final.sizes
	failed := a.final.exit.Kind != Exited || a.final.exit.Code != 0 || a.final.exit.Stopped
	rest := a.out.rest(a.final.sizes, failed)
	if err := a.storeRest(ctx, g, rest); errors.Is(err, errNoFiles) {
		a.final.unread = true
	} else if err != nil {
		return err
	}
	if a.out.keep == v1alpha1.OutputConfigMapsAlways || len(rest) > 0 {
		a.final.unstored = max(0, sum(a.final.sizes)-a.out.stored(rest))
	}
	return a.finish(ctx, g, spec)
}

// finish stores the artifacts and is done.
func (a *attempt) finish(ctx context.Context, g guest, spec *Attempt) error {
	if err := a.storeArtifacts(ctx, g, spec); err != nil {
		return err
	}
	a.publish()
	a.update(func(p *Progress) {
		p.Phase, p.Reason, p.Message = Finished, "", ""
		p.Result, p.Artifacts = a.final.result, a.final.artifacts
	})
	return nil
}

// storeRest stores what somebody deleted, and what was left for the end.
func (a *attempt) storeRest(ctx context.Context, g guest, rest []segment) error {
	rest = slices.DeleteFunc(slices.Clone(rest), func(s segment) bool { return a.out.late[s.number] })
	if a.final.unread || len(rest)+len(a.out.gaps) == 0 {
		return nil
	}
	found, err := g.prepare(ctx, true)
	switch {
	case err != nil:
		return a.explain(ctx, g.sandbox, err)
	case found.gone:
		return errNoFiles
	}
	if err := a.upload(ctx, g, found, nil); err != nil {
		return a.explain(ctx, g.sandbox, err)
	}
	if err := a.restore(ctx, g); err != nil {
		return err
	}
	for _, s := range rest {
		data, err := a.fetch(ctx, g, s.span)
		if errors.Is(err, errShort) {
			continue
		}
		if err == nil {
			err = a.settle(a.out.add(ctx, s, data))
		}
		if err != nil {
			return err
		}
		a.publish()
	}
	return nil
}

func (a *attempt) failStart(err error) {
	a.update(func(p *Progress) {
		p.Phase, p.Reason, p.Message = StartFailed, v1alpha1.ReasonStartFailed, err.Error()
	})
}

// note shows why there is a wait, and returns how long it is. The attempt is locked.
func (a *attempt) note(err error) time.Duration {
	delay := a.backoff()
	p := &a.progress
	var problem *ConditionError
	switch {
	case errors.Is(err, errStale):
	case errors.Is(err, errAsleep):
		a.failures = 0
		delay = a.runner.Pace.Look
		if a.spec.Asleep {
			delay = 0
		}
		p.Phase, p.Reason, p.Message = Waiting, v1alpha1.ReasonSandboxNotReady, err.Error()
	case errors.Is(err, errBlocked):
		a.blocked = true
		p.Reason, p.Message = v1alpha1.ReasonOutputBlocked, redact(blockedMessage(err), a.spec.Command.secrets())
	case errors.Is(err, errLook) && a.failures <= quickLooks:
		// An ordinary end of a stream is nothing to report.
	case errors.Is(err, errGuest) && a.givesUp():
		delay = 0
		p.Phase, p.Reason, p.Message = StartFailed, v1alpha1.ReasonStartFailed, shortened(err.Error())
	case errors.As(err, &problem):
		a.lose()
		p.Reason, p.Message = problem.Reason, problem.Message
	default:
		a.lose()
		p.Reason, p.Message = reasonOf(err)
	}
	var answer *wrenn.Error
	if errors.As(err, &answer) {
		delay = max(delay, answer.RetryAfter)
	}
	a.log.V(1).Info("trying again", "why", err.Error(), "in", delay)
	a.news.tell(a, false)
	return delay
}

// lose says that the view of a running command is lost.
func (a *attempt) lose() {
	switch {
	case a.goal != Follow:
	case a.progress.PID != 0 || a.spec.Started:
		a.progress.Phase = Reattaching
	default:
		a.progress.Phase = Starting
	}
}

// givesUp counts the times that the guest said no, and tells whether that is final. It is for a command that cannot have
// been started: nobody else can have, or the guest says that nobody has, and this process has not asked for it. A guest that
// is short of processes, for which the command may be the reason, says no as well.
func (a *attempt) givesUp() bool {
	a.refusals++
	started := a.progress.PID != 0 || a.spec.Started || a.launched || (a.spec.Resumed && !a.unpassed)
	return a.refusals >= maxRefusals && a.goal == Follow && !started
}

// reasonOf tells an error as a condition. What the service says in a message may hold ids and is left out.
func reasonOf(err error) (reason, message string) {
	var answer *wrenn.Error
	switch {
	case errors.Is(err, errLook):
		return v1alpha1.ReasonReattaching, "the stream of the command was lost and is being taken up again"
	case errors.Is(err, errStillThere):
		return v1alpha1.ReasonStopping, err.Error()
	case wrenn.IsUnauthorized(err), wrenn.IsForbidden(err):
		return v1alpha1.ReasonUnauthorized, "Wrenn refuses the credential of the connection"
	case wrenn.IsTransport(err):
		return v1alpha1.ReasonEndpointUnreachable, "no answer from Wrenn; trying again"
	case errors.Is(err, errGuest):
		return v1alpha1.ReasonServiceError, shortened(err.Error()) + "; trying again"
	case errors.As(err, &answer) && answer.Code != "":
		return v1alpha1.ReasonServiceError, "Wrenn failed: " + string(answer.Code) + "; trying again"
	default:
		return v1alpha1.ReasonServiceError, "Wrenn failed; trying again"
	}
}
