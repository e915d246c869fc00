package verify

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

var sortChecks = []Check{
	{ID: "sort.ascending", On: Lists, Title: "sort=field orders by the field, upwards",
		Rule: ruleREST + ", sorting", Fix: "Order in the database, before paging; upwards where orderBy " +
			"is missing.", Run: func(p *probe) { p.sorted("asc") }},
	{ID: "sort.descending", On: Lists, Title: "orderBy=desc orders downwards",
		Rule: ruleREST + ", sorting", Fix: "Order in the database, before paging.",
		Run: func(p *probe) { p.sorted("desc") }},
	{ID: "sort.nested", On: Nesteds, Title: "A nested list is sorted like any other",
		Rule: ruleREST + ", sorting: all lists", Fix: "Order where every list is written, and not in front of some.",
		Run: func(p *probe) {
			path, rows := p.beginning()
			if len(rows) < 2 {
				p.held = false
				p.leave("no parent was found that has two rows here")
			}
			a := p.get(path, "sort", "sourcedId", "orderBy", "desc", "limit", "100")
			before := oneroster.Field{Name: "sourcedId", Kind: oneroster.String}
			var last string
			for _, o := range p.list(a).Objects {
				if last != "" && wrong(&before, last, o.ID(), "desc") {
					p.fatal(a, "sorted by sourcedId desc, %s stands before %s", last, o.ID())
				}
				last = o.ID()
			}
		}},
	{ID: "sort.ties", On: Lists,
		Title: "Sorted by a field that many rows share, the pages still hold every row once",
		Rule:  ruleREST + ", paging: the order must not change from page to page",
		Fix:   "Append a unique last key to every order.", Run: checkTies},
	{ID: "sort.unknown", On: Lists,
		Title: "A field that cannot be sorted by gives the usual order",
		Rule:  ruleREST + ", sorting: 200 with a warning, invalid_sort_field",
		Fix:   "Answer the data in the default order.", Run: func(p *probe) {
			p.rowsOf(p.get(p.route.Path, "sort", "noSuchField", "limit", "20"), p.collection(), 0, 20)
		}},
}

// sorted wants every date, dateTime and number field, and one text field, to be
// in order. How texts of different scripts and letter cases compare is left
// open by 1.1: only pairs that compare alike in bytes and in lower case count.
func (p *probe) sorted(way string) {
	c := p.collection()
	if way == "desc" {
		p.sortedWithFilter(c)
	}
	text, sparse := c.plainField(), c.sparse()
	for i := range p.route.Resource.Fields {
		f := &p.route.Resource.Fields[i]
		if f.Kind != oneroster.Date && f.Kind != oneroster.Time && f.Kind != oneroster.Number &&
			f.Name != "sourcedId" && f != text && f != sparse {
			continue
		}
		if !c.varies(i) {
			continue
		}
		query := []string{"limit", strconv.Itoa(pageful), "sort", f.Name, "orderBy", way}
		if way == "asc" {
			query = query[:4]
		}
		a := p.get(p.route.Path, query...)
		got, ok := p.whole(a, pageful)
		if !ok {
			continue
		}
		if want := min(pageful, c.count); len(got.Objects) < want {
			p.fail(a, "%s came; there are %d", plural(len(got.Objects), "row"), c.count)
		}
		before := ""
		for _, o := range got.Objects {
			v := o.Record(p.route.Resource).Values[i]
			if v == "" {
				continue
			}
			if before != "" && wrong(f, before, v, way) {
				p.fail(a, "sorted by %s %s, %q stands before %q (row %s)", f.Name, way, before, v, o.ID())
				break
			}
			before = v
		}
		if c.whole && len(c.twice) == 0 { // else offset is not what it should be: page.offset tells
			p.sortedPage(query[2:], f, got.Objects)
		}
	}
	if !p.held {
		p.lacks("no field has two values to sort")
	}
}

