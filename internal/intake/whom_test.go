package intake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// grid has ten pupils of each of some grades at each of some schools.
func grid(schools, grades string) district {
	d := district{}
	for _, school := range strings.Fields(schools) {
		d.found("org", "sourcedId", school, "name", strings.ToUpper(school), "type", "school")
		for _, grade := range strings.Fields(grades) {
			for i := range 10 {
				id := fmt.Sprint(school, "-", grade, "-", i)
				d.found("user", "sourcedId", id, "role", "student", "orgs", school, "grades",
					strings.Trim(grade, "-"), "givenName", id, "familyName", id, "username", id)
			}
		}
	}
	return d
}

// What those who are hit have in common is said: whole grades, a school, a grade, all schools alike.
func TestWhom(t *testing.T) {
	const four = "01 02 03 04"
	for _, c := range []struct {
		schools, grades string
		gone            string // "a-01:5": how many of a grade at a school; all where no number is
		want            string
	}{
		{"a b c", four, "a-01 a-02 a-03", "30 of 120 students would be retired, all of grades 1 to 3 at A"},
		{"a b c", four, "a-01 a-02", "20 of 120 students would be retired, all of grades 1 and 2 at A"},
		{"a b c", four, "a-01 a-03 a-04", "30 of 120 students would be retired, all of grades 1, 3 and 4 at A"},
		{"a b c", "01 02 KG", "a-01 a-02 a-KG",
			"30 of 90 students would be retired, all of grades 1, 2 and KG at A"},
		{"a b c", "IT KG PK", "a-IT a-KG a-PK",
			"30 of 90 students would be retired, all of grades IT, KG and PK at A"},
		{"a b c", "10 11 12", "b-10 b-11 b-12", "30 of 90 students would be retired, all of grades 10 to 12 at B"},
		{"a b c", four, "c-02", "10 of 120 students would be retired, all of grade 2 at C"},
		{"a b c", "10 02", "c-10", "10 of 60 students would be retired, all of grade 10 at C"},
		{"a b c", "- --", "c-- c---", "20 of 60 students would be retired, all at C"}, // no grades
		{"a b c", four, "a-01 b-01 b-02", "30 of 120 students would be retired, all of grades 1 and 2 at B and " +
			"of grade 1 at A"},
		{"a b c d", "01 02", "a-01 b-01 c-01 d-01",
			"40 of 80 students would be retired, all of grade 1 at A, of grade 1 at B, of grade 1 at C and of " +
				"grade 1 at D"},
		{"a b c d e", "01 02", "a-01 b-01 c-01 d-01 e-01",
			"50 of 100 students would be retired, all of grade 1 at A, of grade 1 at B, of grade 1 at C and 2 " +
				"more"},
		{"a b c", four, "a-01 a-02 a-03 a-04 b-01 b-02 b-03 b-04 c-01 c-02 c-03 c-04",
			"120 of 120 students would be retired: all of them"},
		// Nine tenths suffice.
		{"a b c", four, "a-01 b-02:1", "11 of 120 students would be retired, all of grade 1 at A"},
		{"a b c", four, "a-01 a-02 a-03 b-01:1 b-02:1 c-01:1 c-02:1",
			"34 of 120 students would be retired"},
		{"a b c", four, "a-01:6 a-02:6 a-03:6 b-01:2", "20 of 120 students would be retired, nearly all at A"},
		{"a b c", four, "a-01:6 a-02:6 a-03:5 b-01:3", "20 of 120 students would be retired"},
		{"a b c", four, "a-02:6 b-02:6 c-02:6 a-01:2",
			"20 of 120 students would be retired, nearly all in grade 2"},
		{"a b c", four, "a-02:6 b-02:6 c-02:5 a-01:3",
			"20 of 120 students would be retired, at all 3 schools alike"},
		{"a", four, "a-01:6 a-02:6", "12 of 40 students would be retired"}, // which school is no news
		{"a", four, "a-01:9 a-02:1", "10 of 40 students would be retired, nearly all in grade 1"},
		// A school has as many as elsewhere, or half of that.
		{"a b c", four, "a-01:8 a-02:8 b-01:2 b-03:2 c-01:2 c-02:2",
			"24 of 120 students would be retired, at all 3 schools alike"},
		{"a b c", four, "a-01:8 a-02:9 b-01:2 b-03:2 c-01:2 c-02:1", "24 of 120 students would be retired"},
		{"a b", four, "a-01:5 a-02:5 b-03:5 b-04:5", "20 of 80 students would be retired, at all 2 schools alike"},
	} {
		before := grid(c.schools, c.grades)
		after := before.clone()
		for _, which := range strings.Fields(c.gone) {
			group, n := which, 10
			if at := strings.Index(which, ":"); at > 0 {
				group = which[:at]
				_, _ = fmt.Sscan(which[at+1:], &n)
			}
			after.drop("user", of(func(rec oneroster.Record) bool {
				return rec.ID()[:strings.LastIndex(rec.ID(), "-")] == group
			}, first(n)))
		}
		v := judged(t, newNight(before, after), intake.Limits{"guard-loss": 5}, intake.Context{})
		want := strings.Replace(c.want, ", all ", ": all ", 1)
		if got := said(v, "loss"); got != want {
			t.Errorf("%s without %s: %q, want %q", c.schools, c.gone, got, want)
		}
	}
}

