package connection

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// DefaultName is the name of the connection that objects without a reference use.
const DefaultName = "default"

// UnavailableError is why there is no team to talk to for now. It is a wait, never a failure: the cause is looked at again
// when the connection changes.
type UnavailableError struct {
	// Reason is a condition reason of the API.
	Reason string
	// Message says what to do.
	Message string
}

// Error returns the message.
func (u *UnavailableError) Error() string { return u.Message }

// Resolver finds the team that an object may use.
type Resolver struct {
	// Reader reads connections and namespaces, from a cache.
	Reader client.Reader
	// Pool holds the teams.
	Pool *Pool
}

// Resolve returns the connection that an object in the namespace refers to, nil meaning the default ones, and its team.
// The error is *UnavailableError where there is none to be had, and the API server's own otherwise.
func (r *Resolver) Resolve(ctx context.Context, namespace string, ref *v1alpha1.ConnectionReference) (Key, *Team, error) {
	key, err := r.Find(ctx, namespace, ref)
	if err != nil {
		return Key{}, nil, err
	}
	team, err := r.team(key)
	return key, team, err
}

// Bound returns the team of the connection that an object is bound to, for an object that is to go on using it.
func (r *Resolver) Bound(ctx context.Context, namespace string, bound *v1alpha1.BoundConnection) (*Team, error) {
	_, team, err := r.Resolve(ctx, namespace, &v1alpha1.ConnectionReference{Kind: bound.Kind, Name: bound.Name})
	return team, err
}

// Release returns the team of the connection that an object is bound to, for an object that is to be let go. A
// ClusterConnection that is no longer lent to the namespace is still good for that.
func (r *Resolver) Release(namespace string, bound *v1alpha1.BoundConnection) (*Team, error) {
	return r.team(KeyOf(namespace, bound.Kind, bound.Name))
}

// Bind lets an object be bound to a connection. One that holds the connection, since it will need it to be let go, waits until
// the connection is sure to stay. No object is bound to a connection that is being deleted. The error is *UnavailableError
// where the object has to wait; otherwise done must be called when the binding has been written, or has failed to be.
func (r *Resolver) Bind(ctx context.Context, key Key, holds bool) (done func(), err error) {
	if done, ok := r.Pool.Bind(key); ok {
		return done, nil
	}
	connection, err := r.get(ctx, key)
	switch {
	case err != nil:
		return nil, err
	case !connection.GetDeletionTimestamp().IsZero():
		return nil, &UnavailableError{
			Reason:  v1alpha1.ReasonConnectionNotReady,
			Message: fmt.Sprintf("%s is being deleted and takes no new users: create it again when it is gone", key),
		}
	case holds:
		return nil, notReady(key)
	default:
		return func() {}, nil
	}
}

// get reads a connection. One that is gone is not ready.
func (r *Resolver) get(ctx context.Context, key Key) (client.Object, error) {
	var connection client.Object = &v1alpha1.Connection{}
	if key.Kind == v1alpha1.ConnectionKindCluster {
		connection = &v1alpha1.ClusterConnection{}
	}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, connection)
	if apierrors.IsNotFound(err) {
		return nil, notReady(key)
	}
	return connection, err
}

// Exclusive tells whether a connection is declared to be used by nobody else. One that is not there is not.
func (r *Resolver) Exclusive(ctx context.Context, key Key) (bool, error) {
	name := client.ObjectKey{Namespace: key.Namespace, Name: key.Name}
	if key.Kind == v1alpha1.ConnectionKindCluster {
		var connection v1alpha1.ClusterConnection
		err := r.Reader.Get(ctx, name, &connection)
		return connection.Spec.Ownership == v1alpha1.OwnershipExclusive, client.IgnoreNotFound(err)
	}
	var connection v1alpha1.Connection
	err := r.Reader.Get(ctx, name, &connection)
	return connection.Spec.Ownership == v1alpha1.OwnershipExclusive, client.IgnoreNotFound(err)
}

// Sandbox returns the remote sandbox that a Sandbox has.
func (r *Resolver) Sandbox(ctx context.Context, sandbox *v1alpha1.Sandbox) (*wrenn.SandboxHandle, error) {
	if sandbox.Status.Connection == nil || sandbox.Status.SandboxID == "" {
		return nil, &UnavailableError{
			Reason:  v1alpha1.ReasonSandboxNotReady,
			Message: fmt.Sprintf("Sandbox %q has no remote sandbox yet", sandbox.Name),
		}
	}
	team, err := r.Bound(ctx, sandbox.Namespace, sandbox.Status.Connection)
	if err != nil {
		return nil, err
	}
	return team.Client.Sandbox(sandbox.Status.SandboxID), nil
}

// Find returns the connection that an object in the namespace refers to, nil meaning the default ones. The errors are those
// of Resolve.
func (r *Resolver) Find(ctx context.Context, namespace string, ref *v1alpha1.ConnectionReference) (Key, error) {
	if ref != nil {
		key := KeyOf(namespace, ref.Kind, ref.Name)
		found, err := r.usable(ctx, namespace, key)
		if err != nil || found {
			return key, err
		}
		return Key{}, notFound("there is no %s that this namespace may use: create it, or name another in spec.connectionRef", key)
	}
	for _, kind := range []v1alpha1.ConnectionKind{v1alpha1.ConnectionKindNamespaced, v1alpha1.ConnectionKindCluster} {
		key := KeyOf(namespace, kind, DefaultName)
		if found, err := r.usable(ctx, namespace, key); err != nil || found {
			return key, err
		}
	}
	return Key{}, notFound("this namespace may use neither a Connection nor a ClusterConnection named %q: create one, "+
		"or name another in spec.connectionRef", DefaultName)
}

// usable tells whether a connection exists and objects in the namespace may use it.
func (r *Resolver) usable(ctx context.Context, namespace string, key Key) (bool, error) {
	if key.Kind != v1alpha1.ConnectionKindCluster {
		err := r.Reader.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, &v1alpha1.Connection{})
		return err == nil, client.IgnoreNotFound(err)
	}
	var connection v1alpha1.ClusterConnection
	if err := r.Reader.Get(ctx, client.ObjectKey{Name: key.Name}, &connection); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return r.lends(ctx, &connection, namespace)
}

// lends tells whether a ClusterConnection's selector names the namespace. An absent selector names none.
func (r *Resolver) lends(ctx context.Context, connection *v1alpha1.ClusterConnection, namespace string) (bool, error) {
	if connection.Spec.NamespaceSelector == nil {
		return false, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(connection.Spec.NamespaceSelector)
	if err != nil {
		return false, notFound("ClusterConnection/%s is lent to no namespace, since its namespaceSelector is not valid: correct it", connection.Name)
	}
	ns := metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.Reader.Get(ctx, client.ObjectKey{Name: namespace}, &ns); err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, err
	}
	return selector.Matches(labels.Set(ns.Labels)), nil
}

func (r *Resolver) team(key Key) (*Team, error) {
	team, ok := r.Pool.Get(key)
	if !ok {
		return nil, notReady(key)
	}
	return team, nil
}

func notReady(key Key) *UnavailableError {
	return &UnavailableError{
		Reason:  v1alpha1.ReasonConnectionNotReady,
		Message: fmt.Sprintf("%s is not ready: its Ready condition says why", key),
	}
}

func notFound(format string, args ...any) *UnavailableError {
	return &UnavailableError{Reason: v1alpha1.ReasonConnectionNotFound, Message: fmt.Sprintf(format, args...)}
}
