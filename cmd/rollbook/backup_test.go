package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rollbook/internal/host"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// A backup that is made while clients write has all that was answered before it began, and is of
// one moment; it is taken into either engine, and readers' next delta brings everything.
func TestBackupWhileServing(t *testing.T) {
	t.Parallel()
	for _, from := range storetest.All {
		t.Run(from.Name, func(t *testing.T) {
			t.Parallel()
			dir, dsn := t.TempDir(), from.Empty(t)
			run := runs(t, dir, dsn)
			key := filepath.Join(dir, "the.key")
			run("sandbox", "d.zip", "--students", "60", "--seed", "7")
			run("import", "--new", "d.zip", "--key-file", key)
			client := clientOf(t, run("client", "add", "x", "--for", "all", "--json", "--key-file", key))
			address, cmd := start(t, dir, dsn, "--key-file", key)
			host := "http://" + address
			r := newReader(t, host+"/ims/oneroster/v1p1", host+"/token", client.ClientID, client.ClientSecret)
			class, period := firstID(t, r, "classes"), firstID(t, r, "gradingPeriods")
			put := func(path, body string) bool {
				q, _ := http.NewRequest("PUT", r.base+path, strings.NewReader(body))
				q.Header.Set("Authorization", "Bearer "+r.token)
				a, err := http.DefaultClient.Do(q)
				if err != nil || a.StatusCode != 201 {
					t.Errorf("PUT %s: %v %v", path, a, err)
					return false
				}
				_ = a.Body.Close()
				return true
			}
			const item = `{"lineItem":{"title":"x","assignDate":"2026-10-01T00:00:00Z",
				"dueDate":"2026-10-02T00:00:00Z","class":{"sourcedId":%q},"category":{"sourcedId":%q},
				"gradingPeriod":{"sourcedId":%q},"resultValueMin":0,"resultValueMax":10}}`
			// A category, and then a line item that refers to it: what is not of one moment has
			// line items without.
			var written [2]atomic.Int64
			over, begun := make(chan struct{}), make(chan bool, 4)
			var writers sync.WaitGroup
			for w := range written {
				writers.Go(func() {
					defer func() { begun <- false }()
					for n := int64(1); ; n++ {
						select {
						case <-over:
							return
						default:
						}
						id := fmt.Sprintf("%d-%04d", w, n)
						if !put("/categories/"+id, `{"category":{"title":"x"}}`) ||
							!put("/lineItems/"+id, fmt.Sprintf(item, class, id, period)) {
							return
						}
						if written[w].Store(n); n == 5 {
							begun <- true
						}
					}
				})
			}
			defer writers.Wait()
			stopWriting := sync.OnceFunc(func() { close(over) })
			defer stopWriting()
			for range written {
				if !<-begun {
					return
				}
			}
			answered := [2]int64{written[0].Load(), written[1].Load()}
			run("backup", "whole.db", "--key-file", key)
			run("backup", "bare.db", "--without-packages", "--key-file", key)
			stopWriting()
			writers.Wait()
			info, err := os.Stat(filepath.Join(dir, "whole.db"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v %v", info, err)
			}
			stop(cmd)
			latest := ""
			for _, stamp := range stampsOf(t, storetest.Open(t, dsn, store.Options{})) {
				latest = max(latest, stamp)
			}
			for _, to := range storetest.All {
				for _, file := range []string{"whole.db", "bare.db"} {
					there := to.Empty(t)
					run := runs(t, dir, there)
					run("restore", file, "--key-file", key)
					s := storetest.Open(t, there, store.Options{})
					got := stampsOf(t, s)
					for w, n := range answered {
						if last := fmt.Sprintf("lineItems/%d-%04d", w, n); got[last] == "" {
							t.Errorf("%s into %s: %s was answered before", file, to.Name, last)
						}
					}
					for id, stamp := range got {
						item, is := strings.CutPrefix(id, "lineItems/")
						if is && item[1] == '-' && got["categories/"+item] == "" {
							t.Errorf("%s into %s: %s without its category", file, to.Name, id)
						}
						if stamp <= latest {
							t.Fatalf("%s into %s: the next delta lacks %s of %s", file, to.Name, id, stamp)
						}
					}
					_ = s.Close()
					_, errs, code := rollbook(t, dir, "publications", "get", "1", file+to.Name+".zip",
						"--db", there, "--key-file", key)
					if whole := file == "whole.db"; whole != (code == 0) {
						t.Errorf("%s into %s: the package: %d %s", file, to.Name, code, errs)
					}
					run("audit", "verify", "--key-file", key)
					if _, errs, code := rollbook(t, dir, "restore", file, "--db", there); code != 1 ||
						!strings.Contains(errs, "holds something") {
						t.Errorf("once more: %d %s", code, errs)
					}
				}
				a, _ := os.ReadFile(filepath.Join(dir, "d.zip"))
				b, _ := os.ReadFile(filepath.Join(dir, "whole.db"+to.Name+".zip"))
				if len(a) == 0 || string(a) != string(b) {
					t.Error("the package is another")
				}
			}
		})
	}
}

// A district that moves to the other engine goes on as if nothing had happened: stamps, clients,
// secrets and tokens, and what readers ask next.
func TestMoves(t *testing.T) {
	t.Parallel()
	for n, from := range storetest.All {
		to := storetest.All[1-n]
		t.Run(from.Name+" to "+to.Name, func(t *testing.T) {
			dir, dsn, there := write(t, right), from.Empty(t), to.Empty(t)
			key := filepath.Join(t.TempDir(), "the.key")
			run := runs(t, dir, dsn)
			run("import", "--new", ".", "--key-file", key)
			named("Ashe")(dir)
			run("import", ".", "--key-file", key)
			client := clientOf(t, run("client", "add", "x", "--for", "all", "--json", "--key-file", key))
			address, cmd := start(t, dir, dsn, "--key-file", key)
			r := newReader(t, "http://"+address+"/ims/oneroster/v1p1", "http://"+address+"/token",
				client.ClientID, client.ClientSecret)
			_, latest := r.since(t, "2000-01-01T00:00:00.000Z")
			stop(cmd)
			before := stampsOf(t, storetest.Open(t, dsn, store.Options{}))
			run("backup", "b.db", "--key-file", key)
			moved := runs(t, dir, there)
			moved("restore", "b.db", "--moves", "--key-file", key)
			if after := stampsOf(t, storetest.Open(t, there, store.Options{})); len(before) == 0 ||
				fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("%v, before %v", after, before)
			}
			for _, args := range []string{"history users/u1", "publications", "client list"} {
				args := append(strings.Fields(args), "--key-file", key)
				if got, want := moved(args...), run(args...); got != want {
					t.Errorf("%s: %s, before %s", args, got, want)
				}
			}
			address, _ = start(t, dir, there, "--key-file", key)
			r.base = "http://" + address + "/ims/oneroster/v1p1"
			if came, _ := r.since(t, latest); len(came) > 0 { // by the token that it has
				t.Errorf("a delta of nothing brings %v", came)
			}
			named("Ashen")(dir)
			moved("import", ".", "--key-file", key)
			if came, _ := r.since(t, latest); fmt.Sprint(came) != "[active users/u1]" {
				t.Errorf("the next delta brings %v", came)
			}
		})
	}
}

