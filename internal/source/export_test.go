package source

import "time"

// SetBetweenLooks makes looks come sooner.
func SetBetweenLooks(d time.Duration) { betweenLooks = d }

// SetSilence makes a server that is silent be given up sooner.
func SetSilence(d time.Duration) { sftpSilence = d }

// SetHTTPSTime makes a server that stalls be given up sooner.
func SetHTTPSTime(d time.Duration) { httpsTime = d }

// SetFetchTime bounds fetches, until what it returns is called.
func SetFetchTime(d time.Duration) (back func()) {
	was := fetchTime
	fetchTime = d
	return func() { fetchTime = was }
}

// SetMostBytes bounds what is fetched.
func SetMostBytes(n int64) { mostBytes = n }
