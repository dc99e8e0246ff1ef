package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// secret makes a Secret with one key.
func (w *world) secret(name, key, value string) {
	w.t.Helper()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, StringData: map[string]string{key: value},
	})
}

func TestConnectionByToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	w.secret("user", "token", w.wrenn.Token())
	connection := w.connection(w.wrenn.URL())
	connection.Spec.APIKeySecretRef = nil
	connection.Spec.TokenSecretRef = &v1alpha1.SecretKeyReference{Name: "user", Key: "token"}
	w.create(connection)
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	sandbox := w.sandbox("box")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
}

func TestConnectionFindsOutTheGeneration(t *testing.T) {
	t.Parallel()
	for served, want := range map[wrenndev.Generations]v1alpha1.Generation{
		wrenndev.Sandboxes: v1alpha1.GenerationSandboxes,
		wrenndev.Capsules:  v1alpha1.GenerationCapsules,
	} {
		w := newOperatedWorld(t, wrenndev.Config{Generations: served})
		connection := w.connection("")
		awaitReason(w, connection, v1alpha1.ReasonConnected)
		if connection.Status.Generation != want {
			t.Errorf("generation %q, want %q", connection.Status.Generation, want)
		}
		if connection.Status.Fingerprint == "" {
			t.Error("it has no fingerprint")
		}
	}
}

// A generation that is forced and not served is said, and repaired by the spec.
func TestConnectionWithTheWrongGeneration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{Generations: wrenndev.Capsules})
	w.startOperator()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	connection := w.connection(w.wrenn.URL())
	connection.Spec.Generation = v1alpha1.GenerationSandboxes
	w.create(connection)
	awaitReason(w, connection, v1alpha1.ReasonGenerationMismatch)
	edit(w, connection, func(c *v1alpha1.Connection) { c.Spec.Generation = v1alpha1.GenerationCapsules })
	awaitReason(w, connection, v1alpha1.ReasonConnected)
}

func TestConnectionToNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	connection := w.connection("http://127.0.0.1:1")
	w.create(connection)
	awaitReason(w, connection, v1alpha1.ReasonEndpointUnreachable)
	edit(w, connection, func(c *v1alpha1.Connection) { c.Spec.Endpoint = w.wrenn.URL() })
	awaitReason(w, connection, v1alpha1.ReasonConnected)
}

// A ClusterConnection is lent to the namespaces that its selector names, and an absent selector names none.
func TestClusterConnectionIsLentBySelector(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	lent := w.lend(nil)
	sandbox := w.sandbox("box")
	sandbox.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: w.namespace}
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotFound)
	edit(w, lent, func(c *v1alpha1.ClusterConnection) {
		c.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "another"}}
	})
	edit(w, lent, func(c *v1alpha1.ClusterConnection) {
		c.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": w.namespace}}
	})
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
}
