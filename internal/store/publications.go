package store

import (
	"bytes"
	"compress/flate"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"rollbook/internal/oneroster"
)

// A State is what has become of a publication.
type State string

// The states. From planning all others can be reached, from held those behind it.
const (
	StatePlanning   State = "planning"   // it has come, and nobody has decided yet
	StateHeld       State = "held"       // a guard objects, a person decides
	StatePublished  State = "published"  // readers are served it
	StateRefused    State = "refused"    // it could not be read
	StateDiscarded  State = "discarded"  // a person threw it away
	StateSuperseded State = "superseded" // another one was published instead
)

// A Publication is a package, or another district, that was brought to be published.
type Publication struct {
	ID      int64  // from 1 on, in the order in which they came
	At      string // when it came; TimeLayout
	Package string // name of the package, or "rollback to 12"
	By      string // who brought it
	State   State
	Decided string // when it got its state, TimeLayout; "" while it is being planned
	Decider string // who decided, where a person did
	Reason  string // why, as the person said
	Rev     int64  // of the change that published it; 0 where nothing was changed
	Stamp   string // dateLastModified of what it changed; ""
	Tally
	Bytes int64 // of the package as it came; 0 until all of it is kept
	Kept  bool  // its package can be had
}

// A Tally is how many rows a package has, and what became of records by it. It is
// known of what was published.
type Tally struct {
	Rows, Added, Changed, Retired int
}

// A StateError: a publication is in a state in which what was asked cannot be done.
type StateError struct {
	ID    int64
	State State // the present one
}

func (e *StateError) Error() string {
	if e.State == StatePlanning {
		return fmt.Sprintf("publication %d is still being planned", e.ID)
	}
	return fmt.Sprintf("publication %d is %s", e.ID, e.State)
}

// Arrive notes that something was brought to be published, and gives it its number.
func (s *Store) Arrive(ctx context.Context, name, by string) (id int64, err error) {
	text := s.sql(`INSERT INTO "publications" ("id", "at", "package", "broughtBy", "state", "decided",
		"decider", "reason", "rev", "rows", "added", "changed", "retired", "bytes", "kept")
		SELECT COALESCE(MAX("id"), 0) + 1, $1, $2, $3, $4, '', '', '', 0, 0, 0, 0, 0, 0, 0
		FROM "publications" WHERE 1 = 1
		ON CONFLICT ("id") DO NOTHING RETURNING "id"`)
	for {
		err = s.keep(ctx, func(tx *sql.Tx) error {
			return tx.QueryRowContext(ctx, text, oneroster.FormatTime(s.now()), storable(name),
				storable(by), string(StatePlanning)).Scan(&id)
		})
		if !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
		// On PostgreSQL another one took that number at the same moment.
	}
}

// storable is a text as both engines keep it: PostgreSQL refuses NUL and what is not
// UTF-8, and the name of a file may be anything.
func storable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) { // a terminal would obey it
			return '\uFFFD'
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// The causes remember a stamp that a new epoch of the clock took out of the revs.
const publicationColumns = `SELECT p."id", p."at", p."package", p."broughtBy", p."state", p."decided",
	p."decider", p."reason", p."rev", COALESCE((SELECT r."stamp" FROM "revs" r WHERE r."rev" = p."rev"),
	(SELECT c."stamp" FROM "causes" c WHERE c."rev" = p."rev"), ''), p."rows", p."added",
	p."changed", p."retired", p."bytes", p."kept" FROM "publications" p`

// Publications are the latest ones, the newest first: limit of them, or all when it
// is 0.
func (s *Store) Publications(ctx context.Context, limit int) ([]Publication, error) {
	if limit == 0 {
		return s.publications(ctx, ` ORDER BY p."id" DESC`)
	}
	return s.publications(ctx, ` ORDER BY p."id" DESC LIMIT $1`, limit)
}

// mostAfter bounds PublicationsAfter: what is more comes the next time.
const mostAfter = 5000

// PublicationsAfter are those above a number, and some earlier ones, that are in some states, the earliest
// first; before them all that are held or being planned.
func (s *Store) PublicationsAfter(ctx context.Context, after int64, and []int64,
	states []State) ([]Publication, error) {
	st := &statement{d: s.dialect}
	open := `p."state" IN ` + st.in(stateNames([]State{StateHeld, StatePlanning}))
	where := ` WHERE ` + open
	if len(states) > 0 {
		where += ` OR p."state" IN ` + st.in(stateNames(states)) + ` AND (p."id" > ` + st.arg(after)
		for _, id := range and {
			where += ` OR p."id" = ` + st.arg(id)
		}
		where += `)`
	}
	return s.publications(ctx, where+` ORDER BY CASE WHEN `+open+` THEN 0 ELSE 1 END, p."id" LIMIT `+
		st.arg(mostAfter), st.args...)
}

// LastBrought is when somebody brought a publication last, TimeLayout; "" is never.
func (s *Store) LastBrought(ctx context.Context, by string) (at string, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, s.sql(`SELECT COALESCE(MAX("at"), '') FROM "publications"
			WHERE "broughtBy" = $1`), by).Scan(&at)
	})
	return at, err
}

