package host

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

	"rollbook/internal/store"
	"rollbook/internal/words"
)

// A Watermark is the path of a file that remembers, outside the database, how far its
// delta clock has come. By it an older copy is found that was put in place.
type Watermark string

// WatermarkOf lies beside a SQLite file, and in the user's configuration folder for
// PostgreSQL.
func WatermarkOf(dsn string) (Watermark, error) {
	if !IsPostgres(dsn) {
		return Watermark(strings.TrimPrefix(dsn, "sqlite://") + ".mark"), nil
	}
	dir, err := ConfigFolder()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(store.Place(dsn)))
	return Watermark(filepath.Join(dir, hex.EncodeToString(sum[:6])+".mark")), nil
}

// Read returns the zero Moment where nothing is remembered.
func (w Watermark) Read() (m store.Moment, err error) {
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

// Write remembers a moment; the file is whole at any time.
func (w Watermark) Write(m store.Moment) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return writeWhole(string(w), append(text, '\n'))
}

// Advance remembers a moment that is later than what another process remembered.
func (w Watermark) Advance(m store.Moment) error {
	if was, err := w.Read(); err != nil || was.Rev >= m.Rev {
		return err
	}
	return w.Write(m)
}

// An Epoch is a new beginning of the delta clock.
type Epoch struct {
	Records int    // that were stamped anew
	Stamp   string // dateLastModified of all of them
}

// older begins a new epoch where the database is an older copy than what this machine
// has seen of it: it says so, and what readers must do.
func (d *District) older(ctx context.Context) error {
	was, err := d.mark.Read()
	if err != nil {
		return err
	}
	m, err := d.Moment(ctx)
	if err != nil || m.Rev >= was.Rev {
		return err
	}
	if err := d.Anew(ctx, was, false); err != nil {
		return err
	}
	d.note(fmt.Sprintf("%s is an older copy: it stands at change %d of %s, and change %d of %s was seen. %s",
		d.Place, m.Rev, m.Stamp, was.Rev, was.Stamp, d.Epoch))
	return nil
}

// Anew begins a new epoch and remembers it.
func (d *District) Anew(ctx context.Context, after store.Moment, now bool) error {
	n, stamp, err := d.Restamp(store.By(ctx, "restored"), after, now)
	if err != nil {
		return err
	}
	d.Epoch = &Epoch{n, stamp}
	m, err := d.Moment(ctx)
	if err != nil {
		return err
	}
	return d.mark.Write(m)
}

func (e *Epoch) String() string {
	return fmt.Sprintf(`%s stamped anew: %s

The next delta of every reader brings all of them. What was added after the copy was
made is in no delta: let every reader pull whole once (School Data Sync: reset the
sync; rollbook sync sds --full), and import the last packages again.`, words.Count(e.Records, "record"), e.Stamp)
}
