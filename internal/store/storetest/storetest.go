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
	_, throwaway := t.(*testing.T) // a benchmark waits for the disk
	server.Do(func() { serving.url, stop, serving.err = start(!throwaway) })
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
	for statement, why := range refused {
		fmt.Fprintf(os.Stderr, "SQL that is not taken elsewhere: %s\n%s\n", why, statement)
		code = 1
	}
	os.Exit(code)
}

// A Server is a PostgreSQL server of a test.
type Server struct {
	dir  string // has its socket, and its data
	bin  string
	more []string // settings

	lasting bool // it waits for the disk
	attr    *syscall.SysProcAttr
	cmd     *exec.Cmd
}

// newServer is a server in a folder of its own that has no data yet. The folder is to be
// removed.
func newServer() (*Server, error) {
	bin, err := newest()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rollbook-postgres-")
	if err != nil {
		return nil, err
	}
	attr, err := owner(dir)
	return &Server{dir: dir, bin: bin, attr: attr}, err
}

// URL is where it takes connections, without a pool before it.
func (s *Server) URL() string {
	return "postgres://rollbook@/postgres?sslmode=disable&port=5432&host=" + s.dir
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// run runs one of PostgreSQL's programs.
func (s *Server) run(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.attr
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out.Bytes())
	}
	return nil
}

// init makes an empty cluster. Its locale is not C on purpose where the machine has
// another: the store must order bytes whatever the database does.
func (s *Server) init() error {
	return s.run("initdb", "-D", s.data(), "-U", "rollbook", "--auth=trust", "--encoding=UTF8",
		"--locale=C.UTF-8", "--no-sync")
}

// start runs it until it takes connections: on a socket in the folder, and no port: one
// that was free a moment ago may be another test's by now, and its server would be taken
// for ours.
func (s *Server) start() error {
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), append([]string{"-D", s.data(), "-k", s.dir,
		"-p", "5432", "-c", "listen_addresses=", "-c", "max_connections=300", "-c", "jit=off",
		"-c", "dynamic_shared_memory_type=mmap"}, // a server that is killed leaves nothing outside its folder
		s.more...)...)
	if !s.lasting {
		s.cmd.Args = append(s.cmd.Args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c",
			"full_page_writes=off", "-c", "autovacuum=off")
	}
	s.cmd.Dir, s.cmd.SysProcAttr = s.dir, s.attr
	if err := s.cmd.Start(); err != nil {
		return err
	}
	return ready(s.URL())
}

// end ends it: by SIGQUIT as if the machine had failed, by SIGINT in good order.
func (s *Server) end(by syscall.Signal) {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(by)
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *Server) remove() {
	s.end(syscall.SIGINT)
	_ = os.RemoveAll(s.dir)
}

// start makes the server of the tests and runs it, with a pool before it.
func start(lasting bool) (url string, stop func(), err error) {
	s, err := newServer()
	if s == nil {
		return "", func() {}, err
	}
	s.lasting = lasting
	if err == nil {
		err = s.init()
	}
	if err == nil {
		err = s.start()
	}
	if err == nil {
		url, err = s.pooled(&statements)
	}
	return url, s.remove, err
}

// pooled puts a pool before the server, which notes what the product sends, and returns the
// URL of that.
func (s *Server) pooled(notes *sent) (url string, err error) {
	dir := filepath.Join(s.dir, "pool")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	const socket = ".s.PGSQL.5432"
	listener, err := net.Listen("unix", filepath.Join(dir, socket))
	if err != nil {
		return "", err
	}
	p := &pool{server: filepath.Join(s.dir, socket), idle: map[string][]*session{}, notes: notes}
	go p.serve(listener)
	return (&Server{dir: dir}).URL(), nil
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
