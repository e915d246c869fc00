package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A program that asks for JSON gets one object also where a verb fails: the sentence that
// a person reads, the exit code and what it means, and which publication is in what state.
func TestFailuresAsJSON(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cut.zip"), []byte("PK\x03\x04 cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails := func(args string, want int, publication int, state, says string) {
		t.Helper()
		out, errs, code := rollbook(t, dir, append(strings.Fields(args), "--db", "d.db")...)
		var told struct {
			Error, Meaning, State string
			ExitCode, Publication int
		}
		err := json.Unmarshal([]byte(out), &told)
		meaning := map[int]string{1: "it could not be done", 2: "the command line was wrong"}[want]
		if err != nil || code != want || told.ExitCode != want || told.Meaning != meaning ||
			told.Publication != publication || told.State != state || !strings.Contains(told.Error, says) ||
			!strings.Contains(errs, told.Error) {
			t.Errorf("%s: exit %d, %v\n%s%s", args, code, err, out, errs)
		}
	}
	must := func(want int, args string) string {
		t.Helper()
		out, errs, code := rollbook(t, dir, append(strings.Fields(args), "--db", "d.db")...)
		if code != want {
			t.Fatalf("%s: exit %d\n%s%s", args, code, out, errs)
		}
		return out
	}
	for _, args := range []string{"import cut.zip", "publications", "publications show 1", "publish 1",
		"discard 1", "rollback 1", "history users/x", "calendar", "settings", "client list"} {
		fails(args+" --json", 1, 0, "", "there is no district")
	}
	if _, errs, code := rollbook(t, dir, "sandbox", "d", "--days", "2", "--students", "60"); code != 0 {
		t.Fatal(errs)
	}
	must(0, "import --new d/day-00.zip")
	must(0, "import d/day-01.zip")
	fails("import cut.zip --json", 1, 3, "refused", "breaks off")
	fails("import cut.zip --json --plan", 1, 0, "", "breaks off")
	fails("import missing.zip --json", 1, 0, "", "no such file")
	fails("import d/day-02.zip --json --shrink 200", 2, 0, "", "from 1 to 100")
	fails("import d/day-02.zip --shrimp 3 --json", 2, 0, "", "--shrink")
	fails("import --json", 2, 0, "", "accepts 1 arg")
	fails("publish 1 --json", 1, 1, "published", "only one that is held")
	fails("publish 9 --json", 1, 0, "", "there is no publication 9")
	fails("publish x --json", 2, 0, "", "no number")
	fails("discard 2 --json", 1, 2, "published", "only one that is held")
	fails("rollback 3 --json", 1, 3, "refused", "left nothing")
	fails("publications show 9 --json", 1, 0, "", "there is no publication 9")
	fails("publications show 1 --json --csv", 2, 0, "", "exclude each other")
	fails("history nobody --json", 1, 0, "", "nobody")
	fails("calendar freeze tomorrow --json", 2, 0, "", "no date")
	fails("settings guard-loss much --json", 2, 0, "", "percentage")

	// What is held is told as JSON by import already; what becomes of it as well.
	must(exitHeld, "import d/day-00.zip --json")
	if out := must(0, "discard 4 --reason old --json"); out !=
		`{"publication":4,"reason":"old","state":"discarded"}`+"\n" {
		t.Error(out)
	}
	if out := must(0, "rollback 1 --plan --json"); !strings.Contains(out, `"state":"planned"`) {
		t.Error(out)
	}
	if out, _, _ := rollbook(t, dir, "import", "cut.zip", "--db", "d.db"); strings.Contains(out, "{") {
		t.Errorf("nobody asked for JSON: %s", out)
	}
}
