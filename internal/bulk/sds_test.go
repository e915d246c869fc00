package bulk_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
	"rollbook/internal/oneroster"
)

const (
	v1Section = "SIS ID,School SIS ID,Section Name,Term SIS ID,Term StartDate,Term EndDate,Course SIS " +
		"ID,Course Name\n"
	v1Student = "SIS ID,School SIS ID,Username,First Name,Last Name,Grade,Birthdate,Secondary Email\n"
	v1Ann     = "u1,s1,ann,Ann,Lee,9,4/2/2010,\n"
	ukSection = "ID,School DfE Number,Section Name,Term SIS ID,Term StartDate,Term EndDate\n"
	retires   = ", which would retire "
	yearHead  = "sourcedId,title,type,startDate,endDate,schoolYear\n"
)

// v1 is a package of School Data Sync v1 with the files given.
func v1(files ...string) []string {
	return append([]string{"School.csv", "SIS ID,Name\ns1,School\ns2,Other\n",
		"Section.csv", v1Section + "c1,s1,Maths,t1,2/1/2026,6/3/2026,k1,Maths\n",
		"Student.csv", v1Student + v1Ann, "Teacher.csv",
		"SIS ID,School SIS ID,Username,First Name,Last Name\nu8,s1,tim,Tim,Ray\n",
		"StudentEnrollment.csv", "Section SIS ID,SIS ID\nc1,u1\n", "TeacherRoster.csv",
		"Section SIS ID,SIS ID\nc1,u8\n"}, files...)
}

// uk is one with the headers of the United Kingdom.
func uk(sections string) []string {
	return []string{"School.csv", "DfE Number,Name\ns1,School\n", "Section.csv", ukSection + sections}
}

// v21 is a package of School Data Sync v2.1 with the files given.
func v21(files ...string) []string {
	return append([]string{"orgs.csv", "sourcedId,name,type\no1,A,school\no2,B,school\n",
		"users.csv", "sourcedId,username,givenName,familyName\nu1,a,A,A\nu2,b,B,B\nu3,c,C,C\n",
		"roles.csv", "userSourcedId,orgSourcedId,role,grade,isPrimary\nu1,o1,student,9,\nu2,o1,teacher,,\n" +
			"u3,o2,parent,,\n",
		"academicSessions.csv", "sourcedId,title,type,startDate,endDate,schoolYear\n" +
			"y,Y,schoolYear,2025-08-01,2026-07-31,2026\n",
		"classes.csv", "sourcedId,orgSourcedId,title\nc1,o1,C\n",
		"enrollments.csv", "classSourcedId,userSourcedId,role\nc1,u1,student\nc1,u2,teacher\n"}, files...)
}

