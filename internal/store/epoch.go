package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"rollbook/internal/oneroster"
)

// A Moment is how far the delta clock has come. Kept outside the database it tells
// an older copy that was put in place.
type Moment struct {
	Rev   int64  `json:"rev"`
	Stamp string `json:"stamp"` // dateLastModified of the last change, of TimeLayout; "" before the first
}

// Moment tells how far the delta clock has come. ErrMoved when it has gone back since
// this store looked last: from then on the store takes no write.
func (s *Store) Moment(ctx context.Context) (m Moment, err error) {
	seen := s.seen.Load()
	if err := s.read.QueryRowContext(ctx, `SELECT "rev", "stamp" FROM "clock" WHERE "id" = 1`).Scan(&m.Rev,
		&m.Stamp); err != nil {
		return m, err
	}
	if m.Rev < 0 {
		s.left.Store(true)
		return m, s.same()
	}
	if m.Rev < seen {
		s.back.Store(true)
		return m, s.same()
	}
	s.saw(m.Rev)
	return m, nil
}

// saw remembers the latest rev.
func (e *engine) saw(rev int64) {
	for seen := e.seen.Load(); rev > seen && !e.seen.CompareAndSwap(seen, rev); seen = e.seen.Load() {
	}
}

// Watch looks, as often as said, how far the clock has come, and tells it. It ends
// with the context, or with ErrMoved when an older copy was put in place of what is
// open.
func (s *Store) Watch(ctx context.Context, every time.Duration, came func(Moment)) error {
	look := time.NewTicker(every)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		s.overwritten(ctx)
		m, err := s.Moment(ctx)
		switch {
		case s.back.Load() || s.left.Load():
			return s.same()
		case err == nil && s.same() == nil:
			came(m)
		}
	}
}

// overwritten looks whether an older copy was written into the SQLite file that is
// open. What SQLite has in memory and in its log hides that, until all is a mixture:
// the file is read by itself, and its clock never goes back.
func (e *engine) overwritten(ctx context.Context) {
	if e.path == "" || e.same() != nil {
		return
	}
	path := (&url.URL{Path: e.path}).EscapedPath()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: path}).String()+"?immutable=1")
	if err != nil {
		return
	}
	defer db.Close()
	var rev int64
	before := e.beneath.Load()
	if db.QueryRowContext(ctx, `SELECT "rev" FROM "clock" WHERE "id" = 1`).Scan(&rev) != nil {
		return // it is being written just now
	}
	if rev < 0 {
		return // the district has moved away
	}
	if rev < before {
		e.back.Store(true)
	}
	e.beneath.Store(rev)
}

// abandon leaves a SQLite file that was overwritten as it is: a log of the file
// before, which would spoil it, is put aside.
func (e *engine) abandon() error {
	err := os.Rename(e.path+"-wal", e.path+"-wal.left")
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if gone := os.Remove(e.path + "-shm"); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// Restamp begins a new epoch of the delta clock, after an older copy of the database
// was put in place: every record is stamped anew, with the wall clock, and later than
// after (the zero Moment for nothing), so that the delta of a reader who has passed
// neither brings all that there is. What only the lost days had cannot be told by it.
// now stamps with the wall clock even where the clock of the district is ahead of
// it: readers have passed that, and must pull whole. It returns how many records
// there are and their stamp.
func (s *Store) Restamp(ctx context.Context, after Moment, now bool) (records int, stamp string, err error) {
	stamp, err = s.write(ctx, func(c *change) (err error) {
		was := fmt.Sprintf("change %d of %s", c.rev-1, c.last)
		if records, err = c.restamp(ctx, after, now); err != nil {
			return err
		}
		return c.d.did(ctx, c.Tx, c.now(), Act{What: "stamped anew", Before: was,
			After: fmt.Sprintf("change %d, %d records", c.rev, records)})
	})
	if err == nil {
		err = s.endWalks(ctx)
	}
	if err != nil {
		return 0, "", fmt.Errorf("database: %w", err)
	}
	return records, stamp, nil
}

// restamp lets every record be one that this change has changed.
func (c *change) restamp(ctx context.Context, after Moment, now bool) (records int, err error) {
	c.last = max(c.last, after.Stamp)
	if c.rev <= after.Rev { // revs that readers' caches and other machines know are not given again
		c.rev = after.Rev + 1
		if err := c.exec(ctx, `UPDATE "clock" SET "rev" = $1 WHERE "id" = 1`, c.rev); err != nil {
			return 0, err
		}
	}
	for _, r := range oneroster.Resources() {
		if err := c.beforeAll(ctx, tables[r]); err != nil {
			return 0, err
		}
	}
	if now {
		c.last = ""
		if err := c.exec(ctx, `DELETE FROM "revs"`); err != nil {
			return 0, err
		}
	}
	for _, r := range oneroster.Resources() {
		t := tables[r]
		done, err := c.ExecContext(ctx, c.d.sql("UPDATE "+t.name+` SET "rev" = $1`), c.rev)
		if err != nil {
			return 0, err
		}
		n, err := done.RowsAffected()
		if err != nil {
			return 0, err
		}
		records += int(n)
		c.touched[t] = true
	}
	return records, nil
}

// ClockProblem says in a sentence what is wrong with this machine's clock, "" when
// nothing is: the last change is stamped more than a minute ahead of it (a clock that
// was wrong for one import stamps everything a millisecond later than that from then
// on), or it is more than a minute off the database server's.
func (s *Store) ClockProblem(ctx context.Context) (string, error) {
	m, err := s.Moment(ctx)
	if err != nil {
		return "", err
	}
	if m.Stamp != "" {
		last, err := time.Parse(oneroster.TimeLayout, m.Stamp)
		if err != nil {
			return "", err
		}
		if ahead := last.Sub(s.now()); ahead > time.Minute {
			return "the last change is stamped " + ahead.Round(time.Second).String() +
				" ahead of this machine's clock: set the clock; until it has " +
				"caught up every change is stamped just behind the last (rollbook restored --now " +
				"begins anew)", nil
		}
	}
	if s.time == "" {
		return "", nil
	}
	var there float64
	if err := s.read.QueryRowContext(ctx, s.time).Scan(&there); err != nil {
		return "", err
	}
	apart := s.now().Sub(time.UnixMilli(int64(there * 1000)))
	if apart.Abs() <= time.Minute {
		return "", nil
	}
	return "this machine's clock is " + apart.Abs().Round(time.Second).String() +
		" off the database server's: set the clocks; services " +
		"whose clocks differ by more than a minute refuse each other's tokens", nil
}
