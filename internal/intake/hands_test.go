package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// An org that takes the name of another one, or a school that is none any more, is held alone;
// one that only has a new name is not.
func TestHandsOfOrgs(t *testing.T) {
	named := func(pairs ...string) func(district) {
		return func(d district) {
			for i := 0; i < len(pairs); i += 2 {
				d.some("org", 1, is("sourcedId", pairs[i]))[0].Set("name", pairs[i+1])
			}
		}
	}
	becomes := func(id, kind string) func(district) {
		return func(d district) { d.some("org", 1, is("sourcedId", id))[0].Set("type", kind) }
	}
	closes := intake.Context{Closing: map[string]bool{"b": true}}
	const one = "1 of 6 ids of orgs would name another org: "
	for _, c := range []struct {
		name string
		do   func(district)
		x    intake.Context
		want string
	}{
		{"a new name", named("a", "Zeta"), intake.Context{}, ""},
		{"new names of all", named("a", "Zeta", "b", "Eta", "c", "Theta", "d", "Iota"), intake.Context{}, ""},
		{"the name of one that has another", named("a", "Beta", "b", "Zeta"), intake.Context{},
			one + "a is Alpha, and would be Beta"},
		{"of one that goes", func(d district) {
			d.drop("org", is("sourcedId", "b"))
			named("a", "Beta")(d)
		}, intake.Context{}, one + "a is Alpha, and would be Beta"},
		{"each other's", named("a", "Beta", "b", "Alpha"), intake.Context{},
			"2 of 6 ids of orgs would name another org: a is Alpha, and would be Beta"},
		{"of one that keeps it", named("a", "Beta"), intake.Context{}, one + "a is Alpha, and would be Beta"},
		{"of an office that has another", named("a", "Office", "o", "Zeta"), intake.Context{},
			one + "a is Alpha, and would be Office"},
		{"of an office that keeps it", named("a", "Office"), intake.Context{}, ""},
		{"an office, that of a school that keeps it", named("o", "Beta"), intake.Context{}, ""},
		{"of one that closes and keeps it", named("a", "Beta"), closes, ""},
		{"one that closes, of one that keeps it", named("b", "Alpha"), closes, ""},
		{"of one that becomes an office and keeps it", func(d district) {
			becomes("b", "department")(d)
			named("a", "Beta")(d)
		}, closes, ""},
		{"of one that was an office and keeps it", func(d district) {
			becomes("o", "school")(d)
			named("a", "Office")(d)
		}, intake.Context{}, ""},
		{"a new one for two", named("a", "Zeta", "b", "Zeta"), intake.Context{},
			"2 of 6 ids of orgs would name another org: a is Alpha, and would be Zeta"},
		{"a new one for two that have one name", named("c", "Zeta", "d", "Zeta"), intake.Context{}, ""},
		{"a school becomes an office", becomes("a", "department"), intake.Context{},
			one + "a is Alpha (school), and would be Alpha (department)"},
		{"and has another name", func(d district) {
			becomes("a", "department")(d)
			named("a", "Zeta")(d)
		}, intake.Context{}, one + "a is Alpha, and would be Zeta"},
		{"one that closes becomes an office", becomes("b", "department"), closes, ""},
		{"an office becomes a school", becomes("o", "school"), intake.Context{}, ""},
		{"a school has no type", becomes("a", ""), intake.Context{}, ""},
	} {
		before := district{}
		before.found("org", "sourcedId", "x", "name", "District", "type", "district")
		before.found("org", "sourcedId", "o", "name", "Office", "type", "department")
		before.found("org", "sourcedId", "a", "name", "Alpha", "type", "school")
		before.found("org", "sourcedId", "b", "name", "Beta", "type", "school")
		before.found("org", "sourcedId", "c", "name", "Gamma", "type", "school")
		before.found("org", "sourcedId", "d", "name", "Gamma", "type", "school")
		after := before.clone()
		c.do(after)
		limits := intake.Limits{"guard-loss": 100, "guard-change": 100}
		n := &night{before: before, after: after}
		v := judged(t, n, limits, c.x)
		got := said(v, "hands")
		if got != c.want || len(v.Objections) > 0 && c.want == "" {
			t.Errorf("%s: %q, want %q: %+v", c.name, got, c.want, v.Objections)
		}
		n.local = map[*oneroster.Resource]bool{oneroster.ByName("org"): true}
		ours := judged(t, n, limits, c.x)
		limits["guard-hands"] = 100
		off := judged(t, &night{before: before, after: after}, limits, c.x)
		if said(ours, "hands")+said(off, "hands") != "" ||
			c.want != "" && (!strings.Contains(strings.Join(ours.Notes, "\n"), "would name another org") ||
				!strings.Contains(strings.Join(off.Notes, "\n"), "would name another org")) {
			t.Errorf("%s: not imported %+v, switched off %+v", c.name, ours, off)
		}
	}
}

