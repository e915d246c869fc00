package intake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// offers are those of a small district: the nth package has other titles in n of 30 courses.
type offers struct {
	*testing.T
	s  *store.Store
	in *intake.Intake
}

func newOffers(t *testing.T, dsn string) *offers {
	now := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)
	s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
	return &offers{t, s, &intake.Intake{Store: s, Who: "ann", Zone: time.UTC, Today: now}}
}

func courses(n int) intake.Offer {
	var rows []oneroster.Record
	for i := range 30 {
		title := "before"
		if i < n {
			title = "after"
		}
		rows = append(rows, storetest.Rec("course", "sourcedId", fmt.Sprint("c", i), "title", title))
	}
	return intake.Offer{Source: storetest.Bulk(rows...), Cause: "import night", Rows: len(rows)}
}

// delta is the same of a package that holds its own changes alone.
func delta(o intake.Offer) intake.Offer {
	o.Source.(storetest.Package).Carried[oneroster.ByName("course")] = oneroster.Delta
	return o
}

func (f *offers) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *offers) arrive(bytes string) int64 {
	f.Helper()
	id, err := f.s.Arrive(f.Context(), "night.zip", "cron")
	f.must(err)
	if bytes != "" {
		f.must(f.s.Keep(f.Context(), id, "night.zip", strings.NewReader(bytes)))
		f.must(f.s.KeptWhole(f.Context(), id))
	}
	return id
}

func (f *offers) offer(o intake.Offer) (id int64, doc intake.Document, held bool) {
	f.Helper()
	id = f.arrive("x")
	doc, held, _, err := f.in.Offer(f.Context(), id, o)
	f.must(err)
	return id, doc, held
}

// planned tells of an offer which guards object, and what is noted.
func (f *offers) planned(o intake.Offer) string {
	f.Helper()
	doc, err := f.in.Plan(f.Context(), o, nil)
	f.must(err)
	return told(doc)
}

func told(doc intake.Document) string {
	out := guards(doc.Verdict)
	for _, o := range doc.Objections {
		if o.Guard == "again" {
			out += ": " + o.Text
		}
	}
	return strings.Join(append([]string{out}, doc.Notes...), "; ")
}

// A package that was published before, and not last, is held where it changes more than a
// handful of the rosters.
func TestAgain(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		f := newOffers(t, dsn)
		for _, n := range []int{0, 11, 6} {
			if _, doc, held := f.offer(courses(n)); held {
				t.Fatalf("package %d is held: %+v", n, doc.Objections)
			}
		}
		id, _, held := f.offer(courses(29))
		if !held {
			t.Fatal("a package that changes most courses is not held")
		}
		f.must(f.in.Discard(t.Context(), id, "no"))
		held1 := "again: it is the package of publication 1, of 2026-09-01, again, record by record"
		noted2 := "; it is the package of publication 2, of 2026-09-01, again, record by record"
		for n, want := range map[int]string{0: held1, 11: noted2, 6: "", 7: "", 29: "change"} {
			got := f.planned(courses(n))
			if !strings.HasPrefix(got, want) || want == "" && got != "" || n == 29 && got != want {
				t.Errorf("package %d: %q, not %q", n, got, want)
			}
		}
		another := courses(0)
		slices.Reverse(another.Source.(storetest.Package).Rows)
		if got := f.planned(another); !strings.HasPrefix(got, held1) {
			t.Errorf("package 0 in another order: %q", got)
		}
		f.in.Limits = intake.Limits{"guard-again": 0}
		if got := f.planned(courses(0)); got != "" {
			t.Errorf("the guard is off: %q", got)
		}
		f.in.Limits = nil
		_, err := f.s.Import(t.Context(), courses(20).Source, store.ImportOptions{}) // past the publications
		f.must(err)
		if got := f.planned(courses(6)); strings.Contains(got, "again") {
			t.Errorf("the last package, after another writer: %q", got)
		}
	})
}

// The gradebook goes back and forth as teachers like.
func TestGradesAgain(t *testing.T) {
	f := newOffers(t, storetest.SQLite(t))
	categories := func(title string) intake.Offer {
		var rows []oneroster.Record
		for i := range 10 {
			rows = append(rows, storetest.Rec("category", "sourcedId", fmt.Sprint("k", i), "title", title))
		}
		return intake.Offer{Source: storetest.Bulk(rows...), Cause: "import grades"}
	}
	f.offer(categories("a"))
	f.offer(categories("b"))
	if got := f.planned(categories("a")); got != "" {
		t.Errorf("%q", got)
	}
}

// Before a delta package that follows one which was not published it is noted what will be
// missing.
func TestGap(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		f := newOffers(t, dsn)
		end := func(id int64) int64 {
			t.Helper()
			f.must(f.s.Decide(t.Context(), id, store.StateRefused, []store.State{store.StatePlanning}, "", ""))
			return id
		}
		end(f.arrive("older than what is published"))
		f.offer(courses(0))
		if got := f.planned(delta(courses(1))); got != "" {
			t.Errorf("nothing came between: %q", got)
		}
		lost := end(f.arrive("lost"))
		end(f.arrive("")) // a rollback, or one that never came
		f.arrive("it is being planned")
		want := fmt.Sprintf("; this is a delta package, and publication %d, of 2026-09-01, is refused: ", lost)
		if got := f.planned(delta(courses(1))); !strings.HasPrefix(got, want) || strings.Count(got, "; ") != 1 {
			t.Errorf("%q, not %q", got, want)
		}
		if got := f.planned(courses(1)); got != "" {
			t.Errorf("a whole package: %q", got)
		}
		id, doc, held := f.offer(delta(courses(29)))
		if !held || !strings.HasPrefix(told(doc), "change"+want) {
			t.Errorf("%v: %q", held, told(doc))
		}
		doc, _, err := f.in.Release(t.Context(), id, delta(courses(29)), "it is right")
		f.must(err)
		if got := told(doc); !strings.HasPrefix(got, "change"+want) || strings.Count(got, "; ") != 1 {
			t.Errorf("of itself it notes nothing: %q", got)
		}
		if got := f.planned(delta(courses(28))); got != "" {
			t.Errorf("once another is published: %q", got)
		}
	})
}
