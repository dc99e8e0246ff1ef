package controller

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// connectionUsers finds the Sandboxes and Snapshots that need a connection.
type connectionUsers struct {
	reader client.Reader
	// options apply to each List.
	options  []client.ListOption
	resolver *connection.Resolver
}

// any tells whether a connection is needed. Those that are bound to it are found by one look each; the others are few,
// since nobody is unbound for long.
func (u connectionUsers) any(ctx context.Context, key connection.Key, deleting bool) (bool, error) {
	for _, list := range []client.ObjectList{&v1alpha1.SandboxList{}, &v1alpha1.SnapshotList{}} {
		found, err := u.list(ctx, list, key, use{kind: useBound, key: key}, client.Limit(1))
		if err != nil || len(found) > 0 {
			return len(found) > 0, err
		}
	}
	uses := []use{{kind: useNamed, key: key}, {kind: useSource}}
	if key.Name == connection.DefaultName {
		uses = append(uses, use{kind: useDefault})
	}
	for _, each := range uses {
		if found, err := u.anyUnbound(ctx, key, deleting, each); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// anyUnbound tells whether any object with a use that is no binding would be bound to the connection now.
func (u connectionUsers) anyUnbound(ctx context.Context, key connection.Key, deleting bool, of use) (bool, error) {
	var list client.ObjectList = &v1alpha1.SandboxList{}
	if of.kind == useSource {
		list = &v1alpha1.SnapshotList{}
	}
	unbound, err := u.list(ctx, list, key, of)
	if err != nil {
		return false, err
	}
	for _, obj := range unbound {
		resolved, err := u.resolve(ctx, obj)
		if err != nil {
			return false, err
		}
		if useOf(obj).needs(key, deleting, resolved) {
			return true, nil
		}
	}
	return false, nil
}

// resolve returns the connection that an object would be bound to now, the zero Key where there is none.
func (u connectionUsers) resolve(ctx context.Context, obj client.Object) (connection.Key, error) {
	switch o := obj.(type) {
	case *v1alpha1.Sandbox:
		key, err := u.resolver.Find(ctx, o.Namespace, o.Spec.ConnectionRef)
		if unavailable := (*connection.UnavailableError)(nil); errors.As(err, &unavailable) {
			return connection.Key{}, nil
		}
		return key, err
	case *v1alpha1.Snapshot:
		var source v1alpha1.Sandbox
		err := u.reader.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Spec.SandboxRef.Name}, &source)
		if err != nil || source.Status.Connection == nil {
			return connection.Key{}, client.IgnoreNotFound(err)
		}
		return connection.KeyOf(o.Namespace, source.Status.Connection.Kind, source.Status.Connection.Name), nil
	}
	return connection.Key{}, nil
}

// list returns the objects of a kind, within the reach of the connection, that have a use.
func (u connectionUsers) list(ctx context.Context, list client.ObjectList, key connection.Key, of use, options ...client.ListOption) ([]client.Object, error) {
	options = append(options, client.InNamespace(key.Namespace), client.MatchingFields{indexConnectionUse: of.index()})
	if err := u.reader.List(ctx, list, append(options, u.options...)...); err != nil {
		return nil, err
	}
	var found []client.Object
	switch l := list.(type) {
	case *v1alpha1.SandboxList:
		for i := range l.Items {
			found = append(found, &l.Items[i])
		}
	case *v1alpha1.SnapshotList:
		for i := range l.Items {
			found = append(found, &l.Items[i])
		}
	}
	return found, nil
}

// wakeConnections tells the connections when a first user has come or the last has gone. It passes over all other changes
// of their users.
func (r *ConnectionReconciler) wakeConnections() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, _ requests) { r.useChanged(ctx, use{}, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, _ requests) {
			r.useChanged(ctx, useOf(e.ObjectOld), e.ObjectNew)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, _ requests) {
			r.useEnded(ctx, useOf(e.Object), e.Object.GetNamespace())
		},
	}
}

func (r *ConnectionReconciler) useChanged(ctx context.Context, before use, obj client.Object) {
	now := useOf(obj)
	if now == before {
		return
	}
	key := now.key
	if now.kind != useNone && now.kind != useBound {
		key, _ = r.users().resolve(ctx, obj) // Where that fails, the connection's next look finds the user.
	}
	if key != (connection.Key{}) && !r.Pool.IsOpen(key) {
		r.wake(key)
	}
	r.useEnded(ctx, before, obj.GetNamespace())
}

// useEnded wakes the connections that nobody may need any more.
func (r *ConnectionReconciler) useEnded(ctx context.Context, ended use, namespace string) {
	users := r.users(client.DisableReadYourWritesConsistency)
	for _, key := range ended.keys(namespace) {
		if ended.kind != useBound && !r.Pool.IsOpen(key) {
			continue
		}
		if found, err := users.any(ctx, key, true); err != nil || !found {
			r.wake(key)
		}
	}
}

// keys are the connections that a use in a namespace may be of.
func (u use) keys(namespace string) []connection.Key {
	switch u.kind {
	case useBound, useNamed:
		return []connection.Key{u.key}
	case useDefault:
		return []connection.Key{
			connection.KeyOf(namespace, v1alpha1.ConnectionKindNamespaced, connection.DefaultName),
			connection.KeyOf(namespace, v1alpha1.ConnectionKindCluster, connection.DefaultName),
		}
	default:
		return nil
	}
}

// allClusterConnections may have got users, or lost some, by the labels of a namespace.
func (r *ConnectionReconciler) allClusterConnections(ctx context.Context, _ client.Object) []reconcile.Request {
	var all v1alpha1.ClusterConnectionList
	if err := r.List(ctx, &all); err != nil {
		return nil
	}
	var found []reconcile.Request
	for i := range all.Items {
		found = append(found, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
	}
	return found
}

func (r *ConnectionReconciler) users(options ...client.ListOption) connectionUsers {
	return connectionUsers{
		reader: r.Client, options: options, resolver: &connection.Resolver{Reader: r.Client, Pool: r.Pool},
	}
}

// wake has a connection reconciled.
func (r *ConnectionReconciler) wake(key connection.Key) {
	name := client.ObjectKey{Namespace: key.Namespace, Name: key.Name}
	if key.Kind == v1alpha1.ConnectionKindCluster {
		r.cluster.wake(name)
	} else {
		r.namespaced.wake(name)
	}
}
