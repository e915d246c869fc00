package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// words meet the traps of comparison: case, accents, quotes, wildcards of LIKE,
// list separators, order of bytes against order of letters.
var words = []string{"a", "A", "b", "B", "ab", "aB", "Ä", "ä", "z", "Z", "_", "%", "a%b", "a_b", "O'Brien",
	"o'brien", "x AND y", "1", "10", "9", "é", "李", "a,b", "-", "~", "\\"}

// random makes a record of any resource with values that are canonical.
func random(rng *rand.Rand, r *oneroster.Resource, id string) oneroster.Record {
	rec := oneroster.NewRecord(r)
	for i := range r.Fields {
		f := &r.Fields[i]
		if rng.IntN(4) == 0 || i == oneroster.Modified || f.Derived() || f.Symmetric() {
			continue
		}
		rec.Values[i] = value(rng, f)
	}
	rec.Values[oneroster.SourcedID] = id
	rec.Values[oneroster.Status] = oneroster.Active
	oneroster.Complete(rec)
	return rec
}

func randoms(rng *rand.Rand, r *oneroster.Resource, n int) (out []oneroster.Record) {
	for i := range n {
		out = append(out, random(rng, r, fmt.Sprintf("%s%d", words[i%4], i)))
	}
	return out
}

func value(rng *rand.Rand, f *oneroster.Field) string {
	word := func() string { return words[rng.IntN(len(words))] }
	switch f.Kind {
	case oneroster.Bool:
		return []string{"true", "false"}[rng.IntN(2)]
	case oneroster.Number:
		return oneroster.FormatNumber(float64(rng.IntN(40)-10) / 4)
	case oneroster.Date:
		return fmt.Sprintf("2026-%02d-%02d", 1+rng.IntN(12), 1+rng.IntN(28))
	case oneroster.Time:
		return fmt.Sprintf("2026-%02d-01T10:00:00.%03dZ", 1+rng.IntN(12), rng.IntN(3))
	case oneroster.UserIDs:
		return oneroster.Join(word()+oneroster.PartSep+word(), word()+oneroster.PartSep+word())
	case oneroster.Metadata:
		return oneroster.MetadataOf(map[string]any{"k": word(), "deep": map[string]any{"n": rng.IntN(3)}})
	case oneroster.Strings, oneroster.Refs:
		if len(f.Enum) > 0 {
			return oneroster.Join(f.Enum[rng.IntN(len(f.Enum))])
		}
		return oneroster.Join(word(), word())
	}
	if len(f.Enum) > 0 {
		return f.Enum[rng.IntN(len(f.Enum))]
	}
	return word()
}

// condition makes a filter text.
func condition(rng *rand.Rand, r *oneroster.Resource) string {
	f := &r.Fields[rng.IntN(len(r.Fields))]
	name, v := f.Name, strings.ReplaceAll(value(rng, f), oneroster.ListSep, ",")
	predicate := []string{"=", "!=", ">", ">=", "<", "<=", "~"}[rng.IntN(7)]
	switch f.Kind {
	case oneroster.Metadata:
		name, v = []string{"metadata.k", "metadata.deep.n", "metadata.none"}[rng.IntN(3)],
			words[rng.IntN(len(words))]
	case oneroster.UserIDs:
		name, v = []string{"userIds.identifier", "userIds.type", "userIds"}[rng.IntN(3)],
			words[rng.IntN(len(words))]
	}
	if f.Kind.IsList() {
		predicate = []string{"=", "!=", "~"}[rng.IntN(3)]
	}
	if f.Kind == oneroster.Number && predicate == "~" {
		predicate = "="
	}
	if rng.IntN(12) == 0 {
		v = ""
	}
	return name + predicate + "'" + strings.ReplaceAll(v, "'", "''") + "'"
}

