package storetest

import (
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"os"

	"rollbook/internal/machine"
)

// Alone starts a PostgreSQL server of its own with an empty district, until the test ends.
func Alone(t testing.TB, settings ...string) (dsn string, s *Server) {
	t.Helper()
	if testing.Short() {
		machine.Leave(t, "-short: SQLite only")
	}
	s, err := newServer()
	if errors.Is(err, exec.ErrNotFound) {
		machine.Lacks(t, "PostgreSQL", "postgresql")
	}
	if err == nil {
		t.Cleanup(s.remove)
		s.more = settings
		err = s.init()
	}
	if err == nil {
		err = s.start()
	}
	if err == nil {
		var db *sql.DB
		if db, err = sql.Open("pgx", s.URL()); err == nil {
			defer db.Close()
			_, err = db.Exec("CREATE SCHEMA district")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.URL() + "&search_path=district", s
}

// Standby starts a PostgreSQL server of its own with an empty district, and a streaming
// standby of it, until the test ends. The DSNs are those of the district.
func Standby(t testing.TB) (dsn string, standby *StandbyServer) {
	t.Helper()
	// Commits go to the standby at once, and not when the server next writes its log.
	dsn, primary := Alone(t, "-c", "synchronous_commit=local")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	server, err := newServer()
	must(err)
	t.Cleanup(server.remove)
	server.more = []string{"-c", "wal_retrieve_retry_interval=50ms"}
	must(server.run("pg_basebackup", "-D", server.data(), "-R", "-c", "fast", "--no-sync", "-d",
		"host="+primary.dir+" port=5432 user=rollbook"))
	must(server.start())
	standby = &StandbyServer{Server: server, notes: sent{seen: map[string]int{}}}
	url, err := server.pooled(&standby.notes)
	must(err)
	standby.DSN = url + "&search_path=district"
	return dsn, standby
}

// A StandbyServer is the standby of a test.
type StandbyServer struct {
	*Server
	DSN   string // of the district
	notes sent
}

// Read is how many statements of the product with a text in them have come to it so far.
func (s *StandbyServer) Read(part string) int { return s.notes.times(part) }

// CrashIn ends the server, as if its machine had failed, in the middle of a read of the
// product: before the next statement with a text in it.
func (s *StandbyServer) CrashIn(part string) {
	crashed := make(chan struct{})
	once := sync.OnceFunc(func() {
		s.Crash()
		close(crashed)
	})
	hold := func(held func(string)) {
		s.notes.lock.Lock()
		s.notes.held = held
		s.notes.lock.Unlock()
	}
	hold(func(statement string) {
		if strings.Contains(statement, part) {
			once()
		}
	})
	<-crashed
	hold(nil)
}

// Stop ends the server in good order.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Crash ends the server as if its machine had failed.
func (s *Server) Crash() { s.end(syscall.SIGQUIT) }

// Restart starts it again.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Hang stops every process of the server, as a machine that answers no more, until it is
// let go on.
func (s *Server) Hang(t testing.TB) (goOn func()) {
	t.Helper()
	pid := s.cmd.Process.Pid
	signal := func(by syscall.Signal) {
		_ = syscall.Kill(pid, by) // first: it starts no further one
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
		for _, child := range strings.Fields(string(text)) {
			n, _ := strconv.Atoi(child)
			_ = syscall.Kill(n, by)
		}
	}
	signal(syscall.SIGSTOP)
	goOn = sync.OnceFunc(func() { signal(syscall.SIGCONT) })
	t.Cleanup(goOn) // one that is stopped cannot be ended
	return goOn
}

// Replay goes on, or pauses, with what the primary has written.
func (s *StandbyServer) Replay(t testing.TB, on bool) {
	t.Helper()
	db, err := sql.Open("pgx", s.URL())
	if err == nil {
		defer db.Close()
		_, err = db.Exec(map[bool]string{false: "SELECT pg_wal_replay_pause()",
			true: "SELECT pg_wal_replay_resume()"}[on])
	}
	if err != nil {
		t.Fatal(err)
	}
}
