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
		if err := give(record("resource", "sourcedId", resourceID(i), "title", fmt.Sprintf("Workbook %d",
			i+1), "roles", oneroster.Join("student", "teacher"),
			"importance", importance, "vendorResourceId", fmt.Sprintf("wb-%04d", i+1), "vendorId",
			"example-press", "applicationId", "reader")); err != nil {
			return err
		}
	}
	return nil
}

func (d *District) courses(give func(oneroster.Record) error) error {
	for l := range levels {
		for g, grade := range levels[l].grades {
			for p, sub := range levels[l].subjects {
				r := record("course", "sourcedId", courseID(l, g, p), "title", sub.name+", Grade "+
					strings.TrimPrefix(grade, "0"), "schoolYear", fmt.Sprintf("yr-%d", d.year),
					"courseCode", strings.ToUpper(sub.name[:3])+grade, "grades", grade, "subjects",
					sub.name, "subjectCodes", sub.codes[g], "org", "dst-1")
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
	return d.eachClass(func(s, c, p int) error { return give(d.class(s, c, p)) })
}

func (d *District) class(s, c, p int) oneroster.Record {
	g := d.grade(s, c)
	r := d.lesson(classID(s, c, p), s, g, p, c+1)
	r.Set("location", fmt.Sprintf("Room %d", 100+c*periods+p))
	if p%3 == 0 {
		r.Set("resources", oneroster.Join(resourceID(c+p), resourceID(c+p+1)))
	}
	return r
}

// lesson is a class in the subject of period p for grade g of a school, in the
// current term.
func (d *District) lesson(id string, s, g, p, section int) oneroster.Record {
	l := s % len(levels)
	grade, sub := levels[l].grades[g], levels[l].subjects[p]
	kind := "scheduled"
	if l == 2 && p == 0 {
		kind = "homeroom"
	}
	return record("class", "sourcedId", id, "title", fmt.Sprintf("%s, Grade %s, Section %d", sub.name,
		strings.TrimPrefix(grade, "0"), section),
		"classCode", fmt.Sprintf("%s%s-%d", strings.ToUpper(sub.name[:3]), grade, section), "classType", kind,
		"grades", grade, "subjects", sub.name, "subjectCodes", sub.codes[g], "course", courseID(l, g, p),
		"school", schoolID(s),
		"terms", d.term.id, "periods", fmt.Sprint(p+1))
}

// person makes a user. k tells people of a kind apart.
func (d *District) person(kind string, k int, id, role, host string, familyDice uint64,
	orgs ...string) oneroster.Record {
	first, last := pick(given, d.dice(kind+" given", k)), pick(family, familyDice)
	username := strings.ToLower(first.plain) + "." + strings.ToLower(last.plain) + "." + kind[:2] +
		fmt.Sprint(k+1)
	number := fmt.Sprintf("%s%07d", strings.ToUpper(kind[:2]), k+1)
	return record("user", "sourcedId", id, "username", username, "userIds",
		oneroster.Join("LDAP"+oneroster.PartSep+username, "SIS"+oneroster.PartSep+number),
		"enabledUser", "true", "givenName", first.text, "familyName", last.text, "role", role, "identifier",
		number, "email", username+"@"+host, "orgs", oneroster.Join(orgs...))
}

func (d *District) teacher(s, t int) oneroster.Record {
	k := s*10_000 + t
	r := d.person("teacher", k, teacherID(s, t), "teacher", "staff.example.org",
		d.dice("teacher family", k), schoolID(s))
	r.Set("phone", fmt.Sprintf("+1206555%04d", 100+k%100))
	return r
}

// guardian g looks after students 2g and 2g+1, who share the family name.
func (d *District) guardian(g int) oneroster.Record {
	orgs := []string{schoolID(2 * g % d.schools)}
	agents := []string{studentID(2 * g)}
	if 2*g+1 < d.students {
		agents = append(agents, studentID(2*g+1))
		if other := schoolID((2*g + 1) % d.schools); other != orgs[0] {
			orgs = append(orgs, other)
		}
	}
	return d.carer(g, orgs, agents...)
}

func (d *District) carer(g int, orgs []string, agents ...string) oneroster.Record {
	role := "parent"
	if g%3 == 0 {
		role = "guardian"
	}
	r := d.person("guardian", g, guardianID(g), role, "family.example.net", d.dice("family", g), orgs...)
	r.Set("agents", oneroster.Join(agents...))
	r.Set("sms", fmt.Sprintf("+1425555%04d", 100+g%100))
	return r
}

func guardianID(g int) string { return fmt.Sprintf("gua-%06d", g+1) }

func (d *District) pupil(k int) oneroster.Record {
	s, j := k%d.schools, k/d.schools
	return d.child(k, k/2, schoolID(s), d.level(s).grades[d.grade(s, j/cohortSize)])
}

// child is the student k, of guardian g's family.
func (d *District) child(k, g int, school, grade string) oneroster.Record {
	r := d.person("student", k, studentID(k), "student", "student.example.org", d.dice("family", g), school)
	r.Set("grades", grade)
	r.Set("agents", guardianID(g))
	if d.dice("middle", k)%3 == 0 {
		r.Set("middleName", pick(given, d.dice("middle name", k)).text)
	}
	if n := d.dice("flags", k); n%8 == 0 {
		flags := oneroster.FlagValues[n>>8%uint64(len(oneroster.FlagValues))]
		if n>>16%3 == 0 && flags != "giftedOrTalented" {
			flags = "giftedOrTalented," + flags
		}
		r.Set("metadata", oneroster.MetadataOf(map[string]any{oneroster.UserFlags: flags}))
	}
	return r
}

// staff is the one person of a role at a school who is not a teacher.
func (d *District) staff(role string, s int) oneroster.Record {
	return d.person(role, s, staffID(role, s), role, "staff.example.org", d.dice(role+" family", s),
		schoolID(s))
}

func staffID(role string, s int) string { return fmt.Sprintf("%s-%03d", role[:3], s+1) }

func (d *District) users(give func(oneroster.Record) error) error {
	for s := range d.schools {
		for t := range d.teachers(s) {
			if err := give(d.teacher(s, t)); err != nil {
				return err
			}
		}
		for _, role := range []string{"administrator", "aide"} {
			if err := give(d.staff(role, s)); err != nil {
				return err
			}
		}
	}
	if err := give(d.staff("proctor", 0)); err != nil {
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

var races = []string{"americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican",
	"nativeHawaiianOrOtherPacificIslander", "white"}

func (d *District) demographics(give func(oneroster.Record) error) error {
	for k := range d.students {
		s, j := k%d.schools, k/d.schools
		if err := give(d.demographic(studentID(k), k,
			d.level(s).grades[d.grade(s, j/cohortSize)])); err != nil {
			return err
		}
	}
	return nil
}

// demographic of the student k, who is as old as one in the grade is today.
func (d *District) demographic(id string, k int, grade string) oneroster.Record {
	n := d.dice("demographics", k)
	age := 6 + gradeNumber(grade)
	r := record("demographics", "sourcedId", id, "birthDate",
		d.today.AddDate(-age, 0, -int(n%300)).Format(oneroster.DateLayout), "sex",
		[]string{"female", "male"}[n>>9%2],
		"hispanicOrLatinoEthnicity", fmt.Sprint(n>>10%4 == 0), "demographicRaceTwoOrMoreRaces", "false",
		"countryOfBirthCode", "US", "stateOfBirthAbbreviation", "WA",
		"cityOfBirth", "Exampleton", "publicSchoolResidenceStatus", "01652")
	for i, race := range races {
		r.Set(race, fmt.Sprint(uint64(i) == n>>12%uint64(len(races))))
	}
	return r
}

func (d *District) enrollments(give func(oneroster.Record) error) error {
	return d.eachClass(func(s, c, p int) error {
		for n := 0; ; n++ {
			r, ok := d.enrollment(s, c, p, n)
			if !ok {
				return nil
			}
			if err := give(r); err != nil {
				return err
			}
		}
	})
}

func enrollmentID(s, c, p, n int) string { return fmt.Sprintf("enr%s-%02d", classID(s, c, p)[3:], n+1) }

// enrollment n of a class: its teachers, its students, who else is there.
func (d *District) enrollment(s, c, p, n int) (oneroster.Record, bool) {
	user, role, primary := "", "", ""
	switch i := n - d.staffed(s, c, p); {
	case n == 0:
		user, role, primary = teacherID(s, d.leads(s, c, p)), "teacher", "true"
	case i < 0:
		user, role, primary = teacherID(s, d.leads(s, c, p+1)), "teacher", "false"
	case i < d.cohort(s, c):
		user, role = studentID(d.student(s, c*cohortSize+i)), "student"
	case i == d.cohort(s, c) && c == 0 && p == 0:
		user, role = administratorID(s), "administrator"
	case i == d.cohort(s, c) && s == 0 && c == 0 && p == 1:
		user, role = staffID("proctor", s), "proctor"
	default:
		return oneroster.Record{}, false
	}
	return record("enrollment", "sourcedId", enrollmentID(s, c, p, n), "user", user, "class",
		classID(s, c, p), "school", schoolID(s),
		"role", role, "primary", primary, "beginDate", d.term.start.Format(oneroster.DateLayout), "endDate",
		d.term.end.Format(oneroster.DateLayout)), true
}

// staffed is how many teachers a class has.
func (d *District) staffed(s, c, p int) int {
	if d.helps(s, c, p) {
		return 2
	}
	return 1
}

func administratorID(s int) string { return staffID("administrator", s) }

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
		if err := give(record("classGroup", "sourcedId", fmt.Sprintf("grp-%d", n+1), "title",
			fmt.Sprintf("Combined Section %d", n+1), "groupType", "cross-listed", "classes",
			oneroster.Join(members...))); err != nil {
			return err
		}
	}
	return nil
}
