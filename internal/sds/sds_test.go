package sds_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/mirror"
	"rollbook/internal/quality"
	"rollbook/internal/sandbox/odd"
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
		s.synced(t, nil)
		s.synced(t, nil)
		begun := ""
		for _, a := range s.asked {
			if rest, ok := strings.CutPrefix(a, "/enrollments dateLastModified>"); ok && begun == "" {
				begun = strings.Trim(rest, "'")
			}
		}
		if begun != want {
			t.Errorf("%s: the delta begins at %q, not %q", date, begun, want)
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
		s.synced(t, nil)
		path := filepath.Join(t.TempDir(), "older.db")
		if err := s.Backup(t.Context(), path, true); err != nil {
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
		s.synced(t, func(o *sds.Options) { o.Full, o.Shrink = true, 100 })
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
	s.synced(t, nil)
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
	pseudonym := s.provider(t).Veil().Name("Changed")
	for _, c := range []struct {
		name   string
		first  func(rows, int) (rows, int) // how the users come in the pull that makes the mirror
		differ string                      // field, what the mirror has, what the provider has
		named  bool                        // people are called by their names
	}{
		{"nothing", nil, "", true},
		{"missing", hidden, ", nothing, it", true},
		{"surplus", surplus, ", it, nothing", true},
		{"changed", changed, `givenName, "Changed", `, true},
		{"changed, by a pseudonym", changed, `givenName, "` + pseudonym + `", `, false},
	} {
		s.mirror, s.spoil = filepath.Join(t.TempDir(), "m.db"), nil
		if c.first != nil {
			s.spoil = at("/users", c.first)
		}
		s.synced(t, nil)
		// Of the deltas nothing comes: what is told is what the full pull finds.
		s.spoil = func(path string, r rows, n int) (rows, int) {
			if len(s.asked) > 0 && strings.Contains(s.asked[len(s.asked)-1], "dateLastModified>") {
				return rows{}, 0
			}
			return r, n
		}
		r, _, err := s.sync(t, func(o *sds.Options) { o.Prove, o.Personal = true, c.named })
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

// Classic asks for no lists of a school that shares its id, or has none: that is a finding, not an end.
func TestClassicOfTwins(t *testing.T) {
	s := serve(t, small(12, 1), store.Options{})
	s.spoil = at("/schools", func(r rows, n int) (rows, int) {
		twin, nameless := maps.Clone(r[0]), maps.Clone(r[0])
		twin["name"] = "Twin"
		delete(nameless, "sourcedId")
		return append(r, twin, nameless), n + 2
	})
	r, found, err := s.sync(t, func(o *sds.Options) { o.Classic = true })
	if err != nil || r.Counts.Classes == 0 || !found["SDS-G01 org "] {
		t.Errorf("%+v, %v, %v", r.Counts, found, err)
	}
	for _, a := range s.asked { // other providers answer 404
		if strings.ContainsAny(a, mirror.Nameless+mirror.Twin) {
			t.Errorf("asked %q", a)
		}
	}
}

// Classic asks for the lists of a school whatever its id is: it holds what a whole pull holds.
func TestClassicOfDots(t *testing.T) {
	all := odd.Districts()
	dots := slices.IndexFunc(all, func(d odd.District) bool { return d.Name == "ids of dots" })
	var students []int
	for _, classic := range []bool{false, true} {
		s := serve(t, storetest.Bulk(), store.Options{})
		s.take(t, all[dots].Imports[0])
		students = append(students, s.synced(t, func(o *sds.Options) { o.Classic = classic }).Counts.Students)
	}
	if students[0] == 0 || students[0] != students[1] {
		t.Errorf("a whole pull and one school by school hold so many students: %v", students)
	}
}

// People are found by what their account has, in any case; of two accounts with
// one address none is taken, and who is not found has no membership.
func TestDirectory(t *testing.T) {
	s := serve(t, small(12, 1), store.Options{})
	all := s.synced(t, nil)
	var mails []string
	s.spoil = at("/users", func(r rows, n int) (rows, int) {
		for _, o := range r {
			mails = append(mails, o["email"].(string))
			o["email"] = strings.ToUpper(o["email"].(string))
		}
		return r, n
	})
	s.synced(t, func(o *sds.Options) { o.Full = true })
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