// sortedWithFilter wants the order to hold where a filter is asked for too.
func (p *probe) sortedWithFilter(c *collection) {
	a := p.get(p.route.Path, "filter", active.filter, "sort", "sourcedId", "orderBy", "desc", "limit", "100")
	got, err := p.asList(a, p.route.Resource) // filter.status tells of others
	id := p.route.Resource.Field("sourcedId")
	for i := 1; err == nil && i < len(got.Objects); i++ {
		if before, v := got.Objects[i-1].ID(), got.Objects[i].ID(); wrong(id, before, v, "desc") {
			p.fatal(a, "sorted by sourcedId desc, and filtered, %s stands before %s", before, v)
		}
	}
}

// sparse is a field of texts, of two at least, that some rows have and some have not: an order by it may lose
// rows.
func (c *collection) sparse() *oneroster.Field {
	for i, f := range own(c.of, oneroster.String) {
		with := 0
		for n := range c.count {
			if c.value(n, i) != 0 {
				with++
			}
		}
		if with < c.count && c.varies(i) {
			return f
		}
	}
	return nil
}

// sortedPage wants a page from the middle to be that of the sorted list: a page
// that is sorted after it was cut looks sorted too. Ties may stand in any order.
func (p *probe) sortedPage(order []string, f *oneroster.Field, whole []wire.Object) {
	middle := len(whole) / 2
	a := p.get(p.route.Path, append([]string{"limit", "1", "offset", strconv.Itoa(middle)}, order...)...)
	got, ok := p.page(a)
	if !ok || middle >= len(whole) {
		return
	}
	want := text(whole[middle][f.Name])
	if len(got.Objects) != 1 {
		p.fail(a, "%s came where limit is 1", plural(len(got.Objects), "row"))
	} else if v := text(got.Objects[0][f.Name]); v != want {
		p.fail(a, "sorted by %s, the row at offset %d has %s; in the whole sorted list it is %s: was the "+
			"page cut before it was sorted?", f.Name, middle, v, want)
	}
}

func wrong(f *oneroster.Field, a, b, way string) bool {
	if way == "desc" {
		a, b = b, a
	}
	if f.Kind == oneroster.Number {
		x, _ := strconv.ParseFloat(a, 64) // canonical
		y, _ := strconv.ParseFloat(b, 64)
		return x > y
	}
	if f.Kind == oneroster.String && (!plain(a) || !plain(b)) {
		return false
	}
	return a > b && (f.Kind != oneroster.String || strings.ToLower(a) > strings.ToLower(b))
}

func checkTies(p *probe) {
	c := p.collection()
	if !c.whole || c.count < 4 {
		p.leave("four rows are needed")
	}
	seen := map[string]bool{}
	size := c.part(4)
	for offset := 0; offset < c.count; {
		a := p.call(provider.Call{Path: p.route.Path, Query: provider.Query("sort", "status", "limit",
			strconv.Itoa(size), "offset", strconv.Itoa(offset))})
		got := p.list(a)
		if len(got.Objects) == 0 {
			break
		}
		offset += min(size, len(got.Objects))
		for _, o := range got.Objects {
			if seen[o.ID()] {
				p.fatal(a, "row %s came a second time at offset %d", o.ID(), offset)
			}
			seen[o.ID()] = true
		}
	}
	if len(seen) != c.count {
		p.fail(nil, "sorted by status, the pages of %d held %d of %d rows", size, len(seen), c.count)
	}
}

