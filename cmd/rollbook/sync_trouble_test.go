package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// answer is a trouble that answers the requests that when picks.
func replying(when func(n int) bool, status int, header, body string) func(int, http.ResponseWriter,
	*http.Request) bool {
	return func(n int, w http.ResponseWriter, r *http.Request) bool {
		if !when(n) {
			return false
		}
		for _, h := range strings.Split(header, "\n") {
			if name, value, ok := strings.Cut(h, ": "); ok {
				w.Header().Set(name, value)
			}
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the reader may have gone
		return true
	}
}

func nth(of ...int) func(int) bool  { return func(n int) bool { return slices.Contains(of, n) } }
func from(first int) func(int) bool { return func(n int) bool { return n >= first } }

// breakOff promises more than it sends.
func breakOff(when func(int) bool) func(int, http.ResponseWriter, *http.Request) bool {
	return func(n int, w http.ResponseWriter, r *http.Request) bool {
		if when(n) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"users":[{"sourcedId":"u1"`))
			_ = http.NewResponseController(w).Flush() // so that the answer has begun
			panic(http.ErrAbortHandler)
		}
		return false
	}
}

// instead asks the service another query.
func instead(old, other string) func(int, http.ResponseWriter, *http.Request) bool {
	return func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/users") && strings.Contains(r.URL.RawQuery, "offset=") {
			before, after, _ := strings.Cut(r.URL.RawQuery, old)
			_, after, _ = strings.Cut(after, "&")
			r.URL.RawQuery = before + other + "&" + after
		}
		return false
	}
}

func ofUsers(change func(*[]map[string]any) int) func(*http.Request, string, *[]map[string]any) int {
	return func(r *http.Request, path string, list *[]map[string]any) int {
		if path != "/users" {
			return 0
		}
		return change(list)
	}
}

// overlapping gives the last user of the first page once more, in place of the
// next.
func overlapping() func(*http.Request, string, *[]map[string]any) int {
	var last map[string]any
	return func(r *http.Request, path string, list *[]map[string]any) int {
		switch {
		case path != "/users" || len(*list) == 0:
		case strings.Contains(r.URL.RawQuery, "offset=0&"):
			last = (*list)[len(*list)-1]
		case strings.Contains(r.URL.RawQuery, "offset=50&"):
			(*list)[0] = last
		}
		return 0
	}
}

// Whatever a provider does, a run ends with what an undisturbed one ends with,
// or says what stands in the way, leaves the mirror as it was, and the next run
// does what it could not.
func TestTroubledProviders(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "district.db")
	f := fronted(t, dsn, "--students 60 --seed 1", "--students 60 --seed 2")
	if _, errs, code := f.sync(t, "--mirror", "before.db"); code != 0 {
		t.Fatal(errs)
	}
	before := f.mirrored(t, "before.db", "current")
	f.take(t, dsn, 1)
	after := f.served(t, pulled[:6]...)
	if maps.Equal(before, after) {
		t.Fatal("the packages do not differ")
	}
	file, err := os.ReadFile(filepath.Join(f.dir, "before.db"))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		name    string
		trouble func(int, http.ResponseWriter, *http.Request) bool
		change  func(*http.Request, string, *[]map[string]any) int
		errs    string // "" ends as if nothing had been
	}{
		{"nothing", nil, nil, ""},
		{"busy", replying(nth(2), 429, "Retry-After: 0", "slow down"), nil, ""},
		{"down for a moment", replying(nth(2, 3), 503, "", "down"), nil, ""},
		{"down", replying(from(4), 503, "", "down"), nil, "answered 503: down (tried 5 times)"},
		{"hangs up within an answer", breakOff(nth(3, 4)), nil, ""},
		{"always hangs up", breakOff(from(3)), nil, "broke off"},
		{"half of an answer, looking whole",
			replying(nth(3), 200, "Content-Type: application/json\nX-Total-Count: 0",
				`{"users":[{"sourcedId":`), nil, ""},
		{"the token has ended", replying(nth(5), 401, `WWW-Authenticate: Bearer error="invalid_token"`,
			"{}"), nil, ""},
		{"the token is never taken", replying(from(5), 401, "", "no"), nil, "answered 401"},
		{"no token for a moment", twiceForTokens(), nil, ""},
		{"a login page", replying(nth(3), 200, "Content-Type: text/html", "<!DOCTYPE html><p>Log in"), nil,
			"a web page"},
		{"a redirect", replying(nth(3), 302, "Location: https://login.example.org/", ""), nil,
			"redirected (302) to https://login.example.org/"},
		{"another kind of list", replying(nth(3), 200, "X-Total-Count: 0", `{"people":[]}`), nil,
			`the list is not under "users"`},
		{"empty at once", emptied("/users"), nil, "SDS-X01: users came empty, and the mirror has"},
		{"far fewer", instead("filter=", "filter=role='student'"), nil, "more than 10 % fewer"},
		{"fewer than it says", nil, ofUsers(func(list *[]map[string]any) int {
			hide(list, "stu-000009")
			return 0
		}), "says by X-Total-Count that it has"},
		{"a row on two pages", nil, overlapping(), "rows are given on two pages"},
		{"counts too many", nil, ofUsers(func(*[]map[string]any) int { return -1 }),
			"or the count is not of all rows"},
		{"no heed to offset", instead("offset=", "offset=0"), nil, "pays no heed to offset"},
		{"smaller pages than asked for", instead("limit=", "limit=20"), nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := fmt.Sprintf("m%d.db", i)
			if err := os.WriteFile(filepath.Join(f.dir, name), file, 0o600); err != nil {
				t.Fatal(err)
			}
			f.set(c.trouble, c.change)
			r, errs, code := f.sync(t, "--full", "--mirror", name)
			if c.errs == "" {
				if code != 0 || r.Status != "completed" {
					t.Errorf("exit %d, %s: %s", code, r.Status, errs)
				}
				same(t, c.name, f.mirrored(t, name, "current"), after)
				return
			}
			if code != 1 || r.Status != "failed" || !strings.Contains(errs, c.errs) {
				t.Errorf("exit %d, %s: no %q in %s", code, r.Status, c.errs, errs)
			}
			same(t, c.name, f.mirrored(t, name, "current"), before)
			f.set(nil, nil)
			if _, errs, code := f.sync(t, "--full", "--mirror", name); code != 0 {
				t.Errorf("the run after it: %d %s", code, errs)
			}
			same(t, "the run after it", f.mirrored(t, name, "current"), after)
		})
	}
	// A new provider that has nothing is no district.
	f.set(emptied("/enrollments"), nil)
	if _, errs, code := f.sync(t, "--mirror", "new.db"); code != 1 || !strings.Contains(errs,
		"SDS-X01: enrollments came empty") {
		t.Errorf("a new mirror: %d %s", code, errs)
	}
}

func twiceForTokens() func(int, http.ResponseWriter, *http.Request) bool {
	asked := 0
	return func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 0 {
			asked++
		}
		return n == 0 && asked < 3 && replying(nth(0), 503, "", "no tokens now")(n, w, r)
	}
}

func emptied(path string) func(int, http.ResponseWriter, *http.Request) bool {
	return func(n int, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != base+path {
			return false
		}
		return replying(nth(n), 200, "Content-Type: application/json\nX-Total-Count: 0", `{"`+path[1:]+
			`":[]}`)(n, w, r)
	}
}

// Killed in the middle, a run goes on where it was, and half of a pull is never
// the mirror.
func TestKilledSync(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "district.db")
	f := fronted(t, dsn, "--students 60 --seed 1", "--students 66 --seed 1") // grows: nothing moves up
	if _, errs, code := f.sync(t); code != 0 {
		t.Fatal(errs)
	}
	before := f.mirrored(t, "sds-mirror.db", "current")
	f.take(t, dsn, 1)
	after := f.served(t, pulled[:6]...)
	for at, signal := range map[int]os.Signal{1: os.Kill, 4: os.Kill, 5: os.Interrupt, 13: os.Kill} {
		cmd := program(f.dir, f.args("--full")...)
		var said bytes.Buffer
		cmd.Stderr = &said
		started := make(chan *os.Process, 1)
		f.set(func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == at {
				_ = (<-started).Signal(signal) // it may have ended just now
				<-r.Context().Done()           // the connection ends with the process
			}
			return n >= at
		}, nil)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started <- cmd.Process
		_ = cmd.Wait() // killed
		if signal == os.Interrupt && (cmd.ProcessState.ExitCode() != 130 || !strings.Contains(said.String(),
			"the mirror holds no half of a pull, and the next run goes on from here\nrollbook: interrupted")) {
			t.Errorf("Ctrl-C: %v %s", cmd.ProcessState, said.String())
		}
		same(t, "killed", f.mirrored(t, "sds-mirror.db", "current"), before)
		first := f.requests()
		f.set(nil, nil)
		r, errs, code := f.sync(t) // --full need not be said again
		if code != 0 || r.Kind != "full" || at > 1 && !r.Resumed {
			t.Fatalf("killed at %d: %d %+v %s", at, code, r, errs)
		}
		second := f.requests()
		if second[0] != first[at-1] {
			t.Errorf("killed at %d: went on with %s, not %s", at, second[0], first[at-1])
		}
		for _, a := range first[:at-1] {
			if slices.Contains(second, a) {
				t.Errorf("killed at %d: %s was asked again", at, a)
			}
		}
		same(t, "went on", f.mirrored(t, "sds-mirror.db", "current"), after)
		f.take(t, dsn, 0)
		if _, errs, code := f.sync(t); code != 0 {
			t.Fatal(errs)
		}
		before = f.mirrored(t, "sds-mirror.db", "current")
		f.take(t, dsn, 1)
		after = f.served(t, pulled[:6]...)
	}
}

// A provider that tells no time, or no counts, is read all the same.
func TestSilentProviders(t *testing.T) {
	t.Parallel()
	for without, note := range map[string]string{"Date": "", "X-Total-Count": "cannot be told"} {
		t.Run(without, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "district.db")
			f := fronted(t, dsn, "--students 60 --seed 1", "--students 50 --seed 2")
			f.without = without
			for i, kind := range []string{"full", "delta"} {
				if i > 0 {
					f.take(t, dsn, i)
				}
				r, errs, code := f.sync(t)
				if code != 0 || r.Kind != kind || !strings.Contains(errs, note) ||
					(kind == "delta") != strings.Contains(errs, "the delta retires 15 of the 106 users") {
					t.Errorf("%d %+v %s", code, r, errs)
				}
				if n := strings.Count(errs, "has no X-Total-Count"); n > 1 {
					t.Errorf("said %d times: %s", n, errs)
				}
				f.without = ""
				same(t, kind, f.mirrored(t, "sds-mirror.db", "current"), f.served(t, pulled[:6]...))
				f.without = without
			}
		})
	}
}

// A provider that never holds still is read three times, and said to be so.
func TestRestlessProvider(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "district.db")
	f := fronted(t, dsn, "--students 60 --seed 1", "--students 60 --seed 2")
	turn := 0
	f.set(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/users") && strings.Contains(r.URL.RawQuery, "offset=50") {
			turn++
			f.take(t, dsn, turn%2)
		}
		return false
	}, nil)
	r, errs, code := f.sync(t)
	if code != 0 || r.Kind != "full" || !strings.Contains(errs, "changed each of the 3 times") || turn != 3 {
		t.Errorf("%d %+v after %d: %s", code, r, turn, errs)
	}
	f.set(nil, nil)
	if r, errs, code := f.sync(t, "--prove"); code != 0 || len(r.Proof.Differences) > 0 {
		t.Errorf("%d %+v %s", code, r, errs)
	}
}

