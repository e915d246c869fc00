package intake

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"unique"

	"rollbook/internal/oneroster"
)

// A place is where a person or an enrollment is: a school, and the grade of the
// pupil; both may be empty.
type place struct{ school, grade string }

// A kind is a resource, parted by role where it has one, since teachers vanish among
// users, and by what belongs to a school whose closing is announced.
type kind struct {
	of      *oneroster.Resource
	role    string
	closing bool
}

// A group is those of a kind at one place.
type group struct {
	kind
	at place
}

// A tally is what would become of a group.
type tally struct {
	before, left, came int // left have another role, came are added or have this one now
	lost               int // retired otherwise than with what they hang on
	changed            int // as a reader sees it: not by derived links alone
	light              int // changed in nothing but what may change everywhere
	moved, disabled    int // to another school, and accounts that would be
	regraded           int // pupils who would be in another grade
	passed             int // results that would be another pupil's
	ended              int // classes in session that would be in terms that have ended, or not begun
}

// fields counts, by position, values of the records of a kind: those that are
// there, and of records that stay those that would come, go and change.
type fields struct {
	had, came, went, changed []int
	other                    []int // that change in more than their letters' case
	beyond, garbled          []int // with letters beyond ASCII, and those that would lose them
	marked, escaped          []int // of the others: with quotes or ampersands, and as HTML writes them
}

// A person is what is kept of a user: where it is, and its role.
type person struct {
	place
	role string
}

// A side is the district as it is, or as it would be.
type side struct {
	j       *judgement
	read    func(context.Context, *oneroster.Resource, func(oneroster.Record) error) error
	isNow   bool
	today   string
	seen    map[*oneroster.Resource]bool
	total   map[*oneroster.Resource]int
	orgs    map[string]string // names
	schools map[string]bool   // of the orgs
	people  map[uint64]person
	school  map[string]int    // enrollments
	grade   map[string]int    // enrollments of pupils
	pupils  map[string]int    // by grade
	at      map[string]int    // pupils by school
	begins  map[string]string // first days of sessions
	ends    map[string]string // last days of sessions
	runs    map[uint64]bool   // classes in session
	begun   map[uint64]bool   // of them those whose terms have begun
	linked  map[uint64]bool   // users that have agents, of the district as it is
}

func (s *side) begin() {
	s.today = s.j.Today.Format(oneroster.DateLayout)
	s.seen, s.total = map[*oneroster.Resource]bool{}, map[*oneroster.Resource]int{}
	s.orgs, s.schools, s.people = map[string]string{}, map[string]bool{}, map[uint64]person{}
	s.linked = map[uint64]bool{}
	s.school, s.grade = map[string]int{}, map[string]int{}
	s.pupils, s.at = map[string]int{}, map[string]int{}
	s.begins, s.ends = map[string]string{}, map[string]string{}
	s.runs, s.begun = map[uint64]bool{}, map[uint64]bool{}
}

// each yields the records of a resource, and counts them the first time. Without
// yield it does nothing when they were counted.
func (s *side) each(ctx context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	first := !s.seen[r]
	s.seen[r] = true
	if !first && yield == nil {
		return nil
	}
	return s.read(ctx, r, func(rec oneroster.Record) error {
		if first {
			s.add(rec)
		}
		if yield == nil {
			return nil
		}
		return yield(rec)
	})
}

func (s *side) add(rec oneroster.Record) {
	r := rec.Resource
	s.total[r]++
	if s.isNow && s.j.belongs(rec) {
		s.j.closed[key(rec)] = true
	}
	g := s.j.groupOf(rec, s.people)
	switch r.Name {
	case "org":
		s.orgs[rec.ID()], s.schools[rec.ID()] = rec.Get("name"), rec.Get("type") == "school"
	case "academicSession":
		s.begins[rec.ID()], s.ends[rec.ID()] = rec.Get("startDate"), rec.Get("endDate")
	case "class":
		s.class(rec)
	case "user":
		s.people[hash(rec.ID())] = person{place{alone(g.at.school), alone(g.at.grade)}, alone(g.role)}
		s.pupils[g.at.grade]++
		if g.role == "student" {
			s.at[g.at.school]++
		}
		if s.isNow {
			s.j.swaps.learn(rec)
			s.j.returns.learn(rec)
		} else {
			s.j.swaps.family(rec)
			s.j.twice.meet(s.j, rec)
		}
	case "demographics":
		if !s.isNow {
			s.j.twice.learn(rec)
		}
	case "enrollment":
		if end := rec.Get("endDate"); end != "" && end < s.today || s.later(rec.Get("beginDate")) {
			break // nobody is in a class by it
		}
		if !s.isNow {
			s.j.returns.seat(rec)
		}
		s.school[g.at.school]++
		if g.at.grade != "" && !s.j.Closing[g.at.school] {
			s.grade[g.at.grade]++
		}
	}
	s.link(rec)
	if !s.isNow {
		s.j.joins.meet(s.j, rec)
		return
	}
	s.j.tally(g).before++
	f := s.j.fieldsOf(g.kind)
	for i, v := range rec.Values {
		if v != "" {
			f.had[i]++
			if beyond(v) {
				f.beyond[i]++
			} else if marked(v) {
				f.marked[i]++
			}
		}
	}
	s.j.hands.learn(rec)
	s.j.growth.learn(rec)
	s.j.joins.learn(rec)
	s.j.swaps.serve(rec)
}

