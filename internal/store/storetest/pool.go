package storetest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// A pool stands before the server, as PgBouncer does in session mode: a session that a
// program has ended in good order is made new and given to the one that connects next.
// A connection of its own costs the server more than most of what a test does with it.
type pool struct {
	server string // its socket
	lock   sync.Mutex
	idle   map[string][]*session // by what the client asked for as it connected
	notes  *sent                 // what the product sends
}

// A session is a connection to the server.
type session struct {
	conn     net.Conn
	greeting []byte        // what a client is told that comes
	used     int           // by how many clients
	notes    *sent         // nil: its client is a test, and not the product
	ready    chan struct{} // what the pool itself asked is answered
	ended    chan struct{} // by the server

	lock    sync.Mutex
	client  net.Conn // nil: there is none
	waiting int      // for the ends of so many answers
	asked   bool     // a message came in that no Sync has followed yet
	open    bool     // a transaction
}

// Idle sessions take part in every change of a schema, and a session remembers all
// tables that it has seen.
const (
	mostIdle = 8
	mostUses = 40
)

// The requests of PostgreSQL's protocol that stand in place of a protocol version.
const cancelRequest = 80877102

func (p *pool) serve(at net.Listener) {
	for {
		client, err := at.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			_ = p.client(client) // the client sees that it ended
		}()
	}
}

// client serves one client until it goes.
func (p *pool) client(conn net.Conn) error {
	from := bufio.NewReaderSize(conn, 32<<10)
	start, err := message(from, nil)
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint32(start[4:]) == cancelRequest {
		server, err := net.Dial("unix", p.server)
		if err != nil {
			return err
		}
		defer server.Close()
		if _, err = server.Write(start); err == nil {
			_, err = server.Read(start) // it closes when it has done so
		}
		return err
	}
	start, path := withoutPath(start)
	s, err := p.session(start, conn)
	if s == nil {
		return err // what the server says to that went to the client
	}
	if bytes.Contains(start, []byte("\x00application_name\x00rollbook\x00")) {
		s.notes = p.notes
	}
	good := s.begin(conn, path) && s.relay(from) && s.reset()
	if !good || !p.keep(start, s) {
		return s.conn.Close()
	}
	return nil
}

// withoutPath takes the search_path out of a start-up message: it is set in a session
// of any.
func withoutPath(start []byte) (rest []byte, path string) {
	rest = append(rest, start[:8]...)
	words := strings.Split(string(start[8:]), "\x00")
	for i := 0; i+1 < len(words) && words[i] != ""; i += 2 {
		if words[i] == "search_path" {
			path = words[i+1]
			continue
		}
		rest = append(rest, words[i]+"\x00"+words[i+1]+"\x00"...)
	}
	rest = append(rest, 0)
	binary.BigEndian.PutUint32(rest, uint32(len(rest)))
	return rest, path
}

// session is one that is idle, or a new one. What the server says to one that it does
// not take goes to the client.
func (p *pool) session(start []byte, client net.Conn) (*session, error) {
	if s := p.kept(start); s != nil {
		return s, nil
	}
	server, err := net.Dial("unix", p.server)
	if err != nil {
		return nil, err
	}
	if _, err := server.Write(start); err != nil {
		return nil, err
	}
	s := &session{conn: server, ready: make(chan struct{}, 1), ended: make(chan struct{})}
	from := bufio.NewReaderSize(server, 32<<10)
	for {
		kind, err := from.ReadByte()
		if err != nil {
			return nil, err
		}
		text, err := message(from, []byte{kind})
		if err != nil {
			return nil, err
		}
		s.greeting = append(s.greeting, text...)
		switch kind {
		case 'E':
			_, err := client.Write(s.greeting)
			return nil, errors.Join(err, server.Close())
		case 'Z':
			go s.answers(from)
			return s, nil
		}
	}
}

// kept is a session that is idle; nil when there is none.
func (p *pool) kept(start []byte) *session {
	p.lock.Lock()
	defer p.lock.Unlock()
	for idle := p.idle[string(start)]; len(idle) > 0; idle = p.idle[string(start)] {
		s := idle[len(idle)-1]
		p.idle[string(start)] = idle[:len(idle)-1]
		select {
		case <-s.ended:
		default:
			return s
		}
	}
	return nil
}

