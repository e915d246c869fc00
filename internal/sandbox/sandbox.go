// Package sandbox makes up a district: believable, of any size, and always the
// same for a seed. Every record is computed from its place, so that a district
// of a million enrollments streams without being held.
package sandbox

import (
	"context"
	"fmt"
	"time"

	"rollbook/internal/oneroster"
)

// Bounds of a district.
const (
	LeastStudents = 12
	MostStudents  = 2_000_000
)

// Options of a district.
type Options struct {
	Students int       // 0 is 1,000; at least 12 are made, at most 2,000,000
	Seed     int64     // another seed, other people
	Today    time.Time // the school year lies around this day; zero is now
}

const (
	cohortSize = 25 // students who take their six classes together
	schoolSize = 500
	periods    = 6
)

// A District is a oneroster.Source. Students are dealt to the schools in turn;
// those of a school form cohorts, and a cohort has one class a period.
type District struct {
	opt      Options
	students int
	schools  int
	year     int // in which the current school year ends
	today    time.Time
	term     span // of the classes
}

// New makes a district.
func New(opt Options) *District {
	if opt.Students == 0 {
		opt.Students = 1000
	}
	if opt.Today.IsZero() {
		opt.Today = time.Now()
	}
	d := &District{opt: opt, students: min(max(opt.Students, LeastStudents), MostStudents)}
	d.schools = max(3, (d.students+schoolSize-1)/schoolSize)
	d.today = time.Date(opt.Today.Year(), opt.Today.Month(), opt.Today.Day(), 0, 0, 0, 0, time.UTC)
	d.year = d.today.Year()
	if d.today.Month() >= time.August {
		d.year++
	}
	d.term = current(terms(d.year), d.today)
	return d
}

// Facts are what a newcomer needs to try the district out.
type Facts struct {
	TeacherEmail string // of the first class's teacher; nobody else has it
	SchoolYear   string // four digits
	School       string // of the first class
	Class        string
	ClassGroup   string
	Students     int
}

// Facts of the district.
func (d *District) Facts() Facts {
	return Facts{d.teacher(0, 0).Get("email"), fmt.Sprint(d.year), schoolID(0), classID(0, 0, 0), "grp-1",
		d.students}
}

// Modes: a made-up district is whole.
func (d *District) Modes() map[*oneroster.Resource]oneroster.Mode {
	out := map[*oneroster.Resource]oneroster.Mode{}
	for _, r := range oneroster.Resources() {
		out[r] = oneroster.Bulk
	}
	return out
}

// Records yields the district, parents first.
func (d *District) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	for _, r := range oneroster.Resources() {
		err := d.Each(ctx, r, func(rec oneroster.Record) error { return yield(oneroster.Row{Record: rec}) })
		if err != nil {
			return err
		}
	}
	return nil
}

// Each yields the records of one resource.
func (d *District) Each(ctx context.Context, r *oneroster.Resource,
	yield func(oneroster.Record) error) error {
	n := 0
	return d.part(r.Name)(func(rec oneroster.Record) error {
		if n++; n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return yield(rec)
	})
}

// part is what makes the records of a resource.
func (d *District) part(resource string) func(func(oneroster.Record) error) error {
	return map[string]func(func(oneroster.Record) error) error{
		"org": d.orgs, "academicSession": d.sessions, "resource": d.resources, "course": d.courses,
		"class": d.classes, "user": d.users,
		"demographics": d.demographics, "enrollment": d.enrollments, "classGroup": d.classGroups,
		"category": d.categories,
		"lineItem": d.lineItems, "result": d.results,
	}[resource]
}

// record makes a record from name, value, name, value, ….
func record(resource string, pairs ...string) oneroster.Record {
	r := oneroster.NewRecord(oneroster.ByName(resource))
	r.Values[oneroster.Status] = oneroster.Active
	for i := 0; i < len(pairs); i += 2 {
		r.Set(pairs[i], pairs[i+1])
	}
	return r
}

// dice is a number that depends on the seed, on what it is for and on a place.
func (d *District) dice(kind string, i int) uint64 {
	x := uint64(d.opt.Seed)*0x9E3779B97F4A7C15 + uint64(i)*0xBF58476D1CE4E5B9
	for _, c := range []byte(kind) {
		x = (x ^ uint64(c)) * 0x100000001B3
	}
	x ^= x >> 30
	x *= 0xBF58476D1CE4E5B9
	x ^= x >> 27
	x *= 0x94D049BB133111EB
	return x ^ x>>31
}

func pick[T any](from []T, dice uint64) T { return from[dice%uint64(len(from))] }

// Places. s is a school, j a student's place in it, c a cohort, p a period.

func (d *District) inSchool(s int) int     { return (d.students - s + d.schools - 1) / d.schools }
func (d *District) cohorts(s int) int      { return (d.inSchool(s) + cohortSize - 1) / cohortSize }
func (d *District) teachers(s int) int     { return max(3, d.cohorts(s)+2) }
func (d *District) cohort(s, c int) int    { return min(cohortSize, d.inSchool(s)-c*cohortSize) }
func (d *District) student(s, j int) int   { return j*d.schools + s }
func (d *District) level(s int) *level     { return &levels[s%len(levels)] }
func (d *District) grade(s, c int) int     { return c % len(d.level(s).grades) }
func (d *District) leads(s, c, p int) int  { return (c + p) % d.teachers(s) }
func (d *District) helps(s, c, p int) bool { return d.dice("helper", classNumber(s, c, p))%10 == 0 }

