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
	}
	run := func(args ...string) (out told, errs string) {
		t.Helper()
		text, errs, code := rollbook(t, dir, append([]string{"import", night, "--json"}, args...)...)
		if err := json.Unmarshal([]byte(text), &out); err != nil || code != 0 {
			t.Fatalf("%d %s%s", code, text, errs)
		}
		return out, errs
	}
	plan, _ := run("--plan")
	if after := export(); !reflect.DeepEqual(after, before) || plan.DateLastModified != "" {
		t.Errorf("--plan changed something: %q", after)
	}
	want := map[string]int{"before": 29, "came": 0, "went": 29, "changed": 0}
	if got := plan.Fields["users"]["email"]; !reflect.DeepEqual(got, want) ||
		plan.Counts["users"]["retired"] != 1 || plan.Counts["users"]["added"] != 1 {
		t.Errorf("%v %v", got, plan.Counts)
	}
	text, errs, code := rollbook(t, dir, "import", night, "--plan")
	if code != 0 || !strings.Contains(text, "users.email") || !strings.Contains(errs,
		"29 of 29 users lose email") || !strings.Contains(errs, "nothing was") {
		t.Errorf("%d %s%s", code, text, errs)
	}
	done, _ := run()
	if !reflect.DeepEqual(done.Counts, plan.Counts) || !reflect.DeepEqual(done.Fields, plan.Fields) ||
		done.DateLastModified == "" {
		t.Errorf("planned %v, done %v", plan, done)
	}
	if _, errs, _ := rollbook(t, dir, "import", ".", "--plan"); strings.Contains(errs, "lose") {
		t.Errorf("nothing is lost on the way back: %s", errs)
	}
}
