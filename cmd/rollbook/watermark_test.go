package main

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollbook/internal/host"
	"rollbook/internal/store/storetest"
)

// copied keeps a copy of a district that nobody has open, and returns what puts it
// back: into the very file, or the very tables.
func copied(t *testing.T, dsn string) (restore func()) {
	t.Helper()
	if !host.IsPostgres(dsn) {
		text, err := os.ReadFile(dsn)
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.WriteFile(dsn, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	run := func(text string) {
		t.Helper()
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	rows, err := db.Query("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	back := "BEGIN;"
	for _, name := range names {
		run(fmt.Sprintf(`CREATE TABLE "kept %s" AS TABLE "%s"`, name, name))
		back += fmt.Sprintf(`DELETE FROM "%s"; INSERT INTO "%s" SELECT * FROM "kept %s";`, name, name, name)
	}
	return func() { run(back + "COMMIT") }
}

// An older copy of the database that was put in place is found by the next verb: a
// new epoch begins, later than all that was seen, and what readers must do is said.
func TestOlderCopyIsFound(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := write(t, right)
		t.Setenv("XDG_CONFIG_HOME", dir)
		run := func(args ...string) (string, string) {
			t.Helper()
			out, errs, code := rollbook(t, dir, append(args, "--db", dsn)...)
			if code != 0 {
				t.Fatalf("%s: %d %s%s", args, code, out, errs)
			}
			return out, errs
		}
		stamp := func(out string) string {
			var told struct{ DateLastModified string }
			if err := json.Unmarshal([]byte(out), &told); err != nil {
				t.Fatal(out)
			}
			return told.DateLastModified
		}
		run("import", "--new", ".")
		restore := copied(t, dsn)
		after := write(t, edited(right, "users.csv", "Ann→Anna"))
		out, _ := run("import", after, "--json")
		seen := stamp(out)
		restore()
		_, errs := run("client", "list")
		if !strings.Contains(errs, "is an older copy") || !strings.Contains(errs, "pull whole once") {
			t.Errorf("nothing was said: %q", errs)
		}
		if _, errs := run("client", "list"); strings.Contains(errs, "older copy") {
			t.Errorf("said again: %q", errs)
		}
		out, _ = run("import", after, "--json") // later than the epoch, which is later than what was seen
		if got := stamp(out); got <= seen {
			t.Errorf("the clock went back: %s after %s", got, seen)
		}
		restore()
		out, _ = run("restored", "--json")
		if got := stamp(out); got <= seen {
			t.Errorf("restored: %s after %s", got, seen)
		}
	})
}

// A copy that is made while the service runs and takes writes is whole.
func TestBackupOfARunningService(t *testing.T) {
	t.Parallel()
	dir := write(t, right)
	if _, errs, code := rollbook(t, dir, "import", "--new", "."); code != 0 {
		t.Fatal(errs)
	}
	serving(t, dir, filepath.Join(dir, "rollbook.db"))
	if _, errs, code := rollbook(t, dir, "import", write(t, edited(right, "users.csv", "Ann→Anna")), "--db",
		filepath.Join(dir, "rollbook.db")); code != 0 {
		t.Fatal(errs)
	}
	if _, errs, code := rollbook(t, dir, "backup", "copy.db"); code != 0 || !strings.Contains(errs,
		"key file is not in it") {
		t.Fatalf("%d %s", code, errs)
	}
	if _, errs, code := rollbook(t, dir, "backup", "copy.db"); code != 1 || !strings.Contains(errs,
		"exists") {
		t.Errorf("over another file: %d %s", code, errs)
	}
	info, err := os.Stat(filepath.Join(dir, "copy.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for _, name := range []string{"copy", "rollbook"} {
		if _, errs, code := rollbook(t, dir, "export", name+".zip", "--db", name+".db", "--key-file",
			"rollbook.db.key"); code != 0 {
			t.Fatal(errs)
		}
	}
	got, want := entries(t, filepath.Join(dir, "copy.zip")), entries(t, filepath.Join(dir, "rollbook.zip"))
	if text := strings.Join(got, "\n"); text != strings.Join(want, "\n") || !strings.Contains(text, "Anna") {
		t.Errorf("the copy has\n%s", text)
	}
}

// A copy that is put in place beneath a running service ends it within seconds, with
// a sentence; the next start serves the copy, in a new epoch.
func TestCopyBeneathTheService(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := write(t, right)
		t.Setenv("XDG_CONFIG_HOME", dir)
		if _, errs, code := rollbook(t, dir, "import", "--new", ".", "--db", dsn); code != 0 {
			t.Fatal(errs)
		}
		restore := copied(t, dsn)
		if _, errs, code := rollbook(t, dir, "import", write(t, edited(right, "users.csv", "Ann→Anna")),
			"--db", dsn); code != 0 {
			t.Fatal(errs)
		}
		cmd := program(dir, "serve", "--addr", "127.0.0.1:0", "--db", dsn)
		log, err := cmd.StderrPipe()
		if err != nil || cmd.Start() != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // it goes on: no exit code is the right one
		told := ""
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if told = lines.Text(); strings.Contains(told, `"serving"`) {
				restore()
			}
		}
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(told,
			"restart the service") {
			t.Errorf("the service ended with %d: %s", cmd.ProcessState.ExitCode(), told)
		}
		out, errs, code := rollbook(t, dir, "export", filepath.Join(dir, "out.zip"), "--db", dsn)
		if code != 0 || !strings.Contains(errs, "older copy") {
			t.Fatalf("%d %s%s", code, out, errs)
		}
		if text := strings.Join(entries(t, filepath.Join(dir, "out.zip")), "\n"); !strings.Contains(text,
			"Ann,") || strings.Contains(text, "Anna") {
			t.Errorf("not the copy: %s", text)
		}
	})
}
