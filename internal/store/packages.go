package store

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Packages are kept in pieces, each once however many packages have it. A piece that is
// there is found by another package at the same moment as the last one that had it is
// pruned; it must not be deleted under the one that found it. That holds because
//   - whoever keeps a piece inserts it or locks its row, and then inserts what refers
//     to it, in one transaction;
//   - whoever deletes a piece locks its row first, and looks in a statement of its own
//     whether anything refers to it. On PostgreSQL such a statement sees what was
//     committed before it began: the one that found the piece has committed, or waits
//     for the lock and finds the piece gone, and inserts it. A DELETE with a NOT EXISTS
//     alone would wait too, but then not look again.
//
// On SQLite a write transaction has the whole file to itself.

// ErrNotKept: the package of a publication is not kept: it was pruned, it did not come
// whole, or there is none.
var ErrNotKept = errors.New("the package is not kept")

// What stands in publications.kept.
const (
	packageComes = iota
	packageKept
	packagePruned
)

// pieceBytes is how much of a file a piece holds at most: what one transaction writes.
const pieceBytes = 256 << 10

// Keep keeps one file of the package of a publication: a zip is one file, a folder
// several, in the order in which they are to be given back. Each piece is a transaction
// of its own that moves no clock. What a broken run leaves is never given out: only
// KeptWhole ends it. ErrNotFound when there is no such publication, ErrNotKept when its
// package was pruned meanwhile.
func (s *Store) Keep(ctx context.Context, id int64, file string, r io.Reader) error {
	n, err := s.beginFile(ctx, id, file)
	if err != nil {
		return fmt.Errorf("publication %d, %s: %w", id, file, err)
	}
	var plain bytes.Buffer
	for i, last := 1, false; !last; i++ {
		plain.Reset()
		_, err := io.CopyN(&plain, r, pieceBytes)
		last = err == io.EOF // io.ErrUnexpectedEOF is a reader that is broken
		if err == nil || last {
			err = s.keepPackagePiece(ctx, filePiece{id, n, i}, plain.Bytes(), last)
		}
		if err != nil {
			return fmt.Errorf("publication %d, %s: %w", id, file, err)
		}
	}
	return nil
}

// A filePiece is the place of a piece.
type filePiece struct {
	publication int64
	file, piece int
}

// beginFile gives a file its place in the package.
func (s *Store) beginFile(ctx context.Context, id int64, name string) (n int, err error) {
	err = s.keep(ctx, func(tx *sql.Tx) error {
		var kept int
		err := tx.QueryRowContext(ctx, s.sql(`SELECT "kept" FROM "publications" WHERE "id" = $1`)+s.lock,
			id).Scan(&kept)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrNotFound
		case err != nil:
			return err
		case kept == packagePruned:
			return ErrNotKept
		case kept == packageKept:
			return errors.New("its package is kept already")
		}
		var twin int
		err = tx.QueryRowContext(ctx, s.sql(`SELECT COUNT(*),
			COALESCE(SUM(CASE WHEN "name" = $2 THEN 1 ELSE 0 END), 0)
			FROM "packageFiles" WHERE "publication" = $1`), id, storable(name)).Scan(&n, &twin)
		if err == nil && twin > 0 {
			err = errors.New("its package has a file of that name already")
		}
		if err != nil {
			return err
		}
		n++
		_, err = tx.ExecContext(ctx, s.sql(`INSERT INTO "packageFiles"
			("publication", "file", "name", "bytes", "whole")
			VALUES ($1, $2, $3, 0, 0)`), id, n, storable(name))
		return err
	})
	return n, err
}

// keepPackagePiece keeps the next piece of a file, and with the last one that the file
// is whole. A last piece of nothing ends a file only.
func (s *Store) keepPackagePiece(ctx context.Context, at filePiece, plain []byte, last bool) error {
	whole := 0
	if last {
		whole = 1
	}
	sum := sha256.Sum256(plain)
	hash := hex.EncodeToString(sum[:])
	stored, packed, err := pack(plain)
	if err != nil {
		return err
	}
	return s.keep(ctx, func(tx *sql.Tx) error {
		// Whoever prunes the package waits for this row, or has taken it away.
		done, err := tx.ExecContext(ctx, s.sql(`UPDATE "packageFiles" SET "bytes" = "bytes" + $1, "whole" = $2
			WHERE "publication" = $3 AND "file" = $4`), len(plain), whole, at.publication, at.file)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotKept)
		}
		if len(plain) == 0 {
			return nil
		}
		there, err := s.lockPiece(ctx, tx, hash)
		if err != nil {
			return err
		}
		if !there {
			// Where another one inserts it at the same moment, this waits for it and
			// locks its row.
			_, err := tx.ExecContext(ctx, s.sql(`INSERT INTO "pieces" ("hash", "packed", "bytes")
				VALUES ($1, $2, $3) ON CONFLICT ("hash") DO UPDATE SET "hash" = excluded."hash"`),
				hash, packed, stored)
			if err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, s.sql(`INSERT INTO "filePieces" ("publication", "file", "piece", "hash")
			VALUES ($1, $2, $3, $4)`), at.publication, at.file, at.piece, hash)
		return err
	})
}

