package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/mirror"
	"rollbook/internal/onboarding"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store/storetest"
	"rollbook/internal/wire"
)

// filledIn is onboarding.yaml as a vendor would fill it in.
const filledIn = `product: Contoso SIS
vendor: Contoso Ltd
contact_business: partners@contoso.example
contact_technical: oneroster@contoso.example
authentication: oauth2
endpoints: [/orgs, /academicSessions, /users, /classes, /enrollments, /categories, /lineItems, /results]
data_categories: students, teachers, classes, enrollments, terms, grades
hosting_region: Azure, West Europe
handover: a one-time link, mailed by Ana Ruiz; valid a week
logo: logo.svg
minimum_version: "2026.3"
prerequisites:
  - the rollover to this school year is done
credentials: Settings, Integrations, School Data Sync
instructions: none
contact_support: support@contoso.example
escalation: +49 30 5550100, then ana@contoso.example
`

const logo = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><path d="M0 0h40v20H0z"/></svg>`

// An onboarded is a folder under way.
type onboarded struct {
	t   *testing.T
	dir string
	greeting
}

// run runs a verb and returns what it says of each line.
func (o *onboarded) run(want int, args ...string) map[string]onboarding.Line {
	o.t.Helper()
	out, errs, code := rollbook(o.t, o.dir, append(append([]string{"onboarding"}, args...), "--json")...)
	var s onboarding.Sheet
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != want {
		o.t.Fatalf("%s: exit %d, wanted %d: %v\n%s%s", args, code, want, err, errs, said(s))
	}
	if s.Whole != (code == 0) {
		o.t.Errorf("%s: exit %d, and whole is %v", args, code, s.Whole)
	}
	lines := map[string]onboarding.Line{}
	for _, l := range s.Lines {
		lines[l.Step+" "+l.ID] = l
	}
	return lines
}

// said are the lines that are not done.
func said(s onboarding.Sheet) string {
	out := ""
	for _, l := range s.Lines {
		if l.State != onboarding.Done {
			out += fmt.Sprintf("%s %s %s: %s\n", l.State, l.Step, l.ID, l.Says)
		}
	}
	return out
}

// with is a command line with the service at a base URL.
func (o *onboarded) with(base string, words ...string) []string {
	return append(words, base, "--token-url", o.TokenURL, "--client", o.ClientID, "--secret", o.ClientSecret)
}

// state fails unless lines are in a state, and say something.
func (o *onboarded) state(lines map[string]onboarding.Line, id string, state onboarding.State, says string) {
	o.t.Helper()
	if l, known := lines[id]; !known || l.State != state || !strings.Contains(l.Says+l.Next, says) {
		o.t.Errorf("%q is %+v, wanted %s with %q", id, l, state, says)
	}
}

// day lets the demo live a day, and returns a student who left, if one did.
func (o *onboarded) day() string {
	o.t.Helper()
	answer, err := http.Post(o.DayURL, "", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	defer answer.Body.Close()
	var day struct{ Changes []sandbox.Change }
	if err := json.NewDecoder(answer.Body).Decode(&day); err != nil {
		o.t.Fatal(err)
	}
	for _, c := range day.Changes {
		if c.Op == "retired" && c.Resource == "users" && strings.HasPrefix(c.SourcedID, "stu-") {
			return c.SourcedID
		}
	}
	return ""
}

func (o *onboarded) put(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, "onboarding", name), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// count is how many files a pattern has in the folder.
func (o *onboarded) count(pattern string) int {
	names, _ := filepath.Glob(filepath.Join(o.dir, "onboarding", pattern))
	return len(names)
}

// From nothing to whole: what Microsoft asks for is gathered in a folder that can be sent, by
// runs that each go on with what is there.
func TestOnboardingFolder(t *testing.T) {
	t.Parallel()
	o := &onboarded{t, t.TempDir(), greeting{}}
	o.greeting = demoed(t, o.dir, storetest.SQLite(t), "--live", "--every", "0")

	lines := o.run(1, o.with(o.BaseURL, "sds")...)
	o.state(lines, "verify-sds service", onboarding.Done, "checks hold")
	o.state(lines, "verify-sds /enrollments", onboarding.Done, "checks hold")
	o.state(lines, "full full", onboarding.Done, "rows came")
	o.state(lines, "delta delta", onboarding.Missing, "nothing had changed")
	o.state(lines, "form product", onboarding.Missing, "onboarding.yaml:7: answer product")
	o.state(lines, "pilots pilot-1", onboarding.Missing, "rollbook onboarding pilot NAME")

	o.put("onboarding.yaml", filledIn)
	o.put("logo.svg", logo)
	o.day()
	lines = o.run(1, o.with(o.BaseURL, "sds")...)
	o.state(lines, "delta delta", onboarding.Done, "no difference")
	if n := o.count("verify/*"); n != 1 {
		t.Errorf("what was done was done again: %d verifications", n)
	}

	o.pilot("north")
	north, err := os.ReadFile(filepath.Join(o.dir, "onboarding", "pilots", "north.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	o.put("pilots/south.jsonl", string(north)) // another customer, with whom all went alike
	lines = o.run(1, o.with(o.BaseURL, "gradesync", "--teacher", o.TeacherEmail)...)
	o.state(lines, "verify-gradesync PUT /results/{id}", onboarding.Done, "checks hold")
	o.state(lines, "grades written", onboarding.Done, "results created")
	o.state(lines, "grades removed", onboarding.Done, "results removed")
	o.state(lines, "sandbox handed-over", onboarding.Missing, "tick handed-over")
	lines = o.run(0, "tick", "handed-over", "--by", "Ana Ruiz", "--note", "opened by the engineer")

	// Evidence that is changed is none; only that step is made again, and what was there is kept.
	receipt := filepath.Join(o.dir, "onboarding", lines["full full"].File.Path)
	if err := os.WriteFile(receipt, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.state(o.run(1, "status"), "full full", onboarding.Failed, "was changed since")
	o.run(0, o.with(o.BaseURL, "sds")...)
	if full, verified := o.count("sync/*-full*"), o.count("verify/*-sds*"); full != 2 || verified != 1 {
		t.Errorf("%d full syncs and %d verifications are kept, wanted 2 and 1", full, verified)
	}
	out, _, code := rollbook(t, o.dir, "onboarding", "sheet")
	if code != 0 || !strings.Contains(out, "Whole: nothing is missing.") {
		t.Errorf("exit %d\n%s", code, out)
	}
	o.holdsNothingPrivate()
}

// pilot takes a pilot from its first run to its customer's yes.
func (o *onboarded) pilot(name string) {
	o.t.Helper()
	pull := o.with(o.BaseURL, "pilot", name)
	lines := o.run(1, pull...)
	o.state(lines, name+" "+name+"/full", onboarding.Done, "rows came")
	o.state(lines, name+" "+name+"/deltas", onboarding.Missing, "no delta yet")
	for range 4 {
		lines = o.run(1, pull...)
	}
	o.state(lines, name+" "+name+"/deltas", onboarding.Missing, "4, without")
	gone := ""
	for range 30 {
		if gone = o.day(); gone != "" {
			break
		}
	}
	for id, says := range map[string]string{"nobody": "no run of this pilot has read such a user",
		"a1": "the user is still active for readers"} {
		args := append(append([]string{"onboarding"}, pull...), "--removed", id)
		_, errs, code := rollbook(o.t, o.dir, args...)
		if code != 1 || !strings.Contains(errs, says) {
			o.t.Errorf("--removed %s: exit %d %s", id, code, errs)
		}
	}
	lines = o.run(1, append(pull, "--removed", gone)...)
	o.state(lines, name+" "+name+"/removed-student", onboarding.Done, gone)
	o.state(lines, name+" "+name+"/deltas", onboarding.Done, "7, without")
	o.state(lines, name+" "+name+"/two-weeks", onboarding.Missing, "8 runs")

	file := filepath.Join(o.dir, "onboarding", "pilots", name+".jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		o.t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	today := regexp.MustCompile(`"at":"\d{4}-\d\d-\d\d`)
	first = today.ReplaceAllString(first, `"at":"`+time.Now().UTC().AddDate(0, 0, -13).Format(time.DateOnly))
	o.put("pilots/"+name+".jsonl", first+"\n"+rest)
	for _, item := range []string{"mass-change", "rotation", "sign-off"} {
		lines = o.run(1, "tick", name+"/"+item, "--by", "Kim Osei")
		o.state(lines, name+" "+name+"/"+item, onboarding.Done, "ticked by Kim Osei")
	}
	o.state(lines, name+" "+name+"/two-weeks", onboarding.Done, "8 runs")
}

