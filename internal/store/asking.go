package store

import (
	"context"
	"sync/atomic"
	"time"
)

// leaseTime is how long an answer to "what has changed last" is good for on PostgreSQL, where
// asking costs as much as all else of a small page. Who changes something waits that long after
// its commit before anybody is told that it is done: nobody can then answer by an earlier one.
// It needs no clocks that agree, just clocks that run alike for some milliseconds.
const leaseTime = 5 * time.Millisecond

// changes are the last ones: in the district, in the book of clients, and, where the dialect
// has them together, of walks.
type changes struct {
	rev, book, walk int64
	at              time.Time // Store.Time before they were asked
}

// A lease is an answer that is good for a while.
type lease struct {
	changes
	asked time.Time
}

// over is told by both clocks of a machine: the one that never jumps stands still while a
// virtual machine does.
func (l *lease) over(now time.Time) bool {
	byWall := now.Round(0).Sub(l.asked.Round(0))
	return now.Sub(l.asked) >= leaseTime || byWall < 0 || byWall >= leaseTime
}

// leases has the latest one of a process.
type leases struct{ latest atomic.Pointer[lease] }

func (ls *leases) now() *lease {
	if l := ls.latest.Load(); l != nil && !l.over(time.Now()) {
		return l
	}
	return nil
}

// take keeps what was answered, unless somebody asked later.
func (ls *leases) take(l *lease) {
	for {
		last := ls.latest.Load()
		if last != nil && !l.asked.After(last.asked) || ls.latest.CompareAndSwap(last, l) {
			return
		}
	}
}

// settle waits until no process answers by what it asked before a change that was committed at
// a time.
func (s *Store) settle(committed time.Time) {
	if s.leased {
		time.Sleep(leaseTime - time.Since(committed))
	}
}

type asking struct{}

// Asking lets what is asked under a context, which is that of one request, be of one moment:
// what the last changes are is asked once, or was asked a moment ago. The time is one that no
// change will be stamped before that an answer by them lacks.
func (s *Store) Asking(ctx context.Context) (context.Context, time.Time) {
	known := &changes{at: s.Time()}
	if s.leased {
		if l := s.leases.now(); l != nil {
			*known = l.changes
		}
	}
	return context.WithValue(ctx, asking{}, known), known.at
}

// TimeOf is the time of the moment that a context is of (Asking), and else Time.
func (s *Store) TimeOf(ctx context.Context) time.Time {
	if known, _ := ctx.Value(asking{}).(*changes); known != nil {
		return known.at
	}
	return s.Time()
}

// last asks what the last changes are.
func (s *Store) last(ctx context.Context) (now changes, err error) {
	known, _ := ctx.Value(asking{}).(*changes)
	if known != nil && known.book > 0 {
		return *known, nil
	}
	l := &lease{asked: time.Now()}
	l.at = s.Time()
	// Lists wait elsewhere.
	err = s.repeated(ctx, s.engine.book, s.lastly).row(ctx).Scan(&l.rev, &l.book, &l.walk)
	if err != nil {
		return now, err
	}
	if l.rev < 0 {
		s.left.Store(true)
		return now, s.same()
	}
	if now = l.changes; known != nil {
		now.at = known.at // it was told already
		*known = now
	}
	s.leases.take(l)
	return now, nil
}
