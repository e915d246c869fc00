package bulk

import (
	"fmt"
	"strings"
)

// v21 reads Microsoft School Data Sync v2.1.
func (c *converter) v21() {
	for _, l := range c.lines("orgs.csv") {
		typ, original := nearest(orgTypes, l.get("type"))
		c.add("org", l.at, "sourcedId", l.get("sourcedId"), "name", l.get("name"), "type", typ, "parentSourcedId", l.get("parentSourcedId"), "metadata.original.type", original)
	}
	sessions := c.v21Sessions()
	for _, l := range c.lines("courses.csv") {
		c.add("course", l.at, "sourcedId", l.get("sourcedId"), "orgSourcedId", l.get("orgSourcedId"), "title", l.get("title"), "courseCode", l.get("code"),
			"schoolYearSourcedId", l.get("schoolYearSourcedId"), "subjectCodes", l.get("subject"), "grades", l.get("grade"))
	}
	schools := map[string]string{}
	for _, l := range c.lines("classes.csv") {
		id, course, terms := l.get("sourcedId"), l.get("courseSourcedId"), l.get("sessionSourcedIds")
		if course == "" { // OneRoster wants one
			course = id + "_course"
			c.add("course", l.at, "sourcedId", course, "orgSourcedId", l.get("orgSourcedId"), "title", l.get("title"))
		}
		if terms == "" {
			terms = sessions
		}
		schools[id] = l.get("orgSourcedId")
		c.add("class", l.at, "sourcedId", id, "title", l.get("title"), "courseSourcedId", course, "classType", "scheduled", "schoolSourcedId", l.get("orgSourcedId"), "termSourcedIds", terms)
	}
	c.v21Users()
	c.v21Demographics()
	for _, l := range c.lines("enrollments.csv") {
		role, original := nearest(classRoles, l.get("role"))
		class, user := l.get("classSourcedId"), l.get("userSourcedId")
		c.add("enrollment", l.at, "sourcedId", enrollmentID(class, user, role), "classSourcedId", class, "schoolSourcedId", schools[class], "userSourcedId", user,
			"role", role, "metadata.original.role", original)
	}
}

// v21Sessions returns the session of classes that name none: the last school year.
func (c *converter) v21Sessions() string {
	last, latest := "", ""
	for _, l := range c.lines("academicSessions.csv") {
		c.add("academicSession", l.at, "sourcedId", l.get("sourcedId"), "title", l.get("title"), "type", l.get("type"), "startDate", l.get("startDate"),
			"endDate", l.get("endDate"), "schoolYear", l.get("schoolYear"))
		if l.get("type") == "schoolYear" && l.get("endDate") > latest {
			last, latest = l.get("sourcedId"), l.get("endDate")
		}
	}
	return last
}

func (c *converter) v21Users() {
	all := people{}
	for _, l := range c.lines("roles.csv") {
		p := all.of(l.get("userSourcedId"))
		p.take(l.get("role"), strings.EqualFold(l.get("isPrimary"), "true"))
		p.orgs.add(l.get("orgSourcedId"))
		p.grades.add(l.get("grade"))
	}
	for _, l := range c.lines("userFlags.csv") {
		flag := l.get("flag")
		for _, f := range flags {
			if strings.EqualFold(f, flag) {
				flag = f
			}
		}
		p := all.of(l.get("userSourcedId"))
		p.flags.add(flag)
	}
	for _, l := range c.lines("relationships.csv") {
		pupil, contact := all.of(l.get("userSourcedId")), all.of(l.get("relationshipUserSourcedId"))
		pupil.agents.add(l.get("relationshipUserSourcedId"))
		contact.take(l.get("relationshipRole"), false)
		for _, org := range pupil.orgs { // a contact has no school of its own
			contact.orgs.add(org)
		}
	}
	for _, l := range c.lines("users.csv") {
		p := all.of(l.get("sourcedId"))
		username := l.get("username")
		email := l.get("email")
		if email == "" && strings.Contains(username, "@") {
			email = username
		}
		c.add("user", l.at, "sourcedId", l.get("sourcedId"), "enabledUser", "true", "orgSourcedIds", p.orgs.String(), "role", p.role, "username", username,
			"givenName", l.get("givenName"), "familyName", l.get("familyName"), "email", strings.ToLower(email), "phone", l.get("phone"), "sms", l.get("sms"),
			"agentSourcedIds", p.agents.String(), "grades", p.grades.String(), "metadata.microsoft.userFlags", p.flags.String(),
			"metadata.microsoft.activeDirectoryMatchId", l.get("activeDirectoryMatchId"), "metadata.original.role", p.original)
	}
}

