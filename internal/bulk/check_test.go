package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// A district has ids by resource ("user"), those that have left ("left user") and
// those that a filter selects ("user role='student'").
type district map[string]string

func (d district) stored() intake.Stored {
	return intake.Stored{
		IDs: func(r *oneroster.Resource, yield func(string) error) error {
			for _, id := range strings.Fields(d[r.Name]) {
				if err := yield(id); err != nil {
					return err
				}
			}
			return nil
		},
		Known: func(r *oneroster.Resource, id string) (bool, error) {
			all := " " + d[r.Name] + " " + d["left "+r.Name] + " "
			return strings.Contains(all, " "+id+" "), nil
		},
		Count: func(r *oneroster.Resource, filter string) (int, error) {
			return len(strings.Fields(d[strings.TrimSpace(r.Name+" "+filter)])), nil
		},
	}
}

// told is what becomes of a row, but for links: "user/u1 skipped", "org/o1 keeps parent".
func told(row oneroster.Row) string {
	out := row.Resource.Name + "/" + row.ID()
	switch {
	case row.Skip:
		return out + " skipped"
	case row.Values[oneroster.Status] == oneroster.ToBeDeleted:
		out += " goes"
	}
	for _, i := range row.Keep {
		if name := row.Resource.Fields[i].Name; name != "resources" {
			out += " keeps " + name
		}
	}
	return out
}

// hang is the line that tells of references to rows that cannot be used.
func hang(at, n, where string) string {
	return fmt.Sprintf("%s: %s to rows that cannot be used (%s), this one and others: "+
		"they follow from the problems above", at, n, where)
}

// nowhere is what is told of a reference that leads nowhere.
func nowhere(at, what, id string) string {
	file := oneroster.ByName(what).Plural + ".csv"
	return fmt.Sprintf("%s: there is no %s with the sourcedId %q: add it to %s, or correct this id", at,
		what, id, file)
}

const (
	manifestOf = "propertyName,value\nfile.orgs,%s\nfile.users,%s\n"
	nameless   = "name: is required and empty: fill it in"
	retire     = ":1: there is not one row in this file, which would retire %s: leave the file out, or " +
		"export it again"
	terms   = "sourcedId,title,type,startDate,endDate,schoolYear\nt1,T,term,2026-08-01,2027-07-31,2027\n"
	courses = "sourcedId,title,orgSourcedId\nk1,K,o1\n"
	classes = "sourcedId,title,courseSourcedId,classType,schoolSourcedId,termSourcedIds\n" +
		"c1,C,k1,scheduled,o1,t1\n"
	enrolled = "sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role,beginDate,endDate\n"
	results  = "sourcedId,lineItemSourcedId,studentSourcedId,scoreStatus,score,scoreDate\n"
)

