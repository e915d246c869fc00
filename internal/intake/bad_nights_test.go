package intake_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

// badNights are what happens to exports, and the guard that must hold each.
var badNights = []struct {
	name, guard string
	spoil       func(d district)
}{
	{"half of the pupils missing", "loss", func(d district) {
		all := every(2)
		d.drop("user", func(rec oneroster.Record) bool { return rec.Get("role") == "student" && all(rec) })
	}},
	{"half of the pupils missing, enrollments whole", "loss", func(d district) {
		n := 0
		d.drop("user", func(rec oneroster.Record) bool { n++; return is("role", "student")(rec) && n < 200 })
	}},
	{"enrollments of one row", "loss", func(d district) { d.drop("enrollment", not(first(1))) }},
	{"enrollments with a header only", "empties", func(d district) {
		delete(d, oneroster.ByName("enrollment"))
	}},
	{"users with a header only", "empties", func(d district) { delete(d, oneroster.ByName("user")) }},
	{"sessions gone", "without", func(d district) { delete(d, oneroster.ByName("academicSession")) }},
	{"the term of the classes gone", "without", func(d district) {
		d.drop("academicSession", func(rec oneroster.Record) bool { return rec.Get("type") == "term" })
	}},
	{"everything with a header only", "empties", func(d district) { clear(d) }},
	{"e-mail column renamed", "emptied", func(d district) { d.set("user", "email", "") }},
	{"e-mail of the teachers gone", "emptied", func(d district) {
		d.edit("user", func(rec oneroster.Record) {
			if rec.Get("role") == "teacher" {
				rec.Set("email", "")
			}
		})
	}},
	{"identifiers gone", "emptied", func(d district) { d.set("user", "identifier", "") }},
	{"all grades empty", "emptied", func(d district) { d.set("user", "grades", "") }},
	{"family links gone", "emptied", func(d district) { d.set("user", "agents", "") }},
	{"birth dates gone", "emptied", func(d district) { d.set("demographics", "birthDate", "") }},
	{"dates of enrollments gone", "emptied", func(d district) {
		d.set("enrollment", "beginDate", "")
		d.set("enrollment", "endDate", "")
	}},
	{"ids of users shifted by a row", "hands", func(d district) { d.shifted("user") }},
	{"ids of classes shifted by a row", "hands", func(d district) { d.shifted("class") }},
	{"ids of courses shifted by a row", "hands", func(d district) { d.shifted("course") }},
	{"users sorted by name, ids not", "hands", func(d district) {
		users := d[oneroster.ByName("user")]
		ids := make([]string, len(users))
		for i, rec := range users {
			ids[i] = rec.ID()
		}
		slices.SortStableFunc(users, func(a, b oneroster.Record) int {
			return cmp.Compare(a.Get("familyName"), b.Get("familyName"))
		})
		for i, rec := range users {
			rec.Set("sourcedId", ids[i])
		}
	}},
	{"names of the pupils swapped with given names", "change", func(d district) {
		d.edit("user", func(rec oneroster.Record) {
			given := rec.Get("givenName")
			rec.Set("givenName", rec.Get("familyName"))
			rec.Set("familyName", given)
		})
	}},
	{"ids of users prefixed", "loss", func(d district) {
		d.renamed("user", func(id string) string { return "2026-" + id })
	}},
	{"ids of enrollments prefixed", "loss", func(d district) {
		d.renamed("enrollment", func(id string) string { return "x" + id })
	}},
	{"case of ids changed", "loss", func(d district) {
		d.renamed("user org class course academicSession enrollment", strings.ToUpper)
	}},
	{"leading zeros of ids lost", "loss", func(d district) {
		d.renamed("user", func(id string) string { return strings.Replace(id, "-0", "-", 1) })
	}},
	{"cut at a line: users", "loss", func(d district) { d.drop("user", not(first(300))) }},
	{"cut at a line: classes", "loss", func(d district) { d.drop("class", not(first(60))) }},
	{"cut at a line: enrollments, a fifth gone", "loss", func(d district) {
		d.drop("enrollment", not(first(len(d[oneroster.ByName("enrollment")])*4/5)))
	}},
	{"cut at a line: demographics", "loss", func(d district) { d.drop("demographics", not(first(200))) }},
	{"cut at a line: courses", "loss", func(d district) { d.drop("course", not(first(40))) }},
	{"a school gone", "falls", func(d district) { d.drop("org", is("sourcedId", "sch-002")) }},
	{"a school's enrollments gone", "falls",
		func(d district) { d.drop("enrollment", is("school", "sch-003")) }},
	{"a grade gone", "falls", func(d district) { d.drop("user", is("grades", "09")) }},
	{"teachers gone", "loss", func(d district) { d.drop("user", is("role", "teacher")) }},
	{"half of the teachers gone", "loss", func(d district) {
		half := every(2)
		d.drop("user", func(rec oneroster.Record) bool { return is("role", "teacher")(rec) && half(rec) })
	}},
	{"guardians gone", "loss", func(d district) { d.drop("user", is("role", "parent", "guardian")) }},
	{"teachers' enrollments gone", "loss", func(d district) { d.drop("enrollment", is("role", "teacher")) }},
	{"all roles student", "loss", func(d district) { d.set("user", "role", "student") }},
	{"all enrollments as student", "loss", func(d district) { d.set("enrollment", "role", "student") }},
	{"roles of pupils and teachers swapped", "loss", func(d district) {
		d.edit("user", func(rec oneroster.Record) {
			switch rec.Get("role") {
			case "student":
				rec.Set("role", "teacher")
			case "teacher":
				rec.Set("role", "student")
			}
		})
	}},
	{"everybody in grade 12", "falls", func(d district) {
		d.edit("user", func(rec oneroster.Record) {
			if rec.Get("role") == "student" {
				rec.Set("grades", "12")
			}
		})
	}},
	{"everybody at one school", "change", func(d district) { d.set("user", "orgs", "sch-001") }},
	{"sessions moved by a year", "sds", func(d district) { d.dates("academicSession", 1) }},
	{"enrollments moved by a year", "change", func(d district) { d.dates("enrollment", -1) }},
	{"birth dates moved by a year", "change", func(d district) { d.dates("demographics", 1) }},
	{"one e-mail address for everybody", "sds",
		func(d district) { d.set("user", "email", "info@example.org") }},
	{"everybody there twice, with another id", "sds",
		func(d district) { d.twice("user", func(oneroster.Record) {}) }},
	{"everybody there twice, with another id and address", "growth", func(d district) {
		d.twice("user", func(rec oneroster.Record) {
			for _, field := range []string{"username", "email", "identifier", "familyName"} {
				rec.Set(field, "x"+rec.Get(field))
			}
		})
	}},
	{"classes and their enrollments there twice, with other ids", "growth", district.halfYear},
	{"pupils in their neighbours' classes too", "growth", func(d district) {
		classes := d[oneroster.ByName("class")]
		next := map[string]oneroster.Record{}
		for i, rec := range classes {
			next[rec.ID()] = classes[(i+1)%len(classes)]
		}
		d.twice("enrollment", func(rec oneroster.Record) {
			class := next[rec.Get("class")]
			rec.Set("class", class.ID())
			rec.Set("school", class.Get("school"))
		})
	}},
	{"another district's files beside", "growth", func(d district) {
		other := district{}
		_ = sandbox.New(sandbox.Options{Students: 360, Seed: 2, Today: monday}).Records(context.Background(),
			func(r oneroster.Row) error {
				other[r.Resource] = append(other[r.Resource], r.Record)
				return nil
			})
		for r := range other {
			other.renamed(r.Name, func(id string) string { return "b-" + id })
		}
		for r, list := range other {
			d[r] = append(d[r], list...)
		}
	}},
	{"half of the classes in terms of last year", "loss", func(d district) {
		d.lastTerm()
		half := every(2)
		d.edit("class", func(rec oneroster.Record) {
			if half(rec) {
				rec.Set("terms", "last")
			}
		})
	}},
	{"classes at the wrong school", "sds", func(d district) {
		d.edit("class", func(rec oneroster.Record) {
			rec.Set("school", map[string]string{"sch-001": "sch-002",
				"sch-002": "sch-001"}[rec.Get("school")])
			rec.Set("school", cmp.Or(rec.Get("school"), "sch-003"))
		})
	}},
	{"identifiers of the schools gone", "sds", func(d district) { d.set("org", "identifier", "") }},
	{"two schools' pupils swapped", "hands", func(d district) {
		users := slices.Clone(d[oneroster.ByName("user")])
		at := map[string][]oneroster.Record{}
		for _, rec := range users {
			if rec.Get("role") == "student" {
				at[rec.Get("orgs")] = append(at[rec.Get("orgs")], rec)
			}
		}
		for i, b := range at["sch-003"] { // children of one family are at schools 1 and 2
			a := at["sch-001"][i]
			id := a.ID()
			a.Set("sourcedId", b.ID())
			b.Set("sourcedId", id)
		}
	}},
	{"two schools taken for each other", "moves", func(d district) {
		d.edit("enrollment", func(rec oneroster.Record) {
			other := map[string]string{"sch-001": "sch-002", "sch-002": "sch-001"}
			rec.Set("school", cmp.Or(other[rec.Get("school")], rec.Get("school")))
		})
	}},
	{"names of two schools swapped", "hands", func(d district) {
		orgs := d[oneroster.ByName("org")]
		a, b := &orgs[1], &orgs[2]
		name := a.Get("name")
		a.Set("name", b.Get("name"))
		b.Set("name", name)
	}},
	{"accounts of the teachers disabled", "loss", func(d district) {
		d.edit("user", func(rec oneroster.Record) {
			if rec.Get("role") == "teacher" {
				rec.Set("enabledUser", "false")
			}
		})
	}},
	{"usernames of everybody else", "change", func(d district) {
		d.edit("user", func(rec oneroster.Record) { rec.Set("username", "u"+rec.ID()) })
	}},
	{"titles of all classes alike", "change", func(d district) { d.set("class", "title", "Class") }},
	{"read as Windows-1252, though it is UTF-8", "garbled", func(d district) { d.letters(mojibake) }},
	{"letters that the code page lacks are question marks", "garbled", func(d district) {
		d.letters(func(c rune) string { return "?" })
	}},
	{"letters that the code page lacks are gone", "garbled", func(d district) {
		d.letters(func(rune) string { return "" })
	}},
	{"letters that the code page lacks are inverted question marks", "garbled", func(d district) {
		d.letters(func(rune) string { return "¿" })
	}},
	{"letters that the code page lacks are underscores", "garbled", func(d district) {
		d.letters(func(rune) string { return "_" })
	}},
	{"letters are written as HTML does", "garbled", func(d district) {
		d.letters(func(c rune) string { return fmt.Sprintf("&#%d;", c) })
	}},
	{"apostrophes are written as HTML does", "garbled", func(d district) {
		d.edit("user", func(rec oneroster.Record) {
			rec.Set("familyName", strings.ReplaceAll(rec.Get("familyName"), "'", "&#39;"))
		})
	}},
	{"enrollments of pupils in one class", "falls", func(d district) {
		d.edit("enrollment", func(rec oneroster.Record) {
			rec.Set("class", "cls-001-001-1")
			rec.Set("school", "sch-001")
		})
	}},
	{"guardians in every class", "growth", func(d district) {
		for _, rec := range d.some("user", 25, is("role", "parent", "guardian")) {
			d.everywhere(rec, "aide")
		}
	}},
	{"every teacher in two classes more", "growth", func(d district) {
		classes := d[oneroster.ByName("class")]
		for i, rec := range d.some("enrollment", 1000, is("role", "teacher")) {
			user := oneroster.NewRecord(oneroster.ByName("user"))
			user.Set("sourcedId", rec.Get("user"))
			for n := range 2 {
				d.enroll(user, classes[(i+7*(n+1))%len(classes)], "teacher")
			}
		}
	}},
	{"classes have the teachers of others", "seats",
		func(d district) { d.moved("enrollment", "user", is("role", "teacher")) }},
	{"terms that have not begun", "loss", func(d district) {
		d.set("academicSession", "startDate", "2026-10-01")
	}},
	{"most enrollments begin next month", "falls", func(d district) {
		third := every(3)
		d.edit("enrollment", func(rec oneroster.Record) {
			if !third(rec) {
				rec.Set("beginDate", "2026-10-14")
			}
		})
	}},
	{"titles of one school's classes shifted", "hands",
		func(d district) { d.moved("class", "title", is("school", "sch-001")) }},
	{"everybody is a grade up in mid-year", "steady", func(d district) { d.promoted(is("role", "student")) }},
	{"one school's pupils are a grade up in mid-year", "steady",
		func(d district) { d.promoted(pupilsOf("sch-002")) }},
	{"a school of another district beside", "growth", func(d district) { d.join("beta.example", "dst-1") }},
	{"a school beside that hangs on nothing", "growth", func(d district) { d.join("example.org", "") }},
}

