# `make run` and `make test` need Go alone; `make help` lists all targets.
GO      ?= go
LISTEN  ?= 127.0.0.1:8000

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
build: ## build bin/troupe
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/troupe ./cmd/troupe

.PHONY: run
run: build ## start the server for development; LISTEN=:8001 for another port
	@exec ./bin/troupe serve --dev --http.listen=$(LISTEN)

.PHONY: test
test: ## everything that needs only Go
	@if [ -z "$(RACE)" ]; then echo "no C compiler found: tests run without the race detector"; fi
	@unformatted="$$($(GO) tool gofumpt -l .)"; if [ -n "$$unformatted" ]; then echo "gofumpt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test $(RACE) -timeout 10m ./...

.PHONY: test-loop
test-loop: ## the whole program's tests once more, with event loops instead of a goroutine for each socket
	TROUPE_WEBSOCKET_READER=loop $(GO) test $(RACE) -timeout 10m ./cmd/troupe

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

.PHONY: bench-oracle
bench-oracle: ## what a streamed chunk costs our codecs and the vendors' own libraries
	cd actors/provider/oracle && $(GO) test -run '^$$' -bench . .

.PHONY: test-fleet
test-fleet: ## break a whole fleet for some twelve minutes and judge what clients saw
	$(GO) run ./cmd/troupe-fleet

.PHONY: bench
bench: ## measure against the floors and print the table
	$(GO) run ./cmd/troupe-bench

.PHONY: fmt
fmt: ## format
	$(GO) tool gofumpt -w .
