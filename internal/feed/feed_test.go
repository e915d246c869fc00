package feed_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/feed"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// work is a kind whose feeds do what their names say.
type work struct {
	done, hung, looked atomic.Int32
	told               chan string
}

func (w *work) Next(_ store.Feed, after time.Time) time.Time { return after.Add(time.Hour) }

func (w *work) Wanted(_ context.Context, f store.Feed) (bool, error) {
	w.looked.Add(1)
	return f.Name != "unwanted", nil
}

func (w *work) Do(ctx context.Context, turn *store.Turn) (store.Run, error) {
	switch turn.Name {
	case "breaks":
		panic("a mistake")
	case "fails":
		return store.Run{}, errors.New("no route")
	case "hangs":
		w.hung.Add(1)
		<-ctx.Done()
		return store.Run{}, ctx.Err()
	}
	w.done.Add(1)
	turn.Memory = fmt.Sprint(turn.Memory, "x")
	select {
	case w.told <- turn.Name:
	default:
	}
	return store.Run{Text: "well"}, nil
}

// What was due while nobody served is done once; one that hangs, breaks or fails stops no other, and of
// two processes one does it.
func TestServe(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		days := oneroster.FormatTime(time.Now().AddDate(0, 0, -3))
		for _, name := range []string{"hangs", "breaks", "fails", "unwanted", "works"} {
			if err := s.AddFeed(t.Context(), store.Feed{Kind: store.FeedSource, Name: name, Settings: "{}",
				Due: days}); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range []store.Feed{{Kind: store.FeedSource, Name: "by-hand", Settings: "{}"},
			{Kind: store.FeedNotify, Name: "unknown", Settings: "{}", Due: days}} {
			if err := s.AddFeed(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		w := &work{told: make(chan string, 10)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{}, 2)
		for range 2 {
			one := storetest.Open(t, dsn, store.Options{})
			feeds := &feed.Feeds{Store: one, Kinds: map[store.FeedKind]feed.Kind{store.FeedSource: w},
				Log: slog.New(slog.DiscardHandler)}
			go func() {
				feeds.Serve(ctx)
				ended <- struct{}{}
			}()
		}
		if name := <-w.told; name != "works" {
			t.Error(name)
		}
		state := func(name string) string {
			runs, err := s.Runs(t.Context(), store.FeedSource, name, 0)
			if err != nil || len(runs) != 1 {
				return fmt.Sprint(len(runs), err)
			}
			return string(runs[0].State) + ": " + runs[0].Text
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end) && (strings.HasPrefix(state("breaks"),
			"running") ||
			state("fails") != "failed: no route" || state("works") != "done: well" || w.hung.Load() == 0); {
			time.Sleep(time.Millisecond) // for what goes on beside
		}
		stop()
		<-ended
		<-ended
		for name, want := range map[string]string{"works": "done: well", "fails": "failed: no route",
			"breaks": "failed: a mistake of this program: a mistake", "hangs": "failed: context canceled",
			"unwanted": "0 <nil>", "by-hand": "0 <nil>"} {
			if got := state(name); got != want {
				t.Errorf("%s: %s, not %s", name, got, want)
			}
		}
		f, err := s.Feed(t.Context(), store.FeedSource, "works")
		if at, _ := time.Parse(oneroster.TimeLayout, f.Due); err != nil || f.Memory != "x" ||
			time.Until(at) < 50*time.Minute || w.done.Load() != 1 || w.hung.Load() != 1 {
			t.Errorf("done %d times, hung %d, due %s, %q: %v", w.done.Load(), w.hung.Load(), f.Due, f.Memory,
				err)
		}
	})
}
