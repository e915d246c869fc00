package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// An Examination is what can be told of a database without changing it.
type Examination struct {
	Engine string // and its version: "PostgreSQL 15.20"
	Schema int    // version of the schema
	Knows  int    // the version that this program brings it to
}

// Examine looks at the district at dsn as Open would, and changes nothing.
func Examine(ctx context.Context, dsn string) (e Examination, err error) {
	names, err := migrationNames()
	if err != nil {
		return e, err
	}
	if e.Knows, err = migrationNumber(names[len(names)-1]); err != nil {
		return e, err
	}
	db, d, err := glance(ctx, dsn)
	if err != nil {
		return e, err
	}
	defer db.Close()
	version := `SELECT 'SQLite ' || sqlite_version()`
	if d == postgresDialect {
		version = `SELECT 'PostgreSQL ' || current_setting('server_version')`
	}
	if err := db.QueryRowContext(ctx, version).Scan(&e.Engine); err != nil {
		return e, fmt.Errorf("database: %w", err)
	}
	if err := db.QueryRowContext(ctx, `SELECT MAX("number") FROM "migrations"`).Scan(&e.Schema); err != nil {
		return e, fmt.Errorf("database: %w", err)
	}
	return e, nil
}

// glance reads what is there of a district, and changes nothing.
func glance(ctx context.Context, dsn string) (db *sql.DB, d *dialect, err error) {
	if !isPostgres(dsn) {
		if err := look(ctx, dsn, true); err != nil {
			return nil, nil, err
		}
		path := (&url.URL{Path: Place(dsn)}).EscapedPath()
		db, err = sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: path}).String()+"?mode=ro")
		return db, sqliteDialect, err
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("database: %w", withoutPassword(err, dsn))
	}
	db = sessions(config)
	if err = db.PingContext(ctx); err != nil {
		err = fmt.Errorf("database: %w", withoutPassword(err, dsn))
	} else {
		err = (&engine{read: db}).exists(ctx, dsn)
	}
	if err != nil {
		_ = db.Close()
		return nil, nil, err
	}
	return db, postgresDialect, nil
}
