package verify

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/s2"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// A collection is what a walk through a list found.
type collection struct {
	route *oneroster.Route
	first *provider.Answer // of the bare path
	size  int              // limit of the walk
	pages []page

	rows
	judges  []*probe         // checks of single rows, which see each as it comes
	twice   []string         // ids that came again
	unnamed int              // rows without a sourcedId that is a text
	came    int              // rows, repeated ones too
	whole   bool             // the walk reached the end
	broken  *provider.Answer // the answer that ended the walk early
	why     string           // what was wrong with it
	crooked *provider.Answer // the first whose bytes are not those of JSON, and are read all the same
	spare   bool             // the provider has no such path, and need not

	picked    bool // the field and value that filters are tried with were looked for
	textField *oneroster.Field
	textValue string
}

// A page of a walk, with the beginning of its body.
type page struct {
	answer *provider.Answer
	aside  int64 // where its body is
	offset int
	came   int // rows, repeated ones too
	from   int // number of the first row that had not come before
	total  int
}

// pageMost is how many rows a page is asked to have where the end of a long list is looked for.
const pageMost = 5000

// part is the size of pages in which so many make the list, where it is not long.
func (c *collection) part(n int) int { return min(max(1, (c.count+n-1)/n), pageMost) }

// usable tells whether checks have something to work on.
func (c *collection) usable() bool {
	return c != nil && c.broken == nil && c.count > 0 && c.unnamed == 0
}

// survey finds the collections in scope, and those that the others refer to, and
// walks through them: all, before the checks, or, where few checks are to run,
// each when the first of them asks for it.
func (r *run) survey() {
	needed := map[string]bool{}
	for i := range r.face.Routes {
		route := &r.face.Routes[i]
		if !r.routes[route.Path] {
			continue
		}
		needed["/"+route.Resource.Plural] = true
		if Lists.covers(route) {
			needed[route.Path] = true
		}
		for _, segment := range route.Segments[:1] { // the parents of nested lists
			needed["/"+segment] = true
		}
		if route.Scope.Through != nil {
			needed["/"+oneroster.ByName(route.Scope.Through.Resource).Plural] = true
		}
	}
	for i := range r.face.Routes {
		if route := &r.face.Routes[i]; Lists.covers(route) && needed[route.Path] {
			r.unread = append(r.unread, route)
		}
	}
	if len(r.opt.Only) > 0 {
		return
	}
	for _, route := range r.unread {
		r.watchUnread(route)
	}
	for len(r.unread) > 0 {
		r.reading(r.unread[0].Path)
	}
	r.watchLists()
}

// reading is what the walk through a list found, which is made when it was not
// yet; nil when the list is not in scope.
func (r *run) reading(path string) *collection {
	i := slices.IndexFunc(r.unread, func(route *oneroster.Route) bool { return route.Path == path })
	if i < 0 {
		return r.lists[path]
	}
	route := r.unread[i]
	r.unread = slices.Delete(r.unread, i, i+1)
	if r.ctx.Err() != nil {
		return nil
	}
	if len(r.opt.Only) > 0 {
		r.watchUnread(route)
	}
	if r.opt.Progress != nil {
		r.opt.Progress(0, 0, "reading "+route.Path)
	}
	p := &probe{run: r, route: route, check: &Check{}}
	r.lists[path] = p.walk()
	return r.lists[path]
}

// walk reads a collection page by page: in about four pages where it is small,
// so that there are seams to look at, and 5,000 rows a page where it is not.
func (p *probe) walk() *collection {
	c := &collection{route: p.route, rows: newRows(p.route.Resource, p.texts), judges: p.judges()}
	c.first = p.get(p.route.Path)
	if _, ok := p.look(c, c.first); !ok {
		c.spare = !p.needed[p.route.Path] && notServed(c.first)
		return c
	}
	total := c.first.Total()
	c.size = 100
	if total >= 0 {
		c.expected = min(total, p.opt.MaxRows)
		c.size = min(max(1, (total+3)/4), pageMost, p.opt.MaxRows)
	}
	for way := (wire.Walk{Limit: c.size}); p.ctx.Err() == nil; {
		offset := way.Offset
		a := p.call(provider.Call{Path: p.route.Path, Query: fmt.Sprintf("limit=%d&offset=%d", c.size,
			offset)})
		got, ok := p.look(c, a)
		if !ok {
			if total >= 0 && offset >= total && a.Err == nil { // past the end: page.past-end tells
				c.broken, c.whole = nil, true
			}
			return c
		}
		fresh := p.take(c, a, offset, got)
		last, err := way.Next(got)
		way.Offset = offset + min(len(got.Objects), c.size) // page.size tells of more rows
		if last || len(got.Objects) == 0 {
			c.whole = true
			return c
		}
		if err != nil || fresh == 0 || c.count >= p.opt.MaxRows {
			if fresh > 0 {
				p.note("only the first %d rows of %s were read (--rows)", c.count, p.route.Path)
			}
			return c
		}
	}
	return c
}

