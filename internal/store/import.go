package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"

	"rollbook/internal/oneroster"
)

// A Report tells what an import did.
type Report struct {
	Counts map[*oneroster.Resource]Counts
	Stamp  string // the dateLastModified of all that changed; "" when nothing did
}

// ImportOptions of an import.
type ImportOptions struct {
	// Progress, when set, is called now and then with the number of records read.
	Progress func(records int)
	// Closed leaves no active record that refers to one that the import deletes: it
	// goes with it, or the reference is taken out of it.
	Closed bool
}

// ErrStale: the district has changed since a plan was found, in what it is about.
var ErrStale = errors.New("the district has changed meanwhile")

// Import plans a source and publishes the plan. A record is written only where what
// the source states differs from what is stored, so that the rest keeps its
// dateLastModified. Of a Bulk resource, records that an earlier import brought
// and this one lacks become tobedeleted; what came by PUT stays.
func (s *Store) Import(ctx context.Context, src oneroster.Source, opt ImportOptions) (report Report,
	err error) {
	err = Again(func() error {
		plan, err := s.Plan(ctx, src, opt, nil)
		if err == nil {
			report.Counts = plan.Counts
			report.Stamp, err = s.Publish(ctx, plan, nil)
		}
		return errors.Join(err, plan.Close())
	})
	return report, err
}

// Again plans and publishes as often as other writers come between.
func Again(do func() error) error {
	for range 20 {
		if err := do(); !errors.Is(err, ErrStale) {
			return err
		}
	}
	return fmt.Errorf("%w, again and again: stop other imports", ErrStale)
}

// A Decision publishes a publication: who decided, where it was a person, and why.
type Decision struct {
	ID          int64
	Rows        int // of the package
	Who, Reason string
}

// Publish does what was planned, in one short transaction, and notes of the publication
// (nil is none) that it is published: readers see the district before it or after it, and
// are not kept waiting. ErrStale when what the plan is about has changed since; gradebook
// objects that it only closes may change. *StateError when the publication is neither
// held nor being planned. It returns the dateLastModified of all that changed; "" when
// nothing did.
func (s *Store) Publish(ctx context.Context, p *Plan, d *Decision) (stamp string, err error) {
	stamp, err = s.write(ctx, func(c *change) error {
		if err := p.current(ctx, c); err != nil {
			return err
		}
		for _, r := range oneroster.Resources() {
			if err := c.apply(ctx, p, tables[r]); err != nil {
				return err
			}
		}
		if p.closed {
			for _, category := range p.parts[tables[oneroster.ByName("category")]].retired {
				if err := c.recategorize(ctx, category); err != nil {
					return err
				}
			}
		}
		if len(c.touched) == 0 {
			return errUnchanged
		}
		if d == nil {
			return nil
		}
		return c.published(ctx, d.ID, p.tally(d.Rows), d.Who, d.Reason)
	})
	if n := p.tally(0); err == nil && n.Added+n.Changed+n.Retired >= countedAfter {
		s.count(ctx)
	}
	if err == nil && stamp == "" && d != nil {
		err = s.PublishedUnchanged(ctx, d.ID, d.Rows, d.Who, d.Reason)
	}
	return stamp, err
}

// tally is what the list of publications tells of a plan.
func (p *Plan) tally(rows int) Tally {
	n := Tally{Rows: rows}
	for _, c := range p.Counts {
		n.Added, n.Changed, n.Retired = n.Added+c.Added, n.Changed+c.Changed, n.Retired+c.Retired+c.With
	}
	return n
}

// current brings a plan up to date with what clients have written into the gradebook since
// it was found. ErrStale where that, or another import, has changed what it is about.
func (p *Plan) current(ctx context.Context, c *change) error {
	var moved []*table
	text := c.d.sql(`SELECT "resource" FROM "versions" WHERE "rev" > $1`)
	err := queryAll(ctx, c.Tx, text, []any{p.rev}, func(scan func(...any) error) error {
		var name string
		if err := scan(&name); err != nil {
			return err
		}
		r := oneroster.ByName(name)
		if !r.Gradebook {
			return ErrStale
		}
		moved = append(moved, tables[r])
		return nil
	})
	if err != nil || len(moved) == 0 {
		return err
	}
	p.tx = c.Tx
	defer func() { p.tx = (*sql.Tx)(nil) }()
	for _, t := range moved {
		if err := p.beside(ctx, t); err != nil {
			return err
		}
	}
	for _, r := range oneroster.Resources() {
		if !r.Gradebook {
			continue
		}
		if p.modes[r] == oneroster.Absent {
			gone := p.parts[tables[r]].deleted
			p.parts[tables[r]] = newPart()
			for _, id := range gone {
				p.parts[tables[r]].gone[id] = true
			}
			delete(p.Counts, r)
		}
		if err := p.close(ctx, tables[r]); err != nil {
			return err
		}
	}
	return nil
}

