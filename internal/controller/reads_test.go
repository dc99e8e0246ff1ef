package controller

import (
	"context"
	"slices"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// madeBy has the name of the test that made it for each namespace.
var madeBy sync.Map

// ownSandboxes reads the API server that all tests share as if it were one test's. What a Sandbox of another one has begun
// could mean a remote of any team's, for which that would be spared.
type ownSandboxes struct {
	client.Reader
	test string
}

func (o ownSandboxes) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := o.Reader.List(ctx, list, options...); err != nil {
		return err
	}
	if sandboxes, ok := list.(*v1alpha1.SandboxList); ok {
		sandboxes.Items = slices.DeleteFunc(sandboxes.Items, func(s v1alpha1.Sandbox) bool {
			test, _ := madeBy.Load(s.Namespace)
			return test != o.test
		})
	}
	return nil
}
