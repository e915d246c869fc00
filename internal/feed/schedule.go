package feed

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// A Schedule says when a feed is due: at times of the day, or every so often, or by cron text of
// five fields. The zero Schedule is never.
type Schedule struct {
	At    []string `json:"at,omitempty"`    // "02:30"
	Every string   `json:"every,omitempty"` // "15m"
	Cron  string   `json:"cron,omitempty"`
}

// leastEvery is how often something may be done.
const leastEvery = 10 * time.Second

// Check tells what of a schedule cannot be meant.
func (s Schedule) Check() error {
	given := 0
	for _, is := range []bool{len(s.At) > 0, s.Every != "", s.Cron != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		return errors.New("give one of --at, --every and --cron")
	}
	for _, at := range s.At {
		if _, err := time.Parse("15:04", at); err != nil {
			return fmt.Errorf("--at %q: write a time of the day such as 02:30", at)
		}
	}
	if s.Every != "" {
		if d, err := time.ParseDuration(s.Every); err != nil || d < leastEvery {
			return fmt.Errorf("--every %q: write a span such as 15m or 6h, %s at least", s.Every, leastEvery)
		}
	}
	if s.Cron != "" {
		if strings.Contains(s.Cron, "TZ=") || strings.HasPrefix(s.Cron, "@") {
			return fmt.Errorf("--cron %q: write five fields; times are those of the district's time zone",
				s.Cron)
		}
		comes, err := cron.ParseStandard(s.Cron)
		if err != nil {
			return fmt.Errorf("--cron %q: %w; write five fields such as 30 2 * * 1-5: minute, hour, day, "+
				"month, "+
				"day of the week", s.Cron, err)
		}
		if comes.Next(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() { // it looks for five years
			return fmt.Errorf("--cron %q: there is no such day in any year", s.Cron)
		}
	}
	return nil
}

func (s Schedule) String() string {
	switch {
	case len(s.At) > 0:
		return "at " + strings.Join(s.At, ", ")
	case s.Every != "":
		return "every " + s.Every
	case s.Cron != "":
		return "cron " + s.Cron
	}
	return "by hand"
}

// Next is the first time after another one; zero where there is none. Times of the day are those of a
// time zone: one that is left out when the clock goes forward is when that happens, and one that
// comes twice when it goes back is the first of them, so that each comes once a day.
func (s Schedule) Next(after time.Time, zone *time.Location) time.Time {
	if s.Every != "" {
		every, err := time.ParseDuration(s.Every)
		if err != nil || every < leastEvery {
			return time.Time{}
		}
		return after.Add(every)
	}
	var days []cron.Schedule
	for _, at := range s.At {
		if t, err := time.Parse("15:04", at); err == nil {
			days = append(days, parsed(fmt.Sprintf("%d %d * * *", t.Minute(), t.Hour())))
		}
	}
	if s.Cron != "" {
		days = append(days, parsed(s.Cron))
	}
	first := time.Time{}
	for _, day := range days {
		if t := onClock(day, after, zone); first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}

func parsed(text string) cron.Schedule {
	s, err := cron.ParseStandard(text)
	if err != nil {
		return never{}
	}
	return s
}

type never struct{}

func (never) Next(time.Time) time.Time { return time.Time{} }

// onClock is when the clock on the wall of a time zone first shows a time of a schedule, after a
// time. The schedule is asked on a clock that never changes.
func onClock(s cron.Schedule, after time.Time, zone *time.Location) time.Time {
	_, offset := after.In(zone).Zone()
	wall := after.Add(time.Duration(offset) * time.Second).UTC().Add(-25 * time.Hour) // clocks go back by less
	for range 5000 {
		if wall = s.Next(wall); wall.IsZero() {
			return wall
		}
		if at := instant(wall, zone); at.After(after) {
			return at
		}
	}
	return time.Time{}
}

// instant is when the clock of a time zone first shows a time, or has gone past it.
func instant(wall time.Time, zone *time.Location) time.Time {
	shows := func(t time.Time) time.Time {
		_, offset := t.Zone()
		return t.Add(time.Duration(offset) * time.Second).UTC()
	}
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, zone)
	if !shows(at).Equal(wall) { // it is left out: the clock jumps over it at the change
		begin, end := at.ZoneBounds()
		for _, change := range []time.Time{begin, end} {
			if !change.IsZero() && !shows(change).Before(wall) && shows(change.Add(-1)).Before(wall) {
				return change.In(zone)
			}
		}
		return at
	}
	if begin, _ := at.ZoneBounds(); !begin.IsZero() { // it may have been shown before the clock went back
		_, was := begin.Add(-1).In(zone).Zone()
		earlier := wall.Add(-time.Duration(was) * time.Second).In(zone)
		if earlier.Before(begin) && shows(earlier).Equal(wall) {
			return earlier
		}
	}
	return at
}
