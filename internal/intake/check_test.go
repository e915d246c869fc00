package intake_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// A memory is a source without files.
type memory struct {
	mode oneroster.Mode
	rows []oneroster.Row
}

func (m memory) Modes() map[*oneroster.Resource]oneroster.Mode {
	out := map[*oneroster.Resource]oneroster.Mode{}
	for _, row := range m.rows {
		out[row.Resource] = m.mode
	}
	return out
}

func (m memory) Records(_ context.Context, yield func(oneroster.Row) error) error {
	for _, row := range m.rows {
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}

// remembered makes rows of lines such as "org o1 name=A type=school".
func remembered(text string) (rows []oneroster.Row) {
	for _, told := range strings.Split(text, "\n") {
		words := strings.Fields(told)
		rec := oneroster.NewRecord(oneroster.ByName(words[0]))
		rec.Set("sourcedId", words[1])
		for _, word := range words[2:] {
			field, value, _ := strings.Cut(word, "=")
			rec.Set(field, oneroster.Join(strings.Split(value, ",")...))
		}
		rows = append(rows, oneroster.Row{Record: rec})
	}
	return rows
}

// A source without files is checked as a package is. Where its rows stand is told by
// resource and number, and its own records stay as they are.
func TestCheckOfASourceWithoutFiles(t *testing.T) {
	const school = "org o1 name=A type=school"
	const pupil = " enabledUser=true username=a givenName=A familyName=B role=student orgs="
	const class = "academicSession t1 title=T startDate=2026-08-01 endDate=2027-07-31 type=term " +
		"schoolYear=2027\n" +
		"course k1 title=K org=o1\n" +
		"class c1 title=C classType=scheduled course=k1 school=o1 terms=t1 resources="
	for _, c := range []struct {
		name  string
		mode  oneroster.Mode
		rows  string
		want  string // problems
		taken string // with SkipBad
		note  string
	}{
		{"nothing wrong", oneroster.Bulk, school + "\nuser u1" + pupil + "o1", "", "org/o1, user/u1", ""},
		{"a reference to nothing", oneroster.Bulk,
			school + "\nuser u1" + pupil + "o1\nuser u2" + pupil + "o9",
			nowhere("users:2: orgSourcedIds", "org", "o9"),
			"org/o1, user/u1, user/u2 skipped", ""},
		{"one of several, to nothing", oneroster.Bulk, school + "\nuser u1" + pupil + "o9,o1",
			nowhere("users:1: orgSourcedIds", "org", "o9"),
			"org/o1, user/u1", ""},
		{"an id twice", oneroster.Bulk, school + "\norg o2 name=B type=school\n" + school,
			`orgs:3: sourcedId: "o1" is there twice in this file: keep one row`,
			"org/o1, org/o2, org/o1 skipped", ""},
		{"what is required", oneroster.Bulk, school + "\norg o2 type=school\nuser u1" + pupil + "o2",
			"orgs:2: name: is required and empty: fill it in\n" +
				hang("users:1", "1 reference", "1 in users"),
			"org/o1, org/o2 skipped, user/u1 skipped", ""},
		{"parents in a circle", oneroster.Bulk,
			school + " parent=o2\norg o2 name=B type=school parent=o1", "",
			"org/o1, org/o2", `the parents of the org "o1" lead back to it: correct parentSourcedId`},
		{"a delta without status", oneroster.Delta, school,
			"orgs:1: status: is empty in a delta file: write active or tobedeleted", "org/o1 skipped", ""},
		{"a resource of a class that is not there", oneroster.Bulk, school + "\n" + class + "r9",
			nowhere("classes:1", "resource", "r9"),
			"org/o1, academicSession/t1, course/k1, class/c1 keeps resources", ""},
	} {
		src := memory{c.mode, remembered(c.rows)}
		before := fmt.Sprint(src.rows)
		checked, err := intake.Check(t.Context(), src, intake.Stored{}, intake.CheckOptions{SkipBad: true})
		if err != nil {
			t.Fatal(err)
		}
		var problems []string
		for _, x := range checked.Problems.List {
			problems = append(problems, x.String())
		}
		if got := strings.Join(problems, "\n"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if got := strings.Join(checked.Notes, "\n"); got != c.note {
			t.Errorf("%s: notes %q, want %q", c.name, got, c.note)
		}
		var taken []string
		err = checked.Records(t.Context(), func(row oneroster.Row) error {
			taken = append(taken, told(row))
			return nil
		})
		if got := strings.Join(taken, ", "); err != nil || got != c.taken {
			t.Errorf("%s: %v\n got %s\nwant %s", c.name, err, got, c.taken)
		}
		if after := fmt.Sprint(src.rows); after != before {
			t.Errorf("%s: the source has now %s, had %s", c.name, after, before)
		}
	}
}

// told is what becomes of a row: "user/u1 skipped", "org/o1 keeps parent".
func told(row oneroster.Row) string {
	out := row.Resource.Name + "/" + row.ID()
	if row.Skip {
		return out + " skipped"
	}
	for _, i := range row.Keep {
		out += " keeps " + row.Resource.Fields[i].Name
	}
	return out
}

// nowhere is what is told of a reference that leads nowhere.
func nowhere(at, what, id string) string {
	return fmt.Sprintf("%s: there is no %s with the sourcedId %q: add it to %ss, or correct this id", at,
		what, id, what)
}

// hang is the line that tells of references to rows that cannot be used.
func hang(at, n, where string) string {
	return fmt.Sprintf("%s: %s to rows that cannot be used (%s), this one and others: "+
		"they follow from the problems above", at, n, where)
}

// What a source could not read of a row is a problem where the row stands; the row can
// be used where only a value is lost.
func TestCheckOfWhatCouldNotBeRead(t *testing.T) {
	rows := remembered("org o1 name=A type=school\norg o2 name=B type=school\norg o3 name=C type=school")
	parent := rows[0].Resource.Index("parent")
	for i, w := range []oneroster.Wrong{
		{Column: "boss", Field: parent, Value: "?", Text: "is none", Mild: true}, {Text: "breaks off"}} {
		rows[i].File, rows[i].Line, rows[i].Wrong = "schools", 7+i, []oneroster.Wrong{w}
	}
	src := memory{oneroster.Bulk, rows}
	checked, err := intake.Check(t.Context(), src, intake.Stored{}, intake.CheckOptions{SkipBad: true})
	var taken []string
	if err == nil {
		err = checked.Records(t.Context(), func(row oneroster.Row) error {
			taken = append(taken, told(row))
			return nil
		})
	}
	want := []string{"org/o1 keeps parent", "org/o2 skipped", "org/o3"}
	if got := fmt.Sprint(checked.Problems.List); err != nil || !slices.Equal(taken, want) ||
		got != "[schools:7: boss: is none schools:8: breaks off]" {
		t.Errorf("%v %s; taken %q, want %q", err, got, taken, want)
	}
}

// A spreadsheet that opens the list of problems computes nothing.
func TestProblemsAsCSV(t *testing.T) {
	problems := intake.Problems{List: []intake.Problem{
		{File: "=a.csv", Row: 2, Column: "+b", Value: "-1", Text: "@SUM"},
		{File: "a.csv", Row: 13, Column: "", Value: "=1+1", Text: "a \"quote\""},
		{File: "a.csv", Row: 14, Value: "\t=1", Text: "\r=1"},
	}}
	const want = "file,row,column,value,problem\n'=a.csv,2,'+b,'-1,'@SUM\n" +
		"a.csv,13,,'=1+1,\"a \"\"quote\"\"\"\n" +
		"a.csv,14,,'\t=1,\"'\r=1\"\n"
	var out bytes.Buffer
	if err := problems.WriteCSV(&out); err != nil || out.String() != want {
		t.Errorf("%v %q, want %q", err, out.String(), want)
	}
}
