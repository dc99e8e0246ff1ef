package controller

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// fileToWrite is a file of a spec with its content.
type fileToWrite struct {
	path    string
	content []byte
}

// writeFiles writes the files of the spec into the remote. It is done again where it is not certain that it was done:
// the Sandbox is not Ready before that, so nobody has changed them yet.
func (r *SandboxReconciler) writeFiles(ctx context.Context, view *sandboxView) (standing, error) {
	if s, blocked := r.blocked(view); blocked {
		return s, nil
	}
	files, missing, err := r.files(ctx, view.sandbox)
	if err != nil || missing != nil {
		return deref(missing), err
	}
	remote, handle := *view.remote, view.team.Client.Sandbox(view.sandbox.Status.SandboxID)
	r.launch(view, purposeFiles, r.Timing.Call, func(ctx context.Context) (wrenn.Sandbox, error) {
		for _, file := range files {
			if err := handle.Upload(ctx, file.path, file.content); err != nil {
				return wrenn.Sandbox{}, err
			}
		}
		return remote, nil
	})
	return working(v1alpha1.ReasonWritingFiles, "the files of the spec are being written"), nil
}

// files returns the files of a spec, or what of them is waited for.
func (r *SandboxReconciler) files(ctx context.Context, sandbox *v1alpha1.Sandbox) ([]fileToWrite, *standing, error) {
	var files []fileToWrite
	for i := range sandbox.Spec.Files {
		file := &sandbox.Spec.Files[i]
		content, err := r.contentOf(ctx, sandbox.Namespace, file)
		var absent *absentSourceError
		if errors.As(err, &absent) {
			s := working(v1alpha1.ReasonFileSourceNotFound, fmt.Sprintf("waiting for %s, for the file %s: create it", absent, file.Path)).after(envInterval)
			return nil, &s, nil
		}
		if err != nil {
			return nil, nil, err
		}
		files = append(files, fileToWrite{path: file.Path, content: content})
	}
	return files, nil, nil
}

// absentSourceError says which key of a Secret or ConfigMap is not there.
type absentSourceError struct{ kind, name, key string }

func (e *absentSourceError) Error() string {
	return fmt.Sprintf("key %q of %s %q", e.key, e.kind, e.name)
}

// contentOf returns the content of one file. The error is an *absentSourceError where its source is not there.
func (r *SandboxReconciler) contentOf(ctx context.Context, namespace string, file *v1alpha1.SandboxFile) ([]byte, error) {
	switch {
	case file.SecretKeyRef != nil:
		ref := file.SecretKeyRef
		var secret corev1.Secret
		err := r.Direct.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &secret)
		if content, ok := secret.Data[ref.Key]; ok && err == nil {
			return content, nil
		}
		return nil, absentUnless(err, "Secret", ref.Name, ref.Key)
	case file.ConfigMapKeyRef != nil:
		ref := file.ConfigMapKeyRef
		var config corev1.ConfigMap
		err := r.Direct.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &config)
		if content, ok := config.Data[ref.Key]; ok && err == nil {
			return []byte(content), nil
		}
		if content, ok := config.BinaryData[ref.Key]; ok && err == nil {
			return content, nil
		}
		return nil, absentUnless(err, "ConfigMap", ref.Name, ref.Key)
	case file.Content != nil:
		return []byte(*file.Content), nil
	default:
		return nil, nil
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

// filesProblem tells a failure to write files as a standing.
func filesProblem(err error) standing {
	switch {
	case wrenn.IsTooLarge(err):
		return stalled(v1alpha1.ReasonFileRefused, "a file of the spec is larger than Wrenn takes: make it smaller")
	case wrenn.IsAgentError(err):
		return working(v1alpha1.ReasonServiceError, "Wrenn failed to write a file of the spec ("+briefly(err)+
			"): see that none of their paths is a directory; trying again")
	default:
		return problemOf(err)
	}
}
