package controller

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// readableConnection is a Connection or a ClusterConnection.
type readableConnection struct {
	object client.Object
	spec   *v1alpha1.ConnectionSpec
	status *v1alpha1.ConnectionStatus
}

// readConnection reads a connection of either kind.
func readConnection(ctx context.Context, reader client.Reader, key connection.Key) (readableConnection, error) {
	name := client.ObjectKey{Namespace: key.Namespace, Name: key.Name}
	if key.Kind == v1alpha1.ConnectionKindCluster {
		var found v1alpha1.ClusterConnection
		err := reader.Get(ctx, name, &found)
		return readableConnection{&found, &found.Spec.ConnectionSpec, &found.Status}, err
	}
	var found v1alpha1.Connection
	err := reader.Get(ctx, name, &found)
	return readableConnection{&found, &found.Spec, &found.Status}, err
}
