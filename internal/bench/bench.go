// Package bench measures what the lists of a OneRoster 1.1 provider, anybody's, cost who
// reads them: time by the reader's clock, rows and bytes. What it costs the provider cannot
// be seen from outside. It asks one thing after the other over one connection, and no more
// than it is allowed to.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// Options of a measurement.
type Options struct {
	Collection string        // plural name of the resource that is read: enrollments
	Limits     []int         // rows of a page
	Rounds     int           // how often each thing is asked, in turn with what it is held against
	Requests   int           // at most
	Time       time.Duration // likewise
	Progress   func(n int)   // told of every request; nil tells nobody
}

// A Line is one kind of request.
type Line struct {
	Work    string  `json:"work"`    // page, first page, by id, delta, walk
	Query   string  `json:"query"`   // filter or sort, before it is encoded; "" is none
	Place   string  `json:"place"`   // of a page: start, middle, end
	Coding  string  `json:"coding"`  // of the answer: identity or gzip
	Limit   int     `json:"limit"`   // rows asked for; 0 for one object
	Rows    int     `json:"rows"`    // that came, of the last round
	Bytes   int64   `json:"bytes"`   // likewise, as they were sent
	Calls   int     `json:"calls"`   // of one round
	Took    Spread  `json:"took"`    // of a round, in milliseconds
	Against *Spread `json:"against"` // times the page at the start, by rounds; null where that is nothing

	rounds, ratios []float64
}

// A Spread is the median of some rounds, and the range.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	Of     int     `json:"of"`
}

// A Report is a whole measurement.
type Report struct {
	URL        string  `json:"url"`
	Collection string  `json:"collection"`
	Total      int     `json:"total"` // X-Total-Count of the collection; -1 where it is not told
	Lines      []*Line `json:"lines"`
	Requests   int     `json:"requests"`
	Bytes      int64   `json:"bytes"`
	Took       float64 `json:"took"`    // milliseconds
	LeftOut    string  `json:"leftOut"` // why some of it was not measured; "" where all was
}

// errEnough: there are no requests, or no time, left.
type errEnough struct{ why string }

func (e errEnough) Error() string { return e.why }

type run struct {
	*provider.Provider
	opt   Options
	out   *Report
	began time.Time
}

// Run measures a provider. What it measured until something failed is returned too.
func Run(ctx context.Context, p *provider.Provider, opt Options) (*Report, error) {
	r := &run{Provider: p, opt: opt, out: &Report{URL: p.URL, Collection: opt.Collection, Total: -1},
		began: time.Now()}
	err := r.measure(ctx)
	var enough errEnough
	if errors.As(err, &enough) {
		r.out.LeftOut, err = enough.why, nil
	}
	for _, l := range r.out.Lines {
		l.Took = spread(l.rounds)
		if len(l.ratios) > 0 {
			against := spread(l.ratios)
			l.Against = &against
		}
	}
	r.out.Lines = slices.DeleteFunc(r.out.Lines, func(l *Line) bool { return len(l.rounds) == 0 })
	r.out.Took = ms(time.Since(r.began))
	return r.out, err
}