// What School Data Sync's files become, what is wrong with them in their own words,
// and which of them may not be missing.
func TestSchoolDataSyncRows(t *testing.T) {
	noRow := func(at, what, id, file string) string {
		return at + ": there is no " + what + ` "` + id + `" in ` + file + ": add it, or correct this id"
	}
	nobody := func(at, id string) string {
		return at + `: there is no user "` + id + `" in users.csv: add it, or take this row out`
	}
	unranked := func(line, id string) string {
		return "users.csv:" + line + `: sourcedId: "` + id +
			`" has no row in roles.csv that says its role and org: add one`
	}
	long := strings.Repeat("u", oneroster.MaxID-len("c1__student"))
	roleRows := "userSourcedId,orgSourcedId,role,grade,isPrimary\nu2,o1,teacher,,\nu3,o1,parent,,\n"
	for _, c := range []struct {
		name   string
		files  []string
		stored district
		want   []string // problems
		values string   // record field=value, …; a record alone is not there; "" is that no row is yielded
		note   string   // one that is there, or with "-" one that is not
	}{
		{"v1", v1(), nil, nil, "academicSession/t1 startDate=2026-02-01, academicSession/t1 " +
			"endDate=2026-06-03, " +
			"demographics/u1 birthDate=2010-04-02, user/u1 grades=09, class/c1 course=k1, " +
			"enrollment/c1_u8_teacher school=s1", "-stands in for it"},
		{"v1, dates that are day first", v1("Student.csv",
			v1Student+"u1,s1,ann,Ann,Lee,10,13/2/2010,a@x.org\n"), nil, nil,
			"demographics/u1 birthDate=2010-02-13, academicSession/t1 startDate=2026-01-02, user/u1 " +
				"grades=10, user/u1 email=a@x.org",
			"dates are written day first, unlike the headers say: the other way some are impossible"},
		{"v1, dates that cannot be", v1("Student.csv",
			v1Student+"u1,s1,ann,Ann,Lee,K,13/2/2010,\nu2,s1,b@Y.org,B,B,,2/13/2010,\n"),
			nil, []string{`Student.csv:2: Birthdate: "13/2/2010" is not a date (YYYY-MM-DD) or dateTime ` +
				`(2026-09-01T08:00:00.000Z)`},
			"demographics/u2 birthDate=2010-02-13, user/u1 grades=K, user/u2 email=b@y.org",
			"-dates are written"},
		{"v1, other dates", v1("Student.csv", v1Student+"u1,s1,ann,Ann,Lee,1,2010-02-13,\n"), nil, nil,
			"user/u1 grades=01, demographics/u1 birthDate=2010-02-13, academicSession/t1 " +
				"startDate=2026-02-01",
			"-dates are written"},
		{"UK dates", uk("c1,s1,Maths,t1,2/1/2026,6/3/2026\n"), nil, nil,
			"academicSession/t1 startDate=2026-01-02, academicSession/t1 endDate=2026-03-06, " +
				"academicSession/t1 title=t1", "-dates are written"},
		{"UK dates that are month first", uk("c1,s1,Maths,t1,1/31/2026,6/3/2026\n"), nil, nil,
			"academicSession/t1 startDate=2026-01-31, academicSession/t1 endDate=2026-06-03",
			"dates are written month first, unlike the headers say"},
		{"the bounds of dates", uk("c1,s1,Maths,t1,31/12/1000,1/1/2026\n" +
			"c2,s1,Art,t2,31/12/999,1/1/2026\n"), nil,
			[]string{`Section.csv:3: Term StartDate: "31/12/999" is not a date (YYYY-MM-DD) or dateTime ` +
				`(2026-09-01T08:00:00.000Z)`},
			"academicSession/t1 startDate=1000-12-31", ""},
		{"v1, sections without a term", v1("Section.csv",
			v1Section+"c1,s1,Maths,t1,,6/3/2026,,\nc2,s1,Art,,2/1/2026,6/3/2026,k1,Arts\n"+
				"c3,s1,Art 2,t3,2/1/2026,,k1,Else\nc4,s1,Art 3,t4,2/1/2026,6/3/2026,,\n"+
				"c5,s1,Art 3,t4,2/1/2025,6/3/2025,,\n"), nil, nil,
			"class/c1 terms=school-year-2027, class/c1 course=c1_course, course/c1_course title=Maths, " +
				"class/c2 terms=school-year-2027, " +
				"course/k1 title=Arts, class/c3 terms=school-year-2027, class/c4 terms=t4, class/c5 " +
				"terms=t4, academicSession/t4 endDate=2026-06-03, " +
				"academicSession/school-year-2027 startDate=2026-08-01, academicSession/school-year-2027 " +
				"endDate=2027-08-01, " +
				"academicSession/school-year-2027 title=School Year 2026-2027, " +
				"academicSession/school-year-2027 schoolYear=2027", ""},
		{"v1, a person at two schools", v1("Student.csv", v1Student+v1Ann+"u1,s2,ann,Ann,Lee,9,,\n",
			"User.csv",
			"Email,First Name,Last Name,SIS ID\ng@x.org,,Gray,u1\n"), nil, nil,
			"user/u1 orgs=s1;s2, user/gua-7b377d4d75a939f151b8becbf7dea01d orgs=s1;s2, " +
				"user/gua-7b377d4d75a939f151b8becbf7dea01d agents=u1, " +
				"user/gua-7b377d4d75a939f151b8becbf7dea01d givenName=g@x.org, " +
				"user/gua-7b377d4d75a939f151b8becbf7dea01d role=guardian", ""},
		{"v1, a person twice at one school", v1("Student.csv",
			v1Student+v1Ann+"u1,s1,ann,Ann,Lee,9,4/2/2010,\n"), nil,
			[]string{`Student.csv:3: SIS ID: "u1" is there twice in this file: keep one row`},
			"user/u1 orgs=s1", ""},
		{"v1, contacts", v1("Guardianrelationship.csv",
			"SIS ID,Email,Role\nu1,G@x.org,Relative\nu1,,Parent\n"), nil, nil,
			"user/gua-7b377d4d75a939f151b8becbf7dea01d role=relative, " +
				"user/gua-7b377d4d75a939f151b8becbf7dea01d username=g@x.org", ""},
		{"v1, no names", v1("Teacher.csv", "SIS ID,School SIS ID,Username,First Name\nu8,s1,tim,Tim\n"),
			nil, nil,
			"user/u8 givenName=Tim, user/u8 familyName=tim",
			"Teacher.csv has rows without First Name or Last Name: the username stands in for it"},
		{"v1, a file of another format", v1("orgs.csv", orgs), nil, nil, "org/o1",
			"orgs.csv is not a file of this format and was not read"},
		{"v1, an enrollment twice", v1("StudentEnrollment.csv", "Section SIS ID,SIS ID\nc1,u1\nc1,u1\n"),
			nil, nil,
			"enrollment/c1_u1_student user=u1", ""},
		{"v1, a long id", v1("StudentEnrollment.csv",
			"Section SIS ID,SIS ID\nc1,u1\nc1,"+strings.Repeat("u", 250)+"\n"),
			district{}, []string{noRow("StudentEnrollment.csv:3: SIS ID", "person", strings.Repeat("u",
				250), "Student.csv or Teacher.csv")},
			"enrollment/c1_u1_student user=u1", ""},
		{"v1, an enrollment whose id is as long as ids are", v1("Student.csv",
			v1Student+long+",s1,a,A,A,,,\nu"+long+",s1,b,B,B,,,\n",
			"StudentEnrollment.csv", "Section SIS ID,SIS ID\nc1,"+long+"\nc1,u"+long+"\n"), nil, nil,
			"enrollment/c1_" + long + "_student user=" + long + ", enrollment/c1_u" + long +
				"_student, user/u" + long + " role=student", ""},
		{"v1, references to nothing", v1("StudentEnrollment.csv",
			"Section SIS ID,SIS ID\nc9,u1\nc1,u9\nc1,u1\n",
			"Teacher.csv", "SIS ID,School SIS ID,Username,First Name,Last Name\nu8,s9,tim,Tim,Ray\n",
			"TeacherRoster.csv", "Section SIS ID,SIS ID\n"), nil,
			[]string{noRow("StudentEnrollment.csv:2: Section SIS ID", "section", "c9", "Section.csv"),
				noRow("Teacher.csv:2: School SIS ID", "school", "s9", "School.csv"),
				noRow("StudentEnrollment.csv:3: SIS ID", "person", "u9", "Student.csv or Teacher.csv")},
			"enrollment/c1_u1_student user=u1, user/u8", "TeacherRoster.csv has no rows and was passed over"},
		{"v1, a column missing", v1("Student.csv", "SIS ID,Username\nu1,ann\n"), nil,
			[]string{"Student.csv:1: the required column School SIS ID is missing among SIS ID, Username"},
			"", ""},
		{"v1, a column twice", v1("Student.csv", "SIS ID,School SIS ID,Username,sis_id\nu1,s1,ann,u2\n"), nil,
			[]string{"Student.csv:1: the column SIS ID is there twice (sis_id): keep one"}, "", ""},
		{"v1, cells beyond the header", v1("TeacherRoster.csv",
			"Section SIS ID,SIS ID\nc1,u8,\nc1,u8,x\n"), nil,
			[]string{"TeacherRoster.csv:3: the row has more cells than the header: correct the commas and " +
				"quotes"}, "", ""},
		{"v1, no enrollments of pupils", v1("StudentEnrollment.csv", "Section SIS ID,SIS ID\n"),
			district{"enrollment role='student'": "e1 e2"},
			[]string{"StudentEnrollment.csv:1: there is not one row in this file" + retires +
				"2 student enrollments: export it again"}, "", ""},
		{"v1, contacts are missing", v1(), district{"user role='guardian' OR role='parent' OR " +
			"role='relative'": "g1"},
			[]string{"User.csv and Guardianrelationship.csv:1: is not in the package" + retires +
				"1 contact: add the file"}, "", ""},
		{"v1, no sections", v1("Section.csv", v1Section), district{"class": "c1"},
			[]string{"Section.csv:1: there is not one row in this file" + retires +
				"1 class: export it again",
				bulktest.Hang("StudentEnrollment.csv:2", "2 references",
					"1 in StudentEnrollment.csv, 1 in TeacherRoster.csv")}, "", ""},
		{"v1, only schools and sections", v1()[:4], district{"enrollment role='student'": "e1",
			"user role='student'": "u1"}, nil,
			"class/c1 course=k1", ""},

		{"v2.1", v21(), nil, nil, "user/u1 role=student, user/u1 grades=09, user/u3 orgs=o2, class/c1 " +
			"terms=y, class/c1 course=c1_course, " +
			"enrollment/c1_u1_student school=o1, user/u1 agents=", ""},
		{"v2.1, roles", v21("roles.csv", "userSourcedId,orgSourcedId,role,grade,isPrimary\n"+
			"u1,o1,teacher,9,\nu1,o2,student,10,\n"+
			"u2,o1,student,,\nu2,o2,principal,,TRUE\nu3,o1,aide,,true\nu3,o2,student,,true\n"), nil, nil,
			"user/u1 role=student, user/u1 orgs=o1;o2, user/u1 grades=09;10, user/u2 role=administrator, " +
				"user/u3 role=student", ""},
		{"v2.1, roles of nobody", v21("roles.csv", roleRows+"u1,o1,student,,\nu9,o1,student,,\n"+
			",o1,student,,\n"), nil,
			[]string{nobody("roles.csv:5: userSourcedId", "u9"),
				"roles.csv:6: userSourcedId: is required and empty: fill it in"},
			"user/u1 role=student, user/u9", ""},
		{"v2.1, nobody's role", v21("roles.csv", roleRows), nil, []string{unranked("2", "u1"),
			bulktest.Hang("enrollments.csv:2", "1 reference", "1 in enrollments.csv")},
			"user/u1, user/u2 role=teacher, enrollment/c1_u1_student", ""},
		{"v2.1, a role without an org", v21("roles.csv", roleRows+"u1,,student,,\n"), nil,
			[]string{unranked("2", "u1"),
				bulktest.Hang("enrollments.csv:2", "1 reference", "1 in enrollments.csv")},
			"user/u1, user/u2 role=teacher", ""},
		{"v2.1, no roles", v21("roles.csv", "userSourcedId,orgSourcedId,role\n"), district{"user": "u1 u2"},
			[]string{"roles.csv:1: there is not one row in this file" + retires + "2 users: export it again",
				bulktest.Hang("users.csv:2", "3 references", "3 in users.csv")}, "", ""},
		{"v2.1, flags", v21("userFlags.csv", "userSourcedId,flag\nu1,iep\nu1,freelunch\nu1,IEP\nu2,slow\n"+
			"u9,ELL\n"), nil,
			[]string{`userFlags.csv:5: flag: "slow" is not one of freeLunch, reducedLunch, homeless, ` +
				`giftedOrTalented, 504, ELL, LEP, IEP`,
				nobody("userFlags.csv:6: userSourcedId", "u9")},
			`user/u1 metadata={"microsoft.userFlags":"IEP,freeLunch"}, user/u2 metadata=`, ""},
		{"v2.1, relationships", v21("relationships.csv",
			"userSourcedId,relationshipUserSourcedId,relationshipRole\n"+
				"u1,u3,doctor\nu9,u3,parent\nu1,u9,parent\nu1,,parent\nu1,u2,teacher\n", "roles.csv",
			"userSourcedId,orgSourcedId,role\nu1,o1,student\nu2,o1,teacher\n"), nil,
			[]string{nobody("relationships.csv:3: userSourcedId", "u9"),
				nobody("relationships.csv:4: relationshipUserSourcedId", "u9"),
				"relationships.csv:5: relationshipUserSourcedId: is required and empty: fill it in",
				`relationships.csv:6: relationshipRole: "teacher" is no role of a contact: write guardian, ` +
					`parent or relative`},
			"user/u1 agents=u3, user/u3 role=relative, user/u3 orgs=o1", ""},
		{"v2.1, demographics", v21("demographics.csv",
			"userSourcedId,birthDate,sex,birthCity,raceCodes,ethnicityCodes\n"+
				"u1,2010-02-13,Male,Rome,\"asian, WHITE,\",green\nu9,,,,,\n"), nil,
			[]string{`demographics.csv:2: ethnicityCodes: "green" is not one of ` +
				`americanIndianOrAlaskaNative, asian, blackOrAfricanAmerican, ` +
				`nativeHawaiianOrOtherPacificIslander, white, demographicRaceTwoOrMoreRaces, ` +
				`hispanicOrLatinoEthnicity`,
				`demographics.csv:3: userSourcedId: there is no user "u9" in users.csv: add it, or correct ` +
					`this id`},
			"demographics/u1 asian=true, demographics/u1 white=true, demographics/u1 sex=male, " +
				"demographics/u1 cityOfBirth=Rome", ""},
		{"v2.1, sessions", v21("academicSessions.csv", yearHead+
			"a,A,SchoolYear,2025-08-01,2026-07-31,2026\nb,B,schoolYear,2024-08-01,2025-07-31,2025\n"+
			"c,C,term,2026-08-01,2027-07-31,2027\n",
			"classes.csv", "sourcedId,orgSourcedId,title,sessionSourcedIds\nc1,o1,C,\nc2,o1,D,\"b,c\"\n"),
			nil, nil,
			"class/c1 terms=a, class/c2 terms=b;c", ""},
		{"v2.1, two school years that end on one day", v21("academicSessions.csv", yearHead+
			"a,A,schoolYear,2025-01-01,2025-12-31,2025\nb,B,schoolYear,2025-08-01,2026-07-31,2026\n"+
			"c,C,schoolYear,2026-01-01,2026-07-31T00:00:00Z,2026\n"+
			"d,D,schoolYear,2026-02-01,2026-07-31,2026\n",
			"classes.csv", "sourcedId,orgSourcedId,title,sessionSourcedIds\nc1,o1,C,\nc2,o1,D,c\n"),
			nil, nil, "class/c1 terms=b, class/c2 terms=c",
			`academicSessions.csv: the school years "b" and "c" both end on 2026-07-31, and none ends ` +
				`later: classes that name no session are in "b", which comes first`},
		{"v2.1, two that end on one day before another", v21("academicSessions.csv", yearHead+
			"a,A,schoolYear,2024-08-01,2025-07-31,2025\nb,B,schoolYear,2025-01-01,2025-07-31,2025\n"+
			"c,C,schoolYear,2025-08-01,2026-07-31,2026\n"), nil, nil, "class/c1 terms=c", "-both end on"},
		{"v2.1, two that end on no day", v21("academicSessions.csv", yearHead+
			"a,A,schoolYear,2025-08-01,,2026\nb,B,schoolYear,2026-01-01,,2026\n"), nil,
			[]string{"academicSessions.csv:2: endDate: is required and empty: fill it in",
				"academicSessions.csv:3: endDate: is required and empty: fill it in"},
			"class/c1 terms=school-year-2027", "-both end on"},
		{"v2.1, two that end on one day and are named", v21("academicSessions.csv", yearHead+
			"a,A,schoolYear,2025-08-01,2026-07-31,2026\nb,B,schoolYear,2026-01-01,2026-07-31,2026\n",
			"classes.csv", "sourcedId,orgSourcedId,title,sessionSourcedIds\nc1,o1,C,b\n"), nil, nil,
			"class/c1 terms=b", "-both end on"},
		{"v2.1, no sessions", v21("academicSessions.csv", "sourcedId,title,type,startDate,endDate\n"),
			district{"academicSession": "school-year-2026",
				"academicSession sourcedId~'school-year-'": "school-year-2026"}, nil,
			"class/c1 terms=school-year-2027", "academicSessions.csv has no rows and was passed over"},
		{"v2.1, some sessions that are stored", v21("academicSessions.csv",
			"sourcedId,title,type,startDate,endDate\n"),
			district{"academicSession": "y school-year-2026 z",
				"academicSession sourcedId~'school-year-'": "school-year-2026"},
			[]string{"academicSessions.csv:1: there is not one row in this file" + retires +
				"2 sessions: export it again"}, "", ""},
		{"v2.1, sessions that are missing", slices.Delete(v21(), 6, 8),
			district{"academicSession": "y school-year-2026",
				"academicSession sourcedId~'school-year-'": "school-year-2026"},
			[]string{"academicSessions.csv:1: is not in the package" + retires +
				"1 session: add the file"}, "", ""},
		{"v2.1, sessions that are missing and named", append(slices.Delete(v21(), 6, 8), "classes.csv",
			"sourcedId,orgSourcedId,title,sessionSourcedIds\nc1,o1,C,\nc2,o1,D,t9\n"),
			district{"academicSession": "y"},
			[]string{"academicSessions.csv:1: is not in the package" + retires + "1 session: add the file",
				bulktest.Hang("classes.csv:3", "1 reference", "1 in classes.csv")}, "", ""},
		{"v2.1, references to nothing", v21("enrollments.csv",
			"classSourcedId,userSourcedId,role\nc9,u1,student\n",
			"courses.csv", "sourcedId,orgSourcedId,title,code\nk1,o9,K,7\n",
			"classes.csv", "sourcedId,orgSourcedId,title,courseSourcedId,sessionSourcedIds\n"+
				"c1,o9,C,k9,t9\n"), nil,
			[]string{`enrollments.csv:2: classSourcedId: there is no class "c9" in classes.csv: add it, or ` +
				`correct this id`,
				noRow("courses.csv:2: orgSourcedId", "org", "o9", "orgs.csv"),
				noRow("classes.csv:2: courseSourcedId", "course", "k9", "courses.csv"),
				noRow("classes.csv:2: orgSourcedId", "org", "o9", "orgs.csv"),
				noRow("classes.csv:2: sessionSourcedIds", "session", "t9", "academicSessions.csv")},
			"class/c1, enrollment/c9_u1_student", ""},
		{"v2.1, what is missing", v21(), district{"user agents!=''": "u1",
			"user metadata.microsoft.userFlags!=''": "u1 u2", "demographics": "u1"},
			[]string{"relationships.csv:1: is not in the package" + retires +
				"1 contact holder: add the file",
				"userFlags.csv:1: is not in the package" + retires + "2 flagged users: add the file"}, "",
			""},
		{"the early four", []string{"orgs.csv", "sourcedId,name,type\no1,A,school\no2,B,school\n",
			"users.csv",
			"sourcedId,orgSourcedIds,givenName,familyName,username,role,grade\n" +
				"u1,\"o1, o2\",S,T,S@x.org,student,9\n",
			"classes.csv", "sourcedId,orgSourcedId,title\nc1,o1,C\n", "enrollments.csv",
			"classSourcedId,userSourcedId,role\nc1,u1,student\n"},
			district{"user": "u1"}, nil, "user/u1 orgs=o1;o2, user/u1 grades=09, user/u1 email=s@x.org, " +
				"class/c1 terms=school-year-2027", "the early four files"},
	} {
		today := func() time.Time { return time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC) }
		problems, rows, p := bulktest.ReadInto(t, bulktest.Folder(t, c.files...), bulk.Options{Now: today},
			true, c.stored.Stored())
		if strings.Join(problems, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", c.name, problems, c.want)
		}
		records := map[string]oneroster.Record{}
		for _, row := range rows {
			if !row.Skip {
				records[row.Resource.Name+"/"+row.ID()] = row.Record
			}
		}
		for _, want := range strings.Split(c.values, ", ") {
			id, rest, is := strings.Cut(want, " ")
			field, value, _ := strings.Cut(rest, "=")
			switch r := records[id]; {
			case c.values == "" && len(rows) > 0:
				t.Errorf("%s: %d rows are yielded", c.name, len(rows))
			case is && r.Resource == nil, !is && r.Resource != nil:
				t.Errorf("%s: %s is there: %v", c.name, id, r.Resource != nil)
			case is && strings.Join(oneroster.Items(r.Get(field)), ";") != value:
				t.Errorf("%s: %s is %q", c.name, want, r.Get(field))
			}
		}
		not, text := strings.HasPrefix(c.note, "-"), strings.TrimPrefix(c.note, "-")
		if text != "" && strings.Contains(strings.Join(p.Notes, "\n"), text) == not {
			t.Errorf("%s: notes %q, want %q", c.name, p.Notes, c.note)
		}
	}
}
