package main

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// A badNight is what happens to an export, and the guard that must hold it, or that it
// is "refused". spoil gives the package.
type badNight struct {
	name, guard string
	spoil       func(n night, days exports) []byte
}

// spoilt makes a package of files that are changed; days are other packages.
func spoilt(spoil func(n night, days exports)) func(night, exports) []byte {
	return func(n night, days exports) []byte {
		spoil(n, days)
		return zipped(n)
	}
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
	{"users cut at a line", "refused", spoilt(func(n night, _ exports) { n.cut("users.csv", 100) })},
	{"enrollments cut at a line", "loss", spoilt(func(n night, _ exports) {
		n.cut("enrollments.csv", 750)
	})},
	{"demographics cut at a line", "loss", spoilt(func(n night, _ exports) {
		n.cut("demographics.csv", 75)
	})},
	{"results cut at a line", "loss", spoilt(func(n night, _ exports) { n.cut("results.csv", 350) })},
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
	{"everybody there twice, with another id and address", "growth", spoilt(func(n night, _ exports) {
		n.lines("users.csv", func(rows [][]string) [][]string {
			for _, row := range slices.Clone(rows[1:]) {
				l := line{rows[0], slices.Clone(row)}
				for _, column := range []string{"sourcedId", "username", "email", "identifier",
					"familyName"} {
					l.set(column, "x"+l.get(column))
				}
				rows = append(rows, l.cells)
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

// badNightsOfMany need twenty teachers: of fewer no percentage is taken.
var badNightsOfMany = []badNight{
	{"all teachers disabled", "loss", spoilt(func(n night, _ exports) {
		n.edit("users.csv", func(l line) {
			if l.is("role", "teacher") {
				l.set("enabledUser", "false")
			}
		})
	})},
}