// holdsNothingPrivate looks for secrets, tokens and people in every file that is sent.
func (o *onboarded) holdsNothingPrivate() {
	o.t.Helper()
	ctx := context.Background()
	mirrors, _ := filepath.Glob(filepath.Join(o.dir, "onboarding.mirrors", "sync-*.db"))
	if len(mirrors) != 1 {
		o.t.Fatalf("the mirrors are %q", mirrors)
	}
	m, err := mirror.Open(ctx, mirrors[0], o.BaseURL, "current")
	if err != nil {
		o.t.Fatal(err)
	}
	private := []string{o.ClientSecret, o.TeacherEmail}
	err = m.Each(ctx, oneroster.ByName("user"), func(u wire.Object) error {
		private = append(private, u.Text("givenName")+" "+u.Text("familyName"))
		if email := u.Text("email"); email != "" {
			private = append(private, email)
		}
		return nil
	})
	if err != nil || m.Close() != nil || len(private) < 60 {
		o.t.Fatalf("%d people: %v", len(private), err)
	}
	token := regexp.MustCompile(`eyJ[\w-]{10,}\.[\w-]{10,}`)
	folder := filepath.Join(o.dir, "onboarding")
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; err != nil ||
			info.Mode().Perm() != want {
			o.t.Errorf("%s has the mode %o: %v", path, info.Mode().Perm(), err)
		}
		if d.IsDir() {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, p := range private {
			if strings.Contains(string(text), p) {
				o.t.Errorf("%s holds %q", path, p)
			}
		}
		if found := token.Find(text); found != nil {
			o.t.Errorf("%s holds a token, %.20s…", path, found)
		}
		return err
	})
	if err != nil {
		o.t.Error(err)
	}
}

