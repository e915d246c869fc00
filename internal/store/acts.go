package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"rollbook/internal/oneroster"
)

// An Act is what an administrator, or the service itself, has done to a district. No secret is
// in it.
type Act struct {
	ID     int64  `json:"id"` // from 1 on, without gaps
	At     string `json:"at"` // TimeLayout
	Who    string `json:"who"`
	What   string `json:"what"`   // "client added", "setting" …
	Of     string `json:"of"`     // which client, setting, publication
	Before string `json:"before"` // "" where there was nothing
	After  string `json:"after"`
	Hash   string `json:"hash"` // of all that, and of the hash of the act before
}

type acting struct{}

// Acting says who does what is done under a context; without it that is the service.
func Acting(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, acting{}, storable(who))
}

func whoActs(ctx context.Context) string {
	if who, _ := ctx.Value(acting{}).(string); who != "" {
		return who
	}
	return "service"
}

// did keeps an act in the transaction that does it, as the last thing there: those who act wait
// for each other until the commit.
func (d *dialect) did(ctx context.Context, tx *sql.Tx, at time.Time, a Act) error {
	var last string
	err := tx.QueryRowContext(ctx, `UPDATE "lastAct" SET "act" = "act" + 1 WHERE "id" = 1
		RETURNING "act", "hash"`).Scan(&a.ID, &last)
	if err != nil {
		return err
	}
	a.At, a.Who = oneroster.FormatTime(at), whoActs(ctx)
	for _, text := range []*string{&a.What, &a.Of, &a.Before, &a.After} {
		*text = storable(*text)
	}
	a.Hash = a.chained(last)
	_, err = tx.ExecContext(ctx, d.sql(`INSERT INTO "acts" ("id", "at", "who", "what", "of", "before",
		"after", "hash") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`), a.ID, a.At, a.Who, a.What, a.Of,
		a.Before, a.After, a.Hash)
	if err == nil {
		_, err = tx.ExecContext(ctx, d.sql(`UPDATE "lastAct" SET "hash" = $1 WHERE "id" = 1`), a.Hash)
	}
	return err
}

// did keeps an act of a write that does not concern the records.
func (s *Store) did(ctx context.Context, tx *sql.Tx, a Act) error {
	return s.dialect.did(ctx, tx, s.now(), a)
}

// Did keeps an act that is none in the database: a backup that was made.
func (s *Store) Did(ctx context.Context, a Act) error {
	return s.keep(ctx, func(tx *sql.Tx) error { return s.did(ctx, tx, a) })
}

// chained is the hash of an act after another.
func (a *Act) chained(last string) string {
	var all []byte
	for _, text := range []string{last, strconv.FormatInt(a.ID, 10), a.At, a.Who, a.What, a.Of, a.Before,
		a.After} {
		all = strconv.AppendInt(all, int64(len(text)), 10)
		all = append(append(all, ':'), text...)
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:])
}

// Acts are those from a time on, the earliest first.
func (s *Store) Acts(ctx context.Context, since time.Time) (acts []Act, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		acts, err = s.acts(ctx, tx, oneroster.FormatTime(since))
		return err
	})
	return acts, err
}

func (s *Store) acts(ctx context.Context, tx *sql.Tx, since string) (acts []Act, err error) {
	text := s.sql(`SELECT "id", "at", "who", "what", "of", "before", "after", "hash" FROM "acts"
		WHERE "at" >= $1 ORDER BY "id"`)
	err = queryAll(ctx, tx, text, []any{since}, func(scan func(...any) error) error {
		var a Act
		err := scan(&a.ID, &a.At, &a.Who, &a.What, &a.Of, &a.Before, &a.After, &a.Hash)
		acts = append(acts, a)
		return err
	})
	return acts, err
}

// VerifyActs tells the last of the acts, and the first that was changed, taken away or put between
// by others than this program, as an error. One that was noted earlier by its hash, "" is none,
// must be there.
func (s *Store) VerifyActs(ctx context.Context, noted string) (last Act, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		acts, err := s.acts(ctx, tx, "")
		if err != nil {
			return err
		}
		there := noted == ""
		for _, a := range acts {
			switch {
			case a.ID != last.ID+1:
				return fmt.Errorf("act %d was taken away", last.ID+1)
			case a.Hash != a.chained(last.Hash):
				return fmt.Errorf("act %d is not what was written, or does not follow from the one before",
					a.ID)
			}
			last, there = a, there || a.Hash == noted
		}
		var n int64
		var hash string
		err = tx.QueryRowContext(ctx, `SELECT "act", "hash" FROM "lastAct" WHERE "id" = 1`).Scan(&n, &hash)
		switch {
		case err != nil:
			return err
		case n != last.ID || hash != last.Hash:
			return fmt.Errorf("act %d was taken away, and what came after it", last.ID+1)
		case !there:
			return fmt.Errorf("no act has the hash %s: they were written anew", noted)
		}
		return nil
	})
	return last, err
}
