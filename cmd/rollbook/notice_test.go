package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// answered is the status and the body of a GET.
func answered(t *testing.T, url, accept string) (int, string) {
	t.Helper()
	r, _ := http.NewRequest("GET", url, nil)
	r.Header.Set("Accept", accept)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, _ := io.ReadAll(a.Body)
	return a.StatusCode, string(body)
}

// A service whose database was moved away, or replaced, says so, and takes no write
// that would be lost; the process itself is well.
func TestDatabaseMovedAway(t *testing.T) {
	t.Parallel()
	dir := write(t, right)
	db := filepath.Join(t.TempDir(), "d.db")
	if _, errs, code := rollbook(t, dir, "import", "--new", ".", "--db", db); code != 0 {
		t.Fatal(errs)
	}
	out, _, _ := rollbook(t, dir, "client", "add", "x", "--for", "gradesync", "--json", "--db", db)
	var client struct{ ClientID, ClientSecret string }
	if err := json.Unmarshal([]byte(out), &client); err != nil {
		t.Fatal(out)
	}
	address, cmd := start(t, dir, db)
	base := "http://" + address
	r := newReader(t, "", base+"/token", client.ClientID, client.ClientSecret)
	put := func() int {
		q, _ := http.NewRequest("PUT", base+"/ims/oneroster/v1p1/categories/k1",
			strings.NewReader(`{"category":{"title":"x"}}`))
		q.Header.Set("Authorization", "Bearer "+r.token)
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		return a.StatusCode
	}
	if status, _ := answered(t, base+"/readyz", ""); status != 200 || put() != 201 {
		t.Fatalf("readyz %d", status)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil { // ends nothing
		t.Fatal(err)
	}
	for _, do := range []func() error{
		func() error { return os.Rename(db, db+".away") },
		func() error {
			text, err := os.ReadFile(db + ".away")
			if err == nil {
				err = os.WriteFile(db, text, 0o600)
			}
			return err
		},
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		ready, _ := answered(t, base+"/readyz", "")
		health, _ := answered(t, base+"/healthz", "")
		if status := put(); ready != 503 || health != 200 || status < 500 {
			t.Errorf("readyz %d, healthz %d, PUT %d", ready, health, status)
		}
	}
}

// A browser that comes to look is told what this is; a program gets what it got.
func TestPageForBrowsers(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir(), "--json")
	defer d.stop(t)
	host := strings.TrimSuffix(d.TokenURL, "/token")
	for _, url := range []string{host + "/", d.BaseURL, d.BaseURL + "/"} {
		if status, body := answered(t, url, "text/html,*/*"); status != 200 || !strings.Contains(body,
			d.BaseURL) || !strings.Contains(body, "/openapi.json") {
			t.Errorf("%s: %d %s", url, status, body)
		}
		if status, body := answered(t, url, "application/json"); status == 200 || !strings.HasPrefix(body,
			"{") {
			t.Errorf("%s for a program: %d %s", url, status, body)
		}
	}
}

// A clock that was ahead for one import is told at start and by readyz.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		next := time.Now().AddDate(1, 0, 0)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return next }})
		if _, err := s.Import(t.Context(), made(t, right), store.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		// makes the key, and says where
		if _, errs, code := rollbook(t, dir, "client", "list", "--db", dsn); code != 0 {
			t.Fatal(errs)
		}
		cmd := program(dir, "serve", "--addr", "127.0.0.1:0", "--db", dsn)
		log, err := cmd.StderrPipe()
		if err != nil || cmd.Start() != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test failed
		lines := json.NewDecoder(log)
		var warning, serving struct{ Msg, Problem, Address string }
		if lines.Decode(&warning) != nil || lines.Decode(&serving) != nil ||
			!strings.Contains(warning.Problem, "ahead of this machine's clock") {
			t.Errorf("%+v %+v", warning, serving)
		}
		if status, body := answered(t, "http://"+serving.Address+"/readyz", ""); status != 200 ||
			!strings.Contains(body, "set the clock") {
			t.Errorf("%d %s", status, body)
		}
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // the log told what was to be seen
	})
}

func TestVersion(t *testing.T) {
	for _, args := range []string{"version", "--version"} {
		if out, errs, code := rollbook(t, t.TempDir(), args); code != 0 || !strings.HasPrefix(out,
			"rollbook ") {
			t.Errorf("%s: %d %s%s", args, code, out, errs)
		}
	}
}

