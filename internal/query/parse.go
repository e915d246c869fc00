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
	p, err := params(rawQuery)
	if err != nil {
		return Query{}, err
	}
	q := Query{Limit: DefaultLimit}
	limit, err := count("limit", p["limit"])
	if err != nil {
		return Query{}, err
	}
	if limit > 0 {
		q.Limit = min(limit, MaxLimit)
	}
	if q.Offset, err = count("offset", p["offset"]); err != nil {
		return Query{}, err
	}
	q.sort(r, p["sort"], p["orderBy"])
	if err := q.selection(r, p); err != nil {
		return Query{}, err
	}
	if q.Filter, err = ParseFilter(r, p["filter"]); err != nil {
		return Query{}, err
	}
	return q, nil
}

// ParseFields reads the query string of a single object, of which only fields
// has a meaning.
func ParseFields(r *oneroster.Resource, rawQuery string) (Query, error) {
	q := Query{Limit: 1}
	p, err := params(rawQuery)
	if err != nil {
		return q, err
	}
	return q, q.selection(r, p)
}

// known are the parameters of a read (OneRoster 1.1 §3.4).
var known = []string{"limit", "offset", "sort", "orderBy", "filter", "fields"}

// params reads the known parameters of a query string. It splits at & only: Go's
// own reader drops pairs that hold a semicolon. Keys are trimmed (a published test
// suite sends "limit%20=100"); what is not a percent escape is taken as it stands.
// A parameter that nobody knows is ignored; one that is spelled nearly as a known
// one, or that is given twice with two meanings, is an *Error: the answer would
// be to another question.
func params(raw string) (map[string]string, error) {
	out := map[string]string{}
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, value = strings.TrimSpace(unescape(key)), unescape(value)
		name, _, _ := strings.Cut(strings.TrimLeft(key, "$?"), "[")
		for _, k := range known {
			if !strings.EqualFold(name, k) {
				continue
			}
			if key != k {
				return nil, &Error{oneroster.InvalidData, fmt.Sprintf("the parameter %q is spelled %s", key,
					k)}
			}
			if before, twice := out[k]; twice && before != value {
				const text = "the parameter %s is given twice, as %s and as %s: give it once"
				return nil, &Error{oneroster.InvalidData, fmt.Sprintf(text, k, short(before), short(value))}
			}
			out[k] = value
		}
	}
	return out, nil
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

// count reads limit or offset. Clients write more than digits: a Grade Sync build
// of 2023 sends offset=0?limit=7000, templates that are not filled in come as
// they are. Without digits in front, or below zero, it is as if it were not
// given; digits that run on as another number would are an *Error.
func count(name, text string) (int, error) {
	text = strings.TrimSpace(text)
	end := strings.IndexFunc(text, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(text)
	}
	if rest := text[end:]; end > 0 && rest != "" && !strings.HasPrefix(rest, "?") &&
		!strings.HasPrefix(rest, "&") {
		return 0, &Error{oneroster.InvalidData, fmt.Sprintf("%s=%s: write a whole number in digits", name,
			short(text))}
	}
	n := 0
	for _, c := range text[:end] {
		n = min(n*10+int(c-'0'), 1<<40)
	}
	return n, nil
}

// sort resolves sort and orderBy (1.1: one field; an unknown one gives the
// default order and a warning).
func (q *Query) sort(r *oneroster.Resource, name, order string) {
	name = strings.TrimSpace(name)
	if name == "" {
		return
	}
	if one, rest, many := strings.Cut(name, ","); many {
		q.warn(oneroster.InvalidSort, fmt.Sprintf("sort takes one field: sorted by %q, not by %q",
			strings.TrimSpace(one), strings.TrimSpace(rest)))
		name = strings.TrimSpace(one)
	}
	f, key, ok := resolve(r, name)
	if !ok || f.Kind == oneroster.Metadata || key == "type" && f.Kind != oneroster.UserIDs {
		q.warn(oneroster.InvalidSort, fmt.Sprintf("sort: %s has no field %q to sort by; the default "+
			"order was used", r.Name, name))
		return
	}
	q.Sort = f
	switch order = strings.TrimSpace(order); strings.ToLower(order) {
	case "desc":
		q.Desc = true
	case "", "asc":
	default:
		q.warn(oneroster.InvalidSort, fmt.Sprintf("orderBy is asc or desc, not %s: sorted ascending",
			short(order)))
	}
}

func (q *Query) warn(minor oneroster.CodeMinor, text string) {
	q.Warnings = append(q.Warnings, Warning{minor, text})
}

// selection resolves fields. An unknown name gives everything and a warning, a
// blank list is an error.
func (q *Query) selection(r *oneroster.Resource, p map[string]string) error {
	list, given := p["fields"]
	if !given {
		return nil
	}
	wanted := map[string]bool{}
	for _, name := range strings.Split(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			wanted[name] = true
		}
	}
	if len(wanted) == 0 {
		return &Error{oneroster.BlankSelection,
			"fields is empty: name the fields to return, or leave fields out"}
	}
	for _, f := range r.Fields {
		if wanted[f.Name] || f.Kind == oneroster.Metadata && anyPrefix(wanted, "metadata.") {
			q.Fields = append(q.Fields, f.Name)
		}
	}
	for name := range wanted {
		if r.Index(name) < 0 && !strings.HasPrefix(name, "metadata.") {
			q.Fields = nil
			q.warn(oneroster.InvalidSelection,
				fmt.Sprintf("fields: %s has no field %q; all fields were returned", r.Name, name))
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
		if (f.Kind == oneroster.Ref || f.Kind == oneroster.Refs) &&
			(f.Column() == name || f.Name+"SourcedId" == name || f.Name+"SourcedIds" == name) {
			return f, "", true
		}
	}
	return nil, "", false
}
