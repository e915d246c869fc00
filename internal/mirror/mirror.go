// Package mirror owns what a reader keeps of somebody's provider: one SQLite file
// with every object as it was last served, where the next delta begins, and how
// the runs went. A pull is gathered beside the objects, a page a transaction,
// and becomes the mirror in one: a process that is killed loses a page at most,
// its successor goes on where it was, and half a pull is never seen.
package mirror

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"rollbook/internal/oneroster"
)

// collections are the resources that a mirror may hold: a table each.
func collections() []*oneroster.Resource {
	var out []*oneroster.Resource
	for _, r := range oneroster.Resources() {
		if !r.Gradebook && !r.Extension {
			out = append(out, r)
		}
	}
	return out
}

// A Mirror is one open file. It is for one goroutine.
type Mirror struct {
	db   *sql.DB
	path string
}

// schema: rows of pull are being gathered while live names another pull, or
// none. A cursor says where a collection of the pull under way stands.
const schema = `
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS live (collection TEXT PRIMARY KEY, pull INTEGER NOT NULL, watermark TEXT NOT NULL)
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (path TEXT PRIMARY KEY, collection TEXT NOT NULL, filter TEXT NOT NULL,
  offset INTEGER NOT NULL, walk INTEGER NOT NULL,
  began TEXT NOT NULL, asked TEXT NOT NULL, greatest TEXT NOT NULL, walkbegan TEXT NOT NULL,
  walkasked TEXT NOT NULL, total INTEGER NOT NULL, moved INTEGER NOT NULL,
  mark TEXT NOT NULL, done INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, began TEXT NOT NULL,
  ended TEXT NOT NULL, status TEXT NOT NULL, counts TEXT NOT NULL);
`

func table(r *oneroster.Resource) string { return `"` + r.Plural + `"` }

// Open opens or makes the file for one provider, which is named by its base URL
// and by the way it is read.
func Open(ctx context.Context, path, base, way string) (*Mirror, error) {
	if strings.ContainsAny(path, "?#") {
		return nil, fmt.Errorf("mirror %q: a ? or # cannot stand in the path of a SQLite file", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("mirror %q: the folder %q does not exist", path, filepath.Dir(path))
	}
	// The file, and what SQLite puts beside it, holds names of children: nobody else on this machine
	// reads it.
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err == nil { // else SQLite tells
		_ = errors.Join(f.Chmod(0o600), f.Close())
	}
	// A run owns the file until it closes it or dies: a second one beside it would
	// gather into the same pull.
	file := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String()
	db, err := sql.Open("sqlite", file+"?_pragma=busy_timeout(2000)&_pragma=locking_mode(EXCLUSIVE)"+
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=cache_size(-65536)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	m := &Mirror{db, path}
	if err := m.prepare(ctx, strings.TrimRight(base, "/"), way); err != nil {
		_ = db.Close()
		var refused *sqlite.Error
		if errors.As(err, &refused) && refused.Code()&0xff == sqlite3.SQLITE_BUSY {
			err = errors.New("another run is using it: wait for its end, or give this one a file of its " +
				"own with --mirror")
		}
		return nil, fmt.Errorf("mirror %s: %w", path, err)
	}
	return m, nil
}

// Close closes the file.
func (m *Mirror) Close() error { return m.db.Close() }

func (m *Mirror) prepare(ctx context.Context, base, way string) error {
	return m.write(ctx, func(tx *sql.Tx) error {
		old, err := outdated(ctx, tx)
		if err != nil {
			return err
		}
		text := old + schema
		for _, r := range collections() {
			text += "CREATE TABLE IF NOT EXISTS " + table(r) +
				" (pull INTEGER NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, modified TEXT NOT NULL, " +
				"body TEXT NOT NULL, walk INTEGER NOT NULL DEFAULT 0, UNIQUE (pull, id));\n"
		}
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
		if old != "" {
			if err := m.discard(ctx, tx); err != nil {
				return err
			}
		}
		for _, f := range []struct{ name, mine, other string }{
			{"base", base, "holds what %s served, not %s: give this provider a file of its own " +
				"with --mirror"},
			{"way", way, "was read in the %s way, not the %s one, and the two read different collections: " +
				"give each a file of its own with --mirror"},
		} {
			was, err := fact(ctx, tx, f.name)
			if err != nil {
				return err
			}
			if was != "" && was != f.mine {
				return fmt.Errorf(f.other, was, f.mine)
			}
			if err := setFact(ctx, tx, f.name, f.mine); err != nil {
				return err
			}
		}
		// A run that was killed could not say so itself.
		_, err = tx.ExecContext(ctx,
			"UPDATE runs SET status = 'failed', ended = began WHERE status = 'running'")
		return err
	})
}

// outdated is what makes a file of the days before walks were told apart one of
// today; "" for any other. What such a file was gathering is thrown away.
func outdated(ctx context.Context, tx *sql.Tx) (text string, err error) {
	var columns, walks int
	err = tx.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(name = 'walkasked'), 0) FROM "+
		"pragma_table_info('cursors')").Scan(&columns, &walks)
	if err != nil || columns == 0 || walks > 0 {
		return "", err
	}
	text = "DROP TABLE cursors;\n"
	for _, r := range collections() {
		text += "ALTER TABLE " + table(r) + " ADD COLUMN walk INTEGER NOT NULL DEFAULT 0;\n"
	}
	return text, nil
}

