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

// Light lets a collection be heavy that holds so many bytes of what was followed.
func (d *District) Light(bytes int) { d.loose = bytes }

// Hold lets nothing be made in the background until it is let go on.
func (d *District) Hold() (goOn func()) {
	d.builds.Lock()
	return d.builds.Unlock
}

// Loose is how many bytes the collections hold of what was followed.
func (d *District) Loose() (bytes int) {
	for _, h := range d.collections {
		if c := h.now.Load(); c != nil {
			bytes += c.loose
		}
	}
	return bytes
}

// Gathered is what a gather writes of texts and pieces in turn.
func Gathered(parts ...string) (out string) {
	g := gather{write: func(b []byte) error { out += string(b); return nil }}
	for i, part := range parts {
		if i%2 == 0 {
			g.text(part)
		} else if err := g.piece([]byte(part)); err != nil {
			return err.Error()
		}
	}
	_ = g.flush(0) // into memory
	return out
}

// GatherBytes is how much is gathered of small pieces.
const GatherBytes = gatherBytes
