package main

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/store/storetest"
)

// A demonstrated demo is one that runs.
type demonstrated struct {
	*exec.Cmd
	greeting
	out, errs *bufio.Reader
}

// startDemo starts rollbook demo; with --json it reads the greeting.
func startDemo(t *testing.T, dir, args string) *demonstrated {
	t.Helper()
	d := &demonstrated{Cmd: program(dir,
		strings.Fields("demo --students 60 --start 2026-09-01 --addr 127.0.0.1:0 "+args)...)}
	out, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := d.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill() }) // it has ended, unless the test failed
	d.out, d.errs = bufio.NewReader(out), bufio.NewReader(errs)
	if strings.Contains(args, "--json") {
		line, err := d.out.ReadBytes('\n')
		if err != nil || json.Unmarshal(line, &d.greeting) != nil {
			text, _ := io.ReadAll(d.errs)
			t.Fatalf("%s %v %s", line, err, text)
		}
	}
	return d
}

// stop ends the demo as Ctrl-C does, and returns what it still says.
func (d *demonstrated) stop(t *testing.T) string {
	t.Helper()
	if err := d.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, d.out)
	text, _ := io.ReadAll(d.errs) // it ends with the program
	if err := d.Wait(); err != nil {
		t.Errorf("the demo ended with %v %s", err, text)
	}
	return string(text)
}

// move asks for a day as the header, name and value, says.
func (d *demonstrated) move(t *testing.T, method, query string, header ...string) (status int, m moved,
	text string) {
	t.Helper()
	r, err := http.NewRequest(method, d.DayURL+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || json.Unmarshal(body, &m) != nil {
		t.Fatal(err, string(body))
	}
	return answer.StatusCode, m, string(body)
}

// The command moves a day as POST does, and refuses with a sentence.
func TestDayCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startDemo(t, dir, "--live --every 0 --json")
	defer d.stop(t)
	for _, c := range []struct {
		args, out, errs string
		code            int
	}{
		{"demo day " + d.DayURL, "day 1, 2026-09-02: ", "", 0},
		{"demo day --days 2 --json " + d.DayURL, `{"day":3,"date":"2026-09-04"`, "", 0},
		{"demo day --days 0 " + d.DayURL, "", "give a number from 1", 1},
		{"demo day --json " + d.BaseURL, `{"day":4,`, "", 0},
		{"demo day district.db", "", "is not a URL that a demo prints", 2},
		{"demo day http://127.0.0.1:1/demo/day", "", "is a demo --live running", 1},
		{"demo day --dyas 2", "", "did you mean --days?", 2},
	} {
		out, errs, code := rollbook(t, dir, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) {
			t.Errorf("rollbook %s: exit %d\n%.300s%s", c.args, code, out, errs)
		}
	}
	if _, m, _ := d.move(t, "POST", ""); m.Day != 5 {
		t.Errorf("after four days it is day %d", m.Day)
	}
}

// What a day's answer lists is what a reader is served after it, the rollover
// included.
func TestLiveDemo(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		d := startDemo(t, t.TempDir(), "--live --every 0 --json --db "+dsn)
		defer d.stop(t)
		r := newReader(t, d.BaseURL, d.TokenURL, d.ClientID, d.ClientSecret)
		_, stamp := r.since(t, "2000-01-01")
		for day := 1; day <= 23; day++ {
			status, m, text := d.move(t, "POST", "")
			if status != 200 || m.Day != day || m.Added+m.Changed+m.Retired != len(m.Changes) || day == 3 &&
				m.Date != "2026-09-04" {
				t.Fatalf("day %d: %d %s", day, status, text)
			}
			var want []string
			for _, c := range m.Changes {
				want = append(want, served(c.Op)+" "+c.Resource+"/"+c.SourcedID)
			}
			slices.Sort(want)
			got, latest := r.since(t, stamp)
			compare(t, m.Date, got, want)
			stamp = latest
		}
		if status, m, text := d.move(t, "POST", "?days=3"); status != 200 || m.Day != 26 ||
			m.Changes[0].Day != 24 || m.Added+m.Changed+m.Retired != len(m.Changes) {
			t.Errorf("three days: %d %s", status, text)
		}
	})
}