// lockPiece keeps a piece from others until the commit, and tells whether it is there.
func (s *Store) lockPiece(ctx context.Context, tx *sql.Tx, hash string) (there bool, err error) {
	var one int
	err = tx.QueryRowContext(ctx, s.sql(`SELECT 1 FROM "pieces" WHERE "hash" = $1`)+s.lock, hash).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// pack compresses a piece where that makes it smaller.
func pack(plain []byte) (stored []byte, packed int, err error) {
	var out bytes.Buffer
	if err := deflate(&out, func(w io.Writer) error { _, err := w.Write(plain); return err }); err != nil {
		return nil, 0, err
	}
	if out.Len() < len(plain) {
		return out.Bytes(), 1, nil
	}
	return plain, 0, nil
}

// deflaters are used again: to make one takes longer than to compress one record with it.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // there is no such level
	}
	return w
}}

// deflate compresses what write writes.
func deflate(to io.Writer, write func(io.Writer) error) error {
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(to)
	if err := write(w); err != nil {
		return err
	}
	return w.Close()
}

// KeptWhole ends a package: all of its files are kept, and it can be had from now on.
func (s *Store) KeptWhole(ctx context.Context, id int64) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, s.sql(`UPDATE "publications" SET "kept" = 1,
			"bytes" = (SELECT COALESCE(SUM("bytes"), 0) FROM "packageFiles" WHERE "publication" = $1)
			WHERE "id" = $1 AND "kept" = 0
			AND NOT EXISTS (SELECT 1 FROM "packageFiles" WHERE "publication" = $1 AND "whole" = 0)`), id)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return fmt.Errorf("publication %d: %w: one of its files is not whole, or it was pruned", id,
			ErrNotKept)
	})
}

// A PackageFile is a file of a package that is kept.
type PackageFile struct {
	Name  string
	Bytes int64
}

// Files are the files of the package of a publication, in the order in which they came.
// ErrNotKept when it cannot be had, ErrNotFound when there is no such publication.
func (s *Store) Files(ctx context.Context, id int64) (files []PackageFile, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		kept := 0
		err := tx.QueryRowContext(ctx, s.sql(`SELECT "kept" FROM "publications" WHERE "id" = $1`),
			id).Scan(&kept)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrNotFound
		case err != nil:
			return err
		case kept != packageKept:
			return ErrNotKept
		}
		text := s.sql(`SELECT "name", "bytes" FROM "packageFiles" WHERE "publication" = $1 ORDER BY "file"`)
		return queryAll(ctx, tx, text, []any{id}, func(scan func(...any) error) error {
			var f PackageFile
			err := scan(&f.Name, &f.Bytes)
			files = append(files, f)
			return err
		})
	})
	if err == nil && len(files) == 0 {
		err = ErrNotKept // as of a rollback, which has none
	}
	return files, err
}

// Package hands out the files of the package of a publication, byte for byte, in the
// order in which they came; r is valid only during the call. Nothing is locked
// meanwhile: when the package is pruned while it is read, r ends with ErrNotKept. A
// piece that is not what was kept is an error that names the publication and the file.
// ErrNotKept and ErrNotFound as by Files.
func (s *Store) Package(ctx context.Context, id int64, yield func(file string, r io.Reader) error) error {
	files, err := s.Files(ctx, id)
	if err != nil {
		return err
	}
	for i, f := range files {
		r := &packageReader{ctx: ctx, s: s, next: filePiece{id, i + 1, 1}, of: f, left: f.Bytes}
		if err := yield(f.Name, r); err != nil {
			return err
		}
	}
	return nil
}

// A packageReader reads a file, of which it holds one piece at a time.
type packageReader struct {
	ctx   context.Context
	s     *Store
	next  filePiece
	of    PackageFile
	left  int64 // in the pieces that were not read yet
	plain []byte
}

