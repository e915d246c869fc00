package source_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rollbook/internal/feed"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/source"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Through a year, over both changes of daylight saving, a source brings its package once a night, at the time
// that
// the clock on the wall shows or first goes past; three nights without a service are caught up by one turn.
func TestAYearOfNights(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"America/Chicago", "Europe/Berlin"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, zone)
		clock := func() time.Time { return now }
		s := storetest.Open(t, storetest.SQLite(t), store.Options{Now: clock})
		key := resttest.Key(t)
		dir := t.TempDir()
		file := filepath.Join(dir, "night.zip")
		for _, name := range []string{file, file + ".done"} {
			if err := os.WriteFile(name, archive("u"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		brought := map[string]int{} // by the day of the zone
		feeds := &feed.Feeds{Store: s, Now: clock, Kinds: map[store.FeedKind]feed.Kind{
			store.FeedSource: &source.Sources{Key: key,
				Zone: func(context.Context) (*time.Location, error) { return zone, nil },
				Take: func(context.Context, source.Package) (store.Run, error) {
					brought[now.In(zone).Format(time.DateOnly)]++
					return store.Run{}, nil
				}}}}
		f, err := source.Settings{Schedule: feed.Schedule{At: []string{"02:30"}},
			Folder: &source.Folder{Path: dir}}.Feed("nightly", nil, key, now, zone)
		if err == nil {
			err = s.AddFeed(t.Context(), f)
		}
		if err != nil {
			t.Fatal(err)
		}
		off := func() bool { return now.Month() == time.July && now.Day() >= 10 && now.Day() <= 12 }
		due := f.Due
		for end := now.AddDate(1, 0, 0); now.Before(end); now = now.Add(10 * time.Minute) {
			if due > oneroster.FormatTime(now) || off() {
				continue
			}
			for _, name := range []string{file, file + ".done"} { // another package lies there each night
				if err := os.Chtimes(name, now, now); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := feeds.Run(t.Context(), store.FeedSource, "nightly"); err != nil {
				t.Fatal(err)
			}
			f, err := s.Feed(t.Context(), store.FeedSource, "nightly")
			if err != nil {
				t.Fatal(err)
			}
			due = f.Due
		}
		for day := time.Date(2026, 3, 2, 12, 0, 0, 0, zone); day.Before(now.AddDate(0, 0,
			-1)); day = day.AddDate(0, 0, 1) {
			want := 1
			if day.Month() == time.July && day.Day() >= 10 && day.Day() <= 12 {
				want = 0
			}
			if day.Month() == time.July && day.Day() == 13 {
				want = 2 // what was missed, and that night's
			}
			if got := brought[day.Format(time.DateOnly)]; got != want {
				t.Errorf("%s, %s: %d times, not %d", name, day.Format(time.DateOnly), got, want)
			}
		}
	}
}
