package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// import --plan changes nothing and tells what import then does; a column that is
// lost is said aloud by both.
func TestImportPlan(t *testing.T) {
	t.Parallel()
	users := "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,email\n"
	nameless := users
	for i := range 30 {
		users += fmt.Sprintf("p%d,true,s1,student,p%d,Pat,Park,p%d@x.example\n", i, i, i)
		nameless += fmt.Sprintf("p%d,true,s1,student,p%d,Pat,Park,\n", i, i)
	}
	orgs := "sourcedId,name,type\ns1,School,school\n"
	dir := write(t, map[string]string{"orgs.csv": orgs, "users.csv": users})
	night := write(t, map[string]string{"orgs.csv": orgs, "users.csv": strings.Replace(nameless, "p0,true",
		"p99,true", 1)})
	if _, errs, code := rollbook(t, dir, "import", "--new", "."); code != 0 {
		t.Fatal(errs)
	}
	export := func() []string {
		if _, errs, code := rollbook(t, dir, "export", "out.zip"); code != 0 {
			t.Fatal(errs)
		}
		return entries(t, filepath.Join(dir, "out.zip"))
	}
	before := export()
	type told struct {
		Counts           map[string]map[string]int
		Fields           map[string]map[string]map[string]int
		DateLastModified string
		Publication      int
		State            string
	}
	run := func(want int, args ...string) (out told, errs string) {
		t.Helper()
		text, errs, code := rollbook(t, dir, append(args, "--json")...)
		if err := json.Unmarshal([]byte(text), &out); err != nil || code != want {
			t.Fatalf("%d %s%s", code, text, errs)
		}
		return out, errs
	}
	plan, _ := run(0, "import", night, "--plan")
	if after := export(); !reflect.DeepEqual(after, before) || plan.DateLastModified != "" {
		t.Errorf("--plan changed something: %q", after)
	}
	want := map[string]int{"before": 30, "came": 0, "went": 29, "changed": 0}
	if got := plan.Fields["users"]["email"]; !reflect.DeepEqual(got, want) ||
		plan.Counts["users"]["retired"] != 1 || plan.Counts["users"]["added"] != 1 {
		t.Errorf("%v %v", got, plan.Counts)
	}
	text, errs, code := rollbook(t, dir, "import", night, "--plan")
	for _, said := range []string{"users: 29 of 30 lose email", "this would be held", "nothing was"} {
		if code != 0 || !strings.Contains(text, "users.email") || !strings.Contains(errs, said) {
			t.Errorf("%d %s%s", code, text, errs)
		}
	}
	held, _ := run(3, "import", night)
	if after := export(); !reflect.DeepEqual(after, before) || held.State != "held" {
		t.Errorf("%s: what is held changed something: %q", held.State, after)
	}
	done, _ := run(0, "publish", fmt.Sprint(held.Publication), "--reason", "no addresses any more")
	if !reflect.DeepEqual(done.Counts, plan.Counts) || done.DateLastModified == "" {
		t.Errorf("planned %v, done %v", plan, done)
	}
	run(0, "settings", "guard-again", "0") // that package was published before
	back, errs := run(0, "import", ".")    // addresses that come are nothing to hold
	if back.State != "published" || strings.Contains(errs, "lose") || !reflect.DeepEqual(export(), before) {
		t.Errorf("the way back: %v %s", back, errs)
	}
}

// A package of another format than the last one is held in one sentence, where it changes
// something.
func TestAnotherFormat(t *testing.T) {
	n := nightly{t, t.TempDir()}
	sds := night{"orgs.csv": "sourcedId,name,type\no1,A,school\n",
		"users.csv": "sourcedId,username,givenName,familyName,email\nu1,ann,Ann,A,ann@a.example\n" +
			"u2,bob,Bob,B,bob@a.example\n",
		"roles.csv":   "userSourcedId,orgSourcedId,role,grade\nu1,o1,student,9\nu2,o1,teacher,\n",
		"classes.csv": "sourcedId,orgSourcedId,title\nc1,o1,C\n", "academicSessions.csv": "sourcedId,title," +
			"type,startDate,endDate,schoolYear\ny,Y,schoolYear,2025-08-01,2026-07-31,2026\n",
		"enrollments.csv": "classSourcedId,userSourcedId,role\nc1,u1,student\nc1,u2,teacher\n"}
	n.write("sds.zip", zipped(sds))
	n.must("import", "--new", "sds.zip")
	n.exported()
	n.must("import", "now.zip") // nothing is another
	sds["users.csv"] += "u3,cy,Cy,C,cy@a.example\n"
	sds["roles.csv"] += "u3,o1,student,9\n"
	n.write("sds.zip", zipped(sds))
	v, code := n.bring("sds.zip")
	if code != exitHeld || len(v.Objections) != 1 || v.Objections[0].Guard != "columns" ||
		v.Objections[0].Text != "the package is School Data Sync v2.1, and the last one was OneRoster CSV: "+
			"its files and columns cannot be compared" {
		t.Errorf("exit %d: %v", code, v.Objections)
	}
	n.must("publish", "3", "--reason", "back to what it was")
	sds["users.csv"] += "u4,di,Di,D,di@a.example\n"
	sds["roles.csv"] += "u4,o1,student,9\n"
	n.write("sds.zip", zipped(sds))
	n.must("import", "sds.zip")
}

// A district that is just as it was is no old package where a handful of it changes: who
// was away is back.
func TestWhoIsBackHoldsNothing(t *testing.T) {
	t.Parallel()
	for changed, want := range map[int]int{5: 0, 6: exitHeld} {
		n := nightly{t, t.TempDir()}
		days := night{"orgs.csv": "sourcedId,name,type\no1,A,school\n",
			"users.csv": "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,phone\n"}
		for i := range 9 {
			days["users.csv"] += fmt.Sprintf("u%d,true,o1,student,pupil%d,Ann,B%d,55%d\n", i, i, i, i)
		}
		n.write("a.zip", zipped(days))
		for i := range changed {
			days["users.csv"] = strings.Replace(days["users.csv"], fmt.Sprintf(",55%d\n", i), ",66\n", 1)
		}
		n.write("b.zip", zipped(days))
		n.must("import", "--new", "a.zip")
		n.must("import", "b.zip")
		out, errs, code := n.run("import", "a.zip")
		if code != want || !strings.Contains(errs, "again, record by record") {
			t.Errorf("%d changed: exit %d, not %d\n%s%s", changed, code, want, out, errs)
		}
	}
}
