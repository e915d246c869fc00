package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"rollbook/internal/oneroster"
)

// errUnchanged ends a write that found nothing to change: the transaction is
// given up, and no time passes on the delta clock.
var errUnchanged = errors.New("nothing changed")

// A change is one write transaction. Every row that it changes carries its rev;
// the rev's stamp, which is the rows' dateLastModified, is taken just before
// the commit, so that a long import never becomes visible with a time that a
// reader has already passed.
type change struct {
	*sql.Tx
	conn    *sql.Conn // that it is on
	d       *dialect
	rev     int64
	last    string // stamp of the rev before
	touched map[*table]bool
	now     func() time.Time // the wall clock
	wall    func() time.Time // the same, for the stamp
	journal journal
	full    map[string]*sql.Stmt // statements of full batches, prepared once
}

// write runs do as one transaction under the write lock and stamps it. When do
// returns errUnchanged the store is as before and write returns nil.
func (s *Store) write(ctx context.Context, do func(c *change) error) (stamp string, err error) {
	if stamp, err = s.change(ctx, do); stamp != "" {
		s.settle(time.Now())
	}
	return stamp, err
}

// change is write for who settles it.
func (s *Store) change(ctx context.Context, do func(c *change) error) (stamp string, err error) {
	err = s.retry(ctx, func() error {
		stamp, err = s.writeOnce(ctx, do)
		return err
	})
	if errors.Is(err, errUnchanged) {
		return "", nil
	}
	return stamp, err
}

func (s *Store) writeOnce(ctx context.Context, do func(c *change) error) (string, error) {
	if err := s.same(); err != nil {
		return "", err
	}
	conn, err := s.engine.write.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, s.writes)
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	seen := s.seen.Load()
	at := new(time.Time)
	c := &change{Tx: tx, conn: conn, d: s.dialect, touched: map[*table]bool{}, now: s.now,
		wall: func() time.Time { return s.wall(at) },
		full: map[string]*sql.Stmt{}, journal: journal{of: map[*table][][]string{}}}
	// The row is locked until the commit: revs become visible in their order.
	err = tx.QueryRowContext(ctx,
		`UPDATE "clock" SET "rev" = "rev" + 1 WHERE "id" = 1 RETURNING "rev", "stamp"`).Scan(&c.rev, &c.last)
	if err != nil {
		return "", err
	}
	if c.rev <= 0 {
		s.left.Store(true)
		return "", s.same()
	}
	if c.rev <= seen {
		s.back.Store(true)
		return "", s.same()
	}
	if err := do(c); err != nil {
		return "", err
	}
	defer s.committed(at)
	stamp, err := c.stamp(ctx)
	if err != nil {
		return "", err
	}
	if err := c.keepJournal(ctx, stamp); err != nil {
		return "", err
	}
	if err := tx.Commit(); err != nil {
		return "", err
	}
	s.saw(c.rev)
	return stamp, nil
}

// Time is a time that no change will be stamped before that cannot be read yet: the
// wall clock, or the stamp of a change that is being committed in this process. An
// answer that is read after it was taken, and says so, loses its reader nothing.
func (s *Store) Time() time.Time {
	s.stamping.Lock()
	defer s.stamping.Unlock()
	now := s.now()
	if s.committing != nil && s.committing.Before(now) {
		return *s.committing
	}
	return now
}

// wall takes the wall clock's time for a stamp: from then on until committed, Time is
// not later. Only who holds the clock's row stamps.
func (s *Store) wall(at *time.Time) time.Time {
	s.stamping.Lock()
	defer s.stamping.Unlock()
	*at = s.now().UTC().Truncate(time.Millisecond)
	s.committing = at
	return *at
}

// committed ends that, unless the next change, which may begin as soon as this one is
// committed, has stamped already.
func (s *Store) committed(at *time.Time) {
	s.stamping.Lock()
	defer s.stamping.Unlock()
	if s.committing == at {
		s.committing = nil
	}
}

// stamp gives the transaction its time: the wall clock in milliseconds, and
// always later than the stamp before.
func (c *change) stamp(ctx context.Context) (string, error) {
	at := c.wall()
	if c.last != "" {
		last, err := time.Parse(oneroster.TimeLayout, c.last)
		if err != nil {
			return "", err
		}
		if !at.After(last) {
			at = last.Add(time.Millisecond)
		}
	}
	stamp := oneroster.FormatTime(at)
	if err := c.exec(ctx, `UPDATE "clock" SET "stamp" = $1 WHERE "id" = 1`, stamp); err != nil {
		return "", err
	}
	if err := c.exec(ctx, `INSERT INTO "revs" ("rev", "stamp") VALUES ($1, $2)`, c.rev, stamp); err != nil {
		return "", err
	}
	for t := range c.touched {
		err := c.exec(ctx, `INSERT INTO "versions" ("resource", "rev") VALUES ($1, $2)
			ON CONFLICT ("resource") DO UPDATE SET "rev" = excluded."rev"`, t.Plural, c.rev)
		if err != nil {
			return "", err
		}
	}
	return stamp, nil
}

func (c *change) exec(ctx context.Context, text string, args ...any) error {
	_, err := c.ExecContext(ctx, c.d.sql(text), args...)
	return err
}

// repeat runs a statement that comes again and again in this transaction; some of them
// are kept prepared.
func (c *change) repeat(ctx context.Context, text string, args ...any) error {
	stmt := c.full[text]
	if stmt == nil && len(c.full) == 16 {
		return c.exec(ctx, text, args...)
	}
	if stmt == nil {
		var err error
		if stmt, err = c.PrepareContext(ctx, c.d.sql(text)); err != nil {
			return err
		}
		c.full[text] = stmt
	}
	_, err := stmt.ExecContext(ctx, args...)
	return err
}