// Rows refer to what comes with them or is stored; what cannot be used is left as
// it is stored, and what only hangs on it is one line.
func TestRowsAgainstWhatIsStored(t *testing.T) {
	pupil := func(id, orgs string) string { return id + ",true,\"" + orgs + "\",student," + id + ",A,B\n" }
	delta := fmt.Sprintf(manifestOf, "delta", "delta")
	const statusUsers = "sourcedId,status,enabledUser,orgSourcedIds,role,username,givenName,familyName," +
		"agentSourcedIds\n"
	for _, c := range []struct {
		name   string
		stored district
		files  []string
		want   []string // problems
		rows   string   // those that are yielded, with --skip-bad
		note   string   // one that is there; "-" for none at all
	}{
		{"an org that is stored", district{"org": "o1"}, []string{"users.csv", users + pupil("u1", "o1")},
			nil, "user/u1", ""},
		{"an org that is stored, beside a bulk file", district{"org": "o1 o9"},
			[]string{"orgs.csv", orgs, "users.csv", users + pupil("u1", "o9")},
			[]string{nowhere("users.csv:2: orgSourcedIds", "org", "o9")},
			"org/o1, user/u1 skipped", ""},
		{"a header that ends in commas", nil, []string{"orgs.csv", "sourcedId,name,type,,\no1,A,school\n"},
			nil, "org/o1", "-"},
		{"a file whose name is in capitals", nil, []string{"ORGS.CSV", orgs, "users.csv",
			users + pupil("u1", "o9")},
			[]string{strings.Replace(nowhere("users.csv:2: orgSourcedIds", "org", "o9"), "orgs.csv",
				"ORGS.CSV", 1)},
			"org/o1, user/u1 skipped", ""},
		{"an org that is stored, beside a delta file", district{"org": "o9"}, []string{"manifest.csv", delta,
			"orgs.csv", "sourcedId,status,name,type\no1,active,A,school\n",
			"users.csv", statusUsers + "u1,active,true,o9,student,a,A,B,\n"}, nil, "org/o1, user/u1", ""},
		{"an org that has left", district{"left org": "o9"}, []string{"users.csv", users + pupil("u1", "o9")},
			[]string{nowhere("users.csv:2: orgSourcedIds", "org", "o9")},
			"user/u1 skipped", ""},
		{"an org that a delta deletes", district{"org": "o1"}, []string{"manifest.csv", delta,
			"orgs.csv", "sourcedId,status,name,type\no1,tobedeleted,,\n",
			"users.csv", statusUsers + "u1,active,true,o1,student,a,A,B,\nu2,tobedeleted,,,,,,,\n"},
			[]string{`users.csv:2: orgSourcedIds: the org "o1" is tobedeleted in this package: delete what ` +
				`refers to it too`},
			"org/o1 goes, user/u1 skipped, user/u2 goes", ""},
		{"a bulk file that deletes", district{"org": "o1 o2"}, []string{
			"orgs.csv", "sourcedId,status,name,type\no1,,A,school\no2,tobedeleted,,\n",
			"users.csv", users + pupil("u1", "o2") + pupil("u2", "o1")},
			[]string{`users.csv:2: orgSourcedIds: the org "o2" is tobedeleted in this package: delete what ` +
				`refers to it too`},
			"org/o1, org/o2 goes, user/u1 skipped, user/u2", ""},
		{"a row that deletes and has no id", nil, []string{"manifest.csv",
			"propertyName,value\nfile.orgs,delta\n",
			"orgs.csv", "sourcedId,status,name,type\n,tobedeleted,A,school\n"},
			[]string{`orgs.csv:2: sourcedId: is required and empty: fill it in`}, "org/ skipped", ""},
		{"an org whose row is wrong and that is stored", district{"org": "o1"},
			[]string{"orgs.csv", "sourcedId,name,type\no1,,school\n", "users.csv", users + pupil("u1", "o1")},
			[]string{"orgs.csv:2: " + nameless}, "org/o1 skipped, user/u1", ""},
		{"what hangs on rows that are wrong", nil,
			[]string{"orgs.csv", "sourcedId,name,type\no1,,school\n", "users.csv",
				users + pupil("u1", "o1") + pupil("u2", "o1"),
				"demographics.csv", "sourcedId\nu1\n"},
			[]string{"orgs.csv:2: " + nameless,
				hang("demographics.csv:2", "3 references", "1 in demographics.csv, 2 in users.csv")},
			"org/o1 skipped, user/u1 skipped, user/u2 skipped, demographics/u1 skipped", ""},
		{"one row that hangs", nil,
			[]string{"orgs.csv", orgs + "o2,,,,school\n", "users.csv",
				users + pupil("u1", "o1,o2") + pupil("u2", "o2")},
			[]string{"orgs.csv:3: " + nameless,
				hang("users.csv:2", "2 references", "2 in users.csv")},
			"org/o1, org/o2 skipped, user/u1, user/u2 skipped", ""},
		{"a parent that hangs, and a file that says nothing", nil,
			[]string{"orgs.csv", "sourcedId,name,type,parentSourcedId\no1,A,school,o2\no2,,school,\n"},
			[]string{"orgs.csv:3: " + nameless,
				hang("orgs.csv:2", "1 reference", "1 in orgs.csv")},
			"org/o1 keeps parent, org/o2 skipped", ""},
		{"orgs that are there and are not", nil, []string{"orgs.csv", orgs, "users.csv",
			users + pupil("u1", "o9,o1,o8,o9")},
			[]string{nowhere("users.csv:2: orgSourcedIds", "org", "o9"),
				nowhere("users.csv:2: orgSourcedIds", "org", "o8")},
			"org/o1, user/u1", ""},
		{"a parent of its own that is not there", nil,
			[]string{"orgs.csv", "sourcedId,name,type,parentSourcedId\no1,A,school,o9\n"},
			[]string{nowhere("orgs.csv:2: parentSourcedId", "org", "o9")},
			"org/o1 keeps parent", ""},
		{"demographics of nobody", nil, []string{"orgs.csv", orgs, "users.csv", users + pupil("u1", "o1"),
			"demographics.csv", "sourcedId\nu1\nu9\n"},
			[]string{nowhere("demographics.csv:3: sourcedId", "user", "u9")},
			"org/o1, user/u1, demographics/u1, demographics/u9 skipped", ""},
		{"an id twice", nil, []string{"orgs.csv", orgs + "o1,,,Again,school\n", "users.csv",
			users + pupil("u1", "o1")},
			[]string{`orgs.csv:3: sourcedId: "o1" is there twice in this file: keep one row`},
			"org/o1, org/o1 skipped, user/u1", ""},
		{"an id twice, in case and accents two", nil, []string{"orgs.csv",
			orgs + "O1,,,Again,school\nó1,,,Again,school\n"}, nil,
			"org/o1, org/O1, org/ó1", ""},
		{"a role that is none, of a pupil who is stored", district{"user": "u1"},
			[]string{"orgs.csv", orgs, "users.csv", users + "u1,true,o1,pupil,a,A,B\n", "demographics.csv",
				"sourcedId\nu1\n"},
			[]string{`users.csv:2: role: "pupil" is not one of administrator, aide, guardian, parent, ` +
				`proctor, relative, student, teacher`},
			"org/o1, user/u1 skipped, demographics/u1", ""},
		{"a value that can be done without", nil, []string{"orgs.csv", orgs, "users.csv",
			strings.TrimSpace(users) +
				",agentSourcedIds\n" + "u1,true,o1,student,a,A,B,u\x01\n"},
			[]string{`users.csv:2: agentSourcedIds: "u\x01" holds control characters or is not UTF-8`},
			"org/o1, user/u1 keeps agents", ""},
		{"a bulk row whose id cannot be read", nil, []string{"orgs.csv", orgs + ",,,Nameless,school\n"},
			[]string{`orgs.csv:3: sourcedId: is required and empty: fill it in`}, "", ""},
		{"a quote in an id", nil, []string{"orgs.csv", orgs + "\"o2,,,B,school\no3,,,C,school\n"},
			[]string{"orgs.csv:3: a quote opens on this line and is not closed before the end of the file: " +
				"close it"},
			"org/o1, org/o2 skipped, org/o3", ""},
		{"a delta row whose id cannot be read", nil, []string{"manifest.csv",
			"propertyName,value\nfile.orgs,delta\n",
			"orgs.csv", "sourcedId,status,name,type\no1,active,A,school\n\x01,active,B,school\n"},
			[]string{`orgs.csv:3: sourcedId: "\x01" holds control characters or is not UTF-8`},
			"org/o1, org/ skipped", ""},
		{"delta rows without status", district{"org": "o1"}, []string{"manifest.csv",
			"propertyName,value\nfile.orgs,delta\n",
			"orgs.csv", "sourcedId,status,name,type\no1,,A,school\no2,active,B,school\n"},
			[]string{`orgs.csv:2: status: is empty in a delta file: write active or tobedeleted`},
			"org/o1 skipped, org/o2", ""},
		{"a file without rows, nothing stored", nil, []string{"orgs.csv", orgs, "users.csv", users}, nil,
			"org/o1",
			"users.csv has no rows and was passed over"},
		{"a file without rows, one is stored", district{"user": "u1"}, []string{"orgs.csv", orgs,
			"users.csv", users,
			"demographics.csv", "sourcedId\nu1\n"},
			[]string{"users.csv" + fmt.Sprintf(retire, "1 active user"),
				hang("demographics.csv:2", "1 reference", "1 in demographics.csv")}, "", ""},
		{"a file without rows, three are stored", district{"user": "u1 u2 u3"}, []string{"orgs.csv", orgs,
			"users.csv", users},
			[]string{"users.csv" + fmt.Sprintf(retire, "3 active users")},
			"", ""},
		{"a delta file without rows", district{"user": "u1"}, []string{"manifest.csv", delta,
			"orgs.csv", "sourcedId,status,name,type\no1,active,A,school\n", "users.csv", statusUsers}, nil,
			"org/o1", ""},
		{"a file that is said to be absent", nil, []string{"manifest.csv", fmt.Sprintf(manifestOf, "bulk",
			"absent"), "orgs.csv", orgs,
			"users.csv", users}, nil, "org/o1", "users.csv has no rows, and manifest.csv says that it is " +
			"absent: it was passed over"},
		{"a file that is said to be absent and has rows", nil, []string{"manifest.csv",
			fmt.Sprintf(manifestOf, "bulk", "absent"),
			"orgs.csv", orgs, "users.csv", users + pupil("u1", "o1")},
			[]string{"users.csv:1: manifest.csv says that this file is absent, and it has 1 row: correct " +
				"the manifest"}, "", ""},
		{"a result of a pupil who has left", district{"lineItem": "l1", "left user": "u1"},
			[]string{"results.csv", results + "r1,l1,u1,fully graded,1,2026-09-01\n" +
				"r2,l1,u1,fully graded,1,2026-09-01\n"}, nil,
			"result/r1, result/r2", "results.csv: the class or pupil of gradebook objects has left: they " +
				"are left out (2, the " +
				"first in results.csv:2)"},
		{"a result of a pupil who never was", district{"lineItem": "l1"}, []string{"results.csv",
			results + "r1,l1,u1,fully graded,1,2026-09-01\n"},
			[]string{nowhere("results.csv:2: studentSourcedId", "user", "u1")},
			"result/r1 skipped", ""},
		{"a result of a line item that has left", district{"left lineItem": "l1", "user": "u1"},
			[]string{"results.csv", results + "r1,l1,u1,fully graded,1,2026-09-01\n"},
			[]string{nowhere("results.csv:2: lineItemSourcedId", "lineItem", "l1")},
			"result/r1 skipped", ""},
		{"demographics of a pupil who has left", district{"left user": "u1"}, []string{"demographics.csv",
			"sourcedId\nu1\n"},
			[]string{nowhere("demographics.csv:2: sourcedId", "user", "u1")},
			"demographics/u1 skipped", ""},
		{"parents in a circle", nil, []string{"orgs.csv",
			"sourcedId,name,type,parentSourcedId\no0,A,school,o1\no1,A,school,o2\no2,B,school,o1\n"}, nil,
			"org/o0, org/o1, org/o2", `the parents of the org "o1" lead back to it: correct parentSourcedId`},
		{"parents in a line", nil, []string{"orgs.csv",
			"sourcedId,name,type,parentSourcedId\no1,A,school,o2\no2,B,school,o3\no3,C,school,\n"}, nil,
			"org/o1, org/o2, org/o3", "-"},
		{"a session that ends before it starts", nil, []string{"academicSessions.csv",
			terms + "t2,T,term,2026-08-01,2026-08-01,2027\nt3,T,term,2026-08-02,2026-08-01,2027\n" +
				"t4,T,term,2026-08-01,2026-08-02,2027\n"}, nil,
			"academicSession/t1, academicSession/t2, academicSession/t3, academicSession/t4",
			"academicSessions.csv: sessions end before they start (2, the first in academicSessions.csv:3)"},
		{"an enrollment at another school", district{"user": "u1"}, []string{"orgs.csv",
			orgs + "o2,,,B,school\n", "academicSessions.csv", terms,
			"courses.csv", courses, "classes.csv", classes, "enrollments.csv",
			enrolled + "e1,c1,o2,u1,student,,\ne2,c1,o1,u1,student,,\n"}, nil,
			"org/o1, org/o2, academicSession/t1, course/k1, class/c1, enrollment/e1, enrollment/e2",
			"enrollments.csv: the school of enrollments is not that of their class (1, the first in " +
				"enrollments.csv:2)"},
		{"an enrollment that ends before it begins", district{"user": "u1", "class": "c1", "org": "o1"},
			[]string{"enrollments.csv", enrolled +
				"e1,c1,o1,u1,student,2026-09-01,2026-09-01\ne2,c1,o1,u1,student,2026-09-02,2026-09-01\n" +
				"e3,c1,o1,u1,student,,2026-09-01\n"}, nil,
			"enrollment/e1, enrollment/e2, enrollment/e3",
			"enrollments.csv: enrollments end before they begin (1, the first in enrollments.csv:3)"},
	} {
		path := folder(t, c.files...)
		if problems, rows, _ := readInto(t, path, bulk.Options{}, false,
			c.stored.stored()); len(problems) > 0 && len(rows) > 0 {
			t.Errorf("%s: %d rows are yielded beside problems", c.name, len(rows))
		}
		problems, rows, p := readInto(t, path, bulk.Options{}, true, c.stored.stored())
		if strings.Join(problems, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", c.name, problems, c.want)
		}
		var got []string
		for _, row := range rows {
			got = append(got, told(row))
		}
		if strings.Join(got, ", ") != c.rows {
			t.Errorf("%s: rows\n got %s\nwant %s", c.name, strings.Join(got, ", "), c.rows)
		}
		if notes := strings.Join(notesOf(p), "\n"); c.note == "-" && notes != "" || c.note != "-" &&
			!strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q, want %q", c.name, notes, c.note)
		}
	}
}

