package oneroster

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Record is one object. Values stand in the order of Resource.Fields, each as
// canonical text: "" is absent, dates and times have a fixed width so that
// bytes sort as time does, the items of a list are joined by ListSep, the
// members of a userId by PartSep (type, identifier), metadata is one compact
// JSON object with sorted keys.
type Record struct {
	Resource *Resource
	Values   []string
}

const (
	ListSep = "\x1f" // between the items of a list
	PartSep = "\x1e" // between type and identifier of a userId

	DateLayout = "2006-01-02"
	TimeLayout = "2006-01-02T15:04:05.000Z"

	// MaxID is the longest sourcedId in characters (OneRoster CSV binding: fewer than 256).
	MaxID = 255
)

// NewRecord makes an empty record.
func NewRecord(r *Resource) Record {
	return Record{Resource: r, Values: make([]string, len(r.Fields))}
}

// Get returns the canonical text of the named field; "" when absent.
func (r Record) Get(name string) string {
	if i := r.Resource.Index(name); i >= 0 {
		return r.Values[i]
	}
	return ""
}

// Set puts a canonical text into the named field. An unknown name is a mistake
// of ours and panics.
func (r Record) Set(name, value string) {
	i := r.Resource.Index(name)
	if i < 0 {
		panic("oneroster: " + r.Resource.Name + " has no field " + name)
	}
	r.Values[i] = value
}

// ID is the record's sourcedId.
func (r Record) ID() string { return r.Values[SourcedID] }

// Items splits the canonical text of a list; nil when absent.
func Items(value string) []string {
	if value == "" {
		return nil
	}
	return strings.Split(value, ListSep)
}

// Spelled is a value as a person reads it: "a, b" of a list, "type:identifier" of a
// userId.
func Spelled(value string) string {
	return strings.ReplaceAll(strings.Join(Items(value), ", "), PartSep, ":")
}

// Join makes the canonical text of a list, leaving out empty items.
func Join(items ...string) string {
	kept := make([]string, 0, len(items))
	for _, it := range items {
		if it != "" {
			kept = append(kept, it)
		}
	}
	return strings.Join(kept, ListSep)
}

// Parse turns the text of one scalar, or of one item of a list, into its
// canonical form. It forgives what files and clients get wrong without
// ambiguity: letter case of enumerations and booleans, time zones and missing
// or surplus fractions, a dateTime where a date is wanted. An enumeration value
// that is not in the list, and any text that cannot be read, is an error whose
// text can stand after "column role: ".
func (f *Field) Parse(text string) (string, error) {
	if text = OneLine(text); text == "" {
		return "", nil
	}
	if !ordinary(text) && (!utf8.ValidString(text) || strings.IndexFunc(text, isControl) >= 0) {
		return "", fmt.Errorf("%s holds control characters or is not UTF-8", quoted(text))
	}
	switch f.Kind {
	case Bool:
		switch low := strings.ToLower(text); low {
		case "true", "false":
			return low, nil
		}
		return "", fmt.Errorf("%s is not true or false", quoted(text))
	case Number:
		text = strings.TrimSpace(text)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !decimal.MatchString(text) {
			return "", fmt.Errorf("%s is not a number", quoted(text))
		}
		return FormatNumber(n), nil
	case Date:
		if plainDay(text) {
			return text, nil
		}
		t, err := ParseDate(text)
		if err != nil {
			return "", err
		}
		return t.Format(DateLayout), nil
	case Time:
		t, _, err := ParseInstant(text)
		if err != nil {
			return "", err
		}
		return FormatTime(t), nil
	case Metadata:
		return "", errors.New("metadata is an object, not a text")
	}
	if len(f.Enum) > 0 {
		for _, e := range f.Enum {
			if strings.EqualFold(e, text) {
				return e, nil
			}
		}
		return "", fmt.Errorf("%s is not one of %s", quoted(text), strings.Join(f.Enum, ", "))
	}
	if f.Kind == Ref || f.Kind == Refs || f.Name == "sourcedId" {
		return text, CheckID(text)
	}
	return text, nil
}

// decimal is how a number is written; Go's own reader would also take 1_000,
// 0x1p4 and NaN.
var decimal = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// OneLine makes one space of each tab and line end in a text: a value is one
// line in a file and over the wire alike (OneRoster CSV §2: no carriage return
// inside a field), so that an export that is read again changes nothing. Any
// other control character is refused.
func OneLine(text string) string {
	if ordinary(text) || !strings.ContainsAny(text, "\t\r\n") {
		return text
	}
	return lineEnds.Replace(text)
}

// ordinary tells a text of ASCII without control characters, as most are, at a glance.
func ordinary(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

var lineEnds = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\t", " ")

// CheckID tells why a text cannot be a sourcedId; nil when it can.
func CheckID(id string) error {
	switch {
	case id == "":
		return errors.New("a sourcedId is missing")
	case utf8.RuneCountInString(id) > MaxID:
		return fmt.Errorf("%s… is longer than %d characters", quoted(string([]rune(id)[:20])), MaxID)
	case !ordinary(id) && (!utf8.ValidString(id) || strings.IndexFunc(id, isControl) >= 0):
		return fmt.Errorf("%s holds control characters or is not UTF-8", quoted(id))
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

func quoted(text string) string {
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:80], "") + "…"
	}
	return strconv.Quote(text)
}

