package verify

import (
	"hash/maphash"
	"iter"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// rows is what memory holds of the rows of a list: of each attribute the numbers of its texts,
// by row. Checks read them as records; the rows as they came are put aside.
type rows struct {
	of       *oneroster.Resource
	texts    *texts // of all lists: a reference and the id that it leads to have one number
	count    int
	expected int               // what the provider counts
	columns  [][]uint32        // by field; shorter than count where the rest is absent
	members  []uint8           // how many attributes came
	at       map[uint32]uint32 // by the number of a sourcedId
}

func newRows(of *oneroster.Resource, t *texts) rows {
	return rows{of: of, texts: t, columns: make([][]uint32, len(of.Fields)), at: map[uint32]uint32{}}
}

func (r *rows) add(o wire.Object) {
	rec := o.Record(r.of)
	rec.Values[oneroster.SourcedID] = o.ID() // which need not be a good one
	for i, v := range rec.Values {
		if f := &r.of.Fields[i]; f.Derived() { // no record states it
			var ids []string
			for _, ref := range o.Refs(f.Name) {
				ids = append(ids, ref.ID)
			}
			v = oneroster.Join(ids...)
		}
		if v == "" {
			continue
		}
		if r.columns[i] == nil {
			r.columns[i] = make([]uint32, r.count, max(r.count, r.expected))
		}
		missing := r.count - len(r.columns[i])
		r.columns[i] = append(append(r.columns[i], make([]uint32, missing)...), r.texts.keep(v))
	}
	if id := o.ID(); id != "" {
		r.at[r.texts.keep(id)] = uint32(r.count)
	}
	r.members = append(r.members, uint8(min(len(o), 255)))
	r.count++
}

// find is the row of an id.
func (r *rows) find(id string) (n int, there bool) {
	number, known := r.texts.find(id)
	at, there := r.at[number]
	return int(at), known && there
}

// value is the number of the text that a row has in a field.
func (r *rows) value(n, field int) uint32 {
	if n < len(r.columns[field]) {
		return r.columns[field][n]
	}
	return 0
}

func (r *rows) text(n, field int) string { return r.texts.all[r.value(n, field)] }
func (r *rows) id(n int) string          { return r.text(n, oneroster.SourcedID) }
func (r *rows) deleted(n int) bool       { return r.text(n, oneroster.Status) == oneroster.ToBeDeleted }

// fullest is the first of the rows that have the most attributes, and the most values in lists.
func (r *rows) fullest() (at int) {
	most := -1
	for n := range r.count {
		has := int(r.members[n])
		for i, f := range r.of.Fields {
			if f.Kind.IsList() {
				has += strings.Count(r.text(n, i), oneroster.ListSep)
			}
		}
		if has > most {
			at, most = n, has
		}
	}
	return at
}

const mostKinds = 30 // of rows of a list, that are looked at one by one

// kinds are rows that each show something first, and a few between: all, where there are few. What a
// server joins, or writes in its own way, goes wrong for one kind of row. Deleted rows are among them
// where the list shows those one by one too.
func (r *rows) kinds() (out []int) {
	shows := r.fresh()
	for n := 0; n < r.count && len(out) < mostKinds; n++ {
		if !(r.deleted(n) && r.of.Gradebook) && (shows(n) || n%max(1, r.count/12) == 0) {
			out = append(out, n)
		}
	}
	return out
}

// fresh tells of row after row whether it shows what none before it did: a word of an enumeration, or
// an attribute with a value, or without one.
func (r *rows) fresh() (shows func(n int) bool) {
	seen := map[[2]uint32]bool{}
	return func(n int) (fresh bool) {
		for i, f := range r.of.Fields {
			v := r.value(n, i)
			if v != 0 && f.Kind != oneroster.Enum && f.Kind != oneroster.Bool {
				v = 1
			}
			if key := [2]uint32{uint32(i), v}; !seen[key] {
				seen[key], fresh = true, true
			}
		}
		return fresh
	}
}

// varies tells whether rows have two values of a field.
func (r *rows) varies(field int) bool {
	first := uint32(0)
	for _, number := range r.columns[field] {
		if first == 0 {
			first = number
		} else if number != 0 && number != first {
			return true
		}
	}
	return false
}

// records are the rows, each valid until the next.
func (r *rows) records() iter.Seq2[int, oneroster.Record] {
	return func(yield func(int, oneroster.Record) bool) {
		rec := oneroster.NewRecord(r.of)
		for n := range r.count {
			r.fill(rec, n)
			if !yield(n, rec) {
				return
			}
		}
	}
}

func (r *rows) record(n int) oneroster.Record {
	rec := oneroster.NewRecord(r.of)
	r.fill(rec, n)
	return rec
}

func (r *rows) fill(rec oneroster.Record, n int) {
	for i := range r.columns {
		if v := r.value(n, i); v != 0 {
			rec.Values[i] = r.texts.all[v]
		} else {
			rec.Values[i] = ""
		}
	}
}

// texts keeps each text once and gives it a number: 0 is "". Most values of a district come many
// times, as a role or the id of a class.
type texts struct {
	seed  maphash.Seed
	slots []uint32 // numbers by hash, or behind it; 0 is free. A map would take four times as much
	all   []string
	loose int // the first of those that are still pieces of memory of their own
}

func newTexts() *texts {
	return &texts{seed: maphash.MakeSeed(), slots: make([]uint32, 4096), all: []string{""}}
}

// slot is where the number of a text is, or would be.
func (t *texts) slot(text string) *uint32 {
	for i := maphash.String(t.seed, text); ; i++ {
		s := &t.slots[i%uint64(len(t.slots))]
		if *s == 0 || t.all[*s] == text {
			return s
		}
	}
}

// find is the number of a text; false when it was not kept.
func (t *texts) find(text string) (number uint32, known bool) {
	number = *t.slot(text)
	return number, number != 0 || text == ""
}

// keep is the number of a text, which is kept when it was not.
func (t *texts) keep(text string) uint32 {
	if number, known := t.find(text); known {
		return number
	}
	if len(t.all) > len(t.slots)*3/4 {
		t.slots = make([]uint32, 2*len(t.slots))
		for n, one := range t.all[1:] {
			*t.slot(one) = uint32(n + 1)
		}
	}
	number := uint32(len(t.all))
	*t.slot(text) = number
	t.all = append(t.all, text)
	if latest := t.all[t.loose:]; len(latest) == 4096 {
		joined := strings.Join(latest, "")
		for i, one := range latest {
			latest[i], joined = joined[:len(one)], joined[len(one):]
		}
		t.loose = len(t.all)
	}
	return number
}
