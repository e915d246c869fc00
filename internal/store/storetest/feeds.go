package storetest

import (
	"errors"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

var feeds = []promise{
	{"a turn is one process's, until it ends or its time is over", func(t *trial) {
		other := Open(t.T, t.dsn, store.Options{Now: func() time.Time { return t.now }})
		f := store.Feed{Kind: store.FeedSource, Name: "sis", Settings: `{"a":1}`, Secrets: "k.sealed",
			Due: oneroster.FormatTime(t.now)}
		t.must(t.s.AddFeed(ctx, f))
		if err := other.AddFeed(ctx, f); err == nil {
			t.Error("a name was taken twice")
		}
		if _, _, err := other.TakeTurn(ctx, store.FeedSource, "nobody", ""); !errors.Is(err,
			store.ErrNotFound) {
			t.Errorf("a feed that is not there: %v", err)
		}
		turn, _, err := t.s.TakeTurn(store.Acting(ctx, "ann"), store.FeedSource, "sis", "")
		t.must(err)
		t.equal("the feed", []string{turn.Settings, turn.Secrets, turn.Memory}, []string{`{"a":1}`, "k.sealed", ""})
		_, _, err = other.TakeTurn(ctx, store.FeedSource, "sis", "")
		t.equal("another turn", errors.Is(err, store.ErrTurn), true)
		turn.Memory = "1"
		t.must(turn.Remember(ctx))
		t.must(turn.End(ctx, store.Run{State: store.RunHeld, Text: "bell\a", Publication: 7},
			t.now.Add(time.Hour)))
		got, err := other.Feed(ctx, store.FeedSource, "sis")
		t.must(err)
		t.equal("when it is due", got.Due, oneroster.FormatTime(t.now.Add(time.Hour)))
		t.equal("what it knows", got.Memory+"|"+got.Until, "1|")
		runs, err := other.Runs(ctx, store.FeedSource, "sis", 0)
		t.must(err)
		now := oneroster.FormatTime(t.now)
		t.equal("runs", runs, []store.Run{{Kind: store.FeedSource, Feed: "sis", Turn: 1, Began: now,
			Ended: now,
			Who:   "ann", State: store.RunHeld, Text: "bell\uFFFD", Publication: 7}})
		t.equal("a turn that has ended", errors.Is(turn.Remember(ctx), store.ErrTurn), true)

		_, _, err = other.TakeTurn(ctx, store.FeedSource, "sis", oneroster.FormatTime(t.now))
		t.equal("a turn that was done meanwhile", errors.Is(err, store.ErrTurn), true)

		// The process of the next one is gone: after some minutes somebody else has it.
		lost, working, err := t.s.TakeTurn(ctx, store.FeedSource, "sis", "")
		t.must(err)
		t.tick(2*time.Minute - time.Second)
		_, _, err = other.TakeTurn(ctx, store.FeedSource, "sis", "")
		t.equal("too soon", errors.Is(err, store.ErrTurn), true)
		t.tick(2 * time.Second)
		next, _, err := other.TakeTurn(ctx, store.FeedSource, "sis", "")
		t.must(err)
		lost.Memory = "lost"
		t.equal("who has lost it remembers", errors.Is(lost.Remember(ctx), store.ErrTurn), true)
		t.equal("and ends it", errors.Is(lost.End(ctx, store.Run{State: store.RunDone}, t.now),
			store.ErrTurn), true)
		if working.Err() == nil {
			t.Error("its work goes on")
		}
		t.must(next.End(ctx, store.Run{State: store.RunDone}, time.Time{}))
		runs, err = t.s.Runs(ctx, store.FeedSource, "", 2)
		t.must(err)
		t.equal("runs", []store.RunState{runs[0].State, runs[1].State}, []store.RunState{store.RunDone,
			store.RunBroken})
		got, err = t.s.Feed(ctx, store.FeedSource, "sis")
		t.must(err)
		t.equal("never by itself", got.Due+"|"+got.Memory, "|1")
	}},
	{"a feed that is removed is gone with its runs, under any turn", func(t *trial) {
		t.must(t.s.AddFeed(ctx, store.Feed{Kind: store.FeedOutlet, Name: "sis", Settings: "{}"}))
		t.must(t.s.AddFeed(ctx, store.Feed{Kind: store.FeedSource, Name: "sis", Settings: "{}"}))
		turn, _, err := t.s.TakeTurn(ctx, store.FeedOutlet, "sis", "")
		t.must(err)
		t.must(t.s.RemoveFeed(ctx, store.FeedOutlet, "sis"))
		t.equal("again", errors.Is(t.s.RemoveFeed(ctx, store.FeedOutlet, "sis"), store.ErrNotFound), true)
		t.equal("its turn", errors.Is(turn.End(ctx, store.Run{State: store.RunDone}, t.now), store.ErrTurn),
			true)
		runs, err := t.s.Runs(ctx, store.FeedOutlet, "sis", 0)
		t.must(err)
		t.equal("runs", len(runs), 0)
		left, err := t.s.Feeds(ctx, "")
		t.must(err)
		t.equal("what is left", len(left) == 1 && left[0].Kind == store.FeedSource, true)
		for range 205 {
			turn, _, err := t.s.TakeTurn(ctx, store.FeedSource, "sis", "")
			t.must(err)
			t.must(turn.End(ctx, store.Run{State: store.RunNothing}, t.now))
			t.tick(time.Millisecond)
		}
		runs, err = t.s.Runs(ctx, store.FeedSource, "sis", 0)
		t.must(err)
		t.equal("runs that are remembered", len(runs), 200)
	}},
}
