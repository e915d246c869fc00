package main

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/bulk"
)

// A night is the files of an export, by name; days are others, by what they are.
type (
	night   map[string]string
	exports map[string]night
)

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

func unpacked(t *testing.T, name string) night {
	t.Helper()
	n := night{}
	eachFile(t, name, func(file, text string) { n[file] = text })
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
