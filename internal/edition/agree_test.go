package edition_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rollbook/internal/edition"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// process is a district as a process of its own serves it.
func process(t testing.TB, dsn string) (*store.Store, *edition.District) {
	t.Helper()
	s := storetest.Open(t, dsn, store.Options{})
	d := edition.New(s, edition.Options{})
	t.Cleanup(d.Close)
	return s, d
}

// A walk that one process began goes on in its edition in the others, whatever is asked, what
// has been published since, and whether they were there then: also one that began when there was
// no edition yet.
func TestWalksGoOnInOtherProcesses(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s, first := process(t, dsn)
		_, second := process(t, dsn)
		plain := edition.New(s, edition.Options{Plain: true})
		src, rng := newRoster(40), rand.New(rand.NewPCG(7, 8))
		publish(t, s, src)
		write(t, s, rng)
		first.Later()
		type walk struct {
			edition.Ask
			number string   // its edition and total
			whole  string   // the rows of all pages
			pages  []string // that were read
		}
		page := func(d *edition.District, ask edition.Ask) (rows, number string, p *edition.Page) {
			t.Helper()
			text, p := body(t, d, ask)
			return text[strings.Index(text, "[")+1 : len(text)-2], fmt.Sprint(p.Edition, " ", p.Total), p
		}
		var walks []*walk
		for range storetest.Tries(2) {
			for _, ask := range append(asks(t, rng, s), asked(t, "getAllEnrollments", "", nil)) {
				w := &walk{Ask: ask}
				w.Client, w.Query.Offset, w.Query.Limit = fmt.Sprint("reader", len(walks)), 0, 10000
				whole, _, p := page(plain, w.Ask)
				if w.Query.Limit = 1 + p.Total/4; w.Query.Limit < p.Total {
					rows, number, _ := page(first, w.Ask)
					w.whole, w.number, w.pages = whole, number, []string{rows}
					walks = append(walks, w)
				}
			}
		}
		first.Wait()
		src.night = 1
		publish(t, s, src)
		write(t, s, rng)
		_, third := process(t, dsn)
		changed := 0
		for n, w := range walks {
			all := w.Ask
			all.Query.Limit = 10000
			if now, _, _ := page(plain, all); now != w.whole {
				changed++
			}
			for total := 1 << 30; w.Query.Offset+w.Query.Limit < total; {
				w.Query.Offset += w.Query.Limit
				if len(w.pages) == 2 { // readers may change their mind
					w.Query.Limit = 1 + w.Query.Limit/2
				}
				rows, number, p := page([]*edition.District{third, second, first}[(n+len(w.pages))%3], w.Ask)
				if number != w.number || p.Left != 0 || p.AsOf.IsZero() {
					t.Fatalf("%s %+v: edition and total %s, not %s; %d was left", w.Route.Op, w.Query, number, w.number,
						p.Left)
				}
				w.pages, total = append(w.pages, rows), p.Total
			}
			if got := strings.Join(w.pages, ","); got != w.whole {
				t.Fatalf("%s %+v: %d pages have\n%.1000s\nnot\n%.1000s", w.Route.Op, w.Query, len(w.pages), got, w.whole)
			}
		}
		if len(walks) < 20 || changed < len(walks)/4 {
			t.Errorf("only %d walks, of which %d have changed", len(walks), changed)
		}
	})
}

// A process that cannot have the edition of a walk any more serves the latest, and says so: to
// the reader on each page, and once to the log.
func TestWalksThatCannotGoOnSaySo(t *testing.T) {
	dsn := storetest.SQLite(t)
	s, first := process(t, dsn)
	src := newRoster(30)
	publish(t, s, src)
	ask := asked(t, "getAllUsers", "limit=10", nil)
	_, begun := body(t, first, ask)
	for src.night = 1; src.night < 3; src.night++ {
		publish(t, s, src)
	}
	if err := s.Prune(ctx, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	src.night++
	publish(t, s, src)
	var log bytes.Buffer
	later := edition.New(s, edition.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	t.Cleanup(later.Close)
	latest := asked(t, "getAllUsers", "limit=10000", nil)
	_, now := body(t, later, latest)
	for ask.Query.Offset = 10; ask.Query.Offset < 40; ask.Query.Offset += 10 {
		_, p := body(t, later, ask)
		if p.Left != begun.Edition || p.Edition != now.Edition || p.AsOf.IsZero() || time.Since(p.AsOf) < 0 {
			t.Errorf("the page at %d is of edition %d, and has left %d; the latest is %d, the walk began in %d",
				ask.Query.Offset, p.Edition, p.Left, now.Edition, begun.Edition)
		}
		if _, p := body(t, first, ask); p.Left != 0 || p.Edition != begun.Edition {
			t.Errorf("the process that began it: edition %d, %d was left", p.Edition, p.Left)
		}
	}
	if n := strings.Count(log.String(), store.ErrNotEarlier.Error()); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, &log)
	}
}

// A walk is found in every process however often its list was walked before, with pages of
// however many lengths, in one edition and in those before.
func TestWalksOfManyLengthsAreFound(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s, first := process(t, dsn)
		_, second := process(t, dsn)
		src := newRoster(40)
		publish(t, s, src)
		page := func(d *edition.District, limit, offset int) int64 {
			t.Helper()
			_, p := body(t, d, asked(t, "getAllUsers", fmt.Sprintf("limit=%d&offset=%d", limit, offset), nil))
			return p.Edition
		}
		last := page(second, 10, 0)
		for night := range 2 {
			src.night++
			publish(t, s, src)
			now := page(second, 10, 0)
			if now == last {
				t.Fatal("nothing has changed")
			}
			for length := range 30 {
				if got := page(first, 10, 10); length == 0 && got != now {
					t.Errorf("night %d, after a walk began: its next page is of edition %d, not %d", night, got, now)
				}
				for more := range length {
					page(second, 11+more, 0)
				}
				page(first, 10, 0)
				if got := page(second, 10, 10); got != now {
					t.Fatalf("night %d, the %d. time: the next page is of edition %d, not %d", night, length, got, now)
				}
			}
			_, third := process(t, dsn) // has heard of nothing when a walk begins there
			page(third, 53, 0)
			for n, d := range []*edition.District{first, third, second} {
				if got := page(d, 53, 53+53*n); got != now {
					t.Errorf("night %d, page %d of a walk that began in a new process: edition %d, not %d", night, 1+n,
						got, now)
				}
			}
			last = now
		}
	})
}