var fieldsChecks = []Check{
	{ID: "fields.list", On: Lists, Title: "fields=… brings these attributes and no others",
		Rule: ruleREST + ", field selection",
		Fix:  "Return exactly the named attributes, also where mandatory ones drop out.",
		Run: func(p *probe) {
			c := p.collection()
			p.onlyFields(func(q ...string) (*provider.Answer, []wire.Object) {
				a := p.get(p.route.Path, append(q, "limit", strconv.Itoa(pageful))...)
				return a, p.list(a).Objects
			}, p.objectOf(c, c.fullest()))
			a := p.get(p.route.Path, "fields", "status", "limit", "20") // rows that look alike are not one
			if got := p.list(a).Objects; len(p.failures) == 0 && len(got) != min(20, c.count) {
				p.fail(a, "%s came with the status alone, of %d", plural(len(got), "row"), c.count)
			}
		}},
	{ID: "fields.single", On: Singles, Title: "fields=… works on a single object",
		Rule: ruleREST + ", field selection: all read operations",
		Fix:  "Apply the selection to single objects too.", Run: func(p *probe) {
			p.single() // there is one
			id := p.listOf().id(p.listOf().fullest())
			whole, _ := p.object(id)
			p.onlyFields(func(q ...string) (*provider.Answer, []wire.Object) {
				a := p.get(fill(p.route.Path, map[string]string{"id": id}), q...)
				o, _, err := a.One(p.route.Resource.Wrapper())
				if a.Status != http.StatusOK || err != nil {
					p.fatal(a, "answered %d", a.Status)
				}
				return a, []wire.Object{o}
			}, whole)
		}},
	{ID: "fields.nested", On: Nesteds, Title: "fields=… works on a nested list",
		Rule: ruleREST + ", field selection: all read operations",
		Fix:  "Apply the selection where every list is written, and not in front of some.", Run: func(p *probe) {
			path, rows := p.beginning()
			p.onlyFields(func(q ...string) (*provider.Answer, []wire.Object) {
				a := p.get(path, append(q, "limit", "20")...)
				return a, p.list(a).Objects
			}, rows[0])
		}},
	{ID: "fields.unknown", On: Lists,
		Title: "An unknown attribute in fields brings the data",
		Rule:  ruleREST + ", field selection: 200 with a warning, invalid_selection_field",
		Fix:   "Answer all attributes and a warning.", Run: func(p *probe) {
			p.rowsOf(p.get(p.route.Path, "fields", "sourcedId,noSuchField", "limit", "3"), p.collection(), 0, 3)
		}},
	{ID: "fields.blank", On: Lists, Advice: true,
		Title: "An empty fields is refused with 400",
		Rule:  ruleREST + ", field selection: invalid_blank_selection_field",
		Fix:   "Answer 400 where fields is there and empty.", Run: func(p *probe) {
			p.collection()
			if a := p.get(p.route.Path, "fields", ""); a.Err == nil && a.Status != http.StatusBadRequest {
				p.fail(a, "answered %d; 400 was expected", a.Status)
			}
		}},
	{ID: "fields.filter", On: Lists,
		Title: "A filter and an order work on attributes that are not selected",
		Rule:  ruleREST + ", field selection", Fix: "Select attributes last.", Run: func(p *probe) {
			c, field, v := p.plainText()
			p.selected(c, p.get(p.route.Path, "limit", strconv.Itoa(pageful), "fields", "sourcedId", "filter",
				has(field, v).filter), has(field, v))
		}},
}

// onlyFields asks for the sourcedId and an attribute of each kind that an example has.
func (p *probe) onlyFields(read func(q ...string) (*provider.Answer, []wire.Object), example wire.Object) {
	names, asked := []string{"sourcedId"}, map[oneroster.Kind]bool{}
	for _, f := range p.route.Resource.Fields[oneroster.Modified+1:] {
		if _, there := example[f.Name]; there && !asked[f.Kind] {
			names, asked[f.Kind] = append(names, f.Name), true
		}
	}
	a, objects := read("fields", strings.Join(names, ","))
	for _, o := range objects {
		for key := range o {
			if !slices.Contains(names, key) {
				p.fatal(a, "%s came; fields names %s only", key, strings.Join(names, ", "))
			}
		}
		if o.ID() == "" {
			p.fatal(a, "sourcedId was selected and did not come")
		}
	}
	at := slices.IndexFunc(objects, func(o wire.Object) bool { return o.ID() == example.ID() })
	if at < 0 {
		return
	}
	for _, name := range names {
		if got, want := objects[at][name], example[name]; got == nil && want != nil {
			p.fail(a, "%s was selected and did not come", name)
		} else if text(got) != text(want) {
			p.fail(a, "%s comes as %s; without a selection it is %s", name, text(got), text(want))
		}
	}
}
