package edition

import "time"

// Wait waits for what is made in the background.
func (d *District) Wait() { d.work.Wait() }

// Later lets every collection be made in the background.
func (d *District) Later() { d.soon = 0 }

// SetClock sets the clock of walks and of what is idle.
func (d *District) SetClock(now func() time.Time) { d.walks.now = now }

// Questions is how many are remembered.
func (d *District) Questions() int { return len(d.questions.all) }
