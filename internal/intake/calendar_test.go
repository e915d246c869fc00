package intake_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/intake"
)

// A calendar announces by the day of the district, from the first to the last.
func TestCalendar(t *testing.T) {
	var c intake.Calendar
	for _, line := range []string{"rollover 2027-08-01", "freeze 2027-06-10..2027-08-20",
		"Adds-Only 2027-09-01..2027-09-02", "closing sch 3 2027-03-31", "freeze 2027-12-24",
		"freeze 2027-12-24", "rollover 2027-01-25"} {
		e, err := intake.ParseEntry(line)
		if err != nil {
			t.Fatal(err)
		}
		c = c.With(e)
	}
	const want = "rollover 2027-01-25\nclosing sch 3 2027-03-31\nfreeze 2027-06-10..2027-08-20\nrollover 2027-08-01\n" +
		"adds-only 2027-09-01..2027-09-02\nfreeze 2027-12-24\n"
	if c.String() != want {
		t.Errorf("printed as\n%s", c)
	}
	kept, err := json.Marshal(c)
	var back intake.Calendar
	if err != nil || json.Unmarshal(kept, &back) != nil || back.String() != want {
		t.Errorf("%v: kept as %s, read as\n%s", err, kept, back)
	}
	oslo, samoa := time.FixedZone("", 2*3600), time.FixedZone("", -11*3600)
	for _, d := range []struct {
		at   string
		in   *time.Location
		kind intake.DayKind
		gone string
	}{
		{"2027-06-09T21:59:59Z", oslo, intake.Ordinary, ""},
		{"2027-06-09T22:00:00Z", oslo, intake.Frozen, ""},
		{"2027-08-20T21:59:59Z", oslo, intake.Frozen, ""},
		{"2027-08-20T22:00:00Z", oslo, intake.Ordinary, ""},
		{"2027-08-20T22:00:00Z", samoa, intake.Frozen, ""},
		{"2027-08-01T12:00:00Z", oslo, intake.Frozen | intake.Rollover, ""},
		{"2027-01-25T12:00:00Z", oslo, intake.Rollover, ""},
		{"2027-09-02T12:00:00Z", oslo, intake.AddsOnly, ""},
		{"2027-12-24T12:00:00Z", oslo, intake.Frozen, ""},
		{"2027-03-16T12:00:00Z", oslo, intake.Ordinary, ""},
		{"2027-03-17T12:00:00Z", oslo, intake.Ordinary, "sch 3"},
		{"2027-04-14T12:00:00Z", oslo, intake.Ordinary, "sch 3"},
		{"2027-04-15T12:00:00Z", oslo, intake.Ordinary, ""},
	} {
		at, _ := time.Parse(time.RFC3339, d.at)
		kind, schools := c.On(at, d.in)
		if gone := strings.Join(slices.Collect(maps.Keys(schools)), ","); kind != d.kind || gone != d.gone {
			t.Errorf("%s: %v %q, want %v %q", d.at, kind, gone, d.kind, d.gone)
		}
	}
	for line, want := range map[string]string{
		"":                                "begins with freeze",
		"thaw 2027-01-01":                 "not thaw",
		"freeze":                          "write freeze 2027-06-10..2027-08-20",
		"freeze 10.6.2027..20.8.2027":     `"10.6.2027" is no date: write freeze`,
		"freeze 2027-02-29":               "is no date",
		"freeze 2027-08-20..2027-06-10":   "ends before it begins",
		"rollover 2027-08-01..2027-08-02": "one day: write rollover 2027-08-01",
		"closing 2027-06-30":              "write closing SCHOOL 2027-06-30",
	} {
		if _, err := intake.ParseEntry(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}
