package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// dice draw what happens in a random case. What is drawn follows from the seed; how the operator's own steps fall in
// between does not.
type dice struct {
	*rand.Rand

	// commands tells that there are ExecJobs, and no files of Sandboxes.
	commands bool
}

// random runs a random case: several Sandboxes and ExecJobs, people and mishaps, all at once.
func random(ctx context.Context, s *site, seed uint64) (o outcome) {
	o = outcome{name: fmt.Sprint("-seed ", seed)}
	d := dice{Rand: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // to be repeated
	d.commands = d.IntN(2) == 0
	w, err := newWorld(ctx, s, d.commands)
	if err != nil {
		o.err = err
		return o
	}
	defer func() { o.err, o.effects = errors.Join(o.err, w.close()), w.wire.effects() }()
	w.conflicts, w.sentGoesOn = d.IntN(2) == 0, d.IntN(2) == 0
	if err := w.run(ctx, []step{connected()}); err != nil {
		o.err = err
		return o
	}
	if err := w.remember(ctx); err != nil {
		o.err = err
		return o
	}
	w.wire.arm(badLuck(seed))
	for range 6 + d.IntN(8) {
		if err := d.operation(ctx, w); err != nil {
			o.err = err
			return o
		}
		w.goOn(d.IntN(5))
	}
	w.wire.disarm()
	w.wrenn.Faults().Clear()
	if o.found, o.err = w.settle(ctx, nil, nil); o.err != nil || len(o.found) > 0 {
		return o
	}
	o.found, o.err = w.clear(ctx)
	return o
}

// badLuck has every so manieth effect befallen by something.
func badLuck(seed uint64) func(string) mishap {
	d := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // to be repeated
	left := 8
	return func(effect string) mishap {
		if left == 0 || d.IntN(8) > 0 {
			return none
		}
		left--
		if strings.HasPrefix(effect, opStream+".") && d.IntN(2) == 0 {
			// Most of what happens to a stream happens at its beginning.
			return at([]string{cutAt, killedAt}[d.IntN(2)], d.IntN(1<<(4+d.IntN(14))))
		}
		return mishaps[d.IntN(len(mishaps))]
	}
}

// goOn waits until the operator has had some more effects, or seems to have none to come.
func (w *world) goOn(effects int) {
	target := len(w.wire.effects()) + effects
	for deadline := time.Now().Add(300 * time.Millisecond); time.Now().Before(deadline) && len(w.wire.effects()) < target; {
		time.Sleep(5 * time.Millisecond)
	}
}

// clear deletes everything and tells what is left then.
func (w *world) clear(ctx context.Context) ([]finding, error) {
	if err := w.removeJobs(ctx); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := tolerated(deletes(name)(ctx, w)); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if err := gone(named[v1alpha1.Sandbox](name))(ctx, w); err != nil {
			return []finding{{class: stuck, text: err.Error()}}, nil //nolint:nilerr // it is the finding
		}
	}
	for _, name := range jobNames {
		if err := gone(named[v1alpha1.ExecJob](name))(ctx, w); err != nil {
			return []finding{{class: stuck, text: err.Error()}}, nil //nolint:nilerr // it is the finding
		}
	}
	return w.settle(ctx, nil, nil)
}

// names of the Sandboxes of a random case.
var names = []string{"a", "b", "c"}

// operation is one thing that people do, or that happens to Wrenn.
func (d dice) operation(ctx context.Context, w *world) error {
	name := names[d.IntN(len(names))]
	var do step
	if d.commands && d.IntN(3) == 0 {
		return tolerated(d.jobOperation()(ctx, w))
	}
	switch roll := d.IntN(20); {
	case roll < 6:
		do = sandbox(name, d.spec)
	case roll < 9:
		do = edit(name, d.edit)
	case roll < 11:
		do = edit(name, mode(v1alpha1.OperatingModePaused))
	case roll < 13:
		do = edit(name, mode(v1alpha1.OperatingModeRunning))
	case roll < 15:
		do = deletes(name)
	case roll < 16:
		do = destroyedByHand(name)
	case roll < 17:
		do = pausedByHand(name)
	case roll < 18:
		do = func(context.Context, *world) error { w.killOperator(); return nil }
	default:
		do = d.trouble()
	}
	return tolerated(do(ctx, w))
}

// tolerated leaves out that something cannot be done just now: people find that too.
func tolerated(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) || apierrors.IsInvalid(err) || errors.Is(err, errNoRemote) ||
		wrenn.IsInvalidState(err) || wrenn.IsConflict(err) || wrenn.IsNotFound(err) || wrenn.IsAgentError(err) {
		return nil
	}
	return err
}

// spec draws the spec of a new Sandbox.
func (d dice) spec(s *v1alpha1.Sandbox) {
	d.edit(s)
	if d.IntN(4) == 0 {
		s.Spec.OperatingMode = v1alpha1.OperatingModePaused
	}
	if d.IntN(3) == 0 {
		idling(3600 + int32(s.Name[0]))(s)
	}
	if !d.commands && d.IntN(4) == 0 {
		content := strings.Repeat("x", d.IntN(100))
		s.Spec.Files = []v1alpha1.SandboxFile{{Path: "/srv/file", Content: &content}}
	}
}

// edit draws a change of what can be changed.
func (d dice) edit(s *v1alpha1.Sandbox) {
	s.Spec.RecoveryPolicy = []v1alpha1.RecoveryPolicy{v1alpha1.RecoveryPolicyNone, v1alpha1.RecoveryPolicyRecreate}[d.IntN(2)]
	s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete
	if d.IntN(6) == 0 {
		s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	}
	s.Spec.TTLSeconds = int32(d.IntN(2) * 3600) //nolint:gosec // 0 or 3600
	s.Spec.Ports = nil
	if d.IntN(2) == 0 {
		s.Spec.Ports = []v1alpha1.SandboxPort{{Name: "web", Port: 1 + d.Int32N(65535)}}
	}
}

// trouble has Wrenn itself misbehave.
func (d dice) trouble() step {
	fault := []wrenndev.Fault{
		{Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(d.IntN(600)) * wrenndev.Millis(time.Millisecond)},
		{Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpPause, Times: 1, Latency: wrenndev.Millis(d.IntN(600)) * wrenndev.Millis(time.Millisecond)},
		{Kind: wrenndev.FaultAgentFail, Times: 1 + d.IntN(3)},
		{Kind: wrenndev.FaultFlap, Op: wrenndev.OpCreate, Times: 1, SetStatus: wrenndev.StatusStopped},
		{Kind: wrenndev.FaultFlap, Op: wrenndev.OpResume, Times: 1, SetStatus: wrenndev.StatusMissing, For: wrenndev.Millis(300 * time.Millisecond)},
		{Kind: wrenndev.FaultFailBefore, Status: 429, Code: "rate_limited", Times: 1 + d.IntN(3)},
		{Kind: wrenndev.FaultStale, Op: wrenndev.OpList, Times: 1 + d.IntN(5)},
	}[d.IntN(7)]
	return func(_ context.Context, w *world) error {
		w.wrenn.Faults().Add(fault)
		return nil
	}
}
