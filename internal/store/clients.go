package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"rollbook/internal/auth"
)

// The store is the book of package auth.
var _ auth.Book = (*Store)(nil)

// Client returns the client with its secrets, nil when the id is unknown.
func (s *Store) Client(ctx context.Context, id string) (*auth.Client, error) {
	clients, err := s.clients(ctx, ` WHERE "id" = $1`, askable(id))
	if err != nil || len(clients) == 0 {
		return nil, err
	}
	return &clients[0], nil
}

// Clients lists every client by id.
func (s *Store) Clients(ctx context.Context) ([]auth.Client, error) {
	return s.clients(ctx, ` ORDER BY "id"`)
}

func (s *Store) clients(ctx context.Context, where string, args ...any) ([]auth.Client, error) {
	var out []auth.Client
	found := s.repeated(ctx, s.engine.book, s.sql(
		`SELECT "id", "name", "scopes", "oauth1", "created", "generation", "allowed", "perMinute", "atOnce"
		FROM "clients"`+where))
	secrets := s.repeated(ctx, s.engine.book, s.sql(
		`SELECT "id", "hash", "sealed", "created", "expires", "used", "usedFrom" FROM "secrets"
		WHERE "client" = $1 ORDER BY "created", "id"`))
	err := snapshot(ctx, s.engine.book, s.reads, func(tx *sql.Tx) error {
		err := found.all(ctx, tx, args, func(scan func(...any) error) error {
			var c auth.Client
			var scopes, created, allowed string
			var oauth1 int
			if err := scan(&c.ID, &c.Name, &scopes, &oauth1, &created, &c.Generation, &allowed,
				&c.Budget.PerMinute, &c.Budget.AtOnce); err != nil {
				return err
			}
			var err error
			if c.Allowed, err = auth.ParseRanges(strings.Fields(allowed)); err != nil {
				return fmt.Errorf("client %q: %w", c.ID, err)
			}
			c.Scopes, c.OAuth1, c.Created = strings.Fields(scopes), oauth1 == 1, stampTime(created)
			out = append(out, c)
			return nil
		})
		if err != nil {
			return err
		}
		if len(out) == 0 && len(args) > 0 { // an unknown id costs what a known one does
			return addSecrets(ctx, tx, secrets, &auth.Client{ID: fmt.Sprint(args[0])})
		}
		for i := range out {
			if err := addSecrets(ctx, tx, secrets, &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func addSecrets(ctx context.Context, tx *sql.Tx, secrets repeated, c *auth.Client) error {
	return secrets.all(ctx, tx, []any{c.ID}, func(scan func(...any) error) error {
		var sec auth.Secret
		var created, expires, used string
		if err := scan(&sec.ID, &sec.Hash, &sec.Sealed, &created, &expires, &used, &sec.From); err != nil {
			return err
		}
		sec.Created, sec.Expires, sec.Used = stampTime(created), stampTime(expires), stampTime(used)
		c.Secrets = append(c.Secrets, sec)
		return nil
	})
}

const stampLayout = "2006-01-02T15:04:05.000000Z"

func stampText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stampLayout)
}

func stampTime(text string) time.Time {
	t, _ := time.Parse(stampLayout, text) // "" is never
	return t
}

// keep runs a write that does not concern the district's records: no time
// passes on the delta clock.
func (s *Store) keep(ctx context.Context, do func(tx *sql.Tx) error) error {
	if err := s.same(); err != nil {
		return err
	}
	return s.retry(ctx, func() error {
		tx, err := s.engine.write.BeginTx(ctx, s.writes)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := s.stays(ctx, tx); err != nil {
			return err
		}
		if err := do(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
}

// rewrite is keep for clients, secrets and the signing key: what was read of them before
// does not hold any more. One waits for the other, since PostgreSQL shows nobody's client to
// who adds one of the same name at that moment; nobody waits for an import.
func (s *Store) rewrite(ctx context.Context, do func(tx *sql.Tx) error) error {
	err := s.keep(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE "book" SET "version" = "version" + 1 WHERE "id" = 1`)
		if err != nil {
			return err
		}
		return do(tx)
	})
	if err == nil {
		s.settle(time.Now())
	}
	return err
}

// Version rises whenever clients, their secrets or the signing key change.
func (s *Store) Version(ctx context.Context) (int64, error) {
	last, err := s.last(ctx)
	return last.book, err
}

// AddClient keeps a new client with its secrets. An id or a name that is taken is an
// error.
func (s *Store) AddClient(ctx context.Context, c auth.Client) error {
	return s.rewrite(ctx, func(tx *sql.Tx) error {
		oauth1 := 0
		if c.OAuth1 {
			oauth1 = 1
		}
		var twin string
		err := tx.QueryRowContext(ctx,
			s.sql(`SELECT "id" FROM "clients" WHERE LOWER("name") = LOWER($1) LIMIT 1`), c.Name).Scan(&twin)
		if err == nil {
			return fmt.Errorf("there is a client of the name %q already, %s: take another name, or "+
				"rotate its secret", c.Name, twin)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		done, err := tx.ExecContext(ctx,
			s.sql(`INSERT INTO "clients" ("id", "name", "scopes", "oauth1", "created")
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT ("id") DO NOTHING`),
			c.ID, c.Name, strings.Join(c.Scopes, " "), oauth1, stampText(c.Created))
		if err != nil {
			return err
		}
		if n, _ := done.RowsAffected(); n == 0 {
			return fmt.Errorf("client %q exists already: choose another id, or rotate its secret", c.ID)
		}
		for _, sec := range c.Secrets {
			if err := s.addSecret(ctx, tx, c.ID, sec); err != nil {
				return err
			}
		}
		return s.did(ctx, tx, Act{What: "client added", Of: c.ID, After: described(&c)})
	})
}

// described is what a client may, for the acts.
func described(c *auth.Client) string {
	text := fmt.Sprintf("%q may %s", c.Name, strings.Join(c.Scopes, " "))
	if c.OAuth1 {
		text += ", signs with OAuth 1.0a"
	}
	return text
}

// secretsOf are the secrets of a client by the ids that say nothing of them, for the acts.
func (s *Store) secretsOf(ctx context.Context, tx *sql.Tx, client string) (string, error) {
	var out []string
	text := s.sql(`SELECT "id", "expires" FROM "secrets" WHERE "client" = $1 ORDER BY "created", "id"`)
	err := queryAll(ctx, tx, text, []any{client}, func(scan func(...any) error) error {
		var id, expires string
		err := scan(&id, &expires)
		if expires != "" {
			id += " until " + expires
		}
		out = append(out, id)
		return err
	})
	return strings.Join(out, ", "), err
}

func (s *Store) addSecret(ctx context.Context, tx *sql.Tx, client string, sec auth.Secret) error {
	_, err := tx.ExecContext(ctx, s.sql(`
		INSERT INTO "secrets" ("id", "client", "hash", "sealed", "created", "expires")
		VALUES ($1, $2, $3, $4, $5, $6)`),
		sec.ID, client, sec.Hash, sec.Sealed, stampText(sec.Created), stampText(sec.Expires))
	return err
}

// RotateSecret adds a secret to a client and lets those that it has end at
// oldEnd at the latest; a link that waits to be opened has ended. ErrNotFound when
// there is no such client.
func (s *Store) RotateSecret(ctx context.Context, client string, sec auth.Secret, oldEnd time.Time) error {
	return s.rewrite(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, s.sql(`SELECT COUNT(*) FROM "clients" WHERE "id" = $1`),
			client).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		before, err := s.secretsOf(ctx, tx, client)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, s.sql(`UPDATE "secrets" SET "expires" = $1
		WHERE "client" = $2 AND ("expires" = '' OR "expires" > $1)`), stampText(oldEnd), client)
		if err != nil {
			return err
		}
		if err := s.endLink(ctx, tx, client, sec.Created); err != nil {
			return err
		}
		if err := s.addSecret(ctx, tx, client, sec); err != nil {
			return err
		}
		after, err := s.secretsOf(ctx, tx, client)
		if err != nil {
			return err
		}
		return s.did(ctx, tx, Act{What: "client secret", Of: client, Before: before, After: after})
	})
}

// Limit says from where a client may come, and what it may ask for at most. ErrNotFound
// when there is no such client.
func (s *Store) Limit(ctx context.Context, client string, allowed []netip.Prefix, b auth.Budget) error {
	var ranges []string
	for _, r := range allowed {
		ranges = append(ranges, r.String())
	}
	return s.rewrite(ctx, func(tx *sql.Tx) error {
		before, err := s.limitsOf(ctx, tx, client)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, s.sql(`UPDATE "clients" SET "allowed" = $1, "perMinute" = $2,
			"atOnce" = $3 WHERE "id" = $4`), strings.Join(ranges, " "), b.PerMinute, b.AtOnce, client)
		if err != nil {
			return err
		}
		after, err := s.limitsOf(ctx, tx, client)
		if err != nil || after == before {
			return err
		}
		return s.did(ctx, tx, Act{What: "client limits", Of: client, Before: before, After: after})
	})
}

// limitsOf are the limits of a client, for the acts.
func (s *Store) limitsOf(ctx context.Context, tx *sql.Tx, client string) (string, error) {
	var ranges string
	var perMinute, atOnce int
	err := tx.QueryRowContext(ctx, s.sql(`SELECT "allowed", "perMinute", "atOnce" FROM "clients"
		WHERE "id" = $1`), client).Scan(&ranges, &perMinute, &atOnce)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if ranges == "" {
		ranges = "anywhere"
	}
	b := auth.Budget{PerMinute: perMinute, AtOnce: atOnce}.OrDefault()
	return fmt.Sprintf("from %s, %d a minute, %d at once", ranges, b.PerMinute, b.AtOnce), err
}

// foundOne is ErrNotFound where a statement has changed nothing.
func foundOne(done sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); n > 0 || err != nil {
		return err
	}
	return ErrNotFound
}

// EndTokens ends every token that a client has. ErrNotFound when there is no such
// client.
func (s *Store) EndTokens(ctx context.Context, client string) error {
	return s.rewrite(ctx, func(tx *sql.Tx) error {
		err := foundOne(tx.ExecContext(ctx,
			s.sql(`UPDATE "clients" SET "generation" = "generation" + 1 WHERE "id" = $1`), client))
		if err != nil {
			return err
		}
		return s.did(ctx, tx, Act{What: "client tokens", Of: client, After: "ended"})
	})
}

// RemoveClient forgets a client and its secrets; its tokens are worth nothing
// from then on. ErrNotFound when there is no such client.
func (s *Store) RemoveClient(ctx context.Context, id string) error {
	return s.rewrite(ctx, func(tx *sql.Tx) error {
		c := auth.Client{ID: id}
		var scopes string
		err := tx.QueryRowContext(ctx, s.sql(`DELETE FROM "clients" WHERE "id" = $1
			RETURNING "name", "scopes", "oauth1" = 1`), id).Scan(&c.Name, &scopes, &c.OAuth1)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		for _, text := range []string{`DELETE FROM "secrets" WHERE "client" = $1`,
			`DELETE FROM "handovers" WHERE "client" = $1`} {
			if err == nil {
				_, err = tx.ExecContext(ctx, s.sql(text), id)
			}
		}
		if err != nil {
			return err
		}
		c.Scopes = strings.Fields(scopes)
		return s.did(ctx, tx, Act{What: "client removed", Of: id, Before: described(&c)})
	})
}

// SigningKey returns the sealed token signing key, kept on first use.
func (s *Store) SigningKey(ctx context.Context, make func() (string, error)) (string, error) {
	const name = "token"
	var sealed string
	err := s.read.QueryRowContext(ctx, s.sql(`SELECT "sealed" FROM "keys" WHERE "name" = $1`),
		name).Scan(&sealed)
	if !errors.Is(err, sql.ErrNoRows) {
		return sealed, err
	}
	fresh, err := make()
	if err != nil {
		return "", err
	}
	err = s.rewrite(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx,
			s.sql(`INSERT INTO "keys" ("name", "sealed") VALUES ($1, $2) ON CONFLICT ("name") DO NOTHING`),
			name, fresh)
		if err != nil {
			return err
		}
		if n, _ := done.RowsAffected(); n > 0 {
			if err := s.did(ctx, tx, Act{What: "signing key", Of: name, After: "made"}); err != nil {
				return err
			}
		}
		return tx.QueryRowContext(ctx, s.sql(`SELECT "sealed" FROM "keys" WHERE "name" = $1`),
			name).Scan(&sealed)
	})
	return sealed, err
}

// ForgetSigningKey forgets the token signing key, and with it every token: the next
// process that needs one makes another.
func (s *Store) ForgetSigningKey(ctx context.Context) error {
	return s.rewrite(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, s.sql(`DELETE FROM "keys" WHERE "name" = $1`), "token")
		if err != nil {
			return err
		}
		return s.did(ctx, tx, Act{What: "signing key", Of: "token", After: "forgotten"})
	})
}

// Sealed is something that was sealed with the district's key: the token signing
// key, else the secret of a client; "" when nothing is.
func (s *Store) Sealed(ctx context.Context) (sealed string, err error) {
	for _, text := range []string{`SELECT "sealed" FROM "keys" LIMIT 1`,
		`SELECT "sealed" FROM "secrets" WHERE "sealed" <> '' LIMIT 1`} {
		err = s.engine.book.QueryRowContext(ctx, text).Scan(&sealed)
		if !errors.Is(err, sql.ErrNoRows) {
			return sealed, err
		}
	}
	return "", nil
}

// ForgetSealed forgets all that was sealed with a key that is lost: the token
// signing key, and with it every token, and what clients sign with.
func (s *Store) ForgetSealed(ctx context.Context) error {
	return s.rewrite(ctx, func(tx *sql.Tx) error {
		for _, text := range []string{`DELETE FROM "keys"`, `UPDATE "secrets" SET "sealed" = ''`} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return s.did(ctx, tx, Act{What: "signing key", Of: "all that was sealed", After: "forgotten"})
	})
}

// UseNonce remembers that a client used a nonce with a timestamp; fresh is
// false when it did so before. Nonces that have expired are forgotten.
func (s *Store) UseNonce(ctx context.Context, client, nonce string, at, expires time.Time) (fresh bool,
	err error) {
	expired := s.repeated(ctx, s.nonces, s.sql(`DELETE FROM "nonces" WHERE "expires" < $1`))
	insert := s.repeated(ctx, s.nonces, s.sql(`INSERT INTO "nonces" ("client", "at", "nonce", "expires")
			VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`))
	err = s.retry(ctx, func() error {
		if _, err := expired.exec(ctx, stampText(s.now())); err != nil {
			return err
		}
		done, err := insert.exec(ctx, client, stampText(at), nonce, stampText(expires))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		fresh = n == 1
		return err
	})
	return fresh, err
}
