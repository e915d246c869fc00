package verify

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

var listChecks = []Check{
	{ID: "list.answer", On: Lists, Title: "The collection is answered 200 with a list",
		Rule: ruleREST + ", tables 3.1a to 3.1c",
		Fix:  "Serve the path; an empty collection is 200 with an empty list.", Run: func(p *probe) {
			if c := p.reading(p.route.Path); c.broken != nil {
				p.fail(c.broken, "%s", c.why)
			}
		}},
	{ID: "list.one", On: Lists, Title: "A list of one row is a list",
		Rule: ruleREST + ", data model; where JSON is made of XML, a list of one loses its brackets",
		Fix:  "Write [ ] around the rows, however many they are.", Run: func(p *probe) {
			a := p.get(p.route.Path, "limit", "1")
			members, err := a.Members()
			p.held = err == nil
			for _, key := range wrappers(p.route.Resource) {
				if _, bare := members[key].(map[string]any); bare {
					p.fail(a, "%q is an object, and not a list of one", key)
				}
			}
			if a.Status != http.StatusOK || err != nil {
				p.held = false
				p.lacks("there is no list to work on")
			}
		}},
	{ID: "list.content-type", On: Lists, Title: "A list is application/json, in UTF-8",
		Rule: ruleREST + "; " + ruleSDS + " (SDS-A03); RFC 8259 §8.1",
		Fix:  "Send Content-Type: application/json, and UTF-8 without a byte order mark.",
		Run: func(p *probe) {
			c := p.walked()
			if !isJSON(c.first) {
				p.fail(c.first, "the Content-Type is %q", c.first.Header.Get("Content-Type"))
			}
			switch {
			case c.crooked == nil:
			case marked(c.crooked.Body):
				p.fail(c.crooked, "the body begins with a byte order mark, at which readers of JSON stumble")
			default:
				p.fail(c.crooked, "the body is not UTF-8: letters with accents come out as signs")
			}
		}},
	{ID: "list.wrapper", On: Lists,
		Title: "A list stands under the standard's key, which is the only one",
		Rule:  ruleREST + ", data model; published suites count the keys",
		Fix: "Answer {\"users\": […]} and nothing beside: orgs for schools, users for students and " +
			"teachers, academicSessions for terms.", Run: func(p *probe) {
			c := p.walked()
			members, err := c.first.Members()
			if _, there := members[p.route.Resource.Plural]; err != nil || !there {
				p.fail(c.first, "the list is not under %q", p.route.Resource.Plural)
			} else if len(members) != 1 {
				p.fail(c.first, "%s beside %q", plural(len(members)-1, "key"), p.route.Resource.Plural)
			}
		}},
	{ID: "list.total-header", On: Lists,
		Title: "X-Total-Count is there, in digits, on every list, also an empty one",
		Rule:  ruleREST + ", paging; " + ruleSDS + " (SDS-A03)",
		Fix:   "Send X-Total-Count with every list: the rows that the filter selects, before paging.",
		Run: func(p *probe) {
			c := p.walked()
			for _, a := range []*provider.Answer{c.first, p.get(p.route.Path, "filter",
				"sourcedId='norecords'")} {
				if a.Status == http.StatusOK && a.Total() < 0 {
					p.fail(a, "X-Total-Count is %q", a.Header.Get("X-Total-Count"))
				}
			}
		}},
	{ID: "list.view", On: Lists,
		Title: "A part of a collection holds the part that its name says, whole",
		Rule:  ruleREST + ", table 3.1a: schools are orgs of type school, students users of role student",
		Fix:   "Select by type or role, and nothing else.", Run: checkView},
}

