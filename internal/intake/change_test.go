package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// What may change everywhere is noted, where anything else is held: other metadata, rooms and periods, the
// case of addresses, an end that is still to come. Today is 14 September.
func TestLightChanges(t *testing.T) {
	for _, c := range []struct {
		resource, field, was, is string
		light                    bool
	}{
		{"class", "location", "Gym", "Tent", true}, {"class", "periods", "1", "2", true},
		{"class", "title", "A", "B", false}, {"course", "title", "A", "B", false},
		{"class", "metadata", `{"a":"1"}`, `{"a":"2"}`, true}, {"user", "metadata", `{"a":"1"}`, `{"a":"2"}`, true},
		{"user", "email", "a@b", "A@B", true}, {"user", "email", "a@b", "a@c", false},
		{"user", "username", "ab", "aB", true}, {"user", "givenName", "ab", "aB", false},
		{"enrollment", "endDate", "2026-09-14", "2026-09-15", true},
		{"enrollment", "endDate", "2026-09-15", "2026-09-14", true},
		{"enrollment", "endDate", "2026-09-13", "2026-09-15", false},
		{"enrollment", "endDate", "2026-09-15", "2026-09-13", false},
		{"enrollment", "beginDate", "2026-09-15", "2026-09-16", false},
	} {
		before := made(c.resource, 100)
		before.set(c.resource, c.field, c.was)
		after := before.clone()
		n := 0
		after.edit(c.resource, func(rec oneroster.Record) {
			if n++; n <= 76 {
				rec.Set(c.field, c.is)
			}
		})
		limits := intake.Limits{"guard-hands": 100, "guard-steady": 100}
		v := judged(t, &night{before: before, after: after}, limits, intake.Context{})
		text := fmt.Sprintf("76 of 100 %s would change: %s in 76", oneroster.ByName(c.resource).Plural, c.field)
		if c.resource == "user" && !c.light { // the whole is told as the role that they have
			text = strings.Replace(text, "users", "teachers", 1)
		}
		held, noted := said(v, "change") == text, strings.Contains(strings.Join(v.Notes, "\n"), text)
		if held == c.light || noted != c.light || c.light && len(v.Objections) > 0 {
			t.Errorf("%+v: %+v, noted %q", c, v.Objections, v.Notes)
		}
	}
}

// Changes are counted by record: of those that are light alone as well only where the others do not suffice.
func TestLimitsOfChange(t *testing.T) {
	for _, c := range []struct {
		titles, rooms int // of 100 classes
		limit         int
		held, noted   string
	}{
		{75, 0, 75, "", "75 of 100 classes would change: title in 75 (held from 75 % on)"},
		{76, 0, 75, "76 of 100 classes would change: title in 76", ""},
		{40, 75, 75, "", "40 of 100 classes would change: location in 75 and title in 40 (held from 75 % on)"},
		{40, 76, 75, "", "76 of 100 classes would change: location in 76 and title in 40"},
		{76, 100, 75, "76 of 100 classes would change: location in 100 and title in 76", ""},
		{38, 0, 75, "", "38 of 100 classes would change: title in 38 (held from 75 % on)"},
		{37, 0, 75, "", ""}, {100, 0, 100, "", ""}, {0, 100, 100, "", ""},
		{1, 0, 0, "1 of 100 classes would change: title in 1", ""},
	} {
		before := made("class", 100)
		before.set("class", "location", "Gym")
		after := before.clone()
		for i, rec := range after[oneroster.ByName("class")] {
			if i < c.titles {
				rec.Set("title", "new "+rec.Get("title"))
			}
			if i < c.rooms {
				rec.Set("location", "Tent")
			}
		}
		limits := intake.Limits{"guard-change": c.limit}
		v := judged(t, &night{before: before, after: after}, limits, intake.Context{})
		if held, noted := said(v, "change"), strings.Join(v.Notes, "\n"); held != c.held || noted != c.noted {
			t.Errorf("%+v: %q, noted %q", c, held, noted)
		}
	}
}