// beside finds what clients have done to a table since the plan was found: new rows have
// taken places in the list, deleted ones must not be referred to. ErrStale where they have
// changed what the plan changes.
func (p *Plan) beside(ctx context.Context, t *table) error {
	part := p.parts[t]
	fresh := map[string]bool{}
	err := p.each(part, func(_ int, r *row) error {
		if r.fresh {
			fresh[r.values[oneroster.SourcedID]] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	text := p.s.sql(`SELECT "sourcedId", "status" FROM ` + t.name + ` WHERE "rev" > $1`)
	err = queryAll(ctx, p.tx, text, []any{p.rev}, func(scan func(...any) error) error {
		var id, status string
		if err := scan(&id, &status); err != nil {
			return err
		}
		_, planned := part.place[hashID(id)]
		if p.modes[t.Resource] != oneroster.Absent && (planned || part.gone[id] || fresh[id]) {
			return ErrStale
		}
		if status == oneroster.ToBeDeleted {
			part.deleted = append(part.deleted, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range part.deleted {
		part.gone[id] = true
	}
	next, err := nextSeq(ctx, p.tx, t)
	if part.next > 0 {
		part.shift = next - part.next
	}
	return err
}

// apply writes what a plan does to one table.
func (c *change) apply(ctx context.Context, p *Plan, t *table) error {
	part := p.parts[t]
	indexes, err := c.withoutIndexes(ctx, t, len(part.rows))
	if err != nil {
		return err
	}
	var batch []row
	flush := func() error {
		err := c.upsert(ctx, t, batch)
		batch = batch[:0]
		return err
	}
	written := map[string]bool{} // with what others have a part in
	err = p.each(part, func(_ int, r *row) error {
		if r.fresh {
			r.seq += part.shift
		}
		for i, items := range part.derived {
			id := r.values[oneroster.SourcedID]
			if now, ok := items[id]; ok {
				r.values[i], written[id] = now, true
			}
		}
		if batch = append(batch, *r); len(batch) < 2000 {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	for _, made := range indexes {
		if err == nil {
			err = c.exec(ctx, made)
		}
	}
	if err == nil {
		err = c.retire(ctx, t, part.retired)
	}
	if err == nil {
		err = c.restate(ctx, t, part.restated)
	}
	for _, i := range t.derived {
		rest := maps.Clone(part.derived[i])
		maps.DeleteFunc(rest, func(id, _ string) bool { return written[id] })
		if err == nil {
			err = c.setDerived(ctx, t, i, rest)
		}
	}
	return err
}

// withoutIndexes takes indexes away from a table that is empty, where many rows come into
// it, and returns the statements that make them again.
func (c *change) withoutIndexes(ctx context.Context, t *table, rows int) (again []string, err error) {
	if c.d.later == "" || rows < countedAfter {
		return nil, nil
	}
	if next, err := nextSeq(ctx, c.Tx, t); err != nil || next > 1 {
		return nil, err
	}
	var names []string
	err = queryAll(ctx, c.Tx, c.d.sql(c.d.later), []any{t.Plural}, func(scan func(...any) error) error {
		var name, text string
		err := scan(&name, &text)
		names, again = append(names, name), append(again, text)
		return err
	})
	for _, name := range names {
		if err == nil {
			err = c.exec(ctx, "DROP INDEX "+quote(name))
		}
	}
	return again, err
}

// restate writes stated agents. What the records stated before is remembered for the
// journal, which keeps a record only if what is served of it changes.
func (c *change) restate(ctx context.Context, t *table, agents map[string]string) error {
	c.journal.stated = map[string]string{}
	for id, stated := range agents {
		var before string
		text := c.d.sql("SELECT " + t.statedColumn() + " FROM " + t.name + ` t WHERE "sourcedId" = $1`)
		if err := c.QueryRowContext(ctx, text, id).Scan(&before); err != nil {
			return err
		}
		c.journal.stated[id] = before
		err := c.exec(ctx, "UPDATE "+t.name+` SET "agentSourcedIds" = $1 WHERE "sourcedId" = $2`, stated, id)
		if err != nil {
			return err
		}
	}
	return nil
}
