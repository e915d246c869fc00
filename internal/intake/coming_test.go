package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// addressed gives the people of some schools addresses of a domain.
func (d district) addressed(domain string, schools ...string) {
	for _, school := range schools {
		d.edit("user", func(rec oneroster.Record) {
			if rec.Get("orgs") == school {
				rec.Set("email", rec.ID()+"@"+domain)
			}
		})
	}
}

// A school that comes is held where nobody of it is known, and neither its addresses nor what it
// hangs on are ours.
func TestLimitsOfJoins(t *testing.T) {
	both := func(d district) { d.addressed("town.example", "s0", "s1") }
	comes := func(n, strange int, domain, parent string) func(district) {
		return func(d district) {
			d.found("org", "sourcedId", "new", "name", "New", "type", "school", "parent", parent)
			for i := range n {
				rec := d.found("user", "sourcedId", fmt.Sprint("new", i), "role", "student", "orgs", "new")
				if i < strange {
					rec.Set("email", rec.ID()+"@"+domain)
				} else if domain != "" {
					rec.Set("email", rec.ID()+"@town.example")
				}
			}
		}
	}
	below := func(d district) { // it hangs on a new department of ours
		comes(20, 0, "", "office")(d)
		d.found("org", "sourcedId", "office", "name", "Office", "type", "department", "parent", "d")
	}
	parents := func(d district) {
		comes(20, 0, "", "d")(d)
		d.edit("user", func(rec oneroster.Record) {
			if strings.HasPrefix(rec.ID(), "new") {
				rec.Set("role", "parent")
				rec.Set("email", rec.ID()+"@mail.example")
			}
		})
	}
	nothing := func(district) {}
	for _, c := range []struct {
		name       string
		before, do func(district)
		limits     intake.Limits
		x          intake.Context
		want       string
	}{
		{"twenty of another domain", both, comes(20, 20, "other.example", "d"), nil, intake.Context{}, "growth"},
		{"nineteen", both, comes(19, 19, "other.example", "d"), nil, intake.Context{}, ""},
		{"nine of ten of another domain", both, comes(20, 18, "other.example", "d"), nil, intake.Context{},
			"growth"},
		{"fewer", both, comes(20, 17, "other.example", "d"), nil, intake.Context{}, ""},
		{"of ours", both, comes(20, 20, "Town.Example", "d"), nil, intake.Context{}, ""},
		{"below ours", both, comes(20, 20, "new.town.example", "d"), nil, intake.Context{}, ""},
		{"above ours", func(d district) { d.addressed("staff.town.example", "s0", "s1") },
			comes(20, 20, "town.example", "d"), nil, intake.Context{}, ""},
		{"beside ours", func(d district) { d.addressed("staff.town.example", "s0", "s1") },
			comes(20, 20, "pupils.town.example", "d"), nil, intake.Context{}, ""},
		{"where each school has its own", func(d district) {
			d.addressed("a.example", "s0")
			d.addressed("b.example", "s1")
		}, comes(20, 20, "other.example", "d"), nil, intake.Context{}, ""},
		{"families from anywhere", both, parents, nil, intake.Context{}, ""},
		{"on our district", nothing, comes(20, 0, "", "d"), nil, intake.Context{}, ""},
		{"on a new office of ours", nothing, below, nil, intake.Context{}, ""},
		{"on nothing", nothing, comes(20, 0, "", ""), nil, intake.Context{}, "growth"},
		{"on who is not there", nothing, comes(20, 0, "", "nobody"), nil, intake.Context{}, "growth"},
		{"on nothing, as ours", func(d district) { d.set("org", "parent", "") }, comes(20, 0, "", ""), nil,
			intake.Context{}, ""},
		{"with one who is known", nothing, func(d district) {
			comes(20, 0, "", "")(d)
			d.some("user", 1, is("sourcedId", "p0-0"))[0].Set("orgs", oneroster.Join("s0", "new"))
		}, nil, intake.Context{}, ""},
		{"on nothing, switched off", nothing, comes(20, 0, "", ""), intake.Limits{"guard-growth": 100000},
			intake.Context{}, ""},
		{"by a rollback", nothing, comes(20, 0, "", ""), nil, intake.Context{Back: true}, ""},
	} {
		before := town()
		c.before(before)
		after := before.clone()
		c.do(after)
		v := judged(t, &night{before: before, after: after}, c.limits, c.x)
		if got := guards(v); got != c.want {
			t.Errorf("%s: %q, want %q: %+v", c.name, got, c.want, v.Objections)
		}
		for _, o := range v.Objections {
			says := "which hangs on no org of ours"
			if strings.Contains(c.name, "domain") {
				says = "with addresses of other.example, and ours have town.example"
			}
			if want := "a school would be added with 20 people, of whom nobody is known: New (new), " +
				says; o.Text != want {
				t.Errorf("%s: %q, not %q", c.name, o.Text, want)
			}
		}
	}
}

