package gradesync_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/gradesync"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

var today = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// A school is a real district, served; spoil answers a request itself, or
// changes the service's answer.
type school struct {
	url, secret string
	teacher     string // her username

	lock  sync.Mutex
	asked []string // method and path below the base, and the body of a PUT
	spoil func(r *http.Request, path string, a *httptest.ResponseRecorder)
}

func open(t *testing.T) *school {
	t.Helper()
	src := sandbox.New(sandbox.Options{Students: 12, Seed: 1, Today: today})
	s := opened(t, src)
	if err := src.Each(t.Context(), oneroster.ByName("user"), func(r oneroster.Record) error {
		if r.ID() == "tea-001-001" {
			s.teacher = r.Get("username")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// opened serves what is imported, one source after the other.
func opened(t *testing.T, sources ...oneroster.Source) *school {
	t.Helper()
	s := &school{}
	district := storetest.Open(t, filepath.Join(t.TempDir(), "district.db"), store.Options{})
	for _, src := range sources {
		if _, err := district.Import(t.Context(), src, store.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	key := resttest.Key(t)
	s.secret = resttest.Admit(t, district, key, auth.Client{ID: "grades"})
	s.url = resttest.Listen(t, resttest.Spoiled(resttest.Service(t, district, key),
		func(r *http.Request, a *httptest.ResponseRecorder) {
			body, _ := io.ReadAll(r.Body)
			path := strings.TrimPrefix(r.URL.Path, oneroster.V1p1.Base)
			s.lock.Lock()
			defer s.lock.Unlock()
			s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+path+" "+string(body)))
			if s.spoil != nil {
				s.spoil(r, path, a)
			}
		}))
	return s
}

func replace(a *httptest.ResponseRecorder, old, fresh string) {
	a.Body = bytes.NewBufferString(strings.ReplaceAll(a.Body.String(), old, fresh))
}

// count counts what was asked with this beginning since it was forgotten last.
func (s *school) count(beginning string) (n int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, a := range s.asked {
		if strings.HasPrefix(a, beginning) {
			n++
		}
	}
	return n
}

type verb func(context.Context, *provider.Provider, gradesync.Options) (*gradesync.Receipt, error)

func (s *school) provider(t *testing.T, now func() time.Time) *provider.Provider {
	t.Helper()
	p, err := provider.New(provider.Config{URL: s.url + oneroster.V1p1.Base, TokenURL: s.url + "/token",
		Client: "grades", Secret: s.secret, Tries: 1, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *school) run(t *testing.T, do verb, change func(*gradesync.Options),
	now func() time.Time) (*gradesync.Receipt, error) {
	t.Helper()
	s.asked = nil
	opt := gradesync.Options{Teacher: s.teacher, Assignments: 3, Seed: 1, Today: "2026-11-25"}
	if change != nil {
		change(&opt)
	}
	return do(t.Context(), s.provider(t, now), opt)
}

// done is a run that comes to its end.
func (s *school) done(t *testing.T, do verb, change func(*gradesync.Options)) *gradesync.Receipt {
	t.Helper()
	r, err := s.run(t, do, change, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func totals(r *gradesync.Receipt) string { return fmt.Sprint(r.Totals.Items, r.Totals.Results) }

// What is written once is found the second time, overwritten where that is
// asked for, and gone when it is cleaned up, somebody else's grades excepted.
func TestWrittenFoundAndRemoved(t *testing.T) {
	s := open(t)
	for _, c := range []struct {
		name   string
		do     verb
		force  bool
		status gradesync.Status
		puts   bool
	}{
		{"first", gradesync.Sync, false, gradesync.Created, true},
		{"second", gradesync.Sync, false, gradesync.Unchanged, false},
		{"forced", gradesync.Sync, true, gradesync.Overwritten, true},
		{"clean", gradesync.Clean, false, gradesync.Removed, false},
		{"anew", gradesync.Sync, false, gradesync.Created, true},
	} {
		r := s.done(t, c.do, func(o *gradesync.Options) { o.Force = c.force })
		students := len(r.Items[0].Grades)
		want := fmt.Sprint(map[gradesync.Status]int{c.status: 3},
			map[gradesync.Status]int{c.status: 3 * students})
		if students == 0 || totals(r) != want || r.Failures() != 0 {
			t.Errorf("%s: %s, not %s", c.name, totals(r), want)
		}
		puts := 0
		if c.puts {
			puts = 3 + 3*students
		}
		if n := s.count("PUT "); n != puts {
			t.Errorf("%s: %d writes, not %d", c.name, n, puts)
		}
		if !strings.HasPrefix(r.Slowest.Call, "PUT ") && puts > 0 {
			t.Errorf("%s: the slowest write is %+v", c.name, r.Slowest)
		}
	}
	r := s.done(t, gradesync.Sync, func(o *gradesync.Options) { o.Seed = 2 })
	if r.Totals.Items[gradesync.Created] != 3 {
		t.Errorf("another seed: %s", totals(r))
	}
}

// What Grade Sync plans depends on the options only, and is sent as it sends it.
func TestPlan(t *testing.T) {
	s := open(t)
	r := s.done(t, gradesync.Sync, nil)
	items, category := 0, 0
	for _, a := range s.asked {
		if !strings.HasPrefix(a, "PUT /lineItems/") {
			continue
		}
		items++
		if strings.Contains(a, `"category"`) {
			category++
		}
		for member, there := range map[string]bool{`"status"`: false, `"dateLastModified"`: false,
			`"gradingPeriod":{"sourcedId":"` + r.GradingPeriod + `"`:          true,
			`"class":{"sourcedId":"` + r.Items[0].Class + `","type":"class"}`: true, `.1234567Z"`: true} {
			if strings.Contains(a, member) != there {
				t.Errorf("%s is in %s: not %v", member, a, there)
			}
		}
	}
	if items != 3 || category != 2 || r.GradingPeriod == "" {
		t.Errorf("%d line items, %d with a category, in %q", items, category, r.GradingPeriod)
	}
	for _, it := range r.Items {
		for _, g := range it.Grades {
			if g.Score < 0 || g.Score > float64(it.Max) || g.Student.ID == "" {
				t.Errorf("%+v of %d", g, it.Max)
			}
		}
	}
	again := open(t).done(t, gradesync.Sync, nil).Items[1]
	if was := r.Items[1]; again.ID != was.ID || again.Grades[0].Score != was.Grades[0].Score {
		t.Errorf("another time, another plan: %+v, not %+v", again, was)
	}
}

// A token must be a JWT with more than five minutes to live.
func TestFiveMinutes(t *testing.T) {
	s := open(t)
	now := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	jwt := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
	}
	left := func(d time.Duration) string { return jwt(fmt.Sprintf(`{"exp":%d}`, now.Add(d).Unix())) }
	for _, c := range []struct{ name, token, want string }{
		{"an hour", left(time.Hour), "401"}, // taken, and then refused by the service, which did not sign it
		{"five minutes and a second", left(5*time.Minute + time.Second), "401"},
		{"five minutes", left(5 * time.Minute), "in 5m0s: Grade Sync renews"},
		{"over", left(-time.Minute), "in -1m0s"},
		{"opaque", "abcdef", "is not a JWT"},
		{"no exp", jwt(`{}`), "a JWT without exp"},
		{"a text for exp", jwt(`{"exp":"soon"}`), "reads a number there"},
	} {
		s.spoil = func(r *http.Request, path string, a *httptest.ResponseRecorder) {
			if path == "/token" {
				a.Body = bytes.NewBufferString(fmt.Sprintf(`{"access_token":%q,"expires_in":3600}`, c.token))
			}
		}
		_, err := s.run(t, gradesync.Sync, nil, func() time.Time { return now })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if n := s.count("GET "); (n > 0) != (c.want == "401") {
			t.Errorf("%s: %d calls", c.name, n)
		}
	}
}

// Whatever a provider does with a write other than to take it is in the receipt.
func TestRefusedWrites(t *testing.T) {
	for _, c := range []struct {
		name   string
		at     string // a pattern of method and path
		code   int
		old    string // in the body, and what stands there instead
		new    string
		items  bool // that the line items fail
		marks  bool // that the results fail
		reason string
	}{
		{"nothing", "^NONE /lineItems/", 200, "", "", false, false, ""},
		{"line items refused", "^PUT /lineItems/", 422, "", "", true, true, "answered 422"},
		{"results refused", "^PUT /results/", 403, "", "", false, true, "answered 403"},
		{"a redirect", "^PUT /results/", 302, "", "", false, true, "answered 302"},
		{"a success for what is absent", "^GET /lineItems/", 200, "", "", true, true, "takes any success"},
		{"an error for what is absent", "^GET /results/", 500, "", "", false, true, "takes 404 for absent"},
		{"a score is lost", "^GET /results/", 0, `"score":`, `"was":`, false, true, "score: sent"},
		{"a title is cut", "^GET /lineItems/", 0, `(sample `, `(s`, true, false, "title: sent"},
		{"not in the list of the class", "^GET /classes/[^/]+/lineItems$", 0, `"sourcedId":"`,
			`"sourcedId":"x`, true, false, "does not list it"},
	} {
		s := open(t)
		at := regexp.MustCompile(c.at)
		s.spoil = func(r *http.Request, path string, a *httptest.ResponseRecorder) {
			switch {
			case !at.MatchString(r.Method + " " + path):
			case c.code != 0:
				a.Code, a.Body = c.code, bytes.NewBufferString(`{"why":"because"}`)
			default:
				replace(a, c.old, c.new)
			}
		}
		r := s.done(t, gradesync.Sync, func(o *gradesync.Options) { o.Assignments = 1 })
		items, marks := r.Totals.Items[gradesync.Failed] == 1,
			r.Totals.Results[gradesync.Failed] == len(r.Items[0].Grades)
		if items != c.items || marks != c.marks || (r.Failures() > 0) != (c.reason != "") {
			t.Errorf("%s: %s", c.name, totals(r))
		}
		notes := slices.Concat(r.Items[0].Notes, r.Items[0].Grades[0].Notes)
		if !strings.Contains(strings.Join(notes, "\n"), c.reason) {
			t.Errorf("%s: %q", c.name, notes)
		}
	}
}

// A line item that holds somebody else's results stays, and a removal that is
// not one is told.
func TestCleanUp(t *testing.T) {
	for _, c := range []struct {
		name, path string
		code       int
		reason     string
	}{
		{"refused", "DELETE /lineItems/", 403, "answered 403"},
		{"taken and not done", "DELETE /lineItems/", 204, "after it was deleted"},
		{"a promise", "DELETE /results/", 202, "a deletion is answered with 204"},
	} {
		s := open(t)
		s.done(t, gradesync.Sync, nil)
		s.spoil = func(r *http.Request, path string, a *httptest.ResponseRecorder) {
			if strings.HasPrefix(r.Method+" "+path, c.path) {
				a.Code = c.code
			} else if c.code == 204 && r.Method == http.MethodGet && strings.HasPrefix(path, "/lineItems/") {
				a.Code = 200
			}
		}
		r := s.done(t, gradesync.Clean, nil)
		notes, _ := json.Marshal(r.Items)
		if r.Failures() == 0 || !strings.Contains(string(notes), c.reason) {
			t.Errorf("%s: %s", c.name, notes)
		}
	}
	s := open(t)
	old := s.done(t, gradesync.Sync, nil).Items[0].Grades[0].ID
	s.spoil = func(r *http.Request, path string, a *httptest.ResponseRecorder) {
		replace(a, old, "foreign") // whoever made that
	}
	r := s.done(t, gradesync.Clean, nil)
	if r.Totals.Items[gradesync.Failed] != 1 || r.Totals.Items[gradesync.Removed] != 2 ||
		!strings.Contains(strings.Join(r.Items[0].Notes, ""), "holds 1 results that this did not make") {
		t.Errorf("%s, %q", totals(r), r.Items[0].Notes)
	}
	if n := s.count("DELETE /lineItems/" + r.Items[0].ID); n != 0 {
		t.Errorf("it is removed all the same")
	}
}

// The grading period is the one that covers the day: its first and its last one,
// and not the one after, which is its endDate. Beyond all it is the last.
func TestGradingPeriod(t *testing.T) {
	s := open(t)
	for day, want := range map[string]string{
		"2026-08-01": "per-2027-1-1",
		"2026-10-23": "per-2027-1-1",
		"2026-10-24": "per-2027-1-2", // the first one ends, the second one starts
		"2027-01-15": "per-2027-1-2",
		"2027-07-31": "per-2027-2-2",
		"2027-08-01": "per-2027-2-2, which does not cover it",
		"2026-07-31": "per-2026-2-2",
		"2020-01-01": "per-2027-2-2, which does not cover it",
	} {
		r := s.done(t, gradesync.Sync, func(o *gradesync.Options) { o.Today, o.Assignments = day, 1 })
		got := r.GradingPeriod
		if strings.Contains(strings.Join(r.Warnings, ""), "no grading period covers") {
			got += ", which does not cover it"
		}
		if got != want {
			t.Errorf("%s: %s, not %s", day, got, want)
		}
	}
}

// No student is passed over, or graded in the place of another, without a word.
func TestStudentsAreNotLost(t *testing.T) {
	row := regexp.MustCompile(`\{"sourcedId":"stu[^{}]*(\{[^{}]*\}[^{}]*)*\}`) // of a student
	for _, c := range []struct {
		name, path string // a pattern
		spoil      func(a *httptest.ResponseRecorder)
		told       string
	}{
		{"a next page", "/students$", func(a *httptest.ResponseRecorder) {
			a.Header().Del("X-Total-Count")
			a.Header().Set("Link", `<https://x.example/students?offset=4>; rel="next"`)
		}, "links to a next page"},
		{"ids that are numbers", "/students$", func(a *httptest.ResponseRecorder) {
			a.Body = bytes.NewBufferString(regexp.MustCompile(`"sourcedId":"(?:stu-0*|a)(\d+)"`).ReplaceAllString(
				a.Body.String(), `"sourcedId":$1`))
		}, "for a sourcedId, and not a text"},
		{"a student twice", "/students$", func(a *httptest.ResponseRecorder) {
			text := a.Body.String()
			a.Body = bytes.NewBufferString(strings.Replace(text, `{"users":[`, `{"users":[`+row.FindString(text)+",",
				1))
		}, " twice: Grade Sync would write"},
		{"a teacher without an id", "^/teachers$", func(a *httptest.ResponseRecorder) {
			replace(a, `"sourcedId":"tea`, `"id":"tea`)
		}, "has no sourcedId that is a text"},
		{"two results of each", "/lineItems/.*/results$", func(a *httptest.ResponseRecorder) {
			text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(a.Body.String()), `{"results":[`), "]}")
			again := strings.ReplaceAll(text, `{"sourcedId":"`, `{"sourcedId":"copy-`)
			a.Body = bytes.NewBufferString(`{"results":[` + text + "," + again + "]}")
		}, "does a PUT make two?"},
		{"another type of session", "/academicSessions$", func(a *httptest.ResponseRecorder) {
			replace(a, `{"academicSessions":[`, `{"academicSessions":[`+
				`{"sourcedId":"a","status":"active","type":"gradingPeriod","startDate":"2020-01-01","endDate":"2040-01-01"},`+
				`{"sourcedId":"b","status":"active","type":"term"},`)
		}, "is not obeyed: academicSession b is a term"},
	} {
		s := open(t)
		at := regexp.MustCompile(c.path)
		s.spoil = func(r *http.Request, path string, a *httptest.ResponseRecorder) {
			if r.Method == http.MethodGet && at.MatchString(path) && a.Code == http.StatusOK {
				c.spoil(a)
			}
		}
		r, err := s.run(t, gradesync.Sync, func(o *gradesync.Options) { o.Assignments = 1 }, nil)
		told := fmt.Sprint(err)
		if r != nil {
			told += strings.Join(r.Warnings, "\n")
			for _, g := range r.Items[0].Grades {
				told += strings.Join(g.Notes, "\n")
			}
		}
		if !strings.Contains(told, c.told) {
			t.Errorf("%s: %s", c.name, told)
		}
	}
}

// Rosters that Grade Sync would stumble over end the run, or are told.
func TestRosters(t *testing.T) {
	for _, c := range []struct {
		name, path, old, new string
		change               func(*gradesync.Options)
		err, warning         string
	}{
		{"nobody of that name", "", "", "", func(o *gradesync.Options) { o.Teacher = "nobody" },
			"none of the", ""},
		{"not her class", "", "", "", func(o *gradesync.Options) { o.Class = "no-such" },
			"does not teach class", ""},
		{"she is gone", "/teachers", `"status":"active"`, `"status":"tobedeleted"`, nil, "is tobedeleted",
			""},
		{"a term for a grading period", "/academicSessions", `"type":"gradingPeriod"`, `"type":"term"`, nil,
			"is not obeyed", ""},
		{"a date that is none", "/academicSessions", `"startDate":"2`, `"startDate":"x2`, nil,
			"Grade Sync ends here", ""},
		{"another day", "", "", "", func(o *gradesync.Options) { o.Today = "2031-01-01" }, "",
			"no grading period covers"},
		{"enrollments of other classes", "/enrollments", `"sourcedId":"cls-`, `"sourcedId":"other-`, nil, "",
			"is not obeyed"},
		{"a student without enrollment", "/enrollments", `"role":"student"`, `"role":"proctor"`, nil, "",
			"lists 4 students whom /enrollments with the filter classSourcedId="},
		{"a filter that brings nothing", "/enrollments", `{"enrollments":[{`, `{"enrollments":[],"more":[{`,
			nil, "",
			"GET /enrollments with the filter classSourcedId='cls-001-001-1' brought nothing, and class " +
				"cls-001-001-1 lists 4 students: does the filter know classSourcedId?"},
		{"categories are refused", "/categories", `{"categories"`, `{"other"`, nil, "the list is not under",
			""},
	} {
		s := open(t)
		s.spoil = func(r *http.Request, path string, a *httptest.ResponseRecorder) {
			if path == c.path {
				replace(a, c.old, c.new)
			}
		}
		r, err := s.run(t, gradesync.Sync, c.change, nil)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && !strings.Contains(strings.Join(r.Warnings, "\n"), c.warning) {
			t.Errorf("%s: %q", c.name, r.Warnings)
		}
		if n := s.count("PUT "); err != nil && n > 0 {
			t.Errorf("%s: %d writes", c.name, n)
		}
	}
}
