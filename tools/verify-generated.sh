#!/usr/bin/env bash
# Fails, and shows the difference, when generated files are not what `make generate manifests` makes of the
# sources. It works on a copy, so that neither an unclean checkout nor a wrong file in it matters.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$work/as-is" "$work/fresh"
cd "$root"
# Everything that is or could be committed; files deleted but not committed are listed too, and not there.
git ls-files -z --cached --others --exclude-standard |
	while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
	tar --null -T - -cf - | tar -xf - -C "$work/as-is"
cp -R "$work/as-is/." "$work/fresh"

# Files that their generator would no longer write must not pass for fresh.
rm -rf "$work/fresh/config/crd/bases" "$work/fresh/config/rbac/role.yaml"
find "$work/fresh" \( -name 'zz_generated.*.go' -o -name '*.gen.go' \) -exec rm {} +
make -s -C "$work/fresh" generate manifests

if ! (cd "$work" && diff -ruN as-is fresh); then
	echo "generated files are stale: run 'make generate manifests' and commit what it changes" >&2
	exit 1
fi
