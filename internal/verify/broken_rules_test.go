package verify_test

// Each rule by which School Data Sync judges rosters, broken once on the wire.
// What exactly a rule finds is tested where the rules are.
var brokenRules = []broken{
	{name: "rule: one course id is a number", check: "SDS-G01", cause: "data.id",
		spoil: objects(func(o map[string]any) {
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
		rows: `UPDATE "academicSessions" SET "startDate" = "endDate", "endDate" = "startDate"`},
	{name: "rule: a school year of another century", check: "SDS-S03",
		rows: `UPDATE "academicSessions" SET "schoolYear" = '1999'`},
	{name: "rule: all sessions are over", check: "SDS-S04",
		rows: `UPDATE "academicSessions" SET "startDate" = '2000-08-01', "endDate" = '2001-07-31', "schoolYear" = '2001'`},
	{name: "rule: an org has no identifier", check: "SDS-O01",
		rows: `UPDATE "orgs" SET "identifier" = ''`},
	{name: "rule: schools have no parent", check: "SDS-O02",
		rows: `UPDATE "orgs" SET "parent" = '', "children" = ''`},
	{name: "rule: a user has no username", check: "SDS-U01", cause: "data.required",
		spoil: objects(func(o map[string]any) { delete(o, "username") }, "user")},
	{name: "rule: a user has no org", check: "SDS-U02", cause: "data.required",
		spoil: objects(func(o map[string]any) { o["orgs"] = []any{} }, "user")},
	{name: "rule: everybody has one address", check: "SDS-U03",
		rows: `UPDATE "users" SET "email" = 'all@example.org'`},
	{name: "rule: contacts have no address", check: "SDS-U05",
		rows: `UPDATE "users" SET "email" = '' WHERE "role" IN ('parent', 'guardian')`},
	{name: "rule: students name no agents", check: "SDS-U06", cause: "data.agents",
		spoil: objects(func(o map[string]any) {
			if text(o, "role") == "student" {
				o["agents"] = []any{}
			}
		}, "user")},
	{name: "rule: a name in angle brackets", check: "SDS-U08",
		rows: `UPDATE "users" SET "familyName" = '<b>' || "familyName"`},
	{name: "rule: everybody is one person", check: "SDS-U09",
		rows: `UPDATE "users" SET "givenName" = 'Ada', "familyName" = 'Brown';
			UPDATE "demographics" SET "birthDate" = '2012-01-02'`},
	{name: "rule: a class has no title", check: "SDS-C01", cause: "data.required",
		spoil: objects(func(o map[string]any) { delete(o, "title") }, "class")},
	{name: "rule: a title no Team can have", check: "SDS-C02",
		rows: `UPDATE "classes" SET "title" = "title" || ': a/b?'`},
	{name: "rule: a class id with a space", check: "SDS-C03",
		rows: `UPDATE "classes" SET "sourcedId" = "sourcedId" || ' b'; UPDATE "lineItems" SET "class" = "class" || ' b';
			UPDATE "enrollments" SET "class" = "class" || ' b'; DELETE FROM "classGroups";
			UPDATE "links" SET "owner" = "owner" || ' b' WHERE "field" LIKE 'classes.%'`},
	{name: "rule: classes have no teacher", check: "SDS-C04",
		rows: `UPDATE "enrollments" SET "role" = 'administrator' WHERE "role" = 'teacher'`},
	{name: "rule: classes have one title", check: "SDS-C05",
		rows: `UPDATE "classes" SET "title" = 'Class'`},
	{name: "rule: a role that no enrollment has", check: "SDS-E01", cause: "data.values",
		rows: `UPDATE "enrollments" SET "role" = 'pupil' WHERE "role" = 'student'`},
	{name: "rule: enrolled at another school", check: "SDS-E02", cause: "data.kinds",
		rows: `UPDATE "enrollments" SET "school" = 'dst-1'`},
	{name: "rule: enrolled again and again", check: "SDS-E03",
		rows: `UPDATE "enrollments" SET "user" = 'a1'`},
	{name: "rule: enrolled in another century", check: "SDS-E04",
		rows: `UPDATE "enrollments" SET "beginDate" = '1999-01-01'`},
	{name: "rule: truths that are no texts", check: "SDS-D01", cause: "data.types",
		spoil: objects(func(o map[string]any) { o["asian"] = true }, "demographics")},
	{name: "rule: a course has no org", check: "SDS-K01", cause: "data.required",
		spoil: objects(func(o map[string]any) { delete(o, "org") }, "course")},
	{name: "rule: there are no users", check: "SDS-X01", rows: `DELETE FROM "results"; DELETE FROM "enrollments";
		DELETE FROM "demographics"; DELETE FROM "users"`},
	{name: "rule: students have no grade", check: "Q-01",
		rows: `UPDATE "users" SET "grades" = ''`},
	{name: "rule: no student is in a class", check: "Q-02",
		rows: `UPDATE "enrollments" SET "user" = 'adm-001' WHERE "role" = 'student'`},
	{name: "rule: no student has a teacher", check: "Q-03",
		rows: `UPDATE "enrollments" SET "role" = 'proctor' WHERE "role" = 'teacher'`},
	{name: "rule: no teacher is in a class", check: "Q-04",
		rows: `UPDATE "enrollments" SET "user" = 'adm-001' WHERE "role" = 'teacher'`},
	{name: "rule: classes have no period", check: "Q-05",
		rows: `UPDATE "classes" SET "periods" = ''`},
	{name: "rule: classes have no student", check: "Q-06",
		rows: `UPDATE "enrollments" SET "role" = 'proctor' WHERE "role" = 'student'`},
	{name: "rule: classes have nobody to teach", check: "Q-07",
		rows: `UPDATE "enrollments" SET "role" = 'proctor' WHERE "role" = 'teacher'`},
}

// pointing lets a reference of every object lead to one.
func pointing(field, id, resource string) spoiler {
	return objects(func(o map[string]any) {
		if r, ok := o[field].(map[string]any); ok {
			r["sourcedId"] = id
		}
	}, resource)
}
