package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// sources are the Secrets and ConfigMaps that objects take values from.
type sources struct {
	// direct reads them from the API server, cached reads the connections.
	direct, cached client.Reader
	// operatorNamespace is where the Secrets of ClusterConnections are.
	operatorNamespace string
}

// sourceError says why no value is had from a key of a Secret or ConfigMap.
type sourceError struct {
	kind, name, key string
	// withheldFor is the connection whose credential the key holds, "" where the key is not there.
	withheldFor string
}

func (e *sourceError) Error() string { return e.explain("which is referred to") }

// explain says what to do for what the value is wanted for.
func (e *sourceError) explain(use string) string {
	if e.withheldFor != "" {
		return fmt.Sprintf("key %q of Secret %q, %s, is the credential of %s, and no sandbox is given that: refer to another key",
			e.key, e.name, use, e.withheldFor)
	}
	return fmt.Sprintf("waiting for key %q of %s %q, %s: create it", e.key, e.kind, e.name, use)
}

// reason is that of the condition, absent the one where the key is not there.
func (e *sourceError) reason(absent string) string {
	if e.withheldFor != "" {
		return v1alpha1.ReasonCredentialWithheld
	}
	return absent
}

// read returns the value of the key that is referred to, of a Secret or of a ConfigMap, and nothing where neither is, with
// the version of the object that was read. The error is a *sourceError where the key is not there or is not for sandboxes,
// and the API server's own otherwise.
func (s sources) read(ctx context.Context, namespace string, secretRef *v1alpha1.SecretKeyReference,
	configRef *v1alpha1.ConfigMapKeyReference,
) (value []byte, version string, err error) {
	switch {
	case secretRef != nil:
		if err := s.withhold(ctx, namespace, secretRef); err != nil {
			return nil, "", err
		}
		var secret corev1.Secret
		err := s.direct.Get(ctx, client.ObjectKey{Namespace: namespace, Name: secretRef.Name}, &secret)
		if value, ok := secret.Data[secretRef.Key]; ok && err == nil {
			return value, secret.ResourceVersion, nil
		}
		return nil, "", absentUnless(err, "Secret", secretRef.Name, secretRef.Key)
	case configRef != nil:
		var config corev1.ConfigMap
		err := s.direct.Get(ctx, client.ObjectKey{Namespace: namespace, Name: configRef.Name}, &config)
		if value, ok := config.Data[configRef.Key]; ok && err == nil {
			return []byte(value), config.ResourceVersion, nil
		}
		if value, ok := config.BinaryData[configRef.Key]; ok && err == nil {
			return value, config.ResourceVersion, nil
		}
		return nil, "", absentUnless(err, "ConfigMap", configRef.Name, configRef.Key)
	default:
		return nil, "", nil
	}
}

// withhold fails for the credential of a connection: whoever may run a command could have it printed, who may not read the
// Secret.
func (s sources) withhold(ctx context.Context, namespace string, ref *v1alpha1.SecretKeyReference) error {
	withheld := func(kind, name string, spec *v1alpha1.ConnectionSpec) error {
		if secretRef(spec) != *ref {
			return nil
		}
		return &sourceError{kind: "Secret", name: ref.Name, key: ref.Key, withheldFor: fmt.Sprintf("%s %q", kind, name)}
	}
	var connections v1alpha1.ConnectionList
	if err := s.cached.List(ctx, &connections, client.InNamespace(namespace)); err != nil {
		return err
	}
	for i := range connections.Items {
		if err := withheld("Connection", connections.Items[i].Name, &connections.Items[i].Spec); err != nil {
			return err
		}
	}
	if namespace != s.operatorNamespace {
		return nil
	}
	var cluster v1alpha1.ClusterConnectionList
	if err := s.cached.List(ctx, &cluster); err != nil {
		return err
	}
	for i := range cluster.Items {
		if err := withheld("ClusterConnection", cluster.Items[i].Name, &cluster.Items[i].Spec.ConnectionSpec); err != nil {
			return err
		}
	}
	return nil
}

// absentUnless returns the API server's own error, or where there is none, or only that the object is not there, that the
// source is absent.
func absentUnless(err error, kind, name, key string) error {
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	return &sourceError{kind: kind, name: name, key: key}
}
