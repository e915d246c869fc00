package store

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollbook/internal/oneroster"
)

// by is the key of a context under which a write finds who makes it.
type by struct{}

// By says who makes the writes of a context, for the journal: "client sds-1f2e", the
// name of a package.
func By(ctx context.Context, cause string) context.Context {
	return context.WithValue(ctx, by{}, storable(cause))
}

func causeOf(ctx context.Context) string {
	cause, _ := ctx.Value(by{}).(string)
	return cause
}

// pieceSize is how many records a piece of the journal holds at most: enough for
// compression to tell, few enough to hold some of them in memory.
const pieceSize = 500

// A journal gathers what records were before a change.
type journal struct {
	pieces int
	of     map[*table][][]string // each with its origin, then its values
	stated map[string]string     // what records of the current table stated before this change
}

// before keeps what records are before they are changed, and tells it by sourcedId. Those
// that this change has changed already are kept, and not told; those that are not stored
// yet have nothing before.
func (c *change) before(ctx context.Context, t *table, ids []string) (map[string][]string, error) {
	was := map[string][]string{}
	for batch := range slices.Chunk(ids, 1000) {
		st := &statement{d: c.d}
		where := ` WHERE t."sourcedId" IN ` + st.in(batch) + ` AND t."rev" < ` + st.arg(c.rev)
		err := c.beforeWhere(ctx, t, where, st.args, func(values []string) {
			was[values[oneroster.SourcedID]] = values
		})
		if err != nil {
			return nil, err
		}
	}
	return was, nil
}

// beforeAll keeps what all records of a table are.
func (c *change) beforeAll(ctx context.Context, t *table) error {
	next, err := nextSeq(ctx, c.Tx, t)
	for from := int64(0); err == nil && from < next; from += 5000 {
		st := &statement{d: c.d}
		where := ` WHERE t."seq" >= ` + st.arg(from) + ` AND t."seq" < ` + st.arg(from+5000)
		err = c.beforeWhere(ctx, t, where, st.args, func([]string) {})
	}
	return err
}

