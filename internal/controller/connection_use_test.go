package controller

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// What an object is, and what it needs of a connection.
func TestUseOf(t *testing.T) {
	t.Parallel()
	const namespace, intent = "ns", `{"connection":{"kind":"Connection","name":"a"}}`
	bound := &v1alpha1.BoundConnection{Kind: v1alpha1.ConnectionKindNamespaced, Name: "a"}
	key := func(name string) connection.Key {
		return connection.KeyOf(namespace, v1alpha1.ConnectionKindNamespaced, name)
	}
	sandbox := func(change func(*v1alpha1.Sandbox)) client.Object {
		s := &v1alpha1.Sandbox{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Annotations: map[string]string{}}}
		change(s)
		return s
	}
	snapshot := func(change func(*v1alpha1.Snapshot)) client.Object {
		s := &v1alpha1.Snapshot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Annotations: map[string]string{}}}
		change(s)
		return s
	}
	deleted := func(obj client.Object, finalizers ...string) {
		now := metav1.Now()
		obj.SetDeletionTimestamp(&now)
		obj.SetFinalizers(finalizers)
	}
	for name, tc := range map[string]struct {
		obj  client.Object
		want use
	}{
		"new": {sandbox(func(*v1alpha1.Sandbox) {}), use{kind: useDefault}},
		"names one": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindNamespaced, Name: "a"}
		}), use{kind: useNamed, key: key("a")}},
		"names one of the cluster": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: "a"}
		}), use{kind: useNamed, key: connection.Key{Kind: v1alpha1.ConnectionKindCluster, Name: "a"}}},
		"bound": {sandbox(func(s *v1alpha1.Sandbox) { s.Status.Connection = bound }), use{kind: useBound, key: key("a")}},
		"bound, whatever it names": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Status.Connection = bound
			s.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindNamespaced, Name: "b"}
		}), use{kind: useBound, key: key("a")}},
		"asks for a remote": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Annotations[v1alpha1.AnnotationCreateIntent] = intent
		}), use{kind: useBound, key: key("a")}},
		"with a damaged intent": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Annotations[v1alpha1.AnnotationCreateIntent] = "{"
		}), use{kind: useDefault}},
		"bound, being destroyed": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Status.Connection = bound
			deleted(s, v1alpha1.Finalizer)
		}), use{kind: useBound, key: key("a")}},
		"asks for a remote, being deleted": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Annotations[v1alpha1.AnnotationCreateIntent] = intent
			deleted(s, v1alpha1.Finalizer)
		}), use{kind: useBound, key: key("a")}},
		"destroyed, held by somebody else": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Status.Connection = bound
			deleted(s, "somebody/else")
		}), use{}},
		"has lost its status": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Annotations[v1alpha1.AnnotationSandboxID] = "cl-1"
			s.Finalizers = []string{v1alpha1.Finalizer}
		}), use{kind: useDefault, having: true}},
		"leaves its remote": {sandbox(func(s *v1alpha1.Sandbox) {
			s.Status.Connection = bound
			s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
		}), use{}},
		"new snapshot":   {snapshot(func(*v1alpha1.Snapshot) {}), use{kind: useSource}},
		"taken snapshot": {snapshot(func(s *v1alpha1.Snapshot) { s.Status.Connection = bound }), use{kind: useBound, key: key("a")}},
		"snapshot being taken": {snapshot(func(s *v1alpha1.Snapshot) {
			s.Annotations[v1alpha1.AnnotationSnapshotIntent] = intent
		}), use{kind: useBound, key: key("a")}},
		"snapshot being deleted": {snapshot(func(s *v1alpha1.Snapshot) {
			s.Status.Connection = bound
			deleted(s, v1alpha1.Finalizer)
		}), use{kind: useBound, key: key("a")}},
		"new snapshot, deleted": {snapshot(func(s *v1alpha1.Snapshot) { deleted(s, "somebody/else") }), use{}},
		"snapshot that is left": {snapshot(func(s *v1alpha1.Snapshot) {
			s.Status.Connection = bound
			s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
		}), use{}},
		"something else": {&v1alpha1.ExecJob{}, use{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := useOf(tc.obj); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// Whether a use is one of a connection.
func TestUseNeeds(t *testing.T) {
	t.Parallel()
	a, b := connection.Key{Name: "a"}, connection.Key{Name: "b"}
	for name, tc := range map[string]struct {
		of       use
		deleting bool
		resolved connection.Key
		want     bool
	}{
		"none":                            {of: use{}, resolved: a},
		"bound to it":                     {of: use{kind: useBound, key: a}, want: true},
		"bound to it as it is deleted":    {of: use{kind: useBound, key: a}, deleting: true, want: true},
		"bound to another":                {of: use{kind: useBound, key: b}, resolved: a},
		"leads to it":                     {of: use{kind: useNamed, key: a}, resolved: a, want: true},
		"led to it before it was deleted": {of: use{kind: useNamed, key: a}, resolved: a, deleting: true},
		"may not use what it names":       {of: use{kind: useNamed, key: a}},
		"by default":                      {of: use{kind: useDefault}, resolved: a, want: true},
		"by default another":              {of: use{kind: useDefault}, resolved: b},
		"has a remote of it":              {of: use{kind: useDefault, having: true}, resolved: a, deleting: true, want: true},
		"is taken of one of it":           {of: use{kind: useSource}, resolved: a, want: true},
		"is to be taken as it is deleted": {of: use{kind: useSource}, resolved: a, deleting: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.of.needs(a, tc.deleting, tc.resolved); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
