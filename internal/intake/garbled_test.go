package intake_test

import (
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// named is a district of users with one family name.
func named(n int, name string) district {
	d := made("user", n)
	d.set("user", "familyName", name)
	return d
}

// What became of a name tells whether its letters were lost on the way, or written as HTML does.
func TestGarbled(t *testing.T) {
	const lost = "20 of 20 users with letters beyond ASCII in familyName would lose them: look at the " +
		"encoding of the file"
	const html = "20 of 20 users with quotes or ampersands in familyName would have them as HTML writes them, " +
		"such as &#39;: look at the program that wrote the file"
	for _, c := range []struct{ was, is, want string }{
		{"José", "JosÃ©", lost}, {"José", "Jos?", lost}, {"José", "Jos\ufffd", lost}, {"José", "Jos¿", lost},
		{"José", "Jos_", lost}, {"José", "Jos", lost}, {"José", "JosÃ© A", ""}, // another name
		{"José", "Jos&#233;", lost}, {"José", "Jos&#xE9;", lost}, {"José", "Jos&#Xe9;", lost},
		{"José", "Jos&eacute;", lost}, {"José", "Jos&;", ""}, {"José", "Jos&#;", ""}, {"José", "Jos#233;", ""},
		{"José", "Jose", ""}, {"José", "Josè", ""}, {"José", "Joseé", ""}, {"José", "", ""},
		{"Jose", "Jos?", ""}, {"Jose", "Jos\ufffd", ""}, {"Jose", "Jos&#101;", ""},
		{"Qué?", "Que?", ""}, {"Qué?", "Qu??", lost}, {"Qué_", "Que_", ""}, {"¿Qué", "¿Que", ""},
		{"Qué – A", "Qué _ A", ""}, {"Qué – A", "Qué ¿ A", ""}, {"Qué – A", "Qu_ _ A", lost},
		{"O'Neil", "O&#39;Neil", html}, {"O'Neil", "O&apos;Neil", html}, {"O'Neil", "O'Neill", ""},
		{"A & B", "A &amp; B", html}, {"A & B", "A and B", ""}, {"A & B", "A & C;", ""},
		{"A &amp; B", "A &amp; C", ""}, {"A &amp; B", "A & B", ""}, {"A &amp; B", "A &amp;amp; B", ""},
		{`"A"`, "&quot;A&quot;", html}, {"<A", "&lt;A", html}, {"A>", "A&gt;", html}, {"A", "&#65;", ""},
		{"O'Né", "O&#39;Né", lost}, {"O'Né", "O'Ne", ""},
	} {
		v := judge(t, newNight(named(20, c.was), named(20, c.is)), intake.Context{})
		if got := said(v, "garbled"); got != c.want {
			t.Errorf("%s, and then %s: %q, want %q", c.was, c.is, got, c.want)
		}
	}
}

// Letters and marks are held beyond a tenth of the values that have some, and told with examples.
func TestLimitsOfGarbled(t *testing.T) {
	const some = 10 // beside those that have letters or marks
	for _, c := range []struct {
		was, is string
		n       int // of thirty
		limit   int
		local   bool
		want    string
	}{
		{"Né", "N?", 3, 10, false, ""}, {"Né", "N?", 4, 10, false, "4 of 30 users with letters"},
		{"Né", "N?", 4, 14, false, ""}, {"Né", "N?", 4, 10, true, ""}, {"Né", "N?", 30, 100, false, ""},
		{"O'N", "O&#39;N", 3, 10, false, ""}, {"O'N", "O&#39;N", 4, 10, false, "4 of 30 users with quotes"},
		{"O'N", "O&#39;N", 4, 14, false, ""}, {"O'N", "O&#39;N", 4, 10, true, ""},
	} {
		before := named(30+some, "Lee")
		of, then := first(30), first(c.n)
		before.edit("user", func(rec oneroster.Record) {
			if of(rec) {
				rec.Set("familyName", c.was)
			}
		})
		after := before.clone()
		after.edit("user", func(rec oneroster.Record) {
			if then(rec) {
				rec.Set("familyName", c.is)
			}
		})
		n := newNight(before, after)
		n.local = map[*oneroster.Resource]bool{oneroster.ByName("user"): c.local}
		v := judged(t, n, intake.Limits{"guard-garbled": c.limit}, intake.Context{})
		got := said(v, "garbled")
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%d of 30 from %s to %s at %d: %q, want %q", c.n, c.was, c.is, c.limit, got, c.want)
		}
		var examples []intake.Example
		for _, e := range v.Examples {
			if e.Guard == "garbled" {
				examples = append(examples, e)
			}
		}
		first := intake.Example{Guard: "garbled", Resource: "users", ID: "id-000", Field: "familyName",
			Before: c.was, After: c.is}
		if len(examples) != 3 || examples[0] != first || c.want != "" && v.Examples[0] != first {
			t.Errorf("%d from %s to %s: examples %+v of %+v", c.n, c.was, c.is, examples, v.Examples)
		}
	}
}
