# Plain targets; each does its own set-up.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
export CGO_ENABLED := 0
# Nothing that is built says in which folder: what one clone has built and vetted serves the
# next one.
export GOFLAGS := -trimpath
# What is remembered of tests is for who changes the code: elsewhere each of them runs.
ANEW := $(if $(CI),-count=1)
# A test that misses a program fails, and is not skipped.
export ROLLBOOK_WHOLE_TEST := 1
# What several do at once is looked at by the race detector too.
RACE := -run 'AtOnce|Together|Waiting|Isolation|Token|Sign|Certificate|GradesCome|BrokenList' ./internal/auth ./internal/store ./internal/rest
# So are the readers, with the fake providers of their tests.
RACE_SYNC := -run TwoSyncs ./cmd/rollbook
# SQLite's own code, C in Go's clothes, works on memory that the detector hardly
# watches: without it the tests take three quarters of the time.
RACING := -race -gcflags=modernc.org/sqlite/lib=-race=false
# What tests throw away lies in memory, where the machine has 4 GiB for it: they wait for
# the disk a third of their time. Benchmarks measure the disk, and stay on it.
IN_MEMORY := $(shell df --output=avail -B1G /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 >= 4 { print "TMPDIR=/dev/shm" }')
# These come first: at the end no core waits for one of them.
LONGEST := ./cmd/rollbook ./internal/verify ./internal/store ./internal/intake
# About a second of each fuzz target, counted in inputs: a run that is ended by
# the clock now and then fails with "context deadline exceeded" and no finding.
FUZZ := query:FuzzFilter:20000x bulk:FuzzCSV:2000x auth:FuzzTokenRequest:12000x auth:FuzzOAuthHeader:12000x oneroster:FuzzPutBody:30000x

# What the tests work with, where it is, and the Debian package that brings it. They
# start PostgreSQL and PgBouncer themselves, look at the HTML report in a browser, read its PDF, run
# the readers of docs/reading.md, ask systemd about the unit, and have promtool read the alerts; the
# race detector needs a C compiler.
NEEDS := "/usr/lib/postgresql/*/bin/postgres,postgres:postgresql" pgbouncer:pgbouncer "mariadbd,/usr/sbin/mariadbd:mariadb-server" chromium:chromium pdftotext:poppler-utils \
  python3:python3 node:nodejs promtool:prometheus gcc:gcc /usr/include/stdlib.h:libc6-dev systemd-analyze:systemd

# The release, or the commit: the go command does not see it everywhere.
COMMIT := $(shell git describe --always --abbrev=12 --dirty --exclude '*' 2>/dev/null)
RELEASE := $(or $(shell git describe --exact-match --dirty 2>/dev/null),$(COMMIT:%=commit %))

build:
	go build -ldflags "-X 'main.release=$(RELEASE)'" -o rollbook ./cmd/rollbook

# What is given to users, in dist/: see docs/install.md.
dist:
	go run ./deploy/dist

needs:
	@tools/need $(NEEDS)

lint:
	@test -z "$$(gofmt -l .)" || { echo "not as gofmt has it:"; gofmt -l .; exit 1; }
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...

# lint has vetted all that is tested: go test would do a part of it again, of each way
# of building, with all that they import. Nor is what only a debugger reads written for each
# program of tests. Tests wait a sixth of their time, for programs and for each other: the race
# detector and the fuzz targets run beside them.
TESTING := go test -vet=off -ldflags=-w
test: needs lint
	@$(MAKE) --no-print-directory -j 2 --output-sync=line tested raced

tested:
	$(IN_MEMORY) $(TESTING) $(ANEW) -timeout 20m $(LONGEST) ./...

raced:
	CGO_ENABLED=1 $(IN_MEMORY) $(TESTING) $(ANEW) $(RACING) -timeout 20m $(RACE)
	CGO_ENABLED=1 $(IN_MEMORY) $(TESTING) $(ANEW) $(RACING) -timeout 20m $(RACE_SYNC)
	@set -e; for t in $(FUZZ); do IFS=: read -r package target inputs <<< "$$t"; \
	  $(TESTING) ./internal/$$package -run '^$$' -fuzz "^$$target$$" -fuzztime $$inputs -fuzzminimizetime 10x | tail -1; done

# The same for ten minutes each, before a release.
fuzz:
	@set -e; for t in $(FUZZ); do IFS=: read -r package target inputs <<< "$$t"; \
	  go test ./internal/$$package -run '^$$' -fuzz "^$$target$$" -fuzztime 10m | tail -3; done

# Export and import change nothing: 2,000 random packages, before a release.
packages:
	ROLLBOOK_PACKAGES=2000 go test ./cmd/rollbook -run TestExportAndImportChangeNothing -count=1 -timeout 2h

# Killed at any moment, the district is whole: 500 times on SQLite and 100 on
# PostgreSQL, before a release.
kills:
	ROLLBOOK_KILLS=500 go test ./cmd/rollbook -run 'TestKilled(Sources|Outlets)?$$' -count=1 -v -timeout 2h

# 10,000 grades on their way home while the other side fails, before a release.
grades:
	ROLLBOOK_GRADES=10000 go test ./internal/outlet -run TestGradesGoHome -count=1 -v -timeout 2h

check: test
	for t in linux windows darwin; do for a in amd64 arm64; do echo $$t/$$a; GOOS=$$t GOARCH=$$a go build -o /dev/null ./cmd/rollbook || exit 1; done; done

docs:
	go test ./internal/rest -run 'TestDocs|TestEveryRoute' -update
	go test ./internal/verify -run TestDocs -update
	go test ./internal/sds -run TestDocs -update

# The random tests at full length, with 1,000,000 filters on each engine, before a
# release.
soak: packages kills
	ROLLBOOK_WIDE=1000000 go test ./internal/store -run TestBrokenFiltersNeverWiden -timeout 60m
	ROLLBOOK_CAUSES=all go test ./internal/verify -run TestOneMistakeIsOneCause -count=1 -v -timeout 60m

# Whether the tests notice a fault: see tools/mutants/run. An hour or more.
MUTANTS := query oneroster auth bulk rest store $(notdir $(wildcard internal/intake))
mutants: needs
	tools/mutants/run $(MUTANTS:%=internal/%)

# ROLLBOOK_PUPILS=160000 makes 1,000,000 enrollments, which the bars of pages are for.
bench: needs
	@tools/need nginx:nginx-light
	go test ./internal/auth ./internal/store ./internal/rest ./internal/intake ./cmd/rollbook -run '^$$' -bench . -timeout 2h

# The pictures of docs/performance.md, of districts of a hundredth, a tenth and all of
# ROLLBOOK_PUPILS.
pictures:
	ROLLBOOK_PICTURES=$(CURDIR)/docs go test ./cmd/rollbook -run '^$$' -bench Pictures -benchtime 1x -timeout 2h

.PHONY: dist pictures mutants soak lint needs build test tested raced fuzz packages kills grades check docs bench
