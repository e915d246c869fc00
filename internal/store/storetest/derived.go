package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// people of these agents, "who:agent,agent who:agent".
func people(agents string) (out []oneroster.Record) {
	for _, word := range strings.Fields(agents) {
		id, of, _ := strings.Cut(word, ":")
		out = append(out, Rec("user", "sourcedId", id, "username", id, "role", "student", "orgs", "o1",
			"agents", oneroster.Join(strings.FieldsFunc(of, func(r rune) bool { return r == ',' })...)))
	}
	return out
}

// served is the same of what is served.
func served(t *trial) string {
	t.Helper()
	var out []string
	for _, r := range t.rows("getAllUsers | status='active'") {
		out = append(out, r.ID()+":"+strings.Join(oneroster.Items(r.Get("agents")), ","))
	}
	return strings.Join(out, " ")
}

var derived = []promise{
	{"agents are served on both sides, whichever side states them", func(t *trial) {
		for _, c := range []struct{ stated, served, moved string }{
			{"a: b: c:", "a: b: c:", "a b c"},
			{"a:b b: c:", "a:b b:a c:", "a b"},
			{"a: b:a c:", "a:b b:a c:", ""}, // the other side says it now
			{"a: b: c:", "a: b: c:", "a b"},
			{"a:c,b b: c:a", "a:b,c b:a c:a", "a b c"},
			{"a:b b: c:a", "a:b,c b:a c:a", ""},
			{"a:b b:", "a:b b:a", "a c"}, // who is gone is stated by nobody
			{"a:b,c b:", "a:b,c b:a", "a"},
			{"a:b,c b: c:", "a:b,c b:a c:a", "c"},
			{"b: c:", "b: c:", "a b c"},
			{"a: b:a", "a:b b:a", "a b c"},
		} {
			t.tick(time.Hour)
			report := t.take(people(c.stated)...)
			t.equal(c.stated, served(t), c.served)
			moved := ""
			if report.Stamp != "" {
				moved = t.ids("getAllUsers | dateLastModified='" + report.Stamp + "'")
			}
			t.equal(c.stated+" moves the time of", moved, c.moved)
		}
	}},
	{"agents follow a delta", func(t *trial) {
		t.take(people("a: b: c:")...)
		t.takeDelta(people("a:b")...)
		t.equal("came", served(t), "a:b b:a c:")
		t.takeDelta(people("b:c")...)
		t.equal("came on the other side", served(t), "a:b b:a,c c:b")
		t.takeDelta(gone("user", "c"))
		t.equal("left", served(t), "a:b b:a,c") // b states c
		t.takeDelta(people("a: b:")...)
		t.equal("neither states it", served(t), "a: b:")
	}},
	{"however many agents move, each does", func(t *trial) {
		const many = 2100 // more than are written at once
		stated, want := "a:", []string{}
		for i := range many {
			id := fmt.Sprintf("k%04d", i)
			stated, want = stated+" "+id+":a", append(want, id)
		}
		t.take(people(stated)...)
		t.equal("the agents of one", t.one("getAllUsers", "a").Get("agents"), oneroster.Join(want...))
		t.take(people(strings.ReplaceAll(stated, ":a", ":"))...)
		t.equal("who have none any more", strings.Count(served(t)+" ", ": "), many+1)
		t.take(people("a:" + strings.Join(want, ",") + strings.ReplaceAll(stated[2:], ":a", ":"))...)
		t.equal("who have one", strings.Count(served(t)+" ", ":a "), many)
	}},
	{"children are those whose parent it is, and are active", func(t *trial) {
		tree := func(words string) (out []oneroster.Record) {
			for _, w := range strings.Fields(words) {
				id, parent, _ := strings.Cut(w, "<")
				out = append(out, Rec("org", "sourcedId", id, "name", id, "type", "school", "parent", parent))
			}
			return out
		}
		for _, c := range []struct{ stated, children, moved string }{
			{"d s2<d s1<d", "s1,s2", "d s2 s1"}, {"d s2<d s1<d", "s1,s2", ""}, {"d s2<d s1", "s2", "d s1"},
			{"d s1<d", "s1", "d s2 s1"}, {"d", "", "d s1"},
			{"d<d", "d", "d"},
		} {
			t.tick(time.Hour)
			report := t.take(tree(c.stated)...)
			t.equal(c.stated, strings.Join(oneroster.Items(t.one("getAllOrgs", "d").Get("children")), ","),
				c.children)
			moved := ""
			if report.Stamp != "" {
				moved = t.ids("getAllOrgs | dateLastModified='" + report.Stamp + "'")
			}
			t.equal(c.stated+" moves the time of", moved, c.moved)
		}
	}},
}

