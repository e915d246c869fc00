package main

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"

	"rollbook/internal/bulk"
)

// A night is the files of an export, by name; days are others, by what they are.
type (
	night   map[string]string
	exports map[string]night
)

func unpacked(t *testing.T, name string) night {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	n := night{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		n[f.Name] = string(text)
	}
	return n
}

// A line is a row of a file; column is a cell of it.
type line struct {
	head, cells []string
}

func (l line) at(column string) int {
	i := slices.Index(l.head, column)
	if i < 0 {
		panic("there is no column " + column)
	}
	return i
}

func (l line) get(column string) string { return l.cells[l.at(column)] }

func (l line) set(column, value string) { l.cells[l.at(column)] = value }

// is tells whether a cell has one of some values.
func (l line) is(column string, values ...string) bool { return slices.Contains(values, l.get(column)) }

// lines reads a file, changes its rows, the header included, and writes it again.
func (n night) lines(file string, do func(rows [][]string) [][]string) {
	rows, err := csv.NewReader(strings.NewReader(n[file])).ReadAll()
	if err != nil {
		panic(err)
	}
	var out bytes.Buffer
	if err := bulk.NewCSV(&out).WriteAll(do(rows)); err != nil {
		panic(err)
	}
	n[file] = out.String()
}

// keep keeps the rows of a file for which a function, that may change them, is true.
func (n night) keep(file string, which func(l line) bool) {
	n.lines(file, func(rows [][]string) [][]string {
		head := slices.Clone(rows[0])
		return slices.Insert(slices.DeleteFunc(rows[1:], func(cells []string) bool {
			return !which(line{head, cells})
		}), 0, head)
	})
}

func (n night) edit(file string, do func(l line)) {
	n.keep(file, func(l line) bool { do(l); return true })
}

// set gives all rows of a file one value.
func (n night) set(file, column, value string) {
	n.edit(file, func(l line) { l.set(column, value) })
}

// head changes the first line of a file.
func (n night) head(file, old, new string) {
	first, rest, _ := strings.Cut(n[file], "\n")
	n[file] = strings.Replace(first, old, new, 1) + "\n" + rest
}

// cut keeps so many rows of a file.
func (n night) cut(file string, rows int) {
	n.keep(file, func(line) bool { rows--; return rows >= 0 })
}

// ids writes ids anew wherever they stand: files and columns of each are named with
// it.
func (n night) ids(to func(id string) string, columns ...string) {
	for _, c := range columns {
		file, column, _ := strings.Cut(c, ".")
		n.edit(file+".csv", func(l line) {
			items := strings.Split(l.get(column), ",")
			for i := range items {
				if items[i] != "" {
					items[i] = to(items[i])
				}
			}
			l.set(column, strings.Join(items, ","))
		})
	}
}

// userIDs are where an id of a user stands.
var userIDs = []string{"users.sourcedId", "users.agentSourcedIds", "demographics.sourcedId",
	"enrollments.userSourcedId", "results.studentSourcedId"}

// gone takes people away wherever they stand.
func (n night) gone(which func(l line) bool) {
	ids := map[string]bool{}
	n.keep("users.csv", func(l line) bool {
		ids[l.get("sourcedId")] = which(l)
		return !which(l)
	})
	n.edit("users.csv", func(l line) {
		l.set("agentSourcedIds", strings.Join(slices.DeleteFunc(strings.Split(l.get("agentSourcedIds"), ","),
			func(id string) bool { return ids[id] }), ","))
	})
	for file, column := range map[string]string{"demographics.csv": "sourcedId",
		"enrollments.csv": "userSourcedId", "results.csv": "studentSourcedId"} {
		n.keep(file, func(l line) bool { return !ids[l.get(column)] })
	}
}