func (c *change) beforeWhere(ctx context.Context, t *table, where string, args []any,
	tell func(values []string)) error {
	rows, err := c.QueryContext(ctx, `SELECT t."rev", t."imported", `+t.statedColumn()+", "+
		t.selects+" FROM "+
		t.name+" t"+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var imported int
		values, into := t.scanner()
		r := row{values: values}
		if err := rows.Scan(append([]any{&r.rev, &imported, &r.stated}, into...)...); err != nil {
			return err
		}
		r.imported = imported == 1
		tell(values)
		c.remember(t, &r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil { // one connection carries both
		return err
	}
	return c.keepPieces(ctx, t)
}

// remember adds a record, as it is stored, to the journal.
func (c *change) remember(t *table, r *row) {
	o := origin{rev: r.rev, stated: r.stated}
	if r.imported {
		o.imported = 1
	}
	if before, ok := c.journal.stated[r.values[oneroster.SourcedID]]; ok {
		o.stated = before
	}
	c.journal.of[t] = append(c.journal.of[t], append([]string{o.String()}, r.values...))
}

// keepPieces writes what makes whole pieces of it.
func (c *change) keepPieces(ctx context.Context, t *table) error {
	for len(c.journal.of[t]) >= pieceSize {
		piece := c.journal.of[t][:pieceSize]
		c.journal.of[t] = c.journal.of[t][pieceSize:]
		if err := c.keepPiece(ctx, t, piece); err != nil {
			return err
		}
	}
	return nil
}

// keepJournal writes what is left of it, and who made the change.
func (c *change) keepJournal(ctx context.Context, stamp string) error {
	for _, r := range oneroster.Resources() {
		if piece := c.journal.of[tables[r]]; len(piece) > 0 {
			if err := c.keepPiece(ctx, tables[r], piece); err != nil {
				return err
			}
		}
	}
	return c.exec(ctx, `INSERT INTO "causes" ("rev", "stamp", "cause") VALUES ($1, $2, $3)`, c.rev, stamp,
		causeOf(ctx))
}

func (c *change) keepPiece(ctx context.Context, t *table, piece [][]string) error {
	var out bytes.Buffer
	if err := deflate(&out, func(w io.Writer) error { return json.NewEncoder(w).Encode(piece) }); err != nil {
		return err
	}
	c.journal.pieces++
	return c.exec(ctx,
		`INSERT INTO "journal" ("rev", "piece", "resource", "records") VALUES ($1, $2, $3, $4)`,
		c.rev, c.journal.pieces, t.Plural, out.Bytes())
}

// An origin is what the store knows of a row beside its values.
type origin struct {
	rev      int64 // that made it
	imported int   // 1 where an import brought it, -1 where that is not known
	stated   string
}

// String is how the journal keeps it: rev, imported and stated agents, with U+001E
// between them; the rev alone in the first journals.
func (o origin) String() string {
	return fmt.Sprint(o.rev, oneroster.PartSep, o.imported, oneroster.PartSep, o.stated)
}

func parseOrigin(text string) (o origin, err error) {
	rev, rest, known := strings.Cut(text, oneroster.PartSep)
	o.imported = -1
	if o.rev, err = strconv.ParseInt(rev, 10, 64); err != nil || !known {
		return o, err
	}
	imported, stated, _ := strings.Cut(rest, oneroster.PartSep)
	o.stated = stated
	o.imported, err = strconv.Atoi(imported)
	return o, err
}

// unpack reads a piece of the journal: for each record its origin, then its values.
func unpack(raw []byte) (piece [][]string, err error) {
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err == nil {
		err = json.Unmarshal(plain, &piece)
	}
	if err != nil {
		return nil, fmt.Errorf("the journal is damaged: %w", err)
	}
	return piece, nil
}

// A version is a record as it was from one change to another.
type version struct {
	origin
	until  int64 // the rev that ended it
	values []string
}

// versions yields what the journal has of a resource from changes after a rev, the
// earliest first.
func versions(ctx context.Context, tx *sql.Tx, e *engine, t *table, after int64,
	yield func(version) error) error {
	text := e.sql(`SELECT "rev", "records" FROM "journal"
		WHERE "resource" = $1 AND "rev" > $2 ORDER BY "rev", "piece"`)
	return queryAll(ctx, tx, text, []any{t.Plural, after}, func(scan func(...any) error) error {
		var until int64
		var packed []byte
		if err := scan(&until, &packed); err != nil {
			return err
		}
		piece, err := unpack(packed)
		if err != nil {
			return fmt.Errorf("change %d: %w", until, err)
		}
		for _, row := range piece {
			v := version{until: until, values: row[1:]}
			if v.origin, err = parseOrigin(row[0]); err != nil || len(v.values) != len(t.Fields) {
				return fmt.Errorf("the journal of change %d is damaged", until)
			}
			if err := yield(v); err != nil {
				return err
			}
		}
		return nil
	})
}

// A NotKept error: the journal does not go back to a time.
type NotKept struct {
	Begins string // dateLastModified of the earliest state that can be had; "" when there is none
}

func (e *NotKept) Error() string {
	return "the journal does not go back that far: it begins at " + e.Begins
}

// AsOf is Snapshot of the district as it was at a time, with the values and the
// dateLastModified that readers were served then. NotKept when the journal does not
// go back to it.
func (s *Store) AsOf(ctx context.Context, at time.Time,
	do func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error) error {
	return s.snapshot(ctx, func(tx *sql.Tx) error {
		rev, err := s.revAt(ctx, tx, at)
		if err != nil {
			return err
		}
		return do(func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
			return s.asOf(ctx, tx, tables[r], rev, yield)
		})
	})
}

// RevAt is the last change (rev) at a time. *NotKept when the journal does not go back to
// it.
func (s *Store) RevAt(ctx context.Context, at time.Time) (rev int64, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		rev, err = s.revAt(ctx, tx, at)
		return err
	})
	return rev, err
}

// revAt is the last change at a time.
func (s *Store) revAt(ctx context.Context, tx *sql.Tx, at time.Time) (rev int64, err error) {
	var first int64
	var begins string
	err = tx.QueryRowContext(ctx, `SELECT "rev", "stamp" FROM "causes" ORDER BY "rev" LIMIT 1`).Scan(&first,
		&begins)
	if err != nil {
		return 0, err
	}
	stamp := oneroster.FormatTime(at)
	err = tx.QueryRowContext(ctx,
		s.sql(`SELECT COALESCE(MAX("rev"), -1) FROM "causes" WHERE "stamp" <= $1`), stamp).Scan(&rev)
	if err == nil && rev < first {
		err = &NotKept{begins}
	}
	return rev, err
}

