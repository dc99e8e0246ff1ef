# `make` alone lists the targets. Go, GNU make, git and a POSIX shell are all that is needed; a C compiler besides
# for the race detector. Every other tool is pinned in a nested module of tools/ and built once into
# ${XDG_CACHE_HOME:-~/.cache}/wrenn-operator.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The image that docker-build makes and deploy runs.
IMG ?= ghcr.io/wrennhq/wrenn-operator:dev
CONTAINER_TOOL ?= docker
KUBECTL ?= kubectl
# Arguments for `make run`, `make demo`, `make dev`, `make crash` and `make soak`.
ARGS ?=
# Arguments for go test, such as TESTFLAGS='-run TestPlan -v'.
TESTFLAGS ?=
# How long `make fuzz` runs each target: a time, or a number of inputs like 5000x.
FUZZTIME ?= 1m

# A recipe's prefix that puts pinned tools on its PATH.
with = PATH="$$(tools/build.sh $(1)):$$PATH"; export PATH;

##@ Try it

.PHONY: demo
demo: control-plane ## Show everything working on this machine, from a control plane of its own to the cleanup; needs no cluster
	go run ./cmd/demo $(ARGS)

.PHONY: dev
dev: control-plane ## The same, but leave it running with a kubeconfig to play with, until Ctrl-C
	go run ./cmd/demo -stay $(ARGS)

##@ Test

.PHONY: test
test: test-unit test-sweep test-fuzz test-e2e ## Everything

.PHONY: test-unit
test-unit: control-plane ## Tests of the packages, with the race detector, against a real API server where they need one
	go test -race -timeout 45m $(TESTFLAGS) $$(go list ./... | grep -Ev '/test/(e2e|crash|soak)$$')

# Without the race detector, under which it takes a multiple of the time: what is swept is raced in its own packages.
.PHONY: test-sweep
test-sweep: control-plane ## A part of the crash sweep, and a short soak
	go test -p 1 -timeout 30m $(TESTFLAGS) ./test/crash ./test/soak

.PHONY: test-fuzz
test-fuzz: ## A few thousand inputs for each fuzz target
	$(MAKE) --no-print-directory fuzz FUZZTIME=5000x

.PHONY: fuzz
fuzz: ## Each fuzz target for FUZZTIME; what fails is kept in its package's testdata
	for package in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z]*' $$package/*_test.go | cut -d ' ' -f 2); do \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: bench
bench: ## Benchmarks; they print figures and judge nothing
	go test -run '^$$' -bench . -benchtime 1x $(TESTFLAGS) $$(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -n 1 dirname | sort -u)

.PHONY: test-e2e
test-e2e: control-plane ## The real manager in a real control plane with the embedded Wrenn
	go test -race -timeout 30m -count=1 $(TESTFLAGS) ./test/e2e/...

.PHONY: crash
crash: control-plane ## Sweep the operator with mishaps at each of its effects, and at random (ARGS='-point …' or '-seed …' replays one)
	go run ./test/crash $(ARGS)
	if [ -z '$(ARGS)' ]; then go test -count=1 ./test/crash -run '^TestModel$$' -rapid.checks=100 -timeout 30m; fi

.PHONY: soak
soak: control-plane ## Ten minutes of jobs that come and go over streams that are cut; what the operator holds must not grow (ARGS='-for 1h')
	go run ./test/soak $(ARGS)

.PHONY: conformance
conformance: ## Check any Wrenn server, embedded or real (WRENN_BASE_URL=, WRENN_API_KEY=; WRENN_TOKEN= for all of it)
	@go run ./test/conformance

.PHONY: control-plane
control-plane: ## Build the local control plane, unless KUBEBUILDER_ASSETS or the cache has it (10 to 15 minutes the first time)
	go run ./internal/localkube/prebuild

##@ Check

.PHONY: verify
verify: verify-generated verify-modules verify-format vet lint ## All checks that need no test run; changes nothing

.PHONY: verify-generated
verify-generated: ## Check that generated code and manifests are fresh
	tools/verify-generated.sh

.PHONY: verify-modules
verify-modules: ## Check that every module is tidy and its dependencies are what go.sum says
	for module in . tools/codegen tools/controlplane tools/lint; do \
		echo "$$module:"; (cd "$$module" && GOWORK=off go mod tidy -diff && GOWORK=off go mod verify); \
	done

.PHONY: verify-format
verify-format: ## Check the formatting (gofumpt)
	$(call with,golangci-lint) golangci-lint fmt --diff

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: lint
lint: ## golangci-lint on everything, and the Kubernetes API linter on api/
	$(call with,golangci-lint) golangci-lint run; golangci-lint run --config .golangci-api.yml ./api/...

##@ Change

.PHONY: generate
generate: ## Generate deep copies of the API types and the models of the Wrenn API
	$(call with,controller-gen) controller-gen object paths=./api/...
	$(call with,oapi-codegen) go generate ./internal/wrenn/...

.PHONY: manifests
manifests: ## Generate CRDs from the API types and the manager's role from the RBAC markers
	$(call with,controller-gen) controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(call with,controller-gen) controller-gen rbac:roleName=wrenn-operator paths=./api/... paths=./internal/... paths=./cmd/... output:rbac:artifacts:config=config/rbac

.PHONY: fmt
fmt: ## Format the code
	$(call with,golangci-lint) golangci-lint fmt

.PHONY: tools
tools: ## Build the pinned tools
	tools/build.sh controller-gen oapi-codegen kustomize golangci-lint >/dev/null

##@ Build

.PHONY: build
build: ## Build the programs into bin/
	go build -trimpath -o bin/ ./cmd/...

.PHONY: docker-build
docker-build: ## Build the manager's image (IMG=, CONTAINER_TOOL=)
	$(CONTAINER_TOOL) build -t $(IMG) .

.PHONY: clean
clean: ## Remove what was built into the checkout; the cache outside of it stays
	rm -rf bin dist cover.out

##@ Use a cluster (that of the current kubeconfig)

.PHONY: run
run: ## Run the manager on this machine (ARGS=)
	go run ./cmd/manager $(ARGS)

.PHONY: install
install: ## Install the CRDs
	$(call with,kustomize) kustomize build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: uninstall
uninstall: ## Remove the CRDs, and with them every object of these kinds: their sandboxes are destroyed first, by a running manager
	$(call with,kustomize) kustomize build config/crd | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: deploy
deploy: dist/deploy/kustomization.yaml ## Install the operator with its CRDs (IMG=)
	$(call with,kustomize) kustomize build dist/deploy | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: dist/deploy/kustomization.yaml ## Remove the operator and its CRDs; refuses while objects of these kinds are left
	tools/verify-empty.sh $(KUBECTL)
	$(call with,kustomize) kustomize build dist/deploy | $(KUBECTL) delete --ignore-not-found -f -

# config/default with the image of IMG in place of its own, written where it makes no change to the checkout.
.PHONY: dist/deploy/kustomization.yaml
dist/deploy/kustomization.yaml:
	mkdir -p dist/deploy
	printf 'resources: [../../config/default]\n' > $@
	$(call with,kustomize) cd dist/deploy; kustomize edit set image controller=$(IMG) ghcr.io/wrennhq/wrenn-operator=$(IMG)

##@ Help

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-zA-Z0-9_-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