// Publication is one of them; ErrNotFound when there is none of that number.
func (s *Store) Publication(ctx context.Context, id int64) (Publication, error) {
	return first(s.publications(ctx, ` WHERE p."id" = $1`, id))
}

// LastPublished is the one that was published last: each that is published ends all
// that came before it, so it has the highest number. ErrNotFound when there is none.
func (s *Store) LastPublished(ctx context.Context) (Publication, error) {
	return first(s.publications(ctx, ` WHERE p."state" = $1 ORDER BY p."id" DESC LIMIT 1`,
		string(StatePublished)))
}

func first[T any](all []T, err error) (one T, _ error) {
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return one, err
	}
	return all[0], nil
}

func (s *Store) publications(ctx context.Context, where string, args ...any) (out []Publication, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		return queryAll(ctx, tx, s.sql(publicationColumns+where), args, func(scan func(...any) error) error {
			var p Publication
			var kept int
			err := scan(&p.ID, &p.At, &p.Package, &p.By, &p.State, &p.Decided, &p.Decider, &p.Reason, &p.Rev,
				&p.Stamp, &p.Rows, &p.Added, &p.Changed, &p.Retired, &p.Bytes, &kept)
			p.Kept = kept == packageKept
			out = append(out, p)
			return err
		})
	})
	return out, err
}

// Decide gives a publication that is in one of some states another one, and notes who
// decided and why. Of several who decide at the same time one does; the others get a
// *StateError with the state that it has by then. ErrNotFound when there is none of
// that number. What is published is told within the change that publishes it.
func (s *Store) Decide(ctx context.Context, id int64, to State, from []State, who, reason string) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		st := &statement{d: s.dialect}
		text := `UPDATE "publications" SET "state" = ` + st.arg(string(to)) + `, "decided" = ` +
			st.arg(oneroster.FormatTime(s.now())) + `, "decider" = ` + st.arg(storable(who)) +
			`, "reason" = ` + st.arg(storable(reason)) + ` WHERE "id" = ` + st.arg(id) +
			` AND "state" IN ` + st.in(stateNames(from))
		return s.decided(ctx, tx, id, s.now(), to, saying(reason), text, st.args...)
	})
}

func saying(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func stateNames(states []State) []string {
	var out []string
	for _, s := range states {
		out = append(out, string(s))
	}
	return out
}

// decided runs a statement that changes a publication in some states only, which is an act, and
// tells when it is in none of them.
func (d *dialect) decided(ctx context.Context, tx *sql.Tx, id int64, at time.Time, to State, more string,
	text string, args ...any) error {
	is := &StateError{ID: id}
	var name string
	err := tx.QueryRowContext(ctx, d.sql(`SELECT "state", "package" FROM "publications"
		WHERE "id" = $1`)+d.lock, id).Scan(&is.State, &name)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	done, err := tx.ExecContext(ctx, text, args...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, is)
	}
	return d.did(ctx, tx, at, Act{What: "publication", Of: fmt.Sprintf("%d, %s", id, name),
		Before: string(is.State), After: string(to) + more})
}