func (s *Store) asOf(ctx context.Context, tx *sql.Tx, t *table, rev int64,
	yield func(oneroster.Record) error) error {
	then := map[string]version{} // the first that ended after rev is what there was at rev
	err := versions(ctx, tx, s.engine, t, rev, func(v version) error {
		if id := v.values[oneroster.SourcedID]; then[id].values == nil {
			then[id] = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT t."rev", `+t.selects+" FROM "+t.name+` t ORDER BY t."seq"`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		v := version{}
		values, into := t.scanner()
		if err := rows.Scan(append([]any{&v.rev}, into...)...); err != nil {
			return err
		}
		v.values = values
		if old, ok := then[values[oneroster.SourcedID]]; ok {
			v = old
		}
		if v.rev > rev {
			continue // it came later
		}
		if err := yield(oneroster.Record{Resource: t.Resource, Values: v.values}); err != nil {
			return err
		}
	}
	return rows.Err()
}

// A Version is a record as it was served from one change on.
type Version struct {
	Rev    int64
	Stamp  string // dateLastModified
	Cause  string // who made the change; "" where nobody said
	Record oneroster.Record
}

// A Life is every version of a record that is kept, the earliest first.
type Life struct {
	ID       string
	Place    int // (seq) in the order of lists
	Versions []Version
	Whole    bool // it came with the first of them; else the journal has forgotten what was before
}

// At is the version that was served as of a change; nil where there was none yet.
func (l *Life) At(rev int64) (at *Version) {
	for i := range l.Versions {
		if l.Versions[i].Rev <= rev {
			at = &l.Versions[i]
		}
	}
	return at
}

// Now is the version that is served.
func (l *Life) Now() *Version { return &l.Versions[len(l.Versions)-1] }

// History is every version of a record that is kept, the earliest first. ErrNotFound
// when there never was such a record.
func (s *Store) History(ctx context.Context, r *oneroster.Resource, id string) ([]Version, error) {
	lives, err := s.Lives(ctx, r, "sourcedId", id)
	if err == nil && len(lives) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return lives[0].Versions, nil
}

// Lives are the lives of the records that have, or ever had, one of some texts in a field that
// is no list, in the order of lists. The whole journal is read.
func (s *Store) Lives(ctx context.Context, r *oneroster.Resource, field string, of ...string) (lives []*Life,
	err error) {
	t, at := tables[r], r.Index(field)
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		found := map[string]bool{}
		err := versions(ctx, tx, s.engine, t, 0, func(v version) error {
			if slices.Contains(of, v.values[at]) {
				found[v.values[oneroster.SourcedID]] = true
			}
			return nil
		})
		now := map[string]version{}
		for batch := range slices.Chunk(of, 500) {
			if err == nil {
				err = s.stored(ctx, tx, t, field, batch, func(l *Life, v version) {
					lives, now[l.ID] = append(lives, l), v
				})
			}
		}
		maps.DeleteFunc(found, func(id string, _ bool) bool { _, known := now[id]; return known })
		for batch := range slices.Chunk(slices.Sorted(maps.Keys(found)), 500) {
			if err == nil {
				err = s.stored(ctx, tx, t, "sourcedId", batch, func(l *Life, v version) {
					lives, now[l.ID] = append(lives, l), v
				})
			}
		}
		past := map[string][]version{}
		if err == nil {
			err = versions(ctx, tx, s.engine, t, 0, func(v version) error {
				if id := v.values[oneroster.SourcedID]; now[id].values != nil {
					past[id] = append(past[id], v)
				}
				return nil
			})
		}
		causes := map[int64]string{}
		var first int64 // what was changed up to this is forgotten
		if err == nil {
			err = tx.QueryRowContext(ctx, `SELECT COALESCE(MIN("rev"), 0) FROM "causes"`).Scan(&first)
		}
		for _, l := range lives {
			if err == nil {
				err = l.fill(ctx, s, tx, append(past[l.ID], now[l.ID]), r, causes)
				l.Whole = l.Versions[0].Rev > first
			}
		}
		return err
	})
	slices.SortFunc(lives, func(a, b *Life) int { return cmp.Compare(a.Place, b.Place) })
	return lives, err
}

// Having are the records that have one of some texts in a field that is no list.
func (s *Store) Having(ctx context.Context, r *oneroster.Resource, field string, of ...string) (
	out []oneroster.Record, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) (err error) {
		for batch := range slices.Chunk(of, 500) {
			if err == nil {
				err = s.stored(ctx, tx, tables[r], field, batch, func(_ *Life, v version) {
					out = append(out, oneroster.Record{Resource: r, Values: v.values})
				})
			}
		}
		return err
	})
	return out, err
}

// stored yields the records that have one of some texts in a field now.
func (s *Store) stored(ctx context.Context, tx *sql.Tx, t *table, field string, of []string,
	yield func(*Life, version)) error {
	st := &statement{d: s.dialect}
	asked := make([]string, len(of))
	for i, text := range of {
		asked[i] = askable(text)
	}
	text := `SELECT t."seq", t."rev", ` + t.selects + " FROM " + t.name + " t WHERE t." + quote(field) +
		" IN " +
		st.in(asked)
	return queryAll(ctx, tx, text, st.args, func(scan func(...any) error) error {
		l, v := &Life{}, version{}
		values, into := t.scanner()
		if err := scan(append([]any{&l.Place, &v.rev}, into...)...); err != nil {
			return err
		}
		v.values, l.ID = values, values[oneroster.SourcedID]
		yield(l, v)
		return nil
	})
}

// fill makes the versions of a life; causes keeps who made which change.
func (l *Life) fill(ctx context.Context, s *Store, tx *sql.Tx, all []version, r *oneroster.Resource,
	causes map[int64]string) error {
	for _, v := range all {
		cause, known := causes[v.rev]
		if !known {
			err := tx.QueryRowContext(ctx, s.sql(`SELECT "cause" FROM "causes" WHERE "rev" = $1`),
				v.rev).Scan(&cause)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			causes[v.rev] = cause
		}
		l.Versions = append(l.Versions, Version{v.rev, v.values[oneroster.Modified], cause,
			oneroster.Record{Resource: r, Values: v.values}})
	}
	return nil
}

// ChangesOf yields each record that a change (rev) touched, as it was before and is after
// it; before is the zero Record where there was none. *NotKept when the journal has
// forgotten it.
func (s *Store) ChangesOf(ctx context.Context, rev int64,
	yield func(before, after oneroster.Record) error) error {
	return s.snapshot(ctx, func(tx *sql.Tx) error {
		var first int64
		var begins string
		err := tx.QueryRowContext(ctx, `SELECT "rev", "stamp" FROM "causes" ORDER BY "rev" LIMIT 1`).
			Scan(&first, &begins)
		if err == nil && rev <= first {
			err = &NotKept{begins}
		}
		if err != nil {
			return err
		}
		for _, r := range oneroster.Resources() {
			if err := s.changesOf(ctx, tx, tables[r], rev, yield); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) changesOf(ctx context.Context, tx *sql.Tx, t *table, rev int64,
	yield func(before, after oneroster.Record) error) error {
	var ids []string
	before, after := map[string][]string{}, map[string][]string{}
	left := func(values []string) {
		ids = append(ids, values[oneroster.SourcedID])
		after[values[oneroster.SourcedID]] = values
	}
	err := versions(ctx, tx, s.engine, t, rev-1, func(v version) error {
		if v.until == rev {
			before[v.values[oneroster.SourcedID]] = v.values
		} else if v.rev == rev {
			left(v.values)
		}
		return nil
	})
	if err != nil {
		return err
	}
	text := s.sql("SELECT " + t.selects + " FROM " + t.name + ` t WHERE t."rev" = $1 ORDER BY t."seq"`)
	rows, err := tx.QueryContext(ctx, text, rev)
	if err != nil {
		return err
	}
	err = t.scan(rows, func(values []string) error {
		left(slices.Clone(values))
		return nil
	})
	for _, id := range ids {
		was := oneroster.Record{}
		if before[id] != nil {
			was = oneroster.Record{Resource: t.Resource, Values: before[id]}
		}
		if err == nil {
			err = yield(was, oneroster.Record{Resource: t.Resource, Values: after[id]})
		}
	}
	return err
}

// Prune forgets what the journal has of changes before a time. What there was at that
// time, and since, can still be had.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		var last sql.NullInt64
		text := s.sql(`SELECT MAX("rev") FROM "causes" WHERE "stamp" <= $1`)
		if err := tx.QueryRowContext(ctx, text, oneroster.FormatTime(before)).Scan(&last); err != nil ||
			!last.Valid {
			return err
		}
		for _, text := range []string{`DELETE FROM "journal" WHERE "rev" <= $1`,
			`DELETE FROM "causes" WHERE "rev" < $1`} {
			if _, err := tx.ExecContext(ctx, s.sql(text), last.Int64); err != nil {
				return err
			}
		}
		return nil
	})
}

// Setting is what a setting of the district was set to; "" where it was not.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.read.QueryRowContext(ctx, s.sql(`SELECT "value" FROM "settings" WHERE "name" = $1`),
		name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// Set keeps a setting of the district.
func (s *Store) Set(ctx context.Context, name, value string) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		var before string
		err := tx.QueryRowContext(ctx, s.sql(`SELECT "value" FROM "settings" WHERE "name" = $1`)+s.lock,
			name).Scan(&before)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		if err != nil || before == value {
			return err
		}
		text := `INSERT INTO "settings" ("name", "value") VALUES ($1, $2)
		ON CONFLICT ("name") DO UPDATE SET "value" = excluded."value"`
		if _, err := tx.ExecContext(ctx, s.sql(text), name, value); err != nil {
			return err
		}
		return s.did(ctx, tx, Act{What: "setting", Of: name, Before: before, After: value})
	})
}
