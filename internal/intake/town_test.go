package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// A town is a district with round numbers: two schools of one district, and at each 50 pupils
// of a grade of its own, 10 teachers and 10 classes; every pupil is in two classes, every
// teacher in one.
func town() district { return townOf(50, 10, 10) }

// townOf is one of so many pupils, teachers and classes at each school.
func townOf(pupils, teachers, classes int) district {
	d := district{}
	d.found("org", "sourcedId", "d", "name", "District", "type", "district")
	d.found("academicSession", "sourcedId", "year", "title", "Year", "type", "term", "startDate", "2026-08-01",
		"endDate", "2027-07-31", "schoolYear", "2027")
	d.found("academicSession", "sourcedId", "last", "title", "Last year", "type", "term", "startDate",
		"2025-08-01", "endDate", "2026-07-31", "schoolYear", "2026")
	for s := range 2 {
		school := fmt.Sprint("s", s)
		d.found("org", "sourcedId", school, "name", "School "+school, "type", "school", "parent", "d")
		for i := range classes {
			class := fmt.Sprint("c", s, "-", i)
			d.found("class", "sourcedId", class, "title", words(s, i), "classType", "scheduled", "school", school,
				"terms", "year")
		}
		for i := range teachers {
			teacher := fmt.Sprint("t", s, "-", i)
			d.person("teacher", teacher, school)
			d.enrolled(teacher, fmt.Sprint("c", s, "-", i), school, "teacher")
		}
		for i := range pupils {
			pupil := fmt.Sprint("p", s, "-", i)
			d.person("student", pupil, school)
			d.enrolled(pupil, fmt.Sprint("c", s, "-", i%classes), school, "student")
			d.enrolled(pupil, fmt.Sprint("c", s, "-", (i+1)%classes), school, "student")
		}
	}
	return d
}

// unread is a town in which School Data Sync stops at the start: to judge what it makes of one takes most of
// the time of a test.
func unread(d district) district {
	delete(d, oneroster.ByName("academicSession"))
	return d
}

// words are names of which no two are alike.
func words(s, i int) string {
	return fmt.Sprintf("%c%c%c", 'a'+i%26, 'a'+(7*i+3*s)%26, 'a'+(i/26+5*s)%26)
}

func (d district) found(resource string, pairs ...string) oneroster.Record {
	rec := oneroster.NewRecord(oneroster.ByName(resource))
	rec.Set("status", oneroster.Active)
	for i := 0; i < len(pairs); i += 2 {
		rec.Set(pairs[i], pairs[i+1])
	}
	d[rec.Resource] = append(d[rec.Resource], rec)
	return rec
}

func (d district) person(role, id, school string) {
	grade := ""
	if role == "student" {
		grade = map[string]string{"s0": "09", "s1": "10"}[school]
	}
	d.found("user", "sourcedId", id, "username", id, "givenName", "G"+id, "familyName", "F"+id, "role", role,
		"orgs", school, "grades", grade, "enabledUser", "true")
}

// people are some who are new at a school.
func people(role, school string, n int) func(district) {
	return func(d district) {
		for i := range n {
			d.person(role, fmt.Sprint("new-", role, i), school)
		}
	}
}

// founded are some orgs that are new in the district.
func founded(kind string, n int) func(district) {
	return func(d district) {
		for i := range n {
			d.found("org", "sourcedId", fmt.Sprint("new", i), "name", fmt.Sprint("New ", i), "type", kind, "parent",
				"d")
		}
	}
}

// become gives the first of a role another one.
func become(role string, n int, other string) func(district) {
	return func(d district) {
		some := of(is("role", role), first(n))
		d.edit("user", func(rec oneroster.Record) {
			if some(rec) {
				rec.Set("role", other)
			}
		})
	}
}

func (d district) enrolled(user, class, school, role string) {
	d.found("enrollment", "sourcedId", user+" "+class, "user", user, "class", class, "school", school, "role",
		role)
}

