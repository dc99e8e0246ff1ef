#!/bin/sh
# Fails, and lists them, while the cluster has objects that only the operator can let go of: once the operator is
# gone nobody would destroy the sandboxes that they stand for.
#
#   tools/verify-empty.sh <kubectl>
set -eu

kinds=sandboxes.wrenn.dev,snapshots.wrenn.dev,execjobs.wrenn.dev,connections.wrenn.dev,clusterconnections.wrenn.dev

# Without the CRDs there is nothing to ask for, and asking would be an error.
[ -n "$("$1" get crd sandboxes.wrenn.dev --ignore-not-found -o name)" ] || exit 0

left=$("$1" get "$kinds" --all-namespaces --no-headers -o custom-columns='KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name')
[ -z "$left" ] || {
	echo "delete these first, while the operator is there to destroy what they stand for:" >&2
	echo "$left" >&2
	exit 1
}
