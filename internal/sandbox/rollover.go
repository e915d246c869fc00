package sandbox

import (
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
)

// A form is the students of one grade at one school.
type form struct{ school, grade int }

// rollOver ends the school year: its classes and their gradebook retire, and so
// do the sessions of the year before; students go up a grade, the oldest leave,
// new ones join, and new classes begin.
func (l *Life) rollOver() {
	l.endClasses()
	l.newSessions()
	forms, left := l.goUp()
	for range max(3, (left+len(l.schools)-1)/len(l.schools)) {
		for s, school := range l.schools {
			f := form{s, 0}
			forms[f] = append(forms[f], l.newStudent(school, l.level(s).grades[0]).ID())
		}
	}
	for s := range l.schools {
		l.beginClasses(s, forms)
	}
	l.regroup()
	for s := range l.schools {
		class, _ := l.get("class", l.classOf(s, 0, 0))
		l.mark(class)
	}
}

// classOf is the sourcedId of a class of the current school year.
func (l *Life) classOf(s, section, p int) string {
	return fmt.Sprintf("cls-%d-%03d-%03d-%d", l.ends, s+1, section+1, p+1)
}

func (l *Life) endClasses() {
	year := fmt.Sprintf("the school year %d-%d", l.ends-1, l.ends)
	with := func(name func(oneroster.Record) string) func(oneroster.Record) string {
		return func(rec oneroster.Record) string { return name(rec) + " ended with " + year }
	}
	title := func(rec oneroster.Record) string { return rec.Get("title") }
	l.leaveAll("result", with(func(rec oneroster.Record) string {
		return fmt.Sprintf("What %s got in %s", l.nameOf("user", rec.Get("student")),
			l.nameOf("lineItem", rec.Get("lineItem")))
	}))
	l.leaveAll("lineItem", with(title))
	for _, rec := range l.all("category") {
		if rec.Values[rec.Resource.MetadataIndex()] != "" { // a class's own
			l.leave(rec, with(title)(rec))
		}
	}
	l.leaveAll("enrollment", with(func(rec oneroster.Record) string {
		return fmt.Sprintf("%s in %s", l.nameOf("user", rec.Get("user")), l.nameOf("class", rec.Get("class")))
	}))
	l.leaveAll("class", with(title))
}

// newSessions adds the school year that begins and retires the one before last;
// courses are those of the new one.
func (l *Life) newSessions() {
	oldest := fmt.Sprint(l.ends - 1)
	for _, rec := range l.all("academicSession") {
		if rec.Get("schoolYear") == oldest {
			l.leave(rec, rec.Get("title")+" is long past")
		}
	}
	l.ends++
	_ = sessionsOf(l.ends, func(rec oneroster.Record) error { // it fails only where its caller does
		l.add(rec, rec.Get("title")+" is planned")
		return nil
	})
	l.half = terms(l.ends)[0]
	for _, rec := range l.all("course") {
		l.edit(rec, fmt.Sprintf("%s is taught in the school year %d-%d", rec.Get("title"), l.ends-1,
			l.ends), "schoolYear", fmt.Sprintf("yr-%d", l.ends))
	}
}

// goUp moves every student up a grade, from the last of a school to the first
// of the next school, and tells how many left.
func (l *Life) goUp() (forms map[form][]string, left int) {
	forms = map[form][]string{}
	var students []oneroster.Record
	for _, rec := range l.all("user") {
		if rec.Get("role") == "student" {
			students = append(students, rec)
		}
	}
	leaving := l.oldest(students)
	for i, rec := range students {
		f := l.formOf(rec)
		grades := l.level(f.school).grades
		switch {
		case leaving(i, rec):
			l.studentLeaves(rec, fmt.Sprintf("%s finished school at %s", fullName(rec),
				l.nameOf("org", rec.Get("orgs"))))
			left++
			continue
		case f.grade < len(grades)-1:
			f.grade++
			grade := grades[f.grade]
			l.settleIn(rec, rec.Get("orgs"), grade, fmt.Sprintf("%s went up to grade %s", fullName(rec),
				strings.TrimPrefix(grade, "0")))
		case f.school%len(levels) > 0: // schools come in turn: high, middle, elementary
			f = form{f.school - 1, 0}
			school := l.schools[f.school]
			l.settleIn(rec, school, l.level(f.school).grades[0], fmt.Sprintf("%s went up to %s",
				fullName(rec), l.nameOf("org", school)))
		}
		forms[f] = append(forms[f], rec.ID())
	}
	return forms, left
}

