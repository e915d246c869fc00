package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"rollbook/internal/store/storetest"
)

// A schoolhouse is a demo that runs, and what a reader of its own sees of it.
type schoolhouse struct {
	*testing.T
	greeting
	dir, token string
}

func schoolhouseAt(t *testing.T, dsn string, students int) *schoolhouse {
	t.Helper()
	h := &schoolhouse{T: t, dir: t.TempDir()}
	h.greeting = demoed(t, h.dir, dsn, "--students", fmt.Sprint(students))
	h.token = newReader(t, "", h.TokenURL, h.ClientID, h.ClientSecret).token
	return h
}

// in is the schoolhouse in a subtest.
func (h schoolhouse) in(t *testing.T) *schoolhouse {
	h.T = t
	return &h
}

// grades runs the verb against the service itself, or against what stands in
// front of it.
func (h *schoolhouse) grades(front string, args ...string) (out, errs string, code int) {
	h.Helper()
	base, token := h.BaseURL, h.TokenURL
	if front != "" {
		base, token = front+"/ims/oneroster/v1p1", front+"/token"
	}
	return rollbook(h.T, h.dir, append([]string{"sync", "grades", base, "--token-url", token, "--client",
		h.ClientID, "--secret", h.ClientSecret, "--teacher", h.TeacherEmail}, args...)...)
}

// A slip is the receipt as its readers know it.
type slip struct {
	LineItems []struct {
		slipEntry
		Class          string
		ResultValueMax float64
		Results        []struct {
			slipEntry
			Student struct{ SourcedID, Name string }
			Score   float64
		}
	}
	Warnings []string
	Totals   struct{ LineItems, Results map[string]int }
}

type slipEntry struct {
	SourcedID, Status string
	Notes             []string
}

// receipt runs the verb, which must end well with these totals of line items
// and results.
func (h *schoolhouse) receipt(front, totals string, args ...string) slip {
	h.Helper()
	out, errs, code := h.grades(front, slices.Concat(args, []string{"--json"})...)
	var s slip
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 {
		h.Fatalf("%v: exit %d, %v\n%s%s", args, code, err, out, errs)
	}
	if got := fmt.Sprint(s.Totals.LineItems, s.Totals.Results); got != totals {
		h.Fatalf("%v: %s, wanted %s\n%s", args, got, totals, out)
	}
	return s
}

// classOfHers is the nth of the teacher's classes.
func (h *schoolhouse) classOfHers(n int) string {
	h.Helper()
	var teachers, classes map[string][]thing
	path := h.BaseURL + "/teachers?filter=" + url.QueryEscape("email='"+h.TeacherEmail+"'")
	if err := json.Unmarshal([]byte(ask(h.T, "GET", path, h.token, "", "")), &teachers); err != nil {
		h.Fatal(err)
	}
	id, _ := teachers["users"][0]["sourcedId"].(string)
	if err := json.Unmarshal([]byte(ask(h.T, "GET", h.BaseURL+"/teachers/"+id+"/classes", h.token, "", "")),
		&classes); err != nil {
		h.Fatal(err)
	}
	class, _ := classes["classes"][n]["sourcedId"].(string)
	return class
}

type thing map[string]any

func (o thing) ref(name string) string {
	m, _ := o[name].(map[string]any)
	id, _ := m["sourcedId"].(string)
	return id
}

func (h *schoolhouse) list(path, query string) map[string]thing {
	h.Helper()
	var body map[string][]thing
	if err := json.Unmarshal([]byte(ask(h.T, "GET", h.BaseURL+path+"?limit=50000"+query, h.token, "", "")),
		&body); err != nil {
		h.Fatal(err)
	}
	out := map[string]thing{}
	for _, objects := range body {
		for _, o := range objects {
			out[o["sourcedId"].(string)] = o
		}
	}
	return out
}

// gradebook is every object of the gradebook that a reader sees.
func (h *schoolhouse) gradebook() map[string]thing {
	out := map[string]thing{}
	for _, path := range []string{"/categories", "/lineItems", "/results"} {
		for id, o := range h.list(path, "") {
			out[path+"/"+id] = o
		}
	}
	return out
}