// What is near a limit is noted, from half of it on; one or two are no more than a note; of few records, and
// of a guard that is off, nothing is.
func TestNotes(t *testing.T) {
	for _, c := range []struct {
		n, gone, limit int
		want           string
	}{
		{100, 5, 10, ""}, {100, 6, 10, "6 of 100 courses would be retired (held from 10 % on)"},
		{100, 10, 10, "10 of 100 courses would be retired (held from 10 % on)"}, {100, 11, 10, ""},
		{20, 2, 5, "2 of 20 courses would be retired"},
		{20, 2, 10, "2 of 20 courses would be retired (held from 10 % on)"},
		{20, 1, 5, "1 of 20 courses would be retired (held from 5 % on)"}, {19, 2, 5, ""}, {20, 20, 100, ""},
		{20, 0, 5, ""}, {20, 1, 10, ""}, {20, 1, 0, ""},
	} {
		before := made("course", c.n)
		before.set("course", "grades", "") // some differ in what is no loss
		after := before.clone()
		after.set("course", "grades", "01")
		after.drop("course", first(c.gone))
		v := judged(t, &night{before: before, after: after}, intake.Limits{"guard-loss": c.limit}, intake.Context{})
		got := strings.Join(v.Notes, "\n")
		if got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// The calendar's objections name what would happen, and to how many.
func TestWhatTheCalendarSays(t *testing.T) {
	town := unread(townOf(5, 3, 3))
	for _, c := range []struct {
		day   intake.DayKind
		do    func(district)
		want  string
		count int
	}{
		{intake.Frozen, func(d district) { d.some("user", 1, is("role", "student"))[0].Set("phone", "7") },
			"the calendar freezes the district today: 1 user would be added, changed or retired", 0},
		{intake.Frozen, func(d district) {
			d.person("teacher", "new", "s0")
			d.some("user", 1, is("role", "student"))[0].Set("phone", "7")
			d.drop("user", is("sourcedId", "p0-4"))
			d.drop("enrollment", is("user", "p0-4"))
			d.found("course", "sourcedId", "k")
		}, "the calendar freezes the district today: 1 course, 3 users and 2 enrollments would be added, changed " +
			"or retired", 0},
		{intake.AddsOnly, func(d district) {
			d.person("teacher", "new", "s0")
			d.some("user", 1, is("role", "student"))[0].Set("phone", "7")
		}, "", 0},
		{intake.AddsOnly, func(d district) {
			d.person("teacher", "new", "s0")
			d.drop("user", is("sourcedId", "p0-4"))
			d.drop("enrollment", is("user", "p0-4"))
		}, "the calendar lets nothing be retired today: 1 user and 2 enrollments would be", 3},
	} {
		after := town.clone()
		c.do(after)
		v := judge(t, &night{before: town, after: after}, intake.Context{Day: c.day})
		got := intake.Objection{}
		for _, o := range v.Objections {
			if o.Guard == "calendar" {
				got = o
			}
		}
		if got.Text != c.want || got.Count != c.count {
			t.Errorf("%+v, want %d: %q", got, c.count, c.want)
		}
	}
}

// A pupil who would have no agent any more loses them as readers are served them, whichever side said so.
func TestLinksThatGo(t *testing.T) {
	for _, c := range []struct {
		pupils, lose int
		want         string
	}{
		{60, 9, ""}, {60, 10, "10 of 60 students would lose their agents"}, {49, 49, ""},
		{50, 50, "50 of 50 students would lose their agents"},
	} {
		before := unread(town())
		before.households(c.pupils)
		for i := range 100 { // of many parents without children here
			before.person("parent", fmt.Sprint("other", i), "s1")
		}
		after := before.clone()
		for _, rec := range after.some("user", c.lose, is("role", "student")) {
			rec.Set("agents", "")
		}
		v := judge(t, &night{before: before, after: after}, intake.Context{})
		if got := said(v, "emptied"); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.lose, c.pupils, got, c.want)
		}
		for _, f := range v.Fields {
			if f.Field == "agents" && (f.Went != c.lose || f.Came+f.Changed != 0) {
				t.Errorf("%+v", f)
			}
		}
	}
}

