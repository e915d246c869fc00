package intake_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

// made is a district of n people, courses, classes or enrollments, that have nothing in common.
func made(resource string, n int) district {
	r := oneroster.ByName(resource)
	d := district{}
	for i := range n {
		rec := oneroster.NewRecord(r)
		rec.Set("sourcedId", fmt.Sprintf("id-%03d", i))
		rec.Set("status", oneroster.Active)
		word := strings.Repeat(string(rune('a'+i%26)), 3+i/26)
		if resource == "user" {
			for _, field := range []string{"givenName", "familyName", "username", "email", "identifier"} {
				rec.Set(field, word)
			}
			rec.Set("role", "teacher")
		} else if resource == "enrollment" {
			rec.Set("user", word)
			rec.Set("class", word)
		} else {
			rec.Set("title", word)
			if resource == "course" {
				rec.Set("courseCode", word)
			}
		}
		d[r] = append(d[r], rec)
	}
	return d
}

// Each guard holds beyond its limit and not at it, is off at 100, and says nothing
// of few records nor of what no import brought.
func TestLimits(t *testing.T) {
	set := func(n int, fields ...string) func(district) {
		return func(d district) {
			for r := range d {
				for _, rec := range d[r][:n] {
					for _, f := range fields {
						rec.Set(f, "zz"+rec.Get(f))
					}
				}
			}
		}
	}
	empty := func(n int, field string) func(district) {
		return func(d district) {
			for r := range d {
				for _, rec := range d[r][:n] {
					rec.Set(field, "")
				}
			}
		}
	}
	gone := func(resource string, n int) func(district) {
		return func(d district) { d.drop(resource, first(n)) }
	}
	twice := func(n int) func(district) {
		return func(d district) {
			r := oneroster.ByName("user")
			for i, rec := range slices.Clone(d[r][:n]) {
				twin := oneroster.Record{Resource: r, Values: slices.Clone(rec.Values)}
				twin.Set("sourcedId", fmt.Sprint("twin-", i))
				d[r] = append(d[r], twin)
			}
		}
	}
	come := func(resource string, n int) func(district) {
		return func(d district) {
			r := oneroster.ByName(resource)
			for i, rec := range slices.Clone(d[r][:n]) {
				twin := oneroster.Record{Resource: r, Values: slices.Clone(rec.Values)}
				twin.Set("sourcedId", fmt.Sprint("new-", i))
				if resource == "user" {
					twin.Set("familyName", fmt.Sprint("New", i))
				}
				d[r] = append(d[r], twin)
			}
		}
	}
	over := intake.Context{Day: intake.Rollover}
	tests := []struct {
		resource string
		n        int
		do       func(district)
		limits   intake.Limits
		x        intake.Context
		want     string
	}{
		{"course", 100, gone("course", 10), nil, intake.Context{}, ""},
		{"course", 100, gone("course", 11), nil, intake.Context{}, "loss"},
		{"course", 100, gone("course", 11), intake.Limits{"guard-loss": 11}, intake.Context{}, ""},
		{"course", 100, gone("course", 100), intake.Limits{"guard-loss": 100}, intake.Context{}, ""},
		{"course", 100, gone("course", 1), intake.Limits{"guard-loss": 0}, intake.Context{}, "loss"},
		{"course", 20, gone("course", 3), nil, intake.Context{}, "loss"},
		{"course", 20, gone("course", 2), intake.Limits{"guard-loss": 5}, intake.Context{}, ""},
		{"course", 19, gone("course", 9), nil, intake.Context{}, ""},
		{"course", 19, gone("course", 10), nil, intake.Context{}, "loss"},
		{"course", 19, gone("course", 10), intake.Limits{"guard-loss": 60}, intake.Context{}, ""},
		{"course", 19, gone("course", 19), intake.Limits{"guard-loss": 100}, intake.Context{}, ""},
		{"course", 2, gone("course", 2), nil, intake.Context{}, ""},
		{"course", 3, gone("course", 3), nil, intake.Context{}, "loss"},
		{"user", 19, gone("user", 19), nil, intake.Context{}, "empties loss"},
		{"course", 100, gone("course", 90), nil, over, ""},
		{"course", 100, gone("course", 91), nil, over, "loss"},
		{"course", 100, gone("course", 1), nil, intake.Context{Day: intake.AddsOnly}, "calendar"},
		{"course", 100, set(1, "title"), nil, intake.Context{Day: intake.AddsOnly}, ""},
		{"course", 100, set(1, "title"), nil, intake.Context{Day: intake.Frozen}, "calendar"},
		{"course", 100, set(75, "title"), nil, intake.Context{}, ""},
		{"course", 100, set(76, "title"), nil, intake.Context{}, "change"},
		{"course", 20, set(16, "title"), nil, intake.Context{}, "change"},
		{"course", 100, set(76, "title"), intake.Limits{"guard-change": 100}, intake.Context{}, ""},
		{"course", 100, set(100, "title"), nil, over, ""},
		{"course", 100, set(100, "dateLastModified"), nil, intake.Context{}, ""},
		{"user", 100, set(100, "agents"), nil, intake.Context{}, ""},
		{"course", 100, empty(10, "title"), nil, intake.Context{}, ""},
		{"course", 100, empty(11, "title"), nil, intake.Context{}, "emptied"},
		{"course", 100, empty(11, "title"), nil, over, "emptied"},
		{"course", 100, empty(11, "title"), intake.Limits{"guard-emptied": 100}, intake.Context{}, ""},
		{"course", 100, set(1, "title", "courseCode"), nil, intake.Context{}, ""},
		{"course", 100, set(2, "title", "courseCode"), nil, intake.Context{}, "hands"},
		{"course", 100, set(2, "title"), nil, intake.Context{}, ""},
		{"course", 100, set(25, "title", "courseCode"), nil, over, ""},
		{"course", 100, set(26, "title", "courseCode"), nil, over, "hands"},
		{"course", 50, set(1, "title", "courseCode"), nil, intake.Context{}, ""},
		{"course", 19, set(9, "title", "courseCode"), nil, intake.Context{}, ""},
		{"course", 19, set(10, "title", "courseCode"), nil, intake.Context{}, "hands"},
		{"course", 19, set(19, "title"), nil, intake.Context{}, ""},
		{"course", 19, empty(9, "title"), nil, intake.Context{}, ""},
		{"course", 19, empty(10, "title"), nil, intake.Context{}, "emptied"},
		{"course", 20, empty(2, "title"), intake.Limits{"guard-emptied": 5}, intake.Context{}, ""},
		{"user", 100, set(2, "givenName", "familyName", "email"), nil, intake.Context{}, "hands"},
		{"user", 100, set(2, "givenName", "familyName", "username"), nil, intake.Context{}, "hands"},
		{"user", 100, set(2, "givenName", "familyName", "identifier"), nil, intake.Context{}, "hands"},
		{"user", 100, set(2, "givenName", "familyName"), nil, intake.Context{}, ""},
		{"user", 100, set(70, "username", "email", "identifier"), nil, intake.Context{}, ""},
		{"user", 100, set(25, "givenName"), nil, over, ""},
		{"user", 100, set(26, "givenName"), nil, over, "steady"},
		{"user", 100, set(26, "givenName"), intake.Limits{"guard-steady": 26}, over, ""},
		{"user", 100, come("user", 50), nil, intake.Context{}, ""},
		{"user", 100, come("user", 51), nil, intake.Context{}, "growth"},
		{"user", 100, come("user", 51), intake.Limits{"guard-growth": 51}, intake.Context{}, ""},
		{"user", 100, come("user", 90), nil, over, ""},
		{"user", 100, come("user", 91), nil, over, "growth"},
		{"user", 20, come("user", 11), nil, intake.Context{}, "growth"},
		{"user", 19, come("user", 19), nil, intake.Context{}, ""},
		{"user", 100, twice(10), nil, over, "twice"},
		{"user", 100, twice(9), nil, intake.Context{}, ""},
		{"user", 100, twice(10), intake.Limits{"guard-twice": 10}, intake.Context{}, ""},
		{"user", 100, twice(10), intake.Limits{"guard-twice": 100}, intake.Context{}, ""},
		{"user", 100, twice(10), nil, intake.Context{Back: true}, ""},
		{"user", 100, func(d district) { come("user", 10)(d); twice(10)(d) }, nil, intake.Context{}, ""},
		{"enrollment", 100, come("enrollment", 50), nil, intake.Context{}, ""},
		{"enrollment", 100, come("enrollment", 51), nil, intake.Context{}, "growth"},
		{"enrollment", 100, come("enrollment", 51), nil, over, ""},
		{"enrollment", 100, come("enrollment", 51), nil, intake.Context{Day: intake.AddsOnly}, ""},
		{"course", 100, come("course", 100), nil, intake.Context{}, ""},
		{"enrollment", 100, set(5, "user"), nil, intake.Context{}, ""},
		{"enrollment", 100, set(6, "user"), nil, over, "seats"},
		{"enrollment", 100, set(6, "class"), nil, intake.Context{}, "seats"},
		{"enrollment", 100, set(6, "class"), nil, over, ""},
	}
	for i, c := range tests {
		before := made(c.resource, c.n)
		after := before.clone()
		c.do(after)
		judged := func(local bool) string {
			n := &night{before: before, after: after}
			if local {
				n.local = map[*oneroster.Resource]bool{oneroster.ByName(c.resource): true}
			}
			v, err := intake.Judge(context.Background(), n, c.limits, c.x)
			if err != nil {
				t.Fatal(err)
			}
			return guards(v)
		}
		if got := judged(false); got != c.want {
			t.Errorf("row %d, %d of %s: %q, want %q", i, c.n, c.resource, got, c.want)
		}
		if got := judged(true); got != "" && got != "empties" && got != "calendar" {
			t.Errorf("row %d: %q holds what no import brought", i, got)
		}
	}
}