// Two runs cannot share a mirror.
func TestTwoSyncs(t *testing.T) {
	t.Parallel()
	f := fronted(t, filepath.Join(t.TempDir(), "district.db"), "--students 60 --seed 1")
	second := ""
	f.set(func(n int, _ http.ResponseWriter, _ *http.Request) bool {
		if n == 3 {
			_, second, _ = f.sync(t)
		}
		return false
	}, nil)
	if r, errs, code := f.sync(t); code != 0 || r.Status != "completed" || !strings.Contains(second,
		"another run is using it") {
		t.Errorf("%d %s; the second: %s", code, errs, second)
	}
	// A provider that lacks what is optional.
	f.set(func(n int, w http.ResponseWriter, r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/courses") && replying(nth(n), 404, "", "{}")(n, w, r)
	}, nil)
	if _, errs, code := f.sync(t, "--mirror", "new.db"); code != 1 || !strings.Contains(errs,
		"--courses=false") {
		t.Errorf("%d %s", code, errs)
	}
	if r, errs, code := f.sync(t, "--mirror", "new.db", "--courses=false"); code != 0 ||
		r.Status != "completed" {
		t.Errorf("%d %+v %s", code, r, errs)
	}
}

// Rows that are retired while a collection is read move the others up: the
// collection is read again, and nobody slips through.
func TestProviderMovesMeanwhile(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "district.db")
	f := fronted(t, dsn, "--students 60 --seed 1", "--students 50 --seed 1")
	moved := false
	f.set(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if !moved && strings.HasSuffix(r.URL.Path, "/users") && strings.Contains(r.URL.RawQuery,
			"offset=50") {
			moved = true
			f.take(t, dsn, 1)
		}
		return false
	}, nil)
	if _, errs, code := f.sync(t); code != 0 {
		t.Fatal(errs)
	}
	asked := f.requests()
	first := slices.Index(asked, "/users?offset=0&limit=50&filter=status='active'")
	if !slices.Contains(asked[first+1:], asked[first]) || !strings.Contains(strings.Join(asked, "\n"),
		"/users?limit=1&filter=dateLastModified>'") {
		t.Errorf("users were not read again: %s", strings.Join(asked, "\n"))
	}
	f.set(nil, nil)
	r, errs, code := f.sync(t, "--prove")
	if code != 0 || r.Kind != "delta" || len(r.Proof.Differences) > 0 {
		t.Errorf("%d %+v %s", code, r, errs)
	}
	// It moves between the delta and the full pull that is held against it.
	moved = false
	f.set(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if !moved && strings.HasSuffix(r.URL.Path, "/users") && strings.Contains(r.URL.RawQuery, "status") {
			moved = true
			f.take(t, dsn, 0)
		}
		return false
	}, nil)
	if r, errs, code = f.sync(t, "--prove"); code != 0 || len(r.Proof.Differences) > 0 ||
		r.Proof.Settled == 0 {
		t.Errorf("%d %+v %s", code, r.Proof, errs)
	}
	same(t, "after it moved", f.mirrored(t, "sds-mirror.db", "current"), f.served(t, pulled[:6]...))
}

