package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// ErrLeft: the district has moved away. What lies here still is what it was then, and takes nothing.
var ErrLeft = errors.New("the district has moved away")

// movedTo is the setting that says where a district that has moved away went. Its clock is below 0:
// -1 less what it was, so that no process that has it open takes anything more, or answers.
const movedTo = "moved-to"

// LeftFor is where the district has moved to; "" where it is here.
func (s *Store) LeftFor(ctx context.Context) (where string, err error) {
	err = s.read.QueryRowContext(ctx, s.sql(`SELECT COALESCE((SELECT "value" FROM "settings"
		WHERE "name" = $1), '') FROM "clock" WHERE "id" = 1 AND "rev" < 0`), movedTo).Scan(&where)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return where, err
}

// stays tells within a write that does not move the clock that the district is here.
func (s *Store) stays(ctx context.Context, tx *sql.Tx) error {
	var rev int64
	err := tx.QueryRowContext(ctx, `SELECT "rev" FROM "clock" WHERE "id" = 1`).Scan(&rev)
	if err == nil && rev < 0 {
		s.left.Store(true)
		err = s.same()
	}
	return err
}

// Leave lets the district take nothing any more, in whatever process it is open: it moves to another
// place. Once it has left for one it leaves for no other.
func (s *Store) Leave(ctx context.Context, where string) error {
	return s.retry(ctx, func() error {
		return s.replace(ctx, func(c *change) error {
			// The row is locked until the commit, and who writes has it first.
			var rev int64
			err := c.QueryRowContext(ctx, `UPDATE "clock" SET "rev" = "rev" WHERE "id" = 1
				RETURNING "rev"`).Scan(&rev)
			if err != nil {
				return err
			}
			if rev < 0 {
				before, err := s.LeftFor(ctx)
				if err == nil && before != where {
					err = fmt.Errorf("%w, to %s", ErrLeft, before)
				}
				return err
			}
			if err := c.exec(ctx, `INSERT INTO "settings" ("name", "value") VALUES ($1, $2)
				ON CONFLICT ("name") DO UPDATE SET "value" = excluded."value"`, movedTo, where); err != nil {
				return err
			}
			if err := c.d.did(ctx, c.Tx, s.now(), Act{What: "moves", After: where}); err != nil {
				return err
			}
			return c.exec(ctx, `UPDATE "clock" SET "rev" = -1 - "rev" WHERE "id" = 1`)
		})
	})
}

// MoveTo brings all of a district that has left into one that holds nothing, in one transaction: stamps,
// clients, keys and what was published stay as they are, and deltas go on.
func (s *Store) MoveTo(ctx context.Context, to *Store) error {
	err := s.snapshot(ctx, func(from *sql.Tx) error {
		return to.replace(ctx, func(c *change) error {
			names, err := s.tableNames(ctx, from)
			if err != nil {
				return err
			}
			if err := c.copyAll(ctx, from, names); err != nil {
				return err
			}
			if err := c.exec(ctx, `DELETE FROM "settings" WHERE "name" = $1`, movedTo); err != nil {
				return err
			}
			// What was read of the one that was empty does not hold.
			if err := c.exec(ctx, `UPDATE "book" SET "version" = "version" + 1 WHERE "id" = 1`); err != nil {
				return err
			}
			return c.exec(ctx, `UPDATE "clock" SET "rev" = -1 - "rev" WHERE "id" = 1 AND "rev" < 0`)
		})
	})
	if err == nil {
		err = s.moveNonces(ctx, to)
	}
	if err == nil {
		to.count(ctx)
		err = to.endWalks(ctx)
	}
	return err
}

// moveNonces brings what signatures were seen, so that none is taken again elsewhere.
func (s *Store) moveNonces(ctx context.Context, to *Store) error {
	return to.retry(ctx, func() error {
		tx, err := to.nonces.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		rows, err := s.nonces.QueryContext(ctx, `SELECT "client", "at", "nonce", "expires" FROM "nonces"`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var client, at, nonce, expires string
			if err := rows.Scan(&client, &at, &nonce, &expires); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, to.sql(`INSERT INTO "nonces" ("client", "at", "nonce", "expires")
				VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`), client, at, nonce, expires)
			if err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return tx.Commit()
	})
}

// notMoved are tables that stay: what migrate keeps, and what lies beside a SQLite file.
var notMoved = []string{"migrations", "nonces", "walks"}

// tableNames are the tables that a district is made of.
func (d *dialect) tableNames(ctx context.Context, tx *sql.Tx) (names []string, err error) {
	err = queryAll(ctx, tx, d.tables, nil, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		if !slices.Contains(notMoved, name) {
			names = append(names, name)
		}
		return err
	})
	return names, err
}
