package query

import (
	"fmt"
	"net/url"
	"strings"

	"rollbook/internal/oneroster"
)

// Parse reads the raw, still encoded query string of a collection read. It
// forgives what clients do to paging and to spelling; a filter that it cannot
// read is an *Error, never everything.
func Parse(r *oneroster.Resource, rawQuery string) (Query, error) {
	p := params(rawQuery)
	q := Query{Limit: DefaultLimit}
	if n := leadingInt(p.first("limit")); n > 0 {
		q.Limit = min(n, MaxLimit)
	}
	q.Offset = max(0, leadingInt(p.first("offset")))
	q.sort(r, p.first("sort"), p.first("orderBy"))
	if err := q.selection(r, p); err != nil {
		return Query{}, err
	}
	var err error
	if q.Filter, err = ParseFilter(r, p.first("filter")); err != nil {
		return Query{}, err
	}
	return q, nil
}

// ParseFields reads the query string of a single object, of which only fields
// has a meaning.
func ParseFields(r *oneroster.Resource, rawQuery string) (Query, error) {
	q := Query{Limit: 1}
	return q, q.selection(r, params(rawQuery))
}

// A param is one decoded pair of a query string.
type param struct{ key, value string }

type paramList []param

// params splits a query string at & only: Go's own reader drops pairs that hold
// a semicolon. Keys are trimmed (a published test suite sends "limit%20=100");
// what is not a percent escape is taken as it stands.
func params(raw string) paramList {
	var out paramList
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		out = append(out, param{strings.TrimSpace(unescape(key)), unescape(value)})
	}
	return out
}

func unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s):
			if c, err := url.QueryUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
			b.WriteByte('%')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func (p paramList) first(key string) string {
	for _, x := range p {
		if x.key == key {
			return x.value
		}
	}
	return ""
}

// leadingInt reads the digits that a value begins with: a Grade Sync build of
// 2023 sends offset=0?limit=7000. Anything else is 0.
func leadingInt(s string) int {
	n := 0
	for _, c := range strings.TrimSpace(s) {
		if c < '0' || c > '9' {
			break
		}
		if n > 1<<40 {
			return 1 << 40
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// sort resolves sort and orderBy (1.1: one field; an unknown one gives the
// default order and a warning).
func (q *Query) sort(r *oneroster.Resource, name, order string) {
	name = strings.TrimSpace(name)
	if name == "" {
		return
	}
	if one, rest, many := strings.Cut(name, ","); many {
		q.warn(oneroster.InvalidSort, fmt.Sprintf("sort takes one field: sorted by %q, not by %q", strings.TrimSpace(one), strings.TrimSpace(rest)))
		name = strings.TrimSpace(one)
	}
	f, key, ok := resolve(r, name)
	if !ok || f.Kind == oneroster.Metadata || key == "type" && f.Kind != oneroster.UserIDs {
		q.warn(oneroster.InvalidSort, fmt.Sprintf("sort: %s has no field %q to sort by; the default order was used", r.Name, name))
		return
	}
	q.Sort = f
	q.Desc = strings.EqualFold(strings.TrimSpace(order), "desc")
}

func (q *Query) warn(minor oneroster.CodeMinor, text string) {
	q.Warnings = append(q.Warnings, Warning{minor, text})
}

// selection resolves fields. An unknown name gives everything and a warning, a
// blank list is an error.
func (q *Query) selection(r *oneroster.Resource, p paramList) error {
	wanted := map[string]bool{}
	given := false
	for _, x := range p {
		if x.key != "fields" {
			continue
		}
		given = true
		for _, name := range strings.Split(x.value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				wanted[name] = true
			}
		}
	}
	if !given {
		return nil
	}
	if len(wanted) == 0 {
		return &Error{oneroster.BlankSelection, "fields is empty: name the fields to return, or leave fields out"}
	}
	for _, f := range r.Fields {
		if wanted[f.Name] || f.Kind == oneroster.Metadata && anyPrefix(wanted, "metadata.") {
			q.Fields = append(q.Fields, f.Name)
		}
	}
	for name := range wanted {
		if r.Index(name) < 0 && !strings.HasPrefix(name, "metadata.") {
			q.Fields = nil
			q.warn(oneroster.InvalidSelection, fmt.Sprintf("fields: %s has no field %q; all fields were returned", r.Name, name))
			break
		}
	}
	return nil
}

func anyPrefix(names map[string]bool, prefix string) bool {
	for n := range names {
		if strings.HasPrefix(n, prefix) {
			return true
		}
	}
	return false
}

// resolve finds the field that a client's name means: the field itself, a part
// of it by a dot, or the name of the CSV binding for a reference
// (classSourcedId, which Grade Sync sends). Names are case-sensitive.
func resolve(r *oneroster.Resource, name string) (f *oneroster.Field, key string, ok bool) {
	if f = r.Field(name); f != nil {
		if f.Kind == oneroster.UserIDs {
			return f, "identifier", true
		}
		return f, "", f.Kind != oneroster.Metadata
	}
	if head, tail, dotted := strings.Cut(name, "."); dotted {
		if f = r.Field(head); f == nil || tail == "" {
			return nil, "", false
		}
		switch f.Kind {
		case oneroster.Metadata:
			return f, tail, true
		case oneroster.UserIDs:
			return f, tail, tail == "type" || tail == "identifier"
		case oneroster.Ref, oneroster.Refs:
			switch tail {
			case "sourcedId":
				return f, "", true
			case "type", "href":
				return f, tail, true
			}
		}
		return nil, "", false
	}
	for i := range r.Fields {
		f = &r.Fields[i]
		if (f.Kind == oneroster.Ref || f.Kind == oneroster.Refs) && (f.Column() == name || f.Name+"SourcedId" == name || f.Name+"SourcedIds" == name) {
			return f, "", true
		}
	}
	return nil, "", false
}
