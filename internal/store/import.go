package store

import (
	"context"
	"crypto/sha256"
	"errors"

	"rollbook/internal/oneroster"
)

// Counts of what an import did to the records that the source states. Others may
// change with them: a parent's children, the other side of an agent.
type Counts struct {
	Added, Changed, Same, Retired int
}

// A Report tells what an import did.
type Report struct {
	Counts map[*oneroster.Resource]Counts
	Stamp  string // the dateLastModified of all that changed; "" when nothing did
	// Fields are those that records which stay lose, get or have another value of.
	Fields map[*oneroster.Resource][]FieldChange
}

// ImportOptions of an import.
type ImportOptions struct {
	// Progress, when set, is called now and then with the number of records read.
	Progress func(records int)
	// Shrink is how many in a hundred of the active records of a resource a bulk
	// file may retire; 0 is any number.
	Shrink int
	// Closed refuses an import that would leave an active record without one that
	// it needs.
	Closed bool
	// Plan only tells what the import would do, and does nothing.
	Plan bool
}

// Import publishes a source in one transaction: readers see the district before
// it or after it, and are not kept waiting. A record is written only where what
// the source states differs from what is stored, so that the rest keeps its
// dateLastModified. Of a Bulk resource, records that an earlier import brought
// and this one lacks become tobedeleted; what came by PUT stays.
func (s *Store) Import(ctx context.Context, src oneroster.Source, opt ImportOptions) (Report, error) {
	var report Report
	stamp, err := s.write(ctx, func(c *change) error {
		in := &importer{change: c, ctx: ctx, modes: src.Modes(), progress: opt.Progress, shrink: opt.Shrink,
			closed: opt.Closed,
			counts: map[*oneroster.Resource]Counts{}}
		if err := in.run(src); err != nil {
			return err
		}
		report.Counts = in.counts
		var err error
		if report.Fields, err = c.fieldChanges(ctx); err == nil && (opt.Plan || len(c.touched) == 0) {
			err = errUnchanged
		}
		return err
	})
	report.Stamp = stamp
	return report, err
}

// importer works through the resources in order; at any time it holds what is
// stored of the current one.
type importer struct {
	*change
	ctx      context.Context
	modes    map[*oneroster.Resource]oneroster.Mode
	progress func(int)
	shrink   int
	closed   bool
	shrunk   []error // what would retire too much
	told     int     // records of the current resource that the source calls tobedeleted
	counts   map[*oneroster.Resource]Counts
	read     int
	next     int // index of the next resource of oneroster.Resources to begin

	table  *table // the current one; nil before the first
	stored map[idHash]*known
	kept   map[int]map[string]string
	seq    int64
	batch  []row
	count  Counts
	// restated are records whose served content is the same but whose stated
	// agents differ, by sourcedId: written without moving their time.
	restated [][2]string
}

type idHash [16]byte

