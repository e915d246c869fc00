package sandbox

import (
	"fmt"
	"time"

	"rollbook/internal/oneroster"
)

// The school year rolls over on day 21 of a life, and after every 180 school
// days from then on: the calendar goes on to the next first of August.
const (
	firstRollover = 21
	schoolDays    = 180
)

// A Life is a made-up district that moves one school day at a time: people come,
// go and change, work is marked, the year rolls over. The same Options have the
// same days. It is a oneroster.Source of its current day, and holds only what
// differs from the district that it began as; from the first rollover on that
// is nearly everything.
type Life struct {
	*overlay
	day  int
	date time.Time
	ends int  // the year in which the current school year ends
	half span // the term that classes are in

	first    string // the first class
	students int    // how many there are
	joined   []string
	schools  []string
	serial   map[string]int // the last number given, by kind of id
	rolls    int
}

// NewLife makes a district on its first day, day 0, which is Options.Today.
func NewLife(opt Options) *Life {
	d := New(opt)
	l := &Life{overlay: newOverlay(d), date: d.today, ends: d.year, half: d.term, first: classID(0, 0, 0),
		students: d.students,
		serial:   map[string]int{"student": d.students, "guardian": (d.students + 1) / 2}}
	for s := range d.schools {
		l.schools = append(l.schools, schoolID(s))
		l.serial[schoolID(s)] = d.teachers(s)
	}
	return l
}

// Day is how many days have passed.
func (l *Life) Day() int { return l.day }

// Date of the current day, YYYY-MM-DD.
func (l *Life) Date() string { return l.date.Format(oneroster.DateLayout) }

// Facts of the current day.
func (l *Life) Facts() Facts {
	teacher, _ := l.get("user", l.lead(l.first))
	return Facts{teacher.Get("email"), fmt.Sprint(l.ends), l.schools[0], l.first, "grp-1", l.students}
}

// lead is the sourcedId of a class's first teacher.
func (l *Life) lead(class string) string {
	for _, e := range l.linked("enrollment", "class", class) {
		if e.Get("primary") == "true" {
			return e.Get("user")
		}
	}
	return ""
}

// happenings are what may change a district: every so many days, from which day
// on, each once a day and once more for each thousand students.
var happenings = []struct {
	every, from int
	happen      func(*Life)
}{
	{1, 0, (*Life).joins}, {1, 0, (*Life).leaves}, {3, 1, (*Life).changesSchool},
	{1, 0, (*Life).changesClass}, {2, 0, (*Life).isRenamed},
	{2, 1, (*Life).getsMail}, {1, 0, (*Life).getsPhone}, {2, 0, (*Life).getsGuardian},
	{3, 0, (*Life).teacherLeaves}, {2, 1, (*Life).classRenamed},
	{5, 2, (*Life).classOpens}, {1, 0, (*Life).workMarked}, {1, 0, (*Life).scoreCorrected},
	{1, 0, (*Life).commented}, {3, 2, (*Life).groupChanges},
	{8, 4, (*Life).departmentOpens}, {8, 7, (*Life).departmentCloses}, {10, 3, (*Life).periodOpens},
	{10, 8, (*Life).periodCloses},
}

// Step moves the district one school day on and tells what that changed: every
// record that is served otherwise than the day before, once.
func (l *Life) Step() []Change {
	l.day++
	l.newDay()
	if over := l.day - firstRollover; over >= 0 && over%schoolDays == 0 {
		l.date = weekday(later(l.date.AddDate(0, 0, 1), day(l.ends, time.August, 1)))
		l.rollOver()
	} else {
		l.date = weekday(l.date.AddDate(0, 0, 1))
	}
	for _, h := range happenings {
		if l.day%h.every != h.from%h.every {
			continue
		}
		for range 1 + l.students/1000 {
			h.happen(l)
		}
	}
	return l.changes(l.day, l.Date())
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// weekday is the day, or the Monday after it.
func weekday(t time.Time) time.Time {
	for t.Weekday() == time.Saturday || t.Weekday() == time.Sunday {
		t = t.AddDate(0, 0, 1)
	}
	return t
}

// roll throws the life's dice: a number below n.
func (l *Life) roll(n int) int {
	l.rolls++
	return int(l.dice("life", l.rolls) % uint64(n))
}

// next gives out the numbers of a kind, counted from 0; none is given twice.
func (l *Life) next(kind string) int {
	l.serial[kind]++
	return l.serial[kind] - 1
}

// serialID is the id of a record that has no place in the computed district.
func (l *Life) serialID(kind string) string { return fmt.Sprintf("%s-x%06d", kind, l.next(kind)+1) }

// anyStudent picks one by the dice.
func (l *Life) anyStudent() oneroster.Record {
	all := l.District.students + len(l.joined)
	for n := l.roll(all); ; n = (n + 1) % all {
		id := studentID(n)
		if n >= l.District.students {
			id = l.joined[n-l.District.students]
		}
		if rec, ok := l.get("user", id); ok {
			return rec
		}
	}
}

// anyClass picks one by the dice.
func (l *Life) anyClass() oneroster.Record {
	y := l.layers[oneroster.ByName("class")]
	for {
		n := l.roll(l.District.students/cohortSize*periods + len(y.added) + 1)
		id := ""
		switch {
		case n < len(y.added):
			id = y.added[n]
		case y.computed:
			s := l.roll(l.District.schools)
			id = classID(s, l.roll(l.cohorts(s)), l.roll(periods))
		}
		if rec, ok := l.get("class", id); ok {
			return rec
		}
	}
}

// nameOf is how a log calls a record.
func (l *Life) nameOf(resource, id string) string {
	rec, ok := l.get(resource, id)
	switch {
	case !ok:
		return id
	case resource == "user":
		return fullName(rec)
	case resource == "org":
		return rec.Get("name")
	}
	return rec.Get("title")
}

func fullName(user oneroster.Record) string {
	return user.Get("givenName") + " " + user.Get("familyName")
}
