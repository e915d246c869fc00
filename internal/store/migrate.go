package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrations embed.FS

const nonceTable = `CREATE TABLE IF NOT EXISTS "nonces" (
	"client" TEXT NOT NULL,
	"at" TEXT NOT NULL,
	"nonce" TEXT NOT NULL,
	"expires" TEXT NOT NULL,
	PRIMARY KEY ("client", "at", "nonce")
)`

// migrate brings the schema up to this program's, each migration in one
// transaction with its number. Processes that start together wait for each
// other on the write lock; the one that comes second finds the work done.
func (e *engine) migrate(ctx context.Context) error {
	names, err := migrationNames()
	if err != nil {
		return err
	}
	err = e.retry(ctx, func() error {
		_, err := e.write.ExecContext(ctx,
			`CREATE TABLE IF NOT EXISTS "migrations" ("number" INTEGER PRIMARY KEY)`)
		return err
	})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	last, was, have := 0, 0, 0
	if err := e.write.QueryRowContext(ctx,
		`SELECT COALESCE(MAX("number"), 0), COUNT(*) FROM "migrations"`).Scan(&was, &have); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	for i, name := range names {
		if last, err = migrationNumber(name); err != nil {
			return err
		}
		if was >= len(names) && have >= len(names) { // they are numbered from 1 on
			continue
		}
		done := func(*sql.Tx) error { return nil }
		if i+1 == len(names) { // by then there is a table of acts
			done = func(tx *sql.Tx) error {
				return e.did(ctx, tx, time.Now(), Act{What: "schema", Before: schemaName(was),
					After: schemaName(last)})
			}
		}
		err := e.retry(ctx, func() error { return e.migrateOne(ctx, last, name, done) })
		if err != nil {
			return fmt.Errorf("database: %s: %w", name, err)
		}
	}
	var newest int
	if err := e.write.QueryRowContext(ctx,
		`SELECT MAX("number") FROM "migrations"`).Scan(&newest); err != nil {
		return err
	}
	if newest > last {
		return fmt.Errorf("database: its schema is version %d and this program knows %d: use the "+
			"newer rollbook", newest, last)
	}
	for _, table := range []string{nonceTable, walkTable} {
		err = e.retry(ctx, func() error {
			_, err := e.nonces.ExecContext(ctx, e.ddl(table))
			return err
		})
		if err != nil {
			return fmt.Errorf("database: nonces: %w", err)
		}
	}
	return nil
}

// migrationNames are the migrations in their order, each of the number in its name.
func migrationNames() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	sort.Strings(names)
	return names, err
}

func migrationNumber(name string) (n int, err error) {
	_, err = fmt.Sscanf(name, "migrations/%d_", &n)
	return n, err
}

// schemaName names a schema; "" is none yet.
func schemaName(number int) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprint("version ", number)
}

func (e *engine) migrateOne(ctx context.Context, number int, name string, then func(*sql.Tx) error) error {
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	tx, err := e.write.BeginTx(ctx, e.writes)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var done int
	// The insert takes the lock on PostgreSQL; on SQLite the transaction has it.
	err = tx.QueryRowContext(ctx, e.sql(`INSERT INTO "migrations" ("number") VALUES ($1)
			ON CONFLICT ("number") DO NOTHING RETURNING "number"`), number).Scan(&done)
	if err == sql.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	for _, statement := range strings.Split(e.ddl(withoutComments(string(text))), ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%w in %s", err, statement)
		}
	}
	if err := then(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func withoutComments(text string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// retry runs a write again while the engine says that it lost a race.
func (e *engine) retry(ctx context.Context, do func() error) error {
	var err error
	for try := range 10 {
		if err = do(); err == nil || !e.again(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(1<<try) * 2 * time.Millisecond):
		}
	}
	return err
}
