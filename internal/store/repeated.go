package store

import (
	"context"
	"database/sql"
)

// A repeated statement comes again and again; no value stands in its text. SQLite
// prepares it once for each connection: that can take longer than what it does.
// PostgreSQL's driver keeps what it prepares itself, in the way that a pooler in
// between allows.
type repeated struct {
	db   *sql.DB
	text string
	made *sql.Stmt // nil: the text is sent
}

// repeatedOf is what statements are known by: each pool has its own.
type repeatedOf struct {
	db   *sql.DB
	text string
}

// repeated finds or makes a statement. In a transaction it waits for a second
// connection: a caller makes it before one begins.
func (s *Store) repeated(ctx context.Context, db *sql.DB, text string) repeated {
	of := repeatedOf{db, text}
	if found, ok := s.kept.Load(of); ok {
		return repeated{db, text, found.(*sql.Stmt)}
	}
	if s.name != sqliteDialect.name {
		return repeated{db: db, text: text}
	}
	made, err := db.PrepareContext(ctx, text)
	if err != nil {
		return repeated{db: db, text: text} // which tells
	}
	first, known := s.kept.LoadOrStore(of, made)
	if known {
		_ = made.Close()
	}
	return repeated{db, text, first.(*sql.Stmt)}
}

// row reads one row. On SQLite that takes less time than to start what would watch whether
// the reader leaves: it is not watched.
func (r repeated) row(ctx context.Context, args ...any) *sql.Row {
	if r.made != nil {
		return r.made.QueryRowContext(context.WithoutCancel(ctx), args...)
	}
	return r.db.QueryRowContext(ctx, r.text, args...)
}

func (r repeated) exec(ctx context.Context, args ...any) (sql.Result, error) {
	if r.made != nil {
		return r.made.ExecContext(ctx, args...)
	}
	return r.db.ExecContext(ctx, r.text, args...)
}

// all reads every row in a transaction of the same pool.
func (r repeated) all(ctx context.Context, tx *sql.Tx, args []any, each func(scan func(...any) error) error,
) error {
	if r.made == nil {
		return queryAll(ctx, tx, r.text, args, each)
	}
	rows, err := tx.StmtContext(ctx, r.made).QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
