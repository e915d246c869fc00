package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Schemas are those of a PostgreSQL database in which districts lie side by side, each in one of its own
// whose name begins alike. What is noted of a district is the comment of its schema: it is dropped,
// dumped and copied with it.
type Schemas struct {
	db     *sql.DB
	prefix string
}

// OpenSchemas connects to a database. The names of schemas begin with its search_path, or else with
// district, and "_".
func OpenSchemas(ctx context.Context, dsn string) (*Schemas, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("database: %w", withoutPassword(err, dsn))
	}
	s := &Schemas{prefix: schemaPrefix(dsn)}
	delete(config.RuntimeParams, "search_path") // it may be there or not
	s.db = sessions(config)
	s.db.SetMaxOpenConns(2)
	if err := s.db.PingContext(ctx); err != nil {
		_ = s.db.Close()
		return nil, fmt.Errorf("database: %w", withoutPassword(err, dsn))
	}
	return s, nil
}

func schemaPrefix(dsn string) string {
	if u, err := url.Parse(dsn); err == nil && u.Query().Get("search_path") != "" {
		return u.Query().Get("search_path") + "_"
	}
	return "district_"
}

// InSchema is the DSN of the district of a name beside others.
func InSchema(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn // it is refused where it is opened
	}
	q := u.Query()
	q.Set("search_path", schemaPrefix(dsn)+name)
	u.RawQuery = q.Encode()
	return u.String()
}

// Close releases the database.
func (s *Schemas) Close() error { return s.db.Close() }

// List has what is noted of each district, "" where nothing is, by its name.
func (s *Schemas) List(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	rows, err := s.db.QueryContext(ctx, `SELECT nspname, COALESCE(obj_description(oid, 'pg_namespace'), '')
		FROM pg_namespace WHERE strpos(nspname, $1) = 1`, s.prefix)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, note string
		if err := rows.Scan(&name, &note); err != nil {
			return nil, err
		}
		out[strings.TrimPrefix(name, s.prefix)] = note
	}
	return out, rows.Err()
}

// Note keeps what is noted of a district; its schema is made where there is none.
func (s *Schemas) Note(ctx context.Context, name, note string) error {
	return s.all(ctx, "CREATE SCHEMA IF NOT EXISTS "+quote(s.prefix+name),
		"COMMENT ON SCHEMA "+quote(s.prefix+name)+" IS '"+strings.ReplaceAll(note, "'", "''")+"'")
}

// Rename gives a district another name, in place of what had that.
func (s *Schemas) Rename(ctx context.Context, from, to string) error {
	return s.all(ctx, "DROP SCHEMA IF EXISTS "+quote(s.prefix+to)+" CASCADE",
		"ALTER SCHEMA "+quote(s.prefix+from)+" RENAME TO "+quote(s.prefix+to))
}

// Drop removes a district.
func (s *Schemas) Drop(ctx context.Context, name string) error {
	return s.all(ctx, "DROP SCHEMA IF EXISTS "+quote(s.prefix+name)+" CASCADE")
}

// all runs statements in one transaction, which only a name of ours is in.
func (s *Schemas) all(ctx context.Context, statements ...string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer tx.Rollback()
	for _, text := range statements {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("database: %w", err)
		}
	}
	return tx.Commit()
}
