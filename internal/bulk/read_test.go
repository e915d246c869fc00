package bulk_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

const manifestHead = "propertyName,value\n"

// A manifest that is there is understood, or the package is refused: a delta is
// never taken for bulk.
func TestManifestIsNeverGuessedAt(t *testing.T) {
	delta := "file.orgs,delta\n"
	org := "sourcedId,status,name,type\no2,active,New,school\n"
	for _, c := range []struct{ name, text, wrong string }{
		{"manifest.csv", manifestHead + delta, ""},
		{"Manifest.csv", manifestHead + delta, ""},
		{"manifest.CSV", manifestHead + delta, ""},
		{"manifest.csv", "PropertyName,Value\nFile.Orgs,Delta\n", ""},
		{"manifest.csv", "propertyName;value\nfile.orgs;delta\n", ""},
		{"manifest.csv", "sep=,\npropertyName,value\nfile.orgs,delta\n", ""},
		{"manifest.csv", manifestHead +
			"mainfest.version,1.0\nsource.systemVersion,7\nfile.roles,absent\n" + delta, ""},
		{"manifest.csv", manifestHead + "manifest.version,1.0\n",
			"does not say whether orgs.csv is bulk or delta"},
		{"manifest (1).csv", manifestHead + delta, "may be meant as manifest.csv"},
		{"manifest - Copy.csv", manifestHead + delta, "may be meant as manifest.csv"},
		{"manifest.csv.txt", manifestHead + delta, "may be meant as manifest.csv"},
		{"manifest", manifestHead + delta, "may be meant as manifest.csv"},
		{"manifest.xlsx", "PK", "may be meant as manifest.csv"},
		{"manifset.csv", manifestHead + delta, "may be meant as manifest.csv"},
		{"20260901_manifest.csv", manifestHead + delta, "may be meant as manifest.csv"},
		{"manifest.csv", "file.orgs,delta\n", "the header of a manifest is propertyName,value"},
		{"manifest.csv", "name,value\nfile.orgs,delta\n", "the header of a manifest is propertyName,value"},
		{"manifest.csv", "propertyName,mode\nfile.orgs,delta\n",
			"the header of a manifest is propertyName,value"},
		{"manifest.csv", "propertyName\nfile.orgs\n", "the header of a manifest is propertyName,value"},
		{"manifest.csv", "", "is empty"},
		{"manifest.csv", manifestHead + "file.org,delta\n", "\"org\" is no file of OneRoster 1.1"},
		{"manifest.csv", manifestHead + "mode,delta\n" + delta, `"mode" is no property of a manifest`},
		{"manifest.csv", manifestHead + delta + "file.orgs,bulk\n",
			"is there twice, as \"delta\" and as \"bulk\""},
		{"manifest.csv", manifestHead + "file.orgs,\n", `file.orgs is "": write bulk, delta or absent`},
		{"manifest.csv", manifestHead + "file.orgs,delta,\"x\n", "a quote opens on this line"},
		{"manifest.csv", "\xff\xfep\x00", "the header of a manifest is propertyName,value"},
	} {
		p, err := bulk.Open(bulktest.Folder(t, c.name, c.text, "orgs.csv", org), bulk.Options{})
		if err == nil {
			if mode := p.Modes()[oneroster.ByName("org")]; mode != oneroster.Delta {
				t.Errorf("%s %q: read as %v", c.name, c.text, mode)
			}
			_ = p.Close()
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s %q: %v, want %q", c.name, c.text, err, c.wrong)
		}
	}
	if _, err := bulk.Open(bulktest.Folder(t, "manifest.csv", manifestHead+delta,
		"Manifest.csv", manifestHead, "orgs.csv", org), bulk.Options{}); err == nil {
		t.Error("two manifests were taken")
	}
}