// school takes a school away with all that hangs on it.
func (n night) school(id string) {
	n.keep("orgs.csv", func(l line) bool { return !l.is("sourcedId", id) })
	courses, classes, items := map[string]bool{}, map[string]bool{}, map[string]bool{}
	n.keep("courses.csv", func(l line) bool {
		courses[l.get("sourcedId")] = l.is("orgSourcedId", id)
		return !l.is("orgSourcedId", id)
	})
	n.keep("courseResources.csv", func(l line) bool { return !courses[l.get("courseSourcedId")] })
	n.keep("classes.csv", func(l line) bool {
		classes[l.get("sourcedId")] = l.is("schoolSourcedId", id)
		return !l.is("schoolSourcedId", id)
	})
	n.keep("lineItems.csv", func(l line) bool {
		items[l.get("sourcedId")] = classes[l.get("classSourcedId")]
		return !classes[l.get("classSourcedId")]
	})
	n.keep("results.csv", func(l line) bool { return !items[l.get("lineItemSourcedId")] })
	n.keep("enrollments.csv", func(l line) bool { return !classes[l.get("classSourcedId")] })
	n.keep("classResources.csv", func(l line) bool { return !classes[l.get("classSourcedId")] })
	n.edit("classGroups.csv", func(l line) {
		l.set("classSourcedIds", strings.Join(slices.DeleteFunc(strings.Split(l.get("classSourcedIds"), ","),
			func(id string) bool { return classes[id] }), ","))
	})
	n.keep("classGroups.csv", func(l line) bool { return !l.is("classSourcedIds", "") })
	n.edit("users.csv", func(l line) {
		l.set("orgSourcedIds", strings.Join(slices.DeleteFunc(strings.Split(l.get("orgSourcedIds"), ","),
			func(org string) bool { return org == id }), ","))
	})
	n.gone(func(l line) bool { return l.is("orgSourcedIds", "") })
}

// swapped is one of two for the other.
func swapped(a, b string) func(string) string {
	return func(text string) string {
		switch text {
		case a:
			return b
		case b:
			return a
		}
		return text
	}
}

// pupil tells of every so manieth student, beginning with the first.
func pupil(every int) func(l line) bool {
	i := 0
	seen := map[string]bool{}
	return func(l line) bool {
		if !l.is("role", "student") {
			return false
		}
		id := l.get("sourcedId")
		if hit, known := seen[id]; known {
			return hit
		}
		seen[id] = i%every == 0
		i++
		return seen[id]
	}
}

// shift gives each row of a column the value of the row above.
func (n night) shift(file, column string) {
	last := ""
	n.edit(file, func(l line) {
		value := l.get(column)
		l.set(column, last)
		last = value
	})
	n.lines(file, func(rows [][]string) [][]string {
		rows[1][slices.Index(rows[0], column)] = last
		return rows
	})
}

func (n night) dates(file string, years int, columns ...string) {
	n.edit(file, func(l line) {
		for _, column := range columns {
			if at, err := time.Parse(time.DateOnly, l.get(column)); err == nil {
				l.set(column, at.AddDate(years, 0, 0).Format(time.DateOnly))
			}
		}
	})
}

// latin1 reads UTF-8 as Latin-1 and writes it again.
func latin1(text string) string {
	var out strings.Builder
	for _, b := range []byte(text) {
		out.WriteRune(rune(b))
	}
	return out.String()
}

// A badNight is what happens to an export, and the guard that must hold it, or that it
// is "refused". spoil gives the package.
type badNight struct {
	name, guard string
	spoil       func(n night, days exports) []byte
}

