package store

import (
	"context"
	"time"

	"rollbook/internal/oneroster"
)

// Figures are what a district is like, for who watches it. Times are zero where there is none.
type Figures struct {
	Moment
	States    map[State]int // publications by what has become of them; all states are there
	Came      time.Time     // when the last package came whole
	Published time.Time     // when readers were last given something new to be served
	Held      time.Time     // since when the publication that has waited longest is held

	Packages     int // that are kept
	PackageBytes int64
}

// Figures reads them; it looks at no record.
func (s *Store) Figures(ctx context.Context) (f Figures, err error) {
	if f.Moment, err = s.Moment(ctx); err != nil {
		return f, err
	}
	f.States = map[State]int{StatePlanning: 0, StateHeld: 0, StatePublished: 0, StateRefused: 0,
		StateDiscarded: 0, StateSuperseded: 0}
	rows, err := s.read.QueryContext(ctx, `SELECT "state", COUNT(*),
		MAX(CASE WHEN "bytes" > 0 THEN "at" ELSE '' END), MIN("decided"), MAX("decided"),
		SUM(CASE WHEN "kept" = 1 THEN 1 ELSE 0 END),
		CAST(SUM(CASE WHEN "kept" = 1 THEN "bytes" ELSE 0 END) AS BIGINT)
		FROM "publications" GROUP BY "state"`)
	if err != nil {
		return f, err
	}
	defer rows.Close()
	for rows.Next() {
		var state State
		var n, kept int
		var came, first, last string
		var bytes int64
		if err := rows.Scan(&state, &n, &came, &first, &last, &kept, &bytes); err != nil {
			return f, err
		}
		f.States[state] = n
		f.Packages += kept
		f.PackageBytes += bytes
		if at := clockTime(came); at.After(f.Came) {
			f.Came = at
		}
		switch state {
		case StatePublished:
			f.Published = clockTime(last)
		case StateHeld:
			f.Held = clockTime(first)
		}
	}
	return f, rows.Err()
}

func clockTime(text string) time.Time {
	t, _ := time.Parse(oneroster.TimeLayout, text) // "" is never
	return t
}

// Bytes is how much the database takes where it lies, without its log.
func (s *Store) Bytes(ctx context.Context) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, s.size).Scan(&n)
	return n, err
}