// FormatNumber writes a float as the shortest JSON number that reads back equal.
func FormatNumber(n float64) string {
	if n == 0 {
		return "0" // never "-0"
	}
	format := byte('f')
	if a := math.Abs(n); a < 1e-6 || a >= 1e21 {
		format = 'e'
	}
	return strconv.FormatFloat(n, format, -1, 64)
}

// FormatTime writes an instant in UTC with exactly three fraction digits, which
// is the only form that School Data Sync's strict check takes.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeLayout) }

var instantLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999Z07",
	"2006-01-02 15:04",
	"2006-01-02Z07:00",
}

// ParseInstant reads an ISO 8601 date or dateTime; a missing zone is UTC, and
// so is midnight of a bare date. dateOnly tells which of the two it was.
func ParseInstant(text string) (t time.Time, dateOnly bool, err error) {
	t, dateOnly, err = asWritten(text)
	if err == nil {
		t = t.UTC()
		err = inRange(t, text)
	}
	return t, dateOnly, err
}

// ParseDate reads the same texts where a date belongs: the day, and the time of
// day, as they are written, whatever the zone behind them. Midnight of 15 August
// in Paris is 15 August.
func ParseDate(text string) (time.Time, error) {
	t, _, err := asWritten(text)
	if err != nil {
		return t, err
	}
	t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	return t, inRange(t, text)
}

// plainDay tells at a glance what ParseDate makes nothing else of: most dates of our time.
func plainDay(text string) bool {
	if len(text) != len(DateLayout) || text[4] != '-' || text[7] != '-' {
		return false
	}
	digits := text[:4] + text[5:7] + text[8:]
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	month, day := digits[4:6], digits[6:]
	return digits >= "1" && "01" <= month && month <= "12" && "01" <= day && day <= "28"
}

// asWritten reads a date or dateTime in its own zone.
func asWritten(text string) (t time.Time, dateOnly bool, err error) {
	given := text
	text = strings.ToUpper(strings.TrimSpace(text)) // t and z
	if len(text) == len(DateLayout) {
		if t, err = time.Parse(DateLayout, text); err == nil {
			return t, true, nil
		}
	}
	for _, layout := range instantLayouts {
		if t, err = time.Parse(layout, text); err == nil {
			return t, false, nil
		}
	}
	const forms = "a date (YYYY-MM-DD) or dateTime (2026-09-01T08:00:00.000Z)"
	return time.Time{}, false, fmt.Errorf("%s is not %s", quoted(given), forms)
}

// inRange keeps years to four digits, which the fixed width relies on.
func inRange(t time.Time, text string) error {
	if y := t.Year(); y < 1 || y > 9999 {
		return fmt.Errorf("%s is outside the years 0001 to 9999", quoted(text))
	}
	return nil
}

// A Problem is one thing wrong with a record: which field, and what.
type Problem struct {
	Field string
	Text  string // what is wrong and what to do, without the field's name
}

// Check tells what keeps a record from being served: required fields that are
// absent or blank. Values are canonical already (Parse). A school year is four
// digits. A grade is a number: a result that has none is not graded.
func Check(r Record) []Problem {
	var out []Problem
	for i := range r.Resource.Fields {
		f := &r.Resource.Fields[i]
		switch v := r.Values[i]; {
		case f.Required && blank(v):
			out = append(out, Problem{f.Name, "is required and empty: fill it in"})
		case f.Name == "scoreStatus" && v != "" && r.Get("score") == "" && strings.HasSuffix(v, "graded"):
			text := quoted(v) + " goes with a score: add it, or write exempt, submitted or not submitted"
			out = append(out, Problem{f.Name, text})
		case f.Name == "schoolYear" && f.Kind == String && !fourDigits(v):
			out = append(out, Problem{f.Name,
				quoted(v) + " is not a year of four digits: write the year in which the school year ends"})
		}
	}
	return out
}

// blank tells a text in which there is nothing to see: spaces, and signs without
// width.
func blank(text string) bool {
	return strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
	}) == ""
}

func fourDigits(s string) bool {
	if len(s) != 4 {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Complete fills in what the standard leaves optional in a file and readers
// refuse to live without: identifier of orgs and users, courseCode of courses
// are the sourcedId where a source gives none; the score of a result that has
// none is 0, and its scoreStatus tells that it is no grade.
func Complete(r Record) {
	fill := func(name, value string) {
		if r.Resource.Field(name) != nil && r.Get(name) == "" {
			r.Set(name, value)
		}
	}
	fill("score", "0")
	fill("identifier", r.ID())
	fill("courseCode", r.ID())
}
