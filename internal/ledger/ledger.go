// Package ledger keeps what happened: what clients read, who did what, and what is counted.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"rollbook/internal/rest"
	"rollbook/internal/store"
)

// How long what clients read is kept, and how much of it of one client.
const (
	kept      = 400 * 24 * time.Hour
	keptPulls = 50_000
)

const (
	// every is how often what was heard is written: a process that is killed loses as much.
	every = 5 * time.Second
	// mostHeard bounds what waits for that.
	mostHeard    = 4000
	mostFailures = 500
	// mostApart are the pieces of one question that are kept apart where pages come twice: of which
	// walk they are is seen beside what was written before.
	mostApart = 4
	// mostOfOne are kept of the pulls of one question that are begun in the time until they are
	// written: the first and the last ones.
	mostOfOne = 8
	// atOnce is how many pulls are written in one transaction: a slow disk must come to its end.
	atOnce = 500
)

// A Ledger puts the calls that a service answers together to pulls, and keeps them in the
// database in groups: a page costs no write of its own.
type Ledger struct {
	store *store.Store
	log   *slog.Logger
	full  chan struct{} // there is much to write

	mu    sync.Mutex
	pulls map[pullKey][]*store.Pull // of one question: those that went before the latest have ended
	heard int                       // how many they are
	calls map[callKey]*store.Calls
	fails []store.Failure
	lost  int // calls that found no room
}

type pullKey struct{ client, list, question string }

type callKey struct {
	client, op string
	hour       int64
}

// New makes the ledger of a district. Run writes what it hears.
func New(s *store.Store, log *slog.Logger) *Ledger {
	l := &Ledger{store: s, log: log, full: make(chan struct{}, 1)}
	l.pulls, l.calls = map[pullKey][]*store.Pull{}, map[callKey]*store.Calls{}
	return l
}

// Hear takes a call down. It waits for nothing.
func (l *Ledger) Hear(c rest.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(c)
	if c.Page != nil && c.Method == http.MethodGet {
		l.turn(c)
	}
	if l.heard+len(l.calls) > mostHeard/2 {
		select {
		case l.full <- struct{}{}:
		default:
		}
	}
}

func (l *Ledger) count(c rest.Call) {
	hour := c.At.Truncate(time.Hour)
	key := callKey{c.Client, c.Op, hour.Unix()}
	of := l.calls[key]
	if of == nil {
		if len(l.calls) >= mostHeard {
			l.lost++
			return
		}
		of = &store.Calls{Client: c.Client, Op: c.Op, Hour: hour}
		l.calls[key] = of
	}
	one := store.Calls{Calls: 1, Rows: c.Rows, Bytes: c.Bytes, Took: c.Took}
	switch {
	case c.Aborted:
		one.Aborted = 1
	case c.Status >= 500:
		one.Failed, one.Reason = 1, c.Reason
	case c.Status >= 400:
		one.Refused, one.Reason = 1, c.Reason
	}
	of.Add(&one)
	if one.Aborted+one.Failed+one.Refused > 0 && c.Client != "" && len(l.fails) < mostFailures {
		l.fails = append(l.fails, store.Failure{At: c.At, Request: c.ID, Client: c.Client, Op: c.Op,
			Status: c.Status,
			Reason: reasonOf(c), Took: c.Took})
	}
}

func reasonOf(c rest.Call) string {
	if c.Aborted {
		return "the answer broke off"
	}
	return c.Reason
}

// turn puts a page to its pull.
func (l *Ledger) turn(c rest.Call) {
	page := pageOf(c)
	key := pullKey{page.Client, page.List, page.Question}
	all := l.pulls[key]
	if p := store.Continued(all, page); p != nil && (!p.Read.Overlap(page.Read) || len(all) > mostApart) {
		p.Add(page)
		return
	}
	switch {
	case len(all) >= mostOfOne: // it is begun again and again: calls count how often
		l.pulls[key] = append(slices.Delete(all, len(all)-2, len(all)-1), page)
	case l.heard >= mostHeard:
		l.lost++
	default:
		l.heard++
		l.pulls[key] = append(all, page)
	}
}

