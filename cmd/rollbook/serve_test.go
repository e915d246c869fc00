package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Two districts as their administrators have them.
var packages = map[string]map[string]string{
	"School Data Sync v2.1": {
		"orgs.csv":          "sourcedId,name,type,parentSourcedId\ns1,Hill School,school,\n",
		"users.csv":         "sourcedId,username,givenName,familyName,email\nu1,ann,Ann,O'Brien,\nt1,tom@x.example,Tom,Tall,tom@x.example\ng1,gus,Gus,Gray,gus@y.example\n",
		"roles.csv":         "userSourcedId,orgSourcedId,role,grade\nu1,s1,student,9\nt1,s1,teacher,\n",
		"relationships.csv": "userSourcedId,relationshipUserSourcedId,relationshipRole\nu1,g1,guardian\n",
		"academicSessions.csv": "sourcedId,title,type,schoolYear,startDate,endDate\ny1,Year,schoolYear,2027,2026-08-01,2027-08-01\nm1,Term,term,2027,2026-08-01,2027-01-01\n" +
			"p1,Quarter,gradingPeriod,2027,2026-08-01,2027-01-01\n",
		"courses.csv":      "sourcedId,orgSourcedId,title,code\nk1,s1,Maths,M1\n",
		"classes.csv":      "sourcedId,orgSourcedId,title,sessionSourcedIds,courseSourcedId\nc1,s1,Maths 1,m1,k1\n",
		"enrollments.csv":  "classSourcedId,userSourcedId,role\nc1,u1,student\nc1,t1,teacher\n",
		"demographics.csv": "userSourcedId,sex,birthDate\nu1,female,2012-01-02\n",
	},
	"School Data Sync v1": {
		"School.csv": "SIS ID,Name\ns1,Hill School\n",
		"Section.csv": "SIS ID,School SIS ID,Section Name,Term SIS ID,Term Name,Term " +
			"StartDate,Term EndDate,Course SIS ID,Course Name\nc1,s1,Maths " +
			"1,m1,Term,8/1/2026,1/1/2027,k1,Maths\n",
		"Student.csv": "SIS ID,School SIS ID,First Name,Last " +
			"Name,Username,Grade,Birthdate\nu1,s1,Ann,O'Brien,ann,9,1/2/2012\n",
		"Teacher.csv": "SIS ID,School SIS ID,First Name,Last " +
			"Name,Username\nt1,s1,Tom,Tall,tom@x.example\n",
		"StudentEnrollment.csv":    "Section SIS ID,SIS ID\nc1,u1\n",
		"TeacherRoster.csv":        "Section SIS ID,SIS ID\nc1,t1\n",
		"User.csv":                 "Email,First Name,Last Name,Phone,SIS ID\ngus@y.example,Gus,Gray,,u1\n",
		"Guardianrelationship.csv": "SIS ID,Email,Role\nu1,gus@y.example,Guardian\n",
	},
}

// What School Data Sync and Grade Sync ask, and what each must find; both
// packages hold the same people.
var asked = []struct{ path, find string }{
	{"orgs", `"sourcedId":"s1"`}, {"schools", `"type":"school"`}, {"schools/s1", `"name":"Hill School"`},
	{"users", `"familyName":"O'Brien"`},
	{"users?filter=familyName='O'Brien' AND status='active'", `"sourcedId":"u1"`},
	{"users?filter=role='guardian'", `"email":"gus@y.example"`},
	{"students", `"grades":["09"]`}, {"students/u1", `"agents":[{`}, {"teachers/t1", `"role":"teacher"`},
	{"academicSessions", `"sourcedId":"m1"`},
	{"academicSessions/m1", `"startDate":"2026-08-01"`}, {"terms", `"sourcedId":"m1"`},
	{"terms/m1", `"schoolYear":"2027"`}, {"courses", `"courseCode"`},
	{"classes", `"sourcedId":"c1"`}, {"classes/c1", `"title":"Maths 1"`},
	{"enrollments", `"role":"teacher"`}, {"demographics", `"birthDate":"2012-01-02"`},
	{"schools/s1/classes", `"sourcedId":"c1"`}, {"schools/s1/enrollments", `"class":{"href"`},
	{"schools/s1/students", `"sourcedId":"u1"`},
	{"schools/s1/teachers", `"sourcedId":"t1"`}, {"schools/s1/terms", `"sourcedId":"m1"`},
	{"teachers?filter=email='tom@x.example'", `"sourcedId":"t1"`},
	{"teachers/t1/classes?limit=7000", `"sourcedId":"c1"`}, {"classes/c1/students?limit=7000",
		`"sourcedId":"u1"`},
	{"enrollments?limit=5000&filter=classSourcedId='c1'", `"user":{`},
	{"categories?limit=7000", `{"categories":[]}`}, {"classGroups?limit=10", `{"classGroups":[]}`},
	{"users?filter=dateLastModified>'2099-01-01'", `{"users":[]}`},
}