func (c *converter) v21Demographics() {
	for _, l := range c.lines("demographics.csv") {
		pairs := []string{"sourcedId", l.get("userSourcedId"), "birthDate", l.get("birthDate"), "sex", l.get("sex"), "cityOfBirth", l.get("birthCity"),
			"stateOfBirthAbbreviation", l.get("birthState"), "countryOfBirthCode", l.get("birthCountry")}
		for _, code := range strings.Split(l.get("ethnicityCodes")+","+l.get("raceCodes"), ",") {
			if code = strings.TrimSpace(code); code != "" {
				pairs = append(pairs, code, "true")
			}
		}
		c.add("demographics", l.at, pairs...)
	}
}

// v1 reads Microsoft School Data Sync v1 with US headers, or with UK ones,
// which write dates day first.
func (c *converter) v1() {
	dates := c.v1Dates()
	for _, l := range c.lines("School.csv") {
		c.add("org", l.at, "sourcedId", l.get("SIS ID", "DfE Number"), "name", l.get("Name"), "type", "school", "identifier", l.get("School Number", "State ID"))
	}
	schools := map[string]string{}
	seen := map[string]bool{}
	once := func(kind, id string) bool {
		first := !seen[kind+id]
		seen[kind+id] = true
		return first
	}
	for _, l := range c.lines("Section.csv") {
		id, school := l.get("SIS ID", "ID"), l.get("School SIS ID", "School DfE Number")
		term, course := l.get("Term SIS ID"), l.get("Course SIS ID")
		start, end := dates(l.get("Term StartDate")), dates(l.get("Term EndDate"))
		if term == "" {
			term = school + "_term"
		}
		if once("term", term) {
			year := ""
			if len(end) >= 4 {
				year = end[:4]
			}
			title := l.get("Term Name")
			if title == "" {
				title = term
			}
			c.add("academicSession", l.at, "sourcedId", term, "title", title, "type", "term", "startDate", start, "endDate", end, "schoolYear", year)
		}
		if course == "" {
			course = id + "_course"
		}
		title := l.get("Course Name")
		if title == "" {
			title = l.get("Section Name")
		}
		if once("course", course) {
			c.add("course", l.at, "sourcedId", course, "title", title, "courseCode", l.get("Course Number"), "orgSourcedId", school, "subjects", l.get("Course Subject"),
				"metadata.sds.Course Description", l.get("Course Description"))
		}
		schools[id] = school
		c.add("class", l.at, "sourcedId", id, "title", l.get("Section Name"), "classCode", l.get("Section Number"), "classType", "scheduled", "courseSourcedId", course,
			"schoolSourcedId", school, "termSourcedIds", term, "periods", l.get("Periods"), "subjects", l.get("Course Subject"))
	}
	c.v1Users(dates)
	for _, part := range [][2]string{{"StudentEnrollment.csv", "student"}, {"TeacherRoster.csv", "teacher"}} {
		for _, l := range c.lines(part[0]) {
			class, user := l.get("Section SIS ID", "Section ID"), l.get("SIS ID", "ID")
			c.add("enrollment", l.at, "sourcedId", enrollmentID(class, user, part[1]), "classSourcedId", class, "schoolSourcedId", schools[class], "userSourcedId", user, "role", part[1])
		}
	}
}

