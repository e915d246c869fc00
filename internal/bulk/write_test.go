package bulk_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/oneroster"
)

// record makes a record of fields and values, name=value, with spaces in a list.
func record(t *testing.T, resource, id, status string, pairs ...string) oneroster.Record {
	t.Helper()
	rec := oneroster.NewRecord(oneroster.ByName(resource))
	rec.Values[oneroster.SourcedID], rec.Values[oneroster.Status] = id, status
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		i := rec.Resource.Index(name)
		if i < 0 {
			t.Fatalf("%s has no field %s", resource, name)
		}
		if rec.Resource.Fields[i].Kind.IsList() {
			value = oneroster.Join(strings.Fields(value)...)
		}
		rec.Values[i] = value
	}
	return rec
}

// unpacked is what a zip holds, in its order: a line "== name" before each file.
func unpacked(t *testing.T, data []byte) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		out.WriteString("== " + f.Name + "\n" + strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
	return out.String()
}

func yieldAll(recs []oneroster.Record, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	for _, rec := range recs {
		if rec.Resource == r {
			if err := yield(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// manifestWith is a manifest that Write makes, all absent but for what is named.
func manifestWith(mode string, stems ...string) string {
	out := "== manifest.csv\npropertyName,value\nmanifest.version,1.0\noneroster.version,1.1\n"
	for _, stem := range strings.Fields("academicSessions categories classes classResources courses " +
		"courseResources " +
		"demographics enrollments lineItems orgs resources results users") {
		m := "absent"
		for _, s := range stems {
			if s == stem {
				m = mode
			}
		}
		out += "file." + stem + "," + m + "\n"
	}
	return out
}

const (
	system      = "source.systemName,Rollbook\n"
	headClasses = "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType," +
		"location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods"
	headLinks   = "sourcedId,status,dateLastModified,title,classSourcedId,resourceSourcedId\n"
	headCourses = "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades," +
		"orgSourcedId,subjects,subjectCodes\n"
	headItems = "sourcedId,status,dateLastModified,title,description,assignDate,dueDate,classSourcedId," +
		"categorySourcedId,gradingPeriodSourcedId,resultValueMin,resultValueMax\n"
	headGroups = "sourcedId,status,dateLastModified,title,groupType,classSourcedIds\n"
)

// An export is a bulk package: what is active, each record and link once.
func TestWrite(t *testing.T) {
	active := func(resource, id string, pairs ...string) oneroster.Record {
		return record(t, resource, id, oneroster.Active, pairs...)
	}
	all := []oneroster.Record{
		active("course", "k1", "title=K", "org=o1", "resources=r1"),
		active("class", "c1", "title=C, 1", "course=k1", "school=o1", "terms=t1 t2", "classType=scheduled",
			"resources=r2 r1", `metadata={"b":"x","a":"1"}`),
		active("class", "c2", "title=D", "course=k1", "school=o1", "terms=t1", "classType=homeroom",
			"resources=r1", `metadata={"a":"2"}`),
		record(t, "class", "c3", oneroster.ToBeDeleted, "title=E", "resources=r1", `metadata={"gone":"1"}`),
		active("user", "u1", "username=a", "enabledUser=true", "givenName=A", "familyName=B", "role=student",
			"orgs=o1 o2", "agents=u2 u3", "grades=09 10",
			"userIds=ldap"+oneroster.PartSep+"a:b x"+oneroster.PartSep+"y"),
		active("lineItem", "l1", "title=L", "assignDate=2026-09-01T00:00:00.000Z",
			"dueDate=2026-09-02T13:30:00.000Z", "class=c1", "category=g1", "resultValueMin=0",
			"resultValueMax=10"),
		active("classGroup", "g1", "title=G", "groupType=x", "classes=c1 c2"),
		record(t, "org", "o9", oneroster.ToBeDeleted, "name=O", "type=school"),
	}
	var out bytes.Buffer
	counts, err := bulk.Write(&out, func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
		return yieldAll(all, r, yield)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := manifestWith("bulk", "classes", "classResources", "courses", "courseResources", "lineItems",
		"users") + system +
		"== classes.csv\n" + headClasses + ",metadata.a,metadata.b\n" +
		"c1,,,\"C, 1\",,k1,,scheduled,,o1,\"t1,t2\",,,,1,x\nc2,,,D,,k1,,homeroom,,o1,t1,,,,2,\n" +
		"== classResources.csv\n" + headLinks + "c1_r2,,,,c1,r2\nc1_r1,,,,c1,r1\nc2_r1,,,,c2,r1\n" +
		"== courses.csv\n" + headCourses + "k1,,,,K,,,o1,,\n" +
		"== courseResources.csv\n" + strings.Replace(headLinks, "class", "course", 1) + "k1_r1,,,,k1,r1\n" +
		"== lineItems.csv\n" + headItems + "l1,,,L,,2026-09-01,2026-09-02T13:30:00.000Z,c1,g1,,0,10\n" +
		"== users.csv\n" +
		"sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName," +
		"familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password\n" +
		"u1,,,true,\"o1,o2\",student,a,\"{ldap:a:b},{x:y}\",A,B,,,,,,\"u2,u3\",\"09,10\",\n" +
		"== classGroups.csv\n" + headGroups + "g1,,,G,x,\"c1,c2\"\n"
	if got := unpacked(t, out.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for name, n := range map[string]int{"classes": 2, "classResources": 3, "courseResources": 1, "orgs": 0,
		"users": 1} {
		if counts[name] != n {
			t.Errorf("%s has %d rows, said %d", name, n, counts[name])
		}
	}
}

// The same records are the same bytes, whatever members their metadata have; lines end as
// RFC 4180 has it.
func TestWriteTwice(t *testing.T) {
	org := record(t, "org", "o1", oneroster.Active, "name=O", "type=school",
		`metadata={"f":"1","b":"1","e":"1","a":"1","d":"1","c":"1"}`)
	packed := func() []byte {
		var out bytes.Buffer
		if _, err := bulk.Write(&out, func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
			return yieldAll([]oneroster.Record{org}, r, yield)
		}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	first := packed()
	for range 5 {
		if !bytes.Equal(packed(), first) {
			t.Fatal("other bytes")
		}
	}
	var line bytes.Buffer
	c := bulk.NewCSV(&line)
	if err := c.Write([]string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	if c.Flush(); line.String() != "a,b\r\n" {
		t.Errorf("%q", line.String())
	}
}

// A delta has what changed: each record as it is, or tobedeleted, and of a class
// the links that it has and those that it lost.
func TestWriteDelta(t *testing.T) {
	class := func(id, links string) oneroster.Record {
		return record(t, "class", id, oneroster.Active, "title=C", "course=k1", "school=o1", "terms=t1",
			"classType=scheduled", "resources="+links)
	}
	group := record(t, "classGroup", "g1", oneroster.Active, "title=G", "groupType=x", "classes=c1")
	changes := map[string][][2]oneroster.Record{
		"class": {{class("c1", "r1 r2"), class("c1", "r2 r3")}, {{}, class("c2", "r1")}, {class("c3",
			"r1"), {}}},
		"org": {{record(t, "org", "o1", oneroster.Active, "name=O", "type=school"), {}}},
	}
	const at = "2026-09-01T00:00:00.000Z"
	body := "== classes.csv\n" + headClasses + "\n" +
		"c1,active,@,C,,k1,,scheduled,,o1,t1,,,\nc2,active,@,C,,k1,,scheduled,,o1,t1,,,\n" +
		"c3,tobedeleted,@,C,,k1,,scheduled,,o1,t1,,,\n== classResources.csv\n" + headLinks +
		"c1_r1,tobedeleted,@,,c1,r1\nc1_r2,active,@,,c1,r2\nc1_r3,active,@,,c1,r3\nc2_r1,active,@,,c2,r1\n" +
		"c3_r1,tobedeleted,@,,c3,r1\n" +
		"== orgs.csv\nsourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\n" +
		"o1,tobedeleted,@,O,school,,\n"
	for _, c := range []struct {
		name   string
		groups [][2]oneroster.Record
		want   string
	}{
		{"without groups", nil, manifestWith("delta", "classes", "classResources", "orgs") + system + body},
		{"with groups", [][2]oneroster.Record{{{}, group}}, manifestWith("delta", "classes",
			"classResources", "orgs") +
			"file.classGroups,delta\n" + system + body + "== classGroups.csv\n" + headGroups +
			"g1,active,@,G,x,c1\n"},
	} {
		changes["classGroup"] = c.groups
		var out bytes.Buffer
		_, err := bulk.WriteDelta(&out, func(r *oneroster.Resource, yield func(before,
			after oneroster.Record) error) error {
			for _, pair := range changes[r.Name] {
				if err := yield(pair[0], pair[1]); err != nil {
					return err
				}
			}
			return nil
		}, at)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := unpacked(t, out.Bytes()), strings.ReplaceAll(c.want, "@", at); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

// An export that cannot be read or written to its end says so.
func TestWriteFails(t *testing.T) {
	broken := errors.New("the disk is full")
	org := record(t, "org", "o1", oneroster.Active, "name=O", "type=school")
	reads := 0
	each := func(after int) bulk.Each {
		return func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
			if reads++; reads > after {
				return broken
			}
			return yieldAll([]oneroster.Record{org}, r, yield)
		}
	}
	var whole bytes.Buffer
	if _, err := bulk.Write(&whole, each(1000)); err != nil {
		t.Fatal(err)
	}
	all := reads
	for after := range all {
		reads = 0
		if _, err := bulk.Write(io.Discard, each(after)); !errors.Is(err, broken) {
			t.Errorf("a reading that fails after %d of %d: %v", after, all, err)
		}
	}
	for n := range whole.Len() {
		reads = 0
		if _, err := bulk.Write(&short{n, broken}, each(1000)); !errors.Is(err, broken) {
			t.Fatalf("a disk of %d of %d bytes: %v", n, whole.Len(), err)
		}
	}
}

// short takes n bytes.
type short struct {
	n   int
	err error
}

func (s *short) Write(b []byte) (int, error) {
	if len(b) > s.n {
		return s.n, s.err
	}
	s.n -= len(b)
	return len(b), nil
}
