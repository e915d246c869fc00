package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"rollbook/internal/host"
	"rollbook/internal/store/storetest"
)

// A pilot is a made-up district: its name is in every id, name and address that it has.
type pilot struct {
	name                       string
	schools, classes, students int // in a school, in a class
	contacts                   bool
	credential
}

// night is its package of a night, and how many students that has. Somebody leaves, somebody joins and
// somebody changes grades; where it is torn, half of the students are missing.
func (p *pilot) night(n int, torn bool) (files map[string]string, students int) {
	const none = "sourcedId,status,dateLastModified,"
	orgs := none + "name,type,identifier,parentSourcedId\n" + p.name + "-d,,,District " + p.name +
		",district,,\n"
	courses := none + "schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes\n"
	classes := none + "title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId," +
		"termSourcedIds,subjects,subjectCodes,periods\n"
	users := none + "enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName," +
		"identifier,email,sms,phone,agentSourcedIds,grades,password\n"
	enrollments := none + "classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate\n"
	user := func(id, school, role, name, agents, grade string) {
		users += fmt.Sprintf("%s,,,true,%s,%s,%s,,Given %s,%s,,,%s@%s.example,,,%s,%s,\n", id, school, role,
			id, p.name, name, id, p.name, agents, grade)
	}
	for s := range p.schools {
		school := fmt.Sprintf("%s-s%d", p.name, s)
		orgs += school + ",,,School " + school + ",school,," + p.name + "-d\n"
		courses += school + "-k,,,," + school + " course,,," + school + ",,\n"
		for c := range p.classes {
			class := fmt.Sprintf("%s-c%d", school, c)
			classes += class + ",,,Class " + class + ",," + school + "-k,,scheduled,," + school + "," +
				p.name + "-t,,,\n"
			user(class+"-w", school, "teacher", "Wood "+class, "", "")
			enrollments += fmt.Sprintf("%s-ew,,,%s,%s,%s-w,teacher,true,,\n", class, class, school, class)
			for i := range p.students + n/3 {
				if (torn && i%2 == 1) || i == n-2 {
					continue
				}
				id, agents := fmt.Sprintf("%s-u%d", class, i), ""
				name, grade := "Family "+id, "09"
				if i == n {
					grade = "10"
				}
				if p.contacts && i%4 == 0 {
					agents = id + "-g"
					user(agents, school, "guardian", name, id, "")
				}
				user(id, school, "student", name, agents, grade)
				enrollments += fmt.Sprintf("%s-e,,,%s,%s,%s,student,,,\n", id, class, school, id)
				students++
			}
		}
	}
	files = maps.Clone(right)
	files["orgs.csv"], files["courses.csv"], files["classes.csv"] = orgs, courses, classes
	files["users.csv"], files["enrollments.csv"] = users, enrollments
	files["academicSessions.csv"] = none + "title,type,startDate,endDate,parentSourcedId,schoolYear\n" +
		p.name + "-y,,,Year " + p.name + ",schoolYear,2026-08-01,2027-08-01,,2027\n" + p.name +
		"-t,,,Term " + p.name +
		",term,2026-08-01,2027-02-01," + p.name + "-y,2027\n"
	return files, students
}

// Two districts of different shape and source in one service, for two weeks of nights, of which one is
// held: School Data Sync and Grade Sync pull and write both at once, and nothing that anybody is told of
// one, or keeps of it, names the other.
func TestTwoPilots(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, twoPilots)
}

