package controller

import (
	"encoding/json"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// useKind is in what way an object needs a connection.
type useKind string

const (
	// useNone: it needs none.
	useNone useKind = ""
	// useBound: it is bound to one.
	useBound useKind = "bound"
	// useNamed: it is to be bound to the one that it names.
	useNamed useKind = "named"
	// useDefault: it is to be bound to the default one, whichever that turns out to be.
	useDefault useKind = "default"
	// useSource: it is to be bound to that of the Sandbox it is taken of.
	useSource useKind = "source"
)

// use is how an object needs a connection. It depends on the object alone, so that a change of it can be told from other
// changes.
type use struct {
	kind useKind
	// key is the connection of useBound and useNamed.
	key connection.Key
	// having tells of an object that is not bound that it has a remote all the same: it has just taken it over, or has lost
	// its status.
	having bool
}

// needs tells whether a use is one of the connection. Resolved is where a reference leads to now. A connection that is
// being deleted is needed by those only that have something through it: it takes nobody new.
func (u use) needs(key connection.Key, deleting bool, resolved connection.Key) bool {
	switch u.kind {
	case useNone:
		return false
	case useBound:
		return u.key == key
	default:
		return (u.having || !deleting) && resolved == key
	}
}

// index is what the cache finds objects of the use by.
func (u use) index() string {
	return string(u.kind) + "/" + string(u.key.Kind) + "/" + u.key.Namespace + "/" + u.key.Name
}

// useOf is how a Sandbox or Snapshot needs a connection.
func useOf(obj client.Object) use {
	switch o := obj.(type) {
	case *v1alpha1.Sandbox:
		return useOfSandbox(o)
	case *v1alpha1.Snapshot:
		return useOfSnapshot(o)
	}
	return use{}
}

// useOfSandbox is none for a Sandbox that would leave its remote behind, and for one with nothing left to let go.
func useOfSandbox(sandbox *v1alpha1.Sandbox) use {
	if !needsConnection(sandbox, sandbox.Spec.DeletionPolicy) {
		return use{}
	}
	bound := sandbox.Status.Connection
	if intent := intendedConnection(sandbox, v1alpha1.AnnotationCreateIntent); intent != nil {
		bound = intent
	}
	having := hasFinalizer(sandbox) && sandbox.Annotations[v1alpha1.AnnotationSandboxID] != ""
	switch ref := sandbox.Spec.ConnectionRef; {
	case bound != nil:
		return use{kind: useBound, key: connection.KeyOf(sandbox.Namespace, bound.Kind, bound.Name)}
	case ref != nil:
		return use{kind: useNamed, key: connection.KeyOf(sandbox.Namespace, ref.Kind, ref.Name), having: having}
	default:
		return use{kind: useDefault, having: having}
	}
}

func useOfSnapshot(snapshot *v1alpha1.Snapshot) use {
	if !needsConnection(snapshot, snapshot.Spec.DeletionPolicy) {
		return use{}
	}
	bound := snapshot.Status.Connection
	if intent := intendedConnection(snapshot, v1alpha1.AnnotationSnapshotIntent); intent != nil {
		bound = intent
	}
	if bound != nil {
		return use{kind: useBound, key: connection.KeyOf(snapshot.Namespace, bound.Kind, bound.Name)}
	}
	return use{kind: useSource}
}

// needsConnection tells whether an object has, or may get, something remote that is to go with it.
func needsConnection(obj client.Object, policy v1alpha1.DeletionPolicy) bool {
	return policy != v1alpha1.DeletionPolicyOrphan && (obj.GetDeletionTimestamp().IsZero() || hasFinalizer(obj))
}

// intendedConnection is the connection of the intent that an object carries, nil where there is none. A damaged intent is
// reported by the object's own controller; here it is none.
func intendedConnection(obj client.Object, annotation string) *v1alpha1.BoundConnection {
	var intent struct {
		Connection *v1alpha1.BoundConnection `json:"connection"`
	}
	text, ok := obj.GetAnnotations()[annotation]
	if !ok || json.Unmarshal([]byte(text), &intent) != nil {
		return nil
	}
	return intent.Connection
}
