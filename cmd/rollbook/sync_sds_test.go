package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/store/storetest"
	"rollbook/internal/wire"
)

// A front stands before the real service: it sees what is asked, and may
// trouble the answers.
type front struct {
	*httptest.Server
	dir            string
	client, secret string

	lock sync.Mutex
	// path and decoded query of data requests, without the base
	asked []string
	// answers the nth data request itself; 0 is one for a token
	trouble func(n int, w http.ResponseWriter, r *http.Request) bool
	change  func(r *http.Request, path string, list *[]map[string]any) int // takes rows out of a list; how many
	without string                                                         // a header that no answer has
}

const base = "/ims/oneroster/v1p1"

// fronted imports packages and starts the service, and a front before it.
func fronted(t *testing.T, dsn string, packages ...string) *front {
	t.Helper()
	f := &front{dir: t.TempDir()}
	for i, made := range packages {
		name := fmt.Sprintf("p%d.zip", i)
		if _, errs, code := rollbook(t, f.dir, append([]string{"sandbox", name},
			strings.Fields(made)...)...); code != 0 {
			t.Fatal(errs)
		}
	}
	f.take(t, dsn, 0)
	out, _, _ := rollbook(t, f.dir, "client", "add", "sds", "--for", "all", "--json", "--db", dsn)
	var client struct{ ClientID, ClientSecret string }
	if err := json.Unmarshal([]byte(out), &client); err != nil {
		t.Fatal(err, out)
	}
	f.client, f.secret = client.ClientID, client.ClientSecret
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: serving(t, f.dir, dsn)})
	proxy.ModifyResponse = f.edit
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.lock.Lock()
		n, trouble := 0, f.trouble
		if path, isData := strings.CutPrefix(r.URL.Path, base); isData {
			query, _ := url.PathUnescape(r.URL.RawQuery)
			f.asked = append(f.asked, path+"?"+query)
			n = len(f.asked)
		}
		f.lock.Unlock()
		if f.without != "" {
			w.Header()[f.without] = nil // or the server adds its own
		}
		if trouble != nil && trouble(n, w, r) {
			return
		}
		r.Header.Del("Accept-Encoding") // bodies are to be read
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// take imports one of the packages.
func (f *front) take(t *testing.T, dsn string, n int) {
	t.Helper()
	out, errs, code := rollbook(t, f.dir, "import", "--json", "--new", fmt.Sprintf("p%d.zip", n), "--db", dsn)
	if code == exitHeld { // as it should be: it is another district
		var held struct{ Publication int }
		if err := json.Unmarshal([]byte(out), &held); err != nil {
			t.Fatal(err, out)
		}
		_, errs, code = rollbook(t, f.dir, "publish", fmt.Sprint(held.Publication), "--db", dsn)
	}
	if code != 0 {
		t.Fatal(errs)
	}
}

// set changes how answers are troubled, and forgets what was asked.
func (f *front) set(trouble func(int, http.ResponseWriter, *http.Request) bool, change func(*http.Request,
	string, *[]map[string]any) int) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.asked, f.trouble, f.change = nil, trouble, change
}

func (f *front) requests() []string {
	f.lock.Lock()
	defer f.lock.Unlock()
	return slices.Clone(f.asked)
}

// edit lets change take rows out of the lists, and their number out of the count.
func (f *front) edit(a *http.Response) error {
	f.lock.Lock()
	change := f.change
	a.Header.Del(f.without)
	f.lock.Unlock()
	if change == nil || a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Request.URL.Path, base) {
		return nil
	}
	var lists map[string][]map[string]any
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, &lists) == nil {
		for key, list := range lists {
			total, _ := strconv.Atoi(a.Header.Get("X-Total-Count"))
			a.Header.Set("X-Total-Count", strconv.Itoa(total-change(a.Request,
				strings.TrimPrefix(a.Request.URL.Path, base), &list)))
			lists[key] = list
		}
		if body, err = json.Marshal(lists); err != nil {
			return err
		}
	}
	a.Body, a.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	a.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// args is the command line of a sync through the front.
