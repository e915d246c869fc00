package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
)

// A planner reads a source and compares it, resource by resource, with what is stored;
// at any time it holds what is stored of the current one.
type planner struct {
	*Plan
	ctx      context.Context
	progress func(int)
	read     int
	next     int // index of the next resource of oneroster.Resources to begin

	table  *table // the current one; nil before the first
	part   *part
	stored map[idHash]*known
	kept   map[int]map[string]string
	values []string // of the current record
	seq    int64
	count  Counts
	// active are the records that those of the gradebook may belong to, by the position of
	// the field; nil where nobody asks.
	active map[int]map[idHash]bool
}

type idHash [16]byte

// known is what a plan needs to know of a stored row.
type known struct {
	hash     string
	stated   [8]byte // of agentSourcedIds
	active   bool
	imported bool
	seen     bool
}

func hashID(id string) idHash {
	sum := sha256.Sum256([]byte(id))
	return idHash(sum[:16])
}

func hashStated(stated string) [8]byte {
	if stated == "" {
		return [8]byte{}
	}
	sum := sha256.Sum256([]byte(stated))
	return [8]byte(sum[:8])
}

func (in *planner) run(src oneroster.Source) error {
	err := src.Records(in.ctx, func(r oneroster.Row) error {
		if len(r.Wrong) > 0 {
			return fmt.Errorf("%s:%d was not checked: %s", r.File, r.Line, r.Wrong[0].Text)
		}
		if err := in.advance(r.Resource); err != nil {
			return err
		}
		if in.read++; in.progress != nil && in.read%1000 == 0 {
			in.progress(in.read)
		}
		return in.take(r)
	})
	if err != nil {
		return err
	}
	return in.advance(nil)
}

// advance ends the current resource and those that the source says nothing of,
// up to r; nil is the end.
func (in *planner) advance(r *oneroster.Resource) error {
	if in.table != nil && in.table.Resource == r {
		return nil
	}
	if err := in.finish(); err != nil {
		return err
	}
	all := oneroster.Resources()
	for in.next < len(all) {
		resource := all[in.next]
		in.next++
		if in.modes[resource] == oneroster.Absent {
			if err := in.close(in.ctx, tables[resource]); err != nil {
				return err
			}
			continue
		}
		if err := in.begin(resource); err != nil {
			return err
		}
		if resource == r {
			return nil
		}
		if err := in.finish(); err != nil {
			return err
		}
	}
	if r != nil {
		return &orderError{r.Plural}
	}
	return nil
}

// orderError is a mistake of the source, not of a district's files.
type orderError struct{ resource string }

func (e *orderError) Error() string {
	return "import: records of " + e.resource + " come out of order, or the source does not carry them"
}

func (in *planner) begin(r *oneroster.Resource) error {
	t := tables[r]
	in.table, in.part, in.stored, in.kept, in.count = t, in.parts[t], map[idHash]*known{}, nil, Counts{}
	imported := 0
	err := in.asStored(in.ctx, t, func(r *row) error {
		k := &known{hash: strings.Clone(r.hash), active: r.active(), imported: r.imported,
			stated: hashStated(r.stated)}
		if k.active && k.imported {
			imported++
		}
		in.stored[hashID(r.values[oneroster.SourcedID])] = k
		return nil
	})
	if err != nil {
		return err
	}
	in.imported[r] = imported
	if in.active, err = in.belonging(in.ctx, t); err != nil {
		return err
	}
	in.seq, err = nextSeq(in.ctx, in.tx, t)
	in.part.next = in.seq
	return err
}

