package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/store/storetest"
)

// The right package from which wrong ones are made.
var right = map[string]string{
	"manifest.csv": "propertyName,value\nmanifest.version,1.0\noneroster.version,1.1\nfile.academicSessions,bulk\nfile.categories,absent\nfile.classes,bulk\n" +
		"file.classResources,absent\nfile.courses,bulk\nfile.courseResources,absent\nfile.demographics,absent\nfile.enrollments,bulk\nfile.lineItems,absent\n" +
		"file.orgs,bulk\nfile.resources,absent\nfile.results,absent\nfile.users,bulk\n",
	"orgs.csv":             "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\nd1,,,District,district,,\ns1,,,School,school,,d1\n",
	"academicSessions.csv": "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear\ny26,,,Year,schoolYear,2025-08-01,2026-08-01,,2026\nt1,,,Term,term,2025-08-01,2026-01-01,y26,2026\n",
	"courses.csv":          "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes\nk1,,,y26,Maths,M1,,s1,,\n",
	"classes.csv":          "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods\nc1,,,Maths 1,,k1,,scheduled,,s1,t1,,,\n",
	"users.csv": "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password\n" +
		"u1,,,true,s1,student,ann,,Ann,Ash,,,ann@x.example,,,,09,\nu2,,,true,s1,student,bob,,Bob,Birch,,,bob@x.example,,,,09,\nw1,,,true,s1,teacher,wim,,Wim,Wood,,,wim@x.example,,,,,\n",
	"enrollments.csv": "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate\n" +
		"e1,,,c1,s1,u1,student,,,\ne2,,,c1,s1,u2,student,,,\ne3,,,c1,s1,w1,teacher,true,,\n",
}

// edited makes a package of the right one: name, text, name, text, …; an empty
// text takes the file away, "old→new" replaces in it, "+row" appends.
func edited(base map[string]string, edits ...string) map[string]string {
	files := maps.Clone(base)
	for i := 0; i < len(edits); i += 2 {
		name, text := edits[i], edits[i+1]
		old, new, replace := strings.Cut(text, "→")
		switch {
		case text == "":
			delete(files, name)
		case replace:
			files[name] = strings.ReplaceAll(files[name], old, new)
		case text[0] == '+':
			files[name] += text[1:]
		default:
			files[name] = text
		}
	}
	return files
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	userHead = "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,givenName,familyName\n"
	newUser  = userHead + "u3,active,2026-01-01T00:00:00Z,true,s1,student,cid,Cid,Cole\n"
	usersIn  = "propertyName,value\nfile.users,delta\n"
)

