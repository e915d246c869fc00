package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

func TestFilterIsReadAsTheClientMeantIt(t *testing.T) {
	for _, c := range []struct{ resource, raw, want string }{
		{"user", "", "true"},
		{"user", "filter=", "true"},
		{"user", "filter=status='active'", `status = "active"`},
		{"user", "filter=status%3D%27ACTIVE%27", `status = "active"`},
		{"user", "filter=status=active", `status = "active"`},
		{"user", "filter=status=’active’", `status = "active"`},
		{"user", "?&filter=x", "error invalid_filter_field"},
		{"user", "&&filter=status='active'&", `status = "active"`},
		{"user", "filter=status='norecords'", "false"},
		{"user", "filter=status!='norecords'", "true"},
		{"user", "filter=role!='student'", `not(role = "student")`},
		{"user", "filter=familyName='O'Brien'", `familyName* = "o'brien"`},
		{"user", "filter=familyName='O''Brien'", `familyName* = "o'brien"`},
		{"user", "filter=familyName='O'Brien' AND role='student'", `and(familyName* = "o'brien" role = "student")`},
		{"user", "filter=role='student' and familyName='O'Brien'", `and(familyName* = "o'brien" role = "student")`},
		{"user", "filter=familyName='Salt AND Pepper'", `familyName* = "salt and pepper"`},
		{"user", "filter=familyName='a%25b_c,d'", `familyName* = "a%b_c,d"`},
		{"user", "filter=role='student' OR role='teacher' AND status='active'", `or(and(role = "teacher" status = "active") role = "student")`},
		{"user", "filter=email='a+b@x.org'", `or(email* = "a b@x.org" email* = "a+b@x.org")`},
		{"user", "filter=email='a%2Bb@x.org'", `email* = "a+b@x.org"`},
		{"user", "filter=dateLastModified>'2020-01-01T01:00:00.000Z'", `dateLastModified > "2020-01-01T01:00:00.000Z"`},
		{"user", "filter=dateLastModified>='2020-01-01'", `dateLastModified >= "2020-01-01T00:00:00.000Z"`},
		{"user", "filter=dateLastModified>'2020-01-01T01:00:00+02:00'", `dateLastModified > "2019-12-31T23:00:00.000Z"`},
		{"user", "filter=dateLastModified>='2020-01-01T01:00:00.0005Z'", `dateLastModified > "2020-01-01T01:00:00.000Z"`},
		{"user", "filter=dateLastModified<'2020-01-01T01:00:00.0005Z'", `dateLastModified <= "2020-01-01T01:00:00.000Z"`},
		{"user", "filter=dateLastModified='2020-01-01T01:00:00.0005Z'", "false"},
		{"user", "filter=dateLastModified>'soon'", "error invalid_filter_field"},
		{"enrollment", "filter=beginDate<='2026-09-01T12:00:00Z'", `beginDate <= "2026-09-01"`},
		{"enrollment", "filter=classSourcedId='c1'", `class = "c1"`},
		{"enrollment", "filter=class='c1'", `class = "c1"`},
		{"enrollment", "filter=class.sourcedId='C1'", `class = "C1"`},
		{"enrollment", "filter=class.type='class'", `not(class = "")`},
		{"enrollment", "filter=class.type='org'", "false"},
		{"enrollment", "filter=class.href='x'", "error invalid_filter_field"},
		{"user", "filter=orgs.sourcedId='s1'", `orgs has "s1"`},
		{"user", "filter=orgSourcedIds='s1'", `orgs has "s1"`},
		{"user", "filter=grades='09,10'", `or(and(grades* has "09" grades* has "10") grades* has "09,10")`},
		{"user", "filter=grades~'09,10'", `or(grades* contains "09" grades* contains "10")`},
		{"user", "filter=grades>'09'", "error invalid_filter_field"},
		{"user", "filter=userIds.identifier='x'", `userIds["identifier"]* has "x"`},
		{"user", "filter=metadata.microsoft.userFlags~'ELL'", `metadata["microsoft.userFlags"]* contains "ell"`},
		{"user", "filter=metadata='x'", "error invalid_filter_field"},
		{"user", "filter=username='norecords'", `username* = "norecords"`},
		{"user", "filter=nosuch='x'", "error invalid_filter_field"},
		{"user", "filter=Status='active'", "error invalid_filter_field"},
		{"user", "filter=status", "error invalid_filter_field"},
		{"user", "filter=status='active", "error invalid_filter_field"},
		{"user", "filter=(status='active')", "error invalid_filter_field"},
		{"user", "filter=status='active' AND (role='student' OR role='teacher')", "error invalid_filter_field"},
		{"user", "filter=status='active' AND ((role='student')", "error invalid_filter_field"},
		{"user", "filter=familyName='Salt AND (Pepper)'", `familyName* = "salt and (pepper)"`},
		{"user", "filter=status='active' AND ", "error invalid_filter_field"},
		{"user", "filter=status='active' AND", "error invalid_filter_field"},
		{"user", "filter='active'", "error invalid_filter_field"},
		{"user", "filter=" + strings.Repeat("status='active' OR ", 60) + "status='active'", "error invalid_filter_field"},
		{"user", "filter=status='" + strings.Repeat("x", 5000) + "'", "error invalid_filter_field"},
		{"user", "filter=userIds~'" + strings.Join(numbers(100), ",") + "'", "or("},
		{"user", "filter=userIds~'" + strings.Join(numbers(101), ",") + "'", "error invalid_filter_field"},
		{"user", "filter=grades='" + strings.Join(numbers(101), ",") + "'", "error invalid_filter_field"},
		{"result", "filter=score>='9.50'", `score >= "9.5"`},
		{"result", "filter=score='many'", "error invalid_filter_field"},
		{"result", "filter=score~'9'", "error invalid_filter_field"},
		{"user", "fields=", "error invalid_blank_selection_field"},
		// What cannot be read is never answered with every row, nor with none.
		{"user", "filter=role!='teacher' AND status:'active'", "error invalid_filter_field"},
		{"user", "filter=status!='tobedeleted'AND role='student'", "error invalid_filter_field"},
		{"user", "filter=role!='teacher' %26%26 status='tobedeleted'", "error invalid_filter_field"},
		{"user", "filter=status='active'/orgs?type='school'", "error invalid_filter_field"},
		{"user", "filter=status<>'tobedeleted'", "error invalid_filter_field"},
		{"user", "filter=status=='active'", "error invalid_filter_field"},
		{"user", "filter=status!=='active'", "error invalid_filter_field"},
		{"user", "filter=status=!'active'", "error invalid_filter_field"},
		{"user", "filter=status=>'active'", "error invalid_filter_field"},
		{"user", "filter=status~='active'", "error invalid_filter_field"},
		{"user", "filter=status!='tobedeleted' AND", "error invalid_filter_field"},
		{"user", "filter=status!=tobedeleted AND", "error invalid_filter_field"},
		{"user", "filter=status!=tobedeleted AND role", "error invalid_filter_field"},
		{"user", "filter=status!='tobedeleted' role='student'", "error invalid_filter_field"},
		{"user", "filter=status!='tobedeleted', role='student'", "error invalid_filter_field"},
		{"user", "filter=status!='tobedeleted'; role='student'", "error invalid_filter_field"},
		{"user", "filter=status!='tobedeleted' AND AND role='student'", "error invalid_filter_field"},
		{"user", "filter=role!='student,teacher'", "error invalid_filter_field"},
		{"user", "filter=role!='{{role}}'", "error invalid_filter_field"},
		{"user", "filter=role!='(select 1)'", "error invalid_filter_field"},
		{"user", "filter=enabledUser!='true' AND role eq 'student'", "error invalid_filter_field"},
		{"user", "filter=familyName!='x'AND role='student'", "error invalid_filter_field"},
		{"user", "filter=familyName!='x''AND role='student'", "error invalid_filter_field"},
		{"user", "filter=familyName!=''AND role='student'", "error invalid_filter_field"},
		{"user", "filter=familyName!='x' %26%26 role='student'", "error invalid_filter_field"},
		{"user", "filter=familyName!='x' AND role:'student'", "error invalid_filter_field"},
		{"user", "filter=familyName!='x' AND role eq 'student'", "error invalid_filter_field"},
		{"user", "filter=familyName!='x' AND (role eq 'student')", "error invalid_filter_field"},
		{"user", "filter=familyName!='x AND role='student'", "error invalid_filter_field"},
		{"user", "filter=familyName!='x'/orgs?type='school'", "error invalid_filter_field"},
		{"user", "filter=familyName<>'x'", "error invalid_filter_field"},
		{"user", "filter=familyName!=x AND", "error invalid_filter_field"},
		{"user", "filter=familyName!=x role=student", "error invalid_filter_field"},
		{"user", "filter=familyName!=x %26%26 role=student", "error invalid_filter_field"},
		{"user", "filter=sourcedId!='1' or '1'='1'", "error invalid_filter_field"},
		{"user", "filter=orgs.sourcedId!='s1' AND role:'student'", "error invalid_filter_field"},
		{"user", "filter=orgs.type!='org' %26%26 role='student'", "error invalid_filter_field"},
		{"user", "filter=dateLastModified~'2026' %26%26 role='student'", "error invalid_filter_field"},
		{"resource", "filter=roles!='student' %26%26 importance='primary'", "error invalid_filter_field"},
		{"result", "filter=score!='1_000'", "error invalid_filter_field"},
		{"result", "filter=score!='0x10'", "error invalid_filter_field"},
		{"result", "filter=scoreStatus='fully graded'", `scoreStatus = "fully graded"`},
		{"result", "filter=scoreStatus='Fully Graded'", `scoreStatus = "fully graded"`},
		{"result", "filter=scoreStatus~'graded'", `scoreStatus* contains "graded"`},
		{"result", "filter=scoreStatus!='fully graded' status='active'", "error invalid_filter_field"},
		{"academicSession", "filter=type='gradingPeriod'", `type = "gradingPeriod"`},
		{"academicSession", "filter=type!='gradingPeriod, term'", "error invalid_filter_field"},
		// What can still is.
		{"user", "filter=familyName='D'Or'", `familyName* = "d'or"`},
		{"user", "filter=familyName=O'Brien", `familyName* = "o'brien"`},
		{"user", "filter=familyName='van 't Hoff'", `familyName* = "van 't hoff"`},
		{"class", "filter=title='James'' class'", `title* = "james' class"`},
		{"class", "filter=title!='James' class'", "error invalid_filter_field"},
		{"class", "filter=title='the \"best\" class'", `title* = "the \"best\" class"`},
		{"class", "filter=title='Kid''s math = fun'", `title* = "kid's math = fun"`},
		{"class", "filter=title='a = b'", `title* = "a = b"`},
		{"class", "filter=title~'x' AND status!='tobedeleted'", `and(not(status = "tobedeleted") title* contains "x")`},
		{"user", "filter=email=a.b-c@x.org", `email* = "a.b-c@x.org"`},
		{"category", "filter=metadata.classId=c-1/2", `metadata["classId"]* = "c-1/2"`},
		{"user", "filter=role='student'  or  role = 'teacher'", `or(role = "student" role = "teacher")`},
	} {
		q, err := query.Parse(oneroster.ByName(c.resource), c.raw)
		got := q.Filter.String()
		var bad *query.Error
		if errors.As(err, &bad) {
			got = "error " + string(bad.Minor)
		}
		if got != c.want && !(c.want == "or(" && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s?%s\n got %s\nwant %s", c.resource, c.raw, got, c.want)
		}
	}
}

// numbers are so many different texts.
func numbers(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint("n", i))
	}
	return out
}
