package bulk_test

import (
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
	"rollbook/internal/oneroster"
)

// What a cell becomes: its value, or what is wrong with it.
func TestValuesOfCells(t *testing.T) {
	stored := district{"org": "o1", "course": "k1", "academicSession": "t1 t2", "class": "c1",
		"category": "g1",
		"user":     "u1", "lineItem": "l1", "resource": "r1"}
	const items = "sourcedId,title,assignDate,dueDate,classSourcedId,categorySourcedId," +
		"resultValueMin,resultValueMax\n"
	const noDate = ` is not a date (YYYY-MM-DD) or dateTime (2026-09-01T08:00:00.000Z)`
	const noText = ` holds control characters or is not UTF-8`
	const allRoles = ` is not one of administrator, aide, guardian, parent, proctor, relative, student, ` +
		`teacher`
	people := func(column string) string {
		return strings.TrimSpace(users) + "," + column + "\nx,true,o1,student,a,A,B,@"
	}
	for _, c := range []struct {
		file, text, field string   // @ is the cell
		cells             []string // cell, wanted, cell, wanted, …; "!" begins what is wrong
	}{
		{"lineItems", items + "x,T,2026-09-01,2026-09-02,c1,g1,0,@", "resultValueMax", []string{
			"1e-400", "0", "-0", "0", "1e3", "1000", ".50", "0.5", "0.1", "0.1",
			"1e400", `!"1e400" is not a number`, "1_000", `!"1_000" is not a number`, "0x10",
			`!"0x10" is not a number`,
			"NaN", `!"NaN" is not a number`, `"1,5"`, `!"1,5" is not a number`, "",
			"!is required and empty: fill it in"}},
		{"lineItems", items + "x,T,2026-09-01,@,c1,g1,0,1", "dueDate", []string{
			"2026-09-02", "2026-09-02T00:00:00.000Z", "2026-09-02T00:00:00+02:00", "2026-09-01T22:00:00.000Z",
			"2026-09-02 08:30", "2026-09-02T08:30:00.000Z", "02/09/2026", `!"02/09/2026"` + noDate}},
		{"results", results + "x,l1,u1,fully graded,1,@", "scoreDate", []string{
			"2026-09-02T00:00:00+02:00", "2026-09-02", "2026-09-02T23:00:00-08:00", "2026-09-02",
			"2026-09-02Z", "2026-09-02",
			"2026-02-30", `!"2026-02-30"` + noDate}},
		{"results", results + "x,l1,u1,@,1,2026-09-02", "scoreStatus", []string{"FULLY GRADED",
			"fully graded"}},
		{"academicSessions", "sourcedId,title,type,startDate,endDate,schoolYear\n" +
			"x,T,term,2026-08-01,2027-07-31,@",
			"schoolYear", []string{"2027", "2027", "27", `!"27" is not a year of four digits: ` +
				`write the year in which the school year ends`}},
		{"orgs", "sourcedId,name,type\nx,@,school", "name", []string{
			"\"  A\tB\r\nC \"", "A B C", "李 😀", "李 😀", "\"A\x7f\"", `!"A\x7f"` + noText, "A\u0085B",
			`!"A\u0085B"` + noText,
			"A\x00B", `orgs.csv holds NUL bytes`, "\u200b", "!is required and empty: fill it in"}},
		{"orgs", "sourcedId,name,type,status\nx,A,school,@", "status", []string{"Active", "active",
			"TOBEDELETED", "tobedeleted",
			"Inactive", "tobedeleted", "gone", `!"gone" is not one of active, tobedeleted`}},
		{"orgs", "sourcedId,name,type,dateLastModified\nx,A,school,@", "dateLastModified",
			[]string{"no date at all", ""}},
		{"orgs", "sourcedId,name,type,metadata.b,metadata.a\nx,A,school,1,@", "metadata", []string{
			`"x,y"`, `{"a":"x,y","b":"1"}`, "", `{"b":"1"}`, "\x01A", `!"\x01A"` + noText, "\xe9é",
			`!"\xe9é"` + noText}},
		{"orgs", "sourcedId,name,type,METADATA.a,metadata.\nx,A,school,@,2", "metadata", []string{"1",
			`{"a":"1"}`}},
		{"users", "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName\n" +
			"x,@,o1,student,a,A,B",
			"enabledUser", []string{"TRUE", "true", "yes", `!"yes" is not true or false`, "1",
				`!"1" is not true or false`}},
		{"users", users + "x,true,@,student,a,A,B", "orgs", []string{"o1", "o1", `"o9,o1"`, "o1",
			`"o1, o1"`, "o1"}},
		{"users", people("agentSourcedIds"), "agents", []string{`"x,x"`, "x"}},
		{"classes", strings.Replace(classes, "c1,C,k1,scheduled,o1,t1\n", "x,C,k1,scheduled,o1,@", 1),
			"terms", []string{`"t2,t1,t2"`, "t2,t1"}},
		{"users", people("userIds"), "userIds", []string{`"{ldap:a:b}, {x:y}"`, "ldap=a:b,x=y", "77",
			"userId=77",
			"{77}", `!"{77}" is not {type:id}`, "77}", `!"77}" is not {type:id}`}},
		{"users", people("grades"), "grades", []string{`" 09 ,10"`, "09,10", `"09,09"`, "09,09"}},
		{"users", people("password"), "status", []string{"secret", ""}},
		{"users", people("userSourcedId"), "identifier", []string{"1", ""}},
		{"resources", "sourcedId,vendorResourceId,roles\nx,v,@", "roles", []string{`"Teacher,student"`,
			"teacher,student",
			`"teacher,pupil"`, `!"pupil"` + allRoles}},
		{"enrollments", enrolled + "x,c1,o1,u1,@,,", "role", []string{"principal", "administrator", "aide",
			"proctor",
			"Teacher", "teacher", "janitor", `!"janitor" is not one of administrator, proctor, student, ` +
				`teacher`}},
	} {
		for i := 0; i < len(c.cells); i += 2 {
			path := bulktest.Folder(t, c.file+".csv", strings.Replace(c.text, "@", c.cells[i], 1)+"\n")
			problems, rows, _ := bulktest.ReadInto(t, path, bulk.Options{}, true, stored.Stored())
			got := strings.Join(problems, "\n")
			if len(rows) == 1 && !rows[0].Skip && !strings.Contains(c.cells[i+1], "!") {
				got = strings.Join(oneroster.Items(rows[0].Get(c.field)), ",")
				got = strings.ReplaceAll(got, oneroster.PartSep, "=")
			} else if _, text, is := strings.Cut(got, ":2: "); is {
				_, text, _ = strings.Cut(text, ": ")
				got = "!" + text
			}
			if got != c.cells[i+1] && !(len(rows) == 0 && strings.HasPrefix(got, c.cells[i+1])) {
				t.Errorf("%s %s %q: %q, want %q", c.file, c.field, c.cells[i], got, c.cells[i+1])
			}
		}
	}
}

