package sandbox

import (
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
)

const resourceCount = 12

func resourceID(i int) string { return fmt.Sprintf("res-%02d", i%resourceCount+1) }

func (d *District) resources(give func(oneroster.Record) error) error {
	for i := range resourceCount {
		importance := "primary"
		if i%3 == 2 {
			importance = "secondary"
		}
		if err := give(record("resource", "sourcedId", resourceID(i), "title", fmt.Sprintf("Workbook %d", i+1), "roles", oneroster.Join("student", "teacher"),
			"importance", importance, "vendorResourceId", fmt.Sprintf("wb-%04d", i+1), "vendorId", "example-press", "applicationId", "reader")); err != nil {
			return err
		}
	}
	return nil
}

func (d *District) courses(give func(oneroster.Record) error) error {
	for l := range levels {
		for g, grade := range levels[l].grades {
			for p, sub := range levels[l].subjects {
				r := record("course", "sourcedId", courseID(l, g, p), "title", sub.name+", Grade "+strings.TrimPrefix(grade, "0"), "schoolYear", fmt.Sprintf("yr-%d", d.year),
					"courseCode", strings.ToUpper(sub.name[:3])+grade, "grades", grade, "subjects", sub.name, "subjectCodes", sub.codes[g], "org", "dst-1")
				if p == periods-1 { // electives are a school's own; the rest is the district's
					r.Set("org", schoolID(l))
				}
				if p%2 == 0 {
					r.Set("resources", resourceID(g+p))
				}
				if err := give(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (d *District) classes(give func(oneroster.Record) error) error {
	return d.eachClass(func(s, c, p int) error {
		l, g := s%len(levels), d.grade(s, c)
		sub := levels[l].subjects[p]
		kind := "scheduled"
		if l == 2 && p == 0 {
			kind = "homeroom"
		}
		r := record("class", "sourcedId", classID(s, c, p), "title", fmt.Sprintf("%s, Grade %s, Section %d", sub.name, strings.TrimPrefix(levels[l].grades[g], "0"), c+1),
			"classCode", fmt.Sprintf("%s%s-%d", strings.ToUpper(sub.name[:3]), levels[l].grades[g], c+1), "classType", kind, "location", fmt.Sprintf("Room %d", 100+c*periods+p),
			"grades", levels[l].grades[g], "subjects", sub.name, "subjectCodes", sub.codes[g], "course", courseID(l, g, p), "school", schoolID(s),
			"terms", d.term().id, "periods", fmt.Sprint(p+1))
		if p%3 == 0 {
			r.Set("resources", oneroster.Join(resourceID(c+p), resourceID(c+p+1)))
		}
		return give(r)
	})
}

// person makes a user. k tells people of a kind apart.
func (d *District) person(kind string, k int, id, role, host string, familyDice uint64, orgs ...string) oneroster.Record {
	first, last := pick(given, d.dice(kind+" given", k)), pick(family, familyDice)
	username := strings.ToLower(first.plain) + "." + strings.ToLower(last.plain) + "." + kind[:2] + fmt.Sprint(k+1)
	number := fmt.Sprintf("%s%07d", strings.ToUpper(kind[:2]), k+1)
	return record("user", "sourcedId", id, "username", username, "userIds", oneroster.Join("LDAP"+oneroster.PartSep+username, "SIS"+oneroster.PartSep+number),
		"enabledUser", "true", "givenName", first.text, "familyName", last.text, "role", role, "identifier", number, "email", username+"@"+host, "orgs", oneroster.Join(orgs...))
}

func (d *District) teacher(s, t int) oneroster.Record {
	k := s*10_000 + t
	r := d.person("teacher", k, teacherID(s, t), "teacher", "staff.example.org", d.dice("teacher family", k), schoolID(s))
	r.Set("phone", fmt.Sprintf("+1206555%04d", 100+k%100))
	return r
}

// guardian g looks after students 2g and 2g+1, who share the family name.
func (d *District) guardian(g int) oneroster.Record {
	role := "parent"
	if g%3 == 0 {
		role = "guardian"
	}
	orgs := []string{schoolID(2 * g % d.schools)}
	agents := []string{studentID(2 * g)}
	if 2*g+1 < d.students {
		agents = append(agents, studentID(2*g+1))
		if other := schoolID((2*g + 1) % d.schools); other != orgs[0] {
			orgs = append(orgs, other)
		}
	}
	r := d.person("guardian", g, guardianID(g), role, "family.example.net", d.dice("family", g), orgs...)
	r.Set("agents", oneroster.Join(agents...))
	r.Set("sms", fmt.Sprintf("+1425555%04d", 100+g%100))
	return r
}

func guardianID(g int) string { return fmt.Sprintf("gua-%06d", g+1) }

var userFlags = []string{"freeLunch", "reducedLunch", "homeless", "giftedOrTalented", "504", "ELL", "LEP", "IEP"}

func (d *District) pupil(k int) oneroster.Record {
	s, j := k%d.schools, k/d.schools
	r := d.person("student", k, studentID(k), "student", "student.example.org", d.dice("family", k/2), schoolID(s))
	r.Set("grades", d.level(s).grades[d.grade(s, j/cohortSize)])
	r.Set("agents", guardianID(k/2))
	if d.dice("middle", k)%3 == 0 {
		r.Set("middleName", pick(given, d.dice("middle name", k)).text)
	}
	if n := d.dice("flags", k); n%8 == 0 {
		flags := userFlags[n>>8%uint64(len(userFlags))]
		if n>>16%3 == 0 && flags != "giftedOrTalented" {
			flags = "giftedOrTalented," + flags
		}
		r.Set("metadata", oneroster.MetadataOf(map[string]any{"microsoft.userFlags": flags}))
	}
	return r
}

func (d *District) users(give func(oneroster.Record) error) error {
	for s := range d.schools {
		for t := range d.teachers(s) {
			if err := give(d.teacher(s, t)); err != nil {
				return err
			}
		}
		for _, role := range []string{"administrator", "aide"} {
			if err := give(d.person(role, s, fmt.Sprintf("%s-%03d", role[:3], s+1), role, "staff.example.org", d.dice(role+" family", s), schoolID(s))); err != nil {
				return err
			}
		}
	}
	if err := give(d.person("proctor", 0, "pro-001", "proctor", "staff.example.org", d.dice("proctor family", 0), schoolID(0))); err != nil {
		return err
	}
	for k := range d.students {
		if err := give(d.pupil(k)); err != nil {
			return err
		}
		if k%2 == 0 {
			if err := give(d.guardian(k / 2)); err != nil {
				return err
			}
		}
	}
	return nil
}

var races = []string{"americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican", "nativeHawaiianOrOtherPacificIslander", "white"}

func (d *District) demographics(give func(oneroster.Record) error) error {
	for k := range d.students {
		n := d.dice("demographics", k)
		s, j := k%d.schools, k/d.schools
		age := 6 + int(d.level(s).grades[d.grade(s, j/cohortSize)][0]-'0')*10 + int(d.level(s).grades[d.grade(s, j/cohortSize)][1]-'0')
		r := record("demographics", "sourcedId", studentID(k), "birthDate", d.today.AddDate(-age, 0, -int(n%300)).Format(oneroster.DateLayout), "sex", []string{"female", "male"}[n>>9%2],
			"hispanicOrLatinoEthnicity", fmt.Sprint(n>>10%4 == 0), "demographicRaceTwoOrMoreRaces", "false", "countryOfBirthCode", "US", "stateOfBirthAbbreviation", "WA",
			"cityOfBirth", "Exampleton", "publicSchoolResidenceStatus", "01652")
		for i, race := range races {
			r.Set(race, fmt.Sprint(uint64(i) == n>>12%uint64(len(races))))
		}
		if err := give(r); err != nil {
			return err
		}
	}
	return nil
}

func (d *District) enrollments(give func(oneroster.Record) error) error {
	begin, end := d.term().start.Format(oneroster.DateLayout), d.term().end.Format(oneroster.DateLayout)
	return d.eachClass(func(s, c, p int) error {
		class, n := classID(s, c, p), 0
		enroll := func(user, role, primary string) error {
			n++
			return give(record("enrollment", "sourcedId", fmt.Sprintf("enr%s-%02d", class[3:], n), "user", user, "class", class, "school", schoolID(s),
				"role", role, "primary", primary, "beginDate", begin, "endDate", end))
		}
		if err := enroll(teacherID(s, d.leads(s, c, p)), "teacher", "true"); err != nil {
			return err
		}
		if d.helps(s, c, p) {
			if err := enroll(teacherID(s, d.leads(s, c, p+1)), "teacher", "false"); err != nil {
				return err
			}
		}
		for i := range d.cohort(s, c) {
			if err := enroll(studentID(d.student(s, c*cohortSize+i)), "student", ""); err != nil {
				return err
			}
		}
		if c == 0 && p == 0 {
			return enroll(fmt.Sprintf("adm-%03d", s+1), "administrator", "")
		}
		if s == 0 && c == 0 && p == 1 {
			return enroll("pro-001", "proctor", "")
		}
		return nil
	})
}

// classGroups: classes of one teacher that meet together.
func (d *District) classGroups(give func(oneroster.Record) error) error {
	for n := range 3 {
		members := []string{classID(n, 0, 0)}
		for p := 1; p < periods && len(members) < 2; p++ {
			for c := range d.cohorts(n) {
				if d.leads(n, c, p) == 0 {
					members = append(members, classID(n, c, p))
					break
				}
			}
		}
		if len(members) < 2 {
			members = append(members, classID(n, 0, 1))
		}
		if err := give(record("classGroup", "sourcedId", fmt.Sprintf("grp-%d", n+1), "title", fmt.Sprintf("Combined Section %d", n+1), "groupType", "cross-listed", "classes", oneroster.Join(members...))); err != nil {
			return err
		}
	}
	return nil
}
