package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/ledger"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var day = time.Date(2026, 11, 23, 2, 0, 0, 0, time.Local)

// A page is a call for one, as a service tells it.
type page struct {
	after         time.Duration
	list, asked   string
	offset, limit int
	total, status int
	edition       int64
	aborted       bool
}

func (p page) call() rest.Call {
	if p.limit == 0 {
		p.limit = 5
	}
	if p.status == 0 {
		p.status = 200
	}
	if p.list == "" {
		p.list = "users"
	}
	ops := map[string]string{"users": "getAllUsers", "enrollments": "getAllEnrollments",
		"schools/s/students": "getStudentsForSchool", "classes/c/students": "getStudentsForClass"}
	rows := max(0, min(p.limit, p.total-p.offset))
	if p.status != 200 {
		rows = 0
	}
	c := rest.Call{Op: ops[p.list], Method: "GET", Client: "c", At: day.Add(p.after), Status: p.status,
		Rows:  rows,
		Bytes: int64(10 * rows), Aborted: p.aborted, Took: time.Millisecond}
	if p.status != 200 {
		c.Reason = "server busy"
	}
	c.Page = &rest.Page{Of: p.list, Question: p.asked, Limit: p.limit, Offset: p.offset, Total: p.total,
		Edition: p.edition}
	return c
}

// walk is a pull of a list of so many rows, one page a second.
func walk(begin time.Duration, total int, asked string) (pages []page) {
	for offset := 0; offset == 0 || offset < total; offset += 5 {
		pages = append(pages, page{after: begin + time.Duration(offset/5)*time.Second, asked: asked,
			offset: offset,
			total:  total, edition: 7})
	}
	return pages
}

func districtOf(t testing.TB, empty func(testing.TB) string) *store.Store {
	s := storetest.Open(t, empty(t), store.Options{})
	if err := s.AddClient(t.Context(), auth.Client{ID: "c", Name: "C", Created: day}); err != nil {
		t.Fatal(err)
	}
	return s
}

// write lets ledgers write what they heard.
func write(ledgers ...*ledger.Ledger) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, l := range ledgers {
		l.Run(ctx)
	}
}

// told is the pulls in a line each, the earliest first.
func told(t testing.TB, s *store.Store) (out []string) {
	t.Helper()
	pulls, err := s.Pulls(t.Context(), store.PullsOf{})
	if err != nil {
		t.Fatal(err)
	}
	for i := len(pulls) - 1; i >= 0; i-- {
		p := &pulls[i]
		out = append(out, fmt.Sprintf("%s?%s %s: %d pages %d rows of %d, twice %d, beyond %d, failed %d: %s",
			p.List, p.Question, p.Began.Sub(day), p.Pages, p.Rows, p.Total, p.Twice, p.Beyond, p.Failed,
			ledger.Told(p, day.Add(48*time.Hour))))
	}
	return out
}

