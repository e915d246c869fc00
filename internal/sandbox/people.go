package sandbox

import (
	"fmt"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// guarded is the student whom published suites ask for: the last to leave.
const guarded = "a1"

// classesOf lists the enrollments of a user, one by one.
func (l *Life) classesOf(user string) []oneroster.Record { return l.linked("enrollment", "user", user) }

// pupilsIn counts the students of a class.
func (l *Life) pupilsIn(class string) (n int) {
	for _, e := range l.linked("enrollment", "class", class) {
		if e.Get("role") == "student" {
			n++
		}
	}
	return n
}

// dispensable tells whether classes can do without a student of theirs.
func (l *Life) dispensable(enrollments []oneroster.Record) bool {
	for _, e := range enrollments {
		if l.pupilsIn(e.Get("class")) <= 2 {
			return false
		}
	}
	return true
}

// enroll adds an enrollment in a class.
func (l *Life) enroll(user, class oneroster.Record, role, primary, what string) {
	l.add(record("enrollment", "sourcedId", l.serialID("enr"), "user", user.ID(), "class", class.ID(),
		"school", class.Get("school"), "role", role, "primary", primary,
		"beginDate", l.half.start.Format(oneroster.DateLayout), "endDate",
		l.half.end.Format(oneroster.DateLayout)), what)
}

// takes enrolls a student in the classes of another.
func (l *Life) takes(student oneroster.Record, enrollments []oneroster.Record) {
	for _, e := range enrollments {
		class, _ := l.get("class", e.Get("class"))
		l.enroll(student, class, "student", "", fullName(student)+" takes "+class.Get("title"))
	}
}

// drops ends enrollments.
func (l *Life) drops(enrollments []oneroster.Record) {
	for _, e := range enrollments {
		l.leave(e, l.nameOf("user", e.Get("user"))+" no longer takes "+l.nameOf("class", e.Get("class")))
	}
}

func (l *Life) joins() {
	mate := l.anyStudent()
	student := l.newStudent(mate.Get("orgs"), mate.Get("grades"))
	l.takes(student, l.classesOf(mate.ID()))
}

// newStudent adds a student, a sibling of another now and then.
func (l *Life) newStudent(school, grade string) oneroster.Record {
	var guardian oneroster.Record
	family := 0
	if l.roll(3) == 0 {
		guardian, _ = l.get("user", oneroster.Items(l.anyStudent().Get("agents"))[0])
		var n [1]int
		numbers(guardian.ID(), "gua", n[:])
		family = n[0]
	} else {
		family = l.next("guardian")
	}
	k := l.next("student")
	student := l.child(k, family, school, grade)
	what := fmt.Sprintf("%s joined %s", fullName(student), l.nameOf("org", school))
	l.add(student, what)
	l.add(l.demographic(student.ID(), k, grade), what)
	l.joined = append(l.joined, student.ID())
	l.students++
	if there(guardian) {
		l.tie(guardian, student.ID(), what)
	} else {
		l.add(l.carer(family, []string{school}, student.ID()), what)
	}
	return student
}

// tie makes a guardian a student's; the student says so already.
func (l *Life) tie(guardian oneroster.Record, student, what string) {
	l.edit(guardian, what, "agents", sortedJoin(append(oneroster.Items(guardian.Get("agents")), student)...))
	l.settle(guardian.ID(), what)
}

// settle brings a guardian in step with the students: nobody's guardian leaves,
// and the others are at their schools.
func (l *Life) settle(id, what string) {
	guardian, _ := l.get("user", id)
	var agents, orgs []string
	for _, student := range oneroster.Items(guardian.Get("agents")) {
		if rec, ok := l.get("user", student); ok {
			agents = append(agents, student)
			if school := rec.Get("orgs"); !slices.Contains(orgs, school) {
				orgs = append(orgs, school)
			}
		}
	}
	if len(agents) == 0 {
		l.leave(guardian, fullName(guardian)+" has no child here any more")
		return
	}
	l.edit(guardian, what, "agents", oneroster.Join(agents...), "orgs", oneroster.Join(orgs...))
}

func sortedJoin(ids ...string) string {
	slices.Sort(ids)
	return oneroster.Join(slices.Compact(ids)...)
}

func (l *Life) leaves() {
	for range 8 {
		student := l.anyStudent()
		if student.ID() != guarded && l.dispensable(l.classesOf(student.ID())) {
			l.studentLeaves(student, fullName(student)+" left "+l.nameOf("org", student.Get("orgs")))
			return
		}
	}
}

func (l *Life) studentLeaves(student oneroster.Record, what string) {
	for _, r := range l.linked("result", "student", student.ID()) {
		l.leave(r, what)
	}
	for _, e := range l.classesOf(student.ID()) {
		l.leave(e, what)
	}
	if d, ok := l.get("demographics", student.ID()); ok {
		l.leave(d, what)
	}
	l.leave(student, what)
	l.students--
	for _, guardian := range oneroster.Items(student.Get("agents")) {
		l.settle(guardian, what)
	}
}

// changesSchool: to one of the same grade where there is one.
func (l *Life) changesSchool() {
	for range 8 {
		student := l.anyStudent()
		enrolled := l.classesOf(student.ID())
		mate, ok := l.elsewhere(student)
		if !ok || student.ID() == guarded || !l.dispensable(enrolled) {
			continue
		}
		what := fmt.Sprintf("%s moved to %s", fullName(student), l.nameOf("org", mate.Get("orgs")))
		l.drops(enrolled)
		l.settleIn(student, mate.Get("orgs"), mate.Get("grades"), what)
		l.takes(student, l.classesOf(mate.ID()))
		return
	}
}

// settleIn gives a student a school and a grade.
func (l *Life) settleIn(student oneroster.Record, school, grade, what string) {
	l.edit(student, what, "orgs", school, "grades", grade)
	if school != student.Get("orgs") {
		for _, guardian := range oneroster.Items(student.Get("agents")) {
			l.settle(guardian, what)
		}
	}
}

// elsewhere finds somebody at another school whose grade is the nearest.
func (l *Life) elsewhere(student oneroster.Record) (mate oneroster.Record, ok bool) {
	away := func(other oneroster.Record) int { return max(gap(student, other), gap(other, student)) }
	for range 12 {
		other := l.anyStudent()
		if other.Get("orgs") != student.Get("orgs") && (!ok || away(other) < away(mate)) {
			mate, ok = other, true
		}
	}
	return mate, ok
}

func gap(a, b oneroster.Record) int {
	return gradeNumber(a.Get("grades")) - gradeNumber(b.Get("grades"))
}

// gradeNumber of a CEDS code of two digits.
func gradeNumber(code string) int { return int(code[0]-'0')*10 + int(code[1]-'0') }

// changesClass: a student takes a class more, or one less, or both.
func (l *Life) changesClass() {
	student := l.anyStudent()
	enrolled := l.classesOf(student.ID())
	taken := func(class string) bool {
		return slices.ContainsFunc(enrolled, func(e oneroster.Record) bool { return e.Get("class") == class })
	}
	classes := l.linked("class", "school", student.Get("orgs"))
	classes = slices.DeleteFunc(classes, func(c oneroster.Record) bool { return taken(c.ID()) })
	if len(classes) > 0 && len(enrolled) <= periods {
		class := classes[l.roll(len(classes))]
		l.enroll(student, class, "student", "", fullName(student)+" takes "+class.Get("title"))
	}
	if len(enrolled) > 4 || len(classes) == 0 && len(enrolled) > 2 {
		if e := enrolled[l.roll(len(enrolled))]; e.Get("class") != l.first &&
			l.dispensable([]oneroster.Record{e}) {
			l.drops([]oneroster.Record{e})
		}
	}
}

// isRenamed: the username and the addresses follow the name.
func (l *Life) isRenamed() {
	student := l.anyStudent()
	last := family[l.roll(len(family))]
	if last.text == student.Get("familyName") {
		return
	}
	parts := strings.Split(student.Get("username"), ".")
	username := parts[0] + "." + strings.ToLower(last.plain) + "." + parts[len(parts)-1]
	_, host, _ := strings.Cut(student.Get("email"), "@")
	l.edit(student, fmt.Sprintf("%s is now called %s %s", fullName(student), student.Get("givenName"),
		last.text), "familyName", last.text, "username", username,
		"email", username+"@"+host, "userIds", oneroster.Join("LDAP"+oneroster.PartSep+username,
			"SIS"+oneroster.PartSep+student.Get("identifier")))
}

func (l *Life) getsMail() {
	student := l.anyStudent()
	email := student.Get("username") + "@mail.example.org"
	if email == student.Get("email") {
		email = student.Get("username") + "@student.example.org"
	}
	l.edit(student, fullName(student)+" has a new e-mail address", "email", email)
}

func (l *Life) getsPhone() {
	guardian, _ := l.get("user", oneroster.Items(l.anyStudent().Get("agents"))[0])
	l.edit(guardian, fullName(guardian)+" has a new phone", "sms", fmt.Sprintf("+1425555%04d",
		100+l.roll(9900)))
}

func (l *Life) getsGuardian() {
	student := l.anyStudent()
	if len(oneroster.Items(student.Get("agents"))) > 2 {
		return
	}
	guardian := l.carer(l.next("guardian"), []string{student.Get("orgs")}, student.ID())
	what := fmt.Sprintf("%s is a new guardian of %s", fullName(guardian), fullName(student))
	l.add(guardian, what)
	l.edit(student, what, "agents", sortedJoin(append(oneroster.Items(student.Get("agents")),
		guardian.ID())...))
}

// teacherLeaves: a new teacher takes the classes over. The first class keeps its own.
func (l *Life) teacherLeaves() {
	school := l.schools[l.roll(len(l.schools))]
	staff := l.linked("user", "orgs", school)
	old := staff[l.roll(len(staff))]
	if old.ID() == l.lead(l.first) {
		return
	}
	var n [1]int
	numbers(school, "sch", n[:])
	teacher := l.teacher(n[0], l.next(school))
	l.add(teacher, fmt.Sprintf("%s teaches at %s in place of %s", fullName(teacher),
		l.nameOf("org", school), fullName(old)))
	for _, e := range l.classesOf(old.ID()) {
		class, _ := l.get("class", e.Get("class"))
		l.enroll(teacher, class, "teacher", e.Get("primary"), fullName(teacher)+" teaches "+
			class.Get("title"))
		l.leave(e, fullName(old)+" no longer teaches "+class.Get("title"))
	}
	l.leave(old, fmt.Sprintf("%s left %s", fullName(old), l.nameOf("org", school)))
}