var badNights = []badNight{
	// The five that were seen.
	{"half of the pupils missing everywhere", "loss", spoilt(func(n night, _ exports) {
		n.gone(pupil(2))
	})},
	{"enrollments of one row", "loss", spoilt(func(n night, _ exports) { n.cut("enrollments.csv", 1) })},
	{"e-mail under a name that nobody knows", "columns",
		spoilt(func(n night, _ exports) { n.head("users.csv", ",email,", ",contactpoint,") })},
	{"e-mail under a name that is known", "columns",
		spoilt(func(n night, _ exports) { n.head("users.csv", ",email,", ",primaryEmail,") })},
	{"ids of users shifted by a row", "hands", spoilt(func(n night, _ exports) {
		n.shift("users.csv", "sourcedId")
	})},
	{"users without every second pupil", "refused", spoilt(func(n night, _ exports) {
		half := pupil(2)
		n.keep("users.csv", func(l line) bool { return !half(l) })
	})},
	// Cut.
	{"users cut at a line", "refused", spoilt(func(n night, _ exports) { n.cut("users.csv", 200) })},
	{"enrollments cut at a line", "loss", spoilt(func(n night, _ exports) {
		n.cut("enrollments.csv", 1500)
	})},
	{"demographics cut at a line", "loss", spoilt(func(n night, _ exports) {
		n.cut("demographics.csv", 150)
	})},
	{"results cut at a line", "loss", spoilt(func(n night, _ exports) { n.cut("results.csv", 700) })},
	{"enrollments cut at a byte", "refused", spoilt(func(n night, _ exports) {
		all := n["enrollments.csv"]
		row := len(all)/2 + strings.Index(all[len(all)/2:], "\n")
		n["enrollments.csv"] = all[:row+len("\nenr-001-001-1-01,,,cls")]
	})},
	{"users cut in a quote", "refused", spoilt(func(n night, _ exports) {
		n["users.csv"] = n["users.csv"][:strings.LastIndex(n["users.csv"], `"{LDAP`)+4]
	})},
	{"the package ends behind a file", "refused", spoilt(func(n night, _ exports) {
		delete(n, "enrollments.csv")
	})},
	{"a file less, no manifest", "columns", spoilt(func(n night, _ exports) {
		delete(n, "manifest.csv")
		delete(n, "demographics.csv")
	})},
	{"a zip cut", "refused", func(n night, _ exports) []byte { all := zipped(n); return all[:len(all)/2] }},
	{"an empty zip", "refused", func(night, exports) []byte { return zipped(nil) }},
	{"a file of no bytes", "refused", func(night, exports) []byte { return []byte{} }},
	{"headers only", "refused", spoilt(func(n night, _ exports) {
		for file := range n {
			if file != "manifest.csv" {
				n.cut(file, 0)
			}
		}
	})},
	{"users with a header only", "refused", spoilt(func(n night, _ exports) { n.cut("users.csv", 0) })},
	// Files of another time, and of others.
	{"the enrollments of next year", "refused", spoilt(func(n night, days exports) {
		n["enrollments.csv"] = days["next"]["enrollments.csv"]
	})},
	{"the users of next year", "refused", spoilt(func(n night, days exports) {
		n["users.csv"] = days["next"]["users.csv"]
	})},
	{"the classes of next year", "refused", spoilt(func(n night, days exports) {
		n["classes.csv"] = days["next"]["classes.csv"]
	})},
	{"next year's package", "loss", spoilt(func(n night, days exports) {
		clear(n)
		maps.Copy(n, days["next"])
	})},
	{"another district's package", "hands", spoilt(func(n night, days exports) {
		clear(n)
		maps.Copy(n, days["other"])
	})},
	{"another district's users", "refused", spoilt(func(n night, days exports) {
		for _, file := range []string{"users.csv", "demographics.csv"} {
			n[file] = days["other"][file]
		}
	})},
	{"two schools' people swapped", "moves", spoilt(func(n night, _ exports) {
		n.ids(swapped("sch-001", "sch-002"), "users.orgSourcedIds")
	})},
	{"two schools' enrollments and classes swapped", "moves", spoilt(func(n night, _ exports) {
		n.ids(swapped("sch-001", "sch-002"), "classes.schoolSourcedId", "enrollments.schoolSourcedId")
	})},
	{"two schools' ids swapped", "hands", spoilt(func(n night, _ exports) {
		n.ids(swapped("sch-001", "sch-002"), "orgs.sourcedId")
	})},
	// Letters.
	{"UTF-8 read as Latin-1", "refused", spoilt(func(n night, _ exports) {
		n["users.csv"] = latin1(n["users.csv"])
	})},
	{"UTF-8 read as Windows-1252", "garbled", spoilt(func(n night, _ exports) {
		n["users.csv"], _ = charmap.Windows1252.NewDecoder().String(n["users.csv"])
	})},
	{"letters written as question marks", "garbled", spoilt(func(n night, _ exports) {
		n["users.csv"] = strings.Map(func(c rune) rune {
			if c > 127 {
				return '?'
			}
			return c
		}, n["users.csv"])
	})},
	{"a file of a Greek machine", "refused", spoilt(func(n night, _ exports) {
		n["users.csv"] = strings.ReplaceAll(n["users.csv"], "é", "\xe1\xed\xdc")
	})},
	// Columns and values.
	{"a column moved under another's header", "change", spoilt(func(n night, _ exports) {
		n.head("users.csv", "givenName,familyName,middleName", "familyName,givenName,middleName")
	})},
	{"e-mail and phone under each other's header", "change", spoilt(func(n night, _ exports) {
		n.head("users.csv", "email,sms,phone", "phone,sms,email")
	})},
	{"given and family names swapped", "change", spoilt(func(n night, _ exports) {
		n.edit("users.csv", func(l line) {
			given := l.get("givenName")
			l.set("givenName", l.get("familyName"))
			l.set("familyName", given)
		})
	})},
	{"names shifted by a row", "hands", spoilt(func(n night, _ exports) {
		n.shift("users.csv", "givenName")
		n.shift("users.csv", "familyName")
		n.shift("users.csv", "email")
	})},
	{"e-mails shifted by a row", "change", spoilt(func(n night, _ exports) {
		n.shift("users.csv", "email")
	})},
	{"all grades empty", "emptied", spoilt(func(n night, _ exports) { n.set("users.csv", "grades", "") })},
	{"everybody in grade 9", "falls", spoilt(func(n night, _ exports) {
		n.edit("users.csv", func(l line) {
			if l.is("role", "student") {
				l.set("grades", "09")
			}
		})
	})},
	{"all roles student", "loss", spoilt(func(n night, _ exports) {
		n.set("users.csv", "role", "student")
	})},
	{"all enrollments as student", "loss", spoilt(func(n night, _ exports) {
		n.set("enrollments.csv", "role", "student")
		n.set("enrollments.csv", "primary", "")
	})},
	{"roles of enrollments swapped", "loss", spoilt(func(n night, _ exports) {
		n.ids(swapped("teacher", "student"), "enrollments.role")
		n.set("enrollments.csv", "primary", "")
	})},
	{"usernames emptied", "refused", spoilt(func(n night, _ exports) {
		n.set("users.csv", "username", "")
	})},
	{"e-mails all the same", "sds", spoilt(func(n night, _ exports) {
		n.set("users.csv", "email", "info@x.example")
	})},
	{"e-mails of a domain with a typo", "change", spoilt(func(n night, _ exports) {
		n.edit("users.csv", func(l line) { l.set("email", l.get("email")+"x") })
	})},
	{"e-mails emptied", "emptied", spoilt(func(n night, _ exports) { n.set("users.csv", "email", "") })},
	{"all accounts disabled", "change", spoilt(func(n night, _ exports) {
		n.set("users.csv", "enabledUser", "false")
	})},
	{"all teachers disabled", "loss", spoilt(func(n night, _ exports) {
		n.edit("users.csv", func(l line) {
			if l.is("role", "teacher") {
				l.set("enabledUser", "false")
			}
		})
	})},
	{"family links gone", "emptied", spoilt(func(n night, _ exports) {
		n.set("users.csv", "agentSourcedIds", "")
	})},
	{"classes renamed to blanks", "refused", spoilt(func(n night, _ exports) {
		n.set("classes.csv", "title", " ")
	})},
	{"classes all of one name", "change", spoilt(func(n night, _ exports) {
		n.set("classes.csv", "title", "Class")
	})},
	{"dates of sessions moved by a year", "sds", spoilt(func(n night, _ exports) {
		n.dates("academicSessions.csv", -1, "startDate", "endDate")
	})},
	{"dates of enrollments moved by a year", "change", spoilt(func(n night, _ exports) {
		n.dates("enrollments.csv", -1, "beginDate", "endDate")
	})},
	{"birth dates moved by a year", "change", spoilt(func(n night, _ exports) {
		n.dates("demographics.csv", 1, "birthDate")
	})},
	{"birth dates with month and day swapped", "refused", spoilt(func(n night, _ exports) {
		n.edit("demographics.csv", func(l line) {
			if d := strings.Split(l.get("birthDate"), "-"); len(d) == 3 {
				l.set("birthDate", d[0]+"-"+d[2]+"-"+d[1])
			}
		})
	})},
	// Ids.
	{"every user twice", "refused", spoilt(func(n night, _ exports) {
		_, rows, _ := strings.Cut(n["users.csv"], "\n")
		n["users.csv"] += rows
	})},
	{"everybody there twice, with another id", "sds", spoilt(func(n night, _ exports) {
		n.lines("users.csv", func(rows [][]string) [][]string {
			for _, row := range slices.Clone(rows[1:]) {
				row = slices.Clone(row)
				row[0] = "new-" + row[0]
				rows = append(rows, row)
			}
			return rows
		})
	})},
	{"ids of users prefixed", "loss", spoilt(func(n night, _ exports) {
		n.ids(func(id string) string { return "2026-" + id }, userIDs...)
	})},
	{"case of ids changed", "loss", spoilt(func(n night, _ exports) {
		n.ids(strings.ToUpper, userIDs...)
	})},
	{"leading zeros of ids lost", "loss", spoilt(func(n night, _ exports) {
		n.ids(func(id string) string { return strings.Replace(id, "-0", "-", 1) }, userIDs...)
	})},
	{"ids of enrollments prefixed", "loss", spoilt(func(n night, _ exports) {
		n.ids(func(id string) string { return "x" + id }, "enrollments.sourcedId")
	})},
	// What is gone.
	{"a school gone, its row alone", "refused", spoilt(func(n night, _ exports) {
		n.keep("orgs.csv", func(l line) bool { return !l.is("sourcedId", "sch-002") })
	})},
	{"a school gone with all that it has", "falls", spoilt(func(n night, _ exports) {
		n.school("sch-002")
	})},
	{"teachers gone", "loss", spoilt(func(n night, _ exports) {
		n.gone(func(l line) bool { return l.is("role", "teacher") })
	})},
	{"teachers' enrollments gone", "loss", spoilt(func(n night, _ exports) {
		n.keep("enrollments.csv", func(l line) bool { return !l.is("role", "teacher") })
	})},
	{"terms gone", "refused", spoilt(func(n night, _ exports) {
		n.keep("academicSessions.csv", func(l line) bool { return !l.is("type", "term") })
	})},
	{"families gone", "loss", spoilt(func(n night, _ exports) {
		n.gone(func(l line) bool { return l.is("role", "parent", "guardian", "relative") })
	})},
	{"only one grade left", "loss", spoilt(func(n night, _ exports) {
		n.gone(func(l line) bool { return l.is("role", "student") && !l.is("grades", "09") })
	})},
	{"a grade gone", "falls", spoilt(func(n night, _ exports) {
		n.gone(func(l line) bool { return l.is("grades", "09") })
	})},
	{"enrollments all of one class", "falls", spoilt(func(n night, _ exports) {
		n.edit("enrollments.csv", func(l line) {
			l.set("classSourcedId", "cls-001-001-1")
			l.set("schoolSourcedId", "sch-001")
		})
	})},
	{"half of the rows deleted by status", "loss", spoilt(func(n night, _ exports) {
		i := 0
		n.edit("enrollments.csv", func(l line) {
			if i++; i%2 == 0 {
				l.set("status", "tobedeleted")
			}
		})
	})},
	{"everybody deleted by status", "refused", spoilt(func(n night, _ exports) {
		n.set("users.csv", "status", "tobedeleted")
	})},
	// Manifests.
	{"a delta that says it is bulk", "refused", spoilt(func(n night, days exports) {
		clear(n)
		maps.Copy(n, days["delta"])
		n["manifest.csv"] = strings.ReplaceAll(n["manifest.csv"], ",delta", ",bulk")
	})},
	{"a delta without its manifest", "refused", spoilt(func(n night, days exports) {
		clear(n)
		maps.Copy(n, days["delta"])
		delete(n, "manifest.csv")
	})},
	{"a bulk file that says it is a delta", "refused", spoilt(func(n night, _ exports) {
		n["manifest.csv"] = strings.ReplaceAll(n["manifest.csv"], "bulk", "delta")
	})},
	{"a manifest without its end", "refused", spoilt(func(n night, _ exports) {
		n.cut("manifest.csv", 6)
	})},
}

