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
	if f.Name == "breaks-early" {
		panic("a mistake")
	}
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
		for _, name := range []string{"hangs", "breaks", "breaks-early", "fails", "unwanted",
			"works"} {
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
		for end := time.Now().Add(time.Minute); time.Now().Before(end) && (!strings.HasPrefix(state("breaks"),
			"failed") ||
			state("fails") != "failed: no route" || state("works") != "done: well" || w.hung.Load() == 0); {
			time.Sleep(time.Millisecond) // for what goes on beside
		}
		stop()
		<-ended
		<-ended
		for name, want := range map[string]string{"works": "done: well", "fails": "failed: no route",
			"breaks":   "failed: a mistake of this program: a mistake",
			"hangs":    "broken off: it was stopped, and begins anew",
			"unwanted": "0 <nil>", "by-hand": "0 <nil>"} {
			if got := state(name); got != want {
				t.Errorf("%s: %s, not %s", name, got, want)
			}
		}
		if f, err := s.Feed(t.Context(), store.FeedSource, "hangs"); err != nil || f.Due != days {
			t.Errorf("what was stopped is due %s, %v", f.Due, err)
		}
		f, err := s.Feed(t.Context(), store.FeedSource, "works")
		if at, _ := time.Parse(oneroster.TimeLayout, f.Due); err != nil || f.Memory != "x" ||
			time.Until(at) < 50*time.Minute || w.done.Load() != 1 || w.hung.Load() != 1 {
			t.Errorf("done %d times, hung %d, due %s, %q: %v", w.done.Load(), w.hung.Load(), f.Due, f.Memory,
				err)
		}
	})
}

// A clock that was years ahead when a turn ended, or while one was broken off, keeps nobody from the next one
// when it is right again.
func TestClockIsPutBack(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return time.Now().AddDate(9, 0, 0) }})
		if err := s.AddFeed(t.Context(), store.Feed{Kind: store.FeedSource, Name: "kept",
			Settings: "{}"}); err != nil {
			t.Fatal(err)
		}
		ctx, killed := context.WithCancel(t.Context())
		if _, _, err := s.TakeTurn(ctx, store.FeedSource, "kept", ""); err != nil {
			t.Fatal(err)
		}
		killed() // its row stays as it is
		ahead := oneroster.FormatTime(time.Now().AddDate(9, 0, 0))
		for _, name := range []string{"late", "soon"} {
			if name == "soon" {
				ahead = oneroster.FormatTime(time.Now().Add(50 * time.Minute))
			}
			if err := s.AddFeed(t.Context(), store.Feed{Kind: store.FeedSource, Name: name, Settings: "{}",
				Due: ahead}); err != nil {
				t.Fatal(err)
			}
		}
		w := &work{told: make(chan string, 10)}
		now := storetest.Open(t, dsn, store.Options{})
		feeds := &feed.Feeds{Store: now, Kinds: map[store.FeedKind]feed.Kind{store.FeedSource: w},
			Log: slog.New(slog.DiscardHandler)}
		if run, err := feeds.Run(t.Context(), store.FeedSource, "kept"); err != nil {
			t.Errorf("%+v, %v", run, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); feeds.Serve(ctx) }()
		due := func(name string) (in time.Duration) {
			f, err := s.Feed(t.Context(), store.FeedSource, name)
			at, wrong := time.Parse(oneroster.TimeLayout, f.Due)
			if err != nil || wrong != nil {
				t.Error(err, wrong)
			}
			return time.Until(at)
		}
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && due("late") > 2*time.Hour; {
			time.Sleep(time.Millisecond) // for what goes on beside
		}
		stop()
		<-ended
		if late, soon := due("late"), due("soon"); late > time.Hour || soon > 50*time.Minute {
			t.Errorf("late in %s, soon in %s", late, soon)
		}
	})
}

// A turn of a feed that was removed and added anew meanwhile keeps nothing in the new one.
func TestTurnOfARemovedFeed(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		var passed atomic.Int64
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time {
			return time.Now().Add(time.Duration(passed.Add(1)) * time.Millisecond)
		}})
		take := func(memory string) *store.Turn {
			t.Helper()
			if err := s.AddFeed(t.Context(), store.Feed{Kind: store.FeedOutlet, Name: "sis", Settings: "{}",
				Memory: memory}); err != nil {
				t.Fatal(err)
			}
			turn, _, err := s.TakeTurn(t.Context(), store.FeedOutlet, "sis", "")
			if err != nil {
				t.Fatal(err)
			}
			return turn
		}
		old := take("old")
		if err := s.RemoveFeed(t.Context(), store.FeedOutlet, "sis"); err != nil {
			t.Fatal(err)
		}
		young := take("young")
		if err := old.Remember(t.Context()); !errors.Is(err, store.ErrTurn) {
			t.Errorf("it goes on: %v", err)
		}
		if err := old.End(t.Context(), store.Run{State: store.RunDone}, time.Time{}); !errors.Is(err,
			store.ErrTurn) {
			t.Errorf("it is kept: %v", err)
		}
		if err := young.End(t.Context(), store.Run{State: store.RunDone}, time.Time{}); err != nil {
			t.Error(err)
		}
		if f, err := s.Feed(t.Context(), store.FeedOutlet, "sis"); err != nil || f.Memory != "young" {
			t.Errorf("%+v %v", f, err)
		}
	})
}

// What a server echoes of a secret is not shown, however it is spelled; also where one secret begins another.
func TestHidden(t *testing.T) {
	secrets := feed.Secrets{"password": "p@ss word/1", "bearer": "p@ss word", "query": "sig=a%2Fb%2Bcd&v=2020",
		"url": "https://chat.example/services/T0/B0?x=tok"}
	for said, want := range map[string]string{
		"no p@ss word/1 here":                  "no [secret] here",
		"no p@ss word here":                    "no [secret] here",
		"no p%40ss+word%2F1 here":              "no [secret] here",
		"postgres://r:p%40ss%20word%2F1@h/d":   "postgres://r:[secret]@h/d",
		"signature a/b+cd is wrong":            "signature [secret] is wrong",
		"a fault of 2020":                      "a fault of 2020",
		"signature a%2Fb%2Bcd is wrong":        "signature [secret] is wrong",
		"GET /services/T0/B0?x=tok: no\x1b[2J": "GET [secret]: no␛[2J",
	} {
		for range 20 { // maps have no order
			if got := secrets.Hidden(said); got != want {
				t.Errorf("%q: %q", said, got)
				break
			}
		}
	}
}

// Settings that a later version has kept are not read as if they said less.
func TestSettingsOfALaterVersion(t *testing.T) {
	var s struct{ Folder string }
	_, err := feed.Read(store.Feed{Kind: store.FeedSource, Name: "sis",
		Settings: `{"folder":"/srv","onlySchools":["s1"]}`}, nil, &s)
	if err == nil || !strings.Contains(err.Error(), `source "sis"`) || !strings.Contains(err.Error(),
		"onlySchools") {
		t.Error(err)
	}
}