func firstID(t *testing.T, r reader, collection string) string {
	t.Helper()
	var page map[string][]struct{ SourcedID string }
	body := ask(t, "GET", r.base+"/"+collection+"?limit=1", r.token, "", "")
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page) != 1 {
		t.Fatal(err, body)
	}
	for _, list := range page {
		return list[0].SourcedID
	}
	return ""
}

// Where a district was that readers have read further than its backup, the clock goes on from
// there; it cannot go on as if nothing had happened.
func TestRestoreWhereItWas(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := write(t, right)
		run := runs(t, dir, dsn)
		run("import", "--new", ".")
		run("backup", "b.db")
		for _, name := range []string{"Ashe", "Ashen", "Ashton"} {
			named(name)(dir)
			run("import", ".")
		}
		s := storetest.Open(t, dsn, store.Options{})
		was, err := s.Moment(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		gone(t, dsn)
		for _, c := range []struct{ args, says string }{
			{"restore b.db --moves", "cannot just go on"},
			{"restore nothing.db", "there is no district"},
			{"restore users.csv", "not a SQLite database"},
			{"export e.zip", "there is no district"}, // none was made to be served
		} {
			if _, errs, code := rollbook(t, dir, append(strings.Fields(c.args), "--db", dsn)...); code != 1 ||
				!strings.Contains(errs, c.says) {
				t.Errorf("%s: %d %s", c.args, code, errs)
			}
		}
		if said := run("restore", "b.db"); !strings.Contains(said, "pull whole once") {
			t.Error(said)
		}
		s = storetest.Open(t, dsn, store.Options{})
		m, err := s.Moment(t.Context())
		if err != nil || m.Rev <= was.Rev || m.Stamp <= was.Stamp {
			t.Errorf("%+v, it was %+v: %v", m, was, err)
		}
		for id, stamp := range stampsOf(t, s) {
			if stamp != m.Stamp {
				t.Errorf("%s of %s, want %s", id, stamp, m.Stamp)
			}
		}
		if _, errs, code := rollbook(t, dir, "publications", "--db", dsn); code != 0 || errs != "" {
			t.Errorf("opened next: %d %s", code, errs)
		}
	})
}

// gone takes a district away, and leaves what lies outside of its database.
func gone(t *testing.T, dsn string) {
	t.Helper()
	if !host.IsPostgres(dsn) {
		for _, part := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(dsn + part)
		}
		return
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	schema := u.Query().Get("search_path")
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{"DROP SCHEMA " + schema + " CASCADE", "CREATE SCHEMA " + schema} {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
}

// stampsOf are the stamps of the records that a district holds, by collection/sourcedId.
func stampsOf(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, r := range oneroster.Resources() {
		for _, rec := range recordsOf(t, s, r.Name) {
			out[r.Plural+"/"+rec.ID()] = rec.Values[oneroster.Modified]
		}
	}
	return out
}