// SQLite and PostgreSQL answer random queries over random records as
// query.Select does.
func TestEnginesAnswerAsTheOracle(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		rng := rand.New(rand.NewPCG(7, 11))
		s := storetest.Open(t, dsn, store.Options{})
		for _, op := range []string{"getAllUsers", "getAllEnrollments", "getAllLineItems", "getAllResults",
			"getAllClasses", "getAllOrgs"} {
			r := route(op).Resource
			// Two imports, so that there are two times to tell apart.
			var rows []oneroster.Record
			for i := range 60 {
				rows = append(rows, random(rng, r, fmt.Sprintf("%s%d", words[i%4], i)))
				if i == 30 || i == 59 {
					if _, err := s.Import(context.Background(), bulk(rows...),
						store.ImportOptions{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			all, _ := list(t, s, store.Selection{Route: route(op)})
			for n := range storetest.Tries(400) {
				text := condition(rng, r)
				for rng.IntN(2) == 0 {
					text += []string{" AND ", " OR "}[rng.IntN(2)] + condition(rng, r)
				}
				f, err := query.ParseFilter(r, text)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				q := query.Query{Filter: f, Limit: 1 + rng.IntN(20), Offset: rng.IntN(30), Desc: n%2 == 0}
				if sorted := &r.Fields[rng.IntN(len(r.Fields)-1)]; n%3 == 0 &&
					sorted.Kind != oneroster.Metadata {
					q.Sort = sorted
				}
				got, total := list(t, s, store.Selection{Route: route(op), Query: q})
				want, wantTotal := query.Select(q, all)
				if total != wantTotal || strings.Join(idsOf(got), " ") != strings.Join(idsOf(want), " ") {
					t.Fatalf("%s %s\n%s\ngot  %d %v\nwant %d %v", op, text, f, total, idsOf(got), wantTotal,
						idsOf(want))
				}
			}
		}
	})
}

func idsOf(recs []oneroster.Record) []string {
	out := []string{}
	for _, r := range recs {
		out = append(out, r.ID())
	}
	return out
}

// A reader who only ever asks for what is later than the latest time it has
// seen holds, after every step, what a full pull gives; and what did not change
// keeps its time.
func TestDeltaIsTheDifference(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		rng := rand.New(rand.NewPCG(3, 5))
		// a clock that stands still
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time {
			return time.Date(2026, 1, 1, 0, 0, 0, 0,
				time.UTC)
		}})
		d := newDistrict(rng)
		mirror := map[string][]string{}
		latest := map[string]string{}
		steps := 120
		if testing.Short() {
			steps = 40 // enough to try what is refused
		}
		for step := range steps {
			d.step(t, s)
			for _, op := range []string{"getAllOrgs", "getAllUsers", "getAllClasses", "getAllEnrollments",
				"getAllCategories", "getAllLineItems", "getAllResults"} {
				r := route(op).Resource
				f, err := query.ParseFilter(r, "dateLastModified>'"+max(latest[op],
					"2000-01-01T00:00:00.000Z")+"'")
				if err != nil {
					t.Fatal(err)
				}
				delta, _ := list(t, s, store.Selection{Route: route(op), Query: query.Query{Filter: f}})
				for _, rec := range delta {
					key := op + "/" + rec.ID()
					if before := mirror[key]; before != nil && sameButTime(before, rec.Values) {
						t.Fatalf("step %d: %s moved its time and nothing else", step, key)
					}
					mirror[key] = rec.Values
					latest[op] = max(latest[op], rec.Get("dateLastModified"))
				}
				f, _ = query.ParseFilter(r, "status='active' OR status='tobedeleted'")
				full, _ := list(t, s, store.Selection{Route: route(op), Query: query.Query{Filter: f}})
				for _, rec := range full {
					if got := mirror[op+"/"+rec.ID()]; !reflect.DeepEqual(got, rec.Values) {
						t.Fatalf("step %d: %s\nthe reader has %q\nthe district  %q", step, op+"/"+rec.ID(),
							got, rec.Values)
					}
				}
			}
		}
		if d.refused == 0 || d.refused > d.written/3 {
			t.Errorf("%d of %d writes were refused: the test tries little", d.refused, d.written)
		}
		t.Logf("%d of %d writes were refused", d.refused, d.written)
	})
}

func sameButTime(a, b []string) bool {
	for i := range a {
		if i != oneroster.Modified && a[i] != b[i] {
			return false
		}
	}
	return true
}

// A district that is edited at random.
type district struct {
	rng  *rand.Rand
	rows map[string]oneroster.Record
	// What writes are held to, by resource and sourcedId: who the last import left, and
	// which gradebook objects are there.
	here, there      map[string]bool
	results          map[string]string // to the line item
	written, refused int
}

func newDistrict(rng *rand.Rand) *district {
	return &district{rng: rng, rows: map[string]oneroster.Record{}, here: map[string]bool{},
		there: map[string]bool{}, results: map[string]string{}}
}

func (d *district) id(kind string, of int) string { return fmt.Sprintf("%s%d", kind, d.rng.IntN(of)) }

// likely is an id that mostly leads to what is there.
func (d *district) likely(resource, kind string, of int) (id string) {
	for range 4 {
		id = d.id(kind, of)
		if key := resource + "/" + id; d.here[key] || d.there[key] {
			break
		}
	}
	return id
}

