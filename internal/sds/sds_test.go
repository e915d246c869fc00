package sds_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
	"rollbook/internal/sds"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// What a delta makes of the mirror is what another full pull makes of it, in
// both ways of reading; what has left the provider leaves the mirror.
func TestFullAndDelta(t *testing.T) {
	s := serve(t, small(40, 1), store.Options{})
	first, _, err := s.sync(t, nil)
	if err != nil || first.Kind != "full" || first.Status != sds.Completed {
		t.Fatalf("%+v, %v", first, err)
	}
	if c := first.Counts; c.Students != 40 || c.Organizations == 0 || c.Memberships == 0 ||
		c.People != c.Staff+c.Students {
		t.Errorf("counts are %+v", c)
	}
	before := s.shows(t, "current")
	s.take(t, small(38, 1))
	s.take(t, small(41, 2))
	r, _, err := s.sync(t, func(o *sds.Options) { o.Limit = 7 })
	if err != nil || r.Kind != "delta" {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, a := range s.asked {
		if !strings.Contains(a, "dateLastModified>") {
			t.Errorf("a delta asks %s", a)
		}
	}
	delta := s.shows(t, "current")
	if r, _, err := s.sync(t, func(o *sds.Options) { o.Full, o.Limit = true, 7 }); err != nil ||
		r.Kind != "full" {
		t.Fatalf("%+v, %v", r, err)
	}
	full := s.shows(t, "current")
	if maps.Equal(before, delta) || !maps.Equal(delta, full) {
		t.Errorf("before %d, by delta %d, by a full pull %d", len(before), len(delta), len(full))
	}
	if first.Collections["users"].Added == 0 || r.Collections["users"].Changed == 0 {
		t.Errorf("collections are %+v, then %+v", first.Collections["users"], r.Collections["users"])
	}
}

// The next delta begins by the provider's clock, never by ours, a second before
// its Date, and no later than just before the greatest stamp that came.
func TestWhereTheDeltaBegins(t *testing.T) {
	stamp := time.Date(2020, 3, 1, 8, 0, 0, 500e6, time.UTC)
	for date, want := range map[string]string{
		"Sun, 01 Mar 2020 08:00:00 GMT": "2020-03-01T07:59:59.000Z", // its own second is cut off
		"Sun, 01 Mar 2020 08:00:01 GMT": "2020-03-01T08:00:00.000Z",
		"Sun, 01 Mar 2020 08:05:00 GMT": "2020-03-01T08:00:00.499Z", // a batch may be under way
		"Sun, 01 Mar 2020 09:00:00 GMT": "2020-03-01T08:00:00.500Z", // it is over, and its rows are many
		"no date":                       "2020-03-01T08:00:00.499Z",
	} {
		s := serve(t, small(20, 1), store.Options{Now: func() time.Time { return stamp }})
		s.date = date
		if _, _, err := s.sync(t, nil); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.sync(t, nil); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/enrollments"} {
			begun := ""
			for _, a := range s.asked {
				if rest, ok := strings.CutPrefix(a, path+" dateLastModified>"); ok && begun == "" {
					begun = strings.Trim(rest, "'")
				}
			}
			if begun != want {
				t.Errorf("%s: the delta of %s begins at %q, not %q", date, path, begun, want)
			}
		}
	}
}