func classNumber(s, c, p int) int { return (s*100_000+c)*periods + p }

func schoolID(s int) string      { return fmt.Sprintf("sch-%03d", s+1) }
func classID(s, c, p int) string { return fmt.Sprintf("cls-%03d-%03d-%d", s+1, c+1, p+1) }
func courseID(l, g, p int) string {
	return fmt.Sprintf("crs-%s-%s-%d", [...]string{"high", "middle", "elementary"}[l], levels[l].grades[g],
		p+1)
}

// studentID: the suites that Microsoft publishes ask for a student a1.
func studentID(k int) string {
	if k == 0 {
		return "a1"
	}
	return fmt.Sprintf("stu-%06d", k+1)
}

func teacherID(s, t int) string { return fmt.Sprintf("tea-%03d-%03d", s+1, t+1) }

// eachClass calls do for every class of the district.
func (d *District) eachClass(do func(s, c, p int) error) error {
	for s := range d.schools {
		for c := range d.cohorts(s) {
			for p := range periods {
				if err := do(s, c, p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (d *District) orgs(give func(oneroster.Record) error) error {
	if err := give(record("org", "sourcedId", "dst-1", "name", "Example Unified School District", "type",
		"district", "identifier", "D-0001")); err != nil {
		return err
	}
	for s := range d.schools {
		title := schoolNames[s%len(schoolNames)] + " " + d.level(s).name
		if round := s / len(schoolNames); round > 0 {
			title = fmt.Sprintf("%s %d", title, round+1)
		}
		if err := give(record("org", "sourcedId", schoolID(s), "name", title, "type", "school",
			"identifier", fmt.Sprintf("S-%04d", s+1), "parent", "dst-1")); err != nil {
			return err
		}
		if s%len(levels) != 0 {
			continue
		}
		for i, name := range []string{"Mathematics", "Science", "Humanities"} {
			if err := give(record("org", "sourcedId", fmt.Sprintf("dep-%03d-%d", s+1, i+1), "name",
				name+" Department", "type", "department",
				"identifier", fmt.Sprintf("S-%04d-%d", s+1, i+1), "parent", schoolID(s))); err != nil {
				return err
			}
		}
	}
	return nil
}

// A span of days; the end is the first day after it.
type span struct {
	id         string
	start, end time.Time
}

func day(y int, m time.Month, n int) time.Time { return time.Date(y, m, n, 0, 0, 0, 0, time.UTC) }

// terms of the school year that ends in y; the year leaves no gap.
func terms(y int) []span {
	return []span{
		{fmt.Sprintf("trm-%d-1", y), day(y-1, time.August, 1), day(y, time.January, 16)},
		{fmt.Sprintf("trm-%d-2", y), day(y, time.January, 16), day(y, time.August, 1)},
	}
}

// gradingPeriods of a term: its two halves.
func gradingPeriods(t span) []span {
	half := t.start.AddDate(0, 0, int(t.end.Sub(t.start).Hours()/48))
	return []span{{"per" + t.id[3:] + "-1", t.start, half}, {"per" + t.id[3:] + "-2", half, t.end}}
}

// current is the span that covers a day, else the first.
func current(of []span, day time.Time) span {
	for _, s := range of {
		if !day.Before(s.start) && day.Before(s.end) {
			return s
		}
	}
	return of[0]
}

func (d *District) sessions(give func(oneroster.Record) error) error {
	for _, y := range []int{d.year, d.year - 1} {
		if err := sessionsOf(y, give); err != nil {
			return err
		}
	}
	return nil
}

// sessionsOf the school year that ends in y.
func sessionsOf(y int, give func(oneroster.Record) error) error {
	year := span{fmt.Sprintf("yr-%d", y), day(y-1, time.August, 1), day(y, time.August, 1)}
	out := []oneroster.Record{session(year, "schoolYear", fmt.Sprintf("School Year %d-%d", y-1, y), "", y)}
	// Grading periods first: the third session is not the term of a class.
	for i, t := range terms(y) {
		for n, p := range gradingPeriods(t) {
			out = append(out, session(p, "gradingPeriod", fmt.Sprintf("Quarter %d, %d-%d", 2*i+n+1, y-1, y),
				t.id, y))
		}
	}
	for i, t := range terms(y) {
		out = append(out, session(t, "term", fmt.Sprintf("Semester %d, %d-%d", i+1, y-1, y), year.id, y))
	}
	for _, r := range out {
		if err := give(r); err != nil {
			return err
		}
	}
	return nil
}

func session(s span, typ, title, parent string, y int) oneroster.Record {
	return record("academicSession", "sourcedId", s.id, "title", title, "type", typ, "startDate",
		s.start.Format(oneroster.DateLayout),
		"endDate", s.end.Format(oneroster.DateLayout), "parent", parent, "schoolYear", fmt.Sprint(y))
}
