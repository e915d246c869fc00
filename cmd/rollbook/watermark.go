package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rollbook/internal/store"
)

// A watermark is the path of a file that remembers, outside the database, how far its
// delta clock has come. By it an older copy is found that was put in place.
type watermark string

// watermarkOf lies beside a SQLite file, and in the user's configuration folder for
// PostgreSQL.
func watermarkOf(dsn string) (watermark, error) {
	if !isPostgres(dsn) {
		return watermark(strings.TrimPrefix(dsn, "sqlite://") + ".mark"), nil
	}
	dir, err := configFolder()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(store.Place(dsn)))
	return watermark(filepath.Join(dir, hex.EncodeToString(sum[:6])+".mark")), nil
}

// read returns the zero Moment where nothing is remembered.
func (w watermark) read() (m store.Moment, err error) {
	text, err := os.ReadFile(string(w))
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("%s, which remembers how far the district's clock has come: %w", w, err)
	}
	return m, nil
}

// write remembers a moment; the file is whole at any time.
func (w watermark) write(m store.Moment) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(string(w)), ".mark-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(text, '\n'))
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), string(w))
}

// advance remembers a moment that is later than what another process remembered.
func (w watermark) advance(m store.Moment) error {
	if was, err := w.read(); err != nil || was.Rev >= m.Rev {
		return err
	}
	return w.write(m)
}

// An epoch is a new beginning of the delta clock.
type epoch struct {
	records int
	stamp   string
}

// older begins a new epoch where the database is an older copy than what this machine
// has seen of it: it says so, and what readers must do.
func (o *opened) older(ctx context.Context) error {
	was, err := o.mark.read()
	if err != nil {
		return err
	}
	m, err := o.Moment(ctx)
	if err != nil || m.Rev >= was.Rev {
		return err
	}
	if err := o.restamp(ctx, was, false); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "note: %s is an older copy: it stands at change %d of %s, and change %d of %s "+
		"was seen. %s\n",
		o.place, m.Rev, m.Stamp, was.Rev, was.Stamp, o.epoch)
	return nil
}

// restamp begins a new epoch and remembers it.
func (o *opened) restamp(ctx context.Context, after store.Moment, now bool) error {
	n, stamp, err := o.Restamp(store.By(ctx, "restored"), after, now)
	if err != nil {
		return err
	}
	o.epoch = &epoch{n, stamp}
	m, err := o.Moment(ctx)
	if err != nil {
		return err
	}
	return o.mark.write(m)
}

func (e *epoch) String() string {
	return fmt.Sprintf(`%s stamped anew: %s

The next delta of every reader brings all of them. What was added after the copy was
made is in no delta: let every reader pull whole once (School Data Sync: reset the
sync; rollbook sync sds --full), and import the last packages again.`, plural(e.records, "record"), e.stamp)
}

// Close remembers how far the clock has come, and releases the database.
func (o *opened) Close() error {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	if m, err := o.Moment(ctx); err == nil {
		if err := o.mark.advance(m); err != nil {
			fmt.Fprintln(os.Stderr, "note:", err)
		}
	}
	return o.Store.Close()
}