// Each guard that looks at schools, roles and classes holds beyond its limit, and not at it.
func TestLimitsOfATown(t *testing.T) {
	pupils, teachers := is("role", "student"), is("role", "teacher")
	take := func(resource string, which func(oneroster.Record) bool, n int, field, value string) func(district) {
		return func(d district) {
			few := of(which, first(n))
			d.edit(resource, func(rec oneroster.Record) {
				if few(rec) {
					rec.Set(field, value)
				}
			})
		}
	}
	gone := func(resource string, which func(oneroster.Record) bool, n int) func(district) {
		return func(d district) { d.drop(resource, of(which, first(n))) }
	}
	classes := func(n int, role, user string) func(district) {
		return func(d district) {
			for i := range n {
				class := fmt.Sprint("new", i)
				d.found("class", "sourcedId", class, "title", "N"+words(3, i), "school", "s0", "terms", "year")
				d.enrolled(fmt.Sprintf(user, i), class, "s0", role)
			}
		}
	}
	seats := func(n int, role, user string) func(district) {
		return func(d district) {
			for i := range n {
				d.enrolled(fmt.Sprintf(user, i/8), fmt.Sprint("c0-", 2+i%8), "s0", role)
			}
		}
	}
	everyClass := func(user string) func(district) {
		return func(d district) {
			for i := 1; i < 19; i++ {
				d.enrolled(user, fmt.Sprint("c", i/10, "-", i%10), "s0", "student")
			}
		}
	}
	all := func(does ...func(district)) func(district) {
		return func(d district) {
			for _, do := range does {
				do(d)
			}
		}
	}
	s0, any := is("orgs", "s0"), func(oneroster.Record) bool { return true }
	over, adds := intake.Context{Day: intake.Rollover}, intake.Context{Day: intake.AddsOnly}
	back := intake.Context{Back: true}
	closing := intake.Context{Closing: map[string]bool{"s0": true}}
	moves := intake.Limits{"guard-moves": 100, "guard-loss": 100}
	// Few may leave, and what hangs on them with them.
	busy := func(role string, n int) func(district) {
		return func(d district) {
			for i := range n {
				id := fmt.Sprint("busy", i)
				d.person(role, id, "s0")
				for class := range 20 {
					d.enrolled(id, fmt.Sprint("c", class/10, "-", class%10), "s0", role)
				}
			}
		}
	}
	leave := func(n int) func(district) {
		return gone("user", func(rec oneroster.Record) bool { return strings.HasPrefix(rec.ID(), "busy") }, n)
	}
	known := func(d district) {
		for i := range 8 {
			d.found("demographics", "sourcedId", fmt.Sprint("p0-", i), "sex", "female")
		}
	}
	staff := func(role string, n int) func(district) {
		return func(d district) {
			for i := range n {
				d.person(role, fmt.Sprint(role, i), "s0")
			}
		}
	}
	aide := func(d district) {
		d.person("aide", "aide", "s0")
		for i := range 5 {
			d.enrolled("aide", fmt.Sprint("c0-", i), "s0", "aide")
		}
	}
	items := func(d district) {
		for i := range 20 {
			d.found("lineItem", "sourcedId", fmt.Sprint("i", i), "title", words(1, i), "class", "c0-0")
		}
	}
	pupilSeats := func(n int) func(district) {
		return func(d district) { d.drop("enrollment", of(of(is("role", "student"), every(2)), first(n))) }
	}
	whole, small, fewer := town(), townOf(10, 3, 10), townOf(20, 5, 9)
	ordinary := intake.Context{}
	nothing := func(district) {}
	for i, c := range []struct {
		town   district
		before func(district)
		do     func(district)
		limit  int
		x      intake.Context
		want   string
	}{
		{whole, busy("student", 5), leave(5), 5, ordinary, ""},
		{whole, busy("student", 6), leave(6), 5, ordinary, "falls loss"},
		{whole, busy("student", 6), leave(6), 10, ordinary, "falls"}, // that many may in a town of 106
		{whole, busy("teacher", 2), leave(2), 5, ordinary, ""},
		{whole, busy("teacher", 3), leave(3), 5, ordinary, "loss"},
		{whole, known, gone("user", is("role", "student"), 5), 5, ordinary, ""},
		{whole, known, gone("demographics", any, 5), 5, ordinary, "loss"},
		{whole, staff("administrator", 6), gone("user", is("role", "administrator"), 3), 10, ordinary, ""},
		{whole, staff("administrator", 6), gone("user", is("role", "administrator"), 5), 10, ordinary, "loss"},
		{whole, staff("administrator", 4), gone("user", is("role", "administrator"), 4), 10, ordinary, "loss"},
		{whole, staff("administrator", 2), gone("user", is("role", "administrator"), 2), 10, ordinary, ""},
		{whole, aide, gone("enrollment", is("role", "aide"), 5), 10, ordinary, ""},
		{whole, items, gone("lineItem", any, 3), 10, ordinary, "loss"},
		{whole, items, gone("lineItem", any, 20), 10, over, ""},
		{fewer, items, gone("lineItem", any, 10), 10, ordinary, ""},
		{fewer, items, gone("lineItem", any, 11), 10, ordinary, "loss"},
		{small, nothing, gone("user", pupils, 5), 10, ordinary, ""},
		{small, nothing, gone("user", pupils, 7), 10, ordinary, "falls loss"},
		{small, nothing, pupilSeats(10), 10, ordinary, ""},
		{small, nothing, pupilSeats(11), 10, ordinary, "loss"},
		{small, nothing, gone("enrollment", teachers, 6), 10, ordinary, "loss"},
	} {
		before := c.town.clone()
		c.before(before)
		after := before.clone()
		c.do(after)
		v := judged(t, newNight(before, after), intake.Limits{"guard-loss": c.limit}, c.x)
		if got := guards(v); got != c.want {
			t.Errorf("row %d of few: %q, want %q: %+v", i, got, c.want, v.Objections)
		}
	}
	for i, c := range []struct {
		do     func(district)
		limits intake.Limits
		x      intake.Context
		want   string
	}{
		{take("user", s0, 30, "orgs", "s1"), nil, intake.Context{}, ""},
		{take("user", s0, 31, "orgs", "s1"), nil, intake.Context{}, "moves"},
		{take("user", s0, 31, "orgs", "s1"), intake.Limits{"guard-moves": 52}, intake.Context{}, ""},
		{take("user", s0, 31, "orgs", "s1"), nil, over, ""},
		{take("user", s0, 31, "orgs", "s1"), nil, closing, ""},
		{take("class", is("school", "s0"), 10, "school", "s1"), nil, intake.Context{}, ""}, // few
		{take("enrollment", is("school", "s0"), 55, "school", "s1"), nil, intake.Context{}, ""},
		{take("enrollment", is("school", "s0"), 56, "school", "s1"), nil, intake.Context{}, "falls moves"},
		{take("enrollment", is("school", "s0"), 56, "school", "s1"), moves, intake.Context{}, "falls"},
		{gone("enrollment", is("school", "s0"), 56), moves, closing, ""},
		{take("user", of(pupils, s0), 25, "grades", "11"), nil, intake.Context{}, ""},
		{take("user", of(pupils, s0), 26, "grades", "11"), nil, intake.Context{}, "falls steady"},

		{founded("school", 2), nil, intake.Context{}, ""},
		{founded("school", 3), nil, intake.Context{}, "growth"},
		{founded("school", 3), nil, back, ""},
		{founded("district", 1), nil, intake.Context{}, "growth"},
		{founded("district", 1), intake.Limits{"guard-growth": 100}, intake.Context{}, ""},
		{founded("department", 9), nil, intake.Context{}, ""},
		{people("student", "s0", 50), nil, intake.Context{}, ""},
		{people("student", "s0", 51), nil, intake.Context{}, "growth"},
		{all(founded("school", 1), people("student", "new0", 51)), nil, intake.Context{}, ""},
		{people("teacher", "s0", 11), nil, intake.Context{}, "growth"},
		{all(people("teacher", "s0", 11), gone("user", teachers, 1)), nil, intake.Context{}, ""},
		{classes(10, "student", "p0-%d"), nil, intake.Context{}, ""},
		{classes(11, "student", "p0-%d"), nil, intake.Context{}, "growth"},
		{classes(11, "student", "p0-%d"), nil, over, ""},
		{classes(11, "student", "p0-%d"), nil, adds, ""},
		{classes(11, "teacher", "t0-0"), nil, intake.Context{}, ""},
		{all(people("student", "s0", 11), classes(11, "student", "new-student%d")), nil, intake.Context{}, ""},
		{seats(10, "teacher", "t0-%d"), nil, intake.Context{}, ""},
		{seats(11, "teacher", "t0-%d"), nil, intake.Context{}, "growth"},
		{seats(110, "student", "p1-%d"), nil, intake.Context{}, ""},
		{seats(111, "student", "p1-%d"), nil, intake.Context{}, "growth"},

		{gone("user", pupils, 10), nil, intake.Context{}, ""},
		{gone("user", pupils, 11), nil, intake.Context{}, "loss"},
		{gone("user", pupils, 11), nil, closing, ""},
		{gone("user", pupils, 49), moves, over, ""},
		{gone("user", teachers, 9), nil, intake.Context{}, ""},
		{gone("user", teachers, 10), nil, intake.Context{}, "loss"},
		{all(gone("user", pupils, 11), people("student", "s0", 5)), nil, intake.Context{}, "loss"},
		{gone("user", pupils, 1), intake.Limits{"guard-loss": 0}, intake.Context{}, "loss"},
		{gone("user", pupils, 40), nil, over, ""},
		{gone("user", pupils, 41), nil, over, "loss"},
		{gone("user", pupils, 41), intake.Limits{"guard-loss": 41}, over, ""},
		{gone("user", pupils, 44), intake.Limits{"guard-loss": 100}, over, ""},
		{all(gone("user", pupils, 41), people("student", "s0", 5)), nil, over, ""},
		{all(everyClass("p0-49"), take("class", any, 1, "title", "zzz")), nil, intake.Context{}, ""},
		{take("user", teachers, 9, "role", "aide"), nil, intake.Context{}, ""},
		{take("user", teachers, 10, "role", "aide"), nil, intake.Context{}, "loss"},
		{take("user", pupils, 10, "enabledUser", "false"), nil, intake.Context{}, ""},
		{take("user", pupils, 11, "enabledUser", "false"), nil, intake.Context{}, "loss"},
		{take("class", any, 2, "terms", "last"), nil, intake.Context{}, ""},
		{take("class", any, 3, "terms", "last"), nil, intake.Context{}, "loss"},
	} {
		before := town()
		after := before.clone()
		c.do(after)
		v := judged(t, newNight(before, after), c.limits, c.x)
		if got := guards(v); got != c.want {
			t.Errorf("row %d: %q, want %q: %+v", i, got, c.want, v.Objections)
		}
	}
}
