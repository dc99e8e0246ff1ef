// Package localrun runs the operator on this machine: a local control plane that has the CRDs and the operator's RBAC,
// an embedded Wrenn, and the real manager program as its own ServiceAccount, with the rights of that and no others. The
// demo and the end-to-end tests both run it, so that what one shows is what the other proves.
package localrun
