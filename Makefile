# `make run` and `make test` need Go alone; `make help` lists all targets.
GO      ?= go
LISTEN  ?= 127.0.0.1:8000
READER  ?= goroutine

# The race detector needs a C compiler; without one the tests run without it.
CC_FOUND := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo yes)
ifeq ($(CC_FOUND),yes)
RACE := -race
else
RACE :=
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/troupe and bin/troupe-load
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/ ./cmd/troupe ./cmd/troupe-load

.PHONY: run
run: build ## start the server for development; LISTEN=:8001 for another port
	@exec ./bin/troupe serve --dev --http.listen=$(LISTEN)

.PHONY: test
test: ## everything that needs only Go
	@if [ -z "$(RACE)" ]; then echo "no C compiler found: tests run without the race detector"; fi
	@unformatted="$$($(GO) tool gofumpt -l .)"; if [ -n "$$unformatted" ]; then echo "gofumpt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test $(RACE) -timeout 15m ./...
	$(GO) test -timeout 15m -run 'TestEveryOrder' ./actors
	$(GO) test -timeout 15m -run 'TestSeriesAfterAMillionSessions' ./cmd/troupe

.PHONY: test-reader
test-reader: ## the whole program's tests once more, with a goroutine for each socket instead of event loops
	TROUPE_WEBSOCKET_READER=$(READER) $(GO) test $(RACE) -timeout 15m ./cmd/troupe

.PHONY: fuzz
FUZZTIME ?= 5s
fuzz: ## run every fuzz target for FUZZTIME each (5s)
	@GO="$(GO)" sh .ci/fuzz $(FUZZTIME)

.PHONY: corpus
corpus: ## keep what fuzzing found as test data
	@GO="$(GO)" sh .ci/corpus

.PHONY: cross
cross: ## build for the other systems
	@for target in darwin/arm64 windows/amd64 linux/arm64; do \
		echo "build $$target"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/... || exit 1; \
	done

.PHONY: test-oracle
test-oracle: ## hold our codecs against the vendors' own libraries, which are a module of their own
	cd actors/provider/oracle && $(GO) vet . && $(GO) test -timeout 5m .

.PHONY: test-monitoring
test-monitoring: ## hold alerts and dashboard against Prometheus's own parser and engine, a module of its own
	cd deploy/monitoring/check && $(GO) vet . && $(GO) test -count=1 -timeout 5m . # it reads files outside its module

.PHONY: test-web
test-web: ## the pages and the browser client in Chromium and Node, which it installs where they are missing
	@GO="$(GO)" bash .ci/test-web

.PHONY: third-party
third-party: ## take the browser libraries anew from npm
	cd transport/web/test && npm ci --ignore-scripts --no-audit --no-fund && node third_party.mjs

.PHONY: pack-client
pack-client: ## make the npm package troupe-client in bin/
	@mkdir -p bin
	cd transport/web/client && npm pack --pack-destination "$(CURDIR)/bin"

.PHONY: screenshots
screenshots: ## take the pictures of the pages anew
	@GO="$(GO)" bash .ci/install-web
	cd transport/web/test && node screenshots.mjs

.PHONY: picture-faults
picture-faults: build ## draw the picture of a fault run anew: 1,000 streams through a killed worker, panics and a limiter that is away
	./bin/troupe-load faults --scenario picture --seed 7 --picture docs/img/faults.svg

.PHONY: bench-oracle
bench-oracle: ## what a streamed chunk costs our codecs and the vendors' own libraries
	cd actors/provider/oracle && $(GO) test -run '^$$' -bench . .

.PHONY: test-fleet
test-fleet: ## break a whole fleet for some twelve minutes and judge what clients saw
	$(GO) run ./cmd/troupe-fleet

.PHONY: test-faults
test-faults: ## the short form of every fault, each with its verdict; SCENARIOS="f01 f24" SEED=7
	@GO="$(GO)" SCENARIOS="$(SCENARIOS)" SEED="$(SEED)" .ci/test-faults

.PHONY: soak
DURATION ?= 30m
soak: build ## a random fault every 20 s for DURATION (30m), and how memory and goroutines grew
	./bin/troupe-load faults --scenario soak --duration $(DURATION) --json bin/soak.json

.PHONY: bench
bench: ## measure every figure against its floor, in ten minutes, and write docs/benchmarks.md
	$(GO) run ./cmd/troupe-bench -o docs/benchmarks.md

.PHONY: bench-micro
COUNT ?= 10
bench-micro: ## the small benchmarks, for benchstat; COUNT=10
	@$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) -timeout 2h ./actors/... ./bus/... ./transport/... ./cmd/troupe-load/engine

.PHONY: fmt
fmt: ## format
	$(GO) tool gofumpt -w .
