package verify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
	"rollbook/internal/verify"
)

// That a provider moved while it was verified is told, whether the lists were being read or the checks
// ran, and it is not accused for it; of one that does not move it is not told.
func TestChangedMeanwhile(t *testing.T) {
	dsn := t.TempDir() + "/moving.db"
	s := correct(t, dsn)
	other := storetest.Open(t, dsn, store.Options{})
	users := func(_ int, area string) bool { return area == "reading /users" }
	few := []string{"page.size", "list.answer"} // which read what they need; all is read before all checks
	for i, c := range []struct {
		name string
		only []string
		now  func(done int, area string) bool
	}{
		{"never", few, func(int, string) bool { return false }},
		{"before the users are read", few, users},
		{"after the users are read", few, func(_ int, area string) bool { return area == "reading /lineItems" }},
		{"after the lists are checked", few, func(_ int, area string) bool { return area == "paging" }},
		{"before the users are read, of all", nil, users},
		{"after the first check, of all", nil, func(done int, _ string) bool { return done == 1 }},
	} {
		moved := false
		options := verify.Options{Profiles: []string{"core"}, Only: c.only}
		if c.only == nil {
			options.Profiles = []string{"sds"}
		}
		options.Progress = func(done, _ int, area string) {
			if moved || !c.now(done, area) {
				return
			}
			moved = true
			source := sandbox.New(sandbox.Options{Students: 22 + 3*i, Seed: 1})
			if _, err := other.Import(t.Context(), source, store.ImportOptions{}); err != nil {
				t.Error(err)
			}
		}
		report, err := verified(t, s, s, options)
		if err != nil {
			t.Fatal(err)
		}
		told := strings.Contains(strings.Join(report.Notes, "\n"), "/users changed while it was checked")
		if told != moved || moved != (c.name != "never") {
			t.Errorf("%s: moved %v, notes %q", c.name, moved, report.Notes)
		}
		if failed := report.Causes(); len(failed) > 0 {
			t.Errorf("%s: accused of %s, %v", c.name, failed[0].Check.ID, failed[0].Results)
		}
	}
}

// What the checks write is removed again, and what cannot be is named.
func TestNothingIsLeftBehind(t *testing.T) {
	s := correct(t, t.TempDir()+"/left.db")
	count := func() string {
		server := httptest.NewServer(s)
		defer server.Close()
		p, err := provider.New(provider.Config{URL: server.URL + oneroster.V1p1.Base,
			TokenURL: server.URL + "/token", Client: s.id, Secret: s.secret})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, plural := range []string{"categories", "lineItems", "results"} {
			page, _, err := p.List(t.Context(), "/"+plural, provider.Query("limit", "1"), plural)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(plural, " ", page.Total))
		}
		return strings.Join(out, ", ")
	}
	before := count()
	refusing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		s.ServeHTTP(w, r)
	})
	for _, c := range []struct {
		name  string
		h     http.Handler
		stays bool
	}{{"removed", s, false}, {"refused", refusing, true}} {
		report, err := verified(t, s, c.h, verify.Options{Profiles: []string{"all"}, Write: true,
			Only: []string{"put"}})
		if err != nil {
			t.Fatal(err)
		}
		told := strings.Contains(strings.Join(report.Notes, "\n"),
			"could not be removed again (403): remove it by hand")
		if after := count(); (after != before) != c.stays || told != c.stays {
			t.Errorf("%s: %s before, %s after; notes %q", c.name, before, after, report.Notes)
		}
		if report.Counts().Passed == 0 {
			t.Errorf("%s: nothing was checked", c.name)
		}
	}
}

// A provider that goes away is told as that, and what it did not answer any more is no mistake of its own.
func TestProviderGoesAway(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/away.db").remembered(everything)
	for _, calls := range []int64{20, 900} { // while lists are read, and among the checks
		var server *httptest.Server
		var answered atomic.Int64
		server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if answered.Add(1) > calls {
				_ = server.Listener.Close()
				panic(http.ErrAbortHandler)
			}
			s.ServeHTTP(w, r)
		}))
		defer server.Close()
		p, err := provider.New(provider.Config{URL: server.URL + oneroster.V1p1.Base, TokenURL: server.URL +
			"/token",
			Client: s.id, Secret: s.secret, Tries: 2, Wait: 1})
		if err != nil {
			t.Fatal(err)
		}
		report, err := verify.Run(t.Context(), p, verify.Options{Profiles: []string{"all"}})
		causes := report.Causes()
		if err == nil || !strings.Contains(err.Error(), "went away") || !report.Broken || len(causes) != 1 ||
			causes[0].Check.ID != "access.connect" || report.Counts().Failed != 1 {
			t.Errorf("after %d calls: %v, %+v, told as %+v", calls, err, report.Counts(), causes)
		}
		if passed := report.Counts().Passed; (passed > 0) != (calls > 500) {
			t.Errorf("after %d calls %d checks are through", calls, passed)
		}
	}
}

