package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// sqliteError is how a statement on a file fails.
func sqliteError(t *testing.T, dsn string, before, text string) error {
	t.Helper()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(before); err != nil {
		t.Fatal(err)
	}
	if _, err = db.Exec(text); err == nil {
		t.Fatalf("%s is done", text)
	}
	return fmt.Errorf("publication 3: %w", err)
}

// What the machine is short of is told with what to do about it; of other errors nothing is.
func TestRemedy(t *testing.T) {
	folder, dsn := t.TempDir(), storetest.SQLite(t)
	t.Setenv("TMPDIR", folder)
	t.Setenv("TMP", folder)
	at := func(path string, err error) error {
		return fmt.Errorf("users.csv: %w", &fs.PathError{Op: "write", Path: path, Err: err})
	}
	room := "there is no room for " + dsn + ": make room"
	locked := dsn + ", or its folder, cannot be written by this user"
	for _, c := range []struct {
		what string
		err  error
		want string
	}{
		{"a full folder of temporary files", at(filepath.Join(folder, "plan"), syscall.ENOSPC),
			"there is no room in " + folder + ": make room there"},
		{"another full folder", at("/srv/backup.db", syscall.ENOSPC), "there is no room for /srv/backup.db: "},
		{"a file that may grow no more", at("/srv/backup.db", syscall.EFBIG),
			"there is no room for /srv/backup.db: "},
		{"a quota", at("/srv/backup.db", syscall.EDQUOT), "there is no room for /srv/backup.db: "},
		{"no room, and nobody says where", syscall.ENOSPC, ""},
		{"a temporary file that is not readable", at(filepath.Join(folder, "plan"), syscall.EACCES), ""},
		{"a full database", sqliteError(t, dsn, "CREATE TABLE a (b); PRAGMA max_page_count = 1",
			"INSERT INTO a VALUES (zeroblob(100000))"), room},
		{"a database that is read only", sqliteError(t, dsn, "PRAGMA query_only = 1", "DELETE FROM a"), locked},
		{"a folder that is not there", sqliteError(t, dsn, "SELECT 1", "ATTACH '"+folder+"/none/a.db' AS c"),
			locked},
		{"a table that is not there", sqliteError(t, dsn, "SELECT 1", "DELETE FROM none"), ""},
		{"anything else", errors.New("it is wrong"), ""},
	} {
		got := store.Remedy(c.err, dsn)
		if !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s (%v): %q, not %q", c.what, c.err, got, c.want)
		}
	}
}
