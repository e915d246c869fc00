package query

import (
	"sort"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

// String prints an expression in one canonical form: two that differ never
// print alike.
func (e Expr) String() string {
	switch e.Op {
	case Everything:
		return "true"
	case Nothing:
		return "false"
	case Not:
		return "not(" + e.Args[0].String() + ")"
	case And, Or:
		var parts []string
		for _, a := range e.Args {
			parts = append(parts, a.String())
		}
		return [...]string{And: "and", Or: "or"}[e.Op] + "(" + strings.Join(parts, " ") + ")"
	}
	name := e.Field.Name
	if e.Key != "" {
		name += "[" + strconv.Quote(e.Key) + "]"
	}
	if e.Fold {
		name += "*"
	}
	word := [...]string{Compare: "", Has: " has ", Contains: " contains "}[e.Op]
	if e.Op == Compare {
		word = [...]string{" = ", " < ", " <= ", " > ", " >= "}[e.Rel]
	}
	return name + word + strconv.Quote(e.Text)
}

// Written is an expression as a person would write it as a filter, with parentheses where the
// language has none.
func (e Expr) Written() string {
	switch e.Op {
	case Everything:
		return "everything"
	case Nothing:
		return "nothing"
	case And, Or:
		var parts []string
		for _, a := range e.Args {
			text := a.Written()
			if a.Op == And || a.Op == Or {
				text = "(" + text + ")"
			}
			parts = append(parts, text)
		}
		return strings.Join(parts, [...]string{And: " AND ", Or: " OR "}[e.Op])
	case Not:
		if arg := e.Args[0]; arg.Op == Compare && arg.Rel == Equal {
			return arg.name() + "!='" + arg.Text + "'"
		}
		return "not (" + e.Args[0].Written() + ")"
	}
	word := [...]string{Compare: "", Has: " has ", Contains: "~"}[e.Op]
	if e.Op == Compare {
		word = [...]string{"=", "<", "<=", ">", ">="}[e.Rel]
	}
	return e.name() + word + "'" + e.Text + "'"
}

func (e Expr) name() string {
	if e.Key != "" {
		return e.Field.Name + "." + e.Key
	}
	return e.Field.Name
}

// Match tells whether a record fulfils an expression. It is written to be
// plainly right: the SQL of the store is held equal to it.
func Match(e Expr, rec oneroster.Record) bool {
	switch e.Op {
	case Everything:
		return true
	case Nothing:
		return false
	case Not:
		return !Match(e.Args[0], rec)
	case And:
		for _, a := range e.Args {
			if !Match(a, rec) {
				return false
			}
		}
		return true
	case Or:
		for _, a := range e.Args {
			if Match(a, rec) {
				return true
			}
		}
		return false
	}
	value := rec.Get(e.Field.Name)
	if e.Op == Compare {
		return compares(e, value)
	}
	for _, item := range items(e, value) {
		if e.Fold {
			item = Fold(item)
		}
		if e.Op == Has && item == e.Text || e.Op == Contains && item != "" && strings.Contains(item, e.Text) {
			return true
		}
	}
	return false
}

// items are the texts that Has and Contains look at.
func items(e Expr, value string) []string {
	switch e.Field.Kind {
	case oneroster.Metadata:
		return []string{member(value, e.Key)}
	case oneroster.Strings, oneroster.Refs:
		return oneroster.Items(value)
	case oneroster.UserIDs:
		var out []string
		for _, it := range oneroster.Items(value) {
			typ, id, _ := strings.Cut(it, oneroster.PartSep)
			if e.Key == "type" {
				out = append(out, typ)
			} else {
				out = append(out, id)
			}
		}
		return out
	}
	return []string{value}
}

func member(metadata, key string) string {
	for _, p := range oneroster.FlattenMetadata(metadata) {
		if p.Key == key {
			return p.Text
		}
	}
	return ""
}

func compares(e Expr, value string) bool {
	if e.Field.Kind == oneroster.Metadata {
		value = member(value, e.Key)
	}
	if value == "" || e.Text == "" {
		switch e.Rel {
		case Equal:
			return value == e.Text
		case Greater, GreaterEqual:
			return value != ""
		}
		return false
	}
	order := 0
	if e.Field.Kind == oneroster.Number {
		a, _ := strconv.ParseFloat(value, 64)
		b, _ := strconv.ParseFloat(e.Text, 64)
		switch {
		case a < b:
			order = -1
		case a > b:
			order = 1
		}
	} else {
		if e.Fold {
			value = Fold(value)
		}
		order = strings.Compare(value, e.Text)
	}
	switch e.Rel {
	case Equal:
		return order == 0
	case Less:
		return order < 0
	case LessEqual:
		return order <= 0
	case Greater:
		return order > 0
	}
	return order >= 0
}

// Select answers a query over records in their default order: the page, and how
// many records the filter selects.
func Select(q Query, recs []oneroster.Record) (page []oneroster.Record, total int) {
	for _, r := range recs {
		if Match(q.Filter, r) {
			page = append(page, r)
		}
	}
	total = len(page)
	if f := q.Sort; f != nil {
		sort.SliceStable(page, func(i, j int) bool {
			a, b := page[i].Get(f.Name), page[j].Get(f.Name)
			if q.Desc {
				a, b = b, a
			}
			return before(f, a, b)
		})
	}
	page = page[min(q.Offset, len(page)):]
	return page[:min(q.Limit, len(page))], total
}

// before orders values: bytes, numbers by size, absent first.
func before(f *oneroster.Field, a, b string) bool {
	if f.Kind != oneroster.Number || a == "" || b == "" {
		return a < b
	}
	x, _ := strconv.ParseFloat(a, 64)
	y, _ := strconv.ParseFloat(b, 64)
	return x < y
}