func (l *Life) formOf(student oneroster.Record) form {
	var n [1]int
	numbers(student.Get("orgs"), "sch", n[:])
	for g, grade := range l.level(n[0]).grades {
		if grade == student.Get("grades") {
			return form{n[0], g}
		}
	}
	return form{n[0], 0}
}

// oldest tells who leaves: those of the last grade, and where a small district
// has nobody in it, every third of the highest grade that it has.
func (l *Life) oldest(students []oneroster.Record) func(i int, student oneroster.Record) bool {
	highest := ""
	for _, rec := range students {
		highest = max(highest, rec.Get("grades"))
	}
	last := levels[0].grades[len(levels[0].grades)-1]
	seen := 0
	return func(i int, student oneroster.Record) bool {
		if student.Get("grades") != highest || student.ID() == guarded {
			return false
		}
		seen++
		return highest == last || seen%3 == 1
	}
}

// beginClasses gives each form of a school its classes, in sections of nearly
// equal size, and the school's teachers in turn.
func (l *Life) beginClasses(s int, forms map[form][]string) {
	section := 0
	staff := l.linked("user", "orgs", l.schools[s])
	for g := range l.level(s).grades {
		students := forms[form{s, g}]
		n := (len(students) + cohortSize - 1) / cohortSize
		for part := range n {
			l.beginSection(s, g, section, staff, students[part*len(students)/n:(part+1)*len(students)/n])
			section++
		}
	}
	first, _ := l.get("class", l.classOf(s, 0, 0))
	if s == 0 {
		l.first = first.ID()
		second, _ := l.get("class", l.classOf(s, 0, 1))
		proctor := l.staff("proctor", s)
		l.enroll(proctor, second, "proctor", "", fullName(proctor)+" is at "+second.Get("title"))
	}
	administrator := l.staff("administrator", s)
	l.enroll(administrator, first, "administrator", "", fullName(administrator)+" is at "+first.Get("title"))
	l.add(participation(first.ID()), "Class Participation counts in "+first.Get("title"))
}

func (l *Life) beginSection(s, g, section int, staff []oneroster.Record, students []string) {
	for p := range periods {
		class := l.lesson(l.classOf(s, section, p), s, g, p, section+1)
		class.Set("terms", l.half.id)
		class.Set("location", fmt.Sprintf("Room %d", 100+section*periods+p))
		if p%3 == 0 {
			class.Set("resources", oneroster.Join(resourceID(section+p), resourceID(section+p+1)))
		}
		l.add(class, class.Get("title")+" began")
		lead := staff[(section+p)%len(staff)]
		l.enroll(lead, class, "teacher", "true", fullName(lead)+" teaches "+class.Get("title"))
		if l.roll(10) == 0 {
			helper := staff[(section+p+1)%len(staff)]
			l.enroll(helper, class, "teacher", "false", fullName(helper)+" helps in "+class.Get("title"))
		}
		for _, id := range students {
			student, _ := l.get("user", id)
			l.enroll(student, class, "student", "", fullName(student)+" takes "+class.Get("title"))
		}
	}
}

// regroup gives the class groups classes of the year.
func (l *Life) regroup() {
	for n, rec := range l.all("classGroup") {
		first, _ := l.get("class", l.classOf(n, 0, 0))
		second, _ := l.get("class", l.classOf(n, 0, 1))
		l.edit(rec, fmt.Sprintf("%s is now %s and %s", rec.Get("title"), first.Get("title"),
			second.Get("title")),
			"classes", oneroster.Join(first.ID(), second.ID()))
	}
}
