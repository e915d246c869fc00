package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

// A row is a record on its way into its table.
type row struct {
	values   []string // as in Record; dateLastModified is not looked at
	seq      int64
	hash     string
	imported bool
	stated   string // agents as the source states them
	fresh    bool   // not stored yet
	differs  uint64 // a bit for each field that is not as it is stored; every one where that is unknown
	rev      int64  // that last changed it, where it was read
	was      *row   // as it is stored, where that is known
}

func (r *row) active() bool { return r.values[oneroster.Status] == oneroster.Active }

// contentHash covers what a source states of a record and readers are served:
// every field but the clock's and those that other records have a part in.
func (t *table) contentHash(values []string) string {
	buf := make([]byte, 0, 1024)
	for i, v := range values {
		if i == oneroster.Modified || t.isDerived(i) {
			continue
		}
		buf = strconv.AppendInt(buf, int64(len(v)), 10)
		buf = append(buf, ':')
		buf = append(buf, v...)
	}
	sum := sha256.Sum256(buf)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func (t *table) isDerived(i int) bool {
	for _, d := range t.derived {
		if d == i {
			return true
		}
	}
	return false
}

// everything is a row's differs where it is fresh, or this change has written it before.
const everything = ^uint64(0)

// mostRows are written by one statement: with some twenty columns each they have a third of the
// parameters that SQLite takes.
const mostRows = 500

// upsert writes rows of one table, in any order, with the change's rev. A stored row keeps
// its seq, and its fields are set only where they differ in one of the rows of a batch: a
// column that is set costs the writing of its indexes.
func (c *change) upsert(ctx context.Context, t *table, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	c.touched[t] = true
	var stored []string
	for i := range rows {
		if !rows[i].fresh && rows[i].was == nil {
			stored = append(stored, rows[i].values[oneroster.SourcedID])
		}
	}
	was, err := c.before(ctx, t, stored)
	if err != nil {
		return err
	}
	for i := range rows {
		if old := rows[i].was; old != nil && old.rev < c.rev {
			c.remember(t, old)
			was[old.values[oneroster.SourcedID]] = old.values
		}
		rows[i].differs = difference(was[rows[i].values[oneroster.SourcedID]], rows[i].values)
	}
	if err := c.keepPieces(ctx, t); err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.differs, b.differs) })
	if err := c.link(ctx, t, rows); err != nil {
		return err
	}
	if c.d.copy != nil {
		if rows, err = c.copyFresh(ctx, t, rows); err != nil {
			return err
		}
	}
	for len(rows) > 0 {
		set, n := rows[0].differs, 1
		for n < min(mostRows, len(rows)) && (set == everything) == (rows[n].differs == everything) {
			set, n = set|rows[n].differs, n+1
		}
		batch := rows[:n]
		rows = rows[n:]
		args := make([]any, 0, len(batch)*len(t.columns))
		for i := range batch {
			args = t.appendArgs(args, &batch[i], c.rev)
		}
		if err := c.insert(ctx, "INSERT INTO "+t.name+" ("+strings.Join(t.columns, ", ")+")", len(batch),
			len(t.columns), t.onConflict(set), args); err != nil {
			return err
		}
	}
	return nil
}

// copyFresh adds the rows that are not stored yet, where there are some, and returns the
// others.
func (c *change) copyFresh(ctx context.Context, t *table, rows []row) (others []row, err error) {
	var fresh [][]any
	for i := range rows {
		if rows[i].fresh {
			fresh = append(fresh, t.appendArgs(nil, &rows[i], c.rev))
		} else {
			others = append(others, rows[i])
		}
	}
	if len(fresh) < 100 {
		return rows, nil
	}
	return others, c.d.copy(ctx, c.conn, t.Plural, t.bareNames, fresh)
}

// difference has a bit for each field of a record that is not as it was.
func difference(was, now []string) (set uint64) {
	if was == nil {
		return everything
	}
	for i := range now {
		if was[i] != now[i] {
			set |= 1 << i
		}
	}
	return set
}

func (t *table) appendArgs(args []any, r *row, rev int64) []any {
	for i := range t.Fields {
		switch {
		case i == oneroster.Modified:
		case t.Fields[i].Kind == oneroster.Number:
			args = append(args, number(r.values[i]))
		default:
			args = append(args, r.values[i])
		}
	}
	imported := 0
	if r.imported {
		imported = 1
	}
	args = append(args, r.seq, rev, metadataText(r.values[t.MetadataIndex()]), r.hash, imported)
	if t.stated {
		args = append(args, r.stated)
	}
	return args
}

