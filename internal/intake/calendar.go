package intake

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A DayKind says what the calendar announces for a day. A day may be of several
// kinds at once; none is an ordinary day.
type DayKind uint8

const Ordinary DayKind = 0

const (
	Rollover DayKind = 1 << iota // the school year changes: guards are wide
	AddsOnly                     // nothing is retired
	Frozen                       // nothing is published
)

// Verbs of a calendar.
const (
	freeze   = "freeze"
	addsOnly = "adds-only"
	rollover = "rollover"
	closing  = "closing"
)

// An Entry announces something for the days from From to To, both included. A
// closing has a School and one day. As text, and as JSON, it is as it is typed:
// "freeze 2027-06-10..2027-08-20", "closing sch-003 2027-06-30".
type Entry struct {
	Verb     string
	From, To time.Time // midnight UTC of the day
	School   string    // its sourcedId
}

// A Calendar is the entries of a district.
type Calendar []Entry

// around is how many days before and after its day a closing counts: schools are
// taken out of an export early, or late.
const around = 14

// ParseEntry reads one entry. An error says what to write.
func ParseEntry(text string) (Entry, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Entry{}, fmt.Errorf("an entry of the calendar begins with %s, %s, %s or %s", freeze, addsOnly,
			rollover, closing)
	}
	e := Entry{Verb: strings.ToLower(words[0])}
	days := strings.Join(words[1:], "")
	form := e.Verb + " 2027-06-10..2027-08-20"
	switch e.Verb {
	case freeze, addsOnly:
	case rollover:
		form = "rollover 2027-08-01"
	case closing:
		form = "closing SCHOOL 2027-06-30, with the sourcedId of the school"
		if len(words) < 3 {
			return e, fmt.Errorf("%q: write %s", text, form)
		}
		e.School, days = strings.Join(words[1:len(words)-1], " "), words[len(words)-1]
	default:
		return e, fmt.Errorf("%q: the calendar knows %s, %s, %s and %s, not %s", text, freeze, addsOnly,
			rollover, closing, words[0])
	}
	from, to, isSpan := strings.Cut(days, "..")
	if !isSpan {
		to = from
	} else if e.Verb == rollover || e.Verb == closing {
		return e, fmt.Errorf("%q: a %s has one day: write %s", text, e.Verb, form)
	}
	var err error
	for _, d := range []struct {
		into *time.Time
		text string
	}{{&e.From, from}, {&e.To, to}} {
		if *d.into, err = time.Parse(time.DateOnly, d.text); err != nil {
			return e, fmt.Errorf("%q: %q is no date: write %s", text, d.text, form)
		}
	}
	if e.To.Before(e.From) {
		return e, fmt.Errorf("%q ends before it begins: write the earlier date first", text)
	}
	return e, nil
}

// String is the entry as ParseEntry reads it.
func (e Entry) String() string {
	days := e.From.Format(time.DateOnly)
	if !e.To.Equal(e.From) {
		days += ".." + e.To.Format(time.DateOnly)
	}
	return strings.Join(slices.DeleteFunc([]string{e.Verb, e.School, days},
		func(word string) bool { return word == "" }), " ")
}

// MarshalText is String.
func (e Entry) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText is ParseEntry.
func (e *Entry) UnmarshalText(text []byte) (err error) {
	*e, err = ParseEntry(string(text))
	return err
}

// With is the calendar with an entry more, in the order of the days.
func (c Calendar) With(e Entry) Calendar {
	out := append(slices.Clone(c), e)
	slices.SortStableFunc(out, func(a, b Entry) int { return a.From.Compare(b.From) })
	return slices.Compact(out)
}

// String prints an entry a line.
func (c Calendar) String() string {
	var out strings.Builder
	for _, e := range c {
		fmt.Fprintln(&out, e)
	}
	return out.String()
}

// On tells what is announced for the day that an instant falls on in a place:
// its kind, and the sourcedIds of schools that are closing.
func (c Calendar) On(t time.Time, in *time.Location) (DayKind, map[string]bool) {
	y, m, d := t.In(in).Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	kind, schools := Ordinary, map[string]bool{}
	for _, e := range c {
		from, to := e.From, e.To
		if e.Verb == closing {
			from, to = from.AddDate(0, 0, -around), to.AddDate(0, 0, around)
		}
		if day.Before(from) || day.After(to) {
			continue
		}
		switch e.Verb {
		case freeze:
			kind |= Frozen
		case addsOnly:
			kind |= AddsOnly
		case rollover:
			kind |= Rollover
		case closing:
			schools[e.School] = true
		}
	}
	return kind, schools
}
