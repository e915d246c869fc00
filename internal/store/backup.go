package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A backup is a SQLite database whatever the district lies in: one file, which every verb
// reads, and Restore takes into either engine.

// ErrNotEmpty: a backup is taken into a district that holds nothing.
var ErrNotEmpty = errors.New("the district holds something already: a backup is restored into a new one")

// packageTables have the packages that are kept.
var packageTables = []string{"packageFiles", "filePieces", "pieces"}

// Backup writes a whole copy of a district, as of one moment, to a new file of mode 0600, also
// while it is being served, with the packages that are kept or without them. A file that is
// there already is left alone. What it has is what was answered before it began.
func (s *Store) Backup(ctx context.Context, path string, packages bool) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// Until it is whole it has another name.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".backup-*") // mode 0700
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	defer os.RemoveAll(dir)
	part := filepath.Join(dir, "district.db")
	if s.path != "" && packages {
		err = vacuumInto(ctx, s.path, part)
	} else {
		err = s.copyInto(ctx, part, packages)
	}
	if err == nil {
		err = synced(part)
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("backup: %w", err), os.Remove(path))
	}
	what := "whole"
	if !packages {
		what = "without packages"
	}
	return s.Did(ctx, Act{What: "backup", Of: filepath.Base(path), After: what})
}

// vacuumInto copies a SQLite file: the file by itself lacks what stands in its log.
func vacuumInto(ctx context.Context, from, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // VACUUM takes an empty file
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	file := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: from}).EscapedPath()}).String()
	db, err := sql.Open("sqlite", file+"?_pragma=busy_timeout(90000)") // our readers may write no file
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

func synced(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// copyInto copies what one snapshot has into a new SQLite file.
func (s *Store) copyInto(ctx context.Context, path string, packages bool) error {
	to, err := Open(ctx, path, Options{Throwaway: true}) // it is synced when it is whole
	if err != nil {
		return err
	}
	err = s.snapshot(ctx, func(from *sql.Tx) error {
		return to.replace(ctx, func(c *change) error {
			names, err := to.tableNames(ctx, c.Tx)
			if err != nil {
				return err
			}
			if !packages {
				names = slices.DeleteFunc(names, func(name string) bool {
					return slices.Contains(packageTables, name)
				})
			}
			if err := c.copyAll(ctx, from, names); err != nil || packages {
				return err
			}
			return c.exec(ctx, `UPDATE "publications" SET "kept" = 2 WHERE "kept" < 2`)
		})
	})
	return errors.Join(err, to.Close())
}

// replace runs do in one transaction in which no time passes on the clock: it brings its own.
func (s *Store) replace(ctx context.Context, do func(c *change) error) error {
	conn, err := s.engine.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, s.writes)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(&change{Tx: tx, conn: conn, d: s.dialect, full: map[string]*sql.Stmt{}}); err != nil {
		return err
	}
	return tx.Commit()
}

