package edition

import "time"

// Wait waits for what is made in the background.
func (d *District) Wait() { d.work.Wait() }

// SetClock sets the clock of walks.
func (d *District) SetClock(now func() time.Time) { d.walks.now = now }
