package oneroster_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
)

// A record's values are read and put by name; a name that is not there is absent,
// and putting into it is a mistake of ours.
func TestValuesByName(t *testing.T) {
	rec := oneroster.NewRecord(oneroster.ByName("user"))
	for _, f := range rec.Resource.Fields {
		rec.Set(f.Name, "the "+f.Name)
	}
	for i, f := range rec.Resource.Fields {
		if want := "the " + f.Name; rec.Get(f.Name) != want || rec.Values[i] != want {
			t.Errorf("%s is %q and %q", f.Name, rec.Get(f.Name), rec.Values[i])
		}
	}
	if rec.ID() != "the sourcedId" || rec.Get("nosuch") != "" {
		t.Errorf("%q, %q", rec.ID(), rec.Get("nosuch"))
	}
	defer func() {
		if recover() == nil {
			t.Error("a value was put into no field")
		}
	}()
	rec.Set("nosuch", "x")
}

// A list is its items, in their order, without the empty ones.
func TestLists(t *testing.T) {
	for _, c := range []struct{ items, want []string }{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{"a"}, []string{"a"}},
		{[]string{"b", "a", "b"}, []string{"b", "a", "b"}},
		{[]string{"", "a", "", "b", ""}, []string{"a", "b"}},
	} {
		if got := oneroster.Items(oneroster.Join(c.items...)); !slices.Equal(got, c.want) {
			t.Errorf("%q are %q, want %q", c.items, got, c.want)
		}
	}
	edit := oneroster.Edit{Gone: []string{"b", "x"}, Came: []string{"c", "a"}}
	edits := map[string]string{"": "c a", "a b c d": "d c a", "b": "c a", "e f": "e f c a"}
	for list, want := range edits {
		got := edit.Apply(strings.ReplaceAll(list, " ", oneroster.ListSep))
		if got != strings.ReplaceAll(want, " ", oneroster.ListSep) {
			t.Errorf("%q became %q, want %q", list, got, want)
		}
	}
}

// Numbers are written as encoding/json writes them, but for its -0 and for the 0
// in e-07.
func TestFormatNumber(t *testing.T) {
	numbers := []float64{0, math.Copysign(0, -1), 1, -1, 0.5, 100, 1e6, 1e-6, 1e21, 1e-7, 1e20, 1e22, 1e100,
		math.MaxFloat64, math.SmallestNonzeroFloat64, math.Nextafter(1e-6, 0), math.Nextafter(1e21, 0)}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		numbers = append(numbers, (rng.Float64()-0.5)*math.Pow10(rng.IntN(60)-30))
	}
	for _, n := range numbers {
		out, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(string(out), "-0", "0", 1)
		if n != 0 {
			want = string(out)
		}
		got := oneroster.FormatNumber(n)
		if strings.Replace(got, "e-0", "e-", 1) != want {
			t.Errorf("%v is written %s, want %s", n, got, want)
		}
		if back, err := strconv.ParseFloat(got, 64); back != n || err != nil {
			t.Errorf("%v comes back as %v", n, back)
		}
	}
}

// Instants are written in UTC with three digits of a second, and a date is told
// from an instant.
func TestInstants(t *testing.T) {
	for _, c := range []struct {
		text, want string
		dateOnly   bool
	}{
		{"2026-09-01", "2026-09-01T00:00:00.000Z", true},
		{" 2026-09-01 ", "2026-09-01T00:00:00.000Z", true},
		{"2026-09-01T08:00", "2026-09-01T08:00:00.000Z", false},
		{"2026-09-01 08:00", "2026-09-01T08:00:00.000Z", false},
		{"2026-09-01T08:00:00.1234567+02:00", "2026-09-01T06:00:00.123Z", false},
		{"2026-09-01T00:30:00+0530", "2026-08-31T19:00:00.000Z", false},
	} {
		at, dateOnly, err := oneroster.ParseInstant(c.text)
		if got := oneroster.FormatTime(at); got != c.want || dateOnly != c.dateOnly || err != nil {
			t.Errorf("%q is %s, a date %v: %v", c.text, got, dateOnly, err)
		}
	}
	paris := time.Date(2026, 9, 1, 8, 0, 0, 999_999_999, time.FixedZone("", 7200))
	if got := oneroster.FormatTime(paris); got != "2026-09-01T06:00:00.999Z" {
		t.Error(got)
	}
}

