package store

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// A statement is SQL being written, with its arguments.
type statement struct {
	strings.Builder
	d    *dialect
	args []any
}

// arg adds an argument and returns its placeholder.
func (s *statement) arg(v any) string {
	if text, ok := v.(string); ok {
		v = askable(text)
	}
	s.args = append(s.args, v)
	return s.d.placeholder + strconv.Itoa(len(s.args))
}

// askable is a text that can be compared with: PostgreSQL refuses one that holds
// NUL or is not UTF-8. No stored text holds either, nor DEL.
func askable(text string) string {
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return "\x7f"
	}
	return text
}

// in lists values as arguments, in parentheses.
func (s *statement) in(values []string) string {
	marks := make([]string, len(values))
	for i, v := range values {
		marks[i] = s.arg(v)
	}
	return "(" + strings.Join(marks, ", ") + ")"
}

// text adds a text argument whose type PostgreSQL could not tell by itself.
func (s *statement) text(v string) string { return "CAST(" + s.arg(v) + " AS TEXT)" }

// where writes the condition that selects a route's records: the view, the
// path, the query's filter, and that deleted gradebook objects stay out unless
// the filter asks about deletion.
func (s *statement) where(t *table, sel Selection) (string, error) {
	conds := []string{}
	r := sel.Route
	if r.View.Field != "" {
		conds = append(conds, "t."+quote(r.View.Field)+" = "+s.arg(r.View.Value))
	}
	shown := shown(sel)
	if t.Gradebook && !shown {
		conds = append(conds, `t."status" = `+s.arg(oneroster.Active))
	}
	for _, m := range r.Scope.By {
		conds = append(conds, s.match(t, "t", m, sel.Vars))
	}
	if through := r.Scope.Through; through != nil {
		conds = append(conds, s.through(t, through, sel.Vars, shown))
	}
	if p := r.Scope.Parent; p != nil {
		parent := tables[oneroster.ByName(p.Resource)]
		conds = append(conds, "EXISTS (SELECT 1 FROM "+parent.name+` p WHERE p."sourcedId" = `+
			s.arg(sel.Vars[p.Var])+")")
	}
	filter, err := s.expr(t, sel.Query.Filter)
	if err != nil {
		return "", err
	}
	if filter != always {
		conds = append(conds, filter)
	}
	if len(conds) == 0 {
		return always, nil
	}
	return strings.Join(conds, " AND "), nil
}

// shown tells whether deleted gradebook objects are in a list: the filter asks about them.
func shown(sel Selection) bool {
	return sel.Query.Filter.Mentions("status") || sel.Query.Filter.Mentions("dateLastModified")
}

const (
	always = "1 = 1"
	never  = "1 = 0"
)

// match holds a field of alias to a path variable or a constant.
func (s *statement) match(t *table, alias string, m oneroster.Match, vars map[string]string) string {
	value := m.Value
	if m.Var != "" {
		value = vars[m.Var]
	}
	if key, ok := strings.CutPrefix(m.Field, "metadata."); ok {
		v := s.member(alias, key)
		return "(" + v + " = '' OR " + v + " = " + s.arg(value) + ")"
	}
	if f := t.Field(m.Field); f.Kind == oneroster.Refs {
		return alias + `."sourcedId" IN (SELECT "owner" FROM "links" WHERE "field" = ` +
			s.arg(t.field(t.Index(m.Field))) + ` AND "target" = ` + s.arg(value) + ")"
	}
	return alias + "." + quote(m.Field) + " = " + s.arg(value)
}

// through writes "t.Own is among the Link fields of the records of another table".
func (s *statement) through(t *table, th *oneroster.Through, vars map[string]string, shown bool) string {
	x := tables[oneroster.ByName(th.Resource)]
	own := "t." + quote(th.Own)
	var conds []string
	for _, m := range th.Match {
		conds = append(conds, s.match(x, "x", m, vars))
	}
	// Deleted records connect nothing; but who asks for deleted results of a
	// deleted line item is told.
	if !(shown && x.Gradebook) {
		conds = append(conds, `x."status" = `+s.arg(oneroster.Active))
	}
	where := strings.Join(conds, " AND ")
	if i := x.Index(th.Link); x.Fields[i].Kind == oneroster.Refs {
		return own + ` IN (SELECT "target" FROM "links" WHERE "field" = ` + s.arg(x.field(i)) +
			` AND "owner" IN (SELECT x."sourcedId" FROM ` + x.name + " x WHERE " + where + "))"
	}
	return own + " IN (SELECT x." + quote(th.Link) + " FROM " + x.name + " x WHERE " + where + ")"
}

