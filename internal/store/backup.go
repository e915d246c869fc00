package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
)

// Backup writes a whole copy of a SQLite district to a new file of mode 0600, also
// while it is being served: the file by itself lacks what stands in its log. A file
// that is there already is left alone.
func (s *Store) Backup(ctx context.Context, path string) error {
	if s.path == "" {
		return errors.New("a PostgreSQL district is backed up with pg_dump")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // VACUUM takes an empty file
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	file := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: s.path}).EscapedPath()}).String()
	db, err := sql.Open("sqlite", file+"?_pragma=busy_timeout(90000)") // our readers may write no file
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return errors.Join(fmt.Errorf("backup: %w", err), os.Remove(path))
	}
	return nil
}
