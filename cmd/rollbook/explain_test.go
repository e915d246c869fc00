package main

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"rollbook/internal/store/storetest"
)

// What clients read is known whichever process answered, and says why a pupil is missing.
func TestExplain(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		live := edited(right, "academicSessions.csv", "2026-→2099-")
		dir := write(t, live)
		run := runs(t, dir, dsn)
		run("import", "--new", ".")
		c := clientOf(t, run("client", "add", "SDS", "--for", "sds", "--json"))
		one, first := start(t, dir, dsn)
		other, second := start(t, dir, dsn)
		token := strings.Split(ask(t, "POST", "http://"+one+"/token", "", c.ClientID, c.ClientSecret), `"`)[3]
		pull := func(address ...string) {
			for _, list := range []string{"orgs", "academicSessions", "courses", "classes", "users",
				"enrollments"} {
				for page, at := range []string{"0", "2"} {
					ask(t, "GET",
						"http://"+address[page%len(address)]+"/ims/oneroster/v1p1/"+list+"?limit=2&offset="+at+
							"&filter="+url.QueryEscape("status='active'"), token, "", "")
				}
			}
		}
		pull(one, other)
		stop(first)
		stop(second)
		var told struct {
			Pulls []struct {
				Pull             int
				List             string
				Rows, Total      int
				Whole            bool
				Name, Last       string
				ReadTwice, Pages int
			}
			Notices []any
		}
		if err := json.Unmarshal([]byte(run("pulls", "--json")), &told); err != nil || len(told.Pulls) != 6 ||
			len(told.Notices) != 0 {
			t.Fatalf("%v %+v", err, told)
		}
		for _, p := range told.Pulls {
			if !p.Whole || p.Rows != p.Total || p.Name != "SDS" || p.Pages != 2 || p.ReadTwice != 0 {
				t.Errorf("%+v", p)
			}
		}
		if out := run("pulls", "--client", "sds", "--since", "1h"); strings.Count(out,
			"was read whole") != 6 {
			t.Error(out)
		}
		if out := run("pulls", "show", "1"); !strings.Contains(out, "pull 1: SDS "+
			"orgs?filter=status='active'") ||
			!strings.Contains(out, "change 1, all pages") {
			t.Error(out)
		}
		run("import", write(t, edited(live, "enrollments.csv", "e1,,,c1,s1,u1,student,,,\n→")))
		for what, reader := range map[string]string{"SDS read Ann Ash (users/u1) on ": "sds",
			" as active in 1 class; on ": "SDS", "the enrollment in Maths 1 was retired by publication 2 " +
				"(": "",
			": enrollments.csv lacks it); SDS has not read that yet.": c.ClientID} {
			out := run("explain", "ann@x.example", "--client", reader)
			if reader == "" {
				out = run("explain", "Ann Ash", "c1")
			}
			if sentence, _, _ := strings.Cut(out, "\n"); !strings.Contains(sentence, what) {
				t.Errorf("no %q in %s", what, out)
			}
		}
		if out := run("explain", "users/u1", "--at", told.Pulls[0].Last); !strings.HasPrefix(out,
			"SDS read Ann Ash") ||
			strings.Contains(out, "retired") {
			t.Error(out)
		}
		address, service := start(t, dir, dsn)
		pull(address)
		for deadline := time.Now().Add(time.Minute); ; { // it is written by and by, and then no kill takes it away
			if err := json.Unmarshal([]byte(run("pulls", "--json")), &told); err != nil {
				t.Fatal(err)
			}
			if len(told.Pulls) == 12 && !strings.Contains(run("pulls"), "goes on") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after a minute: %+v", told.Pulls)
			}
		}
		kill(service)
		var answer struct{ Sentence, Kind string }
		if err := json.Unmarshal([]byte(run("explain", "users/u1", "--json")), &answer); err != nil ||
			answer.Kind != "enrollment retired" || !strings.Contains(answer.Sentence,
			"lacks it); SDS read that on ") {
			t.Errorf("%v %+v", err, answer)
		}
		bad := write(t, edited(live, "users.csv",
			"+u9,,,true,s1,student,new,,Nia,New,,,nia@x.example,,,,09,\n",
			"enrollments.csv", "+e9,,,c1,s1,nobody,student,,,\n"))
		if _, errs, code := rollbook(t, dir, "import", bad, "--db", dsn); code != 1 {
			t.Fatal(code, errs)
		}
		if _, errs, code := rollbook(t, dir, "explain", "users/u9", "--db", dsn); code != 1 ||
			!strings.Contains(errs,
				"users.csv has it on line 5) has been refused since ") {
			t.Error(code, errs)
		}
		for _, wrong := range [][]string{{"explain", "users/u1", "--client", "nobody"}, {"explain",
			"classes/c1", "c1"},
			{"explain", "users/u1", "--at", "soon"}, {"pulls", "--since", "soon"}, {"pulls", "show", "99"},
			{"pulls", "show", "x"}} {
			if _, errs, code := rollbook(t, dir, append(wrong, "--db", dsn)...); code == 0 || errs == "" {
				t.Errorf("%v: %d %s", wrong, code, errs)
			}
		}
	})
}
