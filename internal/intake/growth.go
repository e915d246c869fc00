package intake

import (
	"fmt"
	"maps"
	"slices"

	"rollbook/internal/oneroster"
)

// growth is what comes on top of what there is: another district's files put in beside,
// everybody once more under new ids. A district that is filled is none: a school that
// has nobody yet, pupils and teachers who are in no class yet, and the classes of those alone.
type growth struct {
	enrolled map[uint64]bool // users that are in a class
	added    map[uint64]bool // classes
	again    map[uint64]bool // of them those of pupils who are in others
	seats    map[string]int  // enrollments of those who have others, by role
	orgs     map[string]int  // by type, as they are
	founded  map[string]int  // by type
}

func newGrowth() *growth {
	return &growth{map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}, map[string]int{}, map[string]int{},
		map[string]int{}}
}

// learn takes a record as it is.
func (g *growth) learn(rec oneroster.Record) {
	switch rec.Resource.Name {
	case "org":
		g.orgs[rec.Get("type")]++
	case "enrollment":
		g.enrolled[hash(rec.Get("user"))] = true
	}
}

// add takes one that is added; classes come before enrollments.
func (g *growth) add(rec oneroster.Record, people map[uint64]person) {
	switch rec.Resource.Name {
	case "org":
		g.founded[rec.Get("type")]++
	case "class":
		g.added[hash(rec.ID())] = true
	case "enrollment":
		user, class := hash(rec.Get("user")), hash(rec.Get("class"))
		of := people[user].role
		switch pupil := rec.Get("role") == "student"; {
		case !g.enrolled[user] && (of == "student" || of == "teacher"):
		case pupil && g.added[class]:
			g.again[class] = true
			g.seats[rec.Get("role")]++
		case pupil || !g.added[class]: // a teacher gets new classes as their pupils do
			g.seats[rec.Get("role")]++
		}
	}
}

func (j *judgement) guardGrowth() {
	if j.Back {
		return
	}
	j.peopleGrow()
	j.orgsGrow()
	if j.Day&(Rollover|AddsOnly) != 0 {
		return // classes are made these days
	}
	if classes := oneroster.ByName("class"); j.changes[classes] != nil {
		ch := j.changes[classes]
		j.grow(classes, classes.Plural, len(j.growth.again)-ch.Retired, ch.Active)
	}
	j.seatsGrow()
}

// seatsGrow looks at all enrollments, then at those of the teachers, who are few among them.
func (j *judgement) seatsGrow() {
	r := oneroster.ByName("enrollment")
	ch := j.changes[r]
	if ch == nil {
		return
	}
	n := -ch.Retired
	for _, added := range j.growth.seats {
		n += added
	}
	if j.grow(r, r.Plural, n, ch.Active) {
		return
	}
	s := share{of: r, role: "teacher"}
	gone := j.counted(s, func(t *tally) int { return t.lost + t.left })
	j.grow(r, s.noun(), j.growth.seats[s.role]-gone, j.counted(s, func(t *tally) int { return t.before }))
}

// peopleGrow looks at the users of each role at the schools that have some.
func (j *judgement) peopleGrow() {
	r := oneroster.ByName("user")
	roles := map[string]map[string]*part{}
	for g, t := range j.groups {
		if g.of != r || g.closing {
			continue
		}
		if roles[g.role] == nil {
			roles[g.role] = map[string]*part{}
		}
		into(roles[g.role], g.at.school, g.at, t.came-t.lost-t.left, t.before)
	}
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		n, of := 0, 0
		for _, p := range roles[role] {
			if p.of > 0 {
				n, of = n+p.n, of+p.of
			}
		}
		j.grow(r, share{of: r, role: role}.noun(), n, of)
	}
}

// orgsGrow lets one school come, or few, but no second district.
func (j *judgement) orgsGrow() {
	r := oneroster.ByName("org")
	limit := j.limits.of("guard-growth")
	for _, kind := range slices.Sorted(maps.Keys(j.growth.founded)) {
		n, of := j.growth.founded[kind], j.growth.orgs[kind]
		beyond := n
		if kind != "district" {
			beyond--
		}
		if of > 0 && j.Imported(r) > 0 && beyond*100 > limit*of {
			j.object(Objection{"growth", r.Plural, fmt.Sprintf("%s of the type %s would be added to %s",
				several(n, r), kind, number(of)), n, of, limit})
		}
	}
}

// grow tells whether it objected.
func (j *judgement) grow(r *oneroster.Resource, noun string, n, of int) bool {
	limit := j.limit("guard-growth")
	if of < few || j.Imported(r) == 0 || n*100 <= limit*of {
		return false
	}
	j.object(Objection{"growth", r.Plural, fmt.Sprintf("%s %s would be added to %s", number(n), noun,
		number(of)), n, of, limit})
	return true
}
