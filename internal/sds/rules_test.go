package sds_test

import (
	"maps"
	"path/filepath"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/sds"
	"rollbook/internal/store"
)

// ref is a reference as it is served.
func ref(typ, id string) map[string]any { return map[string]any{"sourcedId": id, "type": typ} }

// first is the first of the rows whose member has this value, "" being any.
func first(r rows, member, value string) map[string]any {
	for _, o := range r {
		if value == "" || o[member] == value {
			return o
		}
	}
	return nil
}

// put gives a member of the first row another value; it returns the row's id.
func put(member string, value any) func(rows) (rows, string) {
	return putInto("", "", member, value)
}

// putInto does so to the first row whose member which has the value is.
func putInto(which, is, member string, value any) func(rows) (rows, string) {
	return func(r rows) (rows, string) {
		o := first(r, which, is)
		o[member] = value
		id, _ := o["sourcedId"].(string)
		return r, id
	}
}

// without takes a member of the first row away.
func without(member string) func(rows) (rows, string) {
	return func(r rows) (rows, string) {
		delete(r[0], member)
		return r, r[0]["sourcedId"].(string)
	}
}

// another adds a row like the first, with another id and members.
func another(id string, members map[string]any) func(rows) (rows, string) {
	return func(r rows) (rows, string) {
		o := maps.Clone(r[0])
		maps.Copy(o, members)
		o["sourcedId"] = id
		return append(r, o), id
	}
}

// each gives a member of every row another value; what is found has no id.
func each(members map[string]any) func(rows) (rows, string) {
	return func(r rows) (rows, string) {
		for _, o := range r {
			maps.Copy(o, members)
		}
		return r, ""
	}
}

// breaks has the lists of a path spoiled by do, and tells whose id it gave last.
func (s *service) breaks(path string, do func(rows) (rows, string)) *string {
	id := new(string)
	s.spoil = at(path, func(r rows, n int) (rows, int) {
		was := len(r)
		r, *id = do(r)
		return r, n + len(r) - was
	})
	return id
}

