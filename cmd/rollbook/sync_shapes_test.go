package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// A sketch is a provider of few rows, whose stamps, counts, links and pages are
// as the test wants them.
type sketch struct {
	*httptest.Server
	lock sync.Mutex
	rows map[string][]wire.Object // by collection, in their order

	behind            time.Duration // its stamps, of its Date header
	most              int           // rows of a page; 0 gives what is asked for
	uncounted, linked bool
	before            func(collection, query string) // called before a list is made
	asked             []string
}

func sketched(t *testing.T, people int) *sketch {
	t.Helper()
	s := &sketch{rows: map[string][]wire.Object{}}
	for _, name := range []string{"academicSessions", "orgs", "classes", "enrollments", "courses"} {
		s.put(name, name+"-1", "2026-08-01T08:00:00.000Z")
	}
	for i := range people {
		s.put("users", fmt.Sprintf("u-%04d", i), fmt.Sprintf("2026-08-01T08:%02d:%02d.000Z", i/60%60, i%60))
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// put adds a row, or gives it another stamp.
func (s *sketch) put(collection, id, stamp string) wire.Object {
	list := s.rows[collection]
	i, found := slices.BinarySearchFunc(list, id,
		func(o wire.Object, id string) int { return cmp.Compare(o.ID(), id) })
	if !found {
		list = slices.Insert(list, i, wire.Object{"sourcedId": id, "status": "active", "role": "student"})
	}
	list[i]["dateLastModified"] = stamp
	s.rows[collection] = list
	return list[i]
}

// now is the time by the clock that makes its stamps.
func (s *sketch) now() string { return time.Now().UTC().Add(-s.behind).Format(oneroster.TimeLayout) }

func (s *sketch) retire(collection, id string) {
	s.put(collection, id, s.now())["status"] = "tobedeleted"
}

func (s *sketch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.lock.Lock()
	defer s.lock.Unlock()
	w.Header().Set("Content-Type", "application/json")
	collection, isData := strings.CutPrefix(r.URL.Path, base+"/")
	if !isData {
		_, _ = w.Write([]byte(`{"access_token":"t","token_type":"bearer","expires_in":3600}`))
		return
	}
	query, _ := url.QueryUnescape(r.URL.RawQuery)
	s.asked = append(s.asked, collection+"?"+query)
	if s.before != nil {
		s.before(collection, query)
	}
	filter := r.URL.Query().Get("filter")
	_, since, isDelta := strings.Cut(filter, "dateLastModified>'")
	since, _, _ = strings.Cut(since, "'")
	list := []wire.Object{}
	for _, o := range s.rows[collection] {
		if isDelta && o.Text("dateLastModified") > since || !isDelta && o.Text("status") == "active" {
			list = append(list, o)
		}
	}
	total := len(list)
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if s.most > 0 {
		limit = min(limit, s.most)
	}
	list = list[min(offset, total):min(offset+limit, total)]
	if !s.uncounted {
		w.Header().Set("X-Total-Count", strconv.Itoa(total))
	}
	if s.linked {
		w.Header().Add("Link", `<http://x/first>; rel="first"`)
		if offset+limit < total {
			w.Header().Add("Link", `<http://x/next>; rel="next"`)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{collection: list})
}

// front makes the command lines and reads the mirrors of a sketch.
func (s *sketch) front(t *testing.T) *front {
	return &front{Server: s.Server, dir: t.TempDir(), client: "c", secret: "s"}
}

// active is what a mirror of the sketch should hold.
func (s *sketch) active() map[string]string {
	out := map[string]string{}
	for collection, list := range s.rows {
		for _, o := range list {
			if o.Text("status") == "active" {
				out[map[string]string{"academicSessions": "academicSession", "orgs": "org",
					"classes": "class", "enrollments": "enrollment", "courses": "course",
					"users": "user"}[collection]+" "+o.ID()] = o.Canonical()
			}
		}
	}
	return out
}

// once calls do before the first list of users that is asked for with a text in
// its query.
func (s *sketch) once(in string, do func()) {
	done := false
	s.before = func(collection, query string) {
		if !done && collection == "users" && strings.Contains(query, in) {
			done = true
			do()
		}
	}
}

// Rows that change while pages are read are not lost, wherever the stamps come
// from, and what held still is not read again.
func TestChangesBetweenPages(t *testing.T) {
	t.Parallel()
	for _, behind := range []time.Duration{0, 5 * time.Hour, 2 * time.Second, -3 * time.Hour} {
		for _, c := range []struct {
			name string
			do   func(*sketch)
			read int // how often
		}{
			{"nothing", func(*sketch) {}, 1},
			{"one is retired", func(s *sketch) { s.retire("users", "u-0003") }, 2},
			{"one is retired, one comes", func(s *sketch) {
				s.retire("users", "u-0003")
				s.put("users", "u-9999", s.now())
			}, 2},
			{"one is retired, a later one changes", func(s *sketch) {
				s.retire("users", "u-0003")
				s.put("users", "u-9998", s.now())
				s.put("users", "u-0111", s.now())["givenName"] = "New"
			}, 2},
			{"one that was read changes", func(s *sketch) {
				s.put("users", "u-0003", s.now())["givenName"] = "New"
			}, 2},
		} {
			t.Run(fmt.Sprint(c.name, ", ", behind), func(t *testing.T) {
				s := sketched(t, 120)
				s.behind = behind
				// Somebody was retired and somebody changed in the second in which the pull begins.
				s.retire("users", "u-0001")
				s.put("users", "u-0002", s.now())
				s.once("offset=50&", func() { c.do(s) })
				f := s.front(t)
				r, errs, code := f.sync(t)
				if code != 0 {
					t.Fatalf("%d %s", code, errs)
				}
				whole := 0
				for _, a := range s.asked {
					if strings.HasPrefix(a, "users?offset=0&") && strings.HasSuffix(a, "status='active'") {
						whole++
					}
				}
				if whole != c.read || strings.Contains(errs, "was read 2 times") != (c.read > 1) ||
					r.Collections["users"].Rows != len(s.active())-5 {
					t.Errorf("read %d times, %d rows, wanted %d times, %d: %s", whole,
						r.Collections["users"].Rows, c.read, len(s.active())-5, errs)
				}
				same(t, "the pull", f.mirrored(t, "sds-mirror.db", "current"), s.active())
				if _, errs, code := f.sync(t, "--prove"); code != 0 {
					t.Errorf("%d %s", code, errs)
				}
				same(t, "the delta", f.mirrored(t, "sds-mirror.db", "current"), s.active())
			})
		}
	}
}

// What changes while the pages of a delta are read comes with the next one.
func TestChangesBetweenPagesOfDelta(t *testing.T) {
	t.Parallel()
	for _, behind := range []time.Duration{0, 5 * time.Hour} {
		s := sketched(t, 120)
		s.behind = behind
		f := s.front(t)
		if _, errs, code := f.sync(t); code != 0 {
			t.Fatal(errs)
		}
		for i := range 80 {
			s.put("users", fmt.Sprintf("u-%04d", i), s.now())["givenName"] = "New"
		}
		s.once("offset=50&", func() {
			s.retire("users", "u-0003")
			s.put("users", "u-0079",
				oneroster.FormatTime(time.Now().Add(time.Millisecond-behind)))["givenName"] = "Newer"
		})
		for range 2 {
			if r, errs, code := f.sync(t); code != 0 || r.Kind != "delta" {
				t.Fatal(r, errs)
			}
		}
		same(t, "two deltas", f.mirrored(t, "sds-mirror.db", "current"), s.active())
	}
}

// A batch gives all its rows the time of its start: those that come after the
// pull are in the next delta. What is settled does not come again.
func TestRowsOfOneStamp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		age     time.Duration
		rows    int // of the batch that are there at the first pull
		untimed bool
		again   int // rows of the delta after the last
	}{
		{"under way", time.Minute, 110, false, 120},
		{"a few rows of long ago", 48 * time.Hour, 20, false, 30},
		{"an import of long ago", 48 * time.Hour, 120, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sketched(t, 120)
			stamp := time.Now().UTC().Add(-c.age).Format(oneroster.TimeLayout)
			for i := range c.rows {
				s.put("users", fmt.Sprintf("u-%04d", i), stamp)
			}
			f := s.front(t)
			if _, errs, code := f.sync(t, "--limit", "5000"); code != 0 {
				t.Fatal(errs)
			}
			for i := c.rows; i < min(c.rows+10, 120); i++ {
				s.put("users", fmt.Sprintf("u-%04d", i), stamp)["familyName"] = "New"
			}
			for i := range 2 {
				r, errs, code := f.sync(t, "--limit", "5000")
				if code != 0 || r.Kind != "delta" || i == 1 && r.Collections["users"].Rows != c.again ||
					r.Collections["users"].Same+r.Collections["users"].Changed != r.Collections["users"].Rows {
					t.Errorf("%d %+v, wanted %d rows %s", code, r, c.again, errs)
				}
				same(t, "the delta", f.mirrored(t, "sds-mirror.db", "current"), s.active())
			}
		})
	}
}

