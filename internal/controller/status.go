package controller

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writeStatus writes the status of an object if it differs from what it was before. The write is conflict-checked: a
// status that was decided from an old view of the object must lose.
func writeStatus[T client.Object](ctx context.Context, c client.Client, obj, before T) error {
	if equality.Semantic.DeepEqual(obj, before) {
		return nil
	}
	return c.Status().Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}
