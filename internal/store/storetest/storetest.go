// Package storetest opens districts for tests, on every engine: a fresh SQLite
// file, and a fresh schema of a PostgreSQL server that the test process starts
// for itself in a folder of its own. Run holds an engine to what package store
// promises.
package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rollbook/internal/machine"
	"rollbook/internal/store"
)

// All are the engines, each with what makes the DSN of an empty district.
var All = []struct {
	Name  string
	Empty func(t testing.TB) (dsn string)
}{
	{"sqlite", SQLite},
	{"postgres", Postgres},
}

// Engines runs do once for each engine, with the DSN of an empty district.
func Engines(t *testing.T, do func(t *testing.T, dsn string)) {
	t.Helper()
	for _, e := range All {
		t.Run(e.Name, func(t *testing.T) { do(t, e.Empty(t)) })
	}
}

// SQLite returns the path of a file that is not there yet, in a folder of its own.
func SQLite(t testing.TB) string { return filepath.Join(t.TempDir(), "district.db") }

// Open opens a store that is closed with the test, and thrown away. A benchmark
// waits for the disk as the program does.
func Open(t testing.TB, dsn string, opt store.Options) *store.Store {
	t.Helper()
	_, opt.Throwaway = t.(*testing.T)
	s, err := store.Open(context.Background(), dsn, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var (
	server  sync.Once
	serving struct {
		url string
		err error
	}
	schemas atomic.Int64
	stop    = func() {}
)

// Postgres returns the DSN of an empty schema. The server runs until Stop; a
// test on a machine without PostgreSQL is skipped, and so is it under -short.
func Postgres(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		machine.Leave(t, "-short: SQLite only")
	}
	server.Do(func() { serving.url, stop, serving.err = start() })
	if errors.Is(serving.err, exec.ErrNotFound) {
		machine.Lacks(t, "PostgreSQL", "postgresql")
	}
	if serving.err != nil {
		t.Fatalf("PostgreSQL: %v", serving.err)
	}
	schema := fmt.Sprintf("district_%d", schemas.Add(1))
	db, err := sql.Open("pgx", serving.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	return serving.url + "&search_path=" + schema
}

// Tries is how often a test tries something by chance or at length: n times, and a
// tenth of that under -short.
func Tries(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// Main runs the tests of a package and stops the server: call it from TestMain. Heaps
// of tests are small: they are collected less often than the runtime would. What the
// package keeps for its tests is ended first. The tests fail where the product has sent a
// statement that is not taken Elsewhere.
func Main(m *testing.M, ends ...func()) {
	debug.SetGCPercent(400)
	code := m.Run()
	for _, end := range ends {
		end()
	}
	stop()
	for _, text := range statements.refused {
		fmt.Fprintf(os.Stderr, "SQL that is not taken elsewhere: %s\n", text)
		code = 1
	}
	os.Exit(code)
}

// start makes a cluster and runs it. Its locale is not C on purpose where the
// machine has another: the store must order bytes whatever the database does.
func start() (url string, stop func(), err error) {
	bin, err := newest()
	if err != nil {
		return "", func() {}, err
	}
	dir, err := os.MkdirTemp("", "rollbook-postgres-")
	if err != nil {
		return "", func() {}, err
	}
	attr, err := owner(dir)
	if err != nil {
		return "", func() {}, err
	}
	data := filepath.Join(dir, "data")
	run := func(name string, args ...string) error {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, attr
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, out.Bytes())
		}
		return nil
	}
	if err := run("initdb", "-D", data, "-U", "rollbook", "--auth=trust", "--encoding=UTF8",
		"--locale=C.UTF-8", "--no-sync"); err != nil {
		return "", func() {}, err
	}
	// A socket in the folder, and no port: one that was free a moment ago may be
	// another test's by now, and its server would be taken for ours.
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-p", "5432",
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c",
		"full_page_writes=off", "-c", "autovacuum=off",
		"-c", "max_connections=300", "-c", "jit=off")
	cmd.Dir, cmd.SysProcAttr = dir, attr
	if err := cmd.Start(); err != nil {
		return "", func() {}, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	at := func(dir string) string {
		return "postgres://rollbook@/postgres?sslmode=disable&port=5432&host=" + dir
	}
	if err := ready(at(dir)); err != nil {
		return "", stop, err
	}
	pooled := filepath.Join(dir, "pool")
	if err := os.Mkdir(pooled, 0o700); err != nil {
		return "", stop, err
	}
	const socket = ".s.PGSQL.5432"
	listener, err := net.Listen("unix", filepath.Join(pooled, socket))
	if err != nil {
		return "", stop, err
	}
	p := &pool{server: filepath.Join(dir, socket), idle: map[string][]*session{}}
	go p.serve(listener)
	return at(pooled), stop, nil
}

// ready waits until the server takes connections.
func ready(url string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer db.Close()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := db.Ping()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// newest finds the binaries of the newest installed PostgreSQL.
func newest() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		path, err := exec.LookPath("postgres")
		return filepath.Dir(path), err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	return filepath.Dir(found[0]), nil
}

// owner makes the folder belong to the user postgres where the tests run as
// root, whom the server refuses.
func owner(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, uid, gid)
}
