package intake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// rounds are values that go round in a few people: the names of the teachers alone, the addresses
// of one school, shifted by a row. Among all users they are too few to be seen.
type rounds struct {
	taken   map[round]int // values that were another's alone
	changed map[round]int
	lost    map[round]map[string]int // values of names and birth dates that are had no more
	got     map[round]map[string]int
	first   map[round]Example
}

// A round is a field of those who have a role, at a school or at all of them ("").
type round struct{ field, role, school string }

// common are fields that several may have alike: one goes round where as many lose a value as
// get it. People who marry lose theirs, and hardly anybody gets it that night.
var common = []string{"givenName", "familyName", "birthDate"}

func newRounds() *rounds {
	return &rounds{map[round]int{}, map[round]int{}, map[round]map[string]int{}, map[round]map[string]int{},
		map[round]Example{}}
}

// roundsOf are the rounds that a field of a user is in.
func (j *judgement) roundsOf(field, user string) []round {
	at := j.now.people[hash(user)]
	out := []round{{field, at.role, ""}}
	if at.school != "" {
		out = append(out, round{field, at.role, at.school})
	}
	return out
}

// take counts a value that a user would have and was another's alone.
func (g *rounds) take(j *judgement, e Example) {
	for _, of := range j.roundsOf(e.Field, e.ID) {
		if g.taken[of]++; g.taken[of] == 1 {
			g.first[of] = e
		}
	}
}

// differ takes a user or demographics that stay and are others.
func (g *rounds) differ(j *judgement, before, after oneroster.Record) {
	for _, field := range common {
		if before.Resource.Index(field) < 0 || !another(before, after, field) {
			continue
		}
		was, is := strings.ToLower(before.Get(field)), strings.ToLower(after.Get(field))
		for _, of := range j.roundsOf(field, before.ID()) {
			if g.changed[of]++; g.changed[of] == 1 {
				g.lost[of], g.got[of] = map[string]int{}, map[string]int{}
				g.first[of] = Example{"hands", before.Resource.Plural, before.ID(), field,
					before.Get(field), after.Get(field)}
			}
			g.lost[of][was]++
			g.got[of][is]++
		}
	}
}

// size is how many values go round, unless they do by chance.
func (g *rounds) size(of round) (n int) {
	for value, lost := range g.lost[of] {
		n += min(lost, g.got[of][value])
	}
	if 2*n <= g.changed[of] {
		n = 0
	}
	return n + g.taken[of]
}

// guardRounds holds values that go round in most of a role, or of a role at a school. told are
// fields that were objected to already.
func (j *judgement) guardRounds(told []string) {
	r := oneroster.ByName("user")
	if j.Imported(r) == 0 {
		return
	}
	people := map[round]int{}
	for g, t := range j.groups {
		if g.of != r {
			continue
		}
		if people[round{"", g.role, ""}] += t.before; g.at.school != "" {
			people[round{"", g.role, g.at.school}] += t.before
		}
	}
	all := slices.SortedFunc(maps.Keys(j.rounds.first), func(a, b round) int { // a role before its schools
		return cmp.Or(cmp.Compare(a.role, b.role), cmp.Compare(a.school, b.school))
	})
	for _, field := range slices.Concat(owned, common) {
		alike := slices.Contains(common, field)
		if slices.Contains(told, field) || alike && slices.Contains(told, "name") {
			continue
		}
		limit := max(some, j.limits.of("guard-hands"))
		if alike && j.Day&Rollover != 0 {
			limit = max(quarter, limit) // ids may be given to others with the year
		}
		o, e, whole := Objection{"hands", r.Plural, "", 0, 0, limit}, Example{}, map[string]bool{}
		var over []string
		for _, g := range all {
			n, of := j.rounds.size(g), people[round{"", g.role, g.school}]
			if g.field != field || whole[g.role] || !many(n, of, limit) {
				continue
			}
			text := count(n, of, share{of: r, role: g.role}.noun())
			if whole[g.role] = g.school == ""; !whole[g.role] {
				text += " of " + j.schoolName(g.school)
			}
			if over = append(over, text); len(over) == 1 {
				e = j.rounds.first[g]
			}
			o.Count, o.Of = o.Count+n, o.Of+of
		}
		if len(over) > 0 {
			o.Text = fmt.Sprintf("%s would get the %s of another: %s, and %s is one", listed(over), field,
				e.After, e.ID)
			j.object(o)
			j.verdict.Examples = append(j.verdict.Examples, e)
		}
	}
}
