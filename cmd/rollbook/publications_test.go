package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/host"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Publications are listed and told, and their packages given back as they came.
func TestPublications(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		t.Setenv("XDG_CONFIG_HOME", dir)
		t.Setenv("TZ", "America/New_York")
		try := func(args string) (string, string, int) {
			t.Helper()
			return rollbook(t, dir, append(strings.Fields(args), "--db", dsn)...)
		}
		run := func(args string) string {
			t.Helper()
			out, errs, code := try(args)
			if code != 0 {
				t.Fatalf("%s: %d %s%s", args, code, out, errs)
			}
			return out
		}
		read := func(name string) []byte {
			t.Helper()
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		run("init")
		if out := run("publications"); !strings.Contains(out, "nothing was brought") {
			t.Error(out)
		}
		if out := run("publications --json"); out != "[]\n" {
			t.Error(out)
		}
		now := time.Date(2026, 9, 1, 3, 30, 0, 0, time.UTC)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
		var whole bytes.Buffer
		z := zip.NewWriter(&whole)
		if _, err := z.Create("users.csv"); err != nil {
			t.Fatal(err)
		}
		_ = z.SetComment("as it came")
		_ = z.Close()
		arrive := func(name string, files ...string) int64 {
			t.Helper()
			id, err := s.Arrive(t.Context(), name, "cron")
			for i := 0; err == nil && i < len(files); i += 2 {
				err = s.Keep(t.Context(), id, files[i], strings.NewReader(files[i+1]))
			}
			if err == nil && len(files) > 0 {
				err = s.KeptWhole(t.Context(), id)
			}
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		arrive("monday.zip", "monday.zip", whole.String())
		must(s.PublishedUnchanged(t.Context(), 1, 12, "", ""))
		arrive("folder", "users.csv", "a\r\n", "orgs.csv", "", "manifest.csv", "PK")
		must(s.SetVerdict(t.Context(), 2, []byte(`{"worst":["u1"]}`)))
		must(s.Decide(t.Context(), 2, store.StateHeld, []store.State{store.StatePlanning}, "", ""))
		must(s.Decide(t.Context(), 2, store.StateDiscarded, []store.State{store.StateHeld}, "ann",
			"half a file"))
		arrive("one", "users.csv", "x")
		arrive("rollback to 1")

		lines := []string{}
		for _, line := range strings.Split(run("publications"), "\n") {
			lines = append(lines, strings.Join(strings.Fields(strings.ReplaceAll(line, "|", " ")), " "))
		}
		for _, want := range []string{"4 2026-08-31 23:30 rollback to 1 cron broken off",
			"2 2026-08-31 23:30 folder cron discarded",
			"1 2026-08-31 23:30 monday.zip cron 0 0 0 published"} {
			if !slices.Contains(lines, want) {
				t.Errorf("%q lacks %q", lines, want)
			}
		}
		type told struct {
			Publication                int64
			State, Package, Reason, At string
			Rows                       int
			Kept                       bool
			Verdict                    any
			DateLastModified, Decider  string
		}
		var list []told
		if err := json.Unmarshal([]byte(run("publications --json")), &list); err != nil || len(list) != 4 ||
			list[0].Publication != 4 || list[0].Kept || list[3].Rows != 12 || !list[3].Kept {
			t.Errorf("%+v %v", list, err)
		}
		var one told
		if err := json.Unmarshal([]byte(run("publications show 2 --json")), &one); err != nil ||
			one.State != "discarded" || one.Decider != "ann" || one.Reason != "half a file" ||
			one.At != "2026-09-01T03:30:00.000Z" || one.Verdict.(map[string]any)["worst"] == nil {
			t.Errorf("%+v %v", one, err)
		}
		if out := run("publications show 2"); !strings.Contains(out, "half a file") ||
			!strings.Contains(out, "rollbook publications get 2") {
			t.Error(out)
		}

		run("publications get 1 out.zip")
		if !bytes.Equal(read("out.zip"), whole.Bytes()) {
			t.Error("the zip is another")
		}
		if out := run("publications get 1 -"); out != whole.String() {
			t.Error("the zip on the standard output is another")
		}
		if _, errs, code := try("publications get 2 out.zip"); code != 1 ||
			!strings.Contains(errs, "there already") || !bytes.Equal(read("out.zip"), whole.Bytes()) {
			t.Errorf("a file that is there: %d %s", code, errs)
		}
		run("publications get 2 out.zip --overwrite")
		if got := entries(t, filepath.Join(dir, "out.zip")); !slices.Equal(got, []string{"users.csv a",
			"orgs.csv ", "manifest.csv PK"}) {
			t.Errorf("%q", got)
		}
		run("publications get 3 one.zip")
		if got := entries(t, filepath.Join(dir, "one.zip")); !slices.Equal(got, []string{"users.csv x"}) {
			t.Errorf("%q", got)
		}
		must(s.PrunePackages(t.Context(), 1))
		for _, c := range []struct {
			args string
			code int
			says string
		}{
			{"publications show 9", 1, "there is no publication 9"},
			{"publications show 0", 2, "no number of a publication"},
			{"publications show x", 2, "no number of a publication"},
			{"publications get 2 gone.zip", 1, "the newest 30 are"},
			{"publications get 4 gone.zip", 1, "has not come whole"},
			{"publish 4", 1, "import the package again"},
			{"settings packages 0", 2, "from 1 to 10000"},
			{"settings guard-loss 200", 2, "from 0 to 100, such as 10; 100 switches the guard off"},
			{"settings time-zone Texas", 2, "such as America/Chicago"},
			{"calendar closing --school nowhere 2027-06-30", 2, `no school with the sourcedId "nowhere"`},
		} {
			if _, errs, code := try(c.args); code != c.code || !strings.Contains(errs, c.says) {
				t.Errorf("%s: %d %s", c.args, code, errs)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "gone.zip")); err == nil {
			t.Error("a file was made of nothing")
		}
		if out := run("publications show 4"); !strings.Contains(out, "import the package again") {
			t.Error(out)
		}
		now = time.Now()
		for range 30 {
			arrive("more.zip")
		}
		if out := run("publications"); strings.Count(out, "planning") != 30 {
			t.Error(out)
		}
		if out, errs, _ := try("publications"); strings.Contains(out, "monday.zip") ||
			!strings.Contains(errs, "--all") {
			t.Error(out, errs)
		}
		if out, errs, _ := try("publications --all"); !strings.Contains(out, "monday.zip") || errs != "" {
			t.Error(out, errs)
		}
	})
}

// An import that is interrupted says so in the list; one that is killed cannot.
func TestInterruptedImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := runs(t, dir, filepath.Join(dir, "district.db"))
	run("init")
	run("sandbox", "d.zip", "--students", "1500")
	for range 20 {
		cmd := program(dir, "import", "d.zip", "--db", "district.db")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s := storetest.Open(t, filepath.Join(dir, "district.db"), store.Options{})
		last := func() store.Publication {
			list, err := s.Publications(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				return store.Publication{}
			}
			return list[0]
		}
		for before := last(); last().State != store.StatePlanning && last().ID <= before.ID; {
		}
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // the exit code tells
		if cmd.ProcessState.ExitCode() != exitInterrupted {
			continue // it was quicker
		}
		p := last()
		if p.State != store.StateRefused {
			t.Errorf("it is %s", p.State)
		}
		if out := run("publications", "show", fmt.Sprint(p.ID)); !strings.Contains(out, host.Interrupted) {
			t.Error(out)
		}
		return
	}
	t.Fatal("no import was interrupted before it was through")
}