// A provider that hangs up on one path is there still: that is a mistake of that path.
func TestProviderHangsUp(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/hangs.db").remembered(everything)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if below(r) == "/courses" {
			panic(http.ErrAbortHandler)
		}
		s.ServeHTTP(w, r)
	})
	report, err := verified(t, s, h, verify.Options{Profiles: []string{"sds"}})
	if err != nil {
		t.Fatal(err)
	}
	if causes := report.Causes(); len(causes) != 1 || causes[0].Check.ID != "list.answer" ||
		!strings.Contains(causes[0].Title(), "The server breaks on GET /courses") {
		t.Errorf("told as %+v", causes)
	}
}

// A provider that sends back what it was given does not get it into a report,
// whatever its form.
func TestReportsKeepSecrets(t *testing.T) {
	s := correct(t, t.TempDir()+"/secrets.db")
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ2ZXJpZmllciJ9.c2lnbmF0dXJl"
	const password = "correct-horse-battery"
	typed := where(func(r *http.Request) bool { return below(r) == "/users" },
		func(a *answer) { a.header.Set("Content-Type", "text/"+token) })(s) // is quoted by the check
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if below(r) != "/orgs" {
			typed.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Www-Authenticate", "Bearer "+token)
		w.Header().Set("Location", "https://someone:"+password+"@roster.example.org/")
		w.WriteHeader(http.StatusInternalServerError)
		// The longest last: an excerpt is short.
		fmt.Fprintf(w, "client_secret=%s, password: %s, %q; asked with %s", s.secret, password,
			`{"access_token":"`+token+`"}`, r.Header.Get("Authorization"))
	})
	options := verify.Options{Profiles: []string{"core"}, Only: []string{"list.answer", "list.content-type"}}
	report, err := verified(t, s, h, options, func(c *provider.Config) { c.Tries, c.Wait = 1, 1 })
	if err != nil {
		t.Fatal(err)
	}
	if f := report.Of(verify.Failed); !slices.ContainsFunc(f, func(r verify.Result) bool {
		return strings.Contains(r.Failures[0].Text, "(left out)")
	}) {
		t.Errorf("no text of a failure quotes a secret: %+v", f)
	}
	var text, junit, page bytes.Buffer
	for _, write := range []error{report.WriteText(&text), report.WriteJUnit(&junit),
		report.WriteHTML(&page)} {
		if write != nil {
			t.Fatal(write)
		}
	}
	j, err := json.Marshal(report.JSON())
	if err != nil {
		t.Fatal(err)
	}
	for form, out := range map[string]string{"text": text.String(), "JUnit": junit.String(),
		"HTML": page.String(), "JSON": string(j)} {
		for _, secret := range []string{s.secret, token, password, "Bearer eyJ"} {
			if strings.Contains(out, secret) {
				t.Errorf("%s holds %q", form, secret)
			}
		}
		if !strings.Contains(out, "left out") || strings.Contains(out, "(left out) out)") {
			t.Errorf("%s does not tell the answer at all, or leaves out what was", form)
		}
	}
}

