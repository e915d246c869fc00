# Plain targets; each does its own set-up.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
export CGO_ENABLED := 0
# What several do at once is looked at by the race detector too.
RACE := -run 'AtOnce|Together|Waiting|Isolation|DeepPages|Token|Sign|Certificate|GradesCome|BrokenList' ./internal/auth ./internal/store ./internal/rest
# About ten seconds of each fuzz target, counted in inputs: a run that is ended by
# the clock now and then fails with "context deadline exceeded" and no finding.
FUZZ := query:FuzzFilter:200000x bulk:FuzzCSV:20000x auth:FuzzTokenRequest:60000x auth:FuzzOAuthHeader:60000x oneroster:FuzzPutBody:300000x

build:
	go build -o rollbook ./cmd/rollbook

# A fresh machine has no PostgreSQL: the tests start a server of their own from it.
postgres:
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || \
	  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y postgresql; }

# The tests of the HTML report look at it in a browser, and read its PDF.
chromium:
	@for need in chromium:chromium pdftotext:poppler-utils; do command -v $${need%:*} >/dev/null || missing="$$missing $${need#*:}"; done; \
	  test -z "$$missing" || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; }

# The rules of accessibility that the report is held to: a tool of the tests, not
# of the program.
axe: .cache/node_modules/axe-core/axe.min.js

.cache/node_modules/axe-core/axe.min.js:
	@command -v npm >/dev/null || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nodejs npm; }
	npm install --prefix .cache --no-save --no-audit --no-fund --ignore-scripts axe-core@4.14.1

# The readers of docs/reading.md are run as they stand there.
readers:
	@for need in python3:python3 node:nodejs; do command -v $${need%:*} >/dev/null || missing="$$missing $${need#*:}"; done; \
	  test -z "$$missing" || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; }

# The race detector needs a C compiler.
compiler:
	@command -v gcc >/dev/null || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev; }

lint:
	@test -z "$$(gofmt -l .)" || { echo "not as gofmt has it:"; gofmt -l .; exit 1; }
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...

test: lint postgres chromium axe readers compiler
	go test -timeout 20m ./...
	CGO_ENABLED=1 go test -race -timeout 20m $(RACE)
	@set -e; for t in $(FUZZ); do IFS=: read -r package target inputs <<< "$$t"; \
	  go test ./internal/$$package -run '^$$' -fuzz "^$$target$$" -fuzztime $$inputs -fuzzminimizetime 10x | tail -1; done

# The same for ten minutes each, before a release.
fuzz:
	@set -e; for t in $(FUZZ); do IFS=: read -r package target inputs <<< "$$t"; \
	  go test ./internal/$$package -run '^$$' -fuzz "^$$target$$" -fuzztime 10m | tail -3; done

# Export and import change nothing: 2,000 random packages, before a release.
packages:
	ROLLBOOK_PACKAGES=2000 go test ./cmd/rollbook -run TestExportAndImportChangeNothing -count=1 -timeout 2h

check: test
	for t in linux windows darwin; do for a in amd64 arm64; do echo $$t/$$a; GOOS=$$t GOARCH=$$a go build -o /dev/null ./cmd/rollbook || exit 1; done; done

docs:
	go test ./internal/rest -run 'TestDocs|TestEveryRoute' -update
	go test ./internal/verify -run TestDocs -update
	go test ./internal/sds -run TestDocs -update

# The random tests at full length, with 1,000,000 filters on each engine, before a
# release.
soak: packages
	ROLLBOOK_WIDE=1000000 go test ./internal/store -run TestBrokenFiltersNeverWiden -timeout 60m

# Whether the tests notice a fault: see tools/mutants/run. An hour or more.
MUTANTS := query oneroster auth bulk rest store $(notdir $(wildcard internal/intake))
mutants:
	tools/mutants/run $(MUTANTS:%=internal/%)

bench:
	go test ./internal/store ./internal/rest -run '^$$' -bench .

.PHONY: mutants soak lint readers compiler build postgres chromium axe test fuzz packages check docs bench