// How far two names are apart.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "", 3}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "xabc", 1}, {"abc", "ac",
			1}, {"abc", "axc", 1},
		{"manifset", "manifest", 2}, {"kitten", "sitting", 3}, {"ab", "xyzab", 3}, {"abc", "bca", 2},
	} {
		if got := bulk.Distance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// A problem stands on the line on which its row begins, whatever the rows before it hold.
func TestProblemsStandOnTheirLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a value of three lines", orgs + "o2,,,\"A\nB\nC\",school\no3,,,,school\n", "6"},
		{"a value of three lines of Windows", orgs + "o2,,,\"A\r\nB\r\nC\",school\r\no3,,,,school\r\n", "6"},
		{"in the row itself", orgs + "o2,,,\"A\nB\nC\",none\n", "3"},
		{"of old Macs", strings.ReplaceAll(orgs+"o2,,,\"A\rB\",school\no3,,,,school\n", "\n", "\r"), "5"},
		{"in the header", "sourcedId,\"name\",type,\"x\ny\"\no1,A,school,\no3,,school,\n", "4"},
		{"blank rows", "\n\n" + orgs + "\n,,,,\n\no3,,,,school\n", "8"},
		{"sep=", "sep=,\n" + orgs + "o3,,,,school\n", "4"},
		{"a quote that is not closed, behind one that is",
			orgs + "o2,,,\"A\nB\",school\no3,,,\"C,school\n", "5"},
		{"a quote that is not closed, in a row of two lines", orgs + "o2,,\"A\nB\",\"C,school\n", "4"},
		{"a quote and what is behind it", orgs + "o2,,,\"A,school\no3,,,B,school\no4,,,,school\n", "3 5"},
		{"a quote inside a cell, behind a value of two lines",
			orgs + "o2,,\"A\nB\",C \"D\",school\no3,,,,school\n", "3 5"},
		{"more than a buffer before it", orgs + "o2,,,\"" + strings.Repeat("A\n",
			40000) + "\",school\no3,,,,school\n", "40004"},
		{"a row of more than a buffer", orgs + "o2,,," + strings.Repeat("A",
			200000) + "\"B,school\no3,,,,school\n", "3 4"},
	} {
		problems, _, _ := read(t, bulktest.Folder(t, "orgs.csv", c.text), false)
		var lines []string
		for _, x := range problems {
			line, _, _ := strings.Cut(strings.TrimPrefix(x, "orgs.csv:"), ":")
			lines = append(lines, line)
		}
		if got := strings.Join(lines, " "); got != c.want {
			t.Errorf("%s: %q, want line %s", c.name, problems, c.want)
		}
	}
}
