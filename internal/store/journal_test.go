package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

type each = func(*oneroster.Resource, func(oneroster.Record) error) error

// whole is every record of a state of a district, in order.
func whole(t *testing.T, read func(ctx context.Context, do func(each) error) error) (out []string) {
	t.Helper()
	err := read(t.Context(), func(e each) error {
		for _, r := range oneroster.Resources() {
			err := e(r, func(rec oneroster.Record) error {
				out = append(out, r.Name+" "+strings.Join(rec.Values, "|"))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The district as of each step is what it was at that step, object by object and
// stamp by stamp: through the days of a school, writes and deletions of clients, and
// new epochs. What the journal has forgotten is refused, and nothing else is.
func TestAsOfEachStep(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
		life := sandbox.NewLife(sandbox.Options{Students: 60, Seed: 3, Today: now})
		rng := rand.New(rand.NewPCG(1, 2))
		type step struct {
			at   time.Time
			what string
			all  []string
		}
		asOf := func(at time.Time) func(ctx context.Context, do func(each) error) error {
			return func(ctx context.Context, do func(each) error) error { return s.AsOf(ctx, at, do) }
		}
		var steps []step
		note := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			steps = append(steps, step{now, what, whole(t, s.Snapshot)})
			now = now.Add(time.Duration(1+rng.IntN(600)) * time.Minute)
		}
		note("nothing", nil)
		days := 24 // the rollover among them
		if strings.HasPrefix(dsn, "postgres") {
			days = 10
		}
		for day := range days {
			_, err := s.Import(t.Context(), life, store.ImportOptions{Closed: true})
			note(fmt.Sprint("day ", day), err)
			k := oneroster.NewRecord(oneroster.ByName("category"))
			k.Set("sourcedId", fmt.Sprint("k", rng.IntN(3)))
			k.Set("title", fmt.Sprint("title ", rng.IntN(3)))
			_, _, err = s.Put(store.By(t.Context(), "client x"), k)
			note("PUT", err)
			if rng.IntN(2) == 0 {
				note("DELETE", s.Delete(t.Context(), k.Resource, k.ID()))
			}
			if day%9 == 8 {
				_, _, err = s.Restamp(t.Context(), store.Moment{Rev: int64(1000 * day)}, day == 17)
				note("epoch", err)
			}
			life.Step()
		}
		for i, one := range steps {
			got := whole(t, asOf(one.at))
			if !slices.Equal(got, one.all) {
				for j := range got {
					if j >= len(one.all) || got[j] != one.all[j] {
						t.Errorf("%s\nnot %s", got[j], one.all[min(j, len(one.all)-1)])
						break
					}
				}
				t.Fatalf("as of step %d (%s): %d records, not %d", i, one.what, len(got), len(one.all))
			}
		}
		for _, one := range []step{steps[1], steps[len(steps)-1]} {
			rev, err := s.RevAt(t.Context(), one.at)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			err = s.ChangesOf(t.Context(), rev, func(_, after oneroster.Record) error {
				if n++; after.Get("dateLastModified") != oneroster.FormatTime(one.at) {
					t.Errorf("%s was changed at %s (%s) by change %d", after.ID(), oneroster.FormatTime(one.at),
						one.what, rev)
				}
				return nil
			})
			if err != nil || n == 0 {
				t.Errorf("change %d, %s: %d, %v", rev, one.what, n, err)
			}
		}
		cut := len(steps) / 2
		if err := s.Prune(t.Context(), steps[cut].at); err != nil {
			t.Fatal(err)
		}
		for i := range steps {
			if i >= cut {
				if got := whole(t, asOf(steps[i].at)); !slices.Equal(got, steps[i].all) {
					t.Errorf("after pruning step %d is another", i)
				}
				continue
			}
			var none *store.NotKept
			if _, err := s.RevAt(t.Context(), steps[i].at); !errors.As(err, &none) {
				t.Errorf("the change of step %d: %v", i, err)
			}
			err := s.AsOf(t.Context(), steps[i].at, func(each) error { return nil })
			if !errors.As(err, &none) || none.Begins != oneroster.FormatTime(steps[cut].at) {
				t.Fatalf("step %d, which was pruned: %v", i, err)
			}
		}
	})
}

// A record's history is each state that readers were served, and who made it.
func TestHistory(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
		category := oneroster.ByName("category")
		put := func(title, who string) {
			t.Helper()
			now = now.Add(time.Hour)
			if _, _, err := s.Put(store.By(t.Context(), who), storetest.Rec("category", "sourcedId", "k",
				"title", title)); err != nil {
				t.Fatal(err)
			}
		}
		put("a", "client one")
		put("b", "client two")
		put("b", "client three") // nothing changes
		other := storetest.Rec("category", "sourcedId", "other", "title", "c")
		if _, _, err := s.Put(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
		if err := s.Delete(store.By(t.Context(), "client four"), category, "k"); err != nil {
			t.Fatal(err)
		}
		all, err := s.History(t.Context(), category, "k")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range all {
			got = append(got, strings.Join([]string{v.Stamp, v.Cause, v.Record.Get("status"),
				v.Record.Get("title")}, " "))
		}
		want := []string{"2026-09-01T07:00:00.000Z client one active a",
			"2026-09-01T08:00:00.000Z client two active b",
			"2026-09-01T10:00:00.000Z client four tobedeleted b"}
		if !slices.Equal(got, want) {
			t.Errorf("%q, not %q", got, want)
		}
		if _, err := s.History(t.Context(), category, "nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		// What the journal has forgotten of a change is who made it, and what there was before.
		if err := s.Prune(t.Context(), now.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		all, err = s.History(t.Context(), category, "k")
		if err != nil || len(all) != 2 || all[0].Cause != "" || all[1].Cause != "client four" {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// A journal that is damaged is told, and nothing is read out of it.
func TestDamagedJournal(t *testing.T) {
	dsn := storetest.SQLite(t)
	s := storetest.Open(t, dsn, store.Options{})
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, title := range []string{"a", "b"} {
		if _, _, err := s.Put(t.Context(), rec("category", "sourcedId", "k", "title", title)); err != nil {
			t.Fatal(err)
		}
	}
	for _, harm := range []string{`"resource" = 'orgs'`, `"resource" = 'orgs', "records" = x'00'`} {
		if _, err := db.Exec(`UPDATE "journal" SET ` + harm); err != nil {
			t.Fatal(err)
		}
		_, err := s.History(t.Context(), oneroster.ByName("org"), "k")
		if err == nil || !strings.Contains(err.Error(), "change 2") || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", harm, err)
		}
	}
}

// What a change did is told as it was then, whatever became of the records since, until
// the journal forgets it.
func TestChangesOf(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
		change := func(titles ...string) { // of categories k0, k1, …; the others go
			t.Helper()
			now = now.Add(24 * time.Hour)
			var rows []oneroster.Record
			for i, title := range titles {
				rows = append(rows, storetest.Rec("category", "sourcedId", fmt.Sprint("k", i), "title", title))
			}
			if _, err := s.Import(t.Context(), storetest.Bulk(rows...), store.ImportOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		change("a", "b")
		change("a2", "b")
		change("a3", "b3", "c")
		change("a3", "b3")
		told := func(rec oneroster.Record) string {
			if rec.Resource == nil {
				return "none"
			}
			return rec.Get("status") + " " + rec.Get("title")
		}
		ask := func(rev int64) (out []string, err error) {
			err = s.ChangesOf(t.Context(), rev, func(before, after oneroster.Record) error {
				out = append(out, after.ID()+": "+told(before)+" → "+told(after))
				return nil
			})
			slices.Sort(out)
			return out, err
		}
		for rev, want := range [][]string{1: {"k0: none → active a", "k1: none → active b"},
			2: {"k0: active a → active a2"},
			3: {"k0: active a2 → active a3", "k1: active b → active b3", "k2: none → active c"},
			4: {"k2: active c → tobedeleted c"}, 5: nil} {
			if got, err := ask(int64(rev)); rev > 0 && (err != nil || !slices.Equal(got, want)) {
				t.Errorf("change %d: %v, %q, not %q", rev, err, got, want)
			}
		}
		if err := s.Prune(t.Context(), now.Add(-36*time.Hour)); err != nil {
			t.Fatal(err)
		}
		forgotten := new(*store.NotKept)
		for rev, kept := range map[int64]bool{0: false, 1: false, 2: false, 3: true, 4: true} {
			if got, err := ask(rev); errors.As(err, forgotten) == kept || kept && len(got) == 0 {
				t.Errorf("change %d is kept: %v; %v, %q", rev, kept, err, got)
			}
		}
	})
}
