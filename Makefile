.DEFAULT_GOAL := help
.PHONY: help build demo pictures docs-tools entratest test check test-long race test-arm64 test-windows model clients lint vulnerabilities cross fuzz outdated bench bench-check bench-parts e2e-programs e2e soak soak-check dist dist-check reproduce

BIN  ?= bin
GO   ?= go
FUZZTIME ?= 3s
SOAK ?= 3m
PODS ?= 5

# Static and not position-independent: relocating costs more at every start than the whole of the rest.
export CGO_ENABLED = 0
# Inlining in large packages, of which a run needs a few lines, costs half a megabyte. Without it
# in smaller ones, more of them would be initialized at every start.
LARGE = k8s.io sigs.k8s.io github.com/Azure github.com/AzureAD/microsoft-authentication-library-for-go/apps/internal \
	github.com/alecthomas github.com/fxamacker go.yaml.in
SMALL = $(LARGE:%=-gcflags=%/...=-l)
# A release's version, such as v0.1.0; empty for what a checkout says by itself.
VERSION =
STAMPED = $(if $(VERSION), -X github.com/akslogin/akslogin/internal/cli.version=$(VERSION))
BUILD = $(GO) build -trimpath -buildvcs=auto -ldflags '-s -w$(STAMPED)' $(SMALL)
# The race detector needs a C compiler.
RACE  = $(if $(shell command -v gcc cc clang),-race)
CHECKED = linux/amd64 linux/arm64 darwin/arm64 windows/amd64
UNSUPPORTED = solaris/amd64

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/akslogin
	$(BUILD) -o $(BIN)/akslogin .

demo: build ## Run an exec config against an emulated Entra ID: cold, warm, twenty at once
	$(GO) run ./internal/demo $(BIN)/akslogin

pictures: build ## Write docs/demo.svg and docs/doctor.svg: what make demo and doctor print
	$(GO) run ./internal/demo -pictures docs $(BIN)/akslogin >/dev/null

# It prints the environment for akslogin and curl; the comment of its main.go says how to use it.
entratest: ## Run the emulated Entra ID for trying things by hand
	@$(GO) run ./internal/entratest/cmd/entratest

# Scripts wait for processes most of the time, so more of them run at once than there are processors.
PARALLEL ?= 8

test: ## Run the tests, in two minutes; needs Go, and no Azure account
	$(GO) test -short -parallel $(PARALLEL) -timeout 15m ./...

# What main is guarded with, in CI too. Each step is a target of its own.
CHECKS ?= test-long race test-arm64 test-windows model lint vulnerabilities outdated cross dist-check reproduce fuzz demo bench-check e2e soak-check
check: ## Run everything that guards main, with the time of each step
	@set -e; for step in $(CHECKS); do \
		printf '\n== make %s\n' $$step; start=$$(date +%s); \
		$(MAKE) --no-print-directory $$step; \
		printf '== make %s took %d s\n' $$step $$(($$(date +%s) - start)); \
	done

test-long: ## Run the tests that make test leaves out: with real clients, kubelogin, browsers, a fault at every system call
	@tests=$$(.ci/long-tests) && set -x && $(GO) test -parallel $(PARALLEL) -timeout 30m -run "$$tests" ./internal/cli

race: ## Run the tests of make test with the race detector; needs a C compiler
	CGO_ENABLED=$(if $(RACE),1,0) $(GO) test $(RACE) -short -parallel $(PARALLEL) -timeout 30m ./...

test-arm64: ## Run what needs no native Linux for linux/arm64, under qemu-user-static
	@.ci/test-platform arm64

test-windows: ## Run what needs no Linux for windows/amd64, under wine
	@.ci/test-platform windows

model: ## Check a model of the cache's locks in all interleavings; needs SPIN and a C compiler
	@cache/model/check