// A password is an attribute of the standard, which a report advises to leave out and not to move, and
// does not repeat.
func TestServedPasswords(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/passwords.db")
	i := slices.IndexFunc(brokenData, func(b broken) bool { return b.check == "data.password" })
	report, err := verified(t, s, brokenData[i].spoil(s), verify.Options{Profiles: []string{"core"},
		Personal: true,
		Only:     []string{"data"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(report.Of(verify.Failed), report.Of(verify.Advised)...) {
		if r.Check.ID != "data.password" || r.Target != "/users" || len(r.Failures) == 0 {
			t.Errorf("%s %s: %v", r.Check.ID, r.Target, r.Failures)
		}
	}
	out, err := json.Marshal(report.JSON())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, []byte("data.password")) || bytes.Contains(out, []byte("tulips")) {
		t.Errorf("the report does not tell of passwords, or repeats one: %s", out)
	}
}

// A report is mailed about: who the people are does not stand in it, in no form, unless that
// was asked for. Nor does it where a server says again what it was asked, or is cut off.
func TestReportsNameNobody(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/people.db")
	server := httptest.NewServer(s)
	defer server.Close()
	p, err := provider.New(provider.Config{URL: server.URL + oneroster.V1p1.Base,
		TokenURL: server.URL + "/token", Client: s.id, Secret: s.secret})
	if err != nil {
		t.Fatal(err)
	}
	people := map[string]bool{} // what they are called, and where they are reached
	for _, list := range []string{"users", "demographics"} {
		page, _, err := p.List(t.Context(), "/"+list, provider.Query("limit", "1000"), list)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			// A short name, or a day of ten years, may be another one's pseudonym.
			for _, name := range []string{"username", "givenName", "familyName", "email", "phone"} {
				if v := o.Text(name); len(v) > 6 && v != "+12065550100" { // stands in a piece of advice
					people[v], people[url.QueryEscape(v)] = true, true
				}
			}
		}
	}
	spoiled := http.Handler(s)
	for _, b := range brokenProviders() {
		if slices.Contains([]string{"!= is =", "~ is =", "a birth date has a time"}, b.name) {
			spoiled = b.spoil(&service{spoiled, s.id, s.secret})
		}
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case strings.Contains(q.Get("filter"), " OR "):
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, "<p>cannot read %s</p>", q.Get("filter"))
		case q.Has("sort"):
			a := ask(spoiled, r)
			a.body = a.body[:len(a.body)*2/3]
			a.header.Del("Content-Length")
			a.write(w)
		default:
			a := ask(spoiled, r)
			if below(r) == "/users" {
				a.body = bytes.ReplaceAll(a.body, []byte(`"role":`), []byte(`"nick_name":"Hieronymus","role":`))
				a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
			}
			a.write(w)
		}
	})
	people["Hieronymus"] = true
	for _, personal := range []bool{false, true} {
		report, err := verified(t, s, h, verify.Options{Profiles: []string{"rostering"}, Personal: personal,
			Only: []string{"filter.not-equal", "filter.contains", "filter.or", "sort", "one", "data.dates",
				"data.unknown-attributes", "SDS"}})
		if err != nil {
			t.Fatal(err)
		}
		forms := map[string]func(io.Writer) error{"text": report.WriteText, "JUnit": report.WriteJUnit,
			"HTML": report.WriteHTML,
			"JSON": func(w io.Writer) error { return json.NewEncoder(w).Encode(report.JSON()) }}
		for form, write := range forms {
			var out strings.Builder
			if err := write(&out); err != nil {
				t.Fatal(err)
			}
			said := html.UnescapeString(out.String())
			named := 0
			for v := range people {
				at := strings.Index(said, v)
				if at < 0 {
					continue
				}
				if named++; !personal {
					t.Errorf("%s names %s: …%s…", form, v, said[max(0, at-200):min(len(said), at+100)])
				}
			}
			if personal && named < 3 {
				t.Errorf("%s names %d people, though it was asked to", form, named)
			}
		}
	}
}

// What could not be checked is neither passed nor failed, in every form.
func TestUncheckedIsNoFailure(t *testing.T) {
	s := correct(t, t.TempDir()+"/unchecked.db")
	report, err := verified(t, s, s, verify.Options{Profiles: []string{"all"},
		Only: []string{"sort.ties", "list.answer", "nested.deleted-links", "nested.both-parents"}})
	if err != nil {
		t.Fatal(err)
	}
	c, unchecked := report.Counts(), len(report.Of(verify.Unchecked))
	if unchecked == 0 || c.Unchecked != unchecked || c.Failed != 0 ||
		c.Passed != len(report.Of(verify.Passed)) || c.Passed == 0 {
		t.Errorf("%+v, %d unchecked", c, unchecked)
	}
	if j := report.JSON(); j["ok"] != true || j["failed"] != 0 || j["notChecked"] != unchecked {
		t.Errorf("JSON: ok %v, failed %v, notChecked %v", j["ok"], j["failed"], j["notChecked"])
	}
	var junit bytes.Buffer
	if err := report.WriteJUnit(&junit); err != nil {
		t.Fatal(err)
	}
	if f, k := strings.Count(junit.String(), "<failure"), strings.Count(junit.String(), "<skipped"); f != 0 ||
		k != unchecked {
		t.Errorf("JUnit: %d failures, %d skipped of %d", f, k, unchecked)
	}
	for _, a := range report.Areas() {
		if a.Failed != 0 {
			t.Errorf("area %s: %+v", a.Area, a)
		}
	}
}