// alone is a text that all who have it share, and no part of the row that it came in.
func alone(text string) string { return unique.Make(text).Value() }

// class looks whether a class is in session, ends with its terms, or would only begin with
// them: a term that has not begun has not ended.
func (s *side) class(rec oneroster.Record) {
	first, last := "", ""
	for _, id := range oneroster.Items(rec.Get("terms")) {
		if begin := s.begins[id]; first == "" || begin < first {
			first = begin
		}
		last = max(last, s.ends[id])
	}
	key := hash(rec.ID())
	s.runs[key] = last >= s.today
	s.begun[key] = s.runs[key] && first <= s.today
	if s.isNow || last == "" {
		return
	}
	if s.j.now.runs[key] && !s.runs[key] || s.j.now.begun[key] && s.later(first) {
		s.j.tally(s.j.groupOf(rec, nil)).ended++
	}
}

// later tells whether a day is to come. The next year is filled on the day of a rollover.
func (s *side) later(day string) bool { return day > s.today && s.j.Day&Rollover == 0 }

// link counts users that lose their agents. That is seen in what readers are served
// alone: a link that one side states is served on both.
func (s *side) link(rec oneroster.Record) {
	i := rec.Resource.Index("agents")
	switch {
	case i < 0:
	case s.isNow && rec.Values[i] != "":
		s.linked[hash(rec.ID())] = true
	case !s.isNow && rec.Values[i] == "" && s.j.now.linked[hash(rec.ID())]:
		s.j.fieldsOf(s.j.kindOf(rec)).went[i]++
	}
}

// nameField is what people call a record by.
var nameField = map[string]string{"org": "name", "course": "title", "class": "title", "user": "familyName",
	"academicSession": "title", "lineItem": "title", "category": "title", "classGroup": "title",
	"resource": "title"}

// home of a user is the first of its orgs, and the first grade of a student.
func home(user oneroster.Record) (p place) {
	if orgs := oneroster.Items(user.Get("orgs")); len(orgs) > 0 {
		p.school = orgs[0]
	}
	if grades := oneroster.Items(user.Get("grades")); len(grades) > 0 && user.Get("role") == "student" {
		p.grade = grades[0]
	}
	return p
}

func (j *judgement) kindOf(rec oneroster.Record) kind {
	return kind{rec.Resource, rec.Get("role"), len(j.closed) > 0 && j.closed[key(rec)]}
}

// groupOf finds the group of a record among the people of its side.
func (j *judgement) groupOf(rec oneroster.Record, people map[uint64]person) group {
	g := group{kind: j.kindOf(rec)}
	switch rec.Resource.Name {
	case "org":
		g.at.school = rec.ID()
	case "course":
		g.at.school = rec.Get("org")
	case "class":
		g.at.school = rec.Get("school")
	case "user":
		g.at = home(rec)
	case "result":
		g.at = people[hash(rec.Get("student"))].place
	case "demographics":
		g.at = people[hash(rec.ID())].place
	case "enrollment":
		g.at = place{rec.Get("school"), people[hash(rec.Get("user"))].grade}
	}
	return g
}

// belongs tells whether a record goes with a school whose closing is announced:
// what it needs leads there, and nowhere else.
func (j *judgement) belongs(rec oneroster.Record) bool {
	switch {
	case len(j.Closing) == 0:
		return false
	case rec.Resource.Name == "org":
		return j.Closing[rec.ID()] || j.Closing[rec.Get("parent")] && rec.Get("type") != "school"
	case rec.Resource.Name == "class" || rec.Resource.Name == "enrollment":
		// A course may be of several schools.
		return j.closed[hash("org/"+rec.Get("school"))]
	case rec.Resource.Name == "demographics":
		return j.closed[hash("user/"+rec.ID())]
	}
	for i, f := range rec.Resource.Fields {
		if f.To == "" || !f.Required || rec.Values[i] == "" {
			continue
		}
		stays := func(id string) bool { return !j.closed[hash(f.To+"/"+id)] }
		if !slices.ContainsFunc(oneroster.Items(rec.Values[i]), stays) {
			return true
		}
	}
	return false
}

func (j *judgement) tally(g group) *tally {
	t := j.groups[g]
	if t == nil {
		t = &tally{}
		j.groups[g] = t
	}
	return t
}

