package intake_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// tagged is a night on which the metadata of a resource are others.
func tagged(whole district, resource, was, is string) *night {
	before, after := whole.clone(), whole.clone()
	before.set(resource, "metadata", was)
	after.set(resource, "metadata", is)
	return newNight(before, after)
}

// domains gives each school its own.
func domains(whole district) district {
	d := whole.clone()
	d.edit("user", func(rec oneroster.Record) {
		name, _, _ := strings.Cut(rec.Get("email"), "@")
		rec.Set("email", name+"@"+oneroster.Items(rec.Get("orgs"))[0]+".example")
	})
	return d
}

// dashed has another title for half of its classes.
func dashed(whole district, before string) district {
	d, half := whole.clone(), every(2)
	d.edit("class", func(rec oneroster.Record) {
		if half(rec) {
			rec.Set("title", before+rec.Get("title"))
		}
	})
	return d
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
		"two accounts of a pupil become one, of forty": {changed(func(d district) {
			other, gone := map[string]string{}, ""
			for i, rec := range d.some("user", 40, pupilsOf("sch-001")) {
				if i%2 == 1 {
					other[rec.ID()] = gone
				}
				gone = rec.ID()
			}
			d.edit("result", func(rec oneroster.Record) {
				rec.Set("student", cmp.Or(other[rec.Get("student")], rec.Get("student")))
			})
			d.drop("user", func(rec oneroster.Record) bool { return other[rec.ID()] != "" })
		}), none},
		"a teacher puts a class's results right": {changed(func(d district) {
			line := d.some("lineItem", 1, not(is("sourcedId", "")))[0].ID()
			d.moved("result", "student", is("lineItem", line))
		}), none},
		"some of the teachers of a school marry": {changed(func(d district) {
			third := every(3)
			d.edit("user", func(rec oneroster.Record) {
				if rec.Get("role") == "teacher" && rec.Get("orgs") == "sch-001" && third(rec) {
					rec.Set("familyName", rec.Get("familyName")+"-"+rec.Get("givenName"))
				}
			})
		}), none},
		"two pupils get each other's names, that were mixed up": {changed(func(d district) {
			two := d.ids("user", of(pupilsOf("sch-003"), first(2)))
			for _, field := range []string{"givenName", "familyName"} {
				d.moved("user", field, func(rec oneroster.Record) bool { return two[rec.ID()] })
			}
		}), none},
		"a tenth of the pupils skip a grade": {changed(func(d district) {
			d.promoted(of(is("role", "student"), every(10)))
		}), none},
		"everybody is a grade up": {changed(func(d district) { d.promoted(is("role", "student")) }),
			intake.Context{Day: intake.Rollover}},
		"one school writes its grades in words with the year": {changed(func(d district) {
			d.edit("user", func(rec oneroster.Record) {
				if pupilsOf("sch-001")(rec) {
					rec.Set("grades", "Grade "+rec.Get("grades"))
				}
			})
		}), intake.Context{Day: intake.Rollover}},
		"names are written without accents": {changed(func(d district) {
			d.letters(func(rune) string { return "e" })
		}), none},
		"titles have another sign between their parts": {newNight(dashed(whole, "español – "),
			dashed(whole, "español_")), none},
		"namesakes come": {changed(func(d district) {
			d.again(5, func(born oneroster.Record) { born.Set("birthDate", "2012-02-29") })
		}), none},
		"a twelfth of the pupils get another id": {changed(func(d district) {
			d.again(12, func(oneroster.Record) {})
			nth := every(12)
			d.drop("user", func(rec oneroster.Record) bool { return rec.Get("role") == "student" && nth(rec) })
		}), none},
		"a school opens in the domain of the others": {changed(func(d district) {
			d.join("example.org", "dst-1")
		}), none},
		"a school opens with teachers who are known, in a domain of its own": {changed(func(d district) {
			d.join("beta.example", "")
			d.some("user", 1, is("role", "teacher"))[0].Set("orgs", oneroster.Join("sch-001", "beta"))
		}), none},
		"a school opens where each has its own domain": {newNight(domains(whole), func() district {
			d := domains(whole)
			d.join("beta.example", "dst-1")
			return d
		}()), none},
		"nothing": {newNight(whole, whole.clone()), intake.Context{Day: intake.Frozen}},
	}
}