func (r *run) measure(ctx context.Context) error {
	warm, a, err := r.page(ctx, &Line{Limit: 1}, 0)
	if err != nil {
		return err
	}
	if r.out.Total = a.Total(); r.out.Total < 0 {
		return errEnough{"the provider tells no X-Total-Count: where the middle is cannot be known"}
	}
	if len(warm.Objects) == 0 {
		return errEnough{"there is nothing in " + r.opt.Collection}
	}
	for _, query := range []string{"", "filter=status='active'", "sort=dateLastModified"} {
		for _, limit := range r.opt.Limits {
			if err := r.places(ctx, query, limit); err != nil {
				return err
			}
		}
	}
	for _, measure := range []func(context.Context) error{r.first, r.byID, r.delta, r.walk} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// line begins a line.
func (r *run) line(l Line) *Line {
	l.Coding, l.Calls = cmp.Or(l.Coding, "identity"), 1
	r.out.Lines = append(r.out.Lines, &l)
	return &l
}

// places holds pages in the middle and at the end against the first one, and that against
// itself compressed.
func (r *run) places(ctx context.Context, query string, limit int) error {
	_, a, err := r.page(ctx, &Line{Limit: 1, Query: query}, 0)
	if err != nil {
		return err
	}
	start := r.line(Line{Work: "page", Query: query, Place: "start", Limit: limit})
	others := map[*Line]int{} // to their offset
	if total := a.Total(); total > limit {
		others[r.line(Line{Work: "page", Query: query, Place: "middle", Limit: limit})] = (total - limit) / 2
		others[r.line(Line{Work: "page", Query: query, Place: "end", Limit: limit})] = total - limit
	}
	if query == "" {
		others[r.line(Line{Work: "page", Place: "start", Limit: limit, Coding: "gzip"})] = 0
	}
	for range r.opt.Rounds {
		if err := r.timed(ctx, start, 0, nil); err != nil {
			return err
		}
		for l, offset := range others {
			if err := r.timed(ctx, l, offset, start); err != nil {
				return err
			}
		}
	}
	return nil
}

// first asks for the first page of conditions that nobody has asked for: each names another
// time, long ago.
func (r *run) first(ctx context.Context) error {
	l := r.line(Line{Work: "first page", Limit: r.opt.Limits[0]})
	for range r.opt.Rounds {
		at := time.UnixMilli(int64(1e12 * (0.5 + 0.4*rand.Float64()))) // of 1985 to 1998
		l.Query = "filter=status='active' AND dateLastModified>'" + oneroster.FormatTime(at) + "'"
		if err := r.timed(ctx, l, 0, nil); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) byID(ctx context.Context) error {
	page, _, err := r.page(ctx, &Line{Limit: r.opt.Limits[0]}, max(0, r.out.Total/2-r.opt.Limits[0]))
	if err != nil {
		return err
	}
	l := r.line(Line{Work: "by id", Rows: 1})
	for n := range r.opt.Rounds * 4 { // they are cheap, and vary
		id := page.Objects[n%len(page.Objects)].ID()
		a, err := r.ask(ctx, provider.Call{Path: "/" + r.opt.Collection + "/" + oneroster.EscapeID(id)})
		if err != nil {
			return err
		}
		l.add(a.Took, nil)
		l.Bytes = int64(len(a.Body))
	}
	return nil
}

// delta reads what has changed since a thousandth of the records was left to change, as a
// reader does who comes again.
func (r *run) delta(ctx context.Context) error {
	last := &Line{Limit: 1, Query: "sort=dateLastModified"}
	page, _, err := r.page(ctx, last, r.out.Total-1-r.out.Total/1000)
	if err != nil {
		return err
	}
	var since string
	if len(page.Objects) > 0 {
		since = page.Objects[0].Text("dateLastModified")
	}
	if since == "" {
		return nil
	}
	l := r.line(Line{Work: "delta", Query: "filter=status='active' AND dateLastModified>'" + since + "'",
		Limit: slices.Max(r.opt.Limits)})
	for range r.opt.Rounds {
		if err := r.whole(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// walk reads the whole collection once.
func (r *run) walk(ctx context.Context) error {
	return r.whole(ctx, r.line(Line{Work: "walk", Limit: slices.Max(r.opt.Limits)}))
}

// whole reads every page of a list as one round of a line.
func (r *run) whole(ctx context.Context, l *Line) error {
	var took time.Duration
	way, calls, sent := wire.Walk{Limit: l.Limit}, 0, int64(0)
	for last := false; !last; calls++ {
		page, a, err := r.page(ctx, l, way.Offset)
		if err != nil {
			return err
		}
		if last, err = way.Next(page); err != nil {
			return fmt.Errorf("%s: %w", a.Line(), err)
		}
		last = last || way.Offset == a.Total() // taken at its word: a page without rows is not measured
		took += a.Took
		sent += int64(len(a.Body))
	}
	l.Rows, l.Bytes, l.Calls = way.Offset, sent, calls
	l.add(took, nil)
	return nil
}

// timed asks for a page as one round of a line; against is the line whose latest round it is
// held against.
func (r *run) timed(ctx context.Context, l *Line, offset int, against *Line) error {
	page, a, err := r.page(ctx, l, offset)
	if err != nil {
		return err
	}
	l.add(a.Took, against)
	l.Rows, l.Bytes = len(page.Objects), int64(len(a.Body))
	return nil
}

func (l *Line) add(took time.Duration, against *Line) {
	l.rounds = append(l.rounds, ms(took))
	if against != nil {
		l.ratios = append(l.ratios, ms(took)/max(against.rounds[len(against.rounds)-1], 1e-3))
	}
}

// page asks for a page as a line says. What comes compressed is not looked into.
func (r *run) page(ctx context.Context, l *Line, offset int) (wire.Page, *provider.Answer, error) {
	pairs := []string{"limit", fmt.Sprint(l.Limit), "offset", fmt.Sprint(offset)}
	if name, value, some := strings.Cut(l.Query, "="); some {
		pairs = append(pairs, name, value)
	}
	call := provider.Call{Path: "/" + r.opt.Collection, Query: provider.Query(pairs...),
		Header: http.Header{"Accept-Encoding": {cmp.Or(l.Coding, "identity")}}}
	a, err := r.ask(ctx, call)
	if err != nil {
		return wire.Page{}, a, err
	}
	if a.Header.Get("Content-Encoding") != "" {
		return wire.Page{Objects: make([]wire.Object, max(0, min(l.Limit, a.Total()-offset)))}, a, nil
	}
	page, err := a.List(r.opt.Collection)
	if err != nil {
		return page, a, fmt.Errorf("%s: %w", a.Line(), err)
	}
	return page, a, nil
}

// ask makes one call, if that is allowed.
func (r *run) ask(ctx context.Context, c provider.Call) (*provider.Answer, error) {
	switch {
	case r.out.Requests >= r.opt.Requests:
		return nil, errEnough{fmt.Sprintf("%d requests are made", r.out.Requests)}
	case time.Since(r.began) > r.opt.Time:
		return nil, errEnough{r.opt.Time.String() + " are over"}
	}
	r.out.Requests++
	if r.opt.Progress != nil {
		r.opt.Progress(r.out.Requests)
	}
	a, err := r.Patient(ctx, c)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("%s: the answer is %d: %s", a.Line(), a.Status, a.Excerpt())
	}
	if a != nil {
		r.out.Bytes += int64(len(a.Body))
	}
	return a, err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func spread(of []float64) Spread {
	if len(of) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(of))
	n := len(sorted)
	return Spread{Median: sorted[n/2], Least: sorted[0], Most: sorted[n-1], Of: n}
}
