package verify

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

var singleChecks = []Check{
	{ID: "one.answer", On: Singles,
		Title: "An id of the list is answered 200 with the object under the standard's key, the only one",
		Rule:  ruleREST + ", data model",
		Fix: "Answer {\"user\": {…}}: org for a school, user for a student or teacher, " +
			"academicSession for a term; demographics for demographics.", Run: func(p *probe) {
			id, _ := p.single()
			a, list := p.alone(id), p.listOf()
			if members, err := a.Members(); err == nil && len(members) != 1 {
				p.fail(a, "%s beside the object's", plural(len(members)-1, "key"))
			}
			if kind := a.Header.Get("Content-Type"); !isJSON(a) &&
				kind != list.first.Header.Get("Content-Type") { // list.content-type tells of both
				p.fail(a, "the Content-Type is %q", kind)
			}
			for _, n := range list.kinds() {
				if len(p.failures) == 0 {
					p.alone(list.id(n))
				}
			}
		}},
	{ID: "one.same", On: Singles,
		Title: "A single object is the object of the list, attribute by attribute",
		Rule:  ruleREST + ", data model: one object, one representation",
		Fix:   "Render both by the same code.", Run: func(p *probe) {
			id, _ := p.single()
			list := p.listOf()
			some := []string{id, list.id(list.fullest())}
			for _, n := range list.kinds() {
				some = append(some, list.id(n))
			}
			for _, id := range some {
				o, a := p.object(id)
				p.ok()
				n, known := list.find(o.ID())
				if want := p.objectOf(list, n); known && o.Canonical() != want.Canonical() {
					p.fatal(a, "%s", difference(want, o, "the list", "the single object"))
				}
			}
		}},
	{ID: "one.total", On: Singles, Profiles: sdsProfiles,
		Title: "A single object has X-Total-Count: 1",
		Rule:  ruleSDS + " (SDS-A03)", Fix: "Send X-Total-Count: 1 with every single object.",
		Run: func(p *probe) {
			_, path := p.single()
			if a := p.get(path); a.Status == http.StatusOK && a.Total() != 1 {
				p.fail(a, "X-Total-Count is %q", a.Header.Get("X-Total-Count"))
			}
		}},
	{ID: "one.letter-case", On: Singles, Advice: true,
		Title: "An id in another letter case is another id",
		Rule:  ruleSDS + ": ids are compared letter by letter",
		Fix:   "Compare sourcedIds as bytes; a database's collation may fold them.", Run: func(p *probe) {
			id, _ := p.single()
			other := otherCase(id)
			if _, there := p.listOf().find(other); there || other == id {
				p.leave("ids here have no letters to write otherwise")
			}
			if a := p.get(fill(p.route.Path,
				map[string]string{"id": other})); a.Status != http.StatusNotFound {
				p.fail(a, "answered %d for %s, of which there is only %s", a.Status, other, id)
			}
			p.ok()
		}},
	{ID: "one.view", On: Singles,
		Where: func(r *oneroster.Route) bool { return r.View.Field != "" },
		Title: "An object of another kind is unknown here",
		Rule:  ruleREST + ", table 3.1a: /schools/{id} of a district is 404",
		Fix:   "Look the id up among the objects of the kind that the path names.", Run: func(p *probe) {
			c := p.all(p.route.Resource.Name)
			if c == nil {
				p.leave("/%s was not read", p.route.Resource.Plural)
			}
			for _, rec := range c.records() {
				if v := rec.Get(p.route.View.Field); v != "" && v != p.route.View.Value {
					p.ok()
					if a := p.get(fill(p.route.Path,
						map[string]string{"id": rec.ID()})); a.Status != http.StatusNotFound {
						p.fail(a, "answered %d for %s, whose %s is %s", a.Status, rec.ID(),
							p.route.View.Field, v)
					}
					return
				}
			}
			p.lacks("every row of /%s has %s %s", p.route.Resource.Plural, p.route.View.Field,
				p.route.View.Value)
		}},
}

// listOf is the collection that the objects of a single read are listed in.
func (p *probe) listOf() *collection {
	path, _, _ := strings.Cut(p.route.Path, "/{")
	c := p.reading(path)
	if c == nil {
		c = p.reading("/" + p.route.Resource.Plural)
	}
	return c
}

// single picks an object of the route: its id, and the path that reads it. The check ends where
// there is none.
func (p *probe) single() (id, path string) {
	c := p.listOf()
	switch {
	case c == nil:
		p.leave("the list was not read")
	case !c.usable():
		p.leave("there are no rows to take an id from, or they have none")
	}
	id = c.id(c.count / 2)
	return id, fill(p.route.Path, map[string]string{"id": id})
}

// alone wants the single object of an id of the list. The check ends where none comes.
func (p *probe) alone(id string) *provider.Answer {
	a, list := p.get(fill(p.route.Path, map[string]string{"id": id})), p.listOf()
	if a.Err != nil || a.Status != http.StatusOK {
		n, _ := list.find(id)
		p.fatal(a, "answered %d for %s, which the list has as %s", a.Status, id, list.text(n, oneroster.Status))
	}
	p.ok()
	o, key, err := a.One(p.route.Resource.Wrapper())
	if err != nil {
		p.fail(a, "%v", err)
	} else if o.ID() != id {
		p.fail(a, "the object under %q is %s; %s was asked for", key, o.ID(), id)
	}
	return a
}

// object reads an object of the route. The check ends where that fails.
func (p *probe) object(id string) (wire.Object, *provider.Answer) {
	a := p.get(fill(p.route.Path, map[string]string{"id": id}))
	o, _, err := a.One(p.route.Resource.Wrapper())
	if a.Status != http.StatusOK || err != nil {
		p.leave("the object cannot be read (one.answer)")
	}
	return o, a
}

// difference names the first attribute in which two objects differ.
func difference(a, b wire.Object, nameA, nameB string) string {
	d := wire.Differ(a, b)[0]
	return fmt.Sprintf("%s of %s differs: %s has %s, %s has %s", d.Name, a.ID(), nameA,
		brief(cmp.Or(d.One, "nothing")), nameB, brief(cmp.Or(d.Other, "nothing")))
}
