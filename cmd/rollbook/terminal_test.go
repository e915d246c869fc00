package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/machine"
	"rollbook/internal/store/storetest"
)

// onTerminal runs a command line of this program on a terminal of so many columns.
func onTerminal(t *testing.T, dir string, columns int, line string) *exec.Cmd {
	t.Helper()
	machine.Has(t, "script", "bsdutils")
	self, _ := os.Executable()
	cmd := program(dir)
	shell := fmt.Sprintf("stty cols %d; exec %s %s", columns, self, line)
	if path, err := exec.LookPath("script"); err == nil {
		cmd.Path = path
	}
	cmd.Args = []string{"script", "-qec", shell, "/dev/null"}
	return cmd
}

// A table fits the terminal that it is printed on, and loses nothing; into a file it
// is as wide as it is.
func TestTablesFitTheTerminal(t *testing.T) {
	t.Parallel()
	dir := write(t, right)
	for _, args := range [][]string{{"import", "--new", "."},
		{"client", "add", "A reader of rosters with a long name", "--for", "all"}} {
		if _, errs, code := rollbook(t, dir, args...); code != 0 {
			t.Fatal(errs)
		}
	}
	for _, columns := range []int{200, 70, 50} {
		text, err := onTerminal(t, dir, columns, "client list").CombinedOutput()
		if err != nil {
			t.Fatalf("%v %s", err, text)
		}
		for _, line := range strings.Split(strings.ReplaceAll(string(text), "\r", ""), "\n") {
			if n := len([]rune(line)); n > columns {
				t.Errorf("%d columns: a line of %d: %s", columns, n, line)
			}
		}
		whole := strings.NewReplacer("|", "", "\r", "", "\n", "", " ", "").Replace(string(text))
		if columns == 200 && !strings.Contains(whole, "Areaderofrosterswithalongname") {
			t.Errorf("%d columns: something was lost: %s", columns, text)
		}
	}
	out, _, _ := rollbook(t, dir, "client", "list")
	if !strings.Contains(out, "A reader of rosters with a long name") {
		t.Errorf("into a file: %s", out)
	}
}

// A person at a terminal reads lines, a program JSON.
func TestLogOnATerminal(t *testing.T) {
	t.Parallel()
	dir := write(t, right)
	if _, errs, code := rollbook(t, dir, "import", "--new", "."); code != 0 {
		t.Fatal(errs)
	}
	cmd := onTerminal(t, dir, 100, "serve --addr 127.0.0.1:0")
	in, err := cmd.StdinPipe() // ^C comes by it
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	var text bytes.Buffer
	until := func(what string) {
		t.Helper()
		part := make([]byte, 4096)
		for !strings.Contains(text.String(), what) {
			n, err := out.Read(part)
			text.Write(part[:n])
			if err != nil {
				t.Fatalf("no %q: %v %s", what, err, text.String())
			}
		}
	}
	until("\n")
	_, after, _ := strings.Cut(text.String(), "serving address=")
	address, _, ok := strings.Cut(after, " ")
	if !ok {
		t.Fatal(text.String())
	}
	answer, err := http.Get("http://" + address + "/nothing%20here")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	until("path=/nothing%20here")
	if strings.Contains(text.String(), "{") || !strings.Contains(text.String(), "status=404") {
		t.Error(text.String())
	}
	_, _ = io.WriteString(in, "\x03")
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

// rotate --now ends the tokens that a client has, --signing-key those of all, without
// a restart of the service.
func TestTokensAreEnded(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := write(t, right)
		t.Setenv("XDG_CONFIG_HOME", dir)
		run := runs(t, dir, dsn)
		run("import", "--new", ".")
		a, b := clientOf(t, run("client", "add", "a", "--json")),
			clientOf(t, run("client", "add", "b", "--json"))
		address := "http://" + serving(t, dir, dsn)
		tokens := map[string]string{}
		for name, c := range map[string]credential{"a": a, "b": b} {
			tokens[name] = newReader(t, "", address+"/token", c.ClientID, c.ClientSecret).token
		}
		status := func(name string) int {
			r, _ := http.NewRequest("GET", address+"/ims/oneroster/v1p1/orgs", nil)
			r.Header.Set("Authorization", "Bearer "+tokens[name])
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			return answer.StatusCode
		}
		if status("a") != 200 || status("b") != 200 {
			t.Fatal("no token opens anything")
		}
		fresh := clientOf(t, run("client", "rotate", a.ClientID, "--now", "--json"))
		if status("a") != 401 || status("b") != 200 {
			t.Errorf("after rotate --now: %d, of another %d", status("a"), status("b"))
		}
		run("client", "rotate", "--signing-key")
		for _, args := range [][]string{{"rotate"}, {"rotate", a.ClientID, "--signing-key"},
			{"rotate", "--all", "--signing-key"},
			{"rotate", a.ClientID, "--now", "--overlap", "1h"}} {
			if _, errs, code := rollbook(t, dir, append([]string{"client", "--db", dsn},
				args...)...); code != 2 || !strings.Contains(errs, "--") {
				t.Errorf("%s: %d %s", args, code, errs)
			}
		}
		// Another process makes the new key; its token tells the running one.
		other := "http://" + serving(t, dir, dsn)
		tokens["a"] = newReader(t, "", other+"/token", fresh.ClientID, fresh.ClientSecret).token
		if status("a") != 200 || status("b") != 401 {
			t.Errorf("after rotate --signing-key: %d, with an old token %d", status("a"), status("b"))
		}
	})
}

// What a verb wrote, and what is wrong with a command line, is said.
func TestVerbsSayWhatTheyWrote(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, errs, code := rollbook(t, dir, "sandbox", "d.zip", "--students", "60")
	if code != 0 || !strings.Contains(errs, "records in d.zip") {
		t.Errorf("%d %q", code, errs)
	}
	said := errs
	if _, errs, code = rollbook(t, dir, "import", "--new", "d.zip"); code != 0 {
		t.Fatal(errs)
	}
	if _, errs, _ = rollbook(t, dir, "export", "d.zip"); errs != said {
		t.Errorf("sandbox wrote %q, export %q", said, errs)
	}
	for line, want := range map[string]string{"import": "see rollbook help import",
		"client add": "see rollbook help client add", "serve x": "see rollbook help serve"} {
		if _, errs, code := rollbook(t, dir, strings.Fields(line)...); code != 2 || !strings.Contains(errs,
			want) {
			t.Errorf("%s: %d %s", line, code, errs)
		}
	}
	_, errs, _ = rollbook(t, dir, "client", "list", "--db", "postgres://u:hidden@127.0.0.1:1/x")
	if strings.Count(errs, "refused") != 1 || strings.Contains(errs, "hidden") {
		t.Errorf("an unreachable server: %s", errs)
	}
	key := filepath.Join(dir, "rollbook.db.key")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := rollbook(t, dir, "client", "list"); code != 0 || !strings.Contains(errs,
		"can be read by others") {
		t.Errorf("a key that others can read: %d %s", code, errs)
	}
}

type credential struct{ ClientID, ClientSecret string }

func clientOf(t *testing.T, out string) (c credential) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		t.Fatal(out)
	}
	return c
}
