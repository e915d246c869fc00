package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rollbook/internal/host"
	"rollbook/internal/oneroster"
	"rollbook/internal/store/storetest"
)

// Each archive in testdata/earlier is named for a version of the schema and has, for both
// engines, the district that the program of that version left, the key, a client, and what
// that program served of it. Before a release, and before a migration is added:
//
//	go build -o /tmp/rollbook ./cmd/rollbook
//	go test ./cmd/rollbook -run TestEarlierDatabases -earlier 7=/tmp/rollbook
var earlier = flag.String("earlier", "", "N=PROGRAM: what that program leaves is put into testdata/earlier")

// A database that an earlier version left is opened; the same rows are served to the same
// client, with the same stamps; it can be written, and a package taken in.
func TestEarlierDatabases(t *testing.T) {
	t.Parallel()
	if number, program, ok := strings.Cut(*earlier, "="); ok {
		keepEarlier(t, number, program)
	}
	archives, err := filepath.Glob("testdata/earlier/*.zip")
	if err != nil || len(archives) < 6 {
		t.Fatal(archives, err)
	}
	for _, archive := range archives {
		files := unpacked(t, archive)
		for _, engine := range storetest.All {
			t.Run(filepath.Base(archive)+"/"+engine.Name, func(t *testing.T) {
				file := func(name string) string {
					text, ok := files[strings.ToLower(engine.Name)+"/"+name]
					if !ok {
						t.Fatalf("%s has no %s of %s", archive, name, engine.Name)
					}
					return text
				}
				dir, dsn := t.TempDir(), engine.Empty(t)
				if host.IsPostgres(dsn) {
					dumpedInto(t, dsn, file("dump.sql"))
				} else if err := os.WriteFile(dsn, []byte(file("rollbook.db")), 0o600); err != nil {
					t.Fatal(err)
				}
				key := filepath.Join(dir, "old.key")
				if err := os.WriteFile(key, []byte(file("rollbook.key")), 0o600); err != nil {
					t.Fatal(err)
				}
				var want map[string]any
				if err := json.Unmarshal([]byte(file("served.json")), &want); err != nil {
					t.Fatal(err)
				}
				opensEarlier(t, dir, dsn, key, clientOf(t, file("client.json")), want,
					filepath.Base(archive) == "1.zip")
			})
		}
	}
}

func opensEarlier(t *testing.T, dir, dsn, key string, c credential, want map[string]any, first bool) {
	address, cmd := start(t, dir, dsn, "--key-file", key)
	r := newReader(t, "http://"+address+"/ims/oneroster/v1p1", "http://"+address+"/token", c.ClientID,
		c.ClientSecret)
	got := r.everything(t)
	if first { // it told more of who has left than must be told: they are bare now, with new stamps
		bare(got)
		bare(want)
	}
	if !reflect.DeepEqual(got, want) {
		for collection, rows := range want {
			if !reflect.DeepEqual(got[collection], rows) {
				t.Errorf("%s:\n%v\nwere\n%v", collection, got[collection], rows)
			}
		}
	}
	if status := r.puts(t, "categories/new", `{"category":{"title":"New"}}`); status != http.StatusCreated {
		t.Errorf("a grade category: %d", status)
	}
	stop(cmd)
	run := runs(t, write(t, edited(right, "users.csv", "+u9,,,true,s1,student,zoe,,Zoe,Zimt,,,,,,,09,\n")),
		dsn)
	out := run("import", ".", "--key-file", key, "--json")
	var report struct {
		Counts map[string]struct{ Added, Same int }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err, out)
	}
	if u := report.Counts["users"]; u.Added != 1 || u.Same < 2 {
		t.Errorf("the next night: %s", out)
	}
}

// bare leaves of deleted rows that they are deleted.
func bare(all map[string]any) {
	for _, rows := range all {
		for _, row := range rows.([]any) {
			if row := row.(map[string]any); row["status"] == "tobedeleted" {
				maps.DeleteFunc(row, func(name string, _ any) bool {
					return name != "sourcedId" &&
						name != "status"
				})
			}
		}
	}
}

// everything is all rows of all collections; links are told without the address.
func (r reader) everything(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, resource := range oneroster.Resources() {
		body := ask(t, "GET", r.base+"/"+resource.Plural+"?limit=1000", r.token, "", "")
		var page map[string]any
		if err := json.Unmarshal([]byte(strings.ReplaceAll(body, r.base, "BASE")), &page); err != nil {
			t.Fatal(err)
		}
		all[resource.Plural] = page[resource.Plural]
	}
	return all
}

// puts writes an object.
func (r reader) puts(t *testing.T, path, body string) int {
	t.Helper()
	q, _ := http.NewRequest("PUT", r.base+"/"+path, strings.NewReader(body))
	q.Header.Set("Authorization", "Bearer "+r.token)
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	return a.StatusCode
}