func checkView(p *probe) {
	view, c, whole := p.route.View, p.collection(), p.all(p.route.Resource.Name)
	if view.Field == "" {
		return
	}
	for _, rec := range c.records() {
		if rec.Get(view.Field) != view.Value {
			p.fail(nil, "%s has %s %q in %s", rec.ID(), view.Field, rec.Get(view.Field), p.route.Path)
		}
	}
	if whole == nil || !whole.whole || !c.whole {
		return
	}
	for n, rec := range c.records() {
		at, there := whole.find(rec.ID())
		if !there {
			p.fail(p.rowOf(c, n), "%s is in %s and not in /%s", rec.ID(), p.route.Path, p.route.Resource.Plural)
			return
		}
		for i, f := range p.route.Resource.Fields {
			if c.value(n, i) != whole.value(at, i) {
				p.fail(p.rowOf(c, n), "%s of %s is %q here, and %q in /%s", f.Name, rec.ID(),
					brief(c.text(n, i)), brief(whole.text(at, i)), p.route.Resource.Plural)
				return
			}
		}
	}
	for _, rec := range whole.records() {
		if _, there := c.find(rec.ID()); !there && rec.Get(view.Field) == view.Value {
			p.fail(nil, "%s of /%s has %s %q and is missing in %s", rec.ID(), p.route.Resource.Plural,
				view.Field, view.Value, p.route.Path)
		}
	}
}