func (r *packageReader) Read(p []byte) (int, error) {
	if len(r.plain) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		plain, err := r.s.packagePiece(r.ctx, r.next)
		if err != nil {
			return 0, fmt.Errorf("publication %d, %s: piece %d: %w", r.next.publication, r.of.Name,
				r.next.piece, err)
		}
		r.plain, r.left = plain, r.left-int64(len(plain))
		r.next.piece++
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

var errDamaged = errors.New("it is damaged in the database and not what was kept; a backup may have it")

// packagePiece reads one piece, and holds it to its hash.
func (s *Store) packagePiece(ctx context.Context, at filePiece) ([]byte, error) {
	var hash string
	var packed sql.NullInt64
	var stored []byte
	err := s.read.QueryRowContext(ctx, s.sql(`SELECT f."hash", p."packed", p."bytes" FROM "filePieces" f
		LEFT JOIN "pieces" p ON p."hash" = f."hash"
		WHERE f."publication" = $1 AND f."file" = $2 AND f."piece" = $3`), at.publication, at.file,
		at.piece).Scan(&hash, &packed, &stored)
	if errors.Is(err, sql.ErrNoRows) {
		if _, err := s.Files(ctx, at.publication); err != nil {
			return nil, err // pruned meanwhile
		}
		return nil, errDamaged
	}
	if err != nil {
		return nil, err
	}
	plain := stored
	if packed.Int64 == 1 {
		plain, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(stored)), pieceBytes+1))
	}
	if sum := sha256.Sum256(plain); err != nil || hex.EncodeToString(sum[:]) != hash {
		return nil, errDamaged
	}
	return plain, nil
}

// PrunePackages lets go of packages but the newest keep (at least one), and those of
// publications that are held or being planned. Of the others all but the package stays.
func (s *Store) PrunePackages(ctx context.Context, keep int) error {
	var ids []int64
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		text := s.sql(`SELECT "id" FROM "publications" WHERE "kept" < 2
			AND "state" NOT IN ('held', 'planning') AND "id" <
			(SELECT MIN("id") FROM (SELECT "id" FROM "publications" WHERE "kept" = 1
				ORDER BY "id" DESC LIMIT $1) newest) ORDER BY "id"`)
		return queryAll(ctx, tx, text, []any{max(keep, 1)}, func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.prunePackage(ctx, id); err != nil {
			return err
		}
	}
	return s.prunePieces(ctx)
}

// prunePackage forgets the files of a package, whose pieces others may have.
func (s *Store) prunePackage(ctx context.Context, id int64) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, s.sql(`UPDATE "publications" SET "kept" = 2
			WHERE "id" = $1 AND "kept" < 2
			AND "state" NOT IN ('held', 'planning')`), id)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		for _, text := range []string{`DELETE FROM "packageFiles" WHERE "publication" = $1`,
			`DELETE FROM "filePieces" WHERE "publication" = $1`} {
			if _, err := tx.ExecContext(ctx, s.sql(text), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// prunePieces deletes the pieces that no file has, some megabytes at a time: also those
// that a run that was killed has left.
func (s *Store) prunePieces(ctx context.Context) error {
	const some = 32
	for after := ""; ; {
		var idle []string
		err := s.snapshot(ctx, func(tx *sql.Tx) error {
			text := s.sql(`SELECT p."hash" FROM "pieces" p WHERE p."hash" > $1
				AND NOT EXISTS (SELECT 1 FROM "filePieces" f WHERE f."hash" = p."hash")
				ORDER BY p."hash" LIMIT $2`)
			return queryAll(ctx, tx, text, []any{after, some}, func(scan func(...any) error) error {
				var hash string
				err := scan(&hash)
				idle = append(idle, hash)
				return err
			})
		})
		if err != nil || len(idle) == 0 {
			return err
		}
		err = s.keep(ctx, func(tx *sql.Tx) error {
			for _, hash := range idle { // in their order: two that prune do not wait for each other
				if there, err := s.lockPiece(ctx, tx, hash); err != nil || !there {
					if err != nil {
						return err
					}
					continue
				}
				_, err := tx.ExecContext(ctx, s.sql(`DELETE FROM "pieces" WHERE "hash" = $1
					AND NOT EXISTS (SELECT 1 FROM "filePieces" f WHERE f."hash" = $1)`), hash)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		after = idle[len(idle)-1]
	}
}
