package quality

import "slices"

const (
	everyone = "Each object must be understood on its own before it can be linked"
	dropped  = "School Data Sync drops the record, and every record that refers to it"
	value    = "School Data Sync drops the value and keeps the record"
	look     = "nothing is dropped; it is usually a sign of data that is not ready"
)

// rules is the table; docs/sync-sds.md is made from it.
var rules = []Rule{
	{"SDS-G01", Error, all, "sourcedId is a text that no other object of the collection has",
		everyone + "; ids are compared letter by letter; " + dropped,
		"give every object one id of its own, as a JSON string, and keep it for good"},
	{"SDS-G02", Error, all, "status is active or tobedeleted", "OneRoster 1.1 knows these two; " + dropped,
		"serve active, or tobedeleted for what is gone"},
	{"SDS-G03", Error, all, "dateLastModified is written YYYY-MM-DDTHH:MM:SS.mmmZ",
		"the tests that Microsoft publishes take no other form; that School Data Sync drops another form " +
			"of ISO 8601 is told nowhere, and it is advice; where there is no time at all, " + dropped,
		"write UTC, three digits of a second, and Z"},
	{"SDS-G04", Advice, all, "dateLastModified tells when an object changed",
		"a stamp in the future hides changes from the delta, and one stamp for most rows is that of " +
			"an import; " + look, "stamp each object when what is served of it changes"},
	{"SDS-G05", Warning, all, "no member is null", "schemas of readers have no null; " + value,
		"leave out what is empty"},
	{"SDS-G06", Error, all, "a reference names an active object that is served too",
		"cross references are checked after all is read; a required reference that leads nowhere drops " +
			"the record, an optional one the value",
		"serve the object that is referred to, or take the reference out"},
	{"SDS-S01", Error, []string{"academicSession"},
		"a session has title, type, schoolYear (a text of four digits), startDate and endDate",
		"the tests that Microsoft publishes check each; " + dropped,
		"fill in what is missing; dates are YYYY-MM-DD"},
	{"SDS-S02", Error, []string{"academicSession"},
		"a session starts before it ends, lies within its parent, and belongs to one school year",
		"sessions form a tree below a school year; " + dropped +
			"; a session without school year above it only costs a warning",
		"correct the dates, or the parent"},
	{"SDS-S03", Error, []string{"academicSession"}, "schoolYear is the year in which the school year ends",
		"School Data Sync keeps data by academic year: it starts no earlier than the year before and ends " +
			"within that year; " + dropped, "2026-08-01 to 2027-07-31 is the school year 2027"},
	{"SDS-S04", Warning, []string{"academicSession"}, "some session covers today",
		"without a current session no class is in session", "serve the sessions of the current school year"},
	{"SDS-O01", Error, []string{"org"}, "an organization has name, type and identifier",
		"the tests that Microsoft publishes check each; the types are the list of values of School " +
			"Data Sync; " + dropped, "fill in what is missing, and use a type of the list"},
	{"SDS-O02", Warning, []string{"org"},
		"the organizations form one tree: one root, every school below it, children and parents agree",
		"School Data Sync draws its tree of organizations from it; " + value,
		"give every school a parent, and derive children from parents"},
	{"SDS-U01", Error, []string{"user"}, "a user has username, givenName, familyName and identifier",
		"the tests that Microsoft publishes check them; " + dropped, "fill in what is missing"},
	{"SDS-U02", Error, []string{"user"}, "a user belongs to at least one organization",
		"orgs must hold references with sourcedId and type; " + dropped,
		"refer to the school, with type org"},
	{"SDS-U03", Error, []string{"user"},
		"what a person is matched by is there, is an address where it should be one, and nobody else of " +
			"the group has it", "staff and students are looked for in the directory by e-mail or username, " +
			"apart from each other; of two with the same, School Data Sync cannot tell which is meant and " +
			"takes neither; a missing or malformed one is a warning: the person will not be matched",
		"give every person the address of the account"},
	{"SDS-U04", Error, []string{"user"}, "a username has its domain when accounts are to be made",
		"an account is named by user and domain; " + dropped,
		"serve name@domain as username, or let School Data Sync only match"},
	{"SDS-U05", Error, []string{"user"}, "a contact has an e-mail address",
		"contacts are found by nothing else; " + dropped,
		"serve the address, or leave the contact out; who is both staff and contact is two users"},
	{"SDS-U06", Error, []string{"user"}, "a pupil and a contact name each other in agents",
		"the link is followed from both sides; " + dropped,
		"derive the agents of each from those of the other"},
	{"SDS-U07", Warning, []string{"user"},
		"role, grades, phone, sms and user flags are of the lists that School Data Sync knows",
		"lists of values, CEDS grades, phone numbers as E.164 has them; " + value,
		"map to a value of the list; write phones as +12065550100"},
	{"SDS-U08", Error, []string{"user"}, "a name can be shown",
		"control characters, angle brackets and broken letters make a display name that the " +
			"directory refuses; " + dropped, "take them out; broken letters come from a wrong encoding"},
	{"SDS-U09", Warning, []string{"user"}, "no two users are the same person",
		"the same name and birth date, or the same address, under two ids splits a person in two",
		"serve a person once, with all schools in orgs"},
	{"SDS-C01", Error, []string{"class"}, "a class has a title, a school and at least one term",
		"the tests that Microsoft publishes check each; " + dropped,
		"fill in what is missing; references have sourcedId and type"},
	{"SDS-C02", Warning, []string{"class"},
		`a title can be the name of a Team: at most 256 letters, no line breaks, none of \ : * ? " < > |`,
		"the group is named by it; " + value, "take the characters out"},
	{"SDS-C03", Warning, []string{"class"}, "the sourcedId of a class is made of A-Z, a-z, 0-9, - and _",
		"the mail name of the group is built from it",
		"use such ids from the start: to change one later makes a new class"},
	{"SDS-C04", Warning, []string{"class"},
		"a class has a teacher, a pupil, at most one primary teacher, and a course that exists",
		"a class without owner cannot be used", "enroll a teacher; serve the course"},
	{"SDS-C05", Warning, []string{"class"}, "no two classes of a school and term have the same title",
		"two groups of one name cannot be told apart", "put section, period or teacher into the title"},
	{"SDS-E01", Error, []string{"enrollment"},
		"an enrollment has a role, and references to school, class and user of the right types",
		"the tests that Microsoft publishes check them: type is org, class, user; " + dropped,
		"fill in what is missing, or correct the type"},
	{"SDS-E02", Error, []string{"enrollment"},
		"user, class and school of an enrollment are served, and the school is that of the class",
		"cross references are checked after all is read; " + dropped,
		"serve what is referred to, or mark the enrollment tobedeleted"},
	{"SDS-E03", Warning, []string{"enrollment"}, "a user is enrolled in a class once for each role",
		"the second adds nothing and may end the first",
		"serve the current one, and mark the others tobedeleted"},
	{"SDS-E04", Warning, []string{"enrollment"}, "beginDate and endDate lie within the terms of the class",
		"outside of them the membership never is in session; dates that are not given are advice only",
		"correct the dates, or the terms of the class"},
	{"SDS-D01", Warning, []string{"demographics"},
		`demographics belong to a user; truths are the texts "true" and "false", birthDate is a date`,
		"demographics carry the sourcedId of the user; " + value, "write what OneRoster 1.1 writes"},
	{"SDS-K01", Error, []string{"course"}, "a course has a title and an organization",
		"the tests that Microsoft publishes check both; " + dropped, "fill in what is missing"},
	{"SDS-X01", Catastrophic, all, "no collection is suddenly empty, or much smaller than before",
		"School Data Sync checks that the collections are not empty; what is not read is marked as no " +
			"longer in session, and a mistake of the provider would unenroll a district; the run stops",
		"look whether the export was whole; if it is meant, say so"},
	{"Q-01", Advice, []string{"user"}, "every student has a grade", look, "serve grades"},
	{"Q-02", Advice, []string{"user"}, "every student is in a class", look,
		"serve the enrollments, or mark who has left tobedeleted"},
	{"Q-03", Advice, []string{"user"}, "every student in a class has a teacher", look,
		"serve the enrollments of the teachers"},
	{"Q-04", Advice, []string{"user"}, "every teacher is in a class", look,
		"serve the enrollments, or another role"},
	{"Q-05", Advice, []string{"class"}, "every class has a period", look, "serve periods"},
	{"Q-06", Advice, []string{"class"}, "every class has a student", look,
		"mark classes that are not held tobedeleted"},
	{"Q-07", Advice, []string{"class"}, "every class has a teacher", look, "enroll the teacher"},
	{"Q-08", Advice, []string{"course"}, "every course has a class", look,
		"nothing, if the course is only not held this term"},
}

var byID = map[string]*Rule{}

func init() {
	for i := range rules {
		byID[rules[i].ID] = &rules[i]
	}
}

// Rules lists every rule.
func Rules() []Rule { return slices.Clone(rules) }

// ByID finds a rule; nil when there is none.
func ByID(id string) *Rule { return byID[id] }
