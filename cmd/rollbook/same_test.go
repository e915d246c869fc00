package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// words meet the traps of CSV: quotes, commas, line ends, controls, spaces at the
// ends, letters of every kind, what spreadsheets take for formulas.
var traps = []string{"a", "A b", " x ", "O'Brien", `say "hi"`, "a,b", "tab\there", "line\nend", "cr\rhere",
	"crlf\r\nhere", "=1+1", "-2", "é", "李", "😀", "0012", "true",
	"{x:y}", "a;b", "\u00a0x", "null", "#TYPE", "sep=;", "'", "\\", "%"}

// randomPackage makes a right package of random values.
func randomPackage(rng *rand.Rand) map[string]string {
	cell := func() string { return quoteCSV(traps[rng.IntN(len(traps))]) }
	some := func() string {
		if rng.IntN(3) == 0 {
			return ""
		}
		return cell()
	}
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	var orgs, sessions, courses, classes, users, enrollments, demographics, resources, links bytes.Buffer
	fmt.Fprint(&orgs, "sourcedId,name,type,identifier,parentSourcedId,metadata.x\n")
	fmt.Fprint(&sessions, "sourcedId,title,type,startDate,endDate,schoolYear\n")
	fmt.Fprint(&courses, "sourcedId,title,orgSourcedId,schoolYearSourcedId,courseCode,grades,subjects\n")
	fmt.Fprint(&classes, "sourcedId,title,courseSourcedId,classType,schoolSourcedId,termSourcedIds,grades,periods\n")
	fmt.Fprint(&users, "sourcedId,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,email,phone,agentSourcedIds,grades,metadata.k,metadata.a.b\n")
	fmt.Fprint(&enrollments,
		"sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate\n")
	fmt.Fprint(&demographics, "sourcedId,birthDate,sex,asian,cityOfBirth\n")
	fmt.Fprint(&resources, "sourcedId,vendorResourceId,title,roles\nr1,v,x,\nr2,v,y,\"student,teacher\"\n")
	fmt.Fprint(&links, "sourcedId,classSourcedId,resourceSourcedId\n")
	for i := range 2 + rng.IntN(3) {
		parent := ""
		if i > 0 {
			parent = fmt.Sprint("o", rng.IntN(i))
		}
		fmt.Fprintf(&orgs, "o%d,%s,%s,%s,%s,%s\n", i, cell(), pick("school", "district", "College"), some(),
			parent, some())
		fmt.Fprintf(&sessions, "y%d,%s,%s,2026-08-0%d,%s,2027\n", i, cell(), pick("schoolYear", "Term"),
			i+1, pick("2027-01-01", "2027-01-01T00:00:00+05:00"))
		fmt.Fprintf(&courses, "k%d,%s,o0,y0,%s,%s,%s\n", i, cell(), some(), pick("", "09", `"09,10"`),
			pick("", "Maths", `"Maths,Art"`))
		fmt.Fprintf(&classes, "c%d,%s,k%d,scheduled,o1,%s,%s,%s\n", i, cell(), rng.IntN(i+1),
			pick("y0", `"y0,y1"`), pick("", "09"), pick("", `"1,3"`))
		if rng.IntN(2) == 0 {
			fmt.Fprintf(&links, "l%d,c%d,r%d\n", i, i, 1+rng.IntN(2))
		}
	}
	for i := range 3 + rng.IntN(6) {
		fmt.Fprintf(&users, "u%d,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s\n", i, pick("true", "FALSE"),
			pick("o0", `"o0,o1"`), pick("student", "Teacher", "professor"), cell(),
			pick("", "{a:b}", `"{a:b},{c:d:e}"`, "bare"), cell(), cell(), some(), some(), some(),
			pick("", "u0", "u1"), pick("", "09"), some(), some())
		fmt.Fprintf(&enrollments, "e%d,c%d,o1,u%d,%s,%s,%s\n", i, rng.IntN(2), i,
			pick("student", "teacher"), pick("", "true"), pick("", "2026-09-01"))
		fmt.Fprintf(&demographics, "u%d,%s,%s,%s,%s\n", i, pick("", "2012-02-29"), pick("", "Male"),
			pick("", "TRUE"), some())
	}
	return map[string]string{"orgs.csv": orgs.String(), "academicSessions.csv": sessions.String(),
		"courses.csv": courses.String(), "classes.csv": classes.String(),
		"users.csv": users.String(), "enrollments.csv": enrollments.String(),
		"demographics.csv": demographics.String(), "resources.csv": resources.String(),
		"classResources.csv": links.String()}
}