func encoded(t *testing.T, e encoding.Encoding, text string) string {
	t.Helper()
	out, err := e.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func utf16le(text string) string {
	var out bytes.Buffer
	_ = binary.Write(&out, binary.LittleEndian, utf16.Encode([]rune("\ufeff"+text)))
	return out.String()
}

func utf16be(text string) string {
	var out bytes.Buffer
	_ = binary.Write(&out, binary.BigEndian, utf16.Encode([]rune("\ufeff"+text)))
	return out.String()
}

// orgNamed is a file of orgs with the names given.
func orgNamed(names ...string) string {
	out := "sourcedId,name,type\n"
	for i, n := range names {
		out += "o" + string(rune('1'+i)) + "," + n + ",school\n"
	}
	return out
}

// What is not UTF-8 is read only where it can be what it is taken for.
func TestEncodings(t *testing.T) {
	for _, c := range []struct {
		name, text, encoding string
		want                 string // the name of o1, or what is wrong
		note                 string
	}{
		{"UTF-8", orgNamed("Zoë"), "", "Zoë", ""},
		{"one broken byte", orgNamed("Zoë", "Ren\xe9"), "",
			`orgs.csv:3: name: "Ren\xe9" holds control characters or is not UTF-8`, ""},
		{"one broken byte beside a Chinese letter", orgNamed("李", "Ren\xe9"), "",
			`orgs.csv:3: name: "Ren\xe9" holds control characters or is not UTF-8`, ""},
		{"Windows-1252", encoded(t, charmap.Windows1252, orgNamed("École Émile", "Müller", "O’Brien",
			"Peña", "Søren Åse", "Ægir", "Désirée", "Françoise", "Cœur", "Straße")), "",
			"École Émile", "orgs.csv is not UTF-8 and was read as Windows-1252, " +
				"which makes \"École\", \"Émile\", \"Müller\" of it"},
		{"Spanish", encoded(t, charmap.Windows1252, orgNamed("José Núñez", "Añover", "María", "Col·legi",
			"I.E.S. nº 3")), "", "José Núñez", "Windows-1252"},
		{"UTF-16", utf16le(orgNamed("Zoë 李")), "", "Zoë 李", "is UTF-16"},
		{"UTF-16 without its mark", utf16le(orgNamed("Zoë"))[2:], "", "holds NUL bytes", ""},
		{"UTF-16 named", utf16le(orgNamed("Zoë"))[2:], "utf-16le", "Zoë", ""},
		{"Shift_JIS", encoded(t, japanese.ShiftJIS, orgNamed("東京小学校", "山田太郎")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"Shift_JIS named", encoded(t, japanese.ShiftJIS, orgNamed("東京小学校")), "Shift_JIS", "東京小学校", ""},
		{"GBK", encoded(t, simplifiedchinese.GBK, orgNamed("北京第一小学", "李明")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"GBK named", encoded(t, simplifiedchinese.GBK, orgNamed("李明")), "gbk", "李明", ""},
		{"cp1250, Czech", encoded(t, charmap.Windows1250, orgNamed("Jiří Dvořák", "Němec", "Černý",
			"Žižkov")), "", "is not UTF-8, and read as Windows-1252 it would say", ""},
		{"cp1250, Polish", encoded(t, charmap.Windows1250, orgNamed("Łukasz Wójcik", "Świątek", "Dąbrowski",
			"Kamiński")), "", "is not UTF-8, and read as Windows-1252 it would say", ""},
		{"cp1250 named", encoded(t, charmap.Windows1250, orgNamed("Jiří")), "cp1250", "Jiří", ""},
		{"cp1251", encoded(t, charmap.Windows1251, orgNamed("Иван Петров", "Школа")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"cp1251 named", encoded(t, charmap.Windows1251, orgNamed("Школа")), "windows-1251", "Школа", ""},
		{"Mac Roman", encoded(t, charmap.Macintosh, orgNamed("René", "Zoë", "François", "Müller", "Muñoz")),
			"", "is not UTF-8, and read as Windows-1252 it would say", ""},
		{"Turkish", encoded(t, charmap.Windows1254, orgNamed("Işıl", "Yılmaz")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"Hebrew", encoded(t, charmap.Windows1255, orgNamed("דוד")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"a short name of cp1251", encoded(t, charmap.Windows1251, orgNamed("Ян")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"one Czech name", encoded(t, charmap.Windows1250, orgNamed("Dvořák")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"one Polish name", encoded(t, charmap.Windows1250, orgNamed("Kamiński")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"one Czech capital", encoded(t, charmap.Windows1250, orgNamed("Černý")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"Hungarian", encoded(t, charmap.Windows1250, orgNamed("Szűcs", "Erdős")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"Romanian", encoded(t, charmap.Windows1250, orgNamed("Popţa")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"a German name of a Mac", encoded(t, charmap.Macintosh, orgNamed("Schröder")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"one Chinese letter", encoded(t, simplifiedchinese.GBK, orgNamed("李")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"katakana", encoded(t, japanese.ShiftJIS, orgNamed("アン")), "",
			"is not UTF-8, and read as Windows-1252 it would say", ""},
		{"Nordic", encoded(t, charmap.Windows1252, orgNamed("Åse Sørensen", "Björk Guðmundsdóttir", "Þór",
			"Hélène", "Mäkelä", "Ängel Ö")), "", "Åse Sørensen", "Windows-1252"},
		{"Portuguese", encoded(t, charmap.Windows1252, orgNamed("João Simões", "Conceição", "Antônio",
			"Caíque")), "", "João Simões", "Windows-1252"},
		{"French", encoded(t, charmap.Windows1252, orgNamed("Lycée Où", "Anaïs Noël", "L’Haÿ",
			"Maître Benoît", "ÉCOLE ÉLÉMENTAIRE", "Sœur")), "", "Lycée Où", "Windows-1252"},
		{"Italian and German", encoded(t, charmap.Windows1252, orgNamed("Niccolò Libertà", "Jürgen Groß",
			"Özil", "§ 5 – „Haus“")), "", "Niccolò Libertà", "Windows-1252"},
		{"French with û", encoded(t, charmap.Windows1252, orgNamed("Août", "Jérôme", "Sûreté")), "",
			"Août", "Windows-1252"},
		{"Estonian", encoded(t, charmap.Windows1252, orgNamed("Tõnu", "Jõgi", "Mäe")), "", "Tõnu",
			"Windows-1252"},
		{"Mac Roman named", encoded(t, charmap.Macintosh, orgNamed("René")), "mac roman", "René", ""},
		{"UTF-16, big end first", utf16be(orgNamed("Zoë 李")), "", "Zoë 李", "is UTF-16"},
		{"UTF-8 whatever is named", orgNamed("Zoë"), "windows-1252", "Zoë", ""},
		{"UTF-8 with its mark", "\ufeff" + orgNamed("Zoë"), "", "Zoë", ""},
		{"Windows-1252 named", encoded(t, charmap.Windows1252, orgNamed("Zoë")), "ANSI", "Zoë", ""},
		{"what would not be plausible, named", encoded(t, charmap.Windows1252, orgNamed("aÉb")),
			"Windows 1252", "aÉb", ""},
		{"Mac Roman by another name", encoded(t, charmap.Macintosh, orgNamed("René")), "Mac OS Roman",
			"René", ""},
		{"a code page that is none", orgNamed("A"), "cp1259", `"cp1259" is no encoding that is known here`,
			""},
		{"a name that is none", orgNamed("A"), "klingon", `"klingon" is no encoding that is known here`, ""},
	} {
		var p *bulk.Package
		opt, err := bulk.Options{}, error(nil)
		if c.encoding != "" {
			opt.Encoding, err = bulk.Encoding(c.encoding)
		}
		if err == nil {
			p, err = bulk.Open(bulktest.Folder(t, "orgs.csv", c.text), opt)
		}
		got := ""
		if err == nil {
			checked, err2 := intake.Check(context.Background(), p, intake.Stored{}, intake.CheckOptions{})
			for _, x := range checked.Problems.List {
				got += x.String()
			}
			if err = err2; err == nil && got == "" {
				err = checked.Records(context.Background(), func(r oneroster.Row) error {
					if r.ID() == "o1" {
						got = r.Get("name")
					}
					return nil
				})
			}
		}
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if p != nil && !strings.Contains(strings.Join(p.Notes, "\n"), c.note) {
			t.Errorf("%s: %q, want %q", c.name, p.Notes, c.note)
		}
	}
}

// What is mended is said, and what a row has wrong is that row's alone.
func TestShapesOfFiles(t *testing.T) {
	const a = "sourcedId,name,type\n"
	for _, c := range []struct {
		name, file, text string
		want             []string // problems
		note             string
		ids              string
	}{
		{"semicolons", "orgs.csv", "sourcedId;name;type\no1;\"A;B\";school\n", nil,
			"separated by semicolons", "o1"},
		{"tabs", "orgs.csv", "sourcedId\tname\ttype\no1\tA, B\tschool\n", nil, "separated by tabs", "o1"},
		{"semicolons not throughout", "orgs.csv", "sourcedId;name;type\no1,A,school\n",
			[]string{"orgs.csv:2: this row is separated by commas and the header by semicolons: separate " +
				"all by commas"}, "", ""},
		{"semicolons in one row", "orgs.csv", a + ";A;school\no1,A,school\n",
			[]string{"orgs.csv:2: this row is separated by semicolons and the header by commas: separate " +
				"all by commas"}, "", "o1"},
		{"cells beyond the header", "orgs.csv", a + "o1,A,school,x\no2,B,school\n",
			[]string{"orgs.csv:2: the row has more cells than the header: correct the commas and quotes"},
			"", "o2"},
		{"nearly a column", "orgs.csv", "sourcedId,name,type,statos\no1,A,school,x\n", nil,
			"not read: did you mean status?", "o1"},
		{"hardly a column", "orgs.csv", "sourcedId,name,type,stoton\no1,A,school,x\n", nil,
			"the column stoton is none of OneRoster 1.1 and was not read", "o1"},
		{"sep=", "orgs.csv", "sep=;\r\nsourcedId;name;type\r\no1;A;school\r\n", nil,
			"the first line, sep=;, is for spreadsheets", "o1"},
		{"#TYPE", "orgs.csv", "#TYPE System.Data.DataRow\n\"sourcedId\",\"name\",\"type\"\n" +
			"\"o1\",\"A\",\"school\"\n", nil, "the first line, #TYPE", "o1"},
		{"CR", "orgs.csv", "sourcedId,name,type\ro1,A,school\ro2,B,school\r", nil, "old Macs", "o1 o2"},
		{"a quote inside", "orgs.csv", a + "o1,Ann \"Annie\",school\no2,B,school\n",
			[]string{`orgs.csv:2: a quote stands inside a cell that does not begin with one: ` +
				`put the cell in quotes and double those inside it, as in "Ann ""Annie"""`}, "", "o2"},
		{"a quote not closed", "orgs.csv",
			a + "o1,A,school\no2,\"B,school\no3,C,school\no4,\"D\",school\no5,E,school\n",
			[]string{"orgs.csv:3: the quote that opens on this line ends before something that is no " +
				"separator: close it, and double the quotes inside the cell"}, "", "o1 o3 o4 o5"},
		{"a quote never closed", "orgs.csv", a + "o1,A,school\no2,\"B,school\n" + "o3,C,school\n",
			[]string{"orgs.csv:3: a quote opens on this line and is not closed before the end of the " +
				"file: close it"}, "", "o1 o3"},
		{"blanks around quotes", "orgs.csv", a + "  \"o1\"  , \"A, B\" ,school\no2,  C ,\"school\" \r\n",
			nil, "", "o1 o2"},
		{"a quote that ends the file", "orgs.csv", a + "o1,A,\"school\"", nil, "ends without a line end",
			"o1"},
		{"a row that breaks off", "orgs.csv", a + "o1,A,school\no2,B", []string{
			"orgs.csv:3: the file breaks off in this row: the upload was cut; send the file again"}, "",
			"o1"},
		{"a first line of commas", "orgs.csv", ",,\r\n\r\n" + a + "o1,A,school\n", nil, "", "o1"},
		{"bars", "orgs.csv", "sourcedId|name|type\no1|A, B|school\n", nil, "separated by bars", "o1"},
		{"empty cells more", "orgs.csv", a + "o1,A,school,,\n,,\n\n   \n", nil, "", "o1"},
		{"a header that ends with a comma", "orgs.csv", "sourcedId,name,type,\no1,A,school,\n", nil, "",
			"o1"},
		{"a row too short", "orgs.csv", "sourcedId,name,type,identifier\no1,A,school,1\no2,A,school\n", nil,
			"1 row is shorter than the header, the first in line 3", "o1 o2"},
		{"no end", "orgs.csv", a + "o1,A,school", nil, "ends without a line end", "o1"},
		{"tab and CR in a value", "orgs.csv", a + "o1,\"A\tB\rC\",school\n", nil, "", "o1"},
		{"a bell in a value", "orgs.csv", a + "o1,A\aB,school\n",
			[]string{`orgs.csv:2: name: "A\aB" holds control characters or is not UTF-8`}, "", ""},
		{"a bell in metadata", "orgs.csv", "sourcedId,name,type,metadata.x\no1,A,school,B\aC\n",
			[]string{`orgs.csv:2: metadata.x: "B\aC" holds control characters or is not UTF-8`}, "", "o1"},
		{"in other case", "ORGS.CSV", a + "o1,A,school\n", nil, "", "o1"},
		{"a date before", "20260901_orgs.csv", a + "o1,A,school\n", nil, `"20260901_" was taken off`, "o1"},
		{"a date behind", "orgs-2026-09-01.csv", a + "o1,A,school\n", nil, `"-2026-09-01" was taken off`,
			"o1"},
		{"headers in other case", "orgs.csv", "SourcedID,NAME,Type\no1,A,school\n", nil,
			`the column SourcedID was read as sourcedId`, "o1"},
		{"a header misspelt", "orgs.csv", "sourceId,name,type\no1,A,school\n", nil,
			`the column sourceId was read as sourcedId`, "o1"},
		{"another name", "orgs.csv", "sourcedId,name,type,parent\no1,A,school,\n", nil,
			`the column parent was read as parentSourcedId`, "o1"},
		{"unknown", "orgs.csv", "sourcedId,name,type,identifyer\no1,A,school,\n", nil,
			`the column identifyer is none of OneRoster 1.1 and was not read: did you mean identifier?`,
			"o1"},
		{"one column under two names", "orgs.csv", "sourcedId,name,type,Name\n",
			[]string{`orgs.csv:1: the columns name and Name are both meant as name: keep one`}, "", ""},
	} {
		got, records, p := read(t, bulktest.Folder(t, c.file, c.text), true)
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
		for _, id := range strings.Fields(c.ids) {
			if r := records["org/"+id]; r.Resource == nil || strings.ContainsAny(r.Get("name"), "\t\r") {
				t.Errorf("%s: %s is %q", c.name, id, r.Values)
			}
		}
		if p == nil || len(records) != len(strings.Fields(c.ids)) || p != nil &&
			!strings.Contains(strings.Join(p.Notes, "\n"), c.note) {
			t.Errorf("%s: %d records, notes %q", c.name, len(records), p.Notes)
		}
	}
}

// Columns of people that a district cannot do without are found by other names.
func TestColumnsOfUsers(t *testing.T) {
	_, records, p := read(t, bulktest.Folder(t, "orgs.csv", orgs, "users.csv",
		"sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,E-Mail,Grade,"+
			"agentSourcedIDs\nu1,true,o1,student,a,A,B,a@x.org,09,u2\nu2,true,o1,parent,b,A,B,,,\n"), false)
	if u := records["user/u1"]; u.Resource == nil || u.Get("email") != "a@x.org" ||
		u.Get("grades") != "09" || u.Get("agents") != "u2" || len(p.Notes) != 3 {
		t.Errorf("%q %q", u.Values, p.Notes)
	}
	problems, records, p := read(t, bulktest.Folder(t, "orgs.csv", orgs, "users.csv",
		"sourcedId,orgSourcedIds,role,username,givenName,familyName,userId\nu1,o1,student,a,A,B,77\n",
		"academicSessions.csv", "sourcedId,title,type,startDate,endDate\n"+
			"y,Y,schoolYear,2026-08-01,2027-07-31\n"), false)
	if u := records["user/u1"]; len(problems) > 0 || u.Get("enabledUser") != "true" ||
		u.Get("userIds") != "userId\x1f77" && !strings.HasSuffix(u.Get("userIds"), "77") ||
		records["academicSession/y"].Get("schoolYear") != "2027" ||
		!strings.Contains(strings.Join(p.Notes, "\n"), "OneRoster 1.0") {
		t.Errorf("OneRoster 1.0: %q %v %q", problems, records, p.Notes)
	}
}

// What is no CSV file is not passed over without a word.
func TestFilesThatAreNoCSV(t *testing.T) {
	_, _, p := read(t, bulktest.Folder(t, "orgs.csv", orgs, "users.xlsx", "PK"), false)
	if !strings.Contains(strings.Join(p.Notes, "\n"), "users.xlsx was not read: it is no CSV file") {
		t.Errorf("%q", p.Notes)
	}
	dir := bulktest.Folder(t)
	for _, name := range []string{"a/orgs.csv", "a/users.csv", "b/orgs.CSV", "c/read me.txt"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(orgs),
			0o600)); err != nil {
			t.Fatal(err)
		}
	}
	want := "there are in " + filepath.Join(dir, "a") + ", " + filepath.Join(dir, "b") + ": give that"
	if got, _, _ := read(t, dir, false); len(got) != 1 || !strings.HasSuffix(got[0], want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, _, _ := read(t, bulktest.Folder(t), false); len(got) != 1 || !strings.HasSuffix(got[0],
		"there is no CSV file in it") {
		t.Errorf("%q", got)
	}
}

// An upload that goes on while a package is read, and what is no file, are refused.
func TestFoldersThatChange(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"grows": func(dir string) error {
			return appendTo(filepath.Join(dir, "orgs.csv"),
				"o2,,,New,school\n")
		},
		"same size": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "orgs.csv"), []byte(strings.Replace(orgs, "School",
				"Schule", 1)), 0o600)
		},
		"shrinks": func(dir string) error {
			return os.Truncate(filepath.Join(dir, "orgs.csv"),
				int64(len(orgs)-1))
		},
		"replaced": func(dir string) error {
			return os.Rename(filepath.Join(dir, "other"), filepath.Join(dir, "orgs.csv"))
		},
	} {
		dir := bulktest.Folder(t, "orgs.csv", orgs, "other", "sourcedId,name,type\no9,,,X,school\n")
		p, err := bulk.Open(dir, bulk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = intake.Check(context.Background(), p, intake.Stored{}, intake.CheckOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		err = p.Records(context.Background(), func(oneroster.Row) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "has changed while it was read") {
			t.Errorf("%s: %v", name, err)
		}
		_ = p.Close()
	}
	dir := bulktest.Folder(t, "orgs.csv", orgs)
	p, err := bulk.Open(dir, bulk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	path := filepath.Join(dir, "orgs.csv")
	_, err = intake.Check(context.Background(), p, intake.Stored{}, intake.CheckOptions{})
	if err == nil {
		err = errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	err = p.Records(context.Background(), func(oneroster.Row) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "is a pipe or a device") {
		t.Errorf("a file that became a pipe: %v", err)
	}
	if err = os.Remove(path); err != nil {
		t.Fatal(err)
	}
	err = p.Records(context.Background(), func(oneroster.Row) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "has gone or cannot be opened any more") {
		t.Errorf("a file that has gone: %v", err)
	}
	for name, put := range map[string]func(path string) error{
		"is a pipe or a device": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"path escapes":          func(path string) error { return os.Symlink("/etc/hosts", path) },
	} {
		dir := bulktest.Folder(t, "orgs.csv", orgs)
		if err := put(filepath.Join(dir, "users.csv")); err != nil {
			t.Fatal(err)
		}
		if _, err := bulk.Open(dir, bulk.Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := bulk.Open("/dev/zero", bulk.Options{}); err == nil || !strings.Contains(err.Error(),
		"is a pipe or a device") {
		t.Errorf("a device: %v", err)
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Close()
}

// A zip that cannot be unpacked says why.
func TestZipsThatAreDamaged(t *testing.T) {
	whole, err := os.ReadFile(pack(t, "orgs.csv", orgs+strings.Repeat("x", 500)))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(whole, []byte("PK\x01\x02")) // the table of contents
	set := func(b []byte, i int, v byte) []byte { b = bytes.Clone(b); b[i] = v; return b }
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"cut":            {whole[:len(whole)/2], "is a zip that breaks off"},
		"empty":          {nil, "is empty: export or upload it again"},
		"a password":     {set(whole, at+8, whole[at+8]|1), "is locked with a password"},
		"a method":       {set(whole, at+10, 93), "not read here (method 93)"},
		"a damaged byte": {set(whole, at-60, whole[at-60]^0xff), "cannot be read, it is damaged"},
		"no zip":         {[]byte("sourcedId,name"), "is neither a folder nor a zip"},
		"gzip":           {[]byte("\x1f\x8b\x08xxxxxxxxxxxxxxxxxxxxxxxx"), "is a gzip archive"},
		"old Excel":      {[]byte("\xd0\xcf\x11\xe0xxxxxxxxxxxxxxxxxxxxxxx"), "is an old Excel workbook"},
	} {
		path := filepath.Join(t.TempDir(), "p.zip")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		problems, _, _ := read(t, path, false)
		if len(problems) != 1 || !strings.Contains(problems[0], c.want) {
			t.Errorf("%s: %q, want %q", name, problems, c.want)
		}
	}

}

// Rows of any cells come back as encoding/csv writes them, in whatever pieces
// they arrive.
func TestRowsAreReadAsTheyAreWritten(t *testing.T) {
	alphabet := []string{"a", "é", ",", "\"", "\n", " ", ";", "李", "x y", "'"}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var text bytes.Buffer
		w := csv.NewWriter(&text)
		w.UseCRLF = rnd.IntN(2) == 0
		want := map[string]string{}
		_ = w.Write([]string{"sourcedId", "name", "type", "identifier"})
		for n := range 1 + rnd.IntN(4) {
			var name, id string
			for range 1 + rnd.IntN(6) {
				name += alphabet[rnd.IntN(len(alphabet))]
				id += alphabet[rnd.IntN(len(alphabet))]
			}
			key := "o" + string(rune('1'+n))
			want[key] = oneroster.OneLine("x"+name+"x") + "|" + oneroster.OneLine("y"+id+"y")
			_ = w.Write([]string{key, "x" + name + "x", "school", "y" + id + "y"})
		}
		w.Flush()
		problems, records, _ := read(t, bulktest.Folder(t, "orgs.csv", text.String()), false)
		if len(problems) > 0 || len(records) != len(want) {
			t.Fatalf("%q: %q", text.String(), problems)
		}
		for key, w := range want {
			if r := records["org/"+key]; r.Get("name")+"|"+r.Get("identifier") != w {
				t.Fatalf("%q: %q, want %q", text.String(), r.Values, w)
			}
		}
	}
}

// A quote that opens and is not closed costs no more than its own row.
func TestLongRowsAreBounded(t *testing.T) {
	rows := strings.Repeat("o,\u00c4,school\n", 200000) // 2.8 MB
	got, _, _ := read(t, bulktest.Folder(t, "orgs.csv", "sourcedId,name,type\no1,\"A,school\n"+rows), false)
	if len(got) == 0 || got[0] != "orgs.csv:2: a quote opens on this line and is not closed within 1 "+
		"MiB: close it" {
		t.Errorf("%q", got[:min(1, len(got))])
	}
	got, _, _ = read(t, bulktest.Folder(t, "orgs.csv", "sourcedId,name,type\no1,"+
		strings.Repeat("A", 1<<20+9)+",school\no2,B,school\n"), false)
	if len(got) != 1 || got[0] != "orgs.csv:2: the row is longer than 1 MiB: correct its line ends" {
		t.Errorf("%q", got)
	}
}

// Each quote that is not closed costs a look at what is behind it: there is an end to that.
func TestQuotesThatAreNotClosedAreBounded(t *testing.T) {
	for n, want := range map[int]string{
		200: "orgs.csv:201: a quote opens on this line and is not closed before the end of the file: close " +
			"it",
		201: "orgs.csv:202: 201 quotes are not closed: the file is not read further",
	} {
		got, _, _ := read(t, bulktest.Folder(t, "orgs.csv", "sourcedId,name,type\n"+
			strings.Repeat("o,\"A,school\n", n)), false)
		if last := got[len(got)-1]; last != want || n == 200 && len(got) != 200 {
			t.Errorf("%d quotes: %d problems, the last %q, want %q", n, len(got), last, want)
		}
	}
}