func TestFilesAreServed(t *testing.T) {
	t.Parallel()
	for name, files := range packages {
		t.Run(name, func(t *testing.T) {
			storetest.Engines(t, func(t *testing.T, dsn string) {
				dir := t.TempDir()
				for file, text := range files {
					if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if _, errs, code := rollbook(t, dir, "import", "--new", ".", "--db", dsn); code != 0 {
					t.Fatal(errs)
				}
				out, _, _ := rollbook(t, dir, "client", "add", "sds", "--for", "all", "--json", "--db", dsn)
				var client struct{ ClientID, ClientSecret string }
				if err := json.Unmarshal([]byte(out), &client); err != nil {
					t.Fatal(err, out)
				}
				base := "http://" + serving(t, dir, dsn)
				token := ask(t, "POST", base+"/token", "", client.ClientID, client.ClientSecret)
				_, token, _ = strings.Cut(token, `"access_token":"`)
				token, _, _ = strings.Cut(token, `"`)
				for _, c := range asked {
					path, query, _ := strings.Cut(c.path, "?")
					if query != "" {
						key, filter, _ := strings.Cut(query, "filter=")
						query = "?" + key + "filter=" + url.QueryEscape(filter)
						if filter == "" {
							query = "?" + key
						}
					}
					if body := ask(t, "GET", base+"/ims/oneroster/v1p1/"+path+query, token, "",
						""); !strings.Contains(body, c.find) {
						t.Errorf("%s: no %s in %s", c.path, c.find, body)
					}
				}
			})
		})
	}
}

// serving starts the service and returns its address.
func serving(t *testing.T, dir, dsn string) string {
	t.Helper()
	address, _ := start(t, dir, dsn)
	return address
}

func start(t *testing.T, dir, dsn string, more ...string) (address string, cmd *exec.Cmd) {
	t.Helper()
	told, cmd := startTold(t, dir, dsn, more...)
	return told.Address, cmd
}

// toldServing is what a service logs first.
type toldServing struct{ Msg, Address, Metrics string }

func startTold(t *testing.T, dir, dsn string, more ...string) (first toldServing, cmd *exec.Cmd) {
	t.Helper()
	cmd = program(dir, append([]string{"serve", "--addr", "127.0.0.1:0", "--db", dsn}, more...)...)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(log)
	line, err := lines.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &first) != nil || first.Msg != "serving" {
		_ = cmd.Process.Kill() // nobody else would end it
		t.Fatalf("%s %v", line, err)
	}
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		close(read)
	}()
	wait := sync.OnceValue(func() error {
		<-read
		return cmd.Wait()
	})
	services.Store(cmd, wait)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		wait, _ := services.Load(cmd)
		if err := wait.(func() error)(); err != nil {
			t.Errorf("the service ended with %v", err)
		}
	})
	return first, cmd
}

// services are those that were started: each with what waits for its end.
var services sync.Map

// stop ends a service before its test ends, and waits for it.
func stop(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(os.Interrupt)
	wait, _ := services.Load(cmd)
	_ = wait.(func() error)() // told when the test ends
}

// kill ends a service as a machine does that loses its power.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	wait, _ := services.Load(cmd)
	_ = wait.(func() error)()
	services.Store(cmd, func() error { return nil }) // it could not end well
}