// People who would be there twice are held where they are ten, most who come and many of their role.
func TestLimitsOfTwins(t *testing.T) {
	twins := func(n int, role, of string) func(district) {
		return func(d district) {
			for i := range n {
				d.person(role, fmt.Sprint("twin", i), "s0")
				twin := d[oneroster.ByName("user")][len(d[oneroster.ByName("user")])-1]
				twin.Set("givenName", fmt.Sprint("G", of, "0-", i))
				twin.Set("familyName", fmt.Sprint("F", of, "0-", i))
			}
		}
	}
	also := func(n int, do func(district)) func(district) {
		return func(d district) {
			do(d)
			for i := range n {
				d.person("student", fmt.Sprint("other", i), "s0")
			}
		}
	}
	born := func(day string, do func(district)) func(district) {
		return func(d district) {
			do(d)
			for i := range 10 {
				d.found("demographics", "sourcedId", fmt.Sprint("twin", i), "birthDate", day)
			}
		}
	}
	all := intake.Limits{"guard-growth": 1000}
	at := func(n int) intake.Limits { return intake.Limits{"guard-twice": n, "guard-growth": 1000} }
	for _, c := range []struct {
		name   string
		do     func(district)
		limits intake.Limits
		x      intake.Context
		want   string
	}{
		{"ten pupils", twins(10, "student", "p"), all, intake.Context{}, "twice"},
		{"nine", twins(9, "student", "p"), all, intake.Context{}, ""},
		{"a tenth", twins(10, "student", "p"), at(10), intake.Context{}, ""},
		{"more than nine percent", twins(10, "student", "p"), at(9), intake.Context{}, "twice"},
		{"switched off", twins(50, "student", "p"), at(100), intake.Context{}, ""},
		{"half of who comes", also(10, twins(10, "student", "p")), all, intake.Context{}, ""},
		{"more than half", also(9, twins(10, "student", "p")), all, intake.Context{}, "twice"},
		{"teachers", twins(10, "teacher", "t"), all, intake.Context{}, "twice"},
		{"parents", twins(10, "parent", "p"), all, intake.Context{}, ""},
		{"aides with the names of pupils", twins(10, "aide", "p"), all, intake.Context{}, ""},
		{"of those who leave", func(d district) {
			d.drop("user", of(is("role", "student"), first(10)))
			twins(10, "student", "p")(d)
		}, all, intake.Context{}, ""},
		{"born on another day", born("2014-01-01", twins(10, "student", "p")), all, intake.Context{}, ""},
		{"born on that day", born("2013-01-01", twins(10, "student", "p")), all, intake.Context{}, "twice"},
		{"of one whose day is not known", born("2013-01-01", func(d district) {
			twins(10, "student", "p")(d)
			d.set("demographics", "birthDate", "")
		}), intake.Limits{"guard-growth": 1000, "guard-emptied": 100}, intake.Context{}, "twice"},
		{"of whom the day is not known", born("", twins(10, "student", "p")), all, intake.Context{}, "twice"},
		{"brought by nobody", twins(10, "student", "p"), nil, intake.Context{}, ""},
		{"by a rollback", twins(10, "student", "p"), all, intake.Context{Back: true}, ""},
	} {
		before := town()
		for i := range 10 {
			before.found("demographics", "sourcedId", fmt.Sprint("p0-", i), "birthDate", "2013-01-01")
		}
		after := before.clone()
		c.do(after)
		n := newNight(before, after)
		n.local = map[*oneroster.Resource]bool{oneroster.ByName("user"): c.name == "brought by nobody"}
		v := judged(t, n, c.limits, c.x)
		if got := guards(v); got != c.want {
			t.Errorf("%s: %q, want %q: %+v", c.name, got, c.want, v.Objections)
		}
		if c.want != "" && !strings.Contains(v.Objections[0].Text, "s would be there twice: twin0 comes, and has "+
			"the name of one who stays") {
			t.Errorf("%s: %+v", c.name, v.Objections)
		}
	}
}

