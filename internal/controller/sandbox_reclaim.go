package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// reclaimInterval is how often it is tried to destroy what was made for a Sandbox that is gone.
const reclaimInterval = 5 * time.Second

// reclaim destroys what was made for Sandboxes of a name that are gone although they had a finalizer: the API server may
// remove an object in the moment in which it gets one (kubernetes/kubernetes#77988), and a person may take it off. Here
// is the Sandbox of that name that is there, if any. It returns when to try again, zero where that need not be.
func (r *SandboxReconciler) reclaim(ctx context.Context, name types.NamespacedName, here types.UID) (after time.Duration) {
	for uid, stray := range r.flights.strays(name, here) {
		switch {
		case stray.undo == nil || stray.result.ID == "":
			r.flights.clear(uid)
		case stray.purpose == purposeReclaim && time.Since(stray.landedAt) < reclaimInterval:
			after = reclaimInterval
		default:
			logf.FromContext(ctx).Info("destroying what was made for a Sandbox that is gone", "uid", uid, "remote", stray.result.ID)
			r.flights.clear(uid)
			r.flights.launch(uid, name, purposeReclaim, r.Timing.Call, func(ctx context.Context) (wrenn.Sandbox, error) {
				return r.takeBack(ctx, stray)
			})
			r.flights.undoable(uid, stray.undo)
		}
	}
	return after
}

// takeBack destroys what a flight has made, unless some Sandbox claims it by what the API server itself has: the one that
// it was made for is there, or a person has given it to another. It returns the remote where that is still to be destroyed.
func (r *SandboxReconciler) takeBack(ctx context.Context, stray flight[wrenn.Sandbox]) (wrenn.Sandbox, error) {
	claims, err := storedClaims(ctx, r.Direct)
	if err != nil {
		return stray.result, err
	}
	if claims.cover(stray.result) {
		return wrenn.Sandbox{}, nil
	}
	if err := stray.undo(ctx, stray.result); err != nil {
		return stray.result, err
	}
	return wrenn.Sandbox{}, nil
}