// look reads an answer as a list, and remembers why it is none.
func (p *probe) look(c *collection, a *provider.Answer) (wire.Page, bool) {
	got, err := p.asList(a, c.route.Resource)
	if err != nil {
		c.broken, c.why = a, err.Error()
	}
	return got, err == nil
}

// take keeps a page and tells how many of its rows are new.
func (p *probe) take(c *collection, a *provider.Answer, offset int, got wire.Page) int {
	kept := *a
	kept.Body = bytes.Clone(a.Body[:min(len(a.Body), 2000)])
	pg := page{answer: &kept, offset: offset, came: len(got.Objects), from: c.count, total: got.Total}
	var err error
	pg.aside, err = p.aside.Put(func(buf []byte) []byte { return append(buf, s2.Encode(nil, a.Body)...) })
	if err != nil {
		p.giveUp(fmt.Errorf("what was read cannot be put aside: %w", err))
	}
	if c.crooked == nil && (marked(a.Body) || !utf8.Valid(a.Body)) {
		c.crooked = &kept
	}
	c.came += len(got.Objects)
	for _, o := range got.Objects {
		if id := o.ID(); id == "" {
			c.unnamed++
		} else if _, known := c.find(id); known {
			if total := c.first.Total(); total < 0 || offset < total { // page.past-end looks beyond
				c.twice = append(c.twice, id)
			}
			continue
		}
		c.add(o)
		for _, judge := range c.judges {
			judge.row(a, o)
		}
	}
	c.pages = append(c.pages, pg)
	return c.count - pg.from
}

// marked tells of a byte order mark.
func marked(body []byte) bool { return bytes.HasPrefix(body, []byte("\uFEFF")) }

// objects are the rows as they came, by number, read again.
func (r *run) objects(c *collection, from int) iter.Seq2[int, wire.Object] {
	return func(yield func(int, wire.Object) bool) {
		for i, pg := range c.pages {
			if i+1 < len(c.pages) && c.pages[i+1].from <= from {
				continue
			}
			n := pg.from
			for _, o := range r.again(c, pg) {
				if id := o.ID(); id != "" {
					if at, _ := c.find(id); at != n {
						continue // it came before
					}
				}
				if n >= from && !yield(n, o) {
					return
				}
				n++
			}
		}
	}
}

// again reads the objects of a page that was put aside.
func (r *run) again(c *collection, pg page) []wire.Object {
	packed, _, err := r.aside.Get(pg.aside)
	a := *pg.answer
	if err == nil {
		a.Body, err = s2.Decode(nil, packed)
	}
	if err != nil {
		r.giveUp(err)
	}
	got, _ := a.List(wrappers(c.route.Resource)...) // it was read before
	return got.Objects
}

// objectOf is one row as it came, and rowOf the answer that it came with, cut down to it.
func (r *run) objectOf(c *collection, n int) wire.Object {
	for _, o := range r.objects(c, n) {
		return o
	}
	return nil
}

func (r *run) rowOf(c *collection, n int) *provider.Answer {
	i := sort.Search(len(c.pages), func(i int) bool { return c.pages[i].from > n }) - 1
	return cutTo(c.pages[i].answer, r.objectOf(c, n))
}

// cutTo is an answer cut down to one of its objects.
func cutTo(a *provider.Answer, o wire.Object) *provider.Answer {
	out := *a
	out.Body = []byte(o.Canonical())
	return &out
}

// collection is the walked list of the probe's route. The check ends where there is none to work
// on.
func (p *probe) collection() *collection {
	c := p.walked()
	if c.unnamed > 0 {
		p.leave("rows of %s have no sourcedId to know them by (data.id)", p.route.Path)
	}
	return c
}

// threeRows is collection with as many rows at least.
func (p *probe) threeRows() *collection {
	c := p.collection()
	if c.count < 3 {
		p.leave("three rows are needed")
	}
	return c
}

// walked is collection for checks that need not tell one row from another.
func (p *probe) walked() *collection {
	c := p.reading(p.route.Path)
	switch {
	case c == nil:
		p.leave("%s was not read", p.route.Path)
	case c.broken != nil:
		p.leave("there is no list to work on: %s", c.why)
	case c.count == 0:
		p.leave("there are no rows")
	}
	return c
}

// all is the walked list of a resource's whole; nil when it was not read.
func (r *run) all(resource string) *collection {
	c := r.reading("/" + oneroster.ByName(resource).Plural)
	if !c.usable() {
		return nil
	}
	return c
}

// active lists the records of a resource that are not deleted.
func (r *run) active(resource string) iter.Seq2[int, oneroster.Record] {
	return func(yield func(int, oneroster.Record) bool) {
		c := r.all(resource)
		if c == nil {
			return
		}
		for n, rec := range c.records() {
			if rec.Values[oneroster.Status] != oneroster.ToBeDeleted && !yield(n, rec) {
				return
			}
		}
	}
}

// fill puts percent-encoded ids in the place of a path's variables.
func fill(path string, vars map[string]string) string {
	for name, id := range vars {
		path = strings.ReplaceAll(path, "{"+name+"}", oneroster.EscapeID(id))
	}
	return path
}