// spoilt makes a package of files that are changed; days are other packages.
func spoilt(spoil func(n night, days exports)) func(night, exports) []byte {
	return func(n night, days exports) []byte {
		spoil(n, days)
		return zipped(n)
	}
}

func zipped(n night) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(n)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, n[name])
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// A morning is what import tells a program of a night.
type morning struct {
	State      string
	Objections []struct{ Guard, Text string }

	errs string // what it says beside that
}

func (v morning) guards() (out []string) {
	for _, o := range v.Objections {
		out = append(out, o.Guard)
	}
	return out
}

// A nightly brings packages to a district, as cron does.
type nightly struct {
	*testing.T
	dir string
}

func (n nightly) run(args ...string) (out, errs string, code int) {
	n.Helper()
	return rollbook(n.T, n.dir, append(args, "--db", "district.db")...)
}

func (n nightly) must(args ...string) {
	n.Helper()
	if out, errs, code := n.run(args...); code != 0 {
		n.Fatalf("rollbook %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
}

func (n nightly) bring(args ...string) (v morning, code int) {
	n.Helper()
	out, errs, code := n.run(append([]string{"import", "--json"}, args...)...)
	if code == 0 || code == exitHeld {
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			n.Fatalf("%s%s", out, errs)
		}
	}
	v.errs = errs
	return v, code
}

// exported is what the district serves, as bytes.
func (n nightly) exported() []byte {
	n.Helper()
	n.must("export", "now.zip")
	return n.read("now.zip")
}

func (n nightly) read(name string) []byte {
	n.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, name))
	if err != nil {
		n.Fatal(err)
	}
	return text
}