// anyDay are nights in which something becomes another's, or is no more.
var anyDay = []struct {
	name, guard string
	spoil       func(district)
}{
	{"e-mails of one school's pupils shifted", "hands",
		func(d district) { d.moved("user", "email", pupilsOf("sch-001")) }},
	{"usernames of one school's pupils shifted", "hands",
		func(d district) { d.moved("user", "username", pupilsOf("sch-002")) }},
	{"names of one school's pupils shifted", "hands", func(d district) {
		d.moved("user", "givenName", pupilsOf("sch-001"))
		d.moved("user", "familyName", pupilsOf("sch-001"))
	}},
	{"pupils are called Student", "steady", func(d district) { d.set("user", "givenName", "Student") }},
	{"birth dates are those of others", "steady",
		func(d district) { d.moved("demographics", "birthDate", not(is("sourcedId", ""))) }},
	{"families of others", "families", func(d district) {
		d.moved("user", "agents", func(rec oneroster.Record) bool {
			return rec.Get("role") == "student" && rec.Get("agents") != ""
		})
		d.edit("user", func(rec oneroster.Record) {
			if rec.Get("role") != "student" {
				rec.Set("agents", "")
			}
		})
	}},
	{"enrollments of other pupils", "seats",
		func(d district) { d.moved("enrollment", "user", is("role", "student")) }},
	{"pupils become administrators", "rises", func(d district) {
		n := 0
		d.edit("user", func(rec oneroster.Record) {
			if n < 6 && rec.Get("role") == "student" {
				rec.Set("role", "administrator")
				n++
			}
		})
	}},
	{"one school's enrollments have ended", "falls", func(d district) {
		d.edit("enrollment", func(rec oneroster.Record) {
			if rec.Get("school") == "sch-002" {
				rec.Set("endDate", "2026-09-13")
			}
		})
	}},
	{"strangers beside the family", "families", func(d district) {
		all := slices.Collect(maps.Values(d.linked()))
		slices.SortFunc(all, func(a, b oneroster.Record) int { return cmp.Compare(a.ID(), b.ID()) })
		last := all[len(all)-1].Get("agents")
		for _, rec := range all {
			own := rec.Get("agents")
			rec.Set("agents", oneroster.Join(append(oneroster.Items(own), oneroster.Items(last)...)...))
			last = own
		}
	}},
	{"one parent beside every family", "families", func(d district) {
		for _, rec := range d.linked() {
			rec.Set("agents", oneroster.Join(append(oneroster.Items(rec.Get("agents")), "gua-000002")...))
		}
	}},
	{"a pupil teaches every class", "rises", func(d district) {
		d.everywhere(d.some("user", 1, is("role", "student"))[0], "teacher")
	}},
	{"pupils teach what they take", "rises", func(d district) {
		for _, rec := range d.some("enrollment", 40, is("role", "student")) {
			rec.Set("role", "teacher")
		}
	}},
	{"guardians are aides", "rises", func(d district) {
		class := d.some("class", 1, not(is("sourcedId", "")))[0]
		for _, rec := range d.some("user", 6, is("role", "parent", "guardian")) {
			d.enroll(rec, class, "aide")
		}
	}},
	{"a school becomes a department", "hands", func(d district) {
		d.some("org", 1, is("type", "school"))[0].Set("type", "department")
	}},
	{"two schools of one name", "hands", func(d district) {
		of := d.some("org", 2, is("type", "school"))
		of[0].Set("name", of[1].Get("name"))
	}},
	{"all schools have the name of the district", "hands",
		func(d district) { d.set("org", "name", "Example District") }},
	{"userIds of one school's pupils shifted", "hands",
		func(d district) { d.moved("user", "userIds", pupilsOf("sch-001")) }},
	{"phones of the guardians shifted", "hands",
		func(d district) { d.moved("user", "sms", not(is("sms", ""))) }},
	{"results of other children", "seats",
		func(d district) { d.moved("result", "student", not(is("sourcedId", ""))) }},
	{"results of other children at one school", "seats", func(d district) {
		at := d.ids("user", pupilsOf("sch-003"))
		d.moved("result", "student", func(rec oneroster.Record) bool { return at[rec.Get("student")] })
	}},
	{"family names of the teachers shifted", "hands",
		func(d district) { d.moved("user", "familyName", is("role", "teacher")) }},
	{"given names of one school's pupils shifted", "hands",
		func(d district) { d.moved("user", "givenName", pupilsOf("sch-003")) }},
	{"grades of others", "steady", func(d district) {
		all := d.some("user", 1000, is("role", "student"))
		for i := range len(all) / 2 {
			a, b := all[i], all[len(all)-1-i]
			grades := a.Get("grades")
			a.Set("grades", b.Get("grades"))
			b.Set("grades", grades)
		}
	}},
	{"a fifth of the pupils twice", "twice", func(d district) { d.again(5, func(oneroster.Record) {}) }},
}