// published notes, within the change that does it, that a publication is published,
// and who decided that and why where it was a person. It ends every other one that is
// held, and those that came earlier and are still being planned. One that is neither
// held nor being planned is a *StateError: the change must be given up.
func (c *change) published(ctx context.Context, id int64, n Tally, who, reason string) error {
	return c.d.published(ctx, c.Tx, id, c.rev, c.now(), n, who, reason)
}

// PublishedUnchanged notes that a publication is what the district is already: it is
// published, and no time passes on the delta clock. Others end as by any that is
// published; rows are those of the package.
func (s *Store) PublishedUnchanged(ctx context.Context, id int64, rows int, who, reason string) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		// The clock's row is the lock of those that publish. Without it one that makes a
		// change could end this one while this one ends it: PostgreSQL would give up
		// either, perhaps a whole import.
		if _, err := tx.ExecContext(ctx, `UPDATE "clock" SET "rev" = "rev" WHERE "id" = 1`); err != nil {
			return err
		}
		return s.published(ctx, tx, id, 0, s.now(), Tally{Rows: rows}, who, reason)
	})
}

func (d *dialect) published(ctx context.Context, tx *sql.Tx, id, rev int64, now time.Time, n Tally, who,
	reason string) error {
	at := oneroster.FormatTime(now)
	more := fmt.Sprintf(", %d added, %d changed, %d retired", n.Added, n.Changed, n.Retired)
	var ended []string
	err := queryAll(ctx, tx, d.sql(`UPDATE "publications" SET "state" = 'superseded', "decided" = $2
		WHERE "id" <> $1 AND ("state" = 'held' OR "state" = 'planning' AND "id" < $1) RETURNING "id"`),
		[]any{id, at}, func(scan func(...any) error) error {
			var other string
			err := scan(&other)
			ended = append(ended, other)
			return err
		})
	if err != nil {
		return err
	}
	if len(ended) > 0 {
		slices.Sort(ended)
		more += ", superseded " + strings.Join(ended, " ")
	}
	text := d.sql(`UPDATE "publications" SET "state" = 'published', "decided" = $2, "decider" = $3,
		"reason" = $4, "rev" = $5, "rows" = $6, "added" = $7, "changed" = $8, "retired" = $9
		WHERE "id" = $1 AND "state" IN ('planning', 'held')`)
	return d.decided(ctx, tx, id, now, StatePublished, more+saying(reason), text, id, at, storable(who),
		storable(reason), rev, n.Rows, n.Added, n.Changed, n.Retired)
}

// SetVerdict keeps what was found of a publication, a JSON document, in place of what
// was kept before. ErrNotFound when there is no such publication.
func (s *Store) SetVerdict(ctx context.Context, id int64, document []byte) error {
	var packed bytes.Buffer
	err := deflate(&packed, func(w io.Writer) error { _, err := w.Write(document); return err })
	if err != nil {
		return err
	}
	return s.keep(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, s.sql(`INSERT INTO "verdicts" ("publication", "document")
			SELECT "id", $2 FROM "publications" WHERE "id" = $1
			ON CONFLICT ("publication") DO UPDATE SET "document" = excluded."document"`), id, packed.Bytes())
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return ErrNotFound
	})
}

// Verdict is what was found of a publication; nil where nothing was kept, ErrNotFound
// when there is no such publication.
func (s *Store) Verdict(ctx context.Context, id int64) ([]byte, error) {
	var packed []byte
	err := s.read.QueryRowContext(ctx, s.sql(`SELECT v."document" FROM "publications" p
		LEFT JOIN "verdicts" v ON v."publication" = p."id" WHERE p."id" = $1`), id).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil || packed == nil {
		return nil, err
	}
	document, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil, fmt.Errorf("publication %d: what was found of it is damaged: %w", id, err)
	}
	return document, nil
}
