package source

import "time"

// SetBetweenLooks makes looks come sooner.
func SetBetweenLooks(d time.Duration) { betweenLooks = d }