// v1Users merges the rows of one person at several schools.
func (c *converter) v1Users(dates func(string) string) {
	for _, part := range [][2]string{{"Student.csv", "student"}, {"Teacher.csv", "teacher"}} {
		lines := c.lines(part[0])
		orgs := map[string]*set{}
		for _, l := range lines {
			id := l.get("SIS ID", "ID")
			if orgs[id] == nil {
				orgs[id] = &set{}
			}
			school := l.get("School SIS ID", "School DfE Number")
			if contains(*orgs[id], school) {
				orgs[id].add("\x00twice") // shows as a problem below
			}
			orgs[id].add(school)
		}
		done := map[string]bool{}
		for _, l := range lines {
			id, username := l.get("SIS ID", "ID"), l.get("Username")
			twice := contains(*orgs[id], "\x00twice")
			if done[id] && !twice {
				continue
			}
			done[id] = true
			at := orgs[id].String()
			if twice {
				at = l.get("School SIS ID", "School DfE Number")
			}
			email := l.get("Secondary Email")
			if strings.Contains(username, "@") {
				email = username
			}
			first, last := l.get("First Name"), l.get("Last Name")
			if first == "" || last == "" {
				note := fmt.Sprintf("%s has rows without First Name or Last Name: the username stands in for it", l.at.file)
				if !contains(c.p.Notes, note) {
					c.p.Notes = append(c.p.Notes, note)
				}
			}
			c.add("user", l.at, "sourcedId", id, "enabledUser", "true", "orgSourcedIds", at, "role", part[1], "username", username, "givenName", orElse(first, username),
				"familyName", orElse(last, username), "middleName", l.get("Middle Name"), "email", strings.ToLower(email), "identifier", l.get("Student Number", "Teacher Number"),
				"grades", grade(l.get("Grade")), "metadata.sds.State ID", l.get("State ID"), "metadata.sds.Graduation Year", l.get("Graduation Year"),
				"metadata.sds.Title", l.get("Title"), "metadata.sds.Qualification", l.get("Qualification"))
			if b := l.get("Birthdate"); b != "" && part[1] == "student" {
				c.add("demographics", l.at, "sourcedId", id, "birthDate", dates(b))
			}
		}
	}
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// grade writes one-digit grades as the standard does.
func grade(g string) string {
	if len(g) == 1 && g[0] >= '1' && g[0] <= '9' {
		return "0" + g
	}
	return g
}

// v1Dates finds the order of day and month. The headers tell it; where a date
// of the package is impossible that way and all are possible the other way, the
// other way holds for the whole package, and is said aloud.
func (c *converter) v1Dates() func(string) string {
	dayFirst := false
	var all []string
	for _, name := range []string{"Section.csv", "Student.csv"} {
		for _, l := range c.lines(name) {
			if _, uk := l.cells["School DfE Number"]; uk {
				dayFirst = true
			}
			for _, d := range []string{l.get("Term StartDate"), l.get("Term EndDate"), l.get("Birthdate")} {
				if d != "" {
					all = append(all, d)
				}
			}
		}
	}
	impossible := func(dayFirst bool) (n int) {
		for _, d := range all {
			if strings.Contains(d, "/") && !strings.Contains(isoDate(d, dayFirst), "-") {
				n++
			}
		}
		return n
	}
	if impossible(dayFirst) > 0 && impossible(!dayFirst) == 0 {
		dayFirst = !dayFirst
		c.p.Notes = append(c.p.Notes, map[bool]string{true: "dates are written day first, unlike the headers say", false: "dates are written month first, unlike the headers say"}[dayFirst]+
			": the other way some are impossible")
	}
	return func(d string) string { return isoDate(d, dayFirst) }
}

// isoDate turns 7/1/2017 into 2017-07-01; what is not such a date is left as it is.
func isoDate(d string, dayFirst bool) string {
	var a, b, year int
	if n, err := fmt.Sscanf(d, "%d/%d/%d", &a, &b, &year); n != 3 || err != nil {
		return d
	}
	if dayFirst {
		a, b = b, a
	}
	if a < 1 || a > 12 || b < 1 || b > 31 || year < 1000 {
		return d
	}
	return fmt.Sprintf("%04d-%02d-%02d", year, a, b)
}
