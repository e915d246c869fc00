package quality

import (
	"fmt"
	"strings"
	"time"
)

// Organizations, sessions and courses.

func lookAtOrg(j *judge, s *subject) {
	o := &org{parent: s.RefID("parent"), school: strings.EqualFold(s.Text("type"), "school"),
		children: map[string]bool{}}
	for _, c := range s.Refs("children") {
		o.children[c.ID] = true
	}
	j.orgs[s.id] = o
}

// SDS-O01
func orgMembers(j *judge, s *subject) {
	j.missing(s, "SDS-O01", "name", "type", "identifier")
	j.listed(s, "SDS-O01", "type", orgTypes, "%q is no type of organization that School Data Sync knows")
}

// SDS-O02, and SDS-G06 for the optional references.
func orgTree(j *judge, s *subject) {
	j.optional(s, "parent", j.isOrg)
	j.optional(s, "children", j.isOrg)
	o := j.orgs[s.id]
	if o.parent == "" && o.school && len(j.orgs) > 1 { // one alone is its own tree
		j.find(s, "SDS-O02", "parent", "", "a school without parent stands beside the tree")
	}
	if p := j.orgs[o.parent]; p != nil && len(p.children) > 0 && !p.children[s.id] {
		j.find(s, "SDS-O02", "parent", o.parent, "the parent does not name it among its children")
	}
	for _, r := range s.Refs("children") {
		if c := j.orgs[r.ID]; c != nil && c.parent != s.id {
			j.find(s, "SDS-O02", "children", r.ID, "the child %q has another parent", r.ID)
		}
	}
	for up, steps := o.parent, 0; j.orgs[up] != nil; up, steps = j.orgs[up].parent, steps+1 {
		if up == s.id || steps > len(j.orgs) {
			j.find(s, "SDS-O02", "parent", o.parent, "the parents go in a circle")
			break
		}
	}
}

// SDS-O02: schools without parent have a finding of their own.
func orgRoots(j *judge) {
	roots := 0
	for _, o := range j.orgs {
		if o.parent == "" && !o.school {
			roots++
		}
	}
	if roots > 1 {
		j.whole("org", "SDS-O02", "parent", fmt.Sprint(roots),
			"%d organizations that are no schools have no parent: one root is wanted", roots)
	}
}

func lookAtSession(j *judge, s *subject) {
	j.sessions[s.id] = &session{kind: s.Text("type"), parent: s.RefID("parent"),
		start: Day(s.Text("startDate")), end: Day(s.Text("endDate"))}
}

// SDS-S01
func sessionMembers(j *judge, s *subject) {
	j.missing(s, "SDS-S01", "title", "type", "schoolYear", "startDate", "endDate")
	j.listed(s, "SDS-S01", "type", sessions, "%q is no type of session")
	if y := s.Text("schoolYear"); y != "" && !IsYear(y) {
		j.find(s, "SDS-S01", "schoolYear", y, "schoolYear is not four digits")
	}
	j.day(s, "SDS-S01", "startDate")
	j.day(s, "SDS-S01", "endDate")
}

// SDS-S02, and SDS-G06 for the optional references.
func sessionTree(j *judge, s *subject) {
	j.optional(s, "parent", j.isSession)
	j.optional(s, "children", j.isSession)
	x := j.sessions[s.id]
	if x.start.IsZero() || x.end.IsZero() {
		return // SDS-S01
	}
	if !x.start.Before(x.end) {
		j.find(s, "SDS-S02", "endDate", s.Text("endDate"), "the session does not start before it ends")
	}
	if p := j.sessions[x.parent]; p != nil && !p.start.IsZero() && !p.end.IsZero() &&
		(x.start.Before(p.start) || x.end.After(p.end)) {
		j.find(s, "SDS-S02", "parent", x.parent,
			"the session does not lie within its parent, %s to %s", p.start.Format(time.DateOnly),
			p.end.Format(time.DateOnly))
	}
	years, at := 0, x
	for steps := 0; at != nil; steps++ {
		if strings.EqualFold(at.kind, "schoolYear") {
			years++
		}
		if steps > len(j.sessions) {
			j.find(s, "SDS-S02", "parent", x.parent, "the parents go in a circle")
			return
		}
		if at.parent != "" && j.sessions[at.parent] == nil {
			return // SDS-G06
		}
		at = j.sessions[at.parent]
	}
	switch {
	case years > 1:
		j.find(s, "SDS-S02", "parent", x.parent, "the session belongs to more than one school year")
	case years == 0:
		j.as(Warning, s, "SDS-S02", "parent", x.parent, "no school year stands above the session")
	}
}

// SDS-S03. The end is the first day after: a year that ends with a calendar year
// ends in it.
func sessionYear(j *judge, s *subject) {
	x, text := j.sessions[s.id], s.Text("schoolYear")
	if x.start.IsZero() || x.end.IsZero() || !IsYear(text) || !x.start.Before(x.end) {
		return
	}
	year := 0
	_, _ = fmt.Sscan(text, &year) // four digits
	last := x.end.AddDate(0, 0, -1).Year()
	switch {
	case x.start.Year() < year-1:
		j.find(s, "SDS-S03", "startDate", s.Text("startDate"),
			"the school year %d cannot start before %d", year, year-1)
	case last > year:
		j.find(s, "SDS-S03", "endDate", s.Text("endDate"),
			"the school year %d ends in %[1]d at the latest", year)
	case strings.EqualFold(x.kind, "schoolYear") && last != year:
		j.find(s, "SDS-S03", "schoolYear", text,
			"a school year is named for the year in which it ends, %d", last)
	}
}

// SDS-S04
func sessionToday(j *judge) {
	today := time.Date(j.Today.Year(), j.Today.Month(), j.Today.Day(), 0, 0, 0, 0, time.UTC)
	for _, x := range j.sessions {
		if x.kept && !today.Before(x.start) && !today.After(x.end) {
			return
		}
	}
	j.whole("academicSession", "SDS-S04", "", today.Format(time.DateOnly), "no session covers today")
}

// SDS-K01
func courseMembers(j *judge, s *subject) {
	j.missing(s, "SDS-K01", "title")
	j.follow(s, "SDS-K01", "org", orgRefs, j.hasOrg)
	j.optional(s, "schoolYear", j.hasSession)
}