func TestLiveDemoRefuses(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir(), "--live --every 0 --json")
	for _, c := range []struct {
		method, query, name, value string
		status                     int
		says                       string
	}{
		{"POST", "", "Origin", "https://evil.example", 403, "a web page of another site"},
		{"POST", "", "Sec-Fetch-Site", "cross-site", 403, "a web page of another site"},
		{"POST", "", "Host", "evil.example:8080", 403, `not called \"evil.example:8080\"`},
		{"GET", "", "", "", 405, "GET does nothing here: use POST"},
		{"POST", "?days=0", "", "", 400, "days=0: give a number from 1 to 400"},
		{"POST", "?days=401", "", "", 400, "from 1 to 400"},
		{"POST", "?days=many", "", "", 400, "days=many"},
	} {
		header := []string{c.name, c.value}
		if c.name == "" {
			header = nil
		}
		if status, _, text := d.move(t, c.method, c.query, header...); status != c.status ||
			!strings.Contains(text, c.says) {
			t.Errorf("%+v: %d %s", c, status, text)
		}
	}
	if _, m, text := d.move(t, "POST", "", "Sec-Fetch-Site", "same-origin"); m.Day != 1 {
		t.Errorf("a refused request moved the district: %s", text)
	}
	d.stop(t)

	still := startDemo(t, t.TempDir(), "--json")
	still.DayURL = strings.TrimSuffix(still.TokenURL, "/token") + dayPath
	if status, _, text := still.move(t, "POST", ""); status != 404 {
		t.Errorf("a demo that does not live moved: %d %s", status, text)
	}
	still.stop(t)
	for args, says := range map[string]string{"demo --every 3s": "add --live",
		"demo --live --every -3s": "--every -3s", "demo --start today": `--start "today" is not a date`} {
		if _, errs, code := rollbook(t, t.TempDir(), strings.Fields(args)...); code != 2 ||
			!strings.Contains(errs, says) {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
}

func TestLiveDemoMovesByItself(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir(), "--live --every 5ms")
	for _, want := range []string{"day 1, 2026-09-02: ", "day 2, 2026-09-03: ", "day 3, 2026-09-04: "} {
		if line, err := d.errs.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) ||
			!strings.HasSuffix(line, " retired\n") {
			t.Fatalf("%q, want %s… (%v)", line, want, err)
		}
	}
	d.stop(t)
}

// A database that a living demo has moved is put back to its first day.
func TestLiveDemoStartsOver(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		d := startDemo(t, dir, "--live --every 0 --json --db "+dsn)
		if status, _, text := d.move(t, "POST", "?days=25"); status != 200 {
			t.Fatal(text)
		}
		d.stop(t)
		d = startDemo(t, dir, "--live --every 0 --db "+dsn)
		if line, err := d.errs.ReadString('\n'); err != nil || !strings.Contains(line,
			"it starts over at day 0, 2026-09-01 (") {
			t.Errorf("%s %v", line, err)
		}
		for line := ""; !strings.Contains(line, "curl -s -X POST"); { // the greeting ends with it
			var err error
			if line, err = d.out.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		d.stop(t)
		for _, args := range []string{"export now.zip --db " + dsn,
			"sandbox first.zip --students 60 --start 2026-09-01"} {
			if _, errs, code := rollbook(t, dir, strings.Fields(args)...); code != 0 {
				t.Fatal(errs)
			}
		}
		compare(t, "the first day again", entries(t, filepath.Join(dir, "now.zip")),
			entries(t, filepath.Join(dir, "first.zip")))
	})
}

// A day that cannot be published ends the demo, and says why.
func TestLiveDemoEnds(t *testing.T) {
	t.Parallel()
	for engine, driver := range map[string]string{"sqlite": "sqlite", "postgres": "pgx"} {
		t.Run(engine, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "district.db")
			if driver == "pgx" {
				dsn = storetest.Postgres(t)
			}
			d := startDemo(t, t.TempDir(), "--live --every 0 --json --db "+dsn)
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(`DROP TABLE "versions"`); err != nil {
				t.Fatal(err)
			}
			if status, _, text := d.move(t, "POST", "?days=2"); status != 500 || !strings.Contains(text,
				"day 1 could not be published, and the demo ends") {
				t.Errorf("%d %s", status, text)
			}
			text, _ := io.ReadAll(d.errs)
			var exit *exec.ExitError
			if err := d.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 ||
				!strings.Contains(string(text), "rollbook: day 1 could not be published") {
				t.Errorf("%v %s", err, text)
			}
		})
	}
}