// Wrong packages are refused, or mended and told; what is stored stays. first is
// what is stored before ("" is the right package, "-" nothing); says is what must be
// told; has, when set, is a line that the export after it must have, or, behind "!",
// must not have.
func TestWrongPackages(t *testing.T) {
	t.Parallel()
	v1 := packages["School Data Sync v1"]
	v21 := packages["School Data Sync v2.1"]
	early := map[string]string{"orgs.csv": "sourcedId,name,type,parentSourcedId\ns1,School,school,\n",
		"users.csv":       "sourcedId,orgSourcedIds,givenName,familyName,username,password,role,grade\nu1,s1,Ann,Ash,ann,,student,9\n",
		"classes.csv":     "sourcedId,orgSourcedId,title\nc1,s1,Maths\n",
		"enrollments.csv": "classSourcedId,userSourcedId,role\nc1,u1,student\n"}
	for _, c := range []struct {
		name  string
		first map[string]string
		files map[string]string
		args  string
		code  int
		says  string
		has   string
	}{
		{"the right one again", right, right, "", 0, "", "users.csv:u1,"},
		// Manifests.
		{"a delta by Manifest.csv", right, map[string]string{"Manifest.csv": usersIn, "users.csv": newUser},
			"", 0, "", "users.csv:u1,"},
		{"a delta by manifest.CSV", right, map[string]string{"manifest.CSV": usersIn, "users.csv": newUser},
			"", 0, "", "users.csv:u3,"},
		{"a delta by manifest (1).csv", right, map[string]string{"manifest (1).csv": usersIn,
			"users.csv": newUser}, "", 1, "may be meant as manifest.csv", "users.csv:u1,"},
		{"a manifest by semicolons", right, map[string]string{"manifest.csv": strings.ReplaceAll(usersIn,
			",", ";"), "users.csv": newUser}, "", 0, "semicolons", "users.csv:u1,"},
		{"a manifest in UTF-16", right, map[string]string{"manifest.csv": utf16(usersIn),
			"users.csv": newUser}, "", 0, "UTF-16", "users.csv:u1,"},
		{"a manifest without the file", right,
			map[string]string{"manifest.csv": "propertyName,value\nfile.orgs,absent\n",
				"users.csv": newUser}, "", 1, "does not say whether users.csv", "users.csv:u1,"},
		// Files without rows, and files that are missing.
		{"users without rows", right, edited(right, "users.csv", userHead, "enrollments.csv", ""), "", 1,
			"promises enrollments.csv", ""},
		{"users without rows, no manifest", right, map[string]string{"users.csv": userHead}, "", 1,
			"would retire 3 active users", "users.csv:u1,"},
		{"demographics without rows", right, edited(right, "manifest.csv", "", "demographics.csv",
			"sourcedId,birthDate\n"), "", 0, "demographics.csv has no rows and was passed over", ""},
		{"an absent file with rows", right, edited(right, "demographics.csv", "sourcedId\nu1\n"), "", 1,
			"says that this file is absent, and it has 1 row", ""},
		{"an absent file without rows", right, edited(right, "demographics.csv", "sourcedId\n"), "", 0,
			"it was passed over", ""},
		{"v1 enrollments of students without rows", v1, edited(v1, "StudentEnrollment.csv",
			"Section SIS ID,SIS ID\n"), "", 1, "StudentEnrollment.csv", "enrollments.csv:c1_u1_student"},
		{"v1 without enrollments of students", v1, edited(v1, "StudentEnrollment.csv", ""), "", 1,
			"would retire 1 student enrollment", "enrollments.csv:c1_u1_student"},
		{"v1 students without rows", v1, edited(v1, "Student.csv", "SIS ID,School SIS ID,Username\n",
			"StudentEnrollment.csv", "Section SIS ID,SIS ID\n"), "", 1, "Student.csv", "users.csv:u1,"},
		{"v1 without teachers", v1, edited(v1, "Teacher.csv", ""), "", 1, "Teacher.csv", "users.csv:t1,"},
		{"v1 without contacts", v1, edited(v1, "User.csv", "", "Guardianrelationship.csv", ""), "", 1,
			"User.csv and Guardianrelationship.csv", "users.csv:gua-"},
		{"v2.1 users without rows", v21,
			edited(v21, "users.csv", "sourcedId,username,givenName,familyName,email\n"), "", 1, "users.csv",
			"users.csv:u1,"},
		{"v2.1 enrollments without rows", v21, edited(v21, "enrollments.csv",
			"classSourcedId,userSourcedId,role\n"), "", 1, "would retire 2 enrollments",
			"enrollments.csv:c1_u1_student"},
		{"v2.1 without relationships", v21, edited(v21, "relationships.csv", ""), "", 1,
			"relationships.csv", ""},
		{"v2.1 enrollments without rows, nothing stored", nil, edited(v21, "enrollments.csv",
			"classSourcedId,userSourcedId,role\n"), "", 0,
			"enrollments.csv has no rows and was passed over", ""},
		// Dates and letters.
		{"dates with a zone", nil, edited(right, "academicSessions.csv",
			"2025-08-01→2025-08-15T00:00:00+02:00"), "", 0, "",
			"academicSessions.csv:y26,,,Year,schoolYear,2025-08-15,"},
		{"one broken byte in UTF-8", right, edited(right, "users.csv", "Ann→Zoë", "users.csv",
			"Birch→B\xffrch"), "", 1, "users.csv:3", "users.csv:u1,,,true,s1,student,ann,,Ann,"},
		{"Windows-1252", right, edited(right, "users.csv", "Ann→Zo\xeb"), "", 0, `"Zoë"`,
			"users.csv:u1,,,true,s1,student,ann,,Zoë,"},
		{"Shift_JIS", right, edited(right, "users.csv", "Ann→\x89\xd4\x8e\x71"), "", 1, "--encoding",
			"users.csv:u1,,,true,s1,student,ann,,Ann,"},
		{"Shift_JIS, said", right, edited(right, "users.csv", "Ann→\x89\xd4\x8e\x71"),
			"--encoding shift_jis", 0, "", "users.csv:u1,,,true,s1,student,ann,,花子,"},
		{"windows-1251", right, edited(right, "users.csv", "Ash→\xc8\xe2\xe0\xed\xee\xe2"), "", 1,
			"--encoding", ""},
		{"windows-1250, Polish", right, edited(right, "users.csv", "Ash→Wa\xb3\xeasa"), "", 1, "--encoding",
			""},
		{"windows-1250, Czech", right, edited(right, "users.csv", "Ash→Dvo\xf8\xe1k", "users.csv",
			"Birch→N\xecmcov\xe1"), "", 1, "--encoding", ""},
		{"Mac Roman", right, edited(right, "users.csv", "Ash→M\x9fller"), "", 1, "--encoding", ""},
		{"GBK", right, edited(right, "users.csv", "Ash→\xc0\xee\xd0\xa1\xc1\xfa"), "", 1, "--encoding", ""},
		{"no such encoding", right, right, "--encoding klingon", 2, "klingon", ""},
		{"UTF-16", right, edited(right, "users.csv", utf16(strings.Replace(right["users.csv"], "Ann", "Zoë",
			1))), "", 0, "UTF-16", "users.csv:u1,,,true,s1,student,ann,,Zoë,"},
		{"semicolons", right, edited(right, "users.csv", strings.ReplaceAll(right["users.csv"], ",", ";")),
			"", 0, "semicolons", "users.csv:u1,"},
		{"tabs", right, edited(right, "users.csv", strings.ReplaceAll(right["users.csv"], ",", "\t")), "",
			0, "tabs", "users.csv:u1,"},
		{"sep=", right, edited(right, "users.csv", "sep=;\r\n"+strings.ReplaceAll(right["users.csv"], ",",
			";")), "", 0, "passed over", "users.csv:u1,"},
		{"a line of types", right, edited(right, "users.csv", "#TYPE System.Data.DataRow\r\n"+
			right["users.csv"]), "", 0, "passed over", "users.csv:u1,"},
		{"CR line ends", right, edited(right, "users.csv", "\n→\r"), "", 0, "", "users.csv:u1,"},
		{"control characters", right, edited(right, "users.csv", "Ann→A\tn\x0bn"), "", 1,
			"control characters", ""},
		{"a tab and a bare CR in a value", right, edited(right, "users.csv", "Ann→\"A\tn\rn\""), "", 0, "",
			"users.csv:u1,,,true,s1,student,ann,,A n n,"},
		// Headers.
		{"Email", right, edited(right, "users.csv", "email→Email"), "", 0,
			"the column Email was read as email",
			"users.csv:u1,,,true,s1,student,ann,,Ann,Ash,,u1,ann@x.example"},
		{"mail", right, edited(right, "users.csv", ",email→,mail"), "", 0,
			"the column mail was read as email",
			"users.csv:u1,,,true,s1,student,ann,,Ann,Ash,,u1,ann@x.example"},
		{"agentSourcedIDs and Grades", right,
			edited(right, "users.csv", "agentSourcedIds,grades→agentSourcedIDs,Grades"), "", 0,
			"Grades was read as grades", ""},
		{"parent", right, edited(right, "orgs.csv", "parentSourcedId→parent"), "", 0,
			"the column parent was read as parentSourcedId", "orgs.csv:s1,,,School,school,s1,d1"},
		{"sourceId", right, edited(right, "orgs.csv", "sourcedId,→sourceId,"), "", 0,
			"the column sourceId was read as sourcedId", ""},
		{"emial", right, edited(right, "users.csv", ",email→,emial"), "", 3, "it is probably emial now", ""},
		{"both email and Email", right, edited(right, "users.csv", "sms→Email"), "", 1,
			"both meant as email", ""},
		// References.
		{"an unknown parent of a school", right, edited(right, "orgs.csv", ",d1\n→,d9\n"), "", 1,
			`there is no org with the sourcedId "d9"`, ""},
		{"an unknown parent of a school, skipped", right, edited(right, "orgs.csv", ",d1\n→,d9\n",
			"users.csv", "Ann→Anna"), "--skip-bad", 4, "1 problem:",
			"users.csv:u1,,,true,s1,student,ann,,Anna,"},
		{"a school with a wrong type, nothing stored", nil,
			edited(right, "orgs.csv", "School,school→School,skool"), "", 1, "to rows that cannot be used",
			""},
		{"a school with a wrong type", right, edited(right, "orgs.csv", "School,school→School,skool"), "",
			1, "1 problem:", ""},
		{"a school with a wrong type, skipped", right,
			edited(right, "orgs.csv", "School,school→School,skool"), "--skip-bad", 4, "skool",
			"orgs.csv:s1,"},
		{"a wrong optional value, skipped", right, edited(right, "enrollments.csv",
			"teacher,true→teacher,perhaps", "users.csv", "Ann→Anna"), "--skip-bad", 4, "perhaps",
			"enrollments.csv:e3,,,c1,s1,w1,teacher,true"},
		{"a term that ends before it starts", right, edited(right, "academicSessions.csv",
			"2026-01-01→2025-01-01"), "", 3, "School Data Sync would drop 3 of 3 enrollments", ""},
		{"parents in a circle", right, edited(right, "orgs.csv", "district,,\n→district,,s1\n"), "", 0,
			"lead back to it", ""},
		{"a school that is not the class's", right, edited(right, "enrollments.csv",
			"e1,,,c1,s1→e1,,,c1,d1"), "", 0, "is not that of their class", ""},
		{"links of nothing", right, edited(right, "manifest.csv", "", "resources.csv",
			"sourcedId,vendorResourceId\nr1,x\n", "classResources.csv",
			"sourcedId,classSourcedId,resourceSourcedId\nl1,c9,r1\nl2,c1,r9\nl3,,r1\n"), "", 1,
			"3 problems", ""},
		// Rows and cells.
		{"a row that is not CSV", right, edited(right, "users.csv", "Ann→Ann \"Annie\""), "", 1,
			"users.csv:2", ""},
		{"a row that is not CSV, skipped", right, edited(right, "users.csv", "Ann→Ann \"Annie\"",
			"users.csv", "Bob→Bobby"), "--skip-bad", 4, "users.csv:2",
			"users.csv:u2,,,true,s1,student,bob,,Bobby,"},
		{"a quote that opens and does not close", right, edited(right, "users.csv", "Ann→\"Ann"), "", 1,
			"users.csv:2", ""},
		{"an empty cell more", right, edited(right, "users.csv", "09,\n→09,,\n"), "", 0, "", "users.csv:u1,"},
		{"rows of commas and blank lines", right, edited(right, "users.csv", "+,,,,,,,,,,,,,,,,,\n\n\n"),
			"", 0, "", "users.csv:u1,"},
		{"a cell more", right, edited(right, "users.csv", "09,\n→09,,x\n"), "", 1,
			"more cells than the header", ""},
		{"a short row", right, edited(right, "users.csv", "+u3,,,true,s1,student,cid,,Cid,Cole\n"), "", 0,
			"shorter than the header", "users.csv:u3,"},
		{"a file cut in a row", right, edited(right, "enrollments.csv",
			"e3,,,c1,s1,w1,teacher,true,,\n→e3,,,c1,s1,w1"), "", 1, "breaks off in this row", ""},
		{"no line end at the end", right, edited(right, "enrollments.csv",
			"e3,,,c1,s1,w1,teacher,true,,\n→e3,,,c1,s1,w1,teacher,true,,"), "", 0,
			"ends without a line end", ""},
		{"an id twice", right, edited(right, "users.csv", "u2,,→u1,,"), "", 1, `"u1" is there twice`, ""},
		{"other names", right, map[string]string{"20260901_Users.csv": strings.ReplaceAll(newUser,
			"active,2026-01-01T00:00:00Z", ","), "20260901_orgs.csv": right["orgs.csv"]}, "", 3,
			"the package has no classes.csv, and had one last time", ""},
		// School Data Sync v2.1.
		{"v2.1 codes of races", v21, edited(v21, "demographics.csv",
			"userSourcedId,sex,birthDate,raceCodes\nu1,Female,2012-01-02,\"ASIAN,White\"\n"), "", 0, "",
			"demographics.csv:u1,,,2012-01-02,female,,true,,,true"},
		{"v2.1 a code that is a column", v21, edited(v21, "demographics.csv",
			"userSourcedId,sex,birthDate,raceCodes\nu1,Female,2012-01-02,sourcedId\n"), "", 1,
			`"sourcedId" is not one of`, ""},
		{"v2.1 a role of nobody", v21, edited(v21, "roles.csv", "+u9,s1,student,9\n"), "", 1,
			`there is no user "u9" in users.csv`, ""},
		{"v2.1 a flag of nobody", v21, edited(v21, "userFlags.csv", "userSourcedId,flag\nu9,iep\n"), "", 1,
			`there is no user "u9" in users.csv`, ""},
		{"v2.1 a relationship of nobody", v21, edited(v21, "relationships.csv", "+u1,u9,guardian\n"), "", 1,
			`there is no user "u9" in users.csv`, ""},
		{"v2.1 a column twice", v21, edited(v21, "roles.csv",
			"userSourcedId,orgSourcedId,role,grade→userSourcedId,orgSourcedId,role,Role"), "", 1,
			"there twice", ""},
		{"v2.1 cells beyond the header", v21, edited(v21, "roles.csv", "student,9→student,9,x"), "", 1,
			"more cells than the header", ""},
		{"v2.1 SchoolYear", v21, edited(v21, "academicSessions.csv", "schoolYear,2027→SchoolYear,2027",
			"classes.csv", ",m1,→,,"), "", 0, "", "!academicSessions.csv:school-year-"},
		{"v2.1 a missing column", v21, edited(v21, "roles.csv", "orgSourcedId→org"), "", 1,
			"roles.csv:1: the required column orgSourcedId is missing", ""},
		{"v2.1 a user without a role", v21, edited(v21, "users.csv", "+u5,eve,Eve,Elm,\n"), "", 1,
			`"u5" has no row in roles.csv`, ""},
		{"v2.1 a membership twice", v21, edited(v21, "enrollments.csv", "+c1,u1,student\nc1,t1,Teacher\n"),
			"", 0, "", "enrollments.csv:c1_u1_student"},
		{"v1 an unknown section", v1, edited(v1, "StudentEnrollment.csv", "+c9,u1\n"), "", 1,
			`there is no section "c9" in Section.csv`, ""},
		{"v2 the four files again", early, early, "", 0, "", "enrollments.csv:c1_u1_student"},
		{"v2.1 without sessions, again", edited(v21, "academicSessions.csv", "", "classes.csv", ",m1,→,,"),
			edited(v21, "academicSessions.csv", "", "classes.csv", ",m1,→,,"), "", 0, "",
			"enrollments.csv:c1_u1_student"},
		{"v1 a section with a cell more", v1, edited(v1, "Section.csv", "k1,Maths→k1,Maths,x"), "", 1,
			"1 problem:", ""},
		{"v1 without sections' rows", v1, edited(v1, "Section.csv", "SIS ID,School SIS ID,Section Name\n"),
			"", 1, "2 problems:", ""},
		{"v2.1 without roles' rows", v21, edited(v21, "roles.csv", "userSourcedId,orgSourcedId,role\n"), "",
			1, "2 problems:", ""},
		// What hangs on what is deleted, and can do without.
		{"a district that is deleted", right,
			map[string]string{"manifest.csv": "propertyName,value\nfile.orgs,delta\n",
				"orgs.csv": "sourcedId,status,dateLastModified,name,type\nd1,tobedeleted,2026-01-01T00:00:00Z,,\n"}, "",
			0, "", "!orgs.csv:s1,,,School,school,s1,d1"},
		{"a bulk file that says tobedeleted", many(40, 40), edited(many(40, 40), "enrollments.csv",
			",,,c1→,tobedeleted,,c1"), "", 3, "40 of 40 enrollments of students would be retired", ""},
		// What would be retired.
		{"a bulk file that loses half", many(40, 40), many(40, 20), "", 3,
			"20 of 40 students would be retired", ""},
		{"a bulk file that loses half, wanted", many(40, 40), many(40, 20), "--shrink 50", 0, "", ""},
		{"a bulk file that loses a tenth", many(40, 40), many(40, 36), "", 0, "", ""},
		{"users without those who are enrolled", many(40, 40), edited(many(40, 40), "manifest.csv",
			"propertyName,value\nfile.users,bulk\n", "orgs.csv", "", "academicSessions.csv", "",
			"courses.csv", "", "classes.csv", "", "enrollments.csv", "", "users.csv",
			"x1,,,true→x1,tobedeleted,,true"), "", 0,
			"", "!enrollments.csv:fx1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "district.db")
			if c.first != nil {
				if _, errs, code := rollbook(t, write(t, c.first), "import", "--new", ".", "--db",
					db); code != 0 {
					t.Fatal(errs)
				}
			}
			args := append(strings.Fields("import --new . "+c.args), "--db", db)
			out, errs, code := rollbook(t, write(t, c.files), args...)
			if code != c.code || !strings.Contains(strings.Join(strings.Fields(errs), " "),
				strings.Join(strings.Fields(c.says), " ")) {
				t.Errorf("exit %d, want %d and %q\n%s%s", code, c.code, c.says, out, errs)
			}
			if c.has == "" {
				return
			}
			zip := filepath.Join(t.TempDir(), "out.zip")
			if _, errs, code := rollbook(t, t.TempDir(), "export", zip, "--db", db); code != 0 {
				t.Fatal(errs)
			}
			line, not := strings.CutPrefix(c.has, "!")
			file, row, _ := strings.Cut(line, ":")
			found := false
			for _, e := range entries(t, zip) {
				found = found || strings.HasPrefix(e, file+" "+row)
			}
			if found == not {
				t.Errorf("%s: %v after\n%s%s", c.has, found, errs, strings.Join(entries(t, zip), "\n"))
			}
		})
	}
}

