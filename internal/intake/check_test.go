package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
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
			bulktest.Nowhere("users:2: orgSourcedIds", "org", "o9"),
			"org/o1, user/u1, user/u2 skipped", ""},
		{"one of several, to nothing", oneroster.Bulk, school + "\nuser u1" + pupil + "o9,o1",
			bulktest.Nowhere("users:1: orgSourcedIds", "org", "o9"),
			"org/o1, user/u1", ""},
		{"an id twice", oneroster.Bulk, school + "\norg o2 name=B type=school\n" + school,
			`orgs:3: sourcedId: "o1" is there twice in this file: keep one row`,
			"org/o1, org/o2, org/o1 skipped", ""},
		{"what is required", oneroster.Bulk, school + "\norg o2 type=school\nuser u1" + pupil + "o2",
			"orgs:2: name: is required and empty: fill it in\n" +
				bulktest.Hang("users:1", "1 reference", "1 in users"),
			"org/o1, org/o2 skipped, user/u1 skipped", ""},
		{"parents in a circle", oneroster.Bulk,
			school + " parent=o2\norg o2 name=B type=school parent=o1", "",
			"org/o1, org/o2", `the parents of the org "o1" lead back to it: correct parentSourcedId`},
		{"a delta without status", oneroster.Delta, school,
			"orgs:1: status: is empty in a delta file: write active or tobedeleted", "org/o1 skipped", ""},
		{"a resource of a class that is not there", oneroster.Bulk, school + "\n" + class + "r9",
			bulktest.Nowhere("classes:1", "resource", "r9"),
			"org/o1, academicSession/t1, course/k1, class/c1 keeps", ""},
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
		var taken []oneroster.Row
		err = checked.Records(t.Context(), func(row oneroster.Row) error {
			taken = append(taken, row)
			return nil
		})
		if got := bulktest.Told(taken); err != nil || got != c.taken {
			t.Errorf("%s: %v\n got %s\nwant %s", c.name, err, got, c.taken)
		}
		if after := fmt.Sprint(src.rows); after != before {
			t.Errorf("%s: the source has now %s, had %s", c.name, after, before)
		}
	}
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
	var taken []oneroster.Row
	if err == nil {
		err = checked.Records(t.Context(), func(row oneroster.Row) error {
			taken = append(taken, row)
			return nil
		})
	}
	const want = "org/o1 keeps parent, org/o2 skipped, org/o3"
	if got := fmt.Sprint(checked.Problems.List); err != nil || bulktest.Told(taken) != want ||
		got != "[schools:7: boss: is none schools:8: breaks off]" {
		t.Errorf("%v %s; taken %s, want %s", err, got, bulktest.Told(taken), want)
	}
}

