package explain_test

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/explain"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

var further = []story{
	{"moved to another school", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).set("ana", "orgs", "s2").without("ana-biology", "ana-art",
			"ana-maths")
		d.rows = append(d.rows, storetest.Rec("class", "sourcedId", "chem", "title", "Chemistry",
			"classType", "scheduled", "course", "k", "school", "s2", "terms", "t"),
			storetest.Rec("enrollment", "sourcedId", "ana-chem", "user", "ana", "class", "chem", "school",
				"s2", "role", "student"))
		d.publish().on(at(1, 1)).delta("sds", at(0, 1))
	}, sds(), "", "moved",
		`the enrollments in Art, Biology and Maths were retired by publication 2 (night.zip: ` +
			`enrollments.csv lacks it), and in the same change orgs went from "s1" to "s2"; SDS read ` +
			`that on`},
	{"moved to another school, classic", func(d *drama) {
		d.on(at(0, 1)).read("sds", "", "schools/s1/students", "schools/s1/classes",
			"schools/s1/enrollments").on(at(1, 0)).
			set("ana", "orgs", "s2").without("ana-biology", "ana-art", "ana-maths").publish().
			on(at(1, 1)).read("sds", "", "schools/s1/students", "schools/s1/classes",
			"schools/s1/enrollments")
	}, sds(), "", "moved",
		"as active in 3 classes; on 2026-11-24 02:00 the enrollments in Art, Biology and Maths were retired"},
	{"role of enrollment changed to teacher", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).set("ana-art", "role", "teacher").publish().on(at(1,
			1)).delta("sds", at(0, 1))
	}, sds(), "", "role changed",
		"on 2026-11-24 02:00 the role in Art was changed from student to teacher by publication 2 " +
			"(night.zip); SDS read that on 2026-11-24 03:00."},
	{"enrollment re-used for another pupil", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ben-art").set("ana-art", "user",
			"ben").publish().on(at(1, 1)).delta("sds", at(0, 1))
	}, sds(), "", "enrollment changed",
		`enrollment in Art was changed by publication 2 (night.zip) (user "ana" → "ben"); SDS read that`},
	{"enrollment re-used for another class", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0))
		d.rows = append(d.rows, storetest.Rec("class", "sourcedId", "chem", "title", "Chemistry",
			"classType", "scheduled", "course", "k", "school", "s1", "terms", "t"))
		d.set("ana-art", "class", "chem").publish().on(at(1, 1)).delta("sds", at(0, 1))
	}, sds(), "", "enrollment changed",
		`as active in 3 classes; on 2026-11-24 02:00 the enrollment in Art was changed by publication ` +
			`2 (night.zip) (class "art" → "chem"); SDS read that`},
	{"enrollment re-used for another class, the class asked", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-maths").set("ana-art", "class",
			"maths").publish().on(at(1, 1)).delta("sds", at(0, 1))
	}, explain.Asked{Client: "sds", Class: "art"}, "", "enrollment changed", `(class "art" → "maths")`},
	{"id re-used for another person", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).set("ana", "givenName", "Zed").set("ana", "familyName",
			"Zorn").publish()
	}, sds(), "", "not read yet",
		`SDS read Ana Ruiz (users/ana) on 2026-11-23 03:00 as active; on 2026-11-24 02:00 it was ` +
			`changed by publication 2 (night.zip) (givenName "Ana" → "Zed"`},
	{"retired and re-added the same day", func(d *drama) {
		kept := slices.Clone(d.rows)
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana", "ana-biology", "ana-art",
			"ana-maths").publish().on(at(1, 1))
		d.rows = kept
		d.publish().on(at(1, 2)).delta("sds", at(0, 1))
	}, sds(), "", "read",
		"SDS read Ana Ruiz (users/ana) on 2026-11-24 04:00 as active, which is what is served"},
	{"class moved to another term that is over", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0))
		d.rows = append(d.rows, storetest.Rec("academicSession", "sourcedId", "t0", "title", "Summer",
			"type", "term", "startDate", "2026-06-01",
			"endDate", "2026-08-01", "schoolYear", "2026", "parent", "y"))
		for _, c := range []string{"biology", "art", "maths"} {
			d.set(c, "terms", "t0")
		}
		d.publish().on(at(1, 1)).delta("sds", at(0, 1))
	}, sds(), "", "calendar", "Summer, ended on 2026-08-01; none of 3 enrollments is within its days"},
	{"one class moved to another term that is over", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0))
		d.rows = append(d.rows, storetest.Rec("academicSession", "sourcedId", "t0", "title", "Summer",
			"type", "term", "startDate", "2026-06-01",
			"endDate", "2026-08-01", "schoolYear", "2026", "parent", "y"))
		d.set("art", "terms", "t0").publish().on(at(1, 1)).delta("sds", at(0, 1))
	}, explain.Asked{Client: "sds", Class: "art"}, "", "calendar",
		"the term of the enrollment in Art (enrollments/ana-art), Summer, ended on 2026-08-01"},
	{"rolled back", func(d *drama) {
		d.on(at(0, 1)).person("new", "student", "Nia", "New")
		d.enroll("new", "art", "student")
		d.publish().on(at(0, 2)).pull("sds").on(at(1, 0)).back(1).on(at(1, 1)).delta("sds", at(0, 1))
	}, sds(), "users/new", "retired",
		"it was retired by publication 3 (rollback to 1); SDS read that on 2026-11-24 03:00."},
	{"stamped anew after restore", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0))
		if _, _, err := d.s.Restamp(store.By(d.t.Context(), "restored"), store.Moment{}, true); err != nil {
			d.t.Fatal(err)
		}
	}, sds(), "", "read", "which is what is served"},
	{"held while she waits", func(d *drama) {
		d.person("new", "student", "Nia", "New")
		d.publish().on(at(0, 1)).pull("sds").on(at(1, 0)).enroll("new", "art", "student")
		d.waits(store.StateHeld)
	}, sds(), "users/new", "held",
		"Nia New (users/new) has no enrollment, and none is known of before; publication 3 (night.zip) " +
			"has been held since 2026-11-24 02:00: what is new in it is not served."},
	{"held, and all right", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).waits(store.StateHeld)
	}, sds(), "", "held",
		"nothing that it needs is lacking here; publication 2 (night.zip) has been held since"},
	{"discarded", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).person("new", "student", "Nia", "New")
		d.waits(store.StateDiscarded)
	}, sds(), "users/new", "",
		"publication 2 (night.zip: users.csv has it on line 2) was discarded on 2026-11-24 02:00"},
	{"superseded", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).person("new", "student", "Nia", "New")
		d.waits(store.StateSuperseded).on(at(2, 0)).without("new").publish()
	}, sds(), "users/new", "",
		"publication 2 (night.zip: users.csv has it on line 2) was superseded on 2026-11-24 02:00"},
	{"row skipped", func(d *drama) {
		d.publish()
		d.said[2]["new"] = true
	}, sds(), "users/new", "",
		"was published on 2026-11-23 02:00: this row was left out as wrong: see rollbook publications " +
			"show 2"},
	{"delta deletes her enrollment", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).partly(deleted("enrollment", "ana-art")).on(at(1,
			1)).delta("sds", at(0, 1))
	}, sds(), "", "enrollment retired",
		"by publication 2 (delta.zip: enrollments.csv has it on line 2); SDS read that"},
	{"delta deletes her", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).partly(deleted("user", "ana")).on(at(1, 1)).delta("sds",
			at(0, 1))
	}, sds(), "", "retired",
		"it was retired by publication 2 (delta.zip: users.csv has it on line 2); SDS read that"},
	{"delta deletes the class", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).partly(deleted("class", "art")).on(at(1, 1)).delta("sds",
			at(0, 1))
	}, sds(), "", "enrollment retired",
		"the enrollment in Art was retired by publication 2 (delta.zip), with class Art (classes/art); " +
			"SDS read"},
	{"delta deletes the school", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).partly(deleted("org", "s1")).on(at(1, 1)).delta("sds", at(0,
			1))
	}, sds(), "", "retired", "it was retired by publication 2 (delta.zip), with org North School (orgs/s1)"},
	{"delta deletes the course", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).partly(deleted("course", "k")).on(at(1, 1)).delta("sds",
			at(0, 1))
	}, sds(), "", "enrollment retired",
		"were retired by publication 2 (delta.zip), with course Science (courses/k)"},
	{"delta deletes the term", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).partly(deleted("academicSession", "t")).on(at(1,
			1)).delta("sds", at(0, 1))
	}, sds(), "", "enrollment retired",
		"were retired by publication 2 (delta.zip), with academic session Autumn (academicSessions/t)"},
	{"a guardian", func(d *drama) {
		d.swap("ma", "user", "username", "ma", "enabledUser", "true",
			"givenName", "Mia", "familyName", "Ruiz", "role", "guardian", "identifier", "n-ma", "email",
			"ma@example.org", "orgs", "s1", "agents", "ana").publish().pull("sds")
	}, sds(), "users/ma", "read", "which is what is served"},
	{"a guardian of nobody", func(d *drama) {
		d.swap("ma", "user", "username", "ma", "enabledUser", "true",
			"givenName", "Mia", "familyName", "Ruiz", "role", "guardian", "identifier", "n-ma", "email",
			"ma@example.org", "orgs", "s1").publish().pull("sds")
	}, sds(), "users/ma", "no pupil", "Mia Ruiz (users/ma) is a guardian of nobody"},
	{"a guardian whose pupil left", func(d *drama) {
		d.swap("ma", "user", "username", "ma", "enabledUser", "true",
			"givenName", "Mia", "familyName", "Ruiz", "role", "guardian", "identifier", "n-ma", "email",
			"ma@example.org", "orgs", "s1", "agents", "ana").publish().pull("sds").on(at(1,
			0)).partly(deleted("user", "ana"))
	}, sds(), "users/ma", "no pupil", "Mia Ruiz (users/ma) is a guardian of nobody"},
	{"an administrator", func(d *drama) {
		d.person("head", "administrator", "Hedda", "Head")
		d.publish().pull("sds")
	}, sds(), "users/head", "read", "which is what is served"},
	{"a teacher lost a class", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("teach-art").publish().on(at(1, 1)).delta("sds",
			at(0, 1))
	}, sds(), "users/teach", "enrollment retired",
		"SDS read Tia Teacher (users/teach) on 2026-11-23 03:00 as active in 3 classes; on 2026-11-24 " +
			"02:00 the enrollment in Art was retired"},
	{"demographics never read", func(d *drama) {
		d.swap("ana-x", "demographics", "birthDate", "2010-01-01").pull("sds").publish()
	}, sds(), "demographics/ana-x", "scope", "SDS may not read demographics"},
	{"classic", func(d *drama) {
		d.read("sds", "", "orgs", "schools/s1/students", "schools/s1/teachers", "schools/s1/classes",
			"schools/s1/enrollments", "academicSessions", "courses")
	}, sds(), "", "read", "which is what is served"},
	{"classic, enrollment came later", func(d *drama) {
		d.without("ana-art").publish().read("sds", "", "orgs", "schools/s1/students", "schools/s1/teachers",
			"schools/s1/classes", "schools/s1/enrollments", "academicSessions", "courses")
		d.on(at(1, 0)).enroll("ana", "art", "student")
		d.publish()
	}, sds(), "", "not read yet",
		"the enrollment in Art (enrollments/ana-art) came back on 2026-11-24 02:00 by publication 3 " +
			"(night.zip), and SDS has not read that yet."},
	{"grade sync", func(d *drama) {
		d.asks("sds", "enrollments?filter=classSourcedId='art'&limit=7000").asks("sds",
			"users?filter=email='ana@example.org'")
	}, sds(), "", "filter",
		"it asks for enrollments where class='art' only, which leaves it out; the same holds for 2 of 3"},
	{"grade sync class.sourcedId", func(d *drama) {
		d.asks("sds", "enrollments?filter=class.sourcedId='art'&limit=7000").asks("sds",
			"users?filter=email='ana@example.org'")
	}, sds(), "", "filter", "it asks for enrollments where class='art' only"},
	{"google", func(d *drama) {
		d.asks("sds", "teachers?filter=email='teach@example.org'").asks("sds", "classes/art/students")
	}, sds(), "", "elsewhere", "it reads teachers only, where role is teacher; here it is student"},
	{"moodle date only", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 1)).read("sds",
			"dateLastModified>='2026-11-24'", lists...)
	}, sds(), "", "enrollment retired", "SDS read that on 2026-11-24 03:00."},
	{"moodle date only, too late", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(2, 1)).read("sds",
			"dateLastModified>='2026-11-25'", lists...)
	}, sds(), "", "enrollment retired",
		"SDS has not read that yet: it asked on 2026-11-25 03:00 for what has changed since 2026-11-25 " +
			"00:00, so it never reads that"},
	{"page 2 before 1", func(d *drama) {
		d.read("sds", "", "orgs", "academicSessions", "courses", "classes", "enrollments")
		d.asks("sds", "users?limit=2&offset=2").asks("sds", "users?limit=2&offset=0")
	}, sds(), "", "read", "which is what is served"},
	{"begins again and again", func(d *drama) {
		for range 5 {
			d.asks("sds", "users?limit=1")
		}
		d.on(at(0, 5))
	}, sds(), "", "broke off", "it is row 2 of 4, and the pull broke off at 1 of 4 rows (pull 5)"},
	{"fields lacks", func(d *drama) {
		d.read("sds", "", "orgs", "academicSessions", "courses", "classes", "enrollments").asks("sds",
			"users?fields=givenName,familyName")
	}, sds(), "", "fields",
		"as active, but it asked for givenName, familyName only, and so cannot tell who that is"},
	{"sorted by a changing field, partial", func(d *drama) {
		d.asks("sds", "users?sort=familyName&limit=2").on(at(0, 5))
	}, sds(), "", "broke off", "it is row 3 of 4, and the pull broke off at 2 of 4 rows"},
	{"case of status", func(d *drama) { d.asks("sds", "users?filter=status='Active'") }, sds(), "",
		"never read",
		"SDS read Ana Ruiz (users/ana) on 2026-11-23 02:00 as active; SDS has never read enrollments"},
	{"filter refused", func(d *drama) {
		d.asks("sds", "users?filter=foo='x'")
		d.asks("sds", "users?filter=foo='x'")
	}, sds(), "", "refused",
		"SDS was refused users in each of 2 calls, the last time about 2026-11-23 02:00: " +
			"its filter cannot be read (invalid_filter_field)"},
	{"classic refused", func(d *drama) {
		d.client("poor", []string{oneroster.GradebookRead}).asks("poor", "schools/s1/students")
	}, explain.Asked{Client: "poor"}, "", "scope", "POOR may not read users"},
	{"two clients", func(d *drama) {
		d.client("moodle", everything).on(at(0, 1)).pull("sds").pull("moodle").on(at(1,
			0)).without("ana-art").publish().on(at(1, 1)).delta("sds", at(0, 1))
	}, explain.Asked{Client: "moodle"}, "", "enrollment retired", "lacks it); MOODLE has not read that yet."},
	{"secret rotated, she came later", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).person("new", "student", "Nia", "New")
		d.enroll("new", "art", "student")
		d.publish().on(at(1, 3))
		for range 3 {
			d.token("sds", "wrong")
		}
		d.written()
	}, sds(), "users/new", "came later",
		"before that; since then it was refused in each of 3 calls, the last time about 2026-11-24 " +
			"05:00: unknown client"},
	{"secret rotated, change not read", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 3))
		for range 3 {
			d.token("sds", "wrong")
		}
		d.written()
	}, sds(), "", "enrollment retired",
		"SDS has not read that yet; since then it was refused in each of 3 calls"},
	{"delta one millisecond before", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 1)).delta("sds", at(1,
			0).Add(-time.Millisecond))
	}, sds(), "", "enrollment retired", "SDS read that on 2026-11-24 03:00."},
	{"delta at the millisecond", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 1)).delta("sds", at(1,
			0))
	}, sds(), "", "enrollment retired",
		"it asked on 2026-11-24 03:00 for what has changed since 2026-11-24 02:00, so it never reads that"},
	{"at before she came", func(d *drama) {
		d.on(at(1, 0)).person("new", "student", "Nia", "New")
		d.enroll("new", "art", "student")
		d.publish().pull("sds").on(at(3, 0))
	}, explain.Asked{Client: "sds", At: at(0, 5)}, "users/new", "",
		"Nia New (users/new) was not there yet on 2026-11-23 07:00: it came on 2026-11-24 02:00 by " +
			"publication 2 (night.zip)"},
	{"at between", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 1)).delta("sds", at(0,
			1))
	}, explain.Asked{Client: "sds", At: at(1, 0).Add(time.Minute)}, "", "enrollment retired",
		"SDS has not read that yet."},
	{"at before the journal", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish()
	}, explain.Asked{Client: "sds", At: at(-5, 0)}, "", "",
		"Ana Ruiz (users/ana) was not there yet on 2026-11-18 02:00"},
	{"journal pruned", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).set("ana", "middleName", "M").publish().on(at(2,
			0)).set("ana", "middleName", "N").publish()
		d.prune(at(2, 1))
	}, sds(), "", "unknown", "what Ana Ruiz (users/ana) was then is not known any more"},
	{"journal pruned, nothing changed", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).set("ben", "middleName", "M").publish().on(at(2,
			0)).set("cem", "middleName", "N").publish()
		d.prune(at(2, 1))
	}, sds(), "", "read", "which is what is served"},
	{"journal pruned, enrollment retired before", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(2, 0)).set("cem",
			"middleName", "N").publish()
		d.prune(at(2, 1))
	}, sds(), "", "enrollment retired",
		"as active in 2 classes; on 2026-11-24 02:00 the enrollment in Art was retired by publication " +
			"2 (night.zip: enrollments.csv lacks it); SDS read enrollments on 2026-11-23 03:00, and " +
			"what was served of it then is not known"},
	{"journal pruned, all enrollments retired before", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art", "ana-biology",
			"ana-maths").publish().on(at(2, 0)).set("cem", "middleName", "N").publish()
		d.prune(at(2, 1))
	}, sds(), "", "enrollment retired",
		"as active; on 2026-11-24 02:00 the enrollments in Art, Biology and Maths were retired"},
	{"journal pruned, unread walks", func(d *drama) {
		d.on(at(0, 1)).read("sds", "", "orgs", "academicSessions", "classes", "enrollments").asks("sds",
			"users?limit=1").on(at(1, 0)).set("ana", "middleName", "M").publish().on(at(2, 0)).set("ana",
			"middleName", "N").publish()
		d.prune(at(2, 1))
	}, sds(), "", "unknown", "what Ana Ruiz (users/ana) was then is not known any more"},
	{"many deltas", func(d *drama) {
		d.on(at(0, 1)).pull("sds")
		d.deltas("sds", at(0, 2), 500)
	}, sds(), "", "read",
		"SDS read Ana Ruiz (users/ana) on 2026-11-23 03:00 as active, which is what is served"},
	{"a line item deleted by its client", func(d *drama) {
		d.grades()
		d.on(at(0, 2)).delete("lineItem", "li")
	}, explain.Asked{Client: "grades"}, "lineItems/li", "retired",
		"GRADES read line item Test 1 (lineItems/li) on 2026-11-23 03:00 as active; on 2026-11-23 " +
			"04:00 it was retired by client GRADES; GRADES has not read that yet."},
	{"a result written by its client", func(d *drama) { d.grades() }, explain.Asked{Client: "grades"},
		"results/r", "read", "GRADES read result (results/r) on 2026-11-23 03:00 as active"},
	{"a result, asked for nobody", func(d *drama) { d.grades() }, explain.Asked{}, "results/r", "read",
		"GRADES read result (results/r)"},
	{"removed client", func(d *drama) {
		d.on(at(0, 1)).pull("sds")
		if err := d.s.RemoveClient(d.t.Context(), "sds"); err != nil {
			d.t.Fatal(err)
		}
	}, explain.Asked{}, "", "served",
		"is served as active, last changed 2026-11-23 02:00; no client is there to read it"},
	{"no token: its secret has ended", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).person("new", "student", "Nia", "New")
		d.publish()
		if err := d.s.RotateSecret(d.t.Context(), "sds", auth.Secret{ID: "x", Hash: "y", Created: d.now,
			Expires: d.now.Add(time.Hour)}, d.now.Add(time.Hour)); err != nil {
			d.t.Fatal(err)
		}
		d.on(at(2, 0))
	}, sds(), "users/new", "came later",
		"before that; it has no secret that is still good, and can read nothing more"},
	{"head only", func(d *drama) { d.raw("HEAD", "sds", "users") }, sds(), "", "never read",
		"SDS has never read users; it has called this service 2 times"},
	{"single reads only", func(d *drama) { d.asks("sds", "users/ana") }, sds(), "", "never read",
		"SDS has never read the list of users: it has asked for single ones only, 1 time"},
	{"limit too small, 3 of 4 read", func(d *drama) {
		for i := range 3 {
			d.asks("sds", fmt.Sprint("users?sort=familyName&orderBy=desc&limit=1&offset=", i))
		}
		d.on(at(0, 5))
	}, sds(), "users/ben", "never read",
		"SDS read Ben Ode (users/ben) on 2026-11-23 02:00 as active; SDS has never read enrollments"},
	{"orgs role changed student to teacher", func(d *drama) {
		d.on(at(0, 1)).read("sds", "", "students", "enrollments", "classes", "orgs",
			"academicSessions").on(at(1, 0)).set("ana", "role", "teacher").publish().
			on(at(1, 1)).read("sds", "", "students", "enrollments", "classes", "orgs", "academicSessions")
	}, sds(), "", "elsewhere", "it reads students only, where role is student; here it is teacher"},
	{"service failed each time", func(d *drama) {
		d.ledger.Hear(failed(d.now, "sds", "getAllUsers"))
		d.written()
	}, sds(), "", "no answer", "it got no page of users on 2026-11-23 02:00: this service made a mistake"},
	{"its answers broke off", func(d *drama) {
		d.ledger.Hear(broke(d.now, "sds"))
		d.written().on(at(0, 5))
	}, sds(), "", "no answer", "it got no page of users on 2026-11-23 02:00: the answer broke off"},
	{"tobedeleted came back under same enrollment", func(d *drama) {
		kept := slices.Clone(d.rows)
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 1)).delta("sds", at(0,
			1)).on(at(2, 0))
		d.rows = kept
		d.publish()
	}, sds(), "", "not read yet",
		"the enrollment in Art (enrollments/ana-art) came back on 2026-11-25 02:00 by publication 3"},
	{"came back for a class, another still gone", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 1)).delta("sds", at(0,
			1)).on(at(2, 0)).set("ana", "grades", "10").publish().on(at(2, 1)).delta("sds", at(1, 1))
	}, sds(), "", "enrollment retired", "the enrollment in Art was retired by publication 2"},
	{"a delta that had brought all is not blamed for what came after", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).delta("sds", at(0, 1)).on(at(2,
			0)).without("ana-art").publish()
	}, sds(), "", "enrollment retired", "SDS has not read that yet."},
	{"a list that never had her does not tell that she left", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).partly(deleted("user", "ana")).on(at(1, 1)).
			read("sds", "", "teachers", "schools/s2/students").read("sds", "role='teacher'", "users")
	}, sds(), "", "retired", "SDS has not read that yet."},
	{"the list that had her does", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).partly(deleted("user", "ana")).on(at(1, 1)).
			read("sds", "", "schools/s1/students")
	}, sds(), "", "retired", "SDS read that on 2026-11-24 03:00."},
	{"classic, with her new school, and the old one after it", func(d *drama) {
		d.read("sds", "", "orgs", "academicSessions", "courses", "classes", "enrollments",
			"schools/s1/students",
			"schools/s2/students").on(at(1, 0)).set("ana", "orgs", "s2").publish().on(at(1, 1)).
			read("sds", "", "schools/s2/students", "schools/s1/students")
	}, sds(), "", "read",
		"SDS read Ana Ruiz (users/ana) on 2026-11-24 03:00 as active, which is what is served"},
	{"classic, with her old school alone", func(d *drama) {
		d.read("sds", "", "orgs", "academicSessions", "courses", "classes", "enrollments",
			"schools/s1/students",
			"schools/s2/students").on(at(1, 0)).set("ana", "orgs", "s2").publish().on(at(1, 1)).
			read("sds", "", "schools/s1/students")
	}, sds(), "", "elsewhere",
		"has not read that yet: it read schools/s1/students on 2026-11-24 03:00, to which"},
	{"an id with a slash in it", func(d *drama) {
		d.rows = append(d.rows, storetest.Rec("org", "sourcedId", "s/3 O'B", "name", "West", "type",
			"school"))
		d.set("ana", "orgs", "s/3 O'B").publish().
			read("sds", "", "schools/"+url.PathEscape("s/3 O'B")+"/students", "orgs", "academicSessions",
				"classes", "enrollments")
	}, sds(), "", "read", "which is what is served"},
	{"nor is it for a change", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).delta("sds", at(0, 1)).on(at(2, 0)).set("ana", "grades",
			"10").publish()
	}, sds(), "", "not read yet", "and SDS has not read that yet."},
}