// pageOf is a pull of one page.
func pageOf(c rest.Call) *store.Pull {
	p := &store.Pull{Client: c.Client, Op: c.Op, List: c.Page.Of, Question: c.Page.Question, Began: c.At,
		Last: c.At, Limit: c.Page.Limit, Total: -1, Bytes: c.Bytes, Took: c.Took}
	if c.Aborted || c.Status != http.StatusOK {
		p.Failed, p.Reason = 1, reasonOf(c)
		return p
	}
	from := c.Page.Offset
	p.Pages, p.Rows, p.Total, p.Begun = 1, c.Rows, c.Page.Total, from == 0
	p.FirstEdition, p.LastEdition = c.Page.Edition, c.Page.Edition
	if from >= c.Page.Total && from > 0 {
		p.Beyond = 1
	}
	p.Read.Add(from, from+c.Rows)
	return p
}

// counted tells whether a pull is only counted: the list of one class or one person, whole on
// its first page. Readers ask for them by the ten thousand.
func counted(p *store.Pull) bool {
	of, _, nested := strings.Cut(p.List, "/")
	return nested && of != "schools" && of != "terms" && p.Pages == 1 && p.Whole()
}

// Run writes what was heard every few seconds until the context ends, and then once more.
func (l *Ledger) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var swept time.Time
	told := false
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		case <-l.full:
		}
		if err := l.write(ctx); err != nil && !told {
			l.log.Error("what clients read cannot be written", "error", err)
			told = true
		} else if err == nil {
			told = false
		}
		if now := time.Now(); !ended && now.Sub(swept) > time.Hour {
			swept = now
			if err := l.store.ForgetPulls(ctx, now.Add(-kept), keptPulls); err != nil && ctx.Err() == nil {
				l.log.Warn("old pulls", "error", err)
			}
		}
	}
}

// write writes what was heard. What cannot be written is kept for the next time.
func (l *Ledger) write(ctx context.Context) error {
	l.mu.Lock()
	pulls, calls, fails, lost := l.pulls, l.calls, l.fails, l.lost
	l.pulls, l.calls, l.fails = map[pullKey][]*store.Pull{}, map[callKey]*store.Calls{}, nil
	l.heard, l.lost = 0, 0
	l.mu.Unlock()
	if len(pulls) == 0 && len(calls) == 0 {
		return nil
	}
	err := l.note(ctx, store.Heard{Calls: slices.Collect(maps.Values(calls)), Failures: fails})
	if err != nil && !errors.Is(err, store.ErrMoved) {
		l.again(pulls, calls, fails, lost)
		return err
	}
	if lost > 0 { // told when it is over: until then it would be told every few seconds
		l.log.Warn("more was read than could be written down", "calls", lost)
	}
	keep := worthKeeping(pulls)
	for len(keep) > 0 && err == nil {
		n := min(len(keep), atOnce)
		if err = l.note(ctx, store.Heard{Pulls: keep[:n]}); err == nil {
			keep = keep[n:]
		}
	}
	if err != nil && !errors.Is(err, store.ErrMoved) {
		l.again(byKey(keep), nil, nil, 0)
	}
	return err
}

// note writes a part. A service that ends writes it still.
func (l *Ledger) note(ctx context.Context, heard store.Heard) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), every)
	defer cancel()
	return l.store.Note(ctx, heard)
}

func byKey(pulls []*store.Pull) map[pullKey][]*store.Pull {
	out := map[pullKey][]*store.Pull{}
	for _, p := range pulls {
		key := pullKey{p.Client, p.List, p.Question}
		out[key] = append(out[key], p)
	}
	return out
}

// worthKeeping are the pulls that are kept, the earliest first.
func worthKeeping(pulls map[pullKey][]*store.Pull) (out []*store.Pull) {
	for _, all := range pulls {
		out = append(out, all...)
	}
	out = slices.DeleteFunc(out, counted)
	slices.SortStableFunc(out, func(a, b *store.Pull) int {
		return cmp.Or(a.Began.Compare(b.Began), strings.Compare(a.List, b.List),
			strings.Compare(a.Question, b.Question))
	})
	return out
}

// again puts what could not be written before what was heard since.
func (l *Ledger) again(pulls map[pullKey][]*store.Pull, calls map[callKey]*store.Calls,
	fails []store.Failure, lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost += lost
	l.fails = append(fails, l.fails...)
	l.fails = l.fails[:min(len(l.fails), mostFailures)]
	for key, all := range pulls {
		if l.heard += len(all); l.heard > mostHeard {
			l.heard, l.lost = l.heard-len(all), l.lost+len(all)
			continue
		}
		l.pulls[key] = append(all, l.pulls[key]...)
	}
	for key, c := range calls {
		if since := l.calls[key]; since != nil {
			c.Add(since)
		}
		l.calls[key] = c
	}
}
