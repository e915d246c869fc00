package verify_test

import (
	"net/http"
	"strings"
)

// Each rule by which School Data Sync judges rosters, broken once on the wire.
// What exactly a rule finds is tested where the rules are.
var brokenRules = []broken{
	{name: "rule: one course id is a number", check: "SDS-G01", cause: "data.id", spoil: objects(func(o map[string]any) {
		if o["sourcedId"] == "crs-high-09-1" {
			o["sourcedId"] = 17
		}
	}, "course")},
	{name: "rule: a class has no status", check: "SDS-G02", cause: "data.status",
		spoil: objects(func(o map[string]any) { delete(o, "status") }, "class")},
	{name: "rule: stamps without fraction", check: "SDS-G03", cause: "data.modified",
		spoil: stamps(func(s string) string { return s[:19] + "Z" })},
	{name: "rule: a member is null", check: "SDS-G05", cause: "data.empty",
		spoil: objects(func(o map[string]any) { fillUp(o, "middleName", nil) }, "user")},
	{name: "rule: a class of a course that is not there", check: "SDS-G06", cause: "data.resolve",
		spoil: pointing("school", "no-such-school", "class")},
	{name: "rule: a session has no title", check: "SDS-S01", cause: "data.required",
		spoil: objects(func(o map[string]any) { delete(o, "title") }, "academicSession")},
	{name: "rule: a session ends before it starts", check: "SDS-S02",
		spoil: objects(func(o map[string]any) {
			o["startDate"], o["endDate"] = o["endDate"], o["startDate"]
		}, "academicSession")},
	{name: "rule: a school year of another century", check: "SDS-S03",
		spoil: objects(func(o map[string]any) { o["schoolYear"] = "1999" }, "academicSession")},
	{name: "rule: all sessions are over", check: "SDS-S04", spoil: objects(func(o map[string]any) {
		o["startDate"], o["endDate"], o["schoolYear"] = "2000-08-01", "2001-07-31", "2001"
	}, "academicSession")},
	{name: "rule: an org has no identifier", check: "SDS-O01",
		spoil: objects(func(o map[string]any) { delete(o, "identifier") }, "org")},
	{name: "rule: schools have no parent", check: "SDS-O02",
		spoil: objects(func(o map[string]any) { delete(o, "parent") }, "org")},
	{name: "rule: a user has no username", check: "SDS-U01", cause: "data.required",
		spoil: objects(func(o map[string]any) { delete(o, "username") }, "user")},
	{name: "rule: a user has no org", check: "SDS-U02", cause: "data.required",
		spoil: objects(func(o map[string]any) { o["orgs"] = []any{} }, "user")},
	{name: "rule: everybody has one address", check: "SDS-U03",
		spoil: objects(func(o map[string]any) { o["email"] = "all@example.org" }, "user")},
	{name: "rule: contacts have no address", check: "SDS-U05", spoil: objects(func(o map[string]any) {
		if r := text(o, "role"); r == "parent" || r == "guardian" {
			delete(o, "email")
		}
	}, "user")},
	{name: "rule: students name no agents", check: "SDS-U06", cause: "data.agents", spoil: objects(func(o map[string]any) {
		if text(o, "role") == "student" {
			o["agents"] = []any{}
		}
	}, "user")},
	{name: "rule: a name in angle brackets", check: "SDS-U08",
		spoil: objects(func(o map[string]any) { o["familyName"] = "<b>" + text(o, "familyName") }, "user")},
	{name: "rule: everybody is one person", check: "SDS-U09", spoil: objects(func(o map[string]any) {
		if o["familyName"] != nil {
			o["givenName"], o["familyName"] = "Ada", "Brown"
		} else {
			o["birthDate"] = "2012-01-02"
		}
	}, "user", "demographics")},
	{name: "rule: a class has no title", check: "SDS-C01", cause: "data.required",
		spoil: objects(func(o map[string]any) { delete(o, "title") }, "class")},
	{name: "rule: a title no Team can have", check: "SDS-C02",
		spoil: objects(func(o map[string]any) { o["title"] = text(o, "title") + ": a/b?" }, "class")},
	{name: "rule: a class id with a space", check: "SDS-C03",
		spoil: objects(func(o map[string]any) { o["sourcedId"] = text(o, "sourcedId") + " b" }, "class")},
	{name: "rule: classes have no teacher", check: "SDS-C04", spoil: enrolled("teacher", "administrator")},
	{name: "rule: classes have one title", check: "SDS-C05",
		spoil: objects(func(o map[string]any) { o["title"] = "Class" }, "class")},
	{name: "rule: a role that no enrollment has", check: "SDS-E01", spoil: enrolled("student", "pupil")},
	{name: "rule: enrolled at another school", check: "SDS-E02", spoil: pointing("school", "dst-1",
		"enrollment")},
	{name: "rule: enrolled again and again", check: "SDS-E03", spoil: pointing("user", "a1", "enrollment")},
	{name: "rule: enrolled in another century", check: "SDS-E04",
		spoil: objects(func(o map[string]any) { o["beginDate"] = "1999-01-01" }, "enrollment")},
	{name: "rule: truths that are no texts", check: "SDS-D01", cause: "data.types",
		spoil: objects(func(o map[string]any) { o["asian"] = true }, "demographics")},
	{name: "rule: a course has no org", check: "SDS-K01", cause: "data.required",
		spoil: objects(func(o map[string]any) { delete(o, "org") }, "course")},
	{name: "rule: there are no users", check: "SDS-X01",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if strings.HasPrefix(below(r), "/users") && isList(r) {
				a.body = []byte(`{"users":[]}`)
				a.setTotal(0)
			}
		})},
	{name: "rule: students have no grade", check: "Q-01",
		spoil: objects(func(o map[string]any) { o["grades"] = []any{} }, "user")},
	{name: "rule: no student is in a class", check: "Q-02", spoil: filled("student")},
	{name: "rule: no student has a teacher", check: "Q-03", spoil: enrolled("teacher", "proctor")},
	{name: "rule: no teacher is in a class", check: "Q-04", spoil: filled("teacher")},
	{name: "rule: classes have no period", check: "Q-05",
		spoil: objects(func(o map[string]any) { o["periods"] = []any{} }, "class")},
	{name: "rule: classes have no student", check: "Q-06", spoil: enrolled("student", "proctor")},
	{name: "rule: classes have nobody to teach", check: "Q-07", spoil: enrolled("teacher", "proctor")},
}

// enrolled gives an enrollment of one role another.
func enrolled(role, other string) spoiler {
	return objects(func(o map[string]any) {
		if text(o, "role") == role {
			o["role"] = other
		}
	}, "enrollment")
}

// filled gives all enrollments of one role to somebody of another.
func filled(role string) spoiler {
	return objects(func(o map[string]any) {
		if text(o, "role") == role {
			o["user"].(map[string]any)["sourcedId"] = "adm-001"
		}
	}, "enrollment")
}

// pointing lets a reference of every object lead to one.
func pointing(field, id, resource string) spoiler {
	return objects(func(o map[string]any) {
		if r, ok := o[field].(map[string]any); ok {
			r["sourcedId"] = id
		}
	}, resource)
}
