package intake

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

// early are the grades before the first, in their order: CEDS codes.
var early = []string{"IT", "PR", "PK", "TK", "KG"}

// year of schooling that a grade is; known is false where the code tells none.
func year(grade string) (n int, known bool) {
	if i := slices.Index(early, strings.ToUpper(grade)); i >= 0 {
		return i - len(early) + 1, true
	}
	n, err := strconv.Atoi(strings.Trim(grade, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .-"))
	return n, err == nil
}

// regraded tells whether a pupil has another grade; on the day of a rollover, one that does not
// follow. A few skip a year, and some codes of the early years are left out in places.
func (j *judgement) regraded(before, after oneroster.Record) bool {
	if before.Get("role") != "student" || after.Get("role") != "student" {
		return false
	}
	was, is := home(before).grade, home(after).grade
	n, known := year(was)
	m, too := year(is)
	switch {
	case was == "" || is == "" || slices.Contains(oneroster.Items(after.Get("grades")), was):
		return false
	case known && too:
		return m != n && (j.Day&Rollover == 0 || m < n || m > n+2)
	}
	return j.Day&Rollover == 0 && !strings.EqualFold(was, is)
}

// guardGrades holds pupils who would be in another grade in mid-year, or in one that does not
// follow: of all schools, or most of one.
func (j *judgement) guardGrades() {
	r := oneroster.ByName("user")
	if j.Imported(r) == 0 || j.changes[r] == nil {
		return
	}
	n, of, limit := 0, 0, j.limits.of("guard-steady")
	schools := map[string]*part{}
	for g, t := range j.groups {
		if g.of == r && g.role == "student" && g.at.grade != "" && !g.closing {
			n, of = n+t.regraded, of+t.before
			into(schools, g.at.school, place{school: g.at.school}, t.regraded, t.before)
		}
	}
	text := func(n, of int, where string) string {
		grade := "be in another grade"
		if j.Day&Rollover != 0 {
			grade = "be in a grade that does not follow"
		}
		return fmt.Sprintf("%s%s would %s: %s is one", count(n, of, "students"), where, grade, j.regrade)
	}
	if j.judge("steady", r.Plural, n, of, limit, text(n, of, "")) {
		return
	}
	for _, p := range sorted(schools) {
		if limit := max(most, limit); many(p.n, p.of, limit) {
			j.object(Objection{"steady", r.Plural, text(p.n, p.of, " of "+j.schoolName(p.school)), p.n, p.of, limit})
		}
	}
}