// What clients asked becomes the pulls that a person would call so.
func TestPulls(t *testing.T) {
	for _, c := range []struct {
		name  string
		pages []page
		want  []string
	}{
		{"a walk", walk(0, 12, ""), []string{"users? 0s: 3 pages 12 rows of 12, twice 0, beyond 0, failed " +
			"0: was read whole"}},
		{"an empty delta", walk(0, 0, "filter=x"),
			[]string{"users?filter=x 0s: 1 pages 0 rows of 0, twice 0, beyond 0, failed 0: was read whole"}},
		{"two walks", append(walk(0, 12, ""), walk(time.Minute, 12, "")...), []string{
			"users? 0s: 3 pages 12 rows of 12, twice 0, beyond 0, failed 0: was read whole",
			"users? 1m0s: 3 pages 12 rows of 12, twice 0, beyond 0, failed 0: was read whole"}},
		{"two questions at once", []page{{total: 8}, {total: 6, asked: "filter=x"}, {offset: 5, total: 8},
			{offset: 5, total: 6, asked: "filter=x"}}, []string{
			"users? 0s: 2 pages 8 rows of 8, twice 0, beyond 0, failed 0: was read whole",
			"users?filter=x 0s: 2 pages 6 rows of 6, twice 0, beyond 0, failed 0: was read whole"}},
		{"a walk that ends early", walk(0, 12, "")[:2],
			[]string{"users? 0s: 2 pages 10 rows of 12, twice 0, beyond 0, failed 0: broke off at 10 of 12 " +
				"rows"}},
		{"a page left out", []page{{total: 12}, {offset: 10, total: 12}},
			[]string{"users? 0s: 2 pages 7 rows of 12, twice 0, beyond 0, failed 0: left out 5 rows, the " +
				"first of them row 6"}},
		{"a page read twice", []page{{total: 8}, {offset: 5, total: 8}, {offset: 5, total: 8,
			after: time.Second}},
			[]string{"users? 0s: 3 pages 11 rows of 8, twice 3, beyond 0, failed 0: was read whole"}},
		{"two walks at once", []page{{total: 12}, {total: 12}, {offset: 5, total: 12}, {offset: 5, total: 12},
			{offset: 10, total: 12}, {offset: 10, total: 12}}, []string{
			"users? 0s: 3 pages 12 rows of 12, twice 0, beyond 0, failed 0: was read whole",
			"users? 0s: 3 pages 12 rows of 12, twice 0, beyond 0, failed 0: was read whole"}},
		{"past the end", []page{{total: 3}, {offset: 5, total: 3}, {offset: 10, total: 3}},
			[]string{"users? 0s: 3 pages 3 rows of 3, twice 0, beyond 2, failed 0: was read whole"}},
		{"a page that broke off, and came again", []page{{total: 8}, {offset: 5, total: 8, aborted: true},
			{offset: 5, total: 8, after: time.Second}},
			[]string{"users? 0s: 2 pages 8 rows of 8, twice 0, beyond 0, failed 1: was read whole"}},
		{"the first page broke off, and came again", []page{{total: 8, aborted: true}, {total: 8,
			after: time.Second},
			{offset: 5, total: 8, after: 2 * time.Second}},
			[]string{"users? 0s: 2 pages 8 rows of 8, twice 0, beyond 0, failed 1: was read whole"}},
		{"refused in the middle", []page{{total: 8}, {offset: 5, status: 503}},
			[]string{"users? 0s: 1 pages 5 rows of 8, twice 0, beyond 0, failed 1: broke off at 5 of 8 " +
				"rows (server busy)"}},
		{"refused at once", []page{{status: 503}},
			[]string{"users? 0s: 0 pages 0 rows of -1, twice 0, beyond 0, failed 1: got no page: server " +
				"busy"}},
		{"two hours between pages", []page{{total: 8}, {offset: 5, total: 8, after: 2 * time.Hour}}, []string{
			"users? 0s: 1 pages 5 rows of 8, twice 0, beyond 0, failed 0: broke off at 5 of 8 rows",
			"users? 2h0m0s: 1 pages 3 rows of 8, twice 0, beyond 0, failed 0: was read without its first " +
				"page"}},
		{"pages out of order", []page{{total: 12}, {offset: 10, total: 12}, {offset: 5, total: 12}},
			[]string{"users? 0s: 3 pages 12 rows of 12, twice 0, beyond 0, failed 0: was read whole"}},
		{"the students of a school", []page{{list: "schools/s/students", total: 2}},
			[]string{"schools/s/students? 0s: 1 pages 2 rows of 2, twice 0, beyond 0, failed 0: was read " +
				"whole"}},
		{"the students of a class are counted only", []page{{list: "classes/c/students", total: 2}}, nil},
		{"unless they are many", []page{{list: "classes/c/students", total: 9}},
			[]string{"classes/c/students? 0s: 1 pages 5 rows of 9, twice 0, beyond 0, failed 0: broke off " +
				"at 5 of 9 rows"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, e := range storetest.All {
				s := districtOf(t, e.Empty)
				l := ledger.New(s, slog.New(slog.DiscardHandler))
				for _, p := range c.pages {
					l.Hear(p.call())
				}
				write(l)
				if got := told(t, s); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
					t.Errorf("%s:\n%s\nwant\n%s", e.Name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
				if len(c.pages)%3 != 0 {
					return // PostgreSQL has a third of them
				}
			}
		})
	}
}

// However the pages of walks are dealt to processes, and whenever those write, the pulls are the
// same.
func TestPullsOfManyProcesses(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano())))
	for n, empty := range []func(testing.TB) string{storetest.SQLite, storetest.Postgres, storetest.SQLite} {
		s := districtOf(t, empty)
		log := slog.New(slog.DiscardHandler)
		all := []*ledger.Ledger{ledger.New(s, log), ledger.New(s, log), ledger.New(s, log)}
		var want []string
		for i := range 6 {
			total, begin := 3+rnd.IntN(40), time.Duration(i)*10*time.Minute
			for at, p := range walk(begin, total, "") {
				one := all[rnd.IntN(len(all))]
				one.Hear(p.call())
				if rnd.IntN(3) == 0 || at == 0 && rnd.IntN(2) == 0 {
					write(all[rnd.IntN(len(all))])
				}
			}
			write(all...) // ten minutes pass: each has written since
			want = append(want, fmt.Sprintf("users? %s: %d pages %d rows of %d, twice 0, beyond 0, failed "+
				"0: was read whole", begin, (total+4)/5, total, total))
		}
		if got := told(t, s); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%d:\n%s\nwant\n%s", n, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Calls are counted by client, operation and hour; who is no client of ours has no name.
func TestCalls(t *testing.T) {
	for _, e := range storetest.All {
		s := districtOf(t, e.Empty)
		l := ledger.New(s, slog.New(slog.DiscardHandler))
		for i, client := range []string{"c", "c", "stranger", "other", "c"} {
			l.Hear(rest.Call{Op: "token", Client: client, At: day.Add(time.Duration(i) * time.Minute),
				Status: 401 - 200*(i%2),
				Reason: "the secret is wrong", Bytes: 7})
			write(l)
		}
		l.Hear(rest.Call{Op: "token", Client: "c", At: day.Add(time.Hour), Status: 500, Reason: "broken"})
		write(l)
		calls, err := s.CallsSince(t.Context(), "", day)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range calls {
			got = append(got, fmt.Sprint(c.Client, " ", c.Op, " ", c.Hour.Sub(day), " ", c.Calls, c.Refused,
				c.Failed, c.Bytes, " ", c.Reason))
		}
		want := " token 0s 2 1 0 14 the secret is wrong\nc token 0s 3 2 0 21 the secret is wrong\n" +
			"c token 1h0m0s 1 0 1 0 broken"
		if strings.Join(got, "\n") != want {
			t.Errorf("%s:\n%s", e.Name, strings.Join(got, "\n"))
		}
	}
}

// What is old goes, and of a client that reads without end what is oldest; others keep theirs.
func TestPullsAreForgotten(t *testing.T) {
	for _, e := range storetest.All {
		s := districtOf(t, e.Empty)
		l := ledger.New(s, slog.New(slog.DiscardHandler))
		for i := range 5 {
			l.Hear(page{after: time.Duration(i) * 24 * time.Hour, total: 1}.call())
		}
		other := page{after: 50 * time.Hour, total: 1}.call()
		other.Client = "d"
		l.Hear(other)
		write(l)
		if err := s.ForgetPulls(t.Context(), day.Add(time.Hour), 3); err != nil {
			t.Fatal(err)
		}
		var got []string
		pulls, err := s.Pulls(t.Context(), store.PullsOf{})
		for _, p := range pulls {
			got = append(got, fmt.Sprint(p.Client, p.Began.Sub(day)))
		}
		if want := "c96h0m0s c72h0m0s d50h0m0s c48h0m0s"; err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v %v", e.Name, got, err)
		}
	}
}