// The classic way reads school by school, and finds in the schools what the
// current way finds.
func TestClassic(t *testing.T) {
	t.Parallel()
	f := fronted(t, filepath.Join(t.TempDir(), "district.db"), "--students 60 --seed 1")
	for _, args := range [][]string{{"--mirror", "current.db"}, {"--mirror", "classic.db", "--classic"}} {
		f.set(nil, nil)
		if r, errs, code := f.sync(t, args...); code != 0 || r.Status != "completed" {
			t.Fatalf("%v: %d %+v %s", args, code, r, errs)
		}
	}
	for _, a := range []string{"/schools?offset=0", "/schools/sch-001/terms?offset=0",
		"/schools/sch-001/courses?", "/schools/sch-002/classes?", "/schools/sch-003/students?",
		"/schools/sch-003/teachers?", "/schools/sch-003/enrollments?"} {
		if !slices.ContainsFunc(f.requests(), func(asked string) bool {
			return strings.HasPrefix(asked, a) && strings.HasSuffix(asked, "filter=status='active'")
		}) {
			t.Errorf("%s was not asked: %s", a, strings.Join(f.requests(), "\n"))
		}
	}
	current, classic := f.mirrored(t, "current.db", "current"), f.mirrored(t, "classic.db", "classic")
	for key := range current {
		if _, ok := classic[key]; !ok && !strings.HasPrefix(key, "class ") && !strings.HasPrefix(key,
			"enrollment ") && !strings.Contains(key, " stu-") && !strings.Contains(key, " sch-") {
			delete(current, key)
		}
	}
	same(t, "classic", classic, current)
	r, errs, code := f.sync(t, "--mirror", "contacts.db", "--classic", "--contacts", "--demographics")
	if code != 0 || r.Status != "completed" || r.Counts["contacts"] != 30 ||
		r.Collections["demographics"].Rows != 60 {
		t.Errorf("contacts: %d %+v %s", code, r, errs)
	}
	if _, errs, code := f.sync(t, "--mirror", "current.db", "--classic"); code != 1 ||
		!strings.Contains(errs, "a file of its own") {
		t.Errorf("the mirror of another way: %d %s", code, errs)
	}
}

