package intake

import (
	"slices"

	"rollbook/internal/oneroster"
)

// bearers are what others hang on, and go with: a person, a class, a line item.
var bearers = []string{"user", "class", "lineItem"}

// along is what goes with what is retired itself, and is judged by that: a pupil leaves with
// enrollments, demographics and results.
type along struct {
	gone  map[uint64]share // bearers that are retired, by key
	small map[share]bool   // whether so few of those are retired that what hangs on them may go too
}

func newAlong() *along { return &along{map[uint64]share{}, map[share]bool{}} }

// lose takes a record that is retired; bearers come before what hangs on them.
func (a *along) lose(rec oneroster.Record) {
	if slices.Contains(bearers, rec.Resource.Name) {
		a.gone[key(rec)] = share{of: rec.Resource, role: rec.Get("role")}
	}
}

// goesAlong tells whether a record that is retired goes with another one. Of the roster it does
// where few of those are retired; on the day of a rollover classes have new ids, and all counts.
func (j *judgement) goesAlong(rec oneroster.Record) bool {
	if j.Day&Rollover != 0 {
		return false
	}
	if rec.Resource.Name == "demographics" {
		return j.mayTake("user", rec.ID(), rec.Resource)
	}
	for i, f := range rec.Resource.Fields {
		if f.Kind == oneroster.Ref && f.Required && j.mayTake(f.To, rec.Values[i], rec.Resource) {
			return true
		}
	}
	return false
}

func (j *judgement) mayTake(name, id string, r *oneroster.Resource) bool {
	bearer, is := j.along.gone[hash(name+"/"+id)]
	return is && (r.Gradebook || j.fewGo(bearer))
}

// fewGo tells whether no more of a resource and role are retired than may be in any district.
func (j *judgement) fewGo(s share) bool {
	small, known := j.along.small[s]
	if !known {
		n := j.counted(s, func(t *tally) int { return t.lost })
		least := pair
		if s.role == "student" {
			least = five
		}
		small = n <= least ||
			n*100 <= j.limits.of("guard-loss")*j.counted(s, func(t *tally) int { return t.before })
		j.along.small[s] = small
	}
	return small
}
