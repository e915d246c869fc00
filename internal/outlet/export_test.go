package outlet

import "time"

// SetFirstWait makes calls that fail be made again sooner.
func SetFirstWait(d time.Duration) { firstWait = d }