// number is the SQL value of a canonical number.
func number(text string) any {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	return n
}

// insert runs a statement with the values of so many rows of so many columns. That of a
// full batch comes again and again.
func (c *change) insert(ctx context.Context, into string, rows, columns int, then string, args []any) error {
	var b strings.Builder
	b.WriteString(into + " VALUES ")
	for param := range rows * columns {
		switch {
		case param == 0:
			b.WriteByte('(')
		case param%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString(c.d.inOrder(param + 1))
	}
	b.WriteByte(')')
	b.WriteString(then)
	if rows == mostRows {
		return c.repeat(ctx, b.String(), args...)
	}
	return c.exec(ctx, b.String(), args...)
}

// onConflict sets of a stored row what every write sets, and some fields.
func (t *table) onConflict(set uint64) string {
	var b strings.Builder
	b.WriteString(` ON CONFLICT ("sourcedId") DO UPDATE SET `)
	for i, col := range t.own {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(col + " = excluded." + col)
	}
	for i, f := range t.Fields {
		if i != oneroster.Modified && set>>i&1 == 1 {
			b.WriteString(", " + quote(f.Name) + " = excluded." + quote(f.Name))
		}
	}
	return b.String()
}

// link keeps the links of list-valued references in step with rows.
func (c *change) link(ctx context.Context, t *table, rows []row) error {
	for _, i := range t.linked {
		var stale []string
		var pairs [][2]string
		for r := range rows {
			if rows[r].differs>>i&1 == 0 {
				continue
			}
			id := rows[r].values[oneroster.SourcedID]
			if !rows[r].fresh {
				stale = append(stale, id)
			}
			for _, target := range oneroster.Items(rows[r].values[i]) {
				pairs = append(pairs, [2]string{id, target})
			}
		}
		if err := c.unlink(ctx, t.field(i), stale); err != nil {
			return err
		}
		for batch := range slices.Chunk(pairs, mostRows) {
			args := make([]any, 0, 3*len(batch))
			for _, p := range batch {
				args = append(args, t.field(i), p[0], p[1])
			}
			if err := c.insert(ctx, `INSERT INTO "links" ("field", "owner", "target")`, len(batch), 3,
				" ON CONFLICT DO NOTHING", args); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *change) unlink(ctx context.Context, field string, owners []string) error {
	for start := 0; start < len(owners); start += 1000 {
		st := &statement{d: c.d}
		st.WriteString(`DELETE FROM "links" WHERE "field" = ` + st.arg(field) + ` AND "owner" IN ` +
			st.in(owners[start:min(start+1000, len(owners))]))
		if _, err := c.ExecContext(ctx, st.String(), st.args...); err != nil {
			return err
		}
	}
	return nil
}

// nextSeq is the place of the next new row of a table.
func nextSeq(ctx context.Context, tx *sql.Tx, t *table) (seq int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT COALESCE(MAX("seq"), 0) + 1 FROM `+t.name).Scan(&seq)
	return seq, err
}

// retire marks rows tobedeleted and leaves of them what the standard requires of
// the object. Their hash is emptied: a row that comes back just as it was is a
// change.
func (c *change) retire(ctx context.Context, t *table, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	c.touched[t] = true
	for _, i := range t.dropped {
		if err := c.unlink(ctx, t.field(i), ids); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(ids, 1000) {
		if _, err := c.before(ctx, t, batch); err != nil {
			return err
		}
		st := &statement{d: c.d}
		st.WriteString("UPDATE " + t.name + ` SET "status" = ` + st.arg(oneroster.ToBeDeleted) +
			`, "hash" = '', "rev" = ` + st.arg(c.rev) + t.bare + ` WHERE "sourcedId" IN ` + st.in(batch))
		if _, err := c.ExecContext(ctx, st.String(), st.args...); err != nil {
			return err
		}
	}
	return nil
}

// queryAll collects the rows of a query.
func queryAll(ctx context.Context, tx *sql.Tx, text string, args []any,
	each func(scan func(...any) error) error) error {
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// list reads a column of sourcedIds.
func (c *change) list(ctx context.Context, text string, args ...any) (ids []string, err error) {
	err = queryAll(ctx, c.Tx, c.d.sql(text), args, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}
