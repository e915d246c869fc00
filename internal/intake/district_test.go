package intake_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
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
					lost[f.Name] = intake.Without{r, f.Name, append(w.IDs, rec.ID())}
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

// left takes n pupils out of their classes and disables their accounts.
func (d district) left(n int) {
	gone := map[string]bool{}
	for _, rec := range d.some("user", n, is("role", "student")) {
		rec.Set("enabledUser", "false")
		gone[rec.ID()] = true
	}
	for _, resource := range []string{"enrollment", "result"} {
		d.drop(resource, func(rec oneroster.Record) bool {
			return gone[rec.Get("user")] || gone[rec.Get("student")]
		})
	}
}

// again adds every nth pupil once more, under another id and address.
func (d district) again(n int, change func(demographics oneroster.Record)) {
	nth, twins := every(n), map[string]bool{}
	for _, rec := range d.some("user", 1000, of(is("role", "student"), nth)) {
		twin := oneroster.Record{Resource: rec.Resource, Values: slices.Clone(rec.Values)}
		for _, field := range []string{"sourcedId", "username", "email", "identifier", "userIds"} {
			twin.Set(field, "new-"+rec.Get(field))
		}
		twin.Set("agents", "")
		d[rec.Resource] = append(d[rec.Resource], twin)
		twins[rec.ID()] = true
	}
	born := oneroster.ByName("demographics")
	for _, rec := range slices.Clone(d[born]) {
		if twins[rec.ID()] {
			twin := oneroster.Record{Resource: born, Values: slices.Clone(rec.Values)}
			twin.Set("sourcedId", "new-"+rec.ID())
			change(twin)
			d[born] = append(d[born], twin)
		}
	}
}

// leaves moves n pupils from one school to another, with classes there.
func (d district) leaves(n int) {
	moved := map[string]bool{}
	classes := d.some("class", 6, is("school", "sch-002"))
	for _, rec := range d.some("user", n, pupilsOf("sch-001")) {
		rec.Set("orgs", "sch-002")
		moved[rec.ID()] = true
	}
	d.drop("enrollment", func(rec oneroster.Record) bool { return moved[rec.Get("user")] })
	for _, rec := range d.some("user", n, func(rec oneroster.Record) bool { return moved[rec.ID()] }) {
		for _, class := range classes {
			d.enroll(rec, class, "student")
		}
	}
}

// join adds a school of thirty pupils and two teachers.
func (d district) join(domain, parent string) {
	orgs, users := oneroster.ByName("org"), oneroster.ByName("user")
	school := oneroster.NewRecord(orgs)
	for field, value := range map[string]string{"sourcedId": "beta", "status": oneroster.Active,
		"name": "Beta School", "type": "school", "identifier": "B1", "parent": parent} {
		school.Set(field, value)
	}
	d[orgs] = append(d[orgs], school)
	for i := range 32 {
		id, role, grade := fmt.Sprint("beta-", i), "student", "03"
		if i >= 30 {
			role, grade = "teacher", ""
		}
		rec := oneroster.NewRecord(users)
		for field, value := range map[string]string{"sourcedId": id, "status": oneroster.Active, "role": role,
			"orgs": "beta", "grades": grade, "givenName": "Beta", "familyName": id, "enabledUser": "true",
			"username": id, "email": id + "@" + domain, "identifier": id} {
			rec.Set(field, value)
		}
		d[users] = append(d[users], rec)
	}
}

// promoted puts those who are meant into the grade that follows.
func (d district) promoted(meant func(oneroster.Record) bool) {
	d.edit("user", func(rec oneroster.Record) {
		if n, err := strconv.Atoi(rec.Get("grades")); err == nil && meant(rec) {
			rec.Set("grades", fmt.Sprintf("%02d", n+1))
		}
	})
}

// ids are those of the records that are meant.
func (d district) ids(resource string, meant func(oneroster.Record) bool) map[string]bool {
	out := map[string]bool{}
	d.edit(resource, func(rec oneroster.Record) {
		if meant(rec) {
			out[rec.ID()] = true
		}
	})
	return out
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