var pageChecks = []Check{
	{ID: "page.total", On: Lists,
		Title: "X-Total-Count is the number of rows that a walk through all pages finds, on every page",
		Rule:  ruleREST + ", paging", Fix: "Count what the filter selects, in the same state of the data " +
			"that the page is read from.", Run: func(p *probe) {
			c := p.collection()
			if c.first.Total() < 0 {
				p.leave("there is no X-Total-Count (list.total-header)")
			}
			for _, pg := range c.pages {
				if pg.offset < c.first.Total() && pg.total != c.first.Total() { // page.past-end looks beyond
					p.fatal(pg.answer, "X-Total-Count is %d on the page at offset %d, and %d on the first",
						pg.total, pg.offset, c.first.Total())
				}
			}
			if c.whole && c.first.Total() != c.count {
				p.fail(c.first, "X-Total-Count is %d; walking all pages of %d found %s", c.first.Total(),
					c.size, plural(c.count, "row"))
			}
		}},
	{ID: "page.unique", On: Lists,
		Title: "No row comes twice on the way through all pages, and none is left out",
		Rule:  ruleREST + ", paging: the order must not change from page to page",
		Fix:   "Order every query by a unique last key, such as sourcedId.", Run: func(p *probe) {
			if c := p.collection(); len(c.twice) > 0 {
				p.fail(c.pages[len(c.pages)-1].answer, "%s came twice in pages of %d, such as %s",
					plural(len(c.twice), "row"), c.size, c.twice[0])
			}
		}},
	{ID: "page.size", On: Lists,
		Title: "A page holds limit rows unless the collection ends, up to 10,000",
		Rule:  ruleREST + ", paging; Grade Sync asks for 7,000 and Google for 10,000, and neither reads on",
		Fix: "Serve the limit that is asked for; set a maximum of 10,000 or more, and link to the " +
			"next page where you cut.", Run: checkPageSize},
	{ID: "page.default", On: Lists, Title: "Without limit a page has 100 rows",
		Rule: ruleREST + ", paging: limit is 100 by default", Fix: "Take 100 where limit is missing.",
		Run: func(p *probe) {
			c := p.collection()
			p.rowsOf(c.first, c, 0, 100)
		}},
	{ID: "page.offset", On: Lists,
		Title: "offset leaves out that many rows of the same order",
		Rule:  ruleREST + ", paging: zero-based; " + ruleSDS + " (SDS-A05)",
		Fix:   "Apply offset to the ordered rows before limit.", Run: func(p *probe) {
			c := p.threeRows()
			if len(c.twice) > 0 && p.repeats(c) {
				return // rows come twice, and offset counts them so: page.unique tells
			}
			for _, at := range []int{0, 1, 2, c.count / 2, c.count - 1} {
				p.rowsOf(p.get(p.route.Path, "offset", strconv.Itoa(at), "limit", "1"), c, at, 1)
			}
			if len(p.failures) == 0 { // an offset in the midst of a page
				p.rowsOf(p.get(p.route.Path, "offset", "1", "limit", "2"), c, 1, 2)
			}
		}},
	{ID: "page.stable", On: Lists, Title: "The same page is the same twice",
		Rule: ruleREST + ", paging", Fix: "Order by a unique last key, also where the database seems to " +
			"keep an order by itself.", Run: func(p *probe) {
			p.collection()
			var first string
			for _, query := range []string{"limit=20", "limit=20", "limit=10"} {
				a := p.call(provider.Call{Path: p.route.Path, Query: query})
				got := p.list(a)
				var ids strings.Builder
				for _, o := range got.Objects {
					ids.WriteString(o.ID() + "\n")
				}
				if first == "" {
					first = ids.String()
				}
				if query == "limit=20" && ids.String() != first {
					p.fatal(a, "the same request brought other rows, or the same in another order")
				} else if !strings.HasPrefix(first, ids.String()) {
					p.fail(a, "these are not the first rows of those that limit=20 brings")
				}
			}
		}},
	{ID: "page.past-end", On: Lists,
		Title: "Past the end is 200, an empty list, and the same total",
		Rule:  "in the field: Moodle asks one page past the end",
		Fix:   "Answer an offset beyond the last row with an empty list.", Run: func(p *probe) {
			c := p.collection()
			if !c.whole {
				return
			}
			a := p.get(p.route.Path, "offset", strconv.Itoa(c.count), "limit", "10")
			got := p.list(a)
			if len(got.Objects) > 0 {
				p.fail(a, "%s came from beyond the last row", plural(len(got.Objects), "row"))
			}
			if was := c.first.Total(); got.Total != was {
				p.fail(a, "X-Total-Count is %d there; it was %d", got.Total, was)
			}
		}},
	{ID: "page.nonsense", On: Lists,
		Title: "A limit or offset that is no number, or a huge one, is refused or passed over, and breaks nothing",
		Rule:  ruleREST + ", paging", Fix: "Take the default, or answer 400.", Run: func(p *probe) {
			p.collection()
			for _, q := range []string{"offset=3000000000&limit=1", "limit=abc", "limit=-1", "limit=0",
				"offset=-5&limit=1",
				"limit=99999999999999999999"} {
				if a := p.raw(p.route.Path, q); a.Err != nil || a.Status != http.StatusBadRequest &&
					a.Status != http.StatusOK {
					p.fail(a, "%s is answered %d; 400 was expected", q, a.Status)
				}
			}
		}},
	{ID: "page.given-twice", On: Lists,
		Title: "Two limits in one request bring no more rows than the greater",
		Rule:  ruleREST + ", paging", Fix: "Answer 400 where a parameter comes twice with two values, or take one.",
		Run: func(p *probe) {
			p.threeRows()
			a := p.raw(p.route.Path, "limit=1&limit=2")
			p.ok()
			p.unbroken(a)
			if got, _ := p.asList(a, p.route.Resource); len(got.Objects) > 2 {
				p.fail(a, "%s came", plural(len(got.Objects), "row"))
			}
		}},
	{ID: "page.at-once", On: Once, Title: "Requests that come at the same moment are answered as if each came alone",
		Rule: "in the field: readers pull several lists side by side",
		Fix: "Keep nothing of a request where another one finds it: no global variable, and no connection, " +
			"cursor or buffer that two requests share.", Run: checkAtOnce},
	{ID: "link.there", On: Lists, Advice: true,
		Title: "A list of several pages has a Link header with next, last and first",
		Rule:  ruleREST + ", paging; RFC 8288",
		Fix: "Send Link: <…>; rel=\"next\", <…>; rel=\"last\", <…>; rel=\"first\" with absolute URLs, " +
			"on one line, next first.", Run: func(p *probe) {
			if p.collection().count < 2 {
				return
			}
			a := p.get(p.route.Path, "limit", "1")
			for _, rel := range []string{"next", "last", "first"} {
				if a.Links()[rel] == "" {
					p.fail(a, "there is no link to the %s page", rel)
				}
			}
			if n := len(a.Header.Values("Link")); n > 1 {
				p.fail(a, "there are %d Link headers; some clients read the first only", n)
			}
		}},
	{ID: "link.next", On: Lists, Title: "Following next visits every row once, and ends",
		Rule: "RFC 8288; clients that follow links",
		Fix:  "Let next point at offset + limit with the same limit, and leave it out on the last page.",
		Run:  checkNext},
	{ID: "link.others", On: Lists, Title: "first, prev and last lead where they say",
		Rule: "RFC 8288", Fix: "Compute them from offset, limit and the total; last holds the last row " +
			"and has no next.", Run: checkLinks},
	{ID: "link.query", On: Lists,
		Title: "Links keep the filter, sort, fields and limit of the request",
		Rule:  "in the field: a next page without the filter brings rows that were not asked for",
		Fix:   "Build links from the caller's own query string and replace limit and offset in it.",
		Run:   checkLinkQuery},
}