// many is a district of so many students, of whom so many are enrolled and stay.
func many(before, after int) map[string]string {
	users, enrollments := right["users.csv"], right["enrollments.csv"]
	for n := range after {
		id := string(rune('a'+n/10)) + string(rune('0'+n%10))
		id = "x" + strings.TrimPrefix(id, "a")
		users += id + ",,,true,s1,student," + id + ",,Given,Family,,,,,,,,\n"
		enrollments += "f" + id + ",,,c1,s1," + id + ",student,,,\n"
	}
	users = strings.NewReplacer("u1,,,true,s1,student,ann,,Ann,Ash,,,ann@x.example,,,,09,\n", "",
		"u2,,,true,s1,student,bob,,Bob,Birch,,,bob@x.example,,,,09,\n", "",
		"w1,,,true,s1,teacher,wim,,Wim,Wood,,,wim@x.example,,,,,\n", "").Replace(users)
	enrollments = strings.NewReplacer("e1,,,c1,s1,u1,student,,,\n", "", "e2,,,c1,s1,u2,student,,,\n", "",
		"e3,,,c1,s1,w1,teacher,true,,\n", "").Replace(enrollments)
	return edited(right, "users.csv", users, "enrollments.csv", enrollments)
}

// utf16 encodes ASCII and Latin-1 with a mark.
func utf16(text string) string {
	out := []byte{0xff, 0xfe}
	for _, r := range text {
		out = append(out, byte(r), byte(r>>8))
	}
	return string(out)
}