// A grade that is another in mid-year, or does not follow with the year, is held where more than a
// quarter of the pupils have one, or most of a school.
func TestLimitsOfGrades(t *testing.T) {
	over := intake.Context{Day: intake.Rollover}
	for _, c := range []struct {
		was, is string
		n       int // of the 50 pupils of s0
		limit   int
		x       intake.Context
		want    string
	}{
		{"09", "10", 25, 25, intake.Context{}, ""},
		{"09", "10", 26, 25, intake.Context{}, "26 of 100 students would be in another grade"},
		{"09", "10", 25, 40, intake.Context{}, ""},
		{"09", "10", 26, 40, intake.Context{}, "26 of 50 students of School s0 would be in another grade"},
		{"09", "10", 30, 60, intake.Context{}, ""},
		{"09", "10", 50, 25, over, ""}, {"09", "11", 50, 25, over, ""}, {"09", "09", 50, 25, over, ""},
		{"09", "12", 50, 25, over, "50 of 100 students would be in a grade that does not follow"},
		{"09", "08", 50, 25, over, "50 of 100 students would be in a grade that does not follow"},
		{"KG", "01", 50, 25, over, ""}, {"pk", "KG", 50, 25, over, ""}, {"TK", "1", 50, 25, over, ""},
		{"KG", "PK", 50, 25, over, "50 of 100 students would be in a grade that does not follow"},
		{"KG", "03", 50, 25, over, "50 of 100 students would be in a grade that does not follow"},
		{"09", "Grade 9", 50, 25, intake.Context{}, ""}, {"blue", "Blue", 50, 25, intake.Context{}, ""},
		{"blue", "red", 50, 25, intake.Context{}, "50 of 100 students would be in another grade"},
		{"blue", "red", 50, 25, over, ""},
		{"09", oneroster.Join("10", "09"), 50, 25, intake.Context{}, ""},
		{"09", "", 50, 25, intake.Context{}, ""}, {"", "09", 50, 25, intake.Context{}, ""},
		{"IT", "KG", 50, 25, over, "50 of 100 students would be in a grade that does not follow"},
	} {
		before := town()
		graded := func(d district, n int, grade string) {
			some := of(pupilsOf("s0"), first(n))
			d.edit("user", func(rec oneroster.Record) {
				if some(rec) {
					rec.Set("grades", grade)
				}
			})
		}
		graded(before, 50, c.was)
		after := before.clone()
		graded(after, c.n, c.is)
		limits := intake.Limits{"guard-steady": c.limit, "guard-falls": 100, "guard-emptied": 100,
			"guard-change": 100}
		var said []string
		for _, o := range judged(t, newNight(before, after), limits, c.x).Objections {
			said = append(said, o.Text)
		}
		if c.want != "" {
			c.want += fmt.Sprintf(": p0-0 (from %s to %s) is one", c.was, c.is)
		}
		if got := strings.Join(said, "; "); got != c.want {
			t.Errorf("%d from %s to %s: %q, want %q", c.n, c.was, c.is, got, c.want)
		}
	}
}