func (j *judgement) fieldsOf(k kind) *fields {
	f := j.fields[k]
	if f == nil {
		n := len(k.of.Fields)
		of := func() []int { return make([]int, n) }
		f = &fields{of(), of(), of(), of(), of(), of(), of(), of(), of()}
		j.fields[k] = f
	}
	return f
}

var seed = maphash.MakeSeed()

func hash(id string) uint64 { return maphash.String(seed, id) }

func key(rec oneroster.Record) uint64 { return hash(rec.Resource.Name + "/" + rec.ID()) }

// differ takes one difference into the tallies.
func (j *judgement) differ(before, after oneroster.Record) error {
	switch {
	case before.Values == nil:
		j.tally(j.groupOf(after, j.then.people)).came++
		j.growth.add(after, j.then.people)
		j.swaps.seat(after, j.then.people)
	case after.Values == nil:
		j.along.lose(before)
		if j.goesAlong(before) {
			break
		}
		j.tally(j.groupOf(before, j.now.people)).lost++
		j.example("loss", before, "", j.called(before), "")
	default:
		j.changed(before, after)
	}
	return nil
}

// changed takes a record that stays. Fields are those of the kind that it was.
func (j *judgement) changed(before, after oneroster.Record) {
	g, then := j.groupOf(before, j.now.people), j.groupOf(after, j.then.people)
	t, count, other, light := j.tally(g), j.fieldsOf(g.kind), false, false
	for i := range before.Resource.Fields {
		f, was, is := &before.Resource.Fields[i], before.Values[i], after.Values[i]
		if was == is || i == oneroster.Modified || f.Derived() {
			continue
		}
		switch {
		case was == "":
			count.came[i]++
		case is == "":
			if !f.Symmetric() { // side.link counts those
				count.went[i]++
			}
			j.example("emptied", before, f.Name, was, "")
		default:
			count.changed[i]++
			if !strings.EqualFold(was, is) {
				count.other[i]++
			}
			switch {
			case garbled(was, is):
				count.garbled[i]++
				j.example("garbled", before, f.Name, was, is)
			case !beyond(was) && marked(was) && escaped(was, is):
				count.escaped[i]++
				j.example("garbled", before, f.Name, was, is)
			}
			j.example("change", before, f.Name, was, is)
		}
		switch {
		case was == "" || f.Symmetric(): // a field that is filled for the first time harms nobody
		case j.light(before.Resource, f, was, is):
			light = true
		default:
			other = true
		}
	}
	if g.role != then.role {
		t.left++
		j.tally(then).came++
	}
	switch {
	case other:
		t.changed++
	case light:
		t.light++
	}
	if g.at.school != "" && g.at.school != then.at.school &&
		!slices.Contains(oneroster.Items(after.Get("orgs")), g.at.school) {
		t.moved++
	}
	if before.Get("enabledUser") == "true" && after.Get("enabledUser") == "false" {
		t.disabled++
	}
	if before.Resource.Name == "user" && j.regraded(before, after) {
		if t.regraded++; j.regrade == "" {
			j.regrade = fmt.Sprintf("%s (from %s to %s)", before.ID(), g.at.grade, home(after).grade)
		}
	}
	j.returns.differ(before, after)
	j.hands.differ(j, before, after)
	j.swaps.differ(j, before, after)
	j.rounds.differ(j, before, after)
	if before.Get("role") != after.Get("role") || another(before, after, "user") {
		j.swaps.seat(after, j.then.people)
	}
}

// light tells whether a change may be one of every record: other metadata, rooms and periods,
// an account in other letters' case, an end that is still to come on another day.
func (j *judgement) light(r *oneroster.Resource, f *oneroster.Field, was, is string) bool {
	if is == "" {
		return false
	}
	switch f.Name {
	case "metadata":
		return true
	case "location", "periods":
		return r.Name == "class"
	case "email", "username":
		return strings.EqualFold(was, is)
	case "endDate":
		return min(was, is) >= j.Today.Format(oneroster.DateLayout)
	}
	return false
}

// called is what people call a record.
func (j *judgement) called(rec oneroster.Record) string {
	switch name := rec.Resource.Name; {
	case name == "user":
		return rec.Get("givenName") + " " + rec.Get("familyName")
	case nameField[name] != "":
		return rec.Get(nameField[name])
	case name == "enrollment":
		return rec.Get("user") + " in " + rec.Get("class")
	}
	return rec.ID()
}

// mostExamples of a guard, resource and field are gathered.
const mostExamples = 3

func (j *judgement) example(guard string, rec oneroster.Record, field, before, after string) {
	e := Example{guard, rec.Resource.Plural, rec.ID(), field, before, after}
	key := Example{Guard: guard, Resource: e.Resource, Field: field}
	if j.shown[key]++; j.shown[key] <= mostExamples {
		j.verdict.Examples = append(j.verdict.Examples, e)
	}
}