// dumpedInto puts a dump in place of an empty schema.
func dumpedInto(t *testing.T, dsn, dump string) {
	t.Helper()
	_, schema, _ := strings.Cut(dsn, "search_path=")
	db, err := sql.Open("pgx", dsn+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(strings.ReplaceAll(dump, "SCHEMA.", schema+".")); err != nil {
		t.Fatal(err)
	}
}

// keepEarlier lets a program make a district on each engine, and keeps what it leaves.
func keepEarlier(t *testing.T, number, program string) {
	t.Helper()
	files := night{}
	for _, engine := range storetest.All {
		dsn, dir := engine.Empty(t), t.TempDir()
		key := filepath.Join(dir, "rollbook.key")
		run := func(args ...string) []byte {
			cmd := exec.Command(program, append(args, "--db", dsn, "--key-file", key)...)
			cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir)
			cmd.Dir = dir
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v %s%s", args, err, out, &errs)
			}
			return out
		}
		keep := func(name string, text []byte) { files[strings.ToLower(engine.Name)+"/"+name] = string(text) }
		run("import", "--new", write(t, edited(right, "manifest.csv",
			"file.demographics,absent→file.demographics,bulk",
			"demographics.csv",
			"sourcedId,status,dateLastModified,birthDate,sex,americanIndianOrAlaskaNative,asian,"+
				"blackOrAfricanAmerican,nativeHawaiianOrOtherPacificIslander,white,demographicRaceTwoOrMoreRaces,"+
				"hispanicOrLatinoEthnicity,countryOfBirthCode,stateOfBirthAbbreviation,cityOfBirth,publicSchoolResidenceStatus\n"+
				"u1,,,2011-02-03,female,,true,,,,,,,,,\n")))
		client := run("client", "add", "old", "--for", "all", "--json")
		keep("client.json", client)
		c := clientOf(t, string(client))
		cmd := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--db", dsn, "--key-file", key)
		cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir)
		log, err := cmd.StderrPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(log)
		line, _ := lines.ReadBytes('\n')
		var first struct{ Address string }
		if err := json.Unmarshal(line, &first); err != nil {
			t.Fatalf("%s %v", line, err)
		}
		go func() { _, _ = io.Copy(io.Discard, lines) }()
		r := newReader(t, "http://"+first.Address+"/ims/oneroster/v1p1", "http://"+first.Address+"/token",
			c.ClientID, c.ClientSecret)
		for _, put := range [][2]string{
			{"categories/k", `{"category":{"title":"Tests"}}`},
			{"lineItems/l",
				`{"lineItem":{"title":"Essay","assignDate":"2026-01-02","dueDate":"2026-01-09","class":{"sourcedId":"c1"},` +
					`"category":{"sourcedId":"k"},"gradingPeriod":{"sourcedId":"t1"},"resultValueMin":0,"resultValueMax":10}}`},
			{"results/r",
				`{"result":{"lineItem":{"sourcedId":"l"},"student":{"sourcedId":"u1"},"score":9.5,` +
					`"scoreStatus":"fully graded","scoreDate":"2026-01-10","comment":"well"}}`}} {
			if status := r.puts(t, put[0], put[1]); status != http.StatusCreated {
				t.Fatalf("%s: %d", put[0], status)
			}
		}
		run("import", write(t, map[string]string{"manifest.csv": usersIn + "file.enrollments,delta\n",
			"users.csv": userHead +
				"u2,tobedeleted,2026-01-01T00:00:00Z,true,s1,student,bob,Bob,Birch\n",
			"enrollments.csv": "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role\n" +
				"e2,tobedeleted,2026-01-01T00:00:00Z,c1,s1,u2,student\n"}))
		served, err := json.MarshalIndent(r.everything(t), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		keep("served.json", served)
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		keep("rollbook.key", text)
		if !host.IsPostgres(dsn) {
			if text, err = os.ReadFile(dsn); err != nil {
				t.Fatal(err)
			}
			keep("rollbook.db", text)
			continue
		}
		keep("dump.sql", dumped(t, dsn))
	}
	if err := os.WriteFile(fmt.Sprintf("testdata/earlier/%s.zip", number), zipped(files), 0o644); err != nil {
		t.Fatal(err)
	}
}

// dumped is a schema as SQL, in which it is called SCHEMA.
func dumped(t *testing.T, dsn string) []byte {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	if err != nil || len(found) == 0 {
		t.Fatal("no pg_dump")
	}
	url, schema, _ := strings.Cut(dsn, "&search_path=")
	out, err := exec.Command(found[len(found)-1], "--schema", schema, "--inserts", "--no-owner", url).Output()
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, line := range strings.Split(string(out), "\n") {
		if !strings.HasPrefix(line, "--") && !strings.HasPrefix(line,
			`\`) && !strings.HasPrefix(line, "CREATE SCHEMA") && line != "" {
			kept = append(kept, line)
		}
	}
	return []byte(strings.ReplaceAll(strings.Join(kept, "\n"), schema+".", "SCHEMA."))
}