// repeats tells whether offset counts the rows that come twice as the walk has met them.
func (p *probe) repeats(c *collection) bool {
	var ids []string
	for _, pg := range c.pages {
		for _, o := range p.again(c, pg) {
			ids = append(ids, o.ID())
		}
	}
	for _, at := range []int{1, 2, len(ids) / 2, len(ids) - 1} {
		a := p.get(p.route.Path, "offset", strconv.Itoa(at), "limit", "1")
		got, err := p.asList(a, p.route.Resource)
		if err != nil || len(got.Objects) != 1 || got.Objects[0].ID() != ids[at] {
			return false
		}
	}
	return true
}

// checkAtOnce asks for pages of several lists one by one, and then a few times for all of them at once.
func checkAtOnce(p *probe) {
	var routes []*oneroster.Route
	for i := range p.face.Routes {
		route := &p.face.Routes[i]
		if Lists.covers(route) && p.routes[route.Path] && len(routes) < 12 && p.reading(route.Path).usable() {
			routes = append(routes, route)
		}
	}
	if len(routes) == 0 {
		p.leave("no list has rows")
	}
	limit := func(i int) string { return strconv.Itoa(1 + i%3) }
	for range 4 {
		together := make([]*provider.Answer, len(routes))
		var wait sync.WaitGroup
		for i, route := range routes {
			wait.Go(func() {
				together[i], _ = p.p.Patient(p.ctx, provider.Call{Path: route.Path, Query: "limit=" + limit(i)})
			})
		}
		wait.Wait()
		for i, a := range together {
			alone := p.get(routes[i].Path, "limit", limit(i))
			p.ok()
			if p.cut(a) || a.Status != alone.Status { // error.steady and access.lasting-token tell
				p.passing = append(p.passing, a)
				continue
			}
			rows, err := p.asList(a, routes[i].Resource)
			want, _ := p.asList(alone, routes[i].Resource)
			if err != nil || ids(rows.Objects) != ids(want.Objects) || rows.Total != want.Total {
				p.fatal(a, "beside other requests came %q of %d; alone it is %q of %d", ids(rows.Objects), rows.Total,
					ids(want.Objects), want.Total)
			}
		}
	}
}

// rowsOf wants an answer to hold exactly the walked rows from an offset on.
func (p *probe) rowsOf(a *provider.Answer, c *collection, offset, limit int) {
	got := p.list(a)
	end := min(offset+limit, c.count)
	if !c.whole && offset+limit > end { // beyond what was walked
		return
	}
	if want := max(0, end-offset); len(got.Objects) != want {
		p.fatal(a, "%s came; the collection has %s from offset %d on, and limit is %d",
			plural(len(got.Objects), "row"), plural(c.count-offset, "row"), offset, limit)
	}
	for i, o := range got.Objects {
		if want := c.id(offset + i); o.ID() != want {
			p.fatal(a, "row %d is %s; in the walk through all pages it was %s", offset+i, o.ID(), want)
		}
	}
}

func checkPageSize(p *probe) {
	c := p.collection()
	all := c.first.Total()
	if c.whole {
		all = c.came
	}
	for _, pg := range c.pages {
		if left := all - pg.offset; pg.came < min(c.size, left) {
			p.fatal(pg.answer, "%s came at offset %d; limit was %d, and %d are left",
				plural(pg.came, "row"), pg.offset, c.size, left)
		} else if pg.came > c.size {
			p.fatal(pg.answer, "%s came; limit was %d", plural(pg.came, "row"), c.size)
		}
	}
	for _, limit := range []int{7000, 10000} {
		a := p.get(p.route.Path, "limit", strconv.Itoa(limit))
		got, ok := p.page(a)
		if want := min(limit, c.count); ok && len(got.Objects) < want {
			p.fail(a, "%s came of %d with limit=%d: a client that does not read on loses the rest",
				plural(len(got.Objects), "row"), c.count, limit)
		}
	}
}