func (n nightly) write(name string, text []byte) {
	n.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, name), text, 0o600); err != nil {
		n.Fatal(err)
	}
}

// beside is another district that is the same.
func (n nightly) beside(t *testing.T) nightly {
	t.Helper()
	other := nightly{t, t.TempDir()}
	for _, name := range []string{"district.db", "district.db.key"} {
		other.write(name, n.read(name))
	}
	return other
}

// A score counts nights.
type score struct {
	sync.Mutex
	bad, kept, good, stopped int
}

func (c *score) count(of *int, n *int, is bool) {
	c.Lock()
	defer c.Unlock()
	if *of++; is {
		*n++
	}
}

// publishes brings nights that are ordinary.
func (n nightly) publishes(c *score, name string, args ...string) {
	n.Helper()
	v, code := n.bring(args...)
	c.count(&c.good, &c.stopped, code != 0)
	if code != 0 {
		n.Errorf("%s: exit %d, %v %s", name, code, v.Objections, v.errs)
	}
}

// Each bad night is held by the guard that is meant for it, or refused, and changes
// nothing: the next good one is published. Ordinary nights of a year are published.
func TestNightsThroughTheDoor(t *testing.T) {
	d, c := nightly{t, t.TempDir()}, &score{}
	d.must("sandbox", "life", "--days", "34", "--students", "360", "--delta")
	d.must("sandbox", "other.zip", "--seed", "2", "--students", "360")
	d.must("import", "--new", "life/day-00.zip")
	base := d.beside(t)
	t.Run("nights", func(t *testing.T) {
		t.Run("bad", func(t *testing.T) { base.badNights(t, c, d.dir) })
		t.Run("ordinary", func(t *testing.T) {
			t.Parallel()
			nightly{t, d.dir}.year(c)
		})
		t.Run("a school starts", func(t *testing.T) {
			t.Parallel()
			nightly{t, t.TempDir()}.start(c, filepath.Join(d.dir, "life"))
		})
	})
	t.Logf("%d bad nights, %d kept from readers: recall %.3f; %d ordinary nights, %d held: precision %.3f",
		c.bad,
		c.kept, float64(c.kept)/float64(c.bad), c.good, c.stopped,
		float64(c.kept)/float64(c.kept+c.stopped))
}

