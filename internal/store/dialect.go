package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// A dialect is where the two engines differ. Everything else is one text.
type dialect struct {
	name string
	// placeholder starts a numbered parameter: ?1 and $1.
	placeholder string
	// text is the column type of byte-ordered text. PostgreSQL orders by the
	// database's locale unless told: 336 of 936 test pages differed.
	text string
	// position names the function (text, part) that gives the 1-based place of
	// part in text, 0 when it is not there.
	position string
	// writes are the options of a write transaction; a database may have another
	// default than what the clock's lock needs.
	writes *sql.TxOptions
	// reads are the options of a transaction that sees one snapshot.
	reads *sql.TxOptions
	// again tells whether a write that failed this way is worth trying again.
	again func(error) bool
	// lock ends a SELECT in a write transaction that keeps its rows as they are until
	// the commit.
	lock string
	// sample lets ANALYZE look at some rows of a table only.
	sample string
	// later lists the indexes of the table $1, by name and statement, that cost less when they
	// are made after many rows than with each; "" where nobody could read meanwhile.
	later string
	// copy adds rows to a table in a transaction of a connection, faster than INSERT; nil where
	// there is no such way.
	copy func(ctx context.Context, c *sql.Conn, table string, columns []string, rows [][]any) error
	blob string // the type of bytes
	time string // reads the server's clock, seconds; "" where there is none but ours
	size string // reads how many bytes the district takes
	// lastly reads what the last changes are: of the district, of the book of clients, and
	// of walks, -1 where those are not in the same database.
	lastly string
	leased bool   // what was answered to that is good for leaseTime
	tables string // lists the tables of a district by name
}

// sql turns the common text of a statement ($1, TEXT) into the engine's.
func (d *dialect) sql(text string) string {
	if d.placeholder == "$" {
		return text
	}
	return strings.ReplaceAll(text, "$", d.placeholder)
}

// inOrder is the nth placeholder of a statement whose parameters come in their
// order. SQLite's driver looks numbered ones up by name, one by one, which made
// up nine tenths of an import.
func (d *dialect) inOrder(n int) string {
	if d.placeholder == "?" {
		return "?"
	}
	return d.placeholder + strconv.Itoa(n)
}

// ddl does the same for a migration.
func (d *dialect) ddl(text string) string {
	return strings.NewReplacer(" TEXT", " "+d.text, " BLOB", " "+d.blob).Replace(text)
}

// engine is an opened database: a pool to read records, one to read clients, one to
// write, and one for nonces and walks, which on SQLite is a file of its own so that no
// read ever waits for an import. No pool waits for another: writes that wait for an
// import hold nothing that a read or a token needs.
type engine struct {
	*dialect
	read, book, write, nonces *sql.DB

	path string      // of a SQLite file, absolute
	file os.FileInfo // the file that was opened

	seen    atomic.Int64 // the latest rev that this process knows of
	beneath atomic.Int64 // the latest that stood in the SQLite file itself, without its log
	back    atomic.Bool  // an older copy was put in place: nothing is taken any more
	left    atomic.Bool  // the district has moved away: nothing is taken any more
}

// ErrMoved: the file of the database is not the one that was opened.
var ErrMoved = errors.New("the database was moved, replaced or removed since it was opened")

// same tells why the file that is open is not the one at its path any more: what is
// written to it would be lost.
func (e *engine) same() error {
	if e.back.Load() {
		return fmt.Errorf("%w: its clock has gone back; restart the service", ErrMoved)
	}
	if e.left.Load() {
		return fmt.Errorf("%w: %w", ErrMoved, ErrLeft)
	}
	if e.file == nil {
		return nil
	}
	now, err := os.Stat(e.path)
	if err != nil || !os.SameFile(now, e.file) {
		return fmt.Errorf("%w: %s; restart the service", ErrMoved, e.path)
	}
	return nil
}

func (e *engine) close() error {
	if e.path != "" && e.back.Load() {
		return e.abandon()
	}
	var first error
	for _, db := range []*sql.DB{e.nonces, e.book, e.read, e.write} {
		if db == nil {
			continue
		}
		if err := db.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// open tells the engine from the DSN: a postgres:// URL, else the path of a
// SQLite file.
func open(ctx context.Context, dsn string, opt Options) (*engine, error) {
	if isPostgres(dsn) {
		return openPostgres(ctx, dsn, opt)
	}
	return openSQLite(ctx, dsn, opt)
}

func isPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// Place is where a DSN leads, for people: the absolute path of a file, or a URL
// without its password.
func Place(dsn string) string {
	if u, err := url.Parse(dsn); isPostgres(dsn) && err == nil {
		return u.Redacted()
	}
	path, err := filepath.Abs(strings.TrimPrefix(dsn, "sqlite://"))
	if err != nil {
		return dsn
	}
	return path
}
