package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"rollbook/internal/aside"
	"rollbook/internal/oneroster"
)

// Counts of what a plan does to the records that the source states. Others may
// change with them: a parent's children, the other side of an agent.
type Counts struct {
	Added, Changed, Same, Retired int
	With                          int // retired with what they belong to
}

// Without are records that have nothing left in a Field that they need, since all
// that it refers to is deleted: they are retired with it. It is an alias so that who
// judges it need not import this package.
type Without = struct {
	Resource *oneroster.Resource
	Field    string
	IDs      []string // their sourcedIds
}

// A Plan is what a source would change of a district, found against one state of it
// and not yet done. What is to be written is put aside on disk.
type Plan struct {
	// Counts are by the resources that the source carries, and those that lose records
	// with them.
	Counts map[*oneroster.Resource]Counts

	s        *Store
	tx       *sql.Tx // the state that it is found against, or the change that it is done by
	rev      int64   // of that state
	closed   bool
	modes    map[*oneroster.Resource]oneroster.Mode
	parts    map[*table]*part
	aside    aside.File
	without  []Without // in the order of resources
	imported map[*oneroster.Resource]int
	stamp    string // what stands for the time of what would be written
}

// A part is what a plan does to one table.
type part struct {
	rows     []int64                   // where the rows to be written lie aside; -1 is none
	place    map[idHash]int            // of those that are stored already, in rows
	retired  []string                  // in the order in which that was found
	gone     map[string]bool           // the same, and what only was to come
	restated map[string]string         // records of which stated agents alone differ, with those
	derived  map[int]map[string]string // by the position of a field, what records get of others in it
	stored   aside.File                // the rows of the table as they are stored, where read is true
	read     bool

	next, shift int64    // seq of the first new row, and how far others have moved it since
	deleted     []string // by clients since the plan was found
}

func newPart() *part {
	return &part{place: map[idHash]int{}, gone: map[string]bool{}, restated: map[string]string{}}
}

func (p *part) empty() bool {
	return len(p.retired)+len(p.restated) == 0 &&
		!slices.ContainsFunc(p.rows, func(at int64) bool { return at >= 0 })
}

// retire adds a record to those that are retired.
func (p *part) retire(id string) {
	delete(p.restated, id)
	p.gone[id] = true
	p.retired = append(p.retired, id)
}

// Plan finds what a source would change, and lets judge look at it, against one state
// of the district; writers and readers are not kept waiting. The plan is to be closed,
// also where judge fails.
func (s *Store) Plan(ctx context.Context, src oneroster.Source, opt ImportOptions,
	judge func(*Plan) error) (*Plan, error) {
	return s.plan(ctx, opt, judge, func(p *Plan) error {
		p.modes = src.Modes()
		return (&planner{Plan: p, ctx: ctx, progress: opt.Progress}).run(src)
	})
}

func (s *Store) plan(ctx context.Context, opt ImportOptions, judge func(*Plan) error,
	find func(*Plan) error) (p *Plan, err error) {
	p = &Plan{Counts: map[*oneroster.Resource]Counts{}, s: s, closed: opt.Closed,
		modes: map[*oneroster.Resource]oneroster.Mode{}, parts: map[*table]*part{},
		imported: map[*oneroster.Resource]int{}, stamp: oneroster.FormatTime(s.now())}
	for _, t := range tables {
		p.parts[t] = newPart()
	}
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		p.tx = tx
		defer func() {
			p.tx = nil
			for _, part := range p.parts {
				_ = part.stored.Close()
				part.stored, part.read = aside.File{}, false
			}
		}()
		if err := tx.QueryRowContext(ctx,
			`SELECT "rev" FROM "clock" WHERE "id" = 1`).Scan(&p.rev); err != nil {
			return err
		}
		if err := find(p); err != nil {
			return err
		}
		for _, t := range tables {
			if err := p.derive(ctx, t); err != nil {
				return err
			}
		}
		if judge == nil {
			return nil
		}
		if err := p.count(ctx); err != nil {
			return err
		}
		return judge(p)
	})
	return p, err
}

// Close forgets the plan.
func (p *Plan) Close() error { return p.aside.Close() }