func quoteCSV(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// What is exported and imported again changes nothing, whatever the values are;
// ROLLBOOK_PACKAGES sets how many packages are tried.
func TestExportAndImportChangeNothing(t *testing.T) {
	t.Parallel()
	tries := 12
	if text := os.Getenv("ROLLBOOK_PACKAGES"); text != "" {
		var err error
		if tries, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range tries {
		files := randomPackage(rng)
		dir := write(t, files)
		for _, args := range []string{"import --new . --db d.db --shrink 100", "export out.zip --db d.db",
			"import out.zip --db d.db --json"} {
			out, errs, code := rollbook(t, dir, strings.Fields(args)...)
			if code != 0 || strings.HasSuffix(args, "--json") && !strings.Contains(out,
				`"dateLastModified":""`) {
				t.Fatalf("package %d, %s: %d\n%s%s%s", n, args, code, out, errs, files["users.csv"])
			}
		}
	}
}

// What was checked is what is imported, though a file becomes another afterwards; one
// that becomes another between two readings refuses the package, and what could never end
// is not begun.
func TestFilesThatMove(t *testing.T) {
	t.Parallel()
	dir := write(t, right)
	for _, args := range []string{"import --new . --db ../d.db"} {
		if _, errs, code := rollbook(t, dir, strings.Fields(args)...); code != 0 {
			t.Fatal(errs)
		}
	}
	p, err := bulk.Open(dir, bulk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	checked, err := intake.Check(t.Context(), p, intake.Stored{}, intake.CheckOptions{})
	if err != nil || checked.Problems.Total > 0 {
		t.Fatal(err, checked.Problems)
	}
	defer checked.Close()
	rows := func(records func(context.Context, func(oneroster.Row) error) error) (out []string, err error) {
		err = records(t.Context(), func(row oneroster.Row) error {
			out = append(out, fmt.Sprint(row.File, row.Line, row.Values))
			return nil
		})
		return out, err
	}
	was, err := rows(checked.Records)
	if err != nil || len(was) < 10 {
		t.Fatal(len(was), err)
	}
	whole := right["enrollments.csv"]
	for name, text := range map[string]string{"cut": whole[:len(whole)-20], "grown": whole +
		"e4,,,c1,s1,u1,teacher,,,\n", "edited": strings.Replace(whole, "u2", "u1", 1)} {
		if err := os.WriteFile(filepath.Join(dir, "enrollments.csv"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := rows(checked.Records); err != nil || !slices.Equal(got, was) {
			t.Errorf("%s: other rows are imported than were checked, or %v", name, err)
		}
		_, err := rows(p.Records)
		if err == nil || !strings.Contains(err.Error(), "enrollments.csv has changed while it was read") {
			t.Errorf("%s: %v", name, err)
		}
	}
	pipe := write(t, right)
	if err := errors.Join(os.Remove(filepath.Join(pipe, "users.csv")),
		syscall.Mkfifo(filepath.Join(pipe, "users.csv"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := rollbook(t, pipe, "import", ".", "--db", "../d.db"); code != 1 ||
		!strings.Contains(errs, "it is a pipe or a device") {
		t.Errorf("a pipe: %d %s", code, errs)
	}
	if _, errs, code := rollbook(t, pipe, "import", "users.csv", "--db", "../d.db"); code != 1 ||
		!strings.Contains(errs, "is a pipe or a device") {
		t.Errorf("a pipe as a package: %d %s", code, errs)
	}
}

// A damaged or locked zip is told as what it is.
func TestZipsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, text := range right {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	good := out.Bytes()
	central := bytes.Index(good, []byte("PK\x01\x02"))
	locked, method := slices.Clone(good), slices.Clone(good)
	for at := central; at >= 0 && at < len(good); {
		locked[at+8] |= 1
		method[at+10] = 12 // bzip2
		next := bytes.Index(good[at+4:], []byte("PK\x01\x02"))
		if next < 0 {
			break
		}
		at += 4 + next
	}
	for name, c := range map[string]struct {
		bytes []byte
		says  string
	}{
		"locked.zip":  {locked, "is locked with a password"},
		"bzip2.zip":   {method, "compressed in a way that is not read here"},
		"cut.zip":     {good[:central-10], "is a zip that breaks off"},
		"empty.zip":   {nil, "is empty"},
		"damaged.zip": {bytes.Replace(good, []byte("Ann,Ash"), []byte("Eve,Ash"), 1), "is damaged"},
		"book.xls":    {[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1xxxxxxxx"), "an old Excel workbook"},
		"pack.7z":     {[]byte("7z\xbc\xaf\x27\x1cxxxxxxxx"), "a 7z archive"},
		"good.zip":    {good, ""},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), c.bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, code := rollbook(t, dir, "import", "--new", name, "--db", name+".db")
		if (code == 0) != (c.says == "") || !strings.Contains(errs, c.says) {
			t.Errorf("%s: %d %s", name, code, errs)
		}
	}
}

// One wrong cell is one problem, and what hangs on it a line each; --problems csv
// is a file that a spreadsheet opens without harm, with all problems.
func TestCausesFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range []string{"sandbox d.zip --students 200", "import --new d.zip --db d.db"} {
		if _, errs, code := rollbook(t, dir, strings.Fields(args)...); code != 0 {
			t.Fatal(errs)
		}
	}
	in := filepath.Join(dir, "in")
	unpack(t, filepath.Join(dir, "d.zip"), in)
	edit(t, filepath.Join(in, "orgs.csv"), "sch-001,,,Riverside High School,school",
		"sch-001,,,Riverside High School,=skool")
	edit(t, filepath.Join(in, "users.csv"), "stu-000005,,,true,", "stu-000005,,,perhaps,")
	out, _, code := rollbook(t, dir, "import", in, "--db", "d.db", "--json")
	var told struct {
		State, Error          string
		ExitCode, Publication int
		Problems              intake.Problems
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || code != 1 || told.ExitCode != 1 ||
		told.State != "refused" || told.Publication != 2 || !strings.Contains(told.Error, "2 problems") {
		t.Fatal(err, code, out)
	}
	if list := told.Problems.List; told.Problems.Total != 2 || len(list) != 2 ||
		!strings.Contains(list[0].Text, "skool") || !strings.Contains(list[1].Text, "perhaps") {
		t.Errorf("two wrong cells are %v", told.Problems)
	}
	_, errs, code := rollbook(t, dir, "import", in, "--db", "d.db", "--problems", "csv")
	if code != 1 || !strings.HasPrefix(errs, "file,row,column,value,problem\n") || !strings.Contains(errs,
		",'=skool,") || strings.Contains(errs, "note:") || strings.Contains(errs, "rollbook:") {
		t.Errorf("%d %s", code, errs)
	}
	// In an empty district they have nothing to hang on: one line tells of all.
	if out, _, code = rollbook(t, dir, "import", in, "--new", "--db", "new.db", "--json"); code != 1 ||
		!strings.Contains(out, `"total":3`) {
		t.Errorf("%d %.900s", code, out)
	}
	if _, errs, code := rollbook(t, dir, "import", in, "--new", "--db", "new.db", "--skip-bad"); code != 4 {
		t.Errorf("%d %s", code, errs)
	}
	// nothing refers to nothing
	for _, args := range []string{"export new.zip --db new.db", "import --new new.zip --db other.db"} {
		if _, errs, code := rollbook(t, dir, strings.Fields(args)...); code != 0 {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
	before := entries(t, filepath.Join(dir, "d.zip"))
	if out, errs, code := rollbook(t, dir, "import", in, "--db", "d.db", "--skip-bad",
		"--json"); code != 4 || !strings.Contains(out, `"dateLastModified":""`) {
		t.Errorf("--skip-bad changed something: %d %.1400s%s", code, out, errs)
	}
	if _, errs, code := rollbook(t, dir, "export", "e.zip", "--db", "d.db"); code != 0 {
		t.Fatal(errs)
	}
	if after := entries(t, filepath.Join(dir, "e.zip")); len(after) != len(before) {
		t.Errorf("%d rows before, %d after", len(before), len(after))
	}
}

// unpack makes a folder of a zip.
func unpack(t *testing.T, name, dir string) {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, name, old, new string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil || !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%s has no %q: %v\n%.500s", name, old, err, text)
	}
	if err := os.WriteFile(name, bytes.Replace(text, []byte(old), []byte(new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}
