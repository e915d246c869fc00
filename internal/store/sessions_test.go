package store_test

import (
	"database/sql"
	"strings"
	"testing"

	"rollbook/internal/store/storetest"
)

// A session that is used again is like a new one, and one that ended within a
// transaction is not used again.
func TestSessionsAreUsedAgain(t *testing.T) {
	one, other := storetest.Postgres(t), storetest.Postgres(t)
	visit := func(dsn string, statements ...string) (pid int, path, memory string) {
		t.Helper()
		db, err := sql.Open("pgx", dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		session, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		for _, text := range statements {
			if _, err := session.ExecContext(t.Context(), text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		if err := session.QueryRowContext(t.Context(), `SELECT pg_backend_pid(), current_schema(),
			current_setting('work_mem')`).Scan(&pid, &path, &memory); err != nil {
			t.Fatal(err)
		}
		return pid, path, memory
	}
	const mark = "CREATE TEMPORARY TABLE marked (x INTEGER)" // fails where there is one
	pids := map[int]bool{}
	for range 3 {
		for _, dsn := range []string{one, other} {
			pid, path, memory := visit(dsn, mark, "INSERT INTO marked VALUES (1)")
			if !strings.HasSuffix(dsn, "search_path="+path) || memory == "77MB" {
				t.Errorf("%s: the schema is %s, work_mem %s", dsn, path, memory)
			}
			pids[pid] = true
			visit(dsn, "SET work_mem = '77MB'", "SET search_path = public")
		}
	}
	if len(pids) == 6 {
		t.Error("no session was used again")
	}
	left, _, _ := visit(one, "BEGIN", "CREATE TABLE unfinished (x INTEGER)")
	for range 10 {
		if pid, _, _ := visit(one, "CREATE TEMPORARY TABLE unfinished (x INTEGER)"); pid == left {
			t.Error("a session that was left within a transaction is used again")
		}
	}
}
