package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// What is served is read from a standby while that keeps up, and from the primary while it
// does not: nobody is served an earlier state than the last change, and no read fails.
func TestStandby(t *testing.T) {
	t.Parallel()
	dsn, standby := storetest.Standby(t)
	log := &told{}
	s := storetest.Open(t, dsn, store.Options{Standby: standby.DSN,
		Log: slog.New(slog.NewTextHandler(log, nil))})
	titles, category := 0, oneroster.ByName("category")
	write := func() string {
		t.Helper()
		titles++
		title := fmt.Sprint("title ", titles)
		if _, _, err := s.Put(t.Context(), rec("category", "sourcedId", "k", "title", title)); err != nil {
			t.Fatal(err)
		}
		return title
	}
	read := func(title string) {
		t.Helper()
		one, err := s.Get(t.Context(), store.Selection{Route: route("getCategory"),
			Vars: map[string]string{"id": "k"}})
		if err != nil || one.Get("title") != title {
			t.Fatalf("by id: %v, %v, not %s", one.Values, err, title)
		}
		some, total := list(t, s, store.Selection{Route: route("getAllCategories")})
		if total != 1 || some[0].Get("title") != title {
			t.Fatalf("in the list: %d %v, not %s", total, some, title)
		}
		seen := ""
		if err := s.View(t.Context(), func(v *store.View) error {
			return v.Since(t.Context(), category, 0, func(_ int, values []string) error {
				seen = values[category.Index("title")]
				return nil
			})
		}); err != nil || seen != title {
			t.Fatalf("in a view: %q, %v, not %s", seen, err, title)
		}
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s did not come; it says %q", what, s.StandbyProblem())
			}
		}
	}
	says := func(part string) {
		t.Helper()
		until(part, func() bool { p := s.StandbyProblem(); return p != "" && strings.Contains(p, part) })
	}
	// used waits until reads come to the standby.
	used := func() {
		t.Helper()
		title := write()
		until("the standby", func() bool {
			before := standby.Read(`FROM "categories"`)
			read(title)
			return standby.Read(`FROM "categories"`) >= before+3
		})
	}
	// left holds that none does, and that all is well without.
	left := func() {
		t.Helper()
		before := standby.Read(`FROM "categories"`)
		read(write())
		if n := standby.Read(`FROM "categories"`) - before; n > 0 {
			t.Errorf("%d reads of a standby that says %q", n, s.StandbyProblem())
		}
	}
	used()

	standby.Replay(t, false)
	for range 20 { // at once
		left()
	}
	says("it is behind")
	left()
	standby.Replay(t, true)
	used()

	goOn := standby.Hang(t)
	for range 3 { // each may wait for it once
		read(write())
	}
	says("does not answer")
	left()
	goOn()
	used()

	// It ends in the middle of a read: that says so, and the next goes elsewhere.
	view := func(ctx context.Context, within func()) error {
		return s.View(ctx, func(v *store.View) error {
			within()
			return v.Since(ctx, category, 0, func(int, []string) error { return nil })
		})
	}
	if err := view(t.Context(), standby.Crash); !errors.Is(err, store.ErrStandby) {
		t.Error(err)
	}
	if err := view(store.FromPrimary(t.Context()), func() {}); err != nil {
		t.Error(err)
	}
	left()
	standby.Restart(t)
	used()

	// What do itself says is its own, and nothing is left alone for it.
	own := errors.New("a full disk")
	err := s.View(t.Context(), func(*store.View) error { return own })
	if err != own || s.StandbyProblem() != "" {
		t.Errorf("%v, %q", err, s.StandbyProblem())
	}
	if text := log.String(); strings.Count(text, "reads=primary") != strings.Count(text, "reads=standby") ||
		!strings.Contains(text, "it is behind") {
		t.Error(text)
	}
}

// A database that is no copy of this district is not read from, and neither is one where
// there is no PostgreSQL.
func TestStandbyOfAnother(t *testing.T) {
	other := storetest.Postgres(t)
	far := storetest.Open(t, other, store.Options{})
	dsn := storetest.Postgres(t)
	s := storetest.Open(t, dsn, store.Options{})
	for n, s := range []*store.Store{far, far, s} {
		if _, _, err := s.Put(t.Context(), rec("category", "sourcedId", "k", "title",
			fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	for standby, say := range map[string]string{other: "no copy of this district",
		dsn + "_nowhere": "cannot be asked", "postgres://nobody:secret@127.0.0.1:1/x": "cannot be asked"} {
		s := storetest.Open(t, dsn, store.Options{Standby: standby})
		problem := s.StandbyProblem()
		if !strings.Contains(problem, say) || strings.Contains(problem, "secret") {
			t.Errorf("%s: %q", standby, problem)
		}
		some, _ := list(t, s, store.Selection{Route: route("getAllCategories")})
		if some[0].Get("title") != "2" {
			t.Error(some)
		}
	}
	for _, both := range [][2]string{{storetest.SQLite(t), other}, {dsn, "standby.db"}} {
		s, err := store.Open(t.Context(), both[0], store.Options{Standby: both[1]})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s is read from %s", both[0], both[1])
		}
	}
}

// told is a log.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *told) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *told) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