# Where tests look for what is not Go's: outside of the repository, and kept.
DEPS ?= $(or $(AKSLOGIN_TEST_DEPS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/akslogin-test)

clients: ## Install the JavaScript client that some tests run the program with; needs npm
	@mkdir -p '$(DEPS)/javascript'
	@cmp -s internal/cli/testdata/javascript/package-lock.json '$(DEPS)/javascript/package-lock.json' || { \
		cp internal/cli/testdata/javascript/package*.json '$(DEPS)/javascript' && cd '$(DEPS)/javascript' && \
		{ npm ci --ignore-scripts --no-audit --no-fund || { rm package-lock.json; exit 1; }; }; }

SHELL_SCRIPTS = .ci/* .github/setup cache/model/check examples/azure/setup.sh internal/cli/completion/akslogin.bash
MARKDOWNLINT = $(DEPS)/docs-tools/node_modules/.bin/markdownlint-cli2
docs-tools: ## Install markdownlint, which make lint runs over the documentation; needs npm
	@mkdir -p '$(DEPS)/docs-tools'
	@cmp -s internal/tools/javascript/package-lock.json '$(DEPS)/docs-tools/package-lock.json' || { \
		cp internal/tools/javascript/package*.json '$(DEPS)/docs-tools' && cd '$(DEPS)/docs-tools' && \
		{ npm ci --ignore-scripts --no-audit --no-fund || { rm package-lock.json; exit 1; }; }; }

lint: ## gofmt, vet, staticcheck, tidy, actionlint; where they are installed, shellcheck, codespell and markdownlint
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these'; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=internal/tools/go.mod staticcheck ./...
	$(GO) mod tidy -diff
	cd internal/tools && $(GO) mod tidy -diff
	$(GO) tool -modfile=internal/tools/go.mod actionlint .github/workflows/*.yml
	@if command -v shellcheck >/dev/null; then shellcheck --severity=warning $(SHELL_SCRIPTS); \
	else echo 'NOT CHECKED: shellcheck is not installed'; fi
	@if command -v codespell >/dev/null; then \
		git ls-files '*.md' '*.go' '*.yml' '*.yaml' | xargs codespell --config internal/tools/codespell.cfg; \
	else echo 'NOT CHECKED: codespell is not installed'; fi
	@if [ -x '$(MARKDOWNLINT)' ]; then git ls-files '*.md' | xargs '$(MARKDOWNLINT)' --config internal/tools/.markdownlint-cli2.yaml; \
	else echo 'NOT CHECKED: markdownlint is not installed (make docs-tools)'; fi

vulnerabilities: ## Ask Go's vulnerability database, where it can be reached, about what the program calls
	@.ci/vulnerabilities

cross: ## Build and vet for every system that we ship for
	@set -e; for target in $(CHECKED); do \
		echo "$$target"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} $(BUILD) -o /dev/null . ; \
		GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) vet ./... ; \
	done
	@set -e; for target in $(UNSUPPORTED); do \
		echo "$$target, built only"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0 $(GO) build -o /dev/null . ; \
	done

# Go takes the end of a target's time for a failure now and then (context deadline exceeded). What a target really found is a seed by then, and fails again.
fuzz: ## Run each fuzz target for FUZZTIME
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			fuzz="$(GO) test -run ^$$target -fuzz ^$$target\$$ -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package"; \
			$$fuzz || $$fuzz; \
		done; \
	done

outdated: ## Name newer modules, a newer Go and a newer kubelogin, if the module proxy can be reached
	@.ci/outdated

# Few rounds say little on a busy machine. CHECK=1 fails where a number is far beyond its bound. BEFORE=PATH measures another akslogin binary too, in turn.
ROUNDS ?= 200
OUT    ?= $(BIN)/bench
bench: build ## Measure it in turn with a program that does nothing and with kubelogin, ROUNDS times; OUT gets bench.json and bench.svg
	$(BUILD) -o '$(BIN)/bench/' ./internal/bench/empty ./internal/bench/launch
	$(GO) run ./internal/bench -rounds $(ROUNDS) -out '$(OUT)' $(if $(CHECK),-check) $(if $(BEFORE),-before '$(BEFORE)') '$(BIN)/akslogin' '$(BIN)/bench/empty' '$(BIN)/bench/launch'

bench-check: ## Measure a few rounds, and fail where a number is far beyond its bound
	@$(MAKE) --no-print-directory bench ROUNDS=10 CHECK=1

bench-parts: ## Run the Go benchmarks of the parts; golang.org/x/perf/cmd/benchstat compares two outputs
	$(GO) test -run '^$$' -bench . -benchmem ./...

# The API server and kubectl, of one version, and the tests that run them. Other build flags would compile everything again.
E2E_FLAGS  = -trimpath -buildvcs=false -gcflags=all=-dwarf=false
KUBERNETES = $(shell cd internal/e2e && $(GO) list -m -f '{{.Version}}' k8s.io/kubernetes)
STAMP      = -X k8s.io/component-base/version.git
# Without go test's own vet, which would analyse all of client-go for longer than the tests run.
E2E_TEST   = cd internal/e2e && AKSLOGIN_E2E_BIN='$(abspath $(BIN))' $(GO) test $(E2E_FLAGS) -ldflags '-s -w' -vet=off -count=1 -v

e2e-programs: build
	@echo 'kube-apiserver and kubectl $(KUBERNETES) are built from source: the first time that takes minutes, and 2 GB of the build cache'
	@mkdir -p '$(BIN)/e2e'
	cd internal/e2e && $(GO) build $(E2E_FLAGS) -o '$(abspath $(BIN))/e2e/' \
		-ldflags '-s -w $(STAMP)Version=$(KUBERNETES) $(STAMP)Major=1 $(STAMP)Minor=$(word 2,$(subst ., ,$(KUBERNETES))) $(STAMP)TreeState=clean' \
		./apiserver k8s.io/kubernetes/cmd/kubectl

e2e: e2e-programs ## Run real clients against a real API server; the first build takes minutes
	$(E2E_TEST) -timeout 10m -run TestEndToEnd .

soak: e2e-programs ## Twenty clients in each of PODS pods, a hundred by default, for SOAK, while Entra ID fails and caches vanish
	$(E2E_TEST) -timeout 30m -run TestSoak . -soak $(SOAK) -pods $(PODS)

soak-check: ## A short soak
	@$(MAKE) --no-print-directory soak SOAK=30s PODS=2

dist: ## Make the files of release VERSION (v0.1.0) from the commit, in dist/
	@cd internal/dist && $(GO) run . -version '$(VERSION)' -out '$(abspath dist)' $(BUILD)

# What is checked without a VERSION is called so.
TRIAL = $(or $(VERSION),v0.0.0-rc.0)
dist-check: ## Make dist/, install all that can be installed here, and run it against the emulated Entra ID
	@$(MAKE) --no-print-directory dist VERSION=$(TRIAL)
	cd internal/dist && $(GO) mod tidy -diff && $(GO) vet . && \
		AKSLOGIN_DIST='$(abspath dist)' $(GO) test -count=1 -v -timeout 10m .

reproduce: ## Make the release twice, in two folders, as two users and with other settings, and compare; COLD=1: with a build cache of its own
	@.ci/reproduce '$(TRIAL)'
