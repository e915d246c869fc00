package intake_test

import (
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
)

const (
	sdsSchool  = "SIS ID,Name\ns1,School\n"
	sdsSection = "SIS ID,School SIS ID,Section Name,Course SIS ID,Course Name\n"
)

// A line of School Data Sync's files makes several records: what is wrong with one
// of them spoils that one, and a line that cannot be used takes all of its records. What
// is wrong is told of the columns that are there, and parts may not be missing where some
// are stored.
func TestCheckOfSchoolDataSync(t *testing.T) {
	const student = "SIS ID,School SIS ID,Username,First Name,Last Name,Birthdate\n"
	const years, oursAlone = "academicSession", "academicSession sourcedId~'school-year-'"
	v1 := func(files ...string) []string {
		return append([]string{"School.csv", sdsSchool, "Section.csv", sdsSection + "c1,s1,Maths,k1,Maths\n"},
			files...)
	}
	v21 := func(files ...string) []string {
		return append([]string{"orgs.csv", "sourcedId,name,type\no1,A,school\n",
			"users.csv", "sourcedId,username,givenName,familyName\nu1,a,A,A\n",
			"roles.csv", "userSourcedId,orgSourcedId,role\nu1,o1,student\n",
			"classes.csv", "sourcedId,orgSourcedId,title\nc1,o1,C\n",
			"enrollments.csv", "classSourcedId,userSourcedId,role\nc1,u1,student\n"}, files...)
	}
	for _, c := range []struct {
		name   string
		files  []string
		stored stored
		want   []string // problems
		rows   string   // but those of schools and years
	}{
		{"a wrong birth date", v1("Student.csv", student+"u1,s1,ann,Ann,Lee,31-31-2015\n"), nil,
			[]string{`Student.csv:2: Birthdate: "31-31-2015" is not a date (YYYY-MM-DD) or dateTime ` +
				`(2026-09-01T08:00:00.000Z)`},
			"course/k1 keeps, class/c1 keeps, user/u1, demographics/u1 keeps birthDate"},
		{"a class of a course that stands on a line that cannot be used",
			v1("Section.csv", sdsSection+"c1,s1,,k1,Maths\nc2,s1,Maths 2,k1,\n"), nil,
			[]string{"Section.csv:2: Section Name: is required and empty: fill it in",
				bulktest.Hang("Section.csv:3", "2 references", "2 in Section.csv")},
			"course/k1 skipped, class/c1 skipped, class/c2 skipped"},
		{"a line twice", v1("Student.csv", student+strings.Repeat("u1,s1,ann,Ann,Lee,2015-01-31\n", 2)), nil,
			[]string{`Student.csv:3: SIS ID: "u1" is there twice in this file: keep one row`},
			"course/k1 keeps, class/c1 keeps, user/u1, user/u1 skipped, demographics/u1, " +
				"demographics/u1 skipped"},
		{"a section that is not there", v1("Student.csv", student+"u1,s1,ann,Ann,Lee,\n",
			"StudentEnrollment.csv", "Section SIS ID,SIS ID\nc9,u1\nc1,u1\n"), nil,
			[]string{`StudentEnrollment.csv:2: Section SIS ID: there is no section "c9" in Section.csv: ` +
				`add it, or correct this id`},
			"course/k1 keeps, class/c1 keeps, user/u1, enrollment/c9_u1_student skipped, " +
				"enrollment/c1_u1_student"},
		{"a person without a role", v21("roles.csv", "userSourcedId,orgSourcedId,role\nu1,,student\n"), nil,
			[]string{`users.csv:2: sourcedId: "u1" has no row in roles.csv that says its role and org: ` +
				`add one`,
				bulktest.Hang("enrollments.csv:2", "1 reference", "1 in enrollments.csv")},
			"course/c1_course keeps, class/c1 keeps, user/u1 skipped, enrollment/c1_u1_student skipped"},
		{"no roles, and people are stored", v21("roles.csv", "userSourcedId,orgSourcedId,role\n"),
			stored{"user": "u1 u2"},
			[]string{"roles.csv:1: there is not one row in this file, which would retire 2 users: export " +
				"it again", bulktest.Hang("users.csv:2", "1 reference", "1 in users.csv")}, ""},
		{"sessions are missing that are stored", v21(), stored{years: "y school-year-2026 z",
			oursAlone: "school-year-2026"},
			[]string{"academicSessions.csv:1: is not in the package, which would retire 2 sessions: add " +
				"the file"}, ""},
		{"sessions are missing, and only ours are stored", v21(), stored{years: "school-year-2026",
			oursAlone: "school-year-2026"}, nil,
			"course/c1_course keeps, class/c1 keeps, user/u1, enrollment/c1_u1_student"},
	} {
		path := bulktest.Folder(t, c.files...)
		problems, rows, _ := bulktest.ReadInto(t, path, bulk.Options{}, true, c.stored.Stored())
		if strings.Join(problems, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", c.name, problems, c.want)
		}
		if got := bulktest.Told(rows, "course", "class", "user", "demographics",
			"enrollment"); got != c.rows {
			t.Errorf("%s: rows\n got %s\nwant %s", c.name, got, c.rows)
		}
	}
}
