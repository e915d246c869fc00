package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/mattn/go-isatty"
)

// A meter shows how far long work has come, how fast it goes and what is left,
// on a terminal only, and only once it has taken two seconds.
type meter struct {
	what    string
	began   time.Time
	writer  progress.Writer
	tracker *progress.Tracker
	ended   chan struct{} // nil as long as nothing is shown
}

// newMeter begins to measure work on rows: reading, checking, ….
func newMeter(what string) *meter {
	m := &meter{what: what, began: time.Now(), writer: progress.NewWriter(),
		tracker: &progress.Tracker{Message: what + " rows"}}
	m.writer.SetOutputWriter(os.Stderr)
	m.writer.SetUpdateFrequency(200 * time.Millisecond)
	m.writer.Style().Visibility.ETA = true
	m.writer.Style().Visibility.Speed = true
	m.writer.AppendTracker(m.tracker) // its clock starts
	return m
}

// expect says how many rows there will be, once that is known.
func (m *meter) expect(total int) { m.tracker.UpdateTotal(int64(total)) }

// rows is told how many rows are done.
func (m *meter) rows(n int) {
	if m.ended == nil {
		if time.Since(m.began) < 2*time.Second || !isatty.IsTerminal(os.Stderr.Fd()) {
			return
		}
		m.show()
	}
	m.tracker.SetValue(int64(n))
}

// phase is told of work in several parts: which it is at, and how many rows of
// how many that are known of by now are done.
func (m *meter) phase(what string, n, total int) {
	if what != m.what {
		m.done()
		*m = *newMeter(what)
	}
	m.expect(total)
	m.rows(n)
}

// step is told of work in steps that are no rows: how many of how many are done,
// and what is at work.
func (m *meter) step(done, all int, now string) {
	m.tracker.UpdateMessage(now)
	m.expect(all)
	m.rows(done)
}

// line writes a line for people to w. Where the bar is on the same terminal it
// goes above it, else the next look of the bar would wipe it away.
func (m *meter) line(w io.Writer, text string) {
	if f, ok := w.(*os.File); m.ended != nil && ok && isatty.IsTerminal(f.Fd()) {
		m.writer.Log("%s", text)
		return
	}
	fmt.Fprintln(w, text)
}

func (m *meter) show() {
	m.ended = make(chan struct{})
	go func() {
		m.writer.Render()
		close(m.ended)
	}()
}

// done takes the bar away and waits until it is gone.
func (m *meter) done() {
	if m.ended == nil {
		return
	}
	m.tracker.MarkAsDone()
	m.writer.Stop()
	<-m.ended
	m.ended = nil
}
