package intake

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// A Setting is a limit that a district may set: a whole number from Least to Most.
type Setting struct {
	Name                 string
	Default, Least, Most int
	What                 string
}

// Settings of the guards, as rollbook settings lists them. 100 percent is never
// exceeded, and switches a guard off.
var Settings = []Setting{
	{"guard-loss", 10, 0, 100,
		"hold when more than so many percent of a resource would be retired, or of a role would be disabled"},
	{"guard-change", 75, 0, 100, "hold when more than so many percent of a resource would change"},
	{"guard-emptied", 10, 0, 100,
		"hold when a field that half of the records fill would be emptied in more than so many " +
			"percent of them"},
	{"guard-garbled", 10, 0, 100,
		"hold when more than so many percent of the values with letters beyond ASCII would lose them, " +
			"or with quotes or ampersands have them as HTML writes them"},
	{"guard-hands", 1, 0, 100, "hold when more than so many percent of ids would name another " +
		"person or thing"},
	{"guard-falls", 50, 0, 100,
		"hold when the enrollments of a school or grade would fall by more than so many percent"},
	{"guard-moves", 50, 0, 100,
		"hold when more than so many percent of the people, classes or enrollments of a school would " +
			"be at another"},
	{"guard-sds", 1, 0, 100,
		"hold when School Data Sync would drop more than so many percent of what it takes today"},
	{"guard-steady", 25, 0, 100,
		"hold when a name, birth date or sex would be another in more than so many percent"},
	{"guard-families", 10, 0, 100,
		"hold when more than so many percent of pupils with agents would have none of those, or one " +
			"of another family beside them"},
	{"guard-seats", 5, 0, 100,
		"hold when more than so many percent of enrollments would keep the id and be of another " +
			"user or class"},
	{"guard-growth", 50, 0, 100000,
		"hold when the users of a role at the schools that have some, the enrollments or classes of " +
			"those who have some, or the orgs of a type, would be more by more than so many percent"},
	{"guard-returns", 50, 0, 100, "hold when more than so many percent of the disabled pupils or " +
		"teachers, ten at least, would be enabled and are in no class"},
	{"guard-twice", 5, 0, 100, "hold when more than so many percent of a role, ten at least, would be " +
		"there twice: under another id, with the name of one who stays"},
	{"guard-rises", 5, 0, 1000000,
		"hold when more than so many pupils or family members would become staff, or staff in classes"},
	{"guard-columns", 1, 0, 1, "hold when a file or column is missing that was there last time: 1 on, 0 off"},
	{"guard-again", 1, 0, 1, "hold a package whose records were published before, and not last: 1 on, 0 off"},
}

// Limits are settings by name; one that is missing has its default.
type Limits map[string]int

func (l Limits) of(name string) int {
	if n, set := l[name]; set {
		return n
	}
	i := slices.IndexFunc(Settings, func(s Setting) bool { return s.Name == name })
	return Settings[i].Default
}

const (
	few  = 20 // records: of fewer, most must be hit
	most = 50 // percent
	pair = 2  // records that are never too many
	wide = 90 // percent, on the day of a rollover

	leavers = 40 // percent: how many fewer people there may be that day

	quarter = 25 // percent, of what few people have each many of

	some = 10 // of one role: fewer come and go every day
	five = 5  // pupils that may leave in a night, however few there are; of few of a role
)

// over tells whether n of so many are too many: more than limit percent, of few
// records most, and at no limit but 0 one or two. At 100 percent nothing is.
func over(n, of, limit int) bool {
	switch {
	case limit == 0:
		return n > 0
	case n <= pair || limit == 100:
		return false
	case of < few:
		limit = max(limit, most)
	}
	return n*100 > limit*of
}

// many is over where chance may not hit so many: of few records most, else five.
func many(n, of, limit int) bool { return (n >= five || of < few) && over(n, of, limit) }

func (j *judgement) object(o Objection) { j.verdict.Objections = append(j.verdict.Objections, o) }

func (j *judgement) note(text string) { j.verdict.Notes = append(j.verdict.Notes, text) }

// judge objects where n of so many are too many, notes where they are nearly, and tells
// whether it objected.
func (j *judgement) judge(guard, resource string, n, of, limit int, text string) bool {
	switch {
	case over(n, of, limit):
		j.object(Objection{guard, resource, text, n, of, limit})
		return true
	case n == 0 || of < few || limit == 100:
	case n*100 > limit*of: // one or two
		j.note(text)
	case n*200 > limit*of:
		j.note(fmt.Sprintf("%s (held from %d %% on)", text, limit))
	}
	return false
}

// limit of a percentage, wide on the day of a rollover.
func (j *judgement) limit(name string) int {
	if j.Day&Rollover != 0 {
		return max(wide, j.limits.of(name))
	}
	return j.limits.of(name)
}

