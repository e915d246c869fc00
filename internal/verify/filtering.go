package verify

import (
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

func exactly(a, b string) bool { return a == b }

func equal(field, v string) func(oneroster.Record) bool {
	return func(r oneroster.Record) bool { return r.Get(field) == v }
}

func like(field, v string) func(oneroster.Record) bool {
	return func(r oneroster.Record) bool { return strings.EqualFold(r.Get(field), v) }
}

func holds(field, v string) func(oneroster.Record) bool {
	return func(r oneroster.Record) bool { return strings.Contains(r.Get(field), v) }
}

func modified(is func(string) bool) func(oneroster.Record) bool {
	return func(r oneroster.Record) bool { v := r.Values[oneroster.Modified]; return v != "" && is(v) }
}

func contains(items []string, v string) bool {
	for _, it := range items {
		if it == v {
			return true
		}
	}
	return false
}

func fold(items []string) []string {
	out := make([]string, len(items))
	for i, it := range items {
		out[i] = strings.ToLower(it)
	}
	return out
}

func hasKind(kinds ...oneroster.Kind) func(*oneroster.Route) bool {
	return func(r *oneroster.Route) bool {
		for _, f := range r.Resource.Fields {
			for _, k := range kinds {
				if f.Kind == k {
					return true
				}
			}
		}
		return false
	}
}

var (
	hasNumber  = hasKind(oneroster.Number)
	hasRef     = hasKind(oneroster.Ref, oneroster.Refs)
	hasStrings = hasKind(oneroster.Strings)
)

// pageful is how many rows of a filtered list are looked at.
const pageful = 1000

// filtered wants a filter to bring every walked row that must come, and only
// rows that may: where the standard leaves letter case open, the two differ.
// What comes is judged by its own content, so that deleted rows that a plain
// list hides do not count against a provider.
func (p *probe) filtered(c *collection, filter string, must, may func(oneroster.Record) bool,
	fields ...string) {
	p.selected(c, p.get(p.route.Path, "limit", strconv.Itoa(pageful), "filter", filter), must, may, fields...)
}

func (p *probe) selected(c *collection, a *provider.Answer, must, may func(oneroster.Record) bool,
	fields ...string) {
	if a.Status == http.StatusNotFound && !some(c, must) {
		p.lacks("a filter that selects nothing is answered 404 (filter.no-match)")
		return
	}
	got, ok := p.whole(a, pageful)
	if !ok {
		return
	}
	came := map[string]bool{}
	for _, o := range got.Objects {
		came[o.ID()] = true
		rec := o.Record(p.route.Resource)
		if n, known := c.find(o.ID()); known && len(o) < int(c.members[n]) { // a selection of fields
			rec = c.record(n)
		} else if !known && len(o) == 1 {
			continue // a selection of fields of a row that the walk did not meet
		}
		if !may(rec) {
			p.fail(a, "row %s came and does not fulfil the filter: %s", o.ID(), values(rec, fields))
			return
		}
	}
	if len(got.Objects) >= pageful {
		return
	}
	for _, rec := range c.records() {
		if must(rec) && !came[rec.ID()] {
			p.fail(a, "row %s fulfils the filter and did not come: %s", rec.ID(), values(rec, fields))
			return
		}
	}
}

func some(c *collection, must func(oneroster.Record) bool) bool {
	for _, rec := range c.records() {
		if must(rec) {
			return true
		}
	}
	return false
}

// whole is list with the rest of a list that was cut below the limit which was
// asked for: page.size tells of that, and here it is no matter.
func (p *probe) whole(a *provider.Answer, limit int) (wire.Page, bool) {
	got, ok := p.list(a, p.route.Resource)
	for ok && len(got.Objects) < min(limit, got.Total) {
		next := p.raw(a.Call.Path, a.Call.Query+"&offset="+strconv.Itoa(len(got.Objects)))
		more, err := next.List(wrappers(p.route.Resource)...)
		if next.Status != http.StatusOK || err != nil || len(more.Objects) == 0 {
			break // the total is wrong, and others tell
		}
		known := map[string]bool{}
		for _, o := range got.Objects {
			known[o.ID()] = true
		}
		if known[more.Objects[0].ID()] {
			break // offset is not read
		}
		got.Objects = append(got.Objects, more.Objects...)
	}
	return got, ok
}

func values(rec oneroster.Record, fields []string) string {
	var out []string
	for _, name := range fields {
		out = append(out, fmt.Sprintf("%s is %q", name, strings.ReplaceAll(rec.Get(name), oneroster.ListSep,
			", ")))
	}
	return strings.Join(out, ", ")
}

// empty wants a filter to bring nothing, in good shape.
func (p *probe) empty(c *collection, filter string) {
	a := p.get(p.route.Path, "filter", filter)
	got, ok := p.list(a, p.route.Resource)
	if !ok {
		return
	}
	if len(got.Objects) > 0 {
		p.fail(a, "%s came; no row fulfils the filter", plural(len(got.Objects), "row"))
	}
	if got.Key != c.route.Resource.Plural {
		p.fail(a, "the empty list is under %q", got.Key)
	}
	if got.Objects == nil {
		p.fail(a, "the empty list is null, not []")
	}
}

// refuses wants filters to be answered with 400.
func (p *probe) refuses(filters ...string) {
	c, ok := p.collection()
	if !ok {
		return
	}
	for _, filter := range filters {
		a := p.get(p.route.Path, "filter", filter)
		p.ok()
		switch {
		case a.Err != nil:
			p.fail(a, "no answer: %v", a.Err)
		case a.Status == http.StatusOK:
			got, err := a.List(wrappers(p.route.Resource)...)
			if err == nil && len(got.Objects) == min(100, c.count) {
				p.fail(a, "answered 200 with every row, as if there were no filter")
			} else {
				p.fail(a, "answered 200; 400 was expected")
			}
		case a.Status != http.StatusBadRequest:
			p.fail(a, "answered %d; 400 was expected", a.Status)
		}
	}
}

// plain tells values that every provider reads alike: ASCII letters, digits
// and a few marks.
func plain(v string) bool {
	return len(v) >= 2 && len(v) <= 60 && !strings.ContainsFunc(v, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ' ' ||
			c == '.' || c == '-')
	}) && strings.TrimSpace(v) == v
}

