package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"rollbook/internal/auth"
)

// KeepUses keeps when secrets were used, and from where, where they were not used later. Nobody
// has to read clients anew for it.
func (s *Store) KeepUses(ctx context.Context, uses map[string]auth.Use) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(uses)) { // two processes never wait for each other
			at := stampText(uses[id].At)
			if _, err := tx.ExecContext(ctx, s.sql(`UPDATE "secrets" SET "used" = $1, "usedFrom" = $2
				WHERE "id" = $3 AND "used" < $1`), at, uses[id].From, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Handovers are the last links of all clients, by client.
func (s *Store) Handovers(ctx context.Context) ([]auth.Handover, error) {
	return s.handovers(ctx, ` ORDER BY "client"`)
}

// Handover finds a link by the hash of its token, nil when there is none.
func (s *Store) Handover(ctx context.Context, hash string) (*auth.Handover, error) {
	found, err := s.handovers(ctx, ` WHERE "hash" = $1`, hash)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func (s *Store) handovers(ctx context.Context, where string, args ...any) (out []auth.Handover, err error) {
	err = snapshot(ctx, s.engine.book, s.reads, func(tx *sql.Tx) error {
		return queryAll(ctx, tx, s.sql(`SELECT "client", "hash", "sealed", "created", "expires", "opened",
			"openedFrom" FROM "handovers"`+where), args, func(scan func(...any) error) error {
			var h auth.Handover
			var created, expires, opened string
			err := scan(&h.Client, &h.Hash, &h.Sealed, &created, &expires, &opened, &h.From)
			h.Created, h.Expires, h.Opened = stampTime(created), stampTime(expires), stampTime(opened)
			out = append(out, h)
			return err
		})
	})
	return out, err
}

// KeepHandover keeps a link to a client's secret in place of its last one.
func (s *Store) KeepHandover(ctx context.Context, h auth.Handover) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, s.sql(`DELETE FROM "handovers" WHERE "client" = $1`), h.Client)
		if err == nil {
			_, err = tx.ExecContext(ctx,
				s.sql(`INSERT INTO "handovers" ("client", "hash", "sealed", "created",
				"expires", "opened", "openedFrom") VALUES ($1, $2, $3, $4, $5, '', '')`), h.Client, h.Hash,
				h.Sealed, stampText(h.Created), stampText(h.Expires))
		}
		if err != nil {
			return err
		}
		return s.did(ctx, tx, Act{What: "client link", Of: h.Client, After: "until " + stampText(h.Expires)})
	})
}

// OpenHandover opens a link, and forgets what lies behind it: of those who open it at once, one
// gets it. ErrNotFound where there is nothing to be had (any more).
func (s *Store) OpenHandover(ctx context.Context, hash string, at time.Time, from string) (sealed string,
	err error) {
	err = s.keep(ctx, func(tx *sql.Tx) error {
		var client string
		err := tx.QueryRowContext(ctx, s.sql(`SELECT "client", "sealed" FROM "handovers" WHERE "hash" = $1
			AND "sealed" <> '' AND "opened" = '' AND "expires" > $2`)+s.lock, hash,
			stampText(at)).Scan(&client, &sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		err = foundOne(tx.ExecContext(ctx, s.sql(`UPDATE "handovers" SET "sealed" = '', "opened" = $1,
			"openedFrom" = $2 WHERE "hash" = $3 AND "opened" = ''`), stampText(at), from, hash))
		if err != nil {
			return err
		}
		return s.did(ctx, tx, Act{What: "client link", Of: client, After: "opened from " + from})
	})
	return sealed, err
}

// ForgetHandovers forgets what lies behind links that were not opened in time.
func (s *Store) ForgetHandovers(ctx context.Context, now time.Time) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, s.sql(`UPDATE "handovers" SET "sealed" = ''
			WHERE "sealed" <> '' AND "expires" <= $1`), stampText(now))
		return err
	})
}

// endLink ends the link of a client that waits to be opened.
func (s *Store) endLink(ctx context.Context, tx *sql.Tx, client string, at time.Time) error {
	_, err := tx.ExecContext(ctx, s.sql(`UPDATE "handovers" SET "sealed" = '', "expires" = $1
		WHERE "client" = $2 AND "opened" = '' AND "expires" > $1`), stampText(at), client)
	return err
}
