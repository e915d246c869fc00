package store

import (
	"context"
	"maps"
	"slices"

	"rollbook/internal/oneroster"
)

// close holds a table to closure: no record that would be active refers to one that
// the plan retires. What a record cannot be without takes it along; what it can is
// taken out of it; a list keeps what is left of it. Parents come first, so that
// what goes here is known to what comes after.
func (p *Plan) close(ctx context.Context, t *table) error {
	if !p.closed {
		return nil
	}
	c := &closing{Plan: p, table: t, part: p.parts[t], lost: map[string]*Without{}}
	for gone := -1; gone < len(c.part.gone); {
		gone = len(c.part.gone)
		if err := c.pass(ctx); err != nil {
			return err
		}
		if !t.stated {
			break // only users refer to their like: as agents, who may have gone with an org just now
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.lost)) {
		p.without = append(p.without, *c.lost[name])
	}
	if c.with > 0 {
		count := p.Counts[t.Resource]
		count.With += c.with
		p.Counts[t.Resource] = count
	}
	return nil
}

// pass goes once through the records that refer to what is gone by now.
func (c *closing) pass(ctx context.Context) error {
	if c.refs = c.references(c.table); len(c.refs) == 0 {
		return nil
	}
	ids, err := c.stored(ctx)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(ids, 500) {
		rows, err := c.storedOf(ctx, c.table, batch)
		if err != nil {
			return err
		}
		for _, id := range batch {
			if err := c.settle(ctx, rows[id], -1); err != nil {
				return err
			}
		}
	}
	return c.each(c.part, func(n int, r *row) error { return c.settle(ctx, r, n) })
}

// belonging finds the records that those of a gradebook's table may belong to, as they
// would be active.
func (p *Plan) belonging(ctx context.Context, t *table) (map[int]map[idHash]bool, error) {
	if !p.closed || !t.Gradebook {
		return nil, nil
	}
	out := map[int]map[idHash]bool{}
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Kind != oneroster.Ref || !f.Required || f.To == "category" {
			continue
		}
		to := tables[oneroster.ByName(f.To)]
		part, active := p.parts[to], map[idHash]bool{}
		text := p.s.sql(`SELECT "sourcedId" FROM ` + to.name + ` WHERE "status" = $1`)
		err := queryAll(ctx, p.tx, text, []any{oneroster.Active}, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			active[hashID(id)] = !part.gone[id]
			return err
		})
		if err == nil {
			err = p.each(part, func(_ int, r *row) error {
				active[hashID(r.values[oneroster.SourcedID])] = true
				return nil
			})
		}
		if err != nil {
			return nil, err
		}
		out[i] = active
	}
	return out, nil
}

// closing is the work on one table.
type closing struct {
	*Plan
	table *table
	part  *part
	refs  []reference
	with  int
	lost  map[string]*Without // by field
}

// A reference is a field that may refer to what is gone.
type reference struct {
	*oneroster.Field
	at   int // its position
	gone map[string]bool
}

// owner is how demographics belong to a user: by their sourcedId.
var owner = &oneroster.Field{Name: "sourcedId", Kind: oneroster.Ref, To: "user", Required: true}

// references are the fields of a table that refer to records of which some are gone.
// Children follow from parents, and so they are not among them; a category that goes
// leaves its line items to another.
func (p *Plan) references(t *table) (out []reference) {
	for i := range t.Fields {
		f := &t.Fields[i]
		if i == oneroster.SourcedID && t.Name == "demographics" {
			f = owner
		}
		if f.To == "" || f.Derived() || f.To == "category" {
			continue
		}
		if gone := p.parts[tables[oneroster.ByName(f.To)]].gone; len(gone) > 0 {
			out = append(out, reference{f, i, gone})
		}
	}
	return out
}

// stored lists the records, of those that the plan leaves as they are, that refer to
// what is gone.
func (c *closing) stored(ctx context.Context) (ids []string, err error) {
	seen := map[string]bool{}
	refers := func(id string) {
		at, planned := c.part.place[hashID(id)]
		if !seen[id] && !c.part.gone[id] && (!planned || c.part.rows[at] < 0) {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	for _, f := range c.refs {
		if f.Symmetric() { // restated is not served yet
			for _, id := range slices.Sorted(maps.Keys(c.part.restated)) {
				refers(id)
			}
		}
		for batch := range slices.Chunk(slices.Sorted(maps.Keys(f.gone)), 500) {
			st := &statement{d: c.s.dialect}
			column, where := `t."sourcedId"`, "t."+quote(f.Name)+" IN "
			switch {
			case f.Symmetric(): // each is served as the other's
				column, where = `t."agents"`, `t."sourcedId" IN `
			case f.Kind == oneroster.Refs:
				where = `t."sourcedId" IN (SELECT "owner" FROM "links" WHERE "field" = ` +
					st.arg(c.table.field(f.at)) + ` AND "target" IN `
			}
			text := "SELECT " + column + " FROM " + c.table.name + " t WHERE " + where + st.in(batch)
			if f.Kind == oneroster.Refs && !f.Symmetric() {
				text += ")"
			}
			err := queryAll(ctx, c.tx, text, st.args, func(scan func(...any) error) error {
				var found string
				if err := scan(&found); err != nil {
					return err
				}
				for _, id := range oneroster.Items(found) {
					refers(id)
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

// settle decides what becomes of a record: n is its index among the rows to be written,
// -1 where it is stored and left as it is.
func (c *closing) settle(ctx context.Context, r *row, n int) error {
	if r == nil || !r.active() {
		return nil
	}
	id, changed, kept := r.values[oneroster.SourcedID], false, r.stated
	if stated, ok := c.part.restated[id]; ok {
		kept = stated
	}
	stated := kept
	for _, f := range c.refs {
		of := r.values[f.at]
		if f.Symmetric() {
			of = stated
		}
		items := oneroster.Items(of)
		left := slices.DeleteFunc(slices.Clone(items), func(id string) bool { return f.gone[id] })
		switch {
		case len(left) == len(items):
		case f.Symmetric():
			stated = oneroster.Join(left...)
		case f.Required && len(left) == 0:
			if f.Kind == oneroster.Refs && c.table.Name != "classGroup" {
				c.lose(f.Name, id)
			}
			return c.retireWith(ctx, r, n)
		default:
			r.values[f.at], r.hash, changed = oneroster.Join(left...), "", true
		}
	}
	switch {
	case stated == kept && !changed:
		return nil
	case n < 0 && !changed:
		if c.part.restated[id] = stated; stated == r.stated {
			delete(c.part.restated, id)
		}
		return nil
	}
	r.stated = stated
	for _, i := range c.table.derived {
		r.values[i] = "" // derive fills it in
	}
	if n < 0 {
		return c.write(c.part, r)
	}
	at, err := c.put(r)
	c.part.rows[n] = at
	return err
}

func (c *closing) lose(field, id string) {
	if c.lost[field] == nil {
		c.lost[field] = &Without{Resource: c.table.Resource, Field: field}
	}
	c.lost[field].IDs = append(c.lost[field].IDs, id)
}

// retireWith retires a record with what it belongs to; one that was only to come does
// not.
func (c *closing) retireWith(ctx context.Context, r *row, n int) error {
	id := r.values[oneroster.SourcedID]
	c.with++
	if n >= 0 {
		c.part.rows[n] = -1
		c.part.gone[id] = true
		old, err := c.storedOf(ctx, c.table, []string{id})
		if err != nil || old[id] == nil || !old[id].active() {
			return err
		}
	}
	c.part.retire(id)
	return nil
}