func (j *judgement) guardCalendar() {
	var hit, gone []string
	retired := 0
	for _, r := range oneroster.Resources() {
		ch := j.changes[r]
		if ch == nil {
			continue
		}
		if n := ch.Added + ch.Changed + ch.Retired; n > 0 {
			hit = append(hit, several(n, r))
		}
		if ch.Retired > 0 {
			gone = append(gone, several(ch.Retired, r))
			retired += ch.Retired
		}
	}
	if j.Day&Frozen != 0 {
		j.object(Objection{Guard: "calendar", Text: "the calendar freezes the district today: " +
			listed(hit) +
			" would be added, changed or retired"})
	}
	if j.Day&AddsOnly != 0 && retired > 0 {
		j.object(Objection{Guard: "calendar", Count: retired,
			Text: "the calendar lets nothing be retired today: " + listed(gone) + " would be"})
	}
}

// required are the resources that School Data Sync stops without.
var required = []string{"org", "academicSession", "class", "user", "enrollment"}

func (j *judgement) guardEmpty() {
	for _, name := range required {
		r := oneroster.ByName(name)
		if n := j.now.total[r]; n > 0 && j.then.total[r] == 0 && j.changes[r] != nil {
			j.object(Objection{"empties", r.Plural,
				fmt.Sprintf("no %s would be left of %s: readers need them",
					r.Plural, number(n)), n, n, 0})
		}
	}
}

func (j *judgement) guardWithout() {
	for _, w := range j.Without() {
		closes := func(id string) bool { return j.closed[hash(w.Resource.Name+"/"+id)] }
		left := slices.DeleteFunc(slices.Clone(w.IDs), closes)
		n := len(left)
		if n == 0 {
			continue
		}
		lost := "a"
		if w.Resource.Field(w.Field).Kind.IsList() {
			lost = "any"
		}
		j.object(Objection{Guard: "without", Resource: w.Resource.Plural, Count: n,
			Text: fmt.Sprintf("%s would be left without %s %s: %s is one", several(n, w.Resource), lost,
				w.Resource.Field(w.Field).To, left[0])})
	}
}

// guardChange looks at roles only that are at least half of a resource: the
// accounts of all teachers may move in a night. On the day of a rollover
// everybody's grade changes.
func (j *judgement) guardChange() {
	if j.Day&Rollover != 0 {
		return
	}
	for _, r := range oneroster.Resources() {
		if j.changes[r] == nil {
			continue
		}
		hit := func(t *tally, _ bool) int { return t.changed }
		limit := j.limits.of("guard-change")
		all := j.shares(r, hit)
		if all[0].total < few {
			continue // a handful of schools or sessions changes as a whole
		}
		for _, s := range worst(slices.DeleteFunc(all,
			func(s share) bool { return 2*s.total < all[0].total }),
			limit) {
			text := func(n int) string {
				return count(n, s.total, s.noun()) + " would change: " + j.inFields(s)
			}
			n := s.n + j.counted(s, func(t *tally) int { return t.light })
			if !over(s.n, s.total, limit) && over(n, s.total, limit) {
				j.note(text(n))
				continue
			}
			j.judge("change", r.Plural, s.n, s.total, limit, text(s.n))
		}
	}
}

// inFields names the fields that change most in those of a share.
func (j *judgement) inFields(s share) string {
	var all []Field
	for i, f := range s.of.Fields {
		if n := j.sum(s, func(f *fields) int { return f.came[i] + f.went[i] + f.changed[i] }); n > 0 {
			all = append(all, Field{Field: f.Name, Changed: n})
		}
	}
	slices.SortStableFunc(all, func(a, b Field) int { return b.Changed - a.Changed })
	var out []string
	for _, f := range all {
		out = append(out, fmt.Sprintf("%s in %s", f.Field, number(f.Changed)))
	}
	return listed(out)
}

// guardEmptied looks at each field of a resource, and of each role of it.
func (j *judgement) guardEmptied() {
	limit := j.limits.of("guard-emptied")
	for _, r := range oneroster.Resources() {
		if j.changes[r] == nil {
			continue
		}
		all := j.shares(r, func(*tally, bool) int { return 0 })
		for i, f := range r.Fields {
			var shares []share
			for _, s := range all {
				had := j.sum(s, func(f *fields) int { return f.had[i] })
				s.guarded = true
				if s.n = j.sum(s, func(f *fields) int { return f.went[i] }); 2*had < s.total {
					s.n = 0 // few have it
				}
				s.total = min(s.total, had)
				shares = append(shares, s)
			}
			for _, s := range worst(shares, limit) {
				j.judge("emptied", r.Plural, s.n, s.total, limit, count(s.n, s.total, s.noun())+
					" would lose their "+f.Name)
			}
		}
	}
}

