package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// The test binary is the program when this variable is set; its districts are
// thrown away, unless lasting says otherwise.
const beProgram = "ROLLBOOK_TEST_BE_PROGRAM"

func TestMain(m *testing.M) {
	switch as := os.Getenv(beProgram); as {
	case "":
	case "line by line":
		throwaway = true
		lineByLine()
	default:
		throwaway = as == "throwaway"
		main()
	}
	storetest.Main(m, endResting)
}

// program is a command line of the program; its garbage is collected as storetest.Main
// has it.
func program(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), beProgram+"=throwaway", "XDG_CONFIG_HOME="+dir, "GOGC=400")
	return cmd
}

// lasting makes a program wait for the disk as it does for its users.
func lasting(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(cmd.Env, beProgram+"=lasting")
	return cmd
}

// runs returns what runs command lines on a database, each of which must succeed, and
// returns what it prints.
func runs(t *testing.T, dir, dsn string) func(args ...string) string {
	return func(args ...string) string {
		t.Helper()
		out, errs, code := rollbook(t, dir, append(args, "--db", dsn)...)
		if code != 0 {
			t.Fatalf("%s: %d %s%s", args, code, out, errs)
		}
		return out
	}
}

func TestStories(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "bad.csv"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			args      string
			code      int
			out, errs string
		}{
			{"sandbox d.zip --students 60 --seed 7", 0, "", ""},
			{"import --new d.zip --json", 0, `"users":{"added":1`, ""},
			{"import --new d.zip --json", 0, `"dateLastModified":""`, ""},
			{"export e.zip", 0, "", ""},
			{"import e.zip --json", 0, `"dateLastModified":""`, ""},
			{"import nothing.zip", 1, "", "no such file"},
			{"import bad.csv", 1, "", "neither a folder nor a zip"},
			{"client add sds --json", 0, `"clientSecret":"`, ""},
			{"client list", 0, "sds", ""},
			{"client add sds --scopes nosuch", 2, "", `"nosuch" is not one of roster-core.readonly`},
			{"client rotate nosuch", 1, "", `there is no client "nosuch"`},
			{"client remove nosuch", 1, "", `there is no client "nosuch"`},
			{"serve --addr 0.0.0.0:0", 2, "", "plain HTTP on 0.0.0.0:0"},
			{"imprt", 2, "", `unknown command "imprt" for "rollbook" Did you mean this? import`},
			{"import --skp-bad", 2, "", "unknown flag: --skp-bad: did you mean --skip-bad?"},
		} {
			out, errs, code := rollbook(t, dir, append(strings.Fields(c.args), "--db", dsn)...)
			if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) {
				t.Errorf("rollbook %s: exit %d\n%s%s", c.args, code, out, errs)
			}
		}
	})
}

// A row that cannot be used does not retire what is stored of it, and the demo
// keeps its hands off a district that is not made up.
func TestNobodyIsRetiredByMistake(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		write := func(users string) {
			for name, text := range map[string]string{"orgs.csv": "sourcedId,name,type\no1,School,school\n",
				"users.csv": "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName\n" +
					users} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, c := range []struct {
			users, args string
			code        int
			out, errs   string
		}{
			{"u1,true,o1,student,a,A,B\nu2,true,o1,student,b,A,B\n", "import --new . --json", 0,
				`"users":{"added":2`, ""},
			{"u1,true,o1,pupil,a,A,B\nu2,true,o1,student,b,A,B\n", "import --new . --skip-bad --json", 4,
				`"users":{"added":0,"changed":0,"retired":0,"same":1}`, "1 problem:"},
			{"", "import --new . --skip-bad", 1, "", "would retire"},
			{"", "demo", 1, "", "not made up"},
		} {
			write(c.users)
			out, errs, code := rollbook(t, dir, append(strings.Fields(c.args), "--db", dsn)...)
			if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) {
				t.Errorf("%q, rollbook %s: exit %d\n%s%s", c.users, c.args, code, out, errs)
			}
		}
	})
}

func TestDemoAnswers(t *testing.T) {
	t.Parallel()
	cmd := program(t.TempDir(), "demo", "--json", "--students", "60", "--addr", "127.0.0.1:0")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(pipe).ReadBytes('\n')
	var g greeting
	if err != nil || json.Unmarshal(line, &g) != nil {
		t.Fatalf("%s %v", line, err)
	}
	r, _ := http.NewRequest("POST", g.TokenURL, nil)
	r.SetBasicAuth(g.ClientID, g.ClientSecret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("%v %v", answer, err)
	}
	_ = answer.Body.Close()
	// Ctrl-C ends it in good order.
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v", err)
	}
}

// Killed at any moment of an import, the database holds the district before it
// or the one after it, opens without repair, and takes the import again.
func TestKilledImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range []string{"sandbox b.zip --students 600", "init --db first.db",
		"import --new b.zip --db last.db"} {
		if _, errs, code := rollbook(t, dir, strings.Fields(args)...); code != 0 {
			t.Fatal(errs)
		}
	}
	before, after := active(t, filepath.Join(dir, "first.db")), active(t, filepath.Join(dir, "last.db"))
	if before == after {
		t.Fatal("the two districts cannot be told apart")
	}
	unchanged := 0
	for i, size := range []int64{0, 1, 100 << 10, 1 << 20} { // so much of the write-ahead log is there
		db := filepath.Join(dir, fmt.Sprintf("killed%d.db", i))
		if _, errs, code := rollbook(t, dir, "init", "--db", db); code != 0 {
			t.Fatal(errs)
		}
		killAt(t, lasting(program(dir, "import", "b.zip", "--db", db)), db+"-wal", size)
		got := active(t, db)
		if got != before && got != after {
			t.Errorf("killed at %d bytes: %s; before it was %s, after it would be %s", size, got, before,
				after)
		}
		if got == before {
			unchanged++
		}
		if _, errs, code := rollbook(t, dir, "import", "b.zip", "--db", db); code != 0 ||
			active(t, db) != after {
			t.Errorf("the import after the kill: %d %s", code, errs)
		}
	}
	if unchanged == 0 {
		t.Error("no import was killed before it was through")
	}
}

// active counts the records of each resource.
func active(t *testing.T, db string) string {
	t.Helper()
	s := storetest.Open(t, db, store.Options{})
	defer s.Close()
	n, err := s.Counts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, r := range oneroster.Resources() {
		out += fmt.Sprintf("%s %d ", r.Plural, n[r])
	}
	return out
}

// killAt starts a program and kills it once a file is so large, or it has ended.
func killAt(t *testing.T, cmd *exec.Cmd, file string, size int64) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed, or through: the database tells
		close(ended)
	}()
	for {
		select {
		case <-ended:
			return
		default:
		}
		if info, err := os.Stat(file); err == nil && info.Size() >= size {
			_ = cmd.Process.Kill() // it may have ended just now
			<-ended
			return
		}
	}
}