// expr writes a filter.
func (s *statement) expr(t *table, e query.Expr) (string, error) {
	switch e.Op {
	case query.Everything:
		return always, nil
	case query.Nothing:
		return never, nil
	case query.Not:
		inner, err := s.expr(t, e.Args[0])
		return "NOT " + inner, err
	case query.And, query.Or:
		word := map[query.Op]string{query.And: " AND ", query.Or: " OR "}[e.Op]
		var parts []string
		for _, a := range e.Args {
			part, err := s.expr(t, a)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return "(" + strings.Join(parts, word) + ")", nil
	}
	if t.Field(e.Field.Name) != e.Field {
		return "", fmt.Errorf("filter on %s.%s, which is not a field of this resource", t.Name, e.Field.Name)
	}
	switch {
	case e.Field.Name == "dateLastModified":
		return s.modified(e)
	case e.Op == query.Compare && e.Field.Kind == oneroster.Number:
		return s.number(e)
	case e.Field.Kind == oneroster.UserIDs && e.Text != "":
		return s.userID(e), nil
	}
	return s.textual(e)
}

var relation = map[query.Rel]string{query.Equal: " = ", query.Less: " < ", query.LessEqual: " <= ",
	query.Greater: " > ", query.GreaterEqual: " >= "}

// textual writes a primitive over a text column or a member of metadata.
func (s *statement) textual(e query.Expr) (string, error) {
	raw := "t." + quote(e.Field.Name)
	if e.Field.Kind == oneroster.Metadata && e.Key != "" {
		raw = s.member("t", e.Key)
	}
	col := raw
	if e.Fold {
		col = "lower(" + raw + ")"
	}
	switch e.Op {
	case query.Has:
		sep := s.text(oneroster.ListSep)
		return "(" + s.d.position + "(" + sep + " || " + col + " || " + sep + ", " +
			s.text(oneroster.ListSep+e.Text+oneroster.ListSep) + ") > 0)", nil
	case query.Contains:
		return "(" + s.d.position + "(" + col + ", " + s.text(e.Text) + ") > 0)", nil
	case query.Compare:
		if e.Rel == query.Equal {
			return "(" + col + " = " + s.arg(e.Text) + ")", nil
		}
		return "(" + raw + " <> '' AND " + col + relation[e.Rel] + s.arg(e.Text) + ")", nil
	}
	return "", fmt.Errorf("filter: unknown operation %d", e.Op)
}

// member writes the text of one member of metadata, ” when it is not there.
func (s *statement) member(alias, key string) string {
	before := oneroster.ListSep + key + oneroster.PartSep
	at := s.d.position + "(" + alias + `."metadataText", ` + s.text(before) + ")"
	rest := "substr(" + alias + `."metadataText", ` + at + " + " +
		strconv.Itoa(utf8.RuneCountInString(before)) + ")"
	return "(CASE WHEN " + at + " = 0 THEN '' ELSE substr(" + rest + ", 1, " + s.d.position + "(" + rest +
		", " + s.text(oneroster.ListSep) + ") - 1) END)"
}

// number writes a numeric comparison that is true or false, never NULL, so that
// NOT of it is right.
func (s *statement) number(e query.Expr) (string, error) {
	col := "t." + quote(e.Field.Name)
	if e.Text == "" {
		if e.Rel == query.Equal {
			return "(" + col + " IS NULL)", nil
		}
		return never, nil
	}
	n, err := strconv.ParseFloat(e.Text, 64)
	if err != nil {
		return "", err
	}
	return "(" + col + " IS NOT NULL AND " + col + relation[e.Rel] + "CAST(" + s.arg(n) +
		" AS DOUBLE PRECISION))", nil
}

// userID writes a primitive over one part of the items of userIds.
func (s *statement) userID(e query.Expr) string {
	col := `t."userIds"`
	if e.Fold {
		col = "lower(" + col + ")"
	}
	list, part := s.text(oneroster.ListSep), oneroster.PartSep
	if e.Op == query.Has {
		if e.Key == "type" {
			return "(" + s.d.position + "(" + list + " || " + col + ", " +
				s.text(oneroster.ListSep+e.Text+part) + ") > 0)"
		}
		return "(" + s.d.position + "(" + col + " || " + list + ", " +
			s.text(part+e.Text+oneroster.ListSep) + ") > 0)"
	}
	// Contains: item by item, since a text may stand in the other part.
	pos, sep := s.d.position, s.text(part)
	piece := "substr(item, " + pos + "(item, " + sep + ") + 1)"
	if e.Key == "type" {
		piece = "substr(item, 1, " + pos + "(item, " + sep + ") - 1)"
	}
	return `EXISTS (WITH RECURSIVE items(item, rest) AS (SELECT substr(` + col + `, 1, 0), ` + col +
		" || " + list +
		" UNION ALL SELECT substr(rest, 1, " + pos + "(rest, " + list + ") - 1), substr(rest, " + pos +
		"(rest, " + list + ") + 1) FROM items WHERE rest <> '')" +
		" SELECT 1 FROM items WHERE item <> '' AND " + pos + "(" + piece + ", " + s.text(e.Text) + ") > 0)"
}

// modified writes a condition on dateLastModified as one on rev, which rises
// with it and has an index.
func (s *statement) modified(e query.Expr) (string, error) {
	newest := func(rel string) string {
		return `(SELECT COALESCE(MAX("rev"), 0) FROM "revs" WHERE "stamp"` + rel + s.arg(e.Text) + ")"
	}
	switch {
	case e.Op == query.Contains:
		return `(t."rev" IN (SELECT "rev" FROM "revs" WHERE ` + s.d.position + `(lower("stamp"), ` +
			s.text(query.Fold(e.Text)) + ") > 0))", nil
	case e.Op != query.Compare:
		return "", fmt.Errorf("filter: dateLastModified is not a list")
	case e.Text == "":
		return never, nil
	}
	switch e.Rel {
	case query.Equal:
		return `(t."rev" IN (SELECT "rev" FROM "revs" WHERE "stamp" = ` + s.arg(e.Text) + "))", nil
	case query.Less:
		return `(t."rev" <= ` + newest(" < ") + ")", nil
	case query.LessEqual:
		return `(t."rev" <= ` + newest(" <= ") + ")", nil
	case query.Greater:
		return `(t."rev" > ` + newest(" <= ") + ")", nil
	}
	return `(t."rev" > ` + newest(" < ") + ")", nil
}
