package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// soon is when to look again at something that is not worth an error.
const soon = 50 * time.Millisecond

// writeStatus writes the status of an object if it differs from what it was before. The write is conflict-checked: a
// status that was decided from an old view of the object must lose.
func writeStatus[T client.Object](ctx context.Context, c client.Client, obj, before T) error {
	if equality.Semantic.DeepEqual(obj, before) {
		return nil
	}
	return c.Status().Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// retryConflict turns a lost race for an object into another look at it. Losing is how a stale view is found out; it is
// nothing to report.
func retryConflict(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: soon}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

func hasFinalizer(obj client.Object) bool {
	return controllerutil.ContainsFinalizer(obj, v1alpha1.Finalizer)
}

// patchMetadata writes a change of the object's metadata, conflict-checked.
func patchMetadata[T client.Object](ctx context.Context, c client.Client, obj, unchanged T) error {
	return c.Patch(ctx, obj, client.MergeFromWithOptions(unchanged, client.MergeFromWithOptimisticLock{}))
}
