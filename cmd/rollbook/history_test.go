package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/store/storetest"
)

// What became of a record is told, when and by which package; an export as of a time
// is the export that was made then.
func TestHistoryAndExportAsOf(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := write(t, right)
		t.Setenv("XDG_CONFIG_HOME", dir)
		run := runs(t, dir, dsn)
		stampOf := func(out string) string {
			t.Helper()
			var told struct{ DateLastModified string }
			if err := json.Unmarshal([]byte(out), &told); err != nil || told.DateLastModified == "" {
				t.Fatal(out)
			}
			return told.DateLastModified
		}
		first := stampOf(run("import", "--new", ".", "--json"))
		run("export", "then.zip")
		night := write(t, edited(right, "users.csv", "Ann→Anna"))
		second := stampOf(run("import", night, "--json"))
		if run("export", "as-of.zip", "--as-of", first); !slices.Equal(entries(t,
			filepath.Join(dir, "as-of.zip")), entries(t, filepath.Join(dir, "then.zip"))) {
			t.Errorf("as of then: %q\nthen: %q", entries(t, filepath.Join(dir, "as-of.zip")),
				entries(t, filepath.Join(dir, "then.zip")))
		}
		run("export", "now.zip")
		if run("export", "as-of.zip", "--as-of", second[:10]); !slices.Equal(entries(t,
			filepath.Join(dir, "as-of.zip")), entries(t, filepath.Join(dir, "now.zip"))) {
			t.Error("the end of today is not now")
		}
		run("export", "before.zip", "--as-of", "2020-01-01")
		if got := entries(t, filepath.Join(dir, "before.zip")); strings.Contains(strings.Join(got, "\n"),
			"Ann") {
			t.Errorf("before there was anything: %q", got)
		}
		for _, who := range []string{"users/u1", "user/u1", "ANN", "anna birch"} {
			if who == "anna birch" && !strings.Contains(right["users.csv"], "Ann,Birch") {
				continue
			}
			out := run("history", who, "--json")
			var told struct {
				Resource, SourcedID string
				Changes             []struct {
					DateLastModified, By string
					Fields               []struct{ Field, Before, After string }
				}
			}
			if err := json.Unmarshal([]byte(out), &told); err != nil || len(told.Changes) != 2 {
				t.Fatalf("%s: %s", who, out)
			}
			last := told.Changes[1]
			if told.Resource != "users" || told.SourcedID != "u1" || last.DateLastModified != second ||
				last.By != "publication 2, "+filepath.Base(night) ||
				len(last.Fields) != 1 || last.Fields[0].Field != "givenName" ||
				last.Fields[0].Before != "Ann" || last.Fields[0].After != "Anna" {
				t.Errorf("%s: %s", who, out)
			}
		}
		if out := run("history", "users/u1"); !strings.Contains(out, "Anna") || !strings.Contains(out,
			"givenName") {
			t.Error(out)
		}
		for _, c := range []struct {
			args string
			code int
			says string
		}{
			{"history users/nobody", 1, `there is no user "nobody"`}, {"history nobody@x.example", 1,
				"there is nobody"},
			{"history pupils/u1", 2, "no kind of record"}, {"export x.zip --as-of yesterday", 2, "--as-of"},
			{"settings journal-days 0", 2, "from 1 to"}, {"settings colour blue", 2, "no setting"},
		} {
			if _, errs, code := rollbook(t, dir, append(strings.Fields(c.args), "--db",
				dsn)...); code != c.code || !strings.Contains(errs, c.says) {
				t.Errorf("%s: %d %s", c.args, code, errs)
			}
		}
		if out := run("settings", "journal-days", "30", "--json"); out != "{\"journal-days\":30}\n" {
			t.Error(out)
		}
		if out := run("settings"); !strings.Contains(out, "30") || !strings.Contains(out, "400") {
			t.Error(out)
		}
	})
}
