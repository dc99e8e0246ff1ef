package controller

import (
	"context"
	"errors"

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
	files, err := r.sources().files(ctx, view.sandbox.Namespace, view.sandbox.Spec.Files)
	if unread := (*unreadFileError)(nil); errors.As(err, &unread) {
		return working(unread.reason(v1alpha1.ReasonFileSourceNotFound), unread.Error()).after(envInterval), nil
	}
	if err != nil {
		return standing{}, err
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
	return r.troubles.during(view.sandbox, working(v1alpha1.ReasonWritingFiles, "the files of the spec are being written")), nil
}

// files returns the files of a spec. The error is an *unreadFileError where there is no value for one.
func (s sources) files(ctx context.Context, namespace string, specs []v1alpha1.SandboxFile) ([]fileToWrite, error) {
	var files []fileToWrite
	for i := range specs {
		content, err := s.contentOf(ctx, namespace, &specs[i])
		if without := (*sourceError)(nil); errors.As(err, &without) {
			return nil, &unreadFileError{sourceError: without, path: specs[i].Path}
		}
		if err != nil {
			return nil, err
		}
		files = append(files, fileToWrite{path: specs[i].Path, content: content})
	}
	return files, nil
}

// unreadFileError says which of the files of a spec has no content, and why.
type unreadFileError struct {
	*sourceError
	path string
}

func (e *unreadFileError) Error() string { return e.explain("for the file " + e.path) }

// contentOf returns the content of one file. The error is a *sourceError where there is no value.
func (s sources) contentOf(ctx context.Context, namespace string, file *v1alpha1.SandboxFile) ([]byte, error) {
	if file.Content != nil {
		return []byte(*file.Content), nil
	}
	content, _, err := s.read(ctx, namespace, file.SecretKeyRef, file.ConfigMapKeyRef)
	return content, err
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

func (r *SandboxReconciler) sources() sources {
	return sources{direct: r.Direct, cached: r, operatorNamespace: r.OperatorNamespace}
}