// Empty tells whether there is nothing to do.
func (p *Plan) Empty() bool {
	for _, part := range p.parts {
		if !part.empty() {
			return false
		}
	}
	return true
}

// Imported is how many active records of a resource earlier imports brought; for a
// judge.
func (p *Plan) Imported(r *oneroster.Resource) int { return p.imported[r] }

// Without are the records that are retired because nothing is left in a list that
// they need.
func (p *Plan) Without() []Without { return p.without }

// count finds what Imported tells where the source had no need to.
func (p *Plan) count(ctx context.Context) error {
	for r, t := range tables {
		if _, known := p.imported[r]; known {
			continue
		}
		var n int
		text := p.s.sql("SELECT COUNT(*) FROM " + t.name + ` WHERE "status" = $1 AND "imported" = 1`)
		if err := p.tx.QueryRowContext(ctx, text, oneroster.Active).Scan(&n); err != nil {
			return err
		}
		p.imported[r] = n
	}
	return nil
}

// Before yields the active records of a resource as readers are served them now, but for
// dateLastModified, in place of which one time stands; each is valid during the call only.
// Only a judge may call it, and After and Differences.
func (p *Plan) Before(ctx context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	return p.asStored(ctx, tables[r], func(row *row) error {
		if !row.active() {
			return nil
		}
		return yield(oneroster.Record{Resource: r, Values: row.values})
	})
}

