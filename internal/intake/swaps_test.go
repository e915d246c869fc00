package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// households gives the first n pupils of a town an agent each, and every second one another.
func (d district) households(n int) {
	for i, pupil := range d.some("user", n, is("role", "student")) {
		agents := []string{fmt.Sprint("a", i)}
		if i%2 == 1 {
			agents = append(agents, fmt.Sprint("b", i))
		}
		for _, id := range agents {
			d.person("parent", id, "s0")
			d.some("user", 1, is("sourcedId", id))[0].Set("agents", pupil.ID())
		}
		pupil.Set("agents", oneroster.Join(agents...))
	}
}

// Pupils who lose all their agents for others, or get one of another family, are held beyond a tenth.
func TestLimitsOfFamilies(t *testing.T) {
	linked := func(n int, agents func(i int) string) func(district) {
		return func(d district) {
			for i, pupil := range d.some("user", n, is("role", "student")) {
				pupil.Set("agents", oneroster.Join(strings.Fields(agents(i))...))
			}
		}
	}
	own := func(i int) string {
		if i%2 == 1 {
			return fmt.Sprint("a", i, " b", i)
		}
		return fmt.Sprint("a", i)
	}
	other := func(i int) string { return fmt.Sprint("a", (i+1)%20) }
	beside := func(i int) string { return own(i) + fmt.Sprint(" a", i+2) }
	kin := func(i int) string { return own(i) + fmt.Sprint(" b", 7) }
	called := func(field, name string) func(district) {
		return func(d district) {
			for _, rec := range d.some("user", 8, is("role", "student")) {
				rec.Set(field, name)
			}
		}
	}
	const strange = "3 of 20 students would have none of the agents that they have: p0-0 is one"
	const besides = "3 of 20 students would get an agent of another family beside their own: p0-0 is one"
	nothing := func(district) {}
	for _, c := range []struct {
		name       string
		before, do func(district)
		limit      int
		want       string
	}{
		{"none of their own, two", nothing, linked(2, other), 10, ""},
		{"three", nothing, linked(3, other), 10, strange},
		{"three, at the limit", nothing, linked(3, other), 15, ""},
		{"three, beyond it", nothing, linked(3, other), 14, strange},
		{"switched off", nothing, linked(20, other), 100, ""},
		{"all their own, in another order", nothing, linked(20, func(i int) string {
			words := strings.Fields(own(i))
			return strings.Join(append(words[1:], words[0]), " ")
		}), 0, ""},
		{"one of two", nothing, linked(20, func(i int) string { return fmt.Sprint("a", i) }), 0, ""},
		{"none at all", nothing, linked(20, func(int) string { return "" }), 0, ""},
		{"the first ones", linked(20, func(int) string { return "" }), linked(20, own), 0, ""},
		{"another's beside, two", nothing, linked(2, beside), 10, ""},
		{"another's beside, three", nothing, linked(3, beside), 10, besides},
		{"another's beside, at the limit", nothing, linked(3, beside), 15, ""},
		{"a new one beside", nothing, linked(20, func(i int) string { return own(i) + " new" }), 0, ""},
		{"of one with the same name", called("familyName", "Lee"), linked(7, kin), 0, ""},
		{"of one whose name they get", func(d district) {
			d.some("user", 1, is("sourcedId", "p0-7"))[0].Set("familyName", "Lee")
		}, func(d district) {
			linked(7, kin)(d)
			called("familyName", "Lee")(d)
		}, 0, ""},
		{"of one whose given name they have", called("givenName", "Lee"), linked(3, kin), 0,
			besides},
		{"of one who has an agent of theirs", linked(8, func(i int) string { return own(i) + " shared" }),
			linked(8, func(i int) string { return own(i) + " shared b7" }), 0, ""},
		{"of one who gets one of theirs that night", nothing, linked(8, func(i int) string {
			return own(i) + " b7 a0"
		}), 35, "8 of 20 students would get an agent of another family beside their own: p0-0 is one"},
		{"of parents", nothing, func(d district) {
			for _, rec := range d.some("user", 20, is("role", "parent")) {
				rec.Set("agents", "p1-0")
			}
		}, 0, ""},
	} {
		before := unread(town())
		before.households(20)
		c.before(before)
		after := before.clone()
		c.do(after)
		n := &night{before: before, after: after}
		limits := intake.Limits{"guard-families": c.limit, "guard-emptied": 100}
		if got := said(judged(t, n, limits, intake.Context{}), "families"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if n.local = map[*oneroster.Resource]bool{oneroster.ByName("user"): true}; c.want == "" {
			continue
		}
		if got := said(judged(t, n, limits, intake.Context{}), "families"); got != "" {
			t.Errorf("%s, not imported: %q", c.name, got)
		}
	}
}

// Enrollments that are another's are held beyond the limit; where they are few among all, those of
// teachers by themselves.
func TestLimitsOfSeats(t *testing.T) {
	seats := func(role string, n int) func(district) {
		return func(d district) { d.moved("enrollment", "user", of(is("role", role), first(n))) }
	}
	elsewhere := func(role string, n int) func(district) {
		return func(d district) {
			some := of(is("role", role), first(n))
			d.edit("enrollment", func(rec oneroster.Record) {
				if some(rec) {
					rec.Set("class", "c1-9")
				}
			})
		}
	}
	leave := func(n int) func(district) { // so many classes get the last teacher
		return func(d district) {
			of := of(is("role", "teacher"), first(n))
			d.edit("enrollment", func(rec oneroster.Record) {
				if of(rec) {
					rec.Set("user", "t1-9")
				}
			})
		}
	}
	few := func(teachers int) func(district) { // who have all classes of a school
		return func(d district) {
			n := 0
			d.edit("enrollment", func(rec oneroster.Record) {
				if rec.Get("role") == "teacher" && rec.Get("school") == "s0" {
					rec.Set("user", fmt.Sprint("t0-", n%teachers))
					n++
				}
			})
		}
	}
	const first = " would keep the id and be of another user or class: p0-0 c0-0 is one"
	over := intake.Context{Day: intake.Rollover}
	nothing := func(district) {}
	for _, c := range []struct {
		name       string
		town       district
		before, do func(district)
		limit      int
		x          intake.Context
		want       string
	}{
		{"of eleven pupils", town(), nothing, seats("student", 22), 5, intake.Context{}, ""},
		{"of twelve", town(), nothing, seats("student", 24), 5, intake.Context{},
			"12 of 220 enrollments" + first},
		{"in other classes", town(), nothing, elsewhere("student", 12), 5, intake.Context{},
			"12 of 220 enrollments" + first},
		{"in other classes, with the year", town(), nothing, elsewhere("student", 12), 5, over, ""},
		{"of pupils, with the year", town(), nothing, seats("student", 24), 5, over,
			"12 of 220 enrollments" + first},
		{"of five teachers", town(), nothing, seats("teacher", 5), 5, intake.Context{}, ""},
		{"of six", town(), nothing, seats("teacher", 6), 5, intake.Context{},
			"6 of 20 enrollments of teachers would keep the id and be of another user"},
		{"of six teachers, in other classes", town(), nothing, elsewhere("teacher", 6), 5, intake.Context{}, ""},
		{"of six, at the limit", town(), nothing, seats("teacher", 6), 30, intake.Context{}, ""},
		{"of six, beyond it", town(), nothing, seats("teacher", 6), 29, intake.Context{},
			"6 of 20 enrollments of teachers would keep the id and be of another user"},
		{"of six, with the year", town(), nothing, seats("teacher", 6), 5, over, ""},
		{"of two who leave", town(), few(2), leave(10), 5, intake.Context{}, ""},
		{"of three", town(), few(3), leave(10), 5, intake.Context{},
			"10 of 20 enrollments of teachers would keep the id and be of another user"},
		{"of few teachers", townOf(50, 9, 10), nothing, seats("teacher", 9), 5, intake.Context{}, ""},
	} {
		before := unread(c.town.clone())
		c.before(before)
		after := before.clone()
		c.do(after)
		n := &night{before: before, after: after}
		limits := intake.Limits{"guard-seats": c.limit}
		if got := said(judged(t, n, limits, c.x), "seats"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if n.local = map[*oneroster.Resource]bool{oneroster.ByName("enrollment"): true}; c.want == "" {
			continue
		}
		if got := said(judged(t, n, limits, c.x), "seats"); got != "" {
			t.Errorf("%s, not imported: %q", c.name, got)
		}
	}
}

// Pupils and families who would be staff are held beyond five, or a tenth of few pupils; one who would
// be staff in classes, where these are many.
func TestLimitsOfRises(t *testing.T) {
	serve := func(users, classes int, role string) func(district) {
		return func(d district) {
			for i := range users {
				for c := range classes {
					d.enrolled(fmt.Sprint("p0-", i), fmt.Sprint("c", c%2, "-", c/2), "s0", role)
				}
			}
		}
	}
	parents := func(d district) {
		for i := range 8 {
			d.person("parent", fmt.Sprint("a", i), "s0")
		}
	}
	staffed := func(n int) string {
		return fmt.Sprintf("%d pupils or family members would become staff: p0-0 is one", n)
	}
	in := func(who, classes, first string) string {
		return fmt.Sprintf("%s would be staff in up to %s: %s is one", who, classes, first)
	}
	const one, six = "1 pupil or family member", "6 pupils or family members"
	nothing := func(district) {}
	for _, c := range []struct {
		name       string
		town       district
		before, do func(district)
		limit      int
		want       string
	}{
		{"five", town(), nothing, become("student", 5, "aide"), 5, ""},
		{"six", town(), nothing, become("student", 6, "aide"), 5, staffed(6)},
		{"six who are administrators", town(), nothing, become("student", 6, "administrator"), 5, staffed(6)},
		{"six who are parents", town(), nothing, become("student", 6, "parent"), 5, ""},
		{"six teachers who are aides", town(), nothing, become("teacher", 6, "aide"), 5, ""},
		{"six parents", town(), parents, become("parent", 6, "teacher"), 5,
			"6 pupils or family members would become staff: a0 is one"},
		{"a tenth of thirty", townOf(15, 10, 10), nothing, become("student", 3, "aide"), 5, ""},
		{"more of thirty", townOf(15, 10, 10), nothing, become("student", 4, "aide"), 5, staffed(4)},
		{"two of ten", townOf(5, 10, 10), nothing, become("student", 2, "aide"), 5, ""},
		{"three of ten", townOf(5, 10, 10), nothing, become("student", 3, "aide"), 5, staffed(3)},
		{"six of ten", townOf(5, 10, 10), nothing, become("student", 6, "aide"), 6, ""},
		{"seven of ten", townOf(5, 10, 10), nothing, become("student", 7, "aide"), 6, staffed(7)},
		{"one, at none", town(), nothing, become("student", 1, "aide"), 0, staffed(1)},

		{"five teach a class", town(), nothing, serve(5, 1, "teacher"), 5, ""},
		{"six", town(), nothing, serve(6, 1, "teacher"), 5, in(six, "1 class", "p0-5")},
		{"six, as aides in two", town(), nothing, serve(6, 2, "aide"), 5, in(six, "2 classes", "p0-5")},
		{"six, as pupils", town(), nothing, serve(6, 2, "student"), 5, ""},
		{"six who serve already", town(), func(d district) {
			for i := range 6 {
				d.enrolled(fmt.Sprint("p0-", i), "c1-9", "s1", "aide")
			}
		}, serve(6, 2, "teacher"), 5, ""},
		{"six whom nobody knows", town(), func(d district) { d.drop("user", of(is("role", "student"), first(6))) },
			serve(6, 1, "teacher"), 5, ""},
		{"six who are aides", town(), become("student", 6, "aide"), serve(6, 1, "teacher"), 5, ""},
		{"one in half of the classes", town(), nothing, serve(1, 10, "teacher"), 5, ""},
		{"one in more", town(), nothing, serve(1, 11, "teacher"), 5, in(one, "11 classes", "p0-0")},
		{"one in twenty of sixty", townOf(50, 10, 30), nothing, serve(1, 20, "teacher"), 5, ""},
		{"one in more of sixty", townOf(50, 10, 30), nothing, serve(1, 21, "teacher"), 5,
			in(one, "21 classes", "p0-0")},
		{"one in more than half, at as many", town(), nothing, serve(1, 11, "teacher"), 11, ""},
		{"one in all of four", townOf(50, 10, 2), nothing, serve(1, 4, "teacher"), 5, ""},
		{"one in many, after one in few", townOf(50, 10, 30), nothing, func(d district) {
			serve(1, 1, "teacher")(d)
			for i := range 21 {
				d.enrolled("p0-1", fmt.Sprint("c0-", i), "s0", "teacher")
			}
		}, 5, in("2 pupils or family members", "21 classes", "p0-1")},
		{"six who teach what they took", town(), nothing, func(d district) {
			some := of(is("role", "student"), first(12))
			d.edit("enrollment", func(rec oneroster.Record) {
				if some(rec) {
					rec.Set("role", "teacher")
				}
			})
		}, 5, in(six, "2 classes", "p0-5")},
		{"six who get the classes of teachers", town(), nothing, func(d district) {
			n, some := 0, of(is("role", "teacher"), first(6))
			d.edit("enrollment", func(rec oneroster.Record) {
				if some(rec) {
					rec.Set("user", fmt.Sprint("p0-", n))
					n++
				}
			})
		}, 5, in(six, "1 class", "p0-5")},
	} {
		before := unread(c.town.clone())
		c.before(before)
		after := before.clone()
		c.do(after)
		n := &night{before: before, after: after}
		limits := intake.Limits{"guard-rises": c.limit, "guard-loss": 100}
		if got := said(judged(t, n, limits, intake.Context{}), "rises"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		n.local = map[*oneroster.Resource]bool{oneroster.ByName("enrollment"): true, oneroster.ByName("user"): true}
		if c.want == "" {
			continue
		}
		if got := said(judged(t, n, limits, intake.Context{}), "rises"); got != "" {
			t.Errorf("%s, not imported: %q", c.name, got)
		}
	}
}

// Addresses and the like of others are held beyond the limit; phones, which go round in a family, where
// a tenth of those that one has alone are another's.
func TestLimitsOfWhatOneHas(t *testing.T) {
	shift := func(field string, n int) func(district) {
		return func(d district) { d.moved("user", field, of(is("role", "student"), first(n))) }
	}
	says := func(n, of int, field, value string) string {
		return fmt.Sprintf("%d of %d users would get the %s of another: %s, and p0-0 is one", n, of, field, value)
	}
	for _, c := range []struct {
		name  string
		do    func(district)
		limit int
		want  string
	}{
		{"two e-mails", shift("email", 2), 1, ""},
		{"three", shift("email", 3), 1, says(3, 120, "email", "p0-2@x.example")},
		{"three, at none", shift("email", 3), 0, says(3, 120, "email", "p0-2@x.example")},
		{"four, within the limit", shift("email", 4), 4, ""},
		{"three usernames", shift("username", 3), 1, says(3, 120, "username", "p0-2")},
		{"three userIds", shift("userIds", 3), 1, says(3, 120, "userIds", `[{"type":"t","identifier":"p0-2"}]`)},
		{"three, switched off", shift("email", 3), 100, ""},
		{"ten phones", shift("phone", 10), 1, ""},
		{"eleven", shift("phone", 11), 1, says(11, 100, "phone", "+1 p0-10")},
		{"eleven, within the limit", shift("phone", 11), 11, ""},
		{"one address for all", func(d district) { d.set("user", "email", "p0-0@x.example") }, 1,
			"119 of 120 users would get the email of another: p0-0@x.example, and t0-0 is one"},
		{"in capitals", func(d district) {
			d.edit("user", func(rec oneroster.Record) { rec.Set("email", strings.ToUpper(rec.Get("email"))) })
		}, 1, ""},
		{"none at all", func(d district) { d.set("user", "email", "") }, 1, ""},
		{"one that several have", func(d district) {
			for _, rec := range d.some("user", 50, is("role", "student")) {
				rec.Set("sms", "+1 all")
			}
		}, 1, ""},
	} {
		before := unread(town())
		before.edit("user", func(rec oneroster.Record) {
			rec.Set("email", rec.ID()+"@x.example")
			rec.Set("sms", "+1 all")
			if rec.Get("role") == "student" {
				rec.Set("phone", "+1 "+rec.ID())
				rec.Set("userIds", `[{"type":"t","identifier":"`+rec.ID()+`"}]`)
			}
		})
		after := before.clone()
		c.do(after)
		n := &night{before: before, after: after}
		// What goes round in a school's pupils is told by another guard.
		limits := intake.Limits{"guard-hands": c.limit, "guard-change": 100}
		v := judged(t, n, limits, intake.Context{})
		got := said(v, "hands")
		if strings.Contains(got, "of 50 students") {
			got = ""
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if c.want != "" && (len(v.Examples) == 0 || v.Examples[0].Guard != "hands" ||
			!strings.HasSuffix(c.want, v.Examples[0].ID+" is one")) {
			t.Errorf("%s: examples %+v", c.name, v.Examples)
		}
		if n.local = map[*oneroster.Resource]bool{oneroster.ByName("user"): true}; c.want == "" {
			continue
		}
		if got := said(judged(t, n, limits, intake.Context{}), "hands"); got != "" {
			t.Errorf("%s, not imported: %q", c.name, got)
		}
	}
}