// A provider with a fault: the line that it concerns is failed and says what to change, the others
// are as they are; when it is mended, that step is made again and the earlier evidence is kept.
func TestOnboardingOfAFaultyProvider(t *testing.T) {
	t.Parallel()
	o := &onboarded{t, t.TempDir(), greeting{}}
	o.greeting = demoed(t, o.dir, storetest.SQLite(t))
	at, err := url.Parse(o.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	var mended, closed atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: at.Host})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if closed.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/demographics") { // which need not be there
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if !mended.Load() && strings.HasSuffix(r.URL.Path, "/courses") {
			q := r.URL.Query()
			q.Del("filter") // is not looked at
			r.URL.RawQuery = q.Encode()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	service := o.with(front.URL+at.Path, "sds")

	closed.Store(true)
	lines := o.run(1, service...)
	o.state(lines, "verify-sds service", onboarding.Failed, "403")
	o.state(lines, "full full", onboarding.Missing, "not run yet")

	closed.Store(false)
	o.put("onboarding.yaml", strings.Replace(filledIn, "/orgs,", "/orgs, /courses,", 1))
	lines = o.run(1, service...)
	o.state(lines, "verify-sds /demographics", onboarding.Done, "not offered")
	o.state(lines, "full full", onboarding.Done, "rows came")
	o.state(lines, "verify-sds /courses", onboarding.Failed, "filter.")
	o.state(lines, "verify-sds /users", onboarding.Done, "checks hold")
	if lines["verify-sds /courses"].Next == "" {
		t.Error("it does not say what to do")
	}
	page, err := os.ReadFile(filepath.Join(o.dir, "onboarding", "index.md"))
	if err != nil || !strings.Contains(string(page), "| failed | GET /courses: ") {
		t.Errorf("index.md does not tell: %v", err)
	}

	mended.Store(true)
	lines = o.run(1, service...)
	o.state(lines, "verify-sds /courses", onboarding.Done, "checks hold")
	if n := o.count("verify/*"); n != 3 {
		t.Errorf("%d verifications are kept, wanted 3", n)
	}
}

// On a terminal the answers are asked for, once; what is wrong is asked again. Without one a file
// of questions is written. Other folders are left alone.
func TestOnboardingAsks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := &onboarded{t, dir, greeting{}}
	nowhere := "http://127.0.0.1:1/ims/oneroster/v1p1 --token-url http://127.0.0.1:1/token --client c " +
		"--secret s3cr3t-s3cr3t --tries 1 "
	cmd := onTerminal(t, dir, 100, "onboarding sds "+nowhere)
	cmd.Stdin = strings.NewReader("Contoso: the SIS\n\nnobody\npartners@contoso.example\n\x04")
	text, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(text), `"nobody" is no e-mail address`) {
		t.Errorf("%v %s", err, text)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "onboarding", "onboarding.yaml"))
	for _, want := range []string{"\nproduct: 'Contoso: the SIS'\n", "\nvendor:\n", "# Who makes it?\n",
		"\ncontact_business: partners@contoso.example\n", "\nescalation:\n"} {
		if err != nil || !strings.Contains(string(kept), want) {
			t.Errorf("%v, no %q in\n%s", err, want, kept)
		}
	}
	for _, c := range []struct {
		args, write string
		code        int
		errs        string
	}{
		{"onboarding sds " + nowhere, "# s3cr3t-s3cr3t\n", 1, "onboarding.yaml:1 holds the client's secret"},
		{"onboarding sds " + nowhere + " --folder .", "", 1, "holds other things than an onboarding"},
		{"onboarding status --folder nothing", "", 1, "nothing is no folder of an onboarding"},
		{"onboarding gradesync " + nowhere, "", 2, "give --teacher"},
		{"onboarding pilot No.1 " + nowhere, "", 2, "small letters"},
		{"onboarding tick handed-over", "", 2, "give --by"},
		{"onboarding tick logo --by Ana", "", 2, `there is no item "logo"`},
		{"onboarding tick north/sign-off --by Ana", "", 2, `there is no pilot "north" yet`},
	} {
		if c.write != "" {
			o.put("onboarding.yaml", c.write)
		}
		if out, errs, code := rollbook(t, dir, strings.Fields(c.args)...); code != c.code ||
			!strings.Contains(errs, c.errs) {
			t.Errorf("%s: exit %d, no %q in\n%s%s", c.args, code, c.errs, out, errs)
		}
	}
}
