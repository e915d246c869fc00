package bulk

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// v21 reads Microsoft School Data Sync v2.1.
func (c *converter) v21() {
	for _, l := range c.lines("orgs.csv") {
		c.add("org", l.at, "sourcedId", l.get("sourcedId"), "name", l.get("name"), "type", l.get("type"),
			"parentSourcedId", l.get("parentSourcedId"))
	}
	year, doubt := c.v21Sessions()
	for _, l := range c.lines("courses.csv") {
		c.add("course", l.at, "sourcedId", l.get("sourcedId"), "orgSourcedId", l.get("orgSourcedId"),
			"title", l.get("title"), "courseCode", l.get("code"),
			"schoolYearSourcedId", l.get("schoolYearSourcedId"), "subjectCodes", l.get("subject"), "grades",
			l.get("grade"))
	}
	schools := map[string]string{}
	for _, l := range c.lines("classes.csv") {
		id, course, terms := l.get("sourcedId"), l.get("courseSourcedId"), l.get("sessionSourcedIds")
		if course == "" { // OneRoster wants one
			course = id + "_course"
			c.add("course", l.at, "sourcedId", course, "orgSourcedId", l.get("orgSourcedId"), "title",
				l.get("title"))
		}
		if terms == "" && doubt != "" {
			c.p.note(doubt)
		}
		if terms == "" {
			terms = year
		}
		if terms == "" {
			terms = c.schoolYear(l.at)
		}
		schools[id] = l.get("orgSourcedId")
		c.add("class", l.at, "sourcedId", id, "title", l.get("title"), "courseSourcedId", course,
			"classType", "scheduled", "schoolSourcedId", l.get("orgSourcedId"), "termSourcedIds", terms)
	}
	c.v21Users()
	c.v21Demographics()
	for _, l := range c.lines("enrollments.csv") {
		role, _ := nearest(classRoles, l.get("role"))
		class, user := l.get("classSourcedId"), l.get("userSourcedId")
		c.add("enrollment", l.at, "sourcedId", enrollmentID(class, user, role), "classSourcedId", class,
			"schoolSourcedId", schools[class], "userSourcedId", user,
			"role", l.get("role"))
	}
}

// v21Sessions returns the session of classes that name none: the school year that ends
// last, of several that end on one day the first in the file. doubt says so then.
func (c *converter) v21Sessions() (year, doubt string) {
	latest := ""
	for _, l := range c.lines("academicSessions.csv") {
		c.add("academicSession", l.at, "sourcedId", l.get("sourcedId"), "title", l.get("title"), "type",
			l.get("type"), "startDate", l.get("startDate"),
			"endDate", l.get("endDate"), "schoolYear", l.get("schoolYear"))
		id, end := l.get("sourcedId"), l.get("endDate")
		end = end[:min(len(end), len(time.DateOnly))] // without a time of day
		switch {
		case end == "" || !strings.EqualFold(l.get("type"), "schoolYear"):
		case end > latest:
			year, latest, doubt = id, end, ""
		case end == latest && id != year && doubt == "":
			doubt = fmt.Sprintf("%s: the school years %q and %q both end on %s, and none ends later: "+
				"classes that name no session are in %q, which comes first; where another is meant, "+
				"write it into sessionSourcedIds of classes.csv", l.at.file, year, id, end, year)
		}
	}
	return year, doubt
}

func (c *converter) v21Users() {
	all, known := people{}, c.v21Known()
	for _, l := range c.lines("roles.csv") {
		if !known(l, "userSourcedId") {
			continue
		}
		p := all.of(l.get("userSourcedId"))
		p.take(l.get("role"), strings.EqualFold(l.get("isPrimary"), "true"))
		p.orgs.add(l.get("orgSourcedId"))
		p.grades.add(grade(l.get("grade")))
	}
	c.v21Flags(all, known)
	c.v21Contacts(all, known)
	for _, l := range c.lines("users.csv") {
		p := all.of(l.get("sourcedId"))
		if role := l.get("role"); role != "" { // the early four files
			p.take(role, true)
			p.grades.add(grade(l.get("grade")))
			for _, org := range strings.Split(l.get("orgSourcedIds"), ",") {
				p.orgs.add(strings.TrimSpace(org))
			}
		}
		username := l.get("username")
		email := l.get("email")
		if email == "" && strings.Contains(username, "@") {
			email = username
		}
		c.add("user", l.at, "sourcedId", l.get("sourcedId"), "enabledUser", "true", "orgSourcedIds",
			p.orgs.String(), "role", p.role, "username", username,
			"givenName", l.get("givenName"), "familyName", l.get("familyName"), "email",
			strings.ToLower(email), "phone", l.get("phone"), "sms", l.get("sms"),
			"agentSourcedIds", p.agents.String(), "grades", p.grades.String(),
			"metadata.microsoft.userFlags", p.flags.String(),
			"metadata.microsoft.activeDirectoryMatchId", l.get("activeDirectoryMatchId"))
	}
}