// People are matched as the two groups are told to be.
func TestDirectory(t *testing.T) {
	t.Parallel()
	f := fronted(t, filepath.Join(t.TempDir(), "district.db"), "--students 60 --seed 1")
	all := []string{}
	lessons := 0 // of the student a1
	for key, text := range f.served(t, "users", "enrollments") {
		if strings.Contains(text, `"user":{"sourcedId":"a1"`) {
			lessons++
		}
		_, mail, isUser := strings.Cut(text, `"email":"`)
		mail, _, _ = strings.Cut(mail, `"`)
		if isUser && strings.HasPrefix(key, "user ") && !strings.HasPrefix(key, "user gua-") {
			all = append(all, mail)
		}
	}
	people := len(all)
	var ann string // of a1
	_, ann, _ = strings.Cut(f.served(t, "users")["user a1"], `"email":"`)
	ann, _, _ = strings.Cut(ann, `"`)
	table := func(head string, row func(mail string) string) string {
		out := bytes.NewBufferString(head + "\n")
		for _, mail := range all {
			out.WriteString(row(mail))
		}
		return out.String()
	}
	lines := func(mail string) string { return mail + ",Somebody," + mail + ",1\n" }
	name, _, _ := strings.Cut(ann, "@")
	if _, errs, code := f.sync(t); code != 0 || lessons == 0 {
		t.Fatal(errs, lessons)
	}
	whole, _, _ := f.sync(t)
	for _, c := range []struct {
		name, text, args       string
		code, unmatched, fewer int // fewer memberships
		says                   string
	}{
		{"an Entra export", table("userPrincipalName,displayName,mail,id", lines), "", 0, 0, 0, ""},
		{"BOM, quotes, spaces, other case",
			"\ufeff" + table(`"Display name","User principal name","Object Id"`,
				func(m string) string { return `"Some, body"," ` + strings.ToUpper(m) + " \",2\r\n" }), "", 0,
			0, 0, ""},
		{"one is missing", table("upn", func(m string) string {
			if m == ann {
				return ""
			}
			return m + "\n"
		}), "", 0, 1, lessons, "SDS-M01,warning,email," + ann},
		{"two have the address", table("UPN,Email", func(m string) string { return m + "," + m + "\n" }) +
			"other@x.example," + ann + "\n", "", 0, 1, lessons, "SDS-M02,warning,email," + ann},
		{"by username, before the @", table("UPN", func(m string) string {
			return strings.Replace(m, "student.example.org", "tenant.example.net", 1) + "\n"
		}), "--match-students username", 0, 0, 0, ""},
		{"by e-mail, of another domain", table("UPN", func(m string) string {
			return strings.Replace(m, "student.example.org", "tenant.example.net", 1) + "\n"
		}), "", 0, 60, -1, "SDS-M01,warning,email," + ann},
		{"by username, two domains", table("UPN", func(m string) string { return m + "\n" }) + name +
			"@other.example\n", "--match-students username", 0, 1, lessons, "SDS-M02,warning,username," +
			name},
		{"no names of accounts", "displayName,mail\nx,y\n", "", 2, 0, 0, "has no column userPrincipalName"},
		{"tabs", "userPrincipalName\tmail\nx\ty\n", "", 2, 0, 0, "separated by tabs"},
		{"semicolons", "userPrincipalName;mail\nx;y\n", "", 2, 0, 0, "separated by semicolons"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(f.dir, "users.csv"), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			r, errs, code := f.sync(t, append([]string{"--personal", "--directory", "users.csv", "--results",
				"r.csv"},
				strings.Fields(c.args)...)...)
			results, _ := os.ReadFile(filepath.Join(f.dir, "r.csv"))
			if code != c.code || !strings.Contains(errs+string(results), c.says) {
				t.Fatalf("exit %d, no %q in %s%s", code, c.says, errs, results)
			}
			if code != 0 {
				return
			}
			if r.Counts["unmatched"] != c.unmatched || r.Counts["matched"] != people-c.unmatched ||
				r.Counts["warnings"] != c.unmatched ||
				c.fewer >= 0 && r.Counts["memberships"] != whole.Counts["memberships"]-c.fewer {
				t.Errorf("%v of %d people; without directory %v", r.Counts, people, whole.Counts)
			}
		})
	}
}
