package intake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

// number writes a count with commas.
func number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func count(n, of int, noun string) string { return number(n) + " of " + number(of) + " " + noun }

// several is so many of a resource.
func several(n int, r *oneroster.Resource) string {
	if n == 1 {
		return "1 " + r.Name
	}
	return number(n) + " " + r.Plural
}

// listed names the first three of many.
func listed(all []string) string {
	const most = 3
	if n := len(all) - most; n > 1 {
		return strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", n)
	}
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}

// noun is what those of a share are called.
func (s share) noun() string {
	switch {
	case s.role == "":
		return s.of.Plural
	case s.of.Name == "enrollment":
		return "enrollments of " + s.role + "s"
	}
	return s.role + "s"
}

func (j *judgement) schoolName(id string) string { return cmp.Or(j.now.orgs[id], j.then.orgs[id], id) }

func (j *judgement) counted(s share, of func(*tally) int) (n int) {
	for g, t := range j.groups {
		if g.of == s.of && (s.role == "" || g.role == s.role) && !g.closing {
			n += of(t)
		}
	}
	return n
}

// A part is a place, or a school as a whole, with how many of how many are hit.
type part struct {
	place
	n, of int
}

// whom says what those of a share that are hit have in common: whole grades of a
// school, a school, a grade; "" where there is nothing to say. It begins with a
// colon.
func (j *judgement) whom(s share, hit func(*tally) int) string {
	places, schools, grades := map[place]*part{}, map[string]*part{}, map[string]*part{}
	n, of := 0, 0
	for g, t := range j.groups {
		if g.of != s.of || s.role != "" && g.role != s.role {
			continue
		}
		if of += t.before; g.closing {
			continue
		}
		n += hit(t)
		into(places, g.at, g.at, hit(t), t.before)
		into(schools, g.at.school, place{school: g.at.school}, hit(t), t.before)
		into(grades, g.at.grade, place{grade: g.at.grade}, hit(t), t.before)
	}
	switch n {
	case 0:
		return ""
	case of:
		return ": all of them"
	}
	if all := j.wholes(places, schools, n); all != "" {
		return ": " + all
	}
	delete(grades, "")
	one := len(schools) == 1 // which one it is is no news
	delete(schools, "")
	for _, p := range append(sorted(schools), sorted(grades)...) {
		switch {
		case p.n*10 < n*9 || one && p.grade == "":
		case p.grade != "":
			return ", nearly all in grade " + strings.TrimPrefix(p.grade, "0")
		default:
			return ", nearly all at " + j.schoolName(p.school)
		}
	}
	hitSchools := 0
	for _, p := range schools {
		if p.n*n > 0 && p.n*2*s.total >= p.of*n { // as many as elsewhere, or at least half of that
			hitSchools++
		}
	}
	if hitSchools == len(schools) && len(schools) > 1 {
		return fmt.Sprintf(", at all %d schools alike", len(schools))
	}
	return ""
}

// wholes names the places that are hit to the last one, where these are nearly
// all that are hit.
func (j *judgement) wholes(places map[place]*part, schools map[string]*part, n int) string {
	covered := 0
	gone := map[string][]string{} // grades by school
	for _, p := range sorted(places) {
		if p.n > 0 && p.n == p.of {
			covered += p.n
			gone[p.school] = append(gone[p.school], p.grade)
		}
	}
	if covered*10 < n*9 {
		return ""
	}
	ids := slices.Sorted(maps.Keys(gone))
	slices.SortStableFunc(ids, func(a, b string) int { return schools[b].n - schools[a].n })
	var out []string
	for _, id := range ids {
		grades := slices.DeleteFunc(gone[id], func(g string) bool { return g == "" })
		switch {
		case id == "":
			return ""
		case len(grades) == 0:
			out = append(out, "at "+j.schoolName(id))
		default:
			out = append(out, "of "+span(grades)+" at "+j.schoolName(id))
		}
	}
	return "all " + listed(out)
}

// span names grades: "grade 9", "grades 9 to 12", "grades 1, 3 and 4".
func span(grades []string) string {
	for i, g := range grades {
		grades[i] = strings.TrimPrefix(g, "0")
	}
	if len(grades) == 1 {
		return "grade " + grades[0]
	}
	first, a := strconv.Atoi(grades[0])
	last, b := strconv.Atoi(grades[len(grades)-1])
	if a == nil && b == nil && last-first == len(grades)-1 && len(grades) > 2 {
		return "grades " + grades[0] + " to " + grades[len(grades)-1]
	}
	return "grades " + strings.Join(grades[:len(grades)-1], ", ") + " and " + grades[len(grades)-1]
}

func into[K comparable](parts map[K]*part, key K, at place, n, of int) {
	p := parts[key]
	if p == nil {
		p = &part{place: at}
		parts[key] = p
	}
	p.n += n
	p.of += of
}

// sorted parts, by school and grade.
func sorted[K comparable](parts map[K]*part) []*part {
	return slices.SortedFunc(maps.Values(parts), func(a, b *part) int {
		return cmp.Or(cmp.Compare(a.school, b.school), cmp.Compare(a.grade, b.grade))
	})
}
