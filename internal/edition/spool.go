package edition

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"rollbook/internal/oneroster"
)

const (
	// spoolMemory is what all answers from the database may hold in memory together on
	// their way, where Options.Memory does not tell.
	spoolMemory = 64 << 20
	// spoolPart is how much of an answer is sent, and held, at a time.
	spoolPart = 64 << 10
)

// spool reads a page from the database, whole, and then lets it be sent.
func (d *District) spool(ctx context.Context, ask *Ask) (*Page, error) {
	give, ok := d.turns.take(ask.Client, ctx.Done())
	if !ok {
		return nil, ctx.Err()
	}
	defer give()
	s := &spool{memory: &d.spooled}
	out := oneroster.NewWriter(ask.Route.Resource, ask.Base, ask.Query.Fields)
	p := &Page{close: s.close}
	var buf []byte
	head := func(total int, edition int64) error {
		p.Total, p.Edition = total, edition
		buf = append(buf, `{"`+ask.Route.Resource.Plural+`":[`...)
		return nil
	}
	err := d.store.List(ctx, ask.Selection, head, func(values []string) error {
		if p.Rows > 0 {
			buf = append(buf, ',')
		}
		p.Rows++
		if ask.Veiled {
			oneroster.Veil(ask.Route.Resource, values)
		}
		buf = out.Append(buf, values)
		if len(buf) < spoolPart {
			return nil
		}
		err := s.add(buf)
		buf = buf[:0]
		return err
	})
	if err != nil {
		s.close()
		return nil, err
	}
	p.Send = func(end string, write func([]byte) error) error {
		if err := s.sendTo(write); err != nil {
			return err
		}
		return write(append(buf, end...))
	}
	return p, nil
}

// A spool holds an answer between the database and the reader: it is filled as fast
// as the database goes, and sent as fast as the reader reads, so that no reader
// holds a snapshot open.
type spool struct {
	memory *budget
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
