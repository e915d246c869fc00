package intake_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

var update = flag.Bool("update", false, "write testdata anew")

// What each guard says to a person, and what is only noted.
func TestWords(t *testing.T) {
	whole := gather(t, sandbox.New(sandbox.Options{Students: 600, Today: monday}))
	last := map[string][]string{"users.csv": {"sourcedId", "email", "givenName", "sms"},
		"demographics.csv": nil,
		"orgs.csv":         {"sourcedId", "name"}}
	now := map[string][]string{"users.csv": {"sourcedId", "E-Mail Address", "given_name"},
		"orgs.csv": {"sourcedId", "nmae"}, "Demographic.csv": nil}
	files := intake.Files{Now: now, Last: last, Distance: bulk.Distance}
	high := is("orgs", "sch-001")
	tests := []struct {
		guard string
		x     intake.Context
		spoil func(d district)
	}{
		{"loss", intake.Context{}, func(d district) {
			d.drop("user", func(rec oneroster.Record) bool { return is("role", "student")(rec) && high(rec) })
		}},
		{"loss", intake.Context{}, func(d district) { d.drop("demographics", not(first(500))) }},
		{"loss", intake.Context{}, func(d district) { d.set("enrollment", "role", "student") }},
		{"change", intake.Context{}, func(d district) {
			d.set("class", "location", "Gym")
			d.edit("class", func(rec oneroster.Record) { rec.Set("title", "Lesson "+rec.ID()) })
		}},
		{"emptied", intake.Context{}, func(d district) { d.set("user", "email", "") }},
		{"garbled", intake.Context{}, func(d district) { d.letters(mojibake) }},
		{"hands", intake.Context{}, func(d district) { d.shifted("user") }},
		{"falls", intake.Context{}, func(d district) { d.drop("enrollment", is("school", "sch-002")) }},
		{"sds", intake.Context{}, func(d district) { d.dates("academicSession", 1) }},
		{"sds", intake.Context{}, func(d district) { delete(d, oneroster.ByName("class")) }},
		{"empties", intake.Context{}, func(d district) { delete(d, oneroster.ByName("enrollment")) }},
		{"without", intake.Context{}, func(d district) { d.drop("org", is("sourcedId", "sch-003")) }},
		{"columns", intake.Context{Files: files}, func(d district) {
			d.set("user", "email", "")
			d.set("user", "sms", "")
			d.set("org", "name", "")
		}},
		{"hands", intake.Context{}, func(d district) { d.moved("user", "familyName", is("role", "teacher")) }},
		{"seats", intake.Context{}, func(d district) { d.moved("result", "student", not(is("sourcedId", ""))) }},
		{"steady", intake.Context{}, func(d district) { d.promoted(is("role", "student")) }},
		{"steady", intake.Context{Day: intake.Rollover}, func(d district) { d.set("user", "grades", "01") }},
		{"twice", intake.Context{}, func(d district) { d.again(5, func(oneroster.Record) {}) }},
		{"growth", intake.Context{}, func(d district) { d.join("beta.example", "dst-1") }},
		{"growth", intake.Context{}, func(d district) { d.join("example.org", "") }},
		{"calendar", intake.Context{Day: intake.Frozen},
			func(d district) { d.set("course", "title", "Course") }},
		{"calendar", intake.Context{Day: intake.AddsOnly}, func(d district) { d.drop("class", first(1)) }},
		{"", intake.Context{}, func(d district) {
			d.drop("demographics", not(first(560)))
			d.edit("org", func(rec oneroster.Record) {
				if rec.ID() == "sch-002" {
					rec.Set("name", "Lincoln")
					rec.Set("identifier", "S-77")
				}
			})
			d.set("class", "periods", "")
			d.edit("user", func(rec oneroster.Record) { rec.Set("username", strings.ToUpper(rec.Get("username"))) })
		}},
	}
	var said strings.Builder
	for _, c := range tests {
		after := whole.clone()
		c.spoil(after)
		v := judge(t, newNight(whole, after), c.x)
		fmt.Fprintln(&said, "== "+cmp.Or(c.guard, "notes"))
		for _, o := range v.Objections {
			if o.Guard == c.guard {
				fmt.Fprintln(&said, o.Text)
			}
		}
		if c.guard == "" {
			fmt.Fprintln(&said, strings.Join(v.Notes, "\n"))
		}
	}
	golden(t, "testdata/words.txt", said.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%v: %s differs: run with -update, and read what changed:\n%s", err, file, got)
	}
}

// A verdict is kept and printed as JSON: its names are a promise, and the same
// nights have the same verdict.
func TestVerdictAsJSON(t *testing.T) {
	whole := gather(t, sandbox.New(sandbox.Options{Students: 90, Today: monday}))
	after := whole.clone()
	after.set("user", "email", "")
	after.drop("enrollment", is("school", "sch-002"))
	text := func() string {
		out, err := json.MarshalIndent(judge(t, newNight(whole, after), intake.Context{}), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(out) + "\n"
	}
	first := text()
	for range 5 {
		if again := text(); again != first {
			t.Fatalf("another time another verdict:\n%s\n%s", first, again)
		}
	}
	golden(t, "testdata/verdict.json", first)
	nothing, _ := json.Marshal(judge(t, newNight(whole, whole), intake.Context{}))
	if strings.Contains(string(nothing), "null") || strings.Count(string(nothing), "[]") != 7 {
		t.Errorf("nothing is %s", nothing)
	}
}
