package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	cmd := program(h.dir, "demo", "--json", "--students", fmt.Sprint(students), "--addr", "127.0.0.1:0", "--db", dsn)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(pipe).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &h.greeting) != nil {
		t.Fatalf("%s %v", line, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	answer := ask(t, "POST", h.TokenURL, "", h.ClientID, h.ClientSecret)
	_, h.token, _ = strings.Cut(answer, `"access_token":"`)
	h.token, _, _ = strings.Cut(h.token, `"`)
	return h
}

// grades runs the verb against the service itself, or against what stands in
// front of it.
func (h *schoolhouse) grades(front string, args ...string) (out, errs string, code int) {
	h.Helper()
	base, token := h.BaseURL, h.TokenURL
	if front != "" {
		base, token = front+"/ims/oneroster/v1p1", front+"/token"
	}
	return rollbook(h.T, h.dir, append([]string{"sync", "grades", base, "--token-url", token, "--client", h.ClientID, "--secret", h.ClientSecret, "--teacher", h.TeacherEmail}, args...)...)
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
	out, errs, code := h.grades(front, append(args, "--json")...)
	var s slip
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 {
		h.Fatalf("%v: exit %d, %v\n%s%s", args, code, err, out, errs)
	}
	if got := fmt.Sprint(s.Totals.LineItems, s.Totals.Results); got != totals {
		h.Fatalf("%v: %s, wanted %s\n%s", args, got, totals, out)
	}
	return s
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
	if err := json.Unmarshal([]byte(ask(h.T, "GET", h.BaseURL+path+"?limit=50000"+query, h.token, "", "")), &body); err != nil {
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
			if o.ref("lineItem") != it.SourcedID && len(s.LineItems) > 0 && !strings.HasPrefix(o.ref("lineItem"), it.SourcedID[:36]) || o.ref("student") != g.Student.SourcedID || o["score"] != g.Score || o["scoreStatus"] != "fully graded" {
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
	storetest.Engines(t, func(t *testing.T, dsn string) {
		h := schoolhouseAt(t, dsn, 300)
		before := h.gradebook()
		counter, counted := h.counting()

		first := h.receipt("", "map[created:3] map[created:75]")
		h.served(first)
		written := h.gradebook()
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
		h.receipt("", "map[unchanged:3] map[unchanged:75]")
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
		other := thing{"lineItem": thing{"sourcedId": first.LineItems[0].SourcedID}, "student": thing{"sourcedId": mark.Student.SourcedID}, "score": 1}
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
		h.receipt("", "map[gone:3] map[gone:75]", "--clean")
		h.served(h.receipt("", "map[created:3] map[created:75]"))
		h.receipt("", "map[unchanged:3] map[unchanged:75]", "--oauth1")
	})
}

// Classes of a group have a line item each, and a student who is in two of them
// one result, whose line item is that of the last write.
func TestGradesOfAGroup(t *testing.T) {
	for students, totals := range map[int]string{60: "one cohort, in both classes", 300: "two cohorts"} {
		t.Run(totals, func(t *testing.T) {
			storetest.Engines(t, func(t *testing.T, dsn string) {
				h := schoolhouseAt(t, dsn, students)
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
				if out, errs, code := h.grades("", "--group", h.ClassGroup); code != 0 || strings.Contains(out, "stays") {
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

// A spoiler stands before the service and spoils one thing.
type spoiler struct {
	ask    func(w http.ResponseWriter, r *http.Request, body []byte) bool // true: it has answered
	answer func(a *http.Response) error
}

func (h *schoolhouse) behind(f spoiler) http.Handler {
	target, _ := url.Parse(strings.TrimSuffix(h.BaseURL, "/ims/oneroster/v1p1"))
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = f.answer
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Del("Accept-Encoding")
		if f.ask == nil || !f.ask(w, r, body) {
			proxy.ServeHTTP(w, r)
		}
	})
}

// counting passes everything on and counts the calls of a method since it was
// asked last.
func (h *schoolhouse) counting() (address string, counted func(method string) int) {
	var lock sync.Mutex
	n := map[string]int{}
	server := httptest.NewServer(h.behind(spoiler{ask: func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		lock.Lock()
		defer lock.Unlock()
		n[r.Method]++
		return false
	}}))
	h.Cleanup(server.Close)
	return server.URL, func(method string) int {
		lock.Lock()
		defer lock.Unlock()
		defer delete(n, method)
		return n[method]
	}
}

// What goes over the wire is what Grade Sync sends, and all results of a sync
// are under way before the first is answered.
func TestGradesOnTheWire(t *testing.T) {
	h := schoolhouseAt(t, filepath.Join(t.TempDir(), "district.db"), 300)
	var lock sync.Mutex
	var lines []string
	puts := map[string]thing{}
	tokens := 0
	arrived, all := 0, make(chan struct{})
	release := sync.OnceFunc(func() { close(all) })
	server := httptest.NewServer(h.behind(spoiler{ask: func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		lock.Lock()
		if r.Method == "PUT" {
			var o map[string]thing
			if err := json.Unmarshal(body, &o); err != nil {
				t.Error(err)
			}
			puts[r.URL.Path[strings.LastIndex(r.URL.Path, "/v1p1")+5:]] = o[map[bool]string{true: "result", false: "lineItem"}[strings.Contains(r.URL.Path, "/results/")]]
		}
		if len(puts) == 0 && !strings.Contains(r.URL.Path, "/lineItems/") {
			lines = append(lines, r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), "/ims/oneroster/v1p1")+" "+string(body))
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
		if o["status"] != nil || o["dateLastModified"] != nil || o["sourcedId"] != path[strings.LastIndex(path, "/")+1:] {
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
	for key, n := range map[string]int{"/lineItems description": 3, "/lineItems dueDate": 1, "/lineItems category": 2, "/lineItems gradingPeriod": 3, "/results comment": 75, "/results scoreDate": 75} {
		if keys[key] != n {
			t.Errorf("%d of %s, wanted %d (all: %v)", keys[key], key, n, keys)
		}
	}
}

// unsigned is a token that nobody signed.
func unsigned(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part([]byte(claims)) + ".c2lnbmVk"
}

func granting(token string) spoiler {
	return spoiler{ask: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/token" {
			fmt.Fprintf(w, `{"access_token":%q,"token_type":"bearer","expires_in":3600}`, token)
			return true
		}
		return false
	}}
}

// answering replaces the answers to a method on paths that match.
func answering(method, path string, status int, body string, header ...string) spoiler {
	match := regexp.MustCompile(path)
	return spoiler{ask: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.Method != method || !match.MatchString(r.URL.Path) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}}
}

// sending changes what is PUT before it gets to the service.
func sending(wrapper string, spoil func(o thing)) spoiler {
	return spoiler{ask: func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		var o map[string]thing
		if r.Method == "PUT" && json.Unmarshal(body, &o) == nil && o[wrapper] != nil {
			spoil(o[wrapper])
			body, _ = json.Marshal(o)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		return false
	}}
}

// telling changes a list that the service answers with.
func telling(path, key string, spoil func(list []thing) []thing) spoiler {
	match := regexp.MustCompile(path)
	return spoiler{answer: func(a *http.Response) error {
		if a.Request.Method != "GET" || !match.MatchString(a.Request.URL.Path) {
			return nil
		}
		var o map[string][]thing
		if err := json.NewDecoder(a.Body).Decode(&o); err != nil {
			return err
		}
		o[key] = spoil(o[key])
		text, err := json.Marshal(o)
		a.Body = io.NopCloser(bytes.NewReader(text))
		a.ContentLength = int64(len(text))
		a.Header.Set("Content-Length", fmt.Sprint(len(text)))
		return err
	}}
}

// capped is a server that never lists more than n.
func capped(path string, n int) spoiler {
	return spoiler{ask: func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		if strings.HasSuffix(r.URL.Path, path) {
			q := r.URL.Query()
			q.Set("limit", fmt.Sprint(n))
			r.URL.RawQuery = q.Encode()
		}
		return false
	}}
}

// changed replaces the status and body of answers of a status.
func changed(path string, from, to int, body string) spoiler {
	match := regexp.MustCompile(path)
	return spoiler{answer: func(a *http.Response) error {
		if a.StatusCode == from && match.MatchString(a.Request.URL.Path) {
			a.StatusCode = to
			a.Body = io.NopCloser(strings.NewReader(body))
			a.ContentLength = int64(len(body))
			a.Header.Set("Content-Length", fmt.Sprint(len(body)))
		}
		return nil
	}}
}

func TestGradesThatFail(t *testing.T) {
	h := schoolhouseAt(t, filepath.Join(t.TempDir(), "district.db"), 300)
	const failure = `{"statusInfoSet":[{"imsx_codeMajor":"failure","imsx_description":"the tape is full"}]}`
	var one string // a student of her first class
	for id := range h.list("/classes/cls-001-001-1/students", "") {
		one = max(one, id)
	}
	var tries atomic.Int64
	ofOne := func(status int, body string) spoiler {
		return spoiler{ask: func(w http.ResponseWriter, r *http.Request, sent []byte) bool {
			if r.Method != "PUT" || !bytes.Contains(sent, []byte(`"`+one+`"`)) {
				return false
			}
			tries.Add(1)
			told := body
			if told == "" {
				told = string(sent)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, told)
			return true
		}}
	}
	for n, c := range []struct {
		name  string
		front spoiler
		args  string
		code  int
		want  []string // of both outputs
	}{
		{"nothing is wrong", spoiler{}, "", 0, []string{"3 created", "75 created", "slowest write"}},
		{"opaque token", granting("s3cret-opaque"), "", 1, []string{"is not a JWT", "answer with a signed JWT that has exp"}},
		{"JWT without exp", granting(unsigned(`{"sub":"x"}`)), "", 1, []string{"is a JWT without exp", "has ended already"}},
		{"JWT whose exp is a text", granting(unsigned(`{"exp":"soon"}`)), "", 1, []string{`has the exp "soon"`}},
		{"JWT that has ended", granting(unsigned(`{"exp":1700000000}`)), "", 1, []string{"ends at 2023-11-14T22:13:20Z", "asked for anew at every call"}},
		{"JWT of nobody, refused later", granting(unsigned(`{"exp":4000000000}`)), "", 1, []string{"GET", "/teachers?limit=7000: answered 401: "}},
		{"wrong secret", spoiler{}, "--secret wrong", 1, []string{"no token", "answered 401"}},
		{"token endpoint is a web page", answering("POST", "^/token$", 200, "<!DOCTYPE html><title>Log in</title>", "Content-Type", "text/html"), "", 1, []string{"no token", "a web page"}},
		{"token endpoint redirects", answering("POST", "^/token$", 302, "", "Location", "https://elsewhere.example"), "", 1, []string{"no token", "redirected (302) to https://elsewhere.example"}},
		{"teachers are a web page", answering("GET", "/teachers$", 200, "<html>Hello</html>", "Content-Type", "text/html"), "", 1, []string{"a web page"}},
		{"teachers are elsewhere", answering("GET", "/teachers$", 301, "", "Location", "/other"), "", 1, []string{"redirected (301) to /other: readers lose their credentials"}},
		{"teachers cut short, she is lost", capped("/teachers", 2), "--teacher NOBODY@x.example", 1, []string{"none of the 2 teachers", "2 of ", "never asks for a second page"}},
		{"teachers cut short, she is there", capped("/teachers", 2), "", 0, []string{"warning: GET", "never asks for a second page", "75 created"}},
		{"students cut short", capped("/students", 20), "", 0, []string{"20 of 25 came", "5 are lost to it", "60 created"}},
		{"two teachers", telling("/teachers$", "users", func(l []thing) []thing { l[1]["username"] = strings.ToUpper(h.TeacherEmail); return l }), "", 1,
			[]string{`2 teachers have the e-mail address or username "` + h.TeacherEmail + `"`, "(tea-001-001)", "(tea-001-002)", "needs exactly one"}},
		{"one of two has left", telling("/teachers$", "users", func(l []thing) []thing {
			l[1]["email"], l[1]["status"] = h.TeacherEmail, "tobedeleted"
			return l
		}), "", 0, []string{"75 created"}},
		{"unknown teacher", spoiler{}, "--teacher nobody@x.example", 1, []string{"none of the ", `"nobody@x.example"`}},
		{"another's class", spoiler{}, "--class cls-003-001-1", 1, []string{`does not teach class "cls-003-001-1"; hers are cls-001-001-1`}},
		{"unknown group", spoiler{}, "--group nosuch", 1, []string{`there is no class group "nosuch"`}},
		{"the filter of enrollments is not obeyed", telling("/enrollments$", "enrollments", func(l []thing) []thing {
			l[0]["class"] = thing{"sourcedId": "c9"}
			return l
		}), "", 0, []string{"is not obeyed", `is in class "c9"`}},
		{"the filter of sessions is not obeyed", telling("/academicSessions$", "academicSessions", func(l []thing) []thing { l[0]["type"] = "term"; return l }), "", 1, []string{"is a term"}},
		{"no grading periods", telling("/academicSessions$", "academicSessions", func([]thing) []thing { return []thing{} }), "", 0, []string{"there is no grading period", "75 created"}},
		{"200 for what is absent", changed("/lineItems/", 404, 200, "{}"), "", 1, []string{`answered 200 without the lineItem: Grade Sync takes any success for "it exists"`, "75 failed"}},
		{"200 for one that is deleted", changed("/results/", 404, 200, `{"result":{}}`), "", 1, []string{"3 created", "without the result", "75 failed"}},
		{"403 for what is absent", changed("/results/", 404, 403, failure), "", 1, []string{"answered 403: the tape is full. Grade Sync takes 404 for absent"}},
		{"500 for one student", ofOne(500, failure), "", 1, []string{"72 created, 3 failed", "(" + one + "): PUT http", "answered 500: the tape is full", "3 of the line items and results failed"}},
		{"201 for one student, not kept", ofOne(201, ""), "", 1, []string{"72 created, 3 failed", "(" + one + "): reading back: GET http", "was taken and is not there: 404"}},
		{"202 without a body, not kept", ofOne(202, " "), "", 1, []string{"72 created, 3 failed", "was taken and is not there: 404"}},
		{"the answer to a PUT is a web page", ofOne(200, "<html>"), "", 1, []string{"72 created, 3 failed", "this is not JSON"}},
		{"the answer to a PUT is of another kind", ofOne(201, `{"grade":{}}`), "", 1, []string{`the object is not under "result"; the answer has "grade"`}},
		{"a token that is no longer taken", ofOne(401, failure), "", 1, []string{"answered 401: the tape is full"}},
		{"a line item that is refused", answering("PUT", "/lineItems/", 422, failure), "", 1, []string{"answered 422: the tape is full", "not sent: its line item ", "3 failed", "75 failed"}},
		{"scores are rounded", sending("result", func(o thing) { o["score"] = math.Round(o["score"].(float64)) }), "", 1, []string{": score: sent ", ".25, read "}},
		{"comments are kept from others", sending("result", func(o thing) { o["comment"] = "Well done" }), "", 1, []string{`comment: sent "", read "Well done"`}},
		{"categories are dropped", sending("lineItem", func(o thing) { o["category"] = thing{"sourcedId": "cat-4"} }), "", 1, []string{`category: sent "cat-001-001-1", read "cat-4"`}},
		{"HTML is dropped", sending("lineItem", func(o thing) { o["description"] = "Read chapter 3" }), "", 1, []string{`description: sent "<div><p>Read <b>chapter 3</b>`, `read "Read chapter 3"`}},
		{"days are shifted", sending("result", func(o thing) { o["scoreDate"] = "2020-01-01" }), "", 1, []string{`scoreDate: sent "20`, `read "2020-01-01"`}},
		{"scoreDate comes back as a dateTime", telling("/results$", "results", func(l []thing) []thing {
			for _, o := range l {
				o["scoreDate"] = o["scoreDate"].(string) + "T23:59:00.000Z"
			}
			return l
		}), "", 0, []string{"75 created"}},
		{"a list lacks one", telling("/lineItems/.*/results$", "results", func(l []thing) []thing { return l[1:] }), "", 1, []string{"does not list it", "3 failed"}},
		{"a list shows another score", telling("/lineItems/.*/results$", "results", func(l []thing) []thing { l[0]["score"] = 1000; return l }), "", 1, []string{"/results: score: sent ", "read 1000"}},
		{"the class lists no line items", telling("/classes/[^/]*/lineItems$", "lineItems", func([]thing) []thing { return []thing{} }), "", 1, []string{"/lineItems does not list it", "3 failed"}},
		{"nothing to clean", spoiler{}, "--clean", 0, []string{"3 gone", "75 gone"}},
		{"nobody listens", spoiler{}, "--token-url http://127.0.0.1:1/token", 1, []string{"nobody listens at 127.0.0.1:1"}},
		{"no teacher", spoiler{}, "--teacher=", 2, []string{"give --teacher"}},
		{"no assignments", spoiler{}, "--assignments 0", 2, []string{"--assignments 0 is not between"}},
		{"class and group", spoiler{}, "--class a --group b", 2, []string{"exclude each other"}},
		{"clean and force", spoiler{}, "--clean --force", 2, []string{"exclude each other"}},
		{"no secret", spoiler{}, "--secret=", 2, []string{"a secret are needed"}},
		{"no URL", spoiler{}, "--token-url token", 2, []string{"is not an absolute URL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(h.behind(c.front))
			defer server.Close()
			out, errs, code := h.grades(server.URL, append([]string{"--seed", fmt.Sprint(1000 + n)}, strings.Fields(c.args)...)...)
			if code != c.code || strings.Count(errs, "\n") > 1 {
				t.Errorf("exit %d", code)
			}
			for _, want := range c.want {
				if !strings.Contains(out+errs, want) {
					t.Errorf("no %q", want)
				}
			}
			if strings.Contains(out+errs, h.ClientSecret) || strings.Contains(out+errs, "s3cret-opaque") {
				t.Error("a secret is told")
			}
			if t.Failed() {
				t.Logf("%s%s", out, errs)
			}
		})
	}
	if n := tries.Load(); n != 6*3 {
		t.Errorf("three results were sent %d times in six runs: Grade Sync tries nothing again", n)
	}
	t.Run("a certificate of nobody, then a trusted one", func(t *testing.T) {
		var newer atomic.Bool
		server := httptest.NewUnstartedServer(h.behind(spoiler{ask: func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			newer.CompareAndSwap(false, r.ProtoMajor != 1)
			return false
		}}))
		server.EnableHTTP2 = true
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of every client that hangs up
		server.StartTLS()
		defer server.Close()
		_, errs, code := h.grades(server.URL)
		if code != 1 || !strings.Contains(errs, "--ca FILE.pem") {
			t.Errorf("exit %d %s", code, errs)
		}
		ca := filepath.Join(h.dir, "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		h.receipt(server.URL, "map[created:3] map[created:75]", "--ca", ca, "--seed", "10")
		if newer.Load() {
			t.Error("HTTP/2 takes one connection for what the real client opens many for")
		}
	})
	t.Run("a deletion that deletes nothing", func(t *testing.T) {
		server := httptest.NewServer(h.behind(answering("DELETE", "/results/", 204, "")))
		defer server.Close()
		h.receipt("", "map[created:1] map[created:25]", "--seed", "9", "--assignments", "1")
		lazy := httptest.NewServer(h.behind(answering("DELETE", "/", 204, "")))
		defer lazy.Close()
		out, errs, code := h.grades(lazy.URL, "--clean", "--seed", "9", "--assignments", "1")
		if code != 1 || !strings.Contains(out, "answered 200 after it was deleted, not 404") || !strings.Contains(out, "25 failed") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
	})
}
