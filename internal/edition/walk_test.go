package edition_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/edition"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// A copy is what a reader has of a collection: it walks the list, then the changes since
// the latest stamp that it saw.
type copy struct {
	t      testing.TB
	deal   func() *edition.District // who serves the next page
	client string
	op     string
	rng    *rand.Rand
	rows   map[string]string // JSON by sourcedId
	latest string
}

// pull walks a list to its end, and checks that it was of one piece.
func (c *copy) pull(filter string) {
	total, number, seen := -1, int64(0), map[string]bool{}
	for offset := 0; offset < total || total < 0; {
		limit := 1 + c.rng.IntN(60)
		ask := asked(c.t, c.op, fmt.Sprintf("limit=%d&offset=%d%s", limit, offset, filter), nil)
		ask.Client, ask.Gzip = c.client, c.rng.IntN(2) == 0
		text, p := body(c.t, c.deal(), ask)
		if total < 0 {
			total, number = p.Total, p.Edition
		}
		if p.Total != total || p.Edition != number {
			c.t.Fatalf("%s at %d: %d of edition %d, and %d of %d before", c.op, offset, p.Total, p.Edition, total,
				number)
		}
		var page map[string][]json.RawMessage
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			c.t.Fatal(err)
		}
		for _, raw := range page[ask.Route.Resource.Plural] {
			var row struct{ SourcedID, DateLastModified string }
			if err := json.Unmarshal(raw, &row); err != nil {
				c.t.Fatal(err)
			}
			if seen[row.SourcedID] {
				c.t.Fatalf("%s: %s comes twice", c.op, row.SourcedID)
			}
			seen[row.SourcedID] = true
			c.rows[row.SourcedID] = string(raw)
			c.latest = max(c.latest, row.DateLastModified)
		}
		offset += limit
	}
	if len(seen) != total {
		c.t.Fatalf("%s: %d of %d records came", c.op, len(seen), total)
	}
}

// Readers that walk while nights are published and grades are written see whole
// districts, also where each page is of another process, and processes end and begin: no
// record twice, none missing, one total; and what they have after the changes since is what
// there is.
func TestWalksAreWhole(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		src := newRoster(60)
		publish(t, s, src)
		var processes [3]atomic.Pointer[edition.District]
		for n := range processes {
			_, d := process(t, dsn)
			processes[n].Store(d)
		}
		var over atomic.Bool
		var writers, readers sync.WaitGroup
		writers.Go(func() {
			other := storetest.Open(t, dsn, store.Options{})
			for src.night = 1; !over.Load(); src.night++ {
				publish(t, other, src)
				d := edition.New(other, edition.Options{})
				t.Cleanup(d.Close)
				if src.night%2 == 0 {
					d.Later()
				}
				processes[1+src.night%2].Store(d)
			}
		})
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(5, 6))
			for !over.Load() {
				id := fmt.Sprint("c", rng.IntN(200))
				if rng.IntN(3) == 0 {
					_ = s.Delete(ctx, oneroster.ByName("category"), id) // where it is there
					continue
				}
				_, _, err := s.Put(ctx, storetest.Rec("category", "sourcedId", id, "title", fmt.Sprint(rng.IntN(1e6))))
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		var copies []*copy
		for i, op := range []string{"getAllEnrollments", "getAllEnrollments", "getAllUsers", "getAllResults",
			"getAllCategories", "getAllCategories"} {
			c := &copy{t: t, client: fmt.Sprint("reader", i%3), op: op,
				rng: rand.New(rand.NewPCG(3, uint64(i))), rows: map[string]string{}}
			some := min(3, 1+2*i) // the first one's pages are all of one process
			c.deal = func() *edition.District { return processes[c.rng.IntN(some)].Load() }
			copies = append(copies, c)
			c.prepare()
			readers.Go(func() {
				for n := range storetest.Tries(18) {
					if n%5 == 0 {
						c.pull("&filter=dateLastModified>='2000-01-01'")
					}
					c.pull("&filter=dateLastModified>'" + c.latest + "'")
				}
			})
		}
		readers.Wait()
		over.Store(true)
		writers.Wait()
		for _, c := range copies {
			c.pull("&filter=dateLastModified>'" + c.latest + "'")
			plain := edition.New(s, edition.Options{Plain: true})
			now := &copy{t: t, deal: func() *edition.District { return plain }, op: c.op, rng: c.rng,
				rows: map[string]string{}}
			now.pull("&filter=dateLastModified>='2000-01-01'")
			if len(now.rows) != len(c.rows) {
				t.Errorf("%s: %d records, not %d", c.op, len(c.rows), len(now.rows))
			}
			for id, row := range now.rows {
				if c.rows[id] != row {
					t.Fatalf("%s %s: %s\nnot %s", c.op, id, c.rows[id], row)
				}
			}
		}
	})
}

