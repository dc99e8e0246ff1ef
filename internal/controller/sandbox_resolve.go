package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// resolveIntent finds out what came of an attempt whose outcome is not known, and never asks for a second remote before
// that is clear.
func (r *SandboxReconciler) resolveIntent(ctx context.Context, view *sandboxView) (standing, error) {
	if s, decided, err := r.decided(ctx, view); decided || err != nil {
		return s, err
	}
	if view.team == nil {
		return waitFor(view.unavailable, view.observed.deleting), nil
	}
	query, err := r.correlateQuery(ctx, view)
	if err != nil {
		return standing{}, err
	}
	switch found := correlate(query); found.verdict {
	case verdictNone:
		s, err := r.closeIntent(ctx, view)
		if err == nil {
			r.Metrics.resolved(createNothing)
		}
		return s, err
	case verdictFound:
		view.outcome = createFound
		return r.adopt(view, found.remotes[0].ID), nil
	case verdictAbandoned:
		return r.sweep(view, found.remotes), nil
	case verdictUnknown:
		if readyReason(view.before.Status.Conditions) != v1alpha1.ReasonCreateOutcomeUnknown {
			view.outcome = createUnknown
		}
		return stalled(v1alpha1.ReasonCreateOutcomeUnknown, fmt.Sprintf("a create was not answered, and %d sandboxes of "+
			"the team may have come of it: set the annotation %s to %q, or to %q", len(found.remotes),
			v1alpha1.AnnotationCreateOutcome, outcomeRetry, outcomeAdopt+"<sandbox id>")).unknown().after(outcomeInterval), nil
	default:
		if s, waits := view.disconnected(); waits && view.observed.deleting {
			return s, nil
		}
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

// decided follows a person's decision, if there is one. To try again needs no connection; what is to be taken must be one of
// the team's, or a slip of the pen would be final.
func (r *SandboxReconciler) decided(ctx context.Context, view *sandboxView) (standing, bool, error) {
	if view.sandbox.Annotations[v1alpha1.AnnotationCreateOutcome] == outcomeRetry {
		s, err := r.closeIntent(ctx, view)
		return s, true, err
	}
	id := namedOutcome(view.sandbox)
	if id == "" || view.team == nil {
		return standing{}, false, nil
	}
	var all v1alpha1.SandboxList
	if err := r.List(ctx, &all); err != nil {
		return standing{}, true, err
	}
	undecided := func(message string) (standing, bool, error) {
		s := stalled(v1alpha1.ReasonCreateOutcomeUnknown, "the sandbox named by the annotation "+v1alpha1.AnnotationCreateOutcome+" "+message)
		return s.unknown().after(outcomeInterval), true, nil
	}
	switch sighting := view.team.Lookup(id); {
	case claimedBy(others(all.Items, view.sandbox))[id]:
		return undecided("belongs to another Sandbox: name another")
	case sighting.Sandbox != nil:
		return r.adopt(view, id), true, nil
	case sighting.Listed:
		return undecided("does not exist in the team: correct the id")
	default:
		return standing{}, false, nil
	}
}

// namedOutcome is the id of the remote that a person has decided to be what came of a create, "" where none has.
func namedOutcome(sandbox *v1alpha1.Sandbox) string {
	id, ok := strings.CutPrefix(sandbox.Annotations[v1alpha1.AnnotationCreateOutcome], outcomeAdopt)
	if !ok || !wrenn.ValidSandboxID(id) {
		return ""
	}
	return id
}

// correlateQuery gathers what the attempt is compared with.
func (r *SandboxReconciler) correlateQuery(ctx context.Context, view *sandboxView) (correlateQuery, error) {
	var all v1alpha1.SandboxList
	if err := r.List(ctx, &all); err != nil {
		return correlateQuery{}, err
	}
	exclusive, err := r.Resolver.Exclusive(ctx, view.key)
	if err != nil {
		return correlateQuery{}, err
	}
	rest := others(all.Items, view.sandbox)
	query := correlateQuery{attempt: r.attempt(view.sandbox, *view.intent), exclusive: exclusive, claimed: claimedBy(rest)}
	query.list, query.listTime = view.team.Sandboxes()
	for _, other := range rest {
		create, ok := r.flights.of(other.UID)
		intent, err := openIntent(other)
		switch {
		case ok && create.purpose == purposeCreate && create.done && !wrenn.IsAmbiguous(create.err):
			// What came of this one is known, although it is not stored yet.
			query.claimed[create.result.ID] = true
		case err == nil && intent != nil && (other.Status.SandboxID == "" || other.Status.SandboxID == intent.Replaces):
			team, err := r.teamOfIntent(ctx, other, &intent.Connection)
			if err != nil {
				return correlateQuery{}, err
			}
			if team == view.team {
				query.rivals = append(query.rivals, r.attempt(other, *intent))
			}
		}
	}
	return query, nil
}

// teamOfIntent returns the team that an intent leads to, nil where it leads to none. Anybody may write one: it counts only
// where the namespace may use the connection, or where the status, which the operator alone writes, names that too.
func (r *SandboxReconciler) teamOfIntent(ctx context.Context, sandbox *v1alpha1.Sandbox, through *v1alpha1.BoundConnection) (*connection.Team, error) {
	if sameConnection(through, sandbox.Status.Connection) {
		team, _ := r.Resolver.Release(sandbox.Namespace, through)
		return team, nil
	}
	team, err := r.Resolver.Bound(ctx, sandbox.Namespace, through)
	if unavailable := (*connection.UnavailableError)(nil); errors.As(err, &unavailable) {
		return nil, nil //nolint:nilnil // no team is an answer
	}
	return team, err
}

// attempt is what came of a Sandbox's intent, as it is recognized.
func (r *SandboxReconciler) attempt(sandbox *v1alpha1.Sandbox, intent createIntent) attempt {
	request := requestOf(sandbox)
	request.Template = intent.Template
	begun := attempt{intent: intent, request: request, sized: sandbox.Spec.SnapshotRef == nil, limit: r.Timing.Create}
	settled := intent.Time
	if begun := r.term.begin(); begun.After(settled) {
		settled = begun
	}
	if create, ok := r.flights.of(sandbox.UID); ok && create.purpose == purposeCreate {
		if !create.done {
			return begun
		}
		settled = create.landedAt
	}
	begun.settled = settled.Add(r.Timing.Settle)
	return begun
}

// others are all Sandboxes but one.
func others(all []v1alpha1.Sandbox, sandbox *v1alpha1.Sandbox) []*v1alpha1.Sandbox {
	found := make([]*v1alpha1.Sandbox, 0, len(all))
	for i := range all {
		if all[i].UID != sandbox.UID {
			found = append(found, &all[i])
		}
	}
	return found
}

// claimedBy are the ids of the remotes that one of the Sandboxes claims.
func claimedBy(sandboxes []*v1alpha1.Sandbox) map[string]bool {
	claimed := map[string]bool{}
	for _, sandbox := range sandboxes {
		for _, id := range claimsOf(sandbox) {
			claimed[id] = true
		}
	}
	return claimed
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
			if last, err = r.destroyPending(ctx, team, remote.ID); err != nil {
				return last, err
			}
		}
		return last, nil
	})
	return r.troubles.during(view.sandbox, working(v1alpha1.ReasonCreateUnconfirmed, "a create was left half done; destroying what came of it"))
}

// destroyPending destroys a remote that was left half made, if it still is: the list may have been an old one, or the
// create may have come to its end after all.
func (r *SandboxReconciler) destroyPending(ctx context.Context, team *connection.Team, id string) (wrenn.Sandbox, error) {
	now, err := team.Client.Sandbox(id).Get(ctx)
	if err != nil {
		return wrenn.Sandbox{}, err
	}
	if now.Status != wrenn.StatusPending {
		team.Observe(*now)
		return *now, nil
	}
	destroyed, err := destroyRemote(ctx, team, id)
	if err == nil {
		r.Metrics.resolved(createAbandoned)
	}
	return destroyed, err
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