// read takes the only row of an answer, if there is one.
func read(row *sql.Row, into ...any) error {
	if err := row.Scan(into...); !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return nil
}

// rows goes through an answer to its end: each row is put where the values are wanted, and
// yields nil; an error ends it.
func rows(answer *sql.Rows, err error) func(into ...any) iter.Seq[error] {
	return func(into ...any) iter.Seq[error] {
		return func(yield func(error) bool) {
			if err != nil {
				yield(err)
				return
			}
			defer answer.Close()
			for answer.Next() {
				if !yield(answer.Scan(into...)) {
					return
				}
			}
			if err := answer.Err(); err != nil {
				yield(err)
			}
		}
	}
}

func fact(ctx context.Context, tx *sql.Tx, name string) (value string, err error) {
	err = read(tx.QueryRowContext(ctx, "SELECT value FROM facts WHERE name = ?", name), &value)
	return value, err
}

func setFact(ctx context.Context, tx *sql.Tx, name, value string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO UPDATE SET value = "+
		"excluded.value", name, value)
	return err
}

// write runs do in one transaction.
func (m *Mirror) write(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := m.db.BeginTx(ctx, nil)
	if err != nil {
		return m.unwritten(err)
	}
	if err := do(tx); err != nil {
		if told := m.unwritten(err); told != err {
			_ = tx.Rollback() // SQLite has already done it
			return told
		}
		return errors.Join(err, tx.Rollback())
	}
	return m.unwritten(tx.Commit())
}

// unwritten says of an error that means it that the file cannot be written.
func (m *Mirror) unwritten(err error) error {
	var refused *sqlite.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Code() {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC,
		sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_SHMSIZE:
		return fmt.Errorf("the mirror %s cannot be written: is the disk full? (%w)", m.path, err)
	}
	return err
}

// A RunRecord is one run of the history.
type RunRecord struct {
	Kind   string          `json:"kind"` // full or delta; "" for a run that was killed
	Began  string          `json:"began"`
	Ended  string          `json:"ended"`
	Status string          `json:"status"`
	Counts json.RawMessage `json:"counts"`
}

// Begin notes that a run begins, and returns its number. Its kind is known later.
func (m *Mirror) Begin(ctx context.Context) (int64, error) {
	done, err := m.db.ExecContext(ctx,
		"INSERT INTO runs (kind, began, ended, status, counts) VALUES ('', ?, '', 'running', '{}')", now())
	if err != nil {
		return 0, m.unwritten(err)
	}
	return done.LastInsertId()
}

// End notes how a run went.
func (m *Mirror) End(ctx context.Context, run int64, kind, status, counts string) error {
	_, err := m.db.ExecContext(ctx,
		"UPDATE runs SET kind = ?, ended = ?, status = ?, counts = ? WHERE id = ?", kind, now(), status,
		counts, run)
	return m.unwritten(err)
}

// Runs are the last n runs, the latest first.
func (m *Mirror) Runs(ctx context.Context, n int) ([]RunRecord, error) {
	out, r := []RunRecord{}, RunRecord{}
	for err := range rows(m.db.QueryContext(ctx,
		"SELECT kind, began, ended, status, counts FROM runs ORDER BY id DESC LIMIT ?", n))(
		&r.Kind, &r.Began, &r.Ended, &r.Status, (*[]byte)(&r.Counts)) {
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func now() string { return oneroster.FormatTime(time.Now()) }
