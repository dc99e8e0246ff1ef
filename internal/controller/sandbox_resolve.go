package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// resolveIntent finds out what came of an attempt whose outcome is not known, and never asks for a second remote before
// that is clear.
func (r *SandboxReconciler) resolveIntent(ctx context.Context, view *sandboxView) (standing, error) {
	if view.team == nil {
		return working(view.unavailable.Reason, view.unavailable.Message), nil
	}
	if s, decided, err := r.decided(ctx, view); decided || err != nil {
		return s, err
	}
	query, err := r.correlateQuery(ctx, view)
	if err != nil {
		return standing{}, err
	}
	switch found := correlate(query); found.verdict {
	case verdictNone:
		return r.closeIntent(ctx, view)
	case verdictFound:
		return r.adopt(view, found.remotes[0].ID), nil
	case verdictAbandoned:
		return r.sweep(view, found.remotes), nil
	case verdictUnknown:
		return stalled(v1alpha1.ReasonCreateOutcomeUnknown, fmt.Sprintf("a create was not answered, and %d sandboxes of "+
			"the team may have come of it: set the annotation %s to %q, or to %q", len(found.remotes),
			v1alpha1.AnnotationCreateOutcome, outcomeRetry, outcomeAdopt+"<sandbox id>")).unknown().after(outcomeInterval), nil
	default:
		view.team.Hurry()
		return working(v1alpha1.ReasonCreateUnconfirmed, "a create was not answered; looking for what came of it").
			after(time.Second), nil
	}
}

// How a person decides on an unknown outcome.
const (
	outcomeRetry = "retry"
	outcomeAdopt = "adopt="
	// outcomeInterval is how often the list is looked at again while no one decides.
	outcomeInterval = time.Minute
)

// decided follows a person's decision, if there is one.
func (r *SandboxReconciler) decided(ctx context.Context, view *sandboxView) (standing, bool, error) {
	decision := view.sandbox.Annotations[v1alpha1.AnnotationCreateOutcome]
	if decision == outcomeRetry {
		s, err := r.closeIntent(ctx, view)
		return s, true, err
	}
	id, ok := strings.CutPrefix(decision, outcomeAdopt)
	if !ok || !wrenn.ValidSandboxID(id) {
		return standing{}, false, nil
	}
	claimed, err := r.claims(ctx, view.sandbox)
	if err != nil {
		return standing{}, true, err
	}
	if claimed(id) {
		return stalled(v1alpha1.ReasonCreateOutcomeUnknown, "the sandbox named by the annotation "+
			v1alpha1.AnnotationCreateOutcome+" belongs to another Sandbox: name another").unknown(), true, nil
	}
	return r.adopt(view, id), true, nil
}

func (r *SandboxReconciler) correlateQuery(ctx context.Context, view *sandboxView) (correlateQuery, error) {
	claimed, err := r.claims(ctx, view.sandbox)
	if err != nil {
		return correlateQuery{}, err
	}
	exclusive, err := r.Resolver.Exclusive(ctx, view.key)
	if err != nil {
		return correlateQuery{}, err
	}
	request := requestOf(view.sandbox)
	request.Template = view.intent.Template
	list, listTime := view.team.Sandboxes()
	return correlateQuery{
		intent: *view.intent, request: request, sized: view.sandbox.Spec.SnapshotRef == nil,
		list: list, listTime: listTime, settled: r.settledFrom(view), limit: r.Timing.Create,
		exclusive: exclusive, claimed: claimed,
	}, nil
}

// settledFrom returns from when on a list shows whatever came of the attempt.
func (r *SandboxReconciler) settledFrom(view *sandboxView) time.Time {
	lost := view.intent.Time
	if r.started.After(lost) {
		lost = r.started
	}
	if view.landed != nil {
		lost = view.landed.landedAt
	}
	return lost.Add(r.Timing.Settle)
}

// claims returns whether another Sandbox has a remote.
func (r *SandboxReconciler) claims(ctx context.Context, sandbox *v1alpha1.Sandbox) (func(id string) bool, error) {
	var others v1alpha1.SandboxList
	if err := r.List(ctx, &others); err != nil {
		return nil, err
	}
	claimed := map[string]bool{}
	for i := range others.Items {
		if other := &others.Items[i]; other.UID != sandbox.UID {
			for _, id := range claimsOf(other) {
				claimed[id] = true
			}
		}
	}
	return func(id string) bool { return claimed[id] }, nil
}

// adopt takes a remote for what came of the attempt.
func (r *SandboxReconciler) adopt(view *sandboxView, id string) standing {
	view.sandbox.Status.SandboxID = id
	view.observed.intent = intentNone
	view.observed.bound = true
	r.observeRemote(view)
	return r.save(view)
}

// sweep destroys what an attempt has left half made.
func (r *SandboxReconciler) sweep(view *sandboxView, remotes []wrenn.Sandbox) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	// The flight of the lost create has told all it can: from now on the list does.
	r.flights.clear(view.sandbox.UID)
	team := view.team
	r.launch(view, purposeSweep, r.Timing.Call, func(ctx context.Context) (last wrenn.Sandbox, err error) {
		for _, remote := range remotes {
			if last, err = destroyRemote(ctx, team, remote.ID); err != nil {
				return last, err
			}
		}
		return last, nil
	})
	return working(v1alpha1.ReasonCreateUnconfirmed, "a create was left half done; destroying what came of it")
}

// launchCalmly starts a flight of the Sandbox after which nothing is in transition.
func (r *SandboxReconciler) launchCalmly(view *sandboxView, purpose string, limit time.Duration, call func(context.Context) (wrenn.Sandbox, error)) bool {
	return r.flights.launch(view.sandbox.UID, client.ObjectKeyFromObject(view.sandbox), purpose, limit, call)
}

// launch starts a flight of the Sandbox, and has its outcome looked for.
func (r *SandboxReconciler) launch(view *sandboxView, purpose string, limit time.Duration, call func(context.Context) (wrenn.Sandbox, error)) bool {
	view.team.Hurry()
	return r.launchCalmly(view, purpose, limit, call)
}