// message reads what a length begins, itself included, and puts it behind its kind.
func message(from *bufio.Reader, kind []byte) ([]byte, error) {
	head, err := from.Peek(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n < 4 || n > 1<<30 {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	out := append(make([]byte, 0, int(n)+len(kind)), kind...)
	out = out[:int(n)+len(kind)]
	_, err = io.ReadFull(from, out[len(kind):])
	return out, err
}

// begin makes a session the client's.
func (s *session) begin(client net.Conn, path string) bool {
	if path != "" && !s.do("SELECT set_config('search_path', '"+strings.ReplaceAll(path, "'",
		"''")+"', false)") {
		return false
	}
	s.lock.Lock()
	s.client, s.used = client, s.used+1
	s.lock.Unlock()
	_, err := client.Write(s.greeting)
	return err == nil
}

// do has the server do something for the pool.
func (s *session) do(text string) bool {
	q := append([]byte("Q\x00\x00\x00\x00"+text), 0)
	binary.BigEndian.PutUint32(q[1:], uint32(len(q)-1))
	if _, err := s.conn.Write(q); err != nil {
		return false
	}
	select {
	case <-s.ready:
		return true
	case <-s.ended:
		return false
	}
}

// relay sends on what the client says, until it ends: true where it does so in good
// order, outside a transaction, when all that it asked is answered.
func (s *session) relay(from *bufio.Reader) bool {
	var out bytes.Buffer
	prepared := map[string]string{}
	for {
		kind, err := from.ReadByte()
		if err != nil {
			return false
		}
		text, err := message(from, []byte{kind})
		if err != nil {
			return false
		}
		if s.notes != nil && (kind == 'P' || kind == 'B' || kind == 'Q') {
			words := strings.SplitN(string(text[5:]), "\x00", 3) // behind kind and length
			switch kind {
			case 'P': // the name of a statement, and its text
				prepared[words[0]] = words[1]
			case 'B': // a portal, and the name of its statement
				s.notes.note(prepared[words[1]])
			case 'Q':
				s.notes.note(words[0])
			}
		}
		s.lock.Lock()
		switch kind {
		case 'X':
			good := s.waiting == 0 && !s.asked && !s.open
			s.client = nil
			s.lock.Unlock()
			return good
		case 'Q', 'S', 'F': // query, sync, function call: a ReadyForQuery comes of each
			s.waiting++
			s.asked = false
		default:
			s.asked = true
		}
		s.lock.Unlock()
		out.Write(text)
		if from.Buffered() > 0 {
			continue
		}
		if _, err := out.WriteTo(s.conn); err != nil {
			return false
		}
	}
}

// answers sends on what the server says, until it ends.
func (s *session) answers(from *bufio.Reader) {
	defer close(s.ended)
	var out bytes.Buffer
	for {
		kind, err := from.ReadByte()
		var text []byte
		if err == nil {
			text, err = message(from, []byte{kind})
		}
		s.lock.Lock()
		client := s.client
		if kind == 'Z' && err == nil && client != nil {
			s.waiting--
			s.open = text[5] != 'I'
		}
		s.lock.Unlock()
		if client != nil {
			out.Write(text)
			if err != nil || from.Buffered() == 0 {
				_, _ = out.WriteTo(client) // one that has gone is told by relay
			}
		} else if kind == 'Z' && err == nil {
			s.ready <- struct{}{}
		}
		if err != nil {
			if client != nil {
				_ = client.Close()
			}
			return
		}
	}
}

// reset makes the session like a new one.
func (s *session) reset() bool { return s.do("DISCARD ALL") }

// keep keeps a session for the next client, unless there are enough.
func (p *pool) keep(start []byte, s *session) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	if s.used >= mostUses || len(p.idle[string(start)]) >= mostIdle {
		return false
	}
	p.idle[string(start)] = append(p.idle[string(start)], s)
	return true
}
