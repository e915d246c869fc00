package bulk_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
)

// pack writes a zip of entries given as name, text, name, text, ….
func pack(t *testing.T, entries ...string) string {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(entries); i += 2 {
		w, err := z.Create(entries[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(entries[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "package.zip")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestZips(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []string
		wrong   string // "" is read
	}{
		{"at the top", []string{"orgs.csv", orgs}, ""},
		{"in one folder, from a Mac", []string{"district/", "", "district/orgs.csv", orgs,
			"__MACOSX/district/._orgs.csv", "x", "district/.DS_Store", "x", "district/read me.txt", "x"}, ""},
		{"two folders deep", []string{"a/b/orgs.csv", orgs}, ""},
		{"backslashes", []string{`a\orgs.csv`, orgs}, ""},
		{"another drive", []string{`C:\orgs.csv`, orgs}, "leads out of the package"},
		{"in two folders", []string{"a/orgs.csv", orgs, "b/users.csv", users}, "several folders (a, b)"},
		{"a zip in a zip", []string{"all.zip", "PK"}, "holds another zip, all.zip"},
		{"empty", nil, "is an empty zip"},
		{"an Excel workbook", []string{"[Content_Types].xml", "x", "xl/workbook.xml", "x"},
			"is an Excel workbook"},
		{"an Excel workbook as CSV", []string{"orgs.csv", "PK\x03\x04xx"}, ""},
		{"Clever", []string{"schools.csv", "x", "students.csv", "x", "teachers.csv", "x", "sections.csv",
			"x", "enrollments.csv", "x"}, "Clever's format"},
		{"Canvas", []string{"users.csv", "user_id,login_id,status\n", "courses.csv", "course_id\n"},
			"Canvas's SIS format"},
		{"OneRoster 1.2", []string{"orgs.csv", orgs, "roles.csv",
			"sourcedId,userSourcedId,roleType,role,orgSourcedId\n"}, "OneRoster 1.2"},
		{"a manifest in capitals", []string{"MANIFEST.CSV",
			"propertyName,value\nfile.orgs,delta\nfile.users,bulk\n", "Orgs.CSV", orgs},
			"promises users.csv"},
		{"a second manifest", []string{"manifest (1).csv", "propertyName,value\nfile.orgs,delta\n",
			"orgs.csv", orgs}, "manifest (1).csv may be meant as manifest.csv"},
		{"a manifest of another kind", []string{"manifest.csv.txt", "propertyName,value\nfile.orgs,delta\n",
			"orgs.csv", orgs}, "may be meant as manifest.csv"},
		{"a manifest by semicolons", []string{"manifest.csv", "propertyName;value\nfile.orgs;some\n",
			"orgs.csv", orgs}, `file.orgs is "some"`},
		{"a manifest with another header", []string{"manifest.csv", "name,mode\nfile.orgs,delta\n",
			"orgs.csv", orgs}, "the header of a manifest is propertyName,value"},
		{"a manifest with unknown keys", []string{"manifest.csv", "propertyName,value\nfiles.orgs,delta\n",
			"orgs.csv", orgs}, `"files.orgs" is no property`},
		{"a manifest of unknown files",
			[]string{"manifest.csv", "propertyName,value\nfile.pupils,delta\nfile.orgs,bulk\n", "orgs.csv",
				orgs}, `"pupils" is no file`},
		{"a manifest that contradicts itself",
			[]string{"manifest.csv", "propertyName,value\nfile.orgs,delta\nfile.orgs,bulk\n", "orgs.csv",
				orgs}, "there twice"},
		{"a manifest that is none", []string{"manifest.csv", "", "orgs.csv", orgs}, "manifest.csv is empty"},
		{"a manifest without a row for a file",
			[]string{"manifest.csv", "propertyName,value\nfile.users,absent\n", "orgs.csv", orgs},
			"does not say whether orgs.csv is bulk or delta"},
		{"names with a date", []string{"20260901_orgs.csv", orgs, "20260901_users.csv", users}, ""},
		{"names with a suffix", []string{"orgs-2026.csv", orgs, "users-2026.csv", users}, ""},
		{"names with two dates", []string{"20260901_orgs.csv", orgs, "20260902_users.csv", users},
			"may be meant as"},
		{"a hidden manifest", []string{".manifest.csv", "propertyName,value\nfile.orgs,delta\n", "orgs.csv",
			orgs}, ".manifest.csv may be meant as the manifest"},
		{"a hidden manifest among a Mac's shadows", []string{"__MACOSX/.manifest.csv", "x", "orgs.csv", orgs}, ""},
		{"a manifest under a long name", []string{"our manifest of today.csv",
			"propertyName,value\nfile.orgs,delta\n", "orgs.csv", orgs},
			"our manifest of today.csv may be meant as manifest.csv"},
		{"a Mac's shadow of a manifest", []string{"._manifest.csv", "x", "orgs.csv", orgs}, ""},
		{"a manifest in another folder", []string{"meta/manifest.csv",
			"propertyName,value\nfile.orgs,delta\n", "orgs.csv", orgs}, "several folders"},
		{"a copy beside", []string{"orgs.csv", orgs, "users (1).csv", users},
			"users (1).csv may be meant as users.csv"},
		{"two of a name", []string{"orgs.csv", orgs, "ORGS.csv", orgs}, "two files of that name"},
		{"out of the package", []string{"../orgs.csv", orgs}, "leads out of the package"},
		{"absolute", []string{"/orgs.csv", orgs}, "leads out of the package"},
		{"a Windows path", []string{`..\orgs.csv`, orgs}, "leads out of the package"},
		{"twice", []string{"orgs.csv", orgs, "x/orgs.csv", orgs}, "several folders (., x)"},
		{"twice in one folder", []string{"orgs.csv", orgs, "orgs.csv", orgs}, "two files of that name"},
		{"a bomb", []string{"orgs.csv", strings.Repeat("a", 40<<20)}, "far more than a district holds"},
		{"nothing of ours", []string{"cars.csv", "a\n"}, "no OneRoster 1.1 files"},
		{"a promise not kept", []string{"manifest.csv",
			"propertyName,value\nfile.users,bulk\nfile.orgs,bulk\n", "orgs.csv", orgs}, "promises users.csv"},
		{"a promise that a workbook would keep", []string{"manifest.csv",
			"propertyName,value\nfile.users,bulk\nfile.orgs,bulk\n", "orgs.csv", orgs, "users.xlsx", "x"},
			"promises users.csv, and it is missing (users.xlsx was not read: it is no CSV file; save it " +
				"as one)"},
		{"nothing but a workbook", []string{"users.xlsx", "x"},
			"no CSV file in it (users.xlsx was not read: it is no CSV file; save it as one)"},
		{"a mode that is none", []string{"manifest.csv", "propertyName,value\nfile.orgs,some\n", "orgs.csv",
			orgs}, `file.orgs is "some"`},
		{"version 1.0", []string{"manifest.csv", manifestHead + "oneroster.version,1.0\nfile.orgs,bulk\n",
			"orgs.csv", orgs}, ""},
		{"Clever by its columns", []string{"enrollments.csv", "School_id,Section_id,Student_id\n"},
			"Clever's format"},
		{"not Clever by its columns", []string{"orgs.csv", orgs, "enrollments.csv", "section_id\n"}, ""},
		{"Clever's names, two of three", []string{"orgs.csv", orgs, "Schools.csv", "x\n", "Students.csv",
			"x\n"}, ""},
		{"Canvas by its columns", []string{"enrollments.csv", "course_id,user_id\n", "courses.csv",
			"Course_ID\n"}, "Canvas's SIS format"},
		{"not Canvas by its columns", []string{"orgs.csv", orgs, "users.csv", "user_id\n", "courses.csv",
			"course_id\n"}, ""},
		{"OneRoster 1.2 by a column", []string{"orgs.csv", orgs, "users.csv",
			"sourcedId,userMasterIdentifier\n"}, "OneRoster 1.2"},
		{"OneRoster 1.2 by a file", []string{"orgs.csv", orgs, "userProfiles.csv", "x\n"}, "OneRoster 1.2"},
		{"School Data Sync, half of it", []string{"School.csv", "SIS ID,Name\n"},
			"no OneRoster 1.1 files (orgs.csv"},
		{"a name and a date without a sign", []string{"20260901orgs.csv", orgs, "20260901users.csv",
			users}, ""},
		{"a date that begins with nought", []string{"orgs0901.csv", orgs, "users0901.csv", users}, ""},
		{"a number before", []string{"9orgs.csv", orgs, "9users.csv", users}, ""},
		{"a name behind a letter", []string{"xorgs.csv", orgs}, "no OneRoster 1.1 files"},
		{"a date before and behind", []string{"2026_orgs.csv", orgs, "users_2026.csv", users},
			"may be meant as"},
		{"a copy alone", []string{"orgs (1).csv", orgs}, "orgs (1).csv may be meant as orgs.csv"},
		{"a copy by a word", []string{"orgs_copy.csv", orgs}, "orgs_copy.csv may be meant as orgs.csv"},
		{"a date and a stranger", []string{"2026_orgs.csv", orgs, "2026_cars.csv", "x"},
			"2026_orgs.csv may be meant as orgs.csv"},
		{"a date and a workbook", []string{"2026_orgs.csv", orgs, "cars.xlsx", "x"}, ""},
		{"a manifest with a date", []string{"2026_orgs.csv", orgs, "2026_manifest.csv",
			manifestHead + "file.orgs,some\n"}, `file.orgs is "some"`},
		{"a manifest misspelt by two", []string{"manyfezt.csv", "x", "orgs.csv", orgs},
			"may be meant as manifest.csv"},
		{"a manifest misspelt at its end", []string{"manif.csv.bak", "x", "orgs.csv", orgs}, ""},
		{"another word", []string{"manuals.csv", "x\n", "orgs.csv", orgs}, ""},
		{"a manifest with half a row", []string{"manifest.csv", manifestHead + "file.orgs\n", "orgs.csv",
			orgs}, "a row has a name and a value; this is \"file.orgs\""},
		{"a manifest of absent strangers", []string{"manifest.csv",
			manifestHead + "file.cars,absent\nfile.pupils,Absent\nfile.orgs,bulk\n", "orgs.csv", orgs}, ""},
		{"a manifest that says a thing twice", []string{"manifest.csv",
			manifestHead + "file.orgs,bulk\nfile.orgs,BULK\n", "orgs.csv", orgs}, ""},
		{"a manifest as the binding misprints it", []string{"manifest.csv",
			manifestHead + "file.orgs,bulk\nfile.courseResourses,absent\n", "orgs.csv", orgs}, ""},
		{"a manifest without groups", []string{"manifest.csv", manifestHead + "file.orgs,bulk\n",
			"orgs.csv", orgs, "classGroups.csv", "x\n"}, ""},
		{"a thousand entries", append([]string{"orgs.csv", orgs},
			strings.Split(strings.Repeat("read me.txt||", 998)+"read me.txt|", "|")...), ""},
		{"a thousand and one", append([]string{"orgs.csv", orgs},
			strings.Split(strings.Repeat("read me.txt||", 999)+"read me.txt|", "|")...),
			"1001 entries; a package has at most 1000"},
		{"another version", []string{"manifest.csv", "propertyName,value\noneroster.version,1.2\n",
			"orgs.csv", orgs}, `oneroster.version is "1.2"`},
	} {
		p, err := bulk.Open(pack(t, c.entries...), bulk.Options{})
		if err == nil {
			_ = p.Close()
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	problems, records, _ := read(t, pack(t, "district/orgs.csv", orgs), false)
	if len(problems) > 0 || len(records) != 1 {
		t.Errorf("%q %v", problems, records)
	}
}

// A large file that does not unpack to far more than it is packed to is no bomb.
func TestLargeFilesOfAZip(t *testing.T) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "orgs.csv", Method: zip.Store})
	if err == nil {
		_, err = w.Write([]byte(orgs + strings.Repeat("\n", 11<<20)))
	}
	path := filepath.Join(t.TempDir(), "package.zip")
	if err = errors.Join(err, z.Close(), os.WriteFile(path, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	p, err := bulk.Open(path, bulk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
}

// OneRoster 1.0 had other names for some columns.
func TestOlderColumns(t *testing.T) {
	problems, records, p := read(t, bulktest.Folder(t, "orgs.csv", orgs,
		"academicSessions.csv", "sourcedId,title,type,startDate,endDate,schoolYear\n"+
			"y,Y,schoolYear,2026-08-01,2027-08-01,2027\n",
		"courses.csv", "sourcedId,schoolYearId,title,orgSourcedId\nk,y,K,o1\n",
		"classes.csv", "sourcedId,title,courseSourcedId,classType,schoolSourcedId,termSourcedId\n"+
			"c,C,k,scheduled,o1,y\n",
		"users.csv", strings.TrimSpace(users)+
			",userId,agents,status\nu1,true,o1,student,a,A,B,{x:1},u2,\nu2,true,o1,parent,b,A,B,,,\n"+
			"u3,true,o1,student,c,A,B,,,inactive\n",
		"demographics.csv", "userSourcedId,birthdate\nu1,2012-01-02\n"), false)
	if notes := strings.Join(p.Notes, "\n"); !strings.Contains(notes,
		"has the columns of OneRoster 1.0 and was read as such") {
		t.Errorf("notes %q", notes)
	}
	if len(problems) > 0 || records["course/k"].Get("schoolYear") != "y" ||
		records["class/c"].Get("terms") != "y" || records["user/u1"].Get("agents") != "u2" ||
		records["user/u3"].Get("status") != "tobedeleted" ||
		records["demographics/u1"].Get("birthDate") != "2012-01-02" {
		t.Errorf("%q %v", problems, records)
	}
}

// A manifest that lies elsewhere in a folder is not overlooked.
func TestStrayManifests(t *testing.T) {
	for _, name := range []string{".manifest.csv", "meta/manifest.csv", "meta/Manifest (1).csv",
		".meta/manifest.csv"} {
		dir := bulktest.Folder(t, "orgs.csv", orgs)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("propertyName,value\nfile.orgs,delta\n"),
			0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := bulk.Open(dir, bulk.Options{}); err == nil || !strings.Contains(err.Error(),
			name+" may be meant as the manifest") {
			t.Errorf("%s: %v", name, err)
			if p != nil {
				_ = p.Close()
			}
		}
	}
}