// known is what an import needs to know of a stored row.
type known struct {
	hash     string
	stated   [8]byte // of agentSourcedIds
	active   bool
	imported bool
	before   bool // an earlier import brought it, and it was active when this one began
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

func (in *importer) run(src oneroster.Source) error {
	err := src.Records(in.ctx, func(r oneroster.Row) error {
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
	if err := in.advance(nil); err != nil {
		return err
	}
	if len(in.shrunk) > 0 {
		return errors.Join(in.shrunk...)
	}
	if !in.closed {
		return nil
	}
	return in.close(in.ctx)
}

// advance ends the current resource and those that the source says nothing of,
// up to r; nil is the end.
func (in *importer) advance(r *oneroster.Resource) error {
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

func (in *importer) begin(r *oneroster.Resource) error {
	t := tables[r]
	in.told = 0
	in.table, in.stored, in.kept, in.count = t, map[idHash]*known{}, nil, Counts{}
	stated := "''"
	if t.stated {
		stated = `"agentSourcedIds"`
	}
	err := queryAll(in.ctx, in.Tx, `SELECT "sourcedId", "status", "hash", "imported", `+stated+" FROM "+
		t.name, nil, func(scan func(...any) error) error {
		var id, status, agents string
		var imported int
		row := &known{}
		if err := scan(&id, &status, &row.hash, &imported, &agents); err != nil {
			return err
		}
		row.active, row.imported, row.stated = status == oneroster.Active, imported == 1, hashStated(agents)
		row.before = row.active && row.imported
		in.stored[hashID(id)] = row
		return nil
	})
	if err != nil {
		return err
	}
	in.seq, err = in.nextSeq(in.ctx, t)
	return err
}

// take compares one record with what is stored and queues it when it differs.
func (in *importer) take(r oneroster.Row) error {
	t := in.table
	old := in.stored[hashID(r.ID())]
	if old != nil {
		old.seen = true
	}
	if r.Skip {
		return nil
	}
	if r.Values[oneroster.Status] == oneroster.ToBeDeleted {
		return in.remove(r, old)
	}
	values := append([]string(nil), r.Values...)
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
			in.restated = append(in.restated, [2]string{r.ID(), next.stated})
		}
		return nil
	}
	in.batch = append(in.batch, next)
	if len(in.batch) >= 2000 {
		return in.flush()
	}
	return nil
}

// remove handles a delta's record that is to be deleted. One that was never
// stored has nobody to be told.
func (in *importer) remove(r oneroster.Row, old *known) error {
	if old == nil || !old.active {
		in.count.Same++
		return nil
	}
	old.active = false
	in.count.Retired++
	in.told++
	return in.retire(in.ctx, in.table, []string{r.ID()})
}

// keep fills in the fields that the source says nothing of.
func (in *importer) keep(values []string, positions []int) error {
	for _, i := range positions {
		if in.kept[i] == nil {
			if in.kept == nil {
				in.kept = map[int]map[string]string{}
			}
			in.kept[i] = map[string]string{}
			col := quote(in.table.Fields[i].Name)
			err := queryAll(in.ctx, in.Tx, `SELECT "sourcedId", `+col+" FROM "+in.table.name+" WHERE "+
				col+" <> ''", nil, func(scan func(...any) error) error {
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

func (in *importer) flush() error {
	rows := in.batch
	in.batch = in.batch[:0]
	return in.upsert(in.ctx, in.table, rows)
}

// finish ends the current resource: what a bulk source lacks is retired, and
// what records say of each other is brought up to date.
func (in *importer) finish() error {
	t := in.table
	if t == nil {
		return nil
	}
	if err := in.flush(); err != nil {
		return err
	}
	if in.modes[t.Resource] == oneroster.Bulk {
		if err := in.sweep(); err != nil {
			return err
		}
	}
	for _, r := range in.restated {
		if err := in.exec(in.ctx, "UPDATE "+t.name+` SET "agentSourcedIds" = $1 WHERE "sourcedId" = $2`,
			r[1], r[0]); err != nil {
			return err
		}
	}
	if in.touched[t] || len(in.restated) > 0 {
		for _, i := range t.derived {
			if err := in.derive(in.ctx, t, i); err != nil {
				return err
			}
		}
	}
	in.counts[t.Resource] = in.count
	in.table, in.stored, in.kept, in.restated = nil, nil, nil, nil
	return nil
}

// sweep retires the active rows of earlier imports that were not seen.
func (in *importer) sweep() error {
	gone, active := 0, 0
	for _, k := range in.stored {
		if k.before {
			active++
		}
		if !k.seen && k.active && k.imported {
			gone++
		}
	}
	if err := in.shrinks(active, gone+in.told); err != nil {
		in.shrunk = append(in.shrunk, err)
	}
	if gone == 0 {
		return nil
	}
	ids := make([]string, 0, gone)
	err := queryAll(in.ctx, in.Tx, `SELECT "sourcedId" FROM `+in.table.name, nil,
		func(scan func(...any) error) error {
			var id string
			if err := scan(&id); err != nil {
				return err
			}
			if k := in.stored[hashID(id)]; k != nil && !k.seen && k.active && k.imported {
				ids = append(ids, id)
			}
			return nil
		})
	if err != nil {
		return err
	}
	in.count.Retired += len(ids)
	return in.retire(in.ctx, in.table, ids)
}
