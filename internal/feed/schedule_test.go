package feed_test

import (
	"testing"
	"time"

	"rollbook/internal/feed"
)

// Through a year each schedule comes when a clock on the wall, looked at every minute, first shows its
// time, or has gone past it: once a day, also on the days when clocks change.
func TestSchedulesThroughAYear(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "UTC",
		"America/Santiago", "Africa/Casablanca"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{"00:00", "00:30", "01:30", "01:45", "02:00", "02:15", "02:30", "03:00",
			"23:59"} {
			clock, _ := time.Parse("15:04", at)
			minute := clock.Hour()*60 + clock.Minute()
			s := feed.Schedule{At: []string{at}}
			now := time.Date(2026, 3, 1, 12, 0, 0, 0, zone)
			next, days := s.Next(now, zone), 0
			done := "" // day on which it was due last
			for end := now.AddDate(1, 0, 0); now.Before(end); {
				was := now
				now = now.Add(time.Minute)
				here := now.In(zone)
				day := here.Format(time.DateOnly)
				shown := here.Hour()*60+here.Minute() >= minute
				if day == done || !shown || was.In(zone).Format(time.DateOnly) == day &&
					was.In(zone).Hour()*60+was.In(zone).Minute() >= minute && done != "" {
					continue
				}
				if done == "" && minute <= 12*60 && day == "2026-03-01" {
					continue // it was before the year began
				}
				done, days = day, days+1
				if !next.Equal(now) {
					t.Fatalf("%s at %s: %s, and the clock shows it at %s", name, at, next.In(zone), here)
				}
				next = s.Next(next, zone)
			}
			if days < 365 || days > 366 {
				t.Errorf("%s at %s: %d times a year", name, at, days)
			}
		}
	}
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	zone, _ := time.LoadLocation("America/Chicago")
	for _, row := range []struct {
		schedule    feed.Schedule
		after, next string
	}{
		{feed.Schedule{Every: "15m"}, "2026-11-27T10:00:00-06:00", "2026-11-27T10:15:00-06:00"},
		{feed.Schedule{At: []string{"06:00", "02:30"}}, "2026-11-27T02:30:00-06:00",
			"2026-11-27T06:00:00-06:00"},
		{feed.Schedule{Cron: "30 2 * * 1-5"}, "2026-11-27T03:00:00-06:00", "2026-11-30T02:30:00-06:00"},
		{feed.Schedule{Cron: "0 3 29 2 *"}, "2026-11-27T03:00:00-06:00", "2028-02-29T03:00:00-06:00"},
		{feed.Schedule{Cron: "*/10 * * * *"}, "2026-11-01T00:55:00-05:00", "2026-11-01T01:00:00-05:00"},
		{feed.Schedule{At: []string{"02:30"}}, "2027-03-14T00:00:00-06:00", "2027-03-14T03:00:00-05:00"},
		{feed.Schedule{At: []string{"01:30"}}, "2026-11-01T00:00:00-05:00", "2026-11-01T01:30:00-05:00"},
		{feed.Schedule{At: []string{"01:30"}}, "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-06:00"},
		{feed.Schedule{}, "2026-11-27T02:30:00-06:00", ""},
		{feed.Schedule{Cron: "0 0 31 2 *"}, "2026-11-27T02:30:00-06:00", ""},
	} {
		after, err := time.Parse(time.RFC3339, row.after)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if next := row.schedule.Next(after, zone); !next.IsZero() {
			got = next.In(zone).Format(time.RFC3339)
		}
		if got != row.next {
			t.Errorf("%s after %s: %s, not %s", row.schedule, row.after, got, row.next)
		}
	}
	for _, wrong := range []feed.Schedule{{At: []string{"2:3x"}}, {At: []string{"25:00"}}, {Every: "1s"},
		{Every: "x"},
		{Cron: "* * * *"}, {Cron: "0 0 31 2 *"}, {Cron: "@daily"}, {Cron: "TZ=UTC 0 3 * * *"},
		{Every: "15m", Cron: "0 3 * * *"}} {
		if wrong.Check() == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}
