package controller

import (
	"context"
	"errors"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// errMayBeClaimed is what taking back fails with as long as an open intent may turn out to mean the same remote.
var errMayBeClaimed = errors.New("another Sandbox may come to claim the remote")

// reclaim destroys what was made for Sandboxes of a name that are gone although they had a finalizer: the API server may
// remove an object in the moment in which it gets one (kubernetes/kubernetes#77988), and a person may take it off. Here
// is the Sandbox of that name that is there, if any. It returns when to try again, zero where that need not be.
func (r *SandboxReconciler) reclaim(ctx context.Context, name types.NamespacedName, here types.UID) (after time.Duration) {
	next, log := unchanged(), logf.FromContext(ctx)
	for uid, stray := range r.flights.strays(name, here) {
		gone := goneSandbox(uid)
		if !owes(stray) {
			r.flights.clear(uid)
			r.troubles.forget(uid)
			continue
		}
		if wait := r.reclaimIn(gone, stray); wait > 0 {
			next = next.atTheLatest(wait)
			continue
		}
		r.flights.clear(uid)
		r.flights.launch(uid, name, purposeReclaim, r.Timing.Call, func(ctx context.Context) (wrenn.Sandbox, error) {
			left, err := r.takeBack(logf.IntoContext(ctx, log), stray)
			if err != nil {
				r.troubles.note(gone, unchanged(), askedToWait(err))
			}
			return left, err
		})
		r.flights.undoable(uid, stray.undo, stray.find)
	}
	return next.again
}

// goneSandbox stands for a Sandbox that is gone, among those that are in trouble.
func goneSandbox(uid types.UID) *v1alpha1.Sandbox {
	return &v1alpha1.Sandbox{ObjectMeta: metav1.ObjectMeta{UID: uid}}
}

// owes tells whether a flight has left something that is to be destroyed, or may have.
func owes(stray flight[wrenn.Sandbox]) bool {
	switch {
	case stray.undo == nil:
		return false
	case stray.purpose == purposeReclaim:
		return stray.err != nil
	default:
		return stray.err == nil || stray.find != nil && wrenn.IsAmbiguous(stray.err)
	}
}

// reclaimIn is how long to wait before what a flight has left is looked for: until a list shows what came of a create whose
// answer was lost, and longer from one try to the next.
func (r *SandboxReconciler) reclaimIn(gone *v1alpha1.Sandbox, stray flight[wrenn.Sandbox]) time.Duration {
	if s, waits := r.troubles.of(gone); waits {
		return s.again
	}
	if stray.purpose == purposeCreate && stray.err != nil {
		return time.Until(stray.landedAt.Add(r.Timing.Settle))
	}
	return 0
}

// takeBack destroys what a flight has made, unless some Sandbox claims it by what the API server itself has: the one that
// it was made for is there, or a person has given it to another. It fails as long as that is not decided, and returns the
// remote that is still to be destroyed, where it is known.
func (r *SandboxReconciler) takeBack(ctx context.Context, stray flight[wrenn.Sandbox]) (left wrenn.Sandbox, err error) {
	if left = stray.result; left.ID == "" {
		if left, err = stray.find(ctx); err != nil || left.ID == "" {
			return wrenn.Sandbox{}, err
		}
	}
	claims, err := storedClaims(ctx, r.Direct)
	switch {
	case err != nil:
		return left, err
	case claims.ids[left.ID]:
		return wrenn.Sandbox{}, nil
	case claims.cover(left):
		return left, errMayBeClaimed
	}
	logf.FromContext(ctx).Info("destroying what was made for a Sandbox that is gone", "remote", left.ID)
	if err := stray.undo(ctx, left); err != nil {
		return left, err
	}
	return wrenn.Sandbox{}, nil
}

// undoCreate returns what destroys the remote that a create has made.
func undoCreate(team *connection.Team) func(context.Context, wrenn.Sandbox) error {
	return func(ctx context.Context, made wrenn.Sandbox) error {
		_, err := destroyRemote(ctx, team, made.ID)
		return err
	}
}

// findCreated returns what looks for the remote of a create in a list of now; nil where there is no token to know it by.
func findCreated(team *connection.Team, intent createIntent) func(context.Context) (wrenn.Sandbox, error) {
	if intent.Token == 0 {
		return nil
	}
	begun := byToken(intent)
	return func(ctx context.Context) (wrenn.Sandbox, error) {
		list, err := team.Client.Sandboxes.List(ctx)
		if i := slices.IndexFunc(list, begun.mayBe); err == nil && i >= 0 {
			return list[i], nil
		}
		return wrenn.Sandbox{}, err
	}
}
