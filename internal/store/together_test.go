package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Writes that wait together are one change, and each has the outcome that it would have
// alone.
func TestPutsTogether(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
		result := func(id, student, score string) oneroster.Record {
			return rec("result", "sourcedId", id, "lineItem", "i", "student", student, "score", score,
				"scoreDate", "2026-09-01")
		}
		_, err := s.Import(t.Context(), bulk(rec("org", "sourcedId", "s1", "name", "School", "type", "school"),
			rec("academicSession", "sourcedId", "t1", "title", "Term", "type", "term", "startDate", "2026-08-01",
				"endDate", "2027-07-01", "schoolYear", "2027"),
			rec("course", "sourcedId", "co", "title", "Course", "org", "s1"),
			rec("class", "sourcedId", "c1", "title", "Class", "course", "co", "school", "s1", "terms", "t1"),
			rec("user", "sourcedId", "u1", "username", "ann", "role", "student", "orgs", "s1")),
			store.ImportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []oneroster.Record{rec("lineItem", "sourcedId", "i", "title", "Quiz", "class", "c1"),
			result("changed", "u1", "1"), result("same", "u1", "1")} {
			if _, _, err := s.Put(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Hour)
		outcomes := together(t, s, []asked{
			{"ann", result("new", "u1", "1")}, {"ann", result("changed", "u1", "2")},
			{"ann", result("same", "u1", "1")}, {"ann", result("refused", "nobody", "1")},
			{"ann", result("new", "u1", "2")}, {"ben", result("other", "u1", "1")},
			{"ann", rec("lineItem", "sourcedId", "i2", "title", "Quiz", "class", "c1")},
			{"ann", result("last", "u1", "1")}})
		for i, want := range []string{"created 1 09:00:00.000Z", "2 09:00:00.000Z", "1 08:00:00.003Z",
			`student: there is no user with the sourcedId "nobody": send one that GET /users lists`,
			"2 09:00:00.001Z", "created 1 09:00:00.002Z", "created  09:00:00.003Z", "created 1 09:00:00.000Z"} {
			if outcomes[i] != want {
				t.Errorf("%d: %s, wanted %s", i, outcomes[i], want)
			}
		}
		for id, want := range map[string]string{"changed": "client ann", "other": "client ben"} {
			versions, err := s.History(t.Context(), oneroster.ByName("result"), id)
			if err != nil || len(versions) == 0 || versions[len(versions)-1].Cause != want {
				t.Errorf("%s: %+v %v", id, versions, err)
			}
		}
	})
}

// asked is what a client writes.
type asked struct {
	client string
	rec    oneroster.Record
}

// together lets puts wait until all are there, in their order, and tells what came of each.
func together(t *testing.T, s *store.Store, puts []asked) []string {
	t.Helper()
	out := make([]string, len(puts))
	waiting, release := s.HoldPuts()
	var all sync.WaitGroup
	for i, p := range puts {
		all.Go(func() {
			stored, created, err := s.Put(store.By(t.Context(), "client "+p.client), p.rec)
			if err != nil {
				out[i] = err.Error()
				return
			}
			if created {
				out[i] = "created "
			}
			out[i] += stored.Get("score") + " " + stored.Values[oneroster.Modified][len("2026-09-01T"):]
		})
		for waiting() <= i {
			time.Sleep(time.Millisecond)
		}
	}
	release()
	all.Wait()
	return out
}

// Who leaves while he waits writes nothing, and what the database does not take fails alone.
func TestPutsApart(t *testing.T) {
	dsn := storetest.SQLite(t)
	s := storetest.Open(t, dsn, store.Options{})
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TRIGGER "no" BEFORE INSERT ON "categories" WHEN NEW."title" = 'bad'
		BEGIN SELECT RAISE(ABORT, 'the disk is bad'); END`); err != nil {
		t.Fatal(err)
	}
	waiting, release := s.HoldPuts()
	leaving, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, _, err := s.Put(leaving, rec("category", "sourcedId", "left", "title", "x"))
		left <- err
	}()
	for waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	release()
	var puts []asked
	for n := range 5 {
		puts = append(puts, asked{"ann", rec("category", "sourcedId", fmt.Sprint("k", n), "title",
			map[bool]string{true: "bad", false: "good"}[n == 2])})
	}
	for n, got := range together(t, s, puts) {
		if failed := !strings.HasPrefix(got, "created"); failed != (n == 2) {
			t.Errorf("%d: %s", n, got)
		}
	}
	if _, total := list(t, s, store.Selection{Route: route("getAllCategories")}); total != 4 {
		t.Errorf("there are %d categories", total)
	}
}