func (j *judgement) guardFalls() {
	r := oneroster.ByName("enrollment")
	if j.changes[r] == nil && j.changes[oneroster.ByName("user")] == nil {
		return
	}
	for _, side := range []struct {
		by        string
		now, then map[string]int
	}{{"school", j.now.school, j.then.school}, {"grade", j.now.grade, j.then.grade}} {
		var falls []Fall
		for id, n := range side.now {
			if side.by == "school" && j.families(id, n, side.then[id]) {
				continue
			}
			if side.by == "grade" && j.now.pupils[id] < five || side.by == "school" && j.Closing[id] {
				continue // of so few pupils two are most
			}
			if n >= few && side.then[id] < n {
				falls = append(falls, Fall{side.by, id, j.schoolOrGrade(side.by, id), n, side.then[id]})
			}
		}
		slices.SortFunc(falls, func(a, b Fall) int { // the one that keeps the least first
			return cmp.Or(cmp.Compare(a.After*b.Before, b.After*a.Before), cmp.Compare(a.ID, b.ID))
		})
		limit := j.limit("guard-falls")
		emptied := len(slices.DeleteFunc(slices.Clone(falls), func(f Fall) bool { return f.After > 0 }))
		promoted := side.by == "grade" && j.Day&Rollover != 0 && 2*emptied <= len(side.now)
		if j.Imported(r) > 0 && !promoted { // a new year's grades are as large as they are
			j.judgeFalls(side.by, falls, limit)
		}
		j.verdict.Falls = append(j.verdict.Falls, falls[:min(5, len(falls))]...)
	}
}

// families tells whether the enrollments of a school fall because five pupils or fewer have left it,
// as they may leave the district.
func (j *judgement) families(school string, now, then int) bool {
	was, is := j.now.at[school], j.then.at[school]
	if is >= was || was-is > five {
		return false
	}
	left := now * is / was // enrollments of those who stay
	return (left-then)*100 <= j.limit("guard-falls")*left
}

func (j *judgement) judgeFalls(by string, falls []Fall, limit int) {
	var over []string
	for _, f := range falls {
		if (f.Before-f.After)*100 > limit*f.Before {
			over = append(over, fmt.Sprintf("%s from %s to %s", f.Name, number(f.Before), number(f.After)))
		}
	}
	if len(over) == 0 {
		return
	}
	worst := falls[0]
	text := fmt.Sprintf("the enrollments of %d %ss would fall by more than %d %%: ", len(over), by, limit)
	if len(over) == 1 {
		text = "the enrollments of one " + by + " would fall: "
	}
	j.object(Objection{"falls", "enrollments", text + listed(over), worst.Before - worst.After, worst.Before,
		limit})
}

// guardMoves holds schools that are taken for each other.
func (j *judgement) guardMoves() {
	limit := j.limit("guard-moves")
	for _, name := range []string{"user", "class", "enrollment"} {
		r := oneroster.ByName(name)
		if j.changes[r] == nil || j.Imported(r) == 0 {
			continue
		}
		schools := map[string]*part{}
		for g, t := range j.groups {
			if g.of == r && !g.closing && !j.Closing[g.at.school] {
				into(schools, g.at.school, place{school: g.at.school}, t.moved, t.before)
			}
		}
		var over []string
		worst := &part{}
		for _, p := range sorted(schools) {
			if p.school == "" || p.of < few || p.n*100 <= limit*p.of {
				continue
			}
			over = append(over, fmt.Sprintf("%s of %s of %s", number(p.n), number(p.of),
				j.schoolName(p.school)))
			if p.n > worst.n {
				worst = p
			}
		}
		if len(over) > 0 {
			j.object(Objection{"moves", r.Plural, fmt.Sprintf("%s would be at another school than now: %s",
				r.Plural, listed(over)), worst.n, worst.of, limit})
		}
	}
}

func (j *judgement) schoolOrGrade(by, id string) string {
	if by == "grade" {
		return "grade " + strings.TrimPrefix(id, "0")
	}
	return j.schoolName(id)
}

// tell writes what is no objection: counts, fields, and of the examples a handful,
// those of the objections first.
func (j *judgement) tell() {
	v := &j.verdict
	for _, r := range oneroster.Resources() {
		ch := j.changes[r]
		if ch == nil {
			continue
		}
		v.Resources = append(v.Resources, *ch)
		for i, f := range r.Fields {
			of := func(part func(*fields) []int) int {
				return j.sum(share{of: r}, func(f *fields) int { return part(f)[i] })
			}
			out := Field{r.Plural, f.Name, of(func(f *fields) []int { return f.had }),
				of(func(f *fields) []int { return f.came }), of(func(f *fields) []int { return f.went }),
				of(func(f *fields) []int { return f.changed })}
			if out.Came+out.Went+out.Changed > 0 {
				v.Fields = append(v.Fields, out)
			}
		}
	}
	objected := func(e Example) int {
		for i, o := range v.Objections {
			if o.Guard == e.Guard && o.Resource == e.Resource {
				return i
			}
		}
		return len(v.Objections)
	}
	slices.SortStableFunc(v.Examples, func(a, b Example) int { return objected(a) - objected(b) })
	v.Examples = v.Examples[:min(12, len(v.Examples))]
}