// follow reads the page that a link points at. Links may name another host than
// the one that was asked (behind a proxy); that is told, and our own is asked.
func (p *probe) follow(from *provider.Answer, link string) *provider.Answer {
	u, err := url.Parse(link)
	if err != nil || u.Host == "" {
		p.fatal(from, "the link %q is not an absolute URL", link)
	}
	base, err := url.Parse(p.p.URL)
	if err != nil {
		panic(err) // it was parsed before
	}
	if !strings.EqualFold(u.Host, base.Host) || u.Scheme != base.Scheme {
		p.fatal(from, "the link leads to %s://%s; the service was asked at %s://%s", u.Scheme, u.Host,
			base.Scheme, base.Host)
	}
	return p.call(provider.Call{Path: link})
}

func checkNext(p *probe) {
	c := p.collection()
	if !c.whole {
		return
	}
	limit := c.part(5)
	a := p.get(p.route.Path, "limit", strconv.Itoa(limit))
	if a.Links()["next"] == "" {
		if c.count > limit && len(a.Links()) > 0 {
			p.fail(a, "there is no next although %d rows follow", c.count-limit)
		} else {
			p.lacks("there are no links to follow (link.there)")
		}
		return
	}
	seen := 0
	for {
		got := p.list(a)
		for _, o := range got.Objects {
			if seen < c.count && o.ID() != c.id(seen) {
				p.fatal(a, "following next, row %d is %s; by offset it was %s", seen, o.ID(), c.id(seen))
			}
			seen++
		}
		next := a.Links()["next"]
		switch {
		case next == "" && seen != c.count:
			p.fatal(a, "following next ended after %d of %d rows", seen, c.count)
		case next == "":
			return
		case seen >= c.count:
			p.fatal(a, "the last page has a next")
		}
		a = p.follow(a, next)
	}
}

func checkLinks(p *probe) {
	c := p.threeRows()
	if !c.whole {
		return
	}
	a := p.get(p.route.Path, "limit", "1", "offset", "1")
	links := a.Links()
	if len(links) == 0 {
		p.leave("there are no links to follow (link.there)")
	}
	for i, rel := range []string{"first", "prev", "next", "last"} {
		if links[rel] == "" {
			continue
		}
		got := p.follow(a, links[rel])
		p.rowsOf(got, c, []int{0, 0, 2, c.count - 1}[i], 1)
		if rel == "last" && got.Links()["next"] != "" {
			p.fail(got, "the page that last leads to has a next")
		}
	}
	if len(p.failures) > 0 {
		return
	}
	a = p.get(p.route.Path, "limit", "1", "filter", "status='active'")
	if last := a.Links()["last"]; strings.HasPrefix(last, p.p.URL) { // link.next tells of others
		end := p.call(provider.Call{Path: last})
		if got, err := p.asList(end, p.route.Resource); err == nil && len(got.Objects) == 0 {
			p.fail(end, "last leads beyond the end: no row is there that the filter selects")
		}
	}
}

func checkLinkQuery(p *probe) {
	p.collection()
	want := map[string]string{"filter": "status='active'", "sort": "dateLastModified",
		"fields": "sourcedId,status", "limit": "1"}
	a := p.get(p.route.Path, "limit", "1", "filter", want["filter"], "sort", want["sort"], "fields",
		want["fields"])
	next := a.Links()["next"]
	if next == "" {
		p.leave("there is no next to look at (link.there)")
	}
	p.ok()
	u, err := url.Parse(next)
	if err != nil {
		p.fatal(a, "the link %q is no URL", next)
	}
	for _, name := range []string{"filter", "sort", "fields", "limit"} {
		if got := u.Query().Get(name); got != want[name] {
			p.fail(a, "the link's %s is %q; the request's is %q", name, got, want[name])
		}
	}
}
