package intake_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

// A district is records by resource, in their order.
type district map[*oneroster.Resource][]oneroster.Record

func gather(t *testing.T, s oneroster.Source) district {
	t.Helper()
	d := district{}
	if err := s.Records(context.Background(), func(r oneroster.Row) error {
		d[r.Resource] = append(d[r.Resource], r.Record)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

// clone copies all that an edit may write to.
func (d district) clone() district {
	out := district{}
	for r, list := range d {
		for _, rec := range list {
			out[r] = append(out[r], oneroster.Record{Resource: r, Values: slices.Clone(rec.Values)})
		}
	}
	return out
}

func (d district) drop(resource string, which func(oneroster.Record) bool) {
	r := oneroster.ByName(resource)
	d[r] = slices.DeleteFunc(d[r], which)
}

func (d district) edit(resource string, do func(oneroster.Record)) {
	for _, rec := range d[oneroster.ByName(resource)] {
		do(rec)
	}
}

func (d district) set(resource, field, value string) {
	d.edit(resource, func(rec oneroster.Record) { rec.Set(field, value) })
}

// is matches records whose field has one of some values.
func is(field string, values ...string) func(oneroster.Record) bool {
	return func(rec oneroster.Record) bool { return slices.Contains(values, rec.Get(field)) }
}

func not(which func(oneroster.Record) bool) func(oneroster.Record) bool {
	return func(rec oneroster.Record) bool { return !which(rec) }
}

// first lets the first n of a list pass.
func first(n int) func(oneroster.Record) bool {
	return func(oneroster.Record) bool { n--; return n >= 0 }
}

func every(n int) func(oneroster.Record) bool {
	i := 0
	return func(oneroster.Record) bool { i++; return i%n == 0 }
}

func of(which, and func(oneroster.Record) bool) func(oneroster.Record) bool {
	return func(rec oneroster.Record) bool { return which(rec) && and(rec) }
}

// closed is the district as a store serves it: what refers to nothing by a field
// that it needs is gone, lists lose items that lead nowhere. It tells what is left
// without any.
func (d district) closed() (district, []intake.Without) {
	out, there, without := district{}, map[string]bool{}, []intake.Without{}
	for r, list := range d {
		for _, rec := range list {
			there[r.Name+"/"+rec.ID()] = true
		}
	}
	for _, r := range oneroster.Resources() {
		lost := map[string]intake.Without{}
		for _, rec := range d[r] {
			stays := r.Name != "demographics" || there["user/"+rec.ID()]
			rec = oneroster.Record{Resource: r, Values: slices.Clone(rec.Values)}
			for i, f := range r.Fields {
				if f.To == "" || rec.Values[i] == "" {
					continue
				}
				left := slices.DeleteFunc(oneroster.Items(rec.Values[i]),
					func(id string) bool { return !there[f.To+"/"+id] })
				rec.Values[i] = oneroster.Join(left...)
				if w := lost[f.Name]; len(left) == 0 && f.Required && f.Kind == oneroster.Refs {
					lost[f.Name] = intake.Without{r, f.Name, w.Count + 1, cmp.Or(w.First, rec.ID())}
				}
				stays = stays && (len(left) > 0 || !f.Required || f.Kind == oneroster.Refs)
			}
			if !stays {
				delete(there, r.Name+"/"+rec.ID())
				continue
			}
			out[r] = append(out[r], rec)
		}
		for _, field := range slices.Sorted(maps.Keys(lost)) {
			without = append(without, lost[field])
		}
	}
	return out, without
}

// A night is a publication: a district before and after.
type night struct {
	before, after district
	without       []intake.Without
	local         map[*oneroster.Resource]bool // not imported
}

func newNight(before, after district) *night {
	n := &night{before: before}
	n.after, n.without = after.closed()
	return n
}

func each(list []oneroster.Record, yield func(oneroster.Record) error) error {
	for _, rec := range list {
		if err := yield(rec); err != nil {
			return err
		}
	}
	return nil
}

func (n *night) Before(_ context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	return each(n.before[r], yield)
}

func (n *night) After(_ context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	return each(n.after[r], yield)
}

func (n *night) Differences(_ context.Context, yield func(before, after oneroster.Record) error) error {
	for _, r := range oneroster.Resources() {
		then := map[string]oneroster.Record{}
		for _, rec := range n.after[r] {
			then[rec.ID()] = rec
		}
		for _, rec := range n.before[r] {
			now := then[rec.ID()]
			delete(then, rec.ID())
			if slices.Equal(rec.Values, now.Values) {
				continue
			}
			if err := yield(rec, now); err != nil {
				return err
			}
		}
		for _, rec := range n.after[r] {
			if _, isNew := then[rec.ID()]; isNew {
				if err := yield(oneroster.Record{}, rec); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (n *night) Imported(r *oneroster.Resource) int {
	if n.local[r] {
		return 0
	}
	return len(n.before[r])
}

func (n *night) Without() []intake.Without { return n.without }

func judge(t *testing.T, n *night, x intake.Context) intake.Verdict {
	t.Helper()
	if x.Today.IsZero() {
		x.Today = monday
	}
	v, err := intake.Judge(context.Background(), n, nil, x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// guards that object, each once.
func guards(v intake.Verdict) string {
	var out []string
	for _, o := range v.Objections {
		out = append(out, o.Guard)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

var monday = time.Date(2026, 9, 14, 0, 0, 0, 0, time.UTC)

// shifted gives the ids of a list to the record after each.
func (d district) shifted(resource string) {
	list := d[oneroster.ByName(resource)]
	last := list[len(list)-1].ID()
	for _, rec := range list {
		id := rec.ID()
		rec.Set("sourcedId", last)
		last = id
	}
}

// renamed writes ids anew, wherever they stand.
func (d district) renamed(resources string, to func(string) string) {
	for r, list := range d {
		for i, f := range r.Fields {
			of := f.To
			if i == oneroster.SourcedID {
				of = r.Name
				if r.Name == "demographics" {
					of = "user"
				}
			}
			if of == "" || !strings.Contains(" "+resources+" ", " "+of+" ") {
				continue
			}
			for _, rec := range list {
				items := oneroster.Items(rec.Values[i])
				for n := range items {
					items[n] = to(items[n])
				}
				rec.Values[i] = oneroster.Join(items...)
			}
		}
	}
}

// letters writes the letters beyond ASCII of all names anew.
func (d district) letters(as func(rune) string) {
	d.edit("user", func(rec oneroster.Record) {
		for _, field := range []string{"givenName", "familyName"} {
			var out strings.Builder
			for _, c := range rec.Get(field) {
				if c < 128 {
					out.WriteRune(c)
				} else {
					out.WriteString(as(c))
				}
			}
			rec.Set(field, cmp.Or(out.String(), "x"))
		}
	})
}

// mojibake is what becomes of a letter whose bytes are taken for letters.
func mojibake(c rune) (out string) {
	for _, b := range []byte(string(c)) {
		out += string(rune(b))
	}
	return out
}

func years(text string, n int) string {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return text
	}
	return at.AddDate(n, 0, 0).Format(time.DateOnly)
}

func (d district) dates(resource string, n int) {
	d.edit(resource, func(rec oneroster.Record) {
		for i, f := range rec.Resource.Fields {
			if f.Kind == oneroster.Date {
				rec.Values[i] = years(rec.Values[i], n)
			}
		}
	})
}

// twice adds the records of a resource once more, with other ids, and changed.
func (d district) twice(resource string, change func(oneroster.Record)) {
	r := oneroster.ByName(resource)
	for _, rec := range slices.Clone(d[r]) {
		twin := oneroster.Record{Resource: r, Values: slices.Clone(rec.Values)}
		twin.Set("sourcedId", "new-"+rec.ID())
		change(twin)
		d[r] = append(d[r], twin)
	}
}

// halfYear adds classes for all pupils beside those that there are.
func (d district) halfYear() {
	d.twice("class", func(oneroster.Record) {})
	d.twice("enrollment", func(rec oneroster.Record) { rec.Set("class", "new-"+rec.Get("class")) })
}

// lastTerm adds a session that has ended.
func (d district) lastTerm() {
	r := oneroster.ByName("academicSession")
	rec := oneroster.NewRecord(r)
	for field, value := range map[string]string{"sourcedId": "last", "status": oneroster.Active,
		"title": "Spring", "type": "term", "schoolYear": "2026", "startDate": "2026-01-07",
		"endDate": "2026-06-12"} {
		rec.Set(field, value)
	}
	d[r] = append(d[r], rec)
}

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
}

// Each bad night is held, by the guard that is meant for it; sixty ordinary nights
// of three districts, a school start, announced rollovers and closings are not.
// moved gives a field of the records that are meant to the next of them.
func (d district) moved(resource, field string, meant func(oneroster.Record) bool) {
	var list []oneroster.Record
	for _, rec := range d[oneroster.ByName(resource)] {
		if meant(rec) {
			list = append(list, rec)
		}
	}
	last := list[len(list)-1].Get(field)
	for _, rec := range list {
		value := rec.Get(field)
		rec.Set(field, last)
		last = value
	}
}

func pupilsOf(school string) func(oneroster.Record) bool {
	return func(rec oneroster.Record) bool {
		return rec.Get("role") == "student" && rec.Get("orgs") == school
	}
}

// linked are the pupils that have agents, by id.
func (d district) linked() map[string]oneroster.Record {
	out := map[string]oneroster.Record{}
	d.edit("user", func(rec oneroster.Record) {
		if rec.Get("role") == "student" && rec.Get("agents") != "" {
			out[rec.ID()] = rec
		}
	})
	return out
}

// relatives gives the pupils that are meant another guardian beside those they have.
func (d district) relatives(meant func(oneroster.Record) bool) {
	r := oneroster.ByName("user")
	d.edit("user", func(rec oneroster.Record) {
		if rec.Get("role") != "student" || rec.Get("agents") == "" || !meant(rec) {
			return
		}
		other := oneroster.NewRecord(r)
		for field, value := range map[string]string{"sourcedId": "gr-" + rec.ID(), "status": oneroster.Active,
			"role": "guardian", "givenName": "Ada", "familyName": "Other" + rec.ID(), "username": "gr-" + rec.ID(),
			"enabledUser": "true", "orgs": rec.Get("orgs"), "agents": rec.ID()} {
			other.Set(field, value)
		}
		d[r] = append(d[r], other)
		rec.Set("agents", oneroster.Join(append(oneroster.Items(rec.Get("agents")), other.ID())...))
	})
}

// some are the first n records of a resource that are meant.
func (d district) some(resource string, n int, meant func(oneroster.Record) bool) (out []oneroster.Record) {
	for _, rec := range d[oneroster.ByName(resource)] {
		if len(out) < n && meant(rec) {
			out = append(out, rec)
		}
	}
	return out
}

// enroll puts a user into a class.
func (d district) enroll(user, class oneroster.Record, role string) {
	r := oneroster.ByName("enrollment")
	rec := oneroster.NewRecord(r)
	for field, value := range map[string]string{"sourcedId": role + "-" + user.ID() + "-" + class.ID(),
		"status": oneroster.Active, "user": user.ID(), "class": class.ID(), "school": class.Get("school"),
		"role": role} {
		rec.Set(field, value)
	}
	d[r] = append(d[r], rec)
}

// everywhere puts a user into all classes.
func (d district) everywhere(user oneroster.Record, role string) {
	d.edit("class", func(class oneroster.Record) { d.enroll(user, class, role) })
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
}

func TestNights(t *testing.T) {
	whole := gather(t, sandbox.New(sandbox.Options{Students: 360, Today: monday}))
	held := 0
	badNights := append(badNights, anyDay...)
	for _, c := range badNights {
		after := whole.clone()
		c.spoil(after)
		v := judge(t, newNight(whole, after), intake.Context{})
		if got := guards(v); !slices.Contains(strings.Fields(got), c.guard) {
			t.Errorf("%s: %s must hold it, not %q", c.name, c.guard, got)
		} else {
			held++
		}
		if testing.Verbose() {
			t.Log(c.name)
			for _, o := range v.Objections {
				t.Log("   ", o.Guard, o.Text)
			}
		}
	}
	for _, c := range anyDay { // also on the day of a rollover
		after := whole.clone()
		c.spoil(after)
		v := judge(t, newNight(whole, after), intake.Context{Day: intake.Rollover})
		if got := guards(v); !slices.Contains(strings.Fields(got), c.guard) {
			t.Errorf("%s, on the day of a rollover: %s must hold it, not %q", c.name, c.guard, got)
		}
	}
	after := whole.clone()
	after.edit("user", func(rec oneroster.Record) {
		rec.Set("grades", strings.TrimPrefix(rec.Get("grades"), "0"))
	})
	if got := guards(judge(t, newNight(whole, after), intake.Context{Day: intake.Rollover})); got != "falls" {
		t.Errorf("grades without their zeros, on the day of a rollover: %q", got)
	}
	nights, stopped := 0, 0
	pass := func(name string, n *night, x intake.Context) {
		nights++
		if v := judge(t, n, x); len(v.Objections) > 0 {
			stopped++
			t.Errorf("%s is held: %+v", name, v.Objections)
		}
	}
	for _, opt := range []sandbox.Options{{Students: 360, Today: monday},
		{Students: 200, Seed: 2, Today: monday},
		{Students: 90, Seed: 5, Today: monday}} {
		life := sandbox.NewLife(opt)
		before := gather(t, life)
		lastYear := before
		for range 22 {
			life.Step()
			after := gather(t, life)
			x := intake.Context{Day: intake.Ordinary}
			x.Today, _ = time.Parse(time.DateOnly, life.Date())
			if life.Day() == 21 {
				x.Day = intake.Rollover
				if opt.Students == 360 && guards(judge(t, newNight(before, after), intake.Context{})) == "" {
					t.Error("a rollover that nobody announced is not held")
				}
			}
			pass(fmt.Sprintf("%d students, day %d", opt.Students, life.Day()), newNight(before, after), x)
			before = after
		}
		if guards(judge(t, newNight(before, lastYear), intake.Context{})) == "" {
			t.Errorf("%d students: last year's package is not held", opt.Students)
		}
	}
	for name, n := range ordinary(t, whole) {
		pass(name, n.night, n.Context)
	}
	t.Logf("%d bad nights, %d held: recall %.3f; %d ordinary nights, %d held: precision %.3f", len(badNights),
		held, float64(held)/float64(len(badNights)), nights, stopped, float64(held)/float64(held+stopped))
}

// village is a district of one school: a few teachers and classes.
func village(t *testing.T, students int) district {
	d := gather(t, sandbox.New(sandbox.Options{Students: students, Today: monday}))
	d.drop("org", func(rec oneroster.Record) bool {
		return rec.Get("type") == "school" && rec.ID() != "sch-001"
	})
	d, _ = d.closed()
	d.drop("user", is("orgs", ""))
	d, _ = d.closed()
	return d
}

// In a village school most of a few are too many, and a family that moves away is not.
func TestVillages(t *testing.T) {
	whole := village(t, 90)
	n := func(resource, role string) (n int) {
		for _, rec := range whole[oneroster.ByName(resource)] {
			if role == "" || rec.Get("role") == role {
				n++
			}
		}
		return n
	}
	if n("user", "teacher") >= 20 || n("class", "") >= 20 || n("user", "student") > 40 {
		t.Fatal(n("user", "teacher"), "teachers,", n("class", ""), "classes,", n("user", "student"), "pupils")
	}
	pupils, teachers := is("role", "student"), is("role", "teacher")
	emptied := func(d district, field string, which func(oneroster.Record) bool) {
		d.edit("user", func(rec oneroster.Record) {
			if which(rec) {
				rec.Set(field, "")
			}
		})
	}
	for _, c := range []struct {
		name, guard string // "" is published
		do          func(d district)
	}{
		{"all teachers gone", "loss", func(d district) { d.drop("user", teachers) }},
		{"all teachers but one gone", "loss",
			func(d district) { d.drop("user", of(teachers, not(first(1)))) }},
		{"half of the pupils gone", "loss", func(d district) { d.drop("user", of(pupils, every(2))) }},
		{"most classes gone", "loss", func(d district) { d.drop("class", not(first(2))) }},
		{"most classes in last year's term", "loss", func(d district) {
			d.lastTerm()
			some := not(first(1))
			d.edit("class", func(rec oneroster.Record) {
				if some(rec) {
					rec.Set("terms", "last")
				}
			})
		}},
		{"a third of the enrollments gone", "loss", func(d district) { d.drop("enrollment", every(3)) }},
		{"the teachers' enrollments gone", "loss",
			func(d district) { d.drop("enrollment", is("role", "teacher")) }},
		{"all teachers disabled", "loss", func(d district) {
			d.edit("user", func(rec oneroster.Record) {
				if teachers(rec) {
					rec.Set("enabledUser", "false")
				}
			})
		}},
		{"all e-mails of the teachers emptied", "emptied",
			func(d district) { emptied(d, "email", teachers) }},
		{"all e-mails emptied", "emptied", func(d district) { d.set("user", "email", "") }},
		{"ids of classes shifted", "hands", func(d district) { d.shifted("class") }},
		{"ids of users shifted", "hands", func(d district) { d.shifted("user") }},
		{"schools without identifier", "sds", func(d district) { d.set("org", "identifier", "") }},
		{"names lost their letters", "garbled", func(d district) { d.letters(mojibake) }},
		{"three pupils are administrators", "rises", func(d district) {
			for _, rec := range d.some("user", 4, pupils) {
				rec.Set("role", "administrator")
			}
		}},
		{"a pupil teaches all classes", "rises", func(d district) {
			d.everywhere(d.some("user", 1, pupils)[0], "teacher")
		}},
		{"titles of classes shifted", "hands",
			func(d district) { d.moved("class", "title", first(4)) }},
		{"two classes swap their titles", "",
			func(d district) { d.moved("class", "title", first(2)) }},

		{"a teacher leaves", "", func(d district) { d.drop("user", of(teachers, first(1))) }},
		{"a family moves away", "", func(d district) { d.drop("user", of(pupils, first(4))) }},
		{"a class is given up", "", func(d district) { d.drop("class", first(1)) }},
		{"one address is lost", "", func(d district) { emptied(d, "email", of(teachers, first(1))) }},
		{"a class is another", "", func(d district) {
			list := d[oneroster.ByName("class")]
			list[0].Set("title", "Woodwork")
			list[0].Set("course", list[1].Get("course"))
		}},
		{"a teacher deletes her work", "", func(d district) { d.drop("lineItem", first(3)) }},
		{"the school is renamed", "", func(d district) { d.set("org", "name", "Under the Oaks") }},
		{"two teachers leave", "", func(d district) { d.drop("user", of(teachers, first(2))) }},
		{"two classes are given up", "", func(d district) { d.drop("class", first(2)) }},
		{"half of the classes gone", "loss", func(d district) { d.drop("class", every(2)) }},
		{"a quarter of the results gone", "loss", func(d district) { d.drop("result", not(every(4))) }},
	} {
		after := whole.clone()
		c.do(after)
		v := judge(t, newNight(whole, after), intake.Context{})
		if got := guards(v); c.guard == "" && got != "" ||
			!slices.Contains(strings.Fields(got+" "), c.guard) && c.guard != "" {
			t.Errorf("%s: %q, not %q: %+v", c.name, got, c.guard, v.Objections)
		}
	}
	for _, pupils := range []int{15, 18, 22, 29, 33, 40, 41, 43, 47, 49} {
		before := gather(t, sandbox.New(sandbox.Options{Students: pupils, Today: monday}))
		after := before.clone()
		after.drop("user", of(is("role", "student"), first(5)))
		if v := judge(t, newNight(before, after), intake.Context{}); len(v.Objections) > 0 {
			t.Errorf("five of %d pupils leave: %+v", pupils, v.Objections)
		}
	}
	for seed := range 6 {
		life := sandbox.NewLife(sandbox.Options{Students: 20 + 10*seed, Seed: int64(seed), Today: monday})
		before := gather(t, life)
		for range 22 {
			life.Step()
			after := gather(t, life)
			x := intake.Context{Day: intake.Ordinary}
			x.Today, _ = time.Parse(time.DateOnly, life.Date())
			if life.Day() == 21 {
				x.Day = intake.Rollover
			}
			if v := judge(t, newNight(before, after), x); len(v.Objections) > 0 {
				t.Errorf("%d pupils, day %d is held: %+v", 20+10*seed, life.Day(), v.Objections)
			}
			before = after
		}
	}
}

// tagged is a night on which the metadata of a resource are others.
func tagged(whole district, resource, was, is string) *night {
	before, after := whole.clone(), whole.clone()
	before.set(resource, "metadata", was)
	after.set(resource, "metadata", is)
	return newNight(before, after)
}

type announced struct {
	*night
	intake.Context
}

// ordinary are days that look bad, and are not.
func ordinary(t *testing.T, whole district) map[string]announced {
	changed := func(do func(d district)) *night {
		after := whole.clone()
		do(after)
		return newNight(whole, after)
	}
	none := intake.Context{}
	without := func(resources ...string) district {
		d := whole.clone()
		for _, name := range resources {
			delete(d, oneroster.ByName(name))
		}
		return d
	}
	fewer := whole.clone()
	fewer.drop("org", is("sourcedId", "sch-003"))
	fewer, _ = fewer.closed()
	fewer.drop("user", is("orgs", ""))
	alone := whole.clone()
	alone.drop("user", is("role", "parent", "guardian"))
	alone, _ = alone.closed()
	upper := whole.clone() // half of the classes are there, with who is in them
	for r, list := range upper {
		if r.Name == "class" || r.Name == "classGroup" {
			upper[r] = list[:len(list)/2]
		}
	}
	upper, _ = upper.closed()
	over := whole.clone() // all classes are of a term that has ended
	over.lastTerm()
	over.set("class", "terms", "last")
	half := over.clone()
	third := every(3)
	half.edit("class", func(rec oneroster.Record) {
		if third(rec) {
			rec.Set("location", "Gym")
		}
	})
	half.drop("enrollment", every(20))
	lost := whole.clone()
	lost.drop("user", every(2))
	lost, _ = lost.closed()
	unlinked := whole.clone()
	unlinked.set("user", "agents", "")
	eldest, more := whole.clone(), map[string]string{} // by agent, the one who has a guardian more
	eldest.relatives(func(rec oneroster.Record) bool {
		agent := oneroster.Items(rec.Get("agents"))[0]
		more[agent] = cmp.Or(more[agent], rec.ID())
		return more[agent] == rec.ID()
	})
	for id, rec := range eldest.linked() {
		if more[oneroster.Items(rec.Get("agents"))[0]] != id {
			rec.Set("familyName", "Half")
		}
	}
	siblings := eldest.clone()
	for id, rec := range siblings.linked() {
		if kin := more[oneroster.Items(rec.Get("agents"))[0]]; kin != id {
			rec.Set("agents", oneroster.Join(append(oneroster.Items(rec.Get("agents")), "gr-"+kin)...))
		}
	}
	closing := intake.Context{Closing: map[string]bool{"sch-002": true}}
	return map[string]announced{
		"the first import": {newNight(district{}, whole.clone()), none},
		"the first import of people alone": {newNight(district{},
			without("class", "enrollment", "classGroup")), none},
		"a school start: the first classes": {newNight(without("class", "enrollment", "classGroup",
			"category",
			"lineItem", "result"), whole.clone()), none},
		"a new school": {newNight(fewer, whole.clone()), none},
		"a closing, with everybody of the school": {changed(func(d district) {
			d.drop("org", is("sourcedId", "sch-002"))
			d.drop("user", is("orgs", "sch-002"))
		}), closing},
		"a closing, its people left without": {changed(func(d district) {
			d.drop("org", is("sourcedId", "sch-002"))
		}), closing},
		"accounts move to another domain": {changed(func(d district) {
			d.edit("user", func(rec oneroster.Record) {
				if rec.Get("role") == "teacher" {
					rec.Set("email", strings.Replace(rec.Get("email"), "@", "@new.", 1))
				}
			})
		}), none},
		"a school starts in stages": {newNight(upper, whole.clone()), none},
		"parents come":              {newNight(alone, whole.clone()), none},
		"schedules are made on days that only add": {changed(district.halfYear),
			intake.Context{Day: intake.AddsOnly}},
		"a half-year that is announced: other classes": {changed(func(d district) {
			d.halfYear()
			half := every(2)
			d.drop("class", func(rec oneroster.Record) bool {
				return half(rec) && !strings.HasPrefix(rec.ID(), "new-")
			})
		}), intake.Context{Day: intake.Rollover}},
		"a half-year that is announced: its classes come beside": {changed(district.halfYear),
			intake.Context{Day: intake.Rollover}},
		"those of the pupils leave who have most results": {changed(func(d district) {
			n := map[string]int{}
			d.edit("result", func(rec oneroster.Record) { n[rec.Get("student")]++ })
			ids := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
				return cmp.Or(n[b]-n[a], strings.Compare(a, b))
			})
			d.drop("user", is("sourcedId", ids[:30]...))
		}), none},
		"a rollover to a small ninth grade": {changed(func(d district) {
			d.drop("user", of(is("grades", "09"), not(first(2))))
		}), intake.Context{Day: intake.Rollover}},
		"snow days": {changed(func(d district) {
			later := func(rec oneroster.Record) {
				end, _ := time.Parse(time.DateOnly, rec.Get("endDate"))
				rec.Set("endDate", end.AddDate(0, 0, 7).Format(time.DateOnly))
			}
			d.edit("enrollment", later)
			d.edit("academicSession", later)
		}), none},
		"metadata of everybody is another": {tagged(whole, "user", `{"bus":"1"}`, `{"bus":"2"}`), none},
		"addresses in small letters": {changed(func(d district) {
			d.edit("user", func(rec oneroster.Record) {
				rec.Set("email", strings.ToUpper(rec.Get("email")))
				rec.Set("username", strings.ToUpper(rec.Get("username")))
			})
		}), none},
		"every class has another room and period": {changed(func(d district) {
			d.set("class", "location", "Tent")
			d.set("class", "periods", "9")
		}), none},
		"terms end": {newNight(over, half), none},
		"the administrators are in no class any more": {changed(func(d district) {
			d.drop("enrollment", is("role", "administrator"))
		}), none},
		"the way back from a night that lost half": {newNight(lost, whole.clone()),
			intake.Context{Back: true}},
		"teachers marry": {changed(func(d district) {
			d.edit("user", func(rec oneroster.Record) {
				if rec.Get("role") == "teacher" {
					rec.Set("familyName", "Newman")
					rec.Set("email", rec.Get("givenName")+"."+rec.Get("email"))
				}
			})
		}), none},
		"every school is renamed": {changed(func(d district) {
			d.edit("org", func(rec oneroster.Record) { rec.Set("name", "Campus "+rec.ID()) })
		}), none},
		"half of the classes have another room and title": {changed(func(d district) {
			half := every(2)
			d.edit("class", func(rec oneroster.Record) {
				if half(rec) {
					rec.Set("title", "Lesson "+rec.Get("title"))
					rec.Set("location", "Gym")
				}
			})
		}), none},
		"a third of the pupils get another guardian": {changed(func(d district) {
			d.relatives(every(3))
		}), none},
		"guardians of one are linked to brothers and sisters": {newNight(eldest, siblings), none},
		"the first links": {newNight(unlinked, whole.clone()), none},
		"five guardians help": {changed(func(d district) {
			class := d.some("class", 1, not(is("sourcedId", "")))[0]
			for _, rec := range d.some("user", 5, is("role", "parent", "guardian")) {
				d.enroll(rec, class, "aide")
			}
		}), none},
		"new aides": {changed(func(d district) {
			aides := d.some("user", 12, is("role", "teacher"))
			class := d.some("class", 1, not(is("sourcedId", "")))[0]
			for i := range aides {
				aides[i].Values = slices.Clone(aides[i].Values)
				aides[i].Set("sourcedId", fmt.Sprint("new-", i))
				for _, field := range []string{"username", "email", "identifier"} {
					aides[i].Set(field, fmt.Sprint("new-", i))
				}
				aides[i].Set("role", "aide")
				d.enroll(aides[i], class, "aide")
			}
			r := oneroster.ByName("user")
			d[r] = append(d[r], aides...)
		}), none},
		"two teachers take over from two": {changed(func(d district) {
			of := d.some("user", 4, is("role", "teacher"))
			d.edit("enrollment", func(rec oneroster.Record) {
				for i := range 2 {
					if rec.Get("user") == of[i].ID() {
						rec.Set("user", of[i+2].ID())
					}
				}
			})
		}), none},
		"next year, announced before it begins": {changed(func(d district) {
			d.set("academicSession", "startDate", "2026-10-01")
			d.set("enrollment", "beginDate", "2026-10-01")
		}), intake.Context{Day: intake.Rollover}},
		"a half-year that begins later": {changed(func(d district) {
			d.halfYear()
			d.edit("enrollment", func(rec oneroster.Record) {
				if strings.HasPrefix(rec.ID(), "new-") {
					rec.Set("beginDate", "2027-02-01")
				}
			})
		}), intake.Context{Day: intake.AddsOnly}},
		"sections are numbered anew": {changed(func(d district) {
			d.edit("class", func(rec oneroster.Record) {
				title := strings.NewReplacer("Section 1", "Section 2", "Section 2", "Section 1")
				if rec.Get("school") == "sch-001" {
					rec.Set("title", title.Replace(rec.Get("title")))
				}
			})
		}), none},
		"two guardians swap their phones": {changed(func(d district) {
			some := first(2)
			d.moved("user", "sms", func(rec oneroster.Record) bool { return rec.Get("sms") != "" && some(rec) })
		}), none},
		"nothing": {newNight(whole, whole.clone()), intake.Context{Day: intake.Frozen}},
	}
}