func (f *front) args(args ...string) []string {
	return append([]string{"sync", "sds", f.URL + base, "--limit", "50", "--token-url", f.URL + "/token",
		"--client", f.client, "--secret", f.secret, "--wait", "10ms", "--json"}, args...)
}

// A told is what --json tells.
type told struct {
	Status, Kind, Error string
	Resumed             bool
	Counts              map[string]int
	Collections         map[string]struct{ Rows, Added, Changed, Same, Retired int }
	Proof               *struct {
		Compared    int
		Settled     int
		Differences []struct{ Resource, SourcedID, Field, Mirror, Provider string }
	}
}

func (f *front) sync(t *testing.T, args ...string) (r told, errs string, code int) {
	t.Helper()
	out, errs, code := rollbook(t, f.dir, f.args(args...)...)
	if out != "" {
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err, out)
		}
	}
	return r, errs, code
}

// mirrored is what a mirror holds: resource and id to content.
func (f *front) mirrored(t *testing.T, file, way string) map[string]string {
	t.Helper()
	m, err := mirror.Open(context.Background(), filepath.Join(f.dir, file), f.URL+base, way)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out := map[string]string{}
	for _, r := range oneroster.Resources() {
		if r.Gradebook || r.Extension {
			continue
		}
		err := m.Each(context.Background(), r, func(o wire.Object) error {
			out[r.Name+" "+o.ID()] = o.Canonical()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// served is what the service holds, read in one piece each.
func (f *front) served(t *testing.T, plurals ...string) map[string]string {
	t.Helper()
	token := ask(t, "POST", f.URL+"/token", "", f.client, f.secret)
	_, token, _ = strings.Cut(token, `"access_token":"`)
	token, _, _ = strings.Cut(token, `"`)
	out := map[string]string{}
	for _, plural := range plurals {
		var lists map[string][]wire.Object
		body := ask(t, "GET", f.URL+base+"/"+plural+"?limit=50000&filter=status%3D%27active%27", token, "",
			"")
		dec := json.NewDecoder(strings.NewReader(body))
		dec.UseNumber()
		if err := dec.Decode(&lists); err != nil {
			t.Fatal(err)
		}
		for _, list := range lists {
			for _, o := range list {
				out[oneroster.ByName(plural).Name+" "+o.ID()] = o.Canonical()
			}
		}
	}
	return out
}

var pulled = []string{"academicSessions", "orgs", "users", "classes", "enrollments", "courses",
	"demographics"}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	wrong := 0
	for key := range want {
		if got[key] != want[key] {
			if wrong++; wrong < 5 {
				t.Errorf("%s, %s: %s, wanted %s", what, key, got[key], want[key])
			}
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			if wrong++; wrong < 5 {
				t.Errorf("%s: %s is too much", what, key)
			}
		}
	}
	if len(want) == 0 {
		t.Errorf("%s: nothing to compare", what)
	}
}

// A full pull, then what has changed since: the mirror is what is served.
func TestSyncSDS(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		f := fronted(t, dsn, "--students 60 --seed 1", "--students 56 --seed 2")
		r, errs, code := f.sync(t, "--demographics", "--contacts")
		if code != 0 || r.Kind != "full" || r.Counts["students"] != 60 || r.Counts["contacts"] != 30 ||
			r.Counts["errors"] != 0 {
			t.Fatalf("full: %d %+v %s", code, r, errs)
		}
		same(t, "full", f.mirrored(t, "sds-mirror.db", "current"), f.served(t, pulled...))
		asked := f.requests()
		want := "/academicSessions?offset=0&limit=50&filter=status='active'"
		if asked[0] != want || !slices.Contains(asked, "/users?offset=50&limit=50&filter=status='active'") {
			t.Errorf("asked %s, wanted %s first", strings.Join(asked, "\n"), want)
		}

		f.take(t, dsn, 1)
		f.set(nil, nil)
		r, errs, code = f.sync(t, "--demographics", "--contacts")
		if code != 0 || r.Kind != "delta" || r.Counts["students"] != 56 ||
			r.Collections["users"].Retired == 0 || r.Collections["users"].Changed == 0 {
			t.Fatalf("delta: %d %+v %s", code, r, errs)
		}
		for _, a := range f.requests() {
			if !strings.Contains(a, "&limit=50&filter=dateLastModified>'20") || !strings.HasSuffix(a, "Z'") {
				t.Errorf("asked %s in a delta", a)
			}
		}
		same(t, "delta", f.mirrored(t, "sds-mirror.db", "current"), f.served(t, pulled...))

		if r, errs, code = f.sync(t, "--prove", "--demographics"); code != 0 ||
			len(r.Proof.Differences) != 0 || r.Proof.Compared < 500 {
			t.Errorf("prove: %d %+v %s", code, r.Proof, errs)
		}
		out, errs, code := rollbook(t, f.dir, "sync", "sds", f.URL+base, "--history", "--json")
		if code != 0 || strings.Count(out, `"status":"completed"`) != 3 {
			t.Errorf("history: %d %s %s", code, out, errs)
		}
		if _, errs, code = rollbook(t, f.dir, "sync", "sds", "http://other.example/x",
			"--history"); code != 1 || !strings.Contains(errs, "a file of its own") {
			t.Errorf("another URL: %d %s", code, errs)
		}
	})
}

// hide takes one object out of the lists.
func hide(list *[]map[string]any, id string) int {
	before := len(*list)
	*list = slices.DeleteFunc(*list, func(o map[string]any) bool { return o["sourcedId"] == id })
	return before - len(*list)
}

// A provider whose deltas leave something out is caught, and what it left out
// is named.
func TestProve(t *testing.T) {
	t.Parallel()
	const liar, vanished = "stu-000005", "stu-000007"
	for _, c := range []struct {
		name, want string
		after      int // the package of the second run
		trouble    func(int, http.ResponseWriter, *http.Request) bool
		change     func(*http.Request, string, *[]map[string]any) int
	}{
		{"a row left out of deltas", "user " + liar, 1, nil, func(r *http.Request, path string,
			list *[]map[string]any) int {
			if strings.Contains(r.URL.RawQuery, "dateLastModified") {
				return hide(list, liar)
			}
			return 0
		}},
		{"a row deleted for good", "user " + vanished, 0, func(_ int, w http.ResponseWriter,
			r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/users/"+vanished) {
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			return false
		}, func(_ *http.Request, path string, list *[]map[string]any) int {
			if path == "/users" {
				return hide(list, vanished)
			}
			return 0
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "district.db")
			f := fronted(t, dsn, "--students 60 --seed 1", "--students 60 --seed 2")
			if _, errs, code := f.sync(t); code != 0 {
				t.Fatal(errs)
			}
			f.take(t, dsn, c.after)
			f.set(c.trouble, c.change)
			r, errs, code := f.sync(t, "--prove", "--limit", "5000")
			if code != 1 || !strings.Contains(errs, "do not equal a full pull") || r.Proof == nil {
				t.Fatalf("exit %d %s", code, errs)
			}
			for _, d := range r.Proof.Differences {
				if d.Resource+" "+d.SourcedID != c.want || d.Mirror == d.Provider {
					t.Errorf("%+v, wanted %s only", d, c.want)
				}
			}
			if len(r.Proof.Differences) == 0 {
				t.Error("no difference was named")
			}
			f.set(nil, nil)
			if r, errs, code := f.sync(t, "--full", "--prove"); code != 0 || len(r.Proof.Differences) != 0 {
				t.Errorf("told the truth: %d %+v %s", code, r.Proof, errs)
			}
		})
	}
}
