package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/store/storetest"
)

// A story of nights: published, held, discarded, released, rolled back, frozen; and what a
// person is told of each.
func TestNightsAreDecided(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		run := func(want int, args ...string) (out, errs string) {
			t.Helper()
			out, errs, code := rollbook(t, dir, append(args, "--db", dsn)...)
			if code != want {
				t.Fatalf("rollbook %s: exit %d, not %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
			}
			return out, errs
		}
		says := func(text string, words ...string) {
			t.Helper()
			flat := strings.Join(strings.Fields(text), " ")
			for _, w := range words {
				if !strings.Contains(flat, w) {
					t.Errorf("%q is not in\n%s", w, text)
				}
			}
		}
		exported := func() []string {
			t.Helper()
			run(0, "export", "now.zip")
			return entries(t, filepath.Join(dir, "now.zip"))
		}
		if _, errs, code := rollbook(t, dir, "sandbox", "d", "--days", "3", "--students", "60", "--start",
			"2026-09-01"); code != 0 {
			t.Fatal(errs)
		}
		run(0, "import", "--new", "d/day-00.zip")
		first := exported()
		run(0, "import", "d/day-01.zip")
		second := exported()

		_, errs := run(exitHeld, "import", "d/day-00.zip")
		says(errs, "publication 3 is held, and nothing was changed",
			"again: it is the package of publication 1, of 20",
			"rollbook rollback 1 brings it back", "rollbook publish 3 --reason",
			"rollbook discard 3")
		if !slices.Equal(exported(), second) {
			t.Error("what is held changed something")
		}
		out, _ := run(0, "publications", "show", "3")
		says(out, "| state | held |", "the guards object", "again: it is the package")
		out, _ = run(0, "publications", "show", "3", "--csv")
		rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil || len(rows) < 20 || !slices.Equal(rows[0], []string{"resource", "sourcedId", "change",
			"field", "before", "after"}) {
			t.Errorf("%v %d rows of CSV", err, len(rows))
		}
		out, _ = run(0, "discard", "3", "--reason", "the old file")
		says(out, "publication 3 is discarded")
		_, errs = run(1, "publish", "3")
		says(errs, "publication 3 is discarded: only one that is held can be published", "publications get")
		_, errs = run(1, "discard", "3")
		says(errs, "publication 3 is discarded: only one that is held can be discarded")
		_, errs = run(1, "publish", "9")
		says(errs, "there is no publication 9")
		run(2, "publish", "x")

		// One that is held can be published all the same; a later one ends it else. An old
		// package is known again however it is packed.
		anew := unpacked(t, filepath.Join(dir, "d/day-00.zip"))
		delete(anew, "manifest.csv")
		anew.lines("users.csv", func(rows [][]string) [][]string {
			slices.Reverse(rows[1:])
			return rows
		})
		if err := os.WriteFile(filepath.Join(dir, "anew.zip"), zipped(anew), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs = run(exitHeld, "import", "anew.zip")
		says(errs, "again: it is the package of publication 1, of 20")
		out, _ = run(0, "publish", "4", "--reason", "a rehearsal")
		says(out, "publication 4 is published")
		if !slices.Equal(exported(), first) {
			t.Error("publication 4 is another district than the first")
		}
		out, _ = run(0, "publications", "show", "4", "--csv")
		says(out, "retired", "active")
		run(exitHeld, "import", "d/day-01.zip")
		run(0, "import", "d/day-02.zip")
		_, errs = run(1, "publish", "5")
		says(errs, "publication 5 is superseded", "a later one was published instead")

		// The way back, and who did it.
		third := exported()
		out, _ = run(0, "rollback", "2", "--json")
		if !slices.Equal(exported(), second) {
			t.Errorf("the rollback left another district: %s", out)
		}
		run(0, "rollback", "6")
		if !slices.Equal(exported(), third) {
			t.Error("the rollback of the rollback left another district")
		}
		_, errs = run(1, "rollback", "3")
		says(errs, "publication 3 is discarded: it left nothing to go back to")
		changed := rows[1]
		out, _ = run(0, "history", changed[0]+"/"+changed[1])
		says(out, "publication 1, day-00.zip")

		// What came is given back, byte for byte; also what was refused.
		if err := os.WriteFile(filepath.Join(dir, "cut.zip"), []byte("PK\x03\x04 cut"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs = run(1, "import", "cut.zip")
		says(errs, "publication 9, refused", "breaks off")
		for no, file := range map[string]string{"2": "d/day-01.zip", "9": "cut.zip"} {
			run(0, "publications", "get", no, "got"+no)
			got, err := os.ReadFile(filepath.Join(dir, "got"+no))
			want, wrong := os.ReadFile(filepath.Join(dir, file))
			if err != nil || wrong != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what came: %v %v", file, err, wrong)
			}
		}
		out, _ = run(0, "publications", "show", "9")
		says(out, "refused: cut.zip is a zip that breaks off")

		// Days that are announced.
		today := time.Now().Format(time.DateOnly)
		out, _ = run(0, "calendar", "freeze", today+".."+today)
		says(out, "freeze "+"| "+today)
		_, errs = run(exitHeld, "import", "d/day-03.zip")
		says(errs, "calendar: the calendar freezes the district today")
		out, _ = run(0, "calendar", "remove", "1")
		says(out, "nothing is announced")
		tomorrow := time.Now().AddDate(0, 0, 1).Format(time.DateOnly)
		run(0, "calendar", "adds-only", tomorrow)
		_, errs = run(0, "import", "d/day-03.zip", "--plan", "--on", tomorrow)
		says(errs, "this would be held", "lets nothing be retired")
		run(0, "import", "d/day-03.zip")
		run(2, "calendar", "freeze", "tomorrow")
		_, errs = run(2, "calendar", "closing", "--school", "dst-1", today)
		says(errs, `there is no school with the sourcedId "dst-1"`)
		run(2, "calendar", "remove", "7")

		var list []struct {
			Publication int
			State       string
		}
		out, _ = run(0, "publications", "--json")
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatal(err, out)
		}
		states := ""
		for _, p := range slices.Backward(list) {
			states += fmt.Sprint(p.Publication, " ", p.State, ", ")
		}
		if want := "1 published, 2 published, 3 discarded, 4 published, 5 superseded, 6 published, 7 " +
			"published, " +
			"8 published, 9 refused, 10 superseded, 11 published, "; states != want {
			t.Errorf("%s\nnot %s", states, want)
		}
	})
}