// take compares one record with what is stored and puts it aside when it differs.
func (in *planner) take(r oneroster.Row) error {
	t := in.table
	old := in.stored[hashID(r.ID())]
	if old != nil {
		old.seen = true
	}
	if r.Skip {
		return nil
	}
	if r.Values[oneroster.Status] == oneroster.ToBeDeleted {
		in.remove(r, old)
		return nil
	}
	for i, active := range in.active {
		if id := r.Values[i]; id != "" && !active[hashID(id)] {
			in.leaveOut(r, old)
			return nil
		}
	}
	in.values = append(in.values[:0], r.Values...)
	values := in.values
	values[oneroster.Status] = oneroster.Active
	oneroster.Complete(oneroster.Record{Resource: t.Resource, Values: values})
	if old != nil {
		if err := in.keep(values, r.Keep); err != nil {
			return err
		}
	}
	for _, e := range r.Edits {
		values[e.Field] = e.Apply(values[e.Field])
	}
	next := row{values: values, imported: true, fresh: old == nil}
	for _, i := range t.derived {
		if t.Fields[i].Symmetric() {
			next.stated = values[i]
		}
		values[i] = "" // derive fills it in
	}
	next.hash = t.contentHash(values)
	switch {
	case old == nil:
		next.seq = in.seq
		in.seq++
		in.count.Added++
		in.stored[hashID(r.ID())] = &known{active: true, imported: true, seen: true}
	case old.hash != next.hash || !old.active:
		in.count.Changed++
	default:
		in.count.Same++
		if t.stated && old.stated != hashStated(next.stated) {
			in.part.restated[r.ID()] = next.stated
		}
		return nil
	}
	return in.write(in.part, &next)
}

// leaveOut takes a record of the gradebook for what goes with a class, a pupil or a line
// item that has left, in this plan or before.
func (in *planner) leaveOut(r oneroster.Row, old *known) {
	in.count.With++
	if old != nil && old.active {
		old.active = false
		in.part.retire(r.ID())
	}
}

// write puts a row aside that is to be written; one for the same record before it is
// forgotten.
func (p *Plan) write(part *part, r *row) error {
	at, err := p.put(r)
	if err != nil {
		return err
	}
	if !r.fresh {
		delete(part.restated, r.values[oneroster.SourcedID])
		id := hashID(r.values[oneroster.SourcedID])
		if before, ok := part.place[id]; ok {
			part.rows[before] = at
			return nil
		}
		part.place[id] = len(part.rows)
	}
	part.rows = append(part.rows, at)
	return nil
}

// remove handles a record that is to be deleted. One that was never stored has nobody
// to be told.
func (in *planner) remove(r oneroster.Row, old *known) {
	if old == nil || !old.active {
		in.count.Same++
		return
	}
	old.active = false
	in.count.Retired++
	in.part.retire(r.ID())
}

// keep fills in the fields that the source says nothing of.
func (in *planner) keep(values []string, positions []int) error {
	for _, i := range positions {
		if in.kept[i] == nil {
			if in.kept == nil {
				in.kept = map[int]map[string]string{}
			}
			in.kept[i] = map[string]string{}
			col := quote(in.table.Fields[i].Name)
			text := `SELECT "sourcedId", ` + col + " FROM " + in.table.name + " WHERE " + col + " <> ''"
			err := queryAll(in.ctx, in.tx, text, nil, func(scan func(...any) error) error {
				var id, v string
				err := scan(&id, &v)
				in.kept[i][id] = v
				return err
			})
			if err != nil {
				return err
			}
		}
		values[i] = in.kept[i][values[oneroster.SourcedID]]
	}
	return nil
}

// finish ends the current resource: what a bulk source lacks is retired, and what
// cannot be without what is gone goes with it.
func (in *planner) finish() error {
	t := in.table
	if t == nil {
		return nil
	}
	if in.modes[t.Resource] == oneroster.Bulk {
		if err := in.sweep(); err != nil {
			return err
		}
	}
	in.Counts[t.Resource] = in.count // what goes with others is added
	in.table, in.stored, in.kept = nil, nil, nil
	return in.close(in.ctx, t)
}

// sweep retires the active rows of earlier imports that were not seen.
func (in *planner) sweep() error {
	gone := func(k *known) bool { return !k.seen && k.active && k.imported }
	some := false
	for _, k := range in.stored {
		some = some || gone(k)
	}
	if !some {
		return nil
	}
	text := `SELECT "sourcedId" FROM ` + in.table.name
	return queryAll(in.ctx, in.tx, text, nil, func(scan func(...any) error) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		if gone(in.stored[hashID(id)]) {
			in.count.Retired++
			in.part.retire(id)
		}
		return nil
	})
}
