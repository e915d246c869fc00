package rest

import (
	"net/http"
	"sync/atomic"
	"time"
)

// progressTime is how long a reader may take for one part.
const progressTime = 30 * time.Second

// A Sending watches the answers that are on their way, for who ends a service: an
// answer that goes on is waited for, one whose reader does not read is not.
type Sending struct {
	last   atomic.Int64
	ending atomic.Bool
}

// End lets a load balancer know that the service ends soon: /readyz says so, and no
// connection is kept after its answer. Whoever asks is still answered.
func (s *Sending) End() { s.ending.Store(true) }

func (s *Sending) ends() bool { return s != nil && s.ending.Load() }

// Moved is when a part of any answer was last taken by its reader.
func (s *Sending) Moved() time.Time { return time.Unix(0, s.last.Load()) }

func (s *Sending) moved() {
	if s != nil {
		s.last.Store(time.Now().UnixNano())
	}
}

// send writes a part of an answer; the reader has some time to take it.
func (s *service) send(q *request, part []byte) error {
	if q.Method == http.MethodHead {
		return nil
	}
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Now().Add(progressTime)) // not of every writer
	_, err := q.w.Write(part)
	q.bytes += int64(len(part))
	s.Sending.moved()
	return err
}
