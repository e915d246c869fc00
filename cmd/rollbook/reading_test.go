package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/machine"
	"rollbook/internal/store/storetest"
)

// The readers of docs/reading.md hold, after a whole pull and after deltas, just
// what a demo serves, whatever it does to them on the way.
func TestReadersOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/reading.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct{ language, file, program, debian string }{
		{"python", "reader.py", "python3", "python3"}, {"javascript", "reader.js", "node", "nodejs"},
	} {
		found := regexp.MustCompile("(?s)```" + c.language + "\n(.*?)```").FindSubmatch(text)
		if found == nil {
			t.Fatalf("docs/reading.md has no %s", c.language)
		}
		small := regexp.MustCompile(`LIMIT(, TRIES)? = 1000`).ReplaceAll(found[1], []byte("LIMIT$1 = 100"))
		t.Run(c.language, func(t *testing.T) {
			t.Parallel() // a reader mostly waits
			machine.Has(t, c.program, c.debian)
			t.Run(storetest.All[i].Name, func(t *testing.T) { // each of them reads of another engine
				dsn := storetest.All[i].Empty(t)
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, c.file), small, 0o600); err != nil {
					t.Fatal(err)
				}
				d := startDemo(t, dir, "--live --every 0 --trouble --history 3 --json --db "+dsn)
				defer d.stop(t)
				run := func() {
					t.Helper()
					cmd := exec.Command(c.program, c.file, d.BaseURL, d.TokenURL, d.ClientID,
						d.ClientSecret, "district.json")
					cmd.Dir = dir
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%v %s", err, out)
					}
				}
				for _, kinds := range []string{"expired torn moves", "429 503 moves"} {
					for _, kind := range strings.Fields(kinds) {
						d.trouble(t, kind, 1)
					}
					run() // the district moves under it
					if status, _, said := d.move(t, "POST", "?days=12"); status != 200 {
						t.Fatal(said)
					}
				}
				run()
				sameDistrict(t, filepath.Join(dir, "district.json"), d)
			})
		})
	}
}

// sameDistrict compares what a reader holds with what is served as active.
func sameDistrict(t *testing.T, file string, d *demonstrated) {
	t.Helper()
	type row = map[string]any
	var held struct{ Rows map[string]map[string]row }
	body, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(body, &held) != nil {
		t.Fatal(err)
	}
	r := newReader(t, d.BaseURL, d.TokenURL, d.ClientID, d.ClientSecret)
	if len(held.Rows) != 6 {
		t.Fatalf("%d collections are held", len(held.Rows))
	}
	for name, got := range held.Rows {
		var page map[string][]row
		query := "?limit=50000&filter=" + url.QueryEscape("status='active'")
		if err := json.Unmarshal([]byte(ask(t, "GET", r.base+"/"+name+query, r.token, "", "")),
			&page); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(page[name]) || len(got) == 0 {
			t.Errorf("%s: %d rows are held, %d are served", name, len(got), len(page[name]))
		}
		for _, want := range page[name] {
			id := want["sourcedId"].(string)
			if a, b := encoded(got[id]), encoded(want); a != b {
				t.Errorf("%s/%s is held as %s and served as %s", name, id, a, b)
			}
		}
	}
}

func encoded(v any) string {
	out, _ := json.Marshal(v)
	return string(out)
}

// trouble asks a demo to misbehave.
func (d *demonstrated) trouble(t *testing.T, kind string, times int) {
	t.Helper()
	dir := t.TempDir()
	out, errs, code := rollbook(t, dir, "demo", "trouble", kind, d.TokenURL, "--times", encoded(times))
	if code != 0 || !strings.Contains(out, `"`+kind+`":`+encoded(times)) {
		t.Fatalf("%d %s %s", code, out, errs)
	}
}

// Each kind of trouble is what its name says, for as many answers as were asked
// for, and then all is well.
func TestTroubleOnDemand(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir(), "--trouble --json")
	defer d.stop(t)
	r := newReader(t, d.BaseURL, d.TokenURL, d.ClientID, d.ClientSecret)
	get := func() (*http.Response, error) {
		q, _ := http.NewRequest("GET", d.BaseURL+"/users?limit=50&sort=dateLastModified&orderBy=desc", nil)
		q.Header.Set("Authorization", "Bearer "+r.token)
		return http.DefaultClient.Do(q)
	}
	read := func() (status int, header http.Header, body string, err error) {
		a, err := get()
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		var page any
		err = json.NewDecoder(a.Body).Decode(&page)
		return a.StatusCode, a.Header, encoded(page), err
	}
	_, _, before, _ := read()
	for _, kind := range []string{"429", "503", "torn"} {
		d.trouble(t, kind, 2)
		for range 2 {
			status, header, _, err := read()
			torn := status == 200 && err != nil
			if kind == "torn" != torn || kind != "torn" && (encoded(status) != kind ||
				header.Get("Retry-After") == "") {
				t.Errorf("%s: %d %v %v", kind, status, header, err)
			}
		}
		if status, _, body, err := read(); status != 200 || err != nil || body != before {
			t.Errorf("after %s: %d %v", kind, status, err)
		}
	}
	d.trouble(t, "moves", 1)
	if _, _, body, _ := read(); body != before {
		t.Error("the district moved before the answer")
	}
	if _, _, body, _ := read(); body == before {
		t.Error("the district did not move behind the answer")
	}
	d.trouble(t, "expired", 1)
	for range 2 { // it stays expired
		status, header, _, _ := read()
		if status != 401 || !strings.Contains(header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%d %v", status, header)
		}
	}
	r = newReader(t, d.BaseURL, d.TokenURL, d.ClientID, d.ClientSecret)
	if status, _, _, _ := read(); status != 200 {
		t.Errorf("a new token: %d", status)
	}
	for args, says := range map[string]string{
		"flood": "kind=flood: give one of 429, 503,", "torn --times 1001": "times=1001",
	} {
		out, errs, code := rollbook(t, t.TempDir(), append(strings.Fields("demo trouble "+args),
			d.BaseURL)...)
		if code != 1 || !strings.Contains(errs, says) {
			t.Errorf("%s: %d %s%s", args, code, out, errs)
		}
	}
}

// A demo has a week behind it: people who left, and something in every delta.
func TestDemoHasHistory(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		d := &demonstrated{}
		d.greeting = demoed(t, t.TempDir(), dsn, "--history", "5")
		r := newReader(t, d.BaseURL, d.TokenURL, d.ClientID, d.ClientSecret)
		all, latest := r.since(t, "2000-01-01")
		gone := slices.ContainsFunc(all,
			func(s string) bool { return strings.HasPrefix(s, "tobedeleted enrollments/") })
		if !gone {
			t.Error("nobody has left")
		}
		day := strings.Split(latest, "T")[0]
		if delta, _ := r.since(t, day); len(delta) == 0 || len(delta) > len(all)/2 {
			t.Errorf("the last day changed %d of %d", len(delta), len(all))
		}
	})
}