// A delta package that follows one that was not published says so, once.
func TestDeltaGap(t *testing.T) {
	n := nightly{t, t.TempDir()}
	n.must("sandbox", "d", "--days", "2", "--students", "60", "--delta")
	n.must("import", "--new", "d/day-00.zip")
	today := time.Now().Format(time.DateOnly)
	n.must("calendar", "freeze", today)
	if _, code := n.bring("d/day-01-delta.zip"); code != exitHeld {
		t.Fatalf("exit %d", code)
	}
	n.must("calendar", "remove", "1")
	for _, c := range []struct {
		file string
		gap  bool
	}{{"day-01-delta.zip", true}, {"day-02-delta.zip", false}} {
		_, errs, code := n.run("import", "d/"+c.file)
		if gap := strings.Contains(errs,
			"note: this is a delta package, and publication 2, of 20"); code != 0 ||
			gap != c.gap || gap && !strings.Contains(errs, "is held: what that one changes will be missing") {
			t.Errorf("%s: exit %d, %s", c.file, code, errs)
		}
	}
	n.must("calendar", "freeze", today)
	if _, errs, _ := n.run("import", "d/day-01-delta.zip"); strings.Contains(errs,
		"is a delta package, and") {
		t.Error(errs)
	}
	if out, _, code := n.run("publish", "5"); code != 0 || strings.Contains(out, "is a delta package, and") {
		t.Errorf("it is told of itself: %d %s", code, out)
	}
}