// A delta may not enroll into what is deleted, on either engine; a database that is
// not there is not made by mistake.
func TestDeletedIsNotThere(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		in := func(files map[string]string, more ...string) (string, int) {
			_, errs, code := rollbook(t, write(t, files), append(append([]string{"import", "."}, more...),
				"--db", dsn)...)
			return errs, code
		}
		for _, verb := range []string{"import .", "serve --addr 127.0.0.1:0", "export x.zip", "client list",
			"client add x"} {
			_, errs, code := rollbook(t, write(t, right), append(strings.Fields(verb), "--db", dsn)...)
			if code != 1 || !strings.Contains(errs, "there is no district at ") || !strings.Contains(errs,
				"rollbook init") {
				t.Errorf("%s: %d %s", verb, code, errs)
			}
		}
		if errs, code := in(right, "--new"); code != 0 {
			t.Fatal(errs)
		}
		gone := map[string]string{"manifest.csv": "propertyName,value\nfile.classes,delta\nfile.enrollments,delta\n",
			"classes.csv":     "sourcedId,status,dateLastModified,title,courseSourcedId,classType,schoolSourcedId,termSourcedIds\nc1,tobedeleted,2026-01-01T00:00:00Z,,,,,\n",
			"enrollments.csv": "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role\n"}
		head := gone["enrollments.csv"]
		if errs, code := in(edited(gone, "enrollments.csv", "", "manifest.csv",
			"\nfile.enrollments,delta→")); code != exitHeld || !strings.Contains(errs,
			"no enrollments would be left of 3") { // they go with it
			t.Errorf("a class without its enrollments: %d %s", code, errs)
		}
		for _, e := range []string{"e1", "e2", "e3"} {
			gone["enrollments.csv"] += e + ",tobedeleted,2026-01-01T00:00:00Z,,,,\n"
		}
		if errs, code := in(gone); code != exitHeld { // it was the only class
			t.Fatal(code, errs)
		}
		if _, errs, code := rollbook(t, t.TempDir(), "publish", "3", "--db", dsn); code != 0 {
			t.Fatal(errs)
		}
		late := map[string]string{"manifest.csv": "propertyName,value\nfile.enrollments,delta\n",
			"enrollments.csv": head + "e4,active,2026-01-01T00:00:00Z,c1,s1,u1,student\n"}
		if errs, code := in(late); code != 1 || !strings.Contains(errs,
			`there is no class with the sourcedId "c1"`) {
			t.Errorf("an enrollment of a deleted class: %d %s", code, errs)
		}
	})
}