func (n nightly) badNights(t *testing.T, c *score, from string) {
	of := exports{}
	for name, file := range map[string]string{"one": "life/day-01.zip", "next": "life/day-23.zip",
		"delta": "life/day-01-delta.zip", "other": "other.zip"} {
		of[name] = unpacked(t, filepath.Join(from, file))
	}
	before, good := n.exported(), zipped(of["one"])
	const some = 8 // nights, one after the other, then a good one
	for rows := range slices.Chunk(badNights, some) {
		t.Run(rows[0].name, func(t *testing.T) {
			t.Parallel()
			n := n.beside(t)
			for _, x := range rows {
				n.write("bad.zip", x.spoil(maps.Clone(of["one"]), of))
				v, code := n.bring("bad.zip")
				kept := code == exitHeld && slices.Contains(v.guards(), x.guard)
				if x.guard == "refused" {
					kept = code == exitFailed
				}
				c.count(&c.bad, &c.kept, kept)
				if !kept {
					t.Errorf("%s: exit %d; it is %s that must keep it from readers, not %v\n%s", x.name, code,
						x.guard, v.Objections, v.errs)
				}
				t.Log(x.name)
				for _, o := range v.Objections {
					t.Log("   ", o.Guard, o.Text)
				}
				if !bytes.Equal(n.exported(), before) {
					t.Fatalf("%s: the district is not what it was", x.name)
				}
			}
			n.write("good.zip", good)
			n.publishes(c, "the good night", "good.zip")
		})
	}
}

