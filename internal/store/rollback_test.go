package store_test

import (
	"fmt"
	"maps"
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

// roster is what is served of a district without what only clients write.
func roster(all map[string]string) map[string]string {
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(key, _ string) bool {
		return strings.HasPrefix(key, "category ") || strings.HasPrefix(key, "lineItem ") ||
			strings.HasPrefix(key, "result ")
	})
	return out
}

func differ(a, b map[string]string) string {
	for key := range a {
		if a[key] != b[key] {
			return fmt.Sprintf("%s: %q, not %q", key, a[key], b[key])
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			return key + " is missing"
		}
	}
	return ""
}

// Through the days of a school and writes of clients: a rollback leaves of the rosters
// what there was, and of what clients wrote all that can be; a rollback of the rollback
// is the state before, object by object.
func TestRollback(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
		life := sandbox.NewLife(sandbox.Options{Students: 60, Seed: 3, Today: now})
		rng := rand.New(rand.NewPCG(4, 2))
		ctx := t.Context()
		type step struct {
			rev int64
			all map[string]string
		}
		var steps []step
		note := func() {
			t.Helper()
			m, err := s.Moment(ctx)
			if err != nil {
				t.Fatal(err)
			}
			steps = append(steps, step{m.Rev, served(t, s)})
			now = now.Add(time.Hour)
		}
		back := func(to step) store.Counts {
			t.Helper()
			plan, err := s.PlanRollback(ctx, to.rev, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer plan.Close()
			if _, err := s.Publish(store.By(ctx, "rollback"), plan, nil); err != nil {
				t.Fatal(err)
			}
			return plan.Counts[oneroster.ByName("user")]
		}
		days := 24 // the rollover among them
		if strings.HasPrefix(dsn, "postgres") {
			days = 8
		}
		for day := range days {
			if _, err := s.Import(store.By(ctx, "import x"), life,
				store.ImportOptions{Closed: true}); err != nil {
				t.Fatal(err)
			}
			life.Step()
			note()
			k := storetest.Rec("category", "sourcedId", fmt.Sprint("k", rng.IntN(3)), "title",
				fmt.Sprint(day))
			if _, _, err := s.Put(store.By(ctx, "client x"), k); err != nil {
				t.Fatal(err)
			}
			note()
			if rng.IntN(3) > 0 {
				continue
			}
			to, from := steps[rng.IntN(len(steps))], steps[len(steps)-1]
			back(to)
			note()
			undone := steps[len(steps)-1]
			if d := differ(roster(undone.all), roster(to.all)); d != "" {
				t.Fatalf("day %d, back to change %d: %s", day, to.rev, d)
			}
			for key, text := range undone.all {
				if was := from.all[key]; strings.HasPrefix(key, "category k") && text != was {
					t.Errorf("day %d: %s was written by a client: %s, not %s", day, key, text, was)
				}
			}
			if c := back(undone); c.Changed+c.Retired > 0 {
				t.Errorf("day %d: back to what there is changes %v", day, c)
			}
			back(from)
			note()
			if d := differ(steps[len(steps)-1].all, from.all); d != "" {
				t.Fatalf("day %d, back from the way back to change %d: %s", day, to.rev, d)
			}
			if closed := closure(steps[len(steps)-1].all) + closure(undone.all); closed != "" {
				t.Fatalf("day %d: %s", day, closed)
			}
		}
	})
}

// What publications have changed and changed back is as it was already: a rollback leaves it,
// and its time, also where others have a part in it.
func TestRollbackLeavesWhatIsAsItWas(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		ctx := store.By(t.Context(), "import x")
		people := func(agents, email string) {
			t.Helper()
			_, err := s.Import(ctx, bulk(rec("user", "sourcedId", "a", "agents", agents), rec("user", "sourcedId",
				"b", "email", email)), store.ImportOptions{})
			if err != nil {
				t.Fatal(err)
			}
		}
		people("b", "x")
		first, err := s.Moment(ctx)
		if err != nil {
			t.Fatal(err)
		}
		people("", "y")
		people("b", "x")
		before := whole(t, s.Snapshot)
		plan, err := s.PlanRollback(ctx, first.Rev, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		user := oneroster.ByName("user")
		if !plan.Empty() || plan.Counts[user] != (store.Counts{Same: 2}) {
			t.Errorf("empty is %v; %+v", plan.Empty(), plan.Counts)
		}
		if stamp, err := s.Publish(ctx, plan, nil); err != nil || stamp != "" {
			t.Errorf("%q, %v", stamp, err)
		}
		if after := whole(t, s.Snapshot); !slices.Equal(after, before) {
			t.Errorf("%q, not %q", after, before)
		}
	})
}

// A rollback brings back who states an agent, and whether an import brought a record: later
// packages take away what they did then, and no more.
func TestRollbackBringsBackWhoStates(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		ctx := store.By(t.Context(), "import x")
		take := func(rows ...oneroster.Record) {
			t.Helper()
			if _, err := s.Import(ctx, bulk(rows...), store.ImportOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		user := func(id, agents string) oneroster.Record {
			return rec("user", "sourcedId", id, "agents", agents)
		}
		category := func(id, title string) oneroster.Record {
			return rec("category", "sourcedId", id, "title", title)
		}
		if _, _, err := s.Put(store.By(ctx, "client x"), category("mine", "a")); err != nil {
			t.Fatal(err)
		}
		take(category("theirs", "a"), user("a", "b"), user("b", ""))
		then, err := s.Moment(ctx)
		if err != nil {
			t.Fatal(err)
		}
		take(category("mine", "b"), category("theirs", "b"), user("a", ""), user("b", ""))
		plan, err := s.PlanRollback(ctx, then.Rev, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		if _, err := s.Publish(ctx, plan, nil); err != nil {
			t.Fatal(err)
		}
		if got := served(t, s); !strings.HasSuffix(got["category mine"], "|a|") ||
			!strings.Contains(got["user b"], "|a|") {
			t.Fatalf("the way back leads to %q", got)
		}
		take(category("other", "a"), user("a", ""), user("b", ""))
		got := served(t, s)
		if got["category mine"] == "" || got["category theirs"] != "" {
			t.Errorf("a bulk file without both leaves %q and %q", got["category mine"], got["category theirs"])
		}
		if strings.Contains(got["user b"], "|a|") {
			t.Errorf("nobody states it any more, and b has an agent: %q", got["user b"])
		}
	})
}

// closure names a record that is served and refers to one that is not.
func closure(all map[string]string) string {
	for key, text := range all {
		r, values := oneroster.ByName(strings.Fields(key)[0]), strings.Split(text, "|")
		for i, f := range r.Fields {
			to := f.To
			if r.Name == "demographics" && i == oneroster.SourcedID {
				to = "user"
			}
			if to == "" {
				continue
			}
			for _, id := range oneroster.Items(values[i]) {
				if _, ok := all[to+" "+id]; !ok {
					return fmt.Sprintf("%s refers to %s %s by its %s\n", key, to, id, f.Name)
				}
			}
		}
	}
	return ""
}
