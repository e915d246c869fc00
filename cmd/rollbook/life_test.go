package main

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store/storetest"
)

// A reader pulls from a service.
type reader struct{ base, token string }

func newReader(t *testing.T, baseURL, tokenURL, id, secret string) reader {
	t.Helper()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(ask(t, "POST", tokenURL, "", id, secret)), &answer); err != nil {
		t.Fatal(err)
	}
	return reader{baseURL, answer.Token}
}

// since pulls, page by page, what all collections changed after a time, each as
// "status collection/sourcedId", sorted; and the latest time among it.
func (r reader) since(t *testing.T, stamp string) (out []string, latest string) {
	t.Helper()
	const limit = 300
	filter := url.QueryEscape("dateLastModified>'" + stamp + "'")
	for _, resource := range oneroster.Resources() {
		for offset := 0; ; offset += limit {
			body := ask(t, "GET", fmt.Sprintf("%s/%s?filter=%s&limit=%d&offset=%d", r.base, resource.Plural,
				filter, limit, offset), r.token, "", "")
			var page map[string][]struct{ SourcedID, Status, DateLastModified string }
			if err := json.Unmarshal([]byte(body), &page); err != nil {
				t.Fatal(err)
			}
			for _, x := range page[resource.Plural] {
				out = append(out, x.Status+" "+resource.Plural+"/"+x.SourcedID)
				latest = max(latest, x.DateLastModified)
			}
			if len(page[resource.Plural]) < limit {
				break
			}
		}
	}
	slices.Sort(out)
	return out, latest
}

// served is the status with which a reader gets what a log calls a change.
func served(change string) string {
	if change == "retired" {
		return oneroster.ToBeDeleted
	}
	return oneroster.Active
}

// logged reads changes.csv as since has it, by day.
func logged(t *testing.T, file string) map[string][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || strings.Join(rows[0], ",") != "day,date,change,resource,sourcedId,what" {
		t.Fatal(err, rows)
	}
	out := map[string][]string{}
	for _, row := range rows[1:] {
		out[row[0]] = append(out[row[0]], served(row[2])+" "+row[3]+"/"+row[4])
	}
	for _, day := range out {
		slices.Sort(day)
	}
	return out
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, x := range got {
		if !slices.Contains(want, x) {
			t.Errorf("%s: %s is served and not in the log", what, x)
		}
	}
	for _, x := range want {
		if !slices.Contains(got, x) {
			t.Errorf("%s: %s is in the log and not served", what, x)
		}
	}
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%s: %d are served, %d are in the log", what, len(got), len(want))
	}
}

// Thirty days are imported in a row on SQLite, and twelve on PostgreSQL, bulk packages and
// deltas in turn, each day as the one on one engine and as the other on the other: what a reader
// is served after each is what changes.csv says of it, and the district is that of the last package.
func TestThirtyDays(t *testing.T) {
	dir := t.TempDir()
	const args = " --days 30 --delta --students 60 --seed 4 --start 2026-09-01"
	for _, folder := range []string{"days", "again"} {
		if out, errs, code := rollbook(t, dir, strings.Fields("sandbox "+folder+args)...); code != 0 ||
			!strings.Contains(out, "| 2026-09-02 |") {
			t.Fatal(out, errs)
		}
	}
	sameFiles(t, filepath.Join(dir, "days"), filepath.Join(dir, "again"))
	want := logged(t, filepath.Join(dir, "days", "changes.csv"))
	for i, e := range storetest.All {
		t.Run(e.Name, func(t *testing.T) { importThirtyDays(t, dir, e.Empty(t), i, want) })
	}
}

