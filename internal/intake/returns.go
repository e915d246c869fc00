package intake

import (
	"cmp"
	"fmt"

	"rollbook/internal/oneroster"
)

// returns are accounts of people who left, that would be enabled again all at once: enabledUser is
// filled from another field. Who comes back is in a class, and where a summer ends most are in none.
type returns struct {
	disabled map[uint64]bool // users, as they are
	seated   map[uint64]bool // users who would be in a class
	back     map[string]int  // who would be enabled and in no class, by role
	gone     map[string]int  // disabled, by role
	first    map[string]string
}

func newReturns() *returns {
	return &returns{map[uint64]bool{}, map[uint64]bool{}, map[string]int{}, map[string]int{},
		map[string]string{}}
}

// learn takes a user as it is.
func (b *returns) learn(user oneroster.Record) {
	if user.Get("enabledUser") == "false" {
		b.disabled[hash(user.ID())] = true
		b.gone[user.Get("role")]++
	}
}

// seat takes an enrollment as it would be.
func (b *returns) seat(rec oneroster.Record) {
	b.seated[hash(rec.Get("user"))] = true
}

// differ takes a user that stays and is another.
func (b *returns) differ(before, after oneroster.Record) {
	role, id := before.Get("role"), hash(before.ID())
	if b.disabled[id] && !b.seated[id] && after.Get("enabledUser") == "true" {
		b.back[role]++
		b.first[role] = cmp.Or(b.first[role], before.ID())
	}
}

// guardReturns looks at pupils and teachers: families are in no class. Where most of them are in
// none yet, it is summer.
func (j *judgement) guardReturns() {
	r := oneroster.ByName("user")
	if j.Day&(Rollover|AddsOnly) != 0 || j.Back || j.Imported(r) == 0 {
		return
	}
	limit := j.limits.of("guard-returns")
	for _, role := range []string{"student", "teacher"} {
		n, of := j.returns.back[role], j.returns.gone[role]
		if n < some || n*100 <= limit*of {
			continue
		}
		all, in := 0, 0
		for id, p := range j.then.people {
			if p.role == role {
				if all++; j.returns.seated[id] {
					in++
				}
			}
		}
		if 2*in < all {
			continue
		}
		j.object(Objection{"returns", r.Plural, fmt.Sprintf("%s that are disabled would be enabled, and are in no "+
			"class: %s is one", count(n, of, share{of: r, role: role}.noun()), j.returns.first[role]), n, of, limit})
	}
}
