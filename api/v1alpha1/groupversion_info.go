// Package v1alpha1 is the wrenn.dev/v1alpha1 API: Wrenn microVM sandboxes, the snapshots taken of them, the
// commands run in them, and the connections that they are reached through.
//
// +kubebuilder:object:generate=true
// +groupName=wrenn.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "wrenn.dev", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package with a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Sandbox{}, &SandboxList{},
		&Snapshot{}, &SnapshotList{},
		&ExecJob{}, &ExecJobList{},
		&Connection{}, &ConnectionList{},
		&ClusterConnection{}, &ClusterConnectionList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
