package intake_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

// village is a district of one school: a few teachers and classes.
func village(t *testing.T, students int) district {
	d := gather(t, sandbox.New(sandbox.Options{Students: students, Today: monday}))
	d.drop("org", func(rec oneroster.Record) bool {
		return rec.Get("type") == "school" && rec.ID() != "sch-001"
	})
	d, _ = d.closed()
	d.drop("user", is("orgs", ""))
	d, _ = d.closed()
	return d
}

// In a village school most of a few are too many, and a family that moves away is not.
func TestVillages(t *testing.T) {
	whole := village(t, 90)
	n := func(resource, role string) (n int) {
		for _, rec := range whole[oneroster.ByName(resource)] {
			if role == "" || rec.Get("role") == role {
				n++
			}
		}
		return n
	}
	if n("user", "teacher") >= 20 || n("class", "") >= 20 || n("user", "student") > 40 {
		t.Fatal(n("user", "teacher"), "teachers,", n("class", ""), "classes,", n("user", "student"), "pupils")
	}
	pupils, teachers := is("role", "student"), is("role", "teacher")
	emptied := func(d district, field string, which func(oneroster.Record) bool) {
		d.edit("user", func(rec oneroster.Record) {
			if which(rec) {
				rec.Set(field, "")
			}
		})
	}
	for _, c := range []struct {
		name, guard string // "" is published
		do          func(d district)
	}{
		{"all teachers gone", "loss", func(d district) { d.drop("user", teachers) }},
		{"all teachers but one gone", "loss",
			func(d district) { d.drop("user", of(teachers, not(first(1)))) }},
		{"half of the pupils gone", "loss", func(d district) { d.drop("user", of(pupils, every(2))) }},
		{"most classes gone", "loss", func(d district) { d.drop("class", not(first(2))) }},
		{"most classes in last year's term", "loss", func(d district) {
			d.lastTerm()
			some := not(first(1))
			d.edit("class", func(rec oneroster.Record) {
				if some(rec) {
					rec.Set("terms", "last")
				}
			})
		}},
		{"a third of the enrollments gone", "loss", func(d district) { d.drop("enrollment", every(3)) }},
		{"the teachers' enrollments gone", "loss",
			func(d district) { d.drop("enrollment", is("role", "teacher")) }},
		{"all teachers disabled", "loss", func(d district) {
			d.edit("user", func(rec oneroster.Record) {
				if teachers(rec) {
					rec.Set("enabledUser", "false")
				}
			})
		}},
		{"all e-mails of the teachers emptied", "emptied",
			func(d district) { emptied(d, "email", teachers) }},
		{"all e-mails emptied", "emptied", func(d district) { d.set("user", "email", "") }},
		{"ids of classes shifted", "hands", func(d district) { d.shifted("class") }},
		{"ids of users shifted", "hands", func(d district) { d.shifted("user") }},
		{"schools without identifier", "sds", func(d district) { d.set("org", "identifier", "") }},
		{"names lost their letters", "garbled", func(d district) { d.letters(mojibake) }},
		{"three pupils are administrators", "rises", func(d district) {
			for _, rec := range d.some("user", 4, pupils) {
				rec.Set("role", "administrator")
			}
		}},
		{"a pupil teaches all classes", "rises", func(d district) {
			d.everywhere(d.some("user", 1, pupils)[0], "teacher")
		}},
		{"titles of classes shifted", "hands",
			func(d district) { d.moved("class", "title", first(4)) }},
		{"two classes swap their titles", "",
			func(d district) { d.moved("class", "title", first(2)) }},

		{"a teacher leaves", "", func(d district) { d.drop("user", of(teachers, first(1))) }},
		{"a family moves away", "", func(d district) { d.drop("user", of(pupils, first(4))) }},
		{"a class is given up", "", func(d district) { d.drop("class", first(1)) }},
		{"one address is lost", "", func(d district) { emptied(d, "email", of(teachers, first(1))) }},
		{"a class is another", "", func(d district) {
			list := d[oneroster.ByName("class")]
			list[0].Set("title", "Woodwork")
			list[0].Set("course", list[1].Get("course"))
		}},
		{"a teacher deletes her work", "", func(d district) { d.drop("lineItem", first(3)) }},
		{"the school is renamed", "", func(d district) { d.set("org", "name", "Under the Oaks") }},
		{"two teachers leave", "", func(d district) { d.drop("user", of(teachers, first(2))) }},
		{"two classes are given up", "", func(d district) { d.drop("class", first(2)) }},
		{"half of the classes gone", "loss", func(d district) { d.drop("class", every(2)) }},
		{"a quarter of the results gone", "loss", func(d district) { d.drop("result", not(every(4))) }},
	} {
		after := whole.clone()
		c.do(after)
		v := judge(t, newNight(whole, after), intake.Context{})
		if got := guards(v); c.guard == "" && got != "" ||
			!slices.Contains(strings.Fields(got+" "), c.guard) && c.guard != "" {
			t.Errorf("%s: %q, not %q: %+v", c.name, got, c.guard, v.Objections)
		}
	}
	for _, c := range []struct {
		pupils, leave int
		guard         string
	}{{15, 5, ""}, {24, 5, ""}, {24, 6, "falls"}} {
		before := gather(t, sandbox.New(sandbox.Options{Students: c.pupils, Today: monday}))
		after := before.clone()
		after.leaves(c.leave)
		if got := guards(judge(t, newNight(before, after), intake.Context{})); got == "" != (c.guard == "") ||
			!strings.Contains(got, c.guard) {
			t.Errorf("%d of %d pupils change their school: %q, want %q", c.leave, c.pupils, got, c.guard)
		}
	}
	for _, pupils := range []int{15, 18, 22, 29, 33, 40, 41, 43, 47, 49} {
		before := gather(t, sandbox.New(sandbox.Options{Students: pupils, Today: monday}))
		after := before.clone()
		after.drop("user", of(is("role", "student"), first(5)))
		if v := judge(t, newNight(before, after), intake.Context{}); len(v.Objections) > 0 {
			t.Errorf("five of %d pupils leave: %+v", pupils, v.Objections)
		}
	}
	for seed := range 6 {
		life := sandbox.NewLife(sandbox.Options{Students: 20 + 10*seed, Seed: int64(seed), Today: monday})
		before := gather(t, life)
		for range 22 {
			life.Step()
			after := gather(t, life)
			x := intake.Context{Day: intake.Ordinary}
			x.Today, _ = time.Parse(time.DateOnly, life.Date())
			if life.Day() == 21 {
				x.Day = intake.Rollover
			}
			if v := judge(t, newNight(before, after), x); len(v.Objections) > 0 {
				t.Errorf("%d pupils, day %d is held: %+v", 20+10*seed, life.Day(), v.Objections)
			}
			before = after
		}
	}
}
