package verify

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"
)

// speed is the times of a run's calls as a picture: everything at hundredths of
// the width of one logarithmic axis.
type speed struct {
	Calls, Bytes     int
	Median, P95, P99 time.Duration
	Fastest, Slowest time.Duration
	Ticks            []tick
	Bins             []bin
	Marks            []timeMark
	Operations       []operation // the slowest 15
	OperationsInAll  int
	Statuses         []statusCount
	lowest           float64
	width            float64 // of the axis, in decades
}

// A tick of the axis; its label may be empty.
type tick struct {
	At     float64
	Label  string
	Anchor string // of the label
}

// A bin counts calls between two times.
type bin struct {
	From, To         time.Duration
	N                int
	At, Width, Top   float64
	Height           float64
	FromText, ToText string
}

// A timeMark is a line through the histogram.
type timeMark struct {
	Name   string
	Took   time.Duration
	At     float64
	Row    int // of its label, from the top
	Anchor string
	Nudge  int // of the label, in pixels
}

// Y is where the line begins.
func (m timeMark) Y() int { return 6 + 20*m.Row }

// TextY is the base line of the label.
func (m timeMark) TextY() int { return m.Y() + 11 }

// An operation with its times.
type operation struct {
	RouteRow
	MedianAt, MaxAt, Width float64
}

type statusCount struct{ Status, N int }

const (
	binsPerDecade   = 10
	slowest         = 15
	histogramTop    = 66  // pixels above the bars, for the labels of the marks
	histogramHeight = 150 // pixels of the highest bar
)

// speed is nil where no call was answered.
func (r *Report) speed() *speed {
	if len(r.Calls) == 0 {
		return nil
	}
	s := &speed{Calls: len(r.Calls)}
	times := make([]time.Duration, 0, len(r.Calls))
	statuses := map[int]int{}
	for _, c := range r.Calls {
		times = append(times, c.Took)
		s.Bytes += c.Bytes
		statuses[c.Status]++
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	s.Fastest, s.Slowest = times[0], times[len(times)-1]
	s.Median, s.P95, s.P99 = percentile(times, 50), percentile(times, 95), percentile(times, 99)
	for status, n := range statuses {
		s.Statuses = append(s.Statuses, statusCount{status, n})
	}
	sort.Slice(s.Statuses, func(i, j int) bool { return s.Statuses[i].Status < s.Statuses[j].Status })
	s.axis()
	s.histogram(times)
	s.operations(r.Routes())
	return s
}

// percentile of sorted times, by nearest rank.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[max((len(sorted)*p+99)/100, 1)-1]
}

// decades is where a time is on a logarithmic axis of milliseconds. What is
// under ten microseconds is none.
func decades(d time.Duration) float64 {
	return math.Log10(max(float64(d.Microseconds()), 10) / 1000)
}

// at is a time's place on the axis, 0 to 100.
func (s *speed) at(d time.Duration) float64 {
	return round(100 * (decades(d) - s.lowest) / s.width)
}

func round(x float64) float64 { return math.Round(x*100) / 100 }

// steps of a decade at which an axis may begin, end and carry a label.
var steps = []float64{1, 2, 5}

// axis lays out the axis from a step below the fastest call to one above the
// slowest.
func (s *speed) axis() {
	var at []float64
	for exp := -2; exp <= 7; exp++ {
		for _, step := range steps {
			at = append(at, math.Log10(step)+float64(exp))
		}
	}
	first, last := 0, len(at)-1
	for i, x := range at {
		if x <= decades(s.Fastest)+1e-9 {
			first = i
		}
	}
	for i := len(at) - 1; i > first; i-- {
		if x := at[i]; x >= decades(s.Slowest)-1e-9 {
			last = i
		}
	}
	s.lowest, s.width = at[first], at[last]-at[first]
	for i, x := range at[first : last+1] {
		t := tick{At: round(100 * (x - s.lowest) / s.width), Anchor: "middle"}
		if (first+i)%len(steps) == 0 || s.width < 1.5 {
			t.Label = strings.Replace(span(time.Duration(math.Round(math.Pow(10,
				x)*1000))*time.Microsecond), ".0 ", " ", 1)
		}
		switch {
		case t.At < 4:
			t.Anchor = "start"
		case t.At > 96:
			t.Anchor = "end"
		}
		s.Ticks = append(s.Ticks, t)
	}
}

func (s *speed) histogram(sorted []time.Duration) {
	n := max(int(math.Round(s.width*binsPerDecade)), 1)
	edge := func(i int) time.Duration {
		return time.Duration(math.Pow(10, s.lowest+s.width*float64(i)/float64(n))*1000) * time.Microsecond
	}
	highest := 0
	for i := range n {
		s.Bins = append(s.Bins, bin{From: edge(i), To: edge(i + 1), FromText: span(edge(i)),
			ToText: span(edge(i + 1)),
			At:     round(100*float64(i)/float64(n) + 0.1), Width: round(100/float64(n) - 0.2)})
	}
	for _, d := range sorted {
		i := min(max(int((decades(d)-s.lowest)/s.width*float64(n)), 0), n-1)
		s.Bins[i].N++
		highest = max(highest, s.Bins[i].N)
	}
	for i := range s.Bins {
		b := &s.Bins[i]
		if b.N > 0 {
			b.Height = max(round(histogramHeight*float64(b.N)/float64(highest)), 2)
		}
		b.Top = histogramTop + histogramHeight - b.Height
	}
	for i, m := range []timeMark{{Name: "99 %", Took: s.P99}, {Name: "95 %", Took: s.P95},
		{Name: "median", Took: s.Median}} {
		m.At, m.Row, m.Anchor, m.Nudge = s.at(m.Took), i, "end", -6
		if m.At < 36 { // no room to its left on a telephone
			m.Anchor, m.Nudge = "start", 6
		}
		s.Marks = append(s.Marks, m)
	}
}

// operations keeps the slowest, by their slowest call.
func (s *speed) operations(rows []RouteRow) {
	for _, row := range rows {
		if row.Calls > 0 {
			o := operation{RouteRow: row, MedianAt: s.at(row.Median), MaxAt: s.at(row.Max)}
			o.Width = round(o.MaxAt - o.MedianAt)
			s.Operations = append(s.Operations, o)
		}
	}
	s.OperationsInAll = len(s.Operations)
	sort.SliceStable(s.Operations, func(i, j int) bool { return s.Operations[i].Max > s.Operations[j].Max })
	if len(s.Operations) > slowest {
		s.Operations = s.Operations[:slowest]
	}
}

// Says is the histogram in a sentence.
func (s *speed) Says() string {
	return fmt.Sprintf("%s between %s and %s: half of them within %s, 95 of 100 within %s, 99 of "+
		"100 within %s.",
		countOf(s.Calls, "call"), span(s.Fastest), span(s.Slowest), span(s.Median), span(s.P95), span(s.P99))
}

// Size is how much was read, in a unit that fits.
func (s *speed) Size() string {
	switch b := float64(s.Bytes); {
	case b < 1e4:
		return countOf(s.Bytes, "byte")
	case b < 1e6:
		return fmt.Sprintf("%.0f kB", b/1e3)
	default:
		return fmt.Sprintf("%.1f MB", b/1e6)
	}
}
