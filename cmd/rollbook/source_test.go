package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollbook/internal/host"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// drop puts the files of a package into a folder, and says that they are whole.
func drop(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	at := time.Now().Add(-time.Minute)
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".done"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is put into a folder is published, held or refused as rollbook import would, once.
func TestSource(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir, in := t.TempDir(), t.TempDir()
		run := func(code int, says string, args ...string) {
			t.Helper()
			out, errs, got := rollbook(t, dir, append(args, "--db", dsn)...)
			if got != code || !strings.Contains(out+errs, says) {
				t.Errorf("%s: %d, not %d; %s%s; it lacks %q", args, got, code, out, errs, says)
			}
		}
		runs(t, dir, dsn)("init")
		run(0, "there is no source: rollbook source add", "source", "list")
		run(2, `"Nightly!" is no name`, "source", "add", "Nightly!", "--folder", in)
		run(2, "say where the files are", "source", "add", "nightly")
		run(2, "give one of --at, --every and --cron", "source", "add", "nightly", "--folder", in, "--at",
			"02:30",
			"--every", "1h")
		run(2, "write the whole path", "source", "add", "nightly", "--folder", "drop")
		run(1, "no such file or directory; nothing was added", "source", "add", "nightly", "--folder",
			"/nowhere")
		run(0, "there is no zip and no CSV file to take; at 02:30, next 20", "source", "add", "nightly",
			"--folder", in,
			"--at", "02:30")
		run(1, `there is a source "nightly" already`, "source", "add", "nightly", "--folder", in)
		run(0, "there is no zip and no CSV file to take", "source", "run", "nightly")
		drop(t, in, right)
		run(0, "7 CSV files, ", "source", "test", "nightly")
		run(0, "publication 1 is published: 12 added, 0 changed, 0 retired", "source", "run", "nightly")
		run(0, "nothing new: 7 CSV files", "source", "run", "nightly", "--json")
		drop(t, in, edited(right, "users.csv", "Ash→Ashe"))
		run(0, `"text":"publication 2 is published: 0 added, 1 changed, 0 retired"`, "source", "run", "nightly",
			"--json")
		runs(t, dir, dsn)("calendar", "freeze", "2000-01-01..2999-01-01")
		drop(t, in, edited(right, "users.csv", "Ash→Ashton"))
		run(3, "publication 3 is held: the calendar does not allow it today (calendar); ", "source", "run",
			"nightly")
		run(0, "nothing new", "source", "run", "nightly")
		drop(t, in, edited(right, "users.csv", "student→pupil"))
		run(1, "publication 4 is refused: 2 problems in the package", "source", "run", "nightly")
		run(0, "source nightly", "publications")
		run(0, "publication 2 is published", "source", "show", "nightly")
		run(0, `"last":{"began":`, "source", "list", "--json")
		run(1, `there is no source "other": rollbook source list`, "source", "run", "other")
		due := func() (at string) {
			var list []struct{ Due string }
			if err := json.Unmarshal([]byte(runs(t, dir, dsn)("source", "list", "--json")),
				&list); err != nil {
				t.Fatal(err)
			}
			return list[0].Due[11:16]
		}
		for zone, want := range map[string]string{"Asia/Tokyo": "17:30", "Asia/Kolkata": "21:00"} {
			runs(t, dir, dsn)("settings", "time-zone", zone)
			if got := due(); got != want {
				t.Errorf("half past two in %s is %s UTC, not %s", zone, got, want)
			}
		}
		run(0, "is removed", "source", "remove", "nightly")
		run(0, "-- users.csv", "source", "init", "sql")
	})
}

// Of two services over one database one fetches what is due, and the other does not fetch it again.
func TestSourcesInServices(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir, in := t.TempDir(), t.TempDir()
		drop(t, in, right)
		run := runs(t, dir, dsn)
		run("init")
		run("source", "add", "drop", "--folder", in, "--every", "10s")
		for range 2 {
			start(t, dir, dsn)
		}
		s := storetest.Open(t, dsn, store.Options{})
		published := func() (n int) {
			all, err := s.Publications(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range all {
				if p.State != store.StatePublished || p.By != "source drop" {
					continue
				}
				n++
			}
			return n
		}
		for end := time.Now().Add(2 * time.Minute); published() == 0; {
			if time.Now().After(end) {
				t.Fatal("nothing was fetched")
			}
			time.Sleep(50 * time.Millisecond) // for the services
		}
		drop(t, in, edited(right, "users.csv", "Ash→Ashe"))
		for end := time.Now().Add(2 * time.Minute); published() < 2; {
			if time.Now().After(end) {
				t.Fatal("what came later was not fetched")
			}
			time.Sleep(50 * time.Millisecond) // for the services
		}
		all, err := s.Publications(t.Context(), 0)
		if err != nil || len(all) != 2 {
			t.Errorf("%d publications: %v", len(all), err)
		}
	})
}

// A source whose process is killed at any moment loses nothing, and publishes nothing twice.
func TestKilledSources(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		kills, _ := strconv.Atoi(os.Getenv("ROLLBOOK_KILLS"))
		if kills == 0 {
			kills = 6
		}
		dir, in := t.TempDir(), t.TempDir()
		run := runs(t, dir, dsn)
		run("init")
		for _, guard := range []string{"guard-again", "guard-seats"} {
			run("settings", guard, map[string]string{"guard-again": "0", "guard-seats": "100"}[guard])
		}
		drop(t, in, right)
		run("source", "add", "drop", "--folder", in)
		began := time.Now()
		run("source", "run", "drop")
		took := time.Since(began)
		s := storetest.Open(t, dsn, store.Options{})
		rng := rand.New(rand.NewPCG(1, 2))
		killed := 0
		for n := range kills {
			drop(t, in, edited(right, "users.csv", fmt.Sprintf("Ash→Ash%d", n)))
			cmd := lasting(program(dir, "source", "run", "drop", "--db", dsn))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.Int64N(int64(took)))) // the moment of the kill
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if cmd.ProcessState.ExitCode() < 0 {
				killed++
			}
			// Nobody has the turn of a killed process for long: the time passes here.
			if err := expire(dsn); err != nil {
				t.Fatal(err)
			}
			var told struct{ State, Text string }
			if err := json.Unmarshal([]byte(run("source", "run", "drop", "--json")), &told); err != nil ||
				told.State != "done" && told.State != "nothing" {
				t.Fatalf("%d: %+v %v", n, told, err)
			}
			if served := run("history", "users/u1"); !strings.Contains(served, fmt.Sprintf("Ash%d", n)) {
				t.Fatalf("%d: it is lost: %s", n, served)
			}
			all, err := s.Publications(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			changing := 0
			for _, p := range all {
				if p.State == store.StatePublished && p.Changed+p.Added > 0 {
					changing++
				}
			}
			if changing != n+2 {
				t.Fatalf("%d packages were put there, and %d publications changed something", n+2, changing)
			}
		}
		t.Logf("%d of %d were killed before they ended", killed, kills)
	})
}

// expire lets the time of every turn be over.
func expire(dsn string) error {
	driver := "sqlite"
	if host.IsPostgres(dsn) {
		driver = "pgx"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(`UPDATE "feeds" SET "until" = '2000' WHERE "until" <> ''`)
	return err
}
