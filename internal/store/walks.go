package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// walkTable is a log: what a process notes of a walk is never changed, and forgotten when
// nobody needs it.
const walkTable = `CREATE TABLE IF NOT EXISTS "walks" (
	"id" BIGINT PRIMARY KEY,
	"process" TEXT NOT NULL,
	"client" TEXT NOT NULL,
	"question" TEXT NOT NULL,
	"edition" BIGINT NOT NULL,
	"step" BIGINT NOT NULL,
	"phase" BIGINT NOT NULL,
	"began" TEXT NOT NULL,
	"asOf" TEXT NOT NULL,
	"last" TEXT NOT NULL
)`

// A WalkNote tells every process of a district that one of them serves a client who reads a
// list page by page, and of which edition.
type WalkNote struct {
	Process  string // that noted it
	Client   string
	Question string // what is asked, page aside, by a hash
	Edition  int64  // rev that the list is as of
	// Pages begin at Phase, Phase+Step, Phase+2×Step and so on, as far as that process knows.
	Step, Phase int
	Began       time.Time // when the first page was read
	AsOf        time.Time // a time at which the edition was the latest
	Last        time.Time // when a page was read
}

// walksHeard is how many notes are read at a time: more were made only where more walks go
// on than a process keeps.
const walksHeard = 4000

// NoteWalk notes a walk: every process of the district finds the note from then on. It tells
// which one of all it is.
func (s *Store) NoteWalk(ctx context.Context, w WalkNote) (id int64, err error) {
	// Numbers become visible in their order: who would take the same one waits for the first.
	insert := s.repeated(ctx, s.nonces, s.sql(`INSERT INTO "walks"
		SELECT COALESCE(MAX("id"), 0) + 1, CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT),
			CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT), CAST($7 AS TEXT), CAST($8 AS TEXT),
			CAST($9 AS TEXT) FROM "walks" WHERE 1 = 1
		ON CONFLICT ("id") DO NOTHING RETURNING "id"`))
	err = sql.ErrNoRows
	for errors.Is(err, sql.ErrNoRows) {
		err = s.retry(ctx, func() error {
			return insert.row(ctx, w.Process, w.Client, w.Question, w.Edition, w.Step, w.Phase,
				stampText(w.Began), stampText(w.AsOf), stampText(w.Last)).Scan(&id)
		})
	}
	if err == nil {
		s.settle(time.Now())
	}
	return id, err
}

// Walks are the notes after one of them, the earliest first. last is the last there is.
func (s *Store) Walks(ctx context.Context, after int64) (notes []WalkNote, last int64, err error) {
	now, err := s.last(ctx)
	last = now.walk
	if err == nil && last < 0 {
		last, err = s.lastWalk(ctx)
	}
	if err != nil || last <= after {
		return nil, after, err
	}
	text := s.sql(`SELECT * FROM (SELECT * FROM "walks" WHERE "id" > $1 ORDER BY "id" DESC LIMIT $2) w
		ORDER BY "id"`)
	rows, err := s.nonces.QueryContext(ctx, text, after, walksHeard)
	if err != nil {
		return nil, after, err
	}
	defer rows.Close()
	for rows.Next() {
		var w WalkNote
		var began, asOf, read string
		if err := rows.Scan(&last, &w.Process, &w.Client, &w.Question, &w.Edition, &w.Step, &w.Phase, &began,
			&asOf, &read); err != nil {
			return nil, after, err
		}
		w.Began, w.AsOf, w.Last = stampTime(began), stampTime(asOf), stampTime(read)
		notes = append(notes, w)
	}
	return notes, last, rows.Err()
}

func (s *Store) lastWalk(ctx context.Context) (id int64, err error) {
	text := `SELECT COALESCE(MAX("id"), 0) FROM "walks"`
	err = s.repeated(ctx, s.nonces, text).row(ctx).Scan(&id)
	return id, err
}

// ForgetWalks forgets the notes of pages that were read before a time, and of each client all
// but the last so many.
func (s *Store) ForgetWalks(ctx context.Context, before time.Time, most int) error {
	// The last of all stays: its number is not given again.
	const kept = ` AND "id" < (SELECT MAX("id") FROM "walks")`
	_, err := s.nonces.ExecContext(ctx, s.sql(`DELETE FROM "walks" WHERE "last" < $1`+kept), stampText(before))
	if err == nil {
		_, err = s.nonces.ExecContext(ctx, s.sql(`DELETE FROM "walks" WHERE "id" IN (SELECT "id" FROM
			(SELECT "id", row_number() OVER (PARTITION BY "client" ORDER BY "id" DESC) AS n FROM "walks") w
			WHERE n > $1)`+kept), most)
	}
	return err
}

// endWalks lets no walk go on: what it was in is not what was served.
func (s *Store) endWalks(ctx context.Context) error {
	_, err := s.nonces.ExecContext(ctx, s.sql(`UPDATE "walks" SET "edition" = -1`))
	return err
}