// differ names the objects that are not the same in both, dateLastModified
// included.
func differ(a, b map[string]thing) []string {
	var out []string
	for id := range a {
		if !reflect.DeepEqual(a[id], b[id]) {
			out = append(out, id)
		}
	}
	for id := range b {
		if a[id] == nil {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// put writes as a school's own system does.
func (h *schoolhouse) put(path, wrapper string, o thing) {
	h.Helper()
	text, err := json.Marshal(map[string]any{wrapper: o})
	if err != nil {
		h.Fatal(err)
	}
	r, _ := http.NewRequest("PUT", h.BaseURL+path, bytes.NewReader(text))
	r.Header.Set("Authorization", "Bearer "+h.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode/100 != 2 {
		h.Fatal(answer, err)
	}
	_ = answer.Body.Close()
}

// served checks that the service serves what a receipt says.
func (h *schoolhouse) served(s slip) {
	h.Helper()
	items, results := h.list("/lineItems", ""), h.list("/results", "")
	for _, it := range s.LineItems {
		o := items[it.SourcedID]
		if o.ref("class") != it.Class || o["resultValueMax"] != it.ResultValueMax {
			h.Errorf("line item %s is served as %v", it.SourcedID, o)
		}
		students := h.list("/classes/"+it.Class+"/students", "")
		for _, g := range it.Results {
			o := results[g.SourcedID]
			if o.ref("lineItem") != it.SourcedID && len(s.LineItems) > 0 &&
				!strings.HasPrefix(o.ref("lineItem"), it.SourcedID[:36]) ||
				o.ref("student") != g.Student.SourcedID || o["score"] != g.Score ||
				o["scoreStatus"] != "fully graded" {
				h.Errorf("%v is served as %v", g, o)
			}
			if students[g.Student.SourcedID] == nil {
				h.Errorf("%s is no student of %s", g.Student.SourcedID, it.Class)
			}
			delete(students, g.Student.SourcedID)
		}
		if len(students) > 0 {
			h.Errorf("%s: no grades for %v", it.SourcedID, students)
		}
	}
}

func TestGrades(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		h := schoolhouseAt(t, dsn, 300)
		before := h.gradebook()
		counter, counted := h.counting()

		first := h.receipt("", "map[created:3] map[created:75]")
		h.served(first)
		written := h.gradebook()
		graded := first.LineItems[0].Results[0].Student
		pupil := h.list("/students", "")[graded.SourcedID]
		name := fmt.Sprint(pupil["givenName"], " ", pupil["familyName"])
		if len(graded.Name) != len(name) || graded.Name == name {
			t.Errorf("%s is called %s", name, graded.Name)
		}
		if n := len(differ(before, written)); n != 78 {
			t.Errorf("78 objects were written, and %d differ", n)
		}

		h.receipt(counter, "map[unchanged:3] map[unchanged:75]")
		if d := differ(written, h.gradebook()); len(d) > 0 || counted("PUT") != 0 {
			t.Errorf("a second run changed %v with %d PUTs", d, counted("PUT"))
		}

		// The school corrects a grade: it stays, until it is forced.
		mark := first.LineItems[0].Results[0]
		path := "/results/" + mark.SourcedID
		corrected := thing{}
		for k, v := range written[path] {
			corrected[k] = v
		}
		corrected["score"] = 77.5
		h.put(path, "result", corrected)
		after := h.gradebook()
		again := h.receipt("", "map[unchanged:3] map[unchanged:75]")
		if notes := fmt.Sprint(again.LineItems[0].Results[0].Notes); !strings.Contains(notes, "there 77.5") {
			t.Errorf("the receipt says %s", notes)
		}
		if d := differ(after, h.gradebook()); len(d) > 0 {
			t.Errorf("a run over a correction changed %v", d)
		}
		h.served(h.receipt(counter, "map[overwritten:3] map[overwritten:75]", "--force"))
		if n := counted("PUT"); n != 78 {
			t.Errorf("--force sent %d PUTs for 78 objects", n)
		}
		forced := h.gradebook()
		if d := differ(after, forced); !slices.Equal(d, []string{path}) {
			t.Errorf("--force changed %v", d)
		}
		again = h.receipt("", "map[unchanged:3] map[unchanged:75]", "--personal")
		if got := again.LineItems[0].Results[0].Student.Name; got != name {
			t.Errorf("with --personal %s is called %s", name, got)
		}
		if d := differ(forced, h.gradebook()); len(d) > 0 {
			t.Errorf("the run after --force changed %v", d)
		}

		// Other options, other grades; and a burst.
		burst := h.receipt("", "map[created:8] map[created:200]", "--assignments", "8", "--seed", "2")
		h.served(burst)
		h.receipt("", "map[removed:8] map[removed:200]", "--assignments", "8", "--seed", "2", "--clean")
		if d := differ(forced, h.gradebook()); len(d) > 0 {
			t.Errorf("cleaning one seed changed %v", d)
		}

		// Somebody else's result in our line item keeps it.
		other := thing{"lineItem": thing{"sourcedId": first.LineItems[0].SourcedID},
			"student": thing{"sourcedId": mark.Student.SourcedID}, "score": 1}
		h.put("/results/of-somebody-else", "result", other)
		out, errs, code := h.grades("", "--clean", "--assignments", "1")
		if code != 1 || !strings.Contains(out, "it holds 1 results that this did not make") {
			t.Errorf("--clean over another's result: exit %d\n%s%s", code, out, errs)
		}
		if h.gradebook()["/results/of-somebody-else"] == nil {
			t.Error("--clean took another's result away")
		}
		h.delete("/results/of-somebody-else")

		h.receipt("", "map[removed:3] map[gone:25 removed:50]", "--clean")
		if d := differ(before, h.gradebook()); len(d) > 0 {
			t.Errorf("after --clean these are not as before: %v", d)
		}
		gone := h.list("/results", "&filter="+url.QueryEscape("status='tobedeleted'"))
		for _, it := range first.LineItems {
			for _, g := range it.Results {
				if gone[g.SourcedID] == nil {
					t.Errorf("a delta reader does not learn that %s is gone", g.SourcedID)
				}
			}
		}
		if s := h.receipt("", "map[gone:3] map[gone:75]",
			"--clean"); !strings.Contains(strings.Join(s.Warnings, " "),
			"nothing was found that these options make") {
			t.Errorf("cleaning twice: %v", s.Warnings)
		}

		// A class that is not there any more does not stand in the way.
		if s := h.receipt("", "map[gone:3] map[]", "--class", "no-such-class",
			"--clean"); len(s.Warnings) == 0 {
			t.Error("nothing is said of cleaning a class that is not there")
		}

		// What was made in another class of hers than the first is found.
		h.served(h.receipt("", "map[created:3] map[created:75]", "--class", h.classOfHers(1)))
		h.receipt("", "map[removed:3] map[removed:75]", "--clean")
		if d := differ(before, h.gradebook()); len(d) > 0 {
			t.Errorf("after cleaning another class these are not as before: %v", d)
		}
		h.served(h.receipt("", "map[created:3] map[created:75]"))
		h.receipt("", "map[unchanged:3] map[unchanged:75]", "--oauth1")
	})
}

// Classes of a group have a line item each, and a student who is in two of them
// one result, whose line item is that of the last write.
func TestGradesOfAGroup(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		students int
		totals   string
	}{{60, "one cohort, in both classes"}, {300, "two cohorts"}} {
		t.Run(c.totals, func(t *testing.T) {
			t.Run(storetest.All[i].Name, func(t *testing.T) {
				h := schoolhouseAt(t, storetest.All[i].Empty(t), c.students)
				before := h.gradebook()
				out, errs, code := h.grades("", "--group", h.ClassGroup, "--json")
				var s slip
				if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 {
					t.Fatalf("exit %d %s%s", code, out, errs)
				}
				h.served(s)
				var classes []string
				ids, people := map[string]bool{}, map[string]bool{}
				for _, it := range s.LineItems {
					classes = append(classes, it.Class)
					if !strings.HasSuffix(it.SourcedID, "-"+it.Class) {
						t.Errorf("line item %s of class %s", it.SourcedID, it.Class)
					}
					for _, g := range it.Results {
						ids[g.SourcedID], people[g.Student.SourcedID] = true, true
					}
				}
				group := h.list("/classGroups", "")[h.ClassGroup]
				if n := len(group["classes"].([]any)); len(classes) != 3*n || n < 2 {
					t.Errorf("line items of %v for the %d classes of %v", classes, n, group)
				}
				if len(ids) != 3*len(people) {
					t.Errorf("%d results for %d students", len(ids), len(people))
				}
				written := h.gradebook()
				if n := len(differ(before, written)); n != len(s.LineItems)+len(ids) {
					t.Errorf("%d objects differ", n)
				}
				if out, errs, code := h.grades("", "--group", h.ClassGroup); code != 0 ||
					strings.Contains(out, "stays") {
					t.Errorf("a second run: exit %d\n%s%s", code, out, errs)
				}
				if d := differ(written, h.gradebook()); len(d) > 0 {
					t.Errorf("a second run changed %v", d)
				}
				for _, arg := range []string{"--force", "--clean"} {
					if out, errs, code := h.grades("", "--group", h.ClassGroup, arg); code != 0 {
						t.Errorf("%s: %s%s", arg, out, errs)
					}
				}
				if d := differ(before, h.gradebook()); len(d) > 0 {
					t.Errorf("after --clean these are not as before: %v", d)
				}
			})
		})
	}
}

func (h *schoolhouse) delete(path string) {
	h.Helper()
	r, _ := http.NewRequest("DELETE", h.BaseURL+path, nil)
	r.Header.Set("Authorization", "Bearer "+h.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != 204 {
		h.Fatal(answer, err)
	}
	_ = answer.Body.Close()
}

// What goes over the wire is what Grade Sync sends, and all results of a sync
// are under way before the first is answered.
func TestGradesOnTheWire(t *testing.T) {
	t.Parallel()
	h := schoolhouseAt(t, filepath.Join(t.TempDir(), "district.db"), 300)
	var lock sync.Mutex
	var lines []string
	puts := map[string]thing{}
	tokens := 0
	arrived, all := 0, make(chan struct{})
	release := sync.OnceFunc(func() { close(all) })
	server := httptest.NewServer(h.behind(spoiler{ask: func(_ http.ResponseWriter, r *http.Request,
		body []byte) bool {
		lock.Lock()
		if r.Method == "PUT" {
			var o map[string]thing
			if err := json.Unmarshal(body, &o); err != nil {
				t.Error(err)
			}
			puts[r.URL.Path[strings.LastIndex(r.URL.Path, "/v1p1")+5:]] = o[map[bool]string{true: "result",
				false: "lineItem"}[strings.Contains(r.URL.Path, "/results/")]]
		}
		if len(puts) == 0 && !strings.Contains(r.URL.Path, "/lineItems/") {
			lines = append(lines, r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(),
				"/ims/oneroster/v1p1")+" "+string(body))
		}
		if r.URL.Path == "/token" {
			tokens++
			if id, secret, ok := r.BasicAuth(); !ok || id != h.ClientID || secret != h.ClientSecret {
				t.Error("the token is not asked for with a Basic header")
			}
		}
		isResult := r.Method == "PUT" && strings.Contains(r.URL.Path, "/results/")
		if isResult {
			if arrived++; arrived == 75 {
				release()
			}
		}
		lock.Unlock()
		if isResult {
			select {
			case <-all:
			case <-r.Context().Done(): // the client's patience is over
				release()
			}
		}
		return false
	}}))
	defer server.Close()
	h.receipt(server.URL, "map[created:3] map[created:75]", "--timeout", "20s")
	want := []string{
		"POST /token grant_type=client_credentials",
		"GET /teachers?limit=7000 ",
		"GET /teachers/tea-001-001/classes?limit=7000 ",
		"GET /categories?limit=7000 ",
		"GET /academicSessions?limit=5000&filter=type%3D%27gradingPeriod%27 ",
		"GET /classes/cls-001-001-1/students?limit=7000 ",
		"GET /enrollments?limit=5000&filter=classSourcedId%3D%27cls-001-001-1%27 ",
	}
	if !slices.Equal(lines, want) || tokens != 1 {
		t.Errorf("it reads\n%s", strings.Join(lines, "\n"))
	}
	fraction := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$`)
	keys := map[string]int{}
	for path, o := range puts {
		if o["status"] != nil || o["dateLastModified"] != nil ||
			o["sourcedId"] != path[strings.LastIndex(path, "/")+1:] {
			t.Errorf("PUT %s of %v", path, o)
		}
		for name, v := range o {
			keys[path[:strings.Index(path[1:], "/")+1]+" "+name]++
			if m, ok := v.(map[string]any); ok && (len(m) != 2 || m["sourcedId"] == "" || m["type"] == nil) {
				t.Errorf("PUT %s: %s is %v", path, name, m)
			}
			if text, ok := v.(string); ok && strings.HasSuffix(name, "Date") && !fraction.MatchString(text) {
				t.Errorf("PUT %s: %s is %s", path, name, text)
			}
		}
	}
	for key, n := range map[string]int{"/lineItems description": 3, "/lineItems dueDate": 1,
		"/lineItems category": 2, "/lineItems gradingPeriod": 3, "/results comment": 75,
		"/results scoreDate": 75} {
		if keys[key] != n {
			t.Errorf("%d of %s, wanted %d (all: %v)", keys[key], key, n, keys)
		}
	}
}
