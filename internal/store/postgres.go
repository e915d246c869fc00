package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

var postgresDialect = &dialect{
	name:        "postgres",
	placeholder: "$",
	text:        `TEXT COLLATE "C"`,
	blob:        "BYTEA",
	position:    "strpos",
	reads:       &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	// Whoever waited for the clock's row must see what the one before committed.
	writes: &sql.TxOptions{Isolation: sql.LevelReadCommitted},
	again: func(err error) bool {
		var e *pgconn.PgError
		// Serialization failure, deadlock; and two first starts that make the
		// same table at the same moment.
		return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01" || e.Code == "23505" &&
			e.SchemaName == "pg_catalog" || e.Code == "42P06" || e.Code == "42P07" || e.Code == "42710")
	},
	lock:   " FOR UPDATE",
	sample: "SELECT 1", // it does so by itself
	copy:   copyRows,
	time:   "SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8",
	size: `SELECT CAST(COALESCE(SUM(pg_total_relation_size(c.oid)), 0) AS BIGINT) FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind = 'r'`,
	tables: `SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename`,
	lastly: `SELECT c."rev", b."version", (SELECT COALESCE(MAX("id"), 0) FROM "walks")
		FROM "clock" c, "book" b WHERE c."id" = 1 AND b."id" = 1`,
	leased: true,
}

// openPostgres connects to the schema that the DSN names (search_path), made
// when it is missing.
func openPostgres(ctx context.Context, dsn string, opt Options) (*engine, error) {
	e := &engine{dialect: postgresDialect}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("database: %w", withoutPassword(err, dsn))
	}
	for pool, size := range map[**sql.DB]int{&e.read: 16, &e.write: 8, &e.book: 4, &e.nonces: 4} {
		if opt.Beside {
			size /= 4
		}
		db := sessions(config)
		if opt.Beside {
			db.SetConnMaxIdleTime(time.Minute)
		}
		db.SetMaxOpenConns(size)
		db.SetMaxIdleConns(max(size/2, 1))
		*pool = db
	}
	db := e.read
	if err := db.PingContext(ctx); err != nil {
		_ = e.close()
		return nil, fmt.Errorf("database: %w", withoutPassword(err, dsn))
	}
	var schema sql.NullString
	if err := db.QueryRowContext(ctx, "SELECT current_schema()").Scan(&schema); err == nil && !schema.Valid {
		if u, err := url.Parse(dsn); err == nil && u.Query().Get("search_path") != "" {
			name := quote(u.Query().Get("search_path"))
			err := e.retry(ctx, func() error {
				_, err := db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+name)
				return err
			})
			if err != nil {
				_ = e.close()
				return nil, fmt.Errorf("database: schema %s: %w", name, err)
			}
		}
	}
	return e, nil
}

// sessions makes a pool of sessions. They are called rollbook in pg_stat_activity, unless
// the DSN names them.
func sessions(config *pgx.ConnConfig) *sql.DB {
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "rollbook"
	}
	return stdlib.OpenDB(*config)
}

func copyRows(ctx context.Context, c *sql.Conn, table string, columns []string, rows [][]any) error {
	return c.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{table}, columns,
			pgx.CopyFromRows(rows))
		return err
	})
}

// exists tells whether the schema holds a district.
func (e *engine) exists(ctx context.Context, dsn string) error {
	var n int
	text := `SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'migrations'`
	if err := e.read.QueryRowContext(ctx, text).Scan(&n); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("%w at %s", ErrMissing, Place(dsn))
	}
	return nil
}

// withoutPassword keeps a mistyped DSN's password out of error texts. What each try
// of a connection says is said once.
func withoutPassword(err error, dsn string) error {
	var parts []string
	for _, part := range strings.Split(err.Error(), "\n") {
		if part = strings.TrimSpace(part); !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	err = errors.New(strings.Join(parts, " "))
	if u, e := url.Parse(dsn); e == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			return errors.New(strings.ReplaceAll(err.Error(), dsn, u.Redacted()))
		}
	}
	return err
}