// A sourcedId has up to 255 characters that can be seen, or a space.
func TestCheckID(t *testing.T) {
	for _, c := range []struct {
		id   string
		fine bool
	}{
		{"", false},
		{"a", true},
		{" a b ", true},
		{"a~b", true},
		{"a\u00a0b", true},
		{"\x1fa", false},
		{"a\x1f", false},
		{"a\x7fb", false},
		{"a\u009fb", false},
		{"a\xffb", false},
		{strings.Repeat("é", 255), true},
		{strings.Repeat("é", 256), false},
		{strings.Repeat("a", 255), true},
		{strings.Repeat("a", 256), false},
	} {
		if err := oneroster.CheckID(c.id); (err == nil) != c.fine {
			t.Errorf("%q: %v", c.id, err)
		}
		for _, name := range []string{"user.sourcedId", "user.orgs", "enrollment.class"} {
			resource, field, _ := strings.Cut(name, ".")
			got, err := oneroster.ByName(resource).Field(field).Parse(c.id)
			if c.id != "" && ((err == nil) != c.fine || c.fine && got != c.id) {
				t.Errorf("%s %q: %q, %v", name, c.id, got, err)
			}
		}
	}
	if _, err := oneroster.ByName("user").Field("username").Parse(strings.Repeat("a", 256)); err != nil {
		t.Errorf("a user name is no sourcedId: %v", err)
	}
}

// What cannot be read is told, up to 80 bytes of it, and never half of a letter.
func TestRefusalsQuote(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"x", `"x"`},
		{strings.Repeat("x", 80), `"` + strings.Repeat("x", 80) + `"`},
		{strings.Repeat("x", 81), `"` + strings.Repeat("x", 80) + `…"`},
		{strings.Repeat("é", 41), `"` + strings.Repeat("é", 40) + `…"`},
		{"x" + strings.Repeat("é", 41), `"x` + strings.Repeat("é", 39) + `…"`},
	} {
		_, err := oneroster.ByName("result").Field("score").Parse(c.text)
		if err == nil || err.Error() != c.want+" is not a number" {
			t.Errorf("%q: %v", c.text, err)
		}
	}
	_, err := oneroster.ByName("resource").Field("importance").Parse("tertiary")
	if err == nil || err.Error() != `"tertiary" is not one of primary, secondary` {
		t.Error(err)
	}
	if _, err := oneroster.ByName("user").Field("metadata").Parse("{}"); err == nil {
		t.Error("metadata was read from a text")
	}
}

// filled is a record in which every field has a value that suits it, but for
// those given as name=value.
func filled(resource string, given ...string) oneroster.Record {
	rec := oneroster.NewRecord(oneroster.ByName(resource))
	byKind := map[oneroster.Kind]string{oneroster.Bool: "true", oneroster.Number: "1",
		oneroster.Date: "2026-09-01", oneroster.Time: "2026-09-01T00:00:00.000Z",
		oneroster.Metadata: `{"a":"b"}`}
	for i, f := range rec.Resource.Fields {
		switch {
		case len(f.Enum) > 0:
			rec.Values[i] = f.Enum[0]
		case byKind[f.Kind] != "":
			rec.Values[i] = byKind[f.Kind]
		default:
			rec.Values[i] = "2026"
		}
	}
	for _, pair := range given {
		name, value, _ := strings.Cut(pair, "=")
		rec.Set(name, value)
	}
	return rec
}

