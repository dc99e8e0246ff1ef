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

// index is what objects of a kind are found by.
type index struct {
	of    client.Object
	field string
	value client.IndexerFunc
}

func indexOf[T client.Object](of T, field string, value func(T) []string) index {
	return index{of: of, field: field, value: func(obj client.Object) []string {
		if typed, ok := obj.(T); ok {
			return value(typed)
		}
		return nil
	}}
}

// indexes are all of them.
var indexes = []index{
	indexOf(&v1alpha1.Sandbox{}, indexSandboxID, claimsOf),
	indexOf(&v1alpha1.Sandbox{}, indexSandboxSnapshot, func(sandbox *v1alpha1.Sandbox) []string {
		if sandbox.Spec.SnapshotRef == nil {
			return nil
		}
		return present(sandbox.Spec.SnapshotRef.Name)
	}),
	{&v1alpha1.Sandbox{}, indexConnectionUse, indexUse},
	{&v1alpha1.Snapshot{}, indexConnectionUse, indexUse},
	indexOf(&v1alpha1.Snapshot{}, indexSnapshotSource, func(snapshot *v1alpha1.Snapshot) []string {
		return present(snapshot.Spec.SandboxRef.Name)
	}),
	indexOf(&v1alpha1.ExecJob{}, indexExecJobSandbox, func(job *v1alpha1.ExecJob) []string { return present(sandboxNameOf(job)) }),
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
