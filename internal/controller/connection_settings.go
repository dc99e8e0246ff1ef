package controller

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// secretRef returns the reference that is set. The schema sees to it that just one is.
func secretRef(spec *v1alpha1.ConnectionSpec) v1alpha1.SecretKeyReference {
	switch {
	case spec.APIKeySecretRef != nil:
		return *spec.APIKeySecretRef
	case spec.TokenSecretRef != nil:
		return *spec.TokenSecretRef
	default:
		return v1alpha1.SecretKeyReference{}
	}
}

// settingsOf returns the settings that a spec and its Secret make, or where the connection stands without them.
func settingsOf(spec *v1alpha1.ConnectionSpec, namespace string, data map[string][]byte, found bool) (connection.Settings, *standing) {
	ref := secretRef(spec)
	wait := func(reason, format string, args ...any) (connection.Settings, *standing) {
		s := working(reason, fmt.Sprintf(format, args...))
		return connection.Settings{}, &s
	}
	if !found {
		return wait(v1alpha1.ReasonSecretNotFound, "there is no Secret %q in namespace %q: create it", ref.Name, namespace)
	}
	value, ok := data[ref.Key]
	if !ok {
		return wait(v1alpha1.ReasonSecretKeyNotFound, "Secret %q has no key %q: add it, or name another", ref.Name, ref.Key)
	}
	credential, err := credentialOf(spec, strings.TrimSpace(string(value)))
	if err != nil {
		return wait(v1alpha1.ReasonInvalidCredential, "key %q of Secret %q does not hold a credential: %v", ref.Key, ref.Name, err)
	}
	settings := connection.Settings{
		Endpoint:          spec.Endpoint,
		Credential:        credential,
		ProxyDomain:       spec.ProxyDomain,
		RequestsPerSecond: spec.Limits.RequestsPerSecond,
		ConcurrentCreates: spec.Limits.ConcurrentCreates,
		ConcurrentStreams: spec.Limits.ConcurrentStreams,
		MaxSandboxes:      spec.Limits.MaxSandboxes,
		CABundle:          spec.CABundle,
	}
	switch spec.Generation {
	case v1alpha1.GenerationSandboxes:
		settings.Generation = wrenn.GenerationSandboxes
	case v1alpha1.GenerationCapsules:
		settings.Generation = wrenn.GenerationCapsules
	case v1alpha1.GenerationAuto:
	}
	return settings, nil
}

func credentialOf(spec *v1alpha1.ConnectionSpec, value string) (wrenn.Credential, error) {
	if spec.APIKeySecretRef != nil {
		return wrenn.APIKey(value)
	}
	return wrenn.JWT(value)
}

// unlendable is where a ClusterConnection stands whose selector is not valid, and selects no namespace. Who is bound to it can
// still be let go.
func unlendable(obj client.Object) (standing, bool) {
	lent, ok := obj.(*v1alpha1.ClusterConnection)
	if !ok || lent.Spec.NamespaceSelector == nil {
		return standing{}, false
	}
	if _, err := metav1.LabelSelectorAsSelector(lent.Spec.NamespaceSelector); err == nil {
		return standing{}, false
	}
	return stalled(v1alpha1.ReasonInvalidRequest, "spec.namespaceSelector is not valid, so that the connection is lent to no "+
		"namespace: correct its keys and values, which must be those of labels"), true
}

// healthStanding tells the health of a team as a standing.
func healthStanding(health connection.Health) standing {
	switch health.State {
	case connection.StateConnected:
		return settled(v1alpha1.ReasonConnected, "Wrenn answers and accepts the credential")
	case connection.StateUnauthorized:
		return stalled(v1alpha1.ReasonUnauthorized, "Wrenn refuses the credential: put a valid one into the Secret")
	case connection.StateMismatched:
		return stalled(v1alpha1.ReasonGenerationMismatch, "the endpoint does not serve this generation of the Wrenn API: "+
			"correct spec.endpoint, or set spec.generation to Auto")
	case connection.StateUnreachable:
		return working(v1alpha1.ReasonEndpointUnreachable, "the endpoint does not answer as Wrenn would ("+briefly(health.Err)+"); trying again")
	default:
		return working(v1alpha1.ReasonConnecting, "waiting for the first answer of the endpoint")
	}
}
