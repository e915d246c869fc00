package intake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// What goes with a school whose closing is announced is no loss: what needs it, and nothing else; of a
// school that is not announced everything counts.
func TestWhatGoesWithASchool(t *testing.T) {
	gone := func(resource, prefix string) func(district) {
		return func(d district) {
			d.drop(resource, func(rec oneroster.Record) bool { return strings.HasPrefix(rec.ID(), prefix) })
		}
	}
	emptied := func(d district) {
		d.edit("user", func(rec oneroster.Record) {
			if rec.Get("orgs") == "s0" {
				rec.Set("username", "")
			}
		})
	}
	for _, c := range []struct {
		name    string
		do      func(district)
		closing string // what is said where s0 closes
		open    string // and where it does not
	}{
		{"departments below it", gone("org", "dep"), "",
			"25 of 53 orgs would be retired: all at Dep 0, at Dep 1, at Dep 10 and 22 more"},
		{"schools below it", gone("org", "sub"),
			"25 of 53 orgs would be retired: all at Sub 0, at Sub 1, at Sub 10 and 22 more",
			"25 of 53 orgs would be retired: all at Sub 0, at Sub 1, at Sub 10 and 22 more"},
		{"its pupils", gone("user", "p0-"), "", "50 of 135 students would be retired: all of grade 9 at School s0"},
		{"its pupils' birth dates", gone("demographics", "p0-"), "",
			"50 of 100 demographics would be retired: all of grade 9 at School s0"},
		{"people who are at another school too", gone("user", "both"),
			"15 of 135 students would be retired, nearly all in grade 10",
			"15 of 135 students would be retired, nearly all at School s1"},
		{"its courses", gone("course", "k0"), "", "20 of 40 courses would be retired: all at School s0"},
		{"its classes", gone("class", "c0"), "", "10 of 20 classes would be retired: all at School s0"},
		{"its pupils' places", gone("enrollment", "p0-"), "",
			"100 of 200 enrollments of students would be retired: all of grade 9 at School s0"},
		{"places at the other", gone("enrollment", "p1-"),
			"100 of 200 enrollments of students would be retired: all of grade 10 at School s1",
			"100 of 200 enrollments of students would be retired: all of grade 10 at School s1"},
		{"names of its people", emptied, "", "60 of 155 users would lose their username"},
	} {
		before := unread(town())
		for i := range 25 {
			before.found("org", "sourcedId", fmt.Sprint("dep", i), "name", fmt.Sprint("Dep ", i), "type", "department",
				"parent", "s0")
			before.found("org", "sourcedId", fmt.Sprint("sub", i), "name", fmt.Sprint("Sub ", i), "type", "school",
				"parent", "s0")
		}
		for i := range 35 {
			id := fmt.Sprint("both", i)
			if i >= 15 {
				id = fmt.Sprint("two", i)
			}
			before.person("student", id, "s1")
			before.some("user", 1, is("sourcedId", id))[0].Set("orgs", oneroster.Join("s1", "s0"))
		}
		for i := range 20 {
			for s := range 2 {
				before.found("course", "sourcedId", fmt.Sprint("k", s, "-", i), "title", words(s, i), "org",
					fmt.Sprint("s", s))
			}
		}
		for _, rec := range before.some("user", 1000, is("orgs", "s0", "s1")) {
			if rec.Get("role") == "student" {
				before.found("demographics", "sourcedId", rec.ID(), "sex", "female")
			}
		}
		after := before.clone()
		c.do(after)
		n := &night{before: before, after: after}
		limits := intake.Limits{"guard-falls": 100}
		for _, closing := range []string{"", "s0"} {
			want, x := c.open, intake.Context{Closing: map[string]bool{}}
			if closing != "" {
				want, x.Closing[closing] = c.closing, true
			}
			var got []string
			for _, o := range judged(t, n, limits, x).Objections {
				got = append(got, o.Text)
			}
			if strings.Join(got, "\n") != want {
				t.Errorf("%s, closing %q: %q, want %q", c.name, closing, got, want)
			}
		}
	}
}

// Who is left without a school that closes is no objection; whoever else is left without, is.
func TestWithout(t *testing.T) {
	for _, c := range []struct {
		name    string
		closing string
		gone    []string
		more    []intake.Without
		want    string
	}{
		{"a school that is not announced", "", []string{"s0"}, nil,
			"60 users would be left without any org: t0-0 is one"},
		{"one that closes", "s0", []string{"s0"}, nil, ""},
		{"two, of which one closes", "s0", []string{"s0", "s2"}, nil,
			"1 user would be left without any org: x is one"},
		{"one, and another one closes", "s1", []string{"s2"}, nil,
			"1 user would be left without any org: x is one"},
		{"a class", "s0", nil, []intake.Without{{oneroster.ByName("enrollment"), "class", []string{"e1", "e2"}}},
			"2 enrollments would be left without a class: e1 is one"},
	} {
		before := unread(town())
		before.found("org", "sourcedId", "s2", "name", "Two", "type", "school")
		before.person("teacher", "x", "s2")
		before.person("teacher", "y", "s2")
		before.some("user", 1, is("sourcedId", "y"))[0].Set("orgs", oneroster.Join("s2", "s1"))
		after := before.clone()
		after.drop("org", is("sourcedId", c.gone...))
		after.some("class", 1, is("sourcedId", "c1-9"))[0].Set("title", "other")
		n := newNight(before, after)
		n.without = slices.DeleteFunc(append(c.more, n.without...),
			func(w intake.Without) bool { return w.Field == "terms" }) // which were not there before
		v := judged(t, n, nil, intake.Context{Closing: map[string]bool{c.closing: true}})
		if got := said(v, "without"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
