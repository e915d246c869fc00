package edition_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rollbook/internal/edition"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// What a walk lacks is never stamped before the Date of its later pages, also where the last
// changes were asked before the list: who lets a caller in asks them for the request.
func TestLaterPagesTellNoLaterDate(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
		d := edition.New(s, edition.Options{})
		t.Cleanup(d.Close)
		put := func(id string) time.Time {
			t.Helper()
			_, _, err := s.Put(ctx, storetest.Rec("category", "sourcedId", id, "title", "x"))
			if err != nil {
				t.Fatal(err)
			}
			return now
		}
		page := func(ctx context.Context, client string, offset int) *edition.Page {
			t.Helper()
			ask := asked(t, "getAllCategories", fmt.Sprintf("limit=1&offset=%d", offset), nil)
			ask.Client = client
			p, err := d.List(ctx, ask)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		put("a")
		put("b")
		_, _ = page(ctx, "nobody", 0), page(ctx, "nobody", 0) // the edition is made, and what it answers remembered

		request, _ := s.Asking(ctx)
		if _, err := s.Version(request); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		stamp := put("c")
		now = now.Add(time.Minute)
		if p := page(request, "reader", 0); p.Total != 2 {
			t.Fatalf("%d records: the request is of more than one moment", p.Total)
		}
		if p := page(ctx, "reader", 1); p.Total != 2 || !p.AsOf.Before(stamp) {
			t.Errorf("the next page has %d records, its Date is %s; what it lacks is stamped %s", p.Total, p.AsOf,
				stamp)
		}
	})
}

// The Date of a later page is that of its own walk's first, not of one that the same reader
// walked long before in the same edition: its next delta would bring all that came since.
func TestLaterPagesTellTheDateOfTheirWalk(t *testing.T) {
	now := time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)
	s := storetest.Open(t, storetest.SQLite(t), store.Options{Now: func() time.Time { return now }})
	publish(t, s, newRoster(30))
	d := edition.New(s, edition.Options{})
	t.Cleanup(d.Close)
	d.SetClock(func() time.Time { return now })
	for range 3 {
		now = now.Add(24 * time.Hour)
		_, _ = body(t, d, asked(t, "getAllUsers", "limit=10&offset=0", nil))
		if _, p := body(t, d, asked(t, "getAllUsers", "limit=10&offset=10", nil)); !p.AsOf.Equal(now) {
			t.Errorf("the second page of %s tells %s", now, p.AsOf)
		}
	}
}