// textField is a field with a plain text value in some row: a String, else an
// Enum.
func textField(c *collection) *oneroster.Field {
	f, _ := textValue(c)
	return f
}

// textValue picks a field and a value of it, such that some rows have it and
// some do not, where the data allows. It is looked for once.
func textValue(c *collection) (*oneroster.Field, string) {
	if !c.picked {
		c.picked = true
		c.textField, c.textValue = pickText(c)
	}
	return c.textField, c.textValue
}

func pickText(c *collection) (best *oneroster.Field, value string) {
	for _, kind := range []oneroster.Kind{oneroster.String, oneroster.Enum, oneroster.Bool} {
		for i := oneroster.Modified + 1; i < len(c.route.Resource.Fields); i++ {
			f := &c.route.Resource.Fields[i]
			if f.Kind != kind || f.Name == c.route.View.Field {
				continue
			}
			v := ""
			for n := 0; n < c.count && !plain(v); n++ { // from the middle on
				v = c.text((n+c.count/2)%c.count, i)
			}
			if !plain(v) {
				continue
			}
			if best == nil {
				best, value = f, v
			}
			for n := range c.count {
				if !strings.EqualFold(c.text(n, i), v) { // not every row has it
					return f, v
				}
			}
		}
	}
	return best, value
}

// listValue picks a value of a list, one of several where the data has such.
func listValue(c *collection) (best *oneroster.Field, value string) {
	for i := range c.route.Resource.Fields {
		f := &c.route.Resource.Fields[i]
		if f.Kind != oneroster.Strings {
			continue
		}
		for _, rec := range c.records() {
			items := oneroster.Items(rec.Values[i])
			if len(items) == 0 || !plain(items[len(items)-1]) {
				continue
			}
			if len(items) > 1 {
				return f, items[len(items)-1]
			}
			if best == nil {
				best, value = f, items[0]
			}
		}
	}
	return best, value
}