func ask(t *testing.T, method, address, token, id, secret string) string {
	t.Helper()
	r, err := http.NewRequest(method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	} else {
		r.SetBasicAuth(id, secret)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%s: %d %v", address, answer.StatusCode, err)
	}
	return string(body)
}

// A service that is told to stop finishes the answers that are under way, and does not
// wait for a reader that does not read. Its lists do not fit the buffers on their way.
func TestStop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := runs(t, dir, "rollbook.db")
	if _, errs, code := rollbook(t, dir, "sandbox", "d.zip", "--students", "6000"); code != 0 {
		t.Fatal(errs)
	}
	run("import", "--new", "d.zip")
	c := clientOf(t, run("client", "add", "large", "--json"))
	for name, do := range map[string]func(t *testing.T, address, token string, cmd *exec.Cmd){
		"finishes streams":      stopsAfterStreams,
		"beside a stuck reader": stopsBesideAStuckReader,
	} {
		t.Run(name, func(t *testing.T) {
			address, cmd := start(t, dir, "rollbook.db")
			token := newReader(t, "", "http://"+address+"/token", c.ClientID, c.ClientSecret).token
			do(t, address, token, cmd)
		})
	}
}

// longList is a list that takes a while.
const longList = "/ims/oneroster/v1p1/enrollments?limit=50000"

func stopsAfterStreams(t *testing.T, address, token string, cmd *exec.Cmd) {
	r, _ := http.NewRequest("GET", "http://"+address+longList, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept-Encoding", "identity")
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if _, err := io.ReadFull(stream.Body, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stream.Body)
	if err != nil || !json.Valid(append([]byte("{"), rest...)) {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
}

func stopsBesideAStuckReader(t *testing.T, address, token string, cmd *exec.Cmd) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", longList, token)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // it is being sent
		t.Fatal(err)
	}
	stop(cmd) // start's clean-up wants no error of it
}

// A delta may refer to what is stored, and changes what it names.
func TestDeltaPackage(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"full/orgs.csv":      "sourcedId,name,type\no1,School,school\n",
			"full/users.csv":     "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName\nu1,true,o1,student,a,A,B\nu2,true,o1,student,b,A,B\n",
			"delta/manifest.csv": "propertyName,value\nfile.users,delta\n",
			"delta/users.csv": "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,givenName,familyName\n" +
				"u1,tobedeleted,2026-01-01T00:00:00Z,,,,,,\nu3,active,2026-01-01T00:00:00Z,true,o1,student,c,A,B\n",
			"wrong/manifest.csv": "propertyName,value\nfile.users,delta\n",
			"wrong/users.csv": "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,givenName,familyName\n" +
				"u3,active,2026-01-01T00:00:00Z,true,o9,student,c,A,B\n",
		} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			args string
			code int
			want string
		}{
			{"import --new full --json", 0, `"users":{"added":2,"changed":0,"retired":0,"same":0}`},
			{"import delta --json", 0, `"users":{"added":1,"changed":0,"retired":1,"same":0}`},
			{"import delta --json", 0, `"users":{"added":0,"changed":0,"retired":0,"same":2}`},
			{"import wrong --json", 1, `there is no org with the sourcedId \"o9\"`},
			{"import --new full --json", 0, `"users":{"added":0,"changed":1,"retired":1,"same":1}`},
		} {
			out, errs, code := rollbook(t, dir, append(strings.Fields(c.args), "--db", dsn)...)
			if code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("%s: %d %s%s", c.args, code, out, errs)
			}
		}
	})
}

