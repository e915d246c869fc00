package store

import (
	"context"
	"database/sql"

	"rollbook/internal/oneroster"
)

// countedAfter is how many changed records make what the database knows of its tables old.
const countedAfter = 1000

// count lets the database look at its tables, so that it finds the short way to the
// records of one school or class. Without that reads are slower, and not wrong.
func (s *Store) count(ctx context.Context) {
	texts := append([]string{s.sample}, `ANALYZE "links"`)
	for _, t := range tables {
		texts = append(texts, "ANALYZE "+t.name)
	}
	for _, text := range texts {
		if _, err := s.engine.write.ExecContext(ctx, text); err != nil {
			return
		}
	}
}

// keepUp does once what earlier programs left undone in the records: it changes what
// readers are served, so it goes under the clock like any change.
func (s *Store) keepUp(ctx context.Context) error {
	const bare = "bare tombstones"
	var n int
	err := s.read.QueryRowContext(ctx, s.sql(`SELECT COUNT(*) FROM "upkeep" WHERE "name" = $1`),
		bare).Scan(&n)
	if err != nil || n > 0 {
		return err
	}
	const mark = `INSERT INTO "upkeep" ("name") VALUES ($1) ON CONFLICT ("name") DO NOTHING`
	_, err = s.write(ctx, func(c *change) error {
		done, err := c.ExecContext(ctx, s.sql(mark), bare)
		if err != nil {
			return err
		}
		if n, _ := done.RowsAffected(); n == 0 {
			return errUnchanged // another process was first
		}
		for _, r := range oneroster.Resources() {
			ids, err := c.list(ctx, `SELECT "sourcedId" FROM `+tables[r].name+` WHERE "status" = $1`,
				oneroster.ToBeDeleted)
			if err == nil {
				err = c.retire(ctx, tables[r], ids)
			}
			if err != nil {
				return err
			}
		}
		if len(c.touched) == 0 {
			return errUnchanged
		}
		return c.d.did(ctx, c.Tx, c.now(), Act{What: "upkeep", Of: bare, After: "done"})
	})
	if err != nil {
		return err
	}
	// Where nobody had left, no time has passed on the clock.
	return s.keep(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, s.sql(mark), bare)
		return err
	})
}
