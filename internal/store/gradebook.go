package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollbook/internal/gradebook"
	"rollbook/internal/oneroster"
)

// Put creates or replaces a gradebook object, fills in what clients leave out
// and returns it as it is stored now; created is true where there was no such
// object or a deleted one. A replacement that changes nothing leaves the
// object's dateLastModified alone. *Refused when the object cannot be kept.
func (s *Store) Put(ctx context.Context, rec oneroster.Record) (out oneroster.Record, created bool,
	err error) {
	t := tables[rec.Resource]
	if !t.Gradebook {
		return out, false, fmt.Errorf("%s are not written one by one", t.Plural)
	}
	p := &put{cause: causeOf(ctx), table: t, values: rec.Values}
	if err := s.together(ctx, p); err != nil {
		return out, false, err
	}
	return oneroster.Record{Resource: t.Resource, Values: p.stored}, p.created, nil
}

// A put is the write of one gradebook object.
type put struct {
	table  *table
	values []string // as they are asked for
	make   string   // sourcedId of a category that is made with it, "" where none is

	stored           []string // the values that it has then
	changed, created bool
	err              error // *Refused

	cause string
	done  chan struct{} // closed when it is on the disk, or has failed
	at    time.Time     // when that was
}

// put creates or replaces objects of one table, none of them twice. One that is refused
// leaves the others alone: all are looked at before any is written. An error is one of the
// change.
func (c *change) put(ctx context.Context, t *table, puts []*put) error {
	ids := make([]string, len(puts))
	for i, p := range puts {
		ids[i] = p.values[oneroster.SourcedID]
	}
	stored, err := storedOf(ctx, c.Tx, c.d, t, ids)
	if err != nil {
		return err
	}
	entries := make([]*gradebook.Entry, len(puts))
	for i, p := range puts {
		entries[i] = &gradebook.Entry{Record: oneroster.Record{Resource: t.Resource,
			Values: slices.Clone(p.values)},
			Make: p.make}
	}
	if err := gradebook.Complete(ctx, c, entries, c.now()); err != nil {
		return err
	}
	for i, p := range puts {
		p.stored, p.changed, p.created, p.err, p.make = entries[i].Values, false, false, nil, entries[i].Make
		if no := entries[i].Refused; no != nil {
			p.err = no
		}
	}
	var rows []row
	var made []*put
	var seq int64
	for _, p := range puts {
		old := stored[p.values[oneroster.SourcedID]]
		next := row{values: p.stored, hash: t.contentHash(p.stored), fresh: old == nil}
		p.created = old == nil || !old.active()
		switch {
		case p.err != nil:
			continue
		case !p.created && old.hash == next.hash:
			p.stored = old.values
			continue
		case old != nil:
			next.seq, next.was = old.seq, old
		default:
			if seq == 0 {
				if seq, err = nextSeq(ctx, c.Tx, t); err != nil {
					return err
				}
			}
			next.seq = seq
			seq++
		}
		p.changed = true
		rows = append(rows, next)
		if p.make != "" {
			made = append(made, p)
		}
	}
	for _, p := range made {
		if err := c.uncategorized(ctx, p.make); err != nil {
			return err
		}
	}
	return c.upsert(ctx, t, rows)
}

// Category is the category of a line item that names none: one of the class's own,
// else one that belongs to every class, else one that is to be made, since none is there.
// It is never the one called except.
func (c *change) Category(ctx context.Context, class, except string) (id string, there bool,
	err error) {
	const made = "rollbook-uncategorized"
	st := &statement{d: c.d}
	own := st.member("t", "classId")
	text := `SELECT t."sourcedId" FROM "categories" t WHERE t."status" = ` + st.arg(oneroster.Active) +
		` AND t."sourcedId" <> ` + st.arg(except) +
		" AND (" + own + " = '' OR " + own + " = " + st.arg(class) + ") ORDER BY CASE WHEN " + own +
		` = '' THEN 1 ELSE 0 END, t."seq" LIMIT 1`
	err = c.QueryRowContext(ctx, text, st.args...).Scan(&id)
	switch {
	case !errors.Is(err, sql.ErrNoRows):
		return id, true, err
	case except == made:
		return made + "-2", false, nil
	}
	return made, false, nil
}