// v21Known tells whether the user is there that a row speaks of, and what is wrong where
// not.
func (c *converter) v21Known() func(l line, column string) bool {
	users := map[string]bool{}
	for _, l := range c.lines("users.csv") {
		users[l.get("sourcedId")] = true
	}
	return func(l line, column string) bool {
		id := l.get(column)
		switch {
		case id == "":
			c.wrong(l.at, column, "", "is required and empty: fill it in", false)
		case !users[id]:
			c.wrong(l.at, column, id, fmt.Sprintf("there is no user %q in users.csv: add it, or take "+
				"this row out", id), false)
		}
		return users[id] && id != ""
	}
}

func (c *converter) v21Flags(all people, known func(l line, column string) bool) {
	for _, l := range c.lines("userFlags.csv") {
		if !known(l, "userSourcedId") {
			continue
		}
		flag := l.get("flag")
		at := slices.IndexFunc(flags, func(f string) bool { return strings.EqualFold(f, flag) })
		if at < 0 {
			c.wrong(l.at, "flag", flag, fmt.Sprintf("%q is not one of %s", flag, strings.Join(flags, ", ")),
				true)
			continue
		}
		all.of(l.get("userSourcedId")).flags.add(flags[at])
	}
}

func (c *converter) v21Contacts(all people, known func(l line, column string) bool) {
	for _, l := range c.lines("relationships.csv") {
		if !known(l, "userSourcedId") || !known(l, "relationshipUserSourcedId") {
			continue
		}
		if role := l.get("relationshipRole"); !relationRole(role) {
			c.wrong(l.at, "relationshipRole", role,
				fmt.Sprintf("%q is no role of a contact: write guardian, parent or relative", role), true)
			continue
		}
		pupil, contact := all.of(l.get("userSourcedId")), all.of(l.get("relationshipUserSourcedId"))
		pupil.agents.add(l.get("relationshipUserSourcedId"))
		role, _ := nearest(contactRoles, l.get("relationshipRole"))
		contact.take(role, false)
		for _, org := range pupil.orgs { // a contact has no school of its own
			contact.orgs.add(org)
		}
	}
}

// relationRole tells the roles of contacts (School Data Sync also has doctors and
// such, who become relatives).
func relationRole(role string) bool {
	ours, _ := nearest(contactRoles, role)
	return rank[ours] >= rank["guardian"]
}

// races are the codes of ethnicityCodes and raceCodes: the columns of OneRoster.
var races = strings.Fields("americanIndianOrAlaskaNative asian blackOrAfricanAmerican " +
	"nativeHawaiianOrOtherPacificIslander white " +
	"demographicRaceTwoOrMoreRaces hispanicOrLatinoEthnicity")

func (c *converter) v21Demographics() {
	for _, l := range c.lines("demographics.csv") {
		pairs := []string{"sourcedId", l.get("userSourcedId"), "birthDate", l.get("birthDate"), "sex",
			l.get("sex"), "cityOfBirth", l.get("birthCity"),
			"stateOfBirthAbbreviation", l.get("birthState"), "countryOfBirthCode", l.get("birthCountry")}
		for _, column := range []string{"ethnicityCodes", "raceCodes"} {
			for _, code := range strings.Split(l.get(column), ",") {
				if code = strings.TrimSpace(code); code == "" {
					continue
				}
				at := slices.IndexFunc(races, func(r string) bool { return strings.EqualFold(r, code) })
				if at < 0 {
					c.wrong(l.at, column, code, fmt.Sprintf("%q is not one of %s", code,
						strings.Join(races, ", ")), true)
					continue
				}
				pairs = append(pairs, races[at], "true")
			}
		}
		c.add("demographics", l.at, pairs...)
	}
}
