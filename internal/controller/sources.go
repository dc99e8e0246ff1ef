package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// absentSourceError says which key of a Secret or ConfigMap is not there.
type absentSourceError struct{ kind, name, key string }

func (e *absentSourceError) Error() string {
	return fmt.Sprintf("key %q of %s %q", e.key, e.kind, e.name)
}

// readSource returns the value of the key that is referred to, of a Secret or of a ConfigMap, and nothing where neither
// is. The error is an *absentSourceError where the key is not there, and the API server's own otherwise.
func readSource(ctx context.Context, reader client.Reader, namespace string, secretRef *v1alpha1.SecretKeyReference,
	configRef *v1alpha1.ConfigMapKeyReference,
) ([]byte, error) {
	value, _, err := readVersion(ctx, reader, namespace, secretRef, configRef)
	return value, err
}

// readVersion is readSource, with the version of the object that was read.
func readVersion(ctx context.Context, reader client.Reader, namespace string, secretRef *v1alpha1.SecretKeyReference,
	configRef *v1alpha1.ConfigMapKeyReference,
) (value []byte, version string, err error) {
	switch {
	case secretRef != nil:
		var secret corev1.Secret
		err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: secretRef.Name}, &secret)
		if value, ok := secret.Data[secretRef.Key]; ok && err == nil {
			return value, secret.ResourceVersion, nil
		}
		return nil, "", absentUnless(err, "Secret", secretRef.Name, secretRef.Key)
	case configRef != nil:
		var config corev1.ConfigMap
		err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: configRef.Name}, &config)
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

// absentUnless returns the API server's own error, or where there is none, or only that the object is not there, that the
// source is absent.
func absentUnless(err error, kind, name, key string) error {
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	return &absentSourceError{kind: kind, name: name, key: key}
}
