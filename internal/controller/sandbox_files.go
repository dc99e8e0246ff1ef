package controller

import (
	"context"
	"errors"
	"fmt"

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
	files, err := readFiles(ctx, r.Direct, view.sandbox.Namespace, view.sandbox.Spec.Files)
	if absent := (*absentFileError)(nil); errors.As(err, &absent) {
		return working(v1alpha1.ReasonFileSourceNotFound, absent.Error()).after(envInterval), nil
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

// readFiles returns the files of a spec. The error is an *absentFileError where the source of one is not there.
func readFiles(ctx context.Context, reader client.Reader, namespace string, specs []v1alpha1.SandboxFile) ([]fileToWrite, error) {
	var files []fileToWrite
	for i := range specs {
		content, err := contentOf(ctx, reader, namespace, &specs[i])
		var absent *absentSourceError
		if errors.As(err, &absent) {
			return nil, &absentFileError{source: absent, path: specs[i].Path}
		}
		if err != nil {
			return nil, err
		}
		files = append(files, fileToWrite{path: specs[i].Path, content: content})
	}
	return files, nil
}

// absentFileError says what of the files of a spec is waited for.
type absentFileError struct {
	source *absentSourceError
	path   string
}

func (e *absentFileError) Error() string {
	return fmt.Sprintf("waiting for %s, for the file %s: create it", e.source, e.path)
}

// contentOf returns the content of one file. The error is an *absentSourceError where its source is not there.
func contentOf(ctx context.Context, reader client.Reader, namespace string, file *v1alpha1.SandboxFile) ([]byte, error) {
	if file.Content != nil {
		return []byte(*file.Content), nil
	}
	return readSource(ctx, reader, namespace, file.SecretKeyRef, file.ConfigMapKeyRef)
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