// words filters by each enumeration and boolean, which readers do most, and by a text with
// letters that are not ASCII, of which accents may be passed over.
func (p *probe) words(c *collection) {
	accents := false
	for i, f := range p.route.Resource.Fields {
		if i <= oneroster.Modified || f.Name == p.route.View.Field {
			continue
		}
		for n := range c.count {
			v := c.text((n+c.count/2)%c.count, i)
			switch {
			case (f.Kind == oneroster.Enum || f.Kind == oneroster.Bool) && plain(v):
				p.filtered(c, f.Name+"="+provider.Quote(v), equal(f.Name, v), like(f.Name, v), f.Name)
			case f.Kind == oneroster.String && !accents && strings.ContainsFunc(v, func(r rune) bool {
				return r > 0xBF && unicode.IsLetter(r)
			}) && !strings.ContainsAny(v, "',"):
				accents = true
				p.filtered(c, f.Name+"="+provider.Quote(v), equal(f.Name, v),
					func(oneroster.Record) bool { return true }, f.Name)
			default:
				continue
			}
			break
		}
	}
}

func (p *probe) onText(do func(c *collection, f *oneroster.Field, v string)) {
	c, ok := p.collection()
	if !ok {
		return
	}
	if f, v := textValue(c); f != nil {
		do(c, f, v)
	} else {
		p.lacks("no row has a plain text to filter by")
	}
}

// onFreeText is onText for values that no enumeration bounds: a provider may refuse
// a sign that is in none of its words.
func (p *probe) onFreeText(do func(c *collection, f *oneroster.Field, v string)) {
	if c, ok := p.collection(); ok {
		f, v := freeText(c)
		do(c, f, v)
	}
}

func freeText(c *collection) (*oneroster.Field, string) {
	if f, v := textValue(c); f != nil && f.Kind == oneroster.String {
		return f, v
	}
	return c.route.Resource.Field("sourcedId"), c.id(0)
}

func (p *probe) onRef(do func(c *collection, f *oneroster.Field, id string)) {
	c, ok := p.collection()
	if !ok {
		return
	}
	done := false
	for i := range p.route.Resource.Fields {
		f := &p.route.Resource.Fields[i]
		if f.To == "" || f.Derived() {
			continue
		}
		for _, rec := range c.records() {
			if ids := oneroster.Items(rec.Values[i]); len(ids) > 0 {
				do(c, f, ids[0])
				done = true
				break
			}
		}
	}
	if !done {
		p.lacks("no row refers to anything")
	}
}

// stamps are the distinct dateLastModified of the rows, sorted.
func (p *probe) stamps() (*collection, []string, bool) {
	c, ok := p.collection()
	if !ok {
		return nil, nil, false
	}
	out := distinct(c, oneroster.Modified)
	if len(out) == 0 {
		p.lacks("no row has a dateLastModified that can be read")
		return nil, nil, false
	}
	return c, out, true
}

func distinct(c *collection, field int) []string {
	seen := map[uint32]bool{}
	var out []string
	for _, number := range c.columns[field] {
		if number != 0 && !seen[number] {
			seen[number] = true
			out = append(out, c.texts.all[number])
		}
	}
	sort.Strings(out)
	return out
}

// order checks an ordering predicate at the least, a middle and the greatest
// value of every date and dateTime.
func (p *probe) order(predicate string, is func(v, at string) bool) {
	c, ok := p.collection()
	if !ok {
		return
	}
	for i := range p.route.Resource.Fields {
		f := &p.route.Resource.Fields[i]
		if f.Kind != oneroster.Date && f.Kind != oneroster.Time {
			continue
		}
		vs := distinct(c, i)
		if len(vs) == 0 {
			continue
		}
		if a := p.get(p.route.Path, "filter", "dateLastModified>='2000-01-01'"); f.Kind == oneroster.Date &&
			a.Status == http.StatusBadRequest {
			p.lacks("bare dates are refused (filter.date-only)")
			continue
		}
		for _, at := range []string{vs[0], vs[len(vs)/2], vs[len(vs)-1]} {
			has := func(r oneroster.Record) bool { v := r.Values[i]; return v != "" && is(v, at) }
			p.filtered(c, f.Name+predicate+provider.Quote(at), has, has, f.Name)
		}
	}
}

