package intake_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// stored is a district that a package is for.
type stored = bulktest.District

const (
	orgs       = bulktest.Orgs
	users      = bulktest.Users
	manifestOf = "propertyName,value\nfile.orgs,%s\nfile.users,%s\n"
	nameless   = "name: is required and empty: fill it in"
	retire     = ":1: there is not one row in this file, which would retire %s: leave the file out, or " +
		"export it again"
)

// Rows refer to what comes with them or is stored; what cannot be used is left as
// it is stored, and what only hangs on it is one line.
func TestCheckAgainstWhatIsStored(t *testing.T) {
	pupil := func(id, orgs string) string { return id + ",true,\"" + orgs + "\",student," + id + ",A,B\n" }
	delta := fmt.Sprintf(manifestOf, "delta", "delta")
	const statusUsers = "sourcedId,status,enabledUser,orgSourcedIds,role,username,givenName,familyName," +
		"agentSourcedIds\n"
	for _, c := range []struct {
		name   string
		stored stored
		files  []string
		want   []string // problems
		rows   string   // those that are yielded, with --skip-bad
		note   string   // one that is there; "-" for none at all
	}{
		{"an org that is stored", stored{"org": "o1"}, []string{"users.csv", users + pupil("u1", "o1")},
			nil, "user/u1", ""},
		{"an org that is stored, beside a bulk file", stored{"org": "o1 o9"},
			[]string{"orgs.csv", orgs, "users.csv", users + pupil("u1", "o9")},
			[]string{bulktest.Nowhere("users.csv:2: orgSourcedIds", "org", "o9")},
			"org/o1, user/u1 skipped", ""},
		{"a header that ends in commas", nil, []string{"orgs.csv", "sourcedId,name,type,,\no1,A,school\n"},
			nil, "org/o1", "-"},
		{"a file whose name is in capitals", nil, []string{"ORGS.CSV", orgs, "users.csv",
			users + pupil("u1", "o9")},
			[]string{strings.Replace(bulktest.Nowhere("users.csv:2: orgSourcedIds", "org", "o9"), "orgs.csv",
				"ORGS.CSV", 1)},
			"org/o1, user/u1 skipped", ""},
		{"an org that is stored, beside a delta file", stored{"org": "o9"}, []string{"manifest.csv", delta,
			"orgs.csv", "sourcedId,status,name,type\no1,active,A,school\n",
			"users.csv", statusUsers + "u1,active,true,o9,student,a,A,B,\n"}, nil, "org/o1, user/u1", ""},
		{"an org that has left", stored{"left org": "o9"}, []string{"users.csv", users + pupil("u1", "o9")},
			[]string{bulktest.Nowhere("users.csv:2: orgSourcedIds", "org", "o9")},
			"user/u1 skipped", ""},
		{"an org that a delta deletes", stored{"org": "o1"}, []string{"manifest.csv", delta,
			"orgs.csv", "sourcedId,status,name,type\no1,tobedeleted,,\n",
			"users.csv", statusUsers + "u1,active,true,o1,student,a,A,B,\nu2,tobedeleted,,,,,,,\n"},
			[]string{`users.csv:2: orgSourcedIds: the org "o1" is tobedeleted in this package: delete what ` +
				`refers to it too`},
			"org/o1 goes, user/u1 skipped, user/u2 goes", ""},
		{"a bulk file that deletes", stored{"org": "o1 o2"}, []string{
			"orgs.csv", "sourcedId,status,name,type\no1,,A,school\no2,tobedeleted,,\n",
			"users.csv", users + pupil("u1", "o2") + pupil("u2", "o1")},
			[]string{`users.csv:2: orgSourcedIds: the org "o2" is tobedeleted in this package: delete what ` +
				`refers to it too`},
			"org/o1, org/o2 goes, user/u1 skipped, user/u2", ""},
		{"a row that deletes and refers to nothing", nil, []string{"manifest.csv", delta,
			"orgs.csv", "sourcedId,status,name,type\n",
			"users.csv", statusUsers + "u1,tobedeleted,true,o9,student,a,A,B,\n"}, nil, "user/u1 goes", ""},
		{"a row that deletes and has no id", nil, []string{"manifest.csv",
			"propertyName,value\nfile.orgs,delta\n",
			"orgs.csv", "sourcedId,status,name,type\n,tobedeleted,A,school\n"},
			[]string{`orgs.csv:2: sourcedId: is required and empty: fill it in`}, "org/ skipped", ""},
		{"an org whose row is wrong and that is stored", stored{"org": "o1"},
			[]string{"orgs.csv", "sourcedId,name,type\no1,,school\n", "users.csv", users + pupil("u1", "o1")},
			[]string{"orgs.csv:2: " + nameless}, "org/o1 skipped, user/u1", ""},
		{"what hangs on rows that are wrong", nil,
			[]string{"orgs.csv", "sourcedId,name,type\no1,,school\n", "users.csv",
				users + pupil("u1", "o1") + pupil("u2", "o1"),
				"demographics.csv", "sourcedId\nu1\n"},
			[]string{"orgs.csv:2: " + nameless,
				bulktest.Hang("demographics.csv:2", "3 references", "1 in demographics.csv, 2 in users.csv")},
			"org/o1 skipped, user/u1 skipped, user/u2 skipped, demographics/u1 skipped", ""},
		{"what hangs on rows that hang, before and after them", nil,
			[]string{"orgs.csv", orgs, "users.csv", strings.TrimSpace(users) + ",agentSourcedIds\n" +
				"u1,true,o1,student,a,A,B,u2\nu2,true,o9,student,b,A,B,\n",
				"demographics.csv", "sourcedId\nu2\n"},
			[]string{bulktest.Nowhere("users.csv:3: orgSourcedIds", "org", "o9"),
				bulktest.Hang("demographics.csv:2", "2 references", "1 in demographics.csv, 1 in users.csv")},
			"org/o1, user/u1 keeps agents, user/u2 skipped, demographics/u2 skipped", ""},
		{"one row that hangs", nil,
			[]string{"orgs.csv", orgs + "o2,,,,school\n", "users.csv",
				users + pupil("u1", "o1,o2") + pupil("u2", "o2")},
			[]string{"orgs.csv:3: " + nameless,
				bulktest.Hang("users.csv:2", "2 references", "2 in users.csv")},
			"org/o1, org/o2 skipped, user/u1, user/u2 skipped", ""},
		{"a parent that hangs, and a file that says nothing", nil,
			[]string{"orgs.csv", "sourcedId,name,type,parentSourcedId\no1,A,school,o2\no2,,school,\n"},
			[]string{"orgs.csv:3: " + nameless,
				bulktest.Hang("orgs.csv:2", "1 reference", "1 in orgs.csv")},
			"org/o1 keeps parent, org/o2 skipped", ""},
		{"orgs that are there and are not", nil, []string{"orgs.csv", orgs, "users.csv",
			users + pupil("u1", "o9,o1,o8,o9")},
			[]string{bulktest.Nowhere("users.csv:2: orgSourcedIds", "org", "o9"),
				bulktest.Nowhere("users.csv:2: orgSourcedIds", "org", "o8")},
			"org/o1, user/u1", ""},
		{"a parent of its own that is not there", nil,
			[]string{"orgs.csv", "sourcedId,name,type,parentSourcedId\no1,A,school,o9\n"},
			[]string{bulktest.Nowhere("orgs.csv:2: parentSourcedId", "org", "o9")},
			"org/o1 keeps parent", ""},
		{"demographics of nobody", nil, []string{"orgs.csv", orgs, "users.csv", users + pupil("u1", "o1"),
			"demographics.csv", "sourcedId\nu1\nu9\n"},
			[]string{bulktest.Nowhere("demographics.csv:3: sourcedId", "user", "u9")},
			"org/o1, user/u1, demographics/u1, demographics/u9 skipped", ""},
		{"an id twice", nil, []string{"orgs.csv", orgs + "o1,,,Again,school\n", "users.csv",
			users + pupil("u1", "o1")},
			[]string{`orgs.csv:3: sourcedId: "o1" is there twice in this file: keep one row`},
			"org/o1, org/o1 skipped, user/u1", ""},
		{"an id twice, in case and accents two", nil, []string{"orgs.csv",
			orgs + "O1,,,Again,school\nó1,,,Again,school\n"}, nil,
			"org/o1, org/O1, org/ó1", ""},
		{"a role that is none, of a pupil who is stored", stored{"user": "u1"},
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
		{"delta rows without status", stored{"org": "o1"}, []string{"manifest.csv",
			"propertyName,value\nfile.orgs,delta\n",
			"orgs.csv", "sourcedId,status,name,type\no1,,A,school\no2,active,B,school\n"},
			[]string{`orgs.csv:2: status: is empty in a delta file: write active or tobedeleted`},
			"org/o1 skipped, org/o2", ""},
		{"a file without rows, nothing stored", nil, []string{"orgs.csv", orgs, "users.csv", users}, nil,
			"org/o1",
			"users.csv has no rows and was passed over"},
		{"a file without rows, one is stored", stored{"user": "u1"}, []string{"orgs.csv", orgs,
			"users.csv", users,
			"demographics.csv", "sourcedId\nu1\n"},
			[]string{"users.csv" + fmt.Sprintf(retire, "1 active user"),
				bulktest.Hang("demographics.csv:2", "1 reference", "1 in demographics.csv")}, "", ""},
		{"a file without rows, three are stored", stored{"user": "u1 u2 u3"}, []string{"orgs.csv", orgs,
			"users.csv", users},
			[]string{"users.csv" + fmt.Sprintf(retire, "3 active users")},
			"", ""},
		{"a delta file without rows", stored{"user": "u1"}, []string{"manifest.csv", delta,
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
		{"a result of a pupil who has left", stored{"lineItem": "l1", "left user": "u1"},
			[]string{"results.csv", bulktest.Results + "r1,l1,u1,fully graded,1,2026-09-01\n" +
				"r2,l1,u1,fully graded,1,2026-09-01\n"}, nil,
			"result/r1, result/r2", "results.csv: the class or pupil of gradebook objects is not there any " +
				"more: they are left out (2, the first in results.csv:2)"},
		{"a result of a pupil who never was", stored{"lineItem": "l1"}, []string{"results.csv",
			bulktest.Results + "r1,l1,u1,fully graded,1,2026-09-01\n"},
			[]string{bulktest.Nowhere("results.csv:2: studentSourcedId", "user", "u1")},
			"result/r1 skipped", ""},
		{"a result of a line item that has left", stored{"left lineItem": "l1", "user": "u1"},
			[]string{"results.csv", bulktest.Results + "r1,l1,u1,fully graded,1,2026-09-01\n"},
			[]string{bulktest.Nowhere("results.csv:2: lineItemSourcedId", "lineItem", "l1")},
			"result/r1 skipped", ""},
		{"demographics of a pupil who has left", stored{"left user": "u1"}, []string{"demographics.csv",
			"sourcedId\nu1\n"},
			[]string{bulktest.Nowhere("demographics.csv:2: sourcedId", "user", "u1")},
			"demographics/u1 skipped", ""},
		{"parents in a circle", nil, []string{"orgs.csv",
			"sourcedId,name,type,parentSourcedId\no0,A,school,o1\no1,A,school,o2\no2,B,school,o1\n"}, nil,
			"org/o0, org/o1, org/o2", `the parents of the org "o1" lead back to it: correct parentSourcedId`},
		{"parents in a line", nil, []string{"orgs.csv",
			"sourcedId,name,type,parentSourcedId\no1,A,school,o2\no2,B,school,o3\no3,C,school,\n"}, nil,
			"org/o1, org/o2, org/o3", "-"},
		{"a session that ends before it starts", nil, []string{"academicSessions.csv",
			bulktest.Terms + "t2,T,term,2026-08-01,2026-08-01,2027\nt3,T,term,2026-08-02,2026-08-01,2027\n" +
				"t4,T,term,2026-08-01,2026-08-02,2027\n"}, nil,
			"academicSession/t1, academicSession/t2, academicSession/t3, academicSession/t4",
			"academicSessions.csv: sessions end before they start (2, the first in academicSessions.csv:3)"},
		{"an enrollment at another school", stored{"user": "u1"}, []string{"orgs.csv",
			orgs + "o2,,,B,school\n", "academicSessions.csv", bulktest.Terms,
			"courses.csv", bulktest.Courses, "classes.csv", bulktest.Classes, "enrollments.csv",
			bulktest.Enrolled + "e1,c1,o2,u1,student,,\ne2,c1,o1,u1,student,,\n"}, nil,
			"org/o1, org/o2, academicSession/t1, course/k1 keeps, class/c1 keeps, enrollment/e1, " +
				"enrollment/e2",
			"enrollments.csv: the school of enrollments is not that of their class (1, the first in " +
				"enrollments.csv:2)"},
		{"an enrollment that ends before it begins", stored{"user": "u1", "class": "c1", "org": "o1"},
			[]string{"enrollments.csv", bulktest.Enrolled +
				"e1,c1,o1,u1,student,2026-09-01,2026-09-01\ne2,c1,o1,u1,student,2026-09-02,2026-09-01\n" +
				"e3,c1,o1,u1,student,,2026-09-01\ne4,c1,o1,u1,student,2026-09-01,\n"}, nil,
			"enrollment/e1, enrollment/e2, enrollment/e3, enrollment/e4",
			"enrollments.csv: enrollments end before they begin (1, the first in enrollments.csv:3)"},
	} {
		path := bulktest.Folder(t, c.files...)
		if problems, rows, _ := bulktest.ReadInto(t, path, bulk.Options{}, false,
			c.stored.Stored()); len(problems) > 0 && len(rows) > 0 {
			t.Errorf("%s: %d rows are yielded beside problems", c.name, len(rows))
		}
		problems, rows, p := bulktest.ReadInto(t, path, bulk.Options{}, true, c.stored.Stored())
		if strings.Join(problems, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", c.name, problems, c.want)
		}
		if got := bulktest.Told(rows); got != c.rows {
			t.Errorf("%s: rows\n got %s\nwant %s", c.name, got, c.rows)
		}
		if notes := strings.Join(p.Notes, "\n"); c.note == "-" && notes != "" || c.note != "-" &&
			!strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q, want %q", c.name, notes, c.note)
		}
	}
}

// With --skip-bad what is wrong is left out, and without it nothing is taken.
func TestCheckSkipsBad(t *testing.T) {
	path := bulktest.Folder(t, "orgs.csv", orgs, "users.csv",
		users+"u1,true,o1,pupil,a,A,B\nu2,true,o1,student,b,A,B\n",
		"demographics.csv", "sourcedId\nu1\nu2\n")
	if _, rows, _ := bulktest.ReadInto(t, path, bulk.Options{}, false, intake.Stored{}); len(rows) != 0 {
		t.Errorf("a package with problems yielded %d rows", len(rows))
	}
	problems, rows, _ := bulktest.ReadInto(t, path, bulk.Options{}, true, intake.Stored{})
	const want = "org/o1, user/u1 skipped, user/u2, demographics/u1 skipped, demographics/u2"
	if got := bulktest.Told(rows); len(problems) != 2 || got != want {
		t.Errorf("%q\n got %s\nwant %s", problems, got, want)
	}
}

// Where nothing can be taken, not even with --skip-bad, the reason is told.
func TestCheckSaysWhyNothingIsTaken(t *testing.T) {
	for _, c := range []struct {
		name    string
		skipBad bool
		files   []string
		want    string
	}{
		{"problems that are not skipped", false, []string{"orgs.csv", orgs + "o2,,,,school\no3,,,,school\n"},
			"2 problems"},
		{"an id that cannot be read", true, []string{"orgs.csv", orgs + ",,,B,school\n,,,C,school\n"},
			"orgs.csv:3 cannot be skipped: its sourcedId cannot be read, and whoever it stands for would " +
				"be retired"},
		{"a file without rows", true, []string{"orgs.csv", orgs, "users.csv", users},
			"users.csv" + strings.Replace(fmt.Sprintf(retire, "1 active user"), ":1", "", 1)},
		{"a part that is missing", true, []string{"orgs.csv", "sourcedId,name,type\no1,A,school\n",
			"users.csv", "sourcedId,username,givenName,familyName\nu1,a,A,A\n",
			"roles.csv", "userSourcedId,orgSourcedId,role\nu1,o1,student\n",
			"classes.csv", "sourcedId,orgSourcedId,title\nc1,o1,C\n"},
			"academicSessions.csv is not in the package, which would retire 1 session: add the file"},
	} {
		p, err := bulk.Open(bulktest.Folder(t, c.files...), bulk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		checked, err := intake.Check(t.Context(), p, stored{"user": "u7", "academicSession": "y"}.Stored(),
			intake.CheckOptions{SkipBad: c.skipBad})
		if err != nil {
			t.Fatal(err)
		}
		err = checked.Records(t.Context(), func(oneroster.Row) error { return nil })
		if fmt.Sprint(err) != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
}

// What a package holds beside its records must be readable too.
func TestCheckOfAFileThatHasGone(t *testing.T) {
	dir := bulktest.Folder(t, "manifest.csv", fmt.Sprintf(manifestOf, "bulk", "absent"), "orgs.csv", orgs,
		"users.csv", users)
	p, err := bulk.Open(dir, bulk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	if err := os.Remove(filepath.Join(dir, "users.csv")); err != nil {
		t.Fatal(err)
	}
	_, err = intake.Check(t.Context(), p, intake.Stored{}, intake.CheckOptions{})
	if err == nil || !strings.Contains(err.Error(), "users.csv has gone") {
		t.Errorf("%v", err)
	}
}