// A field that few fill may be emptied; a small school may fall; and so may one
// that no import brought.
func TestWhatIsTooFew(t *testing.T) {
	half := func(filled int) district {
		d := made("course", 100)
		for _, rec := range d[oneroster.ByName("course")][:filled] {
			rec.Set("subjects", "Art")
		}
		return d
	}
	enrolled := func(small int) district {
		d, r := district{}, oneroster.ByName("enrollment")
		for i := range 1000 {
			rec := oneroster.NewRecord(r)
			rec.Set("sourcedId", fmt.Sprint(i))
			rec.Set("school", "large")
			if i < small {
				rec.Set("school", "small")
			}
			d[r] = append(d[r], rec)
		}
		return d
	}
	emptied := func(d district) { d.set("course", "subjects", "") }
	left := func(d district) { d.drop("enrollment", is("school", "small")) }
	for i, c := range []struct {
		before district
		do     func(district)
		local  bool
		want   string
	}{
		{half(50), emptied, false, "emptied"}, {half(49), emptied, false, ""},
		{enrolled(20), left, false, "falls"}, {enrolled(19), left, false, ""}, {enrolled(20), left, true, ""},
	} {
		after := c.before.clone()
		c.do(after)
		n := &night{before: c.before, after: after}
		n.local = map[*oneroster.Resource]bool{oneroster.ByName("enrollment"): c.local}
		if got := guards(judge(t, n, intake.Context{})); got != c.want {
			t.Errorf("row %d: %q, want %q", i, got, c.want)
		}
	}
}