// prepare lets the edition of the collection be made.
func (c *copy) prepare() {
	d := c.deal()
	_, _ = body(c.t, d, asked(c.t, c.op, "limit=1", nil))
	d.Wait()
}

// A walk goes on in its edition for an hour after its last page, whoever else begins one;
// then it is over.
func TestWalksEnd(t *testing.T) {
	s, src, d, now := small(t)
	page := func(client string, offset int) int64 {
		ask := asked(t, "getAllUsers", fmt.Sprintf("limit=10&offset=%d", offset), nil)
		ask.Client = client
		_, p := body(t, d, ask)
		return p.Edition
	}
	_ = page("nobody", 0)
	d.Wait()
	first := page("a", 0)
	src.night = 1
	publish(t, s, src)
	second := page("b", 0)
	if first == second {
		t.Fatal("nothing has changed")
	}
	expect := func(what, client string, offset int, want int64) {
		t.Helper()
		if got := page(client, offset); got != want {
			t.Errorf("%s: edition %d, not %d", what, got, want)
		}
	}
	*now = now.Add(59 * time.Minute)
	expect("the next page", "a", 10, first)
	*now = now.Add(59 * time.Minute)
	expect("the page after it", "a", 20, first)
	expect("another client", "b", 10, second)
	expect("a walk that begins anew", "a", 0, second)
	expect("its next page", "a", 10, second)
	expect("the page that the first walk is at", "a", 30, first)
	expect("the next one of the second", "a", 20, second)
	expect("a page once more", "a", 20, second)
	*now = now.Add(61 * time.Minute)
	expect("an hour later", "a", 40, second)
}

// A page that is asked once more, because its answer was lost, is of the walk that it was of,
// also where an older walk of the same client ended just before it.
func TestPagesOnceMoreAreOfTheirWalk(t *testing.T) {
	s, src, d, now := small(t)
	page := func(offset int) int64 {
		*now = now.Add(time.Second)
		_, p := body(t, d, asked(t, "getAllUsers", fmt.Sprintf("limit=10&offset=%d", offset), nil))
		return p.Edition
	}
	left := page(0) // and its reader goes away
	src.night = 1
	publish(t, s, src)
	first := page(0)
	if first == left {
		t.Fatal("nothing has changed")
	}
	for _, offset := range []int{10, 10, 10, 20, 20} {
		if got := page(offset); got != first {
			t.Errorf("the page at %d is of edition %d, not of %d", offset, got, first)
		}
	}
}

// Who asks for one later page again and again is not told of the same day for ever.
func TestWalksEndWithinADay(t *testing.T) {
	s, src, d, now := small(t)
	page := func(offset int) int64 {
		_, p := body(t, d, asked(t, "getAllUsers", fmt.Sprintf("limit=10&offset=%d", offset), nil))
		return p.Edition
	}
	first := page(0)
	src.night = 1
	publish(t, s, src)
	for hours := 0.5; hours <= 25; hours += 0.5 {
		*now = now.Add(30 * time.Minute)
		if old := page(10) == first; old != (hours <= 24) {
			t.Errorf("after %.1f hours: the first edition: %t", hours, old)
		}
	}
}

// A page that is the next of no walk is of the latest edition, whatever its reader has read
// before: who looks at one record here and there is told what there is.
func TestPagesByThemselvesAreOfTheLatest(t *testing.T) {
	s, src, d, _ := small(t)
	page := func(query string) int64 {
		_, p := body(t, d, asked(t, "getAllUsers", "sort=sourcedId&"+query, nil))
		return p.Edition
	}
	for night := range 4 {
		src.night = night
		publish(t, s, src)
		whole := page("limit=5000")
		for _, query := range []string{"limit=1&offset=30", "limit=1&offset=0", "limit=1&offset=31",
			"limit=20&offset=20", "limit=1&offset=30"} {
			if got := page(query); got != whole {
				t.Errorf("night %d, %s: of edition %d, the latest is %d", night, query, got, whole)
			}
		}
	}
}
