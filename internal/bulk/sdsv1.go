package bulk

import (
	"fmt"
	"strings"
)

// v1 reads Microsoft School Data Sync v1 with US headers, or with UK ones,
// which write dates day first.
func (c *converter) v1() {
	dates := c.v1Dates()
	for _, l := range c.lines("School.csv") {
		c.add("org", l.at, "sourcedId", l.get("SIS ID", "DfE Number"), "name", l.get("Name"), "type",
			"school", "identifier", l.get("School Number", "State ID"))
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
		if term == "" || start == "" || end == "" {
			term = c.schoolYear(l.at)
		} else if once("term", term) {
			year, _, _ := strings.Cut(end, "-")
			c.add("academicSession", l.at, "sourcedId", term, "title", orElse(l.get("Term Name"), term),
				"type", "term", "startDate", start, "endDate", end, "schoolYear", year)
		}
		if course == "" {
			course = id + "_course"
		}
		if once("course", course) {
			c.add("course", l.at, "sourcedId", course, "title", orElse(l.get("Course Name"),
				l.get("Section Name")), "courseCode", l.get("Course Number"), "orgSourcedId", school,
				"subjects", l.get("Course Subject"),
				"metadata.sds.Course Description", l.get("Course Description"))
		}
		schools[id] = school
		c.add("class", l.at, "sourcedId", id, "title", l.get("Section Name"), "classCode",
			l.get("Section Number"), "classType", "scheduled", "courseSourcedId", course,
			"schoolSourcedId", school, "termSourcedIds", term, "periods", l.get("Periods"), "subjects",
			l.get("Course Subject"))
	}
	c.v1Users(dates)
	for _, part := range [][2]string{{"StudentEnrollment.csv", "student"}, {"TeacherRoster.csv", "teacher"}} {
		for _, l := range c.lines(part[0]) {
			class, user := l.get("Section SIS ID", "Section ID"), l.get("SIS ID", "ID")
			c.add("enrollment", l.at, "sourcedId", enrollmentID(class, user, part[1]), "classSourcedId",
				class, "schoolSourcedId", schools[class], "userSourcedId", user, "role", part[1])
		}
	}
}

// v1Users merges the rows of one person at several schools.
func (c *converter) v1Users(dates func(string) string) {
	guardians := c.v1Guardians()
	for _, part := range [][2]string{{"Student.csv", "student"}, {"Teacher.csv", "teacher"}} {
		lines := c.lines(part[0])
		for _, l := range lines {
			for _, g := range guardians {
				if contains(g.pupils, l.get("SIS ID", "ID")) {
					g.orgs.add(l.get("School SIS ID", "School DfE Number"))
				}
			}
		}
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
				c.p.note(l.at.file + " has rows without First Name or Last Name: the username " +
					"stands in for it")
			}
			c.add("user", l.at, "sourcedId", id, "enabledUser", "true", "orgSourcedIds", at, "role",
				part[1], "username", username, "givenName", orElse(first, username),
				"familyName", orElse(last, username), "middleName", l.get("Middle Name"), "email",
				strings.ToLower(email), "identifier", l.get("Student Number", "Teacher Number"),
				"grades", grade(l.get("Grade")), "metadata.sds.State ID", l.get("State ID"),
				"metadata.sds.Graduation Year", l.get("Graduation Year"),
				"metadata.sds.Title", l.get("Title"), "metadata.sds.Qualification", l.get("Qualification"))
			if b := l.get("Birthdate"); b != "" && part[1] == "student" {
				c.add("demographics", l.at, "sourcedId", id, "birthDate", dates(b))
			}
		}
	}
	c.addGuardians(guardians)
}

// A guardian of v1 is known by an e-mail address, which is no sourcedId: that
// is a public key.
type guardian struct {
	line
	role   string
	pupils set
	orgs   set
}

// v1Guardians reads User.csv and Guardianrelationship.csv.
func (c *converter) v1Guardians() map[string]*guardian {
	out := map[string]*guardian{}
	of := func(l line) *guardian {
		email := strings.ToLower(l.get("Email"))
		if out[email] == nil {
			out[email] = &guardian{line: l, role: "guardian"}
		}
		out[email].pupils.add(l.get("SIS ID"))
		return out[email]
	}
	for _, l := range c.lines("User.csv") {
		of(l)
	}
	for _, l := range c.lines("Guardianrelationship.csv") {
		g := of(l)
		if role, _ := nearest(roles, l.get("Role")); role == "parent" || role == "relative" {
			g.role = role
		}
	}
	delete(out, "")
	return out
}

func (c *converter) addGuardians(all map[string]*guardian) {
	for _, email := range sortedKeys(all) {
		g := all[email]
		c.add("user", g.at, "sourcedId", fmt.Sprintf("gua-%x", hashID(email)), "enabledUser", "true",
			"orgSourcedIds", g.orgs.String(), "role", g.role, "username", email,
			"givenName", orElse(g.get("First Name"), email), "familyName", orElse(g.get("Last Name"),
				email), "email", email, "phone", g.get("Phone"), "agentSourcedIds", g.pupils.String())
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
			if _, uk := l.cells[foldColumn("School DfE Number")]; uk {
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
		order := map[bool]string{true: "day", false: "month"}[dayFirst]
		c.p.note("dates are written " + order +
			" first, unlike the headers say: the other way some are impossible")
	}
	return func(d string) string { return isoDate(d, dayFirst) }
}

// isoDate turns 7/1/2017 into 2017-07-01; what is not such a date is left as it is.
func isoDate(d string, dayFirst bool) string {
	var a, b, year int
	if _, err := fmt.Sscanf(d, "%d/%d/%d", &a, &b, &year); err != nil {
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