// Another birth date tells two people of another name apart.
func TestHandsByBirthDate(t *testing.T) {
	whole := gather(t, sandbox.New(sandbox.Options{Students: 90, Today: monday}))
	after := whole.clone()
	born := ""
	after.edit("user", func(rec oneroster.Record) {
		if strings.HasPrefix(rec.ID(), "stu-00001") {
			rec.Set("givenName", "Xaver")
			rec.Set("familyName", "Xylander")
			born = rec.ID()
		}
	})
	if got := guards(judge(t, newNight(whole, after), intake.Context{})); got != "" {
		t.Errorf("new names alone: %q", got)
	}
	after.edit("demographics", func(rec oneroster.Record) {
		if strings.HasPrefix(rec.ID(), "stu-00001") {
			rec.Set("birthDate", "2001-01-01")
		}
	})
	if got := guards(judge(t, newNight(whole, after), intake.Context{})); got != "hands" || born == "" {
		t.Errorf("new names and birth dates: %q", got)
	}
}

// A watched night remembers what was read of it.
type watched struct {
	*night
	read []string
}

func (w *watched) Before(ctx context.Context, r *oneroster.Resource,
	yield func(oneroster.Record) error) error {
	w.read = append(w.read, r.Name)
	return w.night.Before(ctx, r, yield)
}

func (w *watched) After(ctx context.Context, r *oneroster.Resource,
	yield func(oneroster.Record) error) error {
	w.read = append(w.read, r.Name)
	return w.night.After(ctx, r, yield)
}

// A night without changes reads nothing, one of the gradebook reads that, and any
// other reads the gradebook only where it differs.
func TestReadsNoMoreThanDiffers(t *testing.T) {
	whole := gather(t, sandbox.New(sandbox.Options{Students: 30, Today: monday}))
	for _, c := range []struct {
		what string
		do   func(district)
		want func(string) bool
	}{
		{"nothing", func(district) {}, func(string) bool { return false }},
		{"a result", func(d district) { d.drop("result", first(1)) },
			func(r string) bool { return r == "result" }},
		{"a class", func(d district) {
			d.edit("class", func(rec oneroster.Record) { rec.Set("location", "Gym") })
		},
			func(r string) bool { return !oneroster.ByName(r).Gradebook }},
	} {
		after := whole.clone()
		c.do(after)
		w := &watched{night: newNight(whole, after)}
		if _, err := intake.Judge(context.Background(), w, nil, intake.Context{Today: monday}); err != nil {
			t.Fatal(err)
		}
		for _, r := range oneroster.Resources() {
			if slices.Contains(w.read, r.Name) != c.want(r.Name) {
				t.Errorf("%s differs, and %v was read", c.what, w.read)
				break
			}
		}
	}
}

// Settings have a name, a default within their bounds, and a line.
func TestSettings(t *testing.T) {
	for _, s := range intake.Settings {
		if !strings.HasPrefix(s.Name, "guard-") || s.Default < s.Least || s.Default > s.Most || s.What == "" {
			t.Errorf("%+v", s)
		}
	}
}
