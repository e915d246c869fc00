// Package odd makes up districts that are right and that hardly anybody has: an empty one, one of a
// single school, one that is written from right to left. A tool that judges providers must not
// accuse one that serves them. It owns what is odd; the ordinary rest is the made-up district's.
package odd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

// A District is what is imported, one after the other, all of it whole.
type District struct {
	Name    string
	Imports []oneroster.Source
}

// all is a whole package of records in memory.
type all []oneroster.Record

// Modes is of oneroster.Source: what does not come is gone.
func (all) Modes() map[*oneroster.Resource]oneroster.Mode {
	out := map[*oneroster.Resource]oneroster.Mode{}
	for _, r := range oneroster.Resources() {
		out[r] = oneroster.Bulk
	}
	return out
}

// Records is of oneroster.Source.
func (a all) Records(_ context.Context, yield func(oneroster.Row) error) error {
	for _, res := range oneroster.Resources() {
		for _, r := range a {
			if r.Resource == res {
				if err := yield(oneroster.Row{Record: r}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Districts are all of them, small ones.
func Districts() []District {
	one := func(name string, rows all) District { return District{name, []oneroster.Source{rows}} }
	return []District{
		{"empty", nil},
		one("one school only", closed(edited(small(), func(r oneroster.Record) {
			if r.Resource.Name == "course" {
				r.Set("org", school)
			}
		}), func(r oneroster.Record) bool { return r.Resource.Name == "org" && r.ID() != school })),
		one("no terms", sessions("schoolYear")),
		one("grading periods only", sessions("gradingPeriod")),
		one("no gradebook", closed(small(), of("category", "lineItem", "result"))),
		one("one user only", oneUser()),
		{"everything deleted", []oneroster.Source{small(), all{}}},
		{"people deleted", []oneroster.Source{small(), closed(small(), of("user", "demographics"))}},
		{"enrollments deleted", []oneroster.Source{small(), closed(small(), of("enrollment"))}},
		one("right to left", rightToLeft()),
		one("only teachers", closed(small(), func(r oneroster.Record) bool {
			return of("class", "demographics")(r) || r.Resource.Name == "user" && r.Get("role") != "teacher"
		})),
		one("no classes", closed(small(), of("class"))),
		one("one class of everybody", oneClass()),
		one("classes of nobody", closed(small(), of("enrollment", "result"))),
		one("ids of signs", renamed(small(), func(id string) string {
			return "https://x.example/a b/" + id + "?q='%2F\"&+#=;,\\<é>/.."
		})),
		one("ids of dots", renamed(small(), func(id string) string {
			return cmp.Or(map[string]string{school: "..", "cls-001-001-1": "."}[id], id)
		})),
		one("ids that differ in letter case", letterCase()),
		one("ids that are numbers", numbered()),
		one("ids of 255 letters", renamed(small(), func(id string) string {
			return id +
				strings.Repeat("-", 255-len(id))
		})),
		one("one row in each list", oneOfEach()),
		one("texts that are equal everywhere", edited(small(), texts(func(string, string) string { return "A" }))),
		one("texts that look like filters", edited(small(), texts(func(_, v string) string {
			return v + ` ' OR '1'='1' AND status='active' -- % _ \ " <b>&amp; 100 %`
		}))),
		one("long texts", edited(small(), texts(func(_, v string) string {
			return v +
				strings.Repeat(" long", 400)
		}))),
		one("no guardians", closed(small(), func(r oneroster.Record) bool {
			role := r.Get("role")
			return r.Resource.Name == "user" && (role == "parent" || role == "guardian")
		})),
		one("nothing that is optional", edited(small(), func(r oneroster.Record) {
			for i, f := range r.Resource.Fields {
				if i > oneroster.Modified && !f.Required && f.Name != "children" {
					r.Values[i] = ""
				}
			}
		})),
		one("demographics only", closed(small(), func(r oneroster.Record) bool { return !of("demographics")(r) })),
		one("organizations only", closed(small(), func(r oneroster.Record) bool { return !of("org")(r) })),
		one("resources only", closed(small(), func(r oneroster.Record) bool { return !of("resource")(r) })),
		one("metadata everywhere", edited(small(), func(r oneroster.Record) {
			r.Set("metadata", oneroster.MetadataOf(map[string]any{"a": "1", "b c": true, "d.e": 1.5,
				"שם": "ערך", "status": "tobedeleted", "sourcedId": "x", "classSourcedIds": []any{"y"},
				"schoolSourcedId": "z"}))
		})),
		one("twelve schools of nobody", twelveSchools()),
		one("nobody is enabled", edited(small(), func(r oneroster.Record) {
			if r.Resource.Name == "user" {
				r.Set("enabledUser", "false")
			}
		})),
		one("one year long ago", edited(small(), func(r oneroster.Record) {
			for i, f := range r.Resource.Fields {
				if v := r.Values[i]; f.Kind == oneroster.Date && v != "" {
					r.Values[i] = "19" + v[2:]
				}
			}
		})),
		one("a tall tree", tallTree()),
	}
}

// OfOneSchool is a district with so many students in one school, with more than five times as many
// enrollments.
func OfOneSchool(students int) District {
	rows := ordinary(students)
	for _, r := range rows {
		for i, f := range r.Resource.Fields {
			switch {
			case f.To != "org" || r.Resource.Name == "org" || r.Resource.Name == "course":
			case f.Kind == oneroster.Ref || r.Values[i] != "":
				r.Values[i] = school
			}
		}
	}
	return District{"one large school", []oneroster.Source{rows}}
}

// school is the first of the ordinary district's.
var school = sandbox.New(sandbox.Options{}).Facts().School

// ordinary is the district that the odd ones are made of.
func ordinary(students int) all {
	var out all
	_ = sandbox.New(sandbox.Options{Students: students, Seed: 1}).Records(context.Background(),
		func(r oneroster.Row) error { out = append(out, r.Record); return nil }) // yields no error of its own
	return out
}

func small() all { return ordinary(sandbox.LeastStudents) }

// of tells records of resources.
func of(resources ...string) func(oneroster.Record) bool {
	return func(r oneroster.Record) bool { return slices.Contains(resources, r.Resource.Name) }
}

func edited(rows all, edit func(oneroster.Record)) all {
	for _, r := range rows {
		edit(r)
	}
	return rows
}

// rec makes a record from name, value, name, value, ….
func rec(resource string, pairs ...string) oneroster.Record {
	r := oneroster.NewRecord(oneroster.ByName(resource))
	r.Values[oneroster.Status] = oneroster.Active
	for i := 0; i < len(pairs); i += 2 {
		r.Set(pairs[i], pairs[i+1])
	}
	return r
}

// texts edits what people read.
func texts(edit func(field, value string) string) func(oneroster.Record) {
	return func(r oneroster.Record) {
		for i, f := range r.Resource.Fields {
			if v := r.Values[i]; i > oneroster.Modified && f.Kind == oneroster.String && v != "" &&
				f.Name != "schoolYear" {
				r.Values[i] = edit(f.Name, v)
			}
		}
	}
}

// closed leaves rows out, and what cannot be without them.
func closed(rows all, out func(oneroster.Record) bool) all {
	for before := -1; before != len(rows); {
		before = len(rows)
		rows = slices.DeleteFunc(rows, out)
		there := map[string]bool{}
		for _, r := range rows {
			there[r.Resource.Name+" "+r.ID()] = true
		}
		rows = slices.DeleteFunc(rows, func(r oneroster.Record) bool {
			for i, f := range r.Resource.Fields {
				if f.To == "" {
					continue
				}
				items := slices.DeleteFunc(oneroster.Items(r.Values[i]), func(id string) bool {
					return !there[f.To+" "+id]
				})
				if r.Values[i] = oneroster.Join(items...); f.Required && len(items) == 0 {
					return true
				}
			}
			return false
		})
	}
	return rows
}

// renamed gives everything another id.
func renamed(rows all, name func(id string) string) all {
	return edited(rows, func(r oneroster.Record) {
		for i, f := range r.Resource.Fields {
			if i != oneroster.SourcedID && f.To == "" {
				continue
			}
			var ids []string
			for _, id := range oneroster.Items(r.Values[i]) {
				ids = append(ids, name(id))
			}
			r.Values[i] = oneroster.Join(ids...)
		}
	})
}

// numbered gives everything numbers, which begin with 1 in each resource; demographics have their
// person's.
func numbered() all {
	numbers, next := map[string]string{}, map[string]int{}
	for _, r := range small() {
		if r.Resource.Name != "demographics" {
			next[r.Resource.Name]++
			numbers[r.ID()] = fmt.Sprint(next[r.Resource.Name])
		}
	}
	return renamed(small(), func(id string) string { return numbers[id] })
}

// letterCase gives half of everything ids that differ from the other half's in letter case only.
func letterCase() all {
	numbers := map[string]int{}
	for _, r := range small() {
		if _, known := numbers[r.ID()]; !known {
			numbers[r.ID()] = len(numbers)
		}
	}
	return renamed(small(), func(id string) string {
		n := numbers[id]
		return []string{"row", "ROW"}[n%2] + fmt.Sprint(n/2)
	})
}

// sessions is a district whose academic sessions are all of one type.
func sessions(kind string) all {
	rows := small()
	first := rows[slices.IndexFunc(rows, func(r oneroster.Record) bool { return r.Get("type") == kind })].ID()
	for _, r := range rows {
		for i, f := range r.Resource.Fields {
			if f.To == "academicSession" && f.Kind == oneroster.Ref && r.Resource.Name == "course" {
				r.Values[i] = ""
			} else if f.To == "academicSession" && f.Required {
				r.Values[i] = first
			}
		}
	}
	return closed(rows, func(r oneroster.Record) bool {
		return r.Resource.Name == "academicSession" && r.Get("type") != kind
	})
}

func oneUser() all {
	return all{rec("org", "sourcedId", "s1", "name", "The School", "type", "school"),
		rec("user", "sourcedId", "u1", "username", "ada", "enabledUser", "true", "givenName", "Ada", "familyName",
			"Byron", "role", "student", "orgs", "s1")}
}

func oneClass() all {
	rows := small()
	class := rows[slices.IndexFunc(rows, func(r oneroster.Record) bool { return r.Get("school") == school })].ID()
	rows = closed(rows, func(r oneroster.Record) bool {
		return r.Resource.Name == "class" && r.ID() != class || r.Resource.Name == "enrollment"
	})
	for _, r := range slices.Clone(rows) {
		if role := r.Get("role"); role == "student" || role == "teacher" || role == "administrator" {
			rows = append(rows, rec("enrollment", "sourcedId", "of-"+r.ID(), "user", r.ID(), "class", class,
				"school", school, "role", role))
		}
	}
	return rows
}

// oneOfEach has one row in each list.
func oneOfEach() all {
	return append(oneUser(),
		rec("academicSession", "sourcedId", "y1", "title", "Year", "startDate", "2026-08-01", "endDate",
			"2027-08-01",
			"type", "schoolYear", "schoolYear", "2027"),
		rec("resource", "sourcedId", "r1", "vendorResourceId", "v1"),
		rec("course", "sourcedId", "co1", "title", "Course", "org", "s1"),
		rec("class", "sourcedId", "c1", "title", "Class", "classType", "scheduled", "course", "co1", "school", "s1",
			"terms", "y1"),
		rec("demographics", "sourcedId", "u1", "birthDate", "2015-03-04"),
		rec("enrollment", "sourcedId", "e1", "user", "u1", "class", "c1", "school", "s1", "role", "student"),
		rec("classGroup", "sourcedId", "g1", "title", "Group", "groupType", "cross-listed", "classes", "c1"),
		rec("category", "sourcedId", "ca1", "title", "Category"),
		rec("lineItem", "sourcedId", "l1", "title", "Item", "assignDate", "2026-09-01T00:00:00.000Z", "dueDate",
			"2026-09-08T00:00:00.000Z", "class", "c1", "category", "ca1", "resultValueMin", "0", "resultValueMax",
			"10"),
		rec("result", "sourcedId", "x1", "lineItem", "l1", "student", "u1", "scoreStatus", "fully graded", "score",
			"7", "scoreDate", "2026-09-09"))
}

// rightToLeft is written in Hebrew and Arabic, with marks that combine, and signs beyond the first
// plane of Unicode; its ids too.
func rightToLeft() all {
	rows := edited(small(), texts(func(field, v string) string {
		switch field {
		case "username", "email":
			return "مها." + v
		case "givenName":
			return "שָׁלוֹם e\u0301 👩🏽‍🎓"
		}
		return v + " عَلِيّ \u2067בית\u2069 𐤀"
	}))
	return renamed(rows, func(id string) string { return "תלמיד-" + id + "-e\u0301😀" })
}

// twelveSchools is a district with schools and staff, and not one pupil.
func twelveSchools() all {
	rows := closed(small(), func(r oneroster.Record) bool { return r.Get("role") == "student" })
	for n := range 12 {
		rows = append(rows, rec("org", "sourcedId", fmt.Sprint("new-", n), "name", fmt.Sprint("New School ", n),
			"type", "school"))
	}
	return rows
}

// tallTree has organizations of each type, one below the other, and people at each.
func tallTree() all {
	rows, above := small(), ""
	for _, kind := range []string{"national", "state", "local", "district", "school", "department"} {
		rows = append(rows, rec("org", "sourcedId", "tall-"+kind, "name", "The "+kind, "type", kind, "parent",
			above),
			rec("user", "sourcedId", "at-"+kind, "username", kind, "enabledUser", "true", "givenName", "A",
				"familyName", "B", "role", "teacher", "orgs", "tall-"+kind))
		above = "tall-" + kind
	}
	return rows
}
