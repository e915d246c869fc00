package main

import (
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/mattn/go-isatty"
)

// A meter shows how far long work has come, on a terminal only, and only once
// it has taken two seconds.
type meter struct {
	what    string
	total   int // rows; 0 is unknown
	began   time.Time
	writer  progress.Writer
	tracker *progress.Tracker
	ended   chan struct{}
}

func newMeter(what string) *meter { return &meter{what: what + " rows", began: time.Now()} }

// expect says how many rows there will be, once that is known.
func (m *meter) expect(total int) {
	m.total = total
	if m.writer != nil {
		m.tracker.UpdateTotal(int64(total))
	}
}

// rows is told how many rows are done.
func (m *meter) rows(n int) {
	if m.writer == nil {
		if time.Since(m.began) < 2*time.Second || !isatty.IsTerminal(os.Stderr.Fd()) {
			return
		}
		m.show()
	}
	m.tracker.SetValue(int64(n))
}

// of is told how many steps are done, of how many, and what is at work.
func (m *meter) of(done, all int, now string) {
	m.total = all
	m.what = now
	m.rows(done)
	if m.tracker != nil {
		m.tracker.UpdateTotal(int64(all))
		m.tracker.UpdateMessage(now)
	}
}

func (m *meter) show() {
	m.writer = progress.NewWriter()
	m.writer.SetOutputWriter(os.Stderr)
	m.writer.SetUpdateFrequency(200 * time.Millisecond)
	m.writer.Style().Visibility.ETA = true
	m.writer.Style().Visibility.Speed = true
	m.tracker = &progress.Tracker{Message: m.what, Total: int64(m.total)}
	m.writer.AppendTracker(m.tracker)
	m.ended = make(chan struct{})
	go func() {
		m.writer.Render()
		close(m.ended)
	}()
}

// done takes the bar away and waits until it is gone.
func (m *meter) done() {
	if m.writer == nil {
		return
	}
	m.tracker.MarkAsDone()
	m.writer.Stop()
	<-m.ended
}
