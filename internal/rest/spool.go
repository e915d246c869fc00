package rest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// spoolMemory is what all answers on their way may hold in memory together, where
	// Config.Memory does not tell.
	spoolMemory = 64 << 20
	// spoolPart is how much of an answer is sent, and held, at a time.
	spoolPart = 64 << 10
	// progressTime is how long a reader may take for one part.
	progressTime = 30 * time.Second
)

// A memory is what the answers of a service hold together.
type memory struct {
	held atomic.Int64
	most int64
}

// take tells whether there is room for so many bytes more; give gives them back.
func (m *memory) take(bytes int) bool {
	if m.held.Add(int64(bytes)) <= m.most {
		return true
	}
	m.give(bytes)
	return false
}

func (m *memory) give(bytes int) { m.held.Add(-int64(bytes)) }

// A spool holds an answer between the database and the reader: it is filled as fast
// as the database goes, and sent as fast as the reader reads, so that no reader
// holds a snapshot open.
type spool struct {
	memory *memory
	parts  [][]byte // in memory, at first
	file   *os.File // the rest; unlinked where the system can
	name   string
}

func (s *spool) add(text []byte) error {
	if s.file == nil {
		if s.memory.take(len(text)) {
			s.parts = append(s.parts, append([]byte(nil), text...))
			return nil
		}
		f, err := os.CreateTemp("", "rollbook-answer-*")
		if err != nil {
			return fmt.Errorf("an answer cannot be put aside: %w", err)
		}
		s.file, s.name = f, f.Name()
		_ = os.Remove(s.name) // Windows keeps it until close
	}
	if _, err := s.file.Write(text); err != nil {
		return fmt.Errorf("an answer cannot be put aside: %w", err)
	}
	return nil
}

// sendTo writes the answer part by part.
func (s *spool) sendTo(send func([]byte) error) error {
	for _, p := range s.parts {
		if err := send(p); err != nil {
			return err
		}
	}
	if s.file == nil {
		return nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	buf := make([]byte, spoolPart)
	for {
		n, err := s.file.Read(buf)
		if err == io.EOF { // a file has nothing beside it
			return nil
		}
		if err == nil {
			err = send(buf[:n])
		}
		if err != nil {
			return err
		}
	}
}

func (s *spool) close() {
	for _, p := range s.parts {
		s.memory.give(len(p))
	}
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.name)
	}
	*s = spool{}
}

// A Sending watches the answers that are on their way, for who ends a service: an
// answer that goes on is waited for, one whose reader does not read is not.
type Sending struct{ last atomic.Int64 }

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

// turns lets each client read so many lists from the database at a time: none takes
// every place.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{}
}

const turnsOfClient = 4

// take waits for a turn of the client until ended; give gives it back.
func (t *turns) take(client string, ended <-chan struct{}) (give func(), ok bool) {
	t.mu.Lock()
	if t.taken == nil {
		t.taken = map[string]chan struct{}{}
	}
	c := t.taken[client]
	if c == nil {
		c = make(chan struct{}, turnsOfClient)
		t.taken[client] = c
	}
	t.mu.Unlock()
	select {
	case c <- struct{}{}:
		return func() { <-c }, true
	case <-ended:
		return nil, false
	}
}