// write writes to the gradebook. It is refused for the field that names what is not
// there, and for nothing else; and what is refused changes nothing.
func (d *district) write(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, n, id := context.Background(), d.rng.IntN, d.id
	first := func(reasons ...string) string { // of a field, what it needs, a field, …
		for i := 0; i < len(reasons); i += 2 {
			if !d.here[reasons[i+1]] && !d.there[reasons[i+1]] {
				return reasons[i]
			}
		}
		return ""
	}
	put := func(want string, r oneroster.Record) (done bool) {
		t.Helper()
		before := gradebook(t, s)
		_, created, err := s.Put(ctx, r)
		key := r.Resource.Name + "/" + r.ID()
		if done = d.said(t, s, before, err, want); !done {
			return false
		}
		if created == d.there[key] {
			t.Errorf("%s: created is %v", key, created)
		}
		d.there[key] = true
		return true
	}
	remove := func(resource, id string) {
		t.Helper()
		key := resource + "/" + id
		before := gradebook(t, s)
		err := s.Delete(ctx, oneroster.ByName(resource), id)
		d.said(t, s, before, err, first("not found", key))
		if delete(d.there, key); resource != "lineItem" {
			return
		}
		for key, item := range d.results {
			if item == id {
				delete(d.there, key)
			}
		}
	}
	switch n(8) {
	case 0, 1, 2:
		class := d.likely("class", "c", 4)
		put(first("class", "class/"+class), rec("lineItem", "sourcedId", id("i", 4), "title", id("t", 3),
			"class", class))
	case 3, 4, 5:
		item, student := d.likely("lineItem", "i", 4), d.likely("user", "u", 8)
		r := rec("result", "sourcedId", id("r", 6), "lineItem", item, "student", student, "score",
			fmt.Sprint(n(3)))
		if put(first("lineItem", "lineItem/"+item, "student", "user/"+student), r) {
			d.results["result/"+r.ID()] = item
		}
	case 6:
		remove("lineItem", d.likely("lineItem", "i", 4))
	case 7:
		put("", rec("category", "sourcedId", id("k", 2), "title", id("t", 2)))
		if n(2) == 0 {
			remove("category", d.likely("category", "k", 2))
		}
	}
}

// said holds the outcome of a write to what was foretold: the field that it is
// refused for, "not found", or "" where it is done.
func (d *district) said(t *testing.T, s *store.Store, before string, err error, want string) (done bool) {
	t.Helper()
	d.written++
	var refused *store.Refused
	got := ""
	switch {
	case errors.As(err, &refused):
		got = refused.Field
	case errors.Is(err, store.ErrNotFound):
		got = "not found"
	case err != nil:
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("a write was answered with %q (%v), not %q", got, err, want)
	}
	if got == "" {
		return true
	}
	d.refused++
	if after := gradebook(t, s); after != before {
		t.Fatalf("a write that was refused (%v) changed\n%s\nto\n%s", err, before, after)
	}
	return false
}

// gradebook is all that a district serves of its gradebook, with times.
func gradebook(t *testing.T, s *store.Store) (all string) {
	t.Helper()
	for _, op := range []string{"getAllCategories", "getAllLineItems", "getAllResults"} {
		f, err := query.ParseFilter(route(op).Resource, "status='active' OR status='tobedeleted'")
		if err != nil {
			t.Fatal(err)
		}
		rows, _ := list(t, s, store.Selection{Route: route(op), Query: query.Query{Filter: f}})
		for _, r := range rows {
			all += fmt.Sprintf("%s %q\n", op, r.Values)
		}
	}
	return all
}

func (d *district) put(r oneroster.Record) { d.rows[r.Resource.Name+"/"+r.ID()] = r }

// step edits the files and imports them, in bulk or as a delta, or writes to
// the gradebook.
func (d *district) step(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, n, id := context.Background(), d.rng.IntN, d.id
	if n(3) == 0 {
		d.write(t, s)
		return
	}
	var edited []oneroster.Record
	for range 1 + n(6) {
		var r oneroster.Record
		switch n(4) {
		case 0:
			r = rec("org", "sourcedId", id("o", 4), "name", id("n", 2), "type", "school", "parent",
				[]string{"", id("o", 4)}[n(2)])
		case 1:
			r = rec("user", "sourcedId", id("u", 8), "username", id("n", 3), "role", "student", "orgs",
				id("o", 4),
				"agents", oneroster.Join(strings.Fields(strings.Repeat(id("u", 8)+" ", n(2))+
					strings.Repeat(id("u", 8), n(2)))...))
		case 2:
			r = rec("class", "sourcedId", id("c", 4), "title", id("n", 2), "school", id("o", 4))
		case 3:
			r = rec("enrollment", "sourcedId", id("e", 9), "user", id("u", 8), "class", id("c", 4), "role",
				"student")
		}
		r.Values[oneroster.Status] = oneroster.Active
		if n(4) == 0 {
			r.Values[oneroster.Status] = oneroster.ToBeDeleted
			delete(d.rows, r.Resource.Name+"/"+r.ID())
		} else {
			d.put(r)
		}
		edited = append(edited, r)
	}
	p := storetest.Package{Carried: map[*oneroster.Resource]oneroster.Mode{}}
	mode := oneroster.Bulk
	if n(2) == 0 {
		mode = oneroster.Delta
		seen := map[string]bool{}
		for i := len(edited) - 1; i >= 0; i-- { // the last edit of a record counts
			if key := edited[i].Resource.Name + "/" + edited[i].ID(); !seen[key] {
				seen[key] = true
				p.Rows = append(p.Rows, edited[i])
			}
		}
	} else {
		var keys []string
		for k := range d.rows {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			p.Rows = append(p.Rows, d.rows[k])
		}
	}
	for _, name := range []string{"org", "user", "class", "enrollment"} {
		p.Carried[oneroster.ByName(name)] = mode
	}
	if _, err := s.Import(ctx, p, store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if mode == oneroster.Bulk {
		clear(d.here)
	}
	for _, r := range p.Rows {
		d.here[r.Resource.Name+"/"+r.ID()] = r.Get("status") != oneroster.ToBeDeleted
	}
}
