package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
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
	rev      int64  // that last changed it, where it was read
}

func (r *row) origin() origin {
	o := origin{rev: r.rev, stated: r.stated}
	if r.imported {
		o.imported = 1
	}
	return o
}

func (r *row) active() bool { return r.values[oneroster.Status] == oneroster.Active }

// contentHash covers what a source states of a record and readers are served:
// every field but the clock's and those that other records have a part in.
func (t *table) contentHash(values []string) string {
	h := sha256.New()
	var buf []byte
	for i, v := range values {
		if i == oneroster.Modified || t.isDerived(i) {
			continue
		}
		buf = strconv.AppendInt(buf[:0], int64(len(v)), 10)
		buf = append(buf, ':')
		buf = append(buf, v...)
		h.Write(buf)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

func (t *table) isDerived(i int) bool {
	for _, d := range t.derived {
		if d == i {
			return true
		}
	}
	return false
}

// upsert writes rows of one table, all columns, with the change's rev. A stored
// row keeps its seq.
func (c *change) upsert(ctx context.Context, t *table, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	c.touched[t] = true
	var stored []string
	for i := range rows {
		if !rows[i].fresh {
			stored = append(stored, rows[i].values[oneroster.SourcedID])
		}
	}
	if err := c.before(ctx, t, stored); err != nil {
		return err
	}
	width := len(t.columns)
	most := c.d.maxParams / width
	if most > 500 {
		most = 500
	}
	for start := 0; start < len(rows); start += most {
		batch := rows[start:min(start+most, len(rows))]
		args := make([]any, 0, len(batch)*width)
		for i := range batch {
			args = t.appendArgs(args, &batch[i], c.rev)
		}
		run := c.exec
		if len(batch) == most {
			run = c.repeat
		}
		if err := run(ctx, t.upsertText(c.d, len(batch)), args...); err != nil {
			return err
		}
	}
	return c.link(ctx, t, rows)
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

func (t *table) upsertText(d *dialect, n int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + t.name + " (" + strings.Join(t.columns, ", ") + ") VALUES ")
	param := 0
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for j := range t.columns {
			if j > 0 {
				b.WriteString(", ")
			}
			param++
			b.WriteString(d.inOrder(param))
		}
		b.WriteByte(')')
	}
	b.WriteString(` ON CONFLICT ("sourcedId") DO UPDATE SET `)
	first := true
	for _, col := range t.columns {
		if col == `"seq"` || col == `"sourcedId"` {
			continue
		}
		if !first {
			b.WriteString(", ")
		}
		first = false
		b.WriteString(col + " = excluded." + col)
	}
	return b.String()
}

// link keeps the links of list-valued references in step with rows.
func (c *change) link(ctx context.Context, t *table, rows []row) error {
	for _, i := range t.linked {
		var stale []string
		var pairs [][2]string
		for r := range rows {
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
		for start := 0; start < len(pairs); start += 100 {
			batch := pairs[start:min(start+100, len(pairs))]
			st := &statement{d: c.d}
			st.WriteString(`INSERT INTO "links" ("field", "owner", "target") VALUES `)
			field := st.arg(t.field(i))
			for n, p := range batch {
				if n > 0 {
					st.WriteString(", ")
				}
				st.WriteString("(" + field + ", " + st.arg(p[0]) + ", " + st.arg(p[1]) + ")")
			}
			st.WriteString(" ON CONFLICT DO NOTHING")
			if _, err := c.ExecContext(ctx, st.String(), st.args...); err != nil {
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
	if err := c.before(ctx, t, ids); err != nil {
		return err
	}
	for _, i := range t.dropped {
		if err := c.unlink(ctx, t.field(i), ids); err != nil {
			return err
		}
	}
	for start := 0; start < len(ids); start += 1000 {
		st := &statement{d: c.d}
		st.WriteString("UPDATE " + t.name + ` SET "status" = ` + st.arg(oneroster.ToBeDeleted) +
			`, "hash" = '', "rev" = ` + st.arg(c.rev) + t.bare + ` WHERE "sourcedId" IN ` +
			st.in(ids[start:min(start+1000, len(ids))]))
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
