package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// served is every active record of a district, without its time.
func served(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := s.Snapshot(t.Context(), func(e each) error {
		for _, r := range oneroster.Resources() {
			err := e(r, func(rec oneroster.Record) error {
				if rec.Values[oneroster.Status] == oneroster.Active {
					out[r.Name+" "+rec.ID()] = without(rec.Values, oneroster.Modified)
				}
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

func without(values []string, positions ...int) string {
	values = slices.Clone(values)
	for _, i := range positions {
		values[i] = ""
	}
	return strings.Join(values, "|")
}

// derived are the positions of fields that other records have a part in.
func derived(r *oneroster.Resource) []int {
	out := []int{oneroster.Modified}
	for i, f := range r.Fields {
		if f.Inverse != "" {
			out = append(out, i)
		}
	}
	return out
}

// A plan changes nothing; what it says would be served is what is served once it is
// published, and what it says would differ is just that.
func TestPlanIsWhatIsPublished(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
		life := sandbox.NewLife(sandbox.Options{Students: 60, Seed: 3, Today: now})
		days := 23 // the rollover among them
		if strings.HasPrefix(dsn, "postgres") {
			days = 6
		}
		for day := range days {
			before, after := served(t, s), map[string]string{}
			told := map[string]string{} // before the plan, and then as it says that they differ
			ctx := t.Context()
			judge := func(p *store.Plan) error {
				for _, r := range oneroster.Resources() {
					n := 0
					err := p.Before(ctx, r, func(rec oneroster.Record) error {
						n++
						told[r.Name+" "+rec.ID()] = without(rec.Values, derived(r)...)
						if got := without(rec.Values, oneroster.Modified); got != before[r.Name+" "+
							rec.ID()] {
							t.Errorf("before: %s", got)
						}
						return nil
					})
					if err == nil {
						err = p.After(ctx, r, func(rec oneroster.Record) error {
							after[r.Name+" "+rec.ID()] = without(rec.Values, oneroster.Modified)
							return nil
						})
					}
					if imported := p.Imported(r); err == nil && imported != n {
						err = fmt.Errorf("%d of %s were imported, not %d", imported, r.Plural, n)
					}
					if err != nil {
						return err
					}
				}
				return p.Differences(ctx, func(before, after oneroster.Record) error {
					if after.Resource == nil {
						delete(told, before.Resource.Name+" "+before.ID())
						return nil
					}
					key := after.Resource.Name + " " + after.ID()
					if _, was := told[key]; was != (before.Resource != nil) {
						t.Errorf("%s was served is %v, and told before is %v", key, was, before.Resource != nil)
					}
					if before.Resource != nil && told[key] != without(before.Values,
						derived(before.Resource)...) {
						t.Errorf("before the difference: %q", before.Values)
					}
					told[key] = without(after.Values, derived(after.Resource)...)
					return nil
				})
			}
			plan, err := s.Plan(ctx, life, store.ImportOptions{Closed: true}, judge)
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(served(t, s), before) {
				t.Fatalf("day %d: a plan changed something", day)
			}
			if plan.Empty() != maps.Equal(before, after) {
				t.Errorf("day %d: empty is %v", day, plan.Empty())
			}
			if _, err := s.Publish(ctx, plan, nil); err != nil {
				t.Fatal(err)
			}
			if got := served(t, s); !reflect.DeepEqual(got, after) {
				for key, text := range got {
					if after[key] != text {
						t.Errorf("day %d: %s\nis      %s\nplanned %s", day, key, text, after[key])
					}
				}
				t.Fatalf("day %d: %d records, planned %d", day, len(got), len(after))
			}
			for key := range after {
				r := oneroster.ByName(strings.Fields(key)[0])
				if got := without(strings.Split(after[key], "|"), derived(r)...); got != told[key] {
					t.Errorf("day %d: %s\nis   %s\ntold %s", day, key, got, told[key])
				}
			}
			if len(told) != len(after) {
				t.Errorf("day %d: %d records as differences tell, %d served", day, len(told), len(after))
			}
			if err := plan.Close(); err != nil {
				t.Error(err)
			}
			now = now.Add(24 * time.Hour)
			life.Step()
		}
	})
}

// A plan that another import has overtaken is refused; one that clients' writes to the
// gradebook have overtaken closes those too.
func TestStalePlans(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		ctx := context.Background()
		district := sandbox.New(sandbox.Options{Students: 20, Seed: 1})
		if _, err := s.Import(ctx, district, store.ImportOptions{Closed: true}); err != nil {
			t.Fatal(err)
		}
		pupil, class := "", ""
		err := district.Records(ctx, func(r oneroster.Row) error {
			if r.Resource.Name == "enrollment" && r.Get("role") == "student" {
				pupil, class = r.Get("user"), r.Get("class")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		leaves := storetest.Rec("user", "sourcedId", pupil)
		leaves.Values[oneroster.Status] = oneroster.ToBeDeleted
		src := storetest.Bulk(leaves)
		src.Carried[leaves.Resource] = oneroster.Delta
		plan := func() *store.Plan {
			t.Helper()
			p, err := s.Plan(ctx, src, store.ImportOptions{Closed: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			return p
		}
		put := func(rec oneroster.Record) {
			t.Helper()
			if _, _, err := s.Put(ctx, rec); err != nil {
				t.Fatal(err)
			}
		}
		put(storetest.Rec("lineItem", "sourcedId", "new", "title", "Quiz", "class", class))
		put(storetest.Rec("result", "sourcedId", "early", "lineItem", "new", "student", pupil, "score", "5"))
		first, second := plan(), plan()
		planned := first.Counts[oneroster.ByName("result")].With
		put(storetest.Rec("result", "sourcedId", "late", "lineItem", "new", "student", pupil, "score", "5"))
		if _, err := s.Publish(ctx, first, nil); err != nil {
			t.Fatal(err)
		}
		if n := first.Counts[oneroster.ByName("result")].With; planned == 0 || n != planned+1 {
			t.Errorf("%d results go with the pupil, where %d were planned", n, planned)
		}
		left := served(t, s)
		if left["result late"] != "" || left["lineItem new"] == "" || left["user "+pupil] != "" {
			t.Errorf("%q %q %q", left["result late"], left["lineItem new"], left["user "+pupil])
		}
		if _, err := s.Publish(ctx, second, nil); !errors.Is(err, store.ErrStale) {
			t.Errorf("the second plan: %v", err)
		}
		if !maps.Equal(served(t, s), left) {
			t.Error("the stale plan changed something")
		}
	})
}

// A plan that brings grades is published beside clients who write others; one that they
// have changed themselves is planned again.
func TestPlansBesideClients(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		ctx := context.Background()
		district := sandbox.New(sandbox.Options{Students: 20, Seed: 1})
		pupils, class := []string{}, ""
		err := district.Records(ctx, func(r oneroster.Row) error {
			if r.Resource.Name == "enrollment" && r.Get("role") == "student" {
				pupils, class = append(pupils, r.Get("user")), r.Get("class")
			}
			return nil
		})
		if err == nil {
			_, err = s.Import(ctx, district, store.ImportOptions{Closed: true})
		}
		if err != nil {
			t.Fatal(err)
		}
		put := func(rec oneroster.Record) {
			t.Helper()
			if _, _, err := s.Put(ctx, rec); err != nil {
				t.Fatal(err)
			}
		}
		result := func(id, item string) oneroster.Record {
			return storetest.Rec("result", "sourcedId", id, "lineItem", item, "student", pupils[0], "score",
				"5",
				"scoreStatus", "fully graded", "scoreDate", "2026-09-01")
		}
		for _, item := range []string{"i1", "i2"} {
			put(storetest.Rec("lineItem", "sourcedId", item, "title", "Quiz", "class", class))
		}
		src := storetest.Bulk(result("a", "i1"), result("b", "i2"), result("c", "i1"))
		src.Carried[oneroster.ByName("result")] = oneroster.Delta
		plan := func() *store.Plan {
			t.Helper()
			p, err := s.Plan(ctx, src, store.ImportOptions{Closed: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			return p
		}
		first := plan()
		put(result("x", "i1"))
		if err := s.Delete(ctx, oneroster.ByName("lineItem"), "i2"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Publish(ctx, first, nil); err != nil {
			t.Fatal(err)
		}
		left := served(t, s)
		for id, is := range map[string]bool{"a": true, "b": false, "c": true, "x": true} {
			if (left["result "+id] != "") != is {
				t.Errorf("result %s: %q", id, left["result "+id])
			}
		}
		if open := closure(left); open != "" {
			t.Error(open)
		}
		src.Rows = []oneroster.Record{result("a", "i1"), result("new", "i1")}
		src.Rows[0].Set("score", "6")
		for _, id := range []string{"a", "new"} {
			second, theirs := plan(), result(id, "i1")
			theirs.Set("score", "8")
			put(theirs)
			if _, err := s.Publish(ctx, second, nil); !errors.Is(err, store.ErrStale) {
				t.Errorf("a plan that has result %s as well: %v", id, err)
			}
		}
		// A package that carries line items too: what clients delete is gone for its results.
		put(storetest.Rec("lineItem", "sourcedId", "i3", "title", "Quiz", "class", class))
		src = storetest.Bulk(result("d", "i3"), storetest.Rec("lineItem", "sourcedId", "i4", "title", "Quiz",
			"class", class, "category", "k"), storetest.Rec("category", "sourcedId", "k", "title", "x"))
		for r := range src.Carried {
			src.Carried[r] = oneroster.Delta
		}
		third := plan()
		if err := s.Delete(ctx, oneroster.ByName("lineItem"), "i3"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Publish(ctx, third, nil); err != nil {
			t.Fatal(err)
		}
		left = served(t, s)
		if left["lineItem i4"] == "" || left["result d"] != "" {
			t.Errorf("%q, %q", left["lineItem i4"], left["result d"])
		}
	})
}

// What would go with a class, and a client deletes meanwhile, is deleted once, by the client.
func TestDeletedBesideAPlan(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s, ctx := storetest.Open(t, dsn, store.Options{}), t.Context()
		p := bulk(rec("org", "sourcedId", "o", "name", "O", "type", "school"),
			rec("class", "sourcedId", "c", "title", "C", "school", "o"))
		if _, err := s.Import(ctx, p, store.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"i", "j"} {
			item := rec("lineItem", "sourcedId", id, "title", "Quiz", "class", "c")
			if _, _, err := s.Put(ctx, item); err != nil {
				t.Fatal(err)
			}
		}
		p.Rows = p.Rows[:1]
		plan, err := s.Plan(ctx, p, store.ImportOptions{Closed: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		if err := s.Delete(ctx, oneroster.ByName("lineItem"), "i"); err != nil {
			t.Fatal(err)
		}
		before := gradebook(t, s)
		if _, err := s.Publish(ctx, plan, nil); err != nil {
			t.Fatal(err)
		}
		after := gradebook(t, s)
		_, deleted, _ := strings.Cut(before, `getAllLineItems ["i"`)
		deleted, _, _ = strings.Cut(deleted, "\n")
		items := plan.Counts[oneroster.ByName("lineItem")]
		if !strings.Contains(after, deleted) || items != (store.Counts{With: 1}) {
			t.Errorf("%+v\n%s\nbefore\n%s", items, after, before)
		}
	})
}

// After twenty plans in vain a writer is told that others come between.
func TestAgain(t *testing.T) {
	tried := 0
	err := store.Again(func() error { tried++; return store.ErrStale })
	if !errors.Is(err, store.ErrStale) || tried != 20 {
		t.Errorf("%v after %d", err, tried)
	}
}

// Of each resource a judge is told how many earlier imports brought, whether the source carries
// it or not: what came by PUT, and who has left, are none.
func TestImported(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		category := func(ids ...string) (out []oneroster.Record) {
			for _, id := range ids {
				out = append(out, rec("category", "sourcedId", id, "title", "x"))
			}
			return out
		}
		if _, _, err := s.Put(t.Context(), category("mine")[0]); err != nil {
			t.Fatal(err)
		}
		for _, rows := range [][]oneroster.Record{category("a", "b", "c"), category("a", "b")} {
			if _, err := s.Import(t.Context(), bulk(rows...), store.ImportOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, src := range []storetest.Package{bulk(category("z")...), bulk(rec("org", "sourcedId", "o"))} {
			plan, err := s.Plan(t.Context(), src, store.ImportOptions{}, func(p *store.Plan) error {
				if n := p.Imported(oneroster.ByName("category")); n != 2 {
					t.Errorf("%d categories were imported, not 2", n)
				}
				return nil
			})
			if err := errors.Join(err, plan.Close()); err != nil {
				t.Error(err)
			}
		}
	})
}

// A half-read source has rows of which something could not be read.
type halfRead struct{ storetest.Package }

func (h halfRead) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	return h.Package.Records(ctx, func(row oneroster.Row) error {
		row.File, row.Line, row.Wrong = "orgs.csv", 2, []oneroster.Wrong{{Text: "it breaks off"}}
		return yield(row)
	})
}

// Rows that could not be read are not stored.
func TestRowsThatWereNotCheckedAreRefused(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t), store.Options{})
	src := storetest.Bulk(storetest.Rec("org", "sourcedId", "o1", "name", "A", "type", "school"))
	_, err := s.Import(t.Context(), halfRead{src}, store.ImportOptions{})
	if err == nil || err.Error() != "orgs.csv:2 was not checked: it breaks off" || len(served(t, s)) > 0 {
		t.Errorf("%v; there is %v", err, served(t, s))
	}
}