// A word that every fourth of many titles has, or half of few, does not tell that a course is the same.
func TestWordsThatSayNothing(t *testing.T) {
	for _, c := range []struct {
		n, have int
		another bool
	}{
		{100, 24, false}, {100, 25, true}, {20, 4, false}, {20, 5, true}, {19, 9, false}, {19, 10, true},
		{5, 2, false}, {5, 3, true}, {4, 4, false},
	} {
		before := made("course", c.n)
		some := first(c.have)
		before.edit("course", func(rec oneroster.Record) {
			if some(rec) {
				rec.Set("title", "Intro "+rec.Get("title"))
			}
		})
		after := before.clone()
		for _, rec := range after.some("course", 2, not(is("title", ""))) {
			rec.Set("title", strings.Replace(rec.Get("title"), "Intro ", "intro 2 zz", 1))
			rec.Set("courseCode", "zz"+rec.Get("courseCode"))
		}
		v := judge(t, newNight(before, after), intake.Context{})
		text := said(v, "hands") + strings.Join(v.Notes, "\n")
		want := fmt.Sprintf("2 of %d ids of courses would name another course: id-000 is Intro aaa, and would be "+
			"intro 2 zzaaa", c.n)
		if c.another && text != want || !c.another && text != "" {
			t.Errorf("%d of %d: %q", c.have, c.n, text)
		}
	}
}

// Two names are of one person where they have a word in common: letters, marks and apostrophes,
// in any case.
func TestNamesInCommon(t *testing.T) {
	for _, c := range []struct {
		was, is string
		another bool
	}{
		{"Ann Lee", "Bea Fox", true}, {"Ann Lee", "Bea LEE", false}, {"Ann Lee", "Lee Bea", false},
		{"Ann O'Lee", "Bea Lee", true}, {"Ann Lee-Fox", "Bea Fox", false}, {"Ann Lee2", "Bea Lee3", false},
		{"Ann Le\u0301e", "Le Bea", true}, {"Ann Lee", "7 8", false}, {"7 8", "Ann Lee", false},
		{"Ann Lee", "Ann Lee", false},
	} {
		before := made("user", 30)
		rename := func(d district, name, address string) {
			given, family, _ := strings.Cut(name, " ")
			for _, rec := range d.some("user", 2, not(is("role", ""))) {
				rec.Set("givenName", given)
				rec.Set("familyName", family)
				rec.Set("email", address+rec.Get("email"))
			}
		}
		rename(before, c.was, "")
		after := before.clone()
		rename(after, c.is, "new")
		v := judge(t, newNight(before, after), intake.Context{})
		want := fmt.Sprintf("2 of 30 ids of users would name another person: id-000 is %s, and would be %s",
			c.was, c.is)
		if got := said(v, "hands"); c.another && got != want || !c.another && got != "" {
			t.Errorf("%s and %s: %q", c.was, c.is, got)
		}
	}
}

// Classes that get the titles of others of their school are held beyond two, and beyond the limit.
func TestTitlesOfOthers(t *testing.T) {
	shift := func(n int) func(district) {
		return func(d district) { d.moved("class", "title", first(n)) }
	}
	const three = "3 of 20 classes would get the title of another: "
	for _, c := range []struct {
		name  string
		do    func(district)
		limit int
		x     intake.Context
		want  string
	}{
		{"two", shift(2), 1, intake.Context{}, ""},
		{"three", shift(3), 1, intake.Context{}, three + words(0, 2) + ", and c0-0 is one"},
		{"three, at the limit", shift(3), 15, intake.Context{}, ""},
		{"three, beyond it", shift(3), 14, intake.Context{}, three + words(0, 2) + ", and c0-0 is one"},
		{"three, with the year", shift(3), 1, intake.Context{Day: intake.Rollover}, ""},
		{"three, switched off", shift(20), 100, intake.Context{}, ""},
		{"those of another school", func(d district) {
			for i := range 5 {
				one, two := d[oneroster.ByName("class")][i], d[oneroster.ByName("class")][10+i]
				title := one.Get("title")
				one.Set("title", two.Get("title"))
				two.Set("title", title)
			}
		}, 1, intake.Context{}, ""},
		{"new ones", func(d district) {
			few := first(5)
			d.edit("class", func(rec oneroster.Record) {
				if few(rec) {
					rec.Set("title", "new"+rec.Get("title"))
				}
			})
		}, 1, intake.Context{}, ""},
		{"those that others keep", func(d district) {
			few := first(5)
			title := d[oneroster.ByName("class")][9].Get("title")
			d.edit("class", func(rec oneroster.Record) {
				if few(rec) {
					rec.Set("title", title)
				}
			})
		}, 1, intake.Context{}, ""},
		{"other numbers", func(d district) {
			d.edit("class", func(rec oneroster.Record) {
				rec.Set("title", strings.NewReplacer("1", "2", "2", "1").Replace(rec.Get("title")))
			})
		}, 1, intake.Context{}, ""},
	} {
		before := unread(town())
		if c.name == "other numbers" {
			n := 0
			before.edit("class", func(rec oneroster.Record) {
				n++
				rec.Set("title", fmt.Sprint("Section ", 1+n%2))
			})
		}
		after := before.clone()
		c.do(after)
		n := &night{before: before, after: after}
		limits := intake.Limits{"guard-hands": c.limit}
		v := judged(t, n, limits, c.x)
		got := said(v, "hands")
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if c.want != "" {
			e := intake.Example{Guard: "hands", Resource: "classes", ID: "c0-0", Field: "title", Before: words(0, 0),
				After: words(0, 2)}
			if len(v.Examples) == 0 || v.Examples[0] != e {
				t.Errorf("%s: examples %+v", c.name, v.Examples)
			}
		}
		n.local = map[*oneroster.Resource]bool{oneroster.ByName("class"): true}
		if got := said(judged(t, n, limits, c.x), "hands"); got != "" {
			t.Errorf("%s, not imported: %q", c.name, got)
		}
	}
}