// An id that two rows have is a finding, not an end.
func TestTwins(t *testing.T) {
	t.Parallel()
	for _, collection := range []string{"users", "enrollments"} {
		s := sketched(t, 120)
		for i := range 60 {
			s.put("enrollments", fmt.Sprintf("e-%04d", i), "2026-08-01T09:00:00.000Z")
		}
		list := s.rows[collection]
		twin := wire.Object{"givenName": "Twin"}
		for name, v := range list[3] {
			if twin[name] == nil {
				twin[name] = v
			}
		}
		s.rows[collection] = append(slices.Clone(list), twin)
		f := s.front(t)
		for range 2 {
			r, errs, code := f.sync(t, "--full", "--results", "r.csv")
			results, _ := os.ReadFile(filepath.Join(f.dir, "r.csv"))
			if code != 0 || r.Status != "completedWithErrors" ||
				r.Collections[collection].Rows != len(s.rows[collection]) ||
				!strings.Contains(string(results), list[3].ID()+",SDS-G01,error") {
				t.Errorf("%d %+v %s%s", code, r, errs, results)
			}
		}
		// The delta that brings the id tells that one has it.
		s.rows[collection] = list
		s.put(collection, list[3].ID(), s.now())
		if _, errs, code := f.sync(t, "--prove", "--results", "r.csv"); code != 0 {
			t.Error(code, errs)
		}
		if results, _ := os.ReadFile(filepath.Join(f.dir, "r.csv")); strings.Contains(string(results),
			"SDS-G01") {
			t.Errorf("%s", results)
		}
	}
}

