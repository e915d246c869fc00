package store

import (
	"strings"

	"rollbook/internal/oneroster"
)

// A table is how a resource lies in SQL: the fields of the standard, and the
// store's own columns.
type table struct {
	*oneroster.Resource
	name    string // quoted
	selects string // the columns of a read, in the order of Fields, of the table as t
	// unstamped are the same without dateLastModified, which a change has none of yet.
	unstamped string
	columns   []string // of a write: the fields, seq, own
	bareNames []string // the same, not quoted
	own       []string // columns that every write sets
	stated    bool     // has agentSourcedIds
	linked    []int
	derived   []int  // positions of fields that are read off other records
	bare      string // assignments that leave of a deleted record what the standard requires
	dropped   []int  // positions of linked fields among them
}

// stampColumn reads dateLastModified of the table as t.
const stampColumn = `(SELECT "stamp" FROM "revs" WHERE "revs"."rev" = t."rev")`

var tables = func() map[*oneroster.Resource]*table {
	out := map[*oneroster.Resource]*table{}
	for _, r := range oneroster.Resources() {
		out[r] = newTable(r)
	}
	return out
}()

func newTable(r *oneroster.Resource) *table {
	t := &table{Resource: r, name: quote(r.Plural)}
	var selects []string
	for i := range r.Fields {
		f := &r.Fields[i]
		if i == oneroster.Modified {
			selects = append(selects, stampColumn)
			continue
		}
		t.columns = append(t.columns, quote(f.Name))
		selects = append(selects, "t."+quote(f.Name))
		switch {
		case f.Symmetric():
			t.stated = true
			t.derived = append(t.derived, i)
		case f.Derived():
			t.derived = append(t.derived, i)
		case f.Kind == oneroster.Refs:
			t.linked = append(t.linked, i)
		}
		// Nobody needs to know more of who has left than that. A score is required
		// over the wire.
		switch {
		case f.Required || i <= oneroster.Modified || f.Name == "score":
		case f.Kind == oneroster.Number:
			t.bare += ", " + quote(f.Name) + " = NULL"
		default:
			t.bare += ", " + quote(f.Name) + " = ''"
			if f.Kind == oneroster.Refs && !f.Derived() && !f.Symmetric() {
				t.dropped = append(t.dropped, i)
			}
		}
	}
	t.bare += `, "metadataText" = ''`
	t.selects = strings.Join(selects, ", ")
	selects[oneroster.Modified] = "''"
	t.unstamped = strings.Join(selects, ", ")
	t.own = []string{`"rev"`, `"metadataText"`, `"hash"`, `"imported"`}
	if t.stated {
		t.own = append(t.own, `"agentSourcedIds"`)
		t.bare += `, "agentSourcedIds" = ''`
	}
	t.columns = append(append(t.columns, `"seq"`), t.own...)
	for _, col := range t.columns {
		t.bareNames = append(t.bareNames, strings.Trim(col, `"`))
	}
	return t
}

// statedColumn reads the agents that a record states; of other records nothing.
func (t *table) statedColumn() string {
	if t.stated {
		return `t."agentSourcedIds"`
	}
	return "''"
}

// field is the name under which the links of a list-valued field are kept.
func (t *table) field(i int) string { return t.Plural + "." + t.Fields[i].Name }

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// metadataText lays the members of a metadata object out for filters.
func metadataText(metadata string) string {
	pairs := oneroster.FlattenMetadata(metadata)
	if len(pairs) == 0 {
		return ""
	}
	var b strings.Builder
	for _, p := range pairs {
		b.WriteString(oneroster.ListSep + p.Key + oneroster.PartSep + p.Text)
	}
	b.WriteString(oneroster.ListSep)
	return b.String()
}