// A SQLite file of another program is left as it is, and so is what is no database.
func TestForeignDatabases(t *testing.T) {
	t.Parallel()
	dir := write(t, right)
	db := filepath.Join(dir, "text.db")
	if err := os.WriteFile(db, []byte("these are notes, and no database at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"import --new .", "serve", "init", "demo"} {
		if _, errs, code := rollbook(t, dir, append(strings.Fields(verb), "--db", db)...); code != 1 ||
			!strings.Contains(errs, db+" is not a SQLite database") {
			t.Errorf("%s: %d %s", verb, code, errs)
		}
	}
	if text, _ := os.ReadFile(db); !strings.HasPrefix(string(text), "these are notes") {
		t.Errorf("it is now %q", text)
	}
}

// made opens and checks a package of files.
func made(t *testing.T, files map[string]string) *intake.Checked {
	t.Helper()
	p, err := bulk.Open(write(t, files), bulk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	checked, err := intake.Check(t.Context(), p, intake.Stored{}, intake.CheckOptions{})
	if err != nil || checked.Problems.Total > 0 {
		t.Fatal(err, checked.Problems)
	}
	return checked
}

// A key file that is lost is not made anew by any verb, the refusal says what still
// works, and rotate --all is the way out.
func TestLostKey(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := write(t, right)
		key := filepath.Join(dir, "the.key")
		run := func(args string) (string, string, int) {
			return rollbook(t, dir, append(strings.Fields(args), "--db", dsn, "--key-file", key)...)
		}
		if _, errs, code := run("import --new ."); code != 0 {
			t.Fatal(errs)
		}
		if _, errs, code := run("client add signer --oauth1"); code != 0 {
			t.Fatal(errs)
		}
		if err := os.Rename(key, key+".lost"); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"client add x", "client list", "serve --addr 127.0.0.1:0",
			"export x.zip", "import ."} {
			_, errs, code := run(verb)
			if _, err := os.Stat(key); code != 1 || !strings.Contains(errs, "is missing") ||
				!strings.Contains(errs, "client rotate --all") || err == nil {
				t.Errorf("%s: %d %s %v", verb, code, errs, err)
			}
		}
		out, errs, code := run("client rotate --all --json")
		var secrets []struct{ ClientID, ClientSecret string }
		if err := json.Unmarshal([]byte(out), &secrets); err != nil || code != 0 || len(secrets) != 1 {
			t.Fatal(err, code, errs)
		}
		if out, errs, code := run("client list"); code != 0 || !strings.Contains(out, "signer") {
			t.Errorf("%d %s", code, errs)
		}
		if err := os.Rename(key+".lost", key); err != nil { // now it is the wrong one
			t.Fatal(err)
		}
		if _, errs, code := run("client list"); code != 1 || !strings.Contains(errs, "holds key") {
			t.Errorf("%d %s", code, errs)
		}
	})
}

// After a restored copy, restored lets deltas bring what readers hold otherwise than
// the district; what only the lost days had goes with a whole pull, which is what it
// says.
func TestRestoredCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(args string, want int) (out string) {
		t.Helper()
		out, errs, code := rollbook(t, dir, strings.Fields(args)...)
		if code != want {
			t.Fatalf("%s: %d %s%s", args, code, out, errs)
		}
		return out
	}
	run("sandbox days --days 3 --students 60 --start 2026-09-01", 0)
	run("import --new days/day-00.zip", 0)
	var client struct{ ClientID, ClientSecret string }
	if err := json.Unmarshal([]byte(run("client add sds --for all --json", 0)), &client); err != nil {
		t.Fatal(err)
	}
	var behind string // the service of the moment, behind one address
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", behind, r.In.Host
	}})
	defer front.Close()
	sync := func(args string) string {
		t.Helper()
		address, cmd := start(t, dir, filepath.Join(dir, "rollbook.db"))
		behind = address
		base := front.URL + "/ims/oneroster/v1p1"
		out, errs, code := rollbook(t, dir,
			append(strings.Fields("sync sds "+base+" --token-url "+
				front.URL+"/token --mirror m.db --shrink 100 --json "+args),
				"--client", client.ClientID, "--secret", client.ClientSecret)...)
		stop(cmd) // it remembers how far the clock has come
		if !strings.HasPrefix(out, "{") {
			t.Fatalf("%s: %d %s", args, code, errs)
		}
		return out
	}
	copyFile := func(from, to string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copyFile("rollbook.db", "copy.db") // no service is running
	run("import days/day-03.zip --shrink 100", 0)
	sync("")
	copyFile("copy.db", "rollbook.db")
	for _, extra := range []string{"-wal", "-shm", ".mark"} { // nothing remembers the lost days
		_ = os.Remove(filepath.Join(dir, "rollbook.db"+extra))
	}
	if out := sync("--prove"); strings.Contains(out, `"differences":[]`) {
		t.Fatal("a restored copy differs in nothing: the test shows nothing")
	}
	if out := run("restored", 0); !strings.Contains(out, "pull whole once") {
		t.Error(out)
	}
	if out := run("restored --json --now --db copy.db --key-file rollbook.db.key",
		0); !strings.Contains(out, `"records":`) {
		t.Error(out)
	}
	if out := run("restored --json --after 2099-01-02T03:04:05Z --db copy.db --key-file rollbook.db.key",
		0); !strings.Contains(out, `"dateLastModified":"2099-01-02T03:04:05.001Z"`) {
		t.Error(out)
	}
	if _, errs, code := rollbook(t, dir, "restored", "--after", "soon"); code != 2 ||
		!strings.Contains(errs, "--after") {
		t.Errorf("%d %s", code, errs)
	}
	sync("--full")
	if out := sync("--prove"); !strings.Contains(out, `"differences":[]`) {
		t.Errorf("after a whole pull the mirror differs: %.600s", out)
	}
}