// asStored yields the rows of a table, deleted ones too, in the order of the list, each valid
// during the call only. They are read of the database once, which costs several times as
// much as what was put aside.
func (p *Plan) asStored(ctx context.Context, t *table, yield func(*row) error) error {
	part := p.parts[t]
	if !part.read {
		if err := p.readStored(ctx, t, part); err != nil {
			return err
		}
		part.read = true
	}
	r := &row{}
	for at := int64(0); at < part.stored.End(); {
		raw, next, err := part.stored.Get(at)
		if err == nil {
			err = unpackRow(raw, r)
		}
		if err != nil {
			return err
		}
		at, r.values[oneroster.Modified] = next, p.stamp
		if err := yield(r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *Plan) readStored(ctx context.Context, t *table, part *part) error {
	r, imported := &row{}, 0
	values, into := t.scanner()
	into = append([]any{&imported, &r.hash, &r.stated}, into...)
	text := `SELECT t."imported", t."hash", ` + t.statedColumn() + ", " + t.unstamped + " FROM " + t.name +
		` t ORDER BY t."seq"`
	return queryAll(ctx, p.tx, text, nil, func(scan func(...any) error) error {
		if err := scan(into...); err != nil {
			return err
		}
		r.imported, r.values = imported == 1, values
		_, err := putAside(&part.stored, r)
		return err
	})
}

// After yields the active records of a resource as readers would be served them, as Before
// does.
func (p *Plan) After(ctx context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	part := p.parts[tables[r]]
	return p.after(ctx, tables[r], func(values []string, _ string) error {
		for i, items := range part.derived {
			if now, ok := items[values[oneroster.SourcedID]]; ok {
				values[i] = now
			}
		}
		return yield(oneroster.Record{Resource: r, Values: values})
	})
}

// after yields the rows that would be active, in the order of the list, with what others
// have a part in as it is before that is derived.
func (p *Plan) after(ctx context.Context, t *table, yield func(values []string, stated string) error) error {
	part, next := p.parts[t], &row{}
	err := p.asStored(ctx, t, func(r *row) error {
		id := r.values[oneroster.SourcedID]
		if now, ok := part.restated[id]; ok {
			r.stated = now
		}
		at, planned := -1, false
		if len(part.place) > 0 {
			at, planned = part.place[hashID(id)]
		}
		switch {
		case part.gone[id]:
		case planned && part.rows[at] >= 0:
			if err := p.planned(part.rows[at], next); err != nil {
				return err
			}
			return yield(next.values, next.stated)
		case r.active():
			return yield(r.values, r.stated)
		}
		return nil
	})
	for _, at := range part.rows {
		if err == nil && at >= 0 {
			err = p.planned(at, next)
		}
		if err == nil && at >= 0 && next.fresh {
			err = yield(next.values, next.stated)
		}
	}
	return err
}

// each yields the rows that are to be written, with their index; what is yielded is its own
// to keep.
func (p *Plan) each(part *part, yield func(n int, r *row) error) error {
	for n, at := range part.rows {
		if at < 0 {
			continue
		}
		r := &row{values: make([]string, 0, 24)}
		err := p.planned(at, r)
		if err == nil {
			err = yield(n, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Differences yields every record that would differ in what a source states, resource
// by resource: before is the zero Record where readers are served none, after where
// they would be served none. Derived fields are empty in both where only others move
// them. Records are valid during the call only.
func (p *Plan) Differences(ctx context.Context, yield func(before, after oneroster.Record) error) error {
	for _, r := range oneroster.Resources() {
		if err := p.differences(ctx, tables[r], yield); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) differences(ctx context.Context, t *table,
	yield func(before, after oneroster.Record) error) error {
	part := p.parts[t]
	var batch []*row
	flush := func() error {
		var ids []string
		for _, r := range batch {
			if !r.fresh {
				ids = append(ids, r.values[oneroster.SourcedID])
			}
		}
		before, err := p.storedOf(ctx, t, ids)
		if err != nil {
			return err
		}
		for _, r := range batch {
			was, now := oneroster.Record{}, oneroster.Record{Resource: t.Resource, Values: r.values}
			if old := before[r.values[oneroster.SourcedID]]; old != nil && old.active() {
				for _, i := range t.derived {
					if r.values[i] = ""; t.Fields[i].Symmetric() {
						old.values[i], r.values[i] = old.stated, r.stated
					} else {
						old.values[i] = ""
					}
				}
				was = oneroster.Record{Resource: t.Resource, Values: old.values}
			}
			if err := yield(was, now); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	err := p.each(part, func(_ int, r *row) error {
		batch = append(batch, r)
		if len(batch) < 500 {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return err
	}
	if err := p.restatements(ctx, t, yield); err != nil {
		return err
	}
	for ids := range slices.Chunk(part.retired, 500) {
		before, err := p.storedOf(ctx, t, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := yield(oneroster.Record{Resource: t.Resource, Values: before[id].values},
				oneroster.Record{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// restatements yields the records of which stated agents alone differ.
func (p *Plan) restatements(ctx context.Context, t *table,
	yield func(before, after oneroster.Record) error) error {
	part := p.parts[t]
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(part.restated)), 500) {
		before, err := p.storedOf(ctx, t, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			old := before[id]
			values := slices.Clone(old.values)
			for _, i := range t.derived {
				if values[i], old.values[i] = "", ""; t.Fields[i].Symmetric() {
					values[i], old.values[i] = part.restated[id], old.stated
				}
			}
			if err := yield(oneroster.Record{Resource: t.Resource, Values: old.values},
				oneroster.Record{Resource: t.Resource, Values: values}); err != nil {
				return err
			}
		}
	}
	return nil
}

// storedOf reads rows as they are stored, deleted ones too.
func (p *Plan) storedOf(ctx context.Context, t *table, ids []string) (map[string]*row, error) {
	return storedOf(ctx, p.tx, p.s.dialect, t, ids)
}

func storedOf(ctx context.Context, tx *sql.Tx, d *dialect, t *table, ids []string) (map[string]*row, error) {
	out := map[string]*row{}
	for batch := range slices.Chunk(ids, 500) {
		st := &statement{d: d}
		text := `SELECT t."seq", t."rev", t."imported", t."hash", ` + t.statedColumn() + ", " + t.selects +
			" FROM " +
			t.name + ` t WHERE t."sourcedId" IN ` + st.in(batch)
		rows, err := tx.QueryContext(ctx, text, st.args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			r, imported := &row{}, 0
			values, into := t.scanner()
			if err := rows.Scan(append([]any{&r.seq, &r.rev, &imported, &r.hash, &r.stated},
				into...)...); err != nil {
				return nil, err
			}
			r.values, r.imported = values, imported == 1
			out[values[oneroster.SourcedID]] = r
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