func importThirtyDays(t *testing.T, dir, dsn string, odd int, want map[string][]string) {
	t.Parallel()
	days := []int{30, 12}[odd]
	imports := func(day int, kind string) (stamp string) {
		out, errs, code := rollbook(t, dir, "import", "--new", fmt.Sprintf("days/day-%02d%s.zip", day,
			kind), "--json", "--db", dsn)
		var report struct{ DateLastModified string }
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
			t.Fatal(err, out, errs)
		}
		return report.DateLastModified
	}
	stamp := imports(0, "")
	today := time.Now().Format(time.DateOnly) // one of the days is the rollover
	if _, errs, code := rollbook(t, dir, "calendar", "rollover", today, "--db", dsn); code != 0 {
		t.Fatal(errs)
	}
	out, _, _ := rollbook(t, dir, "client", "add", "reader", "--for", "all", "--json", "--db", dsn)
	var client struct{ ClientID, ClientSecret string }
	if err := json.Unmarshal([]byte(out), &client); err != nil {
		t.Fatal(err, out)
	}
	host := "http://" + serving(t, dir, dsn)
	r := newReader(t, host+"/ims/oneroster/v1p1", host+"/token", client.ClientID, client.ClientSecret)
	for day := 1; day <= days; day++ {
		kind := [...]string{"", "-delta"}[(day+odd)%2]
		next := imports(day, kind)
		got, latest := r.since(t, stamp)
		compare(t, fmt.Sprintf("day %d%s", day, kind), got, want[fmt.Sprint(day)])
		if latest != next {
			t.Errorf("day %d was imported at %s, and is served as of %s", day, next, latest)
		}
		if t.Failed() {
			return
		}
		stamp = next
	}
	// The last day's package is the whole of it: taking it in again changes nothing.
	if stamp := imports(days, ""); stamp != "" {
		t.Errorf("day %d changes something again, at %s", days, stamp)
	}
	name := strings.ReplaceAll(t.Name(), "/", "-") + ".zip"
	if _, errs, code := rollbook(t, dir, "export", name, "--db", dsn); code != 0 {
		t.Fatal(errs)
	}
	compare(t, "the export", entries(t, filepath.Join(dir, name)),
		entries(t, filepath.Join(dir, "days", fmt.Sprintf("day-%02d.zip", days))))
}

func sameFiles(t *testing.T, one, two string) {
	t.Helper()
	names, err := os.ReadDir(one)
	if err != nil || len(names) != 62 {
		t.Fatalf("%d files, %v; want 31 packages, 30 deltas and changes.csv", len(names), err)
	}
	for _, n := range names {
		a, err := os.ReadFile(filepath.Join(one, n.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(two, n.Name())); err != nil || string(a) != string(b) {
			t.Errorf("%s: the same seed and start made other bytes (%v)", n.Name(), err)
		}
	}
}

// eachFile yields the files of a package, in its order.
func eachFile(t *testing.T, name string, yield func(file, text string)) {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		yield(f.Name, string(text))
	}
}

// entries are the rows of every file of a package, in its order.
func entries(t *testing.T, name string) (out []string) {
	t.Helper()
	eachFile(t, name, func(file, text string) {
		for _, line := range strings.Split(strings.TrimSpace(text), "\r\n") {
			out = append(out, file+" "+line)
		}
	})
	return out
}

func TestSandboxUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		errs string
	}{
		{"sandbox d.zip --days 3", 2, "d.zip: --days writes many packages: name a folder"},
		{"sandbox d --days 0", 2, "--days 0: give a number from 1 to 400"},
		{"sandbox d --days 401", 2, "--days 401: give a number from 1 to 400"},
		{"sandbox d.zip --delta", 2, "say how many with --days"},
		{"sandbox d.zip --start 1.9.2026", 2, `--start "1.9.2026" is not a date: write it as 2026-09-01`},
		{"sandbox d.zip --start 9999-12-31", 2, "of the years 1900 to 2100"},
		{"sandbox d.zip --start 0001-01-01", 2, "of the years 1900 to 2100"},
		{"sandbox d.zip --students 0", 2, "--students 0: give a number from 1"},
		{"demo --students -1", 2, "--students -1: give a number from 1"},
		{"sandbox d.zip --students 2000001", 2, "from 1 to 2000000"},
		{"sandbox . --days 3", 1, ". is not empty, it holds mine.txt: name a new folder"},
	} {
		if out, errs, code := rollbook(t, dir, strings.Fields(c.args)...); code != c.code ||
			!strings.Contains(errs, c.errs) {
			t.Errorf("rollbook %s: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != 1 {
		t.Errorf("a refused command left %v, %v", found, err)
	}
}

// Ctrl-C in the middle of writing days leaves nothing behind, and says so in a
// word.
func TestInterruptedDays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := strings.Fields("sandbox life --days 400 --students 3000")
	cmd := program(dir, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for begun := false; !begun; {
		select {
		case err := <-ended:
			t.Fatalf("it ended before it was interrupted: %v %s", err, errs.String())
		default:
		}
		found, _ := filepath.Glob(filepath.Join(dir, "life", ".days-*", "day-000.zip"))
		begun = len(found) > 0
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if code := cmd.ProcessState.ExitCode(); code != 130 || errs.String() != "rollbook: interrupted\n" {
		t.Errorf("exit %d, %q", code, errs.String())
	}
	if found, err := os.ReadDir(dir); err != nil || len(found) != 0 {
		t.Errorf("it left %v, %v", found, err)
	}
	if out, errs, code := rollbook(t, dir, "sandbox", "life", "--days", "1", "--students",
		"5"); code != 0 || !strings.Contains(errs, "12 students are the least") {
		t.Errorf("the next run: exit %d\n%s%s", code, out, errs)
	}
}
