package bulk

import (
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
)

// contactRoles are School Data Sync's roles of contacts by ours.
var contactRoles = tableOf(map[string]string{
	"guardian": "guardian", "parent": "parent",
	"relative": "relative childLawyer courtAppointedGuardian doctor other",
})

// theirColumns are the columns of School Data Sync v1 that ours were made of;
// those of v2.1 are spelled as ours, but for a few.
var theirColumns = map[string]map[string]string{
	"School.csv": {"sourcedId": "SIS ID|DfE Number", "name": "Name",
		"identifier": "School Number|State ID"},
	"Section.csv": {"sourcedId": "SIS ID|ID", "title": "Section Name",
		"schoolSourcedId": "School SIS ID|School DfE Number",
		"orgSourcedId":    "School SIS ID|School DfE Number", "courseSourcedId": "Course SIS ID",
		"termSourcedIds": "Term SIS ID", "startDate": "Term StartDate", "endDate": "Term EndDate",
		"schoolYear": "Term EndDate"},
	"Student.csv": {"sourcedId": "SIS ID|ID",
		"orgSourcedIds": "School SIS ID|School DfE Number", "username": "Username",
		"givenName": "First Name", "familyName": "Last Name", "email": "Secondary Email",
		"birthDate": "Birthdate"},
	"Teacher.csv": {"sourcedId": "SIS ID|ID",
		"orgSourcedIds": "School SIS ID|School DfE Number", "username": "Username",
		"givenName": "First Name", "familyName": "Last Name", "email": "Secondary Email"},
	"StudentEnrollment.csv": {"sourcedId": "SIS ID|ID", "classSourcedId": "Section SIS ID|Section ID",
		"schoolSourcedId": "Section SIS ID|Section ID", "userSourcedId": "SIS ID|ID"},
	"TeacherRoster.csv": {"sourcedId": "SIS ID|ID", "classSourcedId": "Section SIS ID|Section ID",
		"schoolSourcedId": "Section SIS ID|Section ID", "userSourcedId": "SIS ID|ID"},
	"User.csv": {"sourcedId": "Email", "agentSourcedIds": "SIS ID",
		"orgSourcedIds": "SIS ID"},
	"Guardianrelationship.csv": {"sourcedId": "Email", "agentSourcedIds": "SIS ID",
		"orgSourcedIds": "SIS ID"},
	"classes.csv": {"schoolSourcedId": "orgSourcedId", "termSourcedIds": "sessionSourcedIds"},
	"courses.csv": {"courseCode": "code", "subjectCodes": "subject", "grades": "grade"},
	"users.csv": {"orgSourcedIds": "orgSourcedId of roles.csv", "role": "role of roles.csv",
		"grades": "grade of roles.csv", "agentSourcedIds": "sourcedId"},
	"enrollments.csv": {"sourcedId": "userSourcedId", "schoolSourcedId": "classSourcedId"},
	"demographics.csv": {"sourcedId": "userSourcedId", "cityOfBirth": "birthCity",
		"stateOfBirthAbbreviation": "birthState", "countryOfBirthCode": "birthCountry"},
}

// Column is a column as the file that a person has calls it.
func (p *Package) Column(file, column string) string {
	if p.sds == nil || column == "" {
		return column
	}
	for ours, f := range p.sds.found {
		if f.name != file {
			continue
		}
		names := strings.Split(theirColumns[ours][column], "|")
		for _, n := range names {
			if actual := p.sds.head[ours][foldColumn(n)]; actual != "" {
				return actual
			}
		}
		if names[0] != "" {
			return names[0]
		}
	}
	return column
}

// sources says where School Data Sync has the records of ours, and what it calls
// them.
var sources = map[string]map[string][2]string{
	"v1": {"org": {"School.csv", "school"}, "class": {"Section.csv", "section"},
		"course":          {"Section.csv", "course"},
		"academicSession": {"Section.csv", "term"}, "user": {"Student.csv or Teacher.csv", "person"}},
	"v2.1": {"academicSession": {"academicSessions.csv", "session"}},
}

// File is the file that records of a resource are looked for in, and what School Data Sync
// calls one; "" where the package is none of its.
func (p *Package) File(r *oneroster.Resource) (name, called string) {
	name = r.Plural + ".csv"
	if f := p.files[r]; f != nil && f.made == nil {
		name = f.name
	}
	if p.sds == nil {
		return name, ""
	}
	if s, is := sources[p.sds.version][r.Name]; is {
		return s[0], s[1]
	}
	return name, r.Name
}

// Blame tells what is wrong where a required field is empty that another of School Data
// Sync's files fills.
func (p *Package) Blame(row oneroster.Row, field string) (other, text string, follows bool) {
	switch {
	case p.sds == nil:
	case row.Resource.Name == "enrollment" && field == "school" && row.Get("class") != "":
		return "class", "", false // its school is the enrollment's
	case p.sds.version == "v2.1" && row.File == "users.csv" && (field == "role" || field == "orgs"):
		follows = p.sds.found["roles.csv"] != nil && len(p.sds.read["roles.csv"]) == 0
		return "sourcedId", fmt.Sprintf("%q has no row in roles.csv that says its role and org: add one",
			row.ID()), follows
	}
	return field, "", false
}

// losses are the files of School Data Sync that records, or values of them, come
// from: without rows they would retire or take away what a filter selects.
var losses = map[string][]struct{ files, resource, filter, what string }{
	"v1": {
		{"School.csv", "org", "", "school"}, {"Section.csv", "class", "", "class"},
		{"Student.csv", "user", "role='student'", "student"}, {"Teacher.csv", "user", "role='teacher'",
			"teacher"},
		{"StudentEnrollment.csv", "enrollment", "role='student'", "student enrollment"},
		{"TeacherRoster.csv", "enrollment", "role='teacher'", "teacher enrollment"},
		{"User.csv Guardianrelationship.csv", "user", "role='guardian' OR role='parent' OR role='relative'",
			"contact"},
	},
	"v2.1": {
		{"orgs.csv", "org", "", "org"}, {"users.csv", "user", "", "user"},
		{"roles.csv", "user", "", "user"}, {"classes.csv", "class", "", "class"},
		{"enrollments.csv", "enrollment", "", "enrollment"}, {"academicSessions.csv", "academicSession", "",
			"session"},
		{"demographics.csv", "demographics", "", "demographics record"},
		{"relationships.csv", "user", "agents!=''", "contact holder"},
		{"userFlags.csv", "user", "metadata.microsoft.userFlags!=''", "flagged user"},
	},
}

// losses are the source files that have no rows, or are not there while records of their
// kind come.
func (c *converter) losses() (out []oneroster.Loss) {
	for _, loss := range losses[c.version] {
		rows, here := 0, ""
		for _, name := range strings.Fields(loss.files) {
			rows += len(c.read[name])
			if f := c.found[name]; f != nil && here == "" {
				here = f.name
			}
		}
		comes := c.out[loss.resource] != nil
		if rows > 0 || here == "" && (!comes || loss.files == "roles.csv") { // the early files have none
			continue
		}
		x := oneroster.Loss{Of: oneroster.ByName(loss.resource), Filter: loss.filter, What: loss.what,
			File: here}
		if c.yearAdded && loss.resource == "academicSession" {
			// Earlier packages brought these no more than this one does.
			x.But = "sourcedId~'" + madeYear + "'"
		}
		if x.Missing = here == ""; x.Missing {
			x.File = strings.Join(strings.Fields(loss.files), " and ")
		}
		out = append(out, x)
	}
	return out
}