// A provider that gives fewer rows a page than are asked for is read to its end,
// though it tells no count.
func TestSmallPages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		uncounted, linked bool
		most              int
	}{{"counted", false, false, 20}, {"linked", true, true, 20}, {"neither", true, false, 20},
		{"neither, whole pages", true, false, 0}} {
		t.Run(c.name, func(t *testing.T) {
			s := sketched(t, 120)
			s.uncounted, s.linked, s.most = c.uncounted, c.linked, c.most
			f := s.front(t)
			for range 2 {
				if r, errs, code := f.sync(t, "--full", "--limit", "5000"); code != 0 ||
					r.Collections["users"].Rows != 120 {
					t.Errorf("%d %+v %s", code, r, errs)
				}
				same(t, c.name, f.mirrored(t, "sds-mirror.db", "current"), s.active())
			}
		})
	}
}

// A delta that would leave no enrollment at all stops before the mirror changes.
func TestDeltaThatRetiresAll(t *testing.T) {
	t.Parallel()
	s := sketched(t, 30)
	f := s.front(t)
	if _, errs, code := f.sync(t); code != 0 {
		t.Fatal(errs)
	}
	before := f.mirrored(t, "sds-mirror.db", "current")
	s.retire("enrollments", "enrollments-1")
	for range 2 {
		if _, errs, code := f.sync(t); code != 1 || !strings.Contains(errs,
			"the delta retires all 1 enrollments: nothing was changed") {
			t.Errorf("exit %d %s", code, errs)
		}
		same(t, "stopped", f.mirrored(t, "sds-mirror.db", "current"), before)
	}
}

// The result file is safe in a spreadsheet, and a folder that is not there is
// told by the flag's name.
func TestResultFile(t *testing.T) {
	t.Parallel()
	s := sketched(t, 3)
	s.rows["users"][0]["familyName"] = nil
	s.rows["users"][0]["phone"] = "=HYPERLINK(1)"
	f := s.front(t)
	if _, errs, code := f.sync(t, "--personal"); code != 0 {
		t.Fatal(errs)
	}
	text, err := os.ReadFile(filepath.Join(f.dir, "sds-results.csv"))
	if err != nil || !strings.Contains(string(text), "'=HYPERLINK(1)") || strings.Contains(string(text),
		",=HYPERLINK") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, errs, code := f.sync(t, "--results", "no-such-folder/x.csv"); code != 1 || !strings.Contains(errs,
		"--results no-such-folder/x.csv: ") {
		t.Errorf("exit %d %s", code, errs)
	}
}

// A run that fails leaves the findings of the one before, says why in JSON too, and names nobody, not
// even of an answer that was asked for again.
func TestFailedRunTellsNoName(t *testing.T) {
	t.Parallel()
	f := fronted(t, filepath.Join(t.TempDir(), "district.db"), "--students 20 --seed 1")
	if _, errs, code := f.sync(t); code != 0 {
		t.Fatal(errs)
	}
	results, before := filepath.Join(f.dir, "sds-results.csv"), "what the run before found"
	if err := os.WriteFile(results, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	half := `{"users":[{"sourcedId":"u1","givenName":"Rosalind"`
	f.set(replying(from(1), 200, "", half), nil)
	r, errs, code := f.sync(t, "--full", "--tries", "2")
	if after, err := os.ReadFile(results); err != nil || code != 1 || string(after) != before {
		t.Errorf("exit %d, %v: %s", code, err, after)
	}
	if !strings.Contains(errs, "trying again in") || strings.Contains(errs+r.Error, "Rosalind") ||
		!strings.Contains(r.Error, "tried 2 times") {
		t.Errorf("told %q and %q", errs, r.Error)
	}
	for _, name := range []string{"sds-mirror.db", "sds-results.csv"} {
		if info, err := os.Stat(filepath.Join(f.dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}

// A mirror that cannot grow is told as such, and goes on once it can.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := sketched(t, 2000)
	f := s.front(t)
	whole := program(f.dir, f.args()...)
	cmd := exec.Command("bash", append([]string{"-c", `ulimit -f 64; exec "$0" "$@"`}, whole.Args...)...)
	cmd.Dir, cmd.Env = whole.Dir, whole.Env
	out, _ := cmd.CombinedOutput() // the exit code tells
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out),
		"cannot be written: is the disk full?") {
		t.Errorf("%v\n%s", cmd.ProcessState, out)
	}
	if _, errs, code := f.sync(t); code != 0 {
		t.Fatal(errs)
	}
	same(t, "after the disk was full", f.mirrored(t, "sds-mirror.db", "current"), s.active())
}
