package controller

import (
	"context"
	"errors"
	"fmt"

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
	return r.troubles.during(view.sandbox, working(v1alpha1.ReasonWritingFiles, "the files of the spec are being written")), nil
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

// contentOf returns the content of one file. The error is an *absentSourceError where its source is not there.
func (r *SandboxReconciler) contentOf(ctx context.Context, namespace string, file *v1alpha1.SandboxFile) ([]byte, error) {
	if file.Content != nil {
		return []byte(*file.Content), nil
	}
	return readSource(ctx, r.Direct, namespace, file.SecretKeyRef, file.ConfigMapKeyRef)
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
