package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"rollbook/internal/oneroster"
)

// A queue gathers the writes that come while others are waiting for the disk: who comes
// first when that is over makes them all in one change.
type queue struct {
	turn    chan struct{} // has an item while a change is made
	mu      sync.Mutex
	waiting []*put
}

// mostTogether is how many are made in one change, which holds up other processes, and
// longestTogether how long it may take: a writer of SQLite waits 90 seconds for another
// process's import.
const (
	mostTogether    = 64
	longestTogether = 2 * time.Minute
)

// together does a put, alone or with others that wait. It returns when ctx ends, though
// the put may be done then; what has ended before its turn is not begun.
func (s *Store) together(ctx context.Context, p *put) error {
	p.done = make(chan struct{})
	s.queue.mu.Lock()
	s.queue.waiting = append(s.queue.waiting, p)
	s.queue.mu.Unlock()
	for ctx.Err() == nil {
		select {
		case <-p.done:
			if p.changed && p.err == nil {
				s.settle(p.at)
			}
			return p.err
		case <-ctx.Done():
		case s.queue.turn <- struct{}{}:
			s.putNext(ctx)
		}
	}
	s.queue.leave(p)
	return ctx.Err()
}

// putNext does what waits, in its turn.
func (s *Store) putNext(ctx context.Context) {
	defer func() { <-s.queue.turn }()
	if puts := s.queue.next(); len(puts) > 0 {
		s.putAll(ctx, puts)
	}
}

func (q *queue) leave(p *put) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(other *put) bool { return other == p })
}

// next takes what is to be made together: objects of one resource, none of them twice, that
// one client writes, since the journal tells of a change who made it.
func (q *queue) next() (puts []*put) {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := map[string]bool{}
	var later []*put
	for _, p := range q.waiting {
		id, first := p.values[oneroster.SourcedID], q.waiting[0]
		if len(puts) < mostTogether && p.cause == first.cause && p.table == first.table && !taken[id] {
			puts = append(puts, p)
		} else {
			later = append(later, p)
		}
		taken[id] = true // those of one object stay in their order
	}
	q.waiting = later
	return puts
}

// putAll does puts of one client and one resource in one change: what becomes visible at
// once has one rev and one stamp, and a thousand of them in a second do not lead the
// clock, which counts milliseconds, away from the time. Who leaves meanwhile leaves the
// others alone. What the database does not take together is done one by one: the one that
// it is about fails alone.
func (s *Store) putAll(ctx context.Context, puts []*put) {
	ctx, stop := context.WithTimeout(By(context.WithoutCancel(ctx), puts[0].cause), longestTogether)
	defer stop()
	stamp, err := s.change(ctx, func(c *change) error {
		if err := c.put(ctx, puts[0].table, puts); err != nil {
			return err
		}
		if len(c.touched) == 0 {
			return errUnchanged
		}
		return nil
	})
	if err != nil && len(puts) > 1 && ctx.Err() == nil {
		for i := range puts {
			s.putAll(ctx, puts[i:i+1])
		}
		return
	}
	at := time.Now()
	for _, p := range puts {
		p.at = at
		if err != nil {
			p.err = err
		}
		if p.err == nil && p.changed {
			p.stored[oneroster.Modified] = stamp
		}
		close(p.done)
	}
}
