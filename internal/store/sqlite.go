package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var sqliteDialect = &dialect{
	name:        "sqlite",
	placeholder: "?",
	text:        "TEXT", // SQLite compares bytes
	blob:        "BLOB",
	position:    "instr",
	// A deferred transaction in WAL mode reads one snapshot.
	reads: &sql.TxOptions{ReadOnly: true},
	again: func(err error) bool {
		var e *sqlite.Error
		return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY ||
			e.Code()&0xff == sqlite3.SQLITE_LOCKED)
	},
	lock:   "", // a write transaction has the whole file
	sample: "PRAGMA analysis_limit = 1000",
	// A key of the table itself has no statement, and stays.
	later: `SELECT "name", "sql" FROM sqlite_master
		WHERE "type" = 'index' AND "tbl_name" = $1 AND "sql" IS NOT NULL`,
	size: `SELECT "page_count" * "page_size" FROM pragma_page_count(), pragma_page_size()`,
	tables: `SELECT "name" FROM sqlite_master WHERE "type" = 'table' AND "name" NOT LIKE 'sqlite_%'
		ORDER BY "name"`,
	lastly: `SELECT c."rev", b."version", -1 FROM "clock" c, "book" b WHERE c."id" = 1 AND b."id" = 1`,
}

// look tells why a file cannot be opened as a district, without changing it.
func look(ctx context.Context, dsn string, existing bool) error {
	place := Place(dsn)
	info, err := os.Stat(place)
	switch {
	case errors.Is(err, os.ErrNotExist) && existing:
		return fmt.Errorf("%w at %s", ErrMissing, place)
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("database: %w", err)
	case info.IsDir():
		return fmt.Errorf("database: %s is a folder: give the path of a file", place)
	case info.Size() == 0 && existing:
		return fmt.Errorf("%w at %s: the file is empty", ErrMissing, place)
	case info.Size() == 0:
		return nil
	}
	begin := make([]byte, 16)
	f, err := os.Open(place)
	if err == nil {
		_, err = io.ReadFull(f, begin)
		_ = f.Close()
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("database: %w", err)
	}
	if string(begin) != "SQLite format 3\x00" {
		return fmt.Errorf("database: %s is not a SQLite database: it was left as it is", place)
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file",
		Opaque: (&url.URL{Path: place}).EscapedPath()}).String()+"?mode=ro&_pragma=busy_timeout(90000)")
	if err != nil {
		return err
	}
	defer db.Close()
	var ours, all int
	err = db.QueryRowContext(ctx, `SELECT COALESCE(SUM("name" = 'migrations'), 0), COUNT(*)
		FROM sqlite_master WHERE "type" = 'table'`).Scan(&ours, &all)
	switch {
	case err != nil:
		return fmt.Errorf("database: %s: %w", place, err)
	case ours == 0 && all > 0:
		return fmt.Errorf("database: %s is a SQLite database of another program: it was left as it is", place)
	case ours == 0 && existing:
		return fmt.Errorf("%w at %s: the database is empty", ErrMissing, place)
	}
	return nil
}

// openSQLite opens or makes the file. Pragmas stand in the DSN: one that is run
// once reaches one pooled connection.
func openSQLite(ctx context.Context, path string, opt Options) (*engine, error) {
	path = strings.TrimPrefix(path, "sqlite://")
	if strings.ContainsAny(path, "?#") {
		return nil, fmt.Errorf("database path %q: a ? or # cannot stand in the path of a SQLite file", path)
	}
	if dir := filepath.Dir(path); path != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("database path %s: the folder %s does not exist", Place(path), Place(dir))
		}
	}
	// A writer waits for another process's import rather than fail.
	const waits = "_pragma=busy_timeout(90000)&_pragma=journal_mode(WAL)"
	file := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String()
	keepPrivate(path)
	keepPrivate(path + ".nonces")
	e := &engine{dialect: sqliteDialect}
	// What was answered is on the disk.
	synchronous := "FULL"
	if opt.Throwaway {
		synchronous = "OFF"
	}
	cache, readers := readCache, 4*runtime.NumCPU()
	if opt.Beside {
		cache, readers = readCache/8, 4
	}
	var err error
	if e.write, err = sql.Open("sqlite", fmt.Sprintf("%s?%s&_pragma=synchronous(%s)&_pragma=cache_size(-%d)"+
		"&_txlock=immediate", file, waits, synchronous, cache)); err != nil {
		return nil, err
	}
	e.write.SetMaxOpenConns(1)
	// The change to WAL does not wait for another process that makes it too.
	if err := e.retry(ctx, func() error { return e.write.PingContext(ctx) }); err != nil {
		_ = e.write.Close()
		return nil, fmt.Errorf("database %q: %w", path, err)
	}
	e.path = Place(path)
	if e.file, err = os.Stat(e.path); err != nil {
		return nil, err
	}
	if e.read, err = sql.Open("sqlite", fmt.Sprintf("%s?%s&_pragma=query_only(1)&_pragma=cache_size(-%d)",
		file,
		waits, max(cache/readers, 2048))); err != nil {
		return nil, err
	}
	e.read.SetMaxOpenConns(readers)
	e.read.SetMaxIdleConns(readers)
	if e.book, err = sql.Open("sqlite", file+"?"+waits+"&_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	e.book.SetMaxOpenConns(4)
	e.book.SetMaxIdleConns(4)
	if e.nonces, err = sql.Open("sqlite", file+".nonces?"+
		waits+"&_pragma=synchronous(OFF)&_txlock=immediate"); err != nil {
		return nil, err
	}
	e.nonces.SetMaxOpenConns(1)
	if err := e.retry(ctx, func() error { return e.nonces.PingContext(ctx) }); err != nil {
		return nil, fmt.Errorf("nonces: %w", err)
	}
	return e, nil
}

// readCache is how many KiB of pages those who read keep together, and who writes; the system keeps the
// rest.
const readCache = 64 << 10

// keepPrivate lets nobody else on this machine read a file, which holds names of
// children, before anything is in it: SQLite makes its log and its index as open
// as the file is at that moment. What cannot be changed is for SQLite to tell.
func keepPrivate(path string) {
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err == nil {
		_ = f.Close()
	}
	for _, part := range []string{"", "-wal", "-shm"} {
		_ = os.Chmod(path+part, 0o600)
	}
}
