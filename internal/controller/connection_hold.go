package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// findUsers finds out whether Sandboxes or Snapshots need the connection. Before it says no, it has shut the door and looked
// again: nobody comes to need it until the door opens.
func (r *ConnectionReconciler) findUsers(ctx context.Context, view *connectionView) error {
	quiet := !view.deleting() || r.Pool.Shut(view.key)
	var err error
	if view.needed, err = r.users().any(ctx, view.key, view.deleting()); err != nil || view.needed {
		return err
	}
	if quiet = r.Pool.Shut(view.key) && quiet; !quiet {
		view.needed, view.passing = true, true
		return nil
	}
	view.needed, err = r.users().any(ctx, view.key, view.deleting())
	return err
}

// hold puts the finalizers on the connection and its Secret, or takes them off, as it is needed. The connection gets its own
// first and loses it last: as long as a Secret is held, there is somebody who knows. The door is open only while both are held,
// and neither is being deleted.
func (r *ConnectionReconciler) hold(ctx context.Context, view *connectionView) error {
	if !view.needed {
		return r.release(ctx, view)
	}
	if err := r.holdConnection(ctx, view); err != nil {
		return err
	}
	if err := r.holdSecret(ctx, view); err != nil {
		return err
	}
	if view.verifying {
		return nil
	}
	_, leaves := leaving(view)
	if view.linked && !leaves && isHeld(view.obj) && isHeld(view.secret) {
		r.Pool.Open(view.key)
	} else {
		r.Pool.Shut(view.key)
	}
	return nil
}

func isHeld(obj client.Object) bool {
	return controllerutil.ContainsFinalizer(obj, v1alpha1.FinalizerInUse)
}

// holdConnection puts the finalizer on the connection. Nobody lets go of its Secret from then on, and so that is read once more:
// another connection may have let go of it since.
func (r *ConnectionReconciler) holdConnection(ctx context.Context, view *connectionView) error {
	if isHeld(view.obj) || view.deleting() {
		return nil
	}
	r.holding.Lock()
	defer r.holding.Unlock()
	unchanged := view.obj.DeepCopyObject().(client.Object) //nolint:forcetypeassert // a copy is of the same kind
	controllerutil.AddFinalizer(view.obj, v1alpha1.FinalizerInUse)
	if err := patchMetadata(ctx, r.Client, view.obj, unchanged); err != nil || view.secret == nil {
		return err
	}
	return r.Secrets.Get(ctx, client.ObjectKeyFromObject(view.secret), view.secret)
}

func (r *ConnectionReconciler) holdSecret(ctx context.Context, view *connectionView) error {
	if !view.linked || !isHeld(view.obj) || isHeld(view.secret) || !view.secret.DeletionTimestamp.IsZero() {
		return nil
	}
	unchanged := view.secret.DeepCopy()
	controllerutil.AddFinalizer(view.secret, v1alpha1.FinalizerInUse)
	return patchMetadata(ctx, r.Secrets, view.secret, unchanged)
}

// release takes the finalizers off a connection that nothing needs and off its Secret.
func (r *ConnectionReconciler) release(ctx context.Context, view *connectionView) error {
	if !isHeld(view.obj) {
		return nil
	}
	r.holding.Lock()
	defer r.holding.Unlock()
	if err := r.releaseSecret(ctx, view, view.status.SecretName); err != nil {
		return err
	}
	unchanged := view.obj.DeepCopyObject().(client.Object) //nolint:forcetypeassert // a copy is of the same kind
	controllerutil.RemoveFinalizer(view.obj, v1alpha1.FinalizerInUse)
	return patchMetadata(ctx, r.Client, view.obj, unchanged)
}

// letGo lets a connection go that is being deleted and that nothing needs.
func (r *ConnectionReconciler) letGo(ctx context.Context, view *connectionView) error {
	if err := r.release(ctx, view); err != nil {
		return err
	}
	r.Pool.Remove(view.key)
	return nil
}

// letGoOfFormer takes the finalizer off the Secret that the connection has used before. Until the status names the other,
// this is tried again.
func (r *ConnectionReconciler) letGoOfFormer(ctx context.Context, view *connectionView) error {
	if view.former == "" || !isHeld(view.obj) {
		return nil
	}
	r.Pool.Shut(view.key)
	r.holding.Lock()
	defer r.holding.Unlock()
	return r.releaseSecret(ctx, view, view.former)
}

// releaseSecret takes the finalizer off a Secret, unless another connection holds it too.
func (r *ConnectionReconciler) releaseSecret(ctx context.Context, view *connectionView, name string) error {
	if name == "" {
		return nil
	}
	shared, err := r.heldByAnother(ctx, view, name)
	if err != nil || shared {
		return err
	}
	var secret corev1.Secret
	if err := r.Secrets.Get(ctx, client.ObjectKey{Namespace: view.secretNamespace, Name: name}, &secret); err != nil || !isHeld(&secret) {
		return client.IgnoreNotFound(err)
	}
	unchanged := secret.DeepCopy()
	controllerutil.RemoveFinalizer(&secret, v1alpha1.FinalizerInUse)
	return client.IgnoreNotFound(patchMetadata(ctx, r.Secrets, &secret, unchanged))
}

// heldByAnother tells whether any other connection that is held has a Secret. The Secrets of ClusterConnections are in the
// operator's namespace, beside those of Connections there.
func (r *ConnectionReconciler) heldByAnother(ctx context.Context, view *connectionView, secret string) (bool, error) {
	has := func(other client.Object, spec *v1alpha1.ConnectionSpec, status *v1alpha1.ConnectionStatus) bool {
		return other.GetUID() != view.obj.GetUID() && isHeld(other) &&
			(status.SecretName == secret || secretRef(spec).Name == secret)
	}
	var namespaced v1alpha1.ConnectionList
	if err := r.List(ctx, &namespaced, client.InNamespace(view.secretNamespace)); err != nil {
		return false, err
	}
	for i := range namespaced.Items {
		if other := &namespaced.Items[i]; has(other, &other.Spec, &other.Status) {
			return true, nil
		}
	}
	if view.secretNamespace != r.OperatorNamespace {
		return false, nil
	}
	var cluster v1alpha1.ClusterConnectionList
	if err := r.List(ctx, &cluster); err != nil {
		return false, err
	}
	for i := range cluster.Items {
		if other := &cluster.Items[i]; has(other, &other.Spec.ConnectionSpec, &other.Status) {
			return true, nil
		}
	}
	return false, nil
}

// leaving is where a connection stands that is being deleted, or whose Secret is, while it is needed.
func leaving(view *connectionView) (standing, bool) {
	const remedy = "delete them, or set their spec.deletionPolicy to Orphan"
	switch {
	case !view.needed:
		return standing{}, false
	case view.deleting():
		return working(v1alpha1.ReasonInUse, "the connection is being deleted, and Sandboxes or Snapshots still need it: "+remedy), true
	case view.secret != nil && !view.secret.DeletionTimestamp.IsZero():
		return working(v1alpha1.ReasonInUse, fmt.Sprintf("Secret %q is being deleted, and Sandboxes or Snapshots still need it: "+
			"%s, or name another Secret", view.secret.Name, remedy)), true
	default:
		return standing{}, false
	}
}
