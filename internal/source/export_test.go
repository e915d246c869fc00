package source

import "time"

// SetBetweenLooks makes looks come sooner.
func SetBetweenLooks(d time.Duration) { betweenLooks = d }

// SetSilence makes a server that is silent be given up sooner.
func SetSilence(d time.Duration) { sftpSilence = d }
