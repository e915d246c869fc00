# Plain targets; each does its own set-up.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
export CGO_ENABLED := 0
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

test: postgres chromium axe
	go vet ./...
	go test ./...
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
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	for t in linux windows darwin; do for a in amd64 arm64; do echo $$t/$$a; GOOS=$$t GOARCH=$$a go build -o /dev/null ./cmd/rollbook || exit 1; done; done

docs:
	go test ./internal/rest -run 'TestDocs|TestEveryRoute' -update
	go test ./internal/verify -run TestDocs -update
	go test ./internal/sds -run TestDocs -update

bench:
	go test ./internal/store ./internal/rest -run '^$$' -bench .

.PHONY: build postgres chromium axe test fuzz packages check docs bench
