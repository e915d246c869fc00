package verify

import (
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

func hasKind(kinds ...oneroster.Kind) func(*oneroster.Route) bool {
	return func(r *oneroster.Route) bool {
		return slices.ContainsFunc(r.Resource.Fields, func(f oneroster.Field) bool {
			return slices.Contains(kinds, f.Kind)
		})
	}
}

var (
	hasNumber  = hasKind(oneroster.Number)
	hasRef     = hasKind(oneroster.Ref, oneroster.Refs)
	hasStrings = hasKind(oneroster.Strings)
)

// pageful is how many rows of a filtered list are looked at.
const pageful = 1000

// filter asks for the rows that a filter selects.
func (p *probe) filter(text string) *provider.Answer {
	return p.get(p.route.Path, "limit", strconv.Itoa(pageful), "filter", text)
}

// filtered wants a filter to bring every walked row that must come, and only rows that may.
// What comes is judged by its own content, so that deleted rows that a plain list hides do not
// count against a provider.
func (p *probe) filtered(c *collection, conditions ...condition) {
	for _, want := range conditions {
		p.selected(c, p.filter(want.filter), want)
	}
}

func (p *probe) selected(c *collection, a *provider.Answer, want condition) {
	if a.Status == http.StatusNotFound && !c.some(want) {
		p.lacks("a filter that selects nothing is answered 404 (filter.no-match)")
		return
	}
	got, ok := p.whole(a, pageful)
	if !ok {
		return
	}
	came := map[string]bool{}
	for _, o := range got.Objects {
		if came[o.ID()] && len(c.twice) == 0 && o.ID() != "" {
			p.fail(a, "row %s came twice: does a join bring it once a value?", o.ID())
			return
		}
		came[o.ID()] = true
		rec := o.Record(p.route.Resource)
		if n, known := c.find(o.ID()); known && len(o) < int(c.members[n]) { // a selection of fields
			rec = c.record(n)
		} else if !known && len(o) == 1 {
			continue // a selection of fields of a row that the walk did not meet
		}
		if !want.may(rec) {
			p.fail(a, "row %s came and does not fulfil the filter: %s", o.ID(), want.values(rec))
			return
		}
	}
	if len(got.Objects) >= pageful {
		return
	}
	for _, rec := range c.records() {
		if want.must(rec) && !came[rec.ID()] {
			p.fail(a, "row %s fulfils the filter and did not come: %s", rec.ID(), want.values(rec))
			return
		}
	}
}

// some tells whether a condition selects any of the walked rows.
func (c *collection) some(want condition) bool {
	for _, rec := range c.records() {
		if want.must(rec) {
			return true
		}
	}
	return false
}

// whole is page with the rest of a list that was cut below the limit which was asked for:
// page.size tells of that, and here it is no matter.
func (p *probe) whole(a *provider.Answer, limit int) (wire.Page, bool) {
	got, ok := p.page(a)
	for ok && len(got.Objects) < min(limit, got.Total) {
		next := p.raw(a.Call.Path, a.Call.Query+"&offset="+strconv.Itoa(len(got.Objects)))
		more, err := p.asList(next, p.route.Resource)
		if err != nil || len(more.Objects) == 0 {
			break // the total is wrong, and others tell
		}
		if first := more.Objects[0].ID(); slices.ContainsFunc(got.Objects, func(o wire.Object) bool {
			return o.ID() == first
		}) {
			break // offset is not read
		}
		got.Objects = append(got.Objects, more.Objects...)
	}
	return got, ok
}

// empty wants filters to bring nothing, in good shape.
func (p *probe) empty(filters ...string) {
	for _, filter := range filters {
		a := p.get(p.route.Path, "filter", filter)
		got, ok := p.page(a)
		if !ok {
			continue
		}
		if len(got.Objects) > 0 {
			p.fail(a, "%s came; no row fulfils the filter", plural(len(got.Objects), "row"))
		}
		if got.Key != p.route.Resource.Plural {
			p.fail(a, "the empty list is under %q", got.Key)
		}
		if got.Objects == nil {
			p.fail(a, "the empty list is null, not []")
		}
	}
}

// refuses wants filters to be answered with 400.
func (p *probe) refuses(filters ...string) {
	c := p.collection()
	for _, filter := range filters {
		a := p.get(p.route.Path, "filter", filter)
		p.ok()
		switch got, err := p.asList(a, p.route.Resource); {
		case a.Err != nil:
			p.fail(a, "no answer: %v", a.Err)
		case err == nil && len(got.Objects) == min(100, c.count):
			p.fail(a, "answered 200 with every row, as if there were no filter")
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

// own are the fields of a kind that a resource has beyond those of every row.
func own(of *oneroster.Resource, kind oneroster.Kind) iter.Seq2[int, *oneroster.Field] {
	return func(yield func(int, *oneroster.Field) bool) {
		for i := oneroster.Modified + 1; i < len(of.Fields); i++ {
			if f := &of.Fields[i]; f.Kind == kind && !yield(i, f) {
				return
			}
		}
	}
}

// plainValue picks a String field, else an Enum, with a plain value of it, such that some rows
// have it and some do not, where the data allows. It is looked for once; nil when there is none.
func (c *collection) plainValue() (*oneroster.Field, string) {
	if !c.picked {
		c.picked = true
		c.textField, c.textValue = pickText(c)
	}
	return c.textField, c.textValue
}

func (c *collection) plainField() *oneroster.Field {
	f, _ := c.plainValue()
	return f
}

func pickText(c *collection) (best *oneroster.Field, value string) {
	for _, kind := range []oneroster.Kind{oneroster.String, oneroster.Enum, oneroster.Bool} {
		for i, f := range own(c.of, kind) {
			v := ""
			for n := 0; n < c.count && !plain(v); n++ { // from the middle on
				v = c.text((n+c.count/2)%c.count, i)
			}
			if !plain(v) || f.Name == c.route.View.Field {
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

// plainText is the walked list with what plainValue picks; the check ends where there is nothing.
func (p *probe) plainText() (c *collection, field, v string) {
	c = p.collection()
	f, v := c.plainValue()
	if f == nil {
		p.leave("no row has a plain text to filter by")
	}
	return c, f.Name, v
}

// freeText is plainText for values that no enumeration bounds: a provider may refuse a sign that
// is in none of its words.
func (p *probe) freeText() (c *collection, field, v string) {
	c = p.collection()
	if f, v := c.plainValue(); f != nil && f.Kind == oneroster.String {
		return c, f.Name, v
	}
	return c, "sourcedId", c.id(0)
}

// listValue picks a value of a list, one of several where the data has such.
func listValue(c *collection) (field, value string) {
	for i, f := range own(c.of, oneroster.Strings) {
		for _, rec := range c.records() {
			items := oneroster.Items(rec.Values[i])
			if len(items) == 0 || !plain(items[len(items)-1]) {
				continue
			}
			if len(items) > 1 {
				return f.Name, items[len(items)-1]
			}
			if field == "" {
				field, value = f.Name, items[0]
			}
		}
	}
	return field, value
}

const mostWords = 12 // of an enumeration, that are filtered by

// words filters by each word of each enumeration and boolean, which readers do most, and by a text with
// letters that are not ASCII, of which accents may be passed over.
func (p *probe) words(c *collection) {
	accents := false
	for i, f := range c.of.Fields {
		if i <= oneroster.Modified || f.Name == p.route.View.Field {
			continue
		}
		if f.Kind == oneroster.Enum || f.Kind == oneroster.Bool {
			for _, v := range c.distinct(i)[:min(mostWords, len(c.distinct(i)))] {
				if plain(v) {
					p.filtered(c, has(f.Name, v))
				}
			}
			continue
		}
		for n := range c.count {
			v := c.text((n+c.count/2)%c.count, i)
			if f.Kind == oneroster.String && !accents && strings.ContainsFunc(v, func(r rune) bool {
				return r > 0xBF && unicode.IsLetter(r)
			}) && !strings.ContainsAny(v, "',") {
				accents = true
				want := exactly(f.Name, v)
				want.may = func(oneroster.Record) bool { return true }
				p.filtered(c, want)
				break
			}
		}
	}
}

// references are the fields of the probe's list that refer to something, each with an id that
// a row has there: the last of several, where there are such.
func (p *probe) references() iter.Seq2[*oneroster.Field, string] {
	c := p.collection()
	return func(yield func(*oneroster.Field, string) bool) {
		done := false
		for i := range c.of.Fields {
			f := &c.of.Fields[i]
			if f.To == "" || f.Derived() {
				continue
			}
			var ids []string
			for n := 0; n < c.count && len(ids) < 2; n++ {
				if here := oneroster.Items(c.text(n, i)); len(here) > len(ids) {
					ids = here
				}
			}
			if len(ids) > 0 {
				if done = true; !yield(f, ids[len(ids)-1]) {
					return
				}
			}
		}
		if !done {
			p.lacks("no row refers to anything")
		}
	}
}

// stamps are the distinct dateLastModified of the rows, sorted: one at least.
func (p *probe) stamps() (*collection, []string) {
	c := p.collection()
	out := c.distinct(oneroster.Modified)
	if len(out) == 0 {
		p.leave("no row has a dateLastModified that can be read")
	}
	return c, out
}

// distinct are the values that rows have in a field, sorted.
func (c *collection) distinct(field int) (out []string) {
	seen := map[uint32]bool{0: true}
	for _, number := range c.columns[field] {
		if !seen[number] {
			seen[number] = true
			out = append(out, c.texts.all[number])
		}
	}
	slices.Sort(out)
	return out
}

// order checks an ordering predicate at the least, a middle and the greatest
// value of every date and dateTime.
func (p *probe) order(predicate string) {
	c := p.collection()
	for i := range c.of.Fields {
		f := &c.of.Fields[i]
		vs := c.distinct(i)
		if f.Kind != oneroster.Date && f.Kind != oneroster.Time || len(vs) == 0 {
			continue
		}
		if a := p.get(p.route.Path, "filter", "dateLastModified>='2000-01-01'"); f.Kind == oneroster.Date &&
			a.Status == http.StatusBadRequest {
			p.lacks("bare dates are refused (filter.date-only)")
			continue
		}
		for _, at := range []string{vs[0], vs[len(vs)/2], vs[len(vs)-1]} {
			p.filtered(c, compared(f.Name, predicate, at))
		}
	}
}

func checkNumbers(p *probe) {
	c := p.collection()
	for i, f := range own(c.of, oneroster.Number) {
		for _, at := range []float64{9, 10, 20.5} {
			p.filtered(c, where(f.Name+">"+provider.Quote(oneroster.FormatNumber(at)), func(r oneroster.Record) bool {
				v, err := strconv.ParseFloat(r.Values[i], 64)
				return err == nil && v > at
			}, f.Name))
		}
	}
}

// withIn filters by a value of the data that has a mark in it, else by one that
// goes on after the mark: it must bring nothing, not the rows that have what is
// before it, and break nothing.
func (p *probe) withIn(marks ...string) {
	for _, mark := range marks {
		c, field, v := p.freeText()
		v += mark + "Nobody"
		if f, found := c.holding(mark); f != "" {
			field, v = f, found
		}
		p.filtered(c, has(field, v))
	}
}

// holding is a field and a value of it that has a mark in it; "" when there is none.
func (c *collection) holding(mark string) (field, value string) {
	for i, f := range own(c.of, oneroster.String) {
		for n := range c.count {
			if v := c.text(n, i); strings.Contains(v, mark) {
				return f.Name, v
			}
		}
	}
	return "", ""
}

// checkApostrophe writes the quote doubled and as it is: the standard says
// nothing, clients send both. One of the two must find the rows, neither may
// break or bring others.
func checkApostrophe(p *probe) {
	c := p.collection()
	field, v := c.holding("'")
	if field == "" {
		if field, v = "sourcedId", "O'Nobody"; c.plainField() != nil {
			field = c.plainField().Name
		}
	}
	found := false
	want := has(field, v)
	var last *provider.Answer
	for _, filter := range []string{want.filter, field + "='" + v + "'"} {
		a := p.filter(filter)
		last = a
		p.unbroken(a)
		if a.Status != http.StatusOK {
			continue
		}
		before := len(p.failures)
		p.selected(c, a, want)
		if len(p.failures) == before {
			found = true
		} else if got, err := p.asList(a, p.route.Resource); err == nil && len(got.Objects) == 0 {
			p.failures = p.failures[:before] // read as another value: no harm
		}
	}
	p.ok()
	if !found && len(p.failures) == 0 && c.some(exactly(field, v)) {
		p.fail(last, "neither the quote doubled nor the quote as it is finds the rows whose %s is %q", field, v)
	}
}

// checkBadDate asks for rows by dates that are none. Some compare texts, which is another
// mistake (filter.zone) and breaks nothing.
func checkBadDate(p *probe) {
	p.collection()
	for _, at := range []string{"2026-13-45", "2026-02-30T25:61:00.000Z", "yesterday"} {
		a := p.get(p.route.Path, "limit", "1", "filter", "dateLastModified>"+provider.Quote(at))
		p.ok()
		p.unbroken(a)
	}
}

// checkTwoFilters selects two rows by a filter each. To take the first, the last, both as AND,
// or to refuse are all a provider's right.
func checkTwoFilters(p *probe) {
	c := p.threeRows()
	one, last := exactly("sourcedId", c.id(0)), exactly("sourcedId", c.id(c.count-1))
	a := p.get(p.route.Path, "limit", "10", "filter", one.filter, "filter", last.filter)
	p.ok()
	p.unbroken(a)
	got, _ := p.asList(a, p.route.Resource)
	if len(got.Objects) > 1 {
		p.fatal(a, "%s came, where each of the filters selects one row", plural(len(got.Objects), "row"))
	}
	for _, o := range got.Objects {
		if !one.or(last).may(o.Record(c.of)) {
			p.fail(a, "row %s came, which neither of the filters selects", o.ID())
		}
	}
}

func checkZone(p *probe) {
	c, stamps := p.stamps()
	text := stamps[len(stamps)/2]
	at, err := time.Parse(oneroster.TimeLayout, text)
	if err != nil {
		panic(err) // canonical
	}
	const offset = "2006-01-02T15:04:05.000-07:00"
	second := at.Truncate(time.Second)
	p.filtered(c,
		stamped(">", text).spelled(">", at.In(time.FixedZone("", 5*3600+1800)).Format(offset)),
		stamped(">=", text).spelled(">=", at.In(time.FixedZone("", -8*3600)).Format(offset)),
		stamped(">", text).spelled(">", at.Format("2006-01-02T15:04:05.000000")+"Z"),
		stamped(">", oneroster.FormatTime(second)).spelled(">", second.Format("2006-01-02T15:04:05")+"Z"))
}

func checkEncoding(p *probe) {
	c, field, v := p.plainText()
	last := c.id(c.count - 1)
	written := func(quote, equals, space string) string {
		return "limit=" + strconv.Itoa(pageful) + "&filter=" + field + equals + quote +
			strings.ReplaceAll(v, " ", space) + quote + space + "AND" + space +
			"sourcedId!" + equals + quote + provider.Escape(last) + quote
	}
	understood := false
	for _, query := range []string{written("'", "=", "%20"), written("%27", "%3D", "+"),
		written("%27", "=", "%20")} {
		before := len(p.failures)
		p.selected(c, p.raw(p.route.Path, query), has(field, v).and(other(last)))
		understood = understood || len(p.failures) == before
	}
	if !understood { // in no spelling
		p.failures, p.held = nil, false
		p.lacks("a filter of two conditions is not understood (filter.equal, filter.and)")
	}
}

func checkFilteredPages(p *probe) {
	_, field, v := p.plainText()
	filter := field + "!=" + provider.Quote(v)
	whole := p.list(p.filter(filter))
	if len(whole.Objects) < 2 {
		p.leave("the filter %s selects fewer than two rows", filter)
	}
	for _, at := range []int{0, 1, len(whole.Objects) / 2, len(whole.Objects) - 1} {
		a := p.get(p.route.Path, "limit", "1", "offset", strconv.Itoa(at), "filter", filter)
		got, ok := p.page(a)
		if ok && (len(got.Objects) != 1 || got.Objects[0].ID() != whole.Objects[at].ID()) {
			p.fail(a, "at offset %d came %q; in the whole filtered list it is %s", at, ids(got.Objects),
				whole.Objects[at].ID())
		}
	}
}
