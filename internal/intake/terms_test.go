package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// A class is in session until its last term ends, and from when its first begins; classes that are and
// would not be any more, or not yet, are lost to readers. Today is 14 September.
func TestClassesInSession(t *testing.T) {
	over := intake.Context{Day: intake.Rollover}
	const ended = "3 of 20 classes that are in session would be in terms that have ended or not begun, " +
		"nearly all at s0"
	for _, c := range []struct {
		was, is string
		x       intake.Context
		want    string
	}{
		{"year", "past", intake.Context{}, ended}, {"year", "past", over, ""},
		{"year", "today", intake.Context{}, ""}, {"today", "past", intake.Context{}, ended},
		{"year", "past today", intake.Context{}, ""}, {"year", "today past", intake.Context{}, ""},
		{"year", "last past", intake.Context{}, ended}, {"past", "last", intake.Context{}, ""},
		{"past", "today", intake.Context{}, ""}, {"last", "next", intake.Context{}, ""},
		{"year", "next", intake.Context{}, ended}, {"year", "next", over, ""},
		{"year", "next year", intake.Context{}, ""}, {"year", "year next", intake.Context{}, ""},
		{"begins", "next", intake.Context{}, ended}, {"next", "later", intake.Context{}, ""},
		{"next year", "later", intake.Context{}, ended}, {"year next", "later", intake.Context{}, ended},
		{"year", "", intake.Context{}, ""}, {"year", "nowhere", intake.Context{}, ""},
	} {
		before := townOf(5, 10, 10)
		delete(before, oneroster.ByName("org"))
		for id, days := range map[string]string{"past": "2026-08-01 2026-09-13", "today": "2026-08-01 2026-09-14",
			"begins": "2026-09-14 2027-06-01", "next": "2026-09-15 2027-06-01", "later": "2026-10-01 2027-06-01"} {
			start, end, _ := strings.Cut(days, " ")
			before.found("academicSession", "sourcedId", id, "startDate", start, "endDate", end)
		}
		termed := func(d district, terms string) {
			for _, rec := range d.some("class", 3, is("school", "s0")) {
				rec.Set("terms", oneroster.Join(strings.Fields(terms)...))
			}
		}
		termed(before, c.was)
		after := before.clone()
		termed(after, c.is)
		n := &night{before: before, after: after}
		got := said(judged(t, n, nil, c.x), "loss")
		want := c.want
		if want != "" {
			want = strings.Replace(want, ", nearly all at s0", "", 1)
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("from %s to %s: %q, want %q", c.was, c.is, got, want)
		}
	}
	before := townOf(5, 10, 10)
	after := before.clone()
	after.set("academicSession", "endDate", "2026-09-01") // no class differs, and all have ended
	v := judge(t, &night{before: before, after: after}, intake.Context{})
	if got, want := said(v, "loss"), "20 of 20 classes that are in session would be in terms that have ended or "+
		"not begun: all of them"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Nobody is in a class by an enrollment that has ended, or is to begin.
func TestEnrollmentsOfToday(t *testing.T) {
	over := intake.Context{Day: intake.Rollover}
	const falls = "the enrollments of one school would fall: School s0 from 110 to 30"
	for _, c := range []struct {
		begin, end string
		x          intake.Context
		want       string
	}{
		{"", "", intake.Context{}, ""}, {"2026-09-14", "2026-09-14", intake.Context{}, ""},
		{"", "2026-09-13", intake.Context{}, falls}, {"2026-09-01", "2026-09-13", intake.Context{}, falls},
		{"2026-09-15", "", intake.Context{}, falls}, {"2026-09-15", "2027-06-01", intake.Context{}, falls},
		{"", "2027-06-01", intake.Context{}, ""}, {"2026-09-15", "", over, ""},
	} {
		before := unread(town())
		after := before.clone()
		some := of(is("school", "s0"), first(80))
		after.edit("enrollment", func(rec oneroster.Record) {
			if some(rec) {
				rec.Set("beginDate", c.begin)
				rec.Set("endDate", c.end)
			}
		})
		v := judged(t, &night{before: before, after: after}, nil, c.x)
		var got []string
		for _, o := range v.Objections {
			if o.Guard == "falls" && strings.Contains(o.Text, "school") {
				got = append(got, o.Text)
			}
		}
		if strings.Join(got, "") != c.want {
			t.Errorf("from %q to %q: %q, want %q", c.begin, c.end, got, c.want)
		}
	}
}

// A school falls where fewer than half of its enrollments are left, unless those are of five pupils or
// fewer who leave it.
func TestFallsOfASmallSchool(t *testing.T) {
	for _, c := range []struct {
		pupils, leave int
		more          int // enrollments of those who stay that are gone as well
		limit         int
		want          string
	}{
		{8, 5, 0, 50, ""}, {9, 6, 0, 50, "Small from 27 to 9"}, {8, 5, 4, 50, ""},
		{8, 5, 5, 50, "Small from 24 to 4"}, {8, 5, 5, 60, ""},
		{8, 0, 12, 50, ""}, {8, 0, 13, 50, "Small from 24 to 11"}, {6, 5, 3, 50, ""},
		{7, 5, 3, 50, ""}, {7, 5, 4, 50, "Small from 21 to 2"},
		{7, 5, 6, 50, "Small from 21 to 0"},
	} {
		before := district{}
		before.found("org", "sourcedId", "small", "name", "Small", "type", "school")
		for i := range c.pupils {
			id := fmt.Sprint("p", i)
			before.found("user", "sourcedId", id, "role", "student", "orgs", "small", "username", id)
			for class := range 3 {
				before.enrolled(id, fmt.Sprint("c", class), "small", "student")
			}
		}
		before.found("user", "sourcedId", "t", "role", "teacher", "orgs", "small", "username", "t")
		after := before.clone()
		left := map[string]bool{}
		for _, rec := range after.some("user", c.leave, is("role", "student")) {
			left[rec.ID()] = true
		}
		after.drop("user", func(rec oneroster.Record) bool { return left[rec.ID()] })
		after.drop("enrollment", func(rec oneroster.Record) bool { return left[rec.Get("user")] })
		after.drop("enrollment", first(c.more))
		limits := intake.Limits{"guard-falls": c.limit}
		v := judged(t, &night{before: before, after: after}, limits, intake.Context{})
		want := c.want
		if want != "" {
			want = "the enrollments of one school would fall: " + want
		}
		if got := said(v, "falls"); got != want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