// Each required field that is absent or shows nothing keeps a record from being
// served; no other does.
func TestCheckRequired(t *testing.T) {
	for _, r := range oneroster.Resources() {
		if problems := oneroster.Check(filled(r.Name)); len(problems) > 0 {
			t.Errorf("%s: %v", r.Name, problems)
		}
		for _, f := range r.Fields {
			for _, nothing := range []string{"", " ", "\u00a0", "\u200b", " \ufeff "} {
				problems := oneroster.Check(filled(r.Name, f.Name+"="+nothing))
				told := len(problems) == 1 && problems[0].Field == f.Name
				if f.Required && !told || !f.Required && len(problems) > 0 {
					t.Errorf("%s without %s (%q): %v", r.Name, f.Name, nothing, problems)
				}
			}
		}
	}
}

// A grade has a score, and a school year four digits.
func TestCheckValues(t *testing.T) {
	for _, c := range []struct{ resource, given, want string }{
		{"academicSession", "schoolYear=2026", ""},
		{"academicSession", "schoolYear=0099", ""},
		{"academicSession", "schoolYear=999", "schoolYear"},
		{"academicSession", "schoolYear=20266", "schoolYear"},
		{"academicSession", "schoolYear=25/26", "schoolYear"},
		{"academicSession", "schoolYear=202:", "schoolYear"},
		{"academicSession", "schoolYear=x026", "schoolYear"},
		{"course", "schoolYear=ay-2026", ""}, // a reference there
		{"result", "score=,scoreStatus=fully graded", "scoreStatus"},
		{"result", "score=,scoreStatus=partially graded", "scoreStatus"},
		{"result", "score=,scoreStatus=exempt", ""},
		{"result", "score=,scoreStatus=submitted", ""},
		{"result", "score=,scoreStatus=not submitted", ""},
		{"result", "score=0,scoreStatus=fully graded", ""},
		{"result", "score=,scoreStatus=", "scoreStatus"},
	} {
		got := ""
		for _, p := range oneroster.Check(filled(c.resource, strings.Split(c.given, ",")...)) {
			got += p.Field
		}
		if got != c.want {
			t.Errorf("%s with %s: trouble with %q, want %q", c.resource, c.given, got, c.want)
		}
	}
}

// What readers refuse to live without is filled in where a source gives none, and
// nothing else changes.
func TestComplete(t *testing.T) {
	fills := map[string]string{"org.identifier": "x1", "user.identifier": "x1", "course.courseCode": "x1",
		"result.score": "0"}
	for _, r := range oneroster.Resources() {
		rec := oneroster.NewRecord(r)
		rec.Values[oneroster.SourcedID] = "x1"
		oneroster.Complete(rec)
		for i, f := range r.Fields {
			if want := fills[r.Name+"."+f.Name]; i != oneroster.SourcedID && rec.Values[i] != want {
				t.Errorf("%s.%s became %q, want %q", r.Name, f.Name, rec.Values[i], want)
			}
		}
		whole := filled(r.Name)
		before := slices.Clone(whole.Values)
		oneroster.Complete(whole)
		if !slices.Equal(whole.Values, before) {
			t.Errorf("%q became %q", before, whole.Values)
		}
	}
}

// Problems are told as one sentence, by field.
func TestDescribe(t *testing.T) {
	problems := []oneroster.Problem{{"title", "is blank"}, {"class", "is missing"}, {"class", "is bad"}}
	if got := oneroster.Describe(problems); got != "class: is bad; class: is missing; title: is blank" {
		t.Error(got)
	}
}

func TestSpelled(t *testing.T) {
	for value, want := range map[string]string{"": "", "a": "a", oneroster.Join("a", "b"): "a, b",
		oneroster.Join("LDAP"+oneroster.PartSep+"ann", "SIS"+oneroster.PartSep+"1"): "LDAP:ann, SIS:1"} {
		if got := oneroster.Spelled(value); got != want {
			t.Errorf("%q is spelled %q, not %q", value, got, want)
		}
	}
}
