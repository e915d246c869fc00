# Plain targets; each does its own set-up.
export CGO_ENABLED := 0

build:
	go build -o rollbook ./cmd/rollbook

# A fresh machine has no PostgreSQL: the tests start a server of their own from it.
postgres:
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || \
	  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y postgresql; }

test: postgres
	go vet ./...
	go test ./...

check: test
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	for t in linux windows darwin; do for a in amd64 arm64; do echo $$t/$$a; GOOS=$$t GOARCH=$$a go build -o /dev/null ./cmd/rollbook || exit 1; done; done

docs:
	go test ./internal/rest -run TestDocs -update

bench:
	go test ./internal/store -run xxx -bench . -benchtime 20x

.PHONY: build postgres test check docs bench