func checkNumbers(p *probe) {
	c, ok := p.collection()
	if !ok {
		return
	}
	for i := range p.route.Resource.Fields {
		f := &p.route.Resource.Fields[i]
		if f.Kind != oneroster.Number {
			continue
		}
		for _, at := range []float64{9, 10, 20.5} {
			above := func(r oneroster.Record) bool {
				v, err := strconv.ParseFloat(r.Values[i], 64)
				return err == nil && v > at
			}
			p.filtered(c, f.Name+">"+provider.Quote(oneroster.FormatNumber(at)), above, above, f.Name)
		}
	}
}

// withIn filters by a value of the data that has mark in it, else by one that
// goes on after mark: it must bring nothing, not the rows that have what is
// before mark, and break nothing.
func (p *probe) withIn(mark string) {
	c, ok := p.collection()
	if !ok {
		return
	}
	f, v := find(c, mark)
	if f == nil {
		f, v = freeText(c)
		v += mark + "Nobody"
	}
	p.filtered(c, f.Name+"="+provider.Quote(v), equal(f.Name, v), like(f.Name, v), f.Name)
}

func find(c *collection, mark string) (*oneroster.Field, string) {
	for i := oneroster.Modified + 1; i < len(c.route.Resource.Fields); i++ {
		f := &c.route.Resource.Fields[i]
		if f.Kind != oneroster.String {
			continue
		}
		for _, rec := range c.records() {
			if strings.Contains(rec.Values[i], mark) {
				return f, rec.Values[i]
			}
		}
	}
	return nil, ""
}

// checkApostrophe writes the quote doubled and as it is: the standard says
// nothing, clients send both. One of the two must find the rows, neither may
// break or bring others.
func checkApostrophe(p *probe) {
	c, ok := p.collection()
	if !ok {
		return
	}
	f, v := find(c, "'")
	if f == nil {
		if f, v = p.route.Resource.Field("sourcedId"), "O'Nobody"; textField(c) != nil {
			f = textField(c)
		}
	}
	found := false
	var last *provider.Answer
	for _, filter := range []string{f.Name + "=" + provider.Quote(v), f.Name + "='" + v + "'"} {
		a := p.get(p.route.Path, "limit", strconv.Itoa(pageful), "filter", filter)
		last = a
		if a.Err != nil || a.Status >= 500 {
			p.fail(a, "answered %d", a.Status)
			return
		}
		if a.Status != http.StatusOK {
			continue
		}
		before := len(p.failures)
		p.selected(c, a, equal(f.Name, v), like(f.Name, v), f.Name)
		if len(p.failures) == before {
			found = true
		} else if got, err := a.List(wrappers(p.route.Resource)...); err == nil && len(got.Objects) == 0 {
			p.failures = p.failures[:before] // read as another value: no harm
		}
	}
	p.ok()
	if !found && len(p.failures) == 0 && some(c, equal(f.Name, v)) {
		p.fail(last, "neither the quote doubled nor the quote as it is finds the rows whose %s is %q",
			f.Name, v)
	}
}

// checkBadDate asks for rows by dates that are none. Some compare texts, which is another
// mistake (filter.zone) and breaks nothing.
func checkBadDate(p *probe) {
	if _, ok := p.collection(); !ok {
		return
	}
	for _, at := range []string{"2026-13-45", "2026-02-30T25:61:00.000Z", "yesterday"} {
		a := p.get(p.route.Path, "limit", "1", "filter", "dateLastModified>"+provider.Quote(at))
		p.ok()
		if a.Err != nil {
			p.fail(a, "no answer: %v", a.Err)
		} else if a.Status >= 500 {
			p.fail(a, "answered %d for dateLastModified>'%s'; 400 was expected", a.Status, at)
		}
	}
}

