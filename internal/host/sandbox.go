package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rollbook/internal/feed"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
)

// A Sandbox is how a made-up district lives: a school day passes whenever it is due.
type Sandbox struct {
	feed.Schedule
	Students int    `json:"students"`
	Seed     int64  `json:"seed"`
	Reset    string `json:"reset"` // nightly, weekly or never: when what clients wrote goes
}

// Check tells what of it cannot be meant.
func (s Sandbox) Check() error {
	switch s.Reset {
	case "nightly", "weekly", "never":
	default:
		return fmt.Errorf("--reset %q: write nightly, weekly or never", s.Reset)
	}
	if s.Students < sandbox.LeastStudents || s.Students > sandbox.MostStudents {
		return fmt.Errorf("--students %d: give a number from %d to %d", s.Students, sandbox.LeastStudents,
			sandbox.MostStudents)
	}
	return s.Schedule.Check()
}

// life is the name of the only feed of its kind.
const life = "life"

// lifeDays is how long a life lasts: then another one begins.
const lifeDays = 400

// lived is what a sandbox knows of its last turn.
type lived struct {
	Start string `json:"start"` // date of its first day
	Day   int    `json:"day"`
	Week  string `json:"week"` // of its last reset
}

// Live lets the district, which holds nothing else, be a made-up one from its first day on.
func (d *District) Live(ctx context.Context, s Sandbox) error {
	if empty, err := d.Empty(ctx); err != nil || !empty {
		return errors.Join(err, errors.New("this district holds something already: a sandbox is a district "+
			"of its own"))
	}
	zone, err := d.Zone(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f := store.Feed{Kind: store.FeedSandbox, Name: life, Settings: string(text)}
	if next := s.Next(time.Now(), zone); !next.IsZero() {
		f.Due = oneroster.FormatTime(next)
	}
	if err := d.AddFeed(ctx, f); err != nil {
		return err
	}
	_, err = d.Feeds(nil).Run(ctx, store.FeedSandbox, life)
	return err
}

// lives are the feeds that let a sandbox live.
type lives struct{ d *District }

// Next is when the next school day passes.
func (k lives) Next(f store.Feed, after time.Time) time.Time {
	var s Sandbox
	zone, err := k.d.Zone(context.Background())
	if err != nil || json.Unmarshal([]byte(f.Settings), &s) != nil {
		return after.Add(time.Hour) // the turn tells why
	}
	return s.Schedule.Next(after, zone)
}

// Wanted: a day that is due passes.
func (k lives) Wanted(context.Context, store.Feed) (bool, error) { return true, nil }

// Do lets a school day pass. A turn that was broken off is done again, and is the same.
func (k lives) Do(ctx context.Context, turn *store.Turn) (run store.Run, err error) {
	var s Sandbox
	if err := json.Unmarshal([]byte(turn.Settings), &s); err != nil {
		return run, err
	}
	zone, err := k.d.Zone(ctx)
	if err != nil {
		return run, err
	}
	now := time.Now().In(zone)
	year, week := now.ISOWeek()
	m, first := lived{}, turn.Memory == ""
	if !first {
		if err := json.Unmarshal([]byte(turn.Memory), &m); err != nil {
			return run, err
		}
	}
	anew := first || m.Day >= lifeDays
	if m.Day++; anew {
		m = lived{Start: now.Format(oneroster.DateLayout)}
	}
	resets := anew || s.Reset == "nightly" || s.Reset == "weekly" && m.Week != fmt.Sprint(year, "-", week)
	if resets {
		m.Week = fmt.Sprint(year, "-", week)
	}
	start, err := time.Parse(oneroster.DateLayout, m.Start)
	if err != nil {
		return run, err
	}
	l := sandbox.NewLife(sandbox.Options{Students: s.Students, Seed: s.Seed, Today: start})
	for l.Day() < m.Day {
		l.Step()
	}
	from := l.Delta()
	if resets {
		from = alone{l, k.d}
	}
	if err := turn.Remember(ctx); err != nil { // nobody else is at it
		return run, err
	}
	report, err := k.d.Store.Import(store.Acting(ctx, "sandbox"), from, store.ImportOptions{})
	if err != nil {
		return run, err
	}
	var n store.Counts
	for _, c := range report.Counts {
		n.Added, n.Changed, n.Retired = n.Added+c.Added, n.Changed+c.Changed, n.Retired+c.Retired
	}
	run.Text = fmt.Sprintf("day %d, %s: %d added, %d changed, %d retired", m.Day, l.Date(), n.Added,
		n.Changed, n.Retired)
	if resets && !anew {
		run.Text += "; what clients wrote is gone"
	}
	text, err := json.Marshal(m)
	turn.Memory = string(text)
	return run, err
}

// alone is a life, and the end of what clients wrote beside it: an import leaves that as it is.
type alone struct {
	*sandbox.Life
	d *District
}

func (a alone) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	for _, r := range oneroster.Resources() {
		its := map[string]bool{}
		err := a.Each(ctx, r, func(rec oneroster.Record) error {
			its[rec.ID()] = true
			return yield(oneroster.Row{Record: rec})
		})
		var others []string
		if err == nil {
			err = a.d.ActiveIDs(ctx, r, func(id string) error {
				if !its[id] {
					others = append(others, id)
				}
				return nil
			})
		}
		for i := 0; i < len(others) && err == nil; i++ {
			gone := oneroster.NewRecord(r)
			gone.Set("sourcedId", others[i])
			gone.Set("status", oneroster.ToBeDeleted)
			err = yield(oneroster.Row{Record: gone})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