// What guards say of schools and of growth, with the numbers that are compared.
func TestWhatIsSaidOfATown(t *testing.T) {
	send := func(resource, from, to string, n int) func(district) {
		field := "school"
		if resource == "user" {
			field = "orgs"
		}
		return func(d district) {
			some := of(is(field, from), first(n))
			d.edit(resource, func(rec oneroster.Record) {
				if some(rec) {
					rec.Set(field, to)
				}
			})
		}
	}
	both := func(does ...func(district)) func(district) {
		return func(d district) {
			for _, do := range does {
				do(d)
			}
		}
	}
	leave := func(school string, n int) func(district) {
		return func(d district) { d.drop("enrollment", of(is("school", school), first(n))) }
	}
	swapped := func(n0, n1 int) func(district) {
		return func(d district) { // each to a third school
			send("enrollment", "s0", "s2", n0)(d)
			send("enrollment", "s1", "s2", n1)(d)
		}
	}
	for i, c := range []struct {
		do   func(district)
		want intake.Objection
	}{
		{send("user", "s0", "s1", 40), intake.Objection{Guard: "moves", Resource: "users", Count: 40, Of: 60,
			Limit: 50,
			Text:  "users would be at another school than now: 40 of 60 of School s0"}},
		{swapped(60, 70), intake.Objection{Guard: "moves", Resource: "enrollments", Count: 70, Of: 110, Limit: 50,
			Text: "enrollments would be at another school than now: 60 of 110 of School s0 and 70 of " +
				"110 of School s1"}},
		{swapped(70, 60), intake.Objection{Guard: "moves", Resource: "enrollments", Count: 70, Of: 110, Limit: 50,
			Text: "enrollments would be at another school than now: 70 of 110 of School s0 and 60 of " +
				"110 of School s1"}},
		{both(leave("s0", 60), leave("s1", 66)), intake.Objection{Guard: "falls", Resource: "enrollments",
			Count: 66, Of: 110, Limit: 50, Text: "the enrollments of 2 schools would fall by more than 50 %: " +
				"School s1 from 110 to 44 and School s0 from 110 to 50"}},
		{leave("s0", 60), intake.Objection{Guard: "falls", Resource: "enrollments", Count: 60,
			Of: 110, Limit: 50, Text: "the enrollments of one school would fall: School s0 from 110 to 50"}},
		{founded("school", 3), intake.Objection{Guard: "growth", Resource: "orgs", Count: 3, Of: 2, Limit: 50,
			Text: "3 orgs of the type school would be added to 2"}},
		{founded("district", 1), intake.Objection{Guard: "growth", Resource: "orgs", Count: 1, Of: 1, Limit: 50,
			Text: "1 org of the type district would be added to 1"}},
		{people("student", "s0", 60), intake.Objection{Guard: "growth", Resource: "users", Count: 60, Of: 100,
			Limit: 50,
			Text:  "60 students would be added to 100"}},
		{both(people("student", "s0", 60), func(d district) {
			gone := of(is("role", "student"), first(10))
			d.edit("user", func(rec oneroster.Record) {
				if gone(rec) {
					rec.Set("role", "parent")
				}
			})
		}), intake.Objection{}},
		{func(d district) {
			for i := range 130 {
				d.enrolled(fmt.Sprint("p0-", i%50), fmt.Sprint("c1-", i/50), "s1", "student")
			}
		}, intake.Objection{Guard: "growth", Resource: "enrollments", Count: 130, Of: 220, Limit: 50,
			Text: "130 enrollments would be added to 220"}},
		{func(d district) {
			for i := range 130 {
				d.enrolled(fmt.Sprint("p0-", i%50), fmt.Sprint("c1-", i/50), "s1", "student")
			}
			d.drop("enrollment", of(is("role", "student"), first(20)))
		}, intake.Objection{}},
		{func(d district) {
			for i := range 11 {
				d.enrolled("t0-0", fmt.Sprint("c1-", i), "s1", "teacher")
			}
		}, intake.Objection{Guard: "growth", Resource: "enrollments", Count: 11, Of: 20, Limit: 50,
			Text: "11 enrollments of teachers would be added to 20"}},
		{func(d district) {
			for i := range 11 {
				d.enrolled("t0-0", fmt.Sprint("c1-", i), "s1", "teacher")
			}
			d.drop("enrollment", is("sourcedId", "t0-1 c0-1"))
		}, intake.Objection{}},
		{func(d district) { // new classes of pupils who have others, and of those who have none
			for i := range 12 {
				class := fmt.Sprint("new", i)
				d.found("class", "sourcedId", class, "title", "N"+words(3, i), "school", "s0", "terms", "year")
				d.enrolled("p0-0", class, "s0", "student")
			}
			d.drop("class", is("sourcedId", "c1-9"))
			d.found("class", "sourcedId", "empty", "title", "E", "school", "s0", "terms", "year")
		}, intake.Objection{Guard: "growth", Resource: "classes", Count: 11, Of: 20, Limit: 50,
			Text: "11 classes would be added to 20"}},
	} {
		before := unread(town())
		before.found("org", "sourcedId", "s2", "name", "Other", "type", "department", "parent", "d")
		after := before.clone()
		c.do(after)
		v := judge(t, &night{before: before, after: after}, intake.Context{})
		got := intake.Objection{}
		for _, o := range v.Objections {
			if o.Guard == c.want.Guard && o.Resource == c.want.Resource && !strings.Contains(o.Text, "grade") {
				got = o
			}
			if c.want.Guard == "" && o.Guard == "growth" {
				got = o
			}
		}
		if got != c.want {
			t.Errorf("row %d:\n got %+v\nwant %+v", i, got, c.want)
		}
	}
}