// A record is of no use where another of its line is found wrong later, nor is what refers to it,
// wherever that stands.
func TestCheckOfALineThatMakesSeveral(t *testing.T) {
	rows := remembered("org o1 name=A type=school\n" +
		"academicSession t1 title=T startDate=2026-08-01 endDate=2027-07-31 type=term schoolYear=2027\n" +
		"class c2 title=C classType=scheduled course=k1 school=o1 terms=t1\n" +
		"course k1 title=K org=o1\n" +
		"class c1 title=C classType=scheduled course=k1 school=o9 terms=t1")
	for i := range rows {
		rows[i].File, rows[i].Line = "sections", min(i, 3)
	}
	checked, err := intake.Check(t.Context(), memory{oneroster.Bulk, rows}, intake.Stored{},
		intake.CheckOptions{SkipBad: true})
	var taken []oneroster.Row
	if err == nil {
		err = checked.Records(t.Context(), func(row oneroster.Row) error {
			taken = append(taken, row)
			return nil
		})
	}
	const want = "org/o1, academicSession/t1, class/c2 skipped, course/k1 skipped, class/c1 skipped"
	if got := bulktest.Told(taken); err != nil || got != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
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

// Of each file the first problems are listed, and all are counted.
func TestCheckBoundsAndCountsProblems(t *testing.T) {
	many := func(n int) string {
		text := orgs
		for i := range n {
			text += fmt.Sprintf("x%d,,,,school\n", i)
		}
		return text
	}
	for _, c := range []struct{ keep, orgs, listed, total int }{
		{2, 5, 4, 8}, {5, 5, 8, 8}, {4, 5, 7, 8}, {0, 5, 8, 8}, {0, 1000, 1003, 1003}, {0, 1001, 1003, 1004},
	} {
		p, err := bulk.Open(bulktest.Folder(t, "orgs.csv", many(c.orgs), "users.csv",
			users+strings.Repeat(",true,o1,student,a,A,B\n", 3)),
			bulk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		got, err := intake.Check(context.Background(), p, intake.Stored{},
			intake.CheckOptions{Problems: c.keep})
		x := got.Problems
		if err != nil || len(x.List) != c.listed || x.Total != c.total {
			t.Errorf("%+v: %d listed of %d, %v", c, len(x.List), x.Total, err)
		}
		user, org := oneroster.ByName("user"), oneroster.ByName("org")
		if got.Rows[org] != c.orgs+1 || got.Skipped[org] != c.orgs ||
			got.Rows[user] != 3 || got.Skipped[user] != 3 {
			t.Errorf("%+v: %v rows, %v skipped", c, got.Rows, got.Skipped)
		}
	}
}

// A problem says whether the row can be used without the value.
func TestCheckSaysWhatProblemsCost(t *testing.T) {
	const head = "sourcedId,enabledUser,role,username,givenName,familyName,orgSourcedIds,agentSourcedIds\n"
	const pupil, other = "u1,true,student,a,A,B,", "u2,true,student,b,A,B,o2,\n"
	const links = "classSourcedId,resourceSourcedId\n"
	for _, c := range []struct {
		name  string
		files []string
		mild  string // of each problem
	}{
		{"a row", []string{"orgs.csv", orgs + "o2,,,,school\n"}, "false"},
		{"an id twice", []string{"orgs.csv", orgs + "o1,,,Again,school\n"}, "false"},
		{"a delta without status", []string{"manifest.csv", "propertyName,value\nfile.orgs,delta\n",
			"orgs.csv", orgs}, "false"},
		{"a value", []string{"orgs.csv", orgs, "users.csv", head + pupil + "o1,u9\n"}, "true"},
		{"what hangs, and can be done without", []string{"orgs.csv", orgs + "o2,,,,school\n",
			"users.csv", head + pupil + "\"o1,o2\",\n"}, "false true"},
		{"what hangs", []string{"orgs.csv", orgs + "o2,,,,school\n", "users.csv", head + pupil +
			"\"o1,o2\",\n" + other}, "false false"},
		{"a link to nothing", bulktest.BulkLinks("classResources.csv", links+"c1,r9\n"), "false"},
		{"a link that hangs", bulktest.BulkLinks("classResources.csv", links+"c1,r1\n", "resources.csv",
			"sourcedId,vendorResourceId\nr1,\n"), "false true"},
		{"no rows, and one is stored", []string{"orgs.csv", orgs, "users.csv", users}, "false"},
		{"no roles, and what follows from that", []string{"orgs.csv", "sourcedId,name,type\no1,A,school\n",
			"users.csv", "sourcedId,username,givenName,familyName\nu1,a,A,A\n",
			"roles.csv", "userSourcedId,orgSourcedId,role\n"}, "false false"},
	} {
		p, err := bulk.Open(bulktest.Folder(t, c.files...), bulk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		checked, err := intake.Check(context.Background(), p, stored{"user": "u7"}.Stored(),
			intake.CheckOptions{})
		var got []string
		for _, x := range checked.Problems.List {
			got = append(got, fmt.Sprint(x.Mild))
		}
		if err != nil || strings.Join(got, " ") != c.mild {
			t.Errorf("%s: %v %+v", c.name, err, checked.Problems.List)
		}
	}
}

// Of what is stored the ids of a resource are read once, and a file without rows that is passed
// over is not carried.
func TestCheckReadsWhatIsStoredOnce(t *testing.T) {
	p, err := bulk.Open(bulktest.Folder(t, "users.csv", users+"u1,true,o1,student,a,A,B\n"+
		"u2,true,o2,student,b,A,B\n", "courses.csv", "sourcedId,title,orgSourcedId\n"), bulk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	asked, all := "", stored{"org": "o1 o2"}.Stored()
	ids := all.IDs
	all.IDs = func(r *oneroster.Resource, yield func(string) error) error {
		asked += r.Name + " "
		return ids(r, yield)
	}
	checked, err := intake.Check(context.Background(), p, all, intake.CheckOptions{})
	if err != nil || asked != "org " || checked.Problems.Total > 0 {
		t.Errorf("%v; asked for the ids of %s; %v", err, asked, checked.Problems.List)
	}
	modes := checked.Modes()
	if _, carried := modes[oneroster.ByName("course")]; carried || len(modes) != 1 {
		t.Errorf("carried: %v", modes)
	}
}

// Progress is told each thousand rows, of both readings, and a caller who is gone ends them.
func TestCheckIsFollowedAndEnded(t *testing.T) {
	text := "sourcedId,name,type\n"
	for i := range 1250 {
		text += fmt.Sprintf("o%d,A,school\n", i)
	}
	p, err := bulk.Open(bulktest.Folder(t, "orgs.csv", text), bulk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	var told []int
	opt := intake.CheckOptions{Progress: func(rows int) { told = append(told, rows) }}
	checked, err := intake.Check(context.Background(), p, intake.Stored{}, opt)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(told) != "[1000 2000]" {
		t.Errorf("told of %v", told)
	}
	ctx, cancel := context.WithCancel(context.Background())
	rows := 0
	err = checked.Records(ctx, func(oneroster.Row) error {
		if rows++; rows == 3 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || rows != 3 {
		t.Errorf("after %d rows: %v", rows, err)
	}
	full := errors.New("the disk is full")
	err = checked.Records(context.Background(), func(oneroster.Row) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("an error of who takes the rows: %v", err)
	}
}

// What the database cannot tell is not taken for an answer.
func TestCheckOfADatabaseThatFails(t *testing.T) {
	broken := errors.New("the database is gone")
	links := bulktest.BulkLinks("classResources.csv", "classSourcedId,resourceSourcedId\nc1,r1\nc1,r9\n")
	for _, c := range []struct {
		name  string
		files []string
	}{
		{"ids", []string{"users.csv", users + "u1,true,o1,student,a,A,B\n"}},
		{"ids of demographics", []string{"demographics.csv", "sourcedId\nu1\n"}},
		{"ids of links", append(links, "resources.csv", "sourcedId,vendorResourceId\nr9,\n")},
		{"who has left", []string{"results.csv", bulktest.Results + "r1,l1,u1,fully graded,1,2026-09-01\n"}},
		{"counts", []string{"orgs.csv", "sourcedId,name,type\n"}},
		{"counts of what does not count", []string{"orgs.csv", "sourcedId,name,type\no1,A,school\n",
			"users.csv", "sourcedId,username,givenName,familyName\nu1,a,A,A\n",
			"roles.csv", "userSourcedId,orgSourcedId,role\nu1,o1,student\n",
			"classes.csv", "sourcedId,orgSourcedId,title\nc1,o1,C\n"}},
		{"counts of School Data Sync", []string{"School.csv", sdsSchool, "Section.csv",
			sdsSection + "c1,s1,Maths,k1,Maths\n", "StudentEnrollment.csv", "Section SIS ID,SIS ID\n"}},
	} {
		stored := stored{"lineItem": "l1"}.Stored()
		switch c.name {
		case "who has left":
			stored.Known = func(*oneroster.Resource, string) (bool, error) { return false, broken }
		default:
			stored.IDs = func(*oneroster.Resource, func(string) error) error { return broken }
		}
		stored.Count = func(r *oneroster.Resource, filter string) (int, error) {
			if c.name == "counts of what does not count" && filter != "sourcedId~'school-year-'" {
				return 1, nil
			}
			return 0, broken
		}
		if problems, _, _ := bulktest.ReadInto(t, bulktest.Folder(t, c.files...), bulk.Options{}, true,
			stored); len(problems) != 1 ||
			problems[0] != broken.Error() {
			t.Errorf("%s: %q", c.name, problems)
		}
	}
}