// In a delta, classResources says what came and what went: the other resources
// of a class stay, and so do those of a class of which it says nothing.
func TestDeltaOfResources(t *testing.T) {
	t.Parallel()
	const classes = "sourcedId,status,dateLastModified,title,courseSourcedId,classType,schoolSourcedId,termSourcedIds\n"
	const links = "sourcedId,status,dateLastModified,title,classSourcedId,resourceSourcedId\n"
	row := func(id string) string { return id + ",active,2026-09-02T00:00:00Z,Class,k1,scheduled,o1,t1\n" }
	full := map[string]string{
		"orgs.csv":             "sourcedId,name,type\no1,School,school\n",
		"resources.csv":        "sourcedId,vendorResourceId\nr1,x\nr2,y\nr3,z\n",
		"academicSessions.csv": "sourcedId,title,type,startDate,endDate,schoolYear\nt1,T,term,2026-08-01,2027-01-01,2027\n",
		"courses.csv":          "sourcedId,title,orgSourcedId\nk1,K,o1\n", "classes.csv": classes +
			row("c1") + row("c2"),
		"classResources.csv": links + "l1,,,,c1,r1\nl2,,,,c1,r2\nl3,,,,c2,r1\n",
	}
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		for n, c := range []struct{ classes, links, want string }{
			{"", "", "c1:r1,r2 c2:r1"},
			{row("c1"), "l1,tobedeleted,x,,c1,r1\nl4,active,x,,c1,r3\n", "c1:r2,r3 c2:r1"},
			{row("c1") + row("c2"), "", "c1:r2,r3 c2:r1"},
			{row("c1") + row("c3"), "l2,active,x,,c1,r2\nl5,active,x,,c3,r3\nl6,active,x,,c3,r1\n",
				"c1:r3,r2 c2:r1 c3:r3,r1"},
			{"c2,tobedeleted,2026-09-02T00:00:00Z,,,,,\n", "l3,tobedeleted,x,,c2,r1\n", "c1:r3,r2 c3:r3,r1"},
		} {
			files := full
			if n > 0 {
				files = map[string]string{"manifest.csv": "propertyName,value\nfile.classes,delta\nfile.classResources,delta\n", "classes.csv": classes + c.classes, "classResources.csv": links + c.links}
			}
			in := filepath.Join(dir, fmt.Sprint(n))
			if err := os.Mkdir(in, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, errs, code := rollbook(t, dir, "import", "--new", in, "--db", dsn); code != 0 {
				t.Fatalf("%d: %s", n, errs)
			}
			s := storetest.Open(t, dsn, store.Options{})
			var got []string
			err := s.Snapshot(context.Background(),
				func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
					return each(oneroster.ByName("class"), func(rec oneroster.Record) error {
						if rec.Get("status") == oneroster.Active {
							got = append(got, rec.ID()+":"+strings.Join(oneroster.Items(rec.Get("resources")),
								","))
						}
						return nil
					})
				})
			_ = s.Close()
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("%d: %v, want %s (%v)", n, got, c.want, err)
			}
		}
	})
}

// The base URL, which Microsoft's form asks for, is taken for the address that it
// hangs on; a part of it, or another version's, is refused with the right form.
func TestPublicURL(t *testing.T) {
	for given, want := range map[string]string{
		"https://h.example":                            "https://h.example",
		"https://h.example/":                           "https://h.example",
		"https://h.example/d7/":                        "https://h.example/d7",
		"https://h.example/ims/oneroster/v1p1":         "https://h.example",
		"https://h.example/ims/oneroster/v1p1/":        "https://h.example",
		"https://h.example:8443/d7/IMS/OneRoster/v1p1": "https://h.example:8443/d7",
		"https://h.example/ims/oneroster": "give the address without " +
			"/ims/oneroster, which the service adds: https://h.example",
		"https://h.example/d7/ims/oneroster/v1p2": "give the address without " +
			"/ims/oneroster/v1p2, which the service adds: https://h.example/d7",
		"https://h.example/ims/oneroster/v1p1/users":              "without /ims/oneroster/v1p1/users",
		"https://h.example/ims/oneroster/v1p1/ims/oneroster/v1p1": "without /ims/oneroster/v1p1",
	} {
		u, err := url.Parse(given)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if u, err = withoutBase(u, oneroster.V1p1); err != nil {
			got = err.Error()
		} else {
			got = u.String()
		}
		if got != want && !(err != nil && strings.Contains(got, want)) {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	for _, bad := range []string{"roster.example.org", "https://h.example/?x=1", "https://h.example/#x",
		"ftp://h", "https://h.example/ims/oneroster"} {
		if _, errs, code := rollbook(t, t.TempDir(), "serve", "--url", bad); code != 2 ||
			!strings.Contains(errs, "--url") {
			t.Errorf("%s: %d %s", bad, code, errs)
		}
	}
}