// pullOf is a pull as the database has it.
func pullOf(list, op, asked string, began time.Duration, read ...store.Range) store.Pull {
	return store.Pull{Client: "c", Op: op, List: list, Question: asked, Began: day.Add(began),
		Last:  day.Add(began),
		Total: 10, Begun: true, Pages: 1, Read: read}
}

// What is wrong with how a client reads is told in words; what is right is not.
func TestNotices(t *testing.T) {
	whole := store.Range{From: 0, To: 10}
	users := func(asked string, began time.Duration, read ...store.Range) store.Pull {
		return pullOf("users", "getAllUsers", asked, began, read...)
	}
	delta := func(began, since time.Duration) store.Pull {
		return users("filter=dateLastModified>'"+oneroster.FormatTime(day.Add(since))+"'", began, whole)
	}
	more := func(p store.Pull) store.Pull {
		p.Total, p.Read = 12, store.Ranges{{From: 0, To: 12}}
		return p
	}
	probes := func(every time.Duration, n int, of func(began time.Duration) store.Pull) (out []store.Pull) {
		for i := range n {
			out = append(out, of(time.Duration(i)*every))
		}
		return out
	}
	visits := func(every time.Duration, n int) (out []store.Pull) {
		for i := range n {
			out = append(out, users("", time.Duration(i)*every, whole))
		}
		return out
	}
	const h = time.Hour
	for _, c := range []struct {
		name  string
		pulls []store.Pull
		calls []store.Calls
		now   time.Duration
		want  string // kind: text
	}{
		{"twice a day, in time", visits(12*h, 10), nil, 9*12*h + 13*h, ""},
		{"twice a day, and late", visits(12*h, 10), nil, 9*12*h + 38*h,
			"silent: reads every 12 hours or so, and has read nothing since 2026-11-27 14:00 (38 hours)"},
		{"three visits are no rhythm", visits(12*h, 3), nil, 20 * 24 * h, ""},
		{"a client that rests at weekends", append(visits(24*h, 5), users("", 7*24*h, whole), users("",
			8*24*h, whole)), nil, 8*24*h + 60*h, ""},
		{"never to its end", []store.Pull{users("", 0, store.Range{To: 4}), users("", 12*h,
			store.Range{To: 4}), users("", 24*h, store.Range{To: 5})}, nil, 30 * h,
			"broken off: has begun users 3 times since 2026-11-23 02:00 and has not once read it to its " +
				"end: the last time it broke off at 5 of 10 rows"},
		{"once to its end", []store.Pull{users("", 0, store.Range{To: 4}), users("", 12*h,
			store.Range{To: 4}), users("", 24*h, whole)}, nil, 30 * h, ""},
		{"after the end", []store.Pull{func() store.Pull {
			p := users("", 0, whole)
			p.Beyond = 4
			return p
		}()}, nil, h,
			"endless: asked for 4 pages of users after its end (10 rows): it does not look where a list " +
				"ends"},
		{"round and round", []store.Pull{func() store.Pull {
			p := users("", 0, whole)
			p.Twice = 30
			return p
		}()}, nil, h,
			"endless: has read the 10 rows of users 4 times in one walk: it does not look where a list ends"},
		{"again and again", visits(30*time.Second, 70), nil, h,
			"endless: has begun users more than 60 times within an hour, at 2026-11-23 02:00"},
		{"deltas that move on", []store.Pull{users("", 0, whole), delta(12*h, 0), delta(24*h, 12*h),
			delta(36*h, 24*h), delta(48*h, 36*h)}, nil, 50 * h, ""},
		{"a delta every ten seconds", probes(10*time.Second, 400, func(began time.Duration) store.Pull {
			return delta(began, began-10*time.Second)
		}), nil, 2 * h, ""},
		{"one row an hour, to see whether there is an answer", probes(h, 9,
			func(began time.Duration) store.Pull {
				p := users("", began, store.Range{From: 0, To: 1})
				p.Limit, p.Pages = 1, 1
				return p
			}), nil, 9 * h, ""},
		{"deltas from the last row of a district that rests", []store.Pull{delta(0, -h), delta(12*h, -h),
			delta(24*h, -h), delta(36*h, -h)}, nil, 37 * h, ""},
		{"deltas that stand still", []store.Pull{delta(0, -h), delta(12*h, -h), delta(24*h, -h),
			more(delta(36*h, -h))}, nil, 37 * h,
			"stale: has asked 4 times since 2026-11-23 02:00 for what has changed in users since " +
				"2026-11-23 01:00: its time does not move on"},
		{"a delta of the future", []store.Pull{delta(0, 5*h)}, nil, h,
			"stale: asked at 2026-11-23 02:00 for what has changed in users since 2026-11-23 07:00, which " +
				"had not come yet: it gets nothing"},
		{"a gap", []store.Pull{delta(0, -h), delta(24*h, 20*h)}, nil, 25 * h,
			"gap: asked at 2026-11-24 02:00 for what has changed in users since 2026-11-23 22:00, and had " +
				"read it until 2026-11-23 02:00 only: what changed in between it does not get"},
		{"refused", nil, []store.Calls{{Client: "c", Op: "token", Hour: day, Calls: 8, Refused: 7,
			Reason: "the secret is wrong"}},
			h, "refused: was refused a token 7 of 8 times in the last day: the secret is wrong"},
		{"refused once", nil, []store.Calls{{Client: "c", Op: "token", Hour: day, Calls: 800, Refused: 7,
			Reason: "r"}}, h, ""},
		{"strangers", nil, []store.Calls{{Op: "token", Hour: day, Calls: 800, Refused: 800}}, h, ""},
		{"failures", nil, []store.Calls{{Client: "c", Op: "getAllUsers", Hour: day, Calls: 80, Failed: 9}}, h,
			"failed: met 9 failures of this service in 80 calls of getAllUsers in the last day: see the log"},
	} {
		got := ""
		for _, n := range ledger.Notices(c.pulls, c.calls, day.Add(c.now)) {
			got += n.Kind + ": " + n.Text
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A list that is begun again and again makes a few pulls in the seconds until they are written, and
// each call is counted.
func TestListsBegunAgainAndAgain(t *testing.T) {
	s := districtOf(t, storetest.SQLite)
	l := ledger.New(s, slog.New(slog.DiscardHandler))
	for i := range 5000 {
		l.Hear(page{after: time.Duration(i) * time.Millisecond, total: 9}.call())
	}
	write(l)
	calls, err := s.CallsSince(t.Context(), "c", day)
	if got := told(t, s); err != nil || len(got) != 8 || !strings.HasPrefix(got[0], "users? 0s") ||
		!strings.HasPrefix(got[7], "users? 4.999s") || calls[0].Calls != 5000 {
		t.Errorf("%d: %v, %+v %v", len(got), got, calls, err)
	}
}

// What waits to be written is bounded, however many questions strangers think of.
func TestLedgerIsBounded(t *testing.T) {
	s := districtOf(t, storetest.SQLite)
	l := ledger.New(s, slog.New(slog.DiscardHandler))
	for i := range 20_000 {
		l.Hear(page{asked: fmt.Sprint("filter=", i), total: 1}.call())
	}
	write(l)
	if n := len(told(t, s)); n != 4000 {
		t.Errorf("%d pulls", n)
	}
}

// A database that is gone is told of once, and what found no room when it is back.
func TestLedgerTellsOnce(t *testing.T) {
	s := districtOf(t, storetest.SQLite)
	var log strings.Builder
	l := ledger.New(s, slog.New(slog.NewTextHandler(&log, nil)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i := range 5000 {
			l.Hear(page{asked: fmt.Sprint("filter=", i), total: 1}.call())
		}
		write(l)
	}
	if text := log.String(); strings.Contains(text, "more was read") || strings.Count(text,
		"cannot be written") != 2 {
		t.Error(text)
	}
}