// checkTwoFilters selects two rows by a filter each. To take the first, the last, both as AND,
// or to refuse are all a provider's right.
func checkTwoFilters(p *probe) {
	c, ok := p.threeRows()
	if !ok {
		return
	}
	one, other := c.id(0), c.id(c.count-1)
	a := p.get(p.route.Path, "limit", "10", "filter", "sourcedId="+provider.Quote(one), "filter",
		"sourcedId="+provider.Quote(other))
	p.ok()
	got, err := a.List(wrappers(p.route.Resource)...)
	switch {
	case a.Err != nil || a.Status >= 500:
		p.fail(a, "answered %d", a.Status)
	case a.Status != http.StatusOK || err != nil:
	case len(got.Objects) > 1:
		p.fail(a, "%s came, where each of the filters selects one row", plural(len(got.Objects), "row"))
	case len(got.Objects) == 1 && got.Objects[0].ID() != one && got.Objects[0].ID() != other:
		p.fail(a, "row %s came, which neither of the filters selects", got.Objects[0].ID())
	}
}

func checkZone(p *probe) {
	c, stamps, ok := p.stamps()
	if !ok {
		return
	}
	text := stamps[len(stamps)/2]
	at, err := time.Parse(oneroster.TimeLayout, text)
	if err != nil {
		panic(err) // canonical
	}
	later := modified(func(v string) bool { return v > text })
	from := modified(func(v string) bool { return v >= text })
	east := at.In(time.FixedZone("", 5*3600+1800)).Format("2006-01-02T15:04:05.000-07:00")
	west := at.In(time.FixedZone("", -8*3600)).Format("2006-01-02T15:04:05.000-07:00")
	p.filtered(c, "dateLastModified>"+provider.Quote(east), later, later, "dateLastModified")
	p.filtered(c, "dateLastModified>="+provider.Quote(west), from, from, "dateLastModified")
	p.filtered(c, "dateLastModified>"+provider.Quote(at.Format("2006-01-02T15:04:05.000000")+"Z"), later,
		later, "dateLastModified")
	second := at.Truncate(time.Second)
	sec := oneroster.FormatTime(second)
	since := modified(func(v string) bool { return v > sec })
	p.filtered(c, "dateLastModified>"+provider.Quote(second.Format("2006-01-02T15:04:05")+"Z"), since,
		since, "dateLastModified")
}

func checkEncoding(p *probe) {
	p.onText(func(c *collection, f *oneroster.Field, v string) {
		other := c.id(c.count - 1)
		condition := func(quote, unquote, equals, space string) string {
			return "limit=" + strconv.Itoa(pageful) + "&filter=" + f.Name + equals + quote +
				strings.ReplaceAll(v, " ", space) + unquote + space + "AND" + space +
				"sourcedId!" + equals + quote + provider.Escape(other) + unquote
		}
		has := func(same func(a, b string) bool) func(oneroster.Record) bool {
			return func(r oneroster.Record) bool { return same(r.Get(f.Name), v) && r.ID() != other }
		}
		understood := false
		for _, q := range []string{condition("'", "'", "=", "%20"), condition("%27", "%27", "%3D", "+"),
			condition("%27", "%27", "=", "%20")} {
			before := len(p.failures)
			p.selected(c, p.raw(p.route.Path, q), has(exactly), has(strings.EqualFold), f.Name)
			understood = understood || len(p.failures) == before
		}
		if !understood { // in no spelling
			p.failures, p.held = nil, false
			p.lacks("a filter of two conditions is not understood (filter.equal, filter.and)")
		}
	})
}

func checkFilteredPages(p *probe) {
	p.onText(func(c *collection, f *oneroster.Field, v string) {
		filter := f.Name + "!=" + provider.Quote(v)
		whole, ok := p.list(p.get(p.route.Path, "limit", strconv.Itoa(pageful), "filter", filter),
			p.route.Resource)
		if !ok {
			return
		}
		if len(whole.Objects) < 2 {
			p.lacks("the filter %s selects fewer than two rows", filter)
			return
		}
		for _, at := range []int{0, 1, len(whole.Objects) / 2, len(whole.Objects) - 1} {
			a := p.get(p.route.Path, "limit", "1", "offset", strconv.Itoa(at), "filter", filter)
			got, ok := p.list(a, p.route.Resource)
			if ok && (len(got.Objects) != 1 || got.Objects[0].ID() != whole.Objects[at].ID()) {
				p.fail(a, "at offset %d came %q; in the whole filtered list it is %s", at, ids(got.Objects),
					whole.Objects[at].ID())
			}
		}
	})
}
