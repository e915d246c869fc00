// Package feed does the standing errands of a district when they are due: what comes into it by
// itself, what goes out of it, who is told. Each is done in turns that the district's database gives
// to one process at a time; what a kind of feed does in its turn, the kind knows.
package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// A Kind knows what feeds of one kind do.
type Kind interface {
	// Next is when a feed is due after a time; the zero time is never by itself.
	Next(f store.Feed, after time.Time) time.Time
	// Wanted tells of a feed that is due whether there is something to do. It changes nothing, and
	// does not wait for others.
	Wanted(ctx context.Context, f store.Feed) (bool, error)
	// Do does what the feed is for. State, text and publication of what it returns are kept as its run;
	// with an error the run failed. What it leaves in the turn's Memory its next turn finds.
	Do(ctx context.Context, turn *store.Turn) (store.Run, error)
}

// Feeds are those of one district.
type Feeds struct {
	Store *store.Store
	Kinds map[store.FeedKind]Kind
	Log   *slog.Logger
	Now   func() time.Time // the wall clock; nil is time.Now
}

// Run does a turn of a feed at once, whether it is due or not. The error is that of the work, or
// store.ErrTurn while another process is at it.
func (f *Feeds) Run(ctx context.Context, kind store.FeedKind, name string) (run store.Run, err error) {
	return f.run(ctx, kind, name, "")
}

func (f *Feeds) run(ctx context.Context, kind store.FeedKind, name, due string) (run store.Run, err error) {
	// Whoever stops the service, or the command, says nothing of the other side.
	outer := ctx
	stopped := func() bool { return errors.Is(outer.Err(), context.Canceled) }
	turn, ctx, err := f.Store.TakeTurn(ctx, kind, name, due)
	if err != nil {
		return run, err
	}
	err = guarded(func() (err error) {
		run, err = f.Kinds[kind].Do(ctx, turn)
		return err
	})
	if gone := context.Cause(ctx); errors.Is(gone, store.ErrTurn) {
		err = gone
	}
	switch {
	case err != nil && run.State == "":
		run.State, run.Text = store.RunFailed, cmp.Or(run.Text, err.Error())
	case run.State == "":
		run.State = store.RunDone
	}
	if err != nil && stopped() {
		run.State, run.Text = store.RunBroken, "it was stopped, and begins anew"
		was, _ := time.Parse(oneroster.TimeLayout, turn.Due) // "" is never
		return run, errors.Join(err, turn.End(ctx, run, was))
	}
	now := f.now()
	turn.Due = oneroster.FormatTime(now)
	return run, errors.Join(err, turn.End(ctx, run, f.Kinds[kind].Next(turn.Feed, now)))
}

// guarded makes an error of a mistake of this program, which stops no other feed.
func guarded(do func() error) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("a mistake of this program: %v", broken)
		}
	}()
	return do()
}

func (f *Feeds) now() time.Time {
	if f.Now == nil {
		return time.Now()
	}
	return f.Now()
}

// Bounds of what one district has going on at a time, and how soon a feed that another process has
// added is found.
const (
	lookEvery = 5 * time.Second
	mostRuns  = 4 // of a kind
	// clocksDiffer is more than the clocks of two machines do.
	clocksDiffer = 5 * time.Minute
)

// Serve does what is due until the context ends, and waits for what it has begun.
func (f *Feeds) Serve(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	s := &serving{Feeds: f, busy: map[string]bool{}, many: map[store.FeedKind]int{},
		looked: map[string]time.Time{}}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		feeds, err := f.Store.Feeds(ctx, "")
		if err == nil {
			err = s.anew(ctx, feeds)
		}
		if err != nil && ctx.Err() == nil {
			f.Log.Warn("feeds", "problem", "they cannot be looked at", "error", err)
		}
		for _, one := range feeds {
			if s.begin(one) {
				running.Go(func() { s.do(ctx, one) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// serving is what this process does of the feeds.
type serving struct {
	*Feeds
	mu     sync.Mutex
	busy   map[string]bool
	many   map[store.FeedKind]int
	looked map[string]time.Time // when to look again at one that is due and had nothing to do
	clock  time.Time            // on the wall, at the last look
}

// anew says when feeds are due, at the first look and where the clock was put back: what a wrong clock had
// said may be years ahead.
func (s *serving) anew(ctx context.Context, feeds []store.Feed) error {
	now := s.now().Round(0) // what the wall shows is meant
	back := now.Before(s.clock) || s.clock.IsZero()
	if s.clock = now; !back {
		return nil
	}
	s.mu.Lock()
	clear(s.looked)
	s.mu.Unlock()
	for i := range feeds {
		f := &feeds[i]
		if f.Due == "" || s.Kinds[f.Kind] == nil {
			continue
		}
		// Nothing is due later than a turn that ends now would say.
		next := s.Kinds[f.Kind].Next(*f, now)
		if next.IsZero() || f.Due <= oneroster.FormatTime(next.Add(clocksDiffer)) {
			continue
		}
		if err := s.Store.Schedule(ctx, f.Kind, f.Name, next); err != nil {
			return err
		}
		s.Log.Warn("feed", "kind", f.Kind, "name", f.Name, "problem", "it was due at a time of a clock that was "+
			"wrong", "was", f.Due, "due", oneroster.FormatTime(next))
		f.Due = oneroster.FormatTime(next)
	}
	return nil
}

func keyOf(f store.Feed) string { return string(f.Kind) + " " + f.Name }

// begin tells whether a feed is due and free, and makes it busy.
func (s *serving) begin(f store.Feed) bool {
	now := s.now()
	if f.Due == "" || f.Due > oneroster.FormatTime(now) || f.Busy(now) || s.Kinds[f.Kind] == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[keyOf(f)] || s.many[f.Kind] >= mostRuns || now.Before(s.looked[keyOf(f)]) {
		return false
	}
	s.busy[keyOf(f)] = true
	s.many[f.Kind]++
	return true
}

func (s *serving) do(ctx context.Context, f store.Feed) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.busy, keyOf(f))
		s.many[f.Kind]--
	}()
	var wanted bool
	err := guarded(func() (err error) {
		wanted, err = s.Kinds[f.Kind].Wanted(ctx, f)
		return err
	})
	if err == nil && !wanted {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.looked[keyOf(f)] = s.Kinds[f.Kind].Next(f, s.now())
		return
	}
	var run store.Run
	if err == nil {
		run, err = s.run(ctx, f.Kind, f.Name, f.Due)
	}
	switch {
	case errors.Is(err, store.ErrTurn) || errors.Is(err, store.ErrNotFound) || ctx.Err() != nil:
	case err != nil:
		s.Log.Warn("feed", "kind", f.Kind, "name", f.Name, "state", run.State, "error", err)
	default:
		s.Log.Info("feed", "kind", f.Kind, "name", f.Name, "state", run.State, "text", run.Text)
	}
}