// Who is at no school is not told by schools, and of many records the count has commas.
func TestWhomOfNoSchool(t *testing.T) {
	before := grid("a b", "01 02 03 04")
	for i := range 930 {
		id := fmt.Sprint("none", i)
		before.found("user", "sourcedId", id, "role", "student", "grades", "05", "givenName", id, "username", id)
	}
	third := every(3)
	for _, c := range []struct {
		gone func(oneroster.Record) bool
		want string
	}{
		{is("grades", "05"), "930 of 1,010 students would be retired, nearly all in grade 5"},
		{third, "336 of 1,010 students would be retired, nearly all in grade 5"},
		{of(not(is("grades", "05")), every(2)), ""},
		{is("orgs", "a"), ""},
	} {
		after := before.clone()
		after.drop("user", c.gone)
		if got := said(judge(t, newNight(before, after), intake.Context{}), "loss"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	before.edit("user", func(rec oneroster.Record) { rec.Set("grades", "") })
	after := before.clone()
	after.drop("user", every(3))
	const alike = "336 of 1,010 students would be retired, at all 2 schools alike"
	if got := said(judge(t, newNight(before, after), intake.Context{}), "loss"); got != alike {
		t.Errorf("%q, want %q", got, alike)
	}
}

// A school is called by its name of now, of then, or by its id.
func TestNamesOfSchools(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(before, after district)
		want string
	}{
		"renamed": {func(_, after district) { after.set("org", "name", "New") }, "A"},
		"that comes": {func(before, _ district) {
			before.drop("org", is("sourcedId", "a"))
		}, "A"},
		"that is not there": {func(before, after district) {
			before.drop("org", is("sourcedId", "a"))
			after.drop("org", is("sourcedId", "a"))
		}, "a"},
	} {
		before := grid("a b", "01 02")
		after := before.clone()
		after.drop("user", is("orgs", "a"))
		c.do(before, after)
		v := judged(t, &night{before: before, after: after}, nil, intake.Context{})
		want := "20 of 40 students would be retired: all of grades 1 and 2 at " + c.want
		if got := said(v, "loss"); got != want {
			t.Errorf("a school %s: %q, want %q", name, got, want)
		}
	}
}

// Where a role is hit more than others it is named, with what becomes of it.
func TestRolesThatAreHit(t *testing.T) {
	gone := func(resource, role string, n int) func(district) {
		return func(d district) { d.drop(resource, of(is("role", role), first(n))) }
	}
	all := func(does ...func(district)) func(district) {
		return func(d district) {
			for _, do := range does {
				do(d)
			}
		}
	}
	for i, c := range []struct {
		do   func(district)
		want []string
	}{
		{become("teacher", 10, "aide"), []string{"10 of 20 teachers would be teachers no more: all at School s0"}},
		{all(gone("user", "teacher", 6), become("teacher", 5, "aide")), []string{
			"11 of 20 teachers would be retired, nearly all at School s0"}},
		{all(gone("user", "teacher", 5), become("teacher", 5, "aide")), []string{
			"10 of 20 teachers would be retired, nearly all at School s0"}},
		{all(gone("user", "teacher", 4), become("teacher", 6, "aide")), []string{
			"10 of 20 teachers would be teachers no more, nearly all at School s0"}},
		// The whole is told as a role where nine tenths have it.
		{all(gone("user", "student", 27), gone("user", "teacher", 3)), []string{
			"27 of 100 students would be retired, nearly all at School s0"}},
		{all(gone("user", "student", 26), gone("user", "teacher", 3)), []string{
			"29 of 120 users would be retired, nearly all at School s0"}},
		{gone("enrollment", "teacher", 10), []string{
			"10 of 20 enrollments of teachers would be retired: all at School s0"}},
	} {
		before := town()
		after := before.clone()
		c.do(after)
		v := judged(t, &night{before: before, after: after}, nil, intake.Context{})
		if got := strings.Split(said(v, "loss"), "\n"); !slices.Equal(got, c.want) {
			t.Errorf("row %d: %q, want %q", i, got, c.want)
		}
	}
}