func twoPilots(t *testing.T, dsn string) {
	v := newVillage(t, dsn)
	pilots := []*pilot{{name: "norwick", schools: 2, classes: 2, students: 9},
		{name: "southam", schools: 1, classes: 3, students: 12, contacts: true}}
	other := map[string]string{"norwick": "southam", "southam": "norwick"}
	drop := t.TempDir()
	for _, p := range pilots {
		if err := os.Mkdir(filepath.Join(v.dir, p.name), 0o700); err != nil {
			t.Fatal(err)
		}
		v.run(0, "district", "add", p.name, "--name", "The schools of "+p.name)
		out := v.run(0, "client", "add", p.name, "--for", "all", "--json", "--district", p.name)
		p.credential = clientOf(t, out)
	}
	v.run(0, "source", "add", "southam", "--folder", filepath.Join(drop, "*.zip"), "--every", "24h", "--done",
		"--district", "southam")
	service := v.serve("--metrics-addr", "127.0.0.1:0")
	answers := newWitness(t, service.address, other)
	var students int
	total := map[string]int{}
	const held = 7
	for night := range 14 {
		var files map[string]string
		files, students = pilots[0].night(night, night == held)
		code := 0
		if night == held {
			code = exitHeld
		} else {
			total["norwick"] = students
		}
		v.run(code, "import", write(t, files), "--district", "norwick")
		files, total["southam"] = pilots[1].night(night, false)
		zipInto(t, filepath.Join(drop, fmt.Sprintf("night-%02d.zip", night)), files)
		v.run(0, "source", "run", "southam", "--district", "southam")
		if night != 2 && night != 13 {
			continue
		}
		var both sync.WaitGroup
		for _, p := range pilots {
			both.Go(func() { p.syncs(t, v.dir, answers.URL, night == 13) })
		}
		both.Wait()
		for _, p := range pilots {
			r := newReader(t, answers.URL+"/"+p.name+base, answers.URL+"/"+p.name+"/token", p.ClientID,
				p.ClientSecret)
			_, header, _ := r.call("GET", "/students?limit=1&filter=status%3D'active'", "")
			if got := header.Get("X-Total-Count"); got != fmt.Sprint(total[p.name]) {
				t.Errorf("night %d: %s has %s students, not %d", night, p.name, got, total[p.name])
			}
			for _, at := range pilots {
				r.base = answers.URL + "/" + at.name + base
				if status, _, _ := r.call("GET", "/orgs", ""); (status == 200) != (at == p) {
					t.Errorf("the token of %s at %s: %d", p.name, at.name, status)
				}
			}
		}
	}
	answers.check()
	told := map[string]string{}
	for _, line := range strings.Split(service.log(), "\n") {
		for name, not := range other {
			if strings.Contains(line, name) && strings.Contains(line, not) {
				t.Errorf("one line of the log has both: %s", line)
			}
		}
	}
	_, figures := scraped(t, service.metrics)
	for name := range figures {
		for one, not := range other {
			if strings.Contains(name, `district="`+one+`"`) && strings.Contains(name, not) {
				t.Errorf("figure %s", name)
			}
		}
	}
	for _, p := range pilots {
		for _, args := range []string{"audit --json", "publications --json", "pulls --json"} {
			told[p.name] += v.run(0, append(strings.Fields(args), "--district", p.name)...)
		}
		copied := filepath.Join(t.TempDir(), "copy.db")
		v.run(0, "backup", copied, "--district", p.name)
		text, err := os.ReadFile(copied)
		if err != nil {
			t.Fatal(err)
		}
		told[p.name] += string(text) + answers.files(v.dir, p.name)
		if n := strings.Count(told[p.name], p.name); n < 1000 {
			t.Errorf("%s is told of %d times", p.name, n)
		}
		if i := strings.Index(told[p.name], other[p.name]); i >= 0 {
			t.Errorf("%s is told of where %s is: …%q…", other[p.name], p.name,
				told[p.name][max(0, i-100):min(len(told[p.name]), i+100)])
		}
	}
	if house := v.args[1]; !host.IsPostgres(house) {
		for _, p := range pilots {
			files, _ := filepath.Glob(filepath.Join(house, p.name+".db*")) // the pattern is right
			for _, file := range files {
				if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte(other[p.name])) {
					t.Error(file, err)
				}
			}
		}
	}
	if out := v.run(0, "publications", "--district", "norwick", "--json"); strings.Count(out, `"superseded"`)+
		strings.Count(out, `"held"`) != 1 {
		t.Error(out)
	}
}

// syncs lets School Data Sync read a pilot, and Grade Sync write to it.
func (p *pilot) syncs(t *testing.T, dir, address string, prove bool) {
	at := []string{address + "/" + p.name + base, "--token-url", address + "/" + p.name + "/token",
		"--client", p.ClientID, "--secret", p.ClientSecret, "--json"}
	read := slices.Concat([]string{"sync", "sds"}, at, []string{"--mirror", filepath.Join(p.name,
		"mirror.db")})
	if prove {
		read = append(read, "--prove")
	}
	teacher := p.name + "-s0-c1-w@" + p.name + ".example"
	write := slices.Concat([]string{"sync", "grades"}, at, []string{"--teacher", teacher, "--assignments",
		"2"})
	for _, args := range [][]string{read, write} {
		out, errs, code := rollbook(t, dir, args...)
		if code != 0 {
			t.Errorf("%s: %d %s%s", args, code, out, errs)
		}
		said := filepath.Join(dir, p.name, args[1]+" said")
		if err := os.WriteFile(said, []byte(out+errs), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// A witness stands before a service, and reads what it answers.
type witness struct {
	*httptest.Server
	t     *testing.T
	mu    sync.Mutex
	other map[string]string
	seen  map[string]int
}

func newWitness(t *testing.T, address string, other map[string]string) *witness {
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{t: t, other: other, seen: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(at)
	proxy.ModifyResponse = func(a *http.Response) error {
		body, err := io.ReadAll(a.Body)
		a.Body = io.NopCloser(bytes.NewReader(body))
		name, _, _ := strings.Cut(strings.TrimPrefix(a.Request.URL.Path, "/"), "/")
		text := string(body) + fmt.Sprint(a.Header)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen[name]++
		if strings.Contains(text, other[name]) {
			t.Errorf("%s is answered of %s: %s", name, other[name], text)
		}
		return err
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		r.Header.Del("Accept-Encoding") // bodies are to be read
		proxy.ServeHTTP(a, r)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *witness) check() {
	for name := range w.other {
		if w.seen[name] < 30 {
			w.t.Errorf("%d answers of %s were seen", w.seen[name], name)
		}
	}
}

// files are those that readers of a district keep.
func (w *witness) files(dir, name string) (text string) {
	all, _ := filepath.Glob(filepath.Join(dir, name, "*")) // the pattern is right
	for _, file := range all {
		part, err := os.ReadFile(file)
		if err != nil {
			w.t.Error(err)
		}
		text += string(part)
	}
	return text
}

// zipInto writes a package, and says that it is whole.
func zipInto(t *testing.T, path string, files map[string]string) {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, text := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	err := z.Close()
	if err == nil {
		err = os.WriteFile(path, out.Bytes(), 0o600)
	}
	if err == nil {
		err = os.WriteFile(path+".done", nil, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
