package controller

import (
	"context"
	"fmt"
	"reflect"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// The fields that the cache is asked for objects by.
const (
	indexSandboxID       = "claimed sandbox id"
	indexSandboxSnapshot = "spec.snapshotRef.name"
	indexSnapshotSource  = "spec.sandboxRef.name"
	indexExecJobSandbox  = "sandbox of the job"
	indexConnectionUse   = "use of a connection"
)

// indexes are all of them: what objects of a kind are found by.
var indexes = []struct {
	of    client.Object
	field string
	value client.IndexerFunc
}{
	{&v1alpha1.Sandbox{}, indexSandboxID, func(obj client.Object) []string {
		return claimsOf(obj.(*v1alpha1.Sandbox)) //nolint:forcetypeassert // the index is of Sandboxes
	}},
	{&v1alpha1.Sandbox{}, indexSandboxSnapshot, func(obj client.Object) []string {
		ref := obj.(*v1alpha1.Sandbox).Spec.SnapshotRef //nolint:forcetypeassert // the index is of Sandboxes
		if ref == nil {
			return nil
		}
		return present(ref.Name)
	}},
	{&v1alpha1.Sandbox{}, indexConnectionUse, indexUse},
	{&v1alpha1.Snapshot{}, indexConnectionUse, indexUse},
	{&v1alpha1.Snapshot{}, indexSnapshotSource, func(obj client.Object) []string {
		return present(obj.(*v1alpha1.Snapshot).Spec.SandboxRef.Name) //nolint:forcetypeassert // the index is of Snapshots
	}},
	{&v1alpha1.ExecJob{}, indexExecJobSandbox, func(obj client.Object) []string {
		return present(sandboxNameOf(obj.(*v1alpha1.ExecJob))) //nolint:forcetypeassert // the index is of ExecJobs
	}},
}

// AddIndexes adds to a cache the indexes that the controllers need.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range indexes {
		if err := indexer.IndexField(ctx, index.of, index.field, index.value); err != nil {
			return err
		}
	}
	return nil
}

// indexedValues are what an index finds an object by.
func indexedValues(obj client.Object, field string) ([]string, error) {
	for _, index := range indexes {
		if index.field == field && reflect.TypeOf(index.of) == reflect.TypeOf(obj) {
			return index.value(obj), nil
		}
	}
	return nil, fmt.Errorf("there is no index of %T by %q", obj, field)
}

func indexUse(obj client.Object) []string {
	if used := useOf(obj); used.kind != useNone {
		return []string{used.index()}
	}
	return nil
}

func present(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}
