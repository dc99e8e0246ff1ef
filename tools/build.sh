#!/bin/sh
# Builds tools from the nested modules of tools/, unless the cache has them, and prints the directories that they
# are in, as a prefix of PATH.
#
#   PATH=$(tools/build.sh controller-gen kustomize):$PATH
#
# Tools are kept in ${XDG_CACHE_HOME:-$HOME/.cache}/wrenn-operator/bin/<tool>-<hash>/<tool>, outside the checkout,
# so that a clean checkout finds them again. The hash is over the module (its pinned requirements and sources)
# and the version of Go. Two that build at the same time both succeed: the finished program is put in its place
# by a rename.
set -eu

# Settings for the operator's own build are not for its tools.
unset GOOS GOARCH
export GOWORK=off CGO_ENABLED=0

tools=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
bin=${XDG_CACHE_HOME:-$HOME/.cache}/wrenn-operator/bin
unfinished=
trap 'rm -rf "$unfinished"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# build <name> <module> <package> sets $dir.
build() {
	cd "$tools/$2"
	hash=$({ go env GOVERSION && find . -maxdepth 1 \( -name '*.go' -o -name 'go.*' \) | LC_ALL=C sort | xargs cat; } | sha256 | cut -c 1-16)
	dir=$bin/$1-$hash
	[ -x "$dir/$1" ] && return
	echo "tools: building $1${4:+ ($4)}; it is kept in $dir" >&2
	mkdir -p "$dir"
	unfinished=$(mktemp -d "$bin/.unfinished-XXXXXX")
	go build -mod=readonly -buildvcs=false -ldflags='-s -w' -o "$unfinished/$1" "$3" >&2
	mv -f "$unfinished/$1" "$dir/$1"
	rm -rf "$unfinished"
}

path=
for name; do
	case $name in
	controller-gen) build "$name" codegen sigs.k8s.io/controller-tools/cmd/controller-gen ;;
	oapi-codegen) build "$name" codegen github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen ;;
	kustomize) build "$name" codegen sigs.k8s.io/kustomize/kustomize/v5 ;;
	golangci-lint) build "$name" lint . 'the first time takes some minutes' ;;
	*)
		echo "tools: there is no $name" >&2
		exit 2
		;;
	esac
	path=$path${path:+:}$dir
done
echo "$path"
