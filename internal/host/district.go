// Package host opens districts: the database with its key file and its watermark, the gate that lets
// callers in, what the district is set to, and the way of a package into it.
package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
)

// A District is opened, with its sealing key.
type District struct {
	*store.Store
	Key   *auth.Key
	Place string // of the database, for people
	Entry Entry  // of the house that it is one of; the zero Entry where it is by itself
	// Epoch began when an older copy was found in place of the district; nil.
	Epoch *Epoch
	mark  Watermark
	note  func(text string)
}

// Options of a district.
type Options struct {
	store.Options
	Note  func(text string) // hears what a person should know; nil is nobody
	Entry Entry             // of the house that it is one of
}

// Open opens the district at dsn, which was sealed with the key in a file; "" is the usual one.
func Open(ctx context.Context, dsn, keyFile string, opt Options) (*District, error) {
	s, err := store.Open(ctx, dsn, opt.Options)
	if err != nil {
		return nil, err
	}
	d := &District{Store: s, Place: store.Place(dsn), Entry: opt.Entry, note: opt.Note}
	if d.note == nil {
		d.note = func(string) {}
	}
	if d.Key, err = OpenKey(ctx, s, dsn, keyFile, d.note); err == nil {
		d.mark, err = WatermarkOf(dsn)
	}
	if err == nil {
		err = d.older(ctx)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return d, nil
}

// OpenKey opens the key that a district was sealed with; a new district gets one.
func OpenKey(ctx context.Context, s *store.Store, dsn, file string, note func(text string)) (*auth.Key,
	error) {
	var err error
	if file == "" {
		if file, err = KeyFile(dsn); err != nil {
			return nil, err
		}
	}
	sealed, err := s.Sealed(ctx)
	if err != nil {
		return nil, err
	}
	key, made, err := auth.OpenKey(file, sealed)
	if made && IsPostgres(dsn) {
		note(fmt.Sprintf("the key that seals secrets was made in %s: keep a copy of it", file))
	}
	if info, wrong := os.Stat(file); err == nil && wrong == nil && runtime.GOOS != "windows" &&
		info.Mode().Perm()&0o077 != 0 {
		note(fmt.Sprintf("the key file %s can be read by others (%s): chmod 600 it", file,
			info.Mode().Perm()))
	}
	return key, err
}

// IsPostgres tells a URL of a PostgreSQL database from the path of a SQLite file.
func IsPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// KeyFile is the usual one: beside a SQLite file, and in the user's configuration folder for
// PostgreSQL.
func KeyFile(dsn string) (string, error) {
	if !IsPostgres(dsn) {
		return strings.TrimPrefix(dsn, "sqlite://") + ".key", nil
	}
	dir, err := ConfigFolder()
	if err != nil {
		return "", fmt.Errorf("where is the sealing key? give --key-file: %w", err)
	}
	return filepath.Join(dir, "rollbook.key"), nil
}

// ConfigFolder is the user's folder for what stays outside a PostgreSQL database.
func ConfigFolder() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "rollbook")
	return dir, os.MkdirAll(dir, 0o700)
}

// Gate lets callers into the district.
func (d *District) Gate(ctx context.Context) (*auth.Gate, error) {
	words := rest.Words(oneroster.V1p1)
	words.Audience = d.Entry.ID
	return auth.New(ctx, d.Store, d.Key, words)
}

// Passed remembers how far the clock has come, outside the database.
func (d *District) Passed(m store.Moment) error { return d.mark.Advance(m) }

// Close remembers how far the clock has come, and releases the database.
func (d *District) Close() error {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	if m, err := d.Moment(ctx); err == nil {
		if err := d.Passed(m); err != nil {
			d.note(err.Error())
		}
	}
	return d.Store.Close()
}

// Missing is what to do where there is no district.
func Missing(err error) error {
	if errors.Is(err, store.ErrMissing) {
		return fmt.Errorf("%w: say where it is with --db, or make it with rollbook init or rollbook "+
			"import --new", err)
	}
	return err
}
