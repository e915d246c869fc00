// Package store keeps the records of one district, the clients and the keys in
// SQL: one SQLite file or one PostgreSQL schema. One renderer makes the SQL for
// both; sqlite.go and postgres.go say only where they differ. It owns the delta
// clock: dateLastModified is given here and nowhere else.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"rollbook/internal/gradebook"
	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// ErrNotFound: there is no such object, or a gradebook object was deleted.
var ErrNotFound = errors.New("not found")

// A Refused write breaks a rule of the gradebook.
type Refused = gradebook.Refused

// A Selection is what a request reads: a route with its path variables, and
// the query (of which a single object takes nothing).
type Selection struct {
	Route *oneroster.Route
	Vars  map[string]string // path variable name (without braces) to decoded sourcedId
	Query query.Query
}

// Options of a store.
type Options struct {
	Now func() time.Time // the wall clock; nil is time.Now
	// Existing opens what is there only: a missing district is ErrMissing, not made.
	Existing bool
	// Standby is the DSN of a streaming standby of PostgreSQL: lists, objects and editions
	// are read from it while it keeps up. "" is none.
	Standby string
	Log     *slog.Logger // told of a standby that is left alone; nil is none
	// Throwaway writes a SQLite file without waiting for the disk: a machine that
	// loses its power may lose it. For districts that a test makes and throws away;
	// no verb and no flag sets it.
	Throwaway bool
	// Beside opens one of many districts of a process: with fewer sessions and smaller caches.
	Beside bool
	// Left opens a district that has moved away, to read it.
	Left bool
}

// ErrMissing: there is no district where one was to be opened. A mistyped path
// must not become an empty district that is served as if everybody had left.
var ErrMissing = errors.New("there is no district")

// A Store is an opened district. It is safe for concurrent use, also by several
// processes on one database.
type Store struct {
	*engine
	now   func() time.Time
	pages *pageCache
	// standby has the copy that what is served is read from; nil where there is none
	standby *standby
	kept    sync.Map // prepared statements, by repeatedOf
	queue   queue
	leases  leases

	stamping   sync.Mutex
	committing *time.Time // the wall clock when the change was stamped that is being committed
}

// Open opens the district at dsn, a postgres:// URL or the path of a SQLite
// file, makes it when it is missing, and brings its schema up to date. A database
// of another program is left as it is.
func Open(ctx context.Context, dsn string, opt Options) (*Store, error) {
	if !isPostgres(dsn) {
		if err := look(ctx, dsn, opt.Existing); err != nil {
			return nil, err
		}
	}
	e, err := open(ctx, dsn, opt)
	if err != nil {
		return nil, err
	}
	if isPostgres(dsn) && opt.Existing {
		if err := e.exists(ctx, dsn); err != nil {
			_ = e.close()
			return nil, err
		}
	}
	if err := e.migrate(ctx); err != nil {
		_ = e.close()
		return nil, err
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	s := &Store{engine: e, now: opt.Now, pages: newPageCache(),
		queue: queue{turn: make(chan struct{}, 1)}}
	if where, err := s.LeftFor(ctx); err != nil || where != "" {
		if err == nil && opt.Left {
			return s, nil
		}
		_ = s.Close()
		if err == nil {
			err = fmt.Errorf("%w, to %s", ErrLeft, where)
		}
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := s.keepUp(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("database: %w", err)
	}
	s.overwritten(ctx)
	if _, err := s.Moment(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("database: %w", err)
	}
	if opt.Standby != "" {
		if err := s.openStandby(ctx, opt.Standby, opt.Log); err != nil {
			_ = s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Close releases the database.
func (s *Store) Close() error {
	if s.standby == nil {
		return s.close()
	}
	return errors.Join(s.standby.close(), s.close())
}

// Ping tells whether the database answers, and is the one that was opened.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.same(); err != nil {
		return err
	}
	_, err := s.Moment(ctx)
	return err
}

// readRow runs a read of records that comes again and again.
func (s *Store) readRow(ctx context.Context, text string, args ...any) *sql.Row {
	return s.repeated(ctx, s.read, text).row(ctx, args...)
}

// snapshot runs do in a transaction that sees one state of the district.
func (s *Store) snapshot(ctx context.Context, do func(tx *sql.Tx) error) error {
	return snapshot(ctx, s.read, s.reads, do)
}

func snapshot(ctx context.Context, db *sql.DB, opt *sql.TxOptions, do func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opt)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return do(tx)
}

// Empty tells whether the district holds no record at all.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	var n int
	err := s.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM "versions"`).Scan(&n)
	return n == 0, err
}