// copyAll puts what tables hold elsewhere in place of what they hold here.
func (c *change) copyAll(ctx context.Context, from *sql.Tx, names []string) error {
	for _, name := range names {
		if err := c.exec(ctx, "DELETE FROM "+quote(name)); err != nil {
			return err
		}
		if err := c.copyTable(ctx, from, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (c *change) copyTable(ctx context.Context, from *sql.Tx, name string) error {
	rows, err := from.QueryContext(ctx, "SELECT * FROM "+quote(name))
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	var batch [][]any
	size := 0
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for _, v := range values {
			if b, is := v.([]byte); is {
				size += len(b)
			}
		}
		if batch = append(batch, values); len(batch) == mostRows || size > 8<<20 {
			if err := c.addRows(ctx, name, columns, batch); err != nil {
				return err
			}
			batch, size = batch[:0], 0
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return c.addRows(ctx, name, columns, batch)
}

// addRows adds rows as they are in another district.
func (c *change) addRows(ctx context.Context, name string, columns []string, batch [][]any) error {
	if len(batch) == 0 {
		return nil
	}
	if c.d.copy != nil {
		return c.d.copy(ctx, c.conn, name, columns, batch)
	}
	var quoted []string
	for _, column := range columns {
		quoted = append(quoted, quote(column))
	}
	args := make([]any, 0, len(batch)*len(columns))
	for _, values := range batch {
		args = append(args, values...)
	}
	return c.insert(ctx, "INSERT INTO "+quote(name)+" ("+strings.Join(quoted, ", ")+")", len(batch),
		len(columns), "", args)
}

// A Backup is one that is read: a copy of the file, so that one of an earlier program is brought
// up to date and stays as it is.
type Backup struct {
	*Store
	name, dir string
}

// OpenBackup reads a backup; Close ends it.
func OpenBackup(ctx context.Context, path string) (b *Backup, err error) {
	if err := look(ctx, path, true); err != nil {
		return nil, err
	}
	b = &Backup{name: filepath.Base(path)}
	if b.dir, err = os.MkdirTemp("", "rollbook-restore-"); err != nil {
		return nil, err
	}
	part := filepath.Join(b.dir, "district.db")
	if err = vacuumInto(ctx, Place(path), part); err == nil {
		b.Store, err = Open(ctx, part, Options{Existing: true, Throwaway: true})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), os.RemoveAll(b.dir))
	}
	return b, nil
}

// Close removes the copy.
func (b *Backup) Close() error { return errors.Join(b.Store.Close(), os.RemoveAll(b.dir)) }

// Restore takes a backup into a district that holds nothing, in one transaction. A new epoch
// begins, as by Restamp after a moment that was seen of the district: readers may have passed
// the time of the backup. With goesOn there is none: the district moves, and nobody has
// changed anything, or read a change, since the backup was made. It returns how many records
// were stamped anew, and the stamp of the change.
func (s *Store) Restore(ctx context.Context, b *Backup, after Moment, goesOn bool) (records int,
	stamp string, err error) {
	err = b.snapshot(ctx, func(tx *sql.Tx) error {
		stamp, err = s.write(ctx, func(c *change) (err error) {
			records, err = s.restored(ctx, c, tx, after, goesOn, b.name)
			return err
		})
		return err
	})
	if err == nil {
		s.count(ctx)
		err = s.endWalks(ctx)
	}
	return records, stamp, err
}

func (s *Store) restored(ctx context.Context, c *change, from *sql.Tx, after Moment, goesOn bool,
	name string) (records int, err error) {
	var full int
	if err := c.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM "versions") +
		(SELECT COUNT(*) FROM "clients") + (SELECT COUNT(*) FROM "publications")`).Scan(&full); err != nil {
		return 0, err
	}
	if full > 0 {
		return 0, ErrNotEmpty
	}
	names, err := sqliteDialect.tableNames(ctx, from)
	if err != nil {
		return 0, err
	}
	if err := c.copyAll(ctx, from, names); err != nil {
		return 0, err
	}
	// From here on this is the first change after the last one that the backup has.
	was := Moment{}
	err = c.QueryRowContext(ctx, `UPDATE "clock" SET "rev" = "rev" + 1 WHERE "id" = 1
		RETURNING "rev" - 1, "stamp"`).Scan(&was.Rev, &was.Stamp)
	if err != nil {
		return 0, err
	}
	// Those who have read what was here keep nothing of it.
	if err := c.exec(ctx, `UPDATE "book" SET "version" = "version" + 1 WHERE "id" = 1`); err != nil {
		return 0, err
	}
	c.rev, c.last = was.Rev+1, was.Stamp
	if !goesOn {
		if records, err = c.restamp(ctx, after, false); err != nil {
			return 0, err
		}
	}
	err = c.d.did(ctx, c.Tx, c.now(), Act{What: "restored", Of: name,
		Before: fmt.Sprintf("change %d of %s", was.Rev, was.Stamp),
		After:  fmt.Sprintf("change %d, %d records stamped anew", c.rev, records)})
	return records, err
}