var closure = []promise{
	{"what cannot be without what a package deletes goes with it", func(t *trial) {
		again := func() {
			t.take(school()...)
			t.put("lineItem", "sourcedId", "i", "title", "Quiz", "class", "c1")
			t.put("result", "sourcedId", "r", "lineItem", "i", "student", "u1", "score", "5")
		}
		again()
		before := t.active()
		for _, c := range []struct{ gone, with string }{
			{"org o1", "course co class c1 class c2 user u1 user u2 demographics u1 " +
				"enrollment e1 enrollment e3 lineItem i result r"},
			{"academicSession y", "class c1 class c2 enrollment e1 enrollment e3 lineItem i result r"},
			{"course co", "class c1 class c2 enrollment e1 enrollment e3 lineItem i result r"},
			{"class c1", "enrollment e1 enrollment e3 lineItem i result r"},
			{"user u1", "demographics u1 enrollment e1 result r"},
			{"lineItem i", "result r"},
		} {
			name, id, _ := strings.Cut(c.gone, " ")
			t.equal("before "+c.gone, t.active(), before)
			p := Bulk(gone(name, id))
			p.Carried[oneroster.ByName(name)] = oneroster.Delta
			report := t.report(p, store.ImportOptions{Closed: true})
			left, with := before, map[string]int{}
			words := strings.Fields(c.gone + " " + c.with)
			for i := 0; i < len(words); i += 2 {
				left = strings.Replace(left, words[i]+" "+words[i+1]+"\n", "", 1)
				with[words[i]]++
			}
			with[name]--
			t.equal(c.gone, t.active(), left)
			for _, r := range oneroster.Resources() {
				t.equal(c.gone+" takes along of "+r.Plural, report.Counts[r].With, with[r.Name])
			}
			again()
		}
	}},
	{"a plan names what has nothing left of what it needs", func(t *trial) {
		t.take(school()...)
		p := Bulk(gone("org", "o2"), gone("academicSession", "y"))
		for r := range p.Carried {
			p.Carried[r] = oneroster.Delta
		}
		plan, err := t.s.Plan(ctx, p, store.ImportOptions{Closed: true}, nil)
		t.must(err)
		var told []string
		for _, w := range plan.Without() {
			told = append(told, fmt.Sprint(w.Resource.Name, " ", w.Field, " ", len(w.IDs), " ", w.IDs[0]))
		}
		t.equal("told", strings.Join(told, ", "), "class terms 2 c1")
		t.must(plan.Close())
	}},
	{"what is to come goes with what it belongs to as well", func(t *trial) {
		t.take(school()...)
		enrolled := func(id, class, school string) oneroster.Record {
			return Rec("enrollment", "sourcedId", id, "user", "u1", "class", class, "school", school, "role",
				"student")
		}
		p := Bulk(gone("course", "co"), Rec("class", "sourcedId", "c9", "title", "Maths 9", "classType",
			"scheduled", "course", "co", "school", "o1", "terms", "y"), enrolled("e9", "c1", "o1"),
			enrolled("e1", "c1", "o2"), enrolled("e10", "c9", "o1"))
		for r := range p.Carried {
			p.Carried[r] = oneroster.Delta
		}
		t.report(p, store.ImportOptions{Closed: true})
		if left := t.active(); strings.Contains(left, "enrollment") || strings.Contains(left, "class") {
			t.Errorf("there is still\n%s", left)
		}
	}},
	{"a package's grades of who has left are left out", func(t *trial) {
		t.take(school()...)
		item := Rec("lineItem", "sourcedId", "i", "title", "1", "class", "c1", "category", "k", "assignDate",
			"2026-09-01T00:00:00.000Z", "dueDate", "2026-09-01T00:00:00.000Z", "resultValueMin", "0",
			"resultValueMax", "9")
		grade := func(id, pupil string) oneroster.Record {
			return Rec("result", "sourcedId", id, "lineItem", "i", "student", pupil, "scoreStatus", "fully graded",
				"score", "5", "scoreDate", "2026-09-01")
		}
		grades := Bulk(Rec("category", "sourcedId", "k", "title", "1"), item, grade("r1", "u1"), grade("r2", "u2"))
		closed := store.ImportOptions{Closed: true}
		t.report(grades, closed)
		p := Bulk(gone("user", "u1"))
		p.Carried[oneroster.ByName("user")] = oneroster.Delta
		t.report(p, closed)
		report := t.report(grades, closed)
		t.equal("results", t.ids("getAllResults"), "r2")
		t.equal("of them with u1", report.Counts[oneroster.ByName("result")], store.Counts{Same: 1, With: 1})
		p.Rows = []oneroster.Record{gone("class", "c1")}
		p.Carried = map[*oneroster.Resource]oneroster.Mode{oneroster.ByName("class"): oneroster.Delta}
		t.report(p, closed)
		t.report(grades, closed)
		t.equal("line items", t.ids("getAllLineItems")+t.ids("getAllResults"), "")
	}},
	{"who has left is nobody's agent, and who was stated so is not again by himself", func(t *trial) {
		people := func(agents string) []oneroster.Record {
			return []oneroster.Record{Rec("user", "sourcedId", "a", "agents", agents), Rec("user", "sourcedId", "b")}
		}
		closed := store.ImportOptions{Closed: true}
		t.report(Bulk(people("b")...), closed)
		p := Bulk(gone("user", "b"))
		p.Carried[oneroster.ByName("user")] = oneroster.Delta
		t.tick(time.Hour)
		t.report(p, closed)
		t.equal("agents", t.one("getAllUsers", "a").Get("agents"), "")
		t.equal("its time", t.stamp("getAllUsers", "a"), "2026-09-01T09:00:00.000Z")
		p.Rows = people("")[1:]
		t.report(p, closed)
		t.equal("b is back", t.one("getAllUsers", "a").Get("agents"), "")
		t.report(Bulk(people("b")...), closed)
		t.equal("stated again", t.one("getAllUsers", "b").Get("agents"), "a")
	}},
	{"nobody has an agent who goes with what a package deletes", func(t *trial) {
		closed := store.ImportOptions{Closed: true}
		agents := func(text string) string { return oneroster.Join(strings.Fields(text)...) }
		person := func(id, orgs, of, email string) oneroster.Record {
			return Rec("user", "sourcedId", id, "orgs", agents(orgs), "agents", agents(of), "email", email)
		}
		for _, c := range []struct{ id, orgs, before, said, email, left string }{
			{"a", "o1", "", "b c", "", "b"}, {"a", "o1", "b", "b c", "", "b"}, {"a", "o1", "c", "b", "", "b"},
			{"a", "o1", "ghost", "c", "", ""}, {"a", "o1", "b c", "nothing", "", "b"},
			{"a", "o1 o2", "", "b c", "", "b"}, {"a", "o1 o2", "b c", "nothing", "", "b"},
			{"a", "o1", "", "b c", "other", "b"}, {"new", "o1", "", "b c", "", "b"},
		} {
			t.report(Bulk(append(school()[:2], person("a", c.orgs, c.before, ""), person("b", "o1", "", ""),
				person("c", "o2", "", ""))...), closed)
			t.equal(fmt.Sprint(c, " before"), t.one("getAllUsers", "a").Get("agents"), agents(c.before))
			rows := []oneroster.Record{gone("org", "o2"), person(c.id, c.orgs, c.said, c.email)}
			if c.said == "nothing" {
				rows = rows[:1]
			}
			delta := func(rows ...oneroster.Record) store.Report {
				p := Bulk(rows...)
				p.Carried[oneroster.ByName("org")] = oneroster.Delta
				p.Carried[oneroster.ByName("user")] = oneroster.Delta
				plan, err := t.s.Plan(ctx, p, closed, func(p *store.Plan) error {
					return p.Differences(ctx, func(before, after oneroster.Record) error {
						if slices.Equal(before.Values, after.Values) {
							t.Errorf("%v: it is told that %s differs", c, after.ID())
						}
						return nil
					})
				})
				t.must(errors.Join(err, plan.Close()))
				return t.report(p, closed)
			}
			report := delta(rows...)
			t.equal(fmt.Sprint(c, " go with o2"), report.Counts[oneroster.ByName("user")].With, 1)
			t.equal(fmt.Sprint(c), t.one("getAllUsers", c.id).Get("agents"), agents(c.left))
			delta(person("c", "o1", "b", ""))
			t.equal(fmt.Sprint(c, ", and c is back"), t.one("getAllUsers", c.id).Get("agents"), agents(c.left))
		}
	}},
	{"who has left may have had an agent who never was", func(t *trial) {
		t.take(Rec("user", "sourcedId", "a", "agents", oneroster.Join("b", "ghost")), Rec("user", "sourcedId", "b"))
		p := Bulk(gone("user", "a"))
		p.Carried[oneroster.ByName("user")] = oneroster.Delta
		t.report(p, store.ImportOptions{Closed: true})
		t.equal("agents of b", t.one("getAllUsers", "b").Get("agents"), "")
	}},
	{"references that a record can do without to what an import deletes are taken out of it", func(t *trial) {
		rows := append(with(with(school(), "org o2", "parent", "o1"), "class c1", "resources",
			oneroster.Join("r1", "r2"), "terms", oneroster.Join("y", "z")),
			Rec("resource", "sourcedId", "r1", "vendorResourceId", "1"), Rec("resource", "sourcedId", "r2",
				"vendorResourceId", "2"),
			Rec("academicSession", "sourcedId", "z", "title", "Term", "type", "gradingPeriod", "startDate",
				"2026-08-01", "endDate", "2027-07-31",
				"schoolYear", "2027", "parent", "y"))
		t.take(rows...)
		t.put("lineItem", "sourcedId", "i", "title", "Quiz", "class", "c1")
		t.equal("the period of the line item", t.one("getAllLineItems", "i").Get("gradingPeriod"), "z")
		t.tick(time.Hour)
		left := without(rows, "resource r1", "academicSession z", "org o2")
		t.report(Bulk(with(left, "user u3", "orgs", "o1")...), store.ImportOptions{Closed: true})
		c1 := t.one("getAllClasses", "c1")
		t.equal("of the class", c1.Get("resources")+" "+c1.Get("terms")+" "+c1.Get("dateLastModified"),
			"r2 y 2026-09-01T09:00:00.000Z")
		t.equal("its resources", t.ids("getResourcesForClass c1"), "r2")
		t.equal("classes of the term", t.ids("getClassesForTerm z"), "")
		i := t.one("getAllLineItems", "i")
		t.equal("of the line item", i.Get("gradingPeriod")+" "+i.Get("dateLastModified"),
			" 2026-09-01T09:00:00.000Z")
		t.equal("children", t.one("getAllOrgs", "o1").Get("children"), "")
		t.tick(time.Hour)
		t.report(Bulk(rows...), store.ImportOptions{Closed: true})
		c1 = t.one("getAllClasses", "c1")
		t.equal("stated again", c1.Get("resources")+" "+c1.Get("terms")+" "+c1.Get("dateLastModified"),
			oneroster.Join("r1", "r2")+" "+oneroster.Join("y", "z")+" 2026-09-01T10:00:00.000Z")
		p := Bulk(gone("resource", "r2"))
		p.Carried[oneroster.ByName("resource")] = oneroster.Delta
		t.report(p, store.ImportOptions{Closed: true})
		t.equal("of a class of which nothing was said", t.one("getAllClasses", "c1").Get("resources"), "r1")
		t.take(without(rows, "class c1")...)
		t.equal("and it is an import's as before", t.one("getAllClasses", "c1").Get("status"), "tobedeleted")
	}},
	{"nothing refers to a gradebook object that an import deletes", func(t *trial) {
		t.take(append(school(), Rec("category", "sourcedId", "k1", "title", "1"), Rec("category", "sourcedId",
			"k2", "title", "2"),
			Rec("lineItem", "sourcedId", "i1", "title", "1", "class", "c1", "category", "k1", "assignDate",
				"2026-09-01T00:00:00.000Z", "dueDate",
				"2026-09-01T00:00:00.000Z", "resultValueMin", "0", "resultValueMax", "9"))...)
		t.put("lineItem", "sourcedId", "i2", "title", "1", "class", "c1", "category", "k1")
		t.put("result", "sourcedId", "r1", "lineItem", "i1", "student", "u1", "score", "5")
		t.put("result", "sourcedId", "r2", "lineItem", "i2", "student", "u1", "score", "5")
		t.tick(time.Hour)
		t.report(Package{map[*oneroster.Resource]oneroster.Mode{oneroster.ByName("category"): oneroster.Bulk,
			oneroster.ByName("lineItem"): oneroster.Bulk},
			[]oneroster.Record{Rec("category", "sourcedId", "k2", "title", "2")}},
			store.ImportOptions{Closed: true})
		t.equal("line items", t.ids("getAllLineItems"), "i2")
		t.equal("its category", t.one("getAllLineItems", "i2").Get("category"), "k2")
		t.equal("results", t.ids("getAllResults"), "r2")
		t.equal("told to a reader", t.ids("getAllResults | dateLastModified>='2026-09-01T09:00:00.000Z'"),
			"r1")
	}},
	{"a closed import counts what it carries and takes along, and nothing else", func(t *trial) {
		t.take(school()...)
		p := Bulk(with(school(), "class c1", "title", "Sums")[4], Rec("enrollment", "sourcedId", "e4", "user",
			"u2", "class", "nosuch", "school", "o1", "role", "student"))
		for r := range p.Carried {
			p.Carried[r] = oneroster.Delta
		}
		report := t.report(p, store.ImportOptions{Closed: true})
		t.equal("counts", report.Counts, map[*oneroster.Resource]store.Counts{
			oneroster.ByName("class"): {Changed: 1}, oneroster.ByName("enrollment"): {Added: 1}})
	}},
}