// uncategorized makes a category for line items that name none.
func (c *change) uncategorized(ctx context.Context, id string) error {
	rec := oneroster.NewRecord(oneroster.ByName("category"))
	rec.Values[oneroster.SourcedID] = id
	rec.Set("title", "Uncategorized")
	p := &put{table: tables[rec.Resource], values: rec.Values}
	if err := c.put(ctx, p.table, []*put{p}); err != nil {
		return err
	}
	return p.err
}

// Period is the grading period that a line item of a class belongs to on
// a day: one that covers the day, best one under a term of the class; else the
// one that ended last; "" where the district has none.
func (c *change) Period(ctx context.Context, class, day string) (string, error) {
	text := c.d.sql(`SELECT "sourcedId" FROM "academicSessions"
		WHERE "type" = 'gradingPeriod' AND "status" = $1
		ORDER BY CASE WHEN "startDate" <= $2 AND "endDate" > $2 THEN 0 ELSE 1 END,
			CASE WHEN "parent" IN
				(SELECT "target" FROM "links" WHERE "field" = 'classes.terms' AND "owner" = $3) THEN 0 ELSE 1 END,
			"endDate" DESC, "seq" LIMIT 1`)
	var id string
	err := c.QueryRowContext(ctx, text, oneroster.Active, day, class).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// Statuses are those of objects, by their ids; those that are not there are left out.
func (c *change) Statuses(ctx context.Context, r *oneroster.Resource, ids []string) (map[string]string,
	error) {
	out := map[string]string{}
	for batch := range slices.Chunk(ids, 500) {
		st := &statement{d: c.d}
		text := `SELECT "sourcedId", "status" FROM ` + tables[r].name + ` WHERE "sourcedId" IN ` + st.in(batch)
		err := queryAll(ctx, c.Tx, text, st.args, func(scan func(...any) error) error {
			var id, is string
			err := scan(&id, &is)
			out[id] = is
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Delete marks a gradebook object tobedeleted. The results of a line item go
// with it; the line items of a category move to another one, so that every
// reference still resolves. ErrNotFound when there is no such active object.
func (s *Store) Delete(ctx context.Context, r *oneroster.Resource, id string) error {
	t := tables[r]
	if !t.Gradebook {
		return fmt.Errorf("%s are not deleted one by one", t.Plural)
	}
	_, err := s.write(ctx, func(c *change) error {
		ids, err := c.ids(ctx, t, `"sourcedId" = $2`, id)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return ErrNotFound
		}
		switch r.Name {
		case "lineItem":
			results, err := c.ids(ctx, tables[oneroster.ByName("result")], `"lineItem" = $2`, id)
			if err != nil {
				return err
			}
			if err := c.retire(ctx, tables[oneroster.ByName("result")], results); err != nil {
				return err
			}
		case "category":
			if err := c.recategorize(ctx, id); err != nil {
				return err
			}
		}
		return c.retire(ctx, t, ids)
	})
	return err
}

// ids lists the active records that fulfil a condition on $2.
func (c *change) ids(ctx context.Context, t *table, where, value string) ([]string, error) {
	var ids []string
	err := queryAll(ctx, c.Tx, c.d.sql(`SELECT "sourcedId" FROM `+t.name+` WHERE "status" = $1 AND `+where),
		[]any{oneroster.Active, value}, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	return ids, err
}

// recategorize moves the line items of a category to the default of their class.
func (c *change) recategorize(ctx context.Context, category string) error {
	t := tables[oneroster.ByName("lineItem")]
	ids, err := c.ids(ctx, t, `"category" = $2`, category)
	if err != nil {
		return err
	}
	rows, err := storedOf(ctx, c.Tx, c.d, t, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		p := &put{table: t, values: slices.Clone(rows[id].values)}
		rec := oneroster.Record{Resource: t.Resource, Values: p.values}
		to, there, err := c.Category(ctx, rec.Get("class"), category)
		if err != nil {
			return err
		}
		if rec.Set("category", to); !there {
			p.make = to
		}
		if err := c.put(ctx, t, []*put{p}); err != nil {
			return err
		}
		if p.err != nil {
			return p.err
		}
	}
	return nil
}
