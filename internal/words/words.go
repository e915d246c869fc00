// Package words writes numbers, times, spans of time and cells as people read them.
package words

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Thousands is a number with a comma between thousands.
func Thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// When is a time in the time zone of the machine: 2026-11-24 02:10.
func When(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// Lasting is how long something takes: 12 hours.
func Lasting(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return Count(int(d.Seconds()+0.5), "second")
	case d < 90*time.Minute:
		return Count(int(d.Minutes()+0.5), "minute")
	case d < 48*time.Hour:
		return Count(int(d.Hours()+0.5), "hour")
	}
	return Count(int(d.Hours()/24+0.5), "day")
}

// Count is a number of things, by the name of one: 1 class, 5 classes.
func Count(n int, of string) string {
	switch {
	case n == 1:
		return "1 " + of
	case of[len(of)-1] == 's':
		return fmt.Sprintf("%s %ses", Thousands(n), of)
	}
	return fmt.Sprintf("%s %ss", Thousands(n), of)
}

// Cell is a text that a spreadsheet does not take for a formula: one that it would begins
// with an apostrophe.
func Cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
