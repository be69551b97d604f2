# `make` lists the targets. What a machine needs: Go, and PostgreSQL's binaries (15 or newer) for `make test`, of which Redis
# (6.2 or newer) runs some more; a C compiler for `make race` alone. The pinned tools of tools/go.mod are built on first use.

TOOL     := go tool -modfile=tools/go.mod
FUZZTIME ?= 10s
# The version in the binary comes from git, where there is one.
VCS      := $(shell git rev-parse --verify -q HEAD >/dev/null 2>&1 && echo true || echo false)

export CGO_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: help build test test-unit test-integration test-redis test-e2e race lint lint-fix tidy fuzz bench chaos chaos-short watch clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' Makefile

build: ## build the static binary bin/datastorage
	go build -trimpath -buildvcs=$(VCS) -o bin/datastorage ./cmd/datastorage

test: ## run all tests, count them by tier, and check that nothing they started is left
	go run ./test/tiers

test-unit: ## run the tests that need neither PostgreSQL, nor Redis, nor the binary
	go run ./test/tiers unit

test-redis: ## run the tests that start a Redis of their own
	go run ./test/tiers redis

test-integration: ## run the tests that start a PostgreSQL of their own
	go run ./test/tiers integration

test-e2e: ## run the tests that build and drive the binary
	go run ./test/tiers e2e

race: ## run all tests but e2e under the race detector (needs a C compiler)
	go run ./test/tiers -race unit integration redis

lint: ## gofmt, go vet, golangci-lint
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { printf 'not gofmt-ed:\n%s\n' "$$unformatted"; exit 1; }
	go vet ./...
	$(TOOL) golangci-lint run

lint-fix: ## apply the fixes that golangci-lint knows
	$(TOOL) golangci-lint run --fix

tidy: ## check that go.mod and go.sum hold what the code needs, no more
	go mod tidy -diff
	go -C tools mod tidy -diff

fuzz: ## run each fuzz target for FUZZTIME (10s, or a number of runs such as 5000x)
	@grep -rE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' . \
	| sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*)\(.*|\1 \2|' | sort \
	| while read -r dir target; do \
		echo "--- $$dir $$target"; \
		go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$dir" </dev/null || exit 1; \
	done

bench: ## measure, beside the references; compare two runs with `go tool -modfile=tools/go.mod benchstat`
	go run ./test/bench/run

chaos: ## break things under a server while clients write, and check that nothing acknowledged is lost (docs/chaos.md)
	go run ./test/chaos

chaos-short: ## the same with short outages, in three minutes; CHAOS holds more flags
	go run ./test/chaos --short $(CHAOS)

watch: ## run the tests of a package whenever it changes
	$(TOOL) gotestsum --watch

clean: ## remove what the other targets built
	rm -rf bin
