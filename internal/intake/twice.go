package intake

import (
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
)

// twice are pupils and staff who would be there under two ids: with the name of one who stays, and
// not born on another day. Parents are there once for each child in places.
type twice struct {
	met  map[uint64]met    // who comes and has the name of one who is there
	born map[uint64]string // birth dates of both
}

// A met is who comes, and by hash the one who is there.
type met struct {
	id, role string
	other    uint64
}

func newTwice() *twice { return &twice{map[uint64]met{}, map[uint64]string{}} }

// meet takes a user as it would be. Names that several have already tell nothing.
func (w *twice) meet(j *judgement, user oneroster.Record) {
	id, role := hash(user.ID()), user.Get("role")
	if _, known := j.now.people[id]; known || quality.GroupOf(role) == quality.Contact {
		return
	}
	other := j.swaps.owner["name"][hash(ownedValue(user, "name"))]
	if other != 0 && j.now.people[other].role == role {
		w.met[id] = met{user.ID(), role, other}
		w.born[id], w.born[other] = "", ""
	}
}

// learn takes demographics as they would be.
func (w *twice) learn(rec oneroster.Record) {
	if _, asked := w.born[hash(rec.ID())]; asked {
		w.born[hash(rec.ID())] = rec.Get("birthDate")
	}
}

// guardTwice holds them where they are many, and most who come.
func (j *judgement) guardTwice() {
	r, limit := oneroster.ByName("user"), j.limits.of("guard-twice")
	if j.Back || j.Imported(r) == 0 {
		return
	}
	n, first := map[string]int{}, map[string]string{}
	for id, m := range j.twice.met {
		_, stays := j.then.people[m.other]
		born, other := j.twice.born[id], j.twice.born[m.other]
		if !stays || born != other && born != "" && other != "" {
			continue
		}
		n[m.role]++
		if first[m.role] == "" || strings.Compare(m.id, first[m.role]) < 0 {
			first[m.role] = m.id
		}
	}
	for _, role := range append([]string{"student"}, staff...) {
		s := share{of: r, role: role}
		of := j.counted(s, func(t *tally) int { return t.before })
		came := j.counted(s, func(t *tally) int { return t.came })
		if n[role] < some || 2*n[role] <= came || n[role]*100 <= limit*of || limit == 100 {
			continue
		}
		j.object(Objection{"twice", r.Plural, fmt.Sprintf("%s would be there twice: %s comes, and has the name "+
			"of one who stays", count(n[role], of, s.noun()), first[role]), n[role], of, limit})
	}
}