// After an older copy of the database was put in place, and everything stamped
// anew, a delta makes of the mirror what a full pull makes of it, but for what
// only the lost days had, which no delta can tell of; a proof does.
func TestOlderCopyPutInPlace(t *testing.T) {
	for _, c := range []struct {
		name  string
		ahead time.Duration // the clock of the lost days
		told  bool          // how far readers have come is known
	}{
		{"the clock has gone on", -time.Hour, false},
		{"readers are ahead", 48 * time.Hour, true},
	} {
		now := time.Now()
		s := serve(t, small(40, 1), store.Options{Now: func() time.Time { return now }})
		if _, _, err := s.sync(t, nil); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "older.db")
		if err := s.Backup(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		older := s.shows(t, "current")
		now = now.Add(max(c.ahead, time.Minute))
		s.date = now.UTC().Add(5 * time.Second).Format(http.TimeFormat)
		s.take(t, small(37, 1))
		s.take(t, small(41, 2))
		if r, _, err := s.sync(t, nil); err != nil || r.Kind != "delta" {
			t.Fatal(r.Kind, err)
		}
		lost := s.shows(t, "current")

		now = now.Add(-c.ahead)
		db := storetest.Open(t, path, store.Options{Now: func() time.Time { return now }})
		var after store.Moment
		if c.told {
			var err error
			if after, err = s.Moment(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := db.Restamp(t.Context(), after, false); err != nil {
			t.Fatal(err)
		}
		s.put(t, db)
		r, _, err := s.sync(t, func(o *sds.Options) { o.Prove = true })
		if err != nil || r.Kind != "delta" || r.Proof == nil {
			t.Fatalf("%s: %+v, %v", c.name, r, err)
		}
		surplus := 0
		delta := s.shows(t, "current")
		if _, _, err := s.sync(t, func(o *sds.Options) { o.Full, o.Shrink = true, 100 }); err != nil {
			t.Fatal(err)
		}
		full := s.shows(t, "current")
		for what, body := range delta {
			_, was := older[what]
			switch {
			case full[what] == "" && (was || lost[what] == ""):
				t.Errorf("%s: the delta leaves %s", c.name, what)
			case full[what] == "":
				surplus++
			case full[what] != body:
				t.Errorf("%s: by delta %s is %s, by a full pull %s", c.name, what, body, full[what])
			}
		}
		if surplus == 0 || len(full) != len(older) || len(full)+surplus != len(delta) {
			t.Errorf("%s: %d before, %d by delta, %d by a full pull", c.name, len(older), len(delta),
				len(full))
		}
		if n := len(r.Proof.Differences); n != surplus {
			t.Errorf("%s: %d rows are too many, %d are proved to be", c.name, surplus, n)
		}
	}
}

type rows = []map[string]any

// at spoils the lists of one path.
func at(path string, do func(rows, int) (rows, int)) func(string, rows, int) (rows, int) {
	return func(p string, r rows, total int) (rows, int) {
		if p == path {
			return do(r, total)
		}
		return r, total
	}
}

// again gives the first row of the users once more at the end of each later page.
func again() func(string, rows, int) (rows, int) {
	var first map[string]any
	return at("/users", func(r rows, n int) (rows, int) {
		if first == nil {
			first = r[0]
		}
		if len(r) > 0 && r[0]["sourcedId"] != first["sourcedId"] {
			r[len(r)-1] = first
		}
		return r, n
	})
}

// A list that is torn, empty or far smaller changes nothing, fails the run, and
// is told; what is meant is allowed.
func TestListsThatAreNotBelieved(t *testing.T) {
	s := serve(t, small(40, 1), store.Options{})
	if _, _, err := s.sync(t, nil); err != nil {
		t.Fatal(err)
	}
	before := s.shows(t, "current")
	fewer := func(r rows, total int) (rows, int) { return r[:len(r)/2], total / 2 }
	for _, c := range []struct {
		name   string
		spoil  func(string, rows, int) (rows, int)
		shrink int
		limit  int // 0 is 5,000
		want   string
	}{
		{"torn", at("/users", func(r rows, n int) (rows, int) { return r[:len(r)-1], n }), 100, 0,
			"says by X-Total-Count"},
		{"a row on two pages", again(), 100, 50, "rows are given on two pages"},
		{"empty", at("/classes", func(r rows, n int) (rows, int) { return rows{}, 0 }), 100, 0,
			"SDS-X01: classes came empty"},
		{"courses empty", at("/courses", func(r rows, n int) (rows, int) { return rows{}, 0 }), 100, 0,
			"SDS-X01: courses came empty, and"},
		{"half", at("/enrollments", fewer), 10, 0, "more than 10 % fewer"},
		{"half, and meant", at("/enrollments", fewer), 50, 0, ""},
	} {
		s.spoil = c.spoil
		r, found, err := s.sync(t, func(o *sds.Options) {
			o.Full, o.Shrink, o.Limit = true, c.shrink, c.limit
		})
		s.spoil = nil
		if c.want == "" {
			if err != nil || maps.Equal(s.shows(t, "current"), before) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || r.Status != sds.Failed {
			t.Errorf("%s: %s, %v", c.name, r.Status, err)
		}
		if x := strings.Contains(c.want, "fewer") ||
			strings.Contains(c.want, "X01"); x != (r.Stopped != "") || x != (len(found) == 1) {
			t.Errorf("%s: stopped %q, found %v", c.name, r.Stopped, found)
		}
		if !maps.Equal(s.shows(t, "current"), before) {
			t.Errorf("%s: the mirror has changed", c.name)
		}
	}
}

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

// Each rule that drops a record or a value is told for the record that breaks
// it, decides how the run ends, and leaves the record out of the counts.
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
	// pair gives the second student something of the first.
	pair := func(member string) func(rows) (rows, string) {
		return func(r rows) (rows, string) {
			var two rows
			for _, o := range r {
				if o["role"] == "student" {
					two = append(two, o)
				}
			}
			two[1][member] = two[0][member]
			return r, two[1]["sourcedId"].(string)
		}
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
		{"SDS-G06", "users", put("orgs", []any{ref("org", "sch-001"), ref("org", "gone")}), warned, 0, plain},
		{"SDS-G06", "courses", put("schoolYear", ref("academicSession", "gone")), warned, 0, plain},
		{"SDS-U01", "users", put("givenName", ""), broken, 1, plain},
		{"SDS-U02", "users", without("orgs"), broken, 1, plain},
		{"SDS-U07", "users", put("role", "wizard"), warned, 0, plain},
		{"SDS-U07", "users", putInto("role", "student", "grades", []any{"fourth"}), warned, 0, plain},
		{"SDS-U08", "users", put("familyName", "<b>"), broken, 1, plain},
		{"SDS-U03", "users", without("email"), warned, 0, plain},
		{"SDS-U03", "users", pair("email"), broken, 2, plain},
		{"SDS-U09", "users", pair("email"), warned, 0, usernames},
		{"SDS-C01", "classes", put("title", ""), broken, 0, plain},
		{"SDS-C02", "classes", put("title", "a/b: c"), warned, 0, plain},
		{"SDS-C03", "classes", another("c.2", map[string]any{"title": "Other"}), warned, 0, plain},
		{"SDS-C04", "classes", another("c2", map[string]any{"title": "Other"}), warned, 0, plain},
		{"SDS-C04", "classes", put("course", ref("course", "gone")), warned, 0, plain},
		{"SDS-C05", "classes", another("z2", nil), warned, 0, plain},
		{"SDS-E01", "enrollments", without("role"), broken, 0, plain},
		{"SDS-E02", "enrollments", put("user", ref("user", "gone")), broken, 0, plain},
		{"SDS-E03", "enrollments", another("z2", nil), warned, 0, plain},
		{"SDS-E04", "enrollments", put("endDate", "2099-01-01"), warned, 0, plain},
		{"SDS-O01", "orgs", put("name", ""), broken, 0, plain},
		{"SDS-O02", "orgs", putInto("type", "school", "parent", ref("org", "sch-001")), warned, 0, plain},
		{"SDS-K01", "courses", put("title", ""), broken, 0, plain},
		{"SDS-S01", "academicSessions", put("title", ""), broken, 0, plain},
		{"SDS-S02", "academicSessions", putInto("type", "gradingPeriod", "startDate", "2026-01-01"), broken,
			0, plain},
		{"SDS-S03", "academicSessions", putInto("type", "gradingPeriod", "schoolYear", "2001"), broken, 0,
			plain},
		{"SDS-S04", "academicSessions", each(past), warned, 0, plain},
		{"", "users", each(nil), ok, 0, contacts},
		{"SDS-U05", "users", putInto("role", "guardian", "email", "none"), broken, 1, contacts},
		{"SDS-U06", "users", unsaid, broken, 1, contacts},
		{"", "users", each(nil), ok, 0, demographics},
		{"SDS-D01", "demographics", put("asian", true), warned, 0, demographics},
		{"", "users", domains(0), ok, 0, accounts},
		{"SDS-U04", "users", domains(1), broken, 1, accounts},
	} {
		s.mirror = filepath.Join(t.TempDir(), "m.db")
		id := ""
		s.spoil = at("/"+c.plural, func(r rows, n int) (rows, int) {
			was := len(r)
			r, id = c.do(r)
			return r, n + len(r) - was
		})
		r, found, err := s.sync(t, c.with)
		what := c.rule + " " + oneroster.ByName(c.plural).Name + " " + id
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

// A proof names what the mirror has otherwise than the provider: what it lacks,
// what it has too much, and what is another, member by member.
func TestProve(t *testing.T) {
	s := serve(t, small(12, 1), store.Options{})
	hidden := func(r rows, n int) (rows, int) { return r[1:], n - 1 }
	gone := map[string]any{"sourcedId": "ghost", "status": "active",
		"dateLastModified": "2020-01-01T00:00:00.000Z"}
	surplus := func(r rows, n int) (rows, int) { return append(r, gone), n + 1 }
	changed := func(r rows, n int) (rows, int) {
		r[0]["givenName"] = "Changed"
		return r, n
	}
	for _, c := range []struct {
		name   string
		first  func(rows, int) (rows, int) // how the users come in the pull that makes the mirror
		differ string                      // field, what the mirror has, what the provider has
	}{
		{"nothing", nil, ""},
		{"missing", hidden, ", nothing, it"},
		{"surplus", surplus, ", it, nothing"},
		{"changed", changed, `givenName, "Changed", `},
	} {
		s.mirror, s.spoil = filepath.Join(t.TempDir(), "m.db"), nil
		if c.first != nil {
			s.spoil = at("/users", c.first)
		}
		if _, _, err := s.sync(t, nil); err != nil {
			t.Fatal(c.name, err)
		}
		// Of the deltas nothing comes: what is told is what the full pull finds.
		s.spoil = func(path string, r rows, n int) (rows, int) {
			if len(s.asked) > 0 && strings.Contains(s.asked[len(s.asked)-1], "dateLastModified>") {
				return rows{}, 0
			}
			return r, n
		}
		r, _, err := s.sync(t, func(o *sds.Options) { o.Prove = true })
		if err != nil || r.Proof == nil || r.Proof.Compared == 0 {
			t.Fatal(c.name, err)
		}
		if d := r.Proof.Differences; c.differ == "" && len(d) != 0 || c.differ != "" &&
			(len(d) != 1 || !strings.HasPrefix(d[0].Field+", "+d[0].Mirror+", "+d[0].Provider, c.differ) ||
				d[0].SourcedID == "") {
			t.Errorf("%s: %+v", c.name, r.Proof)
		}
	}
}

// Classic reads school by school, always everything, and holds the same people
// and classes; what has left a school leaves the mirror.
func TestClassic(t *testing.T) {
	s := serve(t, small(30, 1), store.Options{})
	classic := func(o *sds.Options) { o.Classic, o.Shrink = true, 100 }
	r, _, err := s.sync(t, classic)
	if err != nil || r.Kind != "full" || r.Counts.Students != 30 || r.Counts.Classes == 0 ||
		r.Counts.Errors > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	s.take(t, small(20, 1))
	if r, _, err = s.sync(t, classic); err != nil || r.Kind != "full" || r.Counts.Students != 20 {
		t.Errorf("%+v, %v", r.Counts, err)
	}
	for _, a := range s.asked {
		if !strings.HasPrefix(a, "/schools") || !strings.Contains(a, "status='active'") &&
			!strings.Contains(a, "dateLastModified>") {
			t.Errorf("classic asks %s", a)
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
		id := ""
		s.spoil = at(c.path, func(r rows, n int) (rows, int) {
			was := len(r)
			r, id = c.do(r)
			return r, n + len(r) - was
		})
		r, found, err := s.sync(t, func(o *sds.Options) { o.Classic = true })
		if err != nil || (r.Counts.Errors+r.Counts.Warnings > 0) != (c.told != "") ||
			c.told != "" && !found[c.told+id] {
			t.Errorf("%s: %+v, %v; found %v", c.name, r.Counts, err, found)
		}
	}
}

// People are found by what their account has, in any case; of two accounts with
// one address none is taken, and who is not found has no membership.
func TestDirectory(t *testing.T) {
	s := serve(t, small(12, 1), store.Options{})
	all, _, err := s.sync(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	var mails []string
	s.spoil = at("/users", func(r rows, n int) (rows, int) {
		for _, o := range r {
			mails = append(mails, o["email"].(string))
			o["email"] = strings.ToUpper(o["email"].(string))
		}
		return r, n
	})
	if _, _, err := s.sync(t, func(o *sds.Options) { o.Full = true }); err != nil {
		t.Fatal(err)
	}
	people := all.Counts.People
	for _, c := range []struct {
		name      string
		accounts  []string
		unmatched int
		rule      string
	}{
		{"all", mails, 0, ""},
		{"one is missing", mails[1:], 1, "SDS-M01"},
		{"one twice", append([]string{mails[0]}, mails...), 1, "SDS-M02"},
		{"nobody", nil, people, "SDS-M01"},
	} {
		path := filepath.Join(t.TempDir(), "users.csv")
		text := "\ufeffUser principal name,Display name,Mail\n"
		for i, m := range c.accounts {
			text += "u" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + "@other.example,x," + m + "\n"
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := sds.ReadDirectory(path)
		if err != nil {
			t.Fatal(err)
		}
		r, found, err := s.sync(t, func(o *sds.Options) { o.Directory = d })
		if err != nil || r.Counts.Unmatched != c.unmatched || r.Counts.Matched != people-c.unmatched {
			t.Errorf("%s: %+v, %v", c.name, r.Counts, err)
		}
		rules := map[string]bool{}
		for f := range found {
			if rule, _, _ := strings.Cut(f, " "); strings.HasPrefix(rule, "SDS-M") {
				rules[rule] = true
			}
		}
		if len(rules) > 1 || c.rule != "" && !rules[c.rule] || c.rule == "" && len(rules) > 0 {
			t.Errorf("%s: found %v", c.name, rules)
		}
		if fewer := r.Counts.Memberships < all.Counts.Memberships; fewer != (c.unmatched > 0) ||
			c.name == "nobody" && r.Counts.Memberships != 0 {
			t.Errorf("%s: %d memberships of %d", c.name, r.Counts.Memberships, all.Counts.Memberships)
		}
	}
}

// The result file is there when it is whole, for its owner alone, and a value
// in it is no formula.
func TestResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.csv")
	r, err := sds.NewResults(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add(quality.Finding{Rule: quality.ByID("SDS-U01"), Resource: "user", SourcedID: "=1",
		Field: "givenName", Value: "=1+1", Text: "no name"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it is there before it is whole")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "user,=1,SDS-U01,error,givenName,'=1+1,no name,") {
		t.Errorf("%s, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
