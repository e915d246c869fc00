package verify

import (
	"fmt"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

// A condition is a filter with what it must bring of the walked rows, and what it may: where the
// standard leaves letter case open, the two differ.
type condition struct {
	filter    string
	must, may func(oneroster.Record) bool
	fields    []string // whose values are told of a row that is wrong
}

// where is a condition that leaves nothing open.
func where(filter string, is func(oneroster.Record) bool, fields ...string) condition {
	return condition{filter, is, is, fields}
}

// has wants a value of a field, in any letter case; exactly wants it as it is written.
func has(field, v string) condition {
	c := exactly(field, v)
	c.may = func(r oneroster.Record) bool { return strings.EqualFold(r.Get(field), v) }
	return c
}

func exactly(field, v string) condition {
	return where(field+"="+provider.Quote(v), func(r oneroster.Record) bool { return r.Get(field) == v }, field)
}

// holds wants a part of a value, in any letter case as well.
func holds(field, v string) condition {
	c := where(field+"~"+provider.Quote(v),
		func(r oneroster.Record) bool { return strings.Contains(r.Get(field), v) }, field)
	c.may = func(r oneroster.Record) bool {
		return strings.Contains(strings.ToLower(r.Get(field)), strings.ToLower(v))
	}
	return c
}

// among wants an id or a word to be in a list, or to be the only one, under a name for filters.
func among(name, field, v string) condition {
	return where(name+"="+provider.Quote(v),
		func(r oneroster.Record) bool { return slices.Contains(oneroster.Items(r.Get(field)), v) }, field)
}

// active is what pulls ask for.
var active = exactly("status", oneroster.Active)

// other is every row but one.
func other(id string) condition {
	return where("sourcedId!="+provider.Quote(id), func(r oneroster.Record) bool { return r.ID() != id },
		"sourcedId")
}

// compared orders canonical texts, which stand in the order of what they say.
func compared(field, predicate, at string) condition {
	return where(field+predicate+provider.Quote(at), func(r oneroster.Record) bool {
		v := r.Get(field)
		return v != "" && (strings.Contains(predicate, "=") && v == at ||
			strings.HasPrefix(predicate, ">") && v > at || strings.HasPrefix(predicate, "<") && v < at)
	}, field)
}

// stamped compares dateLastModified.
func stamped(predicate, at string) condition { return compared("dateLastModified", predicate, at) }

// spelled is the condition with its value written otherwise.
func (c condition) spelled(predicate, value string) condition {
	c.filter = c.fields[0] + predicate + provider.Quote(value)
	return c
}

func (c condition) and(d condition) condition {
	return condition{c.filter + " AND " + d.filter,
		func(r oneroster.Record) bool { return c.must(r) && d.must(r) },
		func(r oneroster.Record) bool { return c.may(r) && d.may(r) }, append(slices.Clip(c.fields), d.fields...)}
}

func (c condition) or(d condition) condition {
	return condition{c.filter + " OR " + d.filter,
		func(r oneroster.Record) bool { return c.must(r) || d.must(r) },
		func(r oneroster.Record) bool { return c.may(r) || d.may(r) }, append(slices.Clip(c.fields), d.fields...)}
}

func (c condition) values(rec oneroster.Record) string {
	var out []string
	for _, name := range c.fields {
		says := name + " has no value"
		if v := rec.Get(name); v != "" {
			says = fmt.Sprintf("%s is %q", name, strings.ReplaceAll(v, oneroster.ListSep, ", "))
		}
		out = append(out, says)
	}
	return strings.Join(out, ", ")
}