// A problem says whether the row can be used without the value.
func TestProblemsSayWhatTheyCost(t *testing.T) {
	for _, c := range []struct {
		name, orgs, users string
		mild              string // of each problem
	}{
		{"a row", "o2,,,,school\n", "", "false"},
		{"a value", "", ",o1,u9\n", "true"},
		{"what hangs, and can be done without", "o2,,,,school\n", "\"o1,o2\",\n", "false true"},
		{"what hangs", "o2,,,,school\n", "\"o1,o2\",\nu2,true,student,b,A,B,o2,\n", "false false"},
	} {
		text := "sourcedId,enabledUser,role,username,givenName,familyName,orgSourcedIds,agentSourcedIds\n"
		if c.users != "" {
			text += "u1,true,student,a,A,B," + strings.TrimPrefix(c.users, ",")
		}
		p, err := bulk.Open(folder(t, "orgs.csv", orgs+c.orgs, "users.csv", text), bulk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		checked, err := intake.Check(context.Background(), p, intake.Stored{}, intake.CheckOptions{})
		var got []string
		for _, x := range checked.Problems.List {
			got = append(got, fmt.Sprint(x.Mild))
		}
		if err != nil || strings.Join(got, " ") != c.mild {
			t.Errorf("%s: %v %+v", c.name, err, checked.Problems.List)
		}
	}
}

// Progress is told each thousand rows, of both readings, and a caller who is gone ends them.
func TestCheckIsFollowedAndEnded(t *testing.T) {
	text := "sourcedId,name,type\n"
	for i := range 1250 {
		text += fmt.Sprintf("o%d,A,school\n", i)
	}
	p, err := bulk.Open(folder(t, "orgs.csv", text), bulk.Options{})
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
	links := bulkLinks("classResources.csv", "classSourcedId,resourceSourcedId\nc1,r1\nc1,r9\n")
	for _, c := range []struct {
		name  string
		files []string
	}{
		{"ids", []string{"users.csv", users + "u1,true,o1,student,a,A,B\n"}},
		{"ids of demographics", []string{"demographics.csv", "sourcedId\nu1\n"}},
		{"ids of links", append(links, "resources.csv", "sourcedId,vendorResourceId\nr9,\n")},
		{"who has left", []string{"results.csv", results + "r1,l1,u1,fully graded,1,2026-09-01\n"}},
		{"counts", []string{"orgs.csv", "sourcedId,name,type\n"}},
		{"counts of School Data Sync", v1("StudentEnrollment.csv", "Section SIS ID,SIS ID\n")},
	} {
		stored := district{"lineItem": "l1"}.stored()
		switch c.name {
		case "who has left":
			stored.Known = func(*oneroster.Resource, string) (bool, error) { return false, broken }
		default:
			stored.IDs = func(*oneroster.Resource, func(string) error) error { return broken }
		}
		stored.Count = func(*oneroster.Resource, string) (int, error) { return 0, broken }
		if problems, _, _ := readInto(t, folder(t, c.files...), bulk.Options{}, true,
			stored); len(problems) != 1 ||
			problems[0] != broken.Error() {
			t.Errorf("%s: %q", c.name, problems)
		}
	}
}