// What breaks a rule, of whichever resource, is told for the record that breaks it, decides how the run ends,
// and leaves the record out of the counts; the options reach the judge, and what the mirror must keep apart
// does. What each rule finds is for package quality to show.
func TestRules(t *testing.T) {
	s := serve(t, small(12, 1), store.Options{})
	const ok, warned, broken = sds.Completed, sds.CompletedWithWarnings, sds.CompletedWithErrors
	plain := func(*sds.Options) {}
	contacts := func(o *sds.Options) { o.Contacts = true }
	demographics := func(o *sds.Options) { o.Demographics = true }
	usernames := func(o *sds.Options) { o.MatchStudents = "username" }
	accounts := func(o *sds.Options) {
		o.CreateUsers, o.MatchStaff, o.MatchStudents = true, "username", "username"
	}
	past := map[string]any{"startDate": "2000-08-01", "endDate": "2001-07-31", "schoolYear": "2001"}
	// domains makes a domain part of every username from that row on.
	domains := func(from int) func(rows) (rows, string) {
		return func(r rows) (rows, string) {
			for _, o := range r[from:] {
				o["username"] = o["username"].(string) + "@example.org"
			}
			return r, r[0]["sourcedId"].(string)
		}
	}
	// pair gives the second student the address of the first.
	pair := func(r rows) (rows, string) {
		var two rows
		for _, o := range r {
			if o["role"] == "student" {
				two = append(two, o)
			}
		}
		two[1]["email"] = two[0]["email"]
		return r, two[1]["sourcedId"].(string)
	}
	twin := func(r rows) (rows, string) {
		r[1]["sourcedId"] = r[0]["sourcedId"]
		return r, r[0]["sourcedId"].(string)
	}
	// unsaid leaves the first student's contacts unnamed, who are found for it.
	unsaid := func(r rows) (rows, string) {
		o := first(r, "role", "student")
		contact := o["agents"].([]any)[0].(map[string]any)["sourcedId"].(string)
		o["agents"] = []any{}
		return r, contact
	}
	var clean sds.Counts
	for _, c := range []struct {
		rule, plural string
		do           func(rows) (rows, string) // the id is of the record that breaks the rule
		status       string
		lost         int // people
		with         func(*sds.Options)
	}{
		{"", "users", each(nil), ok, 0, plain},
		{"SDS-G01", "users", put("sourcedId", 7), broken, 1, plain},
		{"SDS-G01", "users", twin, broken, 1, plain},
		{"SDS-G02", "users", put("status", "inactive"), broken, 1, plain},
		{"SDS-G03", "users", put("dateLastModified", "2026-11-01"), broken, 1, plain},
		{"SDS-G05", "users", put("middleName", nil), warned, 0, plain},
		{"SDS-G06", "users", put("orgs", []any{ref("org", "gone")}), broken, 1, plain},
		{"SDS-U03", "users", pair, broken, 2, plain},
		{"SDS-U09", "users", pair, warned, 0, usernames},
		{"SDS-C01", "classes", put("title", ""), broken, 0, plain},
		{"SDS-C05", "classes", another("z2", nil), warned, 0, plain},
		{"SDS-E01", "enrollments", without("role"), broken, 0, plain},
		{"SDS-O01", "orgs", put("name", ""), broken, 0, plain},
		{"SDS-K01", "courses", put("title", ""), broken, 0, plain},
		{"SDS-S01", "academicSessions", put("title", ""), broken, 0, plain},
		{"SDS-S04", "academicSessions", each(past), warned, 0, plain}, // today is that of the clock
		{"", "users", each(nil), ok, 0, contacts},
		{"SDS-U05", "users", putInto("role", "guardian", "email", "none"), broken, 1, contacts},
		{"SDS-U06", "users", unsaid, broken, 1, contacts},
		{"", "users", each(nil), ok, 0, demographics},
		{"SDS-D01", "demographics", put("asian", true), warned, 0, demographics},
		{"", "users", domains(0), ok, 0, accounts},
		{"SDS-U04", "users", domains(1), broken, 1, accounts},
	} {
		s.mirror = filepath.Join(t.TempDir(), "m.db")
		id := s.breaks("/"+c.plural, c.do)
		r, found, err := s.sync(t, c.with)
		what := c.rule + " " + oneroster.ByName(c.plural).Name + " " + *id
		if err != nil || r.Status != c.status || c.rule != "" && !found[what] {
			t.Errorf("%s: %s, %v; found %v", what, r.Status, err, found)
		}
		if errors := r.Counts.Errors > 0; errors != (c.status == sds.CompletedWithErrors) {
			t.Errorf("%s: %+v", what, r.Counts)
		}
		if c.rule == "" {
			clean = r.Counts
		}
		if r.Counts.People != clean.People-c.lost {
			t.Errorf("%s: %d people, %d without it", what, r.Counts.People, clean.People)
		}
	}
}

// Classic sees neither districts nor school years, and does not tell of them;
// what it does see it judges as ever.
func TestClassicTellsOfWhatItSees(t *testing.T) {
	s := serve(t, small(12, 1), store.Options{})
	const school = "/schools/sch-003" // read last: the terms of all schools are the same
	known, gone := ref("org", "sch-003"), ref("org", "gone")
	unknown := func(r rows) (rows, string) {
		return put("terms", append(r[0]["terms"].([]any), ref("academicSession", "gone")))(r)
	}
	for _, c := range []struct {
		name, path string
		do         func(rows) (rows, string)
		told       string // "" is nothing
	}{
		{"parents, children, contacts and school years are elsewhere", "/schools", each(nil), ""},
		{"a school without parent", "/schools", without("parent"), ""},
		{"a term without parent", school + "/terms", without("parent"), ""},
		{"a department of the school", school + "/teachers", put("orgs", []any{known, gone}), ""},
		{"a course of the district", school + "/classes", put("course", ref("course", "gone")), ""},
		{"no school at all", school + "/teachers", put("orgs", []any{gone}), "SDS-G06 user "},
		{"an unknown term", school + "/classes", unknown, "SDS-G06 class "},
		{"nobody in it", school + "/classes", another("z2", map[string]any{"title": "Other"}),
			"SDS-C04 class "},
		{"a term that ends first", school + "/terms", put("endDate", "2000-01-01"),
			"SDS-S02 academicSession "},
	} {
		s.mirror = filepath.Join(t.TempDir(), "m.db")
		id := s.breaks(c.path, c.do)
		r, found, err := s.sync(t, func(o *sds.Options) { o.Classic = true })
		if err != nil || (r.Counts.Errors+r.Counts.Warnings > 0) != (c.told != "") ||
			c.told != "" && !found[c.told+*id] {
			t.Errorf("%s: %+v, %v; found %v", c.name, r.Counts, err, found)
		}
	}
}
