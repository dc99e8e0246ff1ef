// Package localkube runs a real Kubernetes control plane on this machine: etcd, kube-apiserver and
// kube-controller-manager, with RBAC on and nothing but loopback. The demo, envtest-like tests and the end-to-end
// tests all start theirs here.
//
// The controller manager is there for what an operator's users rely on and an API server alone does not do:
// garbage collection by owner reference, deletion of a namespace's content, ServiceAccounts and their tokens,
// aggregated ClusterRoles, and ResourceQuota usage. There are no nodes: Pods are accepted and never run.
//
// Several control planes can run at once; each has its own data directory, certificates and port. Its processes
// end with it: on [ControlPlane.Stop], when the context given to [Start] is done, and, on Linux, when the process
// that started them dies in any way at all.
package localkube
