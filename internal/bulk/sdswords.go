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

// theirs is a column as the file that a person has calls it.
func (p *Package) theirs(file, column string) string {
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

// fileOf is the file that records of a resource are looked for in.
func (p *Package) fileOf(r *oneroster.Resource) string {
	if p.sds != nil {
		if s := sources[p.sds.version][r.Name]; s[0] != "" {
			return s[0]
		}
	}
	if f := p.files[r]; f != nil && f.made == nil {
		return f.name
	}
	return r.Plural + ".csv"
}

// called is what a record of a resource is called in the package.
func (p *Package) called(r *oneroster.Resource) string {
	if p.sds != nil {
		if s := sources[p.sds.version][r.Name]; s[1] != "" {
			return s[1]
		}
	}
	return r.Name
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

// missing judges the source files that have no rows, or are not there while what
// would come from them is stored and its kind comes.
func (c *converter) missing(ch *checker) error {
	for _, x := range c.problems {
		ch.tell(x)
	}
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
		n := 0
		if ch.stored.Count != nil {
			var err error
			if n, err = ch.stored.Count(oneroster.ByName(loss.resource), loss.filter); err != nil {
				return err
			}
		}
		if c.yearAdded && loss.resource == "academicSession" && n > 0 {
			made, err := ch.stored.Count(oneroster.ByName(loss.resource), "sourcedId~'"+madeYear+"'")
			if err != nil {
				return err
			}
			n -= made // earlier packages brought these no more than this one does
		}
		name := strings.Join(strings.Fields(loss.files), " and ")
		switch {
		case n == 0 && here != "":
			ch.p.note(here + " has no rows and was passed over")
		case n == 0:
		case here != "":
			text := fmt.Sprintf("there is not one row in this file, which would retire %s: export it again",
				plural(n, loss.what))
			ch.tell(Problem{here, 1, "", "", text, false})
			ch.empties[oneroster.ByName(loss.resource)] = loss.filter == ""
			ch.p.stuck = fmt.Errorf("%s: %s", here, text)
		default:
			text := fmt.Sprintf("is not in the package, which would retire %s: add the file",
				plural(n, loss.what))
			ch.tell(Problem{name, 1, "", "", text, false})
			ch.empties[oneroster.ByName(loss.resource)] = loss.filter == ""
			ch.p.stuck = fmt.Errorf("%s %s", name, text)
		}
	}
	return nil
}
