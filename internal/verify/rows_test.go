package verify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// Rows that are kept as numbers are read as the records that came, whatever is missing in them, and
// each text has one number in all lists.
func TestRowsAreTheRecordsThatCame(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	shared := newTexts()
	for _, name := range []string{"user", "enrollment", "org"} {
		of := oneroster.ByName(name)
		kept := newRows(of, shared)
		kept.expected = 100 // fewer than come
		var came []oneroster.Record
		at := map[string]int{}
		for n := range 3000 {
			o := wire.Object{"sourcedId": fmt.Sprintf("%s-%d", name, n), "status": []string{"active",
				"tobedeleted"}[random.IntN(2)]}
			for i := range of.Fields {
				switch f := &of.Fields[i]; {
				case i <= oneroster.Modified || random.IntN(3) == 0:
				case f.Kind == oneroster.String || f.Kind == oneroster.Enum:
					o[f.Name] = fmt.Sprintf("%s %d é", f.Name, random.IntN(2000))
				case f.Kind == oneroster.Ref:
					o[f.Name] = map[string]any{"sourcedId": fmt.Sprintf("org-%d", random.IntN(3000)), "type": "org"}
				case f.Kind == oneroster.Refs:
					o[f.Name] = []any{map[string]any{"sourcedId": "org-1"}, map[string]any{"sourcedId": "org-2"}}
				}
			}
			if n == 2999 && name == "org" {
				delete(o, "sourcedId")
			}
			rec := o.Record(of)
			for i := range of.Fields { // no record states these
				if f := &of.Fields[i]; f.Derived() && o[f.Name] != nil {
					rec.Values[i] = oneroster.Join("org-1", "org-2")
				}
			}
			kept.add(o)
			at[rec.ID()] = n
			came = append(came, rec)
		}
		if kept.count != len(came) {
			t.Fatalf("%s: %d rows of %d", name, kept.count, len(came))
		}
		for n, rec := range kept.records() {
			if !slices.Equal(rec.Values, came[n].Values) || !slices.Equal(kept.record(n).Values, came[n].Values) {
				t.Fatalf("%s: row %d is %q, and %q came", name, n, rec.Values, came[n].Values)
			}
			if i, there := kept.find(rec.ID()); rec.ID() != "" && (!there || i != n) {
				t.Fatalf("%s: %s is row %d (%v), not %d", name, rec.ID(), i, there, n)
			}
			if kept.deleted(n) != (rec.Get("status") == oneroster.ToBeDeleted) || kept.id(n) != rec.ID() {
				t.Fatalf("%s: row %d, %s, is told as %s, deleted %v", name, n, rec.ID(), kept.id(n), kept.deleted(n))
			}
		}
		for _, id := range []string{"", "nobody", "active"} {
			if n, there := kept.find(id); there {
				t.Errorf("%s: %q is found, as row %d", name, id, n)
			}
		}
		if !kept.varies(of.Index("status")) || kept.varies(oneroster.Modified) {
			t.Errorf("%s: status must vary, and what no row has must not", name)
		}
	}
	numbers := map[string]uint32{}
	for n, text := range shared.all {
		if before, twice := numbers[text]; twice {
			t.Fatalf("%q has the numbers %d and %d", text, before, n)
		}
		numbers[text] = uint32(n)
		if number, known := shared.find(text); number != uint32(n) || !known {
			t.Fatalf("%q has the number %d and is found as %d (%v)", text, n, number, known)
		}
	}
	if len(shared.all) < 8192 {
		t.Errorf("only %d texts were kept: they were not moved", len(shared.all))
	}
}
