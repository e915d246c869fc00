package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// A publication is published with the change that it makes, or not at all: of many that
// are published at once one makes its change, the others are ended by it and change
// nothing. Its stamp is the one that readers are served, also after a new epoch.
func TestPublishedAtOnce(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		now := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)
		opt := store.Options{Now: func() time.Time { return now }}
		stores := []*store.Store{storetest.Open(t, dsn, opt), storetest.Open(t, dsn, opt)}
		s := stores[0]
		const many = 12
		for range many + 2 {
			id, err := s.Arrive(ctx, "night.zip", "cron")
			if err == nil && id <= many {
				err = s.Decide(ctx, id, store.StateHeld, []store.State{store.StatePlanning}, "", "")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		publish := func(s *store.Store, id int64) (string, error) {
			return s.PublishObject(ctx, id, rec("category", "sourcedId", fmt.Sprint("k", id), "status",
				"active", "title", "x"), store.Tally{Rows: 9, Added: 1, Changed: 2, Retired: 3})
		}
		var all sync.WaitGroup
		stamps := make([]string, many)
		for n := range many {
			all.Go(func() {
				var err error
				stamps[n], err = publish(stores[n%2], int64(n+1))
				var is *store.StateError
				if err != nil && (!errors.As(err, &is) || is.State != store.StateSuperseded) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		last, err := s.LastPublished(ctx)
		if err != nil {
			t.Fatal(err)
		}
		at := "2026-09-01T06:00:00.000Z"
		want := store.Publication{ID: last.ID, At: at, Package: "night.zip", By: "cron",
			State: store.StatePublished, Decided: at, Decider: "ann", Reason: "it is right", Rev: 1,
			Stamp: at,
			Tally: store.Tally{Rows: 9, Added: 1, Changed: 2, Retired: 3}}
		if last != want || stamps[last.ID-1] != at {
			t.Errorf("%+v, not %+v", last, want)
		}
		rows, total := list(t, s, store.Selection{Route: route("getAllCategories")})
		if total != 1 || rows[0].ID() != fmt.Sprint("k", last.ID) || rows[0].Get("dateLastModified") != at {
			t.Errorf("%d %v, and publication %d", total, rows, last.ID)
		}
		states := map[store.State]int{}
		list, err := s.Publications(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			states[p.State]++
		}
		if states[store.StateSuperseded] != many-1 || states[store.StatePlanning] != 2 {
			t.Errorf("%v: those that came later are still planned", states)
		}
		now = now.Add(time.Hour)
		if stamp, err := publish(s, many+2); err != nil || stamp != oneroster.FormatTime(now) {
			t.Errorf("%s %v", stamp, err)
		}
		if p, err := s.Publication(ctx, many+1); err != nil || p.State != store.StateSuperseded {
			t.Errorf("one that came earlier: %v %v", p, err)
		}
		if _, _, err := s.Restamp(ctx, store.Moment{}, true); err != nil {
			t.Fatal(err)
		}
		if p, err := s.Publication(ctx, last.ID); err != nil || p.Stamp != at {
			t.Errorf("after a new epoch: %q %v", p.Stamp, err)
		}
	})
}
