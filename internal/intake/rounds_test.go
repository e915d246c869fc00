package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// campus is twenty schools of forty pupils and five teachers, as a large district has them.
// Several have a name; each pupil has a result.
func campus() district {
	d := district{}
	users, born := oneroster.ByName("user"), oneroster.ByName("demographics")
	results := oneroster.ByName("result")
	for school := range 20 {
		for i := range 45 {
			id, role := fmt.Sprintf("%02d-%02d", school, i), "student"
			if i >= 40 {
				role = "teacher"
			}
			rec := oneroster.NewRecord(users)
			for field, value := range map[string]string{"sourcedId": id, "status": oneroster.Active, "role": role,
				"orgs": fmt.Sprint("s", school), "givenName": fmt.Sprint("Given", i%23),
				"familyName": fmt.Sprint("Family", (7*school+i)%101), "email": id + "@example.org", "username": id} {
				rec.Set(field, value)
			}
			d[users] = append(d[users], rec)
			rec = oneroster.NewRecord(born)
			rec.Set("sourcedId", id)
			rec.Set("status", oneroster.Active)
			rec.Set("birthDate", fmt.Sprintf("2014-%02d-%02d", 1+i%12, 1+(7*i+school)%28))
			d[born] = append(d[born], rec)
			if role == "student" {
				rec = oneroster.NewRecord(results)
				rec.Set("sourcedId", "r"+id)
				rec.Set("student", id)
				d[results] = append(d[results], rec)
			}
		}
	}
	return d
}

// What goes round among a few of many is held: most of a small group, a tenth of a larger one.
func TestRounds(t *testing.T) {
	pupils, teachers := pupilsOf("s7"), of(is("role", "teacher"), is("orgs", "s7"))
	shift := func(resource, field string, which func() func(oneroster.Record) bool) func(district) {
		return func(d district) { d.moved(resource, field, which()) }
	}
	those := func(which func(oneroster.Record) bool, n int) func() func(oneroster.Record) bool {
		return func() func(oneroster.Record) bool { return of(which, first(n)) }
	}
	marked := func(school string) func(oneroster.Record) bool {
		return func(rec oneroster.Record) bool { return strings.HasPrefix(rec.Get("student"), school+"-") }
	}
	over := intake.Context{Day: intake.Rollover}
	for _, c := range []struct {
		name   string
		do     func(district)
		limits intake.Limits
		x      intake.Context
		want   string // what it says; "" is published
	}{
		{"e-mails of a school's teachers", shift("user", "email", those(teachers, 5)), nil, over,
			"5 of 5 teachers of s7 would get the email of another: 07-44@example.org, and 07-40 is one"},
		{"usernames of five of a school's pupils", shift("user", "username", those(pupils, 5)), nil,
			intake.Context{}, "5 of 40 students of s7 would get the username of another: 07-04, and 07-00 is one"},
		{"usernames of five with the year", shift("user", "username", those(pupils, 5)), nil, over,
			"5 of 40 students of s7 would get the username of another: 07-04, and 07-00 is one"},
		{"usernames of four", shift("user", "username", those(pupils, 4)), nil, intake.Context{}, ""},
		{"e-mails of two teachers", shift("user", "email", those(teachers, 2)), nil, intake.Context{}, ""},
		{"e-mails of a school's teachers, switched off", shift("user", "email", those(teachers, 5)),
			intake.Limits{"guard-hands": 100}, intake.Context{}, ""},
		{"given names of a school's pupils", shift("user", "givenName", those(pupils, 40)), nil, over,
			"40 of 40 students of s7 would get the givenName of another: Given16, and 07-00 is one"},
		{"given names of ten ids that are others' with the year", shift("user", "givenName", those(pupils, 10)),
			nil, over, ""},
		{"given names of ten pupils", shift("user", "givenName", those(pupils, 10)), nil, intake.Context{},
			"10 of 40 students of s7 would get the givenName of another: Given9, and 07-00 is one"},
		{"family names of all teachers", shift("user", "familyName", those(is("role", "teacher"), 100)), nil, over,
			"100 of 100 teachers would get the familyName of another: Family76, and 00-40 is one"},
		{"birth dates of a school's pupils", shift("demographics", "birthDate", func() func(oneroster.Record) bool {
			return of(func(rec oneroster.Record) bool { return strings.HasPrefix(rec.ID(), "07-") }, first(40))
		}), nil, over,
			"40 of 40 students of s7 would get the birthDate of another: 2014-04-01, and 07-00 is one"},
		{"results of a school's pupils", shift("result", "student", those(marked("07"), 40)), nil, over,
			"40 of 40 results of pupils of s7 would keep the id and be of another student: r07-00 is one"},
		{"results of ten of a school's pupils", shift("result", "student", those(marked("07"), 10)), nil,
			intake.Context{}, ""},
		{"results of a school's pupils, switched off", shift("result", "student", those(marked("07"), 40)),
			intake.Limits{"guard-seats": 100}, over, ""},
		{"a school's pupils are called by their second names", func(d district) {
			d.edit("user", func(rec oneroster.Record) {
				if pupils(rec) {
					rec.Set("givenName", "Second"+rec.ID())
				}
			})
		}, nil, intake.Context{}, ""},
		{"a third of a school's pupils get names that others have", func(d district) {
			third := every(3)
			d.edit("user", func(rec oneroster.Record) {
				if pupils(rec) && third(rec) {
					rec.Set("familyName", d.some("user", 1, is("orgs", "s8"))[0].Get("familyName"))
				}
			})
		}, nil, intake.Context{}, ""},
	} {
		before := campus()
		after := before.clone()
		c.do(after)
		n := &night{before: before, after: after}
		v, err := intake.Judge(t.Context(), n, c.limits, c.x)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, o := range v.Objections {
			said = append(said, o.Text)
		}
		if got := strings.Join(said, "; "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
