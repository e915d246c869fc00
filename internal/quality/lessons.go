package quality

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Classes, enrollments, and what both say of the whole.

// SDS-C01
func classMembers(j *judge, s *subject) {
	j.missing(s, "SDS-C01", "title")
	j.follow(s, "SDS-C01", "school", orgRefs, j.hasOrg)
	j.follow(s, "SDS-C01", "terms", sessionRefs, j.hasSession)
}

const longestTitle = 256

// SDS-C02, SDS-C03, SDS-C05
func classTitle(j *judge, s *subject) {
	title := s.Text("title")
	switch {
	case len([]rune(title)) > longestTitle:
		j.find(s, "SDS-C02", "title", title, "a title of more than %d letters", longestTitle)
	case strings.ContainsAny(title, `\:*?"<>|`):
		j.find(s, "SDS-C02", "title", title, "the title has a character that the name of a Team cannot have")
	default:
		if c, bad := unshowable(title); bad {
			j.find(s, "SDS-C02", "title", title, "the title has the character %U", c)
		}
	}
	if s.id != "" && !mailName.MatchString(s.id) {
		j.find(s, "SDS-C03", "sourcedId", s.id, "the id has characters that a mail name cannot have")
	}
	for _, t := range s.Refs("terms") {
		if title != "" && !j.first(j.hash("title", s.RefID("school"), t.ID, strings.ToLower(title))) {
			j.find(s, "SDS-C05", "title", title, "another class of the school and term has this title")
			return
		}
	}
}

// SDS-C04. Where courses are not read, nothing is said of them.
func classCourse(j *judge, s *subject) {
	if j.out.Read["course"] == 0 {
		return
	}
	if id := s.RefID("course"); j.courses[id] == nil {
		j.find(s, "SDS-C04", "course", id, "the course is not served, not active, or was dropped")
	}
}

func keepClass(j *judge, s *subject) {
	c := &class{number: uint32(len(j.classes)), school: strings.Clone(s.RefID("school")),
		course: strings.Clone(s.RefID("course")), periods: len(s.Texts("periods")) > 0}
	for _, t := range s.Refs("terms") {
		x := j.sessions[t.ID]
		if x == nil {
			continue
		}
		if c.start.IsZero() || x.start.Before(c.start) {
			c.start = x.start
		}
		if x.end.After(c.end) {
			c.end = x.end
		}
	}
	j.classes[strings.Clone(s.id)] = c
	if k := j.courses[c.course]; k != nil {
		k.classes++
	}
}

// SDS-E01
func enrollmentMembers(j *judge, s *subject) {
	j.missing(s, "SDS-E01", "role")
	j.listed(s, "SDS-E01", "role", enrolled, "%q is no role of an enrollment")
	j.required(s, "SDS-E01", "school", orgRefs)
	j.required(s, "SDS-E01", "class", classRefs)
	j.required(s, "SDS-E01", "user", userRefs)
}

var classRefs, userRefs = set("class"), set("user")

// SDS-E02
func enrollmentLinks(j *judge, s *subject) {
	for _, to := range []struct {
		field string
		there func(string) bool
	}{{"user", j.hasUser}, {"class", j.hasClass}, {"school", j.hasOrg}} {
		if id := s.RefID(to.field); id != "" && !to.there(id) {
			j.find(s, "SDS-E02", to.field, id, "the %s %q is not served, not active, or was dropped",
				to.field, id)
		}
	}
	school := s.RefID("school")
	if c := j.classes[s.RefID("class")]; c != nil && school != "" && j.hasOrg(school) && c.school != school {
		j.find(s, "SDS-E02", "school", school, "the class belongs to the school %q", c.school)
	}
}

// SDS-E04
func enrollmentDates(j *judge, s *subject) {
	if s.Text("beginDate") == "" || s.Text("endDate") == "" {
		j.undated++
	}
	c := j.classes[s.RefID("class")]
	for _, name := range []string{"beginDate", "endDate"} {
		at := j.day(s, "SDS-E04", name)
		if c != nil && !at.IsZero() && !c.start.IsZero() && (at.Before(c.start) || at.After(c.end)) {
			j.find(s, "SDS-E04", name, s.Text(name), "%s lies outside of the terms of the class", name)
		}
	}
}

// SDS-E03, and what the whole needs.
func keepEnrollment(j *judge, s *subject) {
	u, c, role := j.users[s.RefID("user")], j.classes[s.RefID("class")], strings.ToLower(s.Text("role"))
	if !j.first(pair(u.number, c.number) ^ j.hash("role", role)) {
		j.find(s, "SDS-E03", "user", s.RefID("user"),
			"the user is enrolled in the class with this role already")
		return
	}
	u.classes++
	switch role {
	case "teacher":
		c.teachers++
		if primary, _ := s.Object["primary"].(string); strings.EqualFold(primary, "true") {
			c.primary++
		}
	case "student":
		c.students++
		j.pupils = append(j.pupils, pair(u.number, c.number))
	}
}

// SDS-C04, and SDS-E04 for dates that nobody gave.
func classesFilled(j *judge) {
	for _, id := range slices.Sorted(maps.Keys(j.classes)) {
		c, s := j.classes[id], &subject{resource: "class", id: id}
		if c.teachers == 0 {
			j.find(s, "SDS-C04", "", "", "the class has no teacher")
		}
		if c.students == 0 {
			j.find(s, "SDS-C04", "", "", "the class has no pupil")
		}
		if c.primary > 1 {
			j.find(s, "SDS-C04", "", fmt.Sprint(c.primary), "the class has %d primary teachers", c.primary)
		}
	}
	if j.undated > 0 {
		j.as(Advice, &subject{resource: "enrollment"}, "SDS-E04", "beginDate", fmt.Sprint(j.undated),
			"%d enrollments lack beginDate or endDate", j.undated)
	}
}

// zeros are: one finding each, with how many there are.
func (j *judge) zeros() {
	taught := map[uint32]bool{} // numbers of classes that have a teacher
	for _, c := range j.classes {
		taught[c.number] = c.teachers > 0
	}
	hasTeacher := map[uint32]bool{} // numbers of students
	for _, p := range j.pupils {
		if taught[uint32(p)] {
			hasTeacher[uint32(p>>32)] = true
		}
	}
	none := map[string][]string{}
	add := func(rule, id string, is bool) {
		if is {
			none[rule] = append(none[rule], id)
		}
	}
	for id, u := range j.users {
		if !u.kept {
			continue
		}
		student := u.group == Student
		add("Q-01", id, student && !u.grades)
		add("Q-02", id, student && u.classes == 0)
		add("Q-03", id, student && u.classes > 0 && !hasTeacher[u.number])
		add("Q-04", id, u.teacher && u.classes == 0)
	}
	for id, c := range j.classes {
		add("Q-05", id, !c.periods)
		add("Q-06", id, c.students == 0)
		add("Q-07", id, c.teachers == 0)
	}
	for id, c := range j.courses {
		add("Q-08", id, c.classes == 0)
	}
	for _, rule := range slices.Sorted(maps.Keys(none)) {
		ids, more := none[rule], ""
		slices.Sort(ids)
		n, most := len(ids), 3
		if n > most {
			ids, more = ids[:most], ", …"
		}
		j.whole(ByID(rule).Resources[0], rule, "", fmt.Sprint(n), "not so for %d: %s%s", n,
			strings.Join(ids, ", "), more)
	}
}
