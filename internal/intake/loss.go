package intake

import (
	"maps"
	"slices"

	"rollbook/internal/oneroster"
)

// lossLimit is wider in a small school, where a family moves away or a class is given up,
// with what hangs on it.
func (j *judgement) lossLimit(r *oneroster.Resource) int {
	limit := j.limit("guard-loss")
	pupils := j.counted(share{of: oneroster.ByName("user"), role: "student"},
		func(t *tally) int { return t.before })
	classes := j.Imported(oneroster.ByName("class"))
	percent := func(n, of int) int { return min(most, (100*n+of-1)/max(of, n)) }
	switch {
	case limit == 0 || classes+pupils == 0:
	case r.Name == "user" || r.Name == "demographics":
		limit = max(limit, percent(five, pupils))
	case r.Name == "enrollment":
		limit = max(limit, percent(five, pupils), percent(pair, classes))
	case r.Gradebook && classes < few:
		limit = max(limit, most)
	}
	return limit
}

// A share is what a guard counts of a resource, or of one role of it.
type share struct {
	of    *oneroster.Resource
	role  string
	n     int // that are hit
	total int

	guarded bool // leave out what belongs to a school that closes
}

// shares counts what is hit of a resource, the whole first, then role by role.
// What belongs to a school that closes is never hit.
func (j *judgement) shares(r *oneroster.Resource, hit func(t *tally, role bool) int) []share {
	whole, roles := share{of: r}, map[string]*share{}
	for g, t := range j.groups {
		if g.of != r {
			continue
		}
		s := roles[g.role]
		if s == nil {
			s = &share{of: r, role: g.role}
			roles[g.role] = s
		}
		whole.total += t.before
		s.total += t.before
		if !g.closing {
			whole.n += hit(t, false)
			s.n += hit(t, true)
		}
	}
	whole.n, whole.total = max(0, whole.n), min(whole.total, j.Imported(r))
	out := []share{whole}
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		if role != "" {
			out = append(out, *roles[role])
		}
	}
	return out
}

// worst picks of shares the ones to speak of: the whole, as a role of it where
// nearly all that are hit have it; else, where the whole is within the limit, each
// role that is not.
func worst(all []share, limit int) []share {
	whole, roles := all[0], all[1:]
	switch {
	case whole.total == 0 || whole.total < few && whole.of.Gradebook: // not imported, or a teacher's own
		return nil
	case over(whole.n, whole.total, limit):
		for _, s := range roles {
			if s.n*10 >= whole.n*9 && over(s.n, s.total, limit) {
				return []share{s}
			}
		}
		return []share{whole}
	}
	var out []share
	for _, s := range roles {
		enough := s.n >= some || s.total < few && (s.n >= five || s.n == s.total) && !s.minor()
		if enough && over(s.n, s.total, limit) {
			out = append(out, s)
		}
	}
	if out == nil {
		out = append(out, whole)
	}
	return out
}

// minor is a role whose few enrollments may all be of one person.
func (s share) minor() bool {
	return s.of.Name == "enrollment" && s.role != "teacher" && s.role != "student"
}

// guardLoss counts what is retired; on the day of a rollover, when classes and all
// that hangs on them have new ids, only by how many fewer there are.
func (j *judgement) guardLoss() {
	over := j.Day&Rollover != 0
	for _, r := range oneroster.Resources() {
		if j.changes[r] == nil || over && r.Gradebook {
			continue
		}
		hit := func(t *tally, role bool) int {
			n := t.lost
			if role {
				n += t.left
			}
			if over {
				n -= t.came
			}
			return n
		}
		limit := j.lossLimit(r)
		if set := j.limits.of("guard-loss"); over && set < 100 && (r.Name == "user" || r.Name == "demographics") {
			limit = max(leavers, set)
		}
		for _, s := range worst(j.shares(r, hit), limit) {
			lost := func(t *tally) int { return t.lost }
			would := "would be retired"
			if s.role != "" && j.counted(s, lost) < j.counted(s, func(t *tally) int { return t.left }) {
				would = "would be " + s.noun() + " no more"
				lost = func(t *tally) int { return t.left }
			}
			j.judge("loss", r.Plural, s.n, s.total, limit,
				count(s.n, s.total, s.noun())+" "+would+j.whom(s, lost))
		}
	}
}

// guardDisabled counts accounts that would be disabled: to readers they are as good as
// gone.
func (j *judgement) guardDisabled() {
	r := oneroster.ByName("user")
	if j.changes[r] == nil {
		return
	}
	limit := j.limit("guard-loss")
	hit := func(t *tally) int { return t.disabled }
	for _, s := range worst(j.shares(r, func(t *tally, _ bool) int { return t.disabled }), limit) {
		j.judge("loss", r.Plural, s.n, s.total, limit,
			count(s.n, s.total, s.noun())+" would be disabled"+j.whom(s, hit))
	}
}

// guardEnded counts classes that are in session and would be in terms that have ended, or
// not begun: to readers they are as good as gone.
func (j *judgement) guardEnded() {
	r := oneroster.ByName("class")
	if j.changes[r] == nil && j.changes[oneroster.ByName("academicSession")] == nil {
		return
	}
	ended := func(t *tally) int { return t.ended }
	whole := j.shares(r, func(t *tally, _ bool) int { return t.ended })[0]
	j.judge("loss", r.Plural, whole.n, whole.total, j.limit("guard-loss"),
		count(whole.n, whole.total, r.Plural)+" that are in session would be in terms that have ended or not begun"+
			j.whom(whole, ended))
}

func (j *judgement) sum(s share, of func(*fields) int) (n int) {
	for k, f := range j.fields {
		if k.of == s.of && (s.role == "" || k.role == s.role) && !(k.closing && s.guarded) {
			n += of(f)
		}
	}
	return n
}
