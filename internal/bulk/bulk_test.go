package bulk_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

const (
	orgs     = bulktest.Orgs
	users    = bulktest.Users
	classes  = bulktest.Classes
	enrolled = bulktest.Enrolled
	results  = bulktest.Results
)

type district = bulktest.District

// read checks a package and returns its problems and, by resource and id, its records.
func read(t *testing.T, path string, skipBad bool) ([]string, map[string]oneroster.Record, *bulk.Package) {
	t.Helper()
	problems, rows, p := bulktest.ReadInto(t, path, bulk.Options{}, skipBad, intake.Stored{})
	records := map[string]oneroster.Record{}
	for _, r := range rows {
		if !r.Skip {
			records[r.Resource.Name+"/"+r.ID()] = r.Record
		}
	}
	return problems, records, p
}

// What a package has is told as it is meant: columns that are read, columns that are not, what
// it was written for, and whether it says itself which files there are.
func TestWhatAPackageHas(t *testing.T) {
	early := slices.DeleteFunc(slices.Collect(slices.Chunk(v21(), 2)),
		func(file []string) bool { return file[0] == "roles.csv" })
	for _, c := range []struct {
		name   string
		files  []string
		tells  bool
		format string
		read   string // columns by file, in the order of files
		unread string
	}{
		{"OneRoster", []string{"orgs.csv", "SourcedId, name ,type,metadata.x,colour\n", "users.csv",
			"sourcedId,userName,password,metadata.\n"}, false, "OneRoster CSV",
			"orgs.csv[sourcedId name type metadata.x] users.csv[sourcedId username]",
			"orgs.csv[colour] users.csv[password metadata.]"},
		{"with a manifest, and a delta", []string{"manifest.csv", "propertyName,value\nfile.users,delta\n",
			"users.csv", "sourcedId,status\n"}, true, "OneRoster CSV", "", ""},
		{"School Data Sync v1", []string{"School.csv", "SIS ID,Name\n", "Section.csv", v1Section}, false,
			"School Data Sync v1", "School.csv[SIS ID Name] Section.csv[" +
				strings.ReplaceAll(strings.TrimSpace(v1Section), ",", " ") + "]", ""},
		{"School Data Sync v2.1", v21()[:6], false, "School Data Sync v2.1",
			"orgs.csv[sourcedId name type] roles.csv[userSourcedId orgSourcedId role grade isPrimary] " +
				"users.csv[sourcedId username givenName familyName]", ""},
		{"its early files", slices.Concat(early...), false, "School Data Sync v2, the early four files",
			"academicSessions.csv", ""},
	} {
		p, err := bulk.Open(bulktest.Folder(t, c.files...), bulk.Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		columns := func(of map[string][]string) string {
			var out []string
			for _, name := range slices.Sorted(maps.Keys(of)) {
				out = append(out, name+fmt.Sprint(of[name]))
			}
			return strings.Join(out, " ")
		}
		read, unread := p.Columns(p.Modes())
		if p.Tells() != c.tells || p.Format() != c.format || !strings.HasPrefix(columns(read), c.read) ||
			columns(unread) != c.unread {
			t.Errorf("%s: %v, %q\n%s\n%s", c.name, p.Tells(), p.Format(), columns(read), columns(unread))
		}
		_ = p.Close()
	}
}

func TestProblemsSayWhere(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  []string
	}{
		{"nothing wrong", []string{"orgs.csv", orgs, "users.csv", "\xef\xbb\xbf" + users +
			"u1,TRUE,o1,Student,a,\"A\nB\",C\r\n"}, nil},
		{"blank lines and semicolons", []string{"orgs.csv", "\n\nsourcedId;name;type\no1;A;school\n"}, nil},
		{"a role that is none", []string{"orgs.csv", orgs, "users.csv", users + "u1,true,o1,pupil,a,A,B\n"},
			[]string{`users.csv:2: role: "pupil" is not one of administrator, aide, guardian, parent, ` +
				`proctor, relative, student, teacher`}},
		{"an id twice", []string{"orgs.csv", orgs + "o1,,,Again,school\n"},
			[]string{`orgs.csv:3: sourcedId: "o1" is there twice in this file: keep one row`}},
		{"an unknown school", []string{"orgs.csv", orgs, "users.csv", users + "u1,true,o9,student,a,A,B\n"},
			[]string{`users.csv:2: orgSourcedIds: there is no org with the sourcedId "o9": add it to ` +
				`orgs.csv, or correct this id`}},
		{"a name missing", []string{"orgs.csv", "sourcedId,name,type\no1,,school\n"},
			[]string{`orgs.csv:2: name: is required and empty: fill it in`}},
		{"a column missing", []string{"orgs.csv", "sourcedId,name\no1,x\n"},
			[]string{`orgs.csv:1: the required column type is missing among sourcedId, name`}},
		{"a column twice", []string{"orgs.csv", "sourcedId,name,type,name\n"},
			[]string{`orgs.csv:1: column name is there twice: keep one`}},
		{"quotes", []string{"orgs.csv", orgs + "o2,,,\"x,school\n"},
			[]string{`orgs.csv:3: a quote opens on this line and is not closed before the end of the file: ` +
				`close it`}},
		{"a quote in the header", []string{"orgs.csv", "sourcedId,\"name,type\no1,A,school\n"},
			[]string{`orgs.csv:1: a quote opens on this line and is not closed before the end of the file: ` +
				`close it`}},
		{"an empty file", []string{"orgs.csv", ""},
			[]string{`orgs.csv is empty: it has not even a header; leave the file out`}},
		{"a delta without status", []string{"manifest.csv", "propertyName,value\nfile.orgs,delta\n",
			"orgs.csv", orgs},
			[]string{`orgs.csv:2: status: is empty in a delta file: write active or tobedeleted`}},
		{"a delta's link without status", bulktest.DeltaLinks("c1,,r1\n"),
			[]string{`classResources.csv:2: status: is empty in a delta file: write active or tobedeleted`}},
		{"a delta's links without status", append(bulktest.DeltaLinks(""), "classResources.csv",
			"classSourcedId,resourceSourcedId\nc1,r1\n"),
			[]string{`classResources.csv:1: the column status is required in a delta file`}},
	} {
		got, _, _ := read(t, bulktest.Folder(t, c.files...), false)
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestForeignValuesBecomeTheNearest(t *testing.T) {
	problems, records, _ := read(t, bulktest.Folder(t, "orgs.csv", "sourcedId,name,type\no1,A,College\n",
		"users.csv", users+"u1,true,o1,professor,a,A,B\n"), false)
	if len(problems) > 0 || records["org/o1"].Get("type") != "school" ||
		records["org/o1"].Get("metadata") != `{"original.type":"college"}` ||
		records["user/u1"].Get("role") != "teacher" ||
		records["user/u1"].Get("metadata") != `{"original.role":"professor"}` {
		t.Errorf("%q %v", problems, records)
	}
}

func TestWindows1252IsSaidAloud(t *testing.T) {
	problems, records, p := read(t, bulktest.Folder(t, "orgs.csv",
		"sourcedId,name,type\no1,\xc9cole,school\n"), false)
	if len(problems) > 0 || records["org/o1"].Get("name") != "École" || len(p.Notes) != 1 ||
		!strings.Contains(p.Notes[0], "Windows-1252") {
		t.Errorf("%q %v %q", problems, records, p.Notes)
	}
}

// A character that two reads share is whole: the file is longer than any buffer,
// and every alignment occurs.
func TestLongFileIsUTF8(t *testing.T) {
	for shift := range 4 {
		name := strings.Repeat("x", shift) + strings.Repeat("李é😀", 30000)
		_, records, p := read(t, bulktest.Folder(t, "orgs.csv",
			"sourcedId,name,type\no1,"+name+",school\n"), false)
		if len(p.Notes) > 0 || records["org/o1"].Get("name") != name {
			t.Errorf("shifted by %d: %q", shift, p.Notes)
		}
	}
}

func TestSchoolDataSync(t *testing.T) {
	v21 := []string{"orgs.csv", "sourcedId,name,type,parentSourcedId\no1,College,college,\n",
		"users.csv", "sourcedId,username,givenName,familyName,password,activeDirectoryMatchId,email,phone," +
			"sms\nu1,s@x.org,S,T,secret,,,,\ng1,g@y.org,G,H,,,,,\n",
		"roles.csv", "userSourcedId,orgSourcedId,role,sessionSourcedId,grade,isPrimary\n" +
			"u1,o1,student,,10,TRUE\n",
		"userFlags.csv", "userSourcedId,flag\nu1,iep\nu1,ell\n", "relationships.csv",
		"userSourcedId,relationshipUserSourcedId,relationshipRole\nu1,g1,guardian\n",
		"academicSessions.csv", "sourcedId,title,type,schoolYear,startDate,endDate\n" +
			"y,Y,schoolYear,2026,2025-08-01,2026-07-01\n",
		"classes.csv", "sourcedId,orgSourcedId,title,sessionSourcedIds,courseSourcedId\nc1,o1,C,,\n",
		"enrollments.csv", "classSourcedId,userSourcedId,role\nc1,u1,student\n"}
	section := ",Section Name,Term SIS ID,Term StartDate,Term EndDate\n"
	us := []string{"School.csv", "SIS ID,Name\ns1,School\n", "Section.csv", "SIS ID,School SIS ID" +
		section + "c1,s1,Maths,t1,2/1/2026,6/3/2026\n",
		"Student.csv", "SIS ID,School SIS ID,Username,Grade,Birthdate\nu1,s1,ann,9,4/2/2010\n",
		"StudentEnrollment.csv", "Section SIS ID,SIS ID\nc1,u1\n"}
	uk := []string{"School.csv", "DfE Number,Name\ns1,School\n", "Section.csv", "ID,School DfE Number" +
		section + "c1,s1,Maths,t1,2/1/2026,6/3/2026\n",
		"Student.csv", "ID,School DfE Number,Username\nu1,s1,ann\n"}
	early := []string{"orgs.csv", "sourcedId,name,type,parentSourcedId\no1,School,school,\n",
		"users.csv", "sourcedId,orgSourcedIds,givenName,familyName,username,password,role,grade\n" +
			"u1,o1,S,T,s,,student,9\n",
		"classes.csv", "sourcedId,orgSourcedId,title\nc1,o1,C\n", "enrollments.csv",
		"classSourcedId,userSourcedId,role\nc1,u1,student\n"}
	us = append(us, "User.csv", "Email,First Name,Last Name,Phone,SIS ID\nG@x.org,Gus,Gray,,u1\n",
		"Guardianrelationship.csv", "SIS ID,Email,Role\nu1,g@x.org,Parent\n")
	for _, c := range []struct {
		files                []string
		record, field, value string
	}{
		{v21, "org/o1", "type", "school"},
		{v21, "org/o1", "metadata", `{"original.type":"college"}`},
		{v21, "user/u1", "role", "student"},
		{v21, "user/u1", "agents", "g1"},
		{v21, "user/u1", "metadata", `{"microsoft.userFlags":"IEP,ELL"}`},
		{v21, "user/g1", "orgs", "o1"},
		{v21, "class/c1", "terms", "y"},
		{v21, "class/c1", "course", "c1_course"},
		{v21, "enrollment/c1_u1_student", "school", "o1"},
		{us, "academicSession/t1", "startDate", "2026-02-01"},
		{us, "academicSession/t1", "schoolYear", "2026"},
		{us, "user/u1", "grades", "09"},
		{us, "user/u1", "givenName", "ann"},
		{us, "demographics/u1", "birthDate", "2010-04-02"},
		{us, "enrollment/c1_u1_student", "class", "c1"},
		{us, "user/gua-7b377d4d75a939f151b8becbf7dea01d", "agents", "u1"},
		{us, "user/gua-7b377d4d75a939f151b8becbf7dea01d", "role", "parent"},
		{us, "user/gua-7b377d4d75a939f151b8becbf7dea01d", "orgs", "s1"},
		{early, "user/u1", "role", "student"},
		{early, "enrollment/c1_u1_student", "user", "u1"},
		{early, "class/c1", "course", "c1_course"},
		{uk, "academicSession/t1", "startDate", "2026-01-02"},
		{uk, "academicSession/t1", "endDate", "2026-03-06"},
	} {
		problems, records, _ := read(t, bulktest.Folder(t, c.files...), false)
		r := records[c.record]
		if len(problems) > 0 || r.Resource == nil || r.Get(c.field) != c.value {
			t.Errorf("%s %s: %q, want %q; problems %q", c.record, c.field, r.Values, c.value, problems)
		}
	}
}

// What is written reads back equal, and the same district makes the same bytes.
func TestWriteReadsBack(t *testing.T) {
	d := sandbox.New(sandbox.Options{Students: 40, Today: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
	byResource := map[*oneroster.Resource][]oneroster.Record{}
	if err := d.Records(context.Background(), func(r oneroster.Row) error {
		byResource[r.Resource] = append(byResource[r.Resource], r.Record)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	each := func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
		for _, rec := range byResource[r] {
			if err := yield(rec); err != nil {
				return err
			}
		}
		return nil
	}
	var one, two bytes.Buffer
	if _, err := bulk.Write(&one, each); err != nil {
		t.Fatal(err)
	}
	if _, err := bulk.Write(&two, each); err != nil || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("not the same bytes: %v", err)
	}
	path := filepath.Join(t.TempDir(), "d.zip")
	if err := os.WriteFile(path, one.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	problems, records, _ := read(t, path, false)
	if len(problems) > 0 {
		t.Fatalf("%q", problems)
	}
	if out := differs(byResource, records); out != "" {
		t.Error(out)
	}
}

// differs tells the first record that did not come back as it was.
func differs(byResource map[*oneroster.Resource][]oneroster.Record,
	records map[string]oneroster.Record) string {
	for r, recs := range byResource {
		for _, want := range recs {
			got := records[r.Name+"/"+want.ID()]
			for i := range r.Fields {
				w := want.Values[i]
				if i > oneroster.Modified && (got.Resource == nil || got.Values[i] != w) {
					return fmt.Sprintf("%s %s: %s came back as %q, was %q", r.Name, want.ID(),
						r.Fields[i].Name, got.Values, w)
				}
			}
		}
	}
	return ""
}
