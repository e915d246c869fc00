package intake

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// joins are schools of another district put in beside ours. Where a school opens, some of its
// people are known, or their addresses are of a domain that ours have, and it hangs on our district.
type joins struct {
	domains map[string]map[string]bool // of our pupils' and staff's addresses, to the schools that have them
	schools map[string]bool            // that have addresses
	alone   bool                       // a school of ours has no parent
	new     map[string]*joining
	parents map[string]string // of orgs, as they would be
}

// A joining is a school that would be added.
type joining struct {
	name         string
	comes, known int
	domains      map[string]int
}

func newJoins() *joins {
	return &joins{map[string]map[string]bool{}, map[string]bool{}, false, map[string]*joining{},
		map[string]string{}}
}

// ownAddress is the domain of a pupil's or staff's address; families have theirs anywhere.
func ownAddress(user oneroster.Record) string {
	if role := user.Get("role"); role != "student" && !slices.Contains(staff, role) {
		return ""
	}
	_, domain, _ := strings.Cut(strings.ToLower(user.Get("email")), "@")
	return domain
}

// learn takes an org or a user as it is.
func (g *joins) learn(rec oneroster.Record) {
	switch rec.Resource.Name {
	case "org":
		g.alone = g.alone || rec.Get("type") == "school" && rec.Get("parent") == ""
	case "user":
		domain, school := ownAddress(rec), home(rec).school
		if domain == "" || school == "" {
			return
		}
		if g.domains[domain] == nil {
			g.domains[domain] = map[string]bool{}
		}
		g.domains[domain][school], g.schools[school] = true, true
	}
}

// meet takes one as it would be; orgs come before users.
func (g *joins) meet(j *judgement, rec oneroster.Record) {
	switch rec.Resource.Name {
	case "org":
		g.parents[rec.ID()] = rec.Get("parent")
		if _, known := j.now.orgs[rec.ID()]; !known && rec.Get("type") == "school" {
			g.new[rec.ID()] = &joining{name: rec.Get("name"), domains: map[string]int{}}
		}
	case "user":
		if len(g.new) == 0 {
			return
		}
		_, known := j.now.people[hash(rec.ID())]
		for _, id := range oneroster.Items(rec.Get("orgs")) {
			if s := g.new[id]; s != nil && known {
				s.known++
			} else if s != nil {
				s.comes++
				s.domains[ownAddress(rec)]++
			}
		}
	}
}

// kin tells whether two domains are of one house: student.example.org and staff.example.org.
func kin(a, b string) bool {
	_, above, _ := strings.Cut(a, ".")
	_, over, _ := strings.Cut(b, ".")
	return a == b || a == over || above == b || above == over && strings.Contains(above, ".")
}

// common is the domain that most of our schools have, of two at least; "" where each has its own.
func (g *joins) common() string {
	for _, domain := range slices.Sorted(maps.Keys(g.domains)) {
		if n := len(g.domains[domain]); n >= pair && 2*n >= len(g.schools) {
			return domain
		}
	}
	return ""
}

// strange is the domain that nearly all of a school have, and none of ours.
func (g *joins) strange(s *joining) string {
	n, of, domain := 0, 0, ""
	for _, d := range slices.Sorted(maps.Keys(s.domains)) {
		if d == "" {
			continue
		}
		of += s.domains[d]
		ours := slices.Collect(maps.Keys(g.domains))
		if !slices.ContainsFunc(ours, func(own string) bool { return kin(d, own) }) {
			n, domain = n+s.domains[d], d
		}
	}
	if n*10 < of*9 {
		return ""
	}
	return domain
}

// under tells whether an org hangs on one that is there now.
func (g *joins) under(j *judgement, id string) bool {
	for range g.parents {
		id = g.parents[id]
		if _, known := j.now.orgs[id]; known || id == "" {
			return known
		}
	}
	return false
}

// guardJoins holds a school of which nobody is known, and which is not ours by its addresses or
// by what it hangs on.
func (j *judgement) guardJoins() {
	r, limit := oneroster.ByName("org"), j.limits.of("guard-growth")
	if j.Back || j.Imported(r) == 0 || limit == 100000 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(j.joins.new)) {
		s := j.joins.new[id]
		if s.known > 0 || s.comes < few {
			continue
		}
		text := fmt.Sprintf("a school would be added with %s people, of whom nobody is known: %s (%s)",
			number(s.comes), s.name, id)
		common, strange := j.joins.common(), j.joins.strange(s)
		switch {
		case common != "" && strange != "":
			text += fmt.Sprintf(", with addresses of %s, and ours have %s", strange, common)
		case !j.joins.alone && !j.joins.under(j, id):
			text += ", which hangs on no org of ours"
		default:
			j.note(text)
			continue
		}
		j.object(Objection{"growth", r.Plural, text, s.comes, 0, 0})
	}
}
