package edition

import (
	"bytes"
	"os"
	"sync"
)

const (
	// shelfBytes bounds the compressed blocks that are kept; others are compressed again each time.
	shelfBytes = 96 << 20
	// spanBytes is what a reading takes of it at a time.
	spanBytes = 64 << 10
)

// A shelf has compressed blocks: in a file that nobody else sees and that is mapped, so that they are
// the system's to keep in memory, and nothing that is to be collected; where a file cannot be mapped
// or written they are in memory after all.
type shelf struct {
	once sync.Once
	mu   sync.Mutex
	free []int // numbers of spans
	file *os.File
	text *segment // nil where it is not mapped
}

// A place on a shelf is what one reading has of it.
type place struct {
	*shelf
	mu    sync.Mutex
	spans []int
	used  int // of the last one
}

func (s *shelf) open() {
	for n := shelfBytes/spanBytes - 1; n >= 0; n-- {
		s.free = append(s.free, n)
	}
	file, err := os.CreateTemp("", "rollbook-blocks-*")
	if err != nil {
		return
	}
	_ = os.Remove(file.Name()) // a process that is killed leaves nothing
	s.file = file
	if err = file.Truncate(shelfBytes); err == nil {
		s.text, err = mapped(file, shelfBytes)
	}
	if err != nil {
		_ = file.Close()
		_ = os.Remove(file.Name()) // Windows keeps it until close
	}
}

// span is a number of one that is free; -1 where none is.
func (s *shelf) span() int {
	s.once.Do(s.open)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		return -1
	}
	n := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return n
}

// put keeps a text, and returns it as it is kept; nil where there is no room.
func (p *place) put(text []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(text) > spanBytes {
		return nil
	}
	if len(p.spans) == 0 || p.used+len(text) > spanBytes {
		n := p.span()
		if n < 0 {
			return nil
		}
		p.spans, p.used = append(p.spans, n), 0
	}
	at := p.spans[len(p.spans)-1]*spanBytes + p.used
	p.used += len(text)
	if p.text == nil {
		return bytes.Clone(text)
	}
	if _, err := p.file.WriteAt(text, int64(at)); err != nil { // through the mapping, a full disk is a crash
		return bytes.Clone(text)
	}
	return p.text.text[at : at+len(text) : at+len(text)]
}

// leave gives back what a reading had that nobody reads any more.
func (p *place) leave() {
	p.shelf.mu.Lock()
	defer p.shelf.mu.Unlock()
	p.free = append(p.free, p.spans...)
}
