package controller

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// bindTo lets an object be bound to a connection. Otherwise the standing says why it has to wait. Done must be called when
// the binding has been written, or has failed to be. One that is bound already holds its connection.
func bindTo(ctx context.Context, resolver *connection.Resolver, key connection.Key, obj client.Object, policy v1alpha1.DeletionPolicy,
) (done func(), wait *standing, err error) {
	if useOf(obj).kind == useBound {
		return func() {}, nil, nil
	}
	done, err = resolver.Bind(ctx, key, policy != v1alpha1.DeletionPolicyOrphan)
	if unavailable := (*connection.UnavailableError)(nil); errors.As(err, &unavailable) {
		s := working(unavailable.Reason, unavailable.Message)
		return nil, &s, nil
	}
	return done, nil, err
}

// bind lets the Sandbox be bound to its connection. The first user of a connection waits for a moment, which is not worth
// being shown. So does one whose connection leads to another team than a moment ago: nothing may be asked of the team before
// that, which nobody may know of any more.
func (r *SandboxReconciler) bind(ctx context.Context, view *sandboxView) (done func(), wait *standing, err error) {
	done, wait, err = bindTo(ctx, r.Resolver, view.key, view.sandbox, view.sandbox.Spec.DeletionPolicy)
	if err == nil && wait == nil {
		if team, _ := r.Resolver.Pool.Get(view.key); team != view.team {
			done()
			again := unchanged().after(soon)
			return nil, &again, nil
		}
	}
	if rest := time.Until(view.sandbox.CreationTimestamp.Add(r.Timing.ShowAfter)); wait != nil && rest > 0 {
		s := unchanged().after(rest)
		wait = &s
	}
	return done, wait, err
}