// Half of users.csv is missing: the table says so in few lines, beside what else is wrong, and
// JSON has the rows too.
func TestHalfOfAFile(t *testing.T) {
	t.Parallel()
	d := nightly{t, t.TempDir()}
	d.must("sandbox", "d.zip", "--students", "300")
	d.must("import", "--new", "d.zip")
	half := unpacked(t, filepath.Join(d.dir, "d.zip"))
	half.cut("users.csv", 240)
	half.edit("orgs.csv", func(l line) {
		l.set("type", strings.Replace(l.get("type"), "department", "what", 1))
	})
	d.write("half.zip", zipped(half))
	const says = `users.csv lacks 157 of 322 users that enrollments.csv refers to, in 942 references: `
	_, errs, code := d.run("import", "half.zip")
	if code != exitFailed || !strings.Contains(errs, says) ||
		!strings.Contains(errs, "users.csv is probably cut off") || !strings.Contains(errs, `"what"`) ||
		strings.Count(errs, "\n") > 20 {
		t.Errorf("%d %s", code, errs)
	}
	out, _, _ := d.run("import", "half.zip", "--json")
	var told struct{ Problems intake.Problems }
	if err := json.Unmarshal([]byte(out), &told); err != nil || !strings.Contains(out, says) ||
		len(told.Problems.List) != told.Problems.Total {
		t.Errorf("%v %.400s", err, out)
	}
	if out, errs, _ = d.run("publications", "show", "2"); !strings.Contains(out, says) {
		t.Errorf("%s%s", out, errs)
	}
}