// year brings the days of a life, with what a year has: a rollover and a closing that
// are announced, a new school, and once last year's package, that is held.
func (n nightly) year(c *score) {
	n.must("calendar", "closing", "--school", "sch-003", time.Now().Format(time.DateOnly))
	name := func(day int) string { return fmt.Sprintf("life/day-%02d.zip", day) }
	const rollover = 21
	for day := 1; day <= 32; day++ {
		if day == rollover {
			n.must("calendar", "rollover", time.Now().Format(time.DateOnly))
		}
		n.publishes(c, name(day), name(day))
		if day == rollover {
			n.must("calendar", "remove", "2")
		}
	}
	n.must("calendar", "remove", "1")
	before := n.exported()
	v, code := n.bring(name(rollover - 1))
	kept := code == exitHeld && slices.Contains(v.guards(), "loss")
	if c.count(&c.bad, &c.kept, kept); !kept {
		n.Errorf("last year's package: exit %d %v", code, v.Objections)
	}
	if !bytes.Equal(n.exported(), before) {
		n.Error("the district is not what it was")
	}
	n.must("calendar", "closing", "--school", "sch-003", time.Now().Format(time.DateOnly))
	closed := unpacked(n.T, filepath.Join(n.dir, name(33)))
	closed.school("sch-003")
	n.write("closed.zip", zipped(closed))
	n.publishes(c, "a closing", "closed.zip")
	n.must("calendar", "remove", "1")
	n.publishes(c, "a new school", name(33))
	n.publishes(c, name(34), name(34))
}

// start brings a district before its year has begun, then its first classes.
func (n nightly) start(c *score, life string) {
	files := unpacked(n.T, filepath.Join(life, "day-00.zip"))
	n.write("full.zip", zipped(files))
	for _, file := range []string{"classes.csv", "enrollments.csv", "classGroups.csv", "lineItems.csv",
		"results.csv", "classResources.csv"} {
		delete(files, file)
		files["manifest.csv"] = strings.Replace(files["manifest.csv"],
			"file."+strings.TrimSuffix(file, ".csv")+",bulk", "file."+strings.TrimSuffix(file, ".csv")+
				",absent", 1)
	}
	n.write("summer.zip", zipped(files))
	n.publishes(c, "the first import", "--new", "summer.zip")
	n.publishes(c, "the first classes", "full.zip")
	files = unpacked(n.T, filepath.Join(n.dir, "full.zip"))
	files.head("users.csv", ",email,", ",mail,")
	n.write("mail.zip", zipped(files))
	n.publishes(c, "e-mail under another name that is read", "mail.zip")
}
